"""Who does what: claims, counts and reports of a crew of one. Several processes are in test_enlarge_command.py."""

import pytest

from srvae.enlarging.sharing import Crew


def test_each_job_is_claimed_once():
    crew = Crew("cpu")
    crew.publish(["a", "b", "c"])
    assert crew.plan() == (3, "")
    assert [crew.claim(3), crew.claim(3)] == ["a", "b"]
    assert crew.unclaimed(3) == 1
    assert [crew.claim(3), crew.claim(3), crew.claim(3)] == ["c", None, None]
    assert crew.unclaimed(3) == 0
    crew.leave()


def test_problems_counts_and_failures():
    crew = Crew("cpu")
    crew.publish([], "there is nothing")
    assert crew.plan() == (0, "there is nothing")
    assert [crew.count("pixels", 5), crew.count("pixels", 7), crew.count("pixels", 0)] == [5, 12, 12]
    crew.fail("b Привет", "why")
    crew.fail("a", "because")
    assert crew.failures() == [("a", "because"), ("b Привет", "why")]
    assert (crew.processes, crew.main, crew.device.type) == (1, True, "cpu")


@pytest.mark.parametrize("device", ["cuda:99", "toaster", "meta:x"])
def test_no_such_device(device):
    with pytest.raises(ValueError, match=f"--device {device}: there is no such device here"):
        Crew(device)


def test_a_process_that_finds_no_others_does_not_do_their_work(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="one of 2 but is alone"):
        Crew("cpu")
