import json

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from scipy.spatial.transform import Rotation

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.evaluation.prediction_file import read_predictions
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.registry import METRICS, build
from motionbert_mm.structures.motion_sample import MotionSample
from tests.generated import load_tool
from tests.mesh_motion import BODY, disturb, make_motion, make_window, pose

tool = load_tool('analysis_tools/eval_predictions.py')
CLIPS = {'walk_1': 20, 'sit_1': 13}
PROTOCOLS = list(tool.MESH_PROTOCOLS)
TILES = {'overlapping': lambda length: [range(start, start + 8) for start in range(0, length - 7, 3)],
         'clips': lambda length: [range(start, start + 4) for start in range(0, length - 3, 4)],
         'padded': lambda length: [np.arange(start, start + 8).clip(max=length - 1) for start in range(0, length, 8)]}


@pytest.fixture(scope='module')
def body():
    return BodyModel(**BODY)


def make_samples(frames_of, body=None):
    """Windows of all clips; predictions are parameters, and what ``body`` makes of them."""
    for seed, (name, length) in enumerate(CLIPS.items()):
        truth = make_motion(length, seed)
        for number, frames in enumerate(frames_of(length)):
            pred = disturb(truth, number)
            pred = {**pred, **pose(body, pred)}
            yield make_window(name, truth, pred, frames, np.append(True, np.diff(frames) > 0)[None], flip_test=False)


def dump(path, frames_of, body, *, posed=True, protocols=('3dpw',)):
    """Test once: results by protocol, and the file."""
    metrics = [dict(type='MeshMetric', body_model=BODY, protocol=name, prefix=name) for name in protocols]
    metrics.append(dict(type='DumpPredictions', out_file=str(path), protocol='3dpw'))
    evaluator = Evaluator([build(METRICS, metric) for metric in metrics])
    samples = list(make_samples(frames_of, body))
    for target, pred in samples:
        if not posed:
            pred.pop('vertices')
        evaluator.process(data_samples=[pred], data_batch=dict(data_samples=MotionSample.stack([target])))
    return evaluator.evaluate(len(samples))


def rescore(path, *options):
    tool.main([*map(str, (path, '--json', path.with_suffix('.json'), *options))])
    content = json.loads(path.with_suffix('.json').read_text())['protocols']
    return {f'{name}/{key}': value for name, part in content.items() for key, value in part['metrics'].items()}


def fails(path, *options):
    with pytest.raises(SystemExit) as stop:
        tool.main([str(path), *map(str, options)])
    assert '\n' not in stop.value.code and stop.value.code.startswith('error: ')
    return stop.value.code


@pytest.mark.parametrize('layout', TILES)
def test_a_dump_of_meshes_gives_the_numbers_of_the_test(body, tmp_path, capsys, layout):
    expected = dump(tmp_path / 'pred.npz', TILES[layout], body)
    result = rescore(tmp_path / 'pred.npz', '--body-model', 'synthetic')  # under the protocol of the config
    assert result == pytest.approx(expected, rel=1e-5) and result['3dpw/MPVE'] > 10
    printed = capsys.readouterr().out
    assert '| protocol: 3dpw |' in printed and 'flip TTA: off' in printed


def test_parameters_alone_give_the_very_numbers_under_every_protocol(body, tmp_path):
    expected = dump(tmp_path / 'pred.npz', TILES['overlapping'], body, posed=False, protocols=PROTOCOLS)
    assert rescore(tmp_path / 'pred.npz', '--protocol', 'all', '--body-model', 'synthetic') == expected
    assert {key.split('/')[0] for key in expected} == set(PROTOCOLS)


