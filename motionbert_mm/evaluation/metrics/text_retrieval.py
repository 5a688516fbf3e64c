"""How well motions find the texts that describe them, texts the motions, and classes the sentences about them."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
from mmengine.logging import MMLogger

from motionbert_mm.evaluation.functional.classification import EXEMPLAR_RULES, confusion_matrix, mean_class_accuracy
from motionbert_mm.evaluation.functional.merging import as_array
from motionbert_mm.evaluation.functional.retrieval import (
    Places,
    chance_places,
    median_rank,
    recall_at,
    retrieve,
    unit_features,
)
from motionbert_mm.evaluation.metrics.class_report import ClassReport, chance_words, count_words, write_report
from motionbert_mm.evaluation.metrics.gathering import GatheringMetric, pair_samples
from motionbert_mm.evaluation.metrics.labelled import average_by_name, distinct_windows
from motionbert_mm.evaluation.metrics.report import flip_words, format_table
from motionbert_mm.io.tables import write_table
from motionbert_mm.registry import METRICS

COUNTS = (1, 5, 10)
RETRIEVAL_TABLE = 'retrieval.csv'
TO_TEXT, TO_MOTION, ZERO_SHOT = 'motion_to_text', 'text_to_motion', 'zero_shot'
RULE_WORDS = {'mean': 'nearest mean of the sentences of a class by cosine', 'nearest': 'nearest sentence by cosine'}


class TextWindow(NamedTuple):
    """What is kept of one window.

    Attributes:
        sample_id: unique name of the clip.
        frame_ids: (T,) source frames; they tell the windows of a clip apart.
        embedding: (D,) float32.
        label: text and action of the clip, '' for none.
        flip_test: see ``LabelledWindow``.
    """

    sample_id: str
    frame_ids: np.ndarray
    embedding: np.ndarray
    label: tuple
    flip_test: Optional[bool]


class TextClips(NamedTuple):
    """N clips in the order of their names: unit vectors (N, D), texts and actions (N,), windows (N,) of each."""

    vectors: np.ndarray
    texts: np.ndarray
    actions: np.ndarray
    counts: np.ndarray


class TextReport(NamedTuple):
    """The result of the metric.

    Attributes:
        metrics: what the metric returns; the headline first.
        rows: of the table of retrieval: direction, number of queries, R@k in percent, median rank.
        tables: of retrieval, of actions and, with sentences of classes, of classes.
        protocols: all that the numbers depend on, a line each for retrieval and classes.
        classes: how classes were recognised by their sentences; None without sentences.
    """

    metrics: dict[str, float]
    rows: list[list]
    tables: list[str]
    protocols: list[str]
    classes: Optional[ClassReport]


@METRICS.register_module()
class TextRetrievalMetric(GatheringMetric):
    """Retrieval between clips and the distinct texts of all clips, and zero-shot recognition of classes.

    Keys of the result: ``motion_to_text/R@1``, ``R@5``, ``R@10`` (percent of the clips whose text is among the first k
    of all distinct texts) and ``motion_to_text/median_rank``; the same for ``text_to_motion``, where any clip of a text
    is right. Equal candidates count as if shuffled. With ``class_texts`` also ``zero_shot/top1`` (percent of the clips
    whose class has the nearest sentences) and ``zero_shot/mean_class``, the mean over the classes.

    Reads ``embedding`` of the prediction and metainfo ``text`` and ``action`` of the ground truth; where ``action`` is
    missing, ``label`` and the classes of the data set. Embeddings of the windows of a clip are averaged and scaled to
    unit length; windows that occur twice count once. Clips without text are left out of retrieval, clips of a class
    without sentences out of recognition. ``TextEncoderHook`` lends it the text encoder of the model.

    Args:
        class_texts: class -> sentences about it, e.g. ``dict(wave=['a person waves', 'somebody waves a hand'])``.
        rule: 'mean' takes the class of the nearest mean of sentences, 'nearest' that of the nearest sentence.
        out_dir: where ``retrieval.csv`` and, with ``class_texts``, ``confusion.png``, ``confusion.csv`` and
            ``per_class.csv`` go; None writes nothing.
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.

    Attributes:
        encode_texts: texts -> (n, D) of unit norm.

    Raises:
        TypeError: a class with one string in the place of a list of sentences.
        ValueError: an unknown rule, or a class without a sentence.
    """

    def __init__(self, class_texts: Optional[Mapping[str, Sequence[str]]] = None, *, rule: str = 'mean',
                 out_dir: Optional[str] = None, prefix: Optional[str] = None, collect_device: str = 'cpu',
                 collect_dir: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if rule not in EXEMPLAR_RULES:
            raise ValueError(f'TextRetrievalMetric got rule={rule!r}, expected one of {list(EXEMPLAR_RULES)}')
        for name, sentences in (class_texts or {}).items():
            if isinstance(sentences, str):
                raise TypeError(f'class_texts of {name!r} must be a list of sentences, got the string {sentences!r}')
            if not sentences or not all(sentence.strip() for sentence in sentences):
                raise ValueError(f'class_texts of {name!r} is {list(sentences)}, expected sentences with words in them')
        self.class_texts = {name: tuple(sentences) for name, sentences in (class_texts or {}).items()}
        self.rule, self.out_dir = rule, None if out_dir is None else Path(out_dir)
        self.encode_texts: Optional[Callable[[Sequence[str]], np.ndarray]] = None

    def process(self, data_batch: Mapping[str, Any], data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep one batch.

        Args:
            data_batch: ``data_samples`` of it is the ground truth, one batched MotionSample or a list of samples.
            data_samples: the predictions as dicts, one per sample, in the same order.

        Raises:
            KeyError: no embedding, text or frames.
            TypeError: several texts of one sample.
            ValueError: no text encoder, or an embedding that is not finite.
        """
        if self.encode_texts is None:
            raise ValueError('TextRetrievalMetric was lent no text encoder; add '
                             "text_encoder=dict(type='TextEncoderHook') to default_hooks of the config")
        for prediction, target in pair_samples(data_batch, data_samples, type(self).__name__):
            self.results.append(self._keep(prediction, target))

    def _keep(self, prediction: Mapping[str, Any], target: Mapping[str, Any]) -> TextWindow:
        name = target['sample_id']
        if prediction.get('embedding') is None:
            raise KeyError(f'{name}: TextRetrievalMetric needs embedding, but the prediction has only '
                           f'{sorted(prediction)}; it is that of a TextAlignHead, see model.predicts')
        for key in ('text', 'frame_ids'):
            if target.get(key) is None:
                raise KeyError(f'{name}: the ground truth has no {key}, only {sorted(target)}; use TextMotionDataset, '
                               'and end its pipeline with PackInputs')
        if not isinstance(target['text'], str):
            raise TypeError(f'{name}: text is {target["text"]!r}, expected one string, as TextMotionDataset gives it')
        embedding = as_array(prediction['embedding']).astype(np.float32)
        if embedding.ndim != 1 or not np.isfinite(embedding).all():
            raise ValueError(f'{name}: embedding has shape {embedding.shape} and '
                             f'{int((~np.isfinite(embedding)).sum())} NaN or infinite entries, expected one finite '
                             'vector; training diverged or the input holds NaN')
        return TextWindow(name, as_array(target['frame_ids']).astype(np.int64), embedding,
                          (target['text'], self._class_of(target)), prediction.get('flip_test'))

    def _class_of(self, target: Mapping[str, Any]) -> str:
        """Return the name of the class of a sample, '' if it is not known."""
        classes = (self.dataset_meta or {}).get('classes') or ()
        label = -1 if target.get('label') is None else int(as_array(target['label']))
        return str(target.get('action') or (classes[label] if 0 <= label < len(classes) else ''))

    def compute_metrics(self, results: Sequence[TextWindow]) -> dict[str, float]:
        """Measure windows of all processes, in any order; log the tables and protocols, and write the files."""
        report = self.report(results)
        logger = MMLogger.get_current_instance()
        logger.info('\n' + '\n\n'.join(report.tables))
        for protocol in report.protocols:
            logger.info(protocol)
        if self.out_dir is not None:
            write_table(self.out_dir / RETRIEVAL_TABLE, report.rows, _header('queries'))
            if report.classes is not None:
                write_report(report.classes, self.out_dir)
        return report.metrics

    def report(self, results: Sequence[TextWindow]) -> TextReport:
        """Measure windows, in any order, copies included.

        Raises:
            ValueError: no window, no text, windows of one clip with different texts, or no clip of a class of
                ``class_texts``.
        """
        windows = distinct_windows(results)
        clips = _join(windows)
        has_text = clips.texts != ''
        if not has_text.any():
            raise ValueError(f'none of the {len(has_text)} clips has a text, so that nothing can be retrieved; convert '
                             'the data with texts, or choose other test data')
        texts = np.unique(clips.texts[has_text])
        vectors = self._encode(texts.tolist(), clips.vectors.shape[1])
        asked = clips.vectors[has_text], vectors, clips.texts[has_text], texts
        found = {TO_TEXT: retrieve(*asked), TO_MOTION: retrieve(asked[1], asked[0], asked[3], asked[2])}
        guessed = {TO_TEXT: chance_places(asked[2], asked[3]), TO_MOTION: chance_places(asked[3], asked[2])}
        rows = [[way + suffix, len(each[way].before), *_numbers(each[way])] for way in found
                for each, suffix in ((found, ''), (guessed, ', guessed'))]
        metrics = {f'{way}/{name}': value for way, places in found.items()
                   for name, value in zip(_header()[2:], _numbers(places))}
        tables = [format_table(_header('queries'), rows),
                  _action_table(found[TO_TEXT], clips.actions[has_text])]
        protocols = [_protocol(clips, texts, rows, windows)]
        classes = self._recognise(clips) if self.class_texts else None
        if classes is not None:
            metrics.update({f'{ZERO_SHOT}/{name}': value for name, value in classes.metrics.items()})
            tables.append(classes.table)
            protocols.append(classes.protocol)
        return TextReport(metrics, rows, tables, protocols, classes)

    def _encode(self, texts: Sequence[str], channels: int) -> np.ndarray:
        """Embed texts -> (n, D)."""
        vectors = unit_features(self.encode_texts(texts))
        if vectors.shape != (len(texts), channels):
            raise ValueError(f'{len(texts)} texts were embedded as {vectors.shape}, expected ({len(texts)}, '
                             f'{channels}) as of the motions; embedding is that of another head, see model.predicts')
        return vectors

    def _recognise(self, clips: TextClips) -> ClassReport:
        """Give each clip the class of the nearest sentences."""
        names = tuple(self.class_texts)
        numbers = {name: number for number, name in enumerate(names)}
        labels = np.array([numbers.get(action, -1) for action in clips.actions.tolist()])
        is_known = labels >= 0
        if not is_known.any():
            raise ValueError(f'none of the {len(labels)} clips is of a class of class_texts ({", ".join(names)}); '
                             f'their actions are {", ".join(sorted(set(clips.actions.tolist()))) or "not stated"}')
        sentences = [sentence for each in self.class_texts.values() for sentence in each]
        counts = [len(each) for each in self.class_texts.values()]
        found = EXEMPLAR_RULES[self.rule](clips.vectors[is_known], self._encode(sentences, clips.vectors.shape[1]),
                                          np.repeat(np.arange(len(names)), counts))
        confusion = confusion_matrix(labels[is_known], found, len(names))
        metrics = dict(top1=100.0 * float(np.trace(confusion)) / int(confusion.sum()),
                       mean_class=mean_class_accuracy(confusion))
        chance = 100.0 / len(names)
        others = int((~is_known).sum())
        protocol = ' | '.join([
            f'Protocol of {ZERO_SHOT}/top1 {metrics["top1"]:.2f} over {int(is_known.sum())} clips',
            f'classes: {len(names)}, {count_words(counts)} sentences each', f'rule: {RULE_WORDS[self.rule]}',
            *([f'of other classes: {others} clips, left out'] if others else []),
            chance_words(chance, labels[is_known])])
        return ClassReport(metrics, names, confusion, 'clips', chance, protocol)


