"""Films: animated pictures of a bounded size, and the walks that they show."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import PIL.Image

from .pictures import reduced

FORMS = ("webp", "gif")
LIMIT = 3_000_000  # bytes, which mail and web pages take
EDGES = (512, 384, 256, 192, 128)  # pixels a side at most: tried from the first to the last
# What is tried before the pixels become fewer: WebP's quality of 100, and the colours of a GIF.
QUALITIES = {"webp": (90, 75, 60, 45), "gif": (256, 128, 64)}
LEAST_FRAMES = 2  # that a film is made of
SHEET_FRAMES, SHEET_EDGE = 16, 64  # of the sheet that a GIF's colours are taken from: its frames, and pixels a side


def there_and_back(start: float, stop: float, step: float) -> list[float]:
    """The seeds of a walk that ends just before where it began, so that it can be repeated without a jump.

    Args:
        start: where the walk begins.
        stop: where it turns round; larger or smaller than start.
        step: between two seeds, above 0. The last one before the turn may be shorter.

    Returns:
        start, ..., stop, ..., and so on back to one step from the start; [start] where stop is the same.

    Raises:
        ValueError: the step is not above 0.
    """
    if not step > 0:
        raise ValueError(f"the step of a walk must be above 0, not {step}")
    count = int(np.ceil(round(abs(stop - start) / step, 6)))  # 1 / 0.05 is 20 steps, whatever floats say
    way = np.sign(stop - start) * step
    there = [round(float(start + i * way), 6) for i in range(count)]
    return [*there, float(stop), *there[:0:-1]] if there else [float(start)]


def film(
    frames: Sequence[np.ndarray],
    milliseconds: int,
    *,
    form: str = "webp",
    limit: int = LIMIT,
    edges: Sequence[int] = EDGES,
) -> bytes:
    """Frames as one animated picture that repeats without end.

    What is too large is tried again: first with less quality, then with fewer pixels, then with fewer frames, each of
    which is then shown longer. Encoding takes seconds where a film must become much smaller.

    Args:
        frames: two or more of one size, (H, W, 3) uint8. They are reduced by area to the first of the edges at most.
        milliseconds: that each frame is shown.
        form: "webp" or "gif".
        limit: bytes at most.
        edges: pixels a side at most, from the largest, which is tried first, to the smallest.

    Returns:
        the bytes of the file.

    Raises:
        ValueError: there is no such form, there are fewer than two frames or frames of several sizes, or even the
            smallest film is above the limit.
    """
    if form not in FORMS:
        raise ValueError(f"there is no film of the form {form!r}; there are {' and '.join(FORMS)}")
    if len(frames) < LEAST_FRAMES:
        raise ValueError(f"a film needs {LEAST_FRAMES} frames or more, and got {len(frames)}")
    if len(sizes := {frame.shape for frame in frames}) > 1:
        raise ValueError(f"the frames of a film must be of one size, and these are of {len(sizes)}")
    encode = _webp if form == "webp" else _gif
    for quality, edge, every in attempts(form, len(frames), max(frames[0].shape), edges):
        pictures = [PIL.Image.fromarray(reduced(frame, edge)) for frame in frames[::every]]
        content = encode(pictures, milliseconds * every, quality)
        if len(content) <= limit:
            return content
    raise ValueError(f"the smallest film of these {len(frames)} frames has {len(content)} bytes, over {limit}")


def attempts(form: str, count: int, side: int, edges: Sequence[int] = EDGES) -> Iterator[tuple[int, int, int]]:
    """What a film is tried with, from the best to the smallest: quality, pixels a side, one of how many frames is kept.

    Args:
        form: "webp" or "gif".
        count: of the frames.
        side: of a frame, the longer one, in pixels.
        edges: pixels a side at most, from the largest to the smallest.
    """
    qualities = QUALITIES[form]
    most = min(side, edges[0])
    edges = [most, *(edge for edge in edges if edge < most)]
    yield from ((quality, most, 1) for quality in qualities)
    yield from ((qualities[-1], edge, 1) for edge in edges[1:])
    every = 2
    while -(-count // every) >= LEAST_FRAMES:
        yield qualities[-1], edges[-1], every
        every *= 2


def _webp(pictures: list[PIL.Image.Image], milliseconds: int, quality: int) -> bytes:
    """An animated WebP; quality 0 to 100. The encoder drops a frame that nobody could tell from the one before."""
    target = io.BytesIO()
    first, *others = pictures
    options = {"duration": milliseconds, "loop": 0, "quality": quality}
    first.save(target, "webp", save_all=True, append_images=others, **options)
    return target.getvalue()


def _gif(pictures: list[PIL.Image.Image], milliseconds: int, colours: int) -> bytes:
    """An animated GIF whose frames share one palette: with a palette for each, flat places would flicker."""
    some = pictures[:: -(-len(pictures) // SHEET_FRAMES)]
    sheet = PIL.Image.fromarray(np.concatenate([reduced(np.asarray(picture), SHEET_EDGE) for picture in some]))
    # Its colours reach the rare ones, which a median cut would turn grey; k-means then moves them to the common ones.
    palette = sheet.quantize(colours, method=PIL.Image.Quantize.MAXCOVERAGE, kmeans=3)
    first, *others = (p.quantize(palette=palette, dither=PIL.Image.Dither.FLOYDSTEINBERG) for p in pictures)
    target = io.BytesIO()
    first.save(target, "gif", save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=False)
    return target.getvalue()
