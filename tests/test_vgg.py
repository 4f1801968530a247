"""VGG-19: its files and features, the VGG distance and the VGG term of training."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

import srvae_core as sr
from benchmark_helpers import write_vgg
from helpers import caffemodel
from pictures import picture
from srvae import vgg
from srvae.training.perceptual import VGGTerm


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A VGG-19 of few channels up to conv5_4, with Caffe's names."""
    return write_vgg(tmp_path_factory.mktemp("vgg") / "vgg.safetensors", "conv5_4")


@pytest.fixture(scope="module")
def network(file) -> vgg.VGG19:
    return vgg.VGG19(file)


def reference(network: vgg.VGG19, x: torch.Tensor, last: str, pool: type[nn.Module] = nn.AvgPool2d) -> torch.Tensor:
    """VGG-19 as its paper draws it, from the first layer's input to a layer's output before the ReLU."""
    for name in vgg.NAMES[: vgg.NAMES.index(last) + 1]:
        x = F.conv2d(x, *network.layers[name], padding=1)
        if name != last:
            x = pool(2)(F.relu(x)) if name in ("conv1_2", "conv2_2", "conv3_4", "conv4_4") else F.relu(x)
    return x


def test_the_distance_is_that_of_features_of_unit_length(network):
    """After the ReLU of conv1_2, conv2_2 and conv3_4 with max pooling: the mean over places and layers."""
    a, b = torch.rand(2, 1, 3, 37, 50, generator=torch.Generator().manual_seed(0))
    x = F.conv2d(torch.cat([a, b]), *network.layers["colour"])
    layers = []
    for name in ("conv1_2", "conv2_2", "conv3_4"):
        p, q = F.normalize(F.relu(reference(network, x, name, nn.MaxPool2d)), dim=1).chunk(2)
        layers.append((p - q).square().sum(1).mean())
    assert float(network.distance(a, b)) == pytest.approx(float(sum(layers) / 3), rel=1e-4)


@pytest.mark.parametrize("size", [(4, 4), (31, 17), (75, 130), (99, 33)])
def test_tiles_give_the_distance_of_the_whole(network, monkeypatch, size):
    """Also where height and width are no multiples of 4, and the last tile is narrower than a feature."""
    monkeypatch.setattr(vgg, "TILE", 32)
    hr = picture(*size)
    others = [hr // 2, 255 - hr, hr]
    expected = [float(network.distance(sr.to_tensor(x), sr.to_tensor(hr))) for x in others]
    assert network.distances(others, hr) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_the_term_of_a_caffe_file_is_the_releases(network, tmp_path):
    """The sum of |conv5_4 / 256|, on 255 * BGR minus the release's means; calibration does not change it."""
    blobs = {name: [t.numpy() for t in network.layers[name]] for name in vgg.NAMES}
    (tmp_path / "v.caffemodel").write_bytes(caffemodel(blobs).SerializeToString())
    term, (a, b) = VGGTerm(str(tmp_path / "v.caffemodel"), "cpu"), torch.rand(2, 2, 3, 64, 64)
    term.calibrate(a, b)
    means = torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    p, q = (reference(network, 255 * x.flip(1) - means, "conv5_4") / 256 for x in (a, b))
    torch.testing.assert_close(term(a, b), (p - q).abs().sum() / 2, rtol=1e-4, atol=0)


def test_another_files_term_weighs_as_much_as_l1_with_ps_weight(network, file):
    term, (a, b) = VGGTerm(str(file), "cpu"), torch.rand(2, 2, 3, 64, 64)
    p, q = (reference(network, F.conv2d(x, *network.layers["colour"]), "conv5_4") for x in (a, b))
    torch.testing.assert_close(term(a, b), (p - q).abs().sum() / 2)
    term.calibrate(a, b)
    torch.testing.assert_close(10 * term(a, b), (a - b).abs().sum() / 2)


def test_files_of_torchvision_and_distilled_ones_are_read(network, tmp_path):
    numbers = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    numbered = dict(zip(numbers, (network.layers[name] for name in vgg.NAMES), strict=True))
    layers = {f"features.{i}.{k}": p[k == "bias"] for i, p in numbered.items() for k in ("weight", "bias")}
    save_file(layers, tmp_path / "t.safetensors")
    x = torch.rand(1, 3, 32, 32)
    mean, sd = (torch.tensor(t)[:, None, None] for t in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    (found,) = vgg.VGG19(tmp_path / "t.safetensors").features(x, ["conv5_4"], F.avg_pool2d)
    torch.testing.assert_close(found, reference(network, (x - mean) / sd, "conv5_4"))
    names = {"colour": "conv0"} | {name: name.replace("_", "") for name in vgg.NAMES}
    layers = {f"{names[n]}.{k}": p[k == "bias"] for n, p in network.layers.items() for k in ("weight", "bias")}
    save_file(layers, tmp_path / "d.safetensors")
    assert network.distance(x, 1 - x).equal(vgg.VGG19(tmp_path / "d.safetensors").distance(x, 1 - x))


def test_a_file_that_holds_no_vgg_is_refused(file, tmp_path):
    good, bad = load_file(file), tmp_path / "bad.safetensors"
    gone = {name: t for name, t in good.items() if not name.startswith("conv2_1")}
    for tensors, message in (
        (good | {"conv2_1.weight": torch.rand(4, 9, 3, 3)}, r"conv2_1 must be \(N, 3, 3, 3\) with N biases"),
        ({name: t for name, t in good.items() if name != "conv2_1.bias"}, "conv2_1 must be"),
        (gone, "needs the layers conv1_1, conv1_2 and so on without a gap"),
    ):
        save_file(tensors, bad)
        with pytest.raises(ValueError, match=rf"bad\.safetensors.*{message}"):
            vgg.VGG19(bad)
    with pytest.raises(ValueError, match=r"vgg19\.pth: VGG-19 is read from \.caffemodel or \.safetensors"):
        vgg.VGG19(tmp_path / "vgg19.pth")
