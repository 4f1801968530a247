"""The view in a real browser: what a person's hands do, and what the picture then is.

Gestures on the picture alone are tested in test_picture_touch.py; here the kernel's answers to them.
"""

import json
import re
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

import srvae_core as sr
from srvae import directions, images, viewer
from srvae.benchmarks.sets import bundled
from srvae.viewer import browser

try:
    browser.chromium()
except browser.NoBrowserError as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.slow

CELLS = (
    """from srvae import viewer
from srvae.benchmarks.sets import bundled
photographs = {"cat": viewer.cut_to_middle(bundled("chelsea"), 128)}
view = viewer.View(photographs, scale=4, rest_delay=0.1)
view.apply({"temperature": 1.0, "seed": 20.0, "share": 0.0})
view.show()
import html
import itertools
import json
from pathlib import Path
turns = itertools.count(1)
moves = []
def note(slider, take):
    slider.set_state = lambda state: (moves.append([slider.description, state]), take(state))
for slider in [view.temperature, view.seed, view.left_seed, *view.amounts, view.count, view.length,
               view.region_temperature, view.region_seed, view.region_amount]:
    note(slider, slider.set_state)
def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
def report(_):
    values = {name: view.settings[name] for name in ("seed", "temperature", "share", "zoom", "image")}
    values |= {"error": view.error.value, "regions": len(view.regions), "region": view.region, "moves": moves}
    values |= {"memory": memory() if Path("/proc").exists() else 0, "turn": next(turns)}
    status.value = html.escape(json.dumps(values))
import ipywidgets
status = ipywidgets.HTML()
ask = ipywidgets.Button(description="report")
ask.on_click(report)
ipywidgets.VBox([ask, status.add_class("srvae-status")])""",
)  # one cell: a click in another one makes the page scroll
UNCHANGED = 0.5  # seconds without a new frame that count as rest, for a view that comes to rest after 0.1


