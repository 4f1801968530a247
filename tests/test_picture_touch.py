"""The picture under real hands: mouse, wheel, keys and fingers in JupyterLab and Notebook, on layers made here."""

from importlib.util import find_spec

import numpy as np
import pytest

from picture_helpers import (
    CLIPPED,
    COUNT_BITMAPS,
    DRAWN,
    SCROLLBARS,
    answer_at,
    at_last,
    chart,
    drag,
    drop,
    fingers,
    lay,
    memory,
    on_show,
    opened,
    part_in_work,
    pixels,
    point,
    python,
    read_png,
    values,
    work,
)
from srvae.viewer import browser

try:
    browser.chromium()
except browser.NoBrowserError as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["jupyterlab", "notebook"])
def lab(request, tmp_path_factory):
    """JupyterLab or Notebook with a bare picture; what the console says, and what other hosts are asked."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    with opened(request.param, tmp_path_factory.mktemp("lab")) as page:
        yield page


@pytest.fixture
def picture(lab):
    """The canvas, as it was at first."""
    python(lab, "begin()")
    canvas = lab.locator(browser.PICTURE)
    canvas.scroll_into_view_if_needed()
    browser.at_rest(lab, 0.2)
    return canvas


def test_opens_in_place_of_the_still(lab, picture):
    assert lab.locator(".jp-RenderedImage").count() == 1
    assert lab.locator(".jp-RenderedImage").is_hidden()
    assert python(lab, "picture.shown") == [640, 480]
    assert picture.get_attribute("aria-label") == "The cat: bicubic | sample 12, T 0.4"
    shown = pixels(picture)
    assert (shown[:, :320] == (0, 0, 160)).all()
    assert (shown[:, 322:] == chart(0, 0, 320, 240).repeat(2, 0).repeat(2, 1)[:, 322:]).all()


def test_hides_no_picture_of_others(lab, picture):
    still = lab.locator(".jp-RenderedImage")
    python(lab, "picture.still = False")
    still.evaluate("image => image.closest('.jp-OutputArea-child').style.display = ''")
    python(lab, "frame.layout.width = '600px'")
    lab.wait_for_function("document.querySelector('canvas.srvae-picture').width === 600")
    assert still.is_visible()
    python(lab, "picture.still = True")
    still.wait_for(state="hidden")
    python(lab, "frame.layout.width = '640px'")
    lab.wait_for_function("document.querySelector('canvas.srvae-picture').width === 640")


@pytest.mark.parametrize("zoom", [1.0, 4.0])
def test_border_is_one_pixel_wide_and_pixels_are_crisp(lab, picture, zoom):
    python(lab, f"picture.zoom = {zoom}")
    values(picture)
    shown, times = pixels(picture), round(2 * zoom)
    left, top = round(160 - 160 / zoom), round(120 - 120 / zoom)
    pattern = chart(left, top, round(320 / zoom), round(240 / zoom)).repeat(times, 0).repeat(times, 1)
    assert (shown[:, 319] == (0, 0, 160)).all()
    assert (shown[:, 320] == 255).all()
    assert (shown[:, 321:] == pattern[:, 321:]).all()


def test_border_by_mouse_and_keys(lab, picture):
    drag(picture, (0.5, 0.2), (0.3, 0.9))  # anywhere on the line
    assert values(picture)["share"] == pytest.approx(0.3, abs=0.005)
    assert python(lab, "picture.share") == values(picture)["share"]
    handle = browser.slider(lab, "Border")
    for key, share in (("Home", 0), ("ArrowRight", 0.01), ("PageUp", 0.11), ("PageDown", 0.01), ("End", 1)):
        handle.press(key)
        assert values(picture)["share"] == share
        assert handle.get_attribute("aria-valuetext") == f"{round(100 * share)} %"
    assert (pixels(picture) == (0, 0, 160)).all(), "no line at the edge"
    drag(picture, (0.99, 0.6), (0.69, 0.6))
    assert values(picture)["share"] == pytest.approx(0.7, abs=0.005)
    drag(picture, (0.7, 0.6), (-0.3, 0.6))
    assert values(picture)["share"] == 0
    assert (pixels(picture)[:, :2] == chart(0, 0, 1, 240).repeat(2, 0).repeat(2, 1)).all()
    assert python(lab, "picture.share") == 0


def test_the_frame_of_the_focus_is_for_keys(lab, picture):
    handle = browser.slider(lab, "Border")
    picture.locator("xpath=ancestor-or-self::*[@tabindex][1]").press("0")
    drag(picture, (0.5, 0.2), (0.3, 0.9))
    assert handle.evaluate("e => e === document.activeElement")
    assert not handle.evaluate("e => e.matches(':focus-visible')")
    lab.keyboard.press("Tab")
    assert lab.evaluate("document.activeElement.matches(':focus-visible')")


def test_wheel_zooms_about_the_pointer(lab, picture):
    x, y = 0.25, 0.8
    lab.mouse.move(*point(picture, x, y))
    place = answer_at(picture, x, y)
    for zoom in (1.5, 3):
        while values(picture)["zoom"] < zoom:
            lab.mouse.wheel(0, -60)
        assert answer_at(picture, x, y) == pytest.approx(place, abs=0.6)
    lab.mouse.wheel(0, -3000)
    assert values(picture)["zoom"] == 16
    lab.keyboard.down("Control")  # a trackpad's pinch
    lab.mouse.wheel(0, 50)
    lab.keyboard.up("Control")
    assert values(picture)["zoom"] == pytest.approx(16 * np.exp(-0.5), rel=1e-6)
    assert python(lab, "picture.zoom") == values(picture)["zoom"]
    lab.mouse.wheel(0, 5000)
    assert values(picture)["zoom"] == 1
    before = picture.bounding_box()["y"]
    python(lab, "status.layout.height = '3000px'")
    lab.wait_for_timeout(300)  # the wheel lets go of the page only then
    lab.mouse.wheel(0, 100)
    lab.wait_for_timeout(300)
    assert picture.bounding_box()["y"] < before, "the page scrolls"
    assert values(picture)["zoom"] == 1
    python(lab, "status.layout.height = None")


def test_drag_pans_and_double_click_fits(lab, picture):
    python(lab, "picture.zoom = 4.0")
    values(picture)
    place = answer_at(picture, 0.8, 0.3)
    drag(picture, (0.8, 0.3), (0.7, 0.5))
    assert answer_at(picture, 0.7, 0.5) == pytest.approx(place, abs=0.3)
    drag(picture, (0.1, 0.1), (0.9, 0.9))
    drag(picture, (0.1, 0.1), (0.9, 0.9))
    assert on_show(picture)[:2] == (0, 0), "no farther than the edge"
    assert python(lab, "(picture.across, picture.down)") == [0, 0]
    lab.mouse.dblclick(*point(picture, 0.8, 0.3))
    assert values(picture)["zoom"] == 1


def test_keys_on_the_picture(lab, picture):
    picture.focus()
    cells = lab.locator(".jp-Cell").count()
    for key in ("+", "+", "-", "ArrowRight", "ArrowDown"):
        lab.keyboard.press(key)
    assert values(picture)["zoom"] == pytest.approx(1.25)
    assert on_show(picture)[:2] == pytest.approx((160 - 128 + 25.6, 120 - 96 + 19.2))
    for key in ("ArrowLeft", "ArrowUp"):
        lab.keyboard.press(key)
    assert on_show(picture)[:2] == pytest.approx((32, 24))
    for key in ("0", "0"):  # in JupyterLab's own hands they would restart the kernel
        lab.keyboard.press(key)
    assert values(picture)["zoom"] == 1
    assert lab.locator(".jp-Dialog").count() == 0
    assert lab.locator(".jp-Cell").count() == cells


def test_selection(lab, picture):
    lab.keyboard.down("Shift")
    drag(picture, (0.7, 0.75), (0.6, 0.25))
    lab.keyboard.up("Shift")
    assert python(lab, "picture.selection") == [192, 60, 32, 120]
    edge = pixels(picture)[120, 384:448].astype(int)
    assert (np.ptp(edge, 1) == 0).all(), "black and white"
    assert {0, 255} <= set(edge.ravel()), "dashed"
    assert lab.locator(".jp-mod-multiSelected").count() == 0
    picture.press("Escape")
    assert python(lab, "picture.selection") == []
    python(lab, "picture.selecting = True")
    drag(picture, (0.1, 0.1), (0.2, 0.2))
    assert python(lab, "picture.selection") == [32, 24, 32, 24]
    drag(picture, (0.5, 0.6), (0.4, 0.6))
    assert values(picture)["share"] == pytest.approx(0.4, abs=0.005), "the border still moves"
    drag(picture, (0.1, 0.1), (0.12, 0.12))
    assert python(lab, "picture.selection") == [], "too small"
    drag(picture, (0.9, 0.9), (1.2, 1.2))
    assert python(lab, "picture.selection") == [288, 216, 32, 24], "only what is in the picture"


def test_selection_by_keys(lab, picture):
    python(lab, "picture.zoom = 2.0")  # 80, 60, 160, 120 is visible
    assert "Shift and an arrow key select a rectangle" in picture.get_attribute("aria-description")

    def check(rect, *keys):
        for key in keys:
            picture.press(key)
        assert at_last(lab, "picture.selection", rect) == rect, keys

    check([120, 90, 80, 60], "Shift+ArrowLeft")  # the middle half of what is visible
    check([136, 84, 80, 60], "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowUp")
    check([128, 96, 80, 60], "Shift+ArrowLeft", "Shift+ArrowDown", "Shift+ArrowDown")
    check([136, 102, 64, 48], "Shift+_")
    check([120, 90, 96, 72], "Shift++", "Shift++")
    check([80, 108, 96, 72], *["Shift+ArrowLeft"] * 9, *["Shift+ArrowDown"] * 9)  # only what is visible
    check([80, 60, 160, 120], *["Shift++"] * 20)
    check([156, 116, 8, 8], *["Shift+-"] * 20)
    assert (values(picture)["zoom"], values(picture)["across"]) == (2, 0.5)
    check([], "Escape")
    check([], "Shift++")
    assert values(picture)["zoom"] == 2.5, "a plus that needs Shift zooms as ever"
    assert lab.locator(".jp-mod-multiSelected").count() == 0


def test_fingers(lab, picture):
    lab.touch.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    at = {x: point(picture, x / 100, 0.5) for x in (10, 20, 30, 40, 50, 60, 80)}
    python(lab, "picture.share = 0.0")
    values(picture)
    place = answer_at(picture, 0.3, 0.5)
    fingers(lab, "touchStart", at[20])
    fingers(lab, "touchStart", at[20], at[40])
    fingers(lab, "touchMove", at[10], at[50])  # twice as far apart
    fingers(lab, "touchEnd", at[50])
    fingers(lab, "touchEnd")
    assert values(picture)["zoom"] == pytest.approx(2, rel=0.01)
    assert answer_at(picture, 0.3, 0.5) == pytest.approx(place, abs=1)
    place = answer_at(picture, 0.6, 0.5)
    fingers(lab, "touchStart", at[60])
    fingers(lab, "touchMove", at[50])
    fingers(lab, "touchMove", at[40])
    fingers(lab, "touchEnd")
    assert answer_at(picture, 0.4, 0.5) == pytest.approx(place, abs=1)
    for _ in range(2):
        fingers(lab, "touchStart", at[60])
        fingers(lab, "touchEnd")
    assert values(picture)["zoom"] == 1
    python(lab, "picture.share = 0.5")
    values(picture)
    fingers(lab, "touchStart", at[50])
    fingers(lab, "touchMove", at[60])
    fingers(lab, "touchMove", at[80])
    fingers(lab, "touchEnd")
    assert values(picture)["share"] == pytest.approx(0.8, abs=0.01)
    lab.touch.send("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_nothing_waits_for_the_kernel(lab, picture):
    python(lab, "heard_shares = []")
    python(lab, "picture.observe(lambda change: (heard_shares.append(change['new']), time.sleep(0.3)), 'share')")
    handle = browser.slider(lab, "Border")
    handle.press("Home")
    for turn in range(1, 31):
        handle.press("ArrowRight")
        assert picture.evaluate(DRAWN) == turn / 100
    at_last(lab, "picture.share", 0.3)
    heard = python(lab, "picture.unobserve_all('share') or heard_shares")
    assert heard[-1] == 0.3, "the last value arrives"
    assert len(heard) < 15, "no queue of old ones"
    assert values(picture)["share"] == 0.3


def test_waiting_for_a_key_to_be_answered(lab, picture):
    python(lab, "picture.observe(lambda _: (time.sleep(0.3), setattr(picture, 'right', flat(30))), 'share')")
    browser.slider(lab, "Border").focus()
    assert browser.press_and_wait(lab) >= 300, "until the kernel's layer is drawn"
    assert (pixels(picture)[:, 400:] == 30).all()
    python(lab, "picture.unobserve_all('share')")
    assert browser.press_and_wait(lab, "PageDown", layer=False) > 0
    assert values(picture)["share"] == 0.41


def test_pieces_pile_up(lab, picture):
    python(lab, "picture.share = 0.0")
    lay(picture, "patch", (250, 0, 0), (0, 0, 32, 24))
    lay(picture, "patch", (0, 250, 0), (288, 216, 32, 24))
    shown = pixels(picture)
    assert (shown[:48, :64] == (250, 0, 0)).all()
    assert (shown[432:, 576:] == (0, 250, 0)).all()
    assert (shown[48:400] == chart(0, 24, 320, 176).repeat(2, 0).repeat(2, 1)).all()
    expected = chart(0, 0, 320, 240)
    expected[:24, :32], expected[216:, 288:] = (250, 0, 0), (0, 250, 0)
    assert (read_png(browser.at_rest(lab, 0.2)) == expected).all()
    lay(picture, "right", (9, 9, 9), (0, 0, 160, 240))
    shown = pixels(picture)
    assert (shown[:, :320] == 9).all(), "what is laid anew lies above the pieces"
    assert (shown[:, 320:] == 90).all(), "the bottom shows beside it"
    lay(picture, "patch", (0, 250, 0), (288, 216, 32, 24))
    assert (pixels(picture)[432:, 576:] == (0, 250, 0)).all(), "the same piece once more"
    lay(picture, "right", (9, 9, 9), (0, 0, 160, 240))
    assert (pixels(picture)[:, 320:] == 90).all(), "the same layer once more"


def test_newest_layers_win(lab, picture):
    python(lab, "picture.share = 0.0")
    lay(picture, "right", (9, 9, 9), (0, 0, 160, 240))
    lay(picture, "overlay", (209, 209, 209), (0, 0, 160, 240))
    assert (np.abs(pixels(picture)[:, :320].astype(int) - 139) <= 1).all(), "9 + 0.65 * 200"
    python(lab, "picture.overlay = b''\nfor i in range(60): picture.right = flat(i)")
    lab.wait_for_timeout(500)
    assert (pixels(picture)[:, :320] == 59).all()
    python(lab, "with picture.hold_sync():\n    picture.size = 160, 160\n    picture.bottom = flat(70)")
    lab.wait_for_timeout(500)
    assert pixels(picture).shape == (640, 640, 3)
    assert (pixels(picture) == 70).all(), "the layers of another picture are gone"


def test_labels_and_signs(lab, picture):
    left, right = (lab.locator(f".srvae-label-{side}") for side in ("left", "right"))
    hint, sign = lab.locator(".srvae-draft"), lab.locator(".srvae-working")
    assert (left.inner_text(), right.inner_text()) == ("bicubic", "sample 12, T 0.4")
    python(lab, "picture.share = 0.05")
    values(picture)
    assert (left.is_visible(), right.is_visible()) == (False, True)
    python(lab, "picture.share = 0.9")
    values(picture)
    assert (left.is_visible(), right.is_visible()) == (True, False)
    python(lab, "picture.share = 0.5")

    def opacity(part):
        return float(part.evaluate("part => getComputedStyle(part).opacity"))

    assert (opacity(hint), opacity(sign)) == (0, 0)
    python(lab, "picture.exact = False")
    python(lab, "picture.working = True")
    lab.wait_for_timeout(500)
    assert (opacity(hint), opacity(sign)) == (1, 1)
    assert (picture.get_attribute("data-exact"), picture.get_attribute("data-working")) == ("false", "true")


def test_files_dropped_and_downloaded(lab, picture, tmp_path):
    sizes = {"one.png": 1000, "two.jpg": 12 * 2**20, "notes.txt": 10, "film.png": 65 * 2**20}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(range(250)) * (size // 250) + b"end")
    heard = "[(c, [(len(b), b[-3:].decode()) for b in bs]) for c, bs in heard]"
    python(lab, "heard.clear()")
    drop(lab, picture, tmp_path / "one.png", tmp_path / "notes.txt")
    assert python(lab, heard) == [[{"kind": "drop", "names": ["one.png"]}, [[1003, "end"]]]]
    assert lab.locator(".srvae-text").inner_text() == "Only image files can be dropped here."
    drop(lab, picture, tmp_path / "one.png", tmp_path / "two.jpg")
    size = (tmp_path / "two.jpg").stat().st_size
    message = {"kind": "drop", "names": ["one.png", "two.jpg"]}
    assert python(lab, f"{heard}[1:]") == [[message, [[1003, "end"], [size, "end"]]]]
    drop(lab, picture, tmp_path / "film.png")
    assert "64 MB" in lab.locator(".srvae-text").inner_text()
    assert python(lab, "len(heard)") == 2
    assert lab.locator(".srvae-target").count() == 0
    with lab.expect_download() as download:
        python(lab, "picture.download('cat.png', b'the file')")
    assert download.value.suggested_filename == "cat.png"
    assert download.value.path().read_bytes() == b"the file"


def test_files_that_cannot_be_read_are_named(lab, picture, tmp_path):
    (tmp_path / "there.png").write_bytes(b"file")
    (tmp_path / "album.png").mkdir()
    python(lab, "heard.clear()")
    drop(lab, picture, tmp_path / "there.png", tmp_path / "album.png", tmp_path / "gone.png")
    said = "Cannot be read: album.png, gone.png. Drop image files that are still there, not folders."
    assert lab.locator(".srvae-text").inner_text() == said
    assert python(lab, "[c for c, _ in heard]") == [{"kind": "drop", "names": ["there.png"]}]


def test_overview(lab, picture):
    overview = lab.get_by_role("slider", name="Part in work")
    assert overview.is_hidden()
    python(lab, "heard.clear(); picture.overview, picture.overview_rect = flat(30), (0.0, 0.0, 0.5, 0.25)")
    lab.wait_for_timeout(200)
    box = overview.bounding_box()
    assert box["width"] == pytest.approx(128, abs=3)
    x, y = (lambda share: box["x"] + share * box["width"]), (lambda share: box["y"] + share * box["height"])
    lab.mouse.move(x(0.25), y(0.125))
    lab.mouse.down()
    lab.mouse.move(x(0.5), y(0.5), steps=4)
    frame = lab.locator(".srvae-part").bounding_box()
    assert frame["x"] + frame["width"] / 2 == pytest.approx(x(0.5), abs=2), "it follows at once"
    assert python(lab, "len(heard)") == 0
    lab.mouse.up()
    ((content, _),) = python(lab, "[(c, 0) for c, _ in heard]")
    assert content == {"kind": "work", "x": pytest.approx(0.5, abs=0.02), "y": pytest.approx(0.5, abs=0.02)}
    lab.mouse.click(x(0.95), y(0.9))
    assert python(lab, "heard[-1][0]") == {"kind": "work", "x": 0.75, "y": 0.875}, "kept inside"
    overview.press("ArrowLeft")
    overview.press("ArrowUp")
    lab.wait_for_timeout(500)
    assert python(lab, "(len(heard), heard[-1][0])") == [3, {"kind": "work", "x": 0.625, "y": 0.8125}]
    assert values(picture)["share"] == 0.5


def test_the_part_in_work_stays_under_the_hand(lab, picture):
    overview, near = lab.get_by_role("slider", name="Part in work"), {"abs": 0.03}
    python(lab, "kernel = lambda *corner: setattr(picture, 'overview_rect', (*corner, 0.5, 0.5))")
    python(lab, "heard.clear(); picture.overview = flat(30); kernel(0.0, 0.0)")
    lab.mouse.move(*point(overview, 0.3, 0.3))
    lab.mouse.down()
    lab.mouse.move(*point(overview, 0.6, 0.7))
    python(lab, "kernel(0.0, 0.5)")  # the answer to an earlier move
    assert part_in_work(overview) == pytest.approx((0.6, 0.7), **near)
    lab.mouse.up()
    assert work(lab) == [pytest.approx((0.6, 0.7), **near)]
    python(lab, "kernel(0.0, 0.5)")  # as before: it has not followed
    assert part_in_work(overview) == pytest.approx((0.25, 0.75), **near)
    overview.press("ArrowRight")
    python(lab, "kernel(0.0, 0.0)")
    overview.press("ArrowRight")
    lab.wait_for_timeout(500)
    python(lab, "frame.children = (); frame.children = (picture,)")
    assert part_in_work(overview) == pytest.approx((0.25, 0.25), **near), "a new display shows what the kernel says"
    overview.press("ArrowRight")
    drag(overview, (0.5, 0.5), (0.7, 0.3))
    python(lab, "picture.right = flat(9)")
    assert part_in_work(overview) == pytest.approx((0.7, 0.3), **near), "a layer is no answer"
    assert work(lab)[1:] == [(0.5, 0.75), (0.375, 0.25), pytest.approx((0.7, 0.3), **near)], "no key is lost"
    lab.touch.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    fingers(lab, "touchStart", point(overview, 0.5, 0.5))
    python(lab, "kernel(0.5, 0.5)")
    assert part_in_work(overview) == pytest.approx((0.5, 0.5), **near)
    fingers(lab, "touchCancel")
    assert part_in_work(overview) == pytest.approx((0.75, 0.75), **near), "where the kernel says"
    assert len(work(lab)) == 4
    lab.touch.send("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_full_screen(lab, picture):
    python(lab, "picture.zoom = 2.0")
    lab.get_by_role("button", name="Full screen").click()
    lab.wait_for_function("document.fullscreenElement !== null")
    lab.wait_for_timeout(500)
    box, window = picture.bounding_box(), lab.evaluate("[innerWidth, innerHeight]")
    assert box["width"] / box["height"] == pytest.approx(4 / 3, rel=0.01)
    assert max(box["width"] / window[0], box["height"] / window[1]) == pytest.approx(1, abs=0.01)
    drag(picture, (0.5, 0.2), (0.25, 0.2))
    assert values(picture)["share"] == pytest.approx(0.25, abs=0.005)
    assert lab.locator(".srvae-label-left").is_visible()
    lab.get_by_role("button", name="Full screen").click()
    lab.wait_for_function("document.fullscreenElement === null")
    lab.wait_for_timeout(500)
    assert picture.bounding_box()["width"] == pytest.approx(640, abs=1)
    lab.get_by_role("button", name="Fit", exact=True).click()
    assert values(picture)["zoom"] == 1


def test_two_displays_stay_in_step_and_one_may_go(lab, picture):
    python(lab, "frame.children = picture, picture")
    lab.wait_for_function("document.querySelectorAll('canvas.srvae-picture').length === 2")
    lab.wait_for_timeout(300)
    both = [lab.locator(browser.PICTURE).nth(i) for i in range(2)]
    assert both[0].evaluate("c => c.srvae === document.querySelectorAll('canvas.srvae-picture')[1].srvae")
    browser.slider(lab, "Border").nth(1).press("PageUp")
    for canvas in both:
        assert values(canvas)["share"] == 0.6
        assert (pixels(canvas)[:, 2] == (0, 0, 160)).all()
    python(lab, "frame.children = (picture,)")
    lab.wait_for_function("document.querySelectorAll('canvas.srvae-picture').length === 1")
    assert lab.locator(browser.PICTURE).evaluate("c => c.srvae.watchers.size") == 1
    browser.slider(lab, "Border").press("Home")
    assert values(lab.locator(browser.PICTURE))["share"] == 0


def test_five_hundred_layers_leave_nothing_behind(lab, picture):
    python(lab, "some = [chart(i, 0, 320, 240) for i in range(10)]")
    python(lab, "for i in range(20): picture.patch, picture.patch_rect = some[i % 10], (i, 0, 20, 20)")
    lab.wait_for_timeout(500)
    before = memory(lab)
    lab.evaluate(COUNT_BITMAPS)
    for _ in range(25):  # the page has heard of all of them before it is asked for more
        python(lab, "for i in range(20): picture.right = some[i % 10]")
    lab.wait_for_timeout(1000)
    made, still_open = lab.evaluate("[bitmaps.length, bitmaps.splice(0).filter(bitmap => bitmap.width).length]")
    assert made > 10
    assert still_open == 1, "the one on show"
    assert picture.evaluate("c => [Object.keys(c.srvae.layers).length, c.srvae.patches.length]") == [3, 0]
    kept = {name: value - before[name] for name, value in memory(lab).items()}
    assert max(kept.values()) < 2e6, f"500 layers leave {kept} bytes"


@pytest.mark.parametrize("width", [1400, 700])
@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_nothing_is_clipped(lab, picture, width, theme):
    lab.locator(".lm-MenuBar-item", has_text="Settings").click()
    lab.locator(".lm-Menu-item", has_text="Theme").first.hover()
    lab.locator(".lm-Menu-item", has_text=f"JupyterLab {theme}").first.click()
    lab.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=str(theme == "Light").lower())
    python(lab, "frame.layout.flex, frame.layout.width = '2 1 20em', 'auto'")
    lab.set_viewport_size({"width": width, "height": 900})
    lab.wait_for_timeout(500)
    view = lab.locator(".srvae-view")
    view.scroll_into_view_if_needed()
    assert view.evaluate(SCROLLBARS) == []
    assert view.locator(".lm-TabBar-tabLabel").evaluate_all(CLIPPED) == []
    python(lab, "picture.exact = False; picture.working = True; picture.overview = flat(30)")
    lab.wait_for_timeout(500)
    lab.set_viewport_size({"width": 1400, "height": 900})
    python(lab, "frame.layout.flex, frame.layout.width = '0 0 auto', '640px'")


def test_nobody_else_is_asked_and_nothing_complains(lab, picture):
    assert lab.outside == []
    assert lab.complaints == []
