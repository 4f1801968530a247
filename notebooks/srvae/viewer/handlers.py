"""What the buttons do: functions of a view, and the table that connects them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import srvae_core as sr
from srvae import images, metrics

from . import files
from .controls import LAST, NINE, Binding, on_slider, on_step
from .files import Saved, Source
from .pace import PAUSE, Steps, in_background
from .pictures import encode, reduced
from .scene import STEP_EDGE, Scene, cut, load_model, load_weights
from .settings import LOOK, SAMPLE_TEMPERATURE, SEEDS, Region, Settings, region_at, with_region

if TYPE_CHECKING:
    from .view import View

THUMBNAIL, PREVIEW = 256, 96  # pixels a side of the nine, and of the pictures of directions
STEPS_ALONG = 6.0  # along a direction, either way: enough for a change of 10 to 60 grey levels
ONE_ANSWER = "At temperature 0 there is only one answer: raise the temperature."
SAMPLE = ("image", "model", "work", "temperature", "seed", "amounts", "regions")  # what makes one of the nine


def connect(view: View) -> None:
    """Let every control do what it is for."""
    controls, picture = view.controls, view.page.picture
    controls.observe(partial(moved, view))
    clicks: list[tuple[object, Callable[[View], str | None]]] = [
        (controls.undo, type(view).undo),
        (controls.redo, type(view).redo),
        (controls.reset, reset),
        (controls.previous, partial(step_sample, by=-1)),
        (controls.random, random_sample),
        (controls.next, partial(step_sample, by=1)),
        (controls.reroll, reroll),
        (controls.clear, lambda view: view.apply(regions=())),
        (controls.keep, keep_best),
        (controls.nine, show_nine),
        (controls.map, map_uncertainty),
        (controls.stop, stop),
        (controls.save, save),
        (controls.download, download),
        (controls.load, load),
        *((pick, partial(take, i=i)) for i, pick in enumerate(controls.picks)),
    ]
    if controls.amounts:
        clicks.append((controls.zero, lambda view: view.apply(amounts=())))
    for button, action in clicks:
        button.on_click(view.guarded(partial(action, view)))
    controls.play.observe(view.guarded(partial(check_play, view)), "playing")
    controls.overlay.observe(view.guarded(partial(show_map, view), quiet=True), "value")
    controls.folder.observe(view.guarded(partial(open_folder, view)), "value")
    controls.upload.observe(view.guarded(partial(open_uploads, view)), "value")
    controls.pages.observe(view.guarded(partial(open_page, view), quiet=True), "selected_index")
    controls.select.observe(lambda change: picture.set_trait("selecting", change["new"]), "value")
    follow = view.guarded(lambda: controls.follow(view.settings, view.scene), quiet=True)
    picture.observe(follow, "selection")
    picture.on_msg(partial(take_message, view))


def moved(view: View, binding: Binding, value: object) -> None:
    """Handle a move of a bound widget: a slider, a chooser, the border, the part that is visible."""
    changes = {binding.field: value}
    if binding.field in LOOK:  # one message of the page changes several, which belong together
        changes = {name: getattr(view.page.picture, name) for name in LOOK}

    def show() -> str:
        view.apply(gesture=binding.widget, **changes)
        return ONE_ANSWER if binding.field == "seed" and not view.settings.temperature else ""

    view.guarded(show, quiet=binding.field in LOOK)()


# -- Samples ------------------------------------------------------------------------------------------------


def step_sample(view: View, by: int) -> None:
    """Go to the next whole sample, or to the one before."""
    seed = view.settings.seed
    view.apply(seed=float(min(max((math.floor(seed) if by > 0 else math.ceil(seed)) + by, 0), SEEDS)))


def random_sample(view: View) -> None:
    """Go to any other sample, at a temperature above 0."""
    seed = random.choice([s for s in range(SEEDS + 1) if s != view.settings.seed])
    view.apply(seed=float(seed), temperature=view.settings.temperature or SAMPLE_TEMPERATURE)


def check_play(view: View) -> None:
    """Stop Play at temperature 0, where nothing would move."""
    if view.controls.play.playing and not view.settings.temperature:
        view.controls.play.playing = False
        check_samples(view.settings)


def reset(view: View) -> None:
    """Go back to the settings at first, but for the photograph and the model."""
    settings = view.settings
    own = load_model(settings.model).temperature
    at_first = (settings.image, settings.model) == (view.first.image, view.first.model)
    plain = Settings(settings.image, settings.model, temperature=own)
    view.page.picture.selection = ()
    view.apply(view.first if at_first else plain)


def keep_best(view: View) -> str:
    """Keep the sample on show as the best."""
    view.apply(best=replace(view.settings, best=None, left="bicubic"))
    return "Kept. Choose 'best' in Compare with to see it on the left."


# -- Regions ------------------------------------------------------------------------------------------------


def target(view: View) -> sr.Rect:
    """The rectangle that changes, in LR pixels of the photograph: the selected one, or all that is visible."""
    scene = view.scene
    top, left, height, width = scene.visible(view.settings)
    if view.page.picture.selection:
        sides = []
        x, y, w, h = view.page.picture.selection
        for start, side, n in ((y, h, scene.rect[2]), (x, w, scene.rect[3])):
            first = min(start // scene.scale, n - 1)
            sides.append((first, min(n, max(first + 1, math.ceil((start + side) / scene.scale))) - first))
        (top, height), (left, width) = sides
    return top + scene.frame[0], left + scene.frame[1], height, width


def region_of(view: View) -> Region:
    """The noise inside the target: a region's own, or that of the picture."""
    settings, rect = view.settings, target(view)
    temperature = settings.temperature or SAMPLE_TEMPERATURE
    return region_at(settings, rect) or Region(rect, temperature, settings.seed)


