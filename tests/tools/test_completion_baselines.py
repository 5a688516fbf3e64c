import csv

import numpy as np
import pytest
import torch
from mmengine.config import Config

from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.evaluation import functional as F
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.skeleton import get_skeleton
from tests.generated import TINY_MODEL, load_tool, write_config, write_people_store

baselines = load_tool('analysis_tools/completion_baselines.py')
H36M = get_skeleton('h36m')
LEG = list(H36M.groups['left_leg'])
TEST = '_2#'  # in the names of the clips that make_config tests on
NORMALIZE, PACK = dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['keypoints_3d'])


def steps(group, solid, **options):
    return [NORMALIZE, *([dict(type='Take3DInputs')] if solid else []),
            dict(type='SampleJointGroups', groups=[group], **options), PACK]


@pytest.fixture
def make(tiny_store, tmp_path):
    """Write a config that tests completion, on windows that do not overlap."""
    def write(group='left_leg', solid=True, num_frames=None, **changes):
        pipeline = steps(group, solid, **(dict(num_frames=num_frames) if num_frames else {}))
        changes = {'test_dataloader.dataset.pipeline': pipeline, 'test_dataloader.dataset.input_2d': 'exact',
                   'test_dataloader.dataset.window': dict(num_frames=9, stride=9, tail='drop'),
                   'test_evaluator': [dict(type='Pose3DMetric', overlap='errors', average='frame')], **changes}
        return str(write_config(tmp_path / 'complete.py', tiny_store, **changes))
    return write


@pytest.fixture
def run(tmp_path):
    """Run the tool and return the headlines by baseline."""
    def call(*arguments):
        baselines.main([*map(str, arguments), '--csv', str(tmp_path / 'out.csv'), '--device', 'cpu'])
        with open(tmp_path / 'out.csv', newline='') as file:
            rows = list(csv.DictReader(file))
        call.rows = rows
        return {row['baseline']: {key: float(row[key]) for key in baselines.MEASURED} for row in rows
                if row['group'] == 'headline'}
    return call


def poses(store, is_test):
    """Poses (F, 17, 3) mm relative to the root, of the clips that are trained on or of whole windows tested on."""
    store = MotionStore(store)
    clips = [clip for clip in store.clips if (TEST in clip.name) == is_test]
    points = [np.asarray(store.arrays['keypoints_3d'][clip.start:clip.start + clip.length], np.float64)
              for clip in clips]
    points = [clip[:len(clip) // 9 * 9] if is_test else clip for clip in points]
    return np.concatenate([clip - clip[:, :1] for clip in points])


def error(guess, truth, joints=None):
    errors = F.joint_errors(guess, truth)
    return (errors if joints is None else errors[:, joints]).mean()


def test_a_hidden_limb_by_hand(make, run, tiny_store, capsys):
    result = run(make())
    truth, mean = poses(tiny_store, True), poses(tiny_store, False).mean(axis=0)
    assert list(result) == ['mean pose', 'interpolation']
    for name, leg in (('mean pose', np.broadcast_to(mean, truth.shape)), ('interpolation', np.zeros_like(truth))):
        hidden = error(leg, truth, LEG)  # the leg hangs on nothing but the root
        assert result[name]['MPJPE/hidden'] == pytest.approx(hidden, rel=1e-4)
        for key in ('MPJPE/completed', 'MPJPE'):  # what was seen is exact
            assert result[name][key] == pytest.approx(hidden * 3 / 17, rel=1e-4)
        assert result[name]['MPJPE/seen'] == pytest.approx(0, abs=1e-3)
    groups = [row['group'] for row in run.rows if row['baseline'] == 'mean pose']
    assert groups == ['walk', 'wave', 'headline'] and {row['inputs'] for row in run.rows} == {'3D'}
    printed = capsys.readouterr().out
    assert 'hidden: left_leg (left_hip, left_knee, left_ankle), in every frame' in printed
    assert f'{result["mean pose"]["MPJPE/hidden"]:.1f}' in printed.splitlines()[-3]


def test_a_joint_between_others_lies_on_their_line(make, run, tiny_store):
    result = run(make(['left_knee']))
    truth, knee = poses(tiny_store, True), [H36M.index('left_knee')]
    guess = truth.copy()
    guess[:, knee[0]] = (truth[:, H36M.index('left_hip')] + truth[:, H36M.index('left_ankle')]) / 2
    assert result['interpolation']['MPJPE/hidden'] == pytest.approx(error(guess, truth, knee), rel=1e-4)


def test_a_gap_in_time_is_crossed(make, run, tiny_store):
    """The same masks as of the data set: windows of nine frames of which eight are hidden, so one end is seen."""
    result = run(make(num_frames=8))
    truth = poses(tiny_store, True).reshape(-1, 9, 17, 3)
    ends = np.stack([F.joint_errors(np.repeat(truth[:, [place]], 9, axis=1), truth)[..., LEG] for place in (0, 8)])
    ends = ends.sum(axis=(2, 3)) / 24  # mean over the 8 frames and 3 joints that differ
    hidden = result['interpolation']['MPJPE/hidden']
    assert ends.min(axis=0).mean() * 0.999 < hidden < ends.max(axis=0).mean() * 1.001
    assert hidden < 0.7 * result['mean pose']['MPJPE/hidden']


def test_two_runs_are_given_the_same_masks(make, run):
    config = make(3)
    assert run(config) == run(config)


def save_lifter(path, *, pipeline=(NORMALIZE,), **model):
    torch.manual_seed(0)
    model = {**TINY_MODEL, **model}
    description = dict(model=model, window=dict(num_frames=9), pipeline=list(pipeline))
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=build(MODELS, model).state_dict()), path)
    return path


