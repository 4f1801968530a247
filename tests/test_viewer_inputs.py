"""What the view is given: photographs of every kind and models by a notebook; files and places by the page."""

import asyncio
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from skimage import data

import srvae_core as sr
from srvae import images, viewer
from srvae.viewer import stage, subject
from srvae.viewer.files import Source
from srvae.viewer.pictures import encode
from viewer_helpers import (
    Messages,
    Recorder,
    at_rest,
    cat,
    changed,
    coffee,
    drop,
    from_page,
    lowres,
    new_view,
    opened,
    shown,
    state,
    until,
    upload,
)


def grey():
    return np.ascontiguousarray(cat()[..., 1])


def read_only():
    image = cat()
    image.flags.writeable = False
    return image


PHOTOGRAPHS = {  # as given, and as the view has it
    "grey": (grey, lambda: np.stack([grey()] * 3, 2)),
    "alpha": (lambda: np.dstack([cat(), grey()]), cat),
    "16 bit": (lambda: cat().astype(np.uint16) * 257, cat),
    "float": (lambda: cat().astype(np.float32) / 255, cat),
    "double, a little outside": (lambda: (cat() / 255 - 0.5) * 1.01 + 0.5, None),
    "read-only": (read_only, cat),
    "negative strides": (lambda: cat()[::-1, ::-1, ::-1], lambda: np.ascontiguousarray(cat()[::-1, ::-1, ::-1])),
    "every second column": (lambda: np.repeat(cat(), 2, 1)[:, ::2], cat),
    "least": (lambda: cat()[:4, :4], lambda: cat()[:4, :4]),
}


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
def test_photographs_are_converted_once(kind):
    given, expected = PHOTOGRAPHS[kind]
    image = given()
    before = image.copy()
    view = viewer.View({"cat": image}, scale=4, models=["4x-D"])
    assert view.original.dtype == np.uint8
    if expected is not None:
        assert np.array_equal(view.original, expected())
    assert view.error.value == ""
    assert np.array_equal(image, before)
    assert view.frame.shape == view.original.shape


def test_a_grey_photograph_has_a_grey_answer():
    view = viewer.View({"cat": grey()}, scale=4, models=["4x-D"])
    view.apply({"temperature": 1.0, "seed": 3})
    assert np.array_equal(view.lr[..., 0], view.lr[..., 2])
    assert np.array_equal(view.answer[..., 0], view.answer[..., 2])


def test_an_array_that_is_changed_later_changes_nothing():
    image = cat()
    view = viewer.View({"cat": image, "coffee": coffee()}, scale=4, models=["4x-D"])
    image[:] = 0
    assert np.array_equal(view.original, cat())
    view.image.value = "coffee"
    view.image.value = "cat"
    assert np.array_equal(view.lr, sr.downscale(cat(), 4))


WRONG = [  # what is wrong with photographs, and the error
    ({"cat": PIL.Image.new("RGB", (8, 8))}, TypeError, "photograph 'cat' must be a plain NumPy array, not Image"),
    ({"cat": torch.zeros(8, 8, 3)}, TypeError, "photograph 'cat' must be a plain NumPy array, not Tensor"),
    ({"cat": "cat.png"}, TypeError, "photograph 'cat' must be a plain NumPy array, not str"),
    ({"cat": None}, TypeError, "photograph 'cat' must be a plain NumPy array, not NoneType"),
    ({"cat": np.ones((8, 8), bool)}, TypeError, "photograph 'cat' must be uint8, uint16 or float .*, not bool"),
    ({"cat": np.ones((8, 8, 3), int)}, TypeError, "photograph 'cat' must be uint8, uint16 or float .*, not int64"),
    ({"cat": np.zeros((0, 8, 3), np.uint8)}, ValueError, "photograph 'cat' is empty"),
    ({"cat": np.zeros((8, 8, 2), np.uint8)}, ValueError, "photograph 'cat' must be of shape"),
    ({"cat": np.zeros((1, 8, 8, 3), np.uint8)}, ValueError, "photograph 'cat' must be of shape"),
    ({"cat": np.full((8, 8), np.nan)}, ValueError, "photograph 'cat' has NaN or infinite"),
    ({"cat": np.full((8, 8), 255.0)}, ValueError, r"photograph 'cat' must be float in \[0, 1\], but reaches 255"),
    ({"cat": np.zeros((3, 3, 3), np.uint8)}, ValueError, "cat: .*3x3"),
    ({"cat": np.zeros((40, 3), np.uint8)}, ValueError, "cat: .*40x3"),
    ({"coffee": coffee(), "cat": np.zeros((0, 8, 3), np.uint8)}, ValueError, "photograph 'cat' is empty"),
    ({1: cat()}, TypeError, "the name of a photograph must be a string, not 1"),
    ({None: cat()}, TypeError, "the name of a photograph must be a string, not None"),
    ([cat()], TypeError, "photographs must be a dict of arrays by name, not list"),
    (cat(), TypeError, "photographs must be a dict of arrays by name, not ndarray"),
    ({}, ValueError, "the view needs a photograph"),
]


