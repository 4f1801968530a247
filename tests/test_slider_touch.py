"""Sliders under real hands in JupyterLab and Notebook: what they show, and what they send to the kernel."""

from importlib.util import find_spec

import pytest

from picture_helpers import at_last, fingers, opened, python
from srvae.viewer import browser

try:
    browser.chromium()
except browser.NoBrowserError as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.slow

SLIDERS = """
from srvae.viewer.settings import Numbers
from srvae.viewer.sliders import STYLE, RealSlider, SeedSlider, integer
real = RealSlider(min=0.0, max=2.0, step=0.05, description="Temperature", tooltip="of the noise")
seed, count = SeedSlider("Seed"), integer(Numbers(2, 64, whole=True), 16, "Samples")
sliders = [real, seed, count]
sent = []  # what the page sends
def note(slider, take):
    slider.set_state = lambda state: (sent.append([slider.description, state]), take(state))
for slider in sliders:
    slider.layout.width = "auto"
    note(slider, slider.set_state)
def start():
    real.value, seed.value, count.value, real.disabled = 0.4, 3.33, 16, False
    seed.min, seed.max = 0, 10
    sent.clear()
start()
display(ipywidgets.VBox([*sliders, ipywidgets.Dropdown(description="Choice", **STYLE)], layout={"width": "500px"}))
"""


