import numpy as np
import pytest
from mmengine.logging import MMLogger

from motionbert_mm.evaluation import Pose3DMetric
from motionbert_mm.evaluation.groupings import H36M_ACTIONS, get_grouping
from motionbert_mm.evaluation.protocols import FREE_OPTIONS, PROTOCOLS, get_protocol

H36M_PROTOCOLS = 'motionbert', 'videopose3d', 'mmpose'
RIGHT = np.array([1.0, 0.0, 0.0], np.float32)
CAMERAS = {'54138969': '01', '55011271': '02', '58860488': '03', '60457274': '04'}
# Name without the camera: what joins the camera, and the recordings of each action, in the spelling of each source.
SPELLINGS = {
    'official': ('_ca_', {'S9 Greeting': 's_09_act_05_subact_02', 'S9 Greeting 1': 's_09_act_05_subact_01',
                          'S9 SittingDown': 's_09_act_10_subact_02', 'S9 SittingDown 1': 's_09_act_10_subact_01',
                          'S9 Waiting': 's_09_act_13_subact_02', 'S9 Waiting 1': 's_09_act_13_subact_01',
                          'S11 Greeting': 's_11_act_05_subact_02', 'S11 Directions': 's_11_act_02_subact_02',
                          'S11 Directions 1': 's_11_act_02_subact_01', 'S9 Directions': 's_09_act_02_subact_02'}),
}
TITLES = list(SPELLINGS['official'][1])
SPELLINGS['videopose3d'] = '.', {title: title.replace(' ', '/', 1) for title in TITLES}
SPELLINGS['mmpose'] = '.', {title: title.replace(' ', '_') for title in TITLES}
SPELLINGS['mmpose, short'] = '.', {title: name.replace('Greeting', 'Greet').replace('Waiting', 'Wait')
                                   for title, name in SPELLINGS['mmpose'][1].items()}
FAULTY = {'S9 Greeting', 'S9 SittingDown', 'S9 Waiting 1'}


def clip_names(spelling):
    """Clip name by recording and camera serial number."""
    join, names = SPELLINGS[spelling]
    return {(title, camera): f'{name}{join}{CAMERAS[camera] if join == "_ca_" else camera}'
            for title, name in names.items() for camera in CAMERAS}


def shift(errors):
    """Truth and prediction (F, 17, 3): all joints but the root are off by each frame's error in millimetres."""
    truth = np.random.default_rng(0).normal(0, 300, (len(errors), 17, 3)).astype(np.float32)
    truth -= truth[:, :1]
    pred = truth + np.float32(errors)[:, None, None] * RIGHT
    pred[:, 0] = 0
    return truth, pred


def make_window(name, errors, frames=None, truth=None, **meta):
    """Prediction and ground truth of a window, as the metric takes them."""
    known, pred = shift(errors)
    truth = known if truth is None else truth
    meta = dict(sample_id=name, frame_ids=np.arange(len(errors)) if frames is None else np.asarray(frames), fps=50.0,
                skeleton='h36m', **meta)
    return dict(meta, keypoints_3d=pred[None]), dict(meta, keypoints_3d=truth[None])


def fill(metric, windows):
    for prediction, target in windows:
        metric.process(dict(data_samples=[target]), [prediction])
    return metric


def evaluate(windows, *args, **options):
    metric = fill(Pose3DMetric(*args, **options), windows)
    return metric.report(metric.results)


def recordings(spelling):
    """One window of each clip; the error tells the recording, the same for all its cameras."""
    return [make_window(name, [10.0 * TITLES.index(title) + 10] * 2, action=title.split(' ')[1],
                        subject=title.split(' ')[0], camera_id=camera)
            for (title, camera), name in clip_names(spelling).items()]


@pytest.mark.parametrize('protocol, left_out', [('motionbert', FAULTY), ('mmpose', FAULTY),
                                                ('videopose3d', {'S11 Directions'})])
