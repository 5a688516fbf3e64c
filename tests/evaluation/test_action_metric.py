import csv

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from PIL import Image

from motionbert_mm.evaluation import ActionMetric
from motionbert_mm.evaluation import functional as F
from motionbert_mm.registry import METRICS, build
from motionbert_mm.structures.motion_sample import MotionSample

CLASSES = ('walk', 'run', 'sit down', 'wave', 'bow', 'kick')
NUM_CLASSES = 6


def make_window(name, label, scores, start=0, **meta):
    """Ground truth and prediction of one window of four frames."""
    meta = dict(sample_id=name, frame_ids=np.arange(start, start + 4), **meta)
    return (MotionSample(metainfo=meta, label=torch.tensor(label)),
            MotionSample(metainfo=dict(meta, flip_test=True), scores=torch.as_tensor(scores, dtype=torch.float32)))


def make_windows(num_clips=20, per_clip=3, num_classes=NUM_CLASSES, seed=0):
    """Windows of clips of random classes, right more often than not."""
    rng = np.random.default_rng(seed)
    windows = []
    for clip in range(num_clips):
        label = int(rng.integers(num_classes))
        for number in range(per_clip):
            logits = rng.normal(size=num_classes) + 1.5 * (np.arange(num_classes) == label)
            scores = np.exp(logits) / np.exp(logits).sum()
            windows.append(make_window(f'clip_{clip:02}', label, scores, start=4 * number))
    return windows


def feed(metric, windows, batch=4, classes=CLASSES):
    metric.dataset_meta = dict(classes=classes) if classes else None
    for start in range(0, len(windows), batch):
        targets, preds = zip(*windows[start:start + batch])
        metric.process(dict(inputs=None, data_samples=MotionSample.stack(targets)), [pred.to_dict() for pred in preds])
    return metric


def evaluate(windows, classes=CLASSES, **options):
    return feed(ActionMetric(**options), windows, classes=classes).evaluate(len(windows))


def captured_log(monkeypatch, windows, **options):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lambda message: lines.append(message))
    evaluate(windows, **options)
    return lines


def one_hot(label, num_classes=NUM_CLASSES):
    return np.eye(num_classes)[label]


def test_result_equals_the_functions_on_clips_and_on_windows():
    windows = make_windows()
    scores = np.stack([pred.scores.numpy() for _, pred in windows])
    labels = np.array([int(target.label) for target, _ in windows])
    clips = scores.reshape(20, 3, -1).mean(axis=1, dtype=np.float64)
    for per, values, truth in (('window', scores, labels), ('clip', clips, labels[::3])):
        confusion = F.confusion_matrix(truth, values.argmax(axis=1), len(CLASSES))
        assert evaluate(windows, per=per) == {
            'top1': F.top_k_accuracy(values, truth), 'top5': F.top_k_accuracy(values, truth, 5),
            'mean_class': F.mean_class_accuracy(confusion)}


def test_scores_of_the_windows_of_a_clip_are_averaged_by_hand():
    windows = [make_window('a', 0, [0.9, 0.1], 0), make_window('a', 0, [0.4, 0.6], 4),
               make_window('a', 0, [0.4, 0.6], 8), make_window('b', 1, [0.4, 0.6], 0)]
    assert evaluate(windows, classes=('x', 'y')) == {'top1': 100, 'mean_class': 100}
    assert evaluate(windows, classes=('x', 'y'), per='window') == {'top1': 50, 'mean_class': pytest.approx(200 / 3)}


def test_top_5_is_left_out_of_five_classes():
    assert list(evaluate(make_windows(num_classes=5), classes=None)) == ['top1', 'mean_class']
    assert list(evaluate(make_windows(), topk=(1, 2, 5))) == ['top1', 'top2', 'top5', 'mean_class']


def test_registry_builds_it_and_the_evaluator_hands_it_the_classes():
    windows = make_windows()
    evaluator = Evaluator([build(METRICS, dict(type='ActionMetric', prefix='val'))])
    evaluator.dataset_meta = dict(classes=CLASSES)
    targets, preds = zip(*windows)
    evaluator.process(data_samples=list(preds), data_batch=dict(data_samples=MotionSample.stack(targets)))
    assert evaluator.evaluate(len(windows)) == {f'val/{key}': value for key, value in evaluate(windows).items()}


def test_copies_of_the_sampler_do_not_change_the_result():
    windows = make_windows()
    for per in ('clip', 'window'):
        assert evaluate(windows + windows[:3] + windows[-1:] * 5, per=per) == evaluate(windows, per=per)


@pytest.mark.parametrize('per', ['clip', 'window'])
def test_two_ranks_give_the_result_of_one_bit_for_bit(per):
    windows = make_windows(num_clips=7)
    padded = windows + windows[:len(windows) % 2]
    ranks = [feed(ActionMetric(per), padded[rank::2], batch=3) for rank in (0, 1)]
    gathered = ranks[1].results + ranks[0].results
    metric = ActionMetric(per)
    metric.dataset_meta = dict(classes=CLASSES)
    one, two = metric.report(feed(ActionMetric(per), windows).results), metric.report(gathered)
    assert one.metrics == two.metrics == evaluate(windows, per=per)
    assert one.table == two.table and one.protocol == two.protocol


def test_results_are_cleared_for_the_next_validation():
    windows = make_windows()
    metric = feed(ActionMetric(), windows)
    first = metric.evaluate(len(windows))
    assert feed(metric, windows).evaluate(len(windows)) == first


