"""The architecture in the layout of the paper's drawing, with every shape traced from the live model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import nn

import srvae_core as sr

from .style import FIGURE_WIDTH

Shape = tuple[int, ...]  # of a layer's output, without the batch


def trace(scale: int) -> dict[str, tuple[str, Shape]]:
    """Return the operation and output shape of every layer by name, from forward passes on torch's meta device."""
    with torch.device("meta"):  # computes shapes alone
        net = sr.SRVAE(scale, encoder=True)
        up, z = torch.empty(1, 3, sr.PATCH, sr.PATCH), torch.empty(1, sr.LATENTS)
    layers = {}

    def record(name: str, module: nn.Module, _: tuple, output: torch.Tensor) -> None:
        layers[name] = operation_of(module), tuple(output.shape[1:])

    for name, module in net.named_children():
        module.register_forward_hook(partial(record, name))
    net.encode(up, up)
    net.generator(up)
    net(up, z)
    return layers


def operation_of(module: nn.Module) -> str:
    """Return the operation of a layer in a few characters: "conv 6×6 /2" is a convolution of stride 2."""
    if isinstance(module, nn.Linear):
        return f"fc {module.in_features}→{module.out_features}"
    if isinstance(module, nn.PReLU):
        return "PReLU"
    kind = "deconv" if isinstance(module, nn.ConvTranspose2d) else "conv"
    k, s = module.kernel_size[0], module.stride[0]
    return f"{kind} {k}×{k}" + (f" /{s}" if s > 1 else "")


def size_text(shape: Sequence[int]) -> str:
    """Return a shape as "64×32×32"."""
    return "×".join(map(str, shape))


# -- Boxes, arrows, titles: all positions in inches from the lower left corner ------------------------------

PART_COLOURS = {"features": "#56B4E9", "encoder": "#CC79A7", "generator": "#E69F00"}
PART_COLOURS |= {"decoder": "#009E73", "loss": "#999999"}
BOX_WIDTH, BOX_HEIGHT, GAP = 0.8, 0.56, 0.135
WIDE_BOX = 1.02
FIRST_COLUMN = 0.1
SECOND_COLUMN = FIRST_COLUMN + BOX_WIDTH + GAP
SMALL_TEXT = 6.9  # points
PATCH_SHAPE = size_text((3, sr.PATCH, sr.PATCH))


class Drawing:
    """A page and the elements that it is drawn with. The y of an element is the lower edge of its box."""

    def __init__(self, ax: Axes, scale: int) -> None:
        self.ax, self.scale = ax, scale
        layers = trace(scale)
        self.operations = {name: operation for name, (operation, _) in layers.items()}
        self.shapes = {name: shape for name, (_, shape) in layers.items()}
        self.features = [name for name in layers if name.startswith("feat")]
        self.units = [name for name in layers if name.startswith("relu_output")]

    def box(self, x: float, y: float, lines: list[str], part: str, width: float = BOX_WIDTH) -> None:
        fill, edge = PART_COLOURS[part] + "38", PART_COLOURS[part]  # 38: mostly transparent
        self.ax.add_patch(FancyBboxPatch((x, y), width, BOX_HEIGHT, "round,pad=0,rounding_size=0.06", fc=fill, ec=edge))
        middle = x + width / 2, y + BOX_HEIGHT / 2
        self.ax.text(*middle, "\n".join(lines), ha="center", va="center", fontsize=SMALL_TEXT, linespacing=1.25)

    def layer_box(self, x: float, y: float, name: str, part: str, width: float = BOX_WIDTH) -> None:
        self.box(x, y, [name, self.operations[name], size_text(self.shapes[name])], part, width)

    def arrow(self, x: float, y: float, end_x: float, end_y: float | None = None) -> None:
        line = {"arrowstyle": "-|>", "lw": 0.8, "color": "#444444", "shrinkA": 0, "shrinkB": 0}
        self.ax.annotate("", (end_x, y if end_y is None else end_y), (x, y), arrowprops=line)

    def title(self, y: float, text: str, part: str) -> None:
        y += 0.68
        self.ax.text(0.1, y, text, fontsize=8, fontweight="bold", color="black", va="bottom")
        self.ax.add_patch(Rectangle((0.1, y - 0.035), FIGURE_WIDTH - 0.2, 0.018, fc=PART_COLOURS[part], ec="none"))

    def row(self, y: float, x: float, names: list[str], part: str) -> float:
        """Draw layers from left to right with arrows between them; return the right end."""
        for i, name in enumerate(names):
            self.layer_box(x, y, name, part)
            if i:
                self.arrow(x - GAP, y + BOX_HEIGHT / 2, x)
            x += BOX_WIDTH + GAP
        return x - GAP

    def input(self, x: float, y: float, text: str) -> None:
        """Draw text in the place of a box, with an arrow to the next box."""
        self.text(x + BOX_WIDTH / 2, y, text, ha="center")
        self.arrow(x + BOX_WIDTH - 0.02, y + BOX_HEIGHT / 2, x + BOX_WIDTH + GAP)

    def text(self, x: float, y: float, text: str, ha: str = "left") -> None:
        self.ax.text(x, y + BOX_HEIGHT / 2, text, ha=ha, va="center", fontsize=SMALL_TEXT)


# -- The figure, part by part from top to bottom ------------------------------------------------------------


def network(scale: int) -> Figure:
    """Draw the architecture of one scale, with every shape traced from :class:`srvae_core.SRVAE`."""
    fig = plt.figure(figsize=(FIGURE_WIDTH, 7.4))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, FIGURE_WIDTH), ylim=(-0.1, 7.3))
    ax.axis("off")
    drawing = Drawing(ax, scale)
    draw_features(drawing, 6.25)
    draw_encoder(drawing, 5.1)
    draw_generator(drawing, 3.95)
    draw_decoder(drawing, 2.8)
    draw_unit(drawing, 0.95)
    draw_notes(drawing, 0.08)
    return fig


