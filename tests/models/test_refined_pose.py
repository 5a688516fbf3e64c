import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.transforms import NormalizeCoords, RootDepthOracle
from motionbert_mm.models.heads.refined_pose import back_project
from motionbert_mm.registry import MODELS, build

PIPELINE = [dict(type='RandomFlip', prob=1.0), dict(type='NormalizeCoords'), dict(type='RootDepthOracle'),
            dict(type='PackInputs', fields=['target_3d', 'keypoints_3d'])]
MODEL = dict(type='MotionModel', flip_test=True,
             backbone=dict(type='PSTMOEncoder', max_frames=9, dim=16, depth=1, num_heads=2, hidden_dim=16),
             neck=dict(type='StridedReduction', num_frames=9, num_heads=2),
             heads=dict(centre=dict(type='RefinedPoseHead', source='centre', losses=[dict(type='MPJPELoss')])))


def load(store, pipeline):
    dataset = MotionDataset(str(store), window=dict(kind='centre', num_frames=9), input_2d='exact', pipeline=pipeline)
    return collate_batch(dataset.__getitems__([0, 5, 40]))


def test_true_depths_give_the_true_pose_back(tiny_store):
    """Also where the picture is mirrored: the 2D is exact, so that rays and depths say all."""
    samples = load(tiny_store, PIPELINE)['data_samples']
    points = back_project(samples.target_3d, samples.metainfo['norm'], root=0)
    torch.testing.assert_close(points, samples.target_3d, rtol=0, atol=1e-3)


def test_it_learns_and_predicts_the_refined_centre(tiny_store):
    torch.manual_seed(0)
    batch, model = load(tiny_store, PIPELINE), build(MODELS, MODEL)
    loss = model(**batch, mode='loss')['centre.loss_mpjpe']
    loss.backward()
    assert all(value.grad is not None for value in model.parameters() if value.requires_grad)
    before = [sample.keypoints_3d for sample in model.eval()(**batch, mode='predict')]
    torch.nn.init.constant_(model.heads['centre'].refine.weights[3].bias, -50.0)  # x and y of the input alone
    after = [sample.keypoints_3d for sample in model(**batch, mode='predict')]
    assert all(one.shape == (1, 1, 17, 3) and torch.equal(one[..., 2], other[..., 2])
               and not torch.allclose(one, other) for one, other in zip(before, after))


def test_without_true_depth_it_is_refused(tiny_store):
    batch = load(tiny_store, [step for step in PIPELINE if step['type'] != 'RootDepthOracle'])
    with pytest.raises(ValueError, match='needs the true depth of the root joint.*without refinement'):
        build(MODELS, MODEL)(**batch, mode='predict')


@pytest.mark.parametrize('missing', ['keypoints_3d', 'intrinsics', 'norm'])
def test_the_oracle_refuses_data_without_truth(missing, tiny_store):
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9))
    results = NormalizeCoords()(dataset.gather(np.array([0]), np.random.default_rng(0)), np.random.default_rng(0))
    del results[missing]
    with pytest.raises(ValueError, match=f'RootDepthOracle needs {missing}, which the samples lack'):
        RootDepthOracle()(results, np.random.default_rng(0))
