import numpy as np
import pytest

from motionbert_mm.geometry.resampling import frame_places, resample, resample_rotations
from motionbert_mm.geometry.rotation import axis_angle_to_matrix

RATES = [24.0, 30.0, 50.0, 59.94, 60.0, 100.0, 120.0, 250.0]


@pytest.mark.parametrize('source_fps', RATES)
@pytest.mark.parametrize('fps', [30.0, 60.0])
def test_every_frame_shows_its_time(source_fps, fps):
    times = np.arange(1201) / source_fps
    result = resample(times[:, None], source_fps, fps)[:, 0]
    np.testing.assert_allclose(result, np.arange(len(result)) / fps, atol=1e-8)
    assert result[-1] <= times[-1] + 1e-8 and result[-1] + 1 / fps > times[-1] + 1e-8


def test_whole_ratios_take_frames_as_they_are():
    values = np.random.default_rng(0).normal(size=(41, 3, 2))
    for step in (1, 2, 4):
        np.testing.assert_array_equal(resample(values, 30.0 * step, 30.0), values[::step])


def test_one_frame_stays_one_frame():
    assert frame_places(1, 120, 30)[0].tolist() == [0]


@pytest.mark.parametrize('num_frames, source_fps, fps', [(0, 60, 30), (5, 0, 30), (5, 60, -1), (5, np.nan, 30)])
def test_what_has_no_time_is_refused(num_frames, source_fps, fps):
    with pytest.raises(ValueError, match=f'{num_frames} frames at .* fps'):
        frame_places(num_frames, source_fps, fps)


@pytest.mark.parametrize('source_fps', RATES)
def test_rotations_turn_at_constant_speed_through_half_turns(source_fps):
    speed, axis = 2.0, np.array([2.0, -1.0, 2.0]) / 3  # several turns in the clip
    angles = (speed * np.arange(601) / source_fps + np.pi) % (2 * np.pi) - np.pi  # as a file holds them: they jump
    result = resample_rotations((angles[:, None] * axis)[:, None], source_fps, 30.0)
    expected = axis_angle_to_matrix(speed * np.arange(len(result))[:, None, None] / 30.0 * axis)
    np.testing.assert_allclose(axis_angle_to_matrix(result), expected, atol=1e-7)


def test_rotations_at_rest_stay():
    still = np.tile(np.array([0.0, 0.3, 0.0]), (7, 2, 1))
    np.testing.assert_allclose(resample_rotations(still, 50.0, 30.0), still[:4], atol=1e-12)
