"""CSV files: what is written comes back, and nobody meets half a file."""

import pytest

from srvae.csvfiles import (
    PRINTED,
    PUBLISHED,
    REGISTRY,
    RESULTS,
    InUseError,
    check_writable,
    only_writer,
    read_csv,
    write_csv,
)


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


def test_a_file_has_one_writer(tmp_path):
    path = tmp_path / "t.csv"
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "alias.csv").symlink_to(path)
    with only_writer(path):
        for same in (path, tmp_path / "link" / "t.csv", tmp_path / "alias.csv"):
            with pytest.raises(InUseError, match=r"t\.csv is written by another process"), only_writer(same):
                pass
        with only_writer(tmp_path / "other.csv"):
            pass
    for _ in range(2):  # and leaves it to the next, after an error as well
        with pytest.raises(KeyError), only_writer(path):
            raise KeyError
    assert sorted(file.name for file in tmp_path.iterdir()) == ["alias.csv", "link"]


def test_the_shipped_files_are_there():
    assert all(read_csv(path) for path in (RESULTS, PUBLISHED, PRINTED, REGISTRY))
