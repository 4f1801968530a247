"""Files and arrays as people bring them, through every door of the project: the right picture, or the error.

The files are in ``strangers.py``. What is to come out is computed from what each was made of, never by the reader that
is being tested.
"""

import re
import warnings
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import torch

import srvae_core as sr
import strangers
from srvae.benchmarks.evaluate import evaluate
from srvae.benchmarks.sets import load_image
from srvae.enlarging import cli as enlarging
from srvae.viewer import files
from strangers import RNG, Case

CASES = strangers.cases()
PICTURES = [case for case in CASES if case.wanted is not None]
REFUSED = [case for case in CASES if case.wanted is None]
# Levels of 255 by which answers to noise, reduced again, may miss it in the mean, since what overshoots is clipped.
# Noise that is turned, negative or of swapped channels misses by 85.
NEAR = 20


def name_of(case: Case) -> str:
    """What a test of a case is called."""
    return case.name


@pytest.fixture(autouse=True)
def quiet():
    """Warnings are for the tests of reading; elsewhere they are expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read(case: Case) -> tuple[np.ndarray, list[str]]:
    """What comes of a case, and the warnings that came with it."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        image = sr.read_image(case.data)
    return image, [str(warning.message) for warning in told]


def assert_shows(answer: np.ndarray, wanted: np.ndarray, scale: int) -> None:
    """See that an answer, reduced again, is what is wanted: the same place, colours, depth and alpha."""
    assert answer.dtype == wanted.dtype
    assert answer.shape == (wanted.shape[0] * scale, wanted.shape[1] * scale, *wanted.shape[2:])
    reduced, peak = sr.downscale(answer, scale).astype(float), sr.peak_of(wanted.dtype)
    seen = wanted[..., 3] > 0 if wanted.shape[2:] == (4,) else np.ones(wanted.shape[:2], bool)
    off = np.abs(reduced - wanted)[seen][:, :3].mean() / peak * 255
    assert off <= NEAR, f"colours are off by {off:.1f} levels of 255"
    if wanted.shape[2:] == (4,):
        alpha = sr.enlarge(wanted[..., 3] / peak, scale).clip(0, 1)
        np.testing.assert_allclose(answer[..., 3] / peak, alpha, atol=2.5 / 255)  # of which 1 is a case's own


# -- read_image ---------------------------------------------------------------------------------------------


def test_there_are_enough():
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", PICTURES, ids=name_of)
def test_read(case):
    image, told = read(case)
    assert (image.dtype, image.shape) == (case.wanted.dtype, case.wanted.shape)
    np.testing.assert_allclose(image.astype(int), case.wanted, atol=case.off)
    assert image.flags.c_contiguous
    if case.warning:
        assert any(re.search(case.warning, text) for text in told), told
    else:
        assert not told


@pytest.mark.parametrize("case", REFUSED, ids=name_of)
def test_refused(tmp_path, case):
    with pytest.raises(ValueError, match=f"the data given .*({case.error})"):
        sr.read_image(case.data)
    (tmp_path / case.name).write_bytes(case.data)
    with pytest.raises(ValueError, match=f"{re.escape(case.name)} .*({case.error})"):
        sr.read_image(tmp_path / case.name)


def test_the_pixel_limit_can_be_raised():
    case = strangers.by_hand(np.zeros((100, 120, 3), np.uint8), 2)
    with pytest.raises(ValueError, match="120x100 pixels, more than the 11999 that pixel_limit allows"):
        sr.read_image(case, pixel_limit=11999)
    assert sr.read_image(case, pixel_limit=12000).shape == (100, 120, 3)


def test_the_limit_of_the_process_stays(monkeypatch):
    """Pillow's own limit is lower than ours, and holds for whatever else the process reads."""
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    assert sr.read_image(strangers.by_pillow(strangers.RGB, "PNG")).shape == strangers.RGB.shape
    assert PIL.Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(ValueError, match="no image that can be read"):
        sr.read_image(b"")
    assert PIL.Image.MAX_IMAGE_PIXELS == 100


def test_a_folder_is_no_image(tmp_path):
    (tmp_path / "x.jpg").mkdir()
    with pytest.raises(ValueError, match=r"x\.jpg is a folder, a pipe or a device, not an image file"):
        sr.read_image(tmp_path / "x.jpg")


# -- super_resolve and Sampler ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("case", PICTURES, ids=name_of)
def test_enlarged(random_model, case):
    model, image = random_model(4), sr.read_image(case.data)
    answer = sr.super_resolve(image, model)
    assert_shows(answer, case.wanted, 4)
    np.testing.assert_array_equal(sr.Sampler(model, image)(0, 0.0), answer[..., :3])
    if (image[..., :1] == image[..., :3]).all():
        sample = sr.Sampler(model, image)(1, 1.0)
        assert (sample == sample[..., :1]).all(), "grey in, grey out"


