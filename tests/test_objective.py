"""The terms of the loss against formulas, and the scores of validation against inference."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

import srvae_core as sr
from benchmark_helpers import write_vgg
from helpers import patches, quick
from srvae import metrics
from srvae.training.critic import Critic
from srvae.training.objective import Objective, PatchModel, kl_divergence, outliers
from srvae.training.perceptual import VGGTerm
from srvae.training.validation import judge


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    """Two patches of a photograph."""
    hr = torch.cat([sr.to_tensor(np.ascontiguousarray(data.astronaut()[y : y + 128, 160:288])) for y in (0, 128)])
    return {"up": sr.bicubic(sr.bicubic(hr, 4, up=False), 4, up=True), "hr": hr}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small VGG-19, as features and for the VGG term."""
    return {"features": str(write_vgg(tmp_path_factory.mktemp("vgg") / "vgg.safetensors", "conv4_1"))}


def objective(net: sr.SRVAE, share: tuple[int, int] = (0, 1), **options: object) -> Objective:
    return Objective(quick("d", "r", batch=2, **options), PatchModel(net, fp32=True), share, lambda t: t)


def terms(made: Objective, batch: dict[str, torch.Tensor], step: int = 0) -> dict[str, float]:
    with torch.no_grad():
        return {name: float(t) for name, t in made(batch | made.draw(step)).items()}


def answer_of(net: sr.SRVAE, batch: dict[str, torch.Tensor], z: torch.Tensor) -> torch.Tensor:
    """What the network answers, back-projected once onto LR."""
    y = net(batch["up"], z)
    lacking = sr.bicubic(batch["hr"], 4, up=False) - sr.bicubic(y, 4, up=False)
    return y + sr.bicubic(lacking, 4, up=True)


def l1(y: torch.Tensor, hr: torch.Tensor) -> float:
    return float((y - hr).detach().abs().sum() / len(hr))


