"""Photographs that come from outside, PNGs that carry their settings, and large photographs."""

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

import srvae_core as sr
from srvae import images, viewer
from srvae.viewer import Settings, files
from srvae.viewer.pictures import encode
from viewer_helpers import cat, coffee, drop, from_page, long, lowres, new_view, said, sent_by, shown, until, upload


@pytest.fixture
def view(tmp_path):
    made = new_view()
    made.controls.path.value = str(tmp_path / "saved.png")
    yield made
    made.close()


@pytest.fixture(scope="module")
def large():
    """A view of an LR image of which only a part is in work."""
    view = new_view()
    upload(view, long=long())
    view.apply(temperature=0.8, seed=5.0, share=0.0)
    return view


def offered(view):
    return list(view.controls.image.options)


def saved(settings, photograph, weights="?"):
    """The bytes of a PNG that says this about itself."""
    return files.png_bytes(photograph, files.Saved(settings, sr.digest(photograph.tobytes()), weights))


@pytest.mark.parametrize(
    ("photographs", "error", "words"),
    [
        ([cat()], TypeError, "photographs must be a dict of arrays by name, not list"),
        ({"cat": "cat.png"}, TypeError, "photograph 'cat'"),
        ({"cat": np.full((8, 8, 3), 255.0)}, ValueError, "photograph 'cat' must be float in"),
        ({"cat": cat()[:3]}, ValueError, "cat: 80 x 3 pixels are too few to be shrunk 4 times"),
        ({}, ValueError, "needs a photograph and a model of scale 4"),
    ],
)
def test_photographs_that_are_none_are_refused_by_name(photographs, error, words):
    with pytest.raises(error, match=words):
        viewer.View(photographs, scale=4)


def test_models_that_are_none_are_refused(tmp_path):
    gone = str(tmp_path / "gone.safetensors")
    refused = [({"models": "4x-D"}, TypeError), ({"models": []}, ValueError), ({"scale": 5}, ValueError)]
    for options, error in [*refused, ({"models": [gone]}, FileNotFoundError)]:
        with pytest.raises(error, match=r"must be a list|a model of scale [45]|gone\.safetensors"):
            new_view(**options)
    view = new_view(models=["4x-D", gone])
    before, frame, view.controls.model.value = view.settings, view.frame, gone
    assert "gone.safetensors" in said(view)
    assert (view.settings, view.controls.model.value) == (before, "4x-D")
    assert np.array_equal(shown(view), frame)


def test_an_upload_is_enlarged_unless_it_is_to_be_shrunk_first(view):
    upload(view, mine=lowres())
    assert (view.settings.image, view.controls.image.value, said(view)) == ("mine.png", "mine.png", "")
    assert np.array_equal(view.scene.lr, lowres())
    assert view.controls.upload.value == (), "so that the same file can come once more"
    view.controls.shrink.value = True
    upload(view, mine=cat())
    assert view.settings.image == "mine.png (2)", "another photograph of the same name"
    assert np.array_equal(view.scene.original, cat())
    assert "PSNR" in view.controls.scores.value
    upload(view, mine=cat())
    assert offered(view) == ["cat", "coffee", "mine.png", "mine.png (2)"]


def test_of_several_files_the_good_ones_are_taken_and_the_others_named(view):
    before = view.settings
    upload(view, note=b"no image", other=b"")
    assert said(view).startswith("Error: note.png: the data given cannot be read")
    assert "; other.png: " in said(view)
    assert (offered(view), view.settings) == (["cat", "coffee"], before)
    view.controls.shrink.value = True
    drop(view, note=b"<b>no image</b>", tiny=cat()[:3], good=cat(), also=coffee())
    assert offered(view) == ["cat", "coffee", "good.png", "also.png"]
    assert view.settings.image == "good.png"
    assert said(view).startswith("note.png: ")
    assert said(view).endswith("; tiny.png: 80 x 3 pixels are too few to be shrunk 4 times")
    drop(view, **{f"file{i}": b"" for i in range(9)})
    assert said(view).endswith("; and 4 more")


