"""Driving the view in a real browser: a Jupyter server on a free port, and Chromium."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Request, WebSocket

ROOT = Path(__file__).resolve().parents[1]
# of Chromium: it may run as root, without a screen, and asks nobody for news
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run"]
HIDDEN = ["--hide-scrollbars"]  # playwright's own flag: people see scrollbars, so the tests have to see them too
PICTURE = "canvas.srvae-picture"
WITHIN = ("about", "blob", "data")  # schemes of addresses that ask no host
UNCHANGED = 0.7  # seconds without a new frame that count as rest: longer than from a key to the first that it brings
OWN = ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR")  # a user's stay out of it
START_SECONDS = 60  # that a server may take to start
RUNS = 3  # times that the cells are asked to run: on a busy machine JupyterLab may forget that it was asked


class NoBrowserError(RuntimeError):
    """There is no Chromium, or no playwright to drive it."""


def chromium() -> str:
    """The path of the system's Chromium; NoBrowserError if there is none, or playwright is not installed."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError as error:
        raise NoBrowserError("playwright is not installed: pip install -e .[test]") from error
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise NoBrowserError("there is no Chromium here: apt-get install chromium")


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells, none of them run."""
    rows = [
        {"cell_type": "code", "id": f"c{i}", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
        for i, text in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"cells": rows, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook), encoding="utf-8")


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A server of JupyterLab and Notebook 7 over a folder, for as long as the context lasts.

    Yields:
        Its address, in which %s stands for what is opened: lab/tree/x.ipynb or notebooks/x.ipynb.

    Raises:
        RuntimeError: it did not start.
    """
    with socket.socket() as free:  # the system names a free port
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)  # nobody else on this machine gets into the kernels
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--LabApp.news_url=None"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    path = [str(ROOT), str(ROOT / "notebooks"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}  # for the kernels
    with TemporaryDirectory() as own, (Path(own) / "log").open("w+", encoding="utf-8") as log:
        environment |= dict.fromkeys(OWN, own)
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            base = f"http://127.0.0.1:{port}"
            if not answers(process, f"{base}/api/status?token={token}"):
                log.seek(0)
                raise RuntimeError(f"JupyterLab did not start: {log.read()[-2000:]}")
            yield f"{base}/%s?token={token}"
        finally:
            process.terminate()
            process.wait(30)


def answers(process: subprocess.Popen[bytes], address: str) -> bool:
    """Wait until a server answers; False where its process ends, or takes longer than a minute."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError):  # not yet
            urllib.request.urlopen(address, timeout=5).close()
            return True
        time.sleep(0.25)
    return False


@contextmanager
def page(address: str, outside: list[str] | None = None, **options: object) -> Iterator[Page]:
    """A page of a fresh Chromium, with scrollbars, at an address.

    Args:
        address: what it opens.
        outside: a list to which the address of everything is added that the page asks another host than 127.0.0.1 for.
        options: for playwright's ``new_page``.
    """
    from playwright.sync_api import sync_playwright

    def note(request: Request | WebSocket) -> None:
        parts = urlsplit(request.url)
        if outside is not None and parts.scheme not in WITHIN and parts.hostname != "127.0.0.1":
            outside.append(request.url)

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=FLAGS, ignore_default_args=HIDDEN)
        try:
            tab = browser.new_page(**options)
            tab.set_default_timeout(60_000)
            tab.on("request", note)
            tab.on("websocket", note)
            tab.goto(address)
            yield tab
        finally:
            browser.close()


def await_kernel(tab: Page) -> None:
    """Wait until the notebook that is open has a kernel."""
    tab.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", state="attached")


def run_all(tab: Page) -> None:
    """Run all cells of the notebook that is open and wait for the view's picture."""
    from playwright.sync_api import TimeoutError as NotYetError

    await_kernel(tab)
    # a dialog asks for the kernel where JupyterLab does not take the notebook's word for it
    tab.add_locator_handler(tab.locator(".jp-Dialog"), lambda: tab.locator(".jp-Dialog .jp-mod-accept").click())
    tab.wait_for_timeout(1000)
    for _ in range(RUNS):
        tab.locator(".lm-MenuBar-item", has_text="Run").click()
        tab.locator("[data-command='notebook:run-all-cells'], [data-command='runmenu:run-all']").first.click()
        with suppress(NotYetError):
            tab.wait_for_selector(PICTURE)
            return
    raise TimeoutError("the view does not come")


def picture(tab: Page) -> bytes:
    """What is laid over the right side, its pieces included, as a PNG of its rectangle in answer pixels."""
    data = tab.locator(PICTURE).evaluate(
        """async ({srvae: {layers, patches}}) => {
             const right = layers.right ?? layers.bottom;
             const [left, top, width, height] = right.rect;
             const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
             for (const {rect: [x, y, w, h], bitmap} of [right, ...patches]) {
               context.drawImage(bitmap, x - left, y - top, w, h);
             }
             const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
             return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
           }"""
    )
    return base64.b64decode(data)


def at_rest(tab: Page, unchanged: float = UNCHANGED) -> bytes:
    """The PNG of :func:`picture` once it is exact, and nothing has been drawn for so many seconds."""
    last, since, state = None, time.monotonic(), {}
    for _ in range(600):
        state = tab.locator(PICTURE).evaluate("canvas => ({...canvas.dataset})")
        resting = state.get("exact") == "true" and state.get("working") == "false"
        if not resting or state["frames"] != last:
            last, since = state.get("frames"), time.monotonic()
        elif time.monotonic() - since > unchanged:
            return picture(tab)
        tab.wait_for_timeout(100)
    raise TimeoutError(f"the picture does not come to rest: {state}")


def slider(tab: Page, text: str) -> Locator:
    """The handle of the slider that a screen reader calls so."""
    return tab.get_by_role("slider", name=text, exact=True)


def handle(tab: Page, text: str, value: float | None = None) -> tuple[float, float]:
    """Where the middle of a slider's handle is, in pixels of the page, or where it would be at a value."""
    knob = slider(tab, text)
    box = knob.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    if value is None:
        return x, y
    low, high, now = (float(knob.get_attribute(f"aria-value{name}")) for name in ("min", "max", "now"))
    width = knob.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()["width"]
    return x + (value - now) / (high - low) * width, y


def press_and_wait(tab: Page, key: str = "ArrowRight") -> float:
    """Milliseconds from a key to the next frame with a new layer right of the border, which the kernel sends."""
    tab.locator(PICTURE).evaluate(
        """canvas => {
             const laid = () => canvas.srvae.patches.at(-1) ?? canvas.srvae.layers.right;
             const before = laid();
             let start;  // when the key arrives, not when it is asked for from outside
             const note = () => start = performance.now();
             document.addEventListener("keydown", note, {capture: true, once: true});
             window.shown = new Promise((done, fail) => {
               setTimeout(() => fail(new Error("nothing new was drawn")), 30_000);
               new MutationObserver((_, observer) => {
                 if (start === undefined || laid() === before) return;
                 observer.disconnect();
                 done(performance.now() - start);
               }).observe(canvas, {attributes: true, attributeFilter: ["data-frames"]});
             });
           }"""
    )
    tab.keyboard.press(key)
    return tab.evaluate("window.shown")