def test_log_holds_a_table_of_classes_and_the_whole_protocol(monkeypatch):
    windows = [make_window('a', 0, one_hot(0)), make_window('b', 0, one_hot(2)), make_window('c', 0, one_hot(2)),
               make_window('d', 0, one_hot(1)), make_window('e', 2, one_hot(2)), make_window('e', 2, one_hot(2), 4)]
    table, protocol = captured_log(monkeypatch, windows)
    rows = {line.split('  ')[0].strip(): line[18:].split() for line in table.splitlines() if line}
    assert rows['walk'] == ['4', '25.00', '100.00', 'sit', 'down', '(2)']
    assert rows['run'] == ['0', '-', '0.00', '-'] and rows['sit down'] == ['1', '100.00', '33.33', '-']
    assert rows['mean over classes'] == ['5', '62.50', '-', '-'] and 'wave' not in rows
    assert protocol == ('Protocol of top1 40.00 over 5 clips | classes: 6 | windows: 6, 1 to 2 per clip, scores '
                        'averaged | flip TTA: on | chance: 16.67 (always the most frequent class: 80.00)')
    assert ('top1 50.00 over 6 windows | classes: 6 | windows: 6, each measured, of 5 clips' in
            captured_log(monkeypatch, windows, per='window')[1])


def test_classes_without_names_are_numbered(monkeypatch):
    table, _ = captured_log(monkeypatch, [make_window('a', 1, [0.2, 0.8, 0.0])], classes=None)
    assert table.splitlines()[2].split() == ['1', '1', '100.00', '100.00', '-']


def test_a_folder_gets_the_confusion_and_the_table_of_classes(tmp_path):
    windows = [make_window('a', 0, one_hot(0)), make_window('b', 0, one_hot(2)), make_window('c', 2, one_hot(2))]
    evaluate(windows, out_dir=str(tmp_path / 'out'))
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'confusion.csv', 'confusion.png', 'per_class.csv']
    with open(tmp_path / 'out' / 'confusion.csv', newline='') as file:
        header, *rows = csv.reader(file)
    assert header == ['true_class', *CLASSES] and [row[0] for row in rows] == list(CLASSES)
    counts = np.array([row[1:] for row in rows], int)
    assert counts.sum() == 3 and counts[0, 0] == counts[0, 2] == counts[2, 2] == 1
    with open(tmp_path / 'out' / 'per_class.csv', newline='') as file:
        header, *rows = csv.reader(file)
    assert header == ['class', 'clips', 'recall', 'precision', 'most_often_taken_for', 'times']
    assert rows[0] == ['walk', '2', '50.0', '100.0', 'sit down', '1'] and rows[1] == ['run', '0', '', '', '', '0']
    assert min(Image.open(tmp_path / 'out' / 'confusion.png').size) > 300


@pytest.mark.parametrize('change, error, words', [
    (lambda target, pred: pred.pop('scores'), KeyError, 'a: ActionMetric needs scores, but the prediction has only'),
    (lambda target, pred: target.pop('label'), KeyError, "a: the ground truth has no label.*add 'label' to the fields"),
    (lambda target, pred: target.pop('frame_ids'), KeyError, 'a: the ground truth has no frame_ids'),
    (lambda target, pred: pred.set_data(dict(scores=torch.ones(4))), ValueError,
     r'a: 4 scores, but the data have 6 classes \(walk, \.\.\.\); set num_classes of the head'),
    (lambda target, pred: target.set_data(dict(label=torch.tensor(6))), ValueError,
     'a: the label is 6, but there are 6 classes, 0 to 5; set classes of the data set'),
    (lambda target, pred: target.set_data(dict(label=torch.tensor(-1))), ValueError, 'a: the label is -1'),
    (lambda target, pred: pred.set_data(dict(scores=torch.full((6,), float('nan')))), ValueError,
     r'a: scores has shape \(6,\) and 6 NaN or infinite entries'),
    (lambda target, pred: pred.set_data(dict(scores=torch.ones(1, 6))), ValueError, r'scores has shape \(1, 6\)'),
    (lambda target, pred: pred.set_metainfo(dict(sample_id='b')), ValueError, 'got the prediction for b'),
])
def test_what_does_not_fit_is_refused_with_the_name_of_the_clip(change, error, words):
    target, pred = make_window('a', 0, one_hot(0))
    change(target, pred)
    metric = ActionMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(error, match=words):
        metric.process(dict(data_samples=[target]), [pred.to_dict()])


def test_labels_are_checked_against_the_scores_where_classes_have_no_names():
    with pytest.raises(ValueError, match='the label is 3, but there are 3 classes'):
        evaluate([make_window('a', 3, one_hot(0, 3))], classes=None)


def test_nothing_to_measure_and_clips_of_two_labels_are_refused():
    with pytest.raises(ValueError, match='nothing to measure'):
        ActionMetric().evaluate(0)
    with pytest.raises(ValueError, match='a: windows of this clip have the labels 0 and 1'):
        evaluate([make_window('a', 0, one_hot(0)), make_window('a', 1, one_hot(0), 4)])


@pytest.mark.parametrize('options', [dict(per='frame'), dict(topk=(0, 5)), dict(topk=())])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match='ActionMetric got per='):
        ActionMetric(**options)
