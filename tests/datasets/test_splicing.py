import numpy as np
import pytest

from motionbert_mm.datasets.transforms import SpliceClips

SIZE, PERSONS, FRAMES, JOINTS = 64, 2, 20, 17


def make_batch():
    """Arrays whose values tell the sample; frames in their decimals."""
    number = np.arange(SIZE)[:, None, None, None] + np.arange(FRAMES)[None, None, :, None] / 100
    confidence = np.broadcast_to(number, (SIZE, PERSONS, FRAMES, JOINTS))
    return dict(keypoints_2d=np.stack([confidence, -confidence], axis=-1), confidence=confidence,
                visible=confidence > 3, label=np.arange(SIZE), frame_ids=np.zeros((SIZE, FRAMES)))


def test_ends_come_from_another_sample_and_the_middle_stays():
    batch = make_batch()
    spliced = SpliceClips(prob=0.5, max_share=0.5)(batch, np.random.default_rng(0))
    points, confidence = spliced['keypoints_2d'], spliced['confidence']
    np.testing.assert_array_equal(points, np.stack([confidence, -confidence], axis=-1))
    np.testing.assert_array_equal(spliced['visible'], confidence > 3)
    source, frame = np.floor(confidence[:, 0, :, 0] + 1e-9).astype(int), np.round(confidence[:, 0, :, 0] % 1 * 100)
    np.testing.assert_array_equal(frame, np.broadcast_to(np.arange(FRAMES), (SIZE, FRAMES)))
    own = source == np.arange(SIZE)[:, None]
    assert own[:, FRAMES // 2 - 1:FRAMES // 2 + 1].all() and (confidence == confidence[:, :1, :, :1]).all()
    assert 0.3 < (~own.all(axis=1)).mean() < 0.6 and (~own).mean() > 0.05
    for row in range(SIZE):
        edges = np.flatnonzero(np.diff(source[row]))
        assert len(edges) <= 1 and len(set(source[row])) <= 2
    assert (~own[:, 0]).any() and (~own[:, -1]).any() and not (~own[:, 0] & ~own[:, -1]).any()
    assert spliced['label'] is batch['label'] and spliced['frame_ids'] is batch['frame_ids']


@pytest.mark.parametrize('options', [dict(prob=0.0), dict(max_share=0.0)])
def test_nothing_is_spliced(options):
    batch = make_batch()
    spliced = SpliceClips(**options)(batch, np.random.default_rng(0))
    np.testing.assert_array_equal(spliced['keypoints_2d'], batch['keypoints_2d'])


def test_bad_use_is_refused():
    with pytest.raises(ValueError, match='prob=0.5 and max_share=0.6; expected'):
        SpliceClips(max_share=0.6)
    with pytest.raises(ValueError, match='SpliceClips comes after NormalizeCoords'):
        SpliceClips()(dict(make_batch(), inputs=0), np.random.default_rng(0))
