"""The interactive view of the notebooks: choose a photograph, slide through samples, compare.

    from srvae.viewer import View
    view = View({"astronaut": bundled("astronaut")}, scale=4)
    view.show()

The picture is a function of one frozen dataclass: a control creates new ``Settings``, ``Scene`` computes the arrays,
``Page`` displays a draft now and the exact picture at rest. The modules, each of which uses those below it only:

    view       View: from a change to its picture, undo
    handlers   what the buttons do: samples, regions, nine, map, files
    controls   the widgets, and which setting each shows and changes
    files      photographs to choose from, PNGs that carry their settings
    page       the picture in the page (picture.js draws it, hands.js takes mouse, fingers and keys), and its layers
    scene      from settings to arrays, without widgets
    pace       one thing at a time, longer ones in steps
    pictures   compressing, splitting, colouring, laying out
    settings   Settings
"""

from srvae.metrics import cut_to_middle

from .pictures import captioned, contact_sheet, fingerprint, heat, still
from .scene import Scene, load_model
from .settings import OPENINGS, Settings
from .view import View

__all__ = [
    "OPENINGS",
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
