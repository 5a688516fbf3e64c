import numpy as np
import pytest
import torch
import trimesh

from motionbert_mm.apis.inference import Lifter
from motionbert_mm.apis.mesh import MeshRecoverer, fit_camera
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.geometry.rotation import axis_angle_to_matrix, mirror_axis_angle
from motionbert_mm.io.mesh_files import to_file_axes
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.generated import TINY_MODEL
from tests.io.body import walk_2d

SIZE = (1000, 1000)
NORMALIZE = [dict(type='NormalizeCoords')]
BODY = dict(path='synthetic')
WINDOW = 8
BACKBONE = dict(type='DSTformer', max_frames=WINDOW, dim=16, depth=1, num_heads=2)
HEAD = dict(type='MeshHead', hidden_channels=16, body_model=BODY)
MESH_MODEL = dict(type='MotionModel', backbone=BACKBONE, neck=dict(type='RepresentationLayer', out_channels=8),
                  heads=dict(mesh=HEAD))
REFINER = dict(MESH_MODEL, heads=dict(mesh=dict(HEAD, type='MeshRefineHead')))


class Oracle(torch.nn.Module):
    """Predicts the bodies that it is made with."""

    flip_test = False

    def __init__(self, pose, betas):
        super().__init__()
        self.pose, self.betas, self.batches = pose, betas, []

    def test_step(self, batch):
        self.batches.append(batch)
        windows = batch['data_samples'].metainfo['frame_ids']
        return [MotionSample(smpl_pose=self.find_pose(window)[None], smpl_betas=self.betas[window][None])
                for window in windows]

    def find_pose(self, window):
        return self.pose[window]


class Turncoat(Oracle):
    """Predicts the opposite axis-angle in every second window."""

    def find_pose(self, window):
        return self.pose[window] * (-1) ** (int(window[0]) // (WINDOW // 2))


@pytest.fixture(scope='module')
def body():
    return BodyModel('synthetic')


def recoverer(body, model):
    return MeshRecoverer(model, body=body, skeleton='h36m', num_frames=WINDOW, transforms=NORMALIZE)


def motion(length, seed=0):
    """Poses (F, 24, 3) that move slowly, upright, and shapes (F, 10)."""
    rng = np.random.default_rng(seed)
    time = np.arange(length)[:, None, None]
    pose = 0.5 * np.sin(0.2 * time * rng.uniform(0.5, 1, (24, 3)) + rng.uniform(0, 6, (24, 3)))
    pose[:, 0] = [np.pi - 0.1, 0, 0]
    return torch.tensor(pose, dtype=torch.float32), torch.zeros(length, 10) + torch.arange(10) / 10


def vertices_of(body, pose, betas):
    return body(axis_angle_to_matrix(pose), betas).numpy()


def make(config, seed=0):
    torch.manual_seed(seed)
    model = build(MODELS, config).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def save(path, config, model=None):
    description = dict(model=config, window=dict(num_frames=WINDOW), pipeline=NORMALIZE)
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=(model or make(config)).state_dict()), path)
    return path


@pytest.mark.parametrize('length', [1, 5, 8, 9, 27])
def test_exact_bodies_stay_exact_whatever_the_length(body, length):
    pose, betas = motion(length)
    result = recoverer(body, Oracle(pose, betas)).recover(walk_2d('h36m', length), skeleton='h36m', image_size=SIZE,
                                                          batch_size=2)
    assert result.smpl_pose.shape == (length, 24, 3) and result.smpl_betas.shape == (length, 10)
    assert {result.smpl_pose.dtype, result.smpl_betas.dtype, result.keypoints_3d.dtype} == {np.dtype('float32')}
    np.testing.assert_allclose(axis_angle_to_matrix(result.smpl_pose), axis_angle_to_matrix(pose.numpy()), atol=1e-5)
    np.testing.assert_allclose(result.smpl_betas, betas.numpy(), atol=1e-6)
    expected = vertices_of(body, pose, betas)
    assert len(result.vertices) == length and result.faces.shape[1] == 3
    for frame in range(-1, length):
        np.testing.assert_allclose(result.vertices[frame], expected[frame], atol=0.01)
    np.testing.assert_allclose(result.keypoints_3d, body.joints(torch.tensor(expected)).numpy(), atol=0.01)
    with pytest.raises(IndexError):
        result.vertices[length]


