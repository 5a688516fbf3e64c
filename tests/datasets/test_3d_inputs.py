import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.transforms import (
    AddGaussianNoise,
    AddMixtureNoise,
    NormalizeCoords,
    PackInputs,
    ReprojectionTarget,
    SampleJointGroups,
    Take3DInputs,
    ZeroMissing,
)
from motionbert_mm.geometry.targets import decode_target
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.structures.skeleton import get_skeleton

H36M = get_skeleton('h36m')


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def batch(tiny_store):
    """Windows that run over the ends of their clips, normalised."""
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9, kind='centre'), input_2d='exact')
    return NormalizeCoords()(dataset.__getitems__([0, 20, 39, 60]), rng())


def test_inputs_are_the_target_and_where_it_is_visible(batch):
    assert not batch['visible'].all()
    taken = Take3DInputs()(batch, rng())
    assert taken['inputs'].shape == (4, 1, 9, 17, 4) and taken['inputs'].dtype == np.float32
    np.testing.assert_array_equal(taken['inputs'][..., :3], batch['target_3d'])
    np.testing.assert_array_equal(taken['inputs'][..., 3], batch['visible'])
    assert taken['target_3d'] is batch['target_3d']
    decoded = decode_target(torch.from_numpy(taken['inputs'][..., :3]), taken['norm'], H36M.legs)
    np.testing.assert_allclose(decoded, batch['keypoints_3d'] - batch['keypoints_3d'][..., :1, :], atol=1e-3)


def test_unknown_truth_becomes_zero_where_it_is_not_visible(batch):
    target, visible = batch['target_3d'].copy(), batch['visible'].copy()
    target[1, 0, 3, 5], visible[1, 0, 3, 5] = np.nan, False
    inputs = Take3DInputs()(dict(batch, target_3d=target, visible=visible), rng())['inputs']
    assert (inputs[1, 0, 3, 5] == 0).all() and np.isfinite(inputs).all()
    visible[1, 0, 3, 5] = True
    with pytest.raises(ValueError, match=f'sample {batch["sample_id"][1]!r} has NaN or infinite 3D truth'):
        Take3DInputs()(dict(batch, target_3d=target, visible=visible), rng())


@pytest.mark.parametrize('options, message', [
    (dict(target=None), r"found no target_3d; .*behind NormalizeCoords\(target='root_relative'\)"),
    (dict(target='image_space'), "found a target of the kind 'image_space'")])
def test_other_targets_are_refused(tiny_store, options, message):
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9))
    with pytest.raises(ValueError, match=message):
        Take3DInputs()(NormalizeCoords(**options)(dataset.__getitems__([0]), rng()), rng())


def test_it_stands_before_the_mask_and_behind_the_normalisation(batch):
    with pytest.raises(ValueError, match='after the transform that made the mask'):
        Take3DInputs()(SampleJointGroups(groups=['legs'])(batch, rng()), rng())
    with pytest.raises(ValueError, match='found no target_3d'):
        Take3DInputs()({name: batch[name] for name in ('keypoints_3d', 'visible')}, rng())


def test_3d_batches_are_packed_and_mirrored(batch):
    batch = Take3DInputs()(batch, rng())
    packed = collate_batch(PackInputs()(SampleJointGroups(groups=['left_leg'])(batch, rng()), rng()))
    assert packed['inputs'].shape == (4, 1, 9, 17, 4) and packed['data_samples'].mask[..., 4:7].all()
    mirrored = mirror_inputs(packed['inputs'], H36M.flip_indices)
    left, right = H36M.index('left_wrist'), H36M.index('right_wrist')
    torch.testing.assert_close(mirrored[..., left, :], packed['inputs'][..., right, :] * torch.tensor([-1, 1, 1, 1.]))


def test_other_steps_know_3d_inputs(batch):
    taken = Take3DInputs()(batch, rng())
    seen = taken['inputs'][..., 3] > 0
    noise = AddGaussianNoise(std=0.1)(taken, rng())['inputs'] - taken['inputs']
    assert noise[seen][:, :3].std(axis=0) == pytest.approx(0.1, rel=0.2)
    assert (noise[~seen] == 0).all() and (noise[..., 3] == 0).all()
    zeroed = ZeroMissing()(taken, rng())['inputs']
    np.testing.assert_array_equal(zeroed, taken['inputs'] * seen[..., None])
    for transform in (ReprojectionTarget(), AddMixtureNoise()):
        with pytest.raises(ValueError, match=f'{type(transform).__name__} .*3D poses; put it before Take3DInputs'):
            transform(taken, rng())
