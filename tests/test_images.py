"""Reading, writing and resampling images. Kinds of files that others write are in ``test_strangers.py``."""

import itertools
import os
import warnings

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
import torch

import srvae_core as sr
from srvae import images, metrics, release
from strangers import RNG, SMOOTH, SRGB_PROFILE, by_pillow

# -- files --------------------------------------------------------------------------------------------------

HOLDS = {  # the suffixes that hold an image of so many channels and bytes a sample without loss
    (1, 1): (".png", ".tif", ".bmp"),
    (3, 1): (".png", ".TIFF", ".bmp"),
    (4, 1): (".png", ".tiff"),
    (1, 2): (".png", ".tif"),
    (3, 2): (".PNG", ".tif"),
    (4, 2): (".png",),
}


@pytest.mark.parametrize(("kind", "suffix"), [(kind, suffix) for kind, those in HOLDS.items() for suffix in those])
def test_round_trip(tmp_path, kind, suffix):
    channels, size = kind
    shape = (23, 41, channels) if channels > 1 else (23, 41)
    path = tmp_path / f"image{suffix}"
    for dtype in ("<u1",) if size == 1 else ("<u2", ">u2"):
        image = RNG.integers(1, 256**size, shape).astype(dtype)  # without 0, as hidden pixels change their colours
        images.write(path, image)
        back = images.read(path)
        assert back.dtype.str == f"{'|' if size == 1 else '<'}u{size}"
        np.testing.assert_array_equal(back, image if channels > 1 else sr.as_rgb(image))
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
        with PIL.Image.open(path) as other:  # gives the upper 8 of 16 bit, but for grey
            np.testing.assert_array_equal(np.asarray(other), image >> 8 if size == 2 and channels > 1 else image)


@pytest.mark.parametrize("suffix", [".webp", ".jpg"])
def test_round_trip_with_little_loss(tmp_path, suffix):
    for image in (SMOOTH, np.dstack([SMOOTH, np.full_like(SMOOTH[..., 0], 200)])):
        if suffix == ".webp" or image.shape[2] == 3:
            images.write(tmp_path / f"image{suffix}", image)
            np.testing.assert_allclose(images.read(tmp_path / f"image{suffix}").astype(int), image, atol=24)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "message"),
    [
        ("a.webp", (2, 16384, 3), np.uint8, r"a\.webp cannot be written as WEBP"),
        ("a.jpg", (65501, 2), np.uint8, r"a\.jpg cannot be written as JPEG"),
        ("a.jpg", (2, 2, 4), np.uint8, "JPEG holds no alpha; PNG does"),
        ("a.bmp", (2, 2, 4), np.uint8, "BMP holds no alpha"),
        ("a.jpg", (2, 2, 3), np.uint16, "JPEG holds no 16 bit"),
        ("a.webp", (2, 2, 4), np.uint16, "WEBP holds no 16 bit with alpha"),
        ("a.tif", (2, 2, 4), np.uint16, "TIFF holds no 16 bit with alpha"),
        ("a.png", (10**6 + 1, 1), np.uint16, "a million pixels a side"),
        ("a.png", (2, 2, 3), np.float32, "of float32: files hold 8 or 16 bit"),
        ("a.ppm", (2, 2, 3), np.uint8, r"end in \.png, "),
        ("a", (2, 2, 3), np.uint8, "end in"),
    ],
)
def test_what_a_format_cannot_hold(tmp_path, name, shape, dtype, message):
    with pytest.raises((ValueError, OSError), match=message):
        images.write(tmp_path / name, np.zeros(shape, dtype))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("a.webp", (1, 16383, 4), np.uint8),
        ("a.jpg", (65500, 1), np.uint8),
        ("a.bmp", (1, 70000, 3), np.uint8),
        ("a.png", (10**6, 1), np.uint16),
        ("a.tif", (10**6, 1), np.uint16),
    ],
)
def test_what_a_format_just_holds(tmp_path, name, shape, dtype):
    images.write(tmp_path / name, np.full(shape, 200, dtype))
    back = images.read(tmp_path / name)
    assert back.shape[:2] == shape[:2]
    np.testing.assert_allclose(back[0, 0].astype(int), 200, atol=2)


def test_an_error_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    images.write(path, SMOOTH)
    with pytest.raises(TypeError, match="NumPy array, not list"):
        images.write(path, [[1, 2]])

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fails)
    for image in (SMOOTH[::-1], SMOOTH.astype(np.uint16)):
        with pytest.raises(OSError, match="disk full"):
            images.write(path, image)
    np.testing.assert_array_equal(images.read(path), SMOOTH)
    assert list(tmp_path.iterdir()) == [path]


