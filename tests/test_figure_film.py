"""The moving picture of the view: what is done in it, how it is recorded and written."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from srvae.figures import cli, film
from srvae.figures.style import FIGURES
from srvae.viewer import animation, browser

SECONDS = (8, 14)
RATES = (10, 12)


def opened(path):
    """Of an animated file: its size, its frames' milliseconds and its first and last frame."""
    with Image.open(path) as picture:
        frames, times = [], []
        for i in range(picture.n_frames):
            picture.seek(i)
            frames.append(np.asarray(picture.convert("RGB")))
            times.append(picture.info["duration"])
        return SimpleNamespace(
            size=picture.size, times=times, first=frames[0], last=frames[-1], loop=picture.info["loop"]
        )


class FakeTab:
    """A page that notes what is done to it; its pictures are all of one colour, and its slider goes from 0 to 10."""

    def __init__(self):
        self.heard, self.frames = [], 0
        self.mouse = SimpleNamespace(
            move=lambda x, y: self.heard.append(("move", x, y)),
            down=lambda: self.heard.append("down"),
            up=lambda: self.heard.append("up"),
            click=lambda x, y: self.heard.append(("click", x, y)),
            wheel=lambda x, y: self.heard.append(("wheel", y)),
        )
        self.keyboard = SimpleNamespace(
            down=lambda key: self.heard.append(f"{key} down"), up=lambda key: self.heard.append(f"{key} up")
        )

    def locator(self, _):
        return self

    def get_by_role(self, *_, **__):
        return self

    def nth(self, _):
        return self

    def bounding_box(self):
        return {"x": 100, "y": 50, "width": 200, "height": 100}

    def get_attribute(self, name):
        return {"min": "0", "max": "10"}.get(name, "frame 7")

    def input_value(self):
        return "2"

    def wait_for_timeout(self, _):
        pass

    def evaluate(self, script, argument=None):
        if script == film.PLACED:
            self.heard.append(("shown", *argument))

    def screenshot(self, clip):
        data = io.BytesIO()
        Image.new("RGBA", (clip["width"], clip["height"]), "#804020").save(data, "png")
        return data.getvalue()


@pytest.fixture
def hand(monkeypatch):
    """A hand on a page that is none."""
    monkeypatch.setattr(film, "UNCHANGED", 0)
    monkeypatch.setattr(browser, "at_rest", lambda tab: tab.heard.append("at rest"))
    return film.Hand(FakeTab(), {"x": 90, "y": 40, "width": 60, "height": 30})


