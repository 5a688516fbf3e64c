import csv
import json

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.evaluation.prediction_file import read_predictions
from motionbert_mm.registry import METRICS, build
from motionbert_mm.structures.motion_sample import MotionSample
from tests.generated import load_tool, make_motion

tool = load_tool('analysis_tools/eval_predictions.py')
CAMERA = '54138969'
H36M_PROTOCOLS = ['motionbert', 'videopose3d', 'mmpose']
# Title of a recording -> frames. S9 Greeting is left out by motionbert and mmpose, S11 Directions by videopose3d.
LENGTHS = {'S9/Greeting': 20, 'S9/Greeting 1': 23, 'S9/Walking 1': 31, 'S11/Directions': 22, 'S11/Directions 1': 26}
CLIPS = {f'{title}.{CAMERA}': length for title, length in LENGTHS.items()}


def facts(name):
    subject, title = name.rsplit('.', 1)[0].split('/')
    return dict(subject=subject, action=title.split(' ')[0])


def make_truth(seed=0):
    """Truth (F, 17, 3) mm in the camera frame by clip."""
    return {name: (make_motion(length, seed + number) + [0, 0, 4000]).astype(np.float32)
            for number, (name, length) in enumerate(CLIPS.items())}


def make_prediction(truth, seed):
    """Prediction relative to the root, with an error of its own in every window."""
    noise = np.random.default_rng(seed).normal(0, 30, truth.shape)
    return (truth - truth[:, :1] + noise - noise[:, :1]).astype(np.float32)


def make_samples(frames_of, **meta):
    """Ground truth and prediction of the windows that ``frames_of(length)`` lays; repeated last frames are padding."""
    for name, truth in make_truth().items():
        for number, frames in enumerate(frames_of(len(truth))):
            frames = np.asarray(frames)
            shown = np.append(True, np.diff(frames) > 0)
            info = dict(sample_id=name, frame_ids=frames, skeleton='h36m', camera_id=CAMERA, fps=50.0, **facts(name))
            visible = torch.from_numpy(np.repeat(shown[None, :, None], 17, axis=2))
            target = MotionSample(metainfo=info, keypoints_3d=torch.from_numpy(truth[None, frames]), visible=visible)
            pred = torch.from_numpy(make_prediction(truth[frames], number)[None])
            yield target, MotionSample(metainfo={**info, **meta}, keypoints_3d=pred)


def sliding(size, stride, padded=False):
    """Windows of a length; the last one is shifted to the end, or repeats the last frame."""
    def frames_of(length):
        starts = range(0, length if padded else length - size + 1, stride)
        starts = starts if padded else sorted({*starts, length - size})
        return [np.minimum(np.arange(start, start + size), length - 1) for start in starts]
    return frames_of