@pytest.mark.parametrize(("photographs", "error", "words"), WRONG)
def test_what_is_no_photograph_is_refused_by_name(photographs, error, words):
    with pytest.raises(error, match=words):
        viewer.View(photographs, scale=4, models=["4x-D"])


def test_what_is_no_model_is_named(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    wrong = [
        (["typo"], FileNotFoundError, "no model 'typo'"),
        ([str(tmp_path / "bad.safetensors")], ValueError, r"bad\.safetensors is not a readable weights file"),
        ([tmp_path / "gone.safetensors"], FileNotFoundError, r"no model '.*gone\.safetensors'"),
        ("4x-D", TypeError, r"models must be a list of names or paths, such as \['4x-D'\], not '4x-D'"),
        ([4], TypeError, r"models must be a list of names or paths, .* not \[4\]"),
        ({"4x-D": 1}, TypeError, "models must be a list of names or paths"),
        ([], ValueError, "the view needs a photograph and a model"),
    ]
    for models, error, words in wrong:
        with pytest.raises(error, match=words):
            viewer.View({"cat": cat()}, scale=4, models=models)


def test_models_may_be_paths_and_of_another_scale(tmp_path):
    path = Path(tmp_path / "mine.safetensors")
    path.symlink_to(sr.WEIGHTS / "SR_VAE_8x-D.safetensors")
    if not path.exists():
        pytest.skip("no 8x model is shipped")
    view = viewer.View({"cat": cat()}, scale=4, models=(path, "4x-D"))
    assert view.scale == 8
    view.path.value = str(tmp_path / "saved.png")
    view.save.click()
    assert "saved" in view.error.value
    view.model.value = "4x-D"
    view.load.click()
    assert (view.error.value, view.model.value) == ("", str(path))


def test_an_answer_decoded_in_the_least_steps_is_the_same():
    view = viewer.View({"cat": cat()[:16, :16]}, scale=4, models=["4x-D"], step_edge=1)
    assert np.abs(view.answer.astype(int) - view.sampler(0, 0.0)).max() <= 1


# Files.


@pytest.fixture
def view():
    return new_view()


def test_a_folder_begins_with_the_first_image_that_can_be_shown(view, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no image")
    (folder / "c.png").write_bytes(b"none either: read when it is chosen")
    (folder / ".d.png").write_bytes(b"hidden")
    (folder / "x.jpg").mkdir()
    (folder / "y.jpg").symlink_to(folder / "nowhere.jpg")
    images.write(folder / "b.png", cat())
    view.folder.value = str(folder)
    assert "a.png cannot be read" in view.error.value
    assert ".d.png" not in view.error.value, "hidden files are passed over"
    assert view.image.value == "mixed/b.png"
    assert [name for name in view.image.options if name.startswith("mixed")] == ["mixed/b.png", "mixed/c.png"]
    assert np.array_equal(view.original, cat())


@pytest.mark.skipif(os.name != "posix", reason="names of files are characters there")
def test_names_that_are_no_text_can_be_shown(view, tmp_path):
    """JupyterLab's messages are UTF-8."""
    folder = tmp_path / "names"
    folder.mkdir()
    (folder / os.fsdecode(b"a\xff.png")).write_bytes(b"no image")
    images.write(folder / "b.png", cat())
    (folder / "b.png").rename(folder / os.fsdecode(b"b\xff.png"))
    view.folder.value = str(folder)
    assert view.image.value == "names/b?.png"
    assert "a?.png cannot be read" in view.error.value
    assert np.array_equal(view.original, cat())


def test_two_files_of_one_name_are_both_taken(view):
    """As two folders may have them."""
    drop(view, "mine.png", encode(lowres(), "png"), "mine.png", encode(cat(), "png"))
    assert {"mine.png", "mine.png (2)"} <= set(view.image.options)
    assert view.error.value == ""


def test_a_file_that_is_dropped_on_the_picture_is_shown(view):
    drop(view, "mine.png", encode(lowres(), "png"))
    assert (view.image.value, view.error.value, view.original) == ("mine.png", "", None)
    assert np.array_equal(view.lr, lowres())
    view.reduce.value = True
    drop(view, "one.png", encode(cat(), "png"), "note.txt", b"no image", "two.jpg", encode(coffee(), "jpeg"))
    assert view.image.value == "one.png"
    assert view.image.options[-2:] == ("one.png", "two.jpg")
    assert np.array_equal(view.original, cat())
    assert "note.txt: " in view.error.value


def test_the_same_file_comes_again_and_as_an_original(view):
    content = encode(cat(), "png")
    for give in (upload, drop):
        view.reduce.value = False
        give(view, "mine.png", content)
        assert view.original is None
        assert view.upload.value == ()
        view.image.value = "coffee"
        give(view, "mine.png", content)
        assert (view.image.value, view.original) == ("mine.png", None)
        view.reduce.value = True
        give(view, "mine.png", content)
        assert np.array_equal(view.original, cat())
        options = ["cat", "coffee", "mine.png", "mine.png (2)"]
        assert list(view.image.options) == options, "one entry for either use, however often it came"


def test_another_image_of_a_taken_name_gets_a_number(view):
    """As screenshots have it: every one of them is "image.png"."""
    first, second = lowres(), np.ascontiguousarray(lowres()[:12])
    drop(view, "image.png", encode(first, "png"))
    view.apply({"zoom": 4.0, "temperature": 1.0})
    drop(view, "image.png", encode(second, "png"))
    assert view.error.value == ""
    assert (view.image.value, view.picture.zoom) == ("image.png (2)", 1.0)
    assert np.array_equal(view.lr, second)
    for content, name in ((first, "image.png"), (second, "image.png (2)")):
        drop(view, "image.png", encode(content, "png"))
        assert view.image.value == name, "the same one keeps its name"
        assert view.picture.zoom == 1.0
    assert view.image.options == ("cat", "coffee", "image.png", "image.png (2)")
    view.undo.click()
    assert np.array_equal(view.lr, first)


def steered(view):
    """Let a view show what has to be saved with care: regions, a best sample, a point between two seeds."""
    view.apply({"temperature": 0.55, "seed": 12.35, "share": 0.4, "zoom": 1.5, "across": 0.25})
    view.keep.click()
    view.picture.selection = (8, 8, 24, 24)
    view.reroll.click()
    view.picture.selection = (40, 16, 30, 30)
    view.region_temperature.value = 1.0
    view.apply({"left": "best", "temperature": 0.8})
    assert view.error.value == ""
    return view.settings, view.frame, view.sample(whole=True)


@pytest.mark.parametrize("uploaded", [False, True])
@pytest.mark.parametrize("way", ["load", "drop"])
def test_regions_and_the_best_sample_come_back_bit_for_bit(view, tmp_path, uploaded, way):
    if uploaded:
        upload(view, "mine.png", encode(lowres(), "png"))
    settings, frame, answer = steered(view)
    path = tmp_path / "saved.png"
    view.path.value = str(path)
    view.save.click()
    assert np.abs(images.read(path).astype(int) - answer).max() <= 1
    other = new_view()
    other.apply({"image": "coffee", "temperature": 1.0})
    if way == "load":
        other.path.value = str(path)
        other.load.click()
    else:
        drop(other, path.name, path.read_bytes())
    assert other.error.value == ""
    assert other.settings == settings | ({"image": "saved.png"} if uploaded else {})
    assert np.array_equal(other.frame, frame)
    other.picture.zoom = 1.0
    assert np.array_equal(other.answer, images.read(path)), "what was saved is what is shown"


def test_a_saved_png_whose_image_is_not_here_changes_nothing(view, tmp_path):
    view.path.value = str(tmp_path / "saved.png")
    view.image.value = "coffee"
    view.save.click()
    other = viewer.View({"cat": cat()}, scale=4, rest_delay=0.05)
    before = state(other)
    drop(other, "saved.png", (tmp_path / "saved.png").read_bytes())
    assert "coffee" in other.error.value
    assert "is not among the images here" in other.error.value
    assert changed(before, state(other)) == []


def test_download_sends_the_bytes_that_save_writes(view, tmp_path, monkeypatch):
    steered(view)
    view.path.value = str(tmp_path / "mine.png")
    view.save.click()
    sent = []
    monkeypatch.setattr(view.picture, "send", lambda content, buffers=None: sent.append((content, buffers)))
    view.download.click()
    assert sent == [
        ({"kind": "download", "name": "mine.png", "type": "image/png"}, [(tmp_path / "mine.png").read_bytes()])
    ]
    view.path.value = "mine.jpg"
    view.download.click()
    assert "must end in .png" in view.error.value
    assert len(sent) == 1


@pytest.mark.parametrize(
    "message",
    [{"kind": "drop", "names": ["a.png"]}, {"kind": "work"}, {}, {"kind": 3}],
)
def test_a_message_that_makes_no_sense_changes_nothing(view, message):
    before = state(view)
    from_page(view, message)
    assert changed(before, state(view)) == []


# Large images, with a window of 16 LR samples a side in the place of the usual one, so that they need not be large.


def large():
    """A photograph of 60x40 pixels."""
    return np.ascontiguousarray(data.coffee()[100:140, 100:160])


@pytest.fixture
def small_window(monkeypatch):
    for module in (stage, subject):
        monkeypatch.setattr(module, "LR_EDGE", 16)


@pytest.mark.usefixtures("small_window")
def test_of_a_large_image_nothing_is_cut_and_the_part_in_work_moves(view):
    drop(view, "large.png", encode(large(), "png"))
    assert np.array_equal(view.lr, large()[12:28, 22:38]), "its middle"
    assert "16 x 16 of 60 x 40 pixels are in work: move the frame in the overview" in view.metrics.value
    assert np.abs(opened(view.picture.overview).astype(int) - large()).mean() < 8
    assert view.picture.overview_rect == pytest.approx((22 / 60, 12 / 40, 16 / 60, 16 / 40))
    view.picture.selection = (0, 0, 20, 20)
    view.picture.zoom = 2.0
    from_page(view, {"kind": "work", "x": 0.9, "y": 0.1})
    assert view.error.value == ""
    assert np.array_equal(view.lr, large()[:16, 44:])
    assert (view.picture.zoom, view.picture.selection) == (1.0, ()), "they were of the other part"
    assert (view.work_across, view.work_down) == (1.0, 0.0)
    assert view.picture.overview_rect == pytest.approx((44 / 60, 0, 16 / 60, 16 / 40))
    assert np.array_equal(shown(view), view.frame)
    view.undo.click()
    assert np.array_equal(view.lr, large()[12:28, 22:38])
    view.redo.click()
    view.image.value = "coffee"
    assert view.picture.overview == b""
    assert "in work" not in view.metrics.value
    view.image.value = "large.png"
    assert (view.work_across, view.work_down) == (0.5, 0.5), "another image is shown from its middle"


@pytest.mark.usefixtures("small_window")
def test_an_original_is_in_work_on_the_grid_of_its_scale(view):
    original = np.ascontiguousarray(data.coffee()[:203, :301])
    view.reduce.value = True
    drop(view, "large.png", encode(original, "png"))
    view.work_at(0.37, 0.61)
    left, top = (round(share * room) for share, room in ((view.work_across, 301 - 64), (view.work_down, 203 - 64)))
    assert np.array_equal(view.original, original[top // 4 * 4 :, left // 4 * 4 :][:64, :64])


@pytest.mark.usefixtures("small_window")
def test_another_part_says_what_it_leaves_behind(view):
    drop(view, "large.png", encode(large(), "png"))
    view.apply({"temperature": 1.0})
    assert view.work_at(0.2, 0.2) == "", "there is nothing yet"
    view.reroll.click()
    regions = view.regions
    from_page(view, {"kind": "work", "x": 0.8, "y": 0.8})
    assert view.regions == ()
    assert "stay with the part before" in view.error.value
    view.undo.click()
    assert view.regions == regions
    view.drop.click()
    view.keep.click()
    assert "stay with the part before" in view.work_at(0.5, 0.5)
    assert view.best is None
    view.amounts[2].value = 1.0
    assert "stay with the part before" in view.work_at(0.1, 0.5)
    assert not any(slider.value for slider in view.amounts)


@pytest.mark.usefixtures("small_window")
def test_a_frame_that_cannot_be_taken_into_work_goes_back_in_the_page(view, monkeypatch):
    def refuse(*_):
        raise OSError("the model is gone")

    drop(view, "large.png", encode(large(), "png"))
    before, messages = state(view), Messages(view)
    monkeypatch.setattr(stage, "prepare", refuse)
    from_page(view, {"kind": "work", "x": 0.9, "y": 0.9})
    assert "the model is gone" in view.error.value
    assert any("overview_rect" in message for message in messages.sent)
    assert changed(before, state(view)) == []


@pytest.mark.usefixtures("small_window")
def test_another_part_needs_no_second_reading_of_the_file(view, tmp_path, monkeypatch):
    original = np.ascontiguousarray(data.coffee()[:160, :200])  # what is in a folder is an original
    images.write(tmp_path / "large.png", original)
    view.folder.value = str(tmp_path)
    read = []
    monkeypatch.setattr(Source, "read", read.append)
    view.work_at(0.9, 0.9)
    assert np.array_equal(view.original, original[96:, 136:])
    assert read == []


@pytest.mark.usefixtures("small_window")
def test_another_model_leaves_the_part_in_work(view):
    if not (eight := sr.available_models(8)):
        pytest.skip("no 8x model is shipped")
    drop(view, "large.png", encode(large(), "png"))
    view.work_at(0.0, 0.5)
    view.model.value = eight[0]
    assert np.array_equal(view.lr, large()[12:28, :16])


@pytest.mark.usefixtures("small_window")
def test_of_a_large_image_the_bicubic_picture_comes_at_once():
    view = new_view(step_edge=24)

    async def take():
        await until(lambda: at_rest(view))
        messages = Messages(view)
        drop(view, "large.png", encode(large(), "png"))
        assert messages.rects("bottom") == [(0, 0, 64, 64)]
        assert view.picture.right == view.picture.whole == view.picture.patch == b""
        assert view.picture.working
        await until(lambda: view.picture.patch)
        left, top, width, height = view.picture.patch_rect
        assert left <= 32 <= left + width
        assert top <= 32 <= top + height
        assert not view.picture.exact
        recorder = Recorder(view)
        view.image.value = "cat"
        await until(lambda: at_rest(view))
        assert recorder.asked == [], "what is left of it is not decoded"

    asyncio.run(take())
    assert np.array_equal(shown(view), view.frame)