def test_the_script_ends_where_it_began_and_lets_go_of_everything():
    assert film.SCRIPT[0].to == film.SCRIPT[-1].to == film.HOME
    done = [act for step in film.SCRIPT for act in step.done]
    drags = [act for act in done if act in ("press", "release")]
    assert drags == ["press", "release"] * (len(drags) // 2)
    keys = [act for act in done if "Shift" in act]
    assert keys == ["Shift", "let go of Shift"]
    assert sum(step.wheel * step.frames for step in film.SCRIPT) == 0
    reset = film.SCRIPT.index(next(step for step in film.SCRIPT if step.to.name == "Reset"))
    assert not [step for step in film.SCRIPT[reset + 1 :] if step.to.kind == "slider" or step.wheel]


def test_the_script_shows_what_the_view_can_do():
    def at(kind, name):
        return [step.to.at for step in film.SCRIPT if (step.to.kind, step.to.name) == (kind, name)]

    shares = [x for x, _ in at("picture", "")]
    assert min(shares) < 0.1
    assert max(shares) > 0.8
    assert at("slider", film.SAMPLE) == [None, 1, 2, 3]
    assert [step.done for step in film.SCRIPT if step.to.name == "Re-roll"] == [("click",)] * 2
    assert [step for step in film.SCRIPT if step.wheel < 0]


def test_the_script_is_as_long_as_a_reader_waits():
    assert SECONDS[0] <= film.frames_of(film.SCRIPT) / film.RATE <= SECONDS[1]
    assert RATES[0] <= film.RATE <= RATES[1]
    assert all(step.frames >= 1 for step in film.SCRIPT)


def test_a_way_is_slow_at_both_ends_and_arrives():
    way = film.eased(10, 20, 5)
    steps = np.diff([10, *way])
    assert way[-1] == 20
    assert steps.argmax() == 2
    assert steps == pytest.approx(steps[::-1])
    assert film.eased(3, 3, 2) == [3, 3]
    assert film.eased(5, 1, 1) == [1]


def test_a_hand_does_what_the_script_says(hand):
    script = (
        film.Step(film.on_picture(0.5, 0.2), 2, ("Shift", "press")),
        film.Step(film.on_picture(0.8, 0.7), 1, ("release", "let go of Shift"), hold=3),
        film.Step(film.Place("button", "Re-roll"), 1, ("click",), hold=1),
        film.Step(film.on_picture(0, 0), 1, wheel=-30),
    )
    frames = list(hand.play(script))
    assert len(frames) == film.frames_of(script) == 9
    assert {frame.shape for frame in frames} == {(30, 60, 3)}
    assert (frames[0] == (0x80, 0x40, 0x20)).all()
    assert hand.tab.heard == [
        ("move", 145, 55),
        ("shown", 145, 55, False, ""),
        ("move", 200, 70),
        "Shift down",
        "down",
        ("shown", 200, 70, True, "Shift"),
        ("move", 260, 120),
        "up",
        "Shift up",
        ("shown", 260, 120, False, ""),
        "at rest",
        ("shown", 260, 120, False, ""),
        ("move", 200, 100),
        ("click", 200, 100),
        ("shown", 200, 100, True, ""),
        "at rest",
        ("shown", 200, 100, False, ""),
        ("move", 100, 50),
        ("wheel", -30),
        ("shown", 100, 50, False, ""),
    ]


def test_a_slider_is_dragged_from_its_handle_by_the_length_of_its_track(hand):
    list(hand.play((film.Step(film.Place("slider", "Temperature"), 1, ("press",)),)))
    half = browser.HANDLE / 2
    assert (hand.x, hand.y) == (round(100 + half + 2 / 10 * (200 - 2 * half)), 100)
    assert hand.point(film.Place("slider", "Temperature", 5)) == (200, 100)


def test_what_a_hand_cannot_do_is_refused(hand):
    with pytest.raises(ValueError, match="there is no act 'squeeze'"):
        hand.do("squeeze")


def test_a_frame_does_not_wait_for_ever(hand, monkeypatch):
    monkeypatch.setattr(film, "LONGEST_WAIT", 0.05)
    counts = iter(range(10**6))
    monkeypatch.setattr(hand.tab, "get_attribute", lambda _: next(counts))  # each look finds a new picture
    hand.await_new_picture()
    assert next(counts) > 1


def test_the_film_is_written_within_its_bounds(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (6, 60, film.WIDTH, 3), dtype=np.uint8)
    monkeypatch.setattr(film, "record", lambda: list(noise))
    path = film.draw(tmp_path)
    assert path == tmp_path / "view.webp"
    written = opened(path)
    assert written.size == (film.WIDTH, 60), "not reduced, as films of the view are"
    assert written.times == [1000 // film.RATE] * 6
    assert written.loop == 0, "without end"
    assert list(tmp_path.iterdir()) == [path]


def test_the_shipped_film():
    path = FIGURES / film.NAME
    shipped = opened(path)
    assert path.stat().st_size <= animation.LIMIT
    assert shipped.size[0] == film.WIDTH
    assert SECONDS[0] <= sum(shipped.times) / 1000 <= SECONDS[1]
    assert sum(shipped.times) == pytest.approx(film.frames_of(film.SCRIPT) * (1000 // film.RATE), abs=1)
    assert shipped.loop == 0
    away = np.abs(shipped.first.astype(int) - shipped.last).max(2) > 40
    assert away.mean() < 0.01, "but for Undo and what has the focus, it ends where it began"


def take_away(name, monkeypatch):
    """Take away playwright or Chromium."""
    if name == "playwright":
        monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    else:
        pytest.importorskip("playwright.sync_api")
        monkeypatch.setattr(browser.shutil, "which", lambda _: None)


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [("playwright", r"playwright is not installed: pip install"), ("Chromium", r"there is no Chromium here")],
)
def test_without_a_browser_the_command_ends_with_a_line_before_the_work(tmp_path, monkeypatch, missing, sentence):
    take_away(missing, monkeypatch)
    monkeypatch.setattr(cli, "measured_and_drawn", None)  # nothing may call it
    with pytest.raises(SystemExit, match=rf"^error: the film of the view is recorded in a browser: {sentence}"):
        cli.main(["network", "view", "--folder", str(tmp_path)])


def test_the_command_records_the_film_only_where_it_is_named(tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(browser, "chromium", lambda: "chromium")
    monkeypatch.setattr(film, "draw", lambda folder: drawn.append(folder) or folder / film.NAME)
    monkeypatch.setattr(cli, "measured_and_drawn", lambda *_: iter(()))
    cli.main(["view", "--folder", str(tmp_path)])
    assert drawn == [tmp_path]
    assert capsys.readouterr().out == f"{tmp_path / 'view.webp'}\n"
    cli.main(["--folder", str(tmp_path)])
    assert drawn == [tmp_path]
    assert "view is left out" in capsys.readouterr().out


@pytest.mark.slow
def test_a_short_script_in_a_browser():
    try:
        browser.chromium()
    except browser.NoBrowserError as error:
        pytest.skip(str(error))
    script = (
        film.Step(film.HOME, 1, hold=1),
        film.Step(film.on_picture(0.5, film.HANDLE_HEIGHT), 1, ("press",)),
        film.Step(film.on_picture(0.06, film.HANDLE_HEIGHT), 2, ("release",), hold=1),
        film.Step(film.Place("slider", film.TEMPERATURE), 1, ("press",)),
        film.Step(film.Place("slider", film.TEMPERATURE, 1.0), 2, ("release",), hold=1),
        film.Step(film.Place("button", "Reset"), 1, ("click",), hold=1),
        film.Step(film.HOME, 1, hold=1),
    )
    frames = film.record(script)
    assert len(frames) == film.frames_of(script)
    assert {frame.shape[1:] for frame in frames} == {(film.WIDTH, 3)}

    def changed(one, other):
        """The share of the pixels of the picture, left of the controls, that differ."""
        half = film.WIDTH // 2
        return (np.abs(frames[one].astype(int) - frames[other])[:, :half].max(2) > 8).mean()

    start, dragged, sampled, end = 1, 5, 9, -1
    assert changed(start, dragged) > 0.1, "bicubic has gone from the left half"
    assert changed(dragged, sampled) > 0.1, "another sample"
    assert changed(start, end) == 0, "reset, and the pointer is back"
