"""Batches of patches: functions of (seed, step), equal to slices of enlarged photographs bit for bit."""

import cv2
import numpy as np
import pytest
import torch

import srvae_core as sr
from helpers import patches
from srvae import release
from srvae.training.patches import Patches


def test_a_batch_depends_on_seed_and_step_alone(photograph_folder):
    first, again = (patches(photograph_folder, batch=3, candidates=2, seed=5) for _ in range(2))
    first(0)  # a batch made in between changes nothing
    for name, t in first(7).items():
        assert torch.equal(t, again(7)[name])
    assert not torch.equal(first(7)["up"], first(8)["up"])
    assert not torch.equal(first(7)["up"], first.like(seed=6)(7)["up"])


def slices(source: Patches, step: int) -> dict[str, torch.Tensor]:
    """The batch of a step as slices of the photographs, one patch after the other."""
    s, n, m, rng = source.scale, source.edge, source.margin, np.random.default_rng([source.seed, step])
    weight = np.sqrt([hr.shape[0] * hr.shape[1] for hr in source.photographs.hr])

    def window():
        i = int(rng.choice(len(weight), p=weight / weight.sum()))
        height, width = source.photographs.lr[i].shape[:2]
        y, x = int(rng.integers(height - n + 1)), int(rng.integers(width - n + 1))
        green = source.photographs.hr[i][y * s :, x * s :, 1][:128, :128].astype(np.float32)
        return float(np.abs(cv2.Laplacian(green, cv2.CV_32F)).mean()), i, y, x

    batch = []
    for _ in range(source.batch):
        _, i, y, x = max(window() for _ in range(source.candidates))
        k = int(rng.integers(8))
        hr, lr = source.photographs.hr[i], source.photographs.lr[i]
        padded = np.pad(lr, ((m, m), (m, m), (0, 0)), mode="edge")
        parts = [image[y * s :, x * s :][:128, :128] for image in (sr.enlarge(lr, s), hr)]
        parts.append(padded[y : y + n + 2 * m, x : x + n + 2 * m])
        batch.append([release.turn(sr.to_tensor(np.ascontiguousarray(part)), k) for part in parts])
    return {name: torch.cat(part) for name, part in zip(("up", "hr", "context"), zip(*batch, strict=True), strict=True)}


@pytest.mark.parametrize("scale", [4, 8])
def test_patches_equal_slices_of_enlarged_photographs(photograph_folder, scale):
    """Turned, at the photographs' borders, and in single precision, for devices without doubles."""
    source = patches(photograph_folder, scale, batch=6, candidates=2, seed=1, margin=6)
    for hr, lr in zip(source.photographs.hr, source.photographs.lr, strict=True):
        assert np.array_equal(lr, sr.downscale(hr, scale))
    for step in range(5):
        batch, wanted = source(step), slices(source, step)
        assert batch.keys() == wanted.keys()
        for name, t in batch.items():
            assert torch.equal(t, wanted[name]), (step, name)
        assert torch.equal(source.like(matrix=source.matrix.float())(step)["up"], batch["up"])


def test_processes_share_a_batch(photograph_folder):
    whole = patches(photograph_folder, batch=6, candidates=2, seed=5)
    parts = [whole.like(share=(i, 3))(4) for i in range(3)]
    for name, t in whole(4).items():
        assert torch.equal(torch.cat([part[name] for part in parts]), t)


def test_a_stream_gives_the_batches_in_order(photograph_folder, monkeypatch):
    """Those of a GPU, too, which cuts what threads chose; a stream that is left early ends its threads."""
    source = patches(photograph_folder, batch=2, seed=5)
    for on_gpu in (False, True):
        if on_gpu:
            monkeypatch.setattr(Patches, "_prepare", Patches.windows)
        stream = source.stream(3, workers=2)
        for step in (3, 4, 5):
            assert torch.equal(next(stream)["up"], source(step)["up"])
        stream.close()
