"""One seed, one picture: what is the same bit for bit, and by how little the rest may differ."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import srvae_core as sr
from helpers import NOTEBOOKS
from srvae import images

TEMPERATURES, SEED = (0.0, 1.0), 3
# oneDNN adds up a transposed convolution in an order that depends on the number of threads; a block or a region sees
# no more of what surrounds it than its halo. Allowed differences: of 8-bit values, an expected share by one level each;
# and before rounding, where white is 1.
SHARES = {"threads": 1e-4, "processors": 1e-4, "blocks": 2e-5}
FLOAT_OFF = {"threads": 2e-5, "processors": 2e-5, "blocks": 5e-6}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=["4x-D", "8x-P"])
def scene(request, shipped, crops):
    """A model's name, the model, an LR image larger than a tile, and the float answers in one thread."""
    model, before = shipped(request.param), torch.get_num_threads()
    height, width = {4: (33, 47), 8: (21, 27)}[model.scale]
    lr = np.ascontiguousarray(sr.downscale(crops["coffee"], model.scale)[:height, :width])
    torch.set_num_threads(1)
    answers = [sr.Sampler(model, lr)(SEED, t, as_float=True) for t in TEMPERATURES]
    torch.set_num_threads(before)
    return request.param, model, lr, answers


def rounded(answer: np.ndarray) -> np.ndarray:
    return np.rint(answer.clip(0, 1) * 255).astype(int)


def assert_hardly_differs(kind: str, answer: np.ndarray, wanted: np.ndarray) -> None:
    difference = np.abs(answer - wanted)
    assert difference.max() <= FLOAT_OFF[kind]
    assert np.abs(rounded(answer) - rounded(wanted)).max() <= 1
    # The mean difference in levels is the share of values that rounding moves, but for the chance of a few values.
    assert 255 * difference.mean() <= SHARES[kind]


def test_cache_earlier_calls_and_memory_layout_do_not_matter(scene):
    _, model, lr, answers = scene
    torch.manual_seed(99)
    state = torch.get_rng_state()
    for temperature, wanted in zip(TEMPERATURES, answers, strict=True):
        for cache, image in ((True, np.asfortranarray(lr)), (False, lr[::-1, ::-1].copy()[::-1, ::-1])):
            sampler = sr.Sampler(model, image, cache=cache)
            sampler(SEED + 1, 0.5, region=(0, 0, 5, 5))
            assert np.array_equal(*[sampler(SEED, 1.0, draft=True) for _ in range(2)])
            with torch.enable_grad():
                assert np.array_equal(sampler(SEED, temperature, as_float=True), wanted)
            assert np.array_equal(sampler(SEED, temperature), rounded(wanted))
        assert np.array_equal(sr.super_resolve(lr, model, temperature=temperature, seed=SEED), rounded(wanted))
    assert torch.equal(torch.get_rng_state(), state), "the caller's random numbers are not used up"


def test_threads_blocks_and_regions_hardly_matter(scene, monkeypatch):
    _, model, lr, (_, wanted) = scene
    s, sampler = model.scale, sr.Sampler(model, lr)
    for top, left, height, width in ((3, 5, 12, 19), (20, 0, 1, 27), (10, 13, 1, 1)):
        answer = sampler(SEED, 1.0, region=(top, left, height, width), as_float=True)
        part = wanted[top * s : (top + height) * s, left * s : (left + width) * s]
        assert_hardly_differs("blocks", answer, part)
    for block in (12, 25):
        monkeypatch.setattr(sr, "BLOCK", block)
        assert_hardly_differs("blocks", sr.Sampler(model, lr, cache=False)(SEED, 1.0, as_float=True), wanted)
    monkeypatch.undo()
    torch.set_num_threads(3)
    assert_hardly_differs("threads", sr.Sampler(model, lr)(SEED, 1.0, as_float=True), wanted)


ANSWERS = """
import sys, numpy as np, torch, srvae_core as sr
from srvae import images
torch.set_num_threads(1)
sampler = sr.Sampler(sr.load_model(sys.argv[2]), images.read(sys.argv[3]))
np.savez(sys.argv[1], *[sampler(3, temperature, as_float=True) for temperature in (0.0, 1.0)])
"""
OLDER = {"DNNL_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "4"}, OLDER], ids=["same", "older"])
def test_another_process_and_an_older_processor_give_the_picture(scene, tmp_path, environment):
    """Bit for bit by the same instructions; an older processor's round otherwise."""
    name, _, lr, answers = scene
    images.write(tmp_path / "lr.png", lr)
    path = os.pathsep.join((str(NOTEBOOKS.parent), str(NOTEBOOKS)))
    command = [sys.executable, "-c", ANSWERS, str(tmp_path / "answers.npz"), name, str(tmp_path / "lr.png")]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": path} | environment, cwd=tmp_path, check=True)
    with np.load(tmp_path / "answers.npz") as file:
        for other, answer in zip(file.values(), answers, strict=True):
            assert_hardly_differs("processors", other, answer)
            assert environment is OLDER or other.tobytes() == answer.tobytes()
