"""The widgets of the view and the pages that they lie on: made once and then changed. No picture is made here."""

from __future__ import annotations

import html

import directions
import ipywidgets as widgets
from ipywidgets import Layout

from .scene import DIRECTION

PAGES = ("sample", "directions", "look", "many", "file")
SEEDS = 999  # the largest seed that a slider reaches
GALLERY = 9  # samples to choose from

LOOK = {"style": {"description_width": "7.5em"}, "layout": {"width": "auto"}}  # of all that has a description
ONE_COLUMN = "minmax(0, 1fr)"  # of a grid; a plain 1fr would grow with its content

# ipywidgets gives the handles of its sliders and its images no name that a screen reader could say. And Notebook 7
# takes the arrow keys for itself unless the very element that has the focus says that it has keys of its own.
LABELS = """
if (!window.srvaeLabels) {
  const set = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const label = () => {
    for (const slider of document.querySelectorAll('.srvae-view .widget-slider')) {
      const { title, textContent } = slider.querySelector('.widget-label');
      const handle = slider.querySelector('[role=slider]');
      set(handle, 'aria-label', textContent || title);
      set(handle, 'data-lm-suppress-shortcuts', 'true');
    }
    for (const image of document.querySelectorAll('.srvae-view img')) // thumbnails lie below buttons that name them
      set(image, 'alt', image.classList.contains('srvae-picture') ? 'The enlarged picture' : '');
  };
  window.srvaeLabels = new MutationObserver(label);
  window.srvaeLabels.observe(document.body, { childList: true, subtree: true });
  label();
}
"""


def real(
    value: float, low: float, high: float, step: float, description: str, form: str = ".2f"
) -> widgets.FloatSlider:
    """A slider of real numbers; ``form`` is how its value is written."""
    limits = {"min": low, "max": high, "step": step}
    return widgets.FloatSlider(value, **limits, description=description, readout_format=form, **LOOK)


def whole(value: int, low: int, high: int, description: str) -> widgets.IntSlider:
    """A slider of whole numbers."""
    return widgets.IntSlider(value, min=low, max=high, description=description, **LOOK)


def row(*children: widgets.Widget) -> widgets.HBox:
    """Widgets side by side, below one another where there is no room."""
    return widgets.HBox(children, layout=Layout(flex_flow="row wrap"))


def overlaid(*children: widgets.Widget) -> widgets.GridBox:
    """Widgets on top of one another: the last lies above and takes the clicks."""
    for child in children:
        child.layout.grid_area = "cell"
    return widgets.GridBox(children, layout={"grid_template_areas": '"cell"', "grid_template_columns": ONE_COLUMN})