def _join(windows: Sequence[TextWindow]) -> TextClips:
    """Average the embeddings of the windows of each clip."""
    names = np.array([window.sample_id for window in windows])
    vectors = np.stack([window.embedding for window in windows]).astype(np.float64)
    _, means, starts, counts = average_by_name(names, vectors)
    texts, actions = (np.array([windows[start].label[place] for start in starts], np.str_) for place in (0, 1))
    return TextClips(unit_features(means), texts, actions, counts)


def _header(sample: str = 'clips') -> list[str]:
    return ['direction', sample, *(f'R@{count}' for count in COUNTS), 'median_rank']


def _numbers(places: Places) -> list[float]:
    """R@k in percent, and the median rank."""
    return [*(100.0 * recall_at(places, count) for count in COUNTS), median_rank(places)]


def _action_table(places: Places, actions: np.ndarray) -> str:
    """A row for the clips of each action, of how they find their texts."""
    rows = []
    for action in np.unique(actions):
        chosen = actions == action
        part = Places(places.before[chosen], places.beside[chosen], places.right[chosen])
        rows.append([str(action) or 'not stated', int(chosen.sum()), *_numbers(part)])
    return format_table([f'{TO_TEXT} of action', *_header()[1:]], rows)


def _protocol(clips: TextClips, texts: np.ndarray, rows: Sequence[list], windows: Sequence[TextWindow]) -> str:
    """Say the headline of retrieval with all that it depends on, in one line."""
    has_text = clips.texts != ''
    sharing = np.unique(clips.texts[has_text], return_counts=True)[1]
    value, guessed = rows[0][2], rows[1]
    left_out = int((~has_text).sum())
    return ' | '.join([
        f'Protocol of {TO_TEXT}/R@1 {value:.2f} over {int(has_text.sum())} clips',
        f'texts: {len(texts)}, each of {count_words(sharing)} clips',
        *([f'without text: {left_out} clips, left out'] if left_out else []),
        f'windows: {len(windows)}, {count_words(clips.counts)} per clip, embeddings averaged',
        f'flip TTA: {flip_words(window.flip_test for window in windows)}',
        f'chance: {guessed[2]:.2f} (median rank {guessed[-1]:g})'])
