import csv

import numpy as np
import pytest
import torch
from mmengine.config import Config

from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from motionbert_mm.evaluation import functional as F
from motionbert_mm.geometry.rotation import axis_angle_to_matrix, matrix_to_rotation_6d
from motionbert_mm.models.body_model import BodyModel
from tests.generated import load_tool, write_config

tool = load_tool('analysis_tools/mesh_baseline.py')
BODY = dict(path='synthetic')
CLIPS = {'walk_1': 20, 'walk_2': 27, 'wave_1': 18, 'wave_2': 22}  # tested on are those that end with 2
FIELDS = ['smpl_pose', 'smpl_betas']
STEPS = [dict(type='NormalizeCoords', target=None), dict(type='PackInputs', fields=FIELDS)]


def write_store(path, clips=CLIPS):
    """Clips of one or two persons who turn every joint a little."""
    rng = np.random.default_rng(0)
    with MotionStoreWriter(path, skeleton='h36m', fps=30.0) as writer:
        for number, (name, length) in enumerate(clips.items()):
            persons = 1 + number % 2
            pose = rng.normal(0, 0.3, (persons, length, 24, 3)) + rng.normal(0, 0.3, (24, 3))
            pose[:, :, 0] += [np.pi - 1, 0, 0]
            arrays = dict(smpl_pose=pose, smpl_betas=rng.normal(size=(persons, length, 10)),
                          detected_2d=rng.uniform(0, 900, (persons, length, 17, 2)),
                          detected_confidence=np.ones((persons, length, 17)))
            arrays = {key: (values if persons > 1 else values[0]).astype(np.float32) for key, values in arrays.items()}
            writer.add_clip(name, arrays, persons=persons, action=name.split('_')[0], image_size=(1000, 1000))
    return path


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp('bodies') / 'store')


def make_config(folder, store, **changes):
    """Config that trains and tests mesh recovery on a store."""
    common = {f'{stage}_dataloader.dataset.{key}': value for stage in ('train', 'test') for key, value in (
        ('targets', FIELDS), ('pipeline', STEPS), ('input_2d', 'detected'),
        ('window', dict(_delete_=True, num_frames=9, stride=9, tail='pad')))}
    changes = {**common, 'train_dataloader.dataset.exclude': ['*_2'], 'test_dataloader.dataset.include': ['*_2'],
               'test_evaluator': dict(_delete_=True, type='MeshMetric', body_model=BODY), **changes}
    return str(write_config(folder / 'mesh.py', store, **changes))


