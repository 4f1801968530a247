"""The interactive view of the notebooks: choose an image, slide through samples, compare.

    from srvae.viewer import View
    view = View({"astronaut": bundled("astronaut")}, scale=4)
    view.show()

The page draws the picture: border, zoom and pan never wait for the kernel (see :mod:`viewer.picture`). The kernel
sends layers of it. While a slider moves, a layer is a JPEG of a draft (see :class:`srvae_core.Sampler`) of what is to
be seen; when it rests, the exact answer as PNG. Picture and sliders are its own widgets and all else are ipywidgets,
over :class:`srvae_core.Sampler`, which encodes an image once and decodes for each move.

The modules, each of which uses those below it only:

    timing     milliseconds of the view's gestures; the command `srvae evaluate slider`
    browser    JupyterLab and Chromium, for timing, tests and the film of README.md
    view       View: what every control does
    filing     images that come in, pictures that leave
    regional   noise of its own for one rectangle
    stage      the images to choose from, and the one on show
    actions    whatever a control does, it does whole or not at all
    subject    what the view is of, made ready: an image and the part of it in work, under a model
    studies    what takes many samples: their spread, nine to choose from, films, playing
    screen     a draft in motion, the exact picture at rest, then its scores; undo
    layers     what the page is sent, and what it has already
    history    steps back, and forward again
    pace       one thing at a time, the longer ones in steps; errors shown
    controls   the widgets and how they lie beside the picture
    pages      the widgets of the five pages
    picture    the picture that is touched: picture.js draws it, hands.js takes mouse,
               fingers and keys, labels.js names things for screen readers
    effects    what a direction changes, in words and small pictures
    snapshot   values to come back to when something fails
    files      photographs, folders, uploads, PNGs with settings
    animation  films as WebP and GIF
    scene      from settings to a picture and its scores, without widgets
    sliders    sliders of numbers and of seeds, which slider.js draws and moves
    settings   what makes a picture: names, limits, checks
    pictures   compressing, splitting, colouring, laying out
    window     the part of a large image that is in work
"""

from .pages import PAGES
from .pictures import captioned, contact_sheet, cut_to_middle, fingerprint, heat, still
from .scene import Scene, load_model
from .settings import OPENINGS, Settings
from .view import View

__all__ = [
    "OPENINGS",
    "PAGES",
    "Scene",
    "Settings",
    "View",
    "captioned",
    "contact_sheet",
    "cut_to_middle",
    "fingerprint",
    "heat",
    "load_model",
    "still",
]
