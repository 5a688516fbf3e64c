import re

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger

from motionbert_mm.evaluation import Pose3DMetric
from motionbert_mm.evaluation import functional as F
from motionbert_mm.registry import METRICS, build
from motionbert_mm.structures.motion_sample import MotionSample

ACTIONS = {'walk_1.cam0': 'walk', 'walk_2.cam0': 'walk', 'sit_1.cam0': 'sit'}
LENGTHS = {'walk_1.cam0': 20, 'walk_2.cam0': 30, 'sit_1.cam0': 12}


def make_sequences(persons=1, seed=0):
    """Truth and prediction (M, F, 17, 3) mm by name; the error grows from clip to clip."""
    rng = np.random.default_rng(seed)
    sequences = {}
    for number, (name, length) in enumerate(LENGTHS.items()):
        truth = rng.normal([0, 0, 4000], 300, (persons, length, 17, 3)).astype(np.float32)
        pred = truth + rng.normal(0, 20 * (number + 1), truth.shape).astype(np.float32)
        sequences[name] = truth, pred - pred[:, :, :1]
    return sequences


def make_window(name, truth, pred, frames, visible=None, **meta):
    """Ground truth and prediction of one window; ``frames`` may repeat the last frame as padding."""
    frames = np.asarray(frames)
    meta = dict(sample_id=name, frame_ids=frames, action=ACTIONS.get(name, ''), skeleton='h36m', fps=30.0, **meta)
    visible = np.ones((len(truth), len(frames), 17), bool) if visible is None else visible
    target = MotionSample(metainfo=meta, keypoints_3d=torch.from_numpy(truth[:, frames]),
                          visible=torch.from_numpy(visible))
    return target, MotionSample(metainfo=meta, keypoints_3d=torch.from_numpy(pred[:, frames]))


def make_windows(sequences, size=8, stride=4, **meta):
    """Windows that cover every frame, the last one of a sequence shifted to its end."""
    windows = []
    for name, (truth, pred) in sequences.items():
        length = truth.shape[1]
        starts = sorted({min(start, length - size) for start in range(0, length, stride)})
        windows += [make_window(name, truth, pred, range(start, start + size), **meta) for start in starts]
    return windows


def feed(metric, windows, batch=4):
    for start in range(0, len(windows), batch):
        targets, preds = zip(*windows[start:start + batch])
        metric.process(dict(inputs=None, data_samples=MotionSample.stack(targets)), [pred.to_dict() for pred in preds])
    return metric


def evaluate(windows, **options):
    return feed(Pose3DMetric(**options), windows).evaluate(len(windows))


def relative(points):
    return points - points[..., :1, :]


def captured_log(monkeypatch, windows, **options):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lambda message: lines.append(message))
    evaluate(windows, **options)
    return lines


def test_result_equals_the_functions_on_whole_sequences():
    sequences = make_sequences()
    result = evaluate(make_windows(sequences), average='clip')
    clips = [(relative(pred[0]), relative(truth[0])) for truth, pred in sequences.values()]
    for key, error in {'MPJPE': F.mpjpe, 'P-MPJPE': F.p_mpjpe, 'N-MPJPE': F.n_mpjpe, 'MPJVE': F.mpjve,
                       'Accel': F.acceleration_error, 'PCK@150': F.pck, 'AUC': F.auc}.items():
        values = [error(*clip) for clip in clips]
        assert result[key] == result[f'{key}/clip']
        assert result[key] == pytest.approx(np.mean([clip.mean() for clip in values]), rel=1e-5)
        assert result[f'{key}/frame'] == pytest.approx(np.concatenate(values).mean(), rel=1e-5)
        by_action = np.concatenate(values[:2]).mean(), values[2].mean()
        assert result[f'{key}/action'] == pytest.approx(np.mean(by_action), rel=1e-5)


