"""The view without a browser: setting a widget's value does what dragging it does."""

import asyncio
import base64
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

import srvae_core as sr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
import directions
import viewer


@pytest.fixture
def view():
    photographs = {"cat": np.ascontiguousarray(data.chelsea()[:128, :160]), "coffee": data.coffee()[:96, :96].copy()}
    return viewer.View(photographs, scale=4)


def shown(view):
    image = cv2.imdecode(np.frombuffer(view.picture.value, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def test_at_rest_the_widget_holds_the_frame_without_loss(view):
    assert view.picture.format == "png"
    assert np.array_equal(shown(view), view.frame)
    assert "PSNR" in view.metrics.value


def test_sliders_show_what_the_sampler_answers(view):
    view.share.value = 0.0
    before = view.frame.copy()
    view.temperature.value = 1.0
    view.seed.value = 7
    expected = sr.Sampler(sr.load_model(view.model.value), view.lr)(7, 1.0)
    assert np.array_equal(view.frame, expected)
    assert np.array_equal(shown(view), expected)
    assert not np.array_equal(view.frame, before)


def test_border_divides_bicubic_and_answer(view):
    view.share.value = 0.25
    x = view.frame.shape[1] // 4
    assert np.array_equal(view.frame[:, : x - 1], sr.enlarge(view.lr, 4)[:, : x - 1])
    assert np.array_equal(view.frame[:, x + 1 :], view.answer[:, x + 1 :])
    view.left.value = "original"
    assert np.array_equal(view.frame[:, : x - 1], view.original[:, : x - 1])


def test_dice_give_another_sample(view):
    before, seed = view.answer.copy(), view.seed.value
    view.dice.click()
    assert view.seed.value != seed
    assert view.temperature.value == 1.0
    assert not np.array_equal(view.answer, before)


def test_another_image_is_encoded(view):
    view.image.value = "coffee"
    assert view.frame.shape == (96, 96, 3)
    assert np.array_equal(view.answer, sr.super_resolve(view.lr, sr.load_model(view.model.value)))


def upload(view, name, content):
    file = {"name": name, "type": "image/png", "size": len(content), "content": memoryview(content)}
    view.upload.value = ({**file, "last_modified": datetime.now(UTC)},)


def test_upload_is_enlarged_and_has_no_original(view):
    image = np.ascontiguousarray(data.astronaut()[:40, :50])
    view.left.value = "original"
    upload(view, "mine.png", viewer.encode(image, "png"))
    assert view.image.value == "mine.png"
    assert np.array_equal(view.lr, image)
    assert view.frame.shape == (160, 200, 3)
    assert view.error.value == ""
    view.left.value = "original"
    assert "no original" in view.error.value


def test_upload_that_is_no_image_says_so_and_changes_nothing(view):
    before = view.frame.copy()
    upload(view, "note.txt", b"<b>not an image</b>")
    assert "no image that can be read" in view.error.value
    assert np.array_equal(view.frame, before)
    view.seed.value = 3
    assert view.error.value == ""


def test_large_uploads_are_cut_to_their_middle():
    image = np.arange(300 * 400, dtype=np.uint8).reshape(300, 400)
    assert np.array_equal(viewer.cut_to_middle(image, 100), image[100:200, 150:250])


def test_wrong_scale_and_no_photograph():
    with pytest.raises(ValueError, match="photograph"):
        viewer.View({}, scale=4)
    with pytest.raises(ValueError, match="scale 3"):
        viewer.View({"cat": data.chelsea()}, scale=3)


def test_contact_sheet_keeps_order():
    sheet = viewer.contact_sheet([np.full((2, 3, 3), i, np.uint8) for i in range(3)], columns=2, gap=1)
    assert sheet.shape == (5, 7, 3)
    assert sheet[0, 0, 0] == 0
    assert sheet[0, 4, 0] == 1
    assert sheet[3, 0, 0] == 2
    assert sheet[3, 4, 0] == 255


def test_upload_can_be_an_original(view):
    view.reduce.value = True
    upload(view, "mine.png", viewer.encode(np.ascontiguousarray(data.astronaut()[:61, :83]), "png"))
    assert view.original.shape == (60, 80, 3)
    assert view.lr.shape == (15, 20, 3)
    assert "PSNR" in view.metrics.value


def test_folder_of_images(view, tmp_path):
    view.folder.value = str(tmp_path)
    assert "holds no images" in view.error.value
    sr.write_image(tmp_path / "b.png", data.coffee()[:64, :64])
    sr.write_image(tmp_path / "a.png", data.coffee()[:32, :64])
    view.folder.value = f"{tmp_path}/"
    assert view.error.value == ""
    assert view.image.value == f"{tmp_path.name}/a.png"
    assert view.lr.shape == (8, 16, 3)
    view.folder.value = str(tmp_path / "none")
    assert "there is no folder" in view.error.value


def test_an_image_that_cannot_be_read_leaves_the_choice_as_it_was(view, tmp_path):
    sr.write_image(tmp_path / "a.png", data.coffee()[:64, :64])
    (tmp_path / "b.png").write_bytes(b"no image")
    view.folder.value = str(tmp_path)
    before = view.frame.copy()
    view.image.value = f"{tmp_path.name}/b.png"
    assert "no image that can be read" in view.error.value
    assert view.image.value == f"{tmp_path.name}/a.png"
    assert np.array_equal(view.frame, before)


def test_zoom_decodes_the_region_only(view):
    view.share.value = 0.0
    view.temperature.value = 1.0
    whole = view.answer.copy()
    before = view.metrics.value.splitlines()[0].split("answer at rest")[0]
    view.across.value = view.down.value = 1.0
    called = []
    decode = view.sampler.__class__.__call__
    view.sampler.__class__.__call__ = lambda *a, **k: called.append(k.get("region")) or decode(*a, **k)
    try:
        view.zoom.value = 4
    finally:
        view.sampler.__class__.__call__ = decode
    assert called[0] == view.region == (24, 30, 8, 10)
    difference = view.frame.astype(int) - whole[96:, 120:]
    assert np.abs(difference).max() <= 1
    assert shown(view).shape == (128, 160, 3)
    assert view.metrics.value.split("answer at rest")[0] == before, "metrics are those of the whole answer"


def test_region_stays_inside(view):
    for view.zoom.value in range(1, 9):
        for view.across.value, view.down.value in ((0, 1), (1, 0), (0.33, 0.66)):
            top, left, h, w = view.region
            assert min(top, left) >= 0
            assert top + h <= view.lr.shape[0]
            assert left + w <= view.lr.shape[1]
            assert view.error.value == ""


def test_walk_ends_at_the_other_sample(view):
    view.apply({"temperature": 1.0, "seed": 3, "to_seed": 5, "share": 0.0, "walk": 0.5})
    middle = view.answer
    view.walk.value = 1.0
    assert np.abs(view.answer.astype(int) - view.sampler(5, 1.0)).max() <= 1
    assert not np.array_equal(middle, view.answer)


def test_left_side_can_be_another_sample_or_zero(view):
    view.apply({"temperature": 1.0, "left": "another sample", "left_seed": 4, "share": 1.0})
    assert np.array_equal(view.frame, view.sampler(4, 1.0))
    view.left.value = "z = 0"
    assert np.array_equal(view.frame, view.sampler(0, 0.0))
    view.temperature.value = 0.5
    view.left.value = "another sample"
    assert np.array_equal(view.frame, view.sampler(4, 0.5)), "the left side follows the settings"


def test_direction_sliders_move_along_what_was_found(view):
    view.apply({"temperature": 0.0, "share": 0.0})
    zero = view.answer
    view.pages.selected_index = viewer.PAGES.index("directions")
    effects = [float(slider.description.split("±")[1].split()[0]) for slider in view.amounts]
    assert effects == sorted(effects, reverse=True)
    view.amounts[1].value = 5.0
    eps = directions.steer(view.sampler.tiles, 0, 0.0, directions=view.found, amounts=[0, 5.0])
    assert np.array_equal(view.answer, view.sampler(temperature=1.0, eps=eps))
    assert not np.array_equal(view.answer, zero)
    view.reset.click()
    assert view.amounts[1].value == 0
    assert np.array_equal(view.answer, zero)


def test_another_image_has_directions_of_its_own(view):
    view.pages.selected_index = viewer.PAGES.index("directions")
    view.amounts[0].value, first = 2.0, view.found
    view.image.value = "coffee"
    assert view.amounts[0].value == 0
    assert view.found is not first


def test_measure_shows_the_standard_deviation(view):
    view.measure.click()
    assert "raise the temperature" in view.error.value
    view.apply({"temperature": 1.0, "share": 0.0})
    plain = view.frame.copy()
    view.count.value = 3
    view.measure.click()
    expected = np.std([view.sampler(seed, 1.0).astype(float) for seed in range(3)], 0).mean(2)
    assert np.allclose(view.deviation, expected)
    assert view.spread.value.startswith("3 samples")
    assert "diversity" in view.spread.value
    assert view.progress.value == 3
    assert not np.array_equal(view.frame, plain)
    view.overlay.value = False
    assert np.array_equal(view.frame, plain)
    view.overlay.value = True
    view.seed.value = 9
    assert view.deviation is None, "another sample: the map is not of these settings any more"
    assert np.array_equal(view.frame, view.sampler(9, 1.0))


def test_gallery_brings_back_the_settings_it_was_drawn_with(view):
    view.apply({"temperature": 1.0, "share": 0.0, "seed": 10, "walk": 0.5})
    view.draw.click()
    assert all(not pick.disabled for pick in view.picks)
    view.apply({"temperature": 0.2, "image": "coffee"})
    view.picks[2].click()
    assert (view.image.value, view.seed.value, view.temperature.value, view.walk.value) == ("cat", 13, 1.0, 0.0)
    assert np.array_equal(view.answer, view.sampler(13, 1.0))
    assert view.picks[2].description == "Sample 13"


def test_save_and_load(view, tmp_path):
    view.path.value = str(tmp_path / "mine.png")
    view.apply({"temperature": 1.1, "seed": 8, "walk": 0.3, "zoom": 2, "across": 0.2, "direction 2": 1.5})
    view.save.click()
    assert view.error.value == ""
    settings, frame = view.settings, view.frame.copy()
    saved = sr.read_image(tmp_path / "mine.png")
    assert np.array_equal(saved, view.sample(whole=True))
    view.apply({"image": "coffee", "temperature": 0.3, "zoom": 1})
    view.load.click()
    assert view.error.value == ""
    assert view.settings == settings
    assert np.array_equal(view.frame, frame)


def test_a_saved_upload_comes_along(view, tmp_path):
    upload(view, "mine.png", viewer.encode(np.ascontiguousarray(data.astronaut()[:40, :50]), "png"))
    view.path.value = str(tmp_path / "saved.png")
    view.apply({"temperature": 1.0, "seed": 2})
    view.save.click()
    answer = view.answer
    another = viewer.View({"cat": np.ascontiguousarray(data.chelsea()[:64, :64])}, scale=4)
    another.path.value = view.path.value
    another.load.click()
    assert another.error.value == ""
    assert np.array_equal(another.answer, answer)


def test_load_says_what_is_wrong(view, tmp_path):
    path = tmp_path / "mine.png"
    view.path.value = str(path)
    view.load.click()
    assert "No such file" in view.error.value
    plain = viewer.encode(view.answer, "png")
    path.write_bytes(plain)
    view.load.click()
    assert "holds no settings" in view.error.value
    view.save.click()
    about = json.loads(viewer.text_of(path.read_bytes()))
    for key, words in (("lr", "another image"), ("weights", "other weights")):
        path.write_bytes(viewer.with_text(plain, json.dumps(about | {key: "?"})))
        view.load.click()
        assert words in view.error.value
    path.write_bytes(viewer.with_text(plain, json.dumps(about | {"settings": {**about["settings"], "image": "dog"}})))
    view.load.click()
    assert "not among the images here" in view.error.value
    view.path.value = "mine.jpg"
    view.save.click()
    assert "must end in .png" in view.error.value
    with pytest.raises(ValueError, match="no such settings: colour"):
        view.apply({"colour": 1})


def test_text_goes_along_with_the_picture():
    frame = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    text = base64.b64encode(bytes(range(256)) * 1000).decode()
    png = viewer.with_text(viewer.encode(frame, "png"), text)
    assert viewer.text_of(png) == text
    assert np.array_equal(sr.read_image(png), frame)
    for other in (viewer.encode(frame, "png"), viewer.encode(frame, "jpeg"), png[:40], b""):
        with pytest.raises(ValueError, match="holds no settings"):
            viewer.text_of(other)


def test_models_of_the_scale_come_first(view):
    assert view.model.options[0].startswith("4x")
    assert set(view.model.options) == set(sr.available_models())
    eight = [name for name in view.model.options if name.startswith("8x")]
    if not eight:
        pytest.skip("no 8x model is shipped")
    view.model.value = eight[0]
    assert view.scale == 8
    assert view.frame.shape == (128, 160, 3)


def test_heat_goes_from_dark_to_bright():
    picture = viewer.heat(np.array([[0.0, 1.0, 2.0]]))
    assert picture.shape == (1, 3, 3)
    assert np.all(np.diff(picture.sum(2)[0]) > 0)
    assert np.array_equal(viewer.heat(np.zeros((2, 2))), np.zeros((2, 2, 3)) + viewer.heat(np.zeros((1, 1)))[0, 0])


def test_in_motion_a_draft_of_what_is_seen_at_rest_the_answer(view):
    """As in a kernel, whose event loop runs."""

    async def moves():
        view.apply({"temperature": 1.0, "share": 0.75})
        await asyncio.sleep(2 * (viewer.REST + viewer.SOON))
        asked, decode = [], sr.Sampler.__call__
        note = lambda *a, **k: asked.append((k["region"], k["draft"])) or decode(*a, **k)  # noqa: E731
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sr.Sampler, "__call__", note)
            for seed in (1, 2, 3):
                view.seed.value = seed
                assert view.picture.format == "jpeg"
            assert asked == 3 * [((0, 30, 32, 10), True)], "only what lies right of the border"
            moving = shown(view)
            await asyncio.sleep(2 * (viewer.REST + viewer.SOON))
        assert asked[3:] == [((0, 0, 32, 40), False)], "one answer at rest, whatever came before"
        assert view.picture.format == "png"
        assert "last move in" in view.metrics.value
        return moving

    moving, answer = asyncio.run(moves()), sr.Sampler(view.sampler.model, view.lr)(3, 1.0)
    assert np.array_equal(view.answer, answer)
    assert np.array_equal(shown(view), viewer.split(view.bicubic, answer, 0.75))
    assert np.abs(moving.astype(float) - shown(view)).mean() < 3, "JPEG and draft are near"


@pytest.mark.parametrize("zoom", [1, 2])
def test_a_move_need_not_wait_for_the_answer_and_metrics_at_rest(view, monkeypatch, zoom):
    """Both are worked out piece by piece, and dropped when something moves."""
    monkeypatch.setattr(viewer, "PIECE", 64)
    exact, decode = [], sr.Sampler.__call__

    def note(sampler, seed, temperature, **options):
        if not options.get("draft", True):
            exact.append((seed, options["region"][2:]))
        return decode(sampler, seed, temperature, **options)

    async def until(done):
        for _ in range(1000):
            if done():
                return
            await asyncio.sleep(0.005)
        pytest.fail("that never came")

    async def moves():
        view.apply({"temperature": 1.0, "share": 0.0, "zoom": zoom})
        await asyncio.sleep(2 * (viewer.REST + viewer.SOON))
        monkeypatch.setattr(sr.Sampler, "__call__", note)
        before, view.metrics.value = view.metrics.value, ""
        view.seed.value = 1
        await until(lambda: len(exact) >= 4)  # of 6 or, zoomed, of 2 and the 6 of the metrics
        view.seed.value = 2
        await until(lambda: view.metrics.value)
        decoded, metrics, view.metrics.value = len(exact), view.metrics.value, ""
        view.across.value = 1.0
        await until(lambda: view.metrics.value)
        sizes = [(16, 16), (16, 16), (16, 8)] * 2 if zoom == 1 else [(16, 16), (16, 4)]
        assert exact[decoded:] == [(2, size) for size in sizes], "what metrics are of is kept"
        assert view.metrics.value.split("LR-PSNR")[0] == metrics.split("LR-PSNR")[0]
        del exact[decoded:]
        return before

    assert asyncio.run(moves()) != view.metrics.value
    ones, twos = ([rows for seed, rows in exact if seed == s] for s in (1, 2))
    whole = [(16, 16), (16, 16), (16, 8)] * 2
    every = whole if zoom == 1 else [(16, 16), (16, 4), *whole]
    assert len(ones) < len(every), "what was left of it is not decoded"
    assert twos == every
    whole = sr.Sampler(view.sampler.model, view.lr)(2, 1.0)
    top, left, h, w = (4 * n for n in view.region)
    assert np.abs(view.answer.astype(int) - whole[top : top + h, left : left + w]).max() <= 1
    assert f"SR-VAE: PSNR {sr.psnr_y(whole, view.original, 4):.1f}" in view.metrics.value


def test_asking_for_the_frame_brings_the_view_to_rest(view):
    async def move():
        view.share.value = 0.0
        view.temperature.value, view.seed.value = 1.0, 5
        return view.picture.format, view.frame, view.answer, view.picture.format

    moving, frame, answer, rest = asyncio.run(move())
    assert (moving, rest) == ("jpeg", "png")
    assert np.array_equal(frame, view.sampler(5, 1.0))
    assert frame is answer


def test_another_sample_on_the_left_moves_too(view):
    async def move():
        view.apply({"temperature": 1.0, "share": 0.5, "left": "another sample", "left_seed": 2})
        view.temperature.value = 0.6
        return shown(view)

    moving = asyncio.run(move())
    both = viewer.split(view.sampler(2, 0.6), view.sampler(0, 0.6), 0.5)
    assert np.abs(moving.astype(float) - both).mean() < 3
    view.seed.value = view.seed.value  # nothing moves
    assert np.array_equal(view.frame, both)


def test_errors_of_drafts_and_of_rest_are_shown(view, monkeypatch):
    async def move():
        monkeypatch.setattr(sr.Sampler, "__call__", lambda *a, **k: 1 / 0)
        view.temperature.value = 1.0
        at_once, view.error.value = view.error.value, ""
        await asyncio.sleep(1.5 * viewer.REST)
        return at_once, view.error.value

    assert all("division by zero" in text for text in asyncio.run(move()))


def test_fingerprint_tells_samples_apart_but_not_roundings(view):
    view.temperature.value = 1.0
    prints = set()
    for view.seed.value in range(5):
        prints.add(viewer.fingerprint(view.answer))
        step = np.random.default_rng(0).random(view.answer.shape) < 1e-4
        assert viewer.fingerprint(view.answer + step.astype(np.uint8) * (view.answer < 255)) in prints
    assert len(prints) >= 4
    assert all(len(p) == 4 and int(p, 16) >= 0 for p in prints)


def test_measure_says_where_latents_do_little(view, monkeypatch):
    view.temperature.value = 1.0
    view.count.value = 2
    monkeypatch.setattr(viewer, "HARDLY", 255)
    view.measure.click()
    assert "hardly changes" in view.spread.value
    monkeypatch.setattr(viewer, "HARDLY", 0)
    view.measure.click()
    assert "hardly changes" not in view.spread.value


def test_variants_are_offered_where_they_are_shipped(view, tmp_path, monkeypatch):
    path = sr.WEIGHTS / "SR_VAE_4x-D.safetensors"
    for name in ("4x-D", "4x-P"):
        (tmp_path / f"SR_VAE_{name}.safetensors").symlink_to(path)
    monkeypatch.setattr(sr, "WEIGHTS", tmp_path)
    assert viewer.shipped(4) == ["4x-D", "4x-P"]
    assert viewer.shipped(8) == []
    other = viewer.View({"cat": np.ascontiguousarray(data.chelsea()[:64, :64])}, scale=4)
    assert other.model.options == ("4x-D", "4x-P")
    other.model.value = "4x-P"
    assert other.error.value == ""
    viewer.load_model.cache_clear()


def test_a_model_brings_its_own_temperature_unless_it_was_moved(tmp_path):
    other = str(tmp_path / "mild.safetensors")
    sr.save_model(sr.load_model("4x-D"), other, temperature=0.25)
    photograph = {"cat": np.ascontiguousarray(data.chelsea()[:64, :64])}
    view = viewer.View(photograph, scale=4, models=["4x-D", other])
    view.model.value = other
    assert view.temperature.value == 0.25
    assert np.array_equal(view.answer, sr.super_resolve(view.lr, sr.load_model(other)))
    view.model.value = "4x-D"
    assert view.temperature.value == 0
    view.temperature.value = 0.6
    view.model.value = other
    assert view.temperature.value == 0.6
