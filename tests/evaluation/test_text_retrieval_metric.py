"""Retrieval between motions and texts, and zero-shot classes, on embeddings whose ranks are known."""
import csv

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from motionbert_mm.evaluation import TextRetrievalMetric
from motionbert_mm.registry import METRICS, build
from motionbert_mm.structures.motion_sample import MotionSample

# Texts on a circle, in degrees: a text is the nearer to a motion, the nearer their angles are.
ANGLES = {'a person walks': 0, 'somebody walks': 10, 'a person waves': 90, 'somebody waves': 100, 'a person jumps': 180,
          'somebody jumps': 190, 'a person bows': 270}
CLASS_TEXTS = dict(walk=['a person walks', 'somebody walks'], wave=['a person waves', 'somebody waves'],
                   jump=['a person jumps', 'somebody jumps'])


def direction(degrees):
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


def encode(texts):
    return np.stack([direction(ANGLES[text]) for text in texts])


def make_window(name, degrees, text, action='', start=0, **fields):
    """Ground truth and prediction of one window of four frames."""
    meta = dict(sample_id=name, frame_ids=np.arange(start, start + 4))
    return (MotionSample(metainfo=dict(meta, text=text, action=action), **fields),
            MotionSample(metainfo=meta, embedding=torch.from_numpy(direction(degrees))))


def feed(metric, windows, batch=5, classes=()):
    metric.dataset_meta, metric.encode_texts = dict(classes=classes), encode
    for start in range(0, len(windows), batch):
        targets, preds = zip(*windows[start:start + batch])
        metric.process(dict(inputs=None, data_samples=list(targets)), [pred.to_dict() for pred in preds])
    return metric


def evaluate(windows, **options):
    return feed(TextRetrievalMetric(**options), windows).evaluate(len(windows))


# Nearest texts of each motion: 1 walks; 85 waves, then walks; 130 waves (40), jumps (50), walks; 300 bows (30).
WINDOWS = [make_window('c0', 1, 'a person walks', 'walk'), make_window('c1', 85, 'a person walks', 'walk'),
           make_window('c2', 130, 'a person jumps', 'jump'), make_window('c3', 300, 'a person bows', 'bow'),
           make_window('c4', 92, 'a person waves', 'wave')]


def test_ranks_both_ways_are_those_of_the_angles():
    result = evaluate(WINDOWS)
    # Ranks of the texts: 1, 2, 2, 1, 1. Of the motions: walks finds c0; jumps c2; bows c3; waves c4.
    assert result['motion_to_text/R@1'] == pytest.approx(60)
    assert result['motion_to_text/R@5'] == result['motion_to_text/R@10'] == 100
    assert result['motion_to_text/median_rank'] == 1
    assert result['text_to_motion/R@1'] == 100 and result['text_to_motion/median_rank'] == 1
    assert not any(name.startswith('zero_shot') for name in result)


def test_any_motion_of_a_text_is_right():
    # To "waves" c1, which walks, is nearest; without it c5 is.
    windows = [make_window('c1', 85, 'a person walks'), make_window('c5', 120, 'a person waves'),
               make_window('c4', 160, 'a person waves'), make_window('c0', 181, 'a person jumps')]
    result = evaluate(windows)
    assert result['text_to_motion/R@1'] == pytest.approx(200 / 3)  # waves stands at 2, walks and jumps at 1
    assert evaluate(windows[1:])['text_to_motion/R@1'] == 100


def test_equal_motions_count_as_if_shuffled():
    texts = ['a person walks', 'a person waves', 'a person jumps', 'a person bows']
    result = evaluate([make_window(f'c{number}', 45, text) for number, text in enumerate(texts)])
    # 45 is as near to walks as to waves, further from the others: ranks 1.5, 1.5, 3.5, 3.5.
    assert result['motion_to_text/R@1'] == pytest.approx(100 * (0.5 + 0.5) / 4)
    assert result['motion_to_text/median_rank'] == pytest.approx(2.5)
    assert result['text_to_motion/R@1'] == pytest.approx(25)  # all motions are alike
    assert result['text_to_motion/median_rank'] == pytest.approx(2.5)


def test_embeddings_of_the_windows_of_a_clip_are_averaged():
    windows = [make_window('c0', 50, 'a person walks'), make_window('c0', -30, 'a person walks', start=4),
               make_window('c1', 90, 'a person waves')]
    assert evaluate(windows)['motion_to_text/R@1'] == 100
    assert evaluate(windows[::2])['motion_to_text/R@1'] == 50