WINDOWS = {'overlapping': sliding(8, 3), 'dropped tails': lambda length: np.arange(length // 8 * 8).reshape(-1, 8),
           'padded': sliding(8, 8, padded=True), 'whole': lambda length: [np.arange(length)],
           'interleaved': lambda length: [np.arange(start, length, 2) for start in (0, 1)]}


def dump(path, frames_of, copies=0, **meta):
    """Test once: results by protocol, and the file."""
    metrics = [dict(type='Pose3DMetric', protocol=name, prefix=name) for name in H36M_PROTOCOLS]
    metrics.append(dict(type='DumpPredictions', out_file=str(path), protocol='motionbert'))
    evaluator = Evaluator([build(METRICS, metric) for metric in metrics])
    samples = list(make_samples(frames_of, **meta))
    for target, prediction in samples + samples[:copies]:
        evaluator.process(data_samples=[prediction], data_batch=dict(data_samples=MotionSample.stack([target])))
    return evaluator.evaluate(len(samples))


def run(*arguments):
    tool.main([str(argument) for argument in arguments])


def fails(capsys, *arguments):
    """The one line with which the tool ends."""
    with pytest.raises(SystemExit) as exit_info:
        run(*arguments)
    assert '\n' not in exit_info.value.code and exit_info.value.code.startswith('error: ')
    return exit_info.value.code


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp('truth') / 'store'
    with MotionStoreWriter(path, skeleton='h36m', fps=50.0) as writer:
        for name, truth in make_truth().items():
            writer.add_clip(name, {'keypoints_3d': truth}, camera=CAMERA, **facts(name))
    return path


@pytest.fixture
def foreign(tmp_path):
    """Write a file as another method would: poses alone, whole sequences."""
    def write(change=None, **more):
        arrays = {f'{name}/keypoints_3d': make_prediction(truth, 0) for name, truth in make_truth().items()}
        if change is not None:
            change(arrays)
        np.savez(tmp_path / 'foreign.npz', **arrays, **more)
        return tmp_path / 'foreign.npz'
    return write


@pytest.mark.parametrize('layout', WINDOWS)
def test_a_dump_gives_the_very_numbers_of_the_test_under_every_protocol(tmp_path, layout):
    expected = dump(tmp_path / 'pred.npz', WINDOWS[layout], copies=3, flip_test=True)
    run(tmp_path / 'pred.npz', '--protocol', 'all', '--json', tmp_path / 'out.json')
    content = json.loads((tmp_path / 'out.json').read_text())['protocols']
    assert list(content) == H36M_PROTOCOLS  # that of another skeleton is left out
    rescored = {f'{name}/{key}': value for name, part in content.items() for key, value in part['metrics'].items()}
    assert rescored == expected and len(expected) == 3 * 7 * 4
    assert len({content[name]['metrics']['MPJPE'] for name in H36M_PROTOCOLS}) == 3
    assert all('flip TTA: on' in part['protocol'] and 'fps: 50' in part['protocol'] for part in content.values())


def test_the_dump_holds_merged_sequences_and_what_identifies_them(tmp_path):
    dump(tmp_path / 'pred.npz', WINDOWS['overlapping'], flip_test=False)
    truth = make_truth()
    with np.load(tmp_path / 'pred.npz', allow_pickle=False) as file:
        arrays = dict(file)
    assert [str(arrays[key]) for key in ('skeleton', 'unit', 'protocol')] == ['h36m', 'mm', 'motionbert']
    assert bool(arrays['flip_test']) is False and set(arrays['fps']) == {50.0}
    assert arrays['sample_id'].tolist() == sorted(CLIPS)
    assert arrays['action'].tolist() == [facts(name)['action'] for name in sorted(CLIPS)]
    assert arrays['subject'].tolist() == [facts(name)['subject'] for name in sorted(CLIPS)]
    assert set(arrays['camera']) == {CAMERA}
    name, length = f'S9/Greeting.{CAMERA}', 20
    assert arrays[f'{name}/frame_ids'].tolist() == list(range(length))
    np.testing.assert_array_equal(arrays[f'{name}/ground_truth'][0], truth[name] - truth[name][:, :1])
    assert arrays[f'{name}/visible'].shape == (1, length, 17) and arrays[f'{name}/visible'].all()
    assert arrays[f'{name}/window_lengths'].tolist() == [8] * 5
    first, second = (make_prediction(truth[name][start:start + 8], number) for number, start in enumerate((0, 3)))
    merged = arrays[f'{name}/keypoints_3d'][0]
    np.testing.assert_array_equal(merged[:3], first[:3])
    np.testing.assert_allclose(merged[3:6], (first[3:6] + second[:3]) / 2, atol=1e-3)


def test_windows_that_do_not_overlap_are_not_stored_twice(tmp_path):
    dump(tmp_path / 'pred.npz', WINDOWS['dropped tails'])
    with np.load(tmp_path / 'pred.npz', allow_pickle=False) as file:
        assert not [key for key in file.files if 'window_' in key and not key.endswith('/window_lengths')]
        assert 'flip_test' not in file.files
        assert file[f'S9/Walking 1.{CAMERA}/window_lengths'].tolist() == [8, 8, 8]


def test_centre_frame_models_are_dumped_with_the_truth_of_their_frames(tmp_path):
    evaluator = Evaluator([build(METRICS, dict(type='Pose3DMetric', protocol='videopose3d')),
                           build(METRICS, dict(type='DumpPredictions', out_file=str(tmp_path / 'pred.npz')))])
    for target, prediction in make_samples(lambda length: [np.arange(start, start + 5) for start in range(length - 4)]):
        centre = dict(prediction.metainfo_items(), frame_ids=np.asarray(prediction.frame_ids)[2:3])
        evaluator.process(data_samples=[MotionSample(metainfo=centre, keypoints_3d=prediction.keypoints_3d[:, 2:3])],
                          data_batch=dict(data_samples=MotionSample.stack([target])))
    expected = evaluator.evaluate(1)
    run(tmp_path / 'pred.npz', '--protocol', 'videopose3d', '--json', tmp_path / 'out.json')
    assert json.loads((tmp_path / 'out.json').read_text())['protocols']['videopose3d']['metrics'] == expected


def test_the_protocol_of_the_config_is_the_default(tmp_path, capsys):
    dump(tmp_path / 'pred.npz', WINDOWS['whole'])
    run(tmp_path / 'pred.npz')
    out = capsys.readouterr().out
    assert '| protocol: motionbert |' in out and 'excluded: 1 sequences' in out
    assert [line.split()[0] for line in out.splitlines()[:4]] == ['action', 'Dire', 'Greet', 'Walk']


def test_several_protocols_are_compared_and_written(tmp_path, capsys):
    expected = dump(tmp_path / 'pred.npz', WINDOWS['whole'])
    run(tmp_path / 'pred.npz', '--protocol', 'mmpose', 'videopose3d', '--csv', tmp_path / 'out.csv')
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    header, first, second = lines[-3:]
    assert header[:4] == ['protocol', 'MPJPE', 'P-MPJPE', 'MPJVE']
    assert header[-3:] == ['sequences', 'frames', 'excluded']
    assert first[:2] == ['mmpose', f'{expected["mmpose/MPJPE"]:.2f}'] and first[-3:] == ['4', '102', '1']
    assert second[:2] == ['videopose3d', f'{expected["videopose3d/MPJPE"]:.2f}'] and second[-3:] == ['4', '100', '1']
    with open(tmp_path / 'out.csv', newline='') as file:
        table = list(csv.DictReader(file))
    assert {row['table'] for row in table} == {'action', 'frame', 'clip'}
    rows = {(row['protocol'], row['group']): row for row in table}
    assert len(table) == len(rows) == 2 * (3 + 3)
    assert float(rows['mmpose', 'mean over frames']['MPJPE']) == expected['mmpose/MPJPE']
    assert float(rows['videopose3d', 'mean over actions']['MPJVE']) == expected['videopose3d/MPJVE']
    assert rows['mmpose', 'Directions']['frames'] == '48' and rows['videopose3d', 'Directions']['frames'] == '26'


def test_patterns_leave_out_more_sequences(tmp_path, capsys):
    dump(tmp_path / 'pred.npz', WINDOWS['whole'])
    run(tmp_path / 'pred.npz', '--protocol', 'motionbert', '--skip', 'S11/*')
    assert 'excluded: 3 sequences (S9 Greeting, S9 SittingDown, S9 Waiting 1; beyond the protocol: S11/*)' in (
        capsys.readouterr().out)


def test_predictions_of_another_method_are_measured_against_a_store(tmp_path, store, foreign):
    expected = dump(tmp_path / 'pred.npz', WINDOWS['whole'])
    results = []
    for path in (foreign(), tmp_path / 'pred.npz'):
        run(path, '--protocol', 'all', '--store', store, '--json', tmp_path / 'out.json')
        content = json.loads((tmp_path / 'out.json').read_text())['protocols']
        results.append({f'{name}/{key}': value for name, part in content.items()
                        for key, value in part['metrics'].items()})
    assert results == [expected, expected]


def test_a_dump_of_some_frames_is_measured_against_a_store(tmp_path, store):
    expected = dump(tmp_path / 'pred.npz', WINDOWS['dropped tails'])
    run(tmp_path / 'pred.npz', '--store', store, '--json', tmp_path / 'out.json')
    content = json.loads((tmp_path / 'out.json').read_text())['protocols']
    assert content['motionbert']['metrics']['MPJPE'] == expected['motionbert/MPJPE']


def test_sequences_that_the_protocol_leaves_out_may_be_missing(store, foreign, capsys):
    path = foreign(lambda arrays: arrays.pop(f'S9/Greeting.{CAMERA}/keypoints_3d'))
    run(path, '--protocol', 'motionbert', '--store', store)
    assert 'evaluated: 4 sequences' in capsys.readouterr().out
    message = fails(capsys, path, '--protocol', 'videopose3d', '--store', store)
    assert f'1 of 5 clips of {store} are not predicted: S9/Greeting.{CAMERA}; predict them, or leave' in message


def drop_joint(arrays):
    arrays.update({key: value[:, :16] for key, value in arrays.items()})


def to_metres(arrays):
    arrays.update({key: value / 1000 for key, value in arrays.items()})


def add_extra(arrays):
    arrays['S9/Jumping.1/keypoints_3d'] = np.ones((4, 17, 3))


def cut(arrays):
    arrays[f'S9/Walking 1.{CAMERA}/keypoints_3d'] = arrays[f'S9/Walking 1.{CAMERA}/keypoints_3d'][:-3]


def name_far_frames(arrays):
    arrays[f'S9/Walking 1.{CAMERA}/frame_ids'] = np.arange(3, 34)


def put_nan(arrays):
    arrays[f'S9/Walking 1.{CAMERA}/keypoints_3d'][7] = np.nan


@pytest.mark.parametrize('change, words', [
    (drop_joint, ['the predictions have 16 joints', 'has the 17 of h36m: root, right_hip']),
    (to_metres, ['from the root in the predictions', 'must be in millimetres (multiply metres by 1000)']),
    (add_extra, ['1 of 6 predicted sequences are not in', "called like 'S9/Greeting.54138969': S9/Jumping.1"]),
    (cut, ['S9/Walking 1.54138969: the predictions have 1 persons and 28 frames', 'has 1 persons and 31 frames']),
    (name_far_frames, ['the last of them 33', 'or say which by S9/Walking 1.54138969/frame_ids']),
    (put_nan, ['S9/Walking 1.54138969: the prediction is NaN or infinite in 1 of 31 frames, first in frame 7']),
    (lambda arrays: arrays.update(skeleton='coco17'), ["have skeleton 'coco17'", "has 'h36m'"]),
    (lambda arrays: arrays.update(unit='m'), ['the predictions are in m; bring them to millimetres']),
])
def test_predictions_that_do_not_fit_the_store_are_refused(capsys, store, foreign, change, words):
    message = fails(capsys, foreign(change), '--protocol', 'mmpose', '--store', store)
    assert all(word in message for word in words), message


def test_a_file_without_truth_needs_a_store(capsys, foreign):
    assert '4 of 5 predicted sequences hold no ground truth; name a motion store that has it by --store' in fails(
        capsys, foreign(), '--protocol', 'videopose3d')


def test_a_file_without_a_protocol_needs_one_named(capsys, foreign, store):
    message = fails(capsys, foreign(), '--store', store)
    assert 'the file names no protocol; choose with --protocol from motionbert, videopose3d, mmpose, mpi_inf' in message


def test_a_file_with_truth_must_say_which_joints_it_holds(tmp_path, capsys):
    dump(tmp_path / 'pred.npz', WINDOWS['whole'])
    with np.load(tmp_path / 'pred.npz') as file:
        np.savez(tmp_path / 'bare.npz', **{key: file[key] for key in file.files if key != 'skeleton'})
    assert "which joints it holds; add an array skeleton, e.g. 'h36m'" in fails(capsys, tmp_path / 'bare.npz')


@pytest.mark.parametrize('arrays, words', [
    ({'a': np.zeros(3)}, ['holds no ID/keypoints_3d', "['a']"]),
    ({'a/keypoints_3d': np.zeros((4, 17, 2))}, ['a/keypoints_3d is float64 of shape (1, 4, 17, 2)', '(F, J, 3)']),
    ({'a/keypoints_3d': np.zeros((4, 17, 3)), 'a/frame_ids': np.arange(5)}, ['expected 4 integers']),
    ({'a/keypoints_3d': np.zeros((4, 17, 3)), 'a/frame_ids': np.array([0, 2, 1, 3])}, ['must ascend']),
    ({'a/keypoints_3d': np.zeros((4, 17, 3)), 'a/frame_ids': np.arange(-1, 3)}, ['from 0 or more']),
    ({'a/keypoints_3d': np.zeros((4, 17, 3)), 'a/ground_truth': np.zeros((4, 17, 3))},
     ['a/ground_truth is float64 of shape (4, 17, 3), expected numbers of shape (1, 4, 17, 3)']),
    ({'a/keypoints_3d': np.zeros((4, 17, 3)), 'sample_id': np.array(['a']), 'action': np.array(['x', 'y'])},
     ['action has shape (2,) and sample_id (1,)']),
    ({'a/keypoints_3d': np.zeros((4, 17, 3)), 'a/window_lengths': np.array([3])}, ['sums up to 3', 'have 4 rows']),
    ({'a/keypoints_3d': np.zeros((4, 17, 3)), 'a/window_lengths': np.array(['x'])}, ['sums up to no integer']),
    ({'a/keypoints_3d': np.array([None])}, ['it holds Python objects']),
])
def test_damaged_and_foreign_files_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / 'bad.npz', **arrays)
    with pytest.raises(ValueError, match='bad.npz') as error:
        read_predictions(tmp_path / 'bad.npz')
    assert all(word in str(error.value) for word in words), error.value


def test_torn_and_missing_files_are_refused(tmp_path, capsys):
    dump(tmp_path / 'pred.npz', WINDOWS['whole'])
    content = (tmp_path / 'pred.npz').read_bytes()
    (tmp_path / 'torn.npz').write_bytes(content[:len(content) // 2])
    assert 'torn.npz: truncated or no .npz' in fails(capsys, tmp_path / 'torn.npz')
    message = fails(capsys, tmp_path / 'nowhere.npz')
    assert 'no such file, expected an .npz; tools/test.py --dump writes such a file' in message
