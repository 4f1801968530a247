"""Print the milliseconds from a slider's key to the new picture: ``python tests/time_view.py [pixels a side ...]``."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import browser

CELL = """import cv2
from srvae import viewer
from srvae.benchmarks.sets import bundled
view = viewer.View({{"astronaut": cv2.resize(bundled("astronaut"), ({0}, {0}), interpolation=cv2.INTER_AREA)}}, 4)
view.apply(temperature=1.0, share=0.0, zoom=1.0)
view.show()"""
ROUNDS, KEYS = 4, 3


def milliseconds(edge: int) -> float:
    """The median over some keys, for an answer of so many pixels a side that is shown as a whole."""
    with TemporaryDirectory() as folder, browser.server(Path(folder)) as address:
        browser.write_notebook(Path(folder, "view.ipynb"), CELL.format(edge))
        with browser.page(address % "lab/tree/view.ipynb", viewport={"width": 1400, "height": 1100}) as tab:
            browser.run_all(tab)
            presses = []
            for _ in range(ROUNDS):
                browser.at_rest(tab)
                browser.slider(tab, "Sample").focus()
                presses += [browser.press_and_wait(tab, "ArrowRight") for _ in range(KEYS)]
            return float(np.median(presses))


if __name__ == "__main__":
    for edge in map(int, sys.argv[1:] or (256, 512, 1024)):
        print(f"{edge}x{edge}: {milliseconds(edge):.0f} ms", flush=True)