def test_three_averages_by_hand():
    truth = {name: np.zeros((1, length, 17, 3), np.float32) for name, length in LENGTHS.items()}
    errors = dict(zip(LENGTHS, (10.0, 40.0, 100.0)))
    sequences = {name: (points, points + np.float32(errors[name]) * np.eye(3, dtype=np.float32)[0])
                 for name, points in truth.items()}
    windows = make_windows(sequences)
    result = evaluate(windows, root_relative=False)
    assert result['MPJPE/frame'] == pytest.approx((20 * 10 + 30 * 40 + 12 * 100) / 62)
    assert result['MPJPE/clip'] == pytest.approx(50.0)
    assert result['MPJPE/action'] == result['MPJPE'] == pytest.approx(((20 * 10 + 30 * 40) / 50 + 100) / 2)
    assert evaluate(windows, root_relative=False, within_group='clip')['MPJPE'] == pytest.approx((25 + 100) / 2)


def test_registry_builds_it_and_the_evaluator_returns_keys_without_prefix():
    windows = make_windows(make_sequences())
    evaluator = Evaluator([build(METRICS, dict(type='Pose3DMetric'))])
    targets, preds = zip(*windows)
    evaluator.process(data_samples=list(preds), data_batch=dict(data_samples=MotionSample.stack(targets)))
    result = evaluator.evaluate(len(windows))
    assert {'MPJPE', 'MPJPE/frame', 'MPJPE/clip', 'MPJPE/action', 'PCK@150', 'AUC'} <= set(result)
    assert set(evaluate(windows, prefix='val')) == {f'val/{key}' for key in result}


def test_copies_of_the_sampler_do_not_change_the_result():
    windows = make_windows(make_sequences())
    expected = evaluate(windows)
    assert evaluate(windows + windows[:3]) == expected
    assert evaluate(windows + windows[-1:] * 5, overlap='errors') == evaluate(windows, overlap='errors')


@pytest.mark.parametrize('overlap', ['predictions', 'errors'])
def test_two_ranks_give_the_result_of_one_bit_for_bit(overlap):
    windows = make_windows(make_sequences())
    padded = windows + windows[:len(windows) % 2]
    ranks = [feed(Pose3DMetric(overlap=overlap), padded[rank::2], batch=3) for rank in (0, 1)]
    gathered = ranks[1].results + ranks[0].results
    assert Pose3DMetric(overlap=overlap).compute_metrics(gathered) == evaluate(windows, overlap=overlap)


def test_results_are_cleared_for_the_next_validation():
    windows = make_windows(make_sequences())
    metric = feed(Pose3DMetric(), windows)
    first = metric.evaluate(len(windows))
    assert feed(metric, windows).evaluate(len(windows)) == first


def test_overlapping_predictions_are_averaged_or_their_errors():
    truth = np.zeros((1, 6, 17, 3), np.float32)
    ahead = truth + np.float32(30) * np.eye(3, dtype=np.float32)[0]
    windows = [make_window('walk_1.cam0', truth, ahead, range(0, 4)),
               make_window('walk_1.cam0', truth, -ahead, range(2, 6))]
    merged = evaluate(windows, root_relative=False)
    assert merged['MPJPE'] == pytest.approx((4 * 30 + 2 * 0) / 6)
    assert merged['MPJVE'] == pytest.approx(2 * 30 / 5)  # the step into and out of the overlap
    apart = evaluate(windows, root_relative=False, overlap='errors')
    assert apart['MPJPE'] == pytest.approx(30.0) and apart['MPJVE'] == pytest.approx(0.0)


def test_official_overlap_averages_errors_per_source_frame():
    sequences = make_sequences()
    truth, pred = sequences['walk_1.cam0']
    shifted = pred + np.random.default_rng(3).normal(0, 20, pred.shape).astype(np.float32)
    windows = [make_window('walk_1.cam0', truth, pred, range(0, 12)),
               make_window('walk_1.cam0', truth, shifted, range(8, 20))]
    first, second = (F.p_mpjpe(relative(points[0]), relative(truth[0])) for points in (pred, shifted))
    expected = np.concatenate([first[:8], (first[8:12] + second[8:12]) / 2, second[12:]]).mean()
    assert evaluate(windows, overlap='errors')['P-MPJPE'] == pytest.approx(expected, rel=1e-5)


