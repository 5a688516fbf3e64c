import re

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger

from motionbert_mm.evaluation import MeshMetric
from motionbert_mm.evaluation import functional as F
from motionbert_mm.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.registry import METRICS, build
from motionbert_mm.structures.motion_sample import MotionSample
from tests.mesh_motion import BODY, disturb, make_motion, make_window, pose

LENGTHS = {'walk_1': 20, 'walk_2': 31, 'sit_1': 12}
KEYS = ('MPVE', 'MPJPE', 'PA-MPJPE', 'Accel')
RIGHT = np.array([1.0, 0.0, 0.0], np.float32)
WRIST = 16  # of h36m


@pytest.fixture(scope='module')
def body():
    return BodyModel(**BODY)


def make_windows(size=8, stride=8, persons=1, noise=0.1, **meta):
    """Windows of all sequences, the last one of each shifted to its end."""
    windows = []
    for seed, (name, length) in enumerate(LENGTHS.items()):
        truth = make_motion(length, seed, persons)
        starts = sorted({min(start, length - size) for start in range(0, length, stride)})
        windows += [make_window(name, truth, disturb(truth, seed + start, noise), range(start, start + size), **meta)
                    for start in starts]
    return windows


def feed(metric, windows, batch=4):
    for start in range(0, len(windows), batch):
        targets, preds = zip(*windows[start:start + batch])
        metric.process(dict(inputs=None, data_samples=MotionSample.stack(targets)), [pred.to_dict() for pred in preds])
    return metric


def evaluate(windows, **options):
    return feed(MeshMetric(BODY, **options), windows).evaluate(len(windows))


def relative(points):
    return points - points[..., :1, :]


def test_result_equals_the_functions_on_posed_bodies(body):
    sequences = [(make_motion(length, seed), disturb(make_motion(length, seed), seed + 9))
                 for seed, length in enumerate(LENGTHS.values())]
    windows = [make_window(name, *pair, range(LENGTHS[name])) for name, pair in zip(LENGTHS, sequences)]
    result = feed(MeshMetric(BODY), windows, batch=1).evaluate(3)
    values = {name: [] for name in (*KEYS, 'MPJPE/17', 'PA-MPJPE/17')}
    for truth, pred in ((pose(body, truth), pose(body, pred)) for truth, pred in sequences):
        vertices = [side['vertices'][0] - side['keypoints_3d'][0][:, :1] for side in (pred, truth)]
        joints = [relative(side['keypoints_3d'][0]) for side in (pred, truth)]
        some = [points[:, [1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16]] for points in joints]
        values['MPVE'].append(np.linalg.norm(vertices[0] - vertices[1], axis=-1).mean(axis=-1))
        for name, error, points in (('MPJPE', F.mpjpe, some), ('PA-MPJPE', F.p_mpjpe, some),
                                    ('MPJPE/17', F.mpjpe, joints), ('PA-MPJPE/17', F.p_mpjpe, joints),
                                    ('Accel', F.acceleration_error, some)):
            values[name].append(error(*points))
    for name, clips in values.items():
        assert result[name] == pytest.approx(np.concatenate(clips).mean(), rel=1e-5)
        if '/' not in name:
            assert result[f'{name}/frame'] == result[name]
            assert result[f'{name}/clip'] == pytest.approx(np.mean([clip.mean() for clip in clips]), rel=1e-5)
            walk = np.concatenate(clips[:2]).mean()
            assert result[f'{name}/action'] == pytest.approx((walk + clips[2].mean()) / 2, rel=1e-5)
    assert next(iter(result)) == 'MPVE'


def test_clips_that_do_not_overlap_are_averaged_over_all_their_frames():
    windows = make_windows(size=4, stride=4)  # the lengths are multiples of it, but for a last window
    parts = [evaluate([window])['MPVE'] for window in windows[:5]]
    assert evaluate(windows[:5])['MPVE'] == pytest.approx(np.mean(parts), rel=1e-6)


def test_exact_predictions_have_no_error(body):
    truth = make_motion(20, 0)
    for pred in (truth, pose(body, truth)):
        result = evaluate([make_window('walk_1', truth, pred, range(20))])
        assert all(value == pytest.approx(0, abs=1e-3) for value in result.values())


