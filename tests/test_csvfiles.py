"""CSV files: what is written comes back, and damaged files are rejected."""

import pytest

from srvae.csvfiles import PUBLISHED, REGISTRY, RELEASE_SCORES, RESULTS, check_writable, read_csv, write_csv


def test_any_text_comes_back(tmp_path):
    rows = [{"set": 'Кот, "пёс"', "image": "two\nlines\u2028three"}]
    write_csv(tmp_path / "t.csv", rows)
    assert read_csv(tmp_path / "t.csv") == rows
    assert read_csv(tmp_path / "none.csv") == []


def test_rows_of_different_columns_share_a_table(tmp_path):
    write_csv(tmp_path / "t.csv", [{"a": 1}, {"b": "x, y"}])
    assert (tmp_path / "t.csv").read_bytes() == b'a,b\n1,\n,"x, y"\n'
    assert read_csv(tmp_path / "t.csv") == [{"a": "1", "b": ""}, {"a": "", "b": "x, y"}]


@pytest.mark.parametrize("content", [b"a,b\n1,2,3\n", b"a,b\n1\n", b'a,b\n1,"2\n', "a,b\n1,2\n".encode("utf-16")])
def test_a_damaged_file_is_rejected(content, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"t\.csv is damaged"):
        read_csv(tmp_path / "t.csv")


def test_a_path_that_cannot_be_written_is_reported_early(tmp_path):
    for path in (tmp_path / "gone" / "t.csv", tmp_path):
        with pytest.raises(OSError, match=r"gone|folder"):
            check_writable(path)
    check_writable(tmp_path / "t.csv")
    assert not list(tmp_path.iterdir())


def test_the_shipped_files_are_there():
    assert all(read_csv(path) for path in (RESULTS, PUBLISHED, RELEASE_SCORES, REGISTRY))
