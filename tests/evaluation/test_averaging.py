import numpy as np
import pytest

from motionbert_mm.evaluation import functional as F

# Three clips of two actions: walk (2 frames, then 4 frames), sit (1 frame).
CLIPS = [np.array([10.0, 20.0]), np.array([30.0, 30.0, 30.0, 30.0]), np.array([90.0])]
ACTIONS = ['walk', 'walk', 'sit']


def test_three_averages_by_hand():
    assert F.mean_by_frame(CLIPS) == pytest.approx((10 + 20 + 4 * 30 + 90) / 7)
    assert F.mean_by_clip(CLIPS) == pytest.approx((15 + 30 + 90) / 3)
    assert F.mean_by_group(CLIPS, ACTIONS) == pytest.approx({'sit': 90.0, 'walk': 25.0})
    assert F.mean_by_group(CLIPS, ACTIONS, within='clip') == pytest.approx({'sit': 90.0, 'walk': 22.5})


def test_undefined_values_do_not_count():
    clips = [np.array([np.nan, 4.0]), np.array([np.nan]), np.array([8.0, 8.0])]
    assert F.mean_by_frame(clips) == pytest.approx(20 / 3)
    assert F.mean_by_clip(clips) == pytest.approx(6.0)
    assert np.isnan(F.mean_by_frame([np.array([np.nan])])) and np.isnan(F.mean_by_clip([]))


@pytest.mark.parametrize('groups, within, words', [(['a'], 'frame', '3 clips and 1 group names'),
                                                   (ACTIONS, 'action', "'frame' or 'clip', got 'action'")])
def test_wrong_groups_are_refused(groups, within, words):
    with pytest.raises(ValueError, match=words):
        F.mean_by_group(CLIPS, groups, within=within)