def test_velocity_crosses_window_borders_but_not_gaps():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 100, (1, 12, 17, 3)).astype(np.float32)
    jumping = truth.copy()
    jumping[:, 6:] += 60.0
    results = []
    for first in (range(6), range(5)):
        windows = [make_window('walk_1.cam0', truth, jumping, frames) for frames in (first, range(6, 12))]
        results.append(feed(Pose3DMetric(root_relative=False), windows, batch=1).evaluate(2)['MPJVE'])
    assert results == pytest.approx([60 * np.sqrt(3) / 11, 0], rel=1e-5, abs=1e-3)


def test_velocity_is_taken_at_the_frame_step_of_the_sequence():
    truth = np.zeros((1, 12, 17, 3), np.float32)
    drifting = truth + np.arange(12, dtype=np.float32)[:, None, None] * np.eye(3, dtype=np.float32)[0]
    result = evaluate([make_window('walk_1.cam0', truth, drifting, range(0, 12, 3))], root_relative=False)
    assert result['MPJVE'] == pytest.approx(3.0)


def test_one_frame_clips_have_no_velocity():
    truth, pred = make_sequences()['walk_1.cam0']
    result = evaluate([make_window('walk_1.cam0', truth, pred, [4])])
    assert 'MPJPE' in result and not any(key.startswith(('MPJVE', 'Accel')) for key in result)


def test_padded_copies_are_left_out():
    sequences = make_sequences()
    truth, pred = sequences['sit_1.cam0']
    visible = np.ones((1, 16, 17), bool)
    visible[:, 12:] = False
    target, sample = make_window('sit_1.cam0', truth, pred, [*range(12), *[11] * 4], visible)
    sample.keypoints_3d[:, 12:] = float('nan')
    expected = evaluate([make_window('sit_1.cam0', truth, pred, range(12))])
    assert evaluate([(target, sample)]) == expected


def test_frames_with_an_invisible_joint_count_only_if_it_is_not_used():
    truth, pred = make_sequences()['walk_1.cam0']
    visible = np.ones((1, 20, 17), bool)
    visible[:, 5:, 16] = False
    window = [make_window('walk_1.cam0', truth, pred, range(20), visible)]
    errors = F.joint_errors(relative(pred[0]), relative(truth[0]))
    assert evaluate(window)['MPJPE'] == pytest.approx(errors[:5].mean(), rel=1e-5)
    assert evaluate(window, joints=range(16))['MPJPE'] == pytest.approx(errors[:, :16].mean(), rel=1e-5)


def test_joints_by_name_or_index_and_other_joints_for_pck():
    windows = make_windows(make_sequences())
    by_name = evaluate(windows, joints=['left_wrist', 'right_wrist'])
    assert by_name == evaluate(windows, joints=[13, 16])
    mixed = evaluate(windows, pck_joints=['left_wrist', 'right_wrist'])
    whole = evaluate(windows)
    assert mixed['MPJPE'] == whole['MPJPE'] and mixed['AUC'] == by_name['AUC'] != whole['AUC']


def test_positions_can_be_measured_without_subtracting_the_root():
    sequences = make_sequences()
    truth, pred = sequences['walk_1.cam0']
    result = evaluate([make_window('walk_1.cam0', truth, pred, range(20))], root_relative=False)
    assert result['MPJPE'] == pytest.approx(F.mpjpe(pred, truth).mean(), rel=1e-5)


def test_skipped_sequences_do_not_count_even_with_nan():
    sequences = make_sequences()
    expected = evaluate(make_windows({name: sequences[name] for name in ('walk_1.cam0', 'sit_1.cam0')}))
    sequences['walk_2.cam0'][1][:] = np.nan
    windows = make_windows(sequences)
    assert evaluate(windows, skip_list=['walk_2*']) == evaluate(windows, skip_list=['walk_2.cam0']) == expected


