"""Reading, writing and resampling images."""

import io
import itertools

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
import PIL.PngImagePlugin
import pytest
import tifffile
import torch

import srvae_core as sr
from srvae import metrics

RNG = np.random.default_rng(0)
SMOOTH = cv2.resize(RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8), (41, 23), interpolation=cv2.INTER_LINEAR)


# -- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [(".png", 3), (".png", 4), (".tif", 3), (".TIFF", 4), (".bmp", 3), (".webp", 3), (".webp", 4), (".jpg", 3)],
)
def test_round_trip(tmp_path, suffix, channels):
    image = RNG.integers(0, 256, (23, 41, channels), dtype=np.uint8)
    lossy = suffix in (".webp", ".jpg")
    if lossy:
        image = np.dstack([SMOOTH, np.full((23, 41, 1), 255, np.uint8)])[..., :channels]
    path = tmp_path / f"image{suffix}"
    sr.write_image(path, image)
    back = sr.read_image(path)
    assert back.dtype == np.uint8
    if lossy:
        np.testing.assert_allclose(back[..., :3].astype(int), SMOOTH, atol=24)
    else:
        np.testing.assert_array_equal(back, image)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (9, 7, 4)])
def test_sixteen_bit(tmp_path, suffix, shape):
    image = RNG.integers(0, 65536, shape, dtype=np.uint16)
    sr.write_image(tmp_path / f"deep{suffix}", image)
    back = sr.read_image(tmp_path / f"deep{suffix}")
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image)


def test_red_is_first_for_others_too(tmp_path):
    """What we write red Pillow reads red, and the other way round."""
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    for suffix in (".png", ".jpg"):
        path = tmp_path / f"red{suffix}"
        sr.write_image(path, red)
        np.testing.assert_allclose(np.asarray(PIL.Image.open(path)).astype(int), red, atol=2)
        PIL.Image.fromarray(red).save(path, quality=95)
        np.testing.assert_allclose(sr.read_image(path).astype(int), red, atol=2)
    clear = PIL.Image.new("RGBA", (4, 4), (250, 10, 20, 30))
    clear.save(tmp_path / "clear.png")
    assert sr.read_image(tmp_path / "clear.png")[0, 0].tolist() == [250, 10, 20, 30]


def encoded(picture: PIL.Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L")]
)
@pytest.mark.parametrize("order", ["II", "MM"])
def test_exif_rotation(orientation, kind, mode, order):
    picture = PIL.Image.fromarray(SMOOTH).convert(mode)
    exif = PIL.Image.Exif()
    exif.endian = "<" if order == "II" else ">"
    exif[0x010F] = "maker"  # entries before and after, as cameras write them
    exif[0x0112] = orientation
    exif[0x0131] = "software"
    data = encoded(picture, kind, exif=exif, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}))
    assert (b"MM\0*" if order == "MM" else b"II*\0") in data
    wanted = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data)))
    wanted = np.asarray(wanted.convert("RGBA" if mode == "RGBA" else "RGB"))
    got = sr.read_image(data)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got.astype(int), wanted, atol=3 if kind == "JPEG" else 0)


def test_damaged_exif_is_no_obstacle():
    upright = sr.read_image(encoded(PIL.Image.fromarray(SMOOTH), "JPEG"))
    for exif in (b"", b"MM", b"MM\0*\0\0\xff\xff", b"II*\0\x08\0\0\0\xff\xff", b"XX*\0\x08\0\0\0\1\0"):
        data = encoded(PIL.Image.fromarray(SMOOTH), "JPEG", exif=b"Exif\0\0" + exif)
        np.testing.assert_array_equal(sr.read_image(data), upright)
    entry = b"\x12\1\3\0\1\0\0\0\x63\0\0\0"  # orientation 99
    assert sr.read_image(encoded(PIL.Image.fromarray(SMOOTH), "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0" + entry)).shape


@pytest.mark.parametrize("mode", ["P", "1", "L", "LA", "I;16"])
def test_other_kinds_of_png(mode):
    if mode == "I;16":
        picture = PIL.Image.fromarray(RNG.integers(0, 65536, (9, 7), dtype=np.uint16))
        wanted = np.repeat(np.asarray(picture)[..., None], 3, 2)
    else:
        picture = PIL.Image.fromarray(SMOOTH).convert(mode)
        wanted = np.asarray(picture.convert("RGBA" if mode == "LA" else "RGB"))
    got = sr.read_image(encoded(picture, "PNG"))
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


