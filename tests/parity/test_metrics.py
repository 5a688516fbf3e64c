"""Metrics of MotionBERT, P-STMO, MPM and the official MPI-INF-3DHP scripts."""
import re

import numpy as np
import pytest
import torch

from motionbert_mm.evaluation import Pose3DMetric
from motionbert_mm.evaluation import functional as F
from motionbert_mm.evaluation.groupings import MPI_INF_3DHP_ACTIVITIES
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.parity.vectors import load_vector

TOLERANCE = 1e-4  # mm and percent
STORED = 1e-7  # relative rounding of a recorded float32; matters above 1 m


def assert_mm(actual, expected, unit=1.0):
    """Compare in millimetres; ``unit`` is the size of the vector's unit in mm."""
    np.testing.assert_allclose(np.asarray(actual) * unit, np.asarray(expected, np.float64) * unit, rtol=0,
                               atol=TOLERANCE)


def relative(points, root=0):
    return points - points[..., root:root + 1, :]


def make_pair(pred, truth, frame_ids, visible=None, **meta):
    """One window of one person as ground truth and prediction."""
    meta = dict(frame_ids=np.asarray(frame_ids), **meta)
    visible = np.ones(len(pred), bool) if visible is None else visible
    target = MotionSample(metainfo=meta, keypoints_3d=torch.from_numpy(truth[None].copy()),
                          visible=torch.from_numpy(np.repeat(visible[None, :, None], pred.shape[1], axis=2)))
    return target, MotionSample(metainfo=meta, keypoints_3d=torch.from_numpy(pred[None].copy()))


def evaluate(pairs, **options):
    metric = Pose3DMetric(**options)
    for target, sample in pairs:
        metric.process(dict(data_samples=[target]), [sample.to_dict()])
    return metric.evaluate(len(pairs))


# MotionBERT, lib/model/loss.py


@pytest.mark.parametrize('pair', ['', '_b'])
def test_motionbert_errors_of_mirrored_poses(pair):
    vector = load_vector('mb_p_mpjpe_reflect')
    pred, target = vector.inputs['pred' + pair], vector.inputs['gt' + pair]
    assert_mm(F.mpjpe(pred, target), vector.outputs['mpjpe' + pair])
    assert_mm(F.p_mpjpe(pred, target), vector.outputs['p_mpjpe' + pair])


def test_motionbert_errors_per_clip_and_frame():
    vector = load_vector('mb_losses')
    pred, target = vector.inputs['pred'], vector.inputs['gt']
    np.testing.assert_allclose(F.mpjpe(pred, target), vector.outputs['np_mpjpe'], rtol=1e-6)
    np.testing.assert_allclose(F.p_mpjpe(pred, target), vector.outputs['np_p_mpjpe'], rtol=1e-6)


# MotionBERT, train.py evaluate()


def h36m_windows(vector):
    """The clips of the fixture as windows, predictions in mm (the official code scales them in place)."""
    meta, source = vector.meta, vector.inputs['test_source']
    for frames, pred in zip(vector.outputs['test_split'], vector.outputs['eval_results_all']):
        # Of a frame that a stretched short video repeats, the official accumulator keeps the last copy.
        is_last = np.array([frame not in frames[row + 1:] for row, frame in enumerate(frames)])
        yield make_pair(pred, vector.inputs['test_gt25'][frames], frames, is_last, skeleton='h36m',
                        sample_id=meta['test_sources'][source[frames[0]]],
                        action=meta['test_actions'][source[frames[0]]])


def test_motionbert_protocol_is_reached_by_options():
    vector = load_vector('mb_h36m')
    windows = list(h36m_windows(vector))
    options = dict(average='action', overlap='errors', drop_zero_error=True,
                   skip_list=[f'{name}_*' for name in vector.meta['block_list']])
    result = evaluate(windows, **options)
    expected = vector.outputs['eval_rootrel_flip']
    np.testing.assert_allclose([result['MPJPE'], result['P-MPJPE']], expected, rtol=STORED, atol=TOLERANCE)
    per_action = vector.outputs['eval_rootrel_flip_per_action_P1_P2'].T
    for action, errors in zip(vector.meta['per_action_order'], per_action):
        result = evaluate([pair for pair in windows if pair[0].action == action], **options)
        np.testing.assert_allclose([result['MPJPE'], result['P-MPJPE']], errors, rtol=STORED, atol=TOLERANCE)


