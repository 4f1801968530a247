"""PNG files by rows: any form, read again by two readers that share no code with the writer."""

import zlib

import cv2
import imagecodecs
import numpy as np
import PIL.Image
import pytest

from enlarge_helpers import SOFTWARE, bands, form, notes
from pictures import picture
from srvae.enlarging.png import write_png


def of_form(channels: int, dtype: type, height: int = 150, width: int = 37) -> np.ndarray:
    """A picture whose rows are smooth here and noisy there, so that each filter is the best of some."""
    image = picture(height, width, channels).astype(dtype)
    image[64:65] = 200  # where bands meet, what is above matters
    image[65:66, ::2], image[65:66, 1::2] = 0, 3
    return image * 257 - image.min() if dtype is np.uint16 else image


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_is_written_is_read(channels, dtype, tmp_path):
    image = of_form(channels, dtype)
    write_png(tmp_path / "a.png", form(image), bands(image, 1, 64, 65, 3), notes())
    read = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert read.dtype == dtype
    np.testing.assert_array_equal(read.reshape(image.shape), image)
    if channels > 2:  # OpenCV gives grey with alpha as RGBA
        order = cv2.COLOR_BGRA2RGBA if channels == 4 else cv2.COLOR_BGR2RGB
        again = cv2.cvtColor(cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED), order)
        np.testing.assert_array_equal(again, image)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (64, 3), (65, 3)])
def test_any_size(size, tmp_path):
    image = of_form(3, np.uint8, *size)
    write_png(tmp_path / "a.png", form(image), bands(image), notes())
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "a.png")), image)


def test_how_rows_come_changes_nothing(tmp_path):
    image = of_form(3, np.uint8)
    write_png(tmp_path / "a.png", form(image), bands(image), notes())
    write_png(tmp_path / "b.png", form(image), bands(image, 64, 64), notes())
    assert (tmp_path / "a.png").stat().st_size == (tmp_path / "b.png").stat().st_size
    np.testing.assert_array_equal(
        imagecodecs.png_decode((tmp_path / "b.png").read_bytes()),
        imagecodecs.png_decode((tmp_path / "a.png").read_bytes()),
    )


def test_filters_make_it_small(tmp_path):
    steps = np.random.default_rng(1).integers(-1, 2, (2, 200, 1))
    image = np.add.outer(*np.cumsum(steps, 1)[..., 0]).astype(np.uint8)[..., None]  # slopes up and down
    image += np.random.default_rng(2).integers(0, 2, image.shape, dtype=np.uint8)
    write_png(tmp_path / "a.png", form(image), bands(image), notes())
    assert (tmp_path / "a.png").stat().st_size < 0.85 * len(zlib.compress(image.tobytes(), 9))


def test_notes(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x010F] = "A camera"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    said = notes(profile=b"a profile", dpi=(300.0, 150.0), exif=block, texts={"Title": "Вид", "Author": "Ærø"})
    image = of_form(3, np.uint8)
    write_png(tmp_path / "a.png", form(image), bands(image), said)
    with PIL.Image.open(tmp_path / "a.png") as read:
        assert read.text == {"Title": "Вид", "Author": "Ærø", "Software": SOFTWARE}
        assert read.info["icc_profile"] == b"a profile"
        assert read.info["dpi"] == pytest.approx((300, 150), abs=0.02)
        assert read.getexif()[0x010F] == "A camera"


def test_a_row_that_fails_is_no_file_s_end(tmp_path):
    def failing():
        yield of_form(3, np.uint8)[:10]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_png(tmp_path / "a.png", form(of_form(3, np.uint8)), failing(), notes())
    with pytest.raises(OSError, match="trunc"):
        PIL.Image.open(tmp_path / "a.png").load()