def test_posed_predictions_are_those_of_their_parameters(body):
    truth = make_motion(20, 0)
    pred = disturb(truth, 1)
    by_parameters, by_points, by_both = (
        evaluate([make_window('walk_1', truth, fields, range(20))])
        for fields in (pred, pose(body, pred), {**truth, **pose(body, pred)}))
    assert by_parameters == pytest.approx(by_points, rel=1e-5) and by_both == by_points
    assert by_points['MPVE'] > 10
    vertices_alone = {**pred, 'vertices': pose(body, pred)['vertices'] + 100 * RIGHT}
    assert evaluate([make_window('walk_1', truth, vertices_alone, range(20))]) == by_parameters


def test_alignment_removes_a_turn_of_the_whole_body():
    truth = make_motion(20, 0)
    turned = dict(truth, smpl_pose=truth['smpl_pose'].copy())
    turn = axis_angle_to_matrix(np.array([0.3, -0.8, 0.5]))
    turned['smpl_pose'][:, :, 0] = matrix_to_axis_angle(
        turn @ axis_angle_to_matrix(truth['smpl_pose'][:, :, 0].astype(np.float64)))
    result = evaluate([make_window('walk_1', truth, turned, range(20))])
    assert result['PA-MPJPE'] == pytest.approx(0, abs=1e-2) and result['PA-MPJPE/17'] == pytest.approx(0, abs=1e-2)
    assert result['MPJPE'] > 100 and result['MPVE'] > 100


def test_the_place_of_a_body_does_not_matter(body):
    truth = make_motion(20, 0)
    points = pose(body, disturb(truth, 1))
    moved = {name: values + np.array([500.0, -300.0, 4000.0], np.float32) for name, values in points.items()}
    results = [evaluate([make_window('walk_1', truth, pred, range(20))]) for pred in (points, moved)]
    assert results[0] == pytest.approx(results[1], rel=1e-4)


def drift(body, truth, path):
    """The true bodies with a wrist that leaves its place by ``path`` (F,) mm to the right."""
    points = pose(body, truth)
    points['keypoints_3d'][:, :, WRIST] += path[:, None].astype(np.float32) * RIGHT
    return points


def test_acceleration_in_millimetres_per_frame_squared(body):
    truth, time = make_motion(20, 0), np.arange(20.0)
    steady, speeding = (evaluate([make_window('walk_1', truth, drift(body, truth, path), range(20))])
                        for path in (7 * time, 3 * time ** 2))
    assert steady['Accel'] == pytest.approx(0, abs=1e-3) and steady['MPJPE'] == pytest.approx(7 * 9.5 / 14, rel=1e-4)
    assert speeding['Accel'] == pytest.approx(6 / 14, rel=1e-3)


def test_accelerations_are_of_whole_sequences_but_not_across_gaps(body):
    truth, jump = make_motion(20, 0), np.where(np.arange(20) < 8, 0.0, 70.0)
    pred = drift(body, truth, jump)
    parts = [make_window('walk_1', truth, pred, range(start, start + 4)) for start in range(0, 20, 4)]
    # The jump between frames 7 and 8 is an acceleration in frame 7 and another in frame 8, of 18 inner frames.
    assert evaluate(parts)['Accel'] == pytest.approx(2 * 70 / 14 / 18, rel=1e-3)
    apart = evaluate(parts[:2] + parts[3:])  # without frames 8 to 11: 6 inner frames each
    assert apart['Accel'] == pytest.approx(0, abs=1e-3)
    assert 'Accel' not in evaluate([make_window('walk_1', truth, pred, range(2))])


def test_errors_of_windows_that_overlap_are_averaged_per_frame(body):
    truth, offset = make_motion(12, 0), 30 * RIGHT
    ahead, behind = pose(body, truth), pose(body, truth)
    ahead['vertices'] += offset
    behind['vertices'] -= 3 * offset
    windows = [make_window('walk_1', truth, ahead, range(0, 8)), make_window('walk_1', truth, behind, range(4, 12))]
    result = evaluate(windows)
    # Frames 0..3 are off by 30, 4..7 by 30 and 90, 8..11 by 90; averaged meshes would be off by 30 in the middle.
    assert result['MPVE'] == pytest.approx(60, rel=1e-4)
    assert evaluate([*windows, windows[0]]) == result  # a copy that a sampler adds


