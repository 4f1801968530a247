"""Batches of patches: functions of (seed, step), cut by index arithmetic as slices of enlarged photographs would be."""

import cv2
import numpy as np
import pytest
import torch

import srvae_core as sr
from helpers import patches
from srvae import release
from srvae.training.patches import Batch, Patches, held_out_patches, matlab_enlarge
from srvae.training.photographs import Photographs, load_photographs


def test_patches_depend_on_seed_and_step_alone(photograph_folder):
    first, again = (patches(photograph_folder, batch=3, candidates=2, seed=5) for _ in range(2))
    first(0)  # a batch made in between changes nothing
    for a, b in zip(first(7)[:2], again(7)[:2], strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first(7).up, first(8).up)
    streamed = list(first.stream(7, 9))
    assert len(streamed) == 2
    assert torch.equal(streamed[1].hr, first(8).hr)


def slices(source: Patches, step: int, margin: int) -> Batch:
    """The batch of a step as version 0.1 made it: slices of the photographs, one patch after the other."""
    s, n, rng = source.scale, sr.PATCH // source.scale, np.random.default_rng([source.seed, step])
    weight = np.sqrt([hr.shape[0] * hr.shape[1] for hr in source.photographs.hr])

    def window():
        i = int(rng.choice(len(weight), p=weight / weight.sum()))
        hr, lr = source.photographs.hr[i], source.photographs.lr[i]
        y, x = int(rng.integers(lr.shape[0] - n + 1)), int(rng.integers(lr.shape[1] - n + 1))
        if source.candidates == 1:
            return 0.0, i, y, x
        green = hr[y * s :, x * s :, 1][:128, :128].astype(np.float32)
        return float(np.abs(cv2.Laplacian(green, cv2.CV_32F)).mean()), i, y, x

    batches = []
    for _ in range(source.batch):
        _, i, y, x = max(window() for _ in range(source.candidates))
        k = int(rng.integers(8))
        hr, lr = source.photographs.hr[i], source.photographs.lr[i]
        up = sr.enlarge(lr, s)[y * s :, x * s :][:128, :128]
        padded = np.pad(lr, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        parts = (up, hr[y * s :, x * s :][:128, :128], padded[y : y + n + 2 * margin, x : x + n + 2 * margin])
        batches.append([release.turn(sr.to_tensor(np.ascontiguousarray(part)), k) for part in parts])
    return Batch(*(torch.cat(part) for part in zip(*batches, strict=True)))


@pytest.mark.parametrize("candidates", [1, 2])
@pytest.mark.parametrize("scale", [4, 8])
def test_patches_equal_slices_of_enlarged_photographs(photograph_folder, scale, candidates):
    """Bit for bit, at the photographs' borders too, which small photographs meet often."""
    source = patches(photograph_folder, scale, batch=6, candidates=candidates, seed=1, margin=6)
    for step in range(8):
        batch, wanted = source(step), slices(source, step, 6)
        for name in ("up", "hr", "context"):
            assert torch.equal(getattr(batch, name), getattr(wanted, name)), (step, name)
        assert batch.answer is None, "without a teacher"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [4, 8])
def test_two_products_are_the_enlargement_in_either_precision(scale, dtype):
    """No sum is rounded, so neither the order of summation nor the precision can matter: extreme samples too."""
    n = sr.PATCH // scale + 4
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (n, n, 3), dtype=np.uint8) for _ in range(20)]
    images += [255 * rng.integers(0, 2, (n, n, 3)).astype(np.uint8) for _ in range(20)]
    lr = torch.cat([sr.to_tensor(image) for image in images]) * 255
    up = matlab_enlarge(lr.round(), sr.grid_matrix(scale).to(dtype))
    inner = slice(2 * scale, 2 * scale + sr.PATCH)
    for image, u in zip(images, up, strict=True):
        assert np.array_equal(u.permute(1, 2, 0).numpy(), sr.enlarge(image, scale)[inner, inner])


def test_processes_share_a_batch(photograph_folder):
    whole = patches(photograph_folder, batch=6, candidates=2, seed=5)
    parts = [whole.like(share=(i, 3))(4) for i in range(3)]
    assert torch.equal(torch.cat([p.up for p in parts]), whole(4).up)
    assert torch.equal(torch.cat([p.hr for p in parts]), whole(4).hr)


def test_a_gpus_stream_chooses_ahead_and_cuts_late(photograph_folder):
    """Windows come from threads, patches from the device: a CPU that is told it is another device does the same."""
    prepared = []

    class ChosenAhead(Patches):
        """Prepares windows alone, as on a GPU."""

        def prepare(self, step):
            prepared.append(self.windows(step))
            return prepared[-1]

    photographs = load_photographs(photograph_folder, 4)
    source = Patches(photographs, 2, seed=5)
    expected = [source(step) for step in range(3)]
    streamed = list(ChosenAhead(photographs, 2, seed=5).stream(0, 3))
    assert all(isinstance(windows, np.ndarray) for windows in prepared)
    assert all(torch.equal(a.up, b.up) for a, b in zip(expected, streamed, strict=True))


def test_held_out_patches_are_of_held_out_photographs():
    images = [np.full((136, 144, 3), i, np.uint8) for i in range(43)]
    photographs = Photographs(4, [""] * 43, images, [sr.downscale(image, 4) for image in images])
    batch = held_out_patches(photographs)
    assert batch.hr.shape == (24, 3, 128, 128)
    assert {round(float(t.max()) * 255) for t in batch.hr} <= {0, 40}
    assert len(photographs.for_training) == 41
    few = held_out_patches(photographs, 5, margin=8)
    assert torch.equal(few.hr, batch.hr[:5])
    assert few.context.shape == (5, 3, 48, 48)


def test_reader_is_not_kept_by_photographs_of_a_folder(photograph_folder):
    """A stream that is left early, as by a run that ends by its clock, leaves no thread at work."""
    source = Patches(load_photographs(photograph_folder, 4), 2)
    stream = source.stream(0, 10**9, workers=2)
    next(stream)
    stream.close()
    assert next(source.stream(3, 4)).up.shape == (2, 3, 128, 128)
