"""What a model is asked for: the settings of an evaluation, and the answers to one image with them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

import srvae_core as sr
from srvae import release

SAMPLES_PER_IMAGE = 10  # where the temperature is given and not zero
# Of these the VGG distance looks at so many: it takes as long as a sample, and varies little from one to another.
VGG_SAMPLES = 3


@dataclass(frozen=True)
class Request:
    """How a model is asked for its answer.

    Attributes:
        temperature: of the latents; None is the model's own.
        as_float: score float32 that is neither clipped nor rounded, in the place of 8-bit output.
        self_ensemble: average over the 8 flips and rotations.
        release: the release's way, 128x128 tiles at stride 64 without back-projection.
    """

    temperature: float | None = None
    as_float: bool = False
    self_ensemble: bool = False
    release: bool = False

    @property
    def samples(self) -> int:
        """How many answers an image gets: several where they are random draws."""
        return SAMPLES_PER_IMAGE if self.temperature else 1

    @property
    def work(self) -> int:
        """About how much computing this is, in tenths of an answer at default settings; for the progress bar."""
        turns = 8 if self.self_ensemble else 1
        # encoding takes seven tenths of an answer, decoding three; overlapping tiles take as long as 2.5 answers
        return turns * (25 if self.release else 7 + 3 * self.samples)


WALK_TEMPERATURES = (0, 0.25, 0.5, 0.75, 1.25, 1.5)  # those besides 1, for the walk from distortion to perception
# The names stand in data/results.csv, so they stay as they are.
SETTINGS: dict[str, Request] = {
    "default": Request(),
    "unrounded": Request(as_float=True),
    "temperature 1": Request(temperature=1.0),
    "self-ensemble": Request(self_ensemble=True),
    "release tiling": Request(release=True, as_float=True),
    **{f"temperature {t:g}": Request(temperature=t) for t in WALK_TEMPERATURES},
    "release tiling, self-ensemble": Request(release=True, as_float=True, self_ensemble=True),
}
# Evaluation goes round by round, what matters most first. Settings of one round share what they can.
ROUNDS = (
    ("default", "unrounded", "temperature 1"),
    ("self-ensemble", "release tiling"),
    tuple(f"temperature {t:g}" for t in WALK_TEMPERATURES),
    ("release tiling, self-ensemble",),
)


def plan(dataset: str) -> list[str]:
    """The settings that a set is evaluated with unless told otherwise.

    Every set gets what the tables show: the answer, the same unrounded, and samples at temperature 1. The walk over
    temperatures is taken on the bundled photographs, which are large enough for NIQE. Self-ensemble and the
    release's way are 8 to 20 times slower. They are taken on Set5, for which the release prints its figures.
    """
    rounds = {"bundled": (0, 2), "Set5": (0, 1, 3)}.get(dataset, (0,))
    return [name for i in rounds for name in ROUNDS[i]]


class Answers:
    """A model's answers to one LR image with different settings; the image is encoded once for those that share it.

    Args:
        model: from :func:`srvae_core.load_model`.
        lr: (H, W, 3) uint8, uint16 or float in [0, 1].

    Attributes:
        sampler: the encoded image; None until an answer needs it.
    """

    def __init__(self, model: sr.SRVAE, lr: np.ndarray) -> None:
        self.model, self.lr = model, lr
        self.sampler: sr.Sampler | None = None
        self._encoding_seconds = 0.0

    def __call__(self, request: Request) -> tuple[list[np.ndarray], float]:
        """As many answers as the request wants, with the seeds 0, 1, ...

        Returns:
            The answers, (s*H, s*W, 3) of the LR image's dtype or float32, and the seconds of one answer from
            nothing: encoding, and decoding the first.
        """
        start = time.perf_counter()
        options = {"temperature": request.temperature, "as_float": request.as_float}
        if request.release or request.self_ensemble:  # these encode something else: tiles, turned images
            if request.release:
                answer = release.super_resolve(self.lr, self.model, self_ensemble=request.self_ensemble, **options)
            else:
                answer = release.self_ensemble(self.lr, self.model, **options)
            return [answer], time.perf_counter() - start
        if self.sampler is None:
            self.sampler = sr.Sampler(self.model, self.lr)
            self.sampler.encoded(self.sampler.rect)
            self._encoding_seconds = time.perf_counter() - start
            start = time.perf_counter()
        if request.temperature is None:
            options["temperature"] = self.model.temperature
        first = self.sampler(0, **options)
        seconds = self._encoding_seconds + time.perf_counter() - start
        return [first, *(self.sampler(seed, **options) for seed in range(1, request.samples))], seconds
