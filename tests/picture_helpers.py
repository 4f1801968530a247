"""A notebook with a bare picture on layers made here, and hands that touch it in a browser."""

import base64
import io
import itertools
import json
from contextlib import contextmanager

import numpy as np
from PIL import Image

from srvae.viewer import browser

CELL = """
import io, json, time
import ipywidgets, numpy as np
from IPython.display import display
from PIL import Image
from srvae.viewer.picture import Picture

def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()

def flat(colour, height=30, width=40):
    return png(np.full((height, width, 3), colour, np.uint8))

def chart(left, top, width, height):
    y, x = np.mgrid[top : top + height, left : left + width]
    return png(np.stack([x % 256, y % 256, np.full_like(x, 200)], 2).astype(np.uint8))

picture = Picture(left_label="bicubic", right_label="sample 12, T 0.4", name="The cat", still=True)

def begin():
    with picture.hold_sync():
        picture.size = 320, 240
        picture.bottom, picture.whole, picture.patch, picture.overlay = flat(90), b"", b"", b""
        picture.left, picture.left_rect = flat((0, 0, 160)), (0, 0, 320, 240)
        picture.right, picture.right_rect = chart(0, 0, 320, 240), (0, 0, 320, 240)
        picture.share, picture.zoom, picture.across, picture.down = 0.5, 1.0, 0.5, 0.5
        picture.selection, picture.selecting, picture.exact, picture.working = (), False, True, False
        picture.overview, picture.overview_rect, picture.still = b"", (0.0, 0.0, 1.0, 1.0), True
heard = []
picture.on_msg(lambda _, content, buffers: heard.append((content, [bytes(b) for b in buffers])))
begin()
display({"image/png": chart(0, 0, 40, 30)}, raw=True)
frame = ipywidgets.Box([picture], layout={"width": "640px", "flex": "0 0 auto"})
tab = ipywidgets.Tab([ipywidgets.HTML()] * 5, titles=["Sample", "Region", "Directions", "Many", "File"])
thumb = ipywidgets.Button(description="1").add_class("srvae-thumb")
small = ipywidgets.Image(value=chart(0, 0, 40, 30), layout={"width": "100%", "grid_area": "cell"})
thumb.layout.grid_area = "cell"
cell = ipywidgets.GridBox([small, thumb], layout={"grid_template_areas": '"cell"', "width": "60px"})
controls = ipywidgets.VBox([tab, cell], layout={"flex": "1 1 20em", "min_width": "0"})
view = ipywidgets.Box([frame, controls], layout={"flex_flow": "row wrap"})
display(view.add_class("srvae-view"))

ask = ipywidgets.Text(continuous_update=False, layout={"width": "200px"}).add_class("srvae-ask")
status = ipywidgets.HTML().add_class("srvae-status")
def answer(change):
    turn, text = change["new"].split()
    text = bytes.fromhex(text).decode()
    try:
        value = eval(text)
    except SyntaxError:
        value = exec(text, globals())
    except Exception as error:
        value = repr(error)
    status.value = turn + " " + json.dumps(value).encode().hex()
ask.observe(answer, "value")
display(ipywidgets.VBox([ask, status]))
"""
TURNS = itertools.count(1)
DRAWN = """canvas => new Promise(done =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(Number(canvas.dataset.share)))))"""

COUNT_BITMAPS = """() => {
  const make = window.createImageBitmap;
  window.bitmaps = [];
  window.createImageBitmap = async (...args) => {
    const bitmap = await make(...args);
    window.bitmaps.push(bitmap);
    return bitmap;
  };
}"""

CLIPPED = "titles => titles.filter(t => t.scrollWidth > t.clientWidth).map(t => t.textContent)"

SCROLLBARS = """view => [...view.closest(".jp-OutputArea").querySelectorAll("*")].filter(part => {
  const { overflowX, overflowY } = getComputedStyle(part);
  const wide = part.scrollWidth > part.clientWidth && ["auto", "scroll"].includes(overflowX);
  const high = part.scrollHeight > part.clientHeight && ["auto", "scroll"].includes(overflowY);
  return part.offsetParent && (wide || high);
}).map(part => part.outerHTML.slice(0, 200))"""


@contextmanager
def opened(application, folder, more=""):
    """JupyterLab or Notebook with the cell run and more in it; what the console says, what other hosts are asked."""
    outside, complaints = [], []
    browser.write_notebook(folder / "view.ipynb", CELL + more)
    address_of = {"jupyterlab": "lab/tree/view.ipynb", "notebook": "notebooks/view.ipynb"}[application]
    size = {"width": 1400, "height": 900}
    with (
        browser.server(folder, application) as address,
        browser.page(address % address_of, outside, viewport=size, accept_downloads=True) as page,
    ):
        browser.await_kernel(page)  # Notebook complains to itself while it loads any notebook at all
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        browser.run_all(page)
        page.complaints, page.outside = complaints, outside
        page.touch = page.context.new_cdp_session(page)
        yield page