@pytest.mark.parametrize('spelling', SPELLINGS)
def test_the_excluded_recordings_are_found_under_every_spelling(protocol, left_out, spelling):
    metric = Pose3DMetric(protocol)
    skipped = {key for key, name in clip_names(spelling).items() if metric.is_skipped(name)}
    assert skipped == {(title, camera) for title in left_out for camera in CAMERAS}


@pytest.mark.parametrize('spelling', SPELLINGS)
def test_excluded_recordings_do_not_count(spelling):
    report = evaluate(recordings(spelling), 'motionbert')
    kept = {title: 10.0 * TITLES.index(title) + 10 for title in TITLES if title not in FAULTY}
    by_action = {}
    for title, error in kept.items():
        by_action.setdefault(title.split(' ')[1], []).append(error * 16 / 17)
    assert report.counts == dict(excluded=12, hidden=0, sequences=28, frames=56)
    assert {action: row['MPJPE'] for action, row in report.groups.items()} == pytest.approx(
        {action: np.mean(errors) for action, errors in by_action.items()})
    assert report.metrics['MPJPE'] == pytest.approx(np.mean([np.mean(errors) for errors in by_action.values()]))


def test_averages_differ_as_the_protocols_say():
    windows = [make_window('S9/Eating.54138969', [10.0] * 6 + [0.0] * 2, action='Eating'),
               make_window('S9/Sitting.54138969', [50.0] * 2, action='Sitting')]
    results = {name: evaluate(windows, name).metrics['MPJPE'] * 17 / 16 for name in H36M_PROTOCOLS}
    assert results == pytest.approx({'motionbert': (10 + 50) / 2,  # exact frames dropped
                                     'videopose3d': (60 / 8 + 50) / 2,
                                     'mmpose': (60 + 100) / 10})


def test_overlapping_windows_are_merged_as_the_protocols_say():
    truth, _ = shift([0] * 4)
    windows = [make_window('a', [30.0] * 3, range(3), truth[:3], action='Eating'),
               make_window('a', [30.0] * 3, range(1, 4), truth[1:], action='Eating')]
    for (prediction, _), points in zip(windows, (truth[:3] + 30 * RIGHT, truth[1:] - 30 * RIGHT)):
        points[:, 0] = 0
        prediction['keypoints_3d'] = points[None]
    results = {name: evaluate(windows, name).metrics for name in H36M_PROTOCOLS}
    joints = 16 / 17
    assert {name: row['MPJPE'] for name, row in results.items()} == pytest.approx(
        {'motionbert': 30 * joints, 'videopose3d': 15 * joints, 'mmpose': 30 * joints}, rel=1e-5)
    # Errors of +30, 0, 0, -30 mm in frames 0..3: steps of 30, 0 and 30 mm; within either window nothing moves.
    assert results['videopose3d']['MPJVE'] == pytest.approx((30 + 0 + 30) / 3 * joints, rel=1e-5)
    assert results['motionbert']['MPJVE'] == pytest.approx(0, abs=1e-3)


def test_velocity_errors_by_hand():
    windows = [make_window('a', [0, 1, 3, 6], action='Eating'), make_window('b', [5, 5, 9], action='Eating'),
               make_window('c', [0, 10], action='Sitting')]
    report = evaluate(windows, 'videopose3d')
    steps = {'Eating': [1, 2, 3, 0, 4], 'Sitting': [10]}
    expected = {action: np.mean(values) * 16 / 17 for action, values in steps.items()}
    assert {action: row['MPJVE'] for action, row in report.groups.items()} == pytest.approx(expected, rel=1e-4)
    assert report.metrics['MPJVE'] == pytest.approx(np.mean(list(expected.values())), rel=1e-4)
    assert report.metrics['MPJVE/frame'] == pytest.approx(20 / 6 * 16 / 17, rel=1e-4)


