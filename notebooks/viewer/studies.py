"""What takes many samples: their spread, pixel by pixel, and nine of them to choose from.

Both are generators for :class:`~viewer.pace.Pace`: they yield the seconds after which to go on.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import metrics
import numpy as np

from .controls import GALLERY, Controls
from .pictures import encode
from .scene import STEP_PAUSE, Scene, Steps
from .settings import SEEDS, Settings

VISIBLE = 1.0  # grey levels: samples that differ by less on average do not answer to a person's eye
THUMBNAIL = 256  # pixels: width of the pictures to choose from, at most


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


def measure_spread(controls: Controls, scene: Scene, settings: Settings, show: Callable[[np.ndarray], None]) -> Steps:
    """The standard deviation over samples.

    Args:
        controls: ``count`` says how many samples, ``progress`` and ``spread`` are written to.
        scene: draws the samples.
        settings: the samples' own, but for the seed: they are seeds 0, 1, 2 and so on.
        show: called with the deviation, (H, W) in grey levels, from the second sample on.

    Raises:
        ValueError: at temperature 0, in the first step.
    """
    if not settings.temperature:
        raise ValueError("at temperature 0 there is only one answer: raise the temperature")
    spread, samples = metrics.Spread(), []
    controls.progress.value, controls.progress.max = 0, controls.count.value
    for seed in range(controls.count.value):
        samples.append((yield from scene.sample_in_steps(settings.with_seed(seed), scene.region(settings))))
        spread.add(samples[-1])
        controls.progress.value = spread.count
        if spread.count > 1:
            deviation = spread.deviation
            controls.spread.value = describe_spread(spread.count, deviation)  # no verdict before the end
            show(deviation)
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
        settings: the samples' own, but for the seed: they are the next nine.
        gallery: gets the settings of each thumbnail, in the place of what is there.
    """
    controls.progress.value, controls.progress.max = 0, GALLERY
    region = scene.region(settings)
    for i, (thumbnail, pick) in enumerate(zip(controls.thumbnails, controls.picks, strict=True)):
        seed = (settings.seed + 1 + i) % (SEEDS + 1)
        picture = scene.sample(settings.with_seed(seed), region, draft=True)
        shrink = min(1, THUMBNAIL / picture.shape[1])
        small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        thumbnail.value = encode(small, "jpeg")
        gallery[i] = controls.settings | {"seed": seed, "walk": 0.0}
        pick.description, pick.tooltip, pick.disabled = f"Sample {seed}", f"Take sample {seed}", False
        controls.progress.value = i + 1
        yield STEP_PAUSE
