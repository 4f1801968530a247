"""Files and arrays as people bring them: the right picture, or the error. The files are in ``strangers.py``."""

import re
import warnings
from functools import partial

import numpy as np
import PIL.Image
import pytest
import torch

import srvae_core as sr
import strangers
from srvae import images, metrics, release
from srvae.viewer.view import View
from strangers import RGB, RNG, Case

CASES = {case.name: case for case in strangers.cases()}
PICTURES = [case for case in CASES.values() if case.wanted is not None]
REJECTED = [case for case in CASES.values() if case.wanted is None]
# Mean difference, in levels of 255, of noise from its answer reduced again, since what overshoots is clipped. Noise
# that is turned, negative or of swapped channels differs by 85.
NEAR = 20


def name_of(case: Case) -> str:
    return case.name


def test_names_are_unique():
    assert len(CASES) == len(strangers.cases()) >= 60


@pytest.mark.parametrize("case", PICTURES, ids=name_of)
def test_read(case):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = images.read(case.data)
    assert (image.dtype, image.shape) == (case.wanted.dtype, case.wanted.shape)
    visible = case.wanted[..., 3] > 0 if image.shape[2] == 4 else np.ones(image.shape[:2], bool)
    np.testing.assert_allclose(image[visible].astype(int), case.wanted[visible], atol=case.off)
    np.testing.assert_array_equal(image[..., 3:], case.wanted[..., 3:])
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert [bool(re.search(case.warning, str(warning.message))) for warning in caught] == [True] * bool(case.warning)


@pytest.mark.parametrize("case", REJECTED, ids=name_of)
def test_rejected(tmp_path, case):
    with pytest.raises(ValueError, match=f"the data given cannot be read: .*({case.error})"):
        images.read(case.data)
    (tmp_path / case.name).write_bytes(case.data)
    with pytest.raises(ValueError, match=f"{re.escape(case.name)} cannot be read: .*({case.error})"):
        images.read(tmp_path / case.name)


# -- super_resolve and Sampler ------------------------------------------------------------------------------


def assert_shows(answer: np.ndarray, wanted: np.ndarray, scale: int) -> None:
    """Assert that an answer, reduced again, is what is wanted: the same place, colours, depth and alpha."""
    assert answer.dtype == wanted.dtype
    assert answer.shape == (wanted.shape[0] * scale, wanted.shape[1] * scale, *wanted.shape[2:])
    peak = sr.max_value(wanted.dtype)
    visible = wanted[..., 3] > 0 if wanted.shape[2:] == (4,) else np.ones(wanted.shape[:2], bool)
    answer = answer.clip(0, 1) if answer.dtype.kind == "f" else answer  # integers are clipped as they are made
    off = np.abs(sr.downscale(answer, scale).astype(float) - wanted)[visible][:, :3].mean() / peak * 255
    assert off <= NEAR, f"colours are off by {off:.1f} levels of 255"
    if wanted.shape[2:] == (4,):
        alpha = sr.enlarge(wanted[..., 3] / peak, scale).clip(0, 1)
        np.testing.assert_allclose(answer[..., 3] / peak, alpha, atol=2 / 255)


@pytest.mark.parametrize("name", ["rgba-8.png", "rgba-16.png", "turned-6-16.tif", "grey-alpha-8.png"])
def test_enlarged(random_model, name):
    case, model = CASES[name], random_model(4)
    image = images.read(case.data)
    answer = sr.super_resolve(image, model)
    assert_shows(answer, case.wanted, 4)
    np.testing.assert_array_equal(sr.Sampler(model, image)(0, 0.0), answer[..., :3])


# Sizes at and beside what something is made for: samples of a tile are 32 at 4x and 16 at 8x, of a block 128.
SIZES = [(1, 1), (1, 29), (31, 1), (2, 3), (7, 11), (23, 24), (24, 25), (31, 32), (33, 32), (56, 57), (3, 257)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [4, 8])
def test_sizes(random_model, scale, size):
    image = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    assert_shows(sr.super_resolve(image, random_model(scale)), image, scale)


@pytest.mark.slow
def test_a_strip_of_8000_pixels(random_model):
    image = RNG.integers(0, 256, (5, 8000, 3), dtype=np.uint8)
    assert_shows(sr.super_resolve(image, random_model(4)), image, 4)


BASE = RGB[:10, :12].copy()
READ_ONLY = BASE.copy()
READ_ONLY.setflags(write=False)
ARRAYS = {
    "negative strides": BASE[::-1, ::-1],
    "channels backwards": BASE[..., ::-1],
    "Fortran order": np.asfortranarray(BASE),
    "every other": RGB[:20, :24][::2, ::2],
    "read-only": READ_ONLY,
    "subclass": BASE.view(np.memmap),
    "big-endian 16 bit": (BASE.astype(np.uint16) * 257).astype(">u2"),
    "float32": BASE.astype(np.float32) / 255,
    "float64": BASE / 255,
}


@pytest.mark.parametrize("image", ARRAYS.values(), ids=ARRAYS)
def test_arrays(random_model, image):
    before = image.tobytes()
    answer = sr.super_resolve(image, random_model(4))
    assert_shows(answer, image, 4)
    np.testing.assert_array_equal(answer, sr.super_resolve(image.copy(order="C"), random_model(4)))
    assert image.tobytes() == before