def test_two_processes_give_the_result_of_one_bit_for_bit():
    windows = make_windows(stride=5, persons=2)
    padded = windows + windows[:len(windows) % 2]
    ranks = [feed(MeshMetric(BODY), padded[rank::2], batch=3) for rank in (0, 1)]
    gathered = ranks[1].results + ranks[0].results
    assert MeshMetric(BODY).compute_metrics(gathered) == evaluate(windows)


def test_padded_frames_and_absent_persons_do_not_count(body):
    truth, frames = make_motion(12, 0, persons=3), np.array([6, 7, 8, 9, 10, 11, 11, 11])
    pred = pose(body, truth)
    visible = np.repeat([[True], [True], [False]], 8, axis=1)
    visible[:, 6:] = False
    pred['vertices'][1] += 28 * RIGHT
    windows = [make_window('walk_1', truth, pred, frames, visible)]
    windows[0][0].smpl_pose[~torch.from_numpy(visible)] = float('nan')  # nobody reads them
    windows[0][1].vertices[0, 6:] += 1000
    metric = feed(MeshMetric(BODY), windows)
    report = metric.report(metric.results)
    assert report.counts == dict(excluded=0, hidden=6, sequences=2, frames=12)
    assert report.metrics['MPVE'] == pytest.approx(14, rel=1e-4)


def test_a_frame_counts_if_any_joint_is_visible():
    target, pred = make_windows(noise=0.1)[0]
    expected = evaluate([(target, pred)])
    target.visible = torch.zeros(1, 8, 17, dtype=torch.bool)
    target.visible[..., 5] = True
    assert evaluate([(target, pred)]) == expected


def test_centre_frame_predictions_find_their_truth():
    truth = make_motion(20, 0)
    pred = disturb(truth, 1)
    windows = [make_window('walk_1', truth, pred, range(start, start + 5)) for start in range(16)]
    for target, sample in windows:
        sample.set_metainfo(dict(frame_ids=target.metainfo['frame_ids'][2:3]))
        for name in pred:
            sample.set_data({name: sample.get(name)[:, 2:3]})
    assert evaluate(windows) == pytest.approx(evaluate([make_window('walk_1', truth, pred, range(2, 18))]), rel=1e-6)


def test_kept_are_errors_and_joints_but_no_vertices(body):
    metric = feed(MeshMetric(BODY), make_windows())
    sizes = {name: values.shape[1:] for window in metric.results for name, values in window.arrays.items()}
    assert sizes == {'pred': (17, 3), 'target': (17, 3),
                     **dict.fromkeys(('MPVE', 'MPJPE', 'PA-MPJPE', 'MPJPE/17', 'PA-MPJPE/17'), ())}


def captured_log(monkeypatch, windows, **options):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lambda message: lines.append(message))
    evaluate(windows, **options)
    return lines


def test_protocol_line_says_all_that_the_number_depends_on(monkeypatch):
    table, protocol = captured_log(monkeypatch, make_windows(flip_test=True), protocol='h36m-mosh')
    for words in ('Protocol of MPVE', 'averaged over 63 frames', 'protocol: h36m-mosh',
                  'all vertices; 14 joints of h36m (without root, spine, nose)', 'relative to root',
                  'truth posed by the body synthetic, gender: not stated', 'truth: SMPL parameters by MoSh',
                  'overlapping windows: each measured, errors averaged per frame', 'Accel of whole sequences',
                  'flip TTA: on', 'excluded: none', 'fps: 30'):
        assert words in protocol
    first, *parts = table.strip().split('\n\n')
    assert first.splitlines()[0].split() == ['action', 'clips', 'frames', *KEYS]
    assert [part.splitlines()[0].split() for part in parts] == [[name, 'clips', 'frames', '17', '14']
                                                                for name in ('MPJPE', 'PA-MPJPE')]