@pytest.fixture(scope="module", params=["jupyterlab", "notebook"])
def page(request, tmp_path_factory):
    """JupyterLab or Notebook with three sliders."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    with opened(request.param, tmp_path_factory.mktemp("lab"), SLIDERS) as tab:
        yield tab


@pytest.fixture
def lab(page):
    """The same, with the sliders as they were at first and in sight."""
    python(page, "start()")
    browser.slider(page, "Temperature").scroll_into_view_if_needed()
    browser.slider(page, "Samples").hover()  # waits until the page does not scroll any more
    return page


def sent(lab):
    """The values that the page has sent since the start: [description, value]."""
    lab.wait_for_timeout(200)
    return [[name, state["value"]] for name, state in python(lab, "sent")]


def readout(lab, name):
    """The number beside a slider, to type over."""
    return lab.get_by_role("textbox", name=name, exact=True)


def shows(lab, name):
    """What a slider says of its value: where the handle is, the number beside it, and to a screen reader."""
    track = browser.slider(lab, name)
    return float(track.input_value()), readout(lab, name).input_value(), track.get_attribute("aria-valuetext")


def test_what_the_kernel_sets_is_shown_and_never_answered(lab):
    """Neither between two steps nor beyond the ends that the page had."""
    for value in (3.33, 512.3456, 999, 12.3, 0.0, 9.97, 10):
        python(lab, f"seed.value = {value}")
        python(lab, "seed.make_room()")
    python(lab, "real.max = 0.333")
    python(lab, "real.value, real.max, count.value, count.step = 0.1234, 2.0, 64, 7")
    lab.wait_for_timeout(300)
    assert shows(lab, "Seed") == (10, "10.00", "10.00")
    assert [browser.slider(lab, "Seed").get_attribute(end) for end in ("min", "max")] == ["5", "15"]
    assert shows(lab, "Temperature") == (0.1234, "0.12", "0.12")
    assert shows(lab, "Samples") == (64, "64", "64")
    python(lab, "count.step = 1")
    assert sent(lab) == []


def test_a_drag_sends_whole_steps_and_ends_where_the_hand_is(lab):
    lab.mouse.move(*browser.handle(lab, "Temperature"))
    lab.mouse.down()
    assert sent(lab) == [], "taking hold of the handle is no move"
    lab.mouse.move(*browser.handle(lab, "Temperature", 1.52), steps=9)
    lab.mouse.up()
    values = [value for _, value in sent(lab)]
    assert values == sorted(values)
    assert all(value == round(20 * value) / 20 for value in values)
    assert (values[-1], python(lab, "real.value")) == (1.5, 1.5)
    assert shows(lab, "Temperature") == (1.5, "1.50", "1.50")


def test_a_click_on_the_track_moves_the_handle_there(lab):
    lab.mouse.click(*browser.handle(lab, "Samples", 40))
    assert sent(lab) == [["Samples", 40]]
    assert python(lab, "type(count.value).__name__") == "int"


def test_a_finger_drags(lab):
    fingers(lab, "touchStart", browser.handle(lab, "Temperature"))
    for value in (0.6, 0.8, 1.0):
        fingers(lab, "touchMove", browser.handle(lab, "Temperature", value))
    fingers(lab, "touchEnd")
    assert at_last(lab, "real.value", 1.0) == 1.0
    assert shows(lab, "Temperature") == (1, "1.00", "1.00")


def test_nothing_from_the_kernel_pulls_the_handle_out_of_the_hand(lab):
    lab.mouse.move(*browser.handle(lab, "Seed"))
    lab.mouse.down()
    lab.mouse.move(*browser.handle(lab, "Seed", 10), steps=4)
    assert at_last(lab, "seed.value", 10) == 10
    python(lab, "seed.make_room()")
    lab.wait_for_timeout(200)
    assert [browser.slider(lab, "Seed").get_attribute(end) for end in ("min", "max")] == ["0", "10"]
    python(lab, "seed.value = 7.5")
    lab.wait_for_timeout(200)
    assert shows(lab, "Seed") == (10, "7.50", "7.50"), "the numbers say what is so"
    lab.mouse.move(*browser.handle(lab, "Seed", 4), steps=4)
    assert at_last(lab, "seed.value", 4) == 4, "though the ends are 5 and 15 in the kernel"
    lab.mouse.up()
    lab.wait_for_timeout(200)
    assert shows(lab, "Seed") == (4, "4.00", "4.00")
    assert [browser.slider(lab, "Seed").get_attribute(end) for end in ("min", "max")] == ["0", "10"]


def test_keys(lab):
    track, expected = browser.slider(lab, "Seed"), []
    for key, value in (
        ("ArrowRight", 3.38),
        ("ArrowUp", 3.43),
        ("ArrowLeft", 3.38),
        ("ArrowDown", 3.33),
        ("PageUp", 3.83),
        ("PageDown", 3.33),
        ("End", 10),
        ("ArrowRight", 10),
        ("Home", 0),
        ("ArrowLeft", 0),
    ):
        track.press(key)
        expected += [["Seed", value]] * (expected[-1:] != [["Seed", value]])
        assert sent(lab) == expected
    assert shows(lab, "Seed") == (0, "0.00", "0.00")
    track.press("a")
    assert sent(lab) == expected


@pytest.mark.parametrize(
    ("name", "typed", "value", "text"),
    [
        ("Temperature", "1.234", 1.234, "1.23"),
        ("Temperature", "1,5", 1.5, "1.50"),
        ("Temperature", "99", 2, "2.00"),
        ("Samples", "7.6", 8, "8"),
        ("Samples", "-1", 2, "2"),
    ],
)
def test_a_number_is_typed(lab, name, typed, value, text):
    readout(lab, name).fill(typed)
    readout(lab, name).press("Enter")
    assert sent(lab) == [[name, value]]
    assert shows(lab, name) == (value, text, text)


@pytest.mark.parametrize("typed", ["", "  ", "much", "1e999", "0.4.1"])
def test_what_is_no_number_is_not_sent(lab, typed):
    readout(lab, "Temperature").fill(typed)
    readout(lab, "Temperature").press("Enter")
    assert sent(lab) == []
    assert shows(lab, "Temperature") == (0.4, "0.40", "0.40")


def test_a_number_half_typed_stays_until_it_is_left(lab):
    number = readout(lab, "Temperature")
    number.press_sequentially("7")
    typed = number.input_value()
    python(lab, "real.value = 0.9")
    lab.wait_for_timeout(200)
    assert (number.input_value(), shows(lab, "Temperature")[2]) == (typed, "0.90")
    number.press("Escape")
    assert shows(lab, "Temperature") == (0.9, "0.90", "0.90")
    assert sent(lab) == []


def test_a_disabled_one_is_moved_by_the_kernel_alone(lab):
    python(lab, "real.disabled = True")
    lab.wait_for_timeout(200)
    assert browser.slider(lab, "Temperature").is_disabled()
    assert readout(lab, "Temperature").is_disabled()
    lab.mouse.click(*browser.handle(lab, "Temperature", 1.5))
    assert sent(lab) == []
    python(lab, "real.value = 1.25")
    lab.wait_for_timeout(200)
    assert shows(lab, "Temperature") == (1.25, "1.25", "1.25")


def test_it_lies_in_line_with_the_other_controls(lab):
    boxes = [browser.slider(lab, name).bounding_box() for name in ("Temperature", "Seed", "Samples")]
    choice = lab.get_by_label("Choice").bounding_box()
    assert [box["x"] for box in boxes] == pytest.approx([choice["x"]] * 3, abs=0.5)
    assert lab.get_by_text("Temperature", exact=True).get_attribute("title") == "of the noise"


def test_nothing_complains_and_nobody_else_is_asked(lab):
    assert (lab.complaints, lab.outside) == ([], [])