def test_clips_without_text_are_left_out_of_retrieval_but_recognised():
    windows = [*WINDOWS, make_window('c9', 4, '', 'walk')]
    expected, result = evaluate(WINDOWS), evaluate(windows, class_texts=CLASS_TEXTS)
    assert {name: result[name] for name in expected} == expected
    without = evaluate(WINDOWS, class_texts=CLASS_TEXTS)
    assert without['zero_shot/top1'] == pytest.approx(50) and result['zero_shot/top1'] == pytest.approx(60)


def test_classes_are_recognised_by_the_mean_or_the_nearest_of_their_sentences():
    # The means of the sentences lie at 5, 95 and 185 degrees.
    windows = [make_window('a', 49, 'a person walks', 'walk'), make_window('b', 51, 'a person waves', 'wave'),
               make_window('c', 141, 'a person jumps', 'jump'), make_window('d', 300, 'a person bows', 'bow')]
    result = evaluate(windows, class_texts=CLASS_TEXTS)
    assert result['zero_shot/top1'] == 100 and result['zero_shot/mean_class'] == 100
    # The mean of sentences at 90, 180 and 270 degrees lies at 180; two of them are near to a motion.
    uneven = dict(walk=['a person walks'], wave=['a person waves', 'a person bows', 'a person jumps'])
    windows = [make_window('a', 271, 'a person waves', 'wave'), make_window('b', 89, 'a person waves', 'wave')]
    assert evaluate(windows, class_texts=uneven, rule='nearest')['zero_shot/top1'] == 100
    assert evaluate(windows, class_texts=uneven)['zero_shot/top1'] == 0


def test_several_phrasings_help_where_one_is_off():
    windows = [make_window('a', 54, 'a person walks', 'walk'), make_window('b', 99, 'a person waves', 'wave')]
    one = dict(walk=['a person walks'], wave=['a person waves'])
    assert evaluate(windows, class_texts=one)['zero_shot/top1'] == 50
    assert evaluate(windows, class_texts=dict(one, walk=['a person walks', 'somebody walks'],
                                              wave=['a person waves', 'somebody waves', 'a person jumps']))[
        'zero_shot/top1'] == 100


def test_every_class_counts_the_same_in_the_mean():
    windows = [*(make_window(f'a{clip}', 0, 'a person walks', 'walk') for clip in range(3)),
               make_window('b', 0, 'a person waves', 'wave')]
    result = evaluate(windows, class_texts=CLASS_TEXTS)
    assert (result['zero_shot/top1'], result['zero_shot/mean_class']) == (75, 50)


def test_the_class_is_that_of_the_label_where_no_action_is_stated():
    windows = [make_window('a', 1, 'a person walks', label=torch.tensor(1)),
               make_window('b', 1, 'a person walks', label=torch.tensor(0))]
    metric = feed(TextRetrievalMetric(CLASS_TEXTS), windows, classes=('wave', 'walk'))
    assert metric.evaluate(2)['zero_shot/top1'] == 50


def test_copies_and_the_number_of_processes_do_not_change_the_result():
    windows = [*WINDOWS, make_window('c4', 95, 'a person waves', 'wave', start=4)]
    expected = evaluate(windows, class_texts=CLASS_TEXTS)
    assert evaluate(windows + windows[:2] * 3, class_texts=CLASS_TEXTS) == expected
    padded = windows + windows[:1]
    ranks = [feed(TextRetrievalMetric(CLASS_TEXTS), padded[rank::2], batch=2) for rank in (0, 1)]
    metric = feed(TextRetrievalMetric(CLASS_TEXTS), [])
    assert metric.compute_metrics(ranks[1].results + ranks[0].results) == expected


def test_the_log_holds_tables_with_chance_and_the_whole_protocol(monkeypatch):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lambda message: lines.append(message))
    evaluate([*WINDOWS, make_window('c9', 4, '', 'walk')], class_texts=CLASS_TEXTS)
    tables, retrieval, zero_shot = lines
    # One text of four has two of the five motions.
    assert tables.splitlines()[2].split()[1:] == ['5', '60.00', '100.00', '100.00', '1.00']
    guessed = [line.split()[-5:] for line in tables.splitlines() if 'guessed' in line]
    assert guessed == [['5', '25.00', '100.00', '100.00', '2.50'], ['4', '25.00', '100.00', '100.00', '3.00']]
    actions = {line.split()[0]: line.split()[1:] for line in tables.splitlines()[6:11] if line}
    assert actions['walk'] == ['2', '50.00', '100.00', '100.00', '1.50'] and actions['bow'][:2] == ['1', '100.00']
    assert any(line.split()[:3] == ['walk', '3', '66.67'] for line in tables.splitlines())
    assert retrieval == ('Protocol of motion_to_text/R@1 60.00 over 5 clips | texts: 4, each of 1 to 2 clips | without '
                         'text: 1 clips, left out | windows: 6, 1 per clip, embeddings averaged | flip TTA: not stated '
                         '| chance: 25.00 (median rank 2.5)')
    assert zero_shot == ('Protocol of zero_shot/top1 60.00 over 5 clips | classes: 3, 2 sentences each | rule: nearest '
                         'mean of the sentences of a class by cosine | of other classes: 1 clips, left out | chance: '
                         '33.33 (always the most frequent class: 60.00)')


