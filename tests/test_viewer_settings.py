"""Settings that come from outside: what is taken as it is, and what is refused in one sentence."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from viewer.settings import SETTINGS, checked
from viewer_helpers import new_view

TAKEN = {  # as given, and as a plain value
    "temperature": [(0, 0.0), (2, 2.0), (np.float32(0.5), 0.5), (np.int64(1), 1.0), (Fraction(1, 4), 0.25)],
    "seed": [(0, 0), (999, 999), (np.int64(3), 3), (np.uint8(255), 255)],
    "zoom": [(1, 1), (8, 8)],
    "walk": [(0.333, 0.333)],
    "direction 8": [(-10, -10.0)],
    "left": [("z = 0", "z = 0"), (np.str_("original"), "original")],
}
REFUSED = {
    "temperature": [99, -0.1, math.nan, math.inf, "1", None, True, [1.0], np.ones(1), torch.ones(1), 1 + 0j],
    "seed": [1000, -1, 3.0, 2.5, "3", None, False, np.float64(3), 10**30],
    "zoom": [0, 9, 1.5],
    "walk": [1.01, -math.inf],
    "direction 1": [10.5, {}],
    "left": ["middle", 0, None, b"original", ["original"]],
    "image": ["dog", 1, None, ("cat",), np.array(["cat", "coffee"])],
    "model": ["gone", 4, None],
}
CASES = [(name, value) for name, values in REFUSED.items() for value in values]
OFFERED = {"image": ("cat", "coffee"), "model": ("4x-D",)}


@pytest.mark.parametrize("name", TAKEN)
def test_values_become_plain(name):
    for given, plain in TAKEN[name]:
        value = checked({name: given})[name]
        assert (value, type(value)) == (plain, type(plain))


@pytest.mark.parametrize(("name", "value"), CASES)
def test_what_no_control_can_hold_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} is .+, and must be (a|one of) ") as error:
        checked({"seed": 1} | {name: value}, OFFERED)
    assert len(str(error.value)) < 200


def test_the_message_says_the_value_and_what_is_allowed():
    with pytest.raises(ValueError, match=r"^temperature is 99, and must be a number from 0 to 2$"):
        checked({"temperature": 99})
    with pytest.raises(ValueError, match=r"^seed is 1.5, and must be a whole number from 0 to 999$"):
        checked({"seed": 1.5})
    with pytest.raises(ValueError, match=r"^image is 'dog', and must be one of 'cat', 'coffee'$"):
        checked({"image": "dog"}, OFFERED)


def test_where_nothing_is_offered_any_string_is_a_name():
    assert checked({"image": "dog"}) == {"image": "dog"}
    with pytest.raises(ValueError, match="image is 3, and must be a string"):
        checked({"image": 3})


def test_names_must_be_those_of_settings():
    with pytest.raises(ValueError, match="no such settings: 7, colour, direction 9; there are image, model, "):
        checked({"colour": 1, "seed": 1, "direction 9": 0.0, 7: 7})
    with pytest.raises(ValueError, match=r"no such settings: (x\d+, ){5}\.\.\.; there are"):
        checked({f"x{i}": i for i in range(1000)})
    with pytest.raises(ValueError, match="no such settings: ") as error:
        checked({"\ud800" * 10_000: 1})
    assert len(str(error.value).encode()) < 400
    for settings in (None, "seed", [("seed", 1)]):
        with pytest.raises(TypeError, match="must be a dict"):
            checked(settings)


def test_controls_and_limits_are_the_same():
    view = new_view()
    assert list(view.settings) == list(SETTINGS)
    assert checked(view.settings) == view.settings
    for name, allowed in SETTINGS.items():
        control = view.controls[name]
        if hasattr(control, "max"):
            assert (control.min, control.max) == (allowed.low, allowed.high), name
            assert isinstance(control.value, int) == allowed.whole, name
