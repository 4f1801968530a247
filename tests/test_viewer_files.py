"""Images from folders and uploads, and PNGs that carry their settings."""

import base64
import json

import numpy as np
import PIL.Image
import pytest
from skimage import data

import srvae_core as sr
from srvae import csvfiles, directions, images, viewer
from srvae.training.weights import save_model
from srvae.viewer import files, pictures
from srvae.viewer.settings import DIRECTIONS, checked
from viewer_helpers import cat, lowres, new_view, upload

WEIGHTS = "16fdcfd0"  # a version of weights


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
    assert "cannot be read: it is damaged" in view.error.value
    assert np.array_equal(view.frame, before)
    view.seed.value = 3
    assert view.error.value == ""


def test_upload_can_be_an_original(view):
    view.reduce.value = True
    upload(view, "mine.png", pictures.encode(np.ascontiguousarray(data.astronaut()[:61, :83]), "png"))
    assert view.original.shape == (60, 80, 3)
    assert view.lr.shape == (15, 20, 3)
    assert "PSNR" in view.metrics.value


@pytest.mark.parametrize("is_original", [False, True])
def test_large_images_are_kept_whole(tmp_path, is_original):
    image = np.random.default_rng(0).integers(0, 256, (300, 1100, 3), np.uint8)
    content = pictures.encode(image, "png")
    reading = files.upload_source("a.png", content, is_original=is_original).read()
    assert np.array_equal(reading.image, image)
    assert reading.remarks == ()
    (tmp_path / "a.png").write_bytes(content)
    (source,) = files.folder_sources(str(tmp_path)).values()
    assert np.array_equal(source.read().image, image)
    (source,) = files.photograph_sources({"a": image}).values()
    assert np.array_equal(source.read().image, image)


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
    images.write(tmp_path / "alpha.png", alpha)
    upload(view, "alpha.png", (tmp_path / "alpha.png").read_bytes())
    assert "leaves its transparency out" in view.metrics.value
    large = tmp_path / "wide"
    large.mkdir()
    images.write(large / "a.png", np.zeros((8, 1100), np.uint8))
    view.folder.value = str(large)
    assert "1024 x 8 of 1100 x 8 pixels are in work" in view.metrics.value
    assert view.original.shape == (8, 1024, 3)


def test_folder_of_images(view, tmp_path):
    view.folder.value = str(tmp_path)
    assert "holds no images" in view.error.value
    images.write(tmp_path / "b.png", data.coffee()[:64, :64])
    images.write(tmp_path / "a.png", data.coffee()[:32, :64])
    view.folder.value = f"{tmp_path}/"
    assert view.error.value == ""
    assert view.image.value == f"{tmp_path.name}/a.png"
    assert view.lr.shape == (8, 16, 3)
    view.folder.value = str(tmp_path / "none")
    assert "there is no folder" in view.error.value


def test_an_image_that_cannot_be_read_leaves_the_choice_as_it_was(view, tmp_path):
    images.write(tmp_path / "a.png", data.coffee()[:64, :64])
    (tmp_path / "b.png").write_bytes(b"no image")
    view.folder.value = str(tmp_path)
    before = view.frame.copy()
    view.image.value = f"{tmp_path.name}/b.png"
    assert "cannot be read: it is damaged" in view.error.value
    assert view.image.value == f"{tmp_path.name}/a.png"
    assert np.array_equal(view.frame, before)


@pytest.mark.parametrize("steps", [{}, pytest.param({"direction 2": 1.5}, marks=pytest.mark.slow)])
def test_save_and_load(view, tmp_path, steps):
    view.path.value = str(tmp_path / "mine.png")
    region = {"left": 2, "top": 3, "width": 9, "height": 8, "temperature": 0.7, "seed": 5.5, "amounts": []}
    view.apply({"temperature": 1.1, "seed": 8.3, "zoom": 2, "across": 0.2, "regions": [region]} | steps)
    view.save.click()
    assert "saved" in view.error.value
    assert 'role="alert"' not in view.error.value
    settings, answer = view.settings, view.answer.copy()
    saved = images.read(tmp_path / "mine.png")
    assert np.array_equal(saved, view.sample(whole=True))
    view.apply({"image": "coffee", "temperature": 0.3, "zoom": 1, "regions": []})
    view.load.click()
    assert view.error.value == ""
    assert view.settings == settings
    assert np.array_equal(view.answer, answer)


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


def test_a_window_of_a_large_upload_comes_along(view, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 300, 3), np.uint8)
    upload(view, "wide.png", pictures.encode(image, "png"))
    assert np.array_equal(view.lr, image[:, 22:278])
    view.apply({"work_across": 1.0, "temperature": 1.0})
    assert np.array_equal(view.lr, image[:, 44:])
    view.path.value = str(tmp_path / "saved.png")
    view.save.click()
    another = new_view()
    another.path.value = view.path.value
    another.load.click()
    assert another.error.value == ""
    assert np.array_equal(another.lr, view.lr)
    assert np.array_equal(another.answer, view.answer)


