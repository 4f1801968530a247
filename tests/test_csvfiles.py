"""CSV files: what is written comes back, and nobody meets half a file."""

import hashlib

import pytest

import srvae_core as sr
from srvae.csvfiles import PRINTED, PUBLISHED, REGISTRY, RESULTS, check_writable, read_csv, weights_version, write_csv


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


def test_a_link_stays_one(tmp_path):
    (tmp_path / "far").mkdir()
    link, file = tmp_path / "t.csv", tmp_path / "far" / "t.csv"
    try:
        link.symlink_to(file)
    except OSError:
        pytest.skip("links need rights here")
    write_csv(link, [{"a": 1}])
    assert link.is_symlink()
    assert read_csv(file) == read_csv(link) == [{"a": "1"}]


def test_after_an_error_the_old_file_is_whole(tmp_path):
    path = tmp_path / "rows.csv"
    write_csv(path, [{"a": "1"}], ("a",))
    with pytest.raises(ValueError, match="'b'"):
        write_csv(path, [{"a": "2"}, {"b": "3"}], ("a",))
    assert read_csv(path) == [{"a": "1"}]
    assert list(tmp_path.iterdir()) == [path]


DAMAGED = {
    b"a,b\n1,2,3\n": r"line 2 of .*t\.csv has 3 values for 2 columns",
    b"a,b\n1,2\n3\n": r"line 3 of .*t\.csv has 1 values for 2 columns",
    b'a,b\n1,"2\n': r"t\.csv is no CSV file that can be read",
    "a,b\n1,2\n".encode("utf-16"): r"t\.csv is no CSV file that can be read",
}


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_refused(content, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=DAMAGED[content]):
        read_csv(tmp_path / "t.csv")


def test_named_columns_and_a_whole_last_line_can_be_asked_for(tmp_path):
    path = tmp_path / "t.csv"
    for content in (b"a,b\n1,2\n", b"\xef\xbb\xbfa,b\r\n1,2\r\n"):
        path.write_bytes(content)
        assert read_csv(path, ("a", "b")) == [{"a": "1", "b": "2"}]
    for columns in (("b", "a"), ("a",), ("a", "b", "c")):
        with pytest.raises(ValueError, match=rf"must have the columns {','.join(columns)}, not a,b"):
            read_csv(path, columns)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="must have the columns a,b, not none"):
        read_csv(path, ("a", "b"))
    path.write_bytes(b"a,b\n1,2")
    with pytest.raises(ValueError, match="so it was cut short"):
        read_csv(path, ("a", "b"))
    assert read_csv(path) == [{"a": "1", "b": "2"}]


def test_any_text_comes_back(tmp_path):
    rows = [{"set": 'Кот, "пёс"', "image": "two\nlines\u2028three"}]
    write_csv(tmp_path / "t.csv", rows)
    assert read_csv(tmp_path / "t.csv", ("set", "image")) == rows
    assert "Кот" in (tmp_path / "t.csv").read_text(encoding="utf-8")


def test_what_cannot_be_written_is_said_in_time(tmp_path):
    (tmp_path / "file").touch()
    for path, message in (
        (tmp_path / "gone" / "t.csv", "there is no folder .*gone"),
        (tmp_path / "file" / "t.csv", "there is no folder .*file"),
        (tmp_path, "it is a folder"),
    ):
        with pytest.raises(OSError, match=message):
            check_writable(path)
    check_writable(tmp_path / "t.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_shipped_files_are_there():
    assert all(read_csv(path) for path in (RESULTS, PUBLISHED, PRINTED, REGISTRY))


def test_weights_are_named_by_the_beginning_of_their_digest(tmp_path):
    name = sr.available_models()[0]
    content = sr.weights_path(name).read_bytes()
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(content)
    assert weights_version(name) == weights_version(copy) == hashlib.sha256(content).hexdigest()[:8]
    copy.write_bytes(content + b" ")
    assert weights_version(copy) != weights_version(name)
    with pytest.raises(FileNotFoundError):
        weights_version("5x-D")
