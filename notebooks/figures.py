"""The figures: those of the paper, and those that a paper on sampling wants. One function each.

    python notebooks/figures.py                   # all of them, into data/figures
    python notebooks/figures.py network samples   # some of them

Figures with scores only draw what data/results.csv holds. Those that show pictures compute them from the
shipped models with fixed seeds and crops; this command also measures the crops, into data/crops.csv, and it is from
there that figures take the numbers beside them. What is committed shows scikit-image's photographs only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.ticker import MultipleLocator
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the core, where it is not installed
import benchmarks  # noqa: E402

import srvae_core as sr  # noqa: E402

FIGURES = ROOT / "data" / "figures"
CROPS = ROOT / "data" / "crops.csv"
CROP_COLUMNS = ("figure", "set", "image", "crop", "panel", "measure", "value", "version")
WIDTH = 8.8  # inches; at 100 dots per inch the width that a README shows
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 200,
}
# Okabe and Ito's colours, which the colour-blind can tell apart: one for each method, everywhere.
COLOURS = {"Bicubic": "#666666", "SR-VAE-D": "#0072B2", "SR-VAE-P": "#D55E00", "sample": "#009E73", "HR": "#000000"}
PEER_COLOURS = ("#CC79A7", "#E69F00", "#56B4E9", "#F0E442")


def colour(method: str, peers: list[str] | tuple[str, ...] = ()) -> str:
    """A method's colour; other methods take theirs in the order of their names."""
    if method in COLOURS:
        return COLOURS[method]
    return PEER_COLOURS[sorted(peers).index(method) % len(PEER_COLOURS)] if method in peers else "#000000"


# ---------------------------------------------------------------------------------------------------------
# Numbers beside pictures: data/crops.csv
# ---------------------------------------------------------------------------------------------------------


def record(rows: list[benchmarks.Row]) -> None:
    """Put measured numbers into data/crops.csv, in the place of those of the same pictures in the same figure.

    Numbers of weights that are not shipped any more leave the file.
    """
    shipped = {"", *(benchmarks.version(name) for name in sr.available_models())}
    replaced = {_picture(r) for r in rows}
    old = [r for r in benchmarks.read_csv(CROPS) if r["version"] in shipped and _picture(r) not in replaced]
    benchmarks.write_csv(CROPS, sorted([*old, *rows], key=_picture), CROP_COLUMNS)


def recorded(rows: list[benchmarks.Row], panel: str, measure: str = "psnr") -> float | None:
    """What data/crops.csv holds for a panel of ``rows``: the same figure, crop and weights; None if nothing."""
    wanted = next((_but_value(r) for r in rows if (r["panel"], r["measure"]) == (panel, measure)), None)
    found = (r["value"] for r in benchmarks.read_csv(CROPS) if _but_value(r) == wanted)
    return next(map(float, found), None)


def labelled(words: str, rows: list[benchmarks.Row], panel: str) -> str:
    """A panel's title: its PSNR follows the words where data/crops.csv has it."""
    value = recorded(rows, panel)
    return words if value is None else f"{words}, {value:.2f} dB"


def _picture(row: benchmarks.Row) -> tuple[str, ...]:
    return row["figure"], row["set"], row["image"]


def _but_value(row: benchmarks.Row) -> tuple[str, ...]:
    return tuple(row[name] for name in CROP_COLUMNS if name != "value")


# ---------------------------------------------------------------------------------------------------------
# 1. network
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Traced:
    """One layer as a forward pass met it."""

    name: str
    operation: str
    shape: tuple[int, ...]  # of its output, without the batch


def trace(scale: int) -> dict[str, Traced]:
    """Every layer of the live network by name, from forward passes over shapes alone (torch's meta device)."""
    with torch.device("meta"):
        net = sr.SRVAE(scale, encoder=True)
        up, z = torch.empty(1, 3, sr.PATCH, sr.PATCH), torch.empty(1, sr.LATENTS)
    found: dict[str, Traced] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple, torch.Tensor], None]:
        def hook(module: nn.Module, _: tuple, output: torch.Tensor) -> None:
            found[name] = Traced(name, _operation(module), tuple(output.shape[1:]))

        return hook

    for name, module in net.named_children():
        module.register_forward_hook(keep(name))
    net.encode(up, up)
    net.generator(up)
    found["SR"] = Traced("SR", "", tuple(net(up, z).shape[1:]))
    return found