def test_a_folder_gets_the_tables(tmp_path):
    evaluate(WINDOWS, class_texts=CLASS_TEXTS, out_dir=str(tmp_path))
    with open(tmp_path / 'retrieval.csv', newline='') as file:
        rows = {row['direction']: row for row in csv.DictReader(file)}
    assert float(rows['motion_to_text']['R@1']) == 60 and float(rows['motion_to_text, guessed']['median_rank']) == 2.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ['confusion.csv', 'confusion.png', 'per_class.csv',
                                                               'retrieval.csv']


def test_registry_builds_it_and_a_prefix_goes_before_every_key():
    metric = build(METRICS, dict(type='TextRetrievalMetric', prefix='held_out'))
    result = feed(metric, WINDOWS).evaluate(5)
    assert set(result) == {f'held_out/{way}/{name}' for way in ('motion_to_text', 'text_to_motion')
                           for name in ('R@1', 'R@5', 'R@10', 'median_rank')}


@pytest.mark.parametrize('options, error, words', [
    (dict(rule='median'), ValueError, "rule='median', expected one of"),
    (dict(class_texts=dict(walk='a person walks')), TypeError, "class_texts of 'walk' must be a list of sentences"),
    (dict(class_texts=dict(walk=[])), ValueError, r"class_texts of 'walk' is \[\], expected sentences with words"),
    (dict(class_texts=dict(walk=['a person walks', ' '])), ValueError, 'expected sentences with words')])
def test_wrong_options_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        TextRetrievalMetric(**options)


@pytest.mark.parametrize('change, error, words', [
    (lambda target, pred: pred.pop('embedding'), KeyError, 'c: TextRetrievalMetric needs embedding, but the pred'),
    (lambda target, pred: target.pop('text'), KeyError, 'c: the ground truth has no text, only.*TextMotionDataset'),
    (lambda target, pred: target.pop('frame_ids'), KeyError, 'c: the ground truth has no frame_ids'),
    (lambda target, pred: target.update(text=['a', 'b']), TypeError, r"c: text is \['a', 'b'\], expected one string"),
    (lambda target, pred: pred.update(embedding=torch.tensor([1.0, float('nan')])), ValueError, '1 NaN or infinite'),
    (lambda target, pred: pred.update(embedding=torch.ones(1, 2)), ValueError, r'shape \(1, 2\)')])
def test_what_does_not_fit_is_refused_with_the_name_of_the_clip(change, error, words):
    target, pred = (each.to_dict() for each in make_window('c', 0, 'a person walks'))
    change(target, pred)
    metric = feed(TextRetrievalMetric(), [])
    with pytest.raises(error, match=words):
        metric.process(dict(data_samples=[target]), [pred])


@pytest.mark.parametrize('windows, options, words', [
    ([make_window('c', 0, '')], {}, 'none of the 1 clips has a text'),
    ([make_window('c', 0, 'a person bows', 'bow')], dict(class_texts=CLASS_TEXTS),
     r'none of the 1 clips is of a class of class_texts \(walk, wave, jump\); their actions are bow'),
    ([make_window('c', 0, 'a person walks'), make_window('c', 0, 'a person waves', start=4)], {},
     'windows of this clip have the labels'), ([], {}, 'there is nothing to measure')])
def test_data_with_nothing_to_measure_are_refused(windows, options, words):
    with pytest.raises(ValueError, match=words):
        evaluate(windows, **options)


def test_a_metric_without_encoder_names_the_hook():
    target, pred = make_window('c', 0, 'a person walks')
    with pytest.raises(ValueError, match="text_encoder=dict.type='TextEncoderHook'. to default_hooks"):
        TextRetrievalMetric().process(dict(data_samples=[target]), [pred.to_dict()])


def test_texts_of_another_space_are_refused():
    metric = feed(TextRetrievalMetric(), WINDOWS)
    metric.encode_texts = lambda texts: np.ones((len(texts), 5), np.float32)
    with pytest.raises(ValueError, match=r'4 texts were embedded as \(4, 5\), expected \(4, 2\)'):
        metric.evaluate(5)
