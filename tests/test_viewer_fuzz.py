"""PNG files with settings that strangers bring: whatever is in them, only the documented error comes, and soon."""

import base64
import copy
import io
import json
import os
import random
import struct
import tracemalloc
import zlib

import numpy as np
import PIL.Image
import pytest

from fuzzing import damaged, with_checksums
from srvae import viewer
from srvae.viewer import files, pictures, settings
from viewer_helpers import cat, lowres

COUNT = 800  # mutated files of each kind
SIGNATURE = b"\x89PNG\r\n\x1a\n"
LR = np.ascontiguousarray(lowres()[:5, :4])
REGION = {"left": 1, "top": 0, "width": 2, "height": 3, "temperature": 0.4, "seed": 7.25, "amounts": [0.0] * 8}
PLAIN = {"image": "mine.png", "model": "4x-D", "temperature": 1.0, "seed": 3.05}  # settings as JSON has them
PLAIN |= {"left": "bicubic", "left_seed": 1.0, "share": 0.5, "zoom": 1.5, "across": 0.5, "down": 0.5}
PLAIN |= dict.fromkeys(settings.DIRECTIONS, 0.0)
PLAIN |= {"regions": [REGION, REGION | {"amounts": [0.5], "width": 1}]}
PLAIN |= {"best": {"temperature": 0.5, "seed": 4.0, "amounts": [1.5], "regions": [REGION]}}
PLAIN |= {"work_across": 0.5, "work_down": 0.5}
VALUES = settings.checked(PLAIN)
# What earlier files have in the place of some of them.
OLD = {name: value for name, value in PLAIN.items() if name not in ("regions", "best", "work_across", "work_down")}
OLD |= {"seed": 3, "to_seed": 4, "walk": 0.25, "left_seed": 1, "zoom": 2}
STRANGE = (None, True, -1, 0, 1, 1.5, 1e308, 2**70, "", "z = 0", "\x00", "\ud800", [], [[]], {}, {"a": 1}, "A" * 300)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The bytes of a PNG as the view saves it, with its LR image."""
    path = tmp_path_factory.mktemp("saved") / "saved.png"
    files.save_png(path, files.png_bytes(np.ascontiguousarray(cat()[:6, :5]), VALUES, "1+2", LR, keep_lr=True))
    return path.read_bytes()


def chunks_of(png):
    """The chunks of a PNG file: (kind, data)."""
    chunks, at = [], len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_of(chunks):
    """The PNG file of some chunks, with lengths and checksums that are right."""
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
             for kind, data in chunks]  # fmt: skip
    return SIGNATURE + b"".join(parts)


def of_bytes(png, rng):
    """The file's bytes; half the time the checksums are right again."""
    data = damaged(rng, png, [png])
    return with_checksums(data) if rng.random() < 0.5 else data


def of_chunks(png, rng):
    """Chunks that come in another order, twice, not at all, as another kind or with other data; checksums are right."""
    chunks = chunks_of(png)
    for _ in range(rng.randint(1, 3)):
        i = rng.randrange(len(chunks))
        kind, data = chunks[i]
        match rng.randrange(5):
            case 0:
                chunks.insert(rng.randrange(len(chunks) + 1), chunks[i])
            case 1 if len(chunks) > 1:
                del chunks[i]
            case 2:
                other = rng.choice([b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"acTL", b"fcTL", b"eXIf", b"pHYs", b"IDAT"])
                chunks[i] = other, rng.choice([data, b"srvae\0\0" + zlib.compress(data), b"srvae\0\0\0\0\0" + data])
            case _:
                chunks[i] = kind, damaged(rng, data, [png])
    return png_of(chunks)


def with_text(png, text):
    """The file with another text of settings."""
    data = files.KEYWORD.encode() + b"\0" + text.encode("latin-1", "replace")
    return png_of([(kind, data if kind == b"tEXt" else old) for kind, old in chunks_of(png)])


def of_text(png, rng):
    """The text of the settings, a character or so."""
    return with_text(png, damaged(rng, files.text_of(png).encode(), [b'{"seed": [1e9']).decode("latin-1"))


def of_values(png, rng):
    """What the text says: keys and values, by strange ones."""
    about = json.loads(files.text_of(png))
    for _ in range(rng.randint(1, 2)):
        target = rng.choice([about, about["settings"]]) if isinstance(about.get("settings"), dict) else about
        key = rng.choice([*target, "settings", "more"])
        if rng.random() < 0.2:
            target.pop(key, None)
        else:
            target[key] = copy.deepcopy(rng.choice(STRANGE))
    return with_text(png, json.dumps(about))