def _operation(module: nn.Module) -> str:
    if isinstance(module, nn.Linear):
        return f"fc {module.in_features}→{module.out_features}"
    if isinstance(module, nn.PReLU):
        return "PReLU"
    kind = "deconv" if isinstance(module, nn.ConvTranspose2d) else "conv"
    k, s = module.kernel_size[0], module.stride[0]
    return f"{kind} {k}×{k}" + (f" /{s}" if s > 1 else "")


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


PARTS = {"features": "#56B4E9", "encoder": "#CC79A7", "generator": "#E69F00", "decoder": "#009E73", "loss": "#999999"}


def network(scale: int = 4) -> Figure:
    """The architecture in the order of the paper's drawing, every shape traced from the live :class:`SRVAE`."""
    t = trace(scale)
    fig = plt.figure(figsize=(WIDTH, 7.4))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(-0.1, 7.3))
    ax.axis("off")
    width, height, gap = 0.8, 0.56, 0.135

    def box(x: float, y: float, lines: list[str], part: str, w: float = width) -> None:
        ax.add_patch(
            FancyBboxPatch((x, y), w, height, "round,pad=0,rounding_size=0.06", fc=PARTS[part] + "38", ec=PARTS[part])
        )
        ax.text(x + w / 2, y + height / 2, "\n".join(lines), ha="center", va="center", fontsize=6.9, linespacing=1.25)

    def arrow(a: tuple[float, float], b: tuple[float, float], style: str = "arc3", dashed: bool = False) -> None:
        line = {
            "arrowstyle": "-|>",
            "lw": 0.8,
            "color": "#444444",
            "connectionstyle": style,
            "shrinkA": 0,
            "shrinkB": 0,
        }
        ax.annotate("", b, a, arrowprops=line | {"linestyle": "--" if dashed else "-"})

    def title(y: float, words: str, part: str) -> None:
        ax.text(0.1, y, words, fontsize=8, fontweight="bold", color="black", va="bottom")
        ax.add_patch(Rectangle((0.1, y - 0.035), WIDTH - 0.2, 0.018, fc=PARTS[part], ec="none"))

    def row(y: float, start: float, names: list[str], part: str) -> float:
        """Boxes from left to right; returns the right end."""
        x = start
        for i, name in enumerate(names):
            box(x, y, [name, t[name].operation, _size(t[name].shape)], part)
            if i:
                arrow((x - gap, y + height / 2), (x, y + height / 2))
            x += width + gap
        return x - gap

    def incoming(x: float, y: float, words: str, w: float = width) -> None:
        ax.text(x + w / 2, y + height / 2, words, ha="center", va="center", fontsize=6.9)
        arrow((x + w - 0.02, y + height / 2), (x + w + gap, y + height / 2))

    first, second = 0.1, 0.1 + width + gap
    patch = _size((3, sr.PATCH, sr.PATCH))
    deepest = [name for name in t if name.startswith("feat")]
    code = _size(t[deepest[-1]].shape)

    y = 6.25
    title(y + 0.68, "Feature extractor (one set of weights for both images)", "features")
    incoming(first, y, f"LR enlarged, x\nor HR, y\n{patch}")
    row(y, second, deepest, "features")

    y = 5.1
    title(y + 0.68, "Encoder q(z | x, y), training only", "encoder")
    pool = "\n2×2 max pool" if scale == 4 else ""
    incoming(first, y, f"features of\nx and y,\nconcat{pool}")
    end = row(y, second, ["encoder1", "encoder2", "encoder3", "ip1", "ip2", "ip3"], "encoder")
    box(end + gap, y, ["μ, log σ", f"{sr.LATENTS} each"], "encoder")
    arrow((end, y + height / 2), (end + gap, y + height / 2))

    y = 3.95
    title(y + 0.68, "Generator g(x): what shapes the noise", "generator")
    incoming(first, y, f"LR enlarged, x\n{patch}")
    end = row(y, second, ["generator1", "generator2"], "generator")
    box(end + gap, y, ["mvn", "mean 0, sd 1", _size(t["generator2"].shape)], "generator")
    arrow((end, y + height / 2), (end + gap, y + height / 2))
    x = end + gap + width
    arrow((x, y + height / 2), (x + gap, y + height / 2))
    box(
        x + gap,
        y,
        ["training: z = μ + σ · g(x) · ε", f"test: z = temperature · {sr.PRIOR_SD} · g(x) · ε", "ε ~ N(0, 1)"],
        "generator",
        2.5,
    )

    y = 2.8
    title(y + 0.68, "Decoder p(y | x, z)", "decoder")
    ax.text(first + width / 2, y + height / 2, f"z\n{sr.LATENTS}", ha="center", va="center", fontsize=6.9)
    arrow((first + width - 0.02, y + height / 2), (second, y + height / 2))
    end = row(y, second, ["ip4", "ip5", "ip6", "decoder1"], "decoder")
    low = y - height - 0.16
    incoming(second + width + gap, low, f"features of x\n{code}")
    row(low, second + 2 * (width + gap), ["input1", "input2"], "decoder")
    middle = y - (height + 0.16) / 2
    units = sum(name.startswith("relu_output") for name in t)
    w, space = (width, gap) if units == 2 else (0.69, 0.085)  # three units need a tighter row
    x = end + 2 * gap
    joined = (t["input2"].shape[0] + t["decoder1"].shape[0], *t["input2"].shape[1:])
    box(x, middle, ["concat", "PReLU", _size(joined)], "decoder", w)
    arrow((end, y + height / 2), (x, middle + height * 0.7))
    arrow((end, low + height / 2), (x, middle + height * 0.3))
    rest = [[f"unit {s}", "×2", _size(t[f"relu_output_SR_s{s}"].shape)] for s in range(1, units + 1)]
    for words in [*rest, ["SR_res", t["SR_res"].operation, "+ x → SR"]]:
        arrow((x + w, middle + height / 2), (x + w + space, middle + height / 2))
        x += w + space
        box(x, middle, words, "decoder", w)

    y = 0.95
    title(y + 0.68, "Up back-projection unit s = 1", "decoder")
    names = ["conv1_SR_s1", "local_output_SR_s1", "conv2_SR_s1", "conv3_SR_s1", "local_conv1_SR_s1"]
    x = first
    for name in names:
        box(x, y, [name, t[name].operation, _size(t[name].shape)], "decoder", 1.02)
        x += 1.02 + 0.06
    ax.text(
        x + 0.04,
        y + height / 2,
        "h = PReLU(conv1(in))\ne = local_output(in) − PReLU(conv2(h))\nout = PReLU(local_conv1(h) + PReLU(conv3(e)))",
        fontsize=6.9,
        va="center",
    )

    y = 0.08
    box(first, y, ["VGG-19", "average pooling", "(loss only)"], "loss", 1.02)
    ax.text(
        first + 1.12,
        y + height / 2,
        "SR and HR enter; their features are compared in training. conv k×k /2: stride 2.\n"
        "Where the paper's drawing differs from the released prototxts, the prototxts hold: "
        "concatenation, not addition;\n"
        f"6×6 strided convolutions, not 3×3; {t['generator1'].shape[0]} outputs of generator1, not 1024; "
        f"{units} back-projection units at {scale}x;\nthe enlarged LR image, not the small one, enters everywhere.",
        fontsize=6.9,
        va="center",
    )
    return fig


