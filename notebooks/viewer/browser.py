"""The view in a real browser: JupyterLab on a free port and Chromium, for the tests and the benchmark."""

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [  # of Chromium: it runs as root here and there, without a screen, and asks nobody for news
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PICTURE = "img.srvae-picture"  # the view's, among all pictures of a page
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
        raise NoBrowserError("playwright is not installed") from error
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
def page(address: str, **options: object) -> Iterator[Page]:
    """A page of a fresh Chromium at an address; ``options`` are for playwright's ``new_page``."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            tab = browser.new_page(**options)
            tab.set_default_timeout(60_000)
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


def picture(tab: Page) -> tuple[str, bytes]:
    """The address of the picture on show, which is new for every frame, and its bytes."""
    source, data = tab.evaluate(
        """async selector => {
             const source = document.querySelector(selector).src;
             const reader = new FileReader();
             reader.readAsDataURL(await (await fetch(source)).blob());
             await new Promise(done => reader.onload = done);
             return [source, reader.result.split(",")[1]];
           }""",
        PICTURE,
    )
    return source, base64.b64decode(data)


def at_rest(tab: Page, unchanged: float = UNCHANGED) -> bytes:
    """The PNG that the view shows once nothing has changed for so many seconds.

    Raises:
        TimeoutError: it goes on changing, for a minute.
    """
    last, since, data = "", time.monotonic(), b""
    for _ in range(600):
        now = tab.eval_on_selector(PICTURE, "image => image.src")
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > unchanged:
            try:
                source, data = picture(tab)
            except Exception:  # the address was given up between reading and fetching it
                source, data = "", b""
            if source == last and data.startswith(b"\x89PNG"):
                return data
        tab.wait_for_timeout(100)
    raise TimeoutError(
        f"the view does not come to rest; it shows {data[:8]!r}, {tab.locator('.srvae-view').inner_text()}"
    )


def slider(tab: Page, text: str) -> Locator:
    """The handle of the slider that a screen reader calls so."""
    return tab.get_by_role("slider", name=text)


def step_milliseconds(
    size: int, scale: int, variants: Sequence[Mapping[str, float]], rounds: int = 5, steps: int = 4
) -> Iterator[tuple[float, float]]:
    """Median milliseconds from a key pressed on the seed's slider to the next frame, decoded and in the page.

    Args:
        size: pixels a side of the answer.
        variants: settings of the view to measure with, such as ``{"zoom": 4}``.
        rounds: how often the view comes to rest.
        steps: further keys in each, one as soon as the frame of the one before is there.

    Yields:
        for each variant the medians of first keys after rest and of further ones.
    """
    chromium()
    for settings in variants:
        # A server each: Lab would open what was open before, hidden behind, and its kernel would live on.
        with TemporaryDirectory() as folder, server(Path(folder)) as address:
            yield _step_milliseconds(address, Path(folder, "step.ipynb"), size, scale, settings, rounds, steps)


def _step_milliseconds(
    address: str, notebook: Path, size: int, scale: int, settings: Mapping[str, float], rounds: int, steps: int
) -> tuple[float, float]:
    write_notebook(
        notebook,
        "import cv2, viewer\nfrom benchmarks.sets import bundled",
        f"photograph = cv2.resize(bundled('astronaut'), ({size}, {size}), interpolation=cv2.INTER_AREA)",
        f"view = viewer.View({{'astronaut': photograph}}, {scale})\n"
        f"view.apply({{'temperature': 1.0}} | {dict(settings)})\nview.show()",
    )
    first: list[float] = []
    further: list[float] = []
    with page(address % f"lab/tree/{notebook.name}") as tab:
        run_all(tab)
        slider(tab, "Latent sample").focus()
        for _ in range(rounds):
            at_rest(tab)
            first.append(press_and_wait(tab))
            further += [press_and_wait(tab) for _ in range(steps)]
    return median(first), median(further)


def press_and_wait(tab: Page) -> float:
    """Milliseconds from the right arrow key to the next frame, decoded and in the page."""
    tab.evaluate(
        """selector => {
             const image = document.querySelector(selector);
             let start;  // when the key arrives, not when it is asked for from outside
             const note = () => start = performance.now();
             document.addEventListener("keydown", note, {capture: true, once: true});
             window.shown = new Promise(done => new MutationObserver(async (_, observer) => {
               observer.disconnect();
               await image.decode().catch(() => {});
               done(performance.now() - start);
             }).observe(image, {attributes: true, attributeFilter: ["src"]}));
           }""",
        PICTURE,
    )
    tab.keyboard.press("ArrowRight")
    return tab.evaluate("window.shown")
