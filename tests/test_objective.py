"""The release's objective: VGG term, KL, latents drawn or not, D and P; processes that share a batch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from skimage import data
from torch import nn

import srvae_core as sr
from conftest import SHARED
from helpers import caffemodel, trainer
from helpers import pictures as as_pictures
from srvae.training.config import Config
from srvae.training.objective import REPEATED, WEAVE, Pictures, kl_divergence, outliers, repetition
from srvae.training.perceptual import VGG, Distances, energy_score

VGG_FILE = SHARED / "perceptual" / "vgg19_normalised_to_conv3_4.safetensors"
BLOCKS = (2, 2, 4, 4, 4)
NAMES = [f"conv{b}_{i}" for b, n in enumerate(BLOCKS, 1) for i in range(1, n + 1)]


@pytest.fixture(scope="module")
def small_vgg() -> dict[str, list[torch.Tensor]]:
    """A VGG-19 of few channels: weights and biases by Caffe's names."""
    torch.manual_seed(0)
    widths = [3, *(w for w, n in zip((4, 5, 6, 7, 8), BLOCKS, strict=True) for _ in range(n))]
    return {
        n: [torch.randn(b, a, 3, 3) * (2 / (9 * a)) ** 0.5, torch.randn(b) * 0.1]
        for n, a, b in zip(NAMES, widths[:-1], widths[1:], strict=True)
    }


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Enlarged LR and HR patches of a photograph, each (2, 3, 128, 128)."""
    image = data.astronaut()
    hr = torch.cat([sr.to_tensor(np.ascontiguousarray(image[y : y + 128, 160:288])) for y in (0, 128)])
    return sr.bicubic(sr.bicubic(hr, 4, up=False), 4, up=True), hr


def reference(layers: dict[str, list[torch.Tensor]], x: torch.Tensor, last: str) -> torch.Tensor:
    """VGG-19 as its paper draws it, its four poolings averaged, up to a layer's output before the ReLU."""
    for block, n in enumerate(BLOCKS, 1):
        for i in range(1, n + 1):
            x = F.conv2d(x, *layers[f"conv{block}_{i}"], padding=1)
            if f"conv{block}_{i}" == last:
                return x
            x = F.relu(x)
        x = nn.AvgPool2d(2, 2)(x)
    raise AssertionError


def test_vgg_term_of_a_caffe_file_is_the_releases(small_vgg, pictures, tmp_path):
    """Sum of |conv5_4 / 256|, on 255 * BGR minus the means that the release subtracts."""
    file = tmp_path / "VGG.caffemodel"
    file.write_bytes(caffemodel({k: [t.numpy() for t in v] for k, v in small_vgg.items()}).SerializeToString())
    vgg, (up, hr) = VGG(file), pictures
    features = []
    for x in (up, hr):
        bgr = 255 * x.flip(1) - torch.tensor([103.939, 116.779, 123.68])[None, :, None, None]
        features.append(reference(small_vgg, bgr, "conv5_4") / 256)
    vgg.calibrate(up, hr)  # leaves the release's own unit alone
    expected = (features[0] - features[1]).abs().sum() / len(up)
    assert expected > 1
    torch.testing.assert_close(vgg(up, hr), expected, rtol=1e-4, atol=0)