# ---------------------------------------------------------------------------------------------------------
# 2. table
# ---------------------------------------------------------------------------------------------------------


def table(published: list[benchmarks.Row] | None = None, results: list[benchmarks.Row] | None = None) -> Figure:
    """The paper's table and, beneath each scale, this project's rows; the best of each column is bold."""
    published = benchmarks.read_csv(benchmarks.PUBLISHED) if published is None else published
    results = benchmarks.read_csv(benchmarks.RESULTS) if results is None else results
    tables = {scale: benchmarks.paper_table(scale, published, results) for scale in sr.SCALES}
    lines = sum(len(rows) + 3 for rows in tables.values()) + 1
    step = 0.185
    fig = plt.figure(figsize=(WIDTH, lines * step))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(lines, 0))
    ax.axis("off")
    left, cell = 1.55, (WIDTH - 1.6) / 15

    def rule(y: float, weight: float = 0.8) -> None:
        ax.plot([0.05, WIDTH - 0.05], [y, y], color="black", lw=weight)

    y = 0.15
    for scale, rows in tables.items():
        best = benchmarks.best_values(rows)
        rule(y, 1.2)
        ax.text(0.1, y + 0.6, f"{scale}x", va="center", fontweight="bold")
        ax.text(0.1, y + 1.6, "method", va="center", fontsize=7)
        for i, dataset in enumerate(benchmarks.TABLE_SETS):
            ax.text(left + (3 * i + 1.5) * cell, y + 0.6, dataset, ha="center", va="center", fontweight="bold")
            for j, name in enumerate(("PSNR", "SSIM", "PI")):
                ax.text(left + (3 * i + j + 0.5) * cell, y + 1.6, name, ha="center", va="center", fontsize=7)
        y += 2.2
        rule(y)
        ours = False
        for method, row in rows.items():
            if method.endswith(benchmarks.HERE) and not ours:
                rule(y, 0.5)
                ours = True
            ax.text(0.1, y + 0.5, method, va="center", fontsize=7.5, color=colour(method.removesuffix(benchmarks.HERE)))
            for i, dataset in enumerate(benchmarks.TABLE_SETS):
                for j, text in enumerate(row.get(dataset, ())):
                    weight = "bold" if text and text == best[dataset, j] else "normal"
                    place = left + (3 * i + j + 0.5) * cell, y + 0.5
                    ax.text(*place, text or "–", ha="center", va="center", fontsize=7, fontweight=weight)
            y += 1
        rule(y, 1.2)
        y += 0.8
    note = "(here): measured by this project at default settings. PI needs Ma's score, which cannot be had. Bold: best."
    ax.text(0.1, y - 0.2, note, fontsize=7, va="center")
    return fig


