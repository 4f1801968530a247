"""The benchmark of training: what it counts, and that it runs."""

from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import srvae_core as sr
from helpers import trainer
from srvae.training.config import Config
from srvae.training.speed import benchmark, flops_of, rate


def test_flops_are_those_of_forward_and_backward(tmp_path):
    run = trainer(tmp_path)
    batch = tuple(torch.rand(2, 3, 128, 128) for _ in range(2))
    net = sr.SRVAE(4, grid_generator=True)
    with FlopCounterMode(display=False) as forward:
        code = net.input_code(net.features(batch[0]))
        net.reconstruct(code, torch.zeros(2, 4, 32, 32), batch[0])
    # Backward twice the forward, but for the first layer, whose input needs no gradient.
    assert flops_of(run, batch) == pytest.approx(3 * forward.get_total_flops(), rel=0.03)


def test_rate_counts_calls():
    calls = []
    assert rate(partial(calls.append, 1), torch.device("cpu"), 0.05) > 100
    assert len(calls) > 4


@pytest.mark.slow  # the release's objective has 169 million parameters
def test_benchmark_has_a_row_for_each_stage(photograph_folder, capsys):
    config = Config(data=str(photograph_folder), batch=1, device="cpu", fp32=True, run="unused")
    rows = benchmark(config, seconds=0, edge=256)
    assert [row["stage"] for row in rows] == ["answer D", "latents D prior", "latents D release"]
    assert all(float(row["steps/s"]) > 0 for row in rows)
    text = capsys.readouterr().out
    assert "3 photographs" in text
    assert "bfloat16 matrix product of 256" in text
