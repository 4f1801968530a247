"""The widgets beside the picture, and the table of the settings that they show and change."""

from __future__ import annotations

import base64
import html
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import ipywidgets as widgets
import numpy as np
from ipywidgets import Layout

from srvae import directions

from .files import printable
from .page import Picture
from .pictures import encode, heat
from .scene import Scene
from .settings import AMOUNT, LIMITS, LOOK, SEEDS, SIDES, Settings

STYLE = {"style": {"description_width": "11em"}, "layout": {"width": "auto"}}
LAST = 25  # sample of the sliders, so that a pixel of the mouse is a small step; the number field reaches all
STEP = 0.05  # of a slider of samples
FRAME = 100  # milliseconds that Play shows a step
OLD = "srvae-old"  # the class of scores that are not of the picture on show
NINE = 9
ONE_COLUMN = "minmax(0, 1fr)"  # of a grid; a plain 1fr would grow with its content


@dataclass(frozen=True)
class Binding:
    """A widget's trait that shows a field of the settings, and changes it.

    Attributes:
        widget, trait: what is bound.
        field: of :class:`~viewer.settings.Settings`.
        to_widget, to_field: from one value to the other.
    """

    widget: widgets.Widget
    trait: str
    field: str
    to_widget: Callable[[object], object] = lambda value: value
    to_field: Callable[[object], object] = lambda value: value


def button(text: str, tooltip: str, icon: str = "", **options: object) -> widgets.Button:
    """A button as wide as its text."""
    return widgets.Button(description=text, tooltip=tooltip, icon=icon, layout={"width": "auto"}, **options)


def row(*children: widgets.Widget) -> widgets.HBox:
    """Widgets side by side, below one another where there is no room."""
    return widgets.HBox(children, layout=Layout(flex_flow="row wrap", align_items="center"))


def slider(text: str, low: float, high: float, step: float, **options: object) -> widgets.FloatSlider:
    """A slider over a range. Its ``value`` is always a multiple of the step: the page would round any other, and send
    that back as a move.
    """
    return widgets.FloatSlider(value=0.0, min=low, max=high, step=step, description=text, **STYLE | options)


def sample_slider(text: str, **options: object) -> widgets.FloatSlider:
    """A slider over the first samples."""
    return slider(text, 0, LAST, STEP, readout_format=".2f", **options)


def on_step(value: float, step: float = STEP) -> float:
    """The nearest multiple of a step."""
    return round(round(value / step) * step, 4)


def _amount(i: int, amounts: tuple[float, ...]) -> float:
    return amounts[i] if i < len(amounts) else 0.0


def on_slider(seed: float) -> float:
    """The value of a slider of samples for a sample, which may lie beyond its end."""
    return on_step(min(seed, LAST))


class ViewBox(widgets.Box):
    """The outermost widget. Where there is no kernel, its text stands in its place."""

    def __repr__(self) -> str:
        return "The view: run this notebook to touch it."


