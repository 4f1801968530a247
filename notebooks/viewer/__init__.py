"""The interactive view of the notebooks: choose an image, slide through samples, compare.

    from viewer import View
    view = View({"astronaut": bundled("astronaut")}, scale=4)
    view.show()

Widgets over :class:`srvae_core.Sampler`, which encodes an image once and decodes for each move of a slider. A handler
sets the value of one Image widget and nothing else: ipywidgets then keeps a single message in flight, so that the
latest value wins and nothing piles up. While a slider moves, a frame is a JPEG of a draft (see ``Sampler``) of what the
border leaves to be seen; when it rests, the whole answer is decoded exactly and sent as PNG.

The modules, each of which uses those below it only:

    timing    milliseconds of a slider's step; the command `python notebooks/evaluate.py slider`
    browser   JupyterLab and Chromium, for timing and tests
    view      View: what every control does; images, buttons, files
    stage     the image on show; whatever changes it or its settings does so whole or not at all
    studies   what takes many samples: their spread, nine to choose from
    screen    the picture on show: a draft in motion, exact at rest, then its scores
    pace      one thing at a time, the longer ones in steps; errors shown
    controls  the widgets and their pages
    snapshot  values to come back to when something fails
    files     photographs, folders, uploads, PNGs with settings
    scene     from settings to a picture and its scores, without widgets
    settings  what makes a picture: names, limits, checks
    pictures  compressing, splitting, colouring, laying out
"""

from .controls import PAGES
from .pictures import contact_sheet, cut_to_middle, fingerprint, heat, still
from .scene import Scene, load_model
from .settings import Settings
from .view import View

__all__ = [
    "PAGES",
    "Scene",
    "Settings",
    "View",
    "contact_sheet",
    "cut_to_middle",
    "fingerprint",
    "heat",
    "load_model",
    "still",
]
