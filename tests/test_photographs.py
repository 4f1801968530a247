"""Photographs to train on: folders with what people have in them, and packs."""

import csv
import io
import os
import zipfile

import numpy as np
import pytest
import skimage.data

import srvae_core as sr
from srvae import images
from srvae.training.packing import detail_map, most_detailed_window, write_pack
from srvae.training.patches import Patches, held_out_patches
from srvae.training.photographs import HELD_OUT, load_photographs


@pytest.fixture
def folder(tmp_path):
    """Eleven small photographs, one of them in a subfolder."""
    root = tmp_path / "photographs"
    (root / "b").mkdir(parents=True)
    image = skimage.data.astronaut()
    for i in range(10):
        images.write(root / f"{i}.png", np.ascontiguousarray(image[20 * i : 20 * i + 150, 30 * i : 30 * i + 170]))
    images.write(root / "b" / "last.png", np.ascontiguousarray(image[:160, :160]))
    return root


@pytest.fixture
def many(tmp_path):
    """As many photographs as it takes to hold two out, with their sources; some have a plain half."""
    root = tmp_path / "many"
    root.mkdir()
    image = skimage.data.coffee()
    rows = []
    for i in range(HELD_OUT + 2):
        crop = image[4 * i : 4 * i + 200, 5 * i : 5 * i + 300].copy()
        if i % 2:
            crop[:, :130] = 128
        name = f"{i:03d}.{'bmp' if i == HELD_OUT else 'png'}"
        images.write(root / name, crop)
        rows.append({"file": name, "source": f"source {i % 3}", "licence": "CC0"})
    with (root / "sources.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return root


def test_lr_images_are_the_models_whatever_the_threads(folder):
    for scale in (4, 8):
        one, several = (load_photographs(folder, scale, threads) for threads in (1, 4))
        assert one.names == several.names == [*(f"{i}.png" for i in range(10)), "b/last.png"]
        for hr, a, b in zip(one.hr, one.lr, several.lr, strict=True):
            assert hr.shape[0] % 8 == hr.shape[1] % 8 == 0
            assert np.array_equal(a, sr.downscale(hr, scale))
            assert np.array_equal(a, b)


def test_what_is_no_photograph_is_passed_over_or_named(folder, tmp_path, capsys):
    usual = load_photographs(folder, 4).names
    (folder / "._0.png").write_bytes(b"what macOS writes beside a file")
    (folder / ".hidden").mkdir()
    images.write(folder / ".hidden" / "x.png", skimage.data.astronaut())
    (folder / "named like one.png").mkdir()
    (folder / "notes.txt").write_text("no photograph")
    assert load_photographs(folder, 4).names == usual
    (folder / "torn.jpg").write_bytes(b"\xff\xd8 cut short")
    assert load_photographs(folder, 4).names == usual  # one of twelve
    assert "torn.jpg is no image" in capsys.readouterr().out
    for size in ((100, 300), (5, 5)):
        images.write(folder / "small.png", np.zeros((*size, 3), np.uint8))
        with pytest.raises(ValueError, match=r"2 of 13 photographs .* cannot be used"):
            load_photographs(folder, 4)
        assert "small.png is smaller than a patch, 128x128" in capsys.readouterr().out


def test_linked_folders_are_searched_once(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    images.write(elsewhere / "far.png", skimage.data.coffee())
    os.symlink(elsewhere, folder / "link")
    os.symlink(folder, elsewhere / "circle")
    names = load_photographs(folder, 4).names
    assert names.count("link/far.png") == 1
    assert len(names) == 12


def test_pipes_and_links_to_nowhere_are_left_out(many, capsys):
    pipes = [os.mkfifo] if hasattr(os, "mkfifo") else []  # Windows has none
    for make in pipes:
        make(many / "pipe.jpg")  # whoever opened it would wait for ever
    os.symlink(many / "nowhere", many / "link.png")
    assert len(load_photographs(many, 4)) == HELD_OUT + 2
    said = capsys.readouterr().out
    assert "left out: link.png is no file" in said
    assert said.count("left out: pipe.jpg is no file") == len(pipes)


def test_no_photographs(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither a folder of photographs nor a pack"):
        load_photographs(tmp_path / "nowhere", 4)
    with pytest.raises(ValueError, match="less than two photographs"):
        load_photographs(tmp_path, 4)
    (tmp_path / "text").write_text("no pack")
    with pytest.raises(ValueError, match="text is no pack of photographs"):
        load_photographs(tmp_path / "text", 4)
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("index.csv", "file\nbomb.png\n")
        pack.writestr("bomb.png", bytes(50_000_000))
    with pytest.raises(ValueError, match=r"bomb is no pack of photographs, or damaged: it would unpack to far more"):
        load_photographs(tmp_path / "bomb", 4)


def test_a_lossless_pack_gives_the_folders_patches(many, tmp_path):
    figures = write_pack(many, tmp_path / "pack", lossless=True)
    assert figures["share"] == 1
    for scale in (4, 8):
        a, b = (load_photographs(source, scale) for source in (many, tmp_path / "pack"))
        assert a.digest == b.digest
        assert a.sources == b.sources
        assert sum(source["photographs"] for source in b.sources) == len(a)
        for part in ("for_training", "held_out"):
            x, y = (Patches(getattr(p, part), 8, candidates=2, seed=3)(5) for p in (a, b))
            assert (x.up == y.up).all()
            assert (x.hr == y.hr).all()


def test_a_pack_keeps_its_size_the_held_out_and_the_detail(many, tmp_path):
    pack = tmp_path / "pack"
    whole = write_pack(many, tmp_path / "whole")["megabytes"]
    limit = 0.8 * whole
    figures = write_pack(many, pack, megabytes=limit)
    assert figures["photographs"] == HELD_OUT + 2
    assert 0.9 * limit < pack.stat().st_size / 1e6 <= limit
    assert 0.2 < figures["share"] < 1
    a, b = load_photographs(many, 4), load_photographs(pack, 4)
    for x, y in zip(held_out_patches(a), held_out_patches(b), strict=True):
        assert (x is y is None) or (x == y).all()
    with zipfile.ZipFile(pack) as opened:
        rows = list(csv.DictReader(io.StringIO(opened.read("index.csv").decode())))
        assert [int(row["held_out"]) for row in rows] == [int(i % HELD_OUT == 0) for i in range(len(rows))]
        assert opened.read(rows[HELD_OUT]["file"]) == (many / f"{HELD_OUT:03d}.bmp").read_bytes()
        first = opened.read(rows[1]["file"])
    assert first[:2] == b"\xff\xd8"
    factors = first[first.index(b"\xff\xc0") + 11 :: 3][:3]  # of the three components, in the frame header
    assert set(factors) == {0x11}, "colours at full resolution, 4:4:4"
    assert {row["source"] for row in rows} == {"source 0", "source 1", "source 2"}
    plain = [int(row["left"]) for row in rows[1::2]]
    assert min(plain) > 0, "the plain left half is what is left out first"
    again = tmp_path / "again"
    write_pack(many, again, megabytes=limit)
    assert again.read_bytes() == pack.read_bytes()


def test_a_pack_that_cannot_hold_a_patch_of_each(many, tmp_path):
    with pytest.raises(ValueError, match="do not hold a patch of each"):
        write_pack(many, tmp_path / "pack", megabytes=0.01)
    assert not list(tmp_path.glob("pack*"))


@pytest.mark.parametrize("size", [(128, 128), (136, 200), (500, 333), (1000, 240)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_windows_lie_inside_and_hold_a_patch(size, share):
    rng = np.random.default_rng(0)
    image = np.full((*size, 3), 90, np.uint8)
    y, x = size[0] * 2 // 3, size[1] * 2 // 3
    image[y : y + 30, x : x + 30] = rng.integers(0, 255, image[y : y + 30, x : x + 30].shape)
    top, left, height, width = most_detailed_window(detail_map(image), size, share)
    assert min(height, width) >= 128
    assert 0 <= top <= y + 15 < top + height <= size[0]
    assert 0 <= left <= x + 15 < left + width <= size[1]
    if share == 1:
        assert (height, width) == size