def test_load_says_what_is_wrong(view, tmp_path):
    path = tmp_path / "mine.png"
    view.path.value = str(path)
    view.load.click()
    assert "No such file" in view.error.value
    path.write_bytes(pictures.encode(view.answer, "png"))
    view.load.click()
    assert "holds no settings" in view.error.value
    others = path.read_bytes()
    view.save.click()
    assert "is no picture that the view saved, and stays as it is" in view.error.value
    assert path.read_bytes() == others
    path.unlink()
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


def test_weights_that_are_replaced_are_not_those_of_the_picture(tmp_path):
    weights = tmp_path / "SR_VAE_4x-D.safetensors"
    weights.write_bytes((sr.WEIGHTS / weights.name).read_bytes())
    view = viewer.View({"cat": cat()}, scale=4, models=[str(weights)])
    made_by = csvfiles.weights_version(weights)
    save_model(sr.load_model(weights), weights, rank=8)
    assert csvfiles.weights_version(weights) != made_by
    path = tmp_path / "mine.png"
    view.path.value = str(path)
    for words in (str(path), "in the place of the picture saved before"):
        view.save.click()
        assert words in view.error.value
        assert 'role="status"' in view.error.value
        assert json.loads(files.text_of(path.read_bytes()))["weights"] == made_by


def settings_of(**changes):
    """Settings as a view has them."""
    values = {"image": "cat", "model": "4x-D", "temperature": 1.0, "seed": 3.05, "left": "bicubic", "left_seed": 1}
    values |= {"share": 0.5, "zoom": 1.5, "across": 0.5, "down": 0.5} | dict.fromkeys(DIRECTIONS, 0.0)
    return checked(values | {"regions": [], "best": None, "work_across": 0.2, "work_down": 0.9} | changes)


def test_what_a_png_says_about_itself_keeps_its_form():
    """Files that were saved before must load."""
    region = {"left": 2, "top": 3, "width": 9, "height": 8, "temperature": 0.7, "seed": 5.5, "amounts": [0.5, 0.0]}
    best = {"temperature": 0.5, "seed": 7.0, "amounts": [], "regions": [region]}
    settings = settings_of(regions=[region, region], best=best)
    png = files.png_bytes(cat(), settings, WEIGHTS, lowres(), keep_lr=False)
    about = json.loads(files.text_of(png))
    assert about.keys() == {"settings", "lr", "weights", "directions"}
    assert len(about["lr"]) == 64
    assert about["weights"] == WEIGHTS
    names = ["image", "model", "temperature", "seed", "left", "left_seed", "share", "zoom", "across", "down"]
    names += [*(f"direction {i}" for i in range(1, 9)), "regions", "best", "work_across", "work_down"]
    assert sorted(about["settings"]) == sorted(names)
    assert about["settings"]["regions"] == [region, region]
    assert about["settings"]["best"] == best
    saved = files.saved_in("mine.png", png)
    assert saved.settings == settings
    assert saved.lr is None
    assert saved.difference(lowres(), WEIGHTS) == ""


def test_what_earlier_files_say_besides_is_passed_over():
    """A version before the weights', and in which precision they were made."""
    about = json.loads(files.text_of(files.png_bytes(cat(), settings_of(), WEIGHTS, lowres(), keep_lr=False)))
    about |= {"weights": f"0.1.0+{WEIGHTS}", "precision": "bfloat16"}
    saved = files.saved_in("mine.png", files.png_with_text(cat(), json.dumps(about)))
    assert saved.settings == settings_of()
    assert saved.difference(lowres(), WEIGHTS) == ""
    assert "other weights" in saved.difference(lowres(), WEIGHTS[::-1])


@pytest.mark.parametrize("where", ["directions", "regions", "best"])
def test_directions_of_another_kind_are_said(where):
    """A step along a direction is another one where directions are found in another way."""
    region = {"left": 2, "top": 3, "width": 9, "height": 8, "temperature": 0.7, "seed": 5.5, "amounts": [0.5, 0.0]}
    best = {"temperature": 0.5, "seed": 7.0, "amounts": [1.0], "regions": []}
    steered = {"directions": {"direction 3": 1.0}, "regions": {"regions": [region]}, "best": {"best": best}}[where]
    for changes, differs in ((steered, True), ({}, False)):
        png = files.png_bytes(cat(), settings_of(**changes), WEIGHTS, lowres(), keep_lr=False)
        assert files.saved_in("mine.png", png).difference(lowres(), WEIGHTS) == ""
        about = json.loads(files.text_of(png))
        del about["directions"]  # as in earlier files
        saved = files.saved_in("mine.png", files.png_with_text(cat(), json.dumps(about)))
        assert ("directions" in saved.difference(lowres(), WEIGHTS)) == differs


