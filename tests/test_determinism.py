"""One seed, one picture: what is the same bit for bit, and by how little the rest may differ."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import srvae_core as sr
from helpers import NOTEBOOKS
from srvae import images

NAMES = ("4x-D", "8x-P")  # both scales, both variants
TEMPERATURES = (0.0, 1.0)
SEED = 3
# oneDNN adds up a transposed convolution, and a matrix product of few rows, in an order that depends on the number of
# threads. A block or a region sees no more of what surrounds it than its halo, and back-projection reaches a little
# further. A value close to the middle between two levels then falls to the other one.
# What is allowed: of the values of an 8-bit answer, each by one level; and before rounding, where white is 1.
SHARES = {"threads": 1e-4, "processors": 1e-4, "blocks": 2e-5, "regions": 2e-5}
FLOAT_OFF = {"threads": 2e-5, "processors": 2e-5, "blocks": 5e-6, "regions": 5e-6}


@pytest.fixture(autouse=True, scope="module")
def threads_as_before():
    """The number of threads is for these tests alone."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_thread():
    """Each test begins with one thread."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def scenes(shipped, crops):
    """For each name a model and an LR image of odd sides, larger than a tile: 33x47, at 8x 21x27."""
    pairs = {}
    for name in NAMES:
        model = shipped(name)
        height, width = {4: (33, 47), 8: (21, 27)}[model.scale]
        pairs[name] = model, np.ascontiguousarray(sr.downscale(crops["coffee"], model.scale)[:height, :width])
    return pairs


@pytest.fixture(scope="module")
def answers(scenes, threads_as_before):
    """(name, temperature) -> the float answer for the seed, of a sampler in one thread, with a cache and uncut."""
    torch.set_num_threads(1)
    samplers = {name: sr.Sampler(*scene) for name, scene in scenes.items()}
    return {(name, t): sampler(SEED, t, as_float=True) for name, sampler in samplers.items() for t in TEMPERATURES}


def rounded(answer: np.ndarray) -> np.ndarray:
    """A float answer in levels."""
    return np.rint(answer.clip(0, 1) * 255).astype(int)


def assert_hardly_differs(kind: str, answer: np.ndarray, wanted: np.ndarray) -> None:
    """Two float answers are the same picture, but for single values that are one level apart."""
    assert np.abs(answer - wanted).max() <= FLOAT_OFF[kind]
    off = np.abs(rounded(answer) - rounded(wanted))
    assert off.max() <= 1
    assert np.count_nonzero(off) <= max(1, SHARES[kind] * off.size)


each_answer = pytest.mark.parametrize(
    ("name", "temperature"), [(name, temperature) for name in NAMES for temperature in TEMPERATURES]
)


# -- the same bytes -----------------------------------------------------------------------------------------


@each_answer
def test_sampler_cache_and_super_resolve(scenes, answers, name, temperature):
    """With and without a cache, by a sampler that was used before, and by `super_resolve`."""
    (model, lr), wanted = scenes[name], answers[name, temperature]
    for cache in (True, False):
        sampler = sr.Sampler(model, lr, cache=cache)
        sampler(SEED + 1, 0.5, region=(0, 0, 5, 5))
        assert np.array_equal(sampler(SEED, temperature, as_float=True), wanted)
        assert np.array_equal(sampler(SEED, temperature), rounded(wanted))
    options = {"temperature": temperature, "seed": SEED}
    assert np.array_equal(sr.super_resolve(lr, model, as_float=True, **options), wanted)
    assert np.array_equal(sr.super_resolve(lr, model, **options), rounded(wanted))


def test_what_else_goes_on_does_not_matter(scenes, answers):
    """Other random numbers, gradients switched on, how the image lies in memory, a draft before."""
    (model, lr), wanted = scenes["4x-D"], answers["4x-D", 1.0]
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    state = torch.get_rng_state()
    window = np.pad(lr, ((3, 2), (1, 4), (0, 0)))[3:-2, 1:-4]
    for image in (np.asfortranarray(lr), lr[::-1, ::-1].copy()[::-1, ::-1], window):
        with torch.enable_grad():
            sampler = sr.Sampler(model, image)
            assert np.array_equal(*[sampler(SEED, 1.0, draft=True) for _ in range(2)])
            assert np.array_equal(sampler(SEED, 1.0, as_float=True), wanted)
    assert torch.equal(torch.get_rng_state(), state), "nor are the caller's random numbers used up"


ANSWERS = """
import sys
import numpy as np, torch
import srvae_core as sr
from srvae import images
torch.set_num_threads(1)
answers = []
for name, path in zip(sys.argv[2::2], sys.argv[3::2]):
    sampler = sr.Sampler(sr.load_model(name), images.read(path))
    answers += [sampler(3, temperature, as_float=True) for temperature in (0.0, 1.0)]
