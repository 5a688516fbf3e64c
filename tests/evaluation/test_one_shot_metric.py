import csv

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from motionbert_mm.evaluation import OneShotMetric
from motionbert_mm.evaluation import functional as F
from motionbert_mm.evaluation.metrics.labelled import distinct_windows, join_clips
from motionbert_mm.registry import METRICS, build
from motionbert_mm.structures.motion_sample import MotionSample

CLASSES = ('walk', 'sit down', 'wave', 'bow')


def make_window(name, label, embedding, start=0):
    """Ground truth and prediction of one window of four frames."""
    meta = dict(sample_id=name, frame_ids=np.arange(start, start + 4))
    return (MotionSample(metainfo=meta, label=torch.tensor(label)),
            MotionSample(metainfo=meta, embedding=torch.as_tensor(embedding, dtype=torch.float32)))


def make_windows(per_class=6, per_clip=2, spread=0.8, seed=0):
    """Windows of clips whose embeddings lie around one direction for each class."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(CLASSES), 8))
    windows = []
    for label, centre in enumerate(centres):
        for clip in range(per_class):
            for number in range(per_clip):
                vector = centre + rng.normal(0, spread, 8)
                unit = vector / np.linalg.norm(vector)
                windows.append(make_window(f'{CLASSES[label]}/{clip}', label, unit, 4 * number))
    return windows


def feed(metric, windows, batch=5, classes=CLASSES):
    metric.dataset_meta = dict(classes=classes)
    for start in range(0, len(windows), batch):
        targets, preds = zip(*windows[start:start + batch])
        metric.process(dict(inputs=None, data_samples=MotionSample.stack(targets)), [pred.to_dict() for pred in preds])
    return metric


def evaluate(windows, classes=CLASSES, **options):
    return feed(OneShotMetric(**options), windows, classes=classes).evaluate(len(windows))


def embeddings(windows, per_clip=2):
    vectors = np.stack([pred.embedding.numpy() for _, pred in windows]).astype(np.float64)
    means = vectors.reshape(-1, per_clip, vectors.shape[1]).mean(axis=1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


@pytest.mark.parametrize('rule', ['nearest', 'mean'])
@pytest.mark.parametrize('patterns, rows', [(['*/0'], [0]), (['*/0', '*/[34]'], [0, 3, 4]),
                                            (['walk/2', 'sit down/2', 'wave/2', 'bow/2'], [2])])
def test_result_equals_the_functions_on_whole_clips(patterns, rows, rule):
    windows = make_windows()
    vectors, labels = embeddings(windows), np.repeat(np.arange(4), 6)
    is_exemplar = np.isin(np.tile(np.arange(6), 4), rows)
    found = F.EXEMPLAR_RULES[rule](vectors[~is_exemplar], vectors[is_exemplar], labels[is_exemplar])
    confusion = F.confusion_matrix(labels[~is_exemplar], found, 4)
    assert confusion.sum() == 4 * (6 - len(rows))  # queries never include exemplars
    assert evaluate(windows, exemplars=patterns, rule=rule) == {
        'accuracy': pytest.approx(100 * np.trace(confusion) / confusion.sum()),
        'mean_class': pytest.approx(F.mean_class_accuracy(confusion))}


def test_exemplars_do_not_count_as_queries():
    # Every clip but the exemplar is of another direction: were exemplars queries, the accuracy would be 50.
    windows = [make_window('a/0', 0, [1, 0]), make_window('a/1', 0, [0, 1]), make_window('b/0', 1, [0, 1]),
               make_window('b/1', 1, [1, 0])]
    assert evaluate(windows, classes=('a', 'b'), exemplars=['*/0'])['accuracy'] == 0


def test_every_class_counts_the_same_in_the_mean():
    windows = [make_window('a/0', 0, [1, 0]), *(make_window(f'a/{clip}', 0, [1, 0.1]) for clip in range(1, 4)),
               make_window('b/0', 1, [0, 1]), make_window('b/1', 1, [1, 0])]
    assert evaluate(windows, classes=('a', 'b'), exemplars=['*/0']) == {'accuracy': 75, 'mean_class': 50}


def test_drawn_exemplars_are_averaged_over_the_draws():
    windows = make_windows()
    result = evaluate(windows, num_draws=5, seed=3)
    metric = feed(OneShotMetric(num_draws=5, seed=3), windows)
    report = metric.report(metric.results)
    assert report.confusion.sum() == 5 * 4 * 5 and (report.confusion.sum(axis=1) == 25).all()
    assert result['accuracy'] == pytest.approx(100 * np.trace(report.confusion) / 100)
    assert result['mean_class'] == pytest.approx(result['accuracy'])  # as many queries of each class
    assert 0 < result['accuracy/std'] < 30
    single = evaluate(windows, seed=3)
    assert 'accuracy/std' not in single and single != result


def test_the_spread_is_that_of_the_draws_and_the_seed_chooses_them():
    windows = make_windows()
    metric = feed(OneShotMetric(num_draws=4, seed=1), windows)
    report = metric.report(metric.results)
    clips = join_clips(distinct_windows(metric.results), 'embedding')
    draws = [clips.names[is_exemplar].tolist() for is_exemplar in metric._draw(clips, CLASSES)]
    singles = [evaluate(windows, exemplars=names)['accuracy'] for names in draws]
    assert report.metrics['accuracy'] == pytest.approx(np.mean(singles))
    assert report.metrics['accuracy/std'] == pytest.approx(np.std(singles, ddof=1))
    assert evaluate(windows, num_draws=4, seed=1) == report.metrics
    assert evaluate(windows, num_draws=4, seed=2) != report.metrics


def test_more_exemplars_help():
    windows = make_windows(per_class=12, spread=1.2)
    one, five = (evaluate(windows, num_exemplars=count, num_draws=20) for count in (1, 5))
    assert five['accuracy'] > one['accuracy'] > 25
    assert evaluate(windows, num_exemplars=5, num_draws=20, rule='mean')['accuracy'] > one['accuracy']


def test_embeddings_of_the_windows_of_a_clip_are_averaged():
    windows = [make_window('a/0', 0, [1, 0]), make_window('b/0', 1, [0, 1]), make_window('b/1', 1, [0, 1]),
               make_window('a/1', 0, [0.6, 0.8]), make_window('a/1', 0, [1, 0], 4)]
    assert evaluate(windows, classes=('a', 'b'), exemplars=['*/0'])['accuracy'] == 100
    assert evaluate(windows[:4], classes=('a', 'b'), exemplars=['*/0'])['accuracy'] == 50


@pytest.mark.parametrize('options', [dict(exemplars=['*/0']), dict(num_exemplars=2, num_draws=3), dict(rule='mean')])
def test_copies_and_the_number_of_processes_do_not_change_the_result(options):
    windows = make_windows()
    expected = evaluate(windows, **options)
    assert evaluate(windows + windows[:3] + windows[-1:] * 4, **options) == expected
    padded = windows + windows[:1]
    ranks = [feed(OneShotMetric(**options), padded[rank::2], batch=3) for rank in (0, 1)]
    metric = feed(OneShotMetric(**options), [])
    assert metric.compute_metrics(ranks[1].results + ranks[0].results) == expected


def test_log_holds_a_table_of_classes_and_the_whole_protocol(monkeypatch):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lambda message: lines.append(message))
    windows = [make_window('a/0', 0, [1, 0]), make_window('a/1', 0, [0, 1]), make_window('a/2', 0, [1, 0.1]),
               make_window('b/0', 1, [0, 1]), make_window('b/1', 1, [0, 1])]
    evaluate(windows, classes=('walk', 'bow'), exemplars=['*/0'])
    table, protocol = lines
    rows = {line.split('  ')[0].strip(): line.split() for line in table.splitlines() if line}
    assert rows['walk'] == ['walk', '2', '50.00', '100.00', 'bow', '(1)']
    assert rows['bow'] == ['bow', '1', '100.00', '50.00', '-']
    assert protocol == ('Protocol of accuracy 66.67 over 3 queries | classes: 2 | exemplars: 1 per class, chosen by '
                        'name | rule: nearest exemplar by cosine | windows: 5, 1 per clip, embeddings averaged | flip '
                        'TTA: not stated | chance: 50.00 (always the most frequent class: 66.67)')
    lines.clear()
    evaluate(make_windows(), num_exemplars=2, num_draws=3, rule='mean', seed=4)
    for words in ('over 16 queries', 'exemplars: 2 per class, drawn 3 times (seed 4)', 'nearest mean of the exemplars',
                  'windows: 48, 2 per clip', 'chance: 25.00'):
        assert words in lines[1]
    lines.clear()
    evaluate(make_windows(), exemplars=['*/0', 'bow/1'])
    assert 'exemplars: 1 to 2 per class, chosen by name' in lines[1]


def test_a_folder_gets_the_confusion_and_the_table_of_classes(tmp_path):
    evaluate(make_windows(), num_draws=2, out_dir=str(tmp_path))
    with open(tmp_path / 'per_class.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['class'], row['queries']) for row in rows] == [(name, '10') for name in CLASSES]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['confusion.csv', 'confusion.png', 'per_class.csv']


def test_registry_builds_it_with_exemplars():
    metric = build(METRICS, dict(type='OneShotMetric', exemplars=['*/0'], prefix='test'))
    assert set(feed(metric, make_windows()).evaluate(1)) == {'test/accuracy', 'test/mean_class'}


@pytest.mark.parametrize('options, words', [
    (dict(exemplars=['*/0', 'jump/7']), "no test clip fits the exemplar 'jump/7'; there are 24, bow/0 for one"),
    (dict(exemplars=['walk/0', 'bow/0']), "class 'sit down' has 6 clips, of which 0 are exemplars; it needs"),
    (dict(exemplars=['*/0', 'wave/*']), "class 'wave' has 6 clips, of which 6 are exemplars; it needs"),
    (dict(num_exemplars=6), "class 'walk' has 6 clips, of which 6 are to be exemplars, so that nothing is left"),
])
def test_classes_without_exemplar_or_query_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        evaluate(make_windows(), **options)


@pytest.mark.parametrize('options, error, words', [
    (dict(rule='median'), ValueError, "rule='median'.*expected one of .*nearest.*mean"),
    (dict(num_draws=0), ValueError, 'numbers of at least 1'),
    (dict(exemplars='*/0'), TypeError, r"list of clip names, got the string '\*/0'"),
    (dict(exemplars=['*/0'], num_exemplars=2), ValueError, 'got 1 exemplars by name, so that nothing is drawn'),
])
def test_wrong_options_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        OneShotMetric(**options)


@pytest.mark.parametrize('change, error, words', [
    (lambda target, pred: pred.pop('embedding'), KeyError, 'a: OneShotMetric needs embedding'),
    (lambda target, pred: target.pop('label'), KeyError, 'a: the ground truth has no label'),
    (lambda target, pred: target.set_data(dict(label=torch.tensor(4))), ValueError, 'a: the label is 4.*4 classes'),
    (lambda target, pred: pred.set_data(dict(embedding=torch.tensor([1.0, float('inf')]))), ValueError, '1 NaN or inf'),
])
def test_what_does_not_fit_is_refused_with_the_name_of_the_clip(change, error, words):
    target, pred = make_window('a', 0, [1, 0])
    change(target, pred)
    metric = OneShotMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(error, match=words):
        metric.process(dict(data_samples=[target]), [pred.to_dict()])
