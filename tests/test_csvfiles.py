"""CSV files: what is written comes back, and nobody meets half a file."""

import pytest
from csvfiles import PRINTED, PUBLISHED, REGISTRY, RESULTS, read_csv, write_csv


def test_rows_come_back(tmp_path):
    rows = [{"method": "SR-VAE-D", "psnr": "31.4"}, {"method": "one, two", "psnr": ""}]
    path = tmp_path / "rows.csv"
    write_csv(path, rows, ("method", "psnr"))
    assert read_csv(path) == rows
    assert path.read_bytes().startswith(b"method,psnr\nSR-VAE-D,31.4\n")


def test_a_missing_file_has_no_rows(tmp_path):
    assert read_csv(tmp_path / "none.csv") == []


def test_rows_of_different_columns_share_a_table(tmp_path):
    write_csv(tmp_path / "t.csv", [{"a": 1}, {"b": "x, y"}])
    assert read_csv(tmp_path / "t.csv") == [{"a": "1", "b": ""}, {"a": "", "b": "x, y"}]


def test_after_an_error_the_old_file_is_whole(tmp_path):
    path = tmp_path / "rows.csv"
    write_csv(path, [{"a": "1"}], ("a",))
    with pytest.raises(ValueError, match="'b'"):
        write_csv(path, [{"a": "2"}, {"b": "3"}], ("a",))
    assert read_csv(path) == [{"a": "1"}]
    assert list(tmp_path.iterdir()) == [path]


def test_the_shipped_files_are_there():
    assert all(read_csv(path) for path in (RESULTS, PUBLISHED, PRINTED, REGISTRY))
