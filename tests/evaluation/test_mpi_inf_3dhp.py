"""The official protocol of MPI-INF-3DHP, with numbers worked out by hand."""
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.evaluation import Pose3DMetric
from motionbert_mm.registry import METRICS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import convert, get_skeleton
from tests.generated import ROOT, load_tool

tool = load_tool('analysis_tools/eval_predictions.py')
SKELETON = get_skeleton('mpi_inf_3dhp17')
MOVED = [joint for joint in SKELETON.joints if joint != SKELETON.joints[SKELETON.root]]
WRISTS, ANKLES = ['left_wrist', 'right_wrist'], ['left_ankle', 'right_ankle']
# Per frame: joints that are off and by how many mm, activity, is it valid. Behind it the MPJPE, the share of 14 joints
# below 150 mm, and how many of 31 thresholds each of them passes: 30 without an error, for none is below 0.
FRAMES = {
    'TS1': [(MOVED, 17, 1, True),            # 16 of 17 joints: 16 mm; 14 / 14; 14 joints pass 20, 25, ..., 150: 27
            (['head_top'], 170, 1, True),    # 10 mm; 13 / 14; 13 joints pass 30
            (MOVED, 1000, 3, False),
            (['spine'], 340, 6, True)],      # 20 mm; 14 / 14, the spine does not count; 14 joints pass 30
    'TS2': [(ANKLES, 51, 2, True)],          # 6 mm; 14 / 14; 12 joints pass 30, 2 pass 55, ..., 150: 20
    'TS3': [(WRISTS, 150, 2, True),          # 300 / 17 mm; 12 / 14, for 150 is not below 150; 12 joints pass 30
            ([], 0, 6, True)],               # 0 mm; 14 / 14; 14 joints pass 30
    'TS6': [(MOVED, 85, 1, True)],           # 80 mm; 14 / 14; 14 joints pass 90, 95, ..., 150: 13
}
MPJPE = {'TS1': [16, 10, 20], 'TS2': [6], 'TS3': [300 / 17, 0], 'TS6': [80]}
NEAR = {'TS1': [14, 13, 14], 'TS2': [14], 'TS3': [12, 14], 'TS6': [14]}
PASSED = {'TS1': [14 * 27, 13 * 30, 14 * 30], 'TS2': [12 * 30 + 2 * 20], 'TS3': [12 * 30, 14 * 30], 'TS6': [14 * 13]}


def expected(*frames):
    """MPJPE, PCK and AUC over frames, each given as sequence and number among the valid ones."""
    values = [(MPJPE[name][number], 100 * NEAR[name][number] / 14, 100 * PASSED[name][number] / 14 / 31)
              for name, number in frames]
    return np.mean(values, axis=0).tolist()


SEQUENCES = {name: expected(*((name, number) for number in range(len(MPJPE[name])))) for name in FRAMES}
ALL = [(name, number) for name in FRAMES for number in range(len(MPJPE[name]))]


def make_sequence(name):
    """Truth in the camera frame and prediction around another root (1, F, 17, 3), whole mm, validity, activity."""
    truth = np.random.default_rng(len(name)).integers(-900, 900, (1, len(FRAMES[name]), 17, 3)) + [0, 0, 4000]
    pred = truth - truth[:, :, SKELETON.root, None] + [70, 0, -20]
    for frame, (joints, error, _, _) in enumerate(FRAMES[name]):
        pred[0, frame, [SKELETON.index(joint) for joint in joints], frame % 3] += error
    activity, valid = (np.array([row[column] for row in FRAMES[name]]) for column in (2, 3))
    return truth.astype(np.float32), pred.astype(np.float32), valid, activity


def make_windows(change=None):
    """The whole sequences as ground truth and prediction."""
    for name in FRAMES:
        truth, pred, valid, activity = make_sequence(name)
        meta = dict(sample_id=name, frame_ids=np.arange(len(valid)), skeleton=SKELETON.name, fps=25.0,
                    activity=activity)
        if change is not None:
            change(meta)
        visible = np.repeat(valid[None, :, None], 17, axis=2)
        yield (MotionSample(metainfo=meta, keypoints_3d=torch.from_numpy(truth), visible=torch.from_numpy(visible)),
               MotionSample(metainfo=meta, keypoints_3d=torch.from_numpy(pred)))


