"""Files of every format from bands of rows, read again by others."""

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile

import srvae_core as sr
from enlarge_helpers import SOFTWARE, bands, form, notes
from pictures import levels, picture
from srvae.enlarging import writers
from srvae.enlarging.notes import srgb_profile
from srvae.enlarging.writers import FORMATS, write_picture


def test_all_formats_are_written():
    assert {suffix for suffixes in FORMATS.values() for suffix in suffixes} == set(sr.IMAGE_SUFFIXES)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("height", [1, 200])
def test_tiff(height, channels, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "STRIP_BYTES", 5000)  # several strips, the last of them shorter
    image = picture(height, 83, channels).astype(dtype) * (257 if dtype is np.uint16 else 1)
    write_picture(tmp_path / "a.part", ".TIF", form(image), bands(image, 3, 1, 70), notes())
    with tifffile.TiffFile(tmp_path / "a.part") as file:
        page = file.pages.first
        assert (len(page.dataoffsets) > 1) == (height > 1)
        assert page.photometric.name == ("MINISBLACK" if channels < 3 else "RGB")
        assert [kind.name for kind in page.extrasamples] == (["UNASSALPHA"] if channels in (2, 4) else [])
        np.testing.assert_array_equal(page.asarray().reshape(image.shape), image)


def test_tiff_of_more_than_four_gigabytes_is_a_bigtiff(tmp_path, monkeypatch):
    image = picture(20, 30)
    for limit, big in ((image.nbytes, False), (image.nbytes - 1, True)):
        monkeypatch.setattr(writers, "CLASSIC_TIFF", limit)
        write_picture(tmp_path / "a.part", ".tiff", form(image), bands(image), notes())
        with tifffile.TiffFile(tmp_path / "a.part") as file:
            assert file.is_bigtiff == big
        np.testing.assert_array_equal(sr.read_image((tmp_path / "a.part").read_bytes()), image)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_bands_are_put_together(suffix, channels, tmp_path):
    image = picture(100, 61, channels)
    image[:] = cv2.GaussianBlur(image, (0, 0), 4).reshape(image.shape)  # little is lost of what is smooth
    path = tmp_path / f"a{suffix}"
    write_picture(path, suffix, form(image), bands(image, 7, 30), notes())
    with PIL.Image.open(path) as read:
        assert read.mode == ("L" if channels == 1 and suffix != ".webp" else "RGB")
    assert levels(sr.read_image(path), np.broadcast_to(image, (100, 61, 3))) <= (
        12 if suffix in (".jpg", ".webp") else 0
    )


def test_webp_keeps_alpha_and_what_it_hides(tmp_path):
    image = picture(40, 50, 4)
    image[:20, :, 3] = 0
    write_picture(tmp_path / "a.webp", ".webp", form(image), bands(image, 15), notes())
    np.testing.assert_array_equal(sr.read_image(tmp_path / "a.webp")[..., 3], image[..., 3])


def test_webp_of_too_many_blocks_is_written_without_loss(tmp_path, monkeypatch):
    image, save = picture(40, 50), PIL.Image.Image.save

    def overflowing(canvas: PIL.Image.Image, path: object, *rest: object, **options: object) -> None:
        if "lossless" not in options:  # what libwebp says of 16000x12000 pixels
            raise ValueError("encoding error 6")
        save(canvas, path, *rest, **options)

    monkeypatch.setattr(PIL.Image.Image, "save", overflowing)
    write_picture(tmp_path / "a.webp", ".webp", form(image), bands(image), notes())
    np.testing.assert_array_equal(sr.read_image(tmp_path / "a.webp"), image)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png", ".tif", ".bmp"])
def test_notes(suffix, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0131], exif[0x0110] = SOFTWARE, "A model"
    said = notes(
        profile=srgb_profile(),
        dpi=(288.0, 144.0),
        exif=exif.tobytes().removeprefix(b"Exif\0\0"),
        tags={0x0110: b"A model"},
    )
    image, path = picture(20, 30), tmp_path / f"a{suffix}"
    write_picture(path, suffix, form(image), bands(image), said)
    with PIL.Image.open(path) as read:
        read.load()
        if suffix != ".webp":
            assert [float(dots) for dots in read.info["dpi"]] == pytest.approx([288, 144], abs=0.02)
        if suffix != ".bmp":  # which has no place for more
            assert read.info["icc_profile"] == srgb_profile()
            assert read.getexif()[0x0110] == "A model"
        if suffix not in (".bmp", ".png"):
            assert read.getexif()[0x0131] == SOFTWARE
    if suffix == ".bmp":
        assert path.read_bytes().endswith(SOFTWARE.encode())
        np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], image)
