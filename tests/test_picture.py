"""The picture that is touched, as the kernel has it: what it refuses, and what it tells the page."""

import pytest
from traitlets import TraitError

from srvae.viewer.picture import LAYERS, Picture


@pytest.fixture
def picture():
    widget = Picture()
    yield widget
    widget.close()


@pytest.fixture
def sent(picture, monkeypatch):
    """The names of what each message to the page holds."""
    messages = []

    class Comm:
        """A line to a page."""

        kernel, comm_id = object(), "page"

        def send(self, data, buffers=None):
            if data["method"] == "update":
                names = [path[0] for path in data["buffer_paths"]]
                messages.append({*data["state"], *names})
            else:
                messages.append((data["content"], [bytes(buffer) for buffer in buffers]))

        def on_msg(self, _):
            pass

        def close(self, *_, **__):
            pass

    picture.comm = Comm()
    messages.clear()
    return messages


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("share", 1.01),
        ("share", -0.01),
        ("share", float("nan")),
        ("zoom", 0.99),
        ("zoom", 16.1),
        ("zoom", float("nan")),
        ("across", 2.0),
        ("down", float("inf")),
        ("size", (1, -1)),
        ("size", (1.5, 2)),
        ("size", (1, 2, 3)),
        ("right", "text"),
        ("right", None),
        ("right_rect", (0, 0, 1)),
        ("patch_rect", (0, 0, 1, -1)),
        ("overlay_rect", (0, 0, 1, "1")),
        ("selection", (1, 2, 3)),
        ("selection", (1, 2, 3, 4.5)),
        ("selection", (1, 2, 3, True)),
        ("selection", (-1, 2, 3, 4)),
        ("overview_rect", (0.0, 0.0, 1.0, 1.5)),
        ("overview_rect", (0.0, 0.0, 1.0, float("nan"))),
        ("shown", (-1, 2)),
        ("left_label", 3),
        ("exact", "yes"),
    ],
)
def test_refuses(picture, name, value):
    before = getattr(picture, name)
    with pytest.raises(TraitError, match=name):
        setattr(picture, name, value)
    assert getattr(picture, name) == before


def test_takes_what_a_page_sends(picture):
    picture.set_state({"share": 0.25, "zoom": 16, "selection": [1, 2, 30, 40], "shown": [640, 480]})
    assert (picture.share, picture.zoom, picture.selection, picture.shown) == (0.25, 16, (1, 2, 30, 40), (640, 480))
    picture.set_state({"selection": []})
    assert picture.selection == ()


def test_begins_with_nothing(picture):
    assert {getattr(picture, name) for name in LAYERS} == {b""}
    assert picture.size == picture.shown == (0, 0)
    assert (picture.share, picture.zoom, picture.exact) == (0.5, 1, False)


def test_a_layer_and_its_rectangle_are_one_message(picture, sent):
    with picture.hold_sync():
        picture.right, picture.right_rect, picture.exact = b"png", (1, 2, 3, 4), True
    assert sent == [{"right", "right_rect", "exact", "laid"}]


def test_the_same_layer_is_laid_anew(picture, sent):
    """Pieces may lie over it in the page, which only its coming again removes."""
    picture.right = b"png"
    first = picture.laid["right"]
    picture.patch = b"piece"
    assert picture.laid["patch"] > first
    sent.clear()
    with picture.hold_sync():
        picture.right = b"png"
    assert picture.laid["right"] > picture.laid["patch"]
    assert sent == [{"right", "laid"}]


def test_the_same_part_in_work_counts_as_new(picture, sent):
    """A hand may have moved it in the page, and the kernel could not follow."""
    picture.overview_rect = (0.0, 0.0, 0.5, 0.5)
    first = picture.laid["overview"]
    sent.clear()
    with picture.hold_sync():
        picture.overview_rect = (0.0, 0.0, 0.5, 0.5)
    assert picture.laid["overview"] > first
    assert sent == [{"overview_rect", "laid"}]


def test_a_refused_layer_is_not_laid(picture):
    laid = picture.laid
    with pytest.raises(TraitError):
        picture.right = "text"
    assert picture.laid == laid


def test_download(picture, sent):
    picture.download("cat.png", b"file")
    assert sent == [({"kind": "download", "name": "cat.png", "type": "image/png"}, [b"file"])]


@pytest.fixture
def heard(picture):
    """What those hear who listen to the page."""
    messages = []
    picture.on_msg(lambda _, content, buffers: messages.append((content, [bytes(buffer) for buffer in buffers])))
    return messages


def from_page(picture, content, *buffers):
    """A custom message, as it comes from a page."""
    data = {"method": "custom", "content": content}
    picture._handle_msg({"content": {"data": data}, "buffers": [memoryview(buffer) for buffer in buffers]})


def piece(picture, file, content, *, at=0, last=False, drop=1):
    """A piece of one of two files."""
    where = {"names": ["a", "b"], "file": file, "from": at}
    from_page(picture, {"kind": "piece", "drop": drop, **where, "last": last}, content)


def test_messages_pass(picture, heard):
    from_page(picture, {"kind": "work", "x": 0.5, "y": 1})
    from_page(picture, {"kind": "drop", "names": ["a"]}, b"file")
    assert heard == [({"kind": "work", "x": 0.5, "y": 1}, []), ({"kind": "drop", "names": ["a"]}, [b"file"])]


def test_pieces_become_one_drop(picture, heard):
    piece(picture, 0, b"on")
    piece(picture, 0, b"e", at=2)
    assert heard == []
    piece(picture, 1, b"two", last=True)
    assert heard == [({"kind": "drop", "names": ["a", "b"]}, [b"one", b"two"])]


def test_a_drop_that_breaks_off_is_forgotten(picture, heard):
    piece(picture, 0, bytes(1000))
    piece(picture, 0, b"one", drop=2)
    assert sum(map(len, picture._pieces)) == 3, "only the newest stays in memory"
    piece(picture, 1, b"old", last=True)
    assert heard == []
    piece(picture, 1, b"two", drop=2, last=True)
    assert heard == [({"kind": "drop", "names": ["a", "b"]}, [b"one", b"two"])]
    assert picture._pieces == []
    piece(picture, 0, b"on", drop=3)
    piece(picture, 0, b"e", at=3, drop=3)  # what lay between them is lost
    piece(picture, 1, b"two", drop=3, last=True)
    assert len(heard) == 1


def test_the_page_gets_one_module_that_asks_nobody(picture):
    page = picture.get_state()
    assert page["_esm"].count("export default") == 1
    assert "import " not in page["_esm"]
    for text in (page["_esm"], page["_css"]):
        assert "http" not in text
        assert "url(" not in text
