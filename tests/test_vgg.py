"""The VGG distance: its form, tile by tile, and what it refuses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import srvae_core as sr
from benchmark_helpers import write_vgg
from pictures import picture
from srvae import vgg
from srvae.training.perceptual import VGG


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> vgg.VGG19:
    """A VGG-19 of few channels."""
    return vgg.VGG19(write_vgg(tmp_path_factory.mktemp("vgg") / "vgg.safetensors"))


def test_the_distance_is_that_of_features_of_unit_length(network):
    """Written out: after the ReLU of conv1_2, conv2_2 and conv3_4, max pooling between, mean over places and layers."""
    # The same pictures whatever ran before: where hardly a feature is left, what keeps a length from 0 would show.
    a, b = torch.rand(2, 1, 3, 37, 50, generator=torch.Generator().manual_seed(0))
    x = F.conv2d(torch.cat([a, b]), *network.layers["colour"])
    layers = []
    for block, depth in ((1, 2), (2, 2), (3, 4)):
        for i in range(1, depth + 1):
            x = F.relu(F.conv2d(x, *network.layers[f"conv{block}_{i}"], padding=1))
        p, q = F.normalize(x, dim=1).chunk(2)
        layers.append((p - q).square().sum(1).mean())
        x = F.max_pool2d(x, 2)
    assert float(network.distance(a, b)) == pytest.approx(float(sum(layers) / 3), rel=1e-4)
    assert float(network.distance(a, b)) > 0.01


@pytest.mark.parametrize("size", [(4, 4), (31, 17), (64, 64), (75, 130), (99, 33)])
def test_tiles_give_the_number_of_the_whole(network, monkeypatch, size):
    """Also where height and width are no multiples of 4, and the last tile is narrower than a feature."""
    monkeypatch.setattr(vgg, "TILE", 32)
    hr = picture(*size)
    others = [hr // 2, 255 - hr, hr]
    expected = [float(network.distance(sr.to_tensor(x), sr.to_tensor(hr))) for x in others]
    assert network.distances(others, hr) == pytest.approx(expected, rel=1e-4, abs=1e-7)
    assert network.distances([hr], hr) == [0]


def test_a_border_is_left_out_and_any_image_is_taken(network):
    hr = picture(40, 52)
    answer = hr.copy()
    answer[:4] = answer[:, -4:] = 0
    assert network.distances([answer], hr, border=4) == [0]
    assert network.distances([answer], hr)[0] > 0
    (distance,) = network.distances([hr // 2], hr)
    assert network.distances([hr[..., 0]], hr[..., 0]) == [0]
    assert network.distances([hr // 2 * np.uint16(257)], hr) == pytest.approx([distance], rel=1e-5)
    assert network.distances([np.float32(hr // 2 / 255)], hr) == pytest.approx([distance], rel=1e-4)
    bright = np.float32(hr / 255 * 1.2)
    assert network.distances([bright], hr) == network.distances([bright.clip(0, 1)], hr)


def test_what_cannot_be_compared_is_refused(network, tmp_path):
    hr = picture(40, 52)
    for answer, border, message in (
        (hr[:-1], 0, r"the images differ in size: \(39, 52, 3\) and \(40, 52, 3\)"),
        (hr, 19, "a border of 19 leaves fewer than 4x4 of 40x52 pixels"),
        (hr, -1, "a border of -1 leaves"),
    ):
        with pytest.raises(ValueError, match=message):
            network.distances([answer], hr, border)
    with pytest.raises(ValueError, match=r"vgg19\.pth: VGG-19 is read from \.caffemodel or"):
        vgg.VGG19(tmp_path / "vgg19.pth")
    with pytest.raises(ValueError, match=r"gone\.safetensors is not a readable weights file"):
        vgg.VGG19(tmp_path / "gone.safetensors")
    short = vgg.VGG19(write_vgg(tmp_path / "short.safetensors", "conv3_3"))
    with pytest.raises(ValueError, match=r"last layer of short\.safetensors is conv3_3, but .* up to conv3_4"):
        short.distances([hr], hr)


def test_trainings_term_reads_the_same_file(network, tmp_path):
    term = VGG(write_vgg(tmp_path / "vgg.safetensors"))
    a, b = sr.to_tensor(picture(32, 32)), sr.to_tensor(picture(32, 32) // 2)
    assert isinstance(term, vgg.VGG19)
    assert float(term.distance(a, b)) == pytest.approx(float(network.distance(a, b)))