def test_partial_2d_is_filled_in_and_lifted(make, run, tiny_store, tmp_path, capsys):
    lifter = save_lifter(tmp_path / 'lifter.pth')
    truth, mean = poses(tiny_store, True), poses(tiny_store, False).mean(axis=0)
    config = make(['left_knee'], solid=False)
    result = run(config, '--lifter', lifter)
    assert list(result) == ['mean pose', 'interpolation, lifted']
    whole = np.broadcast_to(mean, truth.shape)
    assert result['mean pose']['MPJPE'] == pytest.approx(error(whole, truth), rel=1e-4)
    assert result['mean pose']['MPJPE/seen'] == pytest.approx(
        error(whole, truth, np.delete(np.arange(17), H36M.index('left_knee'))), rel=1e-4)
    # By hand: the 2D with the knee in the middle of hip and ankle, through the same network.
    dataset = build(baselines.DATASETS, Config.fromfile(config).test_dataloader.dataset)
    model = baselines.load_model(lifter, 'cpu')[0]
    errors = []
    for sample in (dataset[number] for number in range(len(dataset))):
        inputs = sample['inputs'][0].copy()
        inputs[:, H36M.index('left_knee')] = inputs[:, [H36M.index('left_hip'), H36M.index('left_ankle')]].mean(axis=1)
        with torch.no_grad():
            lifted = 1000 * model.heads.pose(model.extract_features(torch.from_numpy(inputs)[None, None]))[0].numpy()
        points = sample['fields']['keypoints_3d'][0]
        lifted[:, 0] = 0
        errors.append(error(lifted, points - points[:, :1]))
    assert result['interpolation, lifted']['MPJPE'] == pytest.approx(np.mean(errors), rel=1e-4)
    capsys.readouterr()
    assert list(run(config)) == ['mean pose'] and 'interpolation needs a --lifter' in capsys.readouterr().out


def test_the_lifter_is_mirrored_as_the_config_says(make, run, tmp_path, capsys):
    lifter = save_lifter(tmp_path / 'lifter.pth')
    on, off = (run(make(solid=False, **{'model.flip_test': flip}), '--lifter', lifter)['interpolation, lifted']
               for flip in (True, False))
    assert on['MPJPE'] != off['MPJPE'] and 'flip TTA: on' in capsys.readouterr().out


def test_several_configs_share_a_table(make, run, tmp_path):
    first = make()
    second = tmp_path / 'arms.py'
    second.write_text(f'_base_ = {first!r}\n')
    run(first, second)
    assert [row['config'] for row in run.rows if row['group'] == 'headline'] == ['complete'] * 2 + ['arms'] * 2


def test_the_mean_pose_of_a_store(make, run, tiny_store):
    result = run(make(), '--train-store', tiny_store, '--include', '*_2#*')
    truth = poses(tiny_store, True)
    store = MotionStore(tiny_store)
    clips = [clip for clip in store.clips if TEST in clip.name]
    frames = np.concatenate([store.arrays['keypoints_3d'][clip.start:clip.start + clip.length] for clip in clips])
    mean = (frames - frames[:, :1]).mean(axis=0)
    assert result['mean pose']['MPJPE/hidden'] == pytest.approx(
        error(np.broadcast_to(mean, truth.shape), truth, LEG), rel=1e-4)


