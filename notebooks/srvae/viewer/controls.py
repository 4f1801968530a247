"""The widgets of the view and the pages that they lie on: made once and then changed. No picture is made here."""

from __future__ import annotations

import html
from collections.abc import Sequence

import ipywidgets as widgets
from ipywidgets import Layout

from .pages import PAGES, Pages, button, row, show_if
from .picture import Picture
from .settings import DIRECTIONS, LOOK, SETTINGS, SIDES, Latents, Region
from .sliders import STYLE, SeedSlider
from .snapshot import Place


def as_html(text: str) -> str:
    """Text for a line of the view. Names of files may hold what is no character, which no message can carry: "?"."""
    return html.escape(text.encode(errors="replace").decode())


class ViewBox(widgets.Box):
    """The view's outermost widget. Where there is no kernel, its words stand in its place."""

    def __repr__(self) -> str:
        return "The view: run this notebook to touch it."


class Controls(Pages):
    """All widgets of the view as attributes, those of its pages (see :class:`~viewer.pages.Pages`) among them.

    Args:
        images: names to choose from.
        models: likewise.

    Attributes:
        widget: the whole, to display.
        pages: the tab with :data:`PAGES`.
        picture: the picture on show, a :class:`~viewer.picture.Picture`, which holds share, zoom, across and down.
        image, model, upload, reduce: which image, and enlarged by what.
        left, left_seed, undo, redo, keep, reset: what the answer is compared with, and steps back.
        stop, progress: of what takes many samples.
        metrics, error: lines of text (HTML).
        regions: rectangles with noise of their own, a tuple of :class:`~viewer.settings.Region`.
        best: the :class:`~viewer.settings.Latents` that were kept, or None.
        work_across, work_down: which part of a large image is in work, 0 to 1.
        places: what makes a picture by the names of :data:`~viewer.settings.SETTINGS`: whose attribute, and its name.
    """

    def __init__(self, images: list[str], models: list[str]) -> None:
        self.picture = Picture()
        self.regions: tuple[Region, ...] = ()
        self.best: Latents | None = None
        self.work_across = self.work_down = 0.5
        choice = self._make_choice(images, models)
        comparison = self._make_comparison()
        pages = {
            "sample": self._make_sample_page(),
            "region": self._make_region_page(),
            "directions": self._make_directions_page(),
            "many": self._make_many_page(),
            "file": self._make_file_page(),
        }
        self.pages = widgets.Tab([widgets.VBox(pages[name]) for name in PAGES], titles=[p.title() for p in PAGES])
        self.pages.selected_index = 0  # ipywidgets opens none by itself
        self.metrics, self.error = widgets.HTML(), widgets.HTML()
        self.progress = widgets.IntProgress(0, min=0, max=1, description="Progress", **STYLE)
        self.stop = button("Stop", "Stop what goes on", "stop")
        study = row(self.progress, self.stop)
        show_if(False, self.progress, self.stop)
        self._arrange([*choice, *comparison, self.error, study, self.pages, self.metrics])
        self.places: dict[str, Place] = {name: self._place_of(name) for name in SETTINGS}

    def _place_of(self, name: str) -> Place:
        if name in DIRECTIONS:
            return self.amounts[DIRECTIONS.index(name)], "value"
        if name in LOOK:
            return self.picture, name
        holder = getattr(self, name)
        return (holder, "value") if isinstance(holder, widgets.Widget) else (self, name)

    # Each of these makes some widgets and gives them from top to bottom.

    def _make_choice(self, images: list[str], models: list[str]) -> list[widgets.Widget]:
        self.image = widgets.Dropdown(options=images, description="Image", **STYLE)
        self.model = widgets.Dropdown(options=models, description="Model", **STYLE)
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=True, description="Upload images", layout={"width": "auto"}
        )
        self.upload.tooltip = "Or drop them on the picture"
        self.reduce = widgets.Checkbox(False, description="uploads are originals: reduce them first", indent=False)
        self.reduce.layout.width = "auto"
        return [self.image, self.model, row(self.upload, self.reduce)]

    def _make_comparison(self) -> list[widgets.Widget]:
        self.left = widgets.Dropdown(options=SIDES, description="Compare with", **STYLE)
        self.left_seed = SeedSlider("its sample", 1.0)
        self.undo = button("Undo", "One step back", "undo", disabled=True)
        self.redo = button("Redo", "One step forward again", "repeat", disabled=True)
        self.keep = button("Keep as best", "Keep this sample, to compare others with it", "star")
        self.reset = button("Reset", "All settings but the image and the model to what they are by default", "refresh")
        show_if(False, self.left_seed)
        return [self.left, self.left_seed, row(self.undo, self.redo, self.keep, self.reset)]

    def _arrange(self, column: list[widgets.Widget]) -> None:
        """The picture, and the column beside it, or below where there is no room."""
        self.picture.layout.width = "100%"
        frame = widgets.Box([self.picture], layout=Layout(flex="2 1 24em", min_width="0", max_width="52em"))
        controls = widgets.VBox(column)
        controls.layout = Layout(flex="1 1 22em", min_width="0", max_width="34em", margin="0 0 0 8px")
        self.widget = ViewBox([frame, controls], layout=Layout(flex_flow="row wrap", align_items="flex-start"))
        self.widget.add_class("srvae-view")

    @property
    def settings(self) -> dict[str, object]:
        """The values of all that makes the picture, by name."""
        return {name: getattr(owner, attribute) for name, (owner, attribute) in self.places.items()}

    # What the widgets are told.

    def open_page(self, name: str) -> None:
        """Bring one of :data:`PAGES` to the front."""
        self.pages.selected_index = PAGES.index(name)

    def name_directions(self, names: Sequence[str] | None) -> None:
        """Write beside each direction's slider what it changes, once that is known."""
        names = [name.capitalize() for name in DIRECTIONS] if names is None else names
        for slider, name in zip(self.amounts, names, strict=True):
            slider.description = name
            slider.tooltip = f"{name}: steps of one standard deviation of the prior"
        chosen = self.region_direction.index or 0
        self.region_direction.options = [(name, i) for i, name in enumerate(names)]  # chooses the first of them
        self.region_direction.index = chosen

    def show_error(self, error: Exception | str | None) -> None:
        """Show an exception, in red, or a remark above the pages, or clear the last one's text."""
        if not error:
            self.error.value = ""
            return
        text = as_html(str(error) or type(error).__name__)
        role, colour = ("status", "inherit") if isinstance(error, str) else ("alert", "var(--jp-error-color1, #c0392b)")
        self.error.value = f'<p role="{role}" style="color: {colour}">{text}</p>'

    def show_running(self, running: bool) -> None:
        """Let a study be seen and stopped, or not."""
        show_if(running, self.progress, self.stop)
