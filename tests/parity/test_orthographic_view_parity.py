"""MotionBERT dataset_motion_3d.py MotionDataset3D on clips without 2D (AMASS): input and target of a view."""
import numpy as np
import pytest

from motionbert_mm.datasets.transforms import NormalizeCoords, OrthographicView, RandomFlip
from tests.parity.vectors import assert_close, load_vector

NAME = 'mb_motion3d_dataset'


@pytest.mark.parametrize('case, prob', [('synthetic_noflip', 0.0), ('synthetic_flip', 1.0)])
def test_view_of_3d_motion(case, prob):
    vector, view = load_vector(NAME), OrthographicView()
    # The official label is the pose in metres times 0.298.
    label = vector.inputs['lab'].astype(np.float64)[None, None]
    millimetres = (label / 0.298 * 1000.0).astype(np.float32)
    results = dict(keypoints_3d=millimetres, visible=np.ones(label.shape[:-1], bool), skeleton='h36m',
                   sample_id=['clip'])
    rng = np.random.default_rng(0)
    for transform in (view, RandomFlip(prob=prob), NormalizeCoords(inputs='screen', target='image_space')):
        results = transform(results, rng)
    assert_close(results['inputs'][0, 0], vector.outputs[f'{case}/x'])
    expected = vector.outputs[f'{case}/y']
    assert_close(results['target_3d'][0, 0], expected - expected[:, :1])