# Sizes that are just what something is made for, and just not: samples of a tile are 32 at 4x and 16 at 8x.
SIZES = [(1, 1), (1, 29), (31, 1), (2, 3), (7, 11), (23, 24), (24, 25), (31, 32), (33, 32), (56, 57), (3, 257)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [4, 8])
def test_sizes(random_model, scale, size):
    image = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    assert_shows(sr.super_resolve(image, random_model(scale)), image, scale)


@pytest.mark.parametrize("block", [127, 128, 129])
def test_sizes_about_blocks(random_model, block):
    image = RNG.integers(0, 256, (32, 33, 3), dtype=np.uint8)
    answer = sr.Sampler(random_model(4), image, cache=False, block=block)(0, 0.0)
    assert_shows(answer, image, 4)


@pytest.mark.slow
def test_a_strip_of_8000_pixels(random_model):
    image = RNG.integers(0, 256, (20, 8000, 3), dtype=np.uint8)
    assert_shows(sr.super_resolve(image, random_model(4)), image, 4)


# -- arrays -------------------------------------------------------------------------------------------------

BASE = RNG.integers(0, 256, (10, 12, 3), dtype=np.uint8)


def read_only() -> np.ndarray:
    """An array that must not be written to."""
    image = BASE.copy()
    image.setflags(write=False)
    return image


ARRAYS = {
    "negative strides": BASE[::-1, ::-1],
    "channels backwards": BASE[..., ::-1],
    "transposed": BASE.transpose(1, 0, 2),
    "Fortran order": np.asfortranarray(BASE),
    "every other": RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)[::2, ::2],
    "read-only": read_only(),
    "subclass": BASE.view(np.memmap),
    "big-endian 16 bit": (BASE.astype(np.uint16) * 257).astype(">u2"),
    "float32": BASE.astype(np.float32) / 255,
    "float64": BASE / 255,
    "16 bit": BASE.astype(np.uint16) * 257,
}


@pytest.mark.parametrize("image", list(ARRAYS.values()), ids=list(ARRAYS))
def test_arrays(random_model, image):
    before = image.tobytes()
    answer = sr.super_resolve(image, random_model(4))
    assert_shows(answer, image, 4)
    np.testing.assert_array_equal(answer, sr.super_resolve(image.copy(order="C"), random_model(4)))
    assert image.tobytes() == before


def test_a_memory_mapped_array(random_model, tmp_path):
    image = np.memmap(tmp_path / "lr", np.uint8, "w+", shape=BASE.shape)
    image[:] = BASE
    np.testing.assert_array_equal(sr.super_resolve(image, random_model(4)), sr.super_resolve(BASE, random_model(4)))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (torch.zeros(4, 4, 3), TypeError, "NumPy array, not Tensor"),
        (PIL.Image.new("RGB", (4, 4)), TypeError, "NumPy array, not Image"),
        (BASE > 100, TypeError, "uint8, uint16 or float in .0, 1., not bool"),
        (BASE.astype(np.int64), TypeError, "not int64"),
        (BASE.astype(np.float16), TypeError, "not float16"),
        (BASE.astype(complex), TypeError, "not complex128"),
        (BASE.astype(object), TypeError, "not object"),
        (np.ma.masked_array(BASE, BASE > 9), TypeError, "masked"),
        (BASE / 255 * np.nan, ValueError, "NaN or infinite"),
        (BASE.astype(np.float32), ValueError, r"float and reaches 2\d\d: float images are read as \[0, 1\]"),
        (np.moveaxis(BASE, 2, 0), ValueError, r"of shape \(H, W\), \(H, W, 3\) or \(H, W, 4\), not \(3, 10, 12\)"),
    ],
    ids=[
        "tensor",
        "PIL",
        "bool",
        "int64",
        "float16",
        "complex",
        "object",
        "masked",
        "NaN",
        "0 to 255",
        "channels first",
    ],
)
def test_refused_arrays(random_model, image, error, message):
    for enlarge in (sr.super_resolve, lambda image, model: sr.Sampler(model, image)):
        with pytest.raises(error, match=message):
            enlarge(image, random_model(4))


# -- alpha and grey -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["4x-D", "8x-D"])
def test_hidden_colours_leave_no_rim(shipped, name):
    """A white disc on black that cannot be seen, laid over white, is white all over."""
    model = shipped(name)
    y, x = np.mgrid[:32, :32]
    shown = (y - 16) ** 2 + (x - 15) ** 2 < 100
    sprite = np.dstack([shown * np.uint8(255)] * 4)
    for temperature in (0.0, model.temperature):
        answer = sr.super_resolve(sprite, model, temperature=temperature).astype(float)
        over_white = answer[..., :3] * answer[..., 3:] / 255 + 255 - answer[..., 3:]
        assert over_white.min() >= 240, "no dark rim"
        assert answer[..., 3].min() == 0
        assert answer[..., 3].max() == 255


