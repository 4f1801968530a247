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
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
)
PICTURE = "img.srvae-picture"
STILL = 0.7  # seconds: longer than from a key to the first frame that it brings


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
    raise NoBrowserError("no Chromium is found: apt-get install chromium")


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells, none of them run."""
    rows = [
        {"cell_type": "code", "id": f"c{i}", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
        for i, text in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": rows, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


@contextmanager
def server(folder: Path, application: str = "jupyterlab") -> Iterator[str]:
    """The server of "jupyterlab" or "notebook" over a folder; gives its address, %s standing for what is opened."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    command = [sys.executable, "-m", application, "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--LabApp.news_url=None"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    path = [str(ROOT), str(ROOT / "notebooks"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    with TemporaryDirectory() as own, (Path(own) / "log").open("w+") as log:
        environment |= {"JUPYTER_CONFIG_DIR": own, "JUPYTERLAB_WORKSPACES_DIR": own}
        environment |= {"JUPYTERLAB_SETTINGS_DIR": own}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            base = f"http://127.0.0.1:{port}"
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{base}/api/status?token={token}", timeout=5)
                    break
                except OSError:
                    if process.poll() is not None:
                        break
                    time.sleep(0.25)
            else:
                process.kill()
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(f"{application} did not start: {log.read()[-2000:]}")
            yield f"{base}/%s?token={token}"
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def page(address: str, **options: object) -> Iterator[Page]:
    """A page of a fresh Chromium at an address; ``options`` are for playwright's ``new_page``."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=list(QUIET))
        try:
            one = browser.new_page(**options)
            one.set_default_timeout(60_000)
            one.goto(address)
            yield one
        finally:
            browser.close()


def await_kernel(one: Page) -> None:
    """Wait until the notebook that is open has a kernel."""
    one.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", state="attached")


def run_all(one: Page) -> None:
    """Run all cells of the notebook that is open and wait for the view's picture."""
    await_kernel(one)
    # the kernel is asked for where Lab does not take the notebook's word for it
    one.add_locator_handler(one.locator(".jp-Dialog"), lambda: one.locator(".jp-Dialog .jp-mod-accept").click())
    one.wait_for_timeout(1000)
    one.locator(".lm-MenuBar-item", has_text="Run").click()
    one.locator(".lm-Menu-item[data-command='notebook:run-all-cells'], [data-command='runmenu:run-all']").first.click()
    one.wait_for_selector(PICTURE)


def picture(one: Page) -> tuple[str, bytes]:
    """The address of the picture on show, which is new for every frame, and its bytes."""
    source, data = one.evaluate(
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


def at_rest(one: Page) -> bytes:
    """The PNG that the view shows once nothing has changed for a while."""
    last, since, data = "", time.monotonic(), b""
    for _ in range(600):
        now = one.eval_on_selector(PICTURE, "image => image.src")
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STILL:
            try:
                source, data = picture(one)
            except Exception:  # the address was given up between reading and fetching it
                source, data = "", b""
            if source == last and data.startswith(b"\x89PNG"):
                return data
        one.wait_for_timeout(100)
    raise TimeoutError(
        f"the view does not come to rest; it shows {data[:8]!r}, {one.locator('.srvae-view').inner_text()}"
    )


def slider(one: Page, text: str) -> object:
    """The handle of the slider that a screen reader calls so."""
    return one.get_by_role("slider", name=text)


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
        "import cv2, benchmarks, viewer",
        f"photograph = cv2.resize(benchmarks.bundled('astronaut'), ({size}, {size}), interpolation=cv2.INTER_AREA)",
        f"view = viewer.View({{'astronaut': photograph}}, {scale})\n"
        f"view.apply({{'temperature': 1.0}} | {dict(settings)})\nview.show()",
    )
    with page(address % f"lab/tree/{notebook.name}") as one:
        run_all(one)
        times: tuple[list[float], list[float]] = [], []
        slider(one, "Latent sample").focus()
        for _ in range(rounds):
            at_rest(one)
            for step in range(1 + steps):
                one.evaluate(
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
                one.keyboard.press("ArrowRight")
                times[step > 0].append(one.evaluate("window.shown"))
    return median(times[0]), median(times[1])
