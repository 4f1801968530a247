"""Texts written whole, and logs whose columns never shift."""

import pytest

from srvae.csvfiles import read_csv
from srvae.training.files import append_row, forget_rows, log_row, write_text


def test_columns_never_shift_whatever_is_missing_the_second_time(tmp_path, capsys):
    log = tmp_path / "log.csv"
    append_row(log, {"step": 1, "answer": 5.0, "vgg": 7.0, "psnr": 20.0})
    append_row(log, {"step": 2, "answer": 4.0, "psnr": 21.0})
    append_row(log, {"step": 3, "psnr": 22.0, "kl": 0.5, "answer": 3.0})
    assert log.read_text("utf-8") == "step,answer,vgg,psnr,kl\n1,5.0,7.0,20.0,\n2,4.0,,21.0,\n3,3.0,,22.0,0.5\n"
    assert "'psnr': 22.0" in capsys.readouterr().out
    log_row(log, {"step": 3, "psnr": 23.0})
    assert read_csv(log)[2:] == [{"step": "3", "answer": "3.0", "vgg": "", "psnr": "23.0", "kl": "0.5"}], "not twice"


def test_a_log_forgets_what_will_be_done_again(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("step,psnr\n10,1\n20,2\n30,3\n")
    forget_rows(log, 20)
    assert log.read_text("utf-8") == "step,psnr\n10,1\n20,2\n"
    forget_rows(log, 5)
    assert not log.exists()
    forget_rows(log, 5)
    assert read_csv(log) == []


def test_an_error_leaves_what_was_there(tmp_path):
    file = tmp_path / "file"
    write_text(file, "before")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "half of it \ud800")  # no character of any text file
    assert file.read_text("utf-8") == "before"
    assert list(tmp_path.iterdir()) == [file]