def test_the_dump_holds_parameters_and_joints_but_no_vertices(body, tmp_path):
    dump(tmp_path / 'pred.npz', TILES['overlapping'], body)
    with np.load(tmp_path / 'pred.npz', allow_pickle=False) as file:
        arrays = dict(file)
    assert not any('vertices' in key for key in arrays)
    truth = make_motion(20, 0)
    for name in truth:
        assert arrays[f'walk_1/{name}'].shape == truth[name].shape
        assert arrays[f'walk_1/window_{name}'].shape[1] == arrays['walk_1/window_lengths'].sum() == 5 * 8
    np.testing.assert_allclose(arrays['walk_1/true_smpl_betas'], truth['smpl_betas'], atol=1e-6)
    np.testing.assert_allclose(arrays['walk_1/true_smpl_pose'], truth['smpl_pose'], atol=1e-5)
    points = pose(body, disturb(truth, 0))['keypoints_3d']
    np.testing.assert_allclose(arrays['walk_1/keypoints_3d'][:, :3], (points - points[:, :, :1])[:, :3], atol=1e-3)
    # Frames 3 to 5 are in the first two windows: rotations are averaged on their manifold.
    first, second = (disturb(truth, number) for number in (0, 1))
    turns = [Rotation.from_rotvec(np.stack([part['smpl_pose'][0, 3, joint] for part in (first, second)])).mean()
             for joint in range(24)]
    np.testing.assert_allclose(arrays['walk_1/smpl_pose'][0, 3], [turn.as_rotvec() for turn in turns], atol=1e-5)
    np.testing.assert_allclose(arrays['walk_1/smpl_betas'][0, 3],
                               (first['smpl_betas'] + second['smpl_betas'])[0, 3] / 2, atol=1e-5)


def test_truth_that_does_not_count_may_be_nan(body, tmp_path):
    metric = build(METRICS, dict(type='DumpPredictions', out_file=str(tmp_path / 'pred.npz')))
    for target, pred in make_samples(TILES['overlapping'], body):
        target.smpl_pose[0, 2] = float('nan')
        target.visible[0, 2] = False
        metric.process(dict(data_samples=MotionSample.stack([target])), [pred.to_dict()])
    metric.evaluate(1)
    part = read_predictions(tmp_path / 'pred.npz').sequences[0]
    assert np.isnan(part.merged.true_smpl_pose[0, 2]).all()
    assert np.isfinite(np.delete(part.merged.true_smpl_pose, part.merged.frame_ids % 3 == 2, axis=1)).all()


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp('truth') / 'store'
    with MotionStoreWriter(path, skeleton='h36m', fps=30.0) as writer:
        for seed, (name, length) in enumerate(CLIPS.items()):
            truth = {key: values[0] for key, values in make_motion(length, seed).items()}
            writer.add_clip(name, truth, action=name.split('_')[0])
    return path


@pytest.fixture
def foreign(body, tmp_path):
    """Write a file as another method would: bodies of whole sequences and their joints."""
    def write(change=None):
        arrays = {}
        for seed, (name, length) in enumerate(CLIPS.items()):
            pred = disturb(make_motion(length, seed), 0)
            fields = {**pred, 'keypoints_3d': pose(body, pred)['keypoints_3d']}
            arrays.update({f'{name}/{key}': values[0] for key, values in fields.items()})
        if change is not None:
            change(arrays)
        np.savez(tmp_path / 'foreign.npz', **arrays)
        return tmp_path / 'foreign.npz'
    return write


def test_bodies_of_another_method_are_measured_against_a_store(body, store, foreign, tmp_path):
    expected = dump(tmp_path / 'pred.npz', lambda length: [range(length)], body)
    options = '--protocol', '3dpw', '--body-model', 'synthetic', '--store', store
    results = [rescore(path, *options) for path in (foreign(), tmp_path / 'pred.npz')]
    for result in results:
        assert result == pytest.approx(expected, rel=1e-5)


def lose_bodies(arrays):
    arrays.pop('sit_1/smpl_betas')


def cut_pose(arrays):
    arrays['sit_1/smpl_pose'] = arrays['sit_1/smpl_pose'][:, :23]


@pytest.mark.parametrize('change, options, words', [
    (None, ['--protocol', '3dpw'], '2 of 2 predicted sequences hold no ground truth; name a motion store'),
    (None, ['--protocol', 'h36m-mosh', '--store'], "name the body by --body-model, an SMPL file with --regressor, or"),
    (lose_bodies, ['--protocol', 'smpl'], 'smpl measures meshes, but not every sequence ID has ID/smpl_pose'),
    (cut_pose, ['--protocol', 'smpl'], 'sit_1/smpl_pose is float32 of shape (1, 13, 23, 3), expected floats of shape'),
    (None, ['--protocol', 'motionbert', '--store'], 'are not in STORE with keypoints_3d as truth'),
])
def test_what_does_not_fit_is_refused(store, foreign, change, options, words):
    options = [*options, store] if options[-1] == '--store' else options
    message = fails(foreign(change), *options, *([] if '--body-model' in words else ['--body-model', 'synthetic']))
    assert words.replace('STORE', str(store)) in message
