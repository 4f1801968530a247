"""Films: their size, their frames, and the walks that they show."""

import io
import re

import numpy as np
import PIL.Image
import pytest
from skimage import data

from srvae.viewer import animation
from srvae.viewer.animation import film, there_and_back


def frames(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """A photograph that a camera moves along."""
    photograph = data.coffee()
    return [np.ascontiguousarray(photograph[100 : 100 + height, 4 * i : 4 * i + width]) for i in range(count)]


def opened(content: bytes) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(content))


def frame_of(content: bytes, i: int) -> np.ndarray:
    picture = opened(content)
    picture.seek(i)
    return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize(("form", "off"), [("webp", 6), ("gif", 12)])
def test_a_film_shows_its_frames_again_and_again(form, off):
    content = film(frames(5), 60, form=form)
    picture = opened(content)
    assert (picture.format, picture.n_frames, picture.size) == (form.upper(), 5, (64, 48))
    assert picture.info["loop"] == 0
    for i, frame in enumerate(frames(5)):
        assert np.abs(frame_of(content, i) - frame).mean() < off


def test_a_gif_has_one_palette_of_the_colours_of_all_frames():
    flat = [np.full((20, 20, 3), colour, np.uint8) for colour in ((90, 90, 90), (250, 0, 0), (0, 0, 250))]
    content = film(flat, 60, form="gif")
    for i, frame in enumerate(flat):
        assert np.abs(frame_of(content, i) - frame).max() <= 8
    content = film(frames(6), 60, form="gif")
    colours = np.unique(np.concatenate([frame_of(content, i).reshape(-1, 3) for i in range(6)]), axis=0)
    assert 200 < len(colours) <= 256


def test_a_gif_keeps_rare_colours(monkeypatch):
    monkeypatch.setitem(animation.QUALITIES, "gif", (64,))
    pictures = frames(4, 192, 256)
    for picture in pictures:
        picture[:12, :12] = 60, 0, 250
    content = film(pictures, 60, form="gif")
    for i in range(4):
        assert np.abs(frame_of(content, i)[2:10, 2:10].mean((0, 1)) - (60, 0, 250)).max() < 12


def test_large_frames_are_reduced():
    content = film(frames(2, 280, 560), 60)
    assert opened(content).size == (512, 256)


@pytest.mark.parametrize("form", animation.FORMS)
def test_too_large_a_film_loses_quality_then_pixels_then_frames(form):
    pictures = frames(8, 96, 144)
    sizes = [len(film(pictures, 60, form=form))]
    made = []
    with pytest.raises(ValueError, match="the smallest film of these 8 frames has") as error:
        film(pictures, 60, form=form, limit=10)
    smallest = int(re.search(r"has (\d+) bytes, over 10$", str(error.value))[1])
    while sizes[-1] > smallest:
        content = film(pictures, 60, form=form, limit=sizes[-1] - 1)
        picture = opened(content)
        sizes.append(len(content))
        made.append((-picture.n_frames, -picture.width))
        picture.seek(1)
        picture.load()
        assert picture.info["duration"] * picture.n_frames == 8 * 60, "fewer frames last as long"
    assert made == sorted(made), "frames go last"
    assert made[0] == (-8, -144), "quality goes first"
    assert made[-1] == (-2, -128)
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("form", animation.FORMS)
def test_what_is_tried_comes_from_the_best_to_the_smallest(form):
    tried = list(animation.attempts(form, 9, 700))
    qualities = animation.QUALITIES[form]
    assert tried[: len(qualities)] == [(quality, 512, 1) for quality in qualities]
    least = qualities[-1]
    assert tried[len(qualities) :] == [(least, 384, 1), (least, 256, 1), (least, 192, 1), (least, 128, 1),
                                       (least, 128, 2), (least, 128, 4), (least, 128, 8)]  # fmt: skip
    assert list(animation.attempts(form, 2, 50)) == [(quality, 50, 1) for quality in qualities]


def test_what_makes_no_film_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="there are webp and gif"):
        film(frames(2), 60, form="mp4")
    with pytest.raises(ValueError, match="2 frames or more, and got 1"):
        film(frames(1), 60)
    with pytest.raises(ValueError, match="must be of one size, and these are of 2"):
        film([*frames(2), *frames(1, 40)], 60)


def test_a_walk_ends_one_step_from_where_it_began():
    assert there_and_back(12, 13, 0.25) == [12, 12.25, 12.5, 12.75, 13, 12.75, 12.5, 12.25]
    assert there_and_back(0.5, 0, 0.25) == [0.5, 0.25, 0, 0.25]
    assert there_and_back(3, 3, 0.1) == [3]
    assert there_and_back(0, 1, 0.4) == [0, 0.4, 0.8, 1, 0.8, 0.4]
    walk = there_and_back(997.1, 999, 0.05)
    assert len(walk) == 76
    assert all(round(seed, 2) == seed for seed in walk)
    assert max(abs(b - a) for a, b in zip(walk, [*walk[1:], walk[0]], strict=True)) < 0.050001
    for step in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="must be above 0"):
            there_and_back(0, 1, step)
