"""The architecture in the order of the paper's drawing, every shape traced from the live model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import nn

import srvae_core as sr

from .style import FIGURE_WIDTH

# -- What is drawn: layers and shapes -----------------------------------------------------------------------


@dataclass(frozen=True)
class TracedLayer:
    """One layer as a forward pass met it; the shape is that of its output, without the batch."""

    name: str
    operation: str
    shape: tuple[int, ...]


def trace(scale: int) -> dict[str, TracedLayer]:
    """Every layer of the live network by name, from forward passes over shapes alone (torch's meta device)."""
    with torch.device("meta"):
        net = sr.SRVAE(scale, encoder=True)
        # nothing is computed there, so the 150 million weights of the encoder cost nothing
        up, z = torch.empty(1, 3, sr.PATCH, sr.PATCH), torch.empty(1, sr.LATENTS)
    layers: dict[str, TracedLayer] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple, torch.Tensor], None]:
        def hook(module: nn.Module, _: tuple, output: torch.Tensor) -> None:
            layers[name] = TracedLayer(name, operation_of(module), tuple(output.shape[1:]))

        return hook

    for name, module in net.named_children():
        module.register_forward_hook(keep(name))
    # three passes reach every layer: encoder, generator, and the way from x and z to SR
    net.encode(up, up)
    net.generator(up)
    layers["SR"] = TracedLayer("SR", "", tuple(net(up, z).shape[1:]))
    return layers


def operation_of(module: nn.Module) -> str:
    """What a layer does, in a few characters: "conv 6×6 /2" is a convolution of stride 2."""
    if isinstance(module, nn.Linear):
        return f"fc {module.in_features}→{module.out_features}"
    if isinstance(module, nn.PReLU):
        return "PReLU"
    kind = "deconv" if isinstance(module, nn.ConvTranspose2d) else "conv"
    k, s = module.kernel_size[0], module.stride[0]
    return f"{kind} {k}×{k}" + (f" /{s}" if s > 1 else "")


def size_text(shape: Sequence[int]) -> str:
    """A shape as the figure writes it: "64×32×32"."""
    return "×".join(map(str, shape))


# -- How it is drawn: boxes, arrows, titles; all places in inches from the lower left corner ----------------

PART_COLOURS = {
    "features": "#56B4E9",
    "encoder": "#CC79A7",
    "generator": "#E69F00",
    "decoder": "#009E73",
    "loss": "#999999",
}
BOX_WIDTH, BOX_HEIGHT, GAP = 0.8, 0.56, 0.135
WIDE_BOX = 1.02
FIRST_COLUMN = 0.1
SECOND_COLUMN = FIRST_COLUMN + BOX_WIDTH + GAP
SMALL_TEXT = 6.9  # points