def test_of_a_frame_that_a_window_repeats_the_last_copy_counts_where_errors_are_merged():
    truth, pred = shift([10.0, 20.0, 30.0])
    meta = dict(sample_id='a', frame_ids=np.array([0, 0, 1]), skeleton='h36m', action='Eating')
    window = dict(meta, keypoints_3d=pred[None]), dict(meta, keypoints_3d=truth[None])
    assert evaluate([window], 'motionbert').metrics['MPJPE'] == pytest.approx((20 + 30) / 2 * 16 / 17, rel=1e-5)


def test_videopose3d_weighs_sequences_by_their_frames_within_an_action():
    """Official: evaluate() adds frames * mean of each sequence, run_evaluation() averages the actions."""
    rng = np.random.default_rng(1)
    lengths = {'S9/Eating.1': 30, 'S11/Eating 1.1': 50, 'S9/Sitting.1': 20}
    windows, official = [], {}
    for name, length in lengths.items():
        errors = rng.uniform(0, 50, length)
        action = name.split('/')[1].split('.')[0].split(' ')[0]
        windows.append(make_window(name, errors, action=action))
        sums = official.setdefault(action, [0.0, 0])
        sums[0] += length * errors.mean() * 16 / 17
        sums[1] += length
    expected = np.mean([total / frames for total, frames in official.values()])
    assert evaluate(windows, 'videopose3d').metrics['MPJPE'] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('mode, key', [('mpjpe', 'MPJPE'), ('p-mpjpe', 'P-MPJPE'), ('n-mpjpe', 'N-MPJPE')])
def test_mmpose_protocol_equals_the_metric_of_mmpose(mode, key):
    from mmpose.evaluation.metrics.keypoint_3d_metrics import MPJPE
    rng = np.random.default_rng(2)
    skip_list = ['S9_Greet', 'S9_SittingDown', 'S9_Wait_1', 'S9_Greeting', 'S9_Waiting_1']  # of its configs
    theirs, windows = MPJPE(mode, skip_list=skip_list), []
    for name, length in (('S9_Greeting.54138969', 6), ('S9_Greeting_1.54138969', 9), ('S9_SittingDown_1.58860488', 5),
                         ('S11_Waiting_1.54138969', 7), ('S9_Waiting_1.54138969', 7)):
        truth = rng.normal(0, 300, (length, 17, 3)).astype(np.float32)
        truth[:, 0] = 0
        pred = (truth + rng.normal(0, 40, truth.shape)).astype(np.float32)
        pred[:, 0] = 0
        subject, action = name.split('.')[0].split('_')[:2]
        meta = dict(sample_id=name, frame_ids=np.arange(length), skeleton='h36m', action=action)
        windows.append((dict(meta, keypoints_3d=pred[None]), dict(meta, keypoints_3d=truth[None])))
        truth = dict(lifting_target=truth, lifting_target_visible=np.ones((length, 17)))
        theirs.process([], [dict(pred_instances=dict(keypoints=pred), gt_instances=truth,
                                 target_img_path=[f'{subject}/{name}_000001.jpg'])])
    expected = theirs.compute_metrics(theirs.results)
    report = evaluate(windows, 'mmpose')
    assert report.counts['excluded'] == 2
    assert report.metrics[key] == pytest.approx(expected[mode.upper()], abs=1e-4)
    for action, row in report.groups.items():
        assert row[key] == pytest.approx(expected[f'{mode.upper()}_{action}'], abs=1e-4)


def test_a_protocol_is_the_options_that_it_stands_for():
    windows = recordings('official')
    official = dict(average='action', overlap='errors', drop_zero_error=True,
                    skip_list=['s_09_act_05_subact_02_*', 's_09_act_10_subact_02_*', 's_09_act_13_subact_01_*'])
    assert evaluate(windows, 'motionbert').metrics == evaluate(windows, **official).metrics
    assert evaluate(windows, 'motionbert', average='action', drop_zero_error=True).metrics == evaluate(
        windows, 'motionbert').metrics
    assert set().union(*(protocol.options for protocol in PROTOCOLS.values())) == set(FREE_OPTIONS)