def test_sources(tmp_path):
    path = tmp_path / "a photo ü.png"
    images.write(path, SMOOTH)
    data = path.read_bytes()
    for source in (path, str(path), data, bytearray(data), memoryview(data)):
        np.testing.assert_array_equal(images.read(source), SMOOTH)
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        images.read(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "pipe.png")  # reading it would never end
    for no_file in (tmp_path, tmp_path / "pipe.png"):
        with pytest.raises(ValueError, match="is not a regular file"):
            images.read(no_file)


def test_the_limit_of_pixels_is_pillows(monkeypatch):
    """It is twice MAX_IMAGE_PIXELS, and there is no warning below it."""
    data = by_pillow(SMOOTH, "PNG")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", SMOOTH[..., 0].size // 2 + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.read(data).shape == SMOOTH.shape
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", SMOOTH[..., 0].size // 2 - 1)
    with pytest.raises(ValueError, match="exceeds limit"):
        images.read(data)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_is_no_obstacle(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    plain = images.read(by_pillow(SMOOTH, kind, **options))
    blocks = [b"", b"MM", b"MM\0*\0\0\xff\xff", b"II*\0\x08\0\0\0\xff\xff", b"XX*\0\x08\0\0\0\1\0"]
    blocks += [b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x63\0\0\0"]  # orientation 99
    for block in blocks:
        image = images.read(by_pillow(SMOOTH, kind, exif=b"Exif\0\0" + block, **options))
        np.testing.assert_array_equal(image, plain)
    # Orientation 3, and an exposure time of text, which Pillow reads but cannot write.
    entries = b"\x12\1\3\0\1\0\0\0\3\0\0\0" + b"\x9a\x82\2\0\2\0\0\0a\0\0\0"
    image = images.read(by_pillow(SMOOTH, kind, exif=b"Exif\0\0II*\0\x08\0\0\0\2\0" + entries, **options))
    np.testing.assert_allclose(image.astype(int), plain[::-1, ::-1], atol=0)


def test_long_profiles():
    """In JPEG they are read; in PNG Pillow takes 1 MiB at most."""
    profile = SRGB_PROFILE[4:] + bytes(1_200_000)
    profile = (len(profile) + 4).to_bytes(4) + profile
    options = {"quality": 100, "subsampling": 0, "icc_profile": profile}
    np.testing.assert_allclose(images.read(by_pillow(SMOOTH, "JPEG", **options)).astype(int), SMOOTH, atol=4)
    with pytest.raises(ValueError, match="too large"):
        images.read(by_pillow(SMOOTH, "PNG", icc_profile=profile))


def test_a_text_about_cicp_is_no_cicp():
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Comment", "about cICP\x09\x10")
    np.testing.assert_array_equal(images.read(by_pillow(SMOOTH, "PNG", pnginfo=text)), SMOOTH)


# -- resampling ---------------------------------------------------------------------------------------------


def imresize(image: np.ndarray, numerator: int, denominator: int) -> np.ndarray:
    """MATLAB's imresize(image, numerator/denominator) of an integer image, from its documentation."""
    scale, peak = numerator / denominator, np.iinfo(image.dtype).max
    out = image.astype(np.float64)
    for axis in (0, 1):  # rows first, each pass rounded to whole numbers
        n = image.shape[axis]
        place = (np.arange(n * numerator // denominator) + 0.5) / scale - 0.5
        reach = int(np.ceil(2 / min(scale, 1))) + 1
        taps = np.floor(place)[:, None] + np.arange(-reach, reach + 1)
        x = np.abs(place[:, None] - taps) * min(scale, 1)  # antialiased: the kernel widens when reducing
        keys = np.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2) * (x < 2)
        keys /= keys.sum(1, keepdims=True)
        sides = np.take(out, np.clip(taps, 0, n - 1).astype(int), axis)  # (..., out, taps, ...)
        out = (sides * keys.reshape(keys.shape + (1,) * (out.ndim - axis - 1))).sum(axis + 1)
        out = np.floor(np.clip(out, 0, peak) + 0.5)
    return out.astype(image.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_equal_to_imresize(scale, dtype):
    """Bit for bit, both ways, on noise, where every tie and every overshoot occurs."""
    peak = np.iinfo(dtype).max
    for shape in ((5, 7, 3), (1, 1, 3), (2, 9), (33, 18, 4)):
        image = RNG.integers(0, peak + 1, shape, dtype=dtype)
        np.testing.assert_array_equal(sr.enlarge(image, scale), imresize(image, scale, 1))
        large = RNG.choice(np.array([0, 3, peak], dtype), (shape[0] * scale, shape[1] * scale, *shape[2:]))
        np.testing.assert_array_equal(sr.downscale(large, scale), imresize(large, 1, scale))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("ratio", [(3, 4), (1, 2), (7, 8)])
def test_resize_is_imresize_but_for_the_border(ratio, dtype):
    """For factors that are not whole, too; at the border it reaches no further than the image."""
    for shape in ((40, 56, 3), (64, 48), (32, 40, 4)):
        image = RNG.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
        wanted = imresize(image, *ratio)
        small = sr.resize(image, wanted.shape[:2])
        off = 0 if dtype == np.uint8 else 1  # with 16 bit a sum may lie as near to a tie as its own rounding
        np.testing.assert_allclose(small[3:-3, 3:-3].astype(int), wanted[3:-3, 3:-3], rtol=0, atol=off)
    flat = np.full((20, 30, 3), 117, dtype)
    assert (sr.resize(flat, (7, 11)) == 117).all()
    assert sr.resize(flat / np.iinfo(dtype).max, (7, 11)).dtype == np.float64


def test_rows_are_rounded_first():
    """The order of the two passes shows in integer images; the other order gives other numbers."""
    image = RNG.integers(0, 256, (64, 64), dtype=np.uint8)
    assert not np.array_equal(sr.downscale(image, 4), sr.downscale(image.T.copy(), 4).T)


def test_float_is_not_rounded():
    image = RNG.random((16, 24, 3))
    fine = sr.downscale(image, 4)
    assert fine.dtype == image.dtype
    whole = imresize((image * 65535).round().astype(np.uint16), 1, 4)
    np.testing.assert_allclose(fine, whole / 65535, atol=2 / 65535)
    assert sr.enlarge(np.float32([[0, 0, 1, 1]]), 4).max() > 1, "overshoot stays in float images"


def test_constant_stays_constant():
    for value in (0, 1, 127, 255):
        image = np.full((8, 16, 3), value, np.uint8)
        assert (sr.enlarge(image, 8) == value).all()
        assert (sr.downscale(image, 8) == value).all()


def test_torch_form_equals_the_array_form():
    image = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
    for up in (True, False):
        y = sr.bicubic(sr.to_tensor(image), 4, up=up, peak=255)
        assert y.dtype == torch.float32
        np.testing.assert_array_equal(sr.to_image(y, np.uint8), (sr.enlarge if up else sr.downscale)(image, 4))


def test_the_lr_images_in_common_use_are_met_bit_for_bit(benchmark_set):
    pairs = zip(benchmark_set("Set5"), benchmark_set("Set5_LR_x4_matlab"), strict=True)
    for hr, lr in pairs:
        np.testing.assert_array_equal(sr.downscale(metrics.crop_to_multiple(hr, 4), 4), lr)


@pytest.mark.parametrize(("scale", "published"), [(4, 28.43), (8, 24.40)])
def test_bicubic_set5_is_the_published_row(benchmark_set, scale, published):
    values = []
    for hr in benchmark_set("Set5"):
        hr = metrics.crop_to_multiple(hr, scale)
        values.append(metrics.psnr_y(sr.enlarge(sr.downscale(hr, scale), scale), hr, scale))
    assert abs(np.mean(values) - published) < 0.01


def test_crop_to_multiple():
    image = np.arange(7 * 13 * 3, dtype=np.uint8).reshape(7, 13, 3)
    np.testing.assert_array_equal(metrics.crop_to_multiple(image, 4), image[:4, :12])
    np.testing.assert_array_equal(metrics.crop_to_multiple(image[:4, :8], 4), image[:4, :8])
    with pytest.raises(ValueError, match="7x13"):
        metrics.crop_to_multiple(image[..., 0], 8)


def test_turns_are_the_eight_symmetries():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    turned = [release.turn(x, k) for k in range(8)]
    for k, y in enumerate(turned):
        assert torch.equal(release.unturn(y, k), x)
    for a, b in itertools.combinations(turned, 2):
        assert a.shape != b.shape or not torch.equal(a, b)


def test_bad_scales():
    image = np.zeros((8, 8, 3), np.uint8)
    for scale in (0, -4, 2.5, "4", None):
        for resample in (sr.enlarge, sr.downscale):
            with pytest.raises(ValueError, match="positive whole number"):
                resample(image, scale)
    with pytest.raises(ValueError, match="8x10 is not a multiple of 4"):
        sr.downscale(np.zeros((8, 10, 3), np.uint8), 4)