def make_centres(size=5):
    """A window around each valid frame, edges padded by copies, of which the model predicts the middle."""
    for target, prediction in make_windows():
        last = len(target.frame_ids) - 1
        for centre in np.flatnonzero(target.visible[0, :, 0]):
            wanted = np.arange(centre - size // 2, centre + size // 2 + 1)
            frames = wanted.clip(0, last)
            visible = target.visible[:, frames] & torch.from_numpy(wanted == frames)[None, :, None]
            meta = dict(target.metainfo_items(), frame_ids=frames, activity=target.activity[frames])
            yield (MotionSample(metainfo=meta, keypoints_3d=target.keypoints_3d[:, frames], visible=visible),
                   MotionSample(metainfo=dict(sample_id=target.sample_id, frame_ids=np.array([centre])),
                                keypoints_3d=prediction.keypoints_3d[:, centre:centre + 1]))


def evaluate(windows, **options):
    metric = Pose3DMetric('mpi_inf_3dhp', **options)
    for target, prediction in windows:
        metric.process(dict(data_samples=MotionSample.stack([target])), [prediction.to_dict()])
    return metric.report(metric.results)


def scores(row, end=''):
    return [row[f'{name}{end}'] for name in ('MPJPE', 'PCK@150', 'AUC')]


def dump(path, windows):
    """Test once with a dump; what the test returned."""
    evaluator = Evaluator([build(METRICS, dict(type='Pose3DMetric', protocol='mpi_inf_3dhp')),
                           build(METRICS, dict(type='DumpPredictions', out_file=str(path)))])
    for target, prediction in windows:
        evaluator.process(data_samples=[prediction], data_batch=dict(data_samples=MotionSample.stack([target])))
    return evaluator.evaluate(1)


def measure_again(path, *arguments):
    """What the command line makes of a dump."""
    out = path.with_suffix('.json')
    tool.main([str(part) for part in (path, '--protocol', 'mpi_inf_3dhp', '--json', out, *arguments)])
    return json.loads(out.read_text())['protocols']['mpi_inf_3dhp']


def test_the_headline_pools_the_valid_frames_of_all_sequences():
    report = evaluate(make_windows())
    assert scores(report.metrics) == scores(report.metrics, '/frame') == pytest.approx(expected(*ALL))
    assert report.metrics['MPJPE'] == pytest.approx((16 + 10 + 20 + 6 + 300 / 17 + 80) / 7)
    assert report.metrics['PCK@150'] == pytest.approx(100 * (7 * 14 - 3) / (7 * 14))
    assert scores(report.metrics, '/sequence') == pytest.approx(np.mean(list(SEQUENCES.values()), axis=0))
    assert report.counts == dict(excluded=0, hidden=1, sequences=4, frames=7)


def test_tables_per_sequence_scene_and_activity():
    tables = evaluate(make_windows()).groupings
    assert list(tables) == ['sequence', 'scene', 'activity']
    for name, row in tables['sequence'].items():
        assert scores(row) == pytest.approx(SEQUENCES[name])
    by_hand = {
        'scene': {'green screen': ALL[:4], 'studio without green screen': ALL[4:6], 'outdoor': ALL[6:]},
        'activity': {'Standing/Walking': [('TS1', 0), ('TS1', 1), ('TS6', 0)], 'Exercising': [('TS2', 0), ('TS3', 0)],
                     'Sports': [('TS1', 2), ('TS3', 1)]}}
    for table, groups in by_hand.items():
        assert list(tables[table]) == list(groups)
        for group, frames in groups.items():
            assert scores(tables[table][group]) == pytest.approx(expected(*frames))
            assert tables[table][group]['frames'] == len(frames)
            assert tables[table][group]['clips'] == len({name for name, _ in frames})
    assert tables['scene']['green screen']['MPJPE'] == pytest.approx((16 + 10 + 20 + 6) / 4)
    assert tables['activity']['Sports']['MPJPE'] == pytest.approx((20 + 0) / 2)


def test_means_over_groups_are_in_the_result():
    metrics = evaluate(make_windows()).metrics
    activities = (16 + 10 + 80) / 3, (6 + 300 / 17) / 2, (20 + 0) / 2
    assert metrics['MPJPE/activity'] == pytest.approx(np.mean(activities))
    assert metrics['MPJPE/scene'] == pytest.approx(np.mean([52 / 4, 300 / 17 / 2, 80]))


def test_pck_per_group_of_joints():
    report = evaluate(make_windows())
    parts = {key.partition('/')[2]: value for key, value in report.metrics.items() if key.startswith('PCK@150/')}
    for average in ('frame', 'clip', 'sequence', 'scene', 'activity'):
        del parts[average]
    assert parts == pytest.approx({'head': 600 / 7, 'neck': 100, 'shoulders': 100, 'elbows': 100, 'wrists': 600 / 7,
                                   'hips': 100, 'knees': 100, 'ankles': 100})
    assert report.groups['TS3']['PCK@150/wrists'] == 50 and report.groups['TS6']['PCK@150/head'] == 100


def test_a_perfect_prediction_has_auc_of_30_in_31():
    windows = [(target, MotionSample(metainfo=dict(target.metainfo_items()), keypoints_3d=target.keypoints_3d + 5))
               for target, _ in make_windows()]
    assert scores(evaluate(windows).metrics) == pytest.approx([0, 100, 100 * 30 / 31])


def test_invalid_frames_do_not_count():
    windows = list(make_windows())
    windows[0][1].keypoints_3d[:, 2] = float('nan')
    assert evaluate(windows).metrics == evaluate(make_windows()).metrics
    windows[0][0].visible[:] = True
    windows[0][1].keypoints_3d[:] = torch.from_numpy(make_sequence('TS1')[1])
    # The prediction of the frame called invalid is 1 m off in 16 of 17 joints.
    assert evaluate(windows).groups['TS1']['MPJPE'] == pytest.approx((16 + 10 + 16000 / 17 + 20) / 4)


def test_centre_frames_are_measured_as_whole_sequences_are():
    whole, centres = evaluate(make_windows()), evaluate(make_centres())
    assert centres.metrics == whole.metrics and centres.table == whole.table
    assert centres.counts['frames'] == 7


def unknown(meta):
    meta['activity'] = np.zeros_like(meta['activity'])


@pytest.mark.parametrize('change', [unknown, lambda meta: meta.pop('activity')])
def test_without_activities_there_is_no_table_of_them(change):
    report = evaluate(make_windows(change))
    assert report.table.splitlines()[-1] == 'activity: not stated by the data, no table'
    known = evaluate(make_windows()).metrics
    assert report.metrics == {key: value for key, value in known.items() if not key.endswith('/activity')}


def test_frames_of_unknown_activity_are_in_no_row():
    def forget(meta):
        meta['activity'] = np.where(meta['activity'] == 2, 0, meta['activity'])
    report = evaluate(make_windows(forget))
    assert list(report.groupings['activity']) == ['Standing/Walking', 'Sports']
    assert report.metrics['MPJPE/activity'] == pytest.approx(((16 + 10 + 80) / 3 + (20 + 0) / 2) / 2)
    assert report.table.splitlines()[-1] == 'activity not known: 2 frames, in no row'
    assert report.metrics['MPJPE'] == evaluate(make_windows()).metrics['MPJPE']


def test_activities_of_another_number_of_frames_are_refused():
    def cut(meta):
        meta['activity'] = np.ones(9, int)
    with pytest.raises(ValueError, match=r'TS1: activity has shape \(9,\), but groups by activity need one value per '
                                         r'sample, or \(4,\), one per frame'):
        evaluate(make_windows(cut))


def test_the_protocol_is_printed():
    report = evaluate(make_windows())
    for words in (f'Protocol of MPJPE {report.metrics["MPJPE"]:.2f} averaged over 7 frames | protocol: mpi_inf_3dhp |',
                  'joints: all of mpi_inf_3dhp17', 'PCK and AUC: 14 (head_top, neck, right_shoulder, left_shoulder,',
                  'strictly below 150 mm and 0, 5, ..., 150 mm', 'relative to root', 'excluded: none',
                  '4 sequences, 7 frames, 1 frames without valid target left out'):
        assert words in report.protocol
    heads = [block.split()[0] for block in report.table.split('\n\n')]
    assert heads == ['sequence', 'PCK@150', 'scene', 'activity']
    assert 'mean over activities' in report.table and 'studio without green screen' in report.table


def test_what_the_protocol_does_not_allow():
    with pytest.raises(ValueError, match="'mpi_inf_3dhp' fixes pck_joints="):
        Pose3DMetric('mpi_inf_3dhp', pck_joints=['neck'])
    with pytest.raises(ValueError, match="defined for skeleton 'mpi_inf_3dhp17', the data have 'h36m'; convert"):
        evaluate(make_windows(lambda meta: meta.update(skeleton='h36m')))


@pytest.mark.parametrize('windows', [make_windows, make_centres])
def test_a_dump_gives_the_numbers_of_the_test(tmp_path, windows):
    metrics = dump(tmp_path / 'pred.npz', windows())
    content = measure_again(tmp_path / 'pred.npz')
    assert content['metrics'] == metrics == evaluate(make_windows()).metrics
    assert {group: row['MPJPE'] for group, row in content['tables']['activity'].items()} == pytest.approx(
        {'Standing/Walking': 106 / 3, 'Exercising': (6 + 300 / 17) / 2, 'Sports': 10})


def test_a_dump_of_overlapping_windows_keeps_their_activities(tmp_path):
    windows = []
    for target, prediction in make_windows():
        for frames in (slice(0, 3), slice(1, 4)):
            meta = dict(target.metainfo_items(), frame_ids=target.frame_ids[frames], activity=target.activity[frames])
            if len(meta['frame_ids']):
                cut = [{key: value[:, frames] for key, value in part.items()} for part in (target, prediction)]
                windows.append([MotionSample(metainfo=meta, **fields) for fields in cut])
    assert dump(tmp_path / 'pred.npz', windows) == measure_again(tmp_path / 'pred.npz')['metrics']
    with np.load(tmp_path / 'pred.npz', allow_pickle=False) as file:
        assert file['TS1/activity'].tolist() == [1, 1, 3, 6]
        assert file['TS1/window_activity'].tolist() == [1, 1, 3, 1, 3, 6]


def test_another_method_is_measured_on_the_valid_frames_of_a_store(tmp_path):
    arrays = {}
    with MotionStoreWriter(tmp_path / 'store', skeleton=SKELETON.name, fps=25.0) as writer:
        for name in FRAMES:
            truth, pred, valid, activity = make_sequence(name)
            writer.add_clip(name, {'keypoints_3d': truth[0], 'valid': valid, 'activity': activity})
            arrays[f'{name}/keypoints_3d'] = pred[0]
    np.savez(tmp_path / 'theirs.npz', **arrays)
    metrics = evaluate(make_windows()).metrics
    assert measure_again(tmp_path / 'theirs.npz', '--store', tmp_path / 'store')['metrics'] == metrics
    np.savez(tmp_path / 'valid.npz', **{key: value[make_sequence(key.split('/')[0])[2]] for key, value in
                                       arrays.items()}, **{'TS1/frame_ids': np.array([0, 1, 3])})
    assert measure_again(tmp_path / 'valid.npz', '--store', tmp_path / 'store')['metrics'] == metrics


def test_the_csv_holds_every_table(tmp_path):
    dump(tmp_path / 'pred.npz', make_windows())
    measure_again(tmp_path / 'pred.npz', '--csv', tmp_path / 'out.csv')
    lines = [line.split(',')[:5] for line in (tmp_path / 'out.csv').read_text().splitlines()]
    assert lines[0] == ['protocol', 'table', 'group', 'clips', 'frames']
    assert ['mpi_inf_3dhp', 'scene', 'green screen', '2', '4'] in lines
    assert ['mpi_inf_3dhp', 'activity', 'mean over activities', '4', '7'] in lines


def test_joints_in_the_order_of_human36m_have_the_same_numbers():
    """The metric of configs/_base_/datasets/mpi-inf-3dhp-h36m_81f.py, whose models know the joints of Human3.6M."""
    metric = build(METRICS, Config.fromfile(ROOT / 'configs/_base_/datasets/mpi-inf-3dhp-h36m_81f.py').test_evaluator)
    for target, prediction in make_windows():
        for sample in (target, prediction):
            sample.keypoints_3d = torch.from_numpy(
                convert(sample.keypoints_3d.numpy(), SKELETON.name, 'h36m').keypoints)
        target.set_metainfo(dict(skeleton='h36m'))
        metric.process(dict(data_samples=MotionSample.stack([target])), [prediction.to_dict()])
    assert metric.report(metric.results).metrics == pytest.approx(evaluate(make_windows()).metrics)