def of_parts(png, rng):
    """The parts of the regions and of the best sample, by strange ones."""
    about = json.loads(files.text_of(png))
    values = about["settings"]
    strange = [*STRANGE, 0.25, 2, REGION, [REGION] * 65, [0.5] * 9, [True], [0.5, 1]]
    parts = [values["best"], *values["best"]["regions"], *values["regions"]]
    for part in rng.sample(parts, rng.randint(1, 2)):
        key = rng.choice([*part, "more"])
        if rng.random() < 0.1:
            part.pop(key, None)
        else:
            part[key] = copy.deepcopy(rng.choice(strange))
    if rng.random() < 0.1:
        values["regions"] = rng.choice([values["regions"] * 20, values["regions"] * 40, [], [[REGION]]])
    return with_text(png, json.dumps(about))


def of_old_files(png, rng):
    """Settings as earlier files have them, some by strange ones."""
    values = copy.deepcopy(OLD)
    for _ in range(rng.randint(0, 2)):
        key = rng.choice(["seed", "to_seed", "walk", *values])
        values[key] = copy.deepcopy(rng.choice([*STRANGE, 3, 4, 5, 0.5]))
        if rng.random() < 0.1:
            del values[key]
    return with_text(png, json.dumps(json.loads(files.text_of(png)) | {"settings": values}))


def of_images(png, rng):
    """The LR image that goes along: its bytes or chunks, or its base64."""
    about = json.loads(files.text_of(png))
    image = base64.b64decode(about["image"])
    image = rng.choice([of_bytes, of_chunks])(image, rng)
    text = base64.b64encode(image)
    about["image"] = (damaged(rng, text, [png]) if rng.random() < 0.1 else text).decode("latin-1")
    return with_text(png, json.dumps(about))


@pytest.mark.parametrize("mutate", [of_bytes, of_chunks, of_text, of_values, of_parts, of_old_files, of_images])
@pytest.mark.filterwarnings("error")  # a warning would be one that nobody sees
def test_mutated_files_are_read_or_refused(saved, tmp_path, mutate):
    path, rng, read = tmp_path / "mine.png", random.Random(14), 0
    for i in range(COUNT):
        content = mutate(saved, rng)
        path.write_bytes(content)
        try:
            result = files.load_png(path)
        except ValueError:
            continue
        except Exception as error:
            pytest.fail(f"file {i} of {mutate.__name__} ({content[:400]!r} ...): {error!r}")
        read += 1
        assert settings.checked(result.settings) == result.settings
        assert settings.checked(json.loads(json.dumps(settings.plain(result.settings)))) == result.settings
        assert result.settings.keys() == VALUES.keys()
        assert result.lr is None or (result.lr.dtype == np.uint8 and result.lr.shape[2:] == (3,))
    assert 0 < read < COUNT, "the files are neither all refused nor all read"


def nested(depth):
    return '{"settings": ' + "[" * depth + "]" * depth + "}"


def large_image(width, height):
    """A PNG of one colour, as base64: small, and large when it is decoded."""
    target = io.BytesIO()
    PIL.Image.new("1", (width, height)).save(target, "png")
    return base64.b64encode(target.getvalue()).decode()


def text_about(**changes):
    return json.dumps({"settings": PLAIN, "lr": files.digest(LR), "weights": "1+2"} | changes)