def test_what_is_written_is_what_the_browser_gets(tmp_path):
    png = files.png_bytes(cat(), settings_of(), WEIGHTS, lowres(), keep_lr=True)
    files.save_png(tmp_path / "mine.png", png)
    assert (tmp_path / "mine.png").read_bytes() == png
    assert np.array_equal(images.read(png), cat())
    for saved in (files.load_png(tmp_path / "mine.png"), files.saved_in("mine.png", png)):
        assert saved.name == "mine.png"
        assert np.array_equal(saved.lr, lowres())
    with pytest.raises(OSError, match="cannot be written"):
        files.save_png(tmp_path / "none" / "mine.png", png)


def test_an_image_that_goes_along_is_in_work_whole():
    """What is saved is the window of a large image; in another view it is an image of its own."""
    for keep_lr, place in ((True, (0.5, 0.5)), (False, (0.2, 0.9))):
        png = files.png_bytes(cat(), settings_of(), WEIGHTS, lowres(), keep_lr=keep_lr)
        values = files.saved_in("mine.png", png).settings
        assert (values["work_across"], values["work_down"]) == place


OLD = {"image": "cat", "model": "4x-D", "temperature": 1.0, "seed": 12, "to_seed": 1, "walk": 0.0, "left": "z = 0"}
OLD |= {"left_seed": 1, "share": 0.5, "zoom": 8, "across": 0.5, "down": 0.25} | dict.fromkeys(DIRECTIONS, 0.0)


@pytest.mark.parametrize(
    ("to_seed", "walk", "seed"), [(500, 0.0, 12), (13, 0.25, 12.25), (11, 0.25, 11.75), (500, 1.0, 500)]
)
def test_earlier_files_load(to_seed, walk, seed):
    text = json.dumps({"settings": OLD | {"to_seed": to_seed, "walk": walk}, "lr": "?", "weights": WEIGHTS})
    values = files.saved_in("mine.png", files.png_with_text(cat(), text)).settings
    same = {name: value for name, value in OLD.items() if name not in ("seed", "to_seed", "walk")}
    new = {"seed": seed, "regions": (), "best": None, "work_across": 0.5, "work_down": 0.5}
    assert values == same | new


@pytest.mark.parametrize("walk", [0.25, 0.75])
def test_an_earlier_walk_to_a_neighbour_is_the_same_noise(walk):
    noises = {seed: directions.steer(2, seed, 0.8) for seed in (11, 12, 13)}
    for to_seed in (11, 13):
        angle = walk * np.pi / 2
        seed = files.upgraded(OLD | {"to_seed": to_seed, "walk": walk})["seed"]
        expected = np.cos(angle) * noises[12] + np.sin(angle) * noises[to_seed]
        assert np.allclose(directions.steer(2, seed, 0.8), expected, atol=1e-5)


def test_an_earlier_walk_to_another_seed_is_refused():
    with pytest.raises(ValueError, match="they are 30% of a walk from sample 12 to sample 500, and only walks between"):
        files.upgraded(OLD | {"to_seed": 500, "walk": 0.3})
    with pytest.raises(ValueError, match="walk is 2, and must be a number from 0 to 1"):
        files.upgraded(OLD | {"walk": 2})
    today = settings_of()
    assert files.upgraded(today) == today


def test_text_goes_along_with_the_picture():
    frame = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    text = base64.b64encode(bytes(range(256)) * 1000).decode()
    png = files.png_with_text(frame, text)
    assert files.text_of(png) == text
    assert np.array_equal(images.read(png), frame)
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


def test_a_png_that_was_uploaded_brings_its_settings_back(view):
    """As one does that is dropped on the picture."""
    view.apply({"temperature": 0.8, "seed": 12.5, "zoom": 2.0})
    png, answer, offered = files_written(view), view.sample(whole=True), view.image.options
    view.apply({"temperature": 0.0, "seed": 0.0, "zoom": 1.0, "image": "coffee"})
    upload(view, "saved.png", png)
    assert view.error.value == ""
    assert (view.image.value, view.seed.value, view.picture.zoom) == ("cat", 12.5, 2.0)
    assert np.array_equal(view.sample(whole=True), answer)
    assert view.image.options == offered
    assert view.upload.value == ()


def files_written(view):
    """The bytes that the browser would get of a view."""
    sent = []
    view.picture.download = lambda name, content, *_: sent.append(content)
    view.download.click()
    return sent[0]