def test_a_large_profile_is_no_damage():
    """Pillow takes 1 MiB for a PNG file's; other formats' have no such limit."""
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("PNG", "JPEG"):
        padded = len(profile).to_bytes(4) + profile[4:] + bytes(1_200_000)
        got = sr.read_image(encoded(PIL.Image.fromarray(SMOOTH), kind, icc_profile=padded))
        assert np.abs(got.astype(int) - SMOOTH).max() <= (2 if kind == "PNG" else 40)


def test_words_are_no_colours():
    """A chunk's kind tells other colours, not its letters in a text."""
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Comment", "about cICP\x09\x10")
    np.testing.assert_array_equal(sr.read_image(encoded(PIL.Image.fromarray(SMOOTH), "PNG", pnginfo=text)), SMOOTH)
    text.add(b"cICP", b"\x09\x10\x00\x01")
    with pytest.raises(ValueError, match=r"another kind \(cICP 9, 16\)"):
        sr.read_image(encoded(PIL.Image.fromarray(SMOOTH), "PNG", pnginfo=text))


def test_transparent_palette():
    picture = PIL.Image.fromarray(SMOOTH).convert("P")
    picture.info["transparency"] = 0
    got = sr.read_image(encoded(picture, "PNG", transparency=0))
    np.testing.assert_array_equal(got, np.asarray(PIL.Image.open(io.BytesIO(encoded(picture, "PNG"))).convert("RGBA")))


def test_bytes_and_path_and_text_are_one(tmp_path):
    path = tmp_path / "a photo ü.png"
    sr.write_image(path, SMOOTH)
    for source in (path, str(path), path.read_bytes()):
        np.testing.assert_array_equal(sr.read_image(source), SMOOTH)
    np.testing.assert_array_equal(sr.read_image(bytearray(path.read_bytes())), SMOOTH)
    np.testing.assert_array_equal(sr.read_image(memoryview(path.read_bytes())), SMOOTH)


@pytest.mark.parametrize(
    "data", [b"", b"no image", b"%PDF-1.7 ...", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + bytes(40)]
)
def test_no_image(tmp_path, data):
    with pytest.raises(ValueError, match="the data given is no image that can be read"):
        sr.read_image(data)
    (tmp_path / "photo.jpg").write_bytes(data)
    with pytest.raises(ValueError, match=r"photo\.jpg is no image that can be read"):
        sr.read_image(tmp_path / "photo.jpg")


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        sr.read_image(tmp_path / "gone.png")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (9, 7, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2"])
def test_others_read_what_we_write(tmp_path, suffix, shape, dtype):
    image = RNG.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    path = tmp_path / f"image{suffix}"
    sr.write_image(path, image)
    if suffix == ".tif":
        other = tifffile.imread(path)
    else:
        other = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        other = other if other.ndim == 2 else other[..., [2, 1, 0, 3][: shape[2]]]
    assert other.dtype.itemsize == image.dtype.itemsize
    np.testing.assert_array_equal(other, image)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "message"),
    [
        ("a.webp", (2, 16384, 3), np.uint8, r"a\.webp: \.webp files hold at most 16383 pixels a side, not 16384"),
        ("a.jpg", (65501, 2, 3), np.uint8, r"\.jpg files hold at most 65500 pixels a side, not 65501"),
        ("a.JPEG", (65501, 2), np.uint8, r"\.jpeg files hold at most 65500 pixels a side"),
        ("a.bmp", (2, 32768, 3), np.uint8, r"\.bmp files hold at most 32767 pixels a side"),
        ("a.jpg", (2, 2, 4), np.uint8, r"\.jpg files do not hold alpha, PNG, TIFF and WebP do"),
        ("a.bmp", (2, 2, 4), np.uint8, r"\.bmp files do not hold alpha"),
        ("a.jpg", (2, 2, 3), np.uint16, r"\.jpg files do not hold 16 bit, PNG and TIFF do"),
        ("a.webp", (2, 2, 4), np.uint16, r"\.webp files do not hold 16 bit"),
        ("a.png", (2, 2, 3), np.float32, "hold 8 or 16 bit, not float: convert first"),
        ("a.ppm", (2, 2, 3), np.uint8, r"cannot write such files; the name must end in one of \.png, "),
        ("a", (2, 2, 3), np.uint8, r"cannot write such files"),
    ],
)
def test_what_a_format_cannot_hold(tmp_path, name, shape, dtype, message):
    """It is known from the header alone, and what is written is refused in the same words."""
    with pytest.raises(ValueError, match=message):
        sr.check_target(tmp_path / name, shape, dtype)
    with pytest.raises(ValueError, match=message):
        sr.write_image(tmp_path / name, np.zeros(shape, dtype))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "shape"),
    [("a.webp", (1, 16383, 4)), ("a.jpg", (65500, 1)), ("a.bmp", (1, 32767, 3)), ("a.png", (70000, 1))],
)
def test_what_a_format_just_holds(tmp_path, name, shape):
    image = np.full(shape, 200, np.uint8)
    sr.write_image(tmp_path / name, image)
    back = sr.read_image(tmp_path / name)
    assert back.shape[:2] == shape[:2]
    np.testing.assert_allclose(back[0, 0].astype(int), 200, atol=2)