def test_lengths_are_millimetres_of_an_adult(body):
    pose = torch.zeros(5, 24, 3)
    pose[:, 0, 0] = np.pi
    result = recoverer(body, Oracle(pose, torch.zeros(5, 10))).recover(walk_2d('h36m', 5), skeleton='h36m',
                                                                       image_size=SIZE)
    assert 1500 < np.ptp(result.vertices[0][:, 1]) < 2000
    solid = trimesh.Trimesh(to_file_axes(result.vertices[0]), result.faces, process=False)
    assert 0.03 < solid.volume < 0.15  # cubic metres, the inside where a viewer expects it
    hips = result.keypoints_3d[0, 1] - result.keypoints_3d[0, 4]
    assert 150 < np.linalg.norm(hips) < 350 and result.keypoints_3d[0, 10, 1] < result.keypoints_3d[0, 3, 1]


def test_opposite_ways_to_one_rotation_are_averaged_to_it(body):
    pose, betas = motion(20)
    pose = torch.zeros_like(pose)
    pose[:, :, 0] = np.pi - 0.01  # the mean of the numbers of both ways would be no rotation at all
    result = recoverer(body, Turncoat(pose, betas)).recover(walk_2d('h36m', 20), skeleton='h36m', image_size=SIZE)
    angle = np.linalg.norm(result.smpl_pose, axis=-1)
    assert (angle > np.pi - 0.011).all()
    np.testing.assert_allclose(np.abs(result.smpl_pose[..., 0]), angle, atol=1e-4)


def test_one_person_has_one_shape_in_which_frames_that_were_seen_count(body):
    pose, betas = motion(24)
    betas = torch.where(torch.arange(24)[:, None] < 12, 0.0, 1.0) + betas * 0
    confidence = np.where(np.arange(24)[:, None] < 8, 0.8, 0.2) * np.ones(17)
    result = recoverer(body, Oracle(pose, betas)).recover(walk_2d('h36m', 24), confidence, skeleton='h36m',
                                                          image_size=SIZE)
    assert (result.smpl_betas == result.smpl_betas[0]).all()
    np.testing.assert_allclose(result.smpl_betas[0], 12 * 0.2 / (8 * 0.8 + 16 * 0.2), atol=1e-5)


def test_a_long_track_is_the_short_one_where_its_windows_agree(body):
    pose, betas = motion(40)
    model = recoverer(body, Oracle(pose, betas))
    long, short = (model.recover(walk_2d('h36m', length), skeleton='h36m', image_size=SIZE) for length in (40, 13))
    np.testing.assert_allclose(long.smpl_pose[:13], short.smpl_pose, atol=1e-5)
    np.testing.assert_allclose(long.camera[:13], short.camera, rtol=1e-4)


def test_windows_are_as_long_as_in_training_and_overlap_by_half(body):
    model = Oracle(*motion(20))
    recoverer(body, model).recover(walk_2d('h36m', 20), skeleton='h36m', image_size=SIZE)
    frames = np.concatenate([batch['data_samples'].metainfo['frame_ids'] for batch in model.batches])
    np.testing.assert_array_equal(frames[:, 0], [0, 4, 8, 12])
    assert frames.shape[1] == WINDOW and model.batches[0]['inputs'].shape[1:] == (1, WINDOW, 17, 3)


def test_the_camera_lays_the_body_over_the_input(body):
    pose, betas = motion(9)
    joints = body.joints(torch.tensor(vertices_of(body, pose, betas))).numpy()
    points = 0.25 * joints[..., :2] + np.array([420, 510]) + np.arange(9)[:, None, None]
    result = recoverer(body, Oracle(pose, betas)).recover(points, skeleton='h36m', image_size=SIZE)
    expected = np.stack([np.full(9, 0.25), 420 + np.arange(9), 510 + np.arange(9)], axis=1)
    np.testing.assert_allclose(result.camera, expected, rtol=1e-3)