def part_in_work(overview):
    """The middle of the frame in the overview, in shares."""
    overview.page.wait_for_timeout(200)
    box, part = overview.bounding_box(), overview.locator(".srvae-part").bounding_box()
    x, y = part["x"] + part["width"] / 2 - box["x"], part["y"] + part["height"] / 2 - box["y"]
    return x / box["width"], y / box["height"]


def work(page):
    """Where the kernel was asked to work since it last cleared what it has heard."""
    return [(content["x"], content["y"]) for content in python(page, "[content for content, _ in heard]")]


def python(page, text):
    """What an expression gives in the kernel, or lines of statements do, after what was sent before."""
    turn = next(TURNS)
    page.locator(".srvae-ask input").evaluate(
        """(input, text) => {
             input.value = text;
             input.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", keyCode: 13, bubbles: true}));
             input.dispatchEvent(new Event("change", {bubbles: true}));
           }""",
        f"{turn} {text.encode().hex()}",  # a line of text cannot hold more lines
    )
    status = page.locator(".srvae-status .widget-html-content")
    for _ in range(200):
        if (said := status.inner_text()).startswith(f"{turn} "):
            return json.loads(bytes.fromhex(said.split()[1]))
        page.wait_for_timeout(50)
    raise TimeoutError(text)


def at_last(page, text, expected):
    """What an expression gives in the kernel once it is as expected, or else after 100 times."""
    for _ in range(100):  # what the page sends last always arrives
        if (value := python(page, text)) == expected:
            break
    return value


def values(canvas):
    """What the canvas shows: share, zoom, across, down, frames."""
    canvas.page.wait_for_timeout(100)  # so that the next frame is drawn
    return {
        name: float(value)
        for name, value in canvas.evaluate("c => ({...c.dataset})").items()
        if value[0] in "0123456789"
    }


def pixels(canvas):
    """(height, width, 3) uint8, as the screen has them below labels and buttons."""
    return read_png(base64.b64decode(canvas.evaluate("canvas => canvas.toDataURL().split(',')[1]")))


def read_png(data):
    """The pixels of a PNG file."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def point(canvas, x, y):
    """A place on the canvas, in shares, as pixels of the page."""
    box = canvas.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def drag(canvas, *places):
    """The mouse pressed at the first place and let go at the last."""
    mouse = canvas.page.mouse
    mouse.move(*point(canvas, *places[0]))
    mouse.down()
    for place in places[1:]:
        mouse.move(*point(canvas, *place), steps=5)
    mouse.up()


def on_show(canvas):
    """The edges of what is on show, in answer pixels: left, top, right, bottom."""
    now = values(canvas)
    w, h = 320 / now["zoom"], 240 / now["zoom"]
    left, top = now["across"] * (320 - w), now["down"] * (240 - h)
    return left, top, left + w, top + h


def answer_at(canvas, x, y):
    """The answer pixel, not rounded, that lies at a place on the canvas."""
    left, top, right, bottom = on_show(canvas)
    return left + x * (right - left), top + y * (bottom - top)


def chart(left, top, width, height):
    """What the kernel lays right of the border."""
    y, x = np.mgrid[top : top + height, left : left + width]
    return np.stack([x % 256, y % 256, np.full_like(x, 200)], 2).astype(np.uint8)


def fingers(page, kind, *places):
    """A touch event: where each finger is, in pixels of the page."""
    points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
    page.touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def memory(page):
    """The bytes that the page holds once what nobody uses is gone."""
    page.touch.send("HeapProfiler.enable")
    page.touch.send("HeapProfiler.collectGarbage")
    usage = page.touch.send("Runtime.getHeapUsage")
    return {name: usage[name] for name in ("usedSize", "backingStorageSize") if name in usage}


def lay(canvas, name, colour, rect):
    """A layer of one colour."""
    layer = f"picture.{name}, picture.{name}_rect = flat({colour}, 2, 2), {rect}"
    python(canvas.page, f"with picture.hold_sync():\n    {layer}")
    values(canvas)


def drop(page, canvas, *files):
    """Files of the disk, dragged over the picture and let go."""
    x, y = point(canvas, 0.5, 0.3)
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.touch.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})
        if kind == "dragOver":
            assert page.locator(".srvae-target").count() == 1
    page.wait_for_timeout(500)