def test_hidden_colours_are_the_nearest_that_show():
    image = np.zeros((5, 9, 4), np.uint8)
    image[2, 1] = 200, 10, 20, 1
    image[2, 7] = 30, 220, 40, 255
    colours = sr.visible_colours(image)
    assert (colours[:, :4] == [200, 10, 20]).all()
    assert (colours[:, 5:] == [30, 220, 40]).all()
    for alpha in (0, 255):  # nothing to take colours from, and nothing to replace
        image[..., 3] = alpha
        np.testing.assert_array_equal(sr.visible_colours(image), image[..., :3])


@pytest.mark.parametrize("name", ["4x-P", "8x-D"])
def test_grey_in_grey_out(shipped, photographs, name):
    model = shipped(name)
    grey = np.ascontiguousarray(photographs["astronaut"][60:72, 200:220, 1])
    sampler = sr.Sampler(model, sr.as_rgb(grey))
    for options in ({"temperature": 0.0}, {"temperature": 1.0}, {"draft": True}):
        sample = sampler(3, **options)
        assert (sample == sample[..., :1]).all()
    np.testing.assert_array_equal(sr.super_resolve(grey, model), sr.super_resolve(sr.as_rgb(grey), model)[..., 0])
    turns = sr.super_resolve(sr.as_rgb(grey), model, self_ensemble=True)
    assert (turns == turns[..., :1]).all()


# -- upload -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", PICTURES, ids=name_of)
def test_uploaded(case):
    image = files.upload_source(case.name, memoryview(case.data), is_original=True).read().image
    depth = 257 if case.wanted.dtype == np.uint16 else 1
    if case.wanted.shape[2] == 4:  # colours that nobody sees are not the file's any more
        seen = case.wanted[..., 3] > 0
        image, case = image[seen], replace(case, wanted=case.wanted[seen])
    np.testing.assert_allclose(image, case.wanted[..., :3] / depth, atol=max(case.off / depth, 0.5 * (depth > 1)) + 0.5)


@pytest.mark.parametrize("case", REFUSED, ids=name_of)
def test_uploads_are_refused(case):
    with pytest.raises(ValueError, match=case.error):
        files.upload_source(case.name, memoryview(case.data), is_original=True)


# -- enlarge.py ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_enlarged_by_the_command(tmp_path, capsys):
    """A folder of all files: the answers of the pictures are there, and all others are named at the end."""
    folder, to = tmp_path / "brought", tmp_path / "enlarged"
    folder.mkdir()
    for case in CASES:
        (folder / case.name).write_bytes(case.data)
    assert enlarging.main([str(folder), "--to", str(to), "--device", "cpu"]) == 1
    report = capsys.readouterr().err.split("could not be enlarged:")[1]
    passed_over = {case.name for case in REFUSED if not case.name.endswith(sr.IMAGE_SUFFIXES)}
    for case in REFUSED:
        assert (case.name in report) == (case.name not in passed_over), case.name
        assert not (to / case.name).exists()
    warnings.simplefilter("error")  # an answer gives no reason for one
    for case in PICTURES:
        assert case.name not in report
        answer = sr.read_image(to / case.name)
        # WebP leaves out an alpha that hides nothing.
        opaque = case.name.endswith(".webp") and (case.wanted[..., 3:] == 255).all()
        assert_shows(answer, case.wanted[..., :3] if opaque else case.wanted, 4)
    assert {path.name for path in to.iterdir()} == {case.name for case in PICTURES}


# -- evaluate -----------------------------------------------------------------------------------------------


def test_evaluated(tmp_path, monkeypatch):
    """A set of all pictures is evaluated; a set with a file that cannot be read is refused by that file's name."""
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path))
    folder = tmp_path / "brought"
    folder.mkdir()
    for case in PICTURES:
        (folder / case.name).write_bytes(case.data)
    rows = evaluate([], ["brought"], results=tmp_path / "results.csv", progress=False, niqe=False)
    assert [(row["method"], int(row["images"])) for row in rows] == [("Bicubic", len(PICTURES))] * len(sr.SCALES)
    for case in PICTURES:
        stem = case.name if sum(c.name.rsplit(".", 1)[0] == case.name.rsplit(".", 1)[0] for c in PICTURES) > 1 else ""
        image = load_image("brought", stem or case.name.rsplit(".", 1)[0])
        np.testing.assert_allclose(image.astype(int), case.wanted[..., :3], atol=case.off)


@pytest.mark.parametrize("case", [case for case in REFUSED if not case.name.endswith((".pdf", ".gif"))], ids=name_of)
def test_evaluation_names_what_it_cannot_read(tmp_path, monkeypatch, case):
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path))
    (tmp_path / "brought").mkdir()
    (tmp_path / "brought" / case.name).write_bytes(case.data)
    with pytest.raises(ValueError, match=re.escape(case.name)):
        evaluate([], ["brought"], results=tmp_path / "results.csv", progress=False, niqe=False)
    assert not (tmp_path / "results.csv").exists()
