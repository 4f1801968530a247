"""The discriminator: who learns from which term, and that it comes to tell samples from originals."""

import pytest
import torch

import srvae_core as sr
from helpers import trainer
from srvae.training.checkpoints import load_checkpoint
from srvae.training.discriminator import Discriminator, adversarial_terms
from srvae.training.perceptual import Distances

OPTIONS = {"stage": "latents", "initial": str(sr.WEIGHTS / "SR_VAE_4x-D.safetensors"), "shaping": 0, "batch": 2}


@pytest.fixture
def patches():
    """Originals with grain, and the answers of a net that cannot know it."""
    torch.manual_seed(0)
    answer = torch.rand(4, 3, 8, 8).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return answer + 0.1 * torch.randn_like(answer), answer


def test_maps_are_what_channels_says():
    assert [t.shape[1] for t in Distances().maps(torch.rand(1, 3, 32, 32))] == Distances().channels == [3]


def test_each_side_learns_from_its_own_term(patches):
    hr, answer = patches
    discriminator = Discriminator(Distances())
    samples = [answer.clone().requires_grad_() for _ in range(2)]
    lost, told = adversarial_terms(discriminator, Distances(), samples, hr, answer)
    lost.backward(retain_graph=True)
    assert all(sample.grad.abs().sum() > 0 for sample in samples)
    assert all(p.grad is None for p in discriminator.parameters())
    for sample in samples:
        sample.grad = None
    told.backward()
    assert all(p.grad.abs().sum() > 0 for p in discriminator.parameters())
    assert all(sample.grad is None for sample in samples)


def test_it_comes_to_tell_smooth_samples_from_originals_and_no_true_ones(patches):
    hr, answer = patches
    discriminator, distances = Discriminator(Distances()), Distances()
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=1e-2)
    for _ in range(40):
        _, told = adversarial_terms(discriminator, distances, [answer], hr, answer)
        optimiser.zero_grad()
        told.backward()
        optimiser.step()
    with torch.no_grad():
        smooth, told = adversarial_terms(discriminator, distances, [answer], hr, answer)
        true, fooled = adversarial_terms(discriminator, distances, [hr], hr, answer)
    assert told < 0.5, "of 2 at the start"
    assert fooled > 1.5, "originals as samples leave it at a loss"
    assert smooth > 0.5 > -0.5 > true


def test_no_answer_grows_with_the_weights(patches):
    hr, answer = patches
    discriminator = Discriminator(Distances())
    before = [t.item() for t in adversarial_terms(discriminator, Distances(), [answer], hr, answer)]
    with torch.no_grad():
        for name, p in discriminator.named_parameters():
            if name.endswith("weight"):
                p.mul_(100)
    after = [t.item() for t in adversarial_terms(discriminator, Distances(), [answer], hr, answer)]
    assert after == pytest.approx(before, rel=1e-3, abs=1e-5)


def test_a_run_has_it_where_it_is_asked_for_and_keeps_it(patches, tmp_path):
    hr, up = (torch.nn.functional.interpolate(t[:2], size=(128, 128)) for t in patches)
    plain = trainer(tmp_path / "plain", **OPTIONS)
    assert plain.objective.discriminator is None
    assert not plain.opponents
    run = trainer(tmp_path / "run", **OPTIONS, adversarial=100.0)
    names = {"adversarial", "discriminator"}
    assert run.objective(up, hr, run.objective.draw(0)).keys() == {"answer", "energy"} | names
    before = {name: p.detach().clone() for name, p in run.opponents.items()}
    batch = (up, hr)
    run.train_step(batch)
    assert all(not torch.equal(p, before[name]) for name, p in run.opponents.items())
    run.save(0.0)
    tensors, _ = load_checkpoint(run.run)
    assert all(torch.equal(tensors[name], p) for name, p in run.opponents.items())
    again = trainer(tmp_path / "run", **OPTIONS, adversarial=100.0)
    again.resume()
    for both in (run, again):
        both.train_step(batch)
    assert all(torch.equal(p, again.learning[name]) for name, p in run.learning.items())


def test_a_run_goes_on_with_that_of_the_run_it_starts_from(patches, tmp_path):
    first = trainer(tmp_path / "first", **OPTIONS, adversarial=100.0)
    hr, up = (torch.nn.functional.interpolate(t[:2], size=(128, 128)) for t in patches)
    first.train_step((up, hr))
    first.finished = True
    first.save(0.0)
    later = OPTIONS | {"initial": str(first.run), "seed": 1}
    heir = trainer(tmp_path / "heir", **later, adversarial=100.0)
    assert all(torch.equal(p, heir.opponents[name]) for name, p in first.opponents.items())
    assert not trainer(tmp_path / "none", **later).opponents
    stranger = trainer(tmp_path / "stranger", **OPTIONS, adversarial=100.0, seed=1)
    name = next(iter(first.opponents))
    assert not torch.equal(first.opponents[name], stranger.opponents[name])
