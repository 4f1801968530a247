"""The view without a browser: setting a widget's value does what dragging it does."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

import srvae_core as sr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
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
