"""What an answer's file says of what the input's said."""

import io

import imagecodecs
import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import tifffile
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo

import srvae_core as sr
from enlarge_helpers import SOFTWARE, save
from pictures import picture
from srvae.enlarging.headers import read_header
from srvae.enlarging.notes import LARGEST_EXIF, notes_of, srgb_profile
from srvae.enlarging.settings import words_of


def camera() -> PIL.Image.Exif:
    """What a camera writes."""
    exif = PIL.Image.Exif()
    exif[Base.Model], exif[Base.Artist] = "A model", "Zoë © Имя".encode()  # UTF-8, as many programs write
    exif[Base.Orientation], exif[Base.Software] = 6, "Firmware 1.0"
    exif[Base.ImageWidth], exif[Base.ImageLength] = 9, 6
    exif[IFD.Exif] = {
        Base.DateTimeOriginal: "2020:01:02 03:04:05",
        Base.ExposureTime: 0.01,
        Base.ExifImageWidth: 9,
        Base.ExifImageHeight: 6,
        Base.ColorSpace: 65535,
        Base.MakerNote: bytes(range(100)),
    }
    exif[IFD.GPSInfo] = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (1.0, 2.0, 3.0)}
    return exif


def said(path, scale: int = 4) -> tuple[PIL.Image.Exif, object]:
    """The EXIF block of the answer's notes, read again, and the notes."""
    notes = notes_of(path, scale, SOFTWARE)
    exif = PIL.Image.Exif()
    exif.load(notes.exif)
    return exif, notes


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_exif_is_kept_but_for_what_is_true_no_more(ending, tmp_path):
    exif, notes = said(save(tmp_path / f"a.{ending}", exif=camera().tobytes()))
    assert exif[Base.Model] == "A model"
    assert exif[Base.Software] == SOFTWARE == notes.software
    assert not {Base.Orientation, Base.ImageWidth, Base.ImageLength, Base.StripOffsets} & exif.keys()
    inner = exif.get_ifd(IFD.Exif)
    assert inner[Base.DateTimeOriginal] == "2020:01:02 03:04:05"
    assert float(inner[Base.ExposureTime]) == pytest.approx(0.01)
    assert inner[Base.MakerNote] == bytes(range(100))
    assert inner[Base.ColorSpace] == 1  # answers are sRGB
    assert not {Base.ExifImageWidth, Base.ExifImageHeight} & inner.keys()
    assert exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] == (1.0, 2.0, 3.0)
    assert not exif.get_ifd(IFD.IFD1)  # the thumbnail
    artist = "Zoë © Имя" if ending != "tif" else "Zo?? ?? ??????"  # as Pillow has written it there
    assert exif[Base.Artist].encode("latin-1").decode() == artist
    assert notes.tags == {Base.Model: b"A model", Base.Artist: artist.encode()}


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "tif"])
def test_resolution_grows_with_the_picture(ending, tmp_path):
    _, notes = said(save(tmp_path / f"a.{ending}", dpi=(300, 150)), 8)
    assert notes.dpi == pytest.approx((2400, 1200), abs=0.2)


def test_resolution_that_is_none(tmp_path):
    assert said(save(tmp_path / "a.jpg"))[1].dpi is None
    for dots in ((0, 0), (1e9, 1e9)):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, picture(6, 9), resolution=dots, resolutionunit="INCH")
        assert said(path)[1].dpi is None


def test_sixteen_bit_files_that_pillow_cannot_open(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        picture(6, 9, 2).astype(np.uint16),
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"],
        resolution=(100, 100),
        resolutionunit="CENTIMETER",
        iccprofile=srgb_profile(),
        extratags=[(271, "s", 0, "A camera", True)],
    )
    with pytest.raises(OSError, match="identify"):
        PIL.Image.open(path)
    exif, notes = said(path)
    assert notes.dpi == pytest.approx((1016, 1016))
    assert notes.profile
    assert exif[Base.Make] == "A camera"


def test_a_profile_becomes_that_of_the_answer(tmp_path):
    other = io.BytesIO(PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()).getvalue()
    notes = said(save(tmp_path / "a.jpg", icc_profile=other))[1]
    assert notes.profile == srgb_profile()
    description = PIL.ImageCms.getProfileDescription(PIL.ImageCms.ImageCmsProfile(io.BytesIO(notes.profile)))
    assert "sRGB" in description
    assert said(save(tmp_path / "b.jpg"))[1].profile == b""
    assert said(save(tmp_path / "c.jpg", icc_profile=b"no profile"))[1].profile == b""


def test_texts_of_png(tmp_path):
    info = PngInfo()
    for keyword, text in {"Title": "Вид", "Software": "another", "srvae": "{}", "Author": "Somebody"}.items():
        info.add_itxt(keyword, text)
    path = save(tmp_path / "a.png", pnginfo=info)
    assert said(path)[1].texts == {"Title": "Вид", "Author": "Somebody"}


def test_too_much_exif_is_kept_in_part(tmp_path):
    exif = camera()
    exif[IFD.Exif] = {Base.MakerNote: bytes(70_000), Base.DateTimeOriginal: "2020:01:02 03:04:05"}
    kept, notes = said(save(tmp_path / "a.png", exif=exif.tobytes()))
    assert len(notes.exif) <= LARGEST_EXIF
    assert kept.get_ifd(IFD.Exif) == {Base.DateTimeOriginal: "2020:01:02 03:04:05"}


@pytest.mark.parametrize("block", [b"", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x05\x01", bytes(range(200))])
def test_damaged_exif_is_left_out(block, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(picture(6, 9)))
    save(path, exif=block)
    exif, notes = said(path)
    assert exif[Base.Software] == SOFTWARE
    assert notes.dpi is None


def test_the_profile_is_the_same_every_day(monkeypatch):
    profile = srgb_profile()
    assert profile[24:36] == bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))
    assert PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.creation_date.year == 2000


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tif"])
def test_mutated_files_end_as_documented(ending, tmp_path):
    """Whatever stands in a file, its header is read or refused, and its notes and words are found or not."""
    options = {} if ending == "bmp" else {"exif": camera().tobytes(), "icc_profile": srgb_profile()}
    whole = np.frombuffer(save(tmp_path / f"whole.{ending}", **options).read_bytes(), np.uint8)
    rng, path, refused = np.random.default_rng(7), tmp_path / f"a.{ending}", 0
    for _ in range(100):
        data = whole[: rng.integers(1, len(whole) + 1)].copy() if rng.random() < 0.5 else whole.copy()
        places = rng.integers(0, len(data), rng.integers(1, 4))
        data[places] = rng.integers(0, 256, len(places))
        path.write_bytes(data.tobytes())
        try:
            assert 0 < read_header(path).pixels <= sr.PIXEL_LIMIT
        except ValueError:
            refused += 1
        assert notes_of(path, 4, SOFTWARE).software == SOFTWARE
        assert words_of(path) in ("", SOFTWARE)
    assert 0 < refused < 100
