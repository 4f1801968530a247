"""Images from folders and uploads, and PNGs that carry their settings."""

import base64
import json

import numpy as np
import PIL.Image
import pytest
import viewer
from skimage import data
from viewer import files, pictures
from viewer_helpers import cat, new_view, upload

import srvae_core as sr


@pytest.fixture
def view():
    return new_view()


def test_upload_is_enlarged_and_has_no_original(view):
    image = np.ascontiguousarray(data.astronaut()[:20, :30])
    view.left.value = "original"
    upload(view, "mine.png", pictures.encode(image, "png"))
    assert view.image.value == "mine.png"
    assert np.array_equal(view.lr, image)
    assert view.frame.shape == (80, 120, 3)
    assert view.error.value == ""
    assert view.left.value == "bicubic"
    view.left.value = "original"
    assert "no original" in view.error.value


def test_upload_that_is_no_image_says_so_and_changes_nothing(view):
    before = view.frame.copy()
    upload(view, "note.txt", b"<b>not an image</b>")
    assert "no image that can be read" in view.error.value
    assert np.array_equal(view.frame, before)
    view.seed.value = 3
    assert view.error.value == ""


def test_upload_can_be_an_original(view):
    view.reduce.value = True
    upload(view, "mine.png", pictures.encode(np.ascontiguousarray(data.astronaut()[:61, :83]), "png"))
    assert view.original.shape == (60, 80, 3)
    assert view.lr.shape == (15, 20, 3)
    assert "PSNR" in view.metrics.value


def test_large_uploads_are_cut():
    png = pictures.encode(np.zeros((300, 1100, 3), np.uint8), "png")
    small = files.upload_source("a.png", png, is_original=False).read()
    assert small.image.shape == (256, 256, 3)
    assert "1100 x 300" in small.remarks[0]
    assert files.upload_source("a.png", png, is_original=True).read().image.shape == (300, 1024, 3)


def test_what_is_to_be_known_about_an_image_stands_below_its_scores(view, tmp_path):
    frames = [PIL.Image.fromarray(np.full((20, 30, 3), level, np.uint8)) for level in (50, 99)]
    frames[0].save(tmp_path / "<b>.png", save_all=True, append_images=frames[1:])
    view.folder.value = str(tmp_path)
    assert "has 2 frames or pages, of which the first is read" in view.metrics.value
    assert "&lt;b&gt;.png" in view.metrics.value
    assert (view.original == 50).all()
    view.image.value = "cat"
    assert "frames" not in view.metrics.value
    alpha = np.dstack([cat(), np.full(cat().shape[:2], 9, np.uint8)])
    sr.write_image(tmp_path / "alpha.png", alpha)
    upload(view, "alpha.png", (tmp_path / "alpha.png").read_bytes())
    assert "leaves its transparency out" in view.metrics.value
    large = tmp_path / "wide"
    large.mkdir()
    sr.write_image(large / "a.png", np.zeros((8, 1100), np.uint8))
    view.folder.value = str(large)
    assert "the middle of its 1100 x 8 pixels" in view.metrics.value
    assert view.original.shape == (8, 1024, 3)


def test_folder_of_images(view, tmp_path):
    view.folder.value = str(tmp_path)
    assert "holds no images" in view.error.value
    sr.write_image(tmp_path / "b.png", data.coffee()[:64, :64])
    sr.write_image(tmp_path / "a.png", data.coffee()[:32, :64])
    view.folder.value = f"{tmp_path}/"
    assert view.error.value == ""
    assert view.image.value == f"{tmp_path.name}/a.png"
    assert view.lr.shape == (8, 16, 3)
    view.folder.value = str(tmp_path / "none")
    assert "there is no folder" in view.error.value


def test_an_image_that_cannot_be_read_leaves_the_choice_as_it_was(view, tmp_path):
    sr.write_image(tmp_path / "a.png", data.coffee()[:64, :64])
    (tmp_path / "b.png").write_bytes(b"no image")
    view.folder.value = str(tmp_path)
    before = view.frame.copy()
    view.image.value = f"{tmp_path.name}/b.png"
    assert "no image that can be read" in view.error.value
    assert view.image.value == f"{tmp_path.name}/a.png"
    assert np.array_equal(view.frame, before)