def test_frames_without_error_can_be_dropped():
    truth, pred = make_sequences()['walk_1.cam0']
    pred = pred.copy()
    pred[:, :5] = relative(truth[:, :5])
    windows = make_windows({'walk_1.cam0': (truth, pred)})
    errors = F.mpjpe(relative(pred[0]), relative(truth[0]))
    assert evaluate(windows)['MPJPE'] == pytest.approx(errors.mean(), rel=1e-5)
    for overlap in ('predictions', 'errors'):
        result = evaluate(windows, drop_zero_error=True, overlap=overlap)
        assert result['MPJPE'] == pytest.approx(errors[5:].mean(), rel=1e-5)


def test_persons_are_clips_of_their_own_and_absent_ones_do_not_count():
    truth, pred = make_sequences(persons=3)['walk_1.cam0']
    visible = np.ones((3, 20, 17), bool)
    visible[2] = False
    window = [make_window('walk_1.cam0', truth, pred, range(20), visible)]
    errors = F.mpjpe(relative(pred), relative(truth))[:2]
    assert evaluate(window, average='clip')['MPJPE'] == pytest.approx(errors.mean(axis=1).mean(), rel=1e-5)


def test_centre_frame_predictions_find_their_targets():
    truth, pred = make_sequences()['walk_1.cam0']
    windows = []
    for centre in range(20):
        frames = np.clip(np.arange(centre - 2, centre + 3), 0, 19)
        visible = np.repeat(((np.arange(centre - 2, centre + 3) == frames)[None, :, None]), 17, axis=2)
        target, _ = make_window('walk_1.cam0', truth, pred, frames, visible)
        windows.append((target, make_window('walk_1.cam0', truth, pred, [centre])[1]))
    assert evaluate(windows) == evaluate([make_window('walk_1.cam0', truth, pred, range(20))])


def test_groups_follow_another_metainfo_key():
    sequences = make_sequences()
    windows = [make_window(name, truth, pred, range(12), subject=f's{len(name) % 2}')
               for name, (truth, pred) in sequences.items()]
    result = evaluate(windows, group_by='subject', average='subject')
    assert result['MPJPE'] == result['MPJPE/subject'] and 'MPJPE/action' not in result


def test_data_without_actions_needs_another_average():
    truth, pred = make_sequences()['walk_1.cam0']
    window = [make_window('unknown', truth, pred, range(20))]
    assert 'MPJPE/action' not in evaluate(window, average='frame')
    with pytest.raises(KeyError, match="averages by 'action'.*unknown.*average='clip'"):
        evaluate(window)


def test_log_holds_a_table_per_action_and_the_whole_protocol(monkeypatch):
    windows = make_windows(make_sequences(), flip_test=True)
    table, protocol = captured_log(monkeypatch, windows, skip_list=['walk_2*'], joints=['root', 'nose'])
    rows = {line.split('  ')[0].strip(): line.split() for line in table.splitlines() if line}
    assert rows['walk'][1:3] == ['1', '20'] and rows['sit'][1:3] == ['1', '12']
    assert {'mean over frames', 'mean over clips', 'mean over actions'} <= set(rows)
    headline = evaluate(windows, skip_list=['walk_2*'], joints=['root', 'nose'])['MPJPE']
    for words in (f'MPJPE {headline:.2f} averaged over 2 actions (frames pooled in each)', 'fps: 30',
                  'joints: 2 (root, nose) of h36m', 'relative to root', 'predictions averaged per frame',
                  'flip TTA: on', 'excluded: 1 sequences (walk_2*)', '2 sequences, 32 frames, 0 frames without'):
        assert words in protocol
    assert '\n' not in protocol


@pytest.mark.parametrize('options, words', [
    (dict(average='clip', overlap='errors', root_relative=False), ['over 3 clips', 'each window measured', 'absolute']),
    (dict(average='frame', drop_zero_error=True, pck_joints=[0]), ['over 62 frames', 'zero error', r'AUC: 1 \(0\)']),
])
def test_protocol_names_the_options(monkeypatch, options, words):
    protocol = captured_log(monkeypatch, make_windows(make_sequences()), **options)[1]
    assert all(re.search(word, protocol) for word in [*words, 'flip TTA: not stated', 'excluded: none'])


