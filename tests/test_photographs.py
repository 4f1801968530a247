"""Photographs to train on, from a folder or a pack."""

import numpy as np
import pytest
import skimage.data

import srvae_core as sr
from helpers import train_here
from srvae import images
from srvae.csvfiles import write_csv
from srvae.training.pack import write_pack
from srvae.training.patches import held_out_patches
from srvae.training.photographs import HELD_OUT, load_photographs


@pytest.fixture
def folder(tmp_path):
    """As many photographs as it takes to hold two out, with their sources; every second one has a plain half."""
    root, image, rows = tmp_path / "folder", skimage.data.coffee(), []
    (root / "sub").mkdir(parents=True)
    for i in range(HELD_OUT + 2):
        crop = image[4 * i : 4 * i + 150, 5 * i : 5 * i + 300].copy()
        if i % 2:
            crop[:, :130] = 128
        name = f"sub/{i:03d}.{'bmp' if i == HELD_OUT else 'png'}"
        images.write(root / name, crop)
        rows.append({"file": name, "source": f"source {i % 3}", "licence": "CC0"})
    write_csv(root / "sources.csv", rows)
    return root


def test_photographs_are_cropped_and_downscaled(folder):
    for scale in (4, 8):
        loaded = load_photographs(folder, scale)
        assert loaded.names[0] == "sub/000.png"
        for name, hr, lr in zip(loaded.names, loaded.hr, loaded.lr, strict=True):
            assert hr.shape == (144, 296, 3)
            assert np.array_equal(hr, images.read(folder / name)[:144, :296])
            assert np.array_equal(lr, sr.downscale(hr, scale))
    assert loaded.sources == [{"photographs": 14, "source": f"source {i}", "licence": "CC0"} for i in range(3)]


def test_unusable_photographs_are_named_and_left_out(folder, capsys):
    usual = load_photographs(folder, 4).names
    (folder / "._0.png").write_bytes(b"what macOS writes beside a file")
    (folder / "notes.txt").write_text("no photograph")
    (folder / "torn.jpg").write_bytes(b"\xff\xd8 cut short")
    images.write(folder / "small.png", np.zeros((100, 300, 3), np.uint8))
    assert load_photographs(folder, 4).names == usual
    said = capsys.readouterr().out
    assert "left out: small.png is smaller than a patch, 128x128 pixels" in said
    assert "left out: torn.jpg" in said
    for i in range(3):
        (folder / f"torn{i}.jpg").write_bytes(b"\xff\xd8 cut short")
    with pytest.raises(ValueError, match="5 of 47 photographs in"):
        load_photographs(folder, 4)


def test_a_pack_keeps_its_size_the_held_out_ones_and_the_detail(folder, tmp_path, capsys):
    pack = tmp_path / "pack"
    write_pack(folder, tmp_path / "whole")
    limit = 0.8 * (tmp_path / "whole").stat().st_size
    train_here("pack", folder, pack, "--megabytes", limit / 1e6)
    assert f"{HELD_OUT + 2} photographs, " in capsys.readouterr().out
    assert 0.9 * limit < pack.stat().st_size <= limit
    a, b = load_photographs(folder, 4), load_photographs(pack, 4)
    assert b.sources == a.sources
    for name, t in held_out_patches(a).items():
        assert t.equal(held_out_patches(b)[name])
    for photograph, hr in list(zip(a.hr, b.hr, strict=True))[1:HELD_OUT:2]:
        assert min(hr.shape[:2]) >= sr.PATCH
        assert (hr[:, 0] != 128).any(), "the plain half is left out first"
        assert hr.size < photograph.size
    write_pack(folder, tmp_path / "again", megabytes=limit / 1e6)
    assert (tmp_path / "again").read_bytes() == pack.read_bytes()
    with pytest.raises(ValueError, match="do not hold a patch of each"):
        write_pack(folder, pack, megabytes=0.01)
    assert (tmp_path / "again").read_bytes() == pack.read_bytes()
    pack.write_bytes(pack.read_bytes()[: int(limit / 2)])
    with pytest.raises(ValueError, match="neither a folder nor a pack"):
        load_photographs(pack, 4)
