"""The view in a real browser: JupyterLab on a free port and Chromium, for tests, the benchmark and the film."""

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
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Request, WebSocket

ROOT = Path(__file__).resolve().parents[3]
FLAGS = [  # of Chromium: it runs as root here and there, without a screen, and asks nobody for news
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
HIDDEN = ["--hide-scrollbars"]  # playwright's own flag: people see scrollbars, so the tests have to see them too
PICTURE = "canvas.srvae-picture"  # the view's, among all pictures of a page
HANDLE = 16  # pixels across the handle of a slider, as slider.css has it
WITHIN = ("about", "blob", "data")  # schemes of addresses that ask no host
UNCHANGED = 0.7  # seconds without a new frame that count as rest: longer than from a key to the first that it brings
START_SECONDS = 60  # that a server may take to start
RUNS = 4  # times that the cells are asked to run, until they do


class NoBrowserError(RuntimeError):
    """There is no Chromium, or no playwright to drive it."""


def chromium() -> str:
    """The path of the system's Chromium.

    Raises:
        NoBrowserError: there is none, or playwright is not installed.
    """
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
def server(folder: Path, application: str = "jupyterlab") -> Iterator[str]:
    """A server over a folder, for as long as the context lasts.

    Args:
        folder: what it shows.
        application: "jupyterlab" or "notebook".

    Yields:
        Its address, in which %s stands for what is opened.

    Raises:
        RuntimeError: it did not start.
    """
    with socket.socket() as free:  # the system names a free port
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)  # nobody else on this machine gets into the kernels
    command = [sys.executable, "-m", application, "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--LabApp.news_url=None"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    path = [str(ROOT), str(ROOT / "notebooks"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}  # for the kernels
    with TemporaryDirectory() as own, (Path(own) / "log").open("w+", encoding="utf-8") as log:
        # a user's own settings and open notebooks stay out of it
        environment |= dict.fromkeys(
            ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR"), own
        )
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            base = f"http://127.0.0.1:{port}"
            if not answers(process, f"{base}/api/status?token={token}"):
                log.seek(0)
                raise RuntimeError(f"{application} did not start: {log.read()[-2000:]}")
            yield f"{base}/%s?token={token}"
        finally:
            process.terminate()
            process.wait(30)


def answers(process: subprocess.Popen[bytes], address: str) -> bool:
    """Wait until a server answers; False where its process ends, or takes longer than a minute."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=5)
            return True
        except OSError:  # not yet
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
    await_kernel(tab)

    def accept() -> None:
        tab.locator(".jp-Dialog .jp-mod-accept").click()

    # a dialog asks for the kernel where Lab does not take the notebook's word for it
    tab.add_locator_handler(tab.locator(".jp-Dialog"), accept)
    tab.wait_for_timeout(1000)
    for _ in range(RUNS):
        tab.locator(".lm-MenuBar-item", has_text="Run").click()
        tab.locator(
            ".lm-Menu-item[data-command='notebook:run-all-cells'], [data-command='runmenu:run-all']"
        ).first.click()
        if comes(tab):
            break
    tab.wait_for_selector(PICTURE)


def comes(tab: Page) -> bool:
    """Wait for the view's picture; False where the first cell neither is run nor waits for it, for ten seconds.

    On a busy machine JupyterLab may forget that it was asked to run a cell, even after it said that the cell waits.
    """
    outcome = tab.wait_for_function(
        """([selector, asked]) => {
             if (document.querySelector(selector)) return "comes";
             const idle = document.querySelector(".jp-CodeCell .jp-InputPrompt").textContent.includes("[ ]");
             const now = performance.now();
             if (!idle || window.srvaeAsked !== asked) [window.srvaeAsked, window.srvaeIdle] = [asked, now];
             return now - window.srvaeIdle > 10_000 && "forgotten";
           }""",
        arg=[PICTURE, time.monotonic()],
    )
    return outcome.json_value() == "comes"


def picture(tab: Page, number: int = 0) -> bytes:
    """What is laid over the right side, its pieces included, as a PNG of its rectangle in answer pixels.

    Args:
        tab: the page.
        number: which of the page's pictures.
    """
    data = tab.evaluate(
        """async ([selector, number]) => {
             const {layers, patches} = document.querySelectorAll(selector)[number].srvae;
             const right = layers.right ?? layers.whole ?? layers.bottom;
             const [left, top, width, height] = right.rect;
             const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
             for (const {rect: [x, y, w, h], bitmap} of [right, ...patches]) {
               context.drawImage(bitmap, x - left, y - top, w, h);
             }
             const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
             return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
           }""",
        [PICTURE, number],
    )
    return base64.b64decode(data)


def at_rest(tab: Page, unchanged: float = UNCHANGED, number: int = 0) -> bytes:
    """The PNG of :func:`picture` once it is exact, and nothing has been drawn for so many seconds.

    Raises:
        TimeoutError: it goes on changing, for a minute.
    """
    last, since, state = None, time.monotonic(), {}
    for _ in range(600):
        state = tab.locator(PICTURE).nth(number).evaluate("canvas => ({...canvas.dataset})")
        resting = state.get("exact") == "true" and state.get("working") == "false"
        if not resting or state["frames"] != last:
            last, since = state.get("frames"), time.monotonic()
        elif time.monotonic() - since > unchanged:
            data = picture(tab, number)
            if tab.locator(PICTURE).nth(number).get_attribute("data-frames") == last:
                return data
        tab.wait_for_timeout(100)
    raise TimeoutError(f"the picture does not come to rest: {state}")


def slider(tab: Page, text: str) -> Locator:
    """The slider that a screen reader calls so."""
    return tab.get_by_role("slider", name=text)


def handle(tab: Page, text: str, value: float | None = None) -> tuple[float, float]:
    """Where the middle of a slider's handle is, in pixels of the page, or where it would be at a value."""
    track = slider(tab, text)
    box, (low, high) = track.bounding_box(), (float(track.get_attribute(name)) for name in ("min", "max"))
    share = ((float(track.input_value()) if value is None else value) - low) / (high - low)
    return box["x"] + HANDLE / 2 + share * (box["width"] - HANDLE), box["y"] + box["height"] / 2


def press_and_wait(tab: Page, key: str = "ArrowRight", *, layer: bool = True) -> float:
    """Milliseconds from a key to the next frame drawn.

    Args:
        tab: the page.
        key: playwright's name of it.
        layer: wait for the frame with a new layer right of the border, which the kernel sends; otherwise the page's
            own next frame counts.

    Raises:
        playwright.sync_api.Error: nothing new was drawn for half a minute.
    """
    tab.evaluate(
        """([selector, layer]) => {
             const canvas = document.querySelector(selector), {srvae} = canvas;
             const laid = () => srvae.patches.at(-1) ?? srvae.layers.right ?? srvae.layers.whole;
             const before = laid();
             let start;  // when the key arrives, not when it is asked for from outside
             const note = () => start = performance.now();
             document.addEventListener("keydown", note, {capture: true, once: true});
             window.shown = new Promise((done, fail) => {
               setTimeout(() => fail(new Error("nothing new was drawn")), 30_000);
               new MutationObserver((_, observer) => {
                 if (start === undefined || (layer && laid() === before)) return;
                 observer.disconnect();
                 done(performance.now() - start);
               }).observe(canvas, {attributes: true, attributeFilter: ["data-frames"]});
             });
           }""",
        [PICTURE, layer],
    )
    tab.keyboard.press(key)
    return tab.evaluate("window.shown")