def test_an_upload_takes_the_error_before_away(view):
    upload(view, note=b"no image")
    assert said(view)
    upload(view, mine=lowres())
    assert said(view) == ""


def test_remarks_stand_below_the_scores(view):
    hidden = np.dstack([lowres(), np.full((16, 20), 9, np.uint8)])
    PIL.Image.fromarray(hidden).save(content := io.BytesIO(), "png")
    upload(view, alpha=content.getvalue())
    assert "transparency is left out" in view.controls.scores.value
    view.controls.image.value = "cat"
    assert "transparency" not in view.controls.scores.value


def test_a_folder_offers_its_images(view, tmp_path):
    view.controls.folder.value = str(tmp_path / "none")
    assert "is no folder of images" in said(view)
    for name, image in {"b.png": coffee(), "a.png": cat()[:32], ".hidden.png": cat(), "note.txt": cat()}.items():
        (tmp_path / name).write_bytes(encode(image, "png"))
    (tmp_path / "c.png").write_bytes(b"no image")
    view.controls.shrink.value = True
    view.controls.folder.value = f"{tmp_path}/"
    names = [f"{tmp_path.name}/{name}.png" for name in "abc"]
    assert (offered(view), said(view)) == (["cat", "coffee", *names], "")
    assert np.array_equal(view.scene.original, cat()[:32])
    frame, view.controls.image.value = view.frame, names[2]
    assert "c.png cannot be read" in said(view)
    assert view.settings.image == view.controls.image.value == names[0]
    assert np.array_equal(view.frame, frame)


def test_a_drop_comes_in_pieces(view):
    content = encode(lowres(), "png")
    about = {"kind": "piece", "names": ["one.png", "two.png"]}
    from_page(view, about | {"file": 0, "first": True, "last": False}, b"broken off")
    for file in (0, 1):
        from_page(view, about | {"file": file, "first": file == 0, "last": False}, content[:100])
        from_page(view, about | {"file": file, "first": False, "last": file == 1}, content[100:])
    assert offered(view) == ["cat", "coffee", "one.png", "two.png"]
    assert np.array_equal(view.scene.lr, lowres())
    from_page(view, {"kind": "refused"})
    assert "more than 64 MB, cannot be dropped" in said(view)


def test_a_saved_png_brings_the_same_bytes_back(view, tmp_path):
    view.page.picture.selection = (8, 4, 30, 30)
    view.controls.reroll.click()
    view.controls.keep.click()
    view.apply(temperature=1.1, seed=8.3, zoom=2.0, across=0.2, left="best")
    view.controls.save.click()
    path, settings, frame = tmp_path / "saved.png", view.settings, view.frame
    assert said(view) == f"Saved {path}."
    assert np.array_equal(images.read(path), view.scene.answer(settings)), "all of it, not the visible part alone"
    view.apply(temperature=0.3, seed=1.0)
    view.controls.save.click()
    assert said(view) == f"Saved {tmp_path / 'saved-2.png'}.", "never over another file"
    about = json.loads(PIL.Image.open(path).text["srvae"])
    assert (about.keys(), about["settings"]["seed"]) == ({"settings", "photograph", "weights"}, 8.3)
    view.apply(image="coffee")
    for open_it in (view.controls.load.click, lambda: drop(view, saved=path.read_bytes())):
        view.apply(temperature=0.5, regions=())
        open_it()
        assert said(view) == "Loaded saved.png: cat, 4x-D, sample 8.3, temperature 1.1, with regions."
        assert view.settings == settings
        assert np.array_equal(view.frame, frame)
        assert offered(view) == ["cat", "coffee"]
    another = viewer.View({"cat": cat()[::-1]}, scale=4)
    drop(another, saved=path.read_bytes())
    assert "photograph of this name is another one, so the picture differs" in said(another)
    drop(view, saved=saved(settings, cat()))
    assert said(view).endswith("The weights have changed since, so the picture differs.")