def test_save_and_load(view, tmp_path):
    view.path.value = str(tmp_path / "mine.png")
    view.apply({"temperature": 1.1, "seed": 8, "walk": 0.3, "zoom": 2, "across": 0.2, "direction 2": 1.5})
    view.save.click()
    assert view.error.value == ""
    settings, frame = view.settings, view.frame.copy()
    saved = sr.read_image(tmp_path / "mine.png")
    assert np.array_equal(saved, view.sample(whole=True))
    view.apply({"image": "coffee", "temperature": 0.3, "zoom": 1})
    view.load.click()
    assert view.error.value == ""
    assert view.settings == settings
    assert np.array_equal(view.frame, frame)
    assert "±" in view.amounts[1].description, "directions that are used have names"


def test_a_saved_upload_comes_along(view, tmp_path):
    upload(view, "mine.png", pictures.encode(np.ascontiguousarray(data.astronaut()[:20, :25]), "png"))
    view.path.value = str(tmp_path / "saved.png")
    view.apply({"temperature": 1.0, "seed": 2})
    view.save.click()
    another = viewer.View({"cat": cat()}, scale=4)
    another.path.value = view.path.value
    another.load.click()
    assert another.error.value == ""
    assert np.array_equal(another.answer, view.answer)


def test_load_says_what_is_wrong(view, tmp_path):
    path = tmp_path / "mine.png"
    view.path.value = str(path)
    view.load.click()
    assert "No such file" in view.error.value
    path.write_bytes(pictures.encode(view.answer, "png"))
    view.load.click()
    assert "holds no settings" in view.error.value
    view.save.click()
    about = json.loads(files.text_of(path.read_bytes()))
    for key, words in (("lr", "another image"), ("weights", "other weights")):
        path.write_bytes(files.png_with_text(view.answer, json.dumps(about | {key: "?"})))
        view.load.click()
        assert words in view.error.value
    about["settings"]["image"] = "dog"
    path.write_bytes(files.png_with_text(view.answer, json.dumps(about)))
    view.load.click()
    assert "not among the images here" in view.error.value
    assert view.image.value == "cat"
    view.path.value = "mine.jpg"
    view.save.click()
    assert "must end in .png" in view.error.value


def test_what_a_png_says_about_itself_keeps_its_form(view, tmp_path):
    """Files that were saved before must load."""
    view.path.value = str(tmp_path / "mine.png")
    view.save.click()
    about = json.loads(files.text_of((tmp_path / "mine.png").read_bytes()))
    assert about.keys() == {"settings", "lr", "weights"}
    assert len(about["lr"]) == 64
    assert about["weights"] == sr.weights_version("4x-D")
    names = ["image", "model", "temperature", "seed", "to_seed", "walk", "left", "left_seed", "share", "zoom"]
    assert list(about["settings"]) == [*names, "across", "down", *(f"direction {i}" for i in range(1, 9))]


def test_text_goes_along_with_the_picture():
    frame = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    text = base64.b64encode(bytes(range(256)) * 1000).decode()
    png = files.png_with_text(frame, text)
    assert files.text_of(png) == text
    assert np.array_equal(sr.read_image(png), frame)
    for other in (pictures.encode(frame, "png"), pictures.encode(frame, "jpeg"), png[:40], b""):
        with pytest.raises(ValueError, match="holds no settings"):
            files.text_of(other)


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (13, 1), (20, 8000)])
def test_uploads_of_any_size_are_shown(view, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    upload(view, "mine.png", pictures.encode(image, "png"))
    assert view.error.value == ""
    h, w = (min(n, 256) for n in size)
    assert view.lr.shape == (h, w, 3)
    assert view.frame.shape == (4 * h, 4 * w, 3)
    view.apply({"temperature": 1.0, "left": "another sample", "zoom": 8, "across": 1.0, "down": 0.3})
    view.count.value = 2
    view.measure.click()
    view.draw.click()
    assert view.error.value == ""
    assert view.frame.shape == (4 * view.region[2], 4 * view.region[3], 3)
