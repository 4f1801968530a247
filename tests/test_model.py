"""The network against the layer tables of the release, written down here a second time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import srvae_core as sr
from srvae.training.weights import on_grid

each_scale = pytest.mark.parametrize("scale", sr.SCALES)

# Output shapes of the layers for one 128x128 patch.
STAGES = {
    4: {
        (64, 128, 128): "feat1_1 feat1_2",
        (128, 64, 64): "feat2_1 feat2_2",
        (256, 32, 32): "feat3_1 feat3_2",
        (128, 32, 32): "input1 relu_decoder1",
        (64, 32, 32): "input2 decoder1",
        (256, 16, 16): "encoder1 encoder2",
        (128, 16, 16): "encoder3",
        (4096,): "ip1 ip6",
        (2048,): "ip2 ip3 ip4 ip5",
        (512,): "generator1",
        (1024,): "generator2",
        (32, 32, 32): "conv2_SR_s1 local_output_SR_s1",
        (32, 64, 64): "conv1_SR_s1 conv3_SR_s1 local_conv1_SR_s1 relu_output_SR_s1 conv2_SR_s2 local_output_SR_s2",
        (32, 128, 128): "conv1_SR_s2 conv3_SR_s2 local_conv1_SR_s2 relu_output_SR_s2",
        (3, 128, 128): "SR_res",
    },
    8: {
        (256, 32, 32): "feat3_2",
        (512, 16, 16): "feat4_1 feat4_2",
        (64, 16, 16): "input2 decoder1",
        (256, 16, 16): "encoder1",
        (128, 16, 16): "encoder2 encoder3 relu_decoder1",
        (2048,): "ip3",
        (32, 32, 32): "relu_output_SR_s1",
        (32, 64, 64): "relu_output_SR_s2",
        (32, 128, 128): "relu_output_SR_s3",
        (3, 128, 128): "SR_res",
    },
}

# The Gaussian fillers, as the release's files round them.
STDS = {
    0.0589: ["feat1_1", "feat1_2", "input2", "decoder1"],
    0.0208: ["feat2_1", "encoder1", "encoder2"],
    0.0417: ["feat2_2", *[f"conv{i}_SR_s{s}" for i in (1, 2, 3) for s in (1, 2, 3)]],
    0.0147: ["feat3_1", "feat4_1"],
    0.0295: ["feat3_2", "feat4_2", "encoder3"],
    0.125: ["input1"],
    0.25: [f"{n}_SR_s{s}" for n in ("local_output", "local_conv1") for s in (1, 2, 3)],
    0.2722: ["SR_res", "SR"],
    0.01: ["ip1", "ip2", "ip3", "ip4", "ip5", "ip6", "generator1", "generator2"],
}


@pytest.mark.parametrize(
    ("scale", "encoder", "millions"), [(4, False, 43.08), (4, True, 191.95), (8, False, 50.31), (8, True, 199.92)]
)
def test_parameter_count(scale, encoder, millions):
    with torch.device("meta"):
        net = sr.SRVAE(scale, encoder=encoder)
    assert net.has_encoder == encoder
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == millions


@each_scale
def test_shape_of_every_stage(scale):
    """Traced without computing: the meta device knows shapes only."""
    with torch.device("meta"):
        net = sr.SRVAE(scale, encoder=True)
        up, z = torch.empty(2, 3, 128, 128), torch.empty(2, 1024)
    seen = {}
    for name, module in net.named_children():
        module.register_forward_hook(lambda _m, _x, y, name=name: seen.__setitem__(name, tuple(y.shape)))
    assert net(up, z).shape == (2, 3, 128, 128)
    assert net.features(up).shape == ((2, 256, 32, 32) if scale == 4 else (2, 512, 16, 16))
    assert net.generator(up).shape == (2, 1024)
    assert net.latent_map(z).shape == ((2, 4, 32, 32) if scale == 4 else (2, 16, 16, 16))
    assert [t.shape for t in net.encode(up, up)] == [(2, 1024), (2, 1024)]
    for shape, names in STAGES[scale].items():
        assert {name: seen[name] for name in names.split()} == dict.fromkeys(names.split(), (2, *shape))
    assert seen.keys() == {row.name for row in sr.release_layers(scale, encoder=True)}, "a layer was never run"


@each_scale
def test_release_initial_values(scale):
    expected = {name: std for std, names in STDS.items() for name in names}
    assert all(layer.std == expected.get(layer.name, 0.0) for layer in sr.release_layers(scale, encoder=True))
    torch.manual_seed(0)
    net = sr.SRVAE(scale)
    for layer in sr.release_layers(scale):
        module = net.get_submodule(layer.name)
        if layer.kind == "prelu":
            assert module.weight.tolist() == [0.25]
            continue
        weight, std = module.weight, expected[layer.name]
        sampling_error = std / (2 * weight.numel()) ** 0.5
        assert abs(weight.std().item() - std) < 5 * sampling_error, layer.name
        assert abs(weight.mean().item()) < 5 * std / weight.numel() ** 0.5, layer.name
        assert not module.bias.any()


def test_only_the_training_nets_add_the_input():
    """Their last layer is SR_res, that of the deploy nets SR."""
    torch.manual_seed(1)
    net, deploy = sr.SRVAE(4), sr.SRVAE(4, residual=False)
    assert [layer.name for layer in (net.layers[-1], deploy.layers[-1])] == ["SR_res", "SR"]
    assert net.layers[:-1] == deploy.layers[:-1]
    deploy.load_state_dict({k.replace("SR_res", "SR"): v for k, v in net.state_dict().items()})
    up, z = torch.rand(1, 3, 128, 128), torch.randn(1, 1024)
    with torch.inference_mode():
        torch.testing.assert_close(net(up, z), deploy(up, z) + up)


def test_generator_is_normalised(random_model):
    """mvn: mean subtracted, then divided by standard deviation + 1e-9."""
    net = random_model(4)
    up = torch.rand(3, 3, 128, 128)
    raw = {}
    hook = net.generator2.register_forward_hook(lambda _m, _x, y: raw.update(y=y))
    g = net.generator(up).double().numpy()
    hook.remove()
    x = np.maximum(raw["y"].double().numpy(), 0)
    np.testing.assert_allclose(g, (x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 1e-9), atol=1e-5)
    constant = sr.SRVAE(4, grid_generator=True)
    torch.nn.init.zeros_(constant.generator2.weight)
    assert not constant.generator(up).any(), "a constant vector becomes 0, not NaN"


@pytest.mark.slow
@each_scale
def test_posterior_form(scale):
    """Concatenate LR and HR features, ReLU, at 4x max-pool; ip3's first half is mu, its second logsd."""
    torch.manual_seed(2)
    net = sr.SRVAE(scale, encoder=True)
    lr, hr = torch.rand(2, 1, 3, 128, 128)
    with torch.inference_mode():
        net.ip3.bias.copy_(torch.linspace(-1, 1, 2048))
        mu, logsd = net.encode(lr, hr)
        x = torch.cat([net.features(lr), net.features(hr)], 1).clamp_min(0)
        if scale == 4:
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
        for name in ("encoder1", "encoder2", "encoder3"):
            module = net.get_submodule(name)
            x = F.conv2d(x, module.weight, module.bias, padding=1).clamp_min(0)
        x = x.reshape(1, -1)
        for name in ("ip1", "ip2"):
            module = net.get_submodule(name)
            x = (x @ module.weight.T + module.bias).clamp_min(0)
        x = x @ net.ip3.weight.T + net.ip3.bias
        swapped = net.encode(hr, lr)[0]
    torch.testing.assert_close(mu, x[:, :1024], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logsd, x[:, 1024:], rtol=1e-4, atol=1e-5)
    assert (mu - swapped).abs().max() > 1e-3, "LR and HR play different parts"