def test_what_cannot_be_loaded_is_refused_in_a_line(view, tmp_path):
    path, before = tmp_path / "saved.png", view.settings
    old = json.dumps({"settings": {"image": "cat", "model": "4x-D", "temperature": 1.0, "seed": 3}, "lr": "?"})
    contents = [saved(Settings("dog", "4x-D"), cat()), saved(Settings("cat", "gone"), cat())]
    for text in (old, "{", "[]", "3", '{"settings": 1}', "[" * 10**5):
        (chunk := PngInfo()).add_text("srvae", text)
        PIL.Image.fromarray(cat()).save(content := io.BytesIO(), "png", pnginfo=chunk)
        contents.append(content.getvalue())
    words = ["'dog': open that first", "'gone', which is not offered", "another version, or damaged"]
    words += ["saved.png cannot be loaded: "] * 5 + ["it holds no settings"] * 3
    for content, text in zip([*contents, encode(cat(), "png"), b"", contents[0][:40]], words, strict=True):
        path.write_bytes(content)
        view.controls.load.click()
        assert text in said(view)
        assert len(said(view)) < 200
        assert (view.settings, offered(view)) == (before, ["cat", "coffee"])
    path.unlink()
    view.controls.load.click()
    assert said(view) == f"Error: there is no file {path}"


def test_nothing_half_written_stays(view, tmp_path, monkeypatch):
    def full(path, content):
        with open(path, "wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    view.controls.save.click()
    assert "No space left" in said(view)
    assert list(tmp_path.iterdir()) == []
    for name, words in (("none/saved.png", "none"), ("saved.jpg", "must end in .png, and 'saved.jpg' does not")):
        view.controls.path.value = str(tmp_path / name)
        view.controls.save.click()
        assert words in said(view)
        assert list(tmp_path.iterdir()) == []


def test_a_study_that_fails_leaves_a_photograph_that_was_just_chosen(view):
    def fail():
        raise OSError("the disk is full")
        yield

    async def act():
        view.pace.start(fail())
        view.controls.image.value = "coffee"
        await until(lambda: said(view) and view.pace.is_idle)

    asyncio.run(act())
    assert (said(view), view.settings.image) == ("Error: the disk is full", "coffee")


def test_of_a_large_photograph_a_part_is_in_work_that_moves(large):
    assert large.scene.frame == (0, 24, 24, 512)
    assert np.array_equal(large.scene.lr, long()[:, 24:536])
    assert large.page.picture.frame == pytest.approx((24 / 560, 0, 512 / 560, 1))
    assert images.read(large.page.picture.overview).shape == (7, 160, 3)
    assert "part of the photograph" in large.controls.scores.value
    before, large.page.picture.work = large.frame, (1.0, 0.5)
    assert large.scene.frame == (0, 48, 24, 512)
    assert np.array_equal(shown(large), large.frame)
    large.controls.image.value = "cat"
    assert (large.settings.work, large.page.picture.overview) == ((0.5, 0.5), b"")
    large.controls.undo.click()
    large.controls.undo.click()
    assert np.array_equal(large.frame, before)


def test_of_a_large_photograph_all_is_saved_and_downloaded(large, tmp_path):
    messages, large.controls.path.value = sent_by(large), str(tmp_path / "saved.png")
    large.controls.save.click()
    large.controls.download.click()
    ((message, (content,)),) = messages
    assert message == {"kind": "download", "name": "saved-2.png", "type": "image/png"}
    assert content == (tmp_path / "saved.png").read_bytes()
    whole = images.read(content)
    assert whole.shape == (96, 2240, 3)
    expected = sr.Sampler(viewer.load_model("4x-D"), long())(5, 0.8)
    assert np.abs(whole.astype(int) - expected).max() <= 1
    assert np.abs(whole[:, 696:1696].astype(int) - large.answer[:, 600:1600]).max() <= 1
