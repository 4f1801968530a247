"""Pictures for the screen, as arrays."""

import numpy as np

import srvae_core as sr
from srvae import images
from srvae.viewer import pictures
from viewer_helpers import lowres


def test_large_images_are_cut_to_their_middle():
    image = np.arange(300 * 400, dtype=np.uint8).reshape(300, 400)
    assert np.array_equal(pictures.cut_to_middle(image, 100), image[100:200, 150:250])
    assert np.array_equal(pictures.cut_to_middle(image, 350), image[:, 25:375])


def test_reduced_pictures_are_means_of_areas():
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 40:] = 200
    picture[::2, 40:] = 100
    small = pictures.reduced(picture, 8)
    assert small.shape == (4, 8, 3)
    assert (small[:, :4] == 0).all()
    assert (small[:, 4:] == 150).all()
    assert pictures.reduced(picture, 80) is picture
    assert pictures.reduced(np.zeros((1, 1000, 3), np.uint8), 8).shape == (1, 8, 3)


def test_the_overview_is_small_and_of_the_whole():
    image = np.zeros((300, 1200, 3), np.uint8)
    image[:, 600:, 1] = 250
    small = images.read(pictures.overview(image))
    assert small.shape == (40, 160, 3)
    assert small[:, :78].max() < 30
    assert small[:, 82:, 1].min() > 230


def test_contact_sheet_keeps_order():
    sheet = pictures.contact_sheet([np.full((2, 3, 3), i, np.uint8) for i in range(3)], columns=2, gap=1)
    assert sheet.shape == (5, 7, 3)
    assert sheet[0, 0, 0] == 0
    assert sheet[0, 4, 0] == 1
    assert sheet[3, 0, 0] == 2
    assert sheet[3, 4, 0] == 255


def test_heat_goes_from_dark_to_bright():
    picture = pictures.heat(np.array([[0.0, 1.0, 2.0]]))
    assert picture.shape == (1, 3, 3)
    assert np.all(np.diff(picture.sum(2)[0]) > 0)
    dark = pictures.heat(np.zeros((1, 1)))[0, 0]
    assert np.array_equal(pictures.heat(np.zeros((2, 2))), np.zeros((2, 2, 3)) + dark)
    assert np.array_equal(pictures.heat(np.ones((1, 1)), top=2.0), picture[:, 1:2])


def test_split_has_a_white_line_between_two_pictures():
    left, right = np.zeros((2, 10, 3), np.uint8), np.full((2, 10, 3), 9, np.uint8)
    frame = pictures.split(left, right, 0.5)
    assert frame[0, :, 0].tolist() == [0, 0, 0, 0, 0, 255, 9, 9, 9, 9]
    assert np.array_equal(pictures.split(left, right, 0.0), right)
    assert np.array_equal(pictures.split(left, right, 1.0), left)


def test_magnified_pixels_are_squares():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = pictures.magnify(picture, 3)
    assert large.shape == (6, 6, 3)
    assert np.array_equal(large[::3, ::3], picture)
    assert np.array_equal(large[2::3, 2::3], picture)


def test_sixteen_bits_and_alpha_become_eight_bit_rgb():
    image = np.full((2, 2, 4), 0x1234, np.uint16)
    assert np.array_equal(pictures.as_rgb8(image), np.full((2, 2, 3), 0x12, np.uint8))
    assert pictures.as_rgb8(np.zeros((2, 3), np.uint8)).shape == (2, 3, 3)


def test_png_is_lossless_and_both_keep_the_colours_in_order():
    frame = np.zeros((8, 8, 3), np.uint8) + np.array([200, 100, 50], np.uint8)
    assert np.array_equal(images.read(pictures.encode(frame, "png")), frame)
    assert np.abs(images.read(pictures.encode(frame, "jpeg")).astype(int) - frame).max() <= 3


def test_fingerprint_tells_samples_apart_but_not_roundings(shipped):
    sampler, prints = sr.Sampler(shipped("4x-D"), lowres()), set()
    for seed in range(5):
        answer = sampler(seed, 1.0)
        prints.add(pictures.fingerprint(answer))
        step = np.random.default_rng(0).random(answer.shape) < 1e-4
        assert pictures.fingerprint(answer + step.astype(np.uint8) * (answer < 255)) in prints
    assert len(prints) >= 4
    assert all(len(p) == 4 and int(p, 16) >= 0 for p in prints)