def region_bindings(view: View) -> list[Binding]:
    """The sliders of the region, which show and change the last of the settings' regions."""

    def changed(**values: float) -> tuple[Region, ...]:
        region = replace(region_of(view), **values)
        return with_region(view.settings, region.rect, region.temperature, region.seed).regions

    controls = view.controls
    return [
        Binding(
            controls.region_temperature,
            "value",
            "regions",
            lambda _: on_step(region_of(view).temperature, 0.01),
            lambda value: changed(temperature=round(value, 4)),
        ),
        Binding(
            controls.region_seed,
            "value",
            "regions",
            lambda _: on_slider(region_of(view).seed),
            lambda value: changed(seed=on_step(value)),
        ),
    ]


def reroll(view: View) -> None:
    """Draw the noise inside the target anew."""
    region = region_of(view)
    seed = random.choice([s for s in range(LAST + 1) if s not in (region.seed, view.settings.seed)])
    view.apply(regions=with_region(view.settings, region.rect, region.temperature, float(seed)).regions)


# -- Studies: generators that yield the seconds after which to go on --------------------------------------


def stop(view: View) -> str:
    """Stop what is running, and what waits for it."""
    view.pace.stop()
    return "Stopped."


def check_samples(settings: Settings) -> None:
    """Raise ValueError at temperature 0, where samples do not differ."""
    if not settings.temperature:
        raise ValueError(ONE_ANSWER)


