"""The view in a real browser: what hands do in JupyterLab and in Notebook 7, and what is then on the page."""

import base64
import json
import re
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import browser
import srvae_core as sr
from srvae import directions, images, viewer
from srvae.benchmarks.sets import bundled

try:
    browser.chromium()
except browser.NoBrowserError as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.slow

LINE = """
import html, json, ipywidgets, resource
from IPython.display import display
asked = ipywidgets.Text(continuous_update=False).add_class("asked")
told = ipywidgets.HTML().add_class("told")
def answer(change):
    turn, text = json.loads(change["new"])
    value = error = None
    try:
        try:
            value = eval(text)
        except SyntaxError:
            exec(text, globals())
    except Exception as caught:
        error = repr(caught)
    told.value = html.escape(json.dumps([turn, value, error]))
asked.observe(answer, "value")
display(ipywidgets.HBox([asked, told]))

def begin():
    controls, picture = view.controls, view.page.picture
    controls.pages.selected_index, controls.select.value, controls.overlay.value = 0, False, True
    picture.selection, view.map = (), None
    view.apply(viewer.Settings("cat", "4x-D", temperature=1.0, seed=20.0, share=0.0, zoom=1.0))
    view._past.clear()
    view._follow()
    controls.say("")

moves = []  # what the page sends of sliders and Play
def note(widget):
    take = widget.set_state
    widget.set_state = lambda state: (moves.append([getattr(widget, "description", ""), state]), take(state))

def state():
    with view.pace.lock:  # JupyterLab sends a widget's first message to the kernel's main thread, later ones to another
        return view.pace.is_idle, view.settings.as_json()
runs = 0
"""
VIEW = """
from srvae import viewer
from srvae.benchmarks.sets import bundled
view = viewer.View({"cat": viewer.cut_to_middle(bundled("chelsea"), 128)}, 4, directions=not runs, rest_delay=0.1)
begin()
view.show()
"""
BUSY = "import time; time.sleep(globals().get('busy', 0))"
SMOKE = VIEW.replace("begin()", "view.apply(temperature=1.0, seed=20.0, share=0.0)").replace("not runs", "False")