# ---------------------------------------------------------------------------------------------------------
# 3. comparison_4x, comparison_8x
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A picture and the square of it that a comparison shows: top, left and edge in pixels of the original,
    multiples of the scale."""

    dataset: str
    image: str
    title: str
    top: int
    left: int
    edge: int = 64


SCENES = {
    ("bundled", 4): (
        Scene("bundled", "astronaut", "astronaut", 340, 136),
        Scene("bundled", "motorcycle_left", "motorcycle", 160, 392),
        Scene("bundled", "coffee", "coffee", 248, 328),
    ),
    ("bundled", 8): (
        Scene("bundled", "chelsea", "chelsea", 80, 144, 96),
        Scene("bundled", "astronaut", "astronaut", 64, 176, 96),
        Scene("bundled", "motorcycle_left", "motorcycle", 296, 328, 96),
    ),
    ("benchmarks", 4): (
        Scene("Set5", "img_005", "woman", 0, 60),
        Scene("Set14", "img_014", "zebra", 60, 260),
        Scene("BSD100", "img_041", "21077", 120, 200),
        Scene("Urban100", "img_002", "img002", 240, 320),
    ),
    ("benchmarks", 8): (
        Scene("BSD100", "img_026", "160068", 48, 56, 96),
        Scene("Set14", "img_005", "comic", 80, 64, 96),
        Scene("Urban100", "img_073", "city (img073)", 240, 240, 96),
    ),
}


@dataclass(frozen=True)
class Comparison:
    """A scene's original and crops: panel -> (edge, edge, 3) uint8, and panel -> PSNR of that crop in dB."""

    scene: Scene
    scale: int
    sampled: str  # the variant that the sample is of
    hr: np.ndarray
    crops: dict[str, np.ndarray]
    psnr: dict[str, float]

    def named(self, panel: str) -> str:
        """A panel's name in data/crops.csv: that of a sample says of what."""
        return f"sample of {self.sampled}" if panel == "sample" else panel

    @property
    def rows(self) -> list[benchmarks.Row]:
        """The measured numbers as rows of data/crops.csv."""
        s, found = self.scene, []
        for panel, value in self.psnr.items():
            of = self.sampled if panel == "sample" else panel
            panel = self.named(panel)
            version = benchmarks.version(f"{self.scale}x-{of[-1]}") if of.startswith("SR-VAE") else ""
            crop = f"{s.edge}x{s.edge}+{s.left}+{s.top}"
            head = (f"comparison_{self.scale}x", s.dataset, s.image, crop, panel, "psnr", f"{value:.4f}", version)
            found.append(dict(zip(CROP_COLUMNS, head, strict=True)))
        return found