def test_what_cannot_be_written(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="NumPy array, not list"):
        sr.write_image(tmp_path / "image.png", [[1, 2]])

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(OSError, match="disk full"):
        sr.write_image(tmp_path / "image.png", SMOOTH)
    assert not list(tmp_path.iterdir()), "nothing half-written stays"


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
        np.testing.assert_array_equal(sr.downscale(sr.crop_to_multiple(hr, 4), 4), lr)


@pytest.mark.parametrize(("scale", "published"), [(4, 28.43), (8, 24.40)])
def test_bicubic_set5_is_the_published_row(benchmark_set, scale, published):
    values = []
    for hr in benchmark_set("Set5"):
        hr = sr.crop_to_multiple(hr, scale)
        values.append(metrics.psnr_y(sr.enlarge(sr.downscale(hr, scale), scale), hr, scale))
    assert abs(np.mean(values) - published) < 0.01


def test_crop_to_multiple():
    image = np.arange(7 * 13 * 3, dtype=np.uint8).reshape(7, 13, 3)
    np.testing.assert_array_equal(sr.crop_to_multiple(image, 4), image[:4, :12])
    np.testing.assert_array_equal(sr.crop_to_multiple(image[:4, :8], 4), image[:4, :8])
    with pytest.raises(ValueError, match="original of 7x13 pixels is too small: at 8x it must have 8x8 at least"):
        sr.crop_to_multiple(image[..., 0], 8)


def test_turns_are_the_eight_symmetries():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    turned = [sr.turn(x, k) for k in range(8)]
    for k, y in enumerate(turned):
        assert torch.equal(sr.unturn(y, k), x)
    for a, b in itertools.combinations(turned, 2):
        assert a.shape != b.shape or not torch.equal(a, b)


BAD_IMAGES = [
    ([[1, 2]], TypeError, "NumPy array, not list"),
    ("photo.png", TypeError, "NumPy array, not str"),
    (None, TypeError, "NumPy array, not NoneType"),
    (np.zeros((4, 4), np.int32), TypeError, "uint8, uint16 or float in .0, 1., not int32"),
    (np.zeros((4, 4), bool), TypeError, "not bool"),
    (np.zeros(4, np.uint8), ValueError, r"not \(4,\)"),
    (np.zeros((4, 4, 2), np.uint8), ValueError, r"not \(4, 4, 2\)"),
    (np.zeros((3, 4, 4, 3), np.uint8), ValueError, r"not \(3, 4, 4, 3\)"),
    (np.zeros((0, 4, 3), np.uint8), ValueError, "is empty"),
    (np.full((4, 4, 3), np.nan), ValueError, "NaN or infinite"),
    (np.full((4, 4), np.inf, np.float32), ValueError, "NaN or infinite"),
]


@pytest.mark.parametrize(("image", "error", "message"), BAD_IMAGES)
def test_no_images(image, error, message):
    for call in (sr.check_image, lambda x: sr.enlarge(x, 4), lambda x: sr.downscale(x, 4)):
        with pytest.raises(error, match=message):
            call(image)


def test_bad_scales():
    image = np.zeros((8, 8, 3), np.uint8)
    for scale in (0, -4, 2.5, "4", None):
        for resample in (sr.enlarge, sr.downscale):
            with pytest.raises(ValueError, match="positive whole number"):
                resample(image, scale)
    with pytest.raises(ValueError, match="8x10 is no multiple of 4: use crop_to_multiple"):
        sr.downscale(np.zeros((8, 10, 3), np.uint8), 4)