def run(config, tmp_path, *options):
    """Run the tool; numbers by baseline."""
    tool.main([config, '--csv', str(tmp_path / 'out.csv'), *map(str, options)])
    with open(tmp_path / 'out.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    return {row['baseline']: {name: float(row[name]) for name in tool.MEASURED} for row in rows}


def bodies(store, end):
    """Rotations (F, 24, 3, 3) and betas (F, 10) of all frames and persons of the clips whose names end so."""
    store = MotionStore(store)
    rows = np.concatenate([np.arange(clip.start, clip.start + clip.persons * clip.length) for clip in store.clips
                           if clip.name.endswith(end)])
    return axis_angle_to_matrix(np.asarray(store.arrays['smpl_pose'][rows], np.float64)), np.asarray(
        store.arrays['smpl_betas'][rows])


def errors(guess, truth):
    """The three numbers of one body for all frames, by hand."""
    body, points = BodyModel(**BODY), []
    for rotations, betas in (guess, truth):
        vertices = body(torch.as_tensor(rotations).float(), torch.as_tensor(betas).float())
        joints = body.joints(vertices)
        points.append([part - joints[:, :1] for part in (vertices, joints)])
    (vertices, joints), (true_vertices, true_joints) = points
    joints, true_joints = (side[:, list(F.BODY_JOINTS)].numpy() for side in (joints, true_joints))
    joints = np.broadcast_to(joints, true_joints.shape)
    return {'MPVE': (vertices - true_vertices).norm(dim=-1).mean().item(),
            'MPJPE': F.mpjpe(joints, true_joints).mean(), 'PA-MPJPE': F.p_mpjpe(joints, true_joints).mean()}


def nearest_rotation(rotations):
    """The rotation (J, 3, 3) that is nearest to the mean of (F, J, 3, 3), by scipy."""
    from scipy.spatial.transform import Rotation
    return np.stack([Rotation.from_matrix(joint).mean().as_matrix() for joint in np.moveaxis(rotations, 1, 0)])


def test_both_baselines_by_hand(store, tmp_path, capsys):
    result = run(make_config(tmp_path, store), tmp_path)
    truth, (rotations, betas) = bodies(store, '2'), bodies(store, '1')
    expected = errors((nearest_rotation(rotations)[None], betas.mean(axis=0)[None]), truth)
    assert list(result) == ['mean body', 'mean parameters']
    assert result['mean body'] == pytest.approx(expected, rel=1e-4)
    rest = np.tile(np.eye(3), (1, 24, 1, 1))
    rest[0, 0] = np.diag([1, -1, -1])
    assert result['mean parameters'] == pytest.approx(errors((rest, np.zeros((1, 10))), truth), rel=1e-4)
    assert result['mean body']['MPVE'] < result['mean parameters']['MPVE']
    printed = capsys.readouterr().out
    assert 'mean body: Protocol of MPVE' in printed and 'evaluated: 4 sequences, 98 frames' in printed
    header, *rows = printed.splitlines()[-4:-1]
    assert header.split() == ['baseline', 'MPVE', 'MPJPE', 'PA-MPJPE']
    assert rows[0].split()[2:] == [f'{value:.2f}' for value in result['mean body'].values()]


def test_mean_parameters_are_read_from_their_file(store, tmp_path):
    rotations, betas = bodies(store, 'walk_2')
    np.savez(tmp_path / 'mean.npz', pose=matrix_to_rotation_6d(rotations[0]).reshape(-1), shape=betas[0])
    body = dict(BODY, mean_params=str(tmp_path / 'mean.npz'))
    result = run(make_config(tmp_path, store, **{'test_evaluator.body_model': body}), tmp_path)
    assert result['mean parameters'] == pytest.approx(errors((rotations[:1], betas[:1]), bodies(store, '2')), rel=1e-4)


def test_the_mean_body_of_a_store(store, tmp_path):
    other = write_store(tmp_path / 'other', {'run_2': 30})
    result = run(make_config(tmp_path, store), tmp_path, '--train-store', other)
    rotations, betas = bodies(other, '2')
    expected = errors((nearest_rotation(rotations)[None], betas.mean(axis=0)[None]), bodies(store, '2'))
    assert result['mean body'] == pytest.approx(expected, rel=1e-4)


def test_mixtures_give_every_frame_once_and_turned_ones_none(store):
    source = dict(type='MotionDataset', data_root=str(store), targets=FIELDS, window=dict(num_frames=9, stride=1),
                  pipeline=[dict(type='RandomFlip'), *STEPS])
    flat = dict(source, targets=[])
    config = Config(dict(train_dataloader=dict(dataset=dict(type='MixedDataset', datasets=dict(
        a=source, b=dict(source, window=dict(num_frames=5)), c=flat)))))
    chosen, = tool.training_sources(config, FIELDS)
    rotations, betas = tool.mean_body([chosen])
    expected = bodies(store, '')
    np.testing.assert_allclose(rotations, nearest_rotation(expected[0]), atol=1e-5)
    np.testing.assert_allclose(betas, expected[1].mean(axis=0), atol=1e-5)


@pytest.mark.parametrize('changes, message', [
    ({'test_evaluator': dict(_delete_=True, type='Pose3DMetric')}, 'is tested by Pose3DMetric; this baseline needs'),
    ({'train_dataloader.dataset.targets': []}, 'have no smpl_pose and smpl_betas; name a store by --train-store'),
    ({'test_dataloader': None}, 'has no test_dataloader; name a config that tests mesh recovery'),
    ({'test_dataloader.dataset.pipeline': [STEPS[0], dict(type='PackInputs', fields=[])]},
     'the ground truth has no smpl_pose, smpl_betas'),
    ({'test_evaluator.body_model': dict(path='nowhere/SMPL_NEUTRAL.npz', regressor='r.npy')}, 'SMPL_NEUTRAL.npz')])
def test_what_cannot_be_measured_is_refused_in_one_line(store, tmp_path, changes, message):
    with pytest.raises(SystemExit, match=f'error: .*{message}') as stop:
        run(make_config(tmp_path, store, **changes), tmp_path)
    assert '\n' not in stop.value.code and not (tmp_path / 'out.csv').exists()


def test_help_says_what_it_measures(capsys):
    with pytest.raises(SystemExit) as stop:
        tool.main(['--help'])
    printed = capsys.readouterr().out
    assert not stop.value.code
    assert all(word in printed for word in ('mean body', 'mean parameters', '--train-store', '--csv'))