def test_joints_that_were_not_seen_do_not_move_the_camera():
    joints = np.random.default_rng(0).normal(size=(3, 17, 3)) * 300
    points, weight = 0.5 * joints[..., :2] + 200, np.ones((3, 17))
    points[0, 4], weight[0, 4] = 1e4, 0
    weight[1, 1:] = 0  # one joint gives no scale: all points of the frame count
    camera = fit_camera(joints, points, weight)
    np.testing.assert_allclose(camera, np.tile([0.5, 200, 200], (3, 1)), rtol=1e-5)
    mirrored = fit_camera(joints, -0.5 * joints[..., :2] + 200, np.ones((3, 17)))
    np.testing.assert_allclose(mirrored[:, 0], 0.5, rtol=1e-5)  # a scale below zero would turn the body inside out


@pytest.mark.parametrize('batch_size', [1, 100])
def test_prediction_does_not_depend_on_the_batch_size(tmp_path, batch_size):
    model = MeshRecoverer.from_checkpoint(save(tmp_path / 'a.pth', MESH_MODEL), 'cpu')
    results = [model.recover(walk_2d('coco17', 30), skeleton='coco17', image_size=SIZE, batch_size=size)
               for size in (3, batch_size)]
    np.testing.assert_allclose(results[0].vertices[7], results[1].vertices[7], atol=0.05)
    assert np.isfinite(results[0].smpl_pose).all() and results[0].copied and results[0].skeleton == 'h36m'
    assert np.linalg.norm(results[0].smpl_pose[0] - results[0].smpl_pose[15], axis=-1).max() > 1e-3


def test_a_mirrored_walk_gives_mirrored_bodies(tmp_path):
    model = MeshRecoverer.from_checkpoint(save(tmp_path / 'a.pth', MESH_MODEL), 'cpu')
    points, flip = walk_2d('h36m', 20), list(get_skeleton('h36m').flip_indices)
    mirrored = points[:, flip] * [-1, 1] + [1000, 0]
    plain, other = (model.recover(each, skeleton='h36m', image_size=SIZE) for each in (points, mirrored))
    back = mirror_axis_angle(other.smpl_pose, get_skeleton('smpl24').flip_indices)
    np.testing.assert_allclose(axis_angle_to_matrix(back), axis_angle_to_matrix(plain.smpl_pose), atol=1e-3)
    np.testing.assert_allclose(other.smpl_betas, plain.smpl_betas, atol=1e-4)
    once = model.recover(points, skeleton='h36m', image_size=SIZE, flip_test=False)
    assert np.abs(once.smpl_pose - plain.smpl_pose).max() > 1e-3 and model.model.flip_test is False


def test_missing_joints_are_told(tmp_path):
    model = MeshRecoverer.from_checkpoint(save(tmp_path / 'a.pth', MESH_MODEL), 'cpu')
    points = walk_2d('h36m', 12)
    points[3:5, 13] = np.nan
    result = model.recover(points, skeleton='h36m', image_size=SIZE)
    assert np.argwhere(result.filled).tolist() == [[3, 13], [4, 13]] and (result.confidence[3:5, 13] == 0).all()


def test_a_refiner_reads_the_bodies_of_another_method(tmp_path, body):
    model = make(REFINER)
    for parameter in model.heads['mesh'].output.parameters():
        torch.nn.init.zeros_(parameter)
    refiner = MeshRecoverer.from_checkpoint(save(tmp_path / 'a.pth', REFINER, model), 'cpu')
    pose, betas = motion(21)
    given = dict(initial_pose=pose.reshape(21, 72).numpy(), initial_betas=betas.numpy())
    result = refiner.recover(walk_2d('h36m', 21), skeleton='h36m', image_size=SIZE, **given)
    np.testing.assert_allclose(axis_angle_to_matrix(result.smpl_pose), axis_angle_to_matrix(pose.numpy()), atol=1e-4)
    np.testing.assert_allclose(result.smpl_betas, betas.numpy(), atol=1e-5)


