"""Settings that come from outside: what is taken as it is, and what is refused in one sentence."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from srvae.viewer.settings import LOOK, REGIONS, SETTINGS, Latents, Region, checked, plain
from srvae.viewer.sliders import SeedSlider
from viewer_helpers import new_view

REGION = {"left": 1, "top": 2, "width": 3, "height": 4, "temperature": 0.5, "seed": 6.25, "amounts": [0.0, 1.5]}
BEST = {"temperature": 0.5, "seed": 6.25, "amounts": [0.0, 1.5], "regions": [REGION]}
A_REGION = Region(1, 2, 3, 4, 0.5, 6.25, (0.0, 1.5))

TAKEN = {  # as given, and as a plain value
    "temperature": [(0, 0.0), (2, 2.0), (np.float32(0.5), 0.5), (np.int64(1), 1.0), (Fraction(1, 4), 0.25)],
    "seed": [(0, 0.0), (999, 999.0), (12.05, 12.05), (np.int64(3), 3.0), (np.float64(3.5), 3.5)],
    "zoom": [(1, 1.0), (2.75, 2.75), (16, 16.0)],
    "work_across": [(0.333, 0.333)],
    "direction 8": [(-10, -10.0)],
    "left": [("z = 0", "z = 0"), (np.str_("original"), "original"), ("best", "best")],
    "regions": [([], ()), ((), ()), ([REGION], (A_REGION,)), ((A_REGION, REGION), (A_REGION, A_REGION))],
    "best": [(None, None), (BEST, Latents(0.5, 6.25, (0.0, 1.5), (A_REGION,))), (Latents(1, 2), Latents(1.0, 2.0))],
}
REFUSED = {
    "temperature": [99, -0.1, math.nan, math.inf, "1", None, True, [1.0], np.ones(1), torch.ones(1), 1 + 0j],
    "seed": [1000, -1, 999.01, "3", None, False, math.nan, 10**30],
    "zoom": [0, 16.1, 0.99],
    "share": [1.01, -math.inf],
    "work_down": [-0.1],
    "direction 1": [10.5, {}],
    "left": ["middle", 0, None, b"original", ["original"]],
    "image": ["dog", 1, None, ("cat",), np.array(["cat", "coffee"])],
    "model": ["gone", 4, None],
    "regions": [None, REGION, "none", [1], [{"seed": 1}], [REGION | {"colour": 1}]],
    "best": [[], 3, "seed 3", {"seed": 1}, A_REGION, REGION],
}
CASES = [(name, value) for name, values in REFUSED.items() for value in values]
OFFERED = {"image": ("cat", "coffee"), "model": ("4x-D",)}


@pytest.mark.parametrize("name", TAKEN)
def test_values_become_plain(name):
    for given, expected in TAKEN[name]:
        value = checked({name: given})[name]
        assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(("name", "value"), CASES)
def test_what_no_control_can_hold_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name}(: number 1)? is .+, and must be (a|one of) ") as error:
        checked({"seed": 1} | {name: value}, OFFERED)
    assert len(str(error.value)) < 250


PARTS = [
    ("seed", 1000, "seed is 1000, and must be a number from 0 to 999"),
    ("temperature", -1, "temperature is -1, and must be a number from 0 to 2"),
    ("left", 0.5, "left is 0.5, and must be a whole number from 0 to 32768"),
    ("top", -1, "top is -1, and must be a whole number from 0 to 32768"),
    ("width", 0, "width is 0, and must be a whole number from 1 to 32768"),
    ("height", True, "height is True, and must be a whole number from 1 to 32768"),
    ("amounts", [0.0] * 9, r"amounts is \[.+\], and must be a list of at most 8 numbers"),
    ("amounts", [11], "amounts is 11, and must be a number from -10 to 10"),
]


@pytest.mark.parametrize(("part", "value", "words"), PARTS)
def test_parts_of_a_region_are_refused_by_name(part, value, words):
    wrong = [REGION, REGION | {part: value}]
    with pytest.raises(ValueError, match=f"^regions: number 2, {words}$"):
        checked({"regions": wrong})
    with pytest.raises(ValueError, match=f"^best, regions: number 2, {words}$"):
        checked({"best": BEST | {"regions": wrong}})


def test_as_many_regions_as_a_picture_has_are_taken():
    assert len(checked({"regions": [REGION] * REGIONS})["regions"]) == REGIONS
    more = {"regions": [REGION] * 65}
    for name, settings in (("regions", more), ("best, regions", {"best": BEST | more})):
        with pytest.raises(ValueError, match=f"^{name} are 65 regions, and may be 64 at most$"):
            checked(settings)


def test_settings_come_back_from_json():
    values = checked({"regions": [REGION, REGION], "best": BEST, "seed": 3.05, "left": "best"})
    assert checked(json.loads(json.dumps(plain(values)))) == values


def test_the_message_says_the_value_and_what_is_allowed():
    with pytest.raises(ValueError, match=r"^temperature is 99, and must be a number from 0 to 2$"):
        checked({"temperature": 99})
    with pytest.raises(ValueError, match=r"^seed is 999.5, and must be a number from 0 to 999$"):
        checked({"seed": 999.5})
    with pytest.raises(ValueError, match=r"^image is 'dog', and must be one of 'cat', 'coffee'$"):
        checked({"image": "dog"}, OFFERED)


def test_where_nothing_is_offered_any_string_is_a_name():
    assert checked({"image": "dog"}) == {"image": "dog"}
    with pytest.raises(ValueError, match="image is 3, and must be a string"):
        checked({"image": 3})


def test_names_must_be_those_of_settings():
    with pytest.raises(ValueError, match="no such settings: 7, colour, direction 9, walk; there are image, model, "):
        checked({"colour": 1, "seed": 1, "direction 9": 0.0, "walk": 0.5, 7: 7})
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
        owner, attribute = view.places[name]
        if isinstance(owner, SeedSlider):
            for value in (allowed.low, allowed.high):
                owner.value = value
                assert owner.value == value, name
        elif hasattr(owner, "max"):
            assert (owner.min, owner.max) == (allowed.low, allowed.high), name
        elif name in LOOK:
            trait = owner.traits()[attribute]
            assert (trait.min, trait.max) == (allowed.low, allowed.high), name