def test_motionbert_protocol_by_name_needs_no_hidden_copies():
    vector = load_vector('mb_h36m')
    windows = [(target, sample) for target, sample in h36m_windows(vector)]
    for target, _ in windows:
        target.visible[:] = True
    result = evaluate(windows, protocol='motionbert')
    np.testing.assert_allclose([result['MPJPE'], result['P-MPJPE']], vector.outputs['eval_rootrel_flip'], rtol=STORED,
                               atol=TOLERANCE)


# P-STMO and MPM, common/utils.py


@pytest.mark.parametrize('system', ['ps', 'mpm'])
def test_lifting_errors(system):
    vector = load_vector('metrics_h36m')
    pred, target = vector.inputs['pred'], vector.inputs['gt']
    assert_mm(F.mpjpe(pred, target).mean(), vector.outputs[f'{system}_mpjpe_cal'], unit=1000)
    assert_mm(F.p_mpjpe(pred, target), vector.outputs[f'{system}_p_mpjpe'], unit=1000)


def test_mpm_weighted_error():
    vector = load_vector('metrics_h36m')
    errors = F.mpjpe(vector.inputs['pred'], vector.inputs['gt'], vector.inputs['w'])
    assert_mm(errors.mean(), vector.outputs['mpm_wmpjpe_cal'], unit=1000)


def official_batches(vector, system):
    """Action of every pose as the fixture was run, and the two batches: one of a single action, one mixed."""
    size, action = re.search(r'poses 0\.\.(\d+) all (\w+)', vector.meta['batches']).groups()
    mixed = [name.split(' ')[0] for name in vector.meta['actions_mixed']]
    first = int(size) + 1
    actions = [action] * first + mixed[first:]
    assert all(actions.count(name) == vector.outputs[f'{system}_{name}_p1_count'] for name in set(mixed))
    return actions, (slice(0, first), slice(first, len(actions)))


@pytest.mark.parametrize('system', ['ps', 'mpm'])
def test_protocol_1_per_action_and_the_mean_over_actions(system):
    vector = load_vector('metrics_h36m')
    actions, _ = official_batches(vector, system)
    errors = F.mpjpe(vector.inputs['pred'], vector.inputs['gt'])
    means = F.mean_by_group(errors[:, None], actions)
    for action, mean in means.items():
        assert_mm(mean, vector.outputs[f'{system}_{action}_p1'], unit=1000)
    assert_mm(1000 * np.mean(list(means.values())), vector.outputs[f'{system}_print_error'][0])


@pytest.mark.parametrize('system', ['ps', 'mpm'])
def test_videopose3d_protocol_equals_the_accumulators(system):
    vector = load_vector('metrics_h36m')
    actions, _ = official_batches(vector, system)
    pairs = []
    for action in sorted(set(actions)):
        chosen = np.array(actions) == action
        pred, truth = (1000 * vector.inputs[name][chosen] for name in ('pred', 'gt'))
        pairs.append(make_pair(pred, truth, range(chosen.sum()), sample_id=f'S9/{action}.54138969', action=action,
                               skeleton='h36m'))
    result = evaluate(pairs, protocol='videopose3d')
    np.testing.assert_allclose(result['MPJPE'], vector.outputs[f'{system}_print_error'][0], rtol=STORED, atol=TOLERANCE)
    for action in set(actions):
        official = vector.outputs[f'{system}_{action}_p1']
        only = [pair for pair in pairs if pair[0].action == action]
        assert_mm(evaluate(only, protocol='videopose3d')['MPJPE'], 1000 * official)


@pytest.mark.parametrize('system', ['ps', 'mpm'])
def test_protocol_2_of_mixed_batches_is_the_mean_of_the_batch(system):
    """The official per-action P-MPJPE gives every pose of a mixed batch the mean of that batch; ours gives its own."""
    vector = load_vector('metrics_h36m')
    actions, batches = official_batches(vector, system)
    errors = F.p_mpjpe(vector.inputs['pred'], vector.inputs['gt'])
    blurred = np.concatenate([np.full_like(errors[batch], errors[batch].mean()) for batch in batches])
    means = F.mean_by_group(blurred[:, None], actions)
    for action, mean in means.items():
        assert_mm(mean, vector.outputs[f'{system}_{action}_p2'], unit=1000)
    assert_mm(1000 * np.mean(list(means.values())), vector.outputs[f'{system}_print_error'][1])


# MPI-INF-3DHP, mpii_evaluate_errors.m and MPM compute_PCK, compute_AUC


def poses_3dhp(vector):
    """Prediction and truth relative to the pelvis, mm."""
    return vector.inputs['pred'], relative(vector.inputs['gt'], vector.meta['joints'].index('pelvis'))