np.savez(sys.argv[1], *answers)
"""


def answers_of_another_process(scenes: dict, folder: Path, **environment: str) -> list[np.ndarray]:
    """The answers, in their order, by a process that reads model and image from files."""
    words = []
    for name, (_, lr) in scenes.items():
        images.write(folder / f"{name}.png", lr)
        words += [name, str(folder / f"{name}.png")]
    path = os.pathsep.join((str(NOTEBOOKS.parent), str(NOTEBOOKS)))
    command = [sys.executable, "-c", ANSWERS, str(folder / "answers.npz"), *words]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": path} | environment, cwd=folder, check=True)
    with np.load(folder / "answers.npz") as file:
        return list(file.values())


@pytest.mark.slow
def test_a_second_process_and_a_picture_from_a_file(scenes, answers, tmp_path):
    others = answers_of_another_process(scenes, tmp_path, PYTHONHASHSEED="7", OMP_NUM_THREADS="4")
    assert [other.tobytes() for other in others] == [answer.tobytes() for answer in answers.values()]


# -- the same but for single levels -------------------------------------------------------------------------


@each_answer
def test_any_number_of_threads(scenes, answers, name, temperature):
    for threads in (2, 3):
        torch.set_num_threads(threads)
        answer = sr.Sampler(*scenes[name])(SEED, temperature, as_float=True)
        assert_hardly_differs("threads", answer, answers[name, temperature])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cache", [True, False])
def test_any_block_and_region(scenes, answers, monkeypatch, name, cache):
    (model, lr), wanted, s = scenes[name], answers[name, 1.0], scenes[name][0].scale
    sampler = sr.Sampler(model, lr, cache=cache)
    for top, left, height, width in ((3, 5, 12, 19), (20, 0, 1, 27), (10, 13, 1, 1)):
        answer = sampler(SEED, 1.0, region=(top, left, height, width), as_float=True)
        part = wanted[top * s : (top + height) * s, left * s : (left + width) * s]
        assert_hardly_differs("regions", answer, part)
    for block in (12, 25):  # three by four, and two by two; at 8x less
        monkeypatch.setattr(sr, "BLOCK", block)
        answer = sr.Sampler(model, lr, cache=cache)(SEED, 1.0, as_float=True)
        assert_hardly_differs("blocks", answer, wanted)


def test_sixteen_bit(scenes, monkeypatch):
    """There the same differences are one level of 65,535, in more of the values."""
    model, lr = scenes["4x-D"]
    deep = lr[:20, :47].astype(np.uint16) * 257
    wanted = sr.Sampler(model, deep)(SEED, 1.0)
    torch.set_num_threads(2)
    monkeypatch.setattr(sr, "BLOCK", 24)
    answer = sr.Sampler(model, deep)(SEED, 1.0)
    assert np.abs(answer.astype(int) - wanted).max() <= 1
    assert np.mean(answer != wanted) < 0.05


# -- other processors and devices ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_processor_without_avx512(scenes, answers, tmp_path):
    """The libraries take the instructions of an older processor; where there are no newer ones, nothing changes."""
    older = {"DNNL_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
    others = answers_of_another_process(scenes, tmp_path, **older)
    for other, answer in zip(others, answers.values(), strict=True):
        assert_hardly_differs("processors", other, answer)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
@each_answer
def test_cuda(scenes, answers, name, temperature):
    """The same noise, so the same picture; convolutions round more coarsely there (TF32)."""
    sampler = sr.Sampler(sr.load_model(name, device="cuda"), scenes[name][1])
    answer = sampler(SEED, temperature, as_float=True)
    assert np.abs(rounded(answer) - rounded(answers[name, temperature])).mean() < 0.5