NO_IMAGES = {
    "list": ([[1, 2]], TypeError, "must be a plain NumPy array, not list"),
    "path": ("photo.png", TypeError, "not str"),
    "tensor": (torch.zeros(4, 4, 3), TypeError, "not Tensor"),
    "PIL": (PIL.Image.new("RGB", (4, 4)), TypeError, "not Image"),
    "masked": (np.ma.masked_array(BASE, BASE > 9), TypeError, "not MaskedArray"),
    "bool": (BASE > 100, TypeError, "uint8, uint16 or float in .0, 1., not bool"),
    "int64": (BASE.astype(np.int64), TypeError, "not int64"),
    "float16": (BASE.astype(np.float16), TypeError, "not float16"),
    "complex": (BASE.astype(complex), TypeError, "not complex128"),
    "object": (BASE.astype(object), TypeError, "not object"),
    "NaN": (BASE / 255 * np.nan, ValueError, "has NaN or infinite"),
    "infinite": (np.full((4, 4), np.inf, np.float32), ValueError, "has NaN or infinite"),
    "channels first": (np.moveaxis(BASE, 2, 0), ValueError, r"\(H, W\), \(H, W, 3\) or \(H, W, 4\), not \(3, 10, 12\)"),
    "two channels": (BASE[..., :2], ValueError, r"not \(10, 12, 2\)"),
    "empty": (BASE[:0], ValueError, "is empty"),
}


@pytest.mark.parametrize(("image", "error", "message"), NO_IMAGES.values(), ids=NO_IMAGES)
def test_rejected_arrays(random_model, image, error, message):
    model = random_model(4)
    for call in (sr.check_image, lambda x: sr.enlarge(x, 4), lambda x: sr.super_resolve(x, model)):
        with pytest.raises(error, match=message):
            call(image)


@pytest.mark.parametrize("image", [BASE.astype(np.float32), BASE / 127.5 - 1], ids=["0 to 255", "-1 to 1"])
def test_floats_of_another_range_are_rejected(random_model, image):
    """By whatever takes an image, with the range that it has."""
    model, eight_bit, ends = random_model(4), np.tile(BASE, (2, 2, 1)), f"from {image.min():g} to {image.max():g}"
    large = np.tile(image, (2, 2, 1))  # of 20x24 pixels, since SSIM needs 19
    calls = [sr.check_image, partial(sr.enlarge, scale=4), partial(sr.resize, size=(3, 3)), metrics.luma]
    calls += [partial(f, model=model) for f in (sr.super_resolve, release.super_resolve, release.self_ensemble)]
    calls += [lambda x: sr.Sampler(model, x), lambda x: View({"a": x}, 4), partial(metrics.crop_to_multiple, scale=4)]
    for score in (partial(metrics.psnr_y, border=4), partial(metrics.ssim_y, border=4)):
        calls += [partial(score, eight_bit), partial(score, b=eight_bit)]
    calls += [lambda x: metrics.diversity([eight_bit, x], eight_bit), lambda x: metrics.lr_psnr(eight_bit, x, 4)]
    for call in calls:
        with pytest.raises(ValueError, match=f"must be float in .0, 1., but its values range {ends}"):
            call(large)


def test_floats_may_overshoot():
    image = np.linspace(-0.5, 1.5, 12).reshape(2, 2, 3)
    assert sr.check_image(image) is image


# -- alpha and grey -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["4x-D", "8x-D"])
def test_hidden_colours_leave_no_rim(shipped, name):
    """A white disc on hidden black, laid over white, is white all over."""
    y, x = np.mgrid[:32, :32]
    disc = ((y - 16) ** 2 + (x - 15) ** 2 < 100) * np.uint8(255)
    image = images.read(strangers.by_pillow(np.dstack([disc] * 4), "PNG"))
    np.testing.assert_array_equal(image, np.dstack([np.full((32, 32, 3), 255, np.uint8), disc]))
    for temperature in (0.0, 1.0):
        answer = sr.super_resolve(image, shipped(name), temperature=temperature).astype(float)
        over_white = answer[..., :3] * answer[..., 3:] / 255 + 255 - answer[..., 3:]
        assert over_white.min() >= 240, "no dark rim"
        assert (answer[..., 3].min(), answer[..., 3].max()) == (0, 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_hidden_pixels_take_the_nearest_visible_colour(dtype):
    image = np.zeros((5, 9, 4), dtype)
    image[2, 1] = 200, 10, 20, 1
    image[2, 7] = 30, 220, 40, 255
    filled = images.fill_transparent(image)
    assert (filled[:, :4, :3] == [200, 10, 20]).all()
    assert (filled[:, 5:, :3] == [30, 220, 40]).all()
    np.testing.assert_array_equal(filled[..., 3], image[..., 3])
    image[..., 3] = 0
    assert not images.fill_transparent(image).any(), "black where nothing is visible"
    image[..., 3] = 255
    np.testing.assert_array_equal(images.fill_transparent(image), image)


@pytest.mark.parametrize("name", ["4x-P", "8x-D"])
def test_grey_stays_grey(shipped, photographs, name):
    model = shipped(name)
    grey = np.ascontiguousarray(photographs["astronaut"][60:72, 200:220, 1])
    sampler = sr.Sampler(model, sr.as_rgb(grey))
    for options in ({"temperature": 0.0}, {"temperature": 1.0}, {"draft": True}):
        sample = sampler(3, **options)
        assert (sample == sample[..., :1]).all()
    np.testing.assert_array_equal(sr.super_resolve(grey, model), sr.super_resolve(sr.as_rgb(grey), model)[..., 0])