class Drawing:
    """A page with the pieces that the parts of the network are made of.

    Attributes:
        layers: by name, from :func:`trace`.
        ax: the page, one unit an inch.
    """

    def __init__(self, ax: Axes, layers: dict[str, TracedLayer], scale: int) -> None:
        self.ax, self.layers, self.scale = ax, layers, scale

    def shape(self, name: str) -> tuple[int, ...]:
        return self.layers[name].shape

    def box(self, x: float, y: float, lines: list[str], part: str, width: float = BOX_WIDTH) -> None:
        fill, edge = PART_COLOURS[part] + "38", PART_COLOURS[part]  # 38: mostly transparent
        self.ax.add_patch(FancyBboxPatch((x, y), width, BOX_HEIGHT, "round,pad=0,rounding_size=0.06", fc=fill, ec=edge))
        middle = x + width / 2, y + BOX_HEIGHT / 2
        self.ax.text(*middle, "\n".join(lines), ha="center", va="center", fontsize=SMALL_TEXT, linespacing=1.25)

    def layer_box(self, x: float, y: float, name: str, part: str, width: float = BOX_WIDTH) -> None:
        layer = self.layers[name]
        self.box(x, y, [name, layer.operation, size_text(layer.shape)], part, width)

    def arrow(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        line = {"arrowstyle": "-|>", "lw": 0.8, "color": "#444444", "shrinkA": 0, "shrinkB": 0}
        self.ax.annotate("", end, start, arrowprops=line)

    def title(self, y: float, words: str, part: str) -> None:
        """A heading above a row of boxes at y, underlined in the part's colour."""
        y += 0.68
        self.ax.text(0.1, y, words, fontsize=8, fontweight="bold", color="black", va="bottom")
        self.ax.add_patch(Rectangle((0.1, y - 0.035), FIGURE_WIDTH - 0.2, 0.018, fc=PART_COLOURS[part], ec="none"))

    def row(self, y: float, start: float, names: list[str], part: str) -> float:
        """Boxes of layers from left to right, joined by arrows; returns the right end."""
        x = start
        for i, name in enumerate(names):
            self.layer_box(x, y, name, part)
            if i:
                self.arrow((x - GAP, y + BOX_HEIGHT / 2), (x, y + BOX_HEIGHT / 2))
            x += BOX_WIDTH + GAP
        return x - GAP

    def incoming(self, x: float, y: float, words: str) -> None:
        """Words in the place of a box, and the arrow that leaves them."""
        self.words(x + BOX_WIDTH / 2, y + BOX_HEIGHT / 2, words, ha="center")
        self.arrow((x + BOX_WIDTH - 0.02, y + BOX_HEIGHT / 2), (x + BOX_WIDTH + GAP, y + BOX_HEIGHT / 2))

    def words(self, x: float, y: float, words: str, ha: str = "left") -> None:
        self.ax.text(x, y, words, ha=ha, va="center", fontsize=SMALL_TEXT)


# -- The figure, part by part from top to bottom; y is the lower edge of a part's boxes ---------------------


def network(scale: int = 4) -> Figure:
    """The architecture of one scale, every shape traced from the live :class:`srvae_core.SRVAE`."""
    fig = plt.figure(figsize=(FIGURE_WIDTH, 7.4))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, FIGURE_WIDTH), ylim=(-0.1, 7.3))
    ax.axis("off")
    drawing = Drawing(ax, trace(scale), scale)
    draw_features(drawing, 6.25)
    draw_encoder(drawing, 5.1)
    draw_generator(drawing, 3.95)
    draw_decoder(drawing, 2.8)
    draw_unit(drawing, 0.95)
    draw_notes(drawing, 0.08)
    return fig


def network_8x() -> Figure:
    """:func:`network` at 8x."""
    return network(8)


PATCH_SHAPE = size_text((3, sr.PATCH, sr.PATCH))


def feature_names(drawing: Drawing) -> list[str]:
    """The layers of the feature extractor, more at 8x than at 4x."""
    return [name for name in drawing.layers if name.startswith("feat")]


def unit_count(drawing: Drawing) -> int:
    """How many up back-projection units the decoder has."""
    return sum(name.startswith("relu_output") for name in drawing.layers)


def draw_features(drawing: Drawing, y: float) -> None:
    drawing.title(y, "Feature extractor (one set of weights for both images)", "features")
    drawing.incoming(FIRST_COLUMN, y, f"LR enlarged, x\nor HR, y\n{PATCH_SHAPE}")
    drawing.row(y, SECOND_COLUMN, feature_names(drawing), "features")


def draw_encoder(drawing: Drawing, y: float) -> None:
    drawing.title(y, "Encoder q(z | x, y), training only", "encoder")
    pool = "\n2×2 max pool" if drawing.scale == 4 else ""
    drawing.incoming(FIRST_COLUMN, y, f"features of\nx and y,\nconcat{pool}")
    end = drawing.row(y, SECOND_COLUMN, ["encoder1", "encoder2", "encoder3", "ip1", "ip2", "ip3"], "encoder")
    drawing.box(end + GAP, y, ["μ, log σ", f"{sr.LATENTS} each"], "encoder")
    drawing.arrow((end, y + BOX_HEIGHT / 2), (end + GAP, y + BOX_HEIGHT / 2))


def draw_generator(drawing: Drawing, y: float) -> None:
    drawing.title(y, "Generator g(x): a factor for the noise of each latent", "generator")
    drawing.incoming(FIRST_COLUMN, y, f"LR enlarged, x\n{PATCH_SHAPE}")
    end = drawing.row(y, SECOND_COLUMN, ["generator1", "generator2"], "generator")
    drawing.box(end + GAP, y, ["mvn", "mean 0, sd 1", size_text(drawing.shape("generator2"))], "generator")
    drawing.arrow((end, y + BOX_HEIGHT / 2), (end + GAP, y + BOX_HEIGHT / 2))
    x = end + GAP + BOX_WIDTH
    drawing.arrow((x, y + BOX_HEIGHT / 2), (x + GAP, y + BOX_HEIGHT / 2))
    formulas = [
        "training: z = μ + σ · g(x) · ε",
        f"test: z = temperature · {sr.PRIOR_SD} · g(x) · ε",
        "ε ~ N(0, 1)",
    ]
    drawing.box(x + GAP, y, formulas, "generator", 2.5)


