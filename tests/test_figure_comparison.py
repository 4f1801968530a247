"""Comparisons: crops of every method, and the numbers beside them from data/crops.csv."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import srvae_core as sr
from benchmark_helpers import cut_off, overlapping, texts
from srvae import images, metrics
from srvae.benchmarks.sets import SHIPPED_REGISTRY, bundled
from srvae.csvfiles import read_csv, write_csv
from srvae.figures import comparison as module
from srvae.figures.comparison import EXCERPTS, HERO, SEED, Excerpt, compare, comparison, hero
from srvae.figures.crops import CROP_COLUMNS, CROPS, identity, record
from srvae.figures.results import best_sample
from srvae.figures.style import FIGURES

EXCERPT = Excerpt("Tiny", "coffee", "a spoon", 8, 24, 32)
SAMPLE = "SR-VAE-D", 0.6  # of which comparisons in these tests are


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
    images.write(folder / "Tiny" / "coffee.png", hr)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRVAE_BENCHMARKS", str(folder))
        return {
            scale: compare(scale, excerpts=[EXCERPT], models=models[scale], sample=SAMPLE)[0] for scale in sr.SCALES
        }


@pytest.mark.parametrize("scale", [4, 8])
def test_comparison_shows_crops_of_every_method(scale, compared, models, hr):
    c = compared[scale]
    variants = {f"SR-VAE-{name.partition('x-')[2]}": model for name, model in models[scale].items()}
    assert list(c.crops) == ["Bicubic", *variants, "sample", "HR"]
    assert np.array_equal(c.crops["HR"], hr[8:40, 24:56])
    up = sr.enlarge(sr.downscale(hr, scale), scale)
    assert np.array_equal(c.crops["Bicubic"], up[8:40, 24:56])
    assert c.psnr["Bicubic"] == pytest.approx(metrics.psnr_y(up[8:40, 24:56], hr[8:40, 24:56], 0))
    for name, model in variants.items():  # computed for the region alone, yet what the whole answer has there
        whole = sr.super_resolve(sr.downscale(hr, scale), model)[8:40, 24:56].astype(int)
        assert np.abs(c.crops[name] - whole).max() <= 1
    sampler = sr.Sampler(models[scale][f"{scale}x-D"], sr.downscale(hr, scale))
    assert np.abs(c.crops["sample"] - sampler(SEED, 0.6)[8:40, 24:56].astype(int)).max() <= 1
    assert np.array_equal(c.lr[:scale, :scale], np.broadcast_to(c.lr[0, 0], (scale, scale, 3)))
    assert np.array_equal(
        c.lr[::scale, ::scale], sr.downscale(hr, scale)[8 // scale : 40 // scale, 24 // scale : 56 // scale]
    )


@pytest.mark.parametrize("scale", [4, 8])
def test_a_comparison_names_temperatures_and_recorded_numbers(scale, compared, models, tmp_path):
    c, crops_file = compared[scale], tmp_path / "crops.csv"
    assert not [text for text in texts(comparison([c], crops_file)) if "dB" in text]  # nothing measured yet
    record(c.rows, crops_file)
    fig = comparison([c], crops_file)
    shown = texts(fig)
    for row in c.rows:
        assert f"{float(row['value']):.2f} dB" in shown
    own = {f"SR-VAE-{name.partition('x-')[2]}": model.temperature for name, model in models[scale].items()}
    for name, temperature in {**own, "sample of SR-VAE-D": 0.6}.items():
        assert shown[shown.index(name) + 1] == f"temperature {temperature:g}"
    assert shown[-1] == "a spoon"
    for ax, crop in zip(fig.axes[1:], c.crops.values(), strict=True):
        assert np.array_equal(ax.images[0].get_array(), crop)
        assert ax.images[0].get_interpolation() == "nearest"


def test_comparison_adds_peers(models, hr, tmp_path, monkeypatch):
    for folder in (tmp_path / "sets" / "Tiny", tmp_path / "Tiny" / "x4"):
        folder.mkdir(parents=True)
        images.write(folder / "coffee.png", hr)
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    peers = {"Peer": str(tmp_path)}
    four, eight = (
        compare(scale, peers=peers, excerpts=[EXCERPT], models=dict([*models[scale].items()][:1]), sample=SAMPLE)[0]
        for scale in (4, 8)
    )
    assert list(four.crops)[1] == "Peer"
    assert "Peer" not in eight.crops  # it has no answers at 8x
    assert four.psnr["Peer"] == np.inf
    assert "Peer" in texts(comparison([four], tmp_path / "crops.csv"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, r"x4.coffee\.png is missing"),
        (lambda path: path.write_bytes(b"no picture"), r"x4.coffee\.png"),
        (lambda path: images.write(path, np.zeros((64, 92, 3), np.uint8)), "has 64x92 pixels, not 64x96"),
        (
            lambda path: images.write(path.with_suffix(".bmp"), np.zeros((64, 96, 3), np.uint8)),
            "one answer to coffee",
        ),
    ],
    ids=["missing", "damaged", "another size", "two"],
)
def test_a_peers_wrong_answers_are_named_before_anything_is_computed(spoil, message, hr, tmp_path, monkeypatch):
    for folder in (tmp_path / "sets" / "Tiny", tmp_path / "Tiny" / "x4"):
        folder.mkdir(parents=True)
        images.write(folder / "coffee.png", hr)
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path / "sets"))
    spoil(tmp_path / "Tiny" / "x4" / "coffee.png")
    with pytest.raises(ValueError, match=f"a comparison at 4x cannot be drawn: .*{message}"):
        compare(4, peers={"Peer": str(tmp_path)}, excerpts=[EXCERPT], models={"4x-D": None})


@pytest.mark.parametrize(
    "place", [(8, 24, 128), (40, 24, 32), (8, 72, 32), (-4, 24, 32), (8, 24, 0), (6, 24, 32)], ids=str
)
def test_an_excerpt_outside_its_picture_is_named(place, hr, tmp_path, monkeypatch):
    (tmp_path / "Tiny").mkdir()
    images.write(tmp_path / "Tiny" / "coffee.png", hr)
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
    for (kind, scale), excerpts in EXCERPTS.items():
        for s in excerpts:
            assert not any(n % scale for n in (s.top, s.left, s.edge))
            if kind == "bundled":
                h, w = metrics.crop_to_multiple(bundled(s.image), scale).shape[:2]
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
    assert texts(comparison([c], crops_file)).count("12.35 dB") == len(c.psnr)
    record(c.rows, crops_file)  # measured again, in their place
    assert read_csv(crops_file) == rows
    other = [r | {"version": "0.0+other", "value": "1"} for r in rows]
    write_csv(crops_file, other, CROP_COLUMNS)
    assert "12.35 dB" not in texts(comparison([c], crops_file))  # another model's numbers are not shown
    record([], crops_file)
    assert not read_csv(crops_file)


@pytest.fixture
def quick_hero(models, hr, tmp_path, monkeypatch):
    """The hero figure with a small photograph in the place of each of its own."""
    (tmp_path / "Tiny").mkdir()
    images.write(tmp_path / "Tiny" / "coffee.png", hr)
    monkeypatch.setenv("SRVAE_BENCHMARKS", str(tmp_path))

    def quick(scale, *, excerpts):
        return compare(scale, excerpts=[EXCERPT for _ in excerpts], models=models[scale])

    monkeypatch.setattr(module, "compare", quick)
    return hero()


def test_hero_shows_what_a_newcomer_compares(quick_hero, models):
    words = texts(quick_hero)
    samples = {scale: best_sample(scale) for scale in sr.SCALES}
    for scale, (variant, temperature) in samples.items():
        assert f"{scale}x smaller" in words
        place, own = words.index(f"{scale}x smaller") - 1, models[scale][f"{scale}x-D"].temperature
        assert words[place::2][:5] == ["low resolution", "Bicubic", "SR-VAE-D", f"sample of {variant}", "original"]
        assert words[place + 1 :: 2][2:4] == [f"temperature {t:g}" for t in (own, temperature)]
    assert [len(ax.images) for ax in quick_hero.axes] == [0] + [1] * 5 * sum(map(len, HERO.values()))
    assert set(HERO) == set(sr.SCALES)


@pytest.mark.parametrize("name", ["hero", "comparison_4x", "comparison_8x"])
def test_shipped_pictures_hold_the_originals_at_true_pixels(name):
    pixels = np.rint(255 * plt.imread(FIGURES / f"{name}.png")).astype(np.uint8)[..., :3]
    assert pixels.shape[1] <= 838  # what a README shows without making it smaller
    scales = sr.SCALES if name == "hero" else [int(name[-2])]
    for scale in scales:
        for e in EXCERPTS["bundled", scale]:
            if name == "hero" and e.image not in HERO[scale]:
                continue
            assert e.edge >= 160
            crop = bundled(e.image)[e.top :, e.left :][: e.edge, : e.edge]
            corners = np.argwhere((pixels[: 1 - e.edge, : 1 - e.edge] == crop[0, 0]).all(-1))
            found = [np.array_equal(pixels[y : y + e.edge, x : x + e.edge], crop) for y, x in corners]
            assert any(found), f"{e.image} is not in {name}.png: run srvae draw {name}"


@pytest.mark.slow
@pytest.mark.parametrize("scale", [4, 8])
def test_recorded_numbers_are_those_of_the_shipped_models(scale, models):
    figure = f"comparison_{scale}x"
    known = {identity(r): float(r["value"]) for r in read_csv(CROPS) if (r["figure"], r["set"]) == (figure, "bundled")}
    compared = compare(scale, models=models[scale])
    fig = comparison(compared)
    assert not overlapping(fig)
    assert not cut_off(fig, compared[0].excerpt.edge)
    measured = [row for c in compared for row in c.rows]
    hint = f"run srvae draw {figure}"
    assert known.keys() == {identity(row) for row in measured}, hint
    for row in measured:  # processors round differently, now and then by one grey level
        assert known[identity(row)] == pytest.approx(float(row["value"]), abs=0.03), hint
