"""Samples of one patch at both scales, their mean and spread beside the error, and the best that z could do.

fig = samples([draw_samples(4), draw_samples(8)])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

import srvae_core as sr
from srvae import csvfiles, metrics
from srvae.benchmarks.answers import SAMPLES_PER_IMAGE
from srvae.benchmarks.sets import bundled
from srvae.csvfiles import Row

from .crops import CROPS, crop_row, recorded
from .results import best_sample
from .sheet import Strip, add_bars, coloured, shared_colours, sheet

FIT_STEPS = 120
SHOWN = 4  # samples that the figure shows singly
PATCH_CORNER = (56, 160)  # top and left of the astronaut's face, in pixels of the original


@dataclass(frozen=True)
class Samples:
    """Samples of one 128x128 patch; pictures are (128, 128, 3) uint8.

    Attributes:
        model: its name, such as "4x-P".
        zero: the answer at z = 0.
        drawn: one picture for each seed 0, 1, ... at temperature 1.
        fitted: the picture of the z that comes nearest to the original.
        psnr: panel -> PSNR in dB.
        crop: the patch as data/crops.csv names it.
    """

    model: str
    hr: np.ndarray
    bicubic: np.ndarray
    zero: np.ndarray
    drawn: list[np.ndarray]
    fitted: np.ndarray
    psnr: dict[str, float]
    crop: str

    @property
    def rows(self) -> list[Row]:
        """The measured numbers as rows of data/crops.csv."""
        values = {(panel, "psnr"): value for panel, value in self.psnr.items()}
        values |= {
            ("deviation", "largest"): self.deviation.max(),
            ("deviation", "mean"): self.deviation.mean(),
            ("deviation", "correlation with the error"): np.corrcoef(self.deviation.ravel(), self.error.ravel())[0, 1],
            ("samples", "diversity"): metrics.diversity(self.drawn[:SAMPLES_PER_IMAGE], self.hr),
        }
        version = csvfiles.weights_version(self.model)
        picture = (f"samples_{int(self.model[0])}x", "bundled", "astronaut", self.crop)
        return [crop_row(*picture, *panel, f"{value:.4f}", version) for panel, value in values.items()]

    @property
    def mean(self) -> np.ndarray:
        """The mean picture, (128, 128, 3) uint8."""
        return mean_picture(self.drawn)

    @property
    def deviation(self) -> np.ndarray:
        """Per-pixel standard deviation over samples, averaged over RGB, in grey levels (128, 128)."""
        return np.std(np.stack(self.drawn).astype(np.float32), 0).mean(2)

    @property
    def error(self) -> np.ndarray:
        """Distance of the answer at z = 0 from the original, averaged over RGB, in grey levels (128, 128)."""
        return np.abs(self.zero.astype(np.float32) - self.hr).mean(2)


def mean_picture(pictures: list[np.ndarray]) -> np.ndarray:
    """The mean of uint8 pictures, rounded to uint8."""
    return np.rint(np.mean(pictures, 0)).astype(np.uint8)


def fit_latents(model: sr.SRVAE, lr: np.ndarray, hr: np.ndarray, steps: int = FIT_STEPS) -> torch.Tensor:
    """The z, (1, 1024), whose picture is nearest to the original in L1, by gradient descent through the decoder.

    Stands for the posterior's mean: the encoder is not shipped.

    Args:
        lr: one patch, (128/s, 128/s, 3) uint8.
        hr: (128, 128, 3) uint8.
        steps: of Adam.
    """
    torch.manual_seed(0)  # the same start, so the same figure
    up = sr.to_tensor(sr.enlarge(lr, model.scale))
    target = sr.to_tensor(hr)
    with torch.no_grad():  # features do not depend on z
        code = model.input_code(model.features(up))
    # exactly zero lies on a corner of ip4's ReLU, where the gradient may vanish
    z = (0.01 * torch.randn(1, sr.LATENTS)).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.02)
    for _ in range(steps):
        loss = (model.reconstruct(code, model.latent_map(z), up) - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return z.detach()


def draw_samples(
    scale: int,
    *,
    model_name: str | None = None,
    count: int = 16,
    steps: int = FIT_STEPS,
    model: sr.SRVAE | None = None,
) -> Samples:
    """Samples of a patch of the astronaut's face at temperature 1, and the picture of the fitted z.

    Args:
        scale: 4 or 8.
        model_name: such as "4x-D"; by default the variant whose samples at temperature 1 have the lower NIQE.
        count: how many samples mean and deviation are of.
        steps: of the fit.
        model: the model of that name, where it is loaded already.

    Raises:
        ValueError: fewer samples than the figure shows.
        NotMeasuredError: data/results.csv cannot say which variant it is.
    """
    if count < SHOWN:
        raise ValueError(f"the figure shows {SHOWN} samples, so count must be at least that, not {count}")
    if model_name is None:
        variant, _ = best_sample(scale, loss=math.inf, only=1.0)
        model_name = f"{scale}x-{variant[-1]}"
    model = model or sr.load_model(model_name)
    s = model.scale
    hr, lr, crop = _patch(s)
    sampler = sr.Sampler(model, lr)
    drawn = [sampler(seed, 1.0) for seed in range(count)]
    z = fit_latents(model, lr, hr, steps)
    # the sampler computes z = temperature * 0.1 * g * eps, so this eps gives back the fitted z
    fitted = sampler(temperature=1.0, eps=z / (sr.PRIOR_SD * sampler.field.g))
    bicubic, zero = sr.enlarge(lr, s), sampler(0, 0.0)
    pictures = {"Bicubic": bicubic, "z = 0": zero, "fitted z": fitted}
    pictures |= {f"sample {i + 1}": picture for i, picture in enumerate(drawn)}
    pictures["mean"] = mean_picture(drawn)
    psnr = {name: metrics.fidelity(picture, hr, s)["psnr"] for name, picture in pictures.items()}
    return Samples(model_name, hr, bicubic, zero, drawn, fitted, psnr, crop)


def _patch(scale: int) -> tuple[np.ndarray, np.ndarray, str]:
    """The patch of the figure: (128, 128, 3), its LR image, and its name in data/crops.csv."""
    whole = bundled("astronaut")
    top, left = (n // scale for n in PATCH_CORNER)
    n = sr.PATCH // scale
    # cut from the LR image of the whole photograph, so that no border is seen in it
    lr = np.ascontiguousarray(sr.downscale(whole, scale)[top : top + n, left : left + n])
    hr = np.ascontiguousarray(whole[top * scale :, left * scale :][: sr.PATCH, : sr.PATCH])
    return hr, lr, f"{sr.PATCH}x{sr.PATCH}+{left * scale}+{top * scale}"


def samples(drawn: Sequence[Samples] | None = None, crops_file: Path = CROPS) -> Figure:
    """Samples, their mean, the fitted z (what z can carry at least), and maps of spread and error; two rows a scale.

    All maps have one scale of colours, so that they compare.

    Args:
        drawn: from :func:`draw_samples`, each with at least :data:`SHOWN` samples; those of both scales by default.
        crops_file: where the numbers are read from.

    Raises:
        ValueError: there are fewer samples.
        NotMeasuredError: as :func:`draw_samples`.
    """
    drawn = [draw_samples(scale) for scale in sr.SCALES] if drawn is None else drawn
    for d in drawn:
        if len(d.drawn) < SHOWN:
            raise ValueError(f"the figure shows {SHOWN} samples, not {len(d.drawn)}")
    colours = shared_colours([values for d in drawn for values in (d.deviation, d.error)])
    fig = sheet([strip for d in drawn for strip in _strips(d, colours, crops_file)])
    add_bars(fig, colours)
    return fig


def _strips(d: Samples, colours: ScalarMappable, crops_file: Path) -> tuple[Strip, Strip]:
    """Single pictures; then what all samples say together, with a place left for the bar of colours."""
    rows = d.rows

    def words(panel: str, title: str, note: str) -> str:
        value = recorded(rows, panel, path=crops_file)
        return f"{title}\n{note}\n" + ("" if value is None else f"{value:.2f} dB")

    single = {words("Bicubic", "Bicubic", f"{d.model.partition('-')[0]} larger"): d.bicubic}
    single[words("z = 0", f"{d.model}, z = 0", "temperature 0")] = d.zero
    for i in range(SHOWN):
        single[words(f"sample {i + 1}", f"{d.model}, sample {i + 1}", "temperature 1")] = d.drawn[i]
    together = {
        words("mean", f"mean of {len(d.drawn)} samples", "temperature 1"): d.mean,
        words("fitted z", "fitted z", "to the original"): d.fitted,
        "original": d.hr,
        f"spread of {len(d.drawn)} samples\ntemperature 1\ngrey levels": coloured(d.deviation, colours),
        "error of z = 0\ntemperature 0\ngrey levels": coloured(d.error, colours),
        "": None,
    }
    return tuple(Strip([*panels.values()], [*panels]) for panels in (single, together))
