"""What a notebook may give to the view: photographs of every kind, and names of models."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import viewer
from viewer_helpers import cat, coffee

import srvae_core as sr


def grey():
    return np.ascontiguousarray(cat()[..., 1])


def read_only():
    image = cat()
    image.flags.writeable = False
    return image


PHOTOGRAPHS = {  # as given, and as the view has it
    "grey": (grey, lambda: np.stack([grey()] * 3, 2)),
    "alpha": (lambda: np.dstack([cat(), grey()]), cat),
    "16 bit": (lambda: cat().astype(np.uint16) * 257, cat),
    "float": (lambda: cat().astype(np.float32) / 255, cat),
    "double, a little outside": (lambda: (cat() / 255 - 0.5) * 1.01 + 0.5, None),
    "read-only": (read_only, cat),
    "negative strides": (lambda: cat()[::-1, ::-1, ::-1], lambda: np.ascontiguousarray(cat()[::-1, ::-1, ::-1])),
    "every second column": (lambda: np.repeat(cat(), 2, 1)[:, ::2], cat),
    "least": (lambda: cat()[:4, :4], lambda: cat()[:4, :4]),
}


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
def test_photographs_are_converted_once(kind):
    given, expected = PHOTOGRAPHS[kind]
    image = given()
    before = image.copy()
    view = viewer.View({"cat": image}, scale=4, models=["4x-D"])
    assert view.original.dtype == np.uint8
    if expected is not None:
        assert np.array_equal(view.original, expected())
    assert view.error.value == ""
    assert np.array_equal(image, before)
    assert view.frame.shape == view.original.shape


def test_a_grey_photograph_has_a_grey_answer():
    view = viewer.View({"cat": grey()}, scale=4, models=["4x-D"])
    view.apply({"temperature": 1.0, "seed": 3})
    assert np.array_equal(view.lr[..., 0], view.lr[..., 2])
    assert np.array_equal(view.answer[..., 0], view.answer[..., 2])


def test_an_array_that_is_changed_later_changes_nothing():
    image = cat()
    view = viewer.View({"cat": image, "coffee": coffee()}, scale=4, models=["4x-D"])
    image[:] = 0
    assert np.array_equal(view.original, cat())
    view.image.value = "coffee"
    view.image.value = "cat"
    assert np.array_equal(view.lr, sr.downscale(cat(), 4))


WRONG = [  # what is wrong with photographs, and the error
    ({"cat": PIL.Image.new("RGB", (8, 8))}, TypeError, "photograph 'cat' must be a NumPy array, not Image"),
    ({"cat": torch.zeros(8, 8, 3)}, TypeError, "photograph 'cat' must be a NumPy array, not Tensor"),
    ({"cat": "cat.png"}, TypeError, "photograph 'cat' must be a NumPy array, not str; read files with read_image"),
    ({"cat": None}, TypeError, "photograph 'cat' must be a NumPy array, not NoneType"),
    ({"cat": np.ones((8, 8), bool)}, TypeError, "photograph 'cat' must be uint8, uint16 or float .*, not bool"),
    ({"cat": np.ones((8, 8, 3), int)}, TypeError, "photograph 'cat' must be uint8, uint16 or float .*, not int64"),
    ({"cat": np.zeros((0, 8, 3), np.uint8)}, ValueError, "photograph 'cat' is empty"),
    ({"cat": np.zeros((8, 8, 2), np.uint8)}, ValueError, "photograph 'cat' must be of shape"),
    ({"cat": np.zeros((1, 8, 8, 3), np.uint8)}, ValueError, "photograph 'cat' must be of shape"),
    ({"cat": np.full((8, 8), np.nan)}, ValueError, "photograph 'cat' has NaN"),
    ({"cat": np.full((8, 8), 255.0)}, ValueError, "photograph 'cat' is float and reaches 255"),
    ({"cat": np.zeros((3, 3, 3), np.uint8)}, ValueError, "cat: .*3x3"),
    ({"cat": np.zeros((40, 3), np.uint8)}, ValueError, "cat: .*40x3"),
    ({"coffee": coffee(), "cat": np.zeros((0, 8, 3), np.uint8)}, ValueError, "photograph 'cat' is empty"),
    ({1: cat()}, TypeError, "the name of a photograph must be a string, not 1"),
    ({None: cat()}, TypeError, "the name of a photograph must be a string, not None"),
    ([cat()], TypeError, "photographs must be a dict of arrays by name, not list"),
    (cat(), TypeError, "photographs must be a dict of arrays by name, not ndarray"),
    ({}, ValueError, "the view needs a photograph"),
]


@pytest.mark.parametrize(("photographs", "error", "words"), WRONG)
def test_what_is_no_photograph_is_refused_by_name(photographs, error, words):
    with pytest.raises(error, match=words):
        viewer.View(photographs, scale=4, models=["4x-D"])


def test_what_is_no_model_is_named(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    wrong = [
        (["typo"], FileNotFoundError, "no model 'typo'"),
        ([str(tmp_path / "bad.safetensors")], ValueError, r"bad\.safetensors is no readable"),
        ([tmp_path / "gone.safetensors"], FileNotFoundError, r"no model '.*gone\.safetensors'"),
        ("4x-D", TypeError, r"models must be a list of names or paths, such as \['4x-D'\], not '4x-D'"),
        ([4], TypeError, r"models must be a list of names or paths, .* not \[4\]"),
        ({"4x-D": 1}, TypeError, "models must be a list of names or paths"),
        ([], ValueError, "the view needs a photograph and a model"),
    ]
    for models, error, words in wrong:
        with pytest.raises(error, match=words):
            viewer.View({"cat": cat()}, scale=4, models=models)


def test_models_may_be_paths_and_of_another_scale(tmp_path):
    path = Path(tmp_path / "mine.safetensors")
    path.symlink_to(sr.WEIGHTS / "SR_VAE_8x-D.safetensors")
    if not path.exists():
        pytest.skip("no 8x model is shipped")
    view = viewer.View({"cat": cat()}, scale=4, models=(path, "4x-D"))
    assert view.scale == 8
    view.path.value = str(tmp_path / "saved.png")
    view.save.click()
    assert view.error.value == ""
    view.model.value = "4x-D"
    view.load.click()
    assert (view.error.value, view.model.value) == ("", str(path))


def test_an_answer_decoded_in_the_least_steps_is_the_same():
    view = viewer.View({"cat": cat()[:16, :16]}, scale=4, models=["4x-D"], step_edge=1)
    assert np.abs(view.answer.astype(int) - view.sampler(0, 0.0)).max() <= 1