def draw_decoder(drawing: Drawing, y: float) -> None:
    """Two branches, latents above and features below, that meet halfway between them."""
    drawing.title(y, "Decoder p(y | x, z)", "decoder")
    drawing.words(FIRST_COLUMN + BOX_WIDTH / 2, y + BOX_HEIGHT / 2, f"z\n{sr.LATENTS}", ha="center")
    drawing.arrow((FIRST_COLUMN + BOX_WIDTH - 0.02, y + BOX_HEIGHT / 2), (SECOND_COLUMN, y + BOX_HEIGHT / 2))
    end = drawing.row(y, SECOND_COLUMN, ["ip4", "ip5", "ip6", "decoder1"], "decoder")
    low = y - BOX_HEIGHT - 0.16
    code = size_text(drawing.shape(feature_names(drawing)[-1]))
    drawing.incoming(SECOND_COLUMN + BOX_WIDTH + GAP, low, f"features of x\n{code}")
    drawing.row(low, SECOND_COLUMN + 2 * (BOX_WIDTH + GAP), ["input1", "input2"], "decoder")
    middle = y - (BOX_HEIGHT + 0.16) / 2
    units = unit_count(drawing)
    width, space = (BOX_WIDTH, GAP) if units == 2 else (0.69, 0.085)  # three units need a tighter row
    x = end + 2 * GAP
    features, latents = drawing.shape("input2"), drawing.shape("decoder1")
    joined = (features[0] + latents[0], *features[1:])
    drawing.box(x, middle, ["concat", "PReLU", size_text(joined)], "decoder", width)
    drawing.arrow((end, y + BOX_HEIGHT / 2), (x, middle + BOX_HEIGHT * 0.7))
    drawing.arrow((end, low + BOX_HEIGHT / 2), (x, middle + BOX_HEIGHT * 0.3))
    boxes = [[f"unit {s}", "×2", size_text(drawing.shape(f"relu_output_SR_s{s}"))] for s in range(1, units + 1)]
    boxes.append(["SR_res", drawing.layers["SR_res"].operation, "+ x → SR"])
    for lines in boxes:
        drawing.arrow((x + width, middle + BOX_HEIGHT / 2), (x + width + space, middle + BOX_HEIGHT / 2))
        x += width + space
        drawing.box(x, middle, lines, "decoder", width)


def draw_unit(drawing: Drawing, y: float) -> None:
    """The first up back-projection unit layer by layer; the others are alike."""
    drawing.title(y, "Up back-projection unit s = 1", "decoder")
    x = FIRST_COLUMN
    for name in ("conv1_SR_s1", "local_output_SR_s1", "conv2_SR_s1", "conv3_SR_s1", "local_conv1_SR_s1"):
        drawing.layer_box(x, y, name, "decoder", WIDE_BOX)
        x += WIDE_BOX + 0.06
    formulas = (
        "h = PReLU(conv1(in))\ne = local_output(in) − PReLU(conv2(h))\nout = PReLU(local_conv1(h) + PReLU(conv3(e)))"
    )
    drawing.words(x + 0.04, y + BOX_HEIGHT / 2, formulas)


def draw_notes(drawing: Drawing, y: float) -> None:
    """The loss network, and where the drawing follows the prototxts rather than the paper."""
    drawing.box(FIRST_COLUMN, y, ["VGG-19", "average pooling", "(loss only)"], "loss", WIDE_BOX)
    notes = (
        "SR and HR enter; their features are compared in training. conv k×k /2: stride 2.\n"
        "Where the paper's drawing differs from the released prototxts, the prototxts hold: "
        "concatenation, not addition;\n"
        f"6×6 strided convolutions, not 3×3; {drawing.shape('generator1')[0]} outputs of generator1, not 1024; "
        f"{unit_count(drawing)} back-projection units at {drawing.scale}x;\n"
        "the enlarged LR image, not the small one, enters everywhere."
    )
    drawing.words(FIRST_COLUMN + 1.12, y + BOX_HEIGHT / 2, notes)
