"""What takes many samples: their spread, pixel by pixel, nine of them to choose from, and walks from one to the next.

All are generators for :class:`~viewer.pace.Pace`: they yield the seconds after which to go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

import srvae_core as sr
from srvae import metrics

from .animation import EDGES, film, there_and_back
from .controls import Controls
from .pages import GALLERY
from .pictures import encode, magnify, reduced
from .scene import STEP_PAUSE, Scene, Steps
from .settings import COMPARISON, LOOK, SEED, SEEDS, Settings
from .sliders import SEED_STEP

VISIBLE = 1.0  # grey levels: samples that differ by less on average do not answer to a person's eye
THUMBNAIL = 256  # pixels a side of the pictures to choose from, at most
FILM_EDGE = 256  # pixels a side that a film of something small is magnified to, if whole pixels allow
FRAME = 50  # milliseconds that a frame of a film is shown: a sample a second
PLAY_PAUSE = FRAME / 1000  # seconds between two moves of the slider while it plays
ONE_ANSWER = "at temperature 0 there is only one answer: raise the temperature"


def describe_spread(
    count: int,
    deviation: np.ndarray,
    *,
    temperature: float = 0.0,
    diversity: float | None = None,
    visible: float = VISIBLE,
) -> str:
    """What many samples say about the picture, in words.

    Args:
        count: of the samples.
        deviation: (H, W), their standard deviation in grey levels.
        temperature: that they were drawn at, for a verdict on samples that hardly differ; 0 gives none.
        diversity: in per cent, where there is an original.
        visible: grey levels that a person sees.
    """
    text = f"{count} samples differ by {deviation.mean():.2f} grey levels on average, {deviation.max():.1f} at most"
    if diversity is not None:
        text += f"; diversity {diversity:.1f} %"
    # below temperature 1, a small spread is what was asked for
    if temperature >= 1 and deviation.mean() < visible:
        text += ". The picture hardly changes: these weights make little of their latents"
    return text


def measure_spread(
    controls: Controls, scene: Scene, settings: Settings, show: Callable[[np.ndarray, sr.Rect], None]
) -> Steps:
    """The standard deviation over samples.

    Args:
        controls: ``count`` says how many samples, ``progress`` and ``spread`` are written to.
        scene: draws the samples.
        settings: the samples' own, but for the seed: they are seeds 0, 1, 2 and so on.
        show: called with the deviation, (H, W) in grey levels, and where it is of, from the second sample on.

    Raises:
        ValueError: at temperature 0, in the first step.
    """
    if not settings.temperature:
        raise ValueError(ONE_ANSWER)
    spread, samples, region = metrics.Spread(), [], scene.region(settings)
    controls.progress.value, controls.progress.max = 0, controls.count.value
    for seed in range(controls.count.value):
        samples.append((yield from scene.sample_in_steps(settings.with_seed(seed), region)))
        spread.add(samples[-1])
        controls.progress.value = spread.count
        if spread.count > 1:
            deviation = spread.deviation
            controls.spread.value = describe_spread(spread.count, deviation)  # no verdict before the end
            show(deviation, region)
        yield STEP_PAUSE
    whole = scene.original is not None and settings.zoom == 1
    controls.spread.value = describe_spread(
        spread.count,
        deviation,
        temperature=settings.temperature,
        diversity=metrics.diversity(samples, scene.original) if whole else None,
    )


def draw_gallery(controls: Controls, scene: Scene, settings: Settings, gallery: list[dict[str, object]]) -> Steps:
    """Nine more samples of what is zoomed to, as thumbnails to click on.

    Args:
        controls: ``thumbnails``, ``picks`` and ``progress`` are written to.
        scene: draws the samples.
        settings: the samples' own, but for the seed: they are the next nine whole samples.
        gallery: gets the settings of each thumbnail, in the place of what is there.
    """
    controls.progress.value, controls.progress.max = 0, GALLERY
    region = scene.region(settings)
    # what they show: where one looks, and what one compares with, are left alone when one is taken
    shown = {name: value for name, value in controls.settings.items() if name not in (*LOOK, *COMPARISON)}
    for i, (thumbnail, pick) in enumerate(zip(controls.thumbnails, controls.picks, strict=True)):
        seed = (math.floor(settings.seed) + 1 + i) % (SEEDS + 1)
        picture = scene.sample(settings.with_seed(seed), region, draft=True)
        thumbnail.value = encode(reduced(picture, THUMBNAIL), "jpeg")
        gallery[i] = shown | {"seed": float(seed)}
        pick.description, pick.tooltip, pick.disabled = f"Sample {seed}", f"Take sample {seed}", False
        controls.progress.value = i + 1
        yield STEP_PAUSE


def record_film(
    controls: Controls, scene: Scene, settings: Settings, form: str, keep: Callable[[bytes, str], None]
) -> Steps:
    """A film of a walk along the samples, there and back, of what is zoomed to.

    Args:
        controls: ``length`` says how many samples the walk goes on for, ``progress`` is written to.
        scene: draws the frames, as drafts.
        settings: the first frame's. Where the last seed is too near, the walk goes to smaller ones.
        form: one of :data:`~viewer.animation.FORMS`.
        keep: called at the end with the film and a name for its file.

    Raises:
        ValueError: at temperature 0, in the first step; or the film is too large, in the last.
    """
    if not settings.temperature:
        raise ValueError(ONE_ANSWER)
    stop = settings.seed + controls.length.value
    if stop > SEED.high:
        stop = settings.seed - controls.length.value
    walk = there_and_back(settings.seed, stop, SEED_STEP)
    region, drawn = scene.region(settings), {}
    controls.progress.value, controls.progress.max = 0, len(set(walk)) + 1  # the last step is the film's own
    for seed in walk:
        if seed in drawn:  # on the way back
            continue
        picture = scene.sample(settings.with_seed(seed), region, draft=True)
        small = reduced(picture, EDGES[0])  # a film has no more, and many large ones would fill the memory
        drawn[seed] = magnify(small, max(1, FILM_EDGE // max(small.shape)))
        controls.progress.value = len(drawn)
        yield STEP_PAUSE
    content = yield from _in_background(film, [drawn[seed] for seed in walk], FRAME, form=form)
    controls.progress.value = controls.progress.max
    keep(content, f"samples-{settings.seed:g}-to-{stop:g}.{form}")


def _in_background(work: Callable[..., bytes], *args: object, **options: object) -> Generator[float, None, bytes]:
    """What takes seconds and cannot be cut into steps, in a thread of its own; moves can come meanwhile."""
    pool = ThreadPoolExecutor(1)
    try:
        future = pool.submit(work, *args, **options)
        while wait([future], timeout=STEP_PAUSE).not_done:
            yield STEP_PAUSE
        return future.result()
    finally:
        pool.shutdown(wait=False)  # where the study was cancelled, nobody waits for the film


def play(controls: Controls, step: Callable[[], None]) -> Steps:
    """Walk along the samples until cancelled: a small step of the seed's slider every frame, back and forth.

    Args:
        controls: ``seed`` is moved; at either end it turns round.
        step: called after each move to show its draft. The caller sees to it that neither this nor the slider's own
            handler ends the study.

    Raises:
        ValueError: at temperature 0, in the first step.
    """
    if not controls.temperature.value:
        raise ValueError(ONE_ANSWER)
    way = SEED_STEP
    while True:
        seed = controls.seed.value  # read anew, since a person may have moved it
        if not SEED.low <= seed + way <= SEED.high:
            way = -way
        controls.seed.value = round(seed + way, 4)
        step()
        yield PLAY_PAUSE