@pytest.fixture(scope="module", params=["jupyterlab", "notebook"])
def lab(request, tmp_path_factory):
    """JupyterLab or Notebook in Chromium with the view; and what the console says."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp("lab")
    browser.write_notebook(folder / "view.ipynb", *CELLS)
    address_of = {"jupyterlab": "lab/tree/view.ipynb", "notebook": "notebooks/view.ipynb"}[request.param]
    outside = []
    with browser.server(folder, request.param) as address, browser.page(address % address_of, outside) as page:
        page.set_viewport_size({"width": 1400, "height": 1600})
        browser.await_kernel(page)  # Notebook 7.6.5 complains to itself while it loads any notebook at all
        page.complaints, page.application, page.outside = [], request.param, outside
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: page.complaints.append(str(e)))
        browser.run_all(page)
        page.locator(".srvae-status").wait_for(state="attached")
        browser.at_rest(page)
        yield page


def report(page):
    """The settings as the kernel has them, after everything that was sent to it."""
    status = page.locator(".srvae-status .widget-html-content")
    before = status.inner_text()
    page.get_by_role("button", name="report").click()
    for _ in range(300):
        if (text := status.inner_text()) != before:
            return json.loads(text)
        page.wait_for_timeout(100)
    raise TimeoutError("the kernel does not answer")


def shown(page):
    """The picture at rest: when the kernel has had every move, and knows of no other when the picture has come."""
    for _ in range(10):
        before = report(page)
        picture = cv2.imdecode(np.frombuffer(browser.at_rest(page, UNCHANGED), np.uint8), cv2.IMREAD_COLOR)
        if all(before[name] == value for name, value in report(page).items() if name not in ("turn", "memory")):
            return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    raise TimeoutError("the settings do not come to rest")


def cat():
    return viewer.cut_to_middle(bundled("chelsea"), 128)


def assert_shows_the_answer(page, shipped, lr):
    """The picture on the page is what a sampler of this process answers to the settings in the kernel.

    On a busy machine a value may still be under way to the kernel; a frame that stays old fails.
    """
    for _ in range(5):
        picture, settings = shown(page), report(page)
        assert settings["error"] == ""
        sampler = sr.Sampler(shipped("4x-D"), lr)
        eps = directions.steer(sampler.tiles, settings["seed"], settings["temperature"])
        expected = sampler(temperature=1.0, eps=eps)
        if picture.shape == expected.shape and np.abs(picture.astype(int) - expected).max() <= 1:
            return settings
    pytest.fail(f"the picture is not the answer to {settings}")


def test_slider_dragged_by_the_mouse(lab, shipped):
    before = shown(lab)
    browser.slider(lab, "Temperature").hover()  # waits until the page does not scroll any more
    x, y = browser.handle(lab, "Temperature")
    lab.mouse.move(x, y)
    lab.mouse.down()
    for step in range(1, 11):
        lab.mouse.move(x - 4 * step, y)
    lab.mouse.up()
    settings = assert_shows_the_answer(lab, shipped, sr.downscale(cat(), 4))
    assert settings["temperature"] < 1
    assert not np.array_equal(before, shown(lab))


def test_slider_moved_by_keys(lab, shipped):
    before = report(lab)["seed"]
    for _ in range(3):
        browser.slider(lab, "Latent sample").press("ArrowRight")
    assert assert_shows_the_answer(lab, shipped, sr.downscale(cat(), 4))["seed"] == pytest.approx(before + 0.15)


def test_dice(lab, shipped):
    before, seed = shown(lab), report(lab)["seed"]
    lab.get_by_role("button", name="Throw the dice").click()
    lab.wait_for_timeout(300)
    assert assert_shows_the_answer(lab, shipped, sr.downscale(cat(), 4))["seed"] != seed
    assert not np.array_equal(before, shown(lab))


def place(page, x, y):
    """A point of the page: x and y from 0 to 1 on the picture."""
    box = page.locator(browser.PICTURE).bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_border_dragged_over_the_picture(lab):
    before = shown(lab)
    lab.mouse.move(*place(lab, 0.0, 0.3))
    lab.mouse.down()
    lab.mouse.move(*place(lab, 0.25, 0.3), steps=5)
    lab.mouse.up()
    assert report(lab)["share"] == pytest.approx(0.25, abs=0.01)
    assert np.array_equal(shown(lab), before), "what lies right of it is the same picture"
    browser.slider(lab, "Border").press("Home")
    assert report(lab)["share"] == 0


def test_zoomed_by_the_wheel_and_moved_by_a_drag(lab, shipped):
    """The page magnifies what it has; the kernel then knows what is seen, and samples show there."""
    lab.mouse.move(*place(lab, 0.5, 0.5))
    lab.mouse.wheel(0, -400)
    lab.wait_for_timeout(300)
    zoomed = report(lab)
    assert zoomed["zoom"] > 1.5
    lab.mouse.move(*place(lab, 0.5, 0.5))  # the report is a button elsewhere
    lab.mouse.down()
    lab.mouse.move(*place(lab, 0.3, 0.5), steps=5)
    lab.mouse.up()
    lab.wait_for_timeout(300)
    assert report(lab)["region"][1] > zoomed["region"][1], "dragged to the left, it shows what lies to the right"
    browser.slider(lab, "Latent sample").press("ArrowRight")
    assert_shows_the_answer(lab, shipped, sr.downscale(cat(), 4))
    lab.locator(browser.PICTURE).dblclick(position={"x": 100, "y": 100})
    lab.wait_for_timeout(300)
    assert report(lab)["zoom"] == 1


def test_a_region_is_drawn_anew_and_undone(lab):
    before, seed = shown(lab), report(lab)["seed"]
    lab.keyboard.down("Shift")
    lab.mouse.move(*place(lab, 0.5, 0.5))
    lab.mouse.down()
    lab.mouse.move(*place(lab, 0.9, 0.9), steps=5)
    lab.mouse.up()
    lab.keyboard.up("Shift")
    lab.get_by_role("tab", name="Region", exact=True).click()
    lab.get_by_role("button", name="Re-roll").click()
    lab.wait_for_timeout(300)
    after, settings = shown(lab), report(lab)
    assert (settings["regions"], settings["seed"]) == (1, seed)
    moved = np.abs(after.astype(int) - before).max(2)
    assert moved[80:110, 80:110].mean() > 1
    far = 64 - 4 * 11  # pixels that the rectangle reaches by less than a level
    assert moved[:far].max() == moved[:, :far].max() == 0
    lab.get_by_role("button", name="Undo").click()
    lab.wait_for_timeout(300)
    assert np.array_equal(shown(lab), before)
    assert report(lab)["regions"] == 0
    lab.locator(browser.PICTURE).press("Escape")
    lab.get_by_role("tab", name="Sample", exact=True).click()


def test_sliders_are_moved_by_hands_alone(lab):
    """Dice, typed seeds, re-rolls and undo set sliders in the kernel, and the page sends none of that back."""
    shown(lab)
    before = report(lab)["moves"]
    number = lab.get_by_label("or its number")
    number.fill("533.33")  # between two steps, and beyond the ends of the slider
    number.press("Enter")
    shown(lab)
    lab.get_by_role("button", name="Throw the dice").click()
    shown(lab)
    lab.get_by_role("tab", name="Region", exact=True).click()
    for _ in range(5):
        for name in ("Re-roll", "Undo"):
            lab.get_by_role("button", name=name).click()
            lab.wait_for_timeout(400)
    lab.get_by_role("tab", name="Sample", exact=True).click()
    lab.get_by_role("button", name="Undo").click()
    shown(lab)
    settings = report(lab)
    assert (settings["seed"], settings["moves"]) == (533.33, before)
    browser.slider(lab, "Latent sample").press("ArrowRight")
    shown(lab)
    assert report(lab)["moves"] == [*before, ["Latent sample", {"value": 533.38}]]


# Notes each frame that is drawn: the sample by its label, and whether it is said to be exact.
WATCH = """canvas => {
  window.frames = [];
  const label = document.querySelector(".srvae-label-right");
  new MutationObserver(() => window.frames.push([label.textContent, canvas.dataset.exact]))
    .observe(canvas, {attributes: true, attributeFilter: ["data-frames"]});
}"""


def test_play_and_pause(lab, shipped):
    """Frame after frame is a draft of a later sample, and the last one is exact."""
    number = lab.get_by_label("or its number")
    number.fill("530.5")
    number.press("Enter")
    seed = assert_shows_the_answer(lab, shipped, sr.downscale(cat(), 4))["seed"]
    assert seed == 530.5
    lab.locator(browser.PICTURE).evaluate(WATCH)
    lab.get_by_role("button", name="Play").click()
    lab.wait_for_timeout(2000)
    seen = lab.evaluate("window.frames")
    lab.get_by_role("button", name="Play").click()
    played = [(float(re.search(r"sample ([\d.]+)", label)[1]), exact) for label, exact in seen]
    samples = [sample for sample, _ in played]
    assert len(set(samples)) >= 10, "2 s at some 20 frames a second, on a busy machine"
    assert samples == sorted(samples)
    assert all(exact == "false" for sample, exact in played if sample > seed)
    settings = assert_shows_the_answer(lab, shipped, sr.downscale(cat(), 4))
    assert settings["seed"] >= max(samples) > seed
    assert lab.locator(browser.PICTURE).get_attribute("data-exact") == "true"


def test_sixty_quick_moves_end_in_the_right_frame(lab, shipped):
    seed, handle = report(lab)["seed"], browser.slider(lab, "Latent sample")
    for i in range(60):
        handle.press("ArrowRight" if i % 3 else "ArrowLeft")
    assert_shows_the_answer(lab, shipped, sr.downscale(cat(), 4))
    assert report(lab)["seed"] == pytest.approx(seed + 1)


FRAMES = 500
LEFT_BEHIND = 8e6  # bytes, at most: a picture here has 49 kB, and all frames kept would have 24 MB


def test_memory_stays_flat(lab):
    handle = browser.slider(lab, "Latent sample")
    for _ in range(20):
        handle.press("ArrowRight")
    browser.at_rest(lab, UNCHANGED)
    before = report(lab)["memory"]
    for i in range(FRAMES):
        handle.press("ArrowRight" if i % 2 else "ArrowLeft")
        lab.wait_for_timeout(20)  # so that the kernel draws every frame
    browser.at_rest(lab, UNCHANGED)
    after = report(lab)["memory"]
    if not before:
        pytest.skip("no /proc here to read the kernel's memory from")
    assert after - before < LEFT_BEHIND


def upload(page, *paths):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload images").click()
    chooser.value.set_files(paths)


def test_upload(lab, shipped, tmp_path):
    image = np.ascontiguousarray(cat()[:30, :40])
    images.write(tmp_path / "mine.png", image)
    upload(lab, tmp_path / "mine.png")
    lab.get_by_text("160 x 120 from 40 x 30 pixels").wait_for()
    assert assert_shows_the_answer(lab, shipped, image)["image"] == "mine.png"
    (tmp_path / "note.png").write_bytes(b"no image")
    upload(lab, tmp_path / "note.png")
    lab.get_by_text("note.png: the data given cannot be read").wait_for()
    assert shown(lab).shape == (120, 160, 3)
    assert report(lab)["image"] == "mine.png"
    images.write(tmp_path / "other.png", image[:20])
    upload(lab, tmp_path / "note.png", tmp_path / "other.png", tmp_path / "mine.png")
    lab.get_by_text("160 x 80 from 40 x 20 pixels").wait_for()
    assert report(lab)["image"] == "other.png"
    upload(lab, tmp_path / "mine.png")  # once more
    lab.get_by_text("160 x 120 from 40 x 30 pixels").wait_for()


def test_a_choice_that_fails_goes_back_in_the_page(lab):
    """The upload on show has no original to compare with."""
    side = lab.get_by_label("Compare with")
    before = shown(lab)
    side.select_option("original")
    lab.get_by_text("no original to compare with").wait_for()
    lab.wait_for_function("select => select.selectedOptions[0].text === 'bicubic'", arg=side.element_handle())
    assert np.array_equal(shown(lab), before)
    browser.slider(lab, "Latent sample").press("ArrowRight")
    shown(lab)
    assert report(lab)["error"] == ""


def test_every_control_has_a_name(lab):
    for page in viewer.PAGES:
        lab.get_by_role("tab", name=page.title(), exact=True).click()
        lab.wait_for_timeout(150)
        nameless = lab.locator(".srvae-view").evaluate(
            """view => [...view.querySelectorAll('[role=slider], [role=img], img, button, select, input')]
                 .filter(e => e.offsetParent && !(e.getAttribute('aria-label') || e.hasAttribute('alt') || e.title
                              || e.textContent || e.labels?.length || e.closest('label')))
                 .map(e => e.outerHTML)"""
        )
        assert nameless == [], page
        assert lab.locator(".srvae-view [title=null]").count() == 0, page
    lab.get_by_role("tab", name="Sample", exact=True).click()


def test_every_slider_of_every_page_takes_arrow_keys(lab):
    seen = 0
    for page in viewer.PAGES:
        lab.get_by_role("tab", name=page.title(), exact=True).click()
        lab.wait_for_timeout(150)
        for handle in lab.locator(".srvae-view").get_by_role("slider").all():
            below = handle.evaluate("e => Number(e.ariaValueNow ?? e.value) < Number(e.ariaValueMax ?? e.max)")
            there, back = ("ArrowRight", "ArrowLeft") if below else ("ArrowLeft", "ArrowRight")
            before = handle.get_attribute("aria-valuetext")
            handle.press(there)
            lab.wait_for_timeout(60)  # the border is drawn with the next frame
            assert handle.get_attribute("aria-valuetext") != before, handle.get_attribute("aria-label")
            handle.press(back)
            seen += 1
    assert seen > 15
    lab.get_by_role("tab", name="Sample", exact=True).click()
    shown(lab)
    assert report(lab)["error"] == ""


# What has a scrollbar, and titles of pages that do not fit.
CLIPPED = """view => [...view.querySelectorAll('*')].filter(e => {
  const {overflowX, overflowY} = getComputedStyle(e);
  const bar = (overflow, whole, seen) => ['auto', 'scroll'].includes(overflow) && whole > seen;
  return bar(overflowX, e.scrollWidth, e.clientWidth) || bar(overflowY, e.scrollHeight, e.clientHeight)
    || (e.matches('.lm-TabBar-tabLabel') && e.scrollWidth > e.clientWidth + 1);
}).map(e => e.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def drawn(lab):
    """The same with nine thumbnails drawn, a measurement in words and the directions pictured."""
    lab.get_by_role("tab", name="Directions", exact=True).click()
    lab.wait_for_function("() => document.querySelectorAll('.srvae-direction img[src^=blob]').length === 16")
    lab.get_by_role("tab", name="Many", exact=True).click()
    lab.get_by_role("button", name="Measure").click()
    lab.get_by_text("grey levels on average").wait_for()
    lab.get_by_role("button", name="Draw nine").click()
    lab.wait_for_function("() => !document.querySelector('.srvae-thumb:disabled')")
    lab.get_by_role("tab", name="Sample", exact=True).click()
    shown(lab)
    return lab


@pytest.mark.parametrize("width", [1400, 700])
def test_fits_its_width(drawn, width):
    lab = drawn
    lab.set_viewport_size({"width": width, "height": 1600})
    lab.wait_for_timeout(1000)
    view, controls = lab.locator(".srvae-view"), lab.locator(".srvae-view [role=tablist]")
    box, picture = view.bounding_box(), lab.locator(browser.PICTURE).bounding_box()
    assert view.evaluate("view => view.scrollWidth <= view.clientWidth + 1")
    for page in viewer.PAGES:
        lab.get_by_role("tab", name=page.title(), exact=True).click()
        lab.wait_for_timeout(300)
        assert view.evaluate(CLIPPED) == [], page
    lab.get_by_role("tab", name="Sample", exact=True).click()
    shape = lab.locator(browser.PICTURE).evaluate("canvas => canvas.width / canvas.height")
    assert picture["width"] / picture["height"] == pytest.approx(shape, rel=0.02)
    beside = controls.bounding_box()["y"] < picture["y"] + picture["height"]
    font = float(view.evaluate("view => getComputedStyle(view).fontSize").removesuffix("px"))
    assert beside == (box["width"] >= 46 * font + 8), box  # 24 em for the picture and 22 for the controls
    lab.set_viewport_size({"width": 1400, "height": 1600})


FAINT = """view => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => channels(colour).slice(0, 3)
    .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    while (element && channels(getComputedStyle(element).backgroundColor)[3] === 0) element = element.parentElement;
    return element ? getComputedStyle(element).backgroundColor : 'rgb(255, 255, 255)';
  };
  const says = element => element.matches('input[type=text], select')
    || [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const seen = element => element.offsetParent && channels(getComputedStyle(element).color)[3] !== 0;
  return [...view.querySelectorAll('*')].filter(e => seen(e) && !e.disabled && says(e)).map(element => {
    const [a, b] = [getComputedStyle(element).color, ground(element)].map(luminance);
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.outerHTML.slice(0, 200)];
  });
}"""


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_texts_stand_out_in_either_theme(lab, theme):
    """By 4.5 to 1, as WCAG asks for text; both applications have both themes."""
    lab.locator(".lm-MenuBar-item", has_text="Settings").click()
    lab.locator(".lm-Menu-item", has_text="Theme").first.hover()
    lab.locator(".lm-Menu-item", has_text=f"JupyterLab {theme}").first.click()
    lab.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=str(theme == "Light").lower())
    lab.wait_for_timeout(500)
    seen = 0
    for page in viewer.PAGES:
        lab.get_by_role("tab", name=page.title(), exact=True).click()
        lab.wait_for_timeout(150)
        contrasts = lab.locator(".srvae-view").evaluate(FAINT)
        assert [pair for pair in contrasts if pair[0] < 4.5] == [], page
        seen += len(contrasts)
    assert seen > 50
    lab.get_by_role("tab", name="Sample", exact=True).click()
    lab.wait_for_timeout(500)


def test_the_console_shows_no_error(lab):
    assert lab.complaints == []


def test_nobody_else_is_asked(lab):
    assert lab.outside == []