class Controls:
    """All widgets but the picture, as attributes.

    Args:
        images, models: names to choose from.
        picture: the picture, beside which they lie.
        directions: show the page of directions.

    Attributes:
        widget: picture and controls, to display.
        pages: the tab. bindings: the table of what is bound to the settings.
    """

    def __init__(self, images: list[str], models: list[str], picture: Picture, *, directions: bool) -> None:
        self.image = widgets.Dropdown(options=images, description="Photograph", **STYLE)
        self.model = widgets.Dropdown(options=models, description="Model", **STYLE)
        self.undo = button("Undo", "One step back", "undo", disabled=True)
        self.redo = button("Redo", "One step forward again", "repeat", disabled=True)
        self.reset = button("Reset", "All settings but photograph and model as at first", "refresh")
        pages = {"Sample": self._sample_page(), "Compare": self._compare_page(), "Photograph": self._file_page()}
        self.amounts, self.previews = [], []
        if directions:
            pages["Directions"] = self._directions_page()
        self.pages = widgets.Tab([widgets.VBox(page) for page in pages.values()], titles=list(pages), selected_index=0)
        self.message, self.scores = widgets.HTML().add_class("srvae-message"), widgets.HTML()
        self.progress = widgets.IntProgress(0, min=0, max=1, layout={"flex": "1 1 8em", "width": "auto"})
        self.stop = button("Stop", "Stop what is running", "stop")
        self.running = widgets.HBox([self.progress, self.stop], layout={"visibility": "hidden"})
        steps = row(self.undo, self.redo, self.reset)
        column = [self.image, self.model, steps, self.pages, self.message, self.running, self.scores]
        picture.layout.width = "100%"
        frame = widgets.Box([picture], layout=Layout(flex="1 1 24em", min_width="0"))
        beside = widgets.VBox(column, layout=Layout(flex="0 1 27em", min_width="0", margin="0 0 0 8px"))
        self.widget = ViewBox([frame, beside], layout=Layout(flex_flow="row wrap", align_items="flex-start"))
        self.widget.add_class("srvae-view")
        self.bindings = self._bindings(picture)
        self._last: dict[Binding, object] = {}  # the values that were set or heard last
        self._following: int | None = None  # the thread in which widgets are being set

    def _sample_page(self) -> list[widgets.Widget]:
        self.temperature = slider("Temperature", *LIMITS["temperature"], 0.01)
        self.seed = sample_slider("Sample", readout=False, layout={"flex": "1 1 10em", "width": "auto"})
        self.number = widgets.BoundedFloatText(0.0, min=0, max=SEEDS, step=1.0, layout={"width": "6em"})
        self.number.tooltip = "The sample's number"
        self.previous = button("", "Previous sample", "step-backward")
        self.random = button("Random sample", "Any other sample", "random")
        self.next = button("", "Next sample", "step-forward")
        self.play = widgets.Play(
            min=0, max=round(SEEDS / STEP), interval=FRAME, show_repeat=False, layout={"width": "3em"}
        )
        hint = widgets.HTML("<b>Region.</b> Hold Shift and draw a rectangle on the picture. Only that part changes.")
        self.select = widgets.ToggleButton(
            False, description="Draw", tooltip="Draw a rectangle without Shift", icon="crop", layout={"width": "auto"}
        )
        self.reroll = button("Re-roll", "Draw the noise of the region anew", "random")
        self.clear = button("Clear regions", "One noise for the whole picture again", "eraser", disabled=True)
        self.region_temperature = slider("Region temperature", *LIMITS["temperature"], 0.01)
        self.region_seed = sample_slider("Region sample")
        walk = row(self.previous, self.random, self.next, self.play)
        regions = [hint, row(self.select, self.reroll, self.clear), self.region_temperature, self.region_seed]
        return [self.temperature, widgets.HBox([self.seed, self.number]), walk, *regions]

    def _compare_page(self) -> list[widgets.Widget]:
        self.left = widgets.Dropdown(options=["bicubic"], description="Compare with", **STYLE)
        self.left_seed = sample_slider("Compared sample")
        self.keep = button("Keep as best", "Keep this sample, to compare others with it", "star")
        self.nine = button("Show nine", "The next nine samples; click one to take it", "th")
        self.count = widgets.IntSlider(16, min=2, max=64, description="Samples", **STYLE)
        self.map = button("Map uncertainty", "How much so many samples differ at each place", "fire")
        self.overlay = widgets.Checkbox(True, description="show the map", indent=False, layout={"width": "auto"})
        self.scale = widgets.HTML()
        self.thumbnails = [widgets.Image(format="jpeg", layout=Layout(width="100%")) for _ in range(NINE)]
        self.picks = [widgets.Button(disabled=True, layout=Layout(width="100%", height="100%")) for _ in range(NINE)]
        cells = []
        for thumbnail, pick in zip(self.thumbnails, self.picks, strict=True):
            thumbnail.layout.grid_area = pick.layout.grid_area = "cell"  # the button lies over the picture
            pick.add_class("srvae-thumb")
            layout = {"grid_template_areas": '"cell"', "grid_template_columns": ONE_COLUMN}
            cells.append(widgets.GridBox([thumbnail, pick], layout=layout))
        columns = {"grid_template_columns": f"repeat(3, {ONE_COLUMN})", "grid_gap": "4px"}
        nine = widgets.GridBox(cells, layout=columns)
        maps = [self.count, row(self.map, self.overlay), self.scale]
        return [self.left, self.left_seed, row(self.keep, self.nine), nine, *maps]

    def _file_page(self) -> list[widgets.Widget]:
        self.upload = widgets.FileUpload(accept="image/*", multiple=True, description="Open photograph...")
        self.upload.layout.width = "auto"
        self.upload.tooltip = "Or drop photographs on the picture"
        self.shrink = widgets.Checkbox(False, description="Shrink it first, to score against it", indent=False)
        self.shrink.layout.width = "auto"
        self.folder = widgets.Text(
            description="Folder", placeholder="of photographs: a path, then Enter", continuous_update=False, **STYLE
        )
        self.path = widgets.Text("sample.png", description="File", **STYLE)
        self.save = button("Save", "Save the enlarged photograph as PNG, with its settings", "save")
        self.download = button("Download", "The same by the browser", "download")
        self.load = button("Load settings", "Show what a saved PNG shows", "folder-open")
        return [row(self.upload, self.shrink), self.folder, self.path, row(self.save, self.download, self.load)]

    def _directions_page(self) -> list[widgets.Widget]:
        rows = []
        for i in range(1, directions.COUNT + 1):
            self.amounts.append(slider(f"{i}", -AMOUNT, AMOUNT, 0.1, style={"description_width": "1em"}))
            self.previews.append(tuple(widgets.Image(format="jpeg", layout=Layout(width="100%")) for _ in range(2)))
            columns = {"grid_template_columns": f"64px {ONE_COLUMN} 64px", "align_items": "center", "grid_gap": "4px"}
            before, after = self.previews[-1]
            rows.append(widgets.GridBox([before, self.amounts[-1], after], layout=columns))
        self.zero = button("All to zero", "No step along any direction", "refresh")
        return [*rows, row(self.zero)]

    def _bindings(self, picture: Picture) -> list[Binding]:
        """The table: which widget shows and changes which field of the settings."""
        table = [
            Binding(self.image, "value", "image"),
            Binding(self.model, "value", "model"),
            Binding(self.temperature, "value", "temperature", lambda t: on_step(t, 0.01), lambda t: round(t, 4)),
            Binding(self.seed, "value", "seed", on_slider, on_step),
            Binding(self.number, "value", "seed"),
            Binding(self.play, "value", "seed", lambda seed: round(seed / STEP), lambda i: on_step(i * STEP)),
            Binding(self.left, "value", "left"),
            Binding(self.left_seed, "value", "left_seed", on_slider, on_step),
        ]
        for i, control in enumerate(self.amounts):
            table.append(Binding(control, "value", "amounts", partial(_amount, i), self._all_amounts))
        return table + [Binding(picture, name, name) for name in (*LOOK, "work")]

    def _all_amounts(self, _: object) -> tuple[float, ...]:
        return tuple(on_step(control.value, 0.1) for control in self.amounts)

    def observe(self, change: Callable[[Binding, object], None]) -> None:
        """Call ``change(binding, value)`` for each move of a bound widget; what :meth:`follow` sets is no move."""
        for binding in self.bindings:
            binding.widget.observe(partial(self._hear, binding, change), binding.trait)

    def _hear(self, binding: Binding, change: Callable[[Binding, object], None], event: dict[str, object]) -> None:
        # the page echoes what was set, rounded
        if self._following != threading.get_ident() and not _same(event["new"], self._last.get(binding)):
            self._last[binding] = event["new"]
            change(binding, binding.to_field(event["new"]))

    def follow(self, settings: Settings, scene: Scene) -> None:
        """Let the widgets show some settings of a scene."""
        there = {"original": scene.original is not None, "best": settings.best is not None}
        self.offer(self.left, [side for side in SIDES if there.get(side, True)], settings.left)
        with self._no_move():
            for binding in self.bindings:
                value = self._last[binding] = binding.to_widget(getattr(settings, binding.field))
                if not _same(getattr(binding.widget, binding.trait), value):
                    setattr(binding.widget, binding.trait, value)
        self.left_seed.layout.display = None if settings.left == "another sample" else "none"
        self.clear.disabled = not settings.regions

    def offer(self, control: widgets.Dropdown, options: list[str], chosen: str) -> None:
        """Give a chooser other options; it would take the first of them by itself."""
        if list(control.options) != options:
            with self._no_move():
                control.options, control.value = options, chosen

    @contextmanager
    def _no_move(self) -> Iterator[None]:
        """Set widgets without a move being heard in this thread."""
        self._following = threading.get_ident()
        try:
            yield
        finally:
            self._following = None

    def show_running(self, running: bool) -> None:
        """Show the progress bar and Stop, whose room is kept."""
        self.running.layout.visibility = "visible" if running else "hidden"

    def show_scores(self, lines: list[str]) -> None:
        """Show the scores of the picture."""
        text = "<br>".join(html.escape(printable(line)) for line in lines)
        self.scores.value = f'<div role="status">{text}</div>'
        self.scores.remove_class(OLD)

    def say(self, text: str, *, error: bool = False) -> None:
        """Show a line of text; an error in red."""
        role, colour = ("alert", "var(--jp-error-color1, #c0392b)") if error else ("status", "inherit")
        text = html.escape(printable(text))
        self.message.value = f'<div role="{role}" style="color: {colour}">{text}</div>' if text else ""

    def show_progress(self, done: int, of: int, what: str) -> None:
        """Show how many of how many steps are done, and of what."""
        self.progress.max, self.progress.value = of, done
        self.say(f"{what}: {done} of {of}" if done < of else "")

    def show_scale(self, top: float | None, text: str = "") -> None:
        """Show the colours of the map from 0 to its largest value in grey levels; None shows none."""
        if top is None:
            self.scale.value = ""
            return
        ramp = base64.b64encode(encode(heat(np.linspace(0, 1, 128)[None].repeat(12, 0)), "png")).decode()
        bar = f'<img alt="" src="data:image/png;base64,{ramp}" style="display: inline; vertical-align: middle">'
        self.scale.value = f'<div role="status">0 {bar} {top:.1f} grey levels<br>{html.escape(text)}</div>'

    def close(self) -> None:
        """Close all widgets, so that neither kernel nor page keeps them."""
        close(self.widget)


def close(widget: widgets.Widget) -> None:
    """Close a widget, what lies inside it, and what describes its looks."""
    for part in (*getattr(widget, "children", ()), getattr(widget, "layout", None), getattr(widget, "style", None)):
        if isinstance(part, widgets.Widget):
            close(part)
    widget.close()


def _same(a: object, b: object) -> bool:
    """Whether two values of a widget are the same, but for a float's rounding in the page."""
    return a == b or (isinstance(a, float) and isinstance(b, int | float) and math.isclose(a, b, abs_tol=1e-6))