def in_steps(
    scene: Scene, settings: Settings, rect: sr.Rect, *, draft: bool = False
) -> Generator[float, None, np.ndarray]:
    """Decode a part in steps; returns (s*height, s*width, 3) uint8."""
    picture = np.empty((scene.scale * rect[2], scene.scale * rect[3], 3), np.uint8)
    for block in sr.blocks(rect, STEP_EDGE // scene.scale):
        cut(picture, sr.relative_to(block, rect), scene.scale)[:] = scene.sample(settings, block, draft=draft)
        yield PAUSE
    return picture


def show_nine(view: View) -> None:
    """Draw the next nine samples of the visible part, to choose from."""
    check_samples(view.settings)
    view.pace.start(drawing_nine(view, view.scene, view.settings))


def drawing_nine(view: View, scene: Scene, settings: Settings) -> Steps:
    controls, rect = view.controls, scene.visible(settings)
    for i, (thumbnail, pick) in enumerate(zip(controls.thumbnails, controls.picks, strict=True)):
        seed = (math.floor(settings.seed) + 1 + i) % (SEEDS + 1)
        view.nine[i] = replace(settings, seed=float(seed))
        picture = yield from in_steps(scene, view.nine[i], rect, draft=True)
        thumbnail.value = encode(reduced(picture, THUMBNAIL), "jpeg")
        pick.description, pick.tooltip, pick.disabled = f"Sample {seed}", f"Take sample {seed}", False
        controls.show_progress(i + 1, NINE, "Drawing nine samples")


def take(view: View, i: int) -> None:
    """Take one of the nine samples."""
    view.apply(**{name: getattr(view.nine[i], name) for name in SAMPLE})


@dataclass(frozen=True)
class Map:
    """How much samples differ at each place: of which scene and latents, where, (H, W) grey levels, and in words."""

    scene: Scene
    latents: tuple[object, ...]
    rect: sr.Rect
    deviation: np.ndarray
    text: str


def map_uncertainty(view: View) -> None:
    """Measure how much samples differ at each place of the visible part, and lay that over the picture."""
    check_samples(view.settings)
    view.pace.start(mapping(view, view.scene, view.settings, view.controls.count.value))


def mapping(view: View, scene: Scene, settings: Settings, count: int) -> Steps:
    rect, spread, samples = scene.visible(settings), metrics.Spread(), []
    for seed in range(count):
        samples.append((yield from in_steps(scene, replace(settings, seed=float(seed)), rect)))
        if (view.scene, view.settings.latents) != (scene, settings.latents):
            view.controls.say("The map was stopped: the sample has changed.")
            return
        spread.add(samples[-1])
        view.controls.show_progress(seed + 1, count, "Mapping uncertainty")
        if seed:
            text = f"on average {spread.deviation.mean():.2f}"
            if seed + 1 == count and scene.original is not None and rect == scene.rect:
                text += f"; diversity {metrics.diversity(samples, scene.original):.1f} %"
            view.map = Map(scene, settings.latents, rect, spread.deviation, text)
            show_map(view)


def visible_map(view: View) -> np.ndarray | None:
    """The map if it is of the picture on show and is to be seen, (H, W)."""
    seen = view.map is not None and view.controls.overlay.value
    return view.map.deviation if seen and view.map.rect == view.scene.visible(view.settings) else None


def show_map(view: View) -> None:
    """Lay the map over the picture, or take it away."""
    if view.map is not None and (view.map.scene, view.map.latents) != (view.scene, view.settings.latents):
        view.map = None
    if view.map is not None and view.controls.overlay.value:
        view.page.show_map(view.scene, view.map.rect, view.map.deviation)
        view.controls.show_scale(float(view.map.deviation.max()), view.map.text)
    else:
        view.page.show_map(view.scene, view.scene.rect, None)
        view.controls.show_scale(None)


def open_page(view: View) -> None:
    """Drop the selected rectangle, and picture the directions on their page."""
    controls = view.controls
    view.page.picture.selection, controls.select.value = (), False
    preview_directions(view)


def preview_directions(view: View) -> None:
    """Picture each direction on its page, where it changes the answer most: six steps back, and six ahead."""
    if not view.controls.amounts or view.controls.pages.selected_index < 3 or view.previewed is view.scene:
        return
    view.previewed = view.scene
    scene, settings = view.scene, replace(view.settings, regions=())
    rect = scene.visible(replace(settings, zoom=max(1.0, max(scene.rect[2:]) / (2 * sr.PATCH))))
    for i, previews in enumerate(view.controls.previews):
        amounts = [(0.0,) * i + (steps,) for steps in (-STEPS_ALONG, STEPS_ALONG)]
        pair = [scene.sample(replace(settings, amounts=a), rect, draft=True) for a in amounts]
        change = np.abs(pair[0].astype(np.float32) - pair[1]).mean(2)
        y, x = np.unravel_index(change.argmax(), change.shape)
        top, left = (max(0, min(at - PREVIEW // 2, n - PREVIEW)) for at, n in zip((y, x), change.shape, strict=True))
        for preview, picture in zip(previews, pair, strict=True):
            preview.value = encode(picture[top : top + PREVIEW, left : left + PREVIEW], "jpeg")


# -- Photographs --------------------------------------------------------------------------------------------


def open_uploads(view: View) -> str | None:
    """Open the uploaded files."""
    uploaded = [(file["name"], bytes(file["content"])) for file in view.controls.upload.value]
    if not uploaded:
        return None
    view.controls.upload.value = ()  # so that the same file can come once more
    return open_files(view, uploaded)


def open_folder(view: View) -> str | None:
    """Offer the images of a folder and open the first."""
    path = view.controls.folder.value
    return open_sources(view, files.folder_sources(path, is_original=view.controls.shrink.value), []) if path else None


def open_files(view: View, named: Sequence[tuple[str, bytes]]) -> str:
    """Open image files; a PNG that was saved here brings its settings."""
    found, refused = {}, []
    for name, content in named:
        if len(named) == 1 and files.text_of(content) is not None:
            return show_saved(view, name, files.load_png(name, content))
        try:
            found[files.printable(name)] = files.read(content, is_original=view.controls.shrink.value)
        except ValueError as error:
            refused.append(f"{name}: {error}")
    return open_sources(view, found, refused)


def open_sources(view: View, found: Mapping[str, Source], refused: list[str]) -> str:
    """Offer photographs and show the first that can be shown; returns why others could not be."""
    before = view.files.sources
    names = view.files.offer(found)
    for name in names.values():
        view.controls.offer(view.controls.image, list(view.files.sources), view.settings.image)
        try:
            view.apply(image=name)
            return files.listed(refused)
        except (OSError, ValueError) as error:
            refused.append(str(error))
            view.files.sources = {n: s for n, s in view.files.sources.items() if n != name or n in before}
    view.controls.offer(view.controls.image, list(view.files.sources), view.settings.image)
    raise ValueError(files.listed(refused))


def saving(view: View, deliver: Callable[[bytes], str]) -> Steps:
    """Enlarge the photograph as it is set now, and deliver the PNG."""
    scene, settings, source = view.scene, view.settings, view.source
    network, weights = load_weights(settings.model)
    if scene.frame[2:] != scene.size:  # only a part is in work, and all is to be saved
        part = scene
        scene = Scene(source.image, network, is_original=source.is_original, edge=max(scene.size), cache=False)
        if any(settings.amounts):
            scene.directions = part.directions
    blocks = scene.missing(settings, scene.rect)
    for i, _ in enumerate(scene.steps(settings, scene.rect)):
        view.controls.show_progress(i + 1, len(blocks), "Enlarging the photograph")
        yield PAUSE
    picture = scene.answer(settings).copy()
    saved = Saved(settings, sr.digest(source.image.tobytes()), weights)
    content = yield from in_background(partial(files.png_bytes, picture, saved))
    view.controls.say(deliver(content))


def save(view: View) -> None:
    """Save the enlarged photograph beside the notebook, never over another file."""
    text = view.controls.path.value
    files.free_path(text)  # raises before any work

    def write(content: bytes) -> str:
        path = files.free_path(text)
        with images.atomic_write(path) as part:
            part.write_bytes(content)
        return f"Saved {path.resolve()}."

    view.pace.start(saving(view, write))


def download(view: View) -> None:
    """Let the browser download the same."""
    name = files.free_path(view.controls.path.value).name

    def send(content: bytes) -> str:
        view.page.picture.download(name, content)
        return f"{name} is with the browser."

    view.pace.start(saving(view, send))


def load(view: View) -> str:
    """Show what a saved PNG shows."""
    path = Path(view.controls.path.value).expanduser()
    return show_saved(view, path.name, files.load_png(path.name, path))


def show_saved(view: View, name: str, saved: Saved) -> str:
    """Show saved settings; returns what was loaded, and why the picture may differ."""
    settings = saved.settings
    if settings.image not in view.files.sources:
        raise ValueError(f"{name} is of the photograph {settings.image!r}: open that first")
    if settings.model not in view.controls.model.options:
        raise ValueError(f"{name} was made by the model {settings.model!r}, which is not offered here")
    view.apply(settings)
    text = f"Loaded {name}: {settings.image}, {settings.model}, {settings.sample_name}."
    if saved.photograph != sr.digest(view.source.image.tobytes()):
        text += " The photograph of this name is another one, so the picture differs."
    if saved.weights != load_weights(settings.model)[1]:
        text += " The weights have changed since, so the picture differs."
    return text


def take_message(view: View, _: object, content: Mapping[str, object], buffers: Sequence[memoryview]) -> None:
    """Open the files that were dropped on the picture."""
    if content["kind"] == "drop":
        named = list(zip(content["names"], map(bytes, buffers), strict=True))
        view.guarded(partial(open_files, view, named))()
    elif content["kind"] == "refused":
        view.controls.say("Folders, and more than 64 MB, cannot be dropped: name the folder instead.", error=True)