def models(scale: int) -> dict[str, sr.SRVAE]:
    """The shipped models of a scale: "SR-VAE-D" and, where it is shipped, "SR-VAE-P"."""
    names = [name for name in sr.available_models() if name.startswith(f"{scale}x-")]
    return {f"SR-VAE-{name[3:]}": sr.load_model(name) for name in names}


def compare(scale: int, images: str = "bundled", peers: dict[str, str] | None = None) -> list[Comparison]:
    """What a comparison shows: bicubic, peers, every shipped model at z = 0, one sample (seed 0) and the original.

    Args:
        scale: 4 or 8.
        images: "bundled", or "benchmarks" for the paper's pictures.
        peers: name -> folder of another method's answers (see :func:`benchmarks.peer_answer`); a peer that lacks
            one of the sets is left out.

    Raises:
        benchmarks.SetMissingError: an image cannot be had.
    """
    shipped, scenes = models(scale), SCENES[images, scale]
    whole = {n: f for n, f in (peers or {}).items() if all(Path(f, s.dataset, f"x{scale}").is_dir() for s in scenes)}
    found = []
    for scene in scenes:
        hr, lr = benchmarks.pair(scene.dataset, scene.image, scale)
        window = slice(scene.top, scene.top + scene.edge), slice(scene.left, scene.left + scene.edge)
        region = (scene.top // scale, scene.left // scale, scene.edge // scale, scene.edge // scale)
        crops = {"Bicubic": sr.enlarge(lr, scale)[window]}
        for name, folder in whole.items():
            crops[name] = benchmarks.peer_answer(Path(folder), scene.dataset, scale, scene.image)[window]
        for sampled, model in shipped.items():  # the last is P where it is shipped
            view = sr.Sampler(model, lr, cache=False)  # without a cache it only computes the region
            crops[sampled] = view(temperature=model.temperature, region=region)
        crops["sample"] = view(seed=0, temperature=1.0, region=region)
        luma = benchmarks.luma
        psnr = {name: sr.psnr_y(luma(crop), luma(hr[window]), 0) for name, crop in crops.items()}
        crops = {name: np.ascontiguousarray(crop) for name, crop in (crops | {"HR": hr[window]}).items()}
        found.append(Comparison(scene, scale, sampled, hr, crops, psnr))
    return found


def comparison(compared: list[Comparison]) -> Figure:
    """One scene a row: the picture with the crop marked, and the crops of all methods with their recorded PSNR."""
    peers = [name for name in compared[0].crops if name not in COLOURS]
    columns = -(-len(compared[0].crops) // 2)
    crop = min(1.9, 6.0 / columns)
    fig = plt.figure(figsize=(WIDTH, len(compared) * 2 * (crop + 0.2)), layout="constrained")
    grid = fig.add_gridspec(2 * len(compared), 1 + columns, width_ratios=[WIDTH - columns * crop, *[crop] * columns])
    for i, c in enumerate(compared):
        ax = fig.add_subplot(grid[2 * i : 2 * i + 2, 0])
        show(ax, c.hr, c.scene.title)
        s = c.scene
        ax.add_patch(Rectangle((s.left - 0.5, s.top - 0.5), s.edge, s.edge, fill=False, ec="yellow", lw=1.5))
        rows = c.rows
        for j, (name, picture) in enumerate(c.crops.items()):
            label = f"sample of {c.sampled[-1]}" if name == "sample" else name
            ax = fig.add_subplot(grid[2 * i + j // columns, 1 + j % columns])
            show(ax, picture, labelled(label, rows, c.named(name)), colour(name, peers))
    return fig


def comparison_4x(images: str = "bundled", peers: dict[str, str] | None = None) -> Figure:
    """:func:`comparison` at 4x."""
    return comparison(compare(4, images, peers))


def comparison_8x(images: str = "bundled", peers: dict[str, str] | None = None) -> Figure:
    """:func:`comparison` at 8x."""
    return comparison(compare(8, images, peers))


def show(ax: Axes, picture: np.ndarray, title: str, edge: str = "#000000", **options: object) -> None:
    """A picture with its pixels sharp, its title above and a border in its method's colour."""
    ax.imshow(picture, interpolation="nearest", **options)
    ax.set_title(title, pad=3)
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=edge, linewidth=1.5)


# ---------------------------------------------------------------------------------------------------------
# 4. samples
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """Samples of one 128x128 patch; pictures are (128, 128, 3) uint8."""

    model: str
    hr: np.ndarray
    bicubic: np.ndarray
    zero: np.ndarray  # z = 0
    drawn: list[np.ndarray]
    fitted: np.ndarray
    psnr: dict[str, float]  # by panel
    crop: str

    @property
    def rows(self) -> list[benchmarks.Row]:
        """The measured numbers as rows of data/crops.csv."""
        values = {(panel, "psnr"): value for panel, value in self.psnr.items()}
        values |= {
            ("deviation", "largest"): self.deviation.max(),
            ("deviation", "mean"): self.deviation.mean(),
            ("samples", "diversity"): sr.diversity(self.drawn[: benchmarks.SAMPLES], self.hr),
        }
        version, found = benchmarks.version(self.model), []
        for (panel, measure), value in values.items():
            row = ("samples", "bundled", "astronaut", self.crop, panel, measure, f"{value:.4f}", version)
            found.append(dict(zip(CROP_COLUMNS, row, strict=True)))
        return found

    @property
    def mean(self) -> np.ndarray:
        return np.rint(np.mean(self.drawn, 0)).astype(np.uint8)

    @property
    def deviation(self) -> np.ndarray:
        """Per-pixel standard deviation over samples, averaged over RGB, in grey levels (128, 128)."""
        return np.std(np.stack(self.drawn).astype(np.float32), 0).mean(2)


def fit_latents(model: sr.SRVAE, lr: np.ndarray, hr: np.ndarray, steps: int = 120) -> torch.Tensor:
    """The z, (1, 1024), whose picture is nearest to the original in L1, by gradient descent through the decoder.

    Stands for the posterior's mean: the encoder is not shipped.

    Args:
        lr: one patch, (128/s, 128/s, 3) uint8.
        hr: (128, 128, 3) uint8.
    """
    torch.manual_seed(0)
    up = sr.to_tensor(sr.enlarge(lr, model.scale))
    target = sr.to_tensor(hr)
    with torch.no_grad():
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


def draw_samples(model_name: str | None = None, *, count: int = 16, steps: int = 120) -> Samples:
    """Samples of a patch of the astronaut's face at temperature 1, and the picture of the fitted z.

    Args:
        model_name: for ``load_model``; None takes 4x-P, or 4x-D where P is not shipped.
        count: how many samples mean and deviation are of.
        steps: of the fit.
    """
    if model_name is None:
        model_name = "4x-P" if "4x-P" in sr.available_models() else "4x-D"
    model = sr.load_model(model_name)
    s, n = model.scale, sr.PATCH // model.scale
    hr = benchmarks.bundled("astronaut")
    top, left = 56 // s, 160 // s
    lr = np.ascontiguousarray(sr.downscale(hr, s)[top : top + n, left : left + n])
    hr = np.ascontiguousarray(hr[top * s :, left * s :][: sr.PATCH, : sr.PATCH])
    view = sr.Sampler(model, lr)
    drawn = [view(seed, 1.0) for seed in range(count)]
    z = fit_latents(model, lr, hr, steps)
    with torch.inference_mode():
        g = sr.LatentField(model, sr.to_tensor(lr), eight_bit=True).g
    fitted = view(temperature=1.0, eps=z / (sr.PRIOR_SD * g))
    bicubic, zero = sr.enlarge(lr, s), view(0, 0.0)
    pictures = {"Bicubic": bicubic, "z = 0": zero, "fitted z": fitted}
    pictures |= {f"sample {i + 1}": d for i, d in enumerate(drawn)}
    pictures["mean"] = np.rint(np.mean(drawn, 0)).astype(np.uint8)
    psnr = {name: benchmarks.fidelity(p, hr, s)["psnr"] for name, p in pictures.items()}
    crop = f"{sr.PATCH}x{sr.PATCH}+{left * s}+{top * s}"
    return Samples(model_name, hr, bicubic, zero, drawn, fitted, psnr, crop)


def samples(drawn: Samples | None = None) -> Figure:
    """Samples of one crop, their mean and per-pixel standard deviation, and the fitted z as the upper bound."""
    d = draw_samples() if drawn is None else drawn
    rows = d.rows
    fig, axes = plt.subplots(2, 5, figsize=(WIDTH, 4.15), layout="constrained")
    variant = f"SR-VAE-{d.model.split('-')[-1]}"
    panels = [
        ("Bicubic", d.bicubic, "Bicubic"),
        ("z = 0", d.zero, variant),
        *[(f"sample {i + 1}", d.drawn[i], "sample") for i in range(3)],
        ("sample 4", d.drawn[3], "sample"),
        ("mean", d.mean, "sample"),
        ("deviation", d.deviation, "sample"),
        ("fitted z", d.fitted, variant),
        ("HR", d.hr, "HR"),
    ]
    for ax, (name, picture, method) in zip(axes.flat, panels, strict=True):
        if name == "deviation":
            largest = recorded(rows, "deviation", "largest")
            label = "std" if largest is None else f"std: 0 to {largest:.1f} of 255"
            show(ax, picture, label, colour(method), cmap="cividis", vmin=0)
        else:
            label = f"mean of {len(d.drawn)}" if name == "mean" else name
            show(ax, picture, labelled(label, rows, name), colour(method))
    fig.suptitle(f"{d.model} at temperature 1", fontsize=9)
    return fig


# ---------------------------------------------------------------------------------------------------------
# 5. temperature
# ---------------------------------------------------------------------------------------------------------

MEASURES = {
    "psnr": "PSNR (dB)",
    "lr_psnr": "LR-PSNR (dB)",
    "niqe": "NIQE (lower is better)",
    "diversity": "diversity (%)",
}
LINES = {4: ("-", "o"), 8: ("--", "s")}


def temperature_of(settings: str) -> float | None:
    """The temperature that a results row's settings name; None for settings that name none."""
    head, _, value = settings.partition(" ")
    return float(value) if head == "temperature" else None


def walk(
    results: list[benchmarks.Row], method: str, scale: int, dataset: str, measure: str
) -> list[tuple[float, float]]:
    """(temperature, value) in order, as far as the results have it; one answer alone has no diversity: 0."""
    points = []
    for r in results:
        t = temperature_of(r["settings"])
        if t is None or (r["method"], r["scale"], r["set"]) != (method, str(scale), dataset):
            continue
        if value := r[measure] or ("0" if measure == "diversity" else ""):
            points.append((t, float(value)))
    return sorted(points)


def temperature(results: list[benchmarks.Row] | None = None, dataset: str = "bundled") -> Figure:
    """The perception-distortion walk: four scores against the temperature, for every variant and scale."""
    results = benchmarks.read_csv(benchmarks.RESULTS) if results is None else results
    if not any(r["set"] == dataset and temperature_of(r["settings"]) for r in results):
        raise LookupError(_missing(dataset))
    fig, axes = plt.subplots(2, 2, figsize=(WIDTH, 5.0), sharex=True, layout="constrained")
    for ax, (measure, words) in zip(axes.flat, MEASURES.items(), strict=True):
        for method in ("SR-VAE-D", "SR-VAE-P"):
            for scale, (line, marker) in LINES.items():
                if points := walk(results, method, scale, dataset, measure):
                    x, y = zip(*points, strict=True)
                    ax.plot(x, y, line, marker=marker, ms=4, color=COLOURS[method], label=f"{method} {scale}x")
        if not ax.lines:
            ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center")
        ax.set_title(words, loc="left")
        ax.grid(alpha=0.3)
    for ax in axes[1]:
        ax.set_xlabel("temperature (0: deterministic, 1: the prior)")
        ax.xaxis.set_major_locator(MultipleLocator(0.25))
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return fig


# ---------------------------------------------------------------------------------------------------------
# 6. quality_vs_time
# ---------------------------------------------------------------------------------------------------------

MARKERS = {
    "default": ("o", "whole tiling"),
    "self-ensemble": ("s", "whole tiling, self-ensemble"),
    "release tiling": ("^", "release tiling"),
    "release tiling, self-ensemble": ("D", "release tiling, self-ensemble"),
}


def quality_vs_time(results: list[benchmarks.Row] | None = None, dataset: str = "Set5") -> Figure:
    """PSNR against seconds per megapixel of the answer; peers, whose time is not known, as lines."""
    results = benchmarks.read_csv(benchmarks.RESULTS) if results is None else results
    chosen = [r for r in results if r["set"] == dataset and r["settings"] in (*MARKERS, "files")]
    if all(r["method"] == "Bicubic" for r in chosen):
        raise LookupError(_missing(dataset))
    peers = sorted({r["method"] for r in chosen if r["settings"] == "files"})
    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.6), layout="constrained")
    for ax, scale in zip(axes, sr.SCALES, strict=True):
        for r in chosen:
            if r["scale"] == str(scale) and r["settings"] == "files":
                ax.axhline(float(r["psnr"]), color=colour(r["method"], peers), ls=":", label="_" + r["method"])
            elif r["scale"] == str(scale):
                marker, _ = MARKERS[r["settings"]]
                ax.plot(float(r["seconds"]), float(r["psnr"]), marker, ms=7, color=colour(r["method"]), mec="white")
        ax.set(xscale="log", xlabel="seconds per megapixel of the answer")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_title(f"{dataset} {scale}x, PSNR (dB)", loc="left")
        ax.grid(alpha=0.3, which="both")
    methods = sorted({r["method"] for r in chosen if r["settings"] != "files"})
    handles = [plt.Line2D([], [], color=colour(m), lw=4, label=m) for m in methods]
    handles += [plt.Line2D([], [], color=colour(p, peers), ls=":", label=f"{p} (time unknown)") for p in peers]
    used = {r["settings"] for r in chosen if r["method"] != "Bicubic"}
    handles += [
        plt.Line2D([], [], color="#444444", ls="", marker=m, label=words)
        for name, (m, words) in MARKERS.items()
        if name in used
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=4)
    return fig


def _missing(dataset: str) -> str:
    return (
        f"data/results.csv lacks this figure's rows of {dataset}: "
        f"run python notebooks/benchmarks.py evaluate --sets {dataset}"
    )


# ---------------------------------------------------------------------------------------------------------
# All of them
# ---------------------------------------------------------------------------------------------------------

ALL: dict[str, Callable[[], Figure]] = {
    "network": network,
    "network_8x": lambda: network(8),
    "table": table,
    "comparison_4x": comparison_4x,
    "comparison_8x": comparison_8x,
    "samples": samples,
    "temperature": temperature,
    "quality_vs_time": quality_vs_time,
}
PDF = ("network", "network_8x", "table")


def save(fig: Figure, path: Path) -> None:
    """Write a figure without the date, so that the same figure is the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, metadata={"CreationDate": None} if path.suffix == ".pdf" else {"Software": None})


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(ALL)}")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=FOLDER", help="for the comparisons")
    parser.add_argument("--folder", type=Path, default=FIGURES)
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in ALL]:
        parser.error(f"no figure {unknown[0]!r}; there are: {', '.join(ALL)}")
    peers = dict(p.split("=", 1) for p in options.peer)
    matplotlib.use("agg")
    for name in options.names or ALL:
        with plt.rc_context(STYLE):
            for folder, fig in drawn(name, peers):
                for ending in ("png", "pdf") if name in PDF else ("png",):
                    path = options.folder / folder / f"{name}.{ending}"
                    save(fig, path)
                    print(path)
                plt.close(fig)


def drawn(name: str, peers: dict[str, str]) -> Iterator[tuple[str, Figure]]:
    """The figures of a name, each with the folder below the usual one that it goes into; measures the crops first."""
    if name.startswith("comparison"):
        for images, folder in (("bundled", "."), ("benchmarks", "benchmarks")):
            try:
                compared = compare(int(name[-2]), images, peers)
            except benchmarks.SetMissingError as error:
                print(f"{name} of the paper's pictures is left out: {error}")
                continue
            record([row for c in compared for row in c.rows])
            yield folder, comparison(compared)
    elif name == "samples":
        found = draw_samples()
        record(found.rows)
        yield ".", samples(found)
    else:
        try:
            yield ".", ALL[name]()
        except LookupError as error:
            print(f"{name}: {error.args[0]}")


if __name__ == "__main__":
    main()
