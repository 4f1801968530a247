"""The drawing of the network: every layer, with the shape of the live model."""

import matplotlib.pyplot as plt
import pytest
import torch

import srvae_core as sr
from benchmark_helpers import overlapping, texts
from srvae.figures.network import network


@pytest.mark.parametrize("scale", [4, 8])
def test_network_shows_every_layer_with_its_live_shape(scale):
    fig = network(scale)
    boxes = [t.split("\n") for t in texts(fig)]
    shown = {b[0]: b for b in boxes}
    shapes = {}
    with torch.device("meta"):  # shapes need no numbers
        net = sr.SRVAE(scale)
        up, z = torch.empty(1, 3, 128, 128), torch.empty(1, 1024)
    for name, module in net.named_children():
        module.register_forward_hook(lambda _, __, y, name=name: shapes.__setitem__(name, tuple(y.shape[1:])))
    net.generator(up)
    net(up, z)
    for layer in sr.release_layers(scale, encoder=True):
        unit = layer.name[-3:] in ("_s2", "_s3")  # drawn as one box
        if layer.kind != "prelu" and not unit and layer.name != "SR_res":
            assert layer.name in shown, layer.name
            if layer.name in shapes:
                assert shown[layer.name][-1] == "×".join(map(str, shapes[layer.name]))
    for s in range(1, net.units + 1):
        assert shown[f"unit {s}"][-1] == "×".join(map(str, shapes[f"relu_output_SR_s{s}"]))
    assert f"unit {net.units + 1}" not in shown
    assert any("2×2 max pool" in b for b in boxes) == (scale == 4)
    assert not overlapping(fig)
    plt.close(fig)