@pytest.mark.parametrize('role, words', [(1, 'prediction is NaN or infinite in 2 of 20 frames, first in frame 7'),
                                         (0, 'ground truth is NaN.*visible=False')])
def test_nan_is_refused_with_the_name_of_the_sample(role, words):
    truth, pred = make_sequences()['walk_1.cam0']
    window = make_window('walk_1.cam0', truth, pred, range(20))
    window[role].keypoints_3d[:, 7:9, 3] = float('nan')
    with pytest.raises(ValueError, match=r'walk_1\.cam0: the ' + words):
        evaluate([window])


@pytest.mark.parametrize('change, error, words', [
    (lambda target, pred: pred.set_metainfo(dict(sample_id='other')), ValueError, 'prediction for other'),
    (lambda target, pred: pred.set_metainfo(dict(frame_ids=np.arange(5))), ValueError, '20 predicted frames.*has 5'),
    (lambda target, pred: pred.pop('keypoints_3d'), KeyError, 'the prediction has no keypoints_3d'),
    (lambda target, pred: pred.set_data(dict(keypoints_3d=torch.zeros(1, 20, 16, 3))), ValueError, r'\(M, T, 17, 3\)'),
    (lambda target, pred: (pred.set_data(dict(keypoints_3d=torch.zeros(1, 1, 17, 3))),
                           pred.set_metainfo(dict(frame_ids=[77]))), ValueError, r'frames \[77\] are not among'),
])
def test_predictions_that_do_not_fit_are_refused(change, error, words):
    truth, pred = make_sequences()['walk_1.cam0']
    target, sample = make_window('walk_1.cam0', truth, pred, range(20))
    change(target, sample)
    with pytest.raises(error, match=words):
        evaluate([(target, sample)])


def test_missing_predictions_and_nothing_to_measure_are_refused():
    target, sample = make_windows(make_sequences())[0]
    batch = dict(data_samples=MotionSample.stack([target, target]))
    with pytest.raises(ValueError, match='1 predictions for 2 samples'):
        Pose3DMetric().process(batch, [sample.to_dict()])
    with pytest.raises(ValueError, match='nothing to measure: 1 windows, 1 sequences skipped'):
        evaluate([(target, sample)], skip_list=['*'])


@pytest.mark.parametrize('options, error, words', [
    (dict(average='actions'), ValueError, "average must be one of .*got 'actions'"),
    (dict(overlap='mean'), ValueError, 'overlap must be one of'),
    (dict(within_group='x'), ValueError, 'within_group must be one of'),
    (dict(skip_list='walk'), TypeError, "list of sequence names, got the string 'walk'"),
])
def test_wrong_options_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        Pose3DMetric(**options)


@pytest.mark.parametrize('joints, error, words', [(['tail'], KeyError, "no joint 'tail'"), ([17], ValueError, '0..16')])
def test_unknown_joints_are_refused(joints, error, words):
    with pytest.raises(error, match=words):
        evaluate(make_windows(make_sequences())[:1], joints=joints)


# Completion: what was hidden, by the mask of the ground truth


LEFT_LEG = [4, 5, 6]


def add_mask(window, joints, frames=None):
    """Note in a window's ground truth that joints were hidden, in all its rows or in some."""
    target, pred = window
    mask = torch.zeros(target.keypoints_3d.shape[:-1], dtype=torch.bool)
    mask[:, slice(None) if frames is None else frames, joints] = True
    target.set_data(dict(mask=mask))
    return target, pred