@pytest.mark.parametrize('change, message', [
    ({}, 'refines the bodies of another method'),
    (dict(initial_pose=np.zeros((9, 24, 3))), 'refines the bodies'),
    (dict(initial_pose=np.zeros((8, 24, 3)), initial_betas=np.zeros((9, 10))), r'shape \(8, 24, 3\)'),
    (dict(initial_pose=np.zeros((9, 24, 3)), initial_betas=np.zeros(10)), r'betas \(10,\)'),
    (dict(initial_pose=np.full((9, 72), np.nan), initial_betas=np.zeros((9, 10))), 'NaN')])
def test_a_refiner_refuses_what_does_not_fit(body, change, message):
    model = MeshRecoverer(make(REFINER), body=body, is_refiner=True, skeleton='h36m', num_frames=WINDOW,
                          transforms=NORMALIZE)
    with pytest.raises(ValueError, match=message):
        model.recover(walk_2d('h36m', 9), skeleton='h36m', image_size=SIZE, **change)


@pytest.mark.parametrize('change, message', [
    (dict(keypoints=np.zeros((0, 17, 2))), 'at least one frame'), (dict(batch_size=0), 'batch_size'),
    (dict(missing='guess'), 'missing is'), (dict(image_size=(100, 90)), 'lie outside the image'),
    (dict(initial_pose=np.zeros((9, 24, 3))), 'does not refine one')])
def test_bad_input_is_refused(body, change, message):
    given = dict(keypoints=walk_2d('h36m', 9), skeleton='h36m', image_size=SIZE)
    with pytest.raises(ValueError, match=message):
        recoverer(body, Oracle(*motion(9))).recover(**{**given, **change})


def test_a_lifter_is_no_mesh_model(body, tmp_path):
    torch.save(dict(meta=dict(motionbert_mm=dict(model=TINY_MODEL, window=dict(num_frames=9), pipeline=NORMALIZE)),
                    state_dict=build(MODELS, TINY_MODEL).state_dict()), tmp_path / 'lifter.pth')
    with pytest.raises(ValueError, match='lifter.pth is of a model that predicts no bodies'):
        MeshRecoverer.from_checkpoint(tmp_path / 'lifter.pth', 'cpu')
    with pytest.raises(ValueError, match='without bodies, which has no use for the body model SMPL.npz'):
        load_model(tmp_path / 'lifter.pth', 'cpu', body_model='SMPL.npz')
    ramp = Lifter.from_checkpoint(tmp_path / 'lifter.pth', 'cpu').model
    with pytest.raises(ValueError, match='predicts keypoints_3d, expected smpl_pose'):
        recoverer(body, ramp).recover(walk_2d('h36m', 9), skeleton='h36m', image_size=SIZE)


def test_the_body_model_may_have_moved(tmp_path, monkeypatch):
    seen = []
    here = tmp_path / 'bodies'
    here.mkdir()
    (here / 'J_h36m.npy').touch()
    moved = dict(path='gone/SMPL.npz', regressor='gone/J_h36m.npy', mean_params='gone/mean.npz')
    config = dict(MESH_MODEL, heads=dict(mesh=dict(HEAD, body_model=moved)))
    path = save(tmp_path / 'a.pth', config, make(MESH_MODEL))

    class Recorded(BodyModel):
        def __init__(self, **arguments):
            seen.append(arguments)
            super().__init__('synthetic')
    monkeypatch.setattr('motionbert_mm.models.heads.smpl.BodyModel', Recorded)
    expected = dict(regressor=str(here / 'J_h36m.npy'))
    for body_model in (here / 'SMPL.npz', here):
        load_model(path, 'cpu', body_model=body_model)
        assert seen.pop() == dict(expected, path=str(body_model))
    load_model(path, 'cpu')
    assert seen.pop() == dict(path='gone/SMPL.npz', regressor='gone/J_h36m.npy')  # the weights have the mean