@pytest.mark.parametrize('options, words', [
    (dict(average='frame'), "'motionbert' fixes average='action', got 'frame'; leave the option out, or leave"),
    (dict(drop_zero_error=False), 'fixes drop_zero_error=True, got False'),
    (dict(joints=['root', 'nose']), 'fixes joints=None'), (dict(root_relative=False), 'fixes root_relative=True'),
    (dict(group_by='subject'), "fixes group_by='action'"), (dict(overlap='predictions'), "fixes overlap='errors'"),
    (dict(within_group='clip'), "fixes within_group='frame'"),
])
def test_options_that_contradict_the_protocol_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Pose3DMetric('motionbert', **options)


def test_unknown_protocols_are_refused_with_the_known_ones():
    with pytest.raises(KeyError, match="unknown protocol 'h36m'; known are motionbert, videopose3d, mmpose, mpi"):
        get_protocol('h36m')


def test_other_joints_than_those_of_the_protocol_are_refused():
    prediction, target = make_window('a', [10.0, 20.0], action='Eating')
    for sample in (prediction, target):
        sample.update(skeleton='coco17')
    with pytest.raises(ValueError, match="defined for skeleton 'h36m', the data have 'coco17'; convert"):
        evaluate([(prediction, target)], 'motionbert')


def test_a_faulty_recording_under_an_unknown_name_is_refused():
    windows = [make_window(f'nine-greets-{number}', [10.0] * 3, action='Greeting', subject='S9', camera_id='54138969')
               for number in (1, 2)]
    with pytest.raises(ValueError, match="leaves out S9 Greeting, but both 'nine-greets-1' and 'nine-greets-2'"):
        evaluate(windows, 'motionbert')
    assert evaluate(windows, 'motionbert', skip_list=['nine-greets-2']).counts['sequences'] == 1
    assert evaluate(windows, 'videopose3d').counts['sequences'] == 2
    windows[1][1]['camera_id'] = '55011271'
    assert evaluate(windows, 'motionbert').counts['sequences'] == 2


def test_rows_come_in_the_order_and_under_the_headings_of_the_papers():
    windows = [make_window(f'{number}', [10.0], action=action)
               for number, action in enumerate(sorted(H36M_ACTIONS, reverse=True))]
    report = evaluate(windows, 'videopose3d')
    headings = 'Dire Disc Eat Greet Phone Photo Pose Purch Sit SitD Smoke Wait WalkD Walk WalkT'.split()
    lines = [line.split() for line in report.table.splitlines()]
    assert list(report.groups) == list(H36M_ACTIONS)
    assert [line[0] for line in lines[1:16]] == headings
    assert lines[0][:6] == ['action', 'clips', 'frames', 'MPJPE', 'P-MPJPE', 'MPJVE']
    assert lines[-1][:3] == ['mean', 'over', 'actions'] and lines[-1][5] == f'{report.metrics["MPJPE"]:.2f}'


def test_other_actions_keep_their_names():
    order = get_grouping('action').order
    assert list(order(['WalkDog', 'Eating']).items()) == [('Eating', 'Eat'), ('WalkDog', 'WalkD')]
    assert list(order(['walk', 'Eating']).items()) == [('Eating', 'Eating'), ('walk', 'walk')]


def test_the_protocol_line_names_the_protocol_and_what_goes_beyond_it(monkeypatch):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lines.append)
    fill(Pose3DMetric('motionbert', skip_list=['s_11_*']), recordings('official')).evaluate(1)
    for words in ('| protocol: motionbert |', 'averaged over 4 actions (frames pooled in each)', 'zero error dropped',
                  '24 sequences (S9 Greeting, S9 SittingDown, S9 Waiting 1; beyond the protocol: s_11_*)'):
        assert words in lines[1]
    assert 'protocol: ' not in evaluate(recordings('official')).protocol