def test_hidden_and_seen_joints_and_the_completed_pose():
    sequences = make_sequences()
    windows = [add_mask(window, LEFT_LEG) for window in make_windows(sequences, stride=8)]
    result = evaluate(windows, average='frame', overlap='errors')
    errors = np.concatenate([F.joint_errors(relative(pred[0]), relative(truth[0]))
                             for truth, pred in sequences.values()])
    seen = np.delete(errors, LEFT_LEG, axis=1)
    assert result['MPJPE/hidden'] == pytest.approx(errors[:, LEFT_LEG].mean(), rel=1e-5)
    assert result['MPJPE/seen'] == pytest.approx(seen.mean(), rel=1e-5)
    assert result['MPJPE/completed'] == pytest.approx(result['MPJPE/hidden'] * 3 / 17, rel=1e-9)
    assert result['MPJPE'] == pytest.approx((3 * result['MPJPE/hidden'] + 14 * result['MPJPE/seen']) / 17, rel=1e-9)


def test_other_values_do_not_know_of_a_mask(monkeypatch):
    windows = make_windows(make_sequences())
    plain, lines = evaluate(windows), tuple(captured_log(monkeypatch, windows))
    assert not any('hidden' in key or 'seen' in key or 'completed' in key for key in plain)
    assert 'completed' not in ''.join(lines) and 'hidden:' not in lines[1]
    nothing = [add_mask(window, []) for window in make_windows(make_sequences())]
    assert tuple(captured_log(monkeypatch, nothing)) == lines and evaluate(nothing) == plain
    masked = evaluate([add_mask(window, LEFT_LEG) for window in windows])
    assert {key: masked[key] for key in plain} == plain
    assert set(masked) - set(plain) == {'MPJPE/hidden', 'MPJPE/seen', 'MPJPE/completed'}


@pytest.mark.parametrize('overlap', ['predictions', 'errors'])
def test_overlapping_windows_that_hide_differently_are_measured_one_by_one(overlap):
    truth = np.zeros((1, 6, 17, 3), np.float32)
    ahead = truth + np.float32(30) * np.eye(3, dtype=np.float32)[0]
    windows = [add_mask(make_window('walk_1.cam0', truth, ahead, range(0, 4)), [3]),
               add_mask(make_window('walk_1.cam0', truth, -2 * ahead, range(2, 6)), [7, 8])]
    result = evaluate(windows, root_relative=False, overlap=overlap)
    assert result['MPJPE/hidden'] == result['MPJPE/seen'] == pytest.approx((2 * 30 + 2 * 45 + 2 * 60) / 6)
    first, second = 30 / 17, 2 * 60 / 17
    assert result['MPJPE/completed'] == pytest.approx((2 * first + 2 * (first + second) / 2 + 2 * second) / 6)
    assert result['MPJPE'] == pytest.approx({'predictions': (2 * 30 + 2 * 15 + 2 * 60) / 6, 'errors': 45}[overlap])


def test_frames_that_hide_nothing_are_complete():
    truth, pred = make_sequences()['walk_1.cam0']
    windows = [add_mask(make_window('walk_1.cam0', truth, pred, range(0, 10)), LEFT_LEG, frames=slice(2, 6)),
               make_window('walk_1.cam0', truth, pred, range(10, 20))]
    result = feed(Pose3DMetric(), windows, batch=1).evaluate(2)
    errors = F.joint_errors(relative(pred[0]), relative(truth[0]))
    assert result['MPJPE/hidden'] == pytest.approx(errors[2:6, LEFT_LEG].mean(), rel=1e-5)
    assert result['MPJPE/completed'] == pytest.approx(errors[2:6, LEFT_LEG].sum() / 17 / 20, rel=1e-5)
    rows = np.concatenate([errors[[0, 1, *range(6, 20)]].mean(axis=1),
                           np.delete(errors[2:6], LEFT_LEG, axis=1).mean(axis=1)])
    assert result['MPJPE/seen'] == pytest.approx(rows.mean(), rel=1e-5)