TEXTS = {
    "no JSON": ("", "are damaged"),
    "a number without end": ('{"settings": ' + "9" * 5000 + "}", "are damaged"),
    "brackets without end": (nested(100_000), "are damaged: they are nested too deeply"),
    "no object": ("[1]", "are no JSON object"),
    "nothing in it": ("{}", "settings and lr and weights must be there"),
    "settings of another kind": (text_about(settings=[1]), "settings must be there"),
    "a digest of another kind": (text_about(lr=1), "lr must be there"),
    "weights of another kind": (text_about(weights=None), "weights must be there"),
    "an image of another kind": (text_about(image=None), "image must be there"),
    "no base64": (text_about(image="~~~~"), "are damaged"),
    "base64 beyond ASCII": (text_about(image="ä"), "are damaged"),
    "no image": (text_about(image="AAAA"), "no image that can be read"),
    "a large image": (text_about(image=large_image(30_000, 30_000)), "30000x30000 pixels"),
    "an image of too many pixels": (text_about(image=large_image(257, 256)), "257x256 pixels"),
    "a missing setting": (text_about(settings={"seed": 1}), "they lack across, best, direction 1"),
    "not a number": (text_about(settings=PLAIN | {"temperature": float("nan")}), "temperature is nan"),
    "infinite": (text_about(settings=PLAIN | {"direction 8": float("-inf")}), "direction 8 is -inf"),
    "out of range": (text_about(settings=PLAIN | {"seed": 1000}), "seed is 1000"),
    "true for a number": (text_about(settings=PLAIN | {"zoom": True}), "zoom is True"),
    "a seed beyond the line": (text_about(settings=PLAIN | {"seed": 999.01}), "seed is 999.01"),
    "too many regions": (text_about(settings=PLAIN | {"regions": [REGION] * 9999}), "may be 64 at most"),
    "a region without a side": (
        text_about(settings=PLAIN | {"regions": [REGION, REGION | {"width": 0}]}),
        "regions: number 2, width is 0",
    ),
    "a region with half a sample": (text_about(settings=PLAIN | {"regions": [REGION | {"top": 0.5}]}), "top is 0.5"),
    "a region of other parts": (text_about(settings=PLAIN | {"regions": [{"seed": 1}]}), "must be a dict of left, top"),
    "a best sample of another kind": (text_about(settings=PLAIN | {"best": [REGION]}), "best is "),
    "amounts without end": (
        text_about(settings=PLAIN | {"best": PLAIN["best"] | {"amounts": [0.0] * 9999}}),
        "best, amounts is .* a list of at most 8 numbers",
    ),
    "an old walk between strangers": (
        text_about(settings=OLD | {"to_seed": 9}),
        "25% of a walk from sample 3 to sampl",
    ),
    "an old walk that is none": (text_about(settings=OLD | {"walk": float("nan")}), "walk is nan"),
    "an old seed that is none": (text_about(settings=OLD | {"to_seed": []}), "to_seed is "),
    "half an old walk": (text_about(settings=PLAIN | {"walk": 0.0}), "no such settings: walk"),
    "a long text": (text_about(more="x" * files.TEXT_LIMIT), "its text has"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_hostile_texts_are_refused_in_one_sentence(saved, tmp_path, kind):
    text, words = TEXTS[kind]
    path = tmp_path / "mine.png"
    path.write_bytes(with_text(saved, text))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=words) as error:
            files.load_png(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(str(error.value)) < 400
    assert peak < 2e6 + 6 * path.stat().st_size, "memory is a few times the file"


def test_compressed_texts_do_not_fill_the_memory(saved, tmp_path):
    bomb = b"srvae\0\0" + zlib.compress(b" " * 2**27)
    for kind, data in ((b"zTXt", bomb), (b"iTXt", b"srvae\0\1\0\0\0" + bomb[7:]), (b"iCCP", bomb)):
        path = tmp_path / "mine.png"
        path.write_bytes(png_of([(kind, data) if old == b"tEXt" else (old, rest) for old, rest in chunks_of(saved)]))
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="holds no settings"):
                files.load_png(path)
            assert tracemalloc.get_traced_memory()[1] < 8e6
        finally:
            tracemalloc.stop()


def test_the_picture_is_not_decoded_for_its_settings(saved, tmp_path):
    """However large it claims to be, and however little of it is there."""
    chunks = chunks_of(saved)
    header = struct.pack(">II", 2**31 - 1, 2**31 - 1) + chunks[0][1][8:]
    path = tmp_path / "mine.png"
    path.write_bytes(png_of([(chunks[0][0], header), *chunks[1:]]))
    assert files.load_png(path).settings == VALUES
    path.write_bytes(saved[: saved.index(b"IDAT") + 6])
    assert files.load_png(path).settings == VALUES


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        files.load_png(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match="is no file"):
        files.load_png(tmp_path / "folder.png")
    if os.name == "posix":  # others, such as /dev/zero, have no end
        (tmp_path / "device.png").symlink_to(os.devnull)
        with pytest.raises(ValueError, match="is no file"):
            files.load_png(tmp_path / "device.png")
    for content in (b"", SIGNATURE, b"no image", pictures.encode(cat(), "jpeg"), pictures.encode(cat(), "png")):
        (tmp_path / "mine.png").write_bytes(content)
        with pytest.raises(ValueError, match="holds no settings"):
            files.load_png(tmp_path / "mine.png")


def test_the_view_says_what_is_wrong_and_stays_as_it_is(saved, tmp_path):
    view = viewer.View({"cat": cat()}, scale=4, models=["4x-D"])
    before, frame, rng = view.settings, view.frame.copy(), random.Random(14)
    view.path.value = str(tmp_path / "mine.png")
    for _ in range(40):
        (tmp_path / "mine.png").write_bytes(of_values(saved, rng))
        try:
            files.load_png(tmp_path / "mine.png")
        except ValueError:
            view.load.click()
            assert 'role="alert"' in view.error.value
            assert view.settings == before
            assert view.image.options == ("cat",)
            assert np.array_equal(view.frame, frame)
