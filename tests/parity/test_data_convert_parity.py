"""MotionBERT's conversions to Human3.6M joints and its in-the-wild and action normalisations."""
import numpy as np
import pytest

from motionbert_mm.datasets.transforms import AssociatePersons
from motionbert_mm.geometry.association import exchange, find_swaps
from motionbert_mm.geometry.coords import crop_scale, max_side_to_unit, min_side_to_unit, unit_to_min_side
from motionbert_mm.structures import convert
from tests.parity.vectors import assert_close, load_vector

NAME = 'mb_data_convert'


@pytest.mark.parametrize('key, source', [('coco', 'coco17'), ('halpe', 'halpe26')])
def test_all_channels_are_converted_alike(key, source):
    vector = load_vector(NAME)
    assert_close(convert(vector.inputs[key], source, 'h36m').keypoints, vector.outputs[f'{key}2h36m'])


def test_posetrack_takes_the_minimal_confidence():
    vector = load_vector(NAME)
    keypoints = vector.inputs['posetrack']
    result = convert(keypoints[..., :2], 'posetrack18', 'h36m', confidence=keypoints[..., 2])
    expected = vector.outputs['posetrack2h36m']
    assert_close(result.keypoints, expected[..., :2])
    assert_close(result.confidence, expected[..., 2])


@pytest.mark.parametrize('number, output', enumerate(['make_cam_landscape', 'make_cam_portrait']))
def test_max_side(number, output):
    vector = load_vector(NAME)
    height, width = vector.meta['make_cam']['img_shape_hw'][number]
    assert_close(max_side_to_unit(vector.inputs['cam'], (width, height)), vector.outputs[output])


def test_two_persons_are_told_apart():
    vector = load_vector(NAME)
    tracks = vector.outputs['track_input_swapped'][None]
    swapped = find_swaps(tracks)
    assert swapped.any() and not swapped.all()
    assert_close(exchange(tracks, swapped)[0], vector.outputs['human_tracking'])


@pytest.mark.parametrize('given, expected', [('track_input_swapped', 'human_tracking'),
                                             ('track1', 'human_tracking_one')])
def test_persons_who_are_always_seen_are_associated_as_officially(given, expected):
    vector = load_vector(NAME)
    tracks = {**vector.inputs, **vector.outputs}[given][None]
    results = dict(keypoints_2d=tracks, confidence=np.ones(tracks.shape[:-1], np.float32))
    assert_close(AssociatePersons()(results, None)['keypoints_2d'][0], vector.outputs[expected])


def read_focus(vector):
    """Keypoints and scores of the person that read_input looks for, in Human3.6M order."""
    detections = vector.inputs['wild_kpts'][vector.inputs['wild_idx'] == vector.meta['wild']['focus']]
    converted = convert(detections, 'halpe26', 'h36m').keypoints
    return converted[..., :2], converted[..., 2]


def test_in_the_wild_pixel_normalisation_and_back():
    vector = load_vector(NAME)
    points, scores = read_focus(vector)
    size = vector.meta['wild']['vid_size_wh']
    unit = min_side_to_unit(points, size)
    assert_close(np.concatenate([unit, scores[..., None]], -1), vector.outputs['wild_pixel'])
    assert_close(unit_to_min_side(unit, size), points)


def test_in_the_wild_crop():
    vector = load_vector(NAME)
    points, scores = read_focus(vector)
    low, high = vector.meta['wild']['scale_range']
    ratio = np.random.RandomState(0).uniform(low, high)
    unit, confidence, _ = crop_scale(points[None], scores[None], ratio)
    assert_close(np.concatenate([unit, confidence[..., None]], -1)[0], vector.outputs['wild_scale'])
