"""What is known of a file before its pixels are read is what reading then gives."""

import os
import sys

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile

import srvae_core as sr
from enlarge_helpers import save
from pictures import picture
from srvae.enlarging import headers
from srvae.enlarging.headers import read_header


def deep(height: int, width: int, channels: int) -> np.ndarray:
    """16 bit, (H, W) where grey."""
    image = picture(height, width, channels).astype(np.uint16) * 257
    return image[..., 0] if channels == 1 else image


def write_turned(path, **options):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(picture(20, 30)).save(path, exif=exif, **options)


def write_deep_png(channels):
    def write(path):
        path.write_bytes(imagecodecs.png_encode(deep(20, 30, channels)))

    return write


def write_tiff(channels, dtype=np.uint16, **options):
    def write(path):
        image = deep(20, 30, channels) if dtype is np.uint16 else picture(20, 30, channels)
        tifffile.imwrite(path, image, **options)

    return write


def write_mode(mode, **options):
    def write(path):
        PIL.Image.fromarray(picture(20, 30)).convert(mode).save(path, **options)

    return write


FILES = {  # name -> what writes it, whether it is grey
    "rgb.png": (write_mode("RGB"), False),
    "grey.png": (write_mode("L"), True),
    "bits.png": (write_mode("1"), True),
    "grey alpha.png": (write_mode("LA"), True),
    "rgba.png": (write_mode("RGBA"), False),
    "palette.png": (write_mode("P"), False),
    "one colour is clear.png": (write_mode("P", transparency=3), False),
    "one grey is clear.png": (write_mode("L", transparency=3), True),
    "deep grey.png": (write_deep_png(1), True),
    "deep.png": (write_deep_png(3), False),
    "deep alpha.png": (write_deep_png(4), False),
    "turned.png": (write_turned, False),
    "turned.jpg": (write_turned, False),
    "turned.webp": (write_turned, False),
    "turned.tif": (write_turned, False),
    "rgb.jpg": (write_mode("RGB"), False),
    "grey.jpg": (write_mode("L"), True),
    "rgb.bmp": (write_mode("RGB"), False),
    "grey.bmp": (write_mode("L"), True),
    "rgba.webp": (write_mode("RGBA"), False),
    "deep.tif": (write_tiff(3, photometric="rgb"), False),
    "deep grey.tif": (write_tiff(1, photometric="minisblack"), True),
    "white is zero.tif": (write_tiff(1, photometric="miniswhite"), True),
    "alpha.tif": (write_tiff(4, photometric="rgb", extrasamples=["unassalpha"]), False),
    "associated.tif": (write_tiff(4, np.uint8, photometric="rgb", extrasamples=["assocalpha"]), False),
    "planes.tif": (lambda path: tifffile.imwrite(path, np.moveaxis(deep(20, 30, 3), 2, 0), photometric="rgb"), False),
}


@pytest.mark.parametrize("name", FILES)
def test_the_header_says_what_is_read(name, tmp_path):
    path = tmp_path / name
    write, grey = FILES[name]
    write(path)
    image, header = sr.read_image(path), read_header(path)
    assert (header.shape, header.dtype) == (image.shape, image.dtype)
    assert header.grey == grey


def test_no_pixels_are_read(tmp_path, monkeypatch):
    paths = [save(tmp_path / f"a.{ending}") for ending in ("png", "jpg", "webp", "bmp", "tif")]

    loaded = []

    def remember(image: PIL.Image.Image) -> None:
        loaded.append(image.format)

    monkeypatch.setattr(PIL.Image.Image, "load", remember)
    for name in ("PngImagePlugin.PngImageFile", "WebPImagePlugin.WebPImageFile", "TiffImagePlugin.TiffImageFile"):
        monkeypatch.setattr(f"PIL.{name}.load", remember)
    assert [read_header(path).shape for path in paths] == [(6, 9, 3)] * 5
    assert not loaded


def test_large_pictures_have_headers(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", 20, 30)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)  # Pillow's own limit, which holds for answers no less
    assert read_header(path).pixels == 600
    assert PIL.Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(ValueError, match=r"30x20 pixels, more than 599.*--pixel-limit"):
        read_header(path, 599)


@pytest.mark.parametrize("content", [b"", b"hello", b"II*\0", b"MM\0*\0\0\0\x08\xff", b"\x89PNG\r\n\x1a\n\0\0", b"BM"])
def test_what_is_no_image(content, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no image that can be read, or damaged"):
        read_header(path)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # would be waited for
    for name in ("pipe.png", "."):
        with pytest.raises(ValueError, match="folder, a pipe or a device"):
            read_header(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        headers.read_header(tmp_path / "gone.png")