def draw_features(drawing: Drawing, y: float) -> None:
    drawing.title(y, "Feature extractor (one set of weights for both images)", "features")
    drawing.input(FIRST_COLUMN, y, f"LR enlarged, x\nor HR, y\n{PATCH_SHAPE}")
    drawing.row(y, SECOND_COLUMN, drawing.features, "features")


def draw_encoder(drawing: Drawing, y: float) -> None:
    drawing.title(y, "Encoder q(z | x, y), training only", "encoder")
    pool = "\n2×2 max pool" if drawing.scale == 4 else ""
    drawing.input(FIRST_COLUMN, y, f"features of\nx and y,\nconcat{pool}")
    end = drawing.row(y, SECOND_COLUMN, ["encoder1", "encoder2", "encoder3", "ip1", "ip2", "ip3"], "encoder")
    drawing.box(end + GAP, y, ["μ, log σ", f"{sr.LATENTS} each"], "encoder")
    drawing.arrow(end, y + BOX_HEIGHT / 2, end + GAP)


def draw_generator(drawing: Drawing, y: float) -> None:
    drawing.title(y, "Generator g(x): a factor for the noise of each latent", "generator")
    drawing.input(FIRST_COLUMN, y, f"LR enlarged, x\n{PATCH_SHAPE}")
    end = drawing.row(y, SECOND_COLUMN, ["generator1", "generator2"], "generator")
    drawing.box(end + GAP, y, ["mvn", "mean 0, sd 1", size_text(drawing.shapes["generator2"])], "generator")
    drawing.arrow(end, y + BOX_HEIGHT / 2, end + GAP)
    x = end + GAP + BOX_WIDTH
    drawing.arrow(x, y + BOX_HEIGHT / 2, x + GAP)
    test = f"test: z = temperature · {sr.PRIOR_SD} · g(x) · ε"
    drawing.box(x + GAP, y, ["training: z = μ + σ · g(x) · ε", test, "ε ~ N(0, 1)"], "generator", 2.5)


def draw_decoder(drawing: Drawing, y: float) -> None:
    """Draw a branch of latents above a branch of features, and their common way to SR between the two."""
    drawing.title(y, "Decoder p(y | x, z)", "decoder")
    drawing.input(FIRST_COLUMN, y, f"z\n{sr.LATENTS}")
    end = drawing.row(y, SECOND_COLUMN, ["ip4", "ip5", "ip6", "decoder1"], "decoder")
    low, middle = y - BOX_HEIGHT - 0.16, y - (BOX_HEIGHT + 0.16) / 2
    code = size_text(drawing.shapes[drawing.features[-1]])
    drawing.input(SECOND_COLUMN + BOX_WIDTH + GAP, low, f"features of x\n{code}")
    drawing.row(low, SECOND_COLUMN + 2 * (BOX_WIDTH + GAP), ["input1", "input2"], "decoder")
    width, space = (BOX_WIDTH, GAP) if len(drawing.units) == 2 else (0.69, 0.085)  # three units need a tighter row
    x = end + 2 * GAP
    features, latents = drawing.shapes["input2"], drawing.shapes["decoder1"]
    drawing.box(x, middle, ["concat", "PReLU", size_text((features[0] + latents[0], *features[1:]))], "decoder", width)
    drawing.arrow(end, y + BOX_HEIGHT / 2, x, middle + BOX_HEIGHT * 0.7)
    drawing.arrow(end, low + BOX_HEIGHT / 2, x, middle + BOX_HEIGHT * 0.3)
    boxes = [[f"unit {s}", "×2", size_text(drawing.shapes[name])] for s, name in enumerate(drawing.units, 1)]
    for lines in [*boxes, ["SR_res", drawing.operations["SR_res"], "+ x → SR"]]:
        drawing.arrow(x + width, middle + BOX_HEIGHT / 2, x + width + space)
        x += width + space
        drawing.box(x, middle, lines, "decoder", width)


def draw_unit(drawing: Drawing, y: float) -> None:
    drawing.title(y, "Up back-projection unit s = 1", "decoder")
    x = FIRST_COLUMN
    for name in ("conv1_SR_s1", "local_output_SR_s1", "conv2_SR_s1", "conv3_SR_s1", "local_conv1_SR_s1"):
        drawing.layer_box(x, y, name, "decoder", WIDE_BOX)
        x += WIDE_BOX + 0.06
    formulas = ["h = PReLU(conv1(in))", "e = local_output(in) − PReLU(conv2(h))"]
    formulas.append("out = PReLU(local_conv1(h) + PReLU(conv3(e)))")
    drawing.text(x + 0.04, y, "\n".join(formulas))


def draw_notes(drawing: Drawing, y: float) -> None:
    """Draw the loss network, and list where the drawing follows the prototxts rather than the paper."""
    drawing.box(FIRST_COLUMN, y, ["VGG-19", "average pooling", "(loss only)"], "loss", WIDE_BOX)
    notes = (
        "SR and HR enter; their features are compared in training. conv k×k /2: stride 2.\n"
        "Where the paper's drawing differs from the released prototxts, the prototxts hold: "
        "concatenation, not addition;\n"
        f"6×6 strided convolutions, not 3×3; {drawing.shapes['generator1'][0]} outputs of generator1, not 1024; "
        f"{len(drawing.units)} back-projection units at {drawing.scale}x;\n"
        "the enlarged LR image, not the small one, enters everywhere."
    )
    drawing.text(FIRST_COLUMN + 1.12, y, notes)
