"""Comparisons: crops of every method, and the numbers beside them from data/crops.csv."""

from pathlib import Path

import matplotlib.pyplot as plt
import metrics
import numpy as np
import pytest
from benchmark_helpers import overlapping, titles
from benchmarks.sets import SHIPPED_REGISTRY, bundled
from csvfiles import read_csv, write_csv
from figures.comparison import EXCERPTS, Excerpt, compare, comparison
from figures.crops import CROP_COLUMNS, CROPS, identity, record

import srvae_core as sr

EXCERPT = Excerpt("Tiny", "coffee", "coffee", 8, 24, 32)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def models(shipped):
    """Scale -> the shipped models of that scale by name."""
    return {scale: {name: shipped(name) for name in sr.available_models(scale)} for scale in sr.SCALES}


@pytest.fixture(scope="module")
def hr(crops):
    return crops["coffee"][64:128, 64:160]


@pytest.fixture(scope="module")
def compared(models, hr, tmp_path_factory):
    """Scale -> the comparison of one 64x96 picture."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "Tiny").mkdir()
    sr.write_image(folder / "Tiny" / "coffee.png", hr)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRVAE_BENCHMARKS", str(folder))
        return {scale: compare(scale, excerpts=[EXCERPT], models=models[scale])[0] for scale in sr.SCALES}


@pytest.mark.parametrize("scale", [4, 8])
def test_comparison_shows_crops_of_every_method(scale, compared, models, hr, tmp_path):
    c, crops_file = compared[scale], tmp_path / "crops.csv"
    variants = {f"SR-VAE-{sr.ModelName.of(name).variant}": model for name, model in models[scale].items()}
    assert list(c.crops) == ["Bicubic", *variants, "sample", "HR"]
    assert np.array_equal(c.crops["HR"], hr[8:40, 24:56])
    up = sr.enlarge(sr.downscale(hr, scale), scale)
    assert np.array_equal(c.crops["Bicubic"], up[8:40, 24:56])
    assert c.psnr["Bicubic"] == pytest.approx(metrics.psnr_y(up[8:40, 24:56], hr[8:40, 24:56], 0))
    for name, model in variants.items():  # computed for the region alone, yet what the whole answer has there
        whole = sr.super_resolve(sr.downscale(hr, scale), model)[8:40, 24:56].astype(int)
        assert np.abs(c.crops[name] - whole).max() <= 1
    assert "Bicubic" in titles(comparison([c], crops_file))  # nothing measured yet
    record(c.rows, crops_file)
    fig = comparison([c], crops_file)
    assert len(titles(fig)) == 1 + len(c.crops)
    for row in c.rows:
        label = f"sample of {row['panel'][-1]}" if row["panel"].startswith("sample") else row["panel"]
        assert f"{label}, {float(row['value']):.2f} dB" in titles(fig)
    assert not overlapping(fig)
    for ax, crop in zip(fig.axes[1:], c.crops.values(), strict=True):
        assert np.array_equal(ax.images[0].get_array(), crop)
        assert ax.images[0].get_interpolation() == "nearest"


def test_comparison_adds_peers(models, hr, tmp_path, monkeypatch):
    for folder in (tmp_path / "sets" / "Tiny", tmp_path / "Tiny" / "x4"):
        folder.mkdir(parents=True)
        sr.write_image(folder / "coffee.png", hr)
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    peers = {"Peer": str(tmp_path)}
    four, eight = (
        compare(scale, peers=peers, excerpts=[EXCERPT], models=dict([*models[scale].items()][:1]))[0]
        for scale in (4, 8)
    )
    assert list(four.crops)[1] == "Peer"
    assert "Peer" not in eight.crops  # it has no answers at 8x
    assert four.psnr["Peer"] == np.inf
    assert any("Peer" in title for title in titles(comparison([four], tmp_path / "crops.csv")))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, r"x4.coffee\.png is missing"),
        (lambda path: path.write_bytes(b"no picture"), r"x4.coffee\.png"),
        (lambda path: sr.write_image(path, np.zeros((64, 92, 3), np.uint8)), "has 64x92 pixels, not 64x96"),
        (
            lambda path: sr.write_image(path.with_suffix(".bmp"), np.zeros((64, 96, 3), np.uint8)),
            "one answer to coffee",
        ),
    ],
    ids=["missing", "damaged", "another size", "two"],
)
def test_a_peers_wrong_answers_are_named_before_anything_is_computed(spoil, message, hr, tmp_path, monkeypatch):
    for folder in (tmp_path / "sets" / "Tiny", tmp_path / "Tiny" / "x4"):
        folder.mkdir(parents=True)
        sr.write_image(folder / "coffee.png", hr)
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    spoil(tmp_path / "Tiny" / "x4" / "coffee.png")
    with pytest.raises(ValueError, match=f"a comparison at 4x cannot be drawn: .*{message}"):
        compare(4, peers={"Peer": str(tmp_path)}, excerpts=[EXCERPT], models={"4x-D": None})


@pytest.mark.parametrize(
    "place", [(8, 24, 128), (40, 24, 32), (8, 72, 32), (-4, 24, 32), (8, 24, 0), (6, 24, 32)], ids=str
)
def test_an_excerpt_outside_its_picture_is_named(place, hr, tmp_path, monkeypatch):
    (tmp_path / "Tiny").mkdir()
    sr.write_image(tmp_path / "Tiny" / "coffee.png", hr)
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path))
    with pytest.raises(ValueError, match="of coffee must lie inside 64x96 pixels, in multiples of 4"):
        compare(4, excerpts=[Excerpt("Tiny", "coffee", "coffee", *place)], models={"4x-D": None})


def test_what_is_no_comparison_is_refused():
    for arguments in ((5,), (4, "typo")):
        with pytest.raises(ValueError, match=r"there is no comparison of \w+ at \dx: there are bundled at 4x; "):
            compare(*arguments)
    with pytest.raises(ValueError, match="at least one excerpt"):
        comparison([])


def test_a_damaged_file_of_numbers_is_refused_and_stays(tmp_path):
    path = tmp_path / "crops.csv"
    for text in ("", "figure,set\n", CROPS.read_text(encoding="utf-8")[:-5]):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"crops\.csv"):
            record([], path)
        assert path.read_text(encoding="utf-8") == text


def test_scenes_lie_inside_their_pictures():
    sets = SHIPPED_REGISTRY.sets()
    for (images, scale), excerpts in EXCERPTS.items():
        for s in excerpts:
            assert not any(n % scale for n in (s.top, s.left, s.edge))
            if images == "bundled":
                h, w = sr.crop_to_multiple(bundled(s.image), scale).shape[:2]
                assert 0 <= s.top <= h - s.edge
                assert 0 <= s.left <= w - s.edge
            else:
                assert any(r["image"] == f"{s.image}.png" for r in sets[s.dataset])


def test_numbers_beside_pictures_come_from_the_file(compared, tmp_path):
    c, crops_file = compared[4], tmp_path / "crops.csv"
    record(c.rows, crops_file)
    rows = read_csv(crops_file)
    assert tuple(rows[0]) == CROP_COLUMNS
    assert [r["panel"] for r in rows] == [c.recorded_name(name) for name in c.psnr]
    write_csv(crops_file, [r | {"value": "12.349"} for r in rows], CROP_COLUMNS)
    assert "Bicubic, 12.35 dB" in titles(comparison([c], crops_file))
    record(c.rows, crops_file)  # measured again, in their place
    assert read_csv(crops_file) == rows
    other = [r | {"version": "0.0+other", "value": "1"} for r in rows]
    write_csv(crops_file, other, CROP_COLUMNS)
    assert f"SR-VAE-{c.sampled[-1]}" in titles(comparison([c], crops_file))  # another model's numbers are not shown
    record([], crops_file)
    assert not read_csv(crops_file)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [4, 8])
def test_recorded_numbers_are_those_of_the_shipped_models(scale, models):
    figure = f"comparison_{scale}x"
    known = {identity(r): float(r["value"]) for r in read_csv(CROPS) if (r["figure"], r["set"]) == (figure, "bundled")}
    measured = [row for c in compare(scale, models=models[scale]) for row in c.rows]
    hint = f"run python notebooks/draw.py {figure}"
    assert known.keys() == {identity(row) for row in measured}, hint
    for row in measured:  # processors round differently, now and then by one grey level
        assert known[identity(row)] == pytest.approx(float(row["value"]), abs=0.03), hint