class Controls:
    """All widgets of the view as attributes.

    Args:
        images: names to choose from.
        models: likewise.

    Attributes:
        widget: the whole, to display.
        pages: the tab with :data:`PAGES`.
        picture: the picture on show; its ``value`` is a JPEG or PNG file.
        image, model, folder, upload, reduce: which image, and enlarged by what.
        temperature, seed, dice, to_seed, walk: which sample; ``dice`` is a button.
        amounts, reset: steps along the directions, a list of sliders; ``reset`` is a button.
        left, left_seed, share, zoom, across, down: what the answer is compared with, and where one looks.
        count, measure, draw, stop, progress, overlay, thumbnails, picks: many samples.
        path, save, load: PNG files with settings.
        metrics, spread, error: lines of text (HTML).
        controls: those that make a picture, by name, as ``settings`` has them.
    """

    def __init__(self, images: list[str], models: list[str]) -> None:
        choice = self._make_choice(images, models)
        pages = {
            "sample": self._make_sample_page(),
            "directions": self._make_directions_page(),
            "look": self._make_look_page(),
            "many": self._make_many_page(),
            "file": self._make_file_page(),
        }
        self.pages = widgets.Tab([widgets.VBox(pages[name]) for name in PAGES], titles=[p.title() for p in PAGES])
        self.pages.selected_index = 0  # ipywidgets opens none by itself
        self.metrics, self.spread, self.error = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self._arrange([*choice, self.pages, self.metrics, self.spread, self.error])
        # the order and the names are those of saved PNGs: a new control goes to the end
        names = ("image", "model", "temperature", "seed", "to_seed", "walk")
        names += ("left", "left_seed", "share", "zoom", "across", "down")
        self.controls: dict[str, widgets.ValueWidget] = {name: getattr(self, name) for name in names}
        self.controls |= {f"{DIRECTION}{i + 1}": slider for i, slider in enumerate(self.amounts)}

    # Each of these makes some widgets and gives them from top to bottom.

    def _make_choice(self, images: list[str], models: list[str]) -> list[widgets.Widget]:
        self.image = widgets.Dropdown(options=images, description="Image", **LOOK)
        self.model = widgets.Dropdown(options=models, description="Model", **LOOK)
        self.folder = widgets.Text(
            description="Folder", placeholder="a path, then Enter", continuous_update=False, **LOOK
        )
        self.upload = widgets.FileUpload(accept="image/*", description="Upload a small image", layout={"width": "auto"})
        self.reduce = widgets.Checkbox(False, description="it is an original: reduce it first", indent=False)
        return [self.image, self.model, self.folder, row(self.upload, self.reduce)]

    def _make_sample_page(self) -> list[widgets.Widget]:
        self.temperature = real(0.0, 0, 2, 0.05, "Temperature")
        self.seed = whole(0, 0, SEEDS, "Latent sample")
        self.dice = widgets.Button(description="Throw the dice", tooltip="Another latent sample", icon="random")
        self.to_seed = whole(1, 0, SEEDS, "Walk to")
        self.walk = real(0.0, 0, 1, 0.02, "Way there", ".0%")
        return [self.temperature, self.seed, self.dice, self.to_seed, self.walk]

    def _make_directions_page(self) -> list[widgets.Widget]:
        # Up to ten standard deviations of the prior: a single one moves the picture by a few grey levels at most.
        self.amounts = [real(0.0, -10, 10, 0.1, f"Direction {i + 1}") for i in range(directions.COUNT)]
        self.reset = widgets.Button(description="Reset", tooltip="All directions back to zero")
        return [*self.amounts, self.reset]

    def _make_look_page(self) -> list[widgets.Widget]:
        # the Settings of a scene take these words as they are, and saved PNGs hold them
        sides = ["bicubic", "original", "z = 0", "another sample"]
        self.left = widgets.Dropdown(options=sides, description="Left side", **LOOK)
        self.left_seed = whole(1, 0, SEEDS, "Left sample")
        self.zoom = whole(1, 1, 8, "Zoom")
        self.across = real(0.5, 0, 1, 0.01, "Left to right", ".0%")
        self.down = real(0.5, 0, 1, 0.01, "Top to bottom", ".0%")
        return [self.left, self.left_seed, self.zoom, self.across, self.down]

    def _make_many_page(self) -> list[widgets.Widget]:
        self.count = whole(16, 2, 64, "Samples")
        self.measure = widgets.Button(
            description="Measure", tooltip="Standard deviation of the samples, pixel by pixel"
        )
        self.draw = widgets.Button(description="Draw nine", tooltip="Nine more samples with the settings as they are")
        self.stop = widgets.Button(description="Stop", tooltip="Stop measuring or drawing", disabled=True)
        self.progress = widgets.IntProgress(0, min=0, max=1, description="Progress", **LOOK)
        self.overlay = widgets.Checkbox(True, description="show it over the picture", indent=False)
        self.thumbnails = [widgets.Image(format="jpeg", layout=Layout(width="100%")) for _ in range(GALLERY)]
        clear = {"button_color": "transparent", "text_color": "transparent"}  # the picture below is what one sees
        self.picks = [
            widgets.Button(
                description=f"{i + 1}",
                disabled=True,
                style=clear,
                layout=Layout(width="100%", height="100%", margin="0"),
            )
            for i in range(GALLERY)
        ]
        cells = [overlaid(*pair) for pair in zip(self.thumbnails, self.picks, strict=True)]
        gallery = widgets.GridBox(
            cells, layout={"grid_template_columns": f"repeat(3, {ONE_COLUMN})", "grid_gap": "4px"}
        )
        return [self.count, row(self.measure, self.draw, self.stop), self.progress, self.overlay, gallery]

    def _make_file_page(self) -> list[widgets.Widget]:
        self.path = widgets.Text("sample.png", description="File", **LOOK)
        self.save = widgets.Button(description="Save", tooltip="Save the whole answer as PNG, with its settings")
        self.load = widgets.Button(description="Load settings", tooltip="Bring back what a saved PNG shows")
        return [self.path, row(self.save, self.load)]

    def _arrange(self, column: list[widgets.Widget]) -> None:
        """The picture with its border's slider, and the column beside it, or below where there is no room."""
        self.picture = widgets.Image(format="png", layout=Layout(width="100%"))
        self.picture.add_class("srvae-picture")  # tells it from other pictures of a page
        self.share = widgets.FloatSlider(0.5, min=0, max=1, step=0.01, readout=False, tooltip="Border")
        self.share.layout = Layout(width="auto", margin="0", align_self="flex-end")
        picture = overlaid(self.picture, self.share)  # the slider runs along the lower edge of the picture
        picture.layout.width = "100%"
        frame = widgets.Box([picture], layout=Layout(flex="2 1 20em", min_width="0", max_width="44em"))
        controls = widgets.VBox(column)
        controls.layout = Layout(flex="1 1 22em", min_width="0", max_width="34em", margin="0 0 0 6px")
        self.widget = widgets.Box([frame, controls], layout=Layout(flex_flow="row wrap", align_items="flex-start"))
        self.widget.add_class("srvae-view")

    @property
    def settings(self) -> dict[str, object]:
        """The values of all controls that make the picture, by name."""
        return {name: control.value for name, control in self.controls.items()}

    # What the widgets are told.

    def open_page(self, name: str) -> None:
        """Bring one of :data:`PAGES` to the front."""
        self.pages.selected_index = PAGES.index(name)

    def name_directions(self, effects: list[float] | None) -> None:
        """Write beside each direction's slider by how many grey levels a step moves the picture, once it is known."""
        for i, slider in enumerate(self.amounts):
            if effects is None:
                slider.description, slider.tooltip = f"Direction {i + 1}", None
                continue
            slider.description = f"{i + 1}: ±{effects[i]:.2g} grey"
            slider.tooltip = f"Direction {i + 1}: one step moves the picture by {effects[i]:.2g} grey levels"

    def show_error(self, error: Exception | None) -> None:
        """Show an exception below the controls, or clear the last one's text."""
        if error is None:
            self.error.value = ""
            return
        text = html.escape(str(error) or type(error).__name__)
        self.error.value = f'<p role="alert" style="color: var(--jp-error-color1, #c0392b)">{text}</p>'

    def show_running(self, running: bool) -> None:
        """Let a study be stopped, or not."""
        self.stop.disabled = not running
