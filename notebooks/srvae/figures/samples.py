"""Samples of one patch at both scales, their mean, spread and error, and the best fit of z."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

import srvae_core as sr
from srvae import metrics
from srvae.benchmarks.sets import bundled

from .sheet import Strip, add_bars, coloured, shared_colours, sheet

FIT_STEPS = 120
SHOWN = 4  # single samples in the figure
TOP, LEFT = 56, 160  # of the astronaut's face, in pixels of the original


@dataclass(frozen=True)
class Samples:
    """Samples of one patch; pictures are (128, 128, 3) uint8."""

    model: str  # its name, such as "4x-P"
    hr: np.ndarray
    bicubic: np.ndarray
    zero: np.ndarray  # the answer at z = 0
    drawn: list[np.ndarray]  # one sample for each seed 0, 1, ... at temperature 1
    fitted: np.ndarray  # from the z of :func:`fit_latents`

    @property
    def mean(self) -> np.ndarray:
        """The mean of the samples, (128, 128, 3) uint8."""
        return np.rint(np.mean(self.drawn, 0)).astype(np.uint8)

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviation of the samples at each pixel, averaged over RGB, in grey levels (128, 128)."""
        return np.std(np.stack(self.drawn).astype(np.float32), 0).mean(2)

    @property
    def error(self) -> np.ndarray:
        """The absolute error of the answer at z = 0, averaged over RGB, in grey levels (128, 128)."""
        return np.abs(self.zero.astype(np.float32) - self.hr).mean(2)


def fit_latents(model: sr.SRVAE, lr: np.ndarray, hr: np.ndarray, steps: int = FIT_STEPS) -> torch.Tensor:
    """Return the z, (1, 1024), whose picture is nearest to the original in L1, by gradient descent.

    It stands in for the mean of the posterior, since the encoder is not shipped.

    Args:
        lr, hr: one patch, (128/s, 128/s, 3) and (128, 128, 3) uint8.
        steps: number of steps of Adam.
    """
    torch.manual_seed(0)
    up = sr.to_tensor(sr.enlarge(lr, model.scale))
    target = sr.to_tensor(hr)
    with torch.no_grad():  # features do not depend on z
        code = model.input_code(model.features(up))
    # Not exactly zero: there ip4's ReLU has a corner, and the gradient may vanish.
    z = (0.01 * torch.randn(1, sr.LATENTS, device="cpu")).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.02)
    for _ in range(steps):
        loss = (model.reconstruct(code, model.latent_map(z), up) - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return z.detach()


def draw_samples(scale: int, count: int = 16, steps: int = FIT_STEPS) -> Samples:
    """Draw samples of the astronaut's face from P, at temperature 1.

    Args:
        scale: 4 or 8.
        count: number of samples, at least :data:`SHOWN`.
        steps: number of steps of the fit.
    """
    name = f"{scale}x-P"
    model, whole = sr.load_model(name), bundled("astronaut")
    top, left, edge = TOP // scale, LEFT // scale, sr.PATCH // scale
    # The patch is cut from the LR image of the whole photograph, so that it has no border.
    lr = np.ascontiguousarray(sr.downscale(whole, scale)[top : top + edge, left : left + edge])
    hr = np.ascontiguousarray(whole[TOP:, LEFT:][: sr.PATCH, : sr.PATCH])
    sampler = sr.Sampler(model, lr)
    drawn = [sampler(seed, 1.0) for seed in range(count)]
    z = fit_latents(model, lr, hr, steps)
    # The sampler computes z = temperature * 0.1 * g * eps.
    fitted = sampler(temperature=1.0, eps=z / (sr.PRIOR_SD * sampler.field.g))
    return Samples(name, hr, sr.enlarge(lr, scale), sampler(0, 0.0), drawn, fitted)


def samples(drawn: Sequence[Samples] | None = None) -> Figure:
    """Draw samples of :func:`draw_samples`, their mean, the fitted z, and maps of spread and error on one scale."""
    drawn = [draw_samples(scale) for scale in sr.SCALES] if drawn is None else drawn
    colours = shared_colours([values for d in drawn for values in (d.deviation, d.error)])
    fig = sheet([strip for d in drawn for strip in _strips(d, colours)])
    add_bars(fig, colours)
    return fig


def _strips(d: Samples, colours: ScalarMappable) -> list[Strip]:
    """Return a strip of single pictures, and one of what all samples give, with a place for the colour bar."""
    scale, spread = int(d.model[0]), f"spread of {len(d.drawn)} samples\ntemperature 1\ngrey levels"
    single = {f"Bicubic\n{scale}x larger": d.bicubic, f"{d.model}, z = 0\ntemperature 0": d.zero}
    single |= {f"{d.model}, sample {i + 1}\ntemperature 1": d.drawn[i] for i in range(SHOWN)}
    together = {f"mean of {len(d.drawn)} samples\ntemperature 1": d.mean, "fitted z\nto the original": d.fitted}
    others = {"original": d.hr, spread: coloured(d.deviation, colours)}
    others |= {"error of z = 0\ntemperature 0\ngrey levels": coloured(d.error, colours), "": None}

    def scored(row: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {f"{words}\n{metrics.psnr_y(picture, d.hr, scale):.2f} dB": picture for words, picture in row.items()}

    return [Strip([*row.values()], [*row]) for row in (scored(single), scored(together) | others)]
