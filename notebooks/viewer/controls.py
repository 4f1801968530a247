"""The widgets of the view and the pages that they lie on: made once and then changed. No picture is made here."""

from __future__ import annotations

import html

import ipywidgets as widgets
from ipywidgets import Layout

from .settings import DIRECTIONS, SETTINGS, SIDES, Numbers

PAGES = ("sample", "directions", "look", "many", "file")
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


def real(name: str, value: float, step: float, description: str, form: str = ".2f") -> widgets.FloatSlider:
    """The slider of a setting that is a real number; ``form`` is how its value is written."""
    limits = {"min": SETTINGS[name].low, "max": SETTINGS[name].high, "step": step}
    return widgets.FloatSlider(value, **limits, description=description, readout_format=form, **LOOK)


def whole(numbers: Numbers, value: int, description: str) -> widgets.IntSlider:
    """A slider of whole numbers."""
    return widgets.IntSlider(value, min=numbers.low, max=numbers.high, description=description, **LOOK)


def as_html(text: str) -> str:
    """Text for a line of the view. Names of files may hold what is no character, which no message can carry: "?"."""
    return html.escape(text.encode(errors="replace").decode())


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
        steps = dict(zip(DIRECTIONS, self.amounts, strict=True))
        self.controls: dict[str, widgets.ValueWidget] = {
            name: steps[name] if name in steps else getattr(self, name) for name in SETTINGS
        }

    # Each of these makes some widgets and gives them from top to bottom.

    def _make_choice(self, images: list[str], models: list[str]) -> list[widgets.Widget]:
        self.image = widgets.Dropdown(options=images, description="Image", **LOOK)
        self.model = widgets.Dropdown(options=models, description="Model", **LOOK)
        self.folder = widgets.Text(
            description="Folder", placeholder="a path, then Enter", continuous_update=False, **LOOK
        )
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=True, description="Upload small images", layout={"width": "auto"}
        )
        self.reduce = widgets.Checkbox(False, description="it is an original: reduce it first", indent=False)
        return [self.image, self.model, self.folder, row(self.upload, self.reduce)]

    def _make_sample_page(self) -> list[widgets.Widget]:
        self.temperature = real("temperature", 0.0, 0.05, "Temperature")
        self.seed = whole(SETTINGS["seed"], 0, "Latent sample")
        self.dice = widgets.Button(description="Throw the dice", tooltip="Another latent sample", icon="random")
        self.to_seed = whole(SETTINGS["to_seed"], 1, "Walk to")
        self.walk = real("walk", 0.0, 0.02, "Way there", ".0%")
        return [self.temperature, self.seed, self.dice, self.to_seed, self.walk]

    def _make_directions_page(self) -> list[widgets.Widget]:
        self.amounts = [real(name, 0.0, 0.1, name.capitalize()) for name in DIRECTIONS]
        self.reset = widgets.Button(description="Reset", tooltip="All directions back to zero")
        return [*self.amounts, self.reset]

    def _make_look_page(self) -> list[widgets.Widget]:
        self.left = widgets.Dropdown(options=SIDES, description="Left side", **LOOK)
        self.left_seed = whole(SETTINGS["left_seed"], 1, "Left sample")
        self.zoom = whole(SETTINGS["zoom"], 1, "Zoom")
        self.across = real("across", 0.5, 0.01, "Left to right", ".0%")
        self.down = real("down", 0.5, 0.01, "Top to bottom", ".0%")
        return [self.left, self.left_seed, self.zoom, self.across, self.down]

    def _make_many_page(self) -> list[widgets.Widget]:
        self.count = whole(Numbers(2, 64, whole=True), 16, "Samples")
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
        limits = {"min": SETTINGS["share"].low, "max": SETTINGS["share"].high, "step": 0.01}
        self.share = widgets.FloatSlider(0.5, **limits, readout=False, tooltip="Border")
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

    def show_error(self, error: Exception | str | None) -> None:
        """Show an exception or a remark below the controls, or clear the last one's text."""
        if not error:
            self.error.value = ""
            return
        text = as_html(str(error) or type(error).__name__)
        self.error.value = f'<p role="alert" style="color: var(--jp-error-color1, #c0392b)">{text}</p>'

    def show_running(self, running: bool) -> None:
        """Let a study be stopped, or not."""
        self.stop.disabled = not running
