"""MotionBERT lib/utils/utils_data.py: crop_scale, crop_scale_3d, flip_data, resample, split_clips."""
import numpy as np
import pytest

from motionbert_mm.datasets.windows import official_clips, resample_indices
from motionbert_mm.geometry.coords import crop_scale, crop_scale_3d, flip
from motionbert_mm.structures import get_skeleton
from tests.parity.vectors import assert_close, load_vector, vector_cases

NAME = 'mb_data_utils'


def draw_ratio(case):
    return np.random.RandomState(case['seed']).uniform(*case['range'])


@pytest.mark.parametrize('case', vector_cases(NAME, 'crop_cases'))
def test_crop_scale(case):
    vector = load_vector(NAME)
    motion = vector.inputs[case['key']]
    ratio = draw_ratio(case)
    assert ratio == pytest.approx(vector.meta['crop_ratios'][case['name']])
    points, confidence, _ = crop_scale(motion[None, ..., :2], motion[None, ..., 2], ratio)
    assert_close(np.concatenate([points[0], confidence[0, ..., None]], -1), vector.outputs[case['name']])


@pytest.mark.parametrize('case', vector_cases(NAME, 'crop3d_cases'))
def test_crop_scale_3d(case):
    vector = load_vector(NAME)
    cropped = crop_scale_3d(vector.inputs['motion3d'][None], draw_ratio(case))
    assert_close(cropped[0], vector.outputs[case['name']])


def test_flip():
    vector = load_vector(NAME)
    np.testing.assert_array_equal(flip(vector.inputs['flip'], get_skeleton('h36m').flip_indices),
                                  vector.outputs['flip'])


@pytest.mark.parametrize('number', range(len(vector_cases(NAME, 'resample_cases'))))
def test_resample(number):
    vector = load_vector(NAME)
    case = vector.meta['resample_cases'][number]
    rng = np.random.RandomState(case['seed']) if case['rand'] else None
    indices = resample_indices(case['ori'], case['tgt'], rng, replay=case['replay'])
    np.testing.assert_array_equal(indices, vector.outputs[f'resample_{number}'])


def test_split_clips():
    vector = load_vector(NAME)
    case = vector.meta['split']
    clips = official_clips(case['vid_list'], case['n_frames'], case['data_stride'],
                           np.random.RandomState(case['numpy_seed']))
    np.testing.assert_array_equal(clips, vector.outputs['split_clips'])
