"""From a run to a weights file, and to a row of a table of runs."""

from __future__ import annotations

from pathlib import Path

import srvae_core as sr
from srvae.csvfiles import Row, read_csv, write_csv

from .config import Config
from .objective import PatchModel
from .patches import held_out_patches
from .photographs import load_photographs
from .train import LOG, averaged, lacks_latents, read_checkpoint, usual_defaults
from .validation import judge
from .weights import save_model


def export(
    run: str | Path, name: str, folder: Path = sr.WEIGHTS, *, base: str = "", rank: int = 16, temperature: float = 0.0
) -> Path:
    """Write a run's averaged weights as SR_VAE_<name>.safetensors, and its log as curves/<name>.csv.

    Args:
        run: its folder.
        name: of the model, such as "4x-D".
        folder: where to write.
        base, rank: see :func:`weights.save_model`.
        temperature: the model's default temperature.

    Raises:
        FileNotFoundError: there is no such run or base, or the run has no checkpoint yet.
        ValueError: the name does not fit the run's scale, the checkpoint is damaged, or weights are not finite.
    """
    run = Path(run)
    state = read_checkpoint(run)
    scale = state["config"]["scale"]
    if name not in (f"{scale}x-D", f"{scale}x-P"):
        raise ValueError(f"the name must be {scale}x-D or {scale}x-P, not {name!r}")
    sr.noise_generator(0, temperature)  # raises ValueError for a temperature out of range
    net = averaged_network(state)
    rows = read_csv(run / LOG)
    notes = {"temperature": temperature, "variant": name[-1], "history": state["history"], "sources": state["sources"]}
    path = folder / f"SR_VAE_{name}.safetensors"
    (folder / "curves").mkdir(parents=True, exist_ok=True)
    save_model(net, path, base=base, rank=rank, **notes, validation=rows[-1] if rows else {})
    write_csv(folder / "curves" / f"{name}.csv", curve(run, state["config"]))
    return path


@usual_defaults()
def averaged_network(state: dict) -> sr.SRVAE:
    """Build the network of a checkpoint with its averaged weights."""
    config = Config(**state["config"])
    net = sr.SRVAE(config.scale, encoder=config.has_encoder, grid_generator=True)
    net.load_state_dict(averaged(state), strict=False)  # a checkpoint lacks GridLinear's constants
    return net


def curve(run: Path, config: dict) -> list[Row]:
    """Return the rows of a run's log, after those of the run or weights file that it started from."""
    initial, earlier = Path(config["initial"]), []
    if config["initial"] and initial.is_dir():
        earlier = curve(initial, read_checkpoint(initial)["config"])
    elif config["initial"]:
        earlier = read_csv(initial.parent / "curves" / f"{initial.stem.removeprefix('SR_VAE_')}.csv")
    mine = {"run": run.name, "scale": str(config["scale"]), "stage": config["stage"]}
    return [*earlier, *(mine | row for row in read_csv(run / LOG))]


def judge_run(run: str | Path, table: Path) -> Row:
    """Add a row to a CSV file: a run's averaged weights on held-out patches, without back-projection.

    They are judged at z = 0, at the prior, and at the draw of the release's deploy nets (sd ~ N(0, 1)).

    Raises:
        FileNotFoundError, ValueError: as for :func:`export`; the run's photographs are missing or unusable.
    """
    run = Path(run)
    state = read_checkpoint(run)
    config, net = Config(**state["config"]), averaged_network(state)
    untrained = lacks_latents(net)
    draws = {"": 0.0} | ({} if untrained else {"_prior": sr.PRIOR_SD, "_deploy": 1.0})
    row = {"run": run.name, "scale": config.scale, "latents": "none" if untrained else config.stage}
    held_out = held_out_patches(load_photographs(config.data, config.scale))
    row |= {"steps": state["step"]} | judge(PatchModel(net), held_out, draws, consistency=False)
    write_csv(table, [*read_csv(table), row])
    return row