def distances(made: Objective, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Root-mean-square per pixel, per 8x8 window and per place of the layers, averaged over places."""
    square = (a - b).square().mean(1, keepdim=True)
    maps = zip(*(made.distances.network.features(x, made.distances.layers, F.avg_pool2d) for x in (a, b)), strict=True)
    deep = [(F.relu(p) - F.relu(q)).square().mean(1) for p, q in maps]
    return torch.stack([(t + 1e-8).sqrt().mean() for t in (square, F.avg_pool2d(square, 8, 4), *deep)])


# -- the stages ---------------------------------------------------------------------------------------------


def test_the_answer_is_compared_by_l1_and_vgg(random_model, batch, files):
    net = random_model(4)
    made = objective(net, vgg=files["features"], vgg_weight=3.0, fixed_vgg=True)
    y = answer_of(net, batch, torch.zeros(2, 1024))
    term = VGGTerm(files["features"], "cpu")
    wanted = {"answer": l1(y, batch["hr"]), "vgg": 3 * float(term(y, batch["hr"]))}
    assert terms(made, batch) == pytest.approx(wanted, rel=1e-4)
    y = answer_of(net, {"up": batch["up"], "hr": batch["up"]}, torch.zeros(2, 1024))
    assert terms(made, batch | {"taught": batch["up"]})["answer"] == pytest.approx(l1(y, batch["up"]), rel=1e-4)
    moving = objective(net, vgg=files["features"])
    assert len({terms(moving, batch, step)["vgg"] for step in range(6)}) > 3, "its window moves from step to step"


def test_the_prior_is_compared_by_its_energy_score(shipped, batch, files):
    net = shipped("4x-D")
    options = {"stage": "prior", "energy": 7.0, "outliers": 5.0, "features": files["features"], "deep": True}
    made = objective(net, **options)
    eps = made.draw(3)["eps"]
    g, hr = net.generator(batch["up"]), batch["hr"]
    zero = answer_of(net, batch, torch.zeros(2, 1024))
    first, second = (answer_of(net, batch, 0.1 * g * part) for part in (eps[:2], eps[2:]))

    draws = (distances(made, first, hr) + distances(made, second, hr) - distances(made, first, second)) / 2
    wanted = {"answer": l1(zero, hr), "energy": 7 * float((draws / distances(made, zero, hr)).sum())}
    wanted["outliers"] = 2.5 * float(outliers(first, hr, zero) + outliers(second, hr, zero))
    assert terms(made, batch, step=3) == pytest.approx(wanted, rel=1e-3)
    taught = terms(made, batch | {"taught": batch["up"]}, step=3)
    assert taught == pytest.approx(wanted | {"answer": l1(zero, batch["up"])}, rel=1e-3), "the answer alone is taught"


def test_the_critics_gradient_is_as_long_as_the_energy_scores(shipped, batch, files):
    """At SR_res, times ``adversary``. Pixels repel by the setting's share and features do not; bicubic is the unit."""
    net = shipped("4x-D")
    options = {"energy": 7.0, "repulsion": 0.2, "adversary": 1.5, "features": files["features"], "answer_weight": 0.5}
    made = objective(net, stage="adversarial", **options)
    net.SR_res.weight.requires_grad_(True)
    eps, hr = made.draw(3)["eps"], batch["hr"]
    found = made(batch | {"eps": eps})
    lengths = {
        name: torch.autograd.grad(found[name], net.SR_res.weight, retain_graph=True)[0].norm()
        for name in ("energy", "adversary")
    }
    net.SR_res.weight.requires_grad_(False)
    assert float(lengths["adversary"] / lengths["energy"]) == pytest.approx(1.5, rel=1e-3)
    g = net.generator(batch["up"])
    first, second = (answer_of(net, batch, 0.1 * g * part) for part in (eps[:2], eps[2:]))
    repulsion = torch.tensor([0.2, 0.2, 0, 0, 0])
    attraction = (distances(made, first, hr) + distances(made, second, hr)) / 2
    draws = attraction - repulsion * distances(made, first, second)
    wanted = 7 * float((draws / distances(made, batch["up"], hr)).sum())
    assert float(found["energy"].detach()) == pytest.approx(wanted, rel=1e-3)
    answer = answer_of(net, batch, torch.zeros(2, 1024))[:1]
    assert float(found["answer"].detach()) == pytest.approx(l1(answer, batch["hr"][:1]) / 2, rel=1e-5)


def test_the_critic_learns_to_tell_originals_from_their_enlarged_lr(batch):
    """Its hinge loss and accuracy are those of its scores, and the loss of samples does not move it."""
    torch.manual_seed(0)
    critic, (up, hr) = Critic(), batch.values()
    samples = torch.cat([up, up]).requires_grad_()
    optimiser = torch.optim.Adam(critic.parameters(), 1e-3)
    for _ in range(40):
        optimiser.zero_grad()
        critic.loss(hr, samples, up)[0].backward()
        optimiser.step()
    assert samples.grad is None
    critic.eval()
    real, fake = critic(hr, up), critic(samples, torch.cat([up, up]))
    loss, accuracy = (t.detach() for t in critic.loss(hr, samples, up))
    hinge = ((1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean()).detach()
    assert float(loss) == pytest.approx(float(hinge), rel=1e-5)
    assert float(accuracy) == pytest.approx(float((real > 0).double().mean() + (fake < 0).double().mean()) / 2)
    assert float(accuracy) > 0.9
    optimiser.zero_grad()
    critic.adversary(samples, up).backward()
    assert samples.grad.abs().max() > 0
    assert all(p.grad is None and p.requires_grad for p in critic.parameters())


def test_the_posterior_is_compared_by_l1_and_kl(batch):
    """The release draws no noise; sample draws it and compares the answer at z = 0, too."""
    torch.manual_seed(0)
    net = sr.SRVAE(4, encoder=True, grid_generator=True).requires_grad_(False)
    net.ip4.weight.mul_(100)
    made = {stage: objective(net, stage=stage, kl_weight=2.0) for stage in ("release", "sample")}
    mu, logsd = net.encode(batch["up"], batch["hr"])
    kl = 2 * float((50 * mu**2 + 50 * (2 * logsd).exp() - (10 * logsd.exp()).log() - 0.5).sum() / 2)
    scaled = net.generator(batch["up"]) * logsd.exp()
    found = {stage: terms(each, batch) for stage, each in made.items()}
    for stage, eps in (("release", 1), ("sample", made["sample"].draw(0)["eps"])):
        y = net(batch["up"], mu + scaled * eps)
        assert found[stage]["l1"] == pytest.approx(l1(y, batch["hr"]), rel=1e-5)
        assert found[stage]["kl"] == pytest.approx(kl, rel=1e-5)
    assert found["sample"]["answer"] == pytest.approx(l1(net(batch["up"], torch.zeros(2, 1024)), batch["hr"]), rel=1e-5)
    assert terms(made["release"], batch, step=1) == found["release"]


@pytest.mark.parametrize(("stage", "samples"), [("prior", 2), ("adversarial", 2), ("sample", 1)])
def test_two_processes_draw_the_noise_of_one(random_model, files, stage, samples):
    options = {"stage": stage, "vgg": files["features"], "seed": 4}
    whole, *halves = (objective(random_model(4), share, **options).draw(5) for share in ((0, 1), (0, 2), (1, 2)))
    parts = [half["eps"].view(samples, 1, 1024) for half in halves]
    assert torch.equal(torch.cat(parts, 1), whole["eps"].view(samples, 2, 1024))
    assert all(torch.equal(half["vgg_at"], whole["vgg_at"]) for half in halves)
    assert len(whole["eps"].unique(dim=0)) == 2 * samples, "each sample of each patch has its own"


# -- their parts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [4, 8])
def test_matrices_are_the_models_bicubic(scale, batch):
    """In both directions, at the border too, forward and backward."""
    model, hr = PatchModel(sr.SRVAE(scale, grid_generator=True)), batch["hr"].clone().requires_grad_()
    low = sr.bicubic(hr, scale, up=False)
    torch.testing.assert_close(model.downscale(hr), low, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.enlarge(low), sr.bicubic(low, scale, up=True), rtol=0, atol=1e-5)
    (theirs,) = torch.autograd.grad(sr.bicubic(low, scale, up=True).square().sum(), hr, retain_graph=True)
    (ours,) = torch.autograd.grad(model.enlarge(model.downscale(hr)).square().sum(), hr)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_kl_is_that_of_two_gaussians():
    mu, logsd = torch.randn(3, 7) * 0.2, torch.randn(3, 7) - 2
    p, q = torch.distributions.Normal(mu, logsd.exp()), torch.distributions.Normal(0.0, 0.1)
    torch.testing.assert_close(kl_divergence(mu, logsd), torch.distributions.kl_divergence(p, q))


def test_rare_outliers_have_a_term_of_their_own():
    """One pixel in five hundred is badly wrong, of 3 errors or more; nothing else counts."""
    torch.manual_seed(0)
    answer = torch.full((8, 3, 32, 32), 0.5)
    hr = answer + 0.03 * torch.randn_like(answer)
    square = (answer - hr).square().mean(1, keepdim=True)
    counted = F.avg_pool2d(torch.ones_like(square), 17, 1, 8)  # share of the window inside the patch
    unit = (F.avg_pool2d(square, 17, 1, 8) / counted).sqrt().clamp(min=2 / 255)
    spoilt = torch.where(torch.rand(8, 1, 32, 32) < 0.002, torch.ones(3).view(3, 1, 1), answer)
    beyond = ((spoilt - hr).square().mean(1, keepdim=True).sqrt() / unit - 3).clamp(min=0)
    found = float(outliers(spoilt, hr, answer))
    assert found == pytest.approx(float(beyond.square().mean()), rel=1e-2)
    assert found > 0.1
    assert float(outliers(hr, hr, answer)) == 0


def test_validation_scores_are_those_of_the_networks_pictures(random_model, photograph_folder):
    net, held_out = random_model(4), patches(photograph_folder, batch=3, seed=4)(0)
    model, draws = PatchModel(net, fp32=True), {"": 0.0, "_sample": sr.PRIOR_SD}
    scores = judge(model, held_out, draws, consistency=False)
    g = net.generator(held_out["up"])
    samples = [net(held_out["up"], sr.PRIOR_SD * g * sr.noise(seed, 3)) for seed in range(6)]

    def arrays(t: torch.Tensor) -> list[np.ndarray]:
        return [image.permute(1, 2, 0).numpy() for image in t]

    def psnr(t: torch.Tensor) -> object:
        pairs = zip(arrays(t), originals, strict=True)
        return pytest.approx(np.mean([metrics.psnr_y(a, b, 4) for a, b in pairs]), abs=2e-3)

    originals, nothing = arrays(held_out["hr"]), torch.zeros(3, 1024)
    assert scores["psnr"] == psnr(net(held_out["up"], nothing))
    assert scores["psnr_sample"] == psnr(samples[0])
    assert scores["psnr_bicubic"] == psnr(held_out["up"])
    assert scores["spread_sample"] == pytest.approx(float(torch.stack(samples).std(0).mean() * 255), abs=2e-3)
    each = zip(zip(*map(arrays, samples), strict=True), originals, strict=True)
    assert scores["diversity_sample"] == pytest.approx(np.mean([metrics.diversity(*pair) for pair in each]), abs=2e-2)
    assert judge(model, held_out, draws)["psnr"] == psnr(answer_of(net, held_out, nothing))