PAGES = ("Sample", "Compare", "Photograph", "Directions")
TURNS = count(1)
CAT = viewer.cut_to_middle(bundled("chelsea"), 128)
DRAWN = """async canvas => {
  const nextFrame = () => new Promise(requestAnimationFrame);
  for (let i = 0; i < 2; i++) { await canvas.srvae.queue; await nextFrame(); }
  const numbers = ["share", "zoom", "across", "down"].map(name => [name, Number(canvas.dataset[name])]);
  return {...Object.fromEntries(numbers), width: canvas.width, height: canvas.height, size: canvas.srvae.state.size};
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("notebooks")
    browser.write_notebook(path / "view.ipynb", LINE, VIEW + "runs += 1", BUSY)
    browser.write_notebook(path / "smoke.ipynb", SMOKE)
    return path


@pytest.fixture(scope="module")
def address(folder):
    with browser.server(folder) as served:
        yield served


@pytest.fixture(scope="module")
def opened(address):
    """JupyterLab with the view; what the console says, and what other hosts are asked."""
    outside, complaints = [], []
    with browser.page(address % "lab/tree/view.ipynb", outside, viewport={"width": 1400, "height": 900}) as page:
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.complaints, page.outside, page.cdp = complaints, outside, page.context.new_cdp_session(page)
        browser.run_all(page)
        page.set_default_timeout(60_000)  # a slow machine takes 8 s for the first answer
        yield page


@pytest.fixture
def lab(opened):
    """The same, as it was at first and in sight."""
    python(opened, "begin()")
    settled(opened)
    prompt(opened, 1).click()  # JupyterLab scrolls to a cell that is touched first
    opened.locator(".srvae-view").scroll_into_view_if_needed()
    place = None
    while place != (place := canvas(opened).bounding_box()):  # it scrolls smoothly
        opened.wait_for_timeout(150)
    return opened


def send(page, text):
    """Let the kernel run a text; returns the number of the answer."""
    turn = next(TURNS)
    say = "(input, text) => { input.value = text; input.dispatchEvent(new Event('change', {bubbles: true})); }"
    page.locator(".asked input").evaluate(say, json.dumps([turn, text]))
    return turn


def python(page, text):
    """What an expression gives in the kernel, or what statements do, after all that was sent before."""
    told = page.locator(".told .widget-html-content", has_text=re.compile(rf"^\s*\[{send(page, text)},"))
    _, value, error = json.loads(told.text_content())
    assert error is None, error
    return value


def settled(page):
    """The settings once hands, page and kernel are at rest."""
    last = None
    for _ in range(600):
        canvas(page).evaluate(DRAWN)
        now = python(page, "state()")
        if now[0] and now == last:
            return now[1]
        last = now
    raise TimeoutError(f"the view does not come to rest: {last}")


def shown(page):
    """The picture right of the border at rest, (H, W, 3) uint8 in answer pixels."""
    settled(page)
    assert canvas(page).get_attribute("data-exact") == "true"
    return pixels(browser.picture(page))


def pixels(png):
    return images.read(png)[..., :3]  # canvases have alpha


def canvas(page):
    return page.locator(browser.PICTURE)


def looks(page):
    """What the canvas shows: share, zoom, across, down; its pixels, and those of the answer."""
    return canvas(page).evaluate(DRAWN)


def on_screen(page):
    """The pixels of the canvas, (H, W, 3) uint8."""
    looks(page)
    return pixels(base64.b64decode(canvas(page).evaluate("canvas => canvas.toDataURL().split(',')[1]")))


def answer_at(page, x, y):
    """The answer pixel, not rounded, at a place on the canvas."""
    now = looks(page)
    w, h = (side / now["zoom"] for side in now["size"])
    return now["across"] * (now["size"][0] - w) + x * w, now["down"] * (now["size"][1] - h) + y * h


def point(page, x, y, of=browser.PICTURE):
    """A place on the picture, in shares, as pixels of the page."""
    box = page.locator(of).bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def drag(page, *places, of=browser.PICTURE):
    """The mouse pressed at the first place and let go at the last; gives the latter in pixels of the page."""
    page.mouse.move(*point(page, *places[0], of))
    page.mouse.down()
    page.wait_for_timeout(200)  # JupyterLab may scroll to a cell that is touched
    for place in places[1:]:
        at = point(page, *place, of)
        page.mouse.move(*at, steps=5)
    page.mouse.up()
    return at


def prompt(page, cell):
    return page.locator(".jp-Cell").nth(cell).locator(".jp-InputPrompt")


def run_cell(page, number):
    prompt(page, number).click()
    page.locator(".jp-Cell").nth(number).press("Control+Enter")  # the click leaves the focus in the view


def select(page, *places):
    page.keyboard.down("Shift")
    drag(page, *places)
    page.keyboard.up("Shift")


def fingers(page, kind, *places):
    """A touch event: where each finger is, in shares of the picture."""
    at = [dict(zip("xy", point(page, *place), strict=True), id=i) for i, place in enumerate(places)]
    page.cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})


def button(page, name):
    return page.locator(".srvae-view").get_by_role("button", name=re.compile(rf"(^|\W){re.escape(name)}$"))


def press(page, name):
    button(page, name).click()


def turn_to(page, name):
    page.get_by_role("tab", name=name, exact=True).click()


def type_number(page, text):
    number = page.locator(".srvae-view .widget-text input[type=number]").first
    number.fill(text)
    number.press("Enter")


def assert_shows_the_answer(page, shipped, lr=None):
    """The picture at rest is what a sampler of this process answers to the settings in the kernel."""
    picture, settings = shown(page), settled(page)
    assert page.locator(".srvae-message").inner_text() == ""
    sampler = sr.Sampler(shipped("4x-D"), sr.downscale(CAT, 4) if lr is None else lr)
    expected = sampler(temperature=1.0, eps=directions.steer(sampler.tiles, settings["seed"], settings["temperature"]))
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).max() <= 1, settings
    return settings


def test_opens_magnified_by_a_whole_factor(lab):
    """The label says what is on show; the still picture before it, for who has no kernel, is hidden."""
    now = looks(lab)
    assert (now["size"], now["width"] // 128) == ([128, 128], now["width"] / 128)
    assert now["width"] >= 256
    times = now["width"] // 128
    assert np.array_equal(on_screen(lab), shown(lab).repeat(times, 0).repeat(times, 1))
    assert canvas(lab).get_attribute("aria-label").endswith("| 4x-D, sample 20, temperature 1")
    assert lab.locator(".jp-RenderedImage").is_hidden()
    assert python(lab, "view.page.picture.shown") == [now["width"], now["height"]]


def test_slider_dragged_by_the_mouse(lab, shipped):
    lab.mouse.move(*browser.handle(lab, "Temperature"))
    lab.mouse.down()
    lab.mouse.move(*browser.handle(lab, "Temperature", 0.6), steps=10)
    lab.mouse.up()
    assert assert_shows_the_answer(lab, shipped)["temperature"] == pytest.approx(0.6, abs=0.03)
    press(lab, "Undo")
    assert settled(lab)["temperature"] == 1, "a drag is one step"


def test_keys_move_the_slider_and_no_cell(lab, shipped):
    """They end in the right frame, however quick they are."""
    cell = lab.locator(".jp-Cell.jp-mod-active").evaluate_all("cells => cells.map(c => c.dataset.windowedListIndex)")
    slider = browser.slider(lab, "Sample")
    slider.focus()
    assert browser.press_and_wait(lab) < 10_000
    assert assert_shows_the_answer(lab, shipped)["seed"] == 20.05
    for i in range(60):
        lab.keyboard.press(("ArrowUp", "ArrowRight", "ArrowLeft")[i % 3])
    assert assert_shows_the_answer(lab, shipped)["seed"] == 21.05
    assert slider.evaluate("e => e === document.activeElement")
    now = lab.locator(".jp-Cell.jp-mod-active").evaluate_all("cells => cells.map(c => c.dataset.windowedListIndex)")
    assert now == cell


def test_number_and_buttons_of_samples(lab, shipped):
    type_number(lab, "533.33")
    assert assert_shows_the_answer(lab, shipped)["seed"] == 533.33
    for name, seed in (("Next sample", 534), ("Next sample", 535), ("Previous sample", 534)):
        lab.get_by_title(name).click()
        assert settled(lab)["seed"] == seed
    before = shown(lab)
    press(lab, "Random sample")
    drawn = assert_shows_the_answer(lab, shipped)["seed"]
    assert drawn not in (534, 20)
    press(lab, "Undo")
    assert np.array_equal(shown(lab), before)
    press(lab, "Redo")
    assert assert_shows_the_answer(lab, shipped)["seed"] == drawn
    assert button(lab, "Redo").is_disabled()


def test_sliders_are_moved_by_hands_alone(lab):
    """What the kernel sets, between two steps and beyond the ends of a slider, is not sent back as a move."""
    python(lab, "for b in view.controls.bindings: b.widget is not view.controls.number and note(b.widget)")
    python(lab, "moves.clear()")
    type_number(lab, "533.33")
    settled(lab)
    press(lab, "Random sample")
    settled(lab)
    for _ in range(3):
        for name in ("Re-roll", "Undo"):
            press(lab, name)
            settled(lab)
    press(lab, "Undo")
    assert settled(lab)["seed"] == 533.33
    assert python(lab, "moves") == []
    assert python(lab, "[len(view._past), len(view._future)]") == [1, 2]
    browser.slider(lab, "Sample").press("ArrowLeft")  # from its end
    assert settled(lab)["seed"] == 24.95
    assert python(lab, "[name for name, state in moves if name == 'Sample']") == ["Sample"]


# Notes each frame that is drawn: the sample by its label, and whether it is said to be exact.
WATCH = """canvas => {
  window.frames = [];
  const label = document.querySelector(".srvae-label-right");
  new MutationObserver(() => window.frames.push([label.textContent, canvas.dataset.exact]))
    .observe(canvas, {attributes: true, attributeFilter: ["data-frames"]});
}"""


def test_play_and_pause(lab, shipped):
    """Frame after frame is a draft of a later sample, and the last one is exact."""
    canvas(lab).evaluate(WATCH)
    play = lab.locator(".widget-play button").first
    play.click()
    lab.wait_for_function("new Set(window.frames.map(([label]) => label)).size > 8")
    play.click()
    settings = assert_shows_the_answer(lab, shipped)
    played = [(float(re.search(r"sample ([\d.]+)", label)[1]), exact) for label, exact in lab.evaluate("window.frames")]
    samples = [sample for sample, _ in played]
    assert samples == sorted(samples)
    # on a busy machine a frame may last longer than the view waits for the exact picture
    assert [exact for sample, exact in played if 20 < sample < samples[-1]].count("false") > 4
    assert settings["seed"] == samples[-1] > 20
    python(lab, "view.apply(temperature=0.0)")
    seed = settled(lab)["seed"]
    play.click()
    lab.get_by_text("At temperature 0 there is only one answer").wait_for()
    settings = settled(lab)
    assert lab.locator(".srvae-message").inner_text().startswith("At temperature 0")
    assert settings["seed"] <= seed + 0.2, "a step or two may have been under way"
    assert not python(lab, "view.controls.play.playing")


def test_border_by_mouse_and_keys(lab):
    before = shown(lab)
    drag(lab, (0.0, 0.3), (0.25, 0.3))
    assert settled(lab)["share"] == looks(lab)["share"] == pytest.approx(0.25, abs=0.01)
    assert np.array_equal(shown(lab), before), "what lies right of it is the same picture"
    border, screen = browser.slider(lab, "Border"), on_screen(lab)
    line = round(looks(lab)["share"] * looks(lab)["width"])
    assert (screen[:, line] == 255).all(), "one white pixel"
    assert not np.array_equal(
        screen[:, :line], before.repeat(len(screen) // 128, 0).repeat(len(screen) // 128, 1)[:, :line]
    )
    for key, share in (("End", 1), ("PageDown", 0.9), ("ArrowLeft", 0.89), ("PageUp", 0.99), ("Home", 0)):
        border.press(key)
        assert looks(lab)["share"] == share
        assert border.get_attribute("aria-valuetext") == f"{round(100 * share)} %"
    assert settled(lab)["share"] == 0
    assert python(lab, "len(view._past)") == 0, "where one looks is no step of undo"


def test_wheel_zooms_drag_pans_double_click_fits(lab, shipped):
    lab.mouse.move(*point(lab, 0.25, 0.8))
    place = answer_at(lab, 0.25, 0.8)
    while looks(lab)["zoom"] < 3:
        lab.mouse.wheel(0, -100)
    assert answer_at(lab, 0.25, 0.8) == pytest.approx(place, abs=0.5)
    place = answer_at(lab, 0.8, 0.3)
    x, y = drag(lab, (0.8, 0.3), (0.7, 0.5))
    box = canvas(lab).bounding_box()  # JupyterLab may have scrolled meanwhile
    let_go = (x - box["x"]) / box["width"], (y - box["y"]) / box["height"]
    assert answer_at(lab, *let_go) == pytest.approx(place, abs=0.5)
    assert settled(lab)["zoom"] == looks(lab)["zoom"]
    browser.slider(lab, "Sample").press("ArrowRight")
    assert_shows_the_answer(lab, shipped)
    for _ in range(3):
        drag(lab, (0.1, 0.1), (0.9, 0.9))
    assert answer_at(lab, 0, 0) == (0, 0), "no farther than the edge"
    lab.mouse.dblclick(*point(lab, 0.6, 0.3))
    assert settled(lab)["zoom"] == looks(lab)["zoom"] == 1


def test_keys_on_the_picture(lab):
    canvas(lab).focus()
    for key in ("+", "+", "-", "ArrowRight", "ArrowDown"):
        lab.keyboard.press(key)
    assert looks(lab)["zoom"] == pytest.approx(1.25)
    assert answer_at(lab, 0, 0) == pytest.approx((12.8 + 10.24, 12.8 + 10.24))
    for key in ("0", "0"):  # in JupyterLab's own hands they would restart the kernel
        lab.keyboard.press(key)
    assert looks(lab)["zoom"] == 1
    assert lab.locator(".jp-Dialog").count() == 0


def upload(page, *paths):
    turn_to(page, "Photograph")
    with page.expect_file_chooser() as chooser:
        press(page, "Open photograph...")
    chooser.value.set_files(paths)


def test_a_photograph_opens_with_single_pixels(lab, tmp_path):
    """A larger answer than fits is shown at one screen pixel for one of its own, crisp."""
    images.write(tmp_path / "large.png", viewer.cut_to_middle(bundled("chelsea"), 256))
    upload(lab, tmp_path / "large.png")
    lab.get_by_text("1024 x 1024 from 256 x 256 pixels").wait_for()
    picture, now = shown(lab), looks(lab)
    assert now["size"] == [1024, 1024]
    assert now["width"] < 1024
    assert now["zoom"] == pytest.approx(1024 / now["width"], rel=1e-6)
    left, top = (round(at) for at in answer_at(lab, 0, 0))
    if picture.shape[0] < 1024:  # only what is visible was sent
        rect = canvas(lab).evaluate("canvas => canvas.srvae.layers.right.rect")
        left, top = left - rect[0], top - rect[1]
    screen = on_screen(lab)
    assert np.array_equal(screen, picture[top : top + len(screen), left : left + len(screen)])
    press(lab, "Show the whole picture")
    assert settled(lab)["zoom"] == 1
    press(lab, "One screen pixel for one pixel")
    assert settled(lab)["zoom"] == pytest.approx(now["zoom"], rel=1e-6)
    lab.keyboard.press("0")
    canvas(lab).focus()
    lab.keyboard.press("0")
    lab.keyboard.press("1")
    assert settled(lab)["zoom"] == pytest.approx(now["zoom"], rel=1e-6)


def test_fingers(lab):
    lab.cdp.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    place = answer_at(lab, 0.3, 0.5)
    fingers(lab, "touchStart", (0.2, 0.5))
    fingers(lab, "touchStart", (0.2, 0.5), (0.4, 0.5))
    fingers(lab, "touchMove", (0.1, 0.5), (0.5, 0.5))  # twice as far apart
    fingers(lab, "touchEnd", (0.5, 0.5))
    fingers(lab, "touchEnd")
    assert looks(lab)["zoom"] == pytest.approx(2, rel=0.01)
    assert answer_at(lab, 0.3, 0.5) == pytest.approx(place, abs=1)
    place = answer_at(lab, 0.6, 0.5)
    fingers(lab, "touchStart", (0.6, 0.5))
    fingers(lab, "touchMove", (0.5, 0.5))
    fingers(lab, "touchMove", (0.4, 0.5))
    fingers(lab, "touchEnd")
    assert answer_at(lab, 0.4, 0.5) == pytest.approx(place, abs=1), "one finger moves what is zoomed"
    assert settled(lab)["zoom"] == looks(lab)["zoom"]
    for _ in range(2):
        fingers(lab, "touchStart", (0.6, 0.5))
        fingers(lab, "touchEnd")
    assert looks(lab)["zoom"] == 1
    lab.cdp.send("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_full_screen(lab):
    before, wide = (
        canvas(lab).bounding_box()["width"],
        f"document.querySelector('{browser.PICTURE}').getBoundingClientRect()",
    )
    press(lab, "Full screen")
    lab.wait_for_function("document.fullscreenElement !== null")
    lab.wait_for_function(f"{wide}.height === innerHeight")
    drag(lab, (0.0, 0.2), (0.5, 0.2))
    assert looks(lab)["share"] == pytest.approx(0.5, abs=0.01)
    assert lab.locator(".srvae-label-left").is_visible()
    press(lab, "Full screen")
    lab.wait_for_function("document.fullscreenElement === null")
    lab.wait_for_function(f"{wide}.width === {before}")


def test_shift_selects_and_escape_drops(lab):
    cursor = "canvas => getComputedStyle(canvas).cursor"
    lab.mouse.move(*point(lab, 0.5, 0.5))
    lab.keyboard.down("Shift")
    assert canvas(lab).evaluate(cursor) == "crosshair"
    lab.keyboard.up("Shift")
    assert canvas(lab).evaluate(cursor) != "crosshair"

    def selected(expected):
        settled(lab)
        assert python(lab, "view.page.picture.selection") == expected

    for focus in (canvas(lab), lab.locator(".srvae-view input[type=number]").first, button(lab, "Random sample")):
        select(lab, (0.75, 0.75), (0.5, 0.25))
        selected([64, 32, 32, 64])
        assert lab.locator(".jp-mod-multiSelected").count() == 0
        focus.focus()
        lab.keyboard.press("Escape")
        selected([])
    press(lab, "Draw")
    drag(lab, (0.1, 0.1), (0.12, 0.12))
    selected([])  # too small
    drag(lab, (0.75, 0.75), (1.2, 1.2))
    selected([96, 96, 32, 32])  # only what is in the picture
    turn_to(lab, "Compare")
    selected([])
    assert not python(lab, "view.page.picture.selecting")


def test_a_region_is_drawn_anew_and_undone(lab):
    before = shown(lab)
    select(lab, (0.5, 0.5), (0.9, 0.9))
    press(lab, "Re-roll")
    settings, after = settled(lab), shown(lab)
    assert (len(settings["regions"]), settings["seed"]) == (1, 20)
    moved = np.abs(after.astype(int) - before).max(2)
    assert moved[80:110, 80:110].mean() > 1
    far = 64 - 4 * 11  # pixels that the rectangle reaches by less than a level
    assert moved[:far].max() == moved[:, :far].max() == 0
    press(lab, "Undo")
    assert np.array_equal(shown(lab), before)
    assert settled(lab)["regions"] == []


def test_upload(lab, shipped, tmp_path):
    image = np.ascontiguousarray(CAT[:30, :40])
    images.write(tmp_path / "mine.png", image)
    (tmp_path / "note.png").write_bytes(b"no image")
    for _ in range(2):  # the same file once more
        upload(lab, tmp_path / "mine.png")
        lab.get_by_text("160 x 120 from 40 x 30 pixels").wait_for()
        turn_to(lab, "Sample")
        assert assert_shows_the_answer(lab, shipped, image)["image"] == "mine.png"
        lab.get_by_label("Photograph", exact=True).first.select_option("cat")
        lab.get_by_text("128 x 128 from 32 x 32 pixels").wait_for()
    upload(lab, tmp_path / "note.png")
    lab.get_by_role("alert").filter(has_text="note.png: ").wait_for()
    assert settled(lab)["image"] == "cat"
    assert button(lab, "Open photograph...").count() == 1, "without a count"


def drop(page, *files):
    x, y = point(page, 0.5, 0.3)
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.cdp.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})
        if kind == "dragOver":
            assert page.locator(".srvae-target").count() == 1
    page.locator(".srvae-target").wait_for(state="detached")


def test_files_are_dropped(lab, shipped, tmp_path):
    """A large one comes in pieces."""
    image = np.ascontiguousarray(CAT[:40, :30])
    images.write(tmp_path / "small.png", image)
    drop(lab, tmp_path / "small.png")
    lab.get_by_text("120 x 160 from 30 x 40 pixels").wait_for()
    assert assert_shows_the_answer(lab, shipped, image)["image"] == "small.png"
    content = (tmp_path / "small.png").read_bytes()
    (tmp_path / "pieces.png").write_bytes(content + bytes(5 * 2**20))  # more than one message holds
    drop(lab, tmp_path / "pieces.png")
    lab.get_by_label("Photograph", exact=True).locator("option", has_text="pieces.png").wait_for(state="attached")
    assert assert_shows_the_answer(lab, shipped, image)["image"] == "pieces.png"


def test_the_part_in_work_is_dragged(lab, tmp_path):
    """Of a large photograph only a part is in work at a time; a small picture shows which."""
    image = np.ascontiguousarray(np.tile(bundled("astronaut"), (1, 2, 1))[200:264, :700])
    images.write(tmp_path / "long.png", image)
    upload(lab, tmp_path / "long.png")
    lab.get_by_text("part of the photograph: drag the frame").wait_for()
    before = shown(lab)

    def part():
        settled(lab)
        _, left, _, width = python(lab, "view.scene.frame")
        box, around = (lab.locator(name).bounding_box() for name in (".srvae-part", ".srvae-overview img"))
        assert (box["x"] - around["x"]) / around["width"] == pytest.approx(left / 700, abs=0.02)
        assert box["width"] / around["width"] == pytest.approx(width / 700, abs=0.02)
        rows = python(lab, "view.scene.lr[::16, ::64].tolist()")
        assert np.array_equal(rows, image[::16, left : left + width : 64])
        return left

    middle = part()
    drag(lab, (0.5, 0.5), (0.1, 0.5), (0.61, 0.5), of=".srvae-overview")
    assert settled(lab)["work"][0] == pytest.approx(0.61, abs=0.02)
    assert part() > middle
    assert not np.array_equal(shown(lab), before)
    for _ in range(2):
        lab.get_by_role("slider", name="Part in work").press("ArrowLeft")
    assert part() < middle


# Notes what is seen of the progress bar, where the scores are, and what is said.
NOTE = """view => {
  window.noted = {bars: [], places: new Set(), texts: []};
  const [bar, message] = [".widget-hprogress", ".srvae-message"].map(name => view.querySelector(name));
  const look = () => {
    if (getComputedStyle(bar).visibility === "visible") {
      const inner = bar.querySelector(".progress").getBoundingClientRect();
      noted.bars.push(Math.min(inner.width, inner.height));
    }
    const scores = [...view.querySelectorAll(".widget-html")].at(-1);
    if (!scores) return; // the view was closed
    noted.places.add([view, scores, message].map(e => Object.values(e.getBoundingClientRect().toJSON())).join());
    if (message.innerText.trim() && message.innerText !== noted.texts.at(-1)) noted.texts.push(message.innerText);
  };
  look();
  new MutationObserver(look).observe(view, {subtree: true, childList: true, characterData: true, attributes: true});
}"""


def test_save(lab, folder):
    """The page does not move for the progress bar or a message, and no file is written over."""
    picture = shown(lab)
    turn_to(lab, "Photograph")
    lab.locator(".srvae-view").evaluate(NOTE)
    for name in ("sample.png", "sample-2.png"):
        press(lab, "Save")
        lab.locator(".srvae-message").get_by_text(f"/{name}.").wait_for()
        assert np.array_equal(images.read(folder / name), picture)
    settled(lab)
    assert lab.evaluate("noted.places.size") == 1, lab.evaluate("[...noted.places]")
    bars = lab.evaluate("noted.bars")
    assert bars
    assert min(bars) > 0
    with lab.expect_download() as download:
        press(lab, "Download")
    assert np.array_equal(images.read(Path(download.value.path()).read_bytes()), picture)


def test_nine_and_a_map_one_after_the_other(lab):
    turn_to(lab, "Compare")
    python(lab, "view.controls.count.value = 3")
    lab.locator(".srvae-view").evaluate(NOTE)
    press(lab, "Show nine")
    press(lab, "Map uncertainty")
    lab.get_by_text("grey levels").wait_for()
    lab.get_by_text("diversity").wait_for()
    texts = lab.evaluate("noted.texts")
    assert [text.split(":")[0] for text in texts] == sorted(text.split(":")[0] for text in texts), "one after the other"
    assert texts[-1].startswith("Mapping uncertainty")
    assert min(lab.evaluate("noted.bars")) > 0
    assert lab.locator(".srvae-thumb:enabled").count() == 9
    settled(lab)
    assert canvas(lab).evaluate("canvas => Boolean(canvas.srvae.layers.overlay)")
    covered = on_screen(lab)
    lab.get_by_label("show the map").click()
    settled(lab)
    assert not np.array_equal(on_screen(lab), covered)
    press(lab, "Sample 23")
    assert settled(lab)["seed"] == 23


def test_every_control_has_a_name(lab):
    """For screen readers: what Chromium tells them. Icons are characters of a private area there, and say nothing."""
    seen = 0
    for page in PAGES:
        turn_to(lab, page)
        settled(lab)
        view = lab.cdp.send("Runtime.evaluate", {"expression": "document.querySelector('.srvae-view')"})["result"]
        for role in ("button", "slider", "textbox", "spinbutton", "combobox", "checkbox", "tab", "image"):
            found = lab.cdp.send("Accessibility.queryAXTree", {"objectId": view["objectId"], "role": role})["nodes"]
            names = [node.get("name", {}).get("value", "") for node in found if not node["ignored"]]
            assert all(re.sub(r"[\ue000-\uf8ff\s]", "", name) for name in names), (page, role, names)
            seen += len(names)
    assert seen > 80
    assert lab.locator(".srvae-view [title=null]").count() == 0


@pytest.fixture(scope="module")
def drawn(opened):
    """The same with nine thumbnails drawn, a map in words and the directions pictured."""
    python(opened, "begin()")
    settled(opened)
    python(opened, "view.controls.count.value = 2; view.controls.nine.click(); view.controls.map.click()")
    turn_to(opened, "Directions")
    opened.wait_for_function("document.querySelectorAll('.widget-tab-contents img[src^=blob]').length >= 25")
    settled(opened)
    return opened


# What has a scrollbar or is cut off.
CLIPPED = """view => [...view.querySelectorAll('*')].filter(e => {
  if (!e.offsetParent || e.closest('.srvae-stage, svg, select') || e.matches('input')) return false;
  const {overflowX, overflowY} = getComputedStyle(e);
  return (overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1 && e.clientWidth)
    || (overflowY !== 'visible' && e.scrollHeight > e.clientHeight + 1 && e.clientHeight);
}).map(e => e.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("width", [1400, 700])
def test_fits_its_width(drawn, width):
    view = drawn.locator(".srvae-view")
    drawn.set_viewport_size({"width": width, "height": 900})
    for page in PAGES:
        turn_to(drawn, page)
        settled(drawn)
        assert view.evaluate("view => view.scrollWidth <= view.clientWidth + 1"), page
        assert view.evaluate(CLIPPED) == [], page
    picture, controls = canvas(drawn).bounding_box(), drawn.locator(".srvae-view [role=tablist]").bounding_box()
    beside = controls["y"] < picture["y"] + picture["height"]
    assert beside == (width == 1400)
    assert picture["width"] == pytest.approx(picture["height"], abs=1)
    drawn.set_viewport_size({"width": 1400, "height": 900})
    looks(drawn)


CONTRASTS = """view => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => channels(colour).slice(0, 3)
    .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    while (element && channels(getComputedStyle(element).backgroundColor)[3] === 0) element = element.parentElement;
    return element ? getComputedStyle(element).backgroundColor : 'rgb(255, 255, 255)';
  };
  const says = element => element.matches('input:not([type=checkbox]), select')
    || [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const seen = element => element.offsetParent && channels(getComputedStyle(element).color)[3] !== 0;
  return [...view.querySelectorAll('*')].filter(e => seen(e) && !e.disabled && says(e)).map(element => {
    const [a, b] = [getComputedStyle(element).color, ground(element)].map(luminance);
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.outerHTML.slice(0, 200)];
  });
}"""


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_texts_stand_out_in_either_theme(drawn, theme):
    """By 4.5 to 1, as WCAG asks for text."""
    python(drawn, "view.controls.say('No such file', error=True)")
    drawn.locator(".lm-MenuBar-item", has_text="Settings").click()
    drawn.locator(".lm-Menu-item", has_text="Theme").first.hover()
    drawn.locator(".lm-Menu-item", has_text=f"JupyterLab {theme}").first.click()
    drawn.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=str(theme == "Light").lower())
    drawn.wait_for_timeout(500)  # colours fade
    seen = 0
    for page in PAGES:
        turn_to(drawn, page)
        drawn.wait_for_timeout(200)
        contrasts = drawn.locator(".srvae-view").evaluate(CONTRASTS)
        assert [pair for pair in contrasts if pair[0] < 4.5] == [], page
        seen += len(contrasts)
    assert seen > 50


