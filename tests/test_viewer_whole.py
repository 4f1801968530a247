"""Whatever fails in the view leaves nothing half done: controls, picture and a saved file are as they were before."""

import asyncio
import json

import numpy as np
import pytest

import srvae_core as sr
from srvae import images, viewer
from srvae.viewer import files, pictures
from srvae.viewer.settings import Latents, Region
from viewer_helpers import at_rest, cat, changed, coffee, drop, lowres, new_view, shown, state, until, upload


class Before:
    """All that a view holds before something that fails: every trait of its widgets and every attribute."""

    def __init__(self, view):
        self.view, self.state, self.frame, self.running = view, state(view), view.frame.copy(), view.pace.is_due

    def is_still(self, *but):
        """Raise AssertionError unless the view holds, shows and saves the same, but for some names."""
        assert set(changed(self.state, state(self.view))) <= set(but)
        assert self.view.pace.is_due == self.running
        assert np.array_equal(self.view.frame, self.frame)
        # the picture on show is of the settings
        assert np.array_equal(self.view.frame, self.view.scene.frame(self.view.present, self.view.deviation))
        if self.view.deviation is None:
            assert np.array_equal(shown(self.view), self.frame)


TIMES = "metrics[0].value"  # has the time of the last answer at rest
REGIONS = (Region(2, 1, 9, 8, 0.4, 7.25, (0.0,) * 8),)
AT_FIRST = {"image": "mine.png", "model": "4x-D", "left": "bicubic", "left_seed": 1, "regions": REGIONS}
AT_FIRST |= {"temperature": 1.0, "seed": 4.5, "zoom": 2, "share": 0.25, "direction 1": 0.0, "direction 3": 2.0}
AT_FIRST |= {"best": Latents(0.7, 3.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of images, one of which is not there any more, and of weights that are none."""
    return tmp_path_factory.mktemp("folder")


@pytest.fixture(scope="module")
def made(folder):
    """A view with much to lose: an upload on show, directions in use, a gallery, and choices that cannot be shown."""
    bad = folder / "bad.safetensors"
    bad.write_bytes(b"no weights")
    view = new_view(models=["4x-D", "8x-D", str(bad)])
    images.write(folder / "a.png", coffee())
    images.write(folder / "gone.png", coffee())
    view.folder.value = str(folder)
    (folder / "gone.png").unlink()
    images.write(folder / "alpha.png", np.dstack([lowres(), np.full((16, 20), 9, np.uint8)]))
    upload(view, "mine.png", (folder / "alpha.png").read_bytes())  # which there is a remark about
    view.apply(AT_FIRST)
    view.picture.selection = (8, 4, 36, 32)
    view.open_page("directions")  # which names them; on another page that is not done for every image
    view.open_page("sample")
    view.draw.click()
    assert view.error.value == ""
    return view


@pytest.fixture
def view(made):
    """The same for every test, since most of them must leave it as it is; what others changed is brought back."""
    if any(made.settings[name] != value for name, value in AT_FIRST.items()):
        made.apply(AT_FIRST)
    made.picture.selection = (8, 4, 36, 32)
    made.reduce.value = False
    return made


@pytest.fixture
def gone(folder):
    """The name of the image that is not there any more."""
    return f"{folder.name}/gone.png"


WRONG = [
    ({"image": "coffee", "model": "gone"}, "model is 'gone'"),
    ({"model": "8x-D", "image": "dog"}, "image is 'dog'"),
    ({"seed": 7, "temperature": 99}, "temperature is 99"),
    ({"temperature": 0.5, "image": "coffee", "zoom": 17}, "zoom is 17"),
    ({"seed": 7, "colour": 1}, "no such settings: colour"),
    ({"seed": 7, "work_across": "half"}, "work_across is 'half'"),
    ({"seed": 7, "regions": [Region(19, 0, 2, 1, 1.0, 0.0)]}, "is not inside 16x20"),
    ({"image": "cat", "model": "8x-D", "regions": REGIONS}, "is not inside 8x10"),
    ({"image": "cat", "left": "best"}, "no sample was kept"),
    ({"seed": 7, "left": "original"}, "no original to compare with"),
    ({"left": "middle", "image": "cat"}, "left is 'middle'"),
]


@pytest.mark.parametrize(("settings", "words"), WRONG)
def test_settings_are_put_in_whole_or_not_at_all(view, settings, words):
    before = Before(view)
    with pytest.raises(ValueError, match=words):
        view.apply(settings)
    before.is_still()


def test_an_image_or_a_model_that_cannot_be_read_any_more_changes_nothing(view, gone):
    before, bad = Before(view), view.model.options[2]
    with pytest.raises(OSError, match=r"gone\.png"):
        view.apply({"seed": 7, "image": gone, "model": "8x-D"})
    with pytest.raises(ValueError, match=r"bad\.safetensors is not a readable weights file"):
        view.apply({"seed": 7, "image": "cat", "model": bad})
    before.is_still()
    view.image.value = gone
    assert "gone.png" in view.error.value
    before.is_still()
    view.model.value = bad
    assert "bad.safetensors" in view.error.value
    before.is_still()
    view.left.value = "original"
    assert "no original to compare with" in view.error.value
    before.is_still()


def test_a_file_saved_after_an_error_tells_the_truth(view, gone, tmp_path):
    view.path.value = str(tmp_path / "saved.png")
    view.save.click()
    first = (tmp_path / "saved.png").read_bytes()
    with pytest.raises(ValueError, match="model is 'gone'"):
        view.apply({"image": "cat", "model": "gone"})
    view.image.value = gone
    view.save.click()
    assert (tmp_path / "saved.png").read_bytes() == first
    assert "saved.png" in view.error.value


def test_an_image_without_an_original_can_be_chosen_while_one_is_compared_with(view):
    view.apply({"image": "cat", "left": "original"})
    view.image.value = "mine.png"
    assert view.error.value == ""
    assert (view.image.value, view.left.value) == ("mine.png", "bicubic")


DAMAGES = [
    (lambda about: about["settings"].update(temperature=99), "temperature is 99"),
    (lambda about: about["settings"].update(seed="4"), "seed is '4'"),
    (lambda about: about["settings"].update(model="8x-Q"), "model is '8x-Q'"),
    (lambda about: about["settings"].update(colour=1), "no such settings: colour"),
    (lambda about: about["settings"]["regions"][0].update(width=30), "is not inside 16x20"),
    (lambda about: about["settings"]["best"].update(seed=-1), "best, seed is -1"),
    (lambda about: about["settings"].pop("seed"), "they lack seed"),
    (lambda about: about.pop("lr"), "lr must be there"),
    (lambda about: about.update(image="AAAA"), "it is damaged"),
    (lambda about: about.update(image="?"), "are damaged"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_loading_settings_offers_and_changes_nothing_where_they_are_damaged(view, tmp_path, damage, words):
    path = tmp_path / "saved.png"
    view.path.value = str(path)
    view.save.click()
    about = json.loads(files.text_of(path))
    assert "image" in about
    damage(about)
    path.write_bytes(files.png_with_text(cat(), json.dumps(about)))
    before = Before(view)
    for load in (view.load.click, lambda: drop(view, "saved.png", path.read_bytes())):
        load()
        assert words in html_text(view.error.value)
        assert "saved.png" not in view.image.options
        before.is_still()


@pytest.mark.parametrize("running", [False, True])
def test_settings_that_were_in_already_go_out_again_when_the_end_fails(running, view, gone, tmp_path, monkeypatch):
    """What fails is the check, after their picture, that it is the saved one."""
    view.path.value = str(tmp_path / "saved.png")
    view.save.click()
    view.apply({"image": "cat", "seed": 77, "zoom": 1, "temperature": 0.5})
    before = Before(view)

    def vanished(saved, *_):
        raise FileNotFoundError("no 4x-D")

    async def load():  # with an event loop, where drafts come first
        view.load.click()
        assert view.picture.exact
        await until(lambda: not view.pace.is_due)

    monkeypatch.setattr(viewer.files.Saved, "difference", vanished)
    if running:
        asyncio.run(load())
    else:
        view.load.click()
    monkeypatch.undo()
    assert "no 4x-D" in view.error.value
    before.is_still(*[TIMES] * running)
    view.image.value = gone  # what comes back after the next error is not what was in for a moment either
    assert "gone.png" in view.error.value
    before.is_still(*[TIMES] * running)


def test_scores_that_fail_leave_the_picture_as_it_was(view, monkeypatch):
    """Without an event loop they come right after it."""
    before = Before(view)

    def failing(*_):
        raise ZeroDivisionError("no scores")

    monkeypatch.setattr(viewer.Scene, "describe", failing)
    view.seed.value = 50
    assert "no scores" in view.error.value
    before.is_still()


def html_text(value):
    """The text of a line of the view."""
    return value.replace("&#x27;", "'").replace("&quot;", '"')


def test_a_loaded_image_comes_back_with_its_left_side(view, tmp_path):
    view.apply({"left": "another sample", "left_seed": 9})
    view.path.value = str(tmp_path / "saved.png")
    view.save.click()
    saved, frame = view.settings, view.frame.copy()
    view.apply({"image": "cat", "left": "original"})
    view.load.click()
    assert view.error.value == ""
    assert view.settings == saved | {"image": "saved.png"}
    assert np.array_equal(view.frame, frame)


class Failing:
    """In the place of a scene's sampler: fails at whatever it is asked."""

    def __init__(self, view):
        self.sampler, self.scene = view.scene.sampler, view.scene
        view.scene.sampler = self

    def __call__(self, *_, **__):
        raise MemoryError("no room")

    def __getattr__(self, name):
        return getattr(self.sampler, name)


MOVES = {
    "temperature": lambda view: setattr(view.temperature, "value", 0.5),
    "seed": lambda view: setattr(view.seed, "value", 70),
    "left": lambda view: setattr(view.left, "value", "another sample"),
    "best": lambda view: setattr(view.left, "value", "best"),
    "direction": lambda view: setattr(view.amounts[0], "value", 1.0),
    "dice": lambda view: view.dice.click(),
    "next": lambda view: view.next.click(),
    "zero": lambda view: view.zeros[2].click(),
    "reset of directions": lambda view: view.reset_directions.click(),
    "reset": lambda view: view.reset.click(),
    "re-roll": lambda view: view.reroll.click(),
    "seed there": lambda view: setattr(view.region_seed, "value", 500.0),
    "temperature there": lambda view: setattr(view.region_temperature, "value", 1.5),
    "direction there": lambda view: setattr(view.region_amount, "value", 3.0),
    "drop": lambda view: view.drop.click(),
    "pick": lambda view: view.picks[3].click(),
    "undo": lambda view: view.undo.click(),
    "apply": lambda view: view.apply({"seed": 70, "zoom": 1, "direction 1": 1.0}),
    "measure": lambda view: view.measure.click(),
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("running", [False, True])
def test_a_sample_that_cannot_be_decoded_changes_nothing(view, move, running):
    """In a cell without an event loop, and with one, where drafts come first."""
    view.seed.value = 11.0  # a step that can be undone, to what is not known any more
    view.scene._kept.clear()
    view.seed.value = 4.5
    view.picture.share = 0.25
    before, failing = Before(view), Failing(view)

    async def act():
        if move == "apply":
            with pytest.raises(MemoryError):
                MOVES[move](view)
        else:
            MOVES[move](view)
            await until(lambda: view.error.value)
            assert "no room" in view.error.value
        await until(lambda: not view.pace.is_due)

    try:
        if running:
            asyncio.run(act())
        else:
            with pytest.MonkeyPatch.context() as patch:  # asyncio.run would be a loop
                patch.setattr(asyncio, "get_running_loop", no_loop)
                asyncio.run(act())
    finally:
        view.scene.sampler = failing.sampler
    before.is_still(*[TIMES] * running, *["progress[0].max", "progress[0].value"] * (move == "measure"))


def no_loop():
    raise RuntimeError("no running event loop")


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupted_cell_changes_nothing(view, monkeypatch):
    view.count.value = 2
    view.measure.click()  # a map to lose
    before, settings = Before(view), {"image": "cat", "model": "8x-D", "seed": 9}
    monkeypatch.setattr(viewer.Scene, "answer", interrupt)
    with pytest.raises(KeyboardInterrupt):
        view.apply(settings)
    monkeypatch.undo()
    before.is_still()
    assert view.deviation is not None
    assert view.remarks
    view.apply(settings)
    assert view.scale == 8
    assert np.array_equal(view.original, cat())


def test_a_model_that_was_not_taken_leaves_no_temperature_behind(monkeypatch):
    if "4x-P" not in sr.available_models():
        pytest.skip("4x-P is not shipped")
    view = new_view(models=["4x-D", "4x-P"])
    monkeypatch.setattr(viewer.Scene, "answer", interrupt)
    with pytest.raises(KeyboardInterrupt):
        view.apply({"model": "4x-P"})
    monkeypatch.undo()
    assert view.temperature.value == 0
    view.model.value = "4x-P"
    assert view.temperature.value == viewer.load_model("4x-P").temperature > 0


def test_after_an_error_everything_goes_on(view):
    with pytest.raises(ValueError, match="no original"):
        view.apply({"left": "original"})
    view.seed.value = 8
    assert view.error.value == ""
    assert np.abs(view.answer.astype(int) - view.scene.sample(view.present, view.region)).max() <= 1
    view.apply({"image": "coffee", "model": "8x-D"})
    assert view.scale == 8


def test_folders_whose_images_cannot_be_shown_are_not_offered(view, tmp_path):
    before, folder = Before(view), tmp_path / "broken"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no image")
    (folder / "x.jpg").mkdir()
    images.write(folder / "tiny.png", cat()[:3, :3])
    view.folder.value = str(folder)
    assert "a.png cannot be read" in view.error.value
    assert "broken/tiny.png" in view.error.value
    assert "x.jpg" not in view.error.value
    before.is_still("folder[0].value")  # as it was written


def test_of_several_uploads_the_good_ones_are_taken_and_the_others_named(view):
    good = pictures.encode(lowres(), "png")
    upload(view, "note.txt", b"no image", "one.png", good, "empty.png", b"", "two.png", good)
    assert "note.txt: " in view.error.value
    assert "empty.png: " in view.error.value
    assert view.image.value == "one.png"
    assert view.image.options[-2:] == ("one.png", "two.png")
    assert view.upload.value == ()


def test_uploads_that_are_all_bad_change_nothing(view):
    before = Before(view)
    upload(view, "note.txt", b"no image", "<b>.png", b"none")
    assert "note.txt: " in view.error.value
    assert "&lt;b&gt;.png: " in view.error.value
    before.is_still()
    view.reduce.value = True
    upload(view, "tiny.png", pictures.encode(np.ascontiguousarray(cat()[:3, :3]), "png"))
    assert "tiny.png: " in view.error.value
    before.is_still("reduce[0].value")


def test_a_file_that_cannot_be_written_leaves_the_old_one(view, tmp_path, monkeypatch):
    path = tmp_path / "saved.png"
    view.path.value = str(path)
    view.save.click()
    first = path.read_bytes()
    view.seed.value = 9

    def full(self, data):
        with open(self, "wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    view.save.click()
    monkeypatch.undo()
    assert "saved.png cannot be written: No space left on device" in view.error.value
    assert path.read_bytes() == first
    assert not list(tmp_path.glob("*.part"))
    for place in (tmp_path, path):
        view.path.value = str(place / "none" / "saved.png")
        view.save.click()
        assert "cannot be written" in view.error.value
    (tmp_path / "folder.png").mkdir()
    view.path.value = str(tmp_path / "folder.png")
    view.save.click()
    assert "folder.png cannot be written" in view.error.value
    assert not list(tmp_path.glob("*.part"))


def test_what_fails_while_something_goes_on_leaves_that_going(view):
    """A draft is on show, and its exact answer is still to come."""

    async def act():
        view.seed.value = 21.0
        assert not view.picture.exact
        view.left.value = "original"
        assert "no original" in view.error.value
        assert not view.picture.exact
        assert view.picture.working
        await until(lambda: at_rest(view))

    asyncio.run(act())
    assert view.seed.value == 21.0
    assert np.array_equal(shown(view), view.frame)
    assert not view.picture.working
