"""What options mean, what an answer's file says of them, and how that is found again."""

import argparse
import re

import numpy as np
import PIL.Image
import pytest

import srvae_core as sr
from enlarge_helpers import bands, form, save
from pictures import picture
from srvae.enlarging.picture import Notes
from srvae.enlarging.settings import Settings, digest_of, settings_of, words_of
from srvae.enlarging.writers import write_picture


def settings(**options: object) -> Settings:
    """The settings of options, which are as they are without any unless they are given."""
    given = {"model": "D", "scale": None, "temperature": None, "seed": 0, "samples": 1, "precision": "auto"}
    return settings_of(argparse.Namespace(**given | options))


@pytest.mark.parametrize(
    ("model", "scale", "name"),
    [("D", None, "4x-D"), ("P", 8, "8x-P"), ("8x-D", None, "8x-D"), ("4x-P", 4, "4x-P")],
)
def test_models_by_name(model, scale, name):
    made = settings(model=model, scale=scale)
    assert (made.name, made.scale) == (name, int(name[0]))
    assert made.temperature == sr.load_model(name).temperature
    assert made.weights == sr.weights_version(name)


def test_a_weights_file_is_the_model_that_it_is():
    by_path = settings(model=str(sr.WEIGHTS / "SR_VAE_8x-D.safetensors"))
    assert by_path.words(0, "d") == settings(model="8x-D").words(0, "d")
    assert sr.load_model(by_path.model).scale == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "Q"}, "no model 'Q': --model takes D, P, one of 4x-D"),
        ({"model": "gone.safetensors"}, "no weights file gone.safetensors"),
        ({"model": "8x-D", "scale": 4}, "8x one, and --scale asks for 4"),
        ({"temperature": -1.0}, "--temperature must be a finite number"),
        ({"temperature": float("nan")}, "--temperature must be a finite number"),
        ({"samples": 2}, "several --samples need a --temperature above 0"),
        ({"seed": -1}, "--seed must be between 0"),
        ({"seed": 2**63 - 1, "samples": 2, "temperature": 1.0}, "--seed must be between 0"),
    ],
)
def test_what_cannot_be_meant(options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        settings(**options)


def test_a_file_that_is_no_weights_file(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="no readable safetensors file"):
        settings(model=str(tmp_path / "a.safetensors"))


def test_words_name_all_that_changes_an_answer():
    made = settings(temperature=0.5, seed=3, samples=2)
    others = [settings(temperature=0.6, seed=3), settings(model="P", temperature=0.5, seed=3)]
    others.append(settings(temperature=0.5, seed=3, precision="float32"))
    words = [made.words(3, "d"), made.words(4, "d"), made.words(3, "e"), *(other.words(3, "d") for other in others)]
    assert len(set(words)) == 6
    assert made.seeds == (3, 4)
    assert settings(seed=1).words(1, "d") == settings(seed=2).words(2, "d")  # at temperature 0 nothing is drawn


@pytest.mark.parametrize("ending", sr.IMAGE_SUFFIXES)
def test_words_are_found_in_files(ending, tmp_path):
    path, words = tmp_path / f"a{ending.upper()}", settings().words(0, "d")
    exif = PIL.Image.Exif()
    exif[0x0131] = words
    said = Notes(words, exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    image = picture(20, 30)
    write_picture(path, ending, form(image), bands(image), said)
    assert words_of(path) == words
    np.testing.assert_array_equal(sr.read_image(path).shape, image.shape)


@pytest.mark.parametrize("ending", sr.IMAGE_SUFFIXES)
def test_files_of_others_have_none(ending, tmp_path):
    assert words_of(save(tmp_path / f"a{ending}")) == ""
    (tmp_path / f"b{ending}").write_bytes(b"no image")
    assert words_of(tmp_path / f"b{ending}") == ""
    assert words_of(tmp_path / f"gone{ending}") == ""


def test_a_digest_is_of_the_contents(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"one")
    (tmp_path / "c").write_bytes(b"two")
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b") != digest_of(tmp_path / "c")