def test_mixtures_give_every_frame_once(tiny_store):
    source = dict(type='MotionDataset', data_root=str(tiny_store), window=dict(num_frames=9, stride=1), pipeline=[])
    twice = dict(source, pipeline=[dict(type='RandomFlip'), NORMALIZE], window=dict(num_frames=5), seed=3)
    flat = dict(source, targets=[])
    config = Config(dict(train_dataloader=dict(dataset=dict(type='MixedDataset', datasets=dict(
        a=source, b=dict(type='JoinedDataset', datasets=dict(c=twice, d=flat)))))))
    chosen, = baselines.training_sources(config)
    store = MotionStore(tiny_store)
    points = np.asarray(store.arrays['keypoints_3d'], np.float64)
    np.testing.assert_allclose(baselines.mean_pose([chosen], H36M), (points - points[:, :1]).mean(axis=0), atol=1e-3)
    seen = dict(source, pipeline=[dict(type='OrthographicView')])
    with pytest.raises(ValueError, match='are seen through OrthographicView; name a store by --train-store'):
        baselines.training_sources(Config(dict(train_dataloader=dict(dataset=seen))))


def test_absent_persons_are_in_no_mean(tmp_path):
    store = MotionStore(write_people_store(tmp_path / 'people'))
    points = np.asarray(store.arrays['keypoints_3d'], np.float64)
    source = baselines.as_poses(dict(type='MotionDataset', data_root=str(store.path)))
    np.testing.assert_allclose(baselines.mean_pose([source], H36M), (points - points[:, :1]).mean(axis=0), atol=1e-3)


def test_joints_are_converted_as_in_the_config(make, run, tiny_store):
    convert = dict(type='ConvertSkeleton', target='h36m16')
    result = run(make(**{'test_dataloader.dataset.pipeline': [convert, *steps('left_leg', True)],
                         'train_dataloader.dataset.pipeline': [convert, NORMALIZE]}))
    hidden = error(np.zeros_like(poses(tiny_store, True)), poses(tiny_store, True), LEG)
    assert result['interpolation']['MPJPE/completed'] == pytest.approx(hidden * 3 / 16, rel=1e-4)


@pytest.mark.parametrize('changes, options, message', [
    ({'test_dataloader.dataset.pipeline': [NORMALIZE, PACK]}, [], 'hide nothing; their pipeline needs a mask'),
    ({'test_dataloader.dataset.test_mode': False}, [], 'draws new masks in every test'),
    ({'test_evaluator': [dict(type='Pose2DMetric')]}, [], 'is tested by Pose2DMetric; completion is measured by'),
    ({'train_dataloader.dataset.targets': []}, [], 'have no 3D truth; name a store by --train-store'),
    ({'train_dataloader.dataset.pipeline': [dict(type='ConvertSkeleton', target='h36m16')]}, [],
     "have skeleton 'h36m16', the test data 'h36m'"),
    ({}, ['--include', '*'], '--include and --exclude choose clips of --train-store'),
    ({}, ['--train-store', 'nowhere'], 'nowhere'),
    ({}, ['--device', 'abacus'], '--device abacus is not available')])
def test_configs_that_test_no_completion_are_refused(make, changes, options, message):
    with pytest.raises(SystemExit, match=f'error: .*{message}'):
        baselines.main([make(**changes), *options])


def test_lifters_of_other_inputs_are_refused(make, tmp_path):
    lifter = save_lifter(tmp_path / 'lifter.pth', pipeline=[dict(type='NormalizeCoords', inputs='crop_scale')])
    with pytest.raises(SystemExit, match=r"trained with NormalizeCoords\(inputs='crop_scale'.*inputs='screen'"):
        baselines.main([make(solid=False), '--lifter', str(lifter), '--device', 'cpu'])


def test_help_says_what_it_needs(capsys):
    with pytest.raises(SystemExit) as stop:
        baselines.main(['--help'])
    printed = capsys.readouterr().out
    assert not stop.value.code
    assert all(word in printed for word in ('--lifter', '--train-store', '--csv', 'mean pose', 'interpolation'))