@each_scale
def test_generator_on_the_lr_grid_is_the_full_layer(scale):
    """On exactly enlarged patches the compressed generator1 computes what its 49,152 columns do."""
    torch.manual_seed(3)
    full = torch.nn.Linear(3 * 128 * 128, 512)
    torch.nn.init.normal_(full.weight, 0, 0.01)
    grid = sr.GridLinear(scale, 512)
    assert grid.weight.shape == (512, {4: 3888, 8: 1200}[scale])
    with torch.inference_mode():
        grid.weight.copy_(on_grid(full.weight, scale))
        grid.bias.copy_(full.bias)
        lr = torch.rand(2, 3, 128 // scale + 12, 128 // scale + 12)
        edge = 6 * scale  # a patch out of the middle of a larger picture
        up = sr.bicubic(lr, scale, up=True)[..., edge : edge + 128, edge : edge + 128]
        wanted, got = full(up.flatten(1)), grid(up)
        other = torch.rand_like(up)
        gap = (grid(other) - full(other.flatten(1))).abs().max()
    assert (got - wanted).abs().max() < 1e-5 * wanted.abs().max()
    assert gap > 0.1, "detail that no enlargement has is seen by the full layer only"


@each_scale
def test_units_compute_the_same_with_and_without_gradients(random_model, scale):
    """Without them PReLUs work in place, which must change neither the answer nor what goes in; sizes may be any."""
    net, (height, width) = random_model(scale), (128 // scale, 72 // scale)
    inputs = torch.randn(1, 64, height, width), torch.rand(1, scale**2 // 4, height, width), torch.rand(1, 3, 128, 72)
    before = [t.clone() for t in inputs]
    wanted = net.reconstruct(*inputs)
    assert wanted.shape == (1, 3, 128, 72)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(net.reconstruct(*inputs), wanted, rtol=0, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


def test_scales_that_do_not_exist_are_refused():
    for scale in (2, 3, "4", None):
        with pytest.raises(ValueError, match="scale must be 4 or 8"):
            sr.SRVAE(scale)