def selections_3dhp(vector):
    """Output prefix, its index or None, and the frames behind it."""
    ends = np.cumsum(vector.inputs['n'])
    yield from (('seq', number, slice(end - count, end)) for number, (end, count)
                in enumerate(zip(ends, vector.inputs['n'])))
    activities = vector.inputs['activity']
    yield from (('act', activity - 1, activities == activity) for activity in np.unique(activities))
    yield 'all', None, slice(None)


def test_3dhp_position_errors():
    vector = load_vector('metrics_3dhp')
    errors = F.joint_errors(*poses_3dhp(vector))
    for prefix, number, frames in selections_3dhp(vector):
        index = () if number is None else number
        assert_mm(errors[frames].mean(), vector.outputs[f'{prefix}_mpjpe'][index])
        if prefix != 'act':
            assert_mm(errors[frames].mean(axis=0), vector.outputs[f'{prefix}_mpjpe_joints'][index])


@pytest.mark.parametrize('name, score', [('pck', F.pck), ('auc', F.auc)])
def test_3dhp_pck_and_auc_by_joint_group(name, score):
    vector = load_vector('metrics_3dhp')
    groups, total = F.score_by_group(score, *poses_3dhp(vector), F.group_joints())
    for prefix, number, frames in selections_3dhp(vector):
        index = () if number is None else number
        assert_mm(total[frames].mean(), vector.outputs[f'{prefix}_{name}'][index])
        if prefix != 'act':
            assert_mm([group[frames].mean() for group in groups.values()],
                      vector.outputs[f'{prefix}_{name}_groups'][index])


def test_3dhp_joint_set_and_thresholds_are_the_protocol_of_the_fixture():
    protocol = load_vector('metrics_3dhp').meta['protocol']
    joints = sorted(joint for group in F.group_joints().values() for joint in group)
    assert joints == protocol['pck_joint_set_0based']
    start, step, stop = (int(number) for number in protocol['auc_thresholds_mm'].split()[0].split(':'))
    assert F.AUC_THRESHOLDS.tolist() == list(range(start, stop + step, step))


def test_3dhp_protocol_gives_the_official_tables():
    vector = load_vector('metrics_3dhp')
    pred, truth, activities = (vector.inputs[name] for name in ('pred', 'gt', 'activity'))
    metric = Pose3DMetric('mpi_inf_3dhp')
    for prefix, number, frames in selections_3dhp(vector):
        if prefix == 'seq':
            target, sample = make_pair(pred[frames], truth[frames], range(frames.stop - frames.start),
                                       sample_id=f'TS{number + 1}', skeleton='mpi_inf_3dhp17',
                                       activity=activities[frames])
            metric.process(dict(data_samples=[target]), [sample.to_dict()])
    report = metric.report(metric.results)
    rows = {'seq': list(report.groups.values()), 'act': report.groupings['activity']}
    assert get_skeleton('mpi_inf_3dhp17').root == vector.meta['joints'].index('pelvis')
    for key, name in (('MPJPE', 'mpjpe'), ('PCK@150', 'pck'), ('AUC', 'auc')):
        assert_mm(report.metrics[key], vector.outputs[f'all_{name}'])
        assert_mm(report.metrics[f'{key}/sequence'], vector.outputs[f'seq_{name}'].mean())
        assert_mm([row[key] for row in rows['seq']], vector.outputs[f'seq_{name}'])
        for activity in np.unique(activities):
            row = rows['act'][MPI_INF_3DHP_ACTIVITIES[activity]]
            assert_mm(row[key], vector.outputs[f'act_{name}'][activity - 1])
            assert row['frames'] == (activities == activity).sum()
    parts = [f'PCK@150/{group}' for group in F.MPI_INF_3DHP_GROUPS]
    assert_mm([report.metrics[part] for part in parts], vector.outputs['all_pck_groups'])
    assert_mm([[row[part] for part in parts] for row in rows['seq']], vector.outputs['seq_pck_groups'])


def test_mpm_pck_and_auc_count_every_joint_in_metres():
    vector = load_vector('metrics_3dhp')
    pred, target = (points / 1000 for points in poses_3dhp(vector))
    scored = vector.meta['protocol']['pck_joint_set_0based']
    for joints, suffix in ((slice(None), ''), (scored, '_nonroot')):
        pair = pred[:, joints], target[:, joints]
        assert_mm(F.pck(*pair, threshold=0.15).mean(), vector.outputs[f'mpm_pck{suffix}'])
        assert_mm(F.auc(*pair, thresholds=np.linspace(0, 0.15, 31)).mean(), vector.outputs[f'mpm_auc{suffix}'])
    assert_mm(F.mpjpe(pred, target).mean(), vector.outputs['mpm_mpjpe_m'], unit=1000)