def test_protocols_choose_the_table_and_fix_the_average(monkeypatch):
    table, _ = captured_log(monkeypatch, make_windows(), protocol='3dpw')
    assert [line.split()[0] for line in table.strip().splitlines()[:4]] == ['sequence', 'sit_1', 'walk_1', 'walk_2']
    with pytest.raises(ValueError, match="protocol '3dpw' fixes average='frame', got 'clip'"):
        MeshMetric(BODY, protocol='3dpw', average='clip')
    with pytest.raises(KeyError, match="unknown protocol 'motionbert'; known are 3dpw, h36m-mosh, smpl"):
        MeshMetric(BODY, protocol='motionbert')


def test_a_protocol_refuses_a_body_of_another_gender(tmp_path):
    with pytest.raises(ValueError, match='defined for the neutral body, body_model.path names SMPL_FEMALE.npz'):
        MeshMetric(dict(path=str(tmp_path / 'SMPL_FEMALE.npz'), regressor='r.npy'), protocol='3dpw')
    with pytest.raises(FileNotFoundError):
        MeshMetric(dict(path=str(tmp_path / 'SMPL_NEUTRAL.npz'), regressor='r.npy'), protocol='3dpw')


@pytest.mark.parametrize('device, expected', [(None, 'cpu'), ('meta', 'meta')])
def test_the_body_goes_where_the_predictions_are_or_where_it_is_told(device, expected):
    metric = MeshMetric(BODY, device=device)
    target, pred = make_windows()[0]
    if device is None:
        feed(metric, [(target, pred)])
    else:
        with pytest.raises(RuntimeError):  # a device that holds no numbers
            feed(metric, [(target, pred)])
    assert metric.body.mean_betas.device.type == expected


def test_the_evaluator_builds_and_runs_it():
    windows = make_windows()
    evaluator = Evaluator([build(METRICS, dict(type='MeshMetric', body_model=BODY, prefix='test'))])
    targets, preds = zip(*windows)
    evaluator.process(data_samples=list(preds), data_batch=dict(data_samples=MotionSample.stack(targets)))
    assert evaluator.evaluate(len(windows)) == {f'test/{key}': value for key, value in evaluate(windows).items()}


def without(name):
    def change(target, pred):
        target.pop(name)
    return change


def lose_parameters(target, pred):
    pred.pop('smpl_betas')


def lose_both(target, pred):
    pred.pop('smpl_pose')


def cut_pose(target, pred):
    target.smpl_pose = target.smpl_pose[:, :, :23]


def diverge(target, pred):
    pred.smpl_pose[0, 3, 2] = float('nan')


def break_truth(target, pred):
    target.smpl_betas[0, 5] = float('inf')


def add_person(target, pred):
    pred.smpl_betas = pred.smpl_betas.repeat(2, 1, 1)


def other_mesh(target, pred):
    pred.vertices, pred.keypoints_3d = torch.zeros(1, 8, 50, 3), torch.zeros(1, 8, 17, 3)


def broken_mesh(target, pred):
    pred.vertices, pred.keypoints_3d = torch.full((1, 8, 50, 3), float('nan')), torch.zeros(1, 8, 17, 3)


@pytest.mark.parametrize('change, words', [
    (without('smpl_pose'), r"the ground truth has no smpl_pose, only \[.*set targets=\['smpl_pose', 'smpl_betas'\]"),
    (without('smpl_betas'), 'the ground truth has no smpl_betas'),
    (lose_parameters, 'the prediction has no smpl_betas, only .*check the head'),
    (lose_both, 'the prediction has no smpl_pose'),
    (cut_pose, re.escape('smpl_pose of the ground truth has shape (1, 8, 23, 3), expected (M, T, 24, 3)')),
    (diverge, 'the prediction is NaN or infinite in 1 of 8 frames, first in frame 3; training diverged'),
    (break_truth, 'the ground truth is NaN or infinite in 1 of 8 frames, first in frame 5'),
    (add_person, 'must have the same persons and frames'),
    (other_mesh, r'predicted vertices have shape \(8, 50, 3\).*name the same body_model in the head and in the metric'),
    (broken_mesh, 'the prediction is NaN or infinite in 8 of 8 frames'),
])
def test_what_cannot_be_measured_is_refused(change, words):
    target, pred = make_windows()[0]
    change(target, pred)
    with pytest.raises((KeyError, ValueError), match=words) as refused:
        evaluate([(target, pred)])
    assert 'walk_1' in str(refused.value)