LEFT_BEHIND = 30_000  # kB, at most, of seven runs


def test_a_cell_that_is_run_again_closes_its_view(lab):
    """Neither the kernel nor the page keeps what was there before."""
    counts, memory = [], []
    for run in range(1, 11):
        run_cell(lab, 1)
        prompt(lab, 1).get_by_text(f"[{run + 3}]").wait_for()
        settled(lab)
        if run in (3, 10):
            counts.append(python(lab, "len(ipywidgets.widgets.widget._instances)"))
            memory.append(python(lab, "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss"))
    assert python(lab, "runs") == 11
    assert lab.locator(".srvae-view").count() == canvas(lab).count() == 1
    assert counts[0] == counts[1]
    assert memory[1] - memory[0] < LEFT_BEHIND
    browser.slider(lab, "Sample").press("ArrowRight")
    assert settled(lab)["seed"] == 20.05


def test_a_busy_kernel_is_said_to_be_busy(lab):
    """The first move of a slider waits for the cell that runs. (JupyterLab gives later ones to another thread.)"""
    text = lab.locator(".srvae-text")
    python(lab, "busy = 4")
    run_cell(lab, 2)
    prompt(lab, 2).get_by_text("[*]").wait_for()
    browser.slider(lab, "Temperature").press("ArrowLeft")  # of a view that was made anew in the test before
    text.get_by_text("The kernel is busy").wait_for(timeout=2500)
    lab.wait_for_function("document.querySelector('.srvae-text').textContent === ''")
    assert settled(lab)["temperature"] == 0.99
    python(lab, "busy = 0")


def test_a_new_load_of_the_page_brings_the_picture_back(lab, shipped, folder):
    browser.slider(lab, "Sample").press("ArrowRight")
    before = shown(lab)
    for _ in range(100):
        lab.locator("[data-jp-item-name=save]").click()
        lab.wait_for_timeout(100)
        if "widget-view" in (folder / "view.ipynb").read_text("utf-8"):
            break
    lab.reload()
    browser.await_kernel(lab)
    canvas(lab).wait_for()
    assert np.array_equal(shown(lab), before)
    browser.slider(lab, "Sample").press("ArrowRight")
    assert assert_shows_the_answer(lab, shipped)["seed"] == 20.1


def test_the_console_shows_no_error_and_nobody_else_is_asked(opened):
    assert opened.complaints == []
    assert opened.outside == []


def test_notebook_7(opened, address):
    page = opened.context.browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(address % "notebooks/smoke.ipynb")
    browser.run_all(page)
    before = browser.at_rest(page)
    browser.slider(page, "Sample").press("ArrowRight")
    page.wait_for_function("document.querySelector('.srvae-label-right').textContent.includes('sample 20.05,')")
    assert not np.array_equal(images.read(browser.at_rest(page)), images.read(before))
