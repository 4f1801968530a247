"""The five pages of the view's controls: their widgets, made once and then changed."""

from __future__ import annotations

import ipywidgets as widgets
from ipywidgets import Layout

from .animation import FORMS
from .settings import DIRECTIONS, SEED, Numbers
from .sliders import STYLE, SeedSlider, integer, real

PAGES = ("sample", "region", "directions", "many", "file")
GALLERY = 9  # samples to choose from
FILM_SEEDS = Numbers(1, 8, whole=True)  # that a film walks along

ONE_COLUMN = "minmax(0, 1fr)"  # of a grid; a plain 1fr would grow with its content


def button(text: str, tooltip: str, icon: str = "", **options: object) -> widgets.Button:
    """A button as wide as its text."""
    return widgets.Button(description=text, tooltip=tooltip, icon=icon, layout={"width": "auto"}, **options)


def row(*children: widgets.Widget) -> widgets.HBox:
    """Widgets side by side, below one another where there is no room."""
    return widgets.HBox(children, layout=Layout(flex_flow="row wrap", align_items="center"))


def overlaid(*children: widgets.Widget) -> widgets.GridBox:
    """Widgets on top of one another: the last lies above and takes the clicks."""
    for child in children:
        child.layout.grid_area = "cell"
    return widgets.GridBox(children, layout={"grid_template_areas": '"cell"', "grid_template_columns": ONE_COLUMN})


def show_if(shown: bool, *which: widgets.DOMWidget) -> None:
    """Let widgets take part in the layout, or not."""
    for widget in which:
        widget.layout.display = None if shown else "none"


class Pages:
    """The widgets of the pages as attributes. Each method makes those of one page and gives them from top to bottom.

    Attributes:
        temperature, seed, number, previous, dice, next, play: which sample; the last four are buttons.
        select, reroll, drop: which rectangle has noise of its own; buttons.
        region_temperature, region_seed, region_direction, region_amount: the noise of that rectangle.
        amounts, zeros, reset_directions: steps along the directions, a list of sliders; the others are buttons.
        befores, afters: pictures of what the directions change.
        count, measure, draw, overlay, spread, thumbnails, picks: many samples.
        path, save, download, load, folder, length, form, record: files.
    """

    def _make_sample_page(self) -> list[widgets.Widget]:
        self.temperature = real("temperature", 0.0, 0.05, "Temperature")
        self.seed = SeedSlider("Latent sample")
        self.previous = button("", "The sample before", "step-backward")
        self.dice = button("Throw the dice", "Another sample, at a temperature from 0 to 1", "random")
        self.next = button("", "The next sample", "step-forward")
        self.play = widgets.ToggleButton(
            False, description="Play", tooltip="Walk from sample to sample", icon="play", layout={"width": "auto"}
        )
        self.number = widgets.BoundedFloatText(0.0, min=SEED.low, max=SEED.high, step=1.0, description="or its number")
        self.number.style, self.number.layout = STYLE["style"], {"width": "13em"}
        return [self.temperature, self.seed, self.number, row(self.previous, self.dice, self.next, self.play)]

    def _make_region_page(self) -> list[widgets.Widget]:
        hint = widgets.HTML(
            "Draw a rectangle on the picture with Shift held. Without one, all that is visible changes."
        )
        about = "A drag draws a rectangle without Shift"
        self.select = widgets.ToggleButton(
            False, description="Draw", tooltip=about, icon="crop", layout={"width": "auto"}
        )
        self.reroll = button("Re-roll", "Draw the noise there anew", "random")
        self.drop = button("Drop all", "One noise for the whole picture again", "eraser", disabled=True)
        self.region_temperature = real("temperature", 0.0, 0.05, "Its temperature")
        self.region_seed = SeedSlider("Its sample")
        self.region_direction = widgets.Dropdown(description="Its direction", **STYLE)
        self.region_amount = real(DIRECTIONS[0], 0.0, 0.1, "Steps along it")
        sliders = [self.region_temperature, self.region_seed, self.region_direction, self.region_amount]
        return [hint, row(self.select, self.reroll, self.drop), *sliders]

    def _make_directions_page(self) -> list[widgets.Widget]:
        self.amounts = [real(name, 0.0, 0.1, name.capitalize()) for name in DIRECTIONS]
        self.befores, self.afters = (
            [widgets.Image(format="jpeg", layout=Layout(width="100%")) for _ in DIRECTIONS] for _ in range(2)
        )
        self.zeros = [button("0", f"Direction {i + 1} back to zero") for i in range(len(DIRECTIONS))]
        self.reset_directions = button("All to zero", "All directions back to zero", "refresh")
        rows = []
        for parts in zip(self.befores, self.amounts, self.afters, self.zeros, strict=True):
            rows.append(widgets.GridBox(parts, layout={"grid_template_columns": f"64px {ONE_COLUMN} 64px auto"}))
            rows[-1].layout.align_items, rows[-1].layout.grid_gap = "center", "4px"
            rows[-1].add_class("srvae-direction")
        return [*rows, row(self.reset_directions)]

    def _make_many_page(self) -> list[widgets.Widget]:
        self.count = integer(Numbers(2, 64, whole=True), 16, "Samples")
        self.measure = button("Measure", "Standard deviation of the samples, pixel by pixel")
        self.draw = button("Draw nine", "Nine more samples with the settings as they are")
        self.overlay = widgets.Checkbox(True, description="show the map over the picture", indent=False)
        self.overlay.layout.width = "auto"
        self.spread = widgets.HTML()
        self.thumbnails = [widgets.Image(format="jpeg", layout=Layout(width="100%")) for _ in range(GALLERY)]
        self.picks = [
            widgets.Button(
                description=f"{i + 1}",
                disabled=True,
                tooltip="Nine samples to choose from come here",
                layout=Layout(width="100%", height="100%", margin="0"),
            ).add_class("srvae-thumb")
            for i in range(GALLERY)
        ]
        cells = [overlaid(*pair) for pair in zip(self.thumbnails, self.picks, strict=True)]
        gallery = widgets.GridBox(
            cells, layout={"grid_template_columns": f"repeat(3, {ONE_COLUMN})", "grid_gap": "4px"}
        )
        return [self.count, row(self.measure, self.draw, self.overlay), self.spread, gallery]

    def _make_file_page(self) -> list[widgets.Widget]:
        self.path = widgets.Text("sample.png", description="File", **STYLE)
        self.save = button("Save", "Save the answer to what is in work as PNG, with its settings", "save")
        self.download = button("Download", "The same PNG by the browser", "download")
        self.load = button("Load settings", "Bring back what a saved PNG shows", "folder-open")
        self.folder = widgets.Text(
            description="Folder", placeholder="of images: a path, then Enter", continuous_update=False, **STYLE
        )
        self.length = integer(FILM_SEEDS, 2, "Film: samples")
        self.form = widgets.Dropdown(options=FORMS, description="Film: format", **STYLE)
        self.record = button("Record", "A film of a walk along the samples, there and back", "film")
        files = row(self.save, self.download, self.load)
        return [self.path, files, self.folder, self.length, self.form, row(self.record)]