def test_vgg_file_with_torchvisions_names(small_vgg, pictures, tmp_path):
    numbers = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    named = zip(numbers, small_vgg.values(), strict=True)
    save_file({f"features.{i}.{k}": t for i, v in named for k, t in zip(("weight", "bias"), v)}, tmp_path / "v.safetensors")  # fmt: skip  # noqa: B905, E501
    vgg, x = VGG(tmp_path / "v.safetensors"), pictures[0]
    mean, sd = (torch.tensor(t)[None, :, None, None] for t in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    torch.testing.assert_close(vgg.features(x), reference(small_vgg, (x - mean) / sd, "conv5_4"))
    assert vgg.description == "v.safetensors, conv5_4"


def test_shorter_file_and_its_unit(small_vgg, pictures, tmp_path):
    """With P's lambda the bicubic image's VGG term weighs as much as its L1 term, so that lambda keeps a meaning."""
    kept = {k: small_vgg[k] for k in NAMES[: NAMES.index("conv3_4") + 1]}
    tensors = {f"{n}.{k}": t for n, v in kept.items() for k, t in zip(("weight", "bias"), v, strict=True)}
    colour = {"colour.weight": torch.eye(3)[:, :, None, None], "colour.bias": torch.zeros(3)}
    save_file(tensors | colour, tmp_path / "v.safetensors")
    vgg, (up, hr) = VGG(tmp_path / "v.safetensors"), pictures
    torch.testing.assert_close(vgg.features(up), reference(small_vgg, up, "conv3_4"))
    vgg.calibrate(up, hr)
    assert 10 * float(vgg(up, hr)) == pytest.approx(float((up - hr).abs().sum() / 2), rel=1e-5)
    assert float(vgg(hr, hr)) == 0
    save_file(tensors, tmp_path / "colourless.safetensors")
    with pytest.raises(ValueError, match="colour"):
        VGG(tmp_path / "colourless.safetensors")


def test_features_that_do_not_follow_each_other_are_refused(small_vgg, tmp_path):
    """A file that lacks something is refused at the start, not at its first use."""
    torch.manual_seed(0)
    sizes = {"conv0": (3, 3, 1), "conv11": (4, 3, 3), "conv12": (4, 4, 3), "conv21": (8, 4, 3), "conv22": (8, 8, 3)}
    sizes |= {"conv31": (8, 8, 3)}
    good = {f"{name}.weight": torch.rand(a, b, n, n) for name, (a, b, n) in sizes.items()}
    good |= {f"{name}.bias": torch.rand(a) for name, (a, _, _) in sizes.items()}
    file = tmp_path / "f.safetensors"
    save_file(good, file)
    assert len(Distances(file).describe(torch.rand(1, 3, 32, 32))) == 5
    with pytest.raises(ValueError, match=r"f\.safetensors: conv32 must be \(N, 8, 3, 3\)"):
        Distances(file, deep=True)
    deeper = {f"{name}.weight": torch.rand(8, 8, 3, 3) for name in ("conv32", "conv33", "conv34", "conv41")}
    save_file(good | deeper | {key.replace("weight", "bias"): torch.rand(8) for key in deeper}, file)
    *_, deepest = Distances(file, deep=True).describe(torch.rand(1, 3, 32, 32))
    assert deepest.shape == (1, 8, 16), "relu4_1: 8 channels at 4x4 places"
    changes = {"conv21.bias": None, "conv22.weight": torch.rand(8, 4, 3, 3), "conv0.weight": torch.rand(3)}
    for name, t in changes.items():
        save_file({key: value for key, value in (good | {name: t}).items() if value is not None}, file)
        with pytest.raises(ValueError, match=rf"f\.safetensors: {name.split('.')[0]} must be \(N, "):
            Distances(file)
    layers = small_vgg | {"conv2_1": [small_vgg["conv2_1"][0]]}  # without its bias
    arrays = {name: [t.numpy() for t in pair] for name, pair in layers.items()}
    (tmp_path / "v.caffemodel").write_bytes(caffemodel(arrays).SerializeToString())
    with pytest.raises(ValueError, match=r"v\.caffemodel: conv2_1 must be"):
        VGG(tmp_path / "v.caffemodel")


def test_a_vgg_that_would_have_to_be_unpickled_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing is unpickled"):
        VGG(tmp_path / "vgg19.pth")


@pytest.mark.skipif(not VGG_FILE.is_file(), reason="no ../shared/perceptual")
def test_the_vgg_file_at_hand(pictures):
    up, hr = pictures
    vgg = VGG(VGG_FILE)
    assert vgg.description.endswith("conv3_4")
    vgg.calibrate(up, hr)
    half = (up + hr) / 2
    assert 0 < float(vgg(half, hr)) < float(vgg(up, hr))


def test_kl_is_that_of_two_gaussians():
    torch.manual_seed(0)
    mu, logsd = torch.randn(3, 7) * 0.2, torch.randn(3, 7) - 2
    p, q = torch.distributions.Normal(mu, logsd.exp()), torch.distributions.Normal(0.0, 0.1)
    torch.testing.assert_close(kl_divergence(mu, logsd), torch.distributions.kl_divergence(p, q))
    assert float(kl_divergence(torch.zeros(1), torch.full((1,), 0.1).log())) == pytest.approx(0, abs=1e-6)


def terms(run, up, hr, step: int = 0) -> dict[str, float]:
    """The terms of one batch, by name."""
    return {k: float(t.detach()) for k, t in run.objective(up, hr, run.objective.draw(step)).items()}


def test_the_release_draws_nothing_and_the_sample_does(pictures, tmp_path):
    up, hr = pictures
    release = trainer(tmp_path, stage="latents", latents="release", fillers=True)
    first = terms(release, up, hr)
    assert terms(release, up, hr, step=1) == first  # the step chooses the noise
    assert first.keys() == {"l1", "kl"}
    with torch.no_grad():  # the same by hand
        net = release.net
        mu, logsd = net.encode(up, hr)
        y = net.decode(net.features(up), mu + net.generator(up) * logsd.exp(), up)
        kl = 50 * mu**2 + 50 * (2 * logsd).exp() - (10 * logsd.exp()).log() - 0.5
        assert first["l1"] == pytest.approx(float((hr - y).abs().sum() / 2), rel=1e-5)
        assert first["kl"] == pytest.approx(float(kl.sum() / 2), rel=1e-5)
    assert all(p.requires_grad for p in net.parameters())

    release.config.latents = "sample"
    with torch.no_grad():
        net.ip4.weight.mul_(100)
    a, b = terms(release, up, hr), terms(release, up, hr, step=2)
    assert a.keys() == {"l1", "kl", "answer"}
    assert (a["kl"], a["answer"]) == (b["kl"], b["answer"])
    assert a["l1"] != b["l1"]


@pytest.fixture
def short_vgg(small_vgg, tmp_path) -> str:
    """A file of its first three layers."""
    kept = {f"{n}.{k}": t for n in NAMES[:3] for k, t in zip(("weight", "bias"), small_vgg[n], strict=True)}
    file = tmp_path / "v.safetensors"
    save_file(kept | {"colour.weight": torch.eye(3)[:, :, None, None], "colour.bias": torch.zeros(3)}, file)
    return str(file)


def test_d_and_p_differ_in_lambda_alone(short_vgg, pictures, tmp_path):
    file, (up, hr) = short_vgg, pictures
    by_variant = {}
    for variant in "DP":
        run = trainer(tmp_path, variant=variant, vgg=file, vgg_weight=None, fixed_vgg=True)
        run.vgg.calibrate(up, hr)
        by_variant[variant] = terms(run, up, hr)
    d, p = by_variant["D"], by_variant["P"]
    assert d["answer"] == p["answer"]
    assert p["vgg"] == pytest.approx(10 * d["vgg"], rel=1e-5)
    assert p["vgg"] == pytest.approx(p["answer"], rel=1e-4)  # SR_res is zero: the bicubic image
    moving = trainer(tmp_path, variant="P", vgg=file, vgg_weight=None)
    moving.vgg.unit = 1.0
    seen = {terms(moving, up, hr, step)["vgg"] for step in range(8)}
    assert len(seen) > 4, "the window that the term sees moves from step to step"
    assert trainer(tmp_path, vgg_weight=0.0, vgg=file).vgg is None


def test_l1_and_vgg_see_the_mild_sample_that_a_model_answers_by(short_vgg, pictures, tmp_path):
    up, hr = pictures
    options = {"stage": "latents", "initial": str(sr.WEIGHTS / "SR_VAE_4x-D.safetensors"), "shaping": 0}
    options |= {"variant": "P", "vgg": short_vgg, "vgg_weight": None, "fixed_vgg": True}
    run, cold = trainer(tmp_path, **options, temperature=0.25), trainer(tmp_path, **options)
    for each in (run, cold):
        each.vgg.calibrate(up, hr)
    drawn = run.objective.draw(0)
    with torch.no_grad():
        seen = run.objective(up, hr, drawn)
        z = 0.25 * run.pictures.shaped(up, drawn["mild"])
        mild = run.pictures.answer(run.pictures.code(up), z, up, run.pictures.downscale(hr))
        torch.testing.assert_close(seen["mild"], run.objective.l1(mild, hr))
        torch.testing.assert_close(seen["vgg"], 10 * run.vgg(mild, hr))
        zero = run.pictures.answer(run.pictures.code(up), None, up, run.pictures.downscale(hr))
        woven = float(repetition(mild - zero, 4))
    assert float(seen["repetition"]) == pytest.approx(WEAVE * max(0, woven - 1), rel=1e-4)
    assert seen["mild"] > 1.001 * seen["answer"], "it is no answer of z = 0"
    assert terms(cold, up, hr).keys() == {"answer", "energy", "vgg"}, "z = 0 has its L1 term, and no texture"


@pytest.mark.parametrize("scale", [4, 8])
def test_repetition_tells_a_grid_from_noise_and_from_photographs(scale, pictures):
    torch.manual_seed(0)
    noise = torch.randn(4, 3, 128, 128)
    grid = torch.randn(4, 3, scale, scale).tile(128 // scale, 128 // scale)
    grid = grid - grid.mean((2, 3), keepdim=True)  # a grid as back-projection leaves it: LR does not see it
    assert float(repetition(noise, scale)) == pytest.approx(1, abs=0.1)
    assert float(repetition(grid, scale)) == pytest.approx(REPEATED**2, rel=1e-3)
    assert float(repetition(noise + grid, scale)) > 5
    hr = pictures[1]
    smooth = sr.bicubic(sr.bicubic(hr, scale, up=False), scale, up=True)
    assert float(repetition(hr - smooth, scale)) < 1.5, "what photographs have beyond their enlargement"


def test_what_a_run_trains_is_named():
    with torch.device("meta"):  # no weights are drawn
        names = [k for k, _ in sr.SRVAE(8, encoder=True, grid_generator=True).named_parameters()]

    def moved(**options):
        return {k.split(".")[0] for k in names if Config(run="x", **options).trains(k)}

    layers = {k.split(".")[0] for k in names}
    assert moved(stage="latents", latents="release", fillers=True) == layers
    fully_connected = {k for k in layers if k.startswith(("ip", "generator"))}
    encoder = {"encoder1", "encoder2", "encoder3"}
    assert moved(stage="answer") == layers - fully_connected - encoder
    rest = {k for k in layers if k.startswith(("feat", "input"))}
    latents = layers - rest - encoder - {"ip1", "ip2", "ip3"}
    assert moved(stage="latents", shaping=0) == latents
    assert moved(stage="latents") == latents - {"generator1", "generator2"}, "what shapes noise stands still"
    assert moved(stage="latents", train="decoder") == moved(stage="answer") - {k for k in rest if k.startswith("feat")}


def test_energy_score_is_least_for_the_true_spread():
    """Originals ~ N(answer, 0.1^2): samples of that spread must beat those of none, of less and of more."""
    torch.manual_seed(0)
    distances = Distances()
    answer = torch.full((64, 3, 16, 16), 0.5)
    hr = answer + 0.1 * torch.randn_like(answer)
    score = {
        sd: float(energy_score(distances, *(answer + sd * torch.randn_like(hr) for _ in range(2)), hr, answer))
        for sd in (0.0, 0.03, 0.1, 0.3)
    }
    assert min(score, key=score.get) == 0.1
    assert score[0.0] == pytest.approx(2.0, abs=0.05)  # two distances, each 1 for the answer itself


def test_rare_outliers_are_seen_by_a_term_of_their_own():
    """One sample pixel in five hundred is badly wrong, and all else as in the originals."""
    torch.manual_seed(0)
    answer = torch.full((64, 3, 16, 16), 0.5)
    hr, *clean = (answer + 0.03 * torch.randn_like(answer) for _ in range(3))
    spoilt = [torch.where(torch.rand(64, 1, 16, 16) < 0.002, torch.ones(3).view(3, 1, 1), y) for y in clean]
    distances = Distances()
    scores = [float(energy_score(distances, *pair, hr, answer)) for pair in (clean, spoilt)]
    assert scores[1] < 1.02 * scores[0], "the energy score hardly sees them"
    twice = torch.cat([hr, hr])
    seen = [float(outliers(torch.cat(pair), twice, torch.cat([answer, answer]))) for pair in (clean, spoilt)]
    assert seen[1] > 0.1 > 0.01 > seen[0]
    assert float(outliers(twice, twice, torch.cat([answer, answer]))) == 0


def test_a_teacher_beside_samples_teaches_the_answer_alone(pictures, tmp_path):
    up, hr = pictures
    options = {"stage": "latents", "initial": str(sr.WEIGHTS / "SR_VAE_4x-D.safetensors"), "shaping": 0}
    run = trainer(tmp_path, **options, teacher=("self",), outliers=10.0)
    plain = trainer(tmp_path, **options)
    drawn = run.objective.draw(0)
    taught = run.objective(up, hr, drawn | {"taught": up})
    untaught = plain.objective(up, hr, plain.objective.draw(0))
    assert run.objective.names == (*plain.objective.names, "taught")
    assert taught.keys() == {"answer", "energy", "outliers"}
    assert torch.equal(taught["energy"], untaught["energy"])
    code = run.pictures.code(up)
    zero = run.pictures.answer(code, None, up, run.pictures.downscale(hr))
    torch.testing.assert_close(taught["answer"], run.objective.l1(zero, up))


@pytest.mark.parametrize("scale", [4, 8])
def test_matrices_are_the_models_bicubic(scale, pictures):
    """In both directions, also at the border, forward and backward."""
    drawn: Pictures = as_pictures(sr.SRVAE(scale, grid_generator=True))
    hr = pictures[1].clone().requires_grad_()
    low = sr.bicubic(hr, scale, up=False)
    torch.testing.assert_close(drawn.downscale(hr), low, rtol=0, atol=1e-5)
    torch.testing.assert_close(drawn.enlarge(low), sr.bicubic(low, scale, up=True), rtol=0, atol=1e-5)
    (theirs,) = torch.autograd.grad(sr.bicubic(low, scale, up=True).square().sum(), hr, retain_graph=True)
    (ours,) = torch.autograd.grad(drawn.enlarge(drawn.downscale(hr)).square().sum(), hr)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.skipif(not VGG_FILE.is_file(), reason="no ../shared/perceptual")
def test_perceptual_distance_is_that_of_features_of_unit_length(pictures):
    """The form that published figures have: bicubic images look further from their originals than halfway ones."""
    up, hr = pictures
    vgg = VGG(VGG_FILE)
    assert float(vgg.distance(hr, hr).max()) == 0
    half = vgg.distance((up + hr) / 2, hr)
    whole = vgg.distance(up, hr)
    assert whole.shape == (2,)
    assert (half < whole).all()
    layers = vgg.layers
    x = F.conv2d(torch.cat([up, hr]), *layers["colour"])
    total = 0
    for block, depth in ((1, 2), (2, 2), (3, 4)):
        for i in range(1, depth + 1):
            x = F.relu(F.conv2d(x, *layers[f"conv{block}_{i}"], padding=1))
        a, b = F.normalize(x, dim=1).chunk(2)
        total = total + (a - b).square().sum(1).mean((1, 2))
        x = F.max_pool2d(x, 2)
    torch.testing.assert_close(whole, total / 3)


@pytest.mark.slow
def test_compiled_objective_is_the_plain_one(pictures, tmp_path):
    """The capture that a GPU's compiler gets has no break in it, and computes the same."""
    up, hr = pictures
    for options in ({"stage": "answer"}, {"stage": "latents", "initial": str(first_run(tmp_path))}):
        run = trainer(tmp_path, **options)
        drawn = run.objective.draw(0)
        captured = torch.compile(run.objective.__call__, backend="aot_eager", fullgraph=True)
        for name, t in captured(up, hr, drawn).items():
            torch.testing.assert_close(t, run.objective(up, hr, drawn)[name])


def first_run(folder):
    """The folder of a run that was saved as it began."""
    run = trainer(folder / "first")
    run.save(0.0)
    return run.run