def test_parts_count_the_joints_that_are_averaged_and_the_frames_that_are_predicted():
    truth, pred = make_sequences()['walk_1.cam0']
    target, _ = add_mask(make_window('walk_1.cam0', truth, pred, range(20)), [*LEFT_LEG, 16], frames=[7])
    centre = make_window('walk_1.cam0', truth, pred, [7])[1]
    result = evaluate([(target, centre)], joints=['root', 'left_ankle', 'left_knee', 'nose'])
    errors = F.joint_errors(relative(pred[0]), relative(truth[0]))[7]
    assert result['MPJPE/hidden'] == pytest.approx(errors[[5, 6]].mean(), rel=1e-5)
    assert result['MPJPE/completed'] == pytest.approx(errors[[5, 6]].sum() / 4, rel=1e-5)
    assert 'MPJPE/hidden' not in evaluate([(target, centre)], joints=['nose'])


@pytest.mark.parametrize('overlap', ['predictions', 'errors'])
def test_two_ranks_measure_masked_windows_as_one(overlap):
    windows = [add_mask(window, [number % 17, 3], frames=slice(number % 3, None))
               for number, window in enumerate(make_windows(make_sequences()))]
    ranks = [feed(Pose3DMetric(overlap=overlap), windows[rank::2], batch=3) for rank in (0, 1)]
    gathered = ranks[1].results + ranks[0].results + ranks[0].results[:1]
    reports = [Pose3DMetric(overlap=overlap).report(results) for results in (
        gathered, feed(Pose3DMetric(overlap=overlap), windows).results)]
    assert reports[0] == reports[1] and 'hidden: 1 to 2 joints that differ' in reports[0].protocol


def test_tables_and_protocol_say_what_was_hidden(monkeypatch):
    windows = [add_mask(window, LEFT_LEG) for window in make_windows(make_sequences())]
    table, protocol = captured_log(monkeypatch, windows, overlap='errors')
    parts = next(text for text in table.split('\n\n') if 'completed' in text).splitlines()
    assert parts[0].split() == ['MPJPE', 'clips', 'frames', 'hidden', 'seen', 'completed', 'total']
    assert parts[1].split()[0] == 'sit' and parts[-1].startswith('mean over actions')
    result = evaluate(windows, overlap='errors')
    assert parts[-1].split()[-4:] == [f'{result[key]:.2f}' for key in ('MPJPE/hidden', 'MPJPE/seen', 'MPJPE/completed',
                                                                       'MPJPE')]
    assert 'hidden: left_leg (left_hip, left_knee, left_ankle), in every frame | hidden, seen and' in protocol


@pytest.mark.parametrize('joints, frames, options, words', [
    (lambda number: [16, 3], None, {}, 'hidden: right_ankle, right_wrist, in every frame'),
    (lambda number: [number % 5], None, {}, 'hidden: 1 joint that differs, in every frame'),
    (lambda number: range(number + 1), None, dict(overlap='errors'), 'hidden: 1 to 3 joints that differ'),
    (lambda number: LEFT_LEG, slice(0, 4), dict(overlap='errors'), 'in 50% of the frames'),
])
def test_the_protocol_knows_masks_of_all_kinds(monkeypatch, joints, frames, options, words):
    sequences = make_sequences()
    windows = make_windows({name: sequences[name] for name in ('walk_1.cam0',)}, size=8, stride=12)
    windows += make_windows({'sit_1.cam0': [points[:, :8] for points in sequences['sit_1.cam0']]}, size=8, stride=8)
    windows = [add_mask(window, list(joints(number)), frames) for number, window in enumerate(windows)]
    protocol = captured_log(monkeypatch, windows, **options)[1]
    assert re.search(words, protocol) and 'each window measured' in protocol
    differs = 'that differs' in words
    assert ('some may have been given what others were not' in protocol) == differs


def test_masks_of_other_joints_are_refused():
    truth, pred = make_sequences()['walk_1.cam0']
    target, sample = make_window('walk_1.cam0', truth, pred, range(20))
    target.set_data(dict(mask=torch.zeros(1, 20, 16, dtype=torch.bool)))
    with pytest.raises(ValueError, match=r'and mask \(1, 20, 16\)'):
        evaluate([(target, sample)])
