"""Video and single images side by side: what mesh recovery is trained on, and when."""
import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import ResumableSampler, collate_batch
from motionbert_mm.datasets.mixing import MixedDataset, SourceBatchSampler
from motionbert_mm.datasets.motionbert_mesh import DATASETS, MeshFile
from motionbert_mm.datasets.pose_files import write_stores
from motionbert_mm.datasets.transforms.basic import RandomFlip
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.skeleton import get_skeleton
from tests.mesh_files import mesh_content, write_pickle

FIELDS = ['smpl_pose', 'smpl_betas', 'initial_pose', 'initial_betas']
FRAMES = dict(h36m=16, pw3d=16, coco=1)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Stores of the three sources."""
    folder = tmp_path_factory.mktemp('mesh')
    for name in DATASETS:
        path = write_pickle(folder / f'mesh_det_{name}.pkl', mesh_content(name, has_initial=True))
        write_stores(MeshFile(path, name), folder / name)
    return folder


def make_source(folder, name, fields=FIELDS):
    return dict(type='MotionDataset', data_root=str(folder / name / 'train'), targets=fields,
                window=dict(kind='official', num_frames=FRAMES[name], stride=8 if FRAMES[name] > 1 else 1),
                pipeline=[dict(type='RandomFlip'), dict(type='NormalizeCoords', target=None),
                          dict(type='PackInputs', fields=fields)])


@pytest.fixture
def batches(folder):
    """The sampler of official finetuning on 3DPW: one source after the other, Human3.6M in 20 of 60 epochs."""
    dataset = MixedDataset({name: make_source(folder, name) for name in DATASETS})
    batches = SourceBatchSampler(ResumableSampler(dataset, seed=0), 2, order=['h36m', 'coco', 'pw3d'],
                                 batch_sizes=dict(coco=4))
    batches.limit({}, dict(h36m=20), 60)
    return dataset, batches


def test_the_schedule_of_three_sources(batches):
    dataset, batches = batches
    seen = {}
    for epoch in (0, 19, 20, 59):
        batches.sampler.set_epoch(epoch)
        drawn = [dataset.__getitems__(batch) for batch in batches]
        seen[epoch] = [(batch['metainfo']['source'], batch['inputs'].shape[:3]) for batch in drawn]
    video, images = [('pw3d', (2, 1, 16))], [('coco', (4, 1, 1))]
    assert seen[0] == seen[19] == [('h36m', (2, 1, 16))] * 2 + images + video
    assert seen[20] == seen[59] == images + video


@pytest.mark.parametrize('head', [
    dict(type='MeshHead', hidden_channels=16), dict(type='MeshRefineHead', hidden_channels=16)])
def test_every_source_trains_a_mesh_head(batches, head):
    dataset, batches = batches
    losses = dict(losses=[dict(type='MPJPELoss'), dict(type='VelocityLoss')],
                  smpl_losses=[dict(type='SMPLPoseLoss'), dict(type='SMPLShapeLoss')])
    model = build(MODELS, dict(
        type='MotionModel', backbone=dict(type='DSTformer', max_frames=16, dim=16, depth=1, num_heads=2),
        neck=dict(type='RepresentationLayer', out_channels=8),
        heads=dict(mesh=dict(head, body_model=dict(path='synthetic'), **losses))))
    for batch in batches:
        packed = collate_batch(dataset.__getitems__(batch))
        total = sum(model(**packed, mode='loss').values())
        assert torch.isfinite(total) and total > 0
        total.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


def test_fields_have_the_shapes_of_a_sample(folder):
    data = MotionDataset(**{key: value for key, value in make_source(folder, 'h36m').items() if key != 'type'})
    sample = collate_batch(data.__getitems__([0, 1]))['data_samples']
    shapes = {name: tuple(sample.get(name).shape) for name in FIELDS}
    assert shapes == dict(smpl_pose=(2, 1, 16, 24, 3), smpl_betas=(2, 1, 16, 10), initial_pose=(2, 1, 16, 24, 3),
                          initial_betas=(2, 1, 16, 10))


def test_a_store_without_the_prediction_of_another_method_is_refused(folder, tmp_path):
    path = write_pickle(tmp_path / 'plain.pkl', mesh_content('pw3d'))
    write_stores(MeshFile(path, 'pw3d'), tmp_path / 'pw3d')
    with pytest.raises(ValueError, match="has no initial_betas, initial_pose; it holds .*'smpl_pose'.*Convert with"):
        MotionDataset(**{key: value for key, value in make_source(tmp_path, 'pw3d').items() if key != 'type'})


def flip(results):
    """The whole batch mirrored."""
    return RandomFlip(prob=1.0)(results, np.random.default_rng(0))


def test_a_mirrored_pose_is_the_mirrored_body():
    """The rotations of a mirrored sample give the body of the other sides, with x turned round."""
    rng, body = np.random.default_rng(0), BodyModel('synthetic')
    pose = rng.normal(scale=0.4, size=(2, 1, 3, 24, 3))
    batch = dict(smpl_pose=pose, smpl_translation=rng.normal(size=(2, 1, 3, 3)), skeleton='h36m',
                 visible=np.ones((2, 1, 3, 17), bool))
    betas = torch.from_numpy(rng.normal(size=(6, 10)))

    def joints_of(results):
        rotations = axis_angle_to_matrix(torch.from_numpy(results['smpl_pose'].reshape(-1, 24, 3)))
        place = torch.from_numpy(results['smpl_translation'].reshape(-1, 1, 3))
        return (body.joints(body(rotations, betas)) + place).numpy()

    mirrored = joints_of(batch)[:, list(get_skeleton('h36m').flip_indices)] * np.array([-1, 1, 1])
    np.testing.assert_allclose(joints_of(flip(batch)), mirrored, atol=1.0)
    assert np.abs(joints_of(batch) - mirrored).max() > 100


def test_a_flip_leaves_its_input_and_comes_back():
    pose = np.random.default_rng(0).normal(size=(2, 1, 3, 24, 3))
    batch = dict(smpl_pose=pose.copy(), initial_pose=pose.copy(), smpl_translation=pose[..., 0, :].copy(),
                 skeleton='h36m', visible=np.ones((2, 1, 3, 17), bool))
    once = flip(batch)
    for name in ('smpl_pose', 'initial_pose', 'smpl_translation'):
        np.testing.assert_array_equal(batch[name], pose if name != 'smpl_translation' else pose[..., 0, :])
        assert np.abs(once[name] - batch[name]).max() > 0.5
        np.testing.assert_array_equal(flip(once)[name], batch[name])
