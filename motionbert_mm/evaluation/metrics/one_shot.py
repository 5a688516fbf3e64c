"""Recognition of classes that were never trained, by a few exemplars of each."""
from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Optional

import numpy as np

from motionbert_mm.evaluation.functional.classification import EXEMPLAR_RULES, confusion_matrix, mean_class_accuracy
from motionbert_mm.evaluation.functional.retrieval import unit_features
from motionbert_mm.evaluation.metrics.class_report import ClassReport, chance_words, count_words
from motionbert_mm.evaluation.metrics.labelled import (
    LabelledClips,
    LabelledMetric,
    LabelledWindow,
    distinct_windows,
    join_clips,
)
from motionbert_mm.evaluation.metrics.report import flip_words
from motionbert_mm.registry import METRICS

RULE_WORDS = {'nearest': 'nearest exemplar by cosine', 'mean': 'nearest mean of the exemplars of a class by cosine'}


@METRICS.register_module()
class OneShotMetric(LabelledMetric):
    """Accuracy in percent of clips that are compared with exemplars by the cosine of their embeddings.

    The test data hold exemplars and queries together; a query is never an exemplar. Keys of the result: ``accuracy``
    (share of the queries), ``mean_class`` (mean over the classes of the share of their queries) and, where exemplars
    are drawn more than once, ``accuracy/std``, the sample standard deviation over the draws. Reads ``embedding`` of the
    prediction and ``label`` of the ground truth. Embeddings of the windows of a clip are averaged and scaled to unit
    length; windows that occur twice count once.

    Args:
        exemplars: names of the exemplars, or patterns as of a shell (``S001C003P008R001A*``); None draws them.
        num_exemplars: clips of each class that are drawn.
        num_draws: how often; results are averaged.
        seed: of the draws.
        rule: 'nearest' takes the class of the nearest exemplar, 'mean' that of the nearest mean of a class's exemplars.
        out_dir: where ``confusion.png``, ``confusion.csv`` and ``per_class.csv`` go; None writes nothing.
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.

    Raises:
        ValueError: an unknown rule, numbers below 1, or named exemplars together with a number of drawn ones. When
            measured: a name or pattern that fits nothing, a class without an exemplar, or with nothing else.
    """

    fields = ('embedding',)

    def __init__(self, exemplars: Optional[Sequence[str]] = None, *, num_exemplars: int = 1, num_draws: int = 1,
                 seed: int = 0, rule: str = 'nearest', out_dir: Optional[str] = None, prefix: Optional[str] = None,
                 collect_device: str = 'cpu', collect_dir: Optional[str] = None) -> None:
        super().__init__(out_dir=out_dir, prefix=prefix, collect_device=collect_device, collect_dir=collect_dir)
        if rule not in EXEMPLAR_RULES or min(num_exemplars, num_draws) < 1:
            raise ValueError(f'OneShotMetric got rule={rule!r}, num_exemplars={num_exemplars} and num_draws='
                             f'{num_draws}; expected one of {list(EXEMPLAR_RULES)} and numbers of at least 1')
        if isinstance(exemplars, str):
            raise TypeError(f'exemplars must be a list of clip names, got the string {exemplars!r}')
        if exemplars is not None and (num_exemplars, num_draws) != (1, 1):
            raise ValueError(f'OneShotMetric got {len(exemplars)} exemplars by name, so that nothing is drawn, but '
                             f'also num_exemplars={num_exemplars} and num_draws={num_draws}; leave out either')
        self.exemplars = None if exemplars is None else tuple(exemplars)
        self.num_exemplars, self.num_draws, self.seed, self.rule = num_exemplars, num_draws, seed, rule

    def report(self, results: Sequence[LabelledWindow]) -> ClassReport:
        """Measure windows, in any order, copies included."""
        windows = distinct_windows(results)
        clips = join_clips(windows, 'embedding')
        clips = clips._replace(vectors=unit_features(clips.vectors))
        names = self.names_of(int(clips.labels.max()) + 1)
        draws = self._draw(clips, names) if self.exemplars is None else [self._find(clips, names)]
        confusions = [self._compare(clips, is_exemplar, len(names)) for is_exemplar in draws]
        accuracies = [100.0 * np.trace(confusion) / confusion.sum() for confusion in confusions]
        metrics = {'accuracy': float(np.mean(accuracies)), 'mean_class': float(np.mean([*map(mean_class_accuracy,
                                                                                             confusions)]))}
        if len(draws) > 1:
            metrics['accuracy/std'] = float(np.std(accuracies, ddof=1))
        chance = 100.0 / len(np.unique(clips.labels))
        return ClassReport(metrics, names, np.sum(confusions, axis=0), 'queries', chance,
                           self._protocol_line(metrics, chance, clips, draws, windows))

    def _draw(self, clips: LabelledClips, names: Sequence[str]) -> list[np.ndarray]:
        """Choose exemplars (N,) bool of every class at random, as often as is asked for."""
        members = {label: np.flatnonzero(clips.labels == label) for label in np.unique(clips.labels)}
        for label, rows in members.items():
            if len(rows) <= self.num_exemplars:
                raise ValueError(f'class {names[label]!r} has {len(rows)} clips, of which {self.num_exemplars} are to '
                                 'be exemplars, so that nothing is left to recognise; lower num_exemplars, or leave '
                                 'the class out of the test data')
        draws = []
        for number in range(self.num_draws):
            rng, is_exemplar = np.random.default_rng([self.seed, number]), np.zeros(len(clips.names), bool)
            for rows in members.values():
                is_exemplar[rng.choice(rows, self.num_exemplars, replace=False)] = True
            draws.append(is_exemplar)
        return draws

    def _find(self, clips: LabelledClips, names: Sequence[str]) -> np.ndarray:
        """Find the exemplars (N,) bool that are given by name."""
        is_exemplar = np.zeros(len(clips.names), bool)
        for pattern in self.exemplars:
            fits = np.array([name == pattern or fnmatchcase(name, pattern) for name in clips.names.tolist()])
            if not fits.any():
                raise ValueError(f'no test clip fits the exemplar {pattern!r}; there are {len(fits)}, {clips.names[0]} '
                                 'for one. The test data must hold exemplars and queries together')
            is_exemplar |= fits
        for label in np.unique(clips.labels):
            count, total = is_exemplar[clips.labels == label].sum(), (clips.labels == label).sum()
            if count in (0, total):
                raise ValueError(f'class {names[label]!r} has {total} clips, of which {count} are exemplars; it needs '
                                 'at least one that is and one that is not. Change exemplars, or leave the class out '
                                 'of the test data')
        return is_exemplar

    def _compare(self, clips: LabelledClips, is_exemplar: np.ndarray, num_classes: int) -> np.ndarray:
        """Recognise all other clips by the exemplars; return the confusion matrix."""
        found = EXEMPLAR_RULES[self.rule](clips.vectors[~is_exemplar], clips.vectors[is_exemplar],
                                          clips.labels[is_exemplar])
        return confusion_matrix(clips.labels[~is_exemplar], found, num_classes)

    def _protocol_line(self, metrics: dict[str, float], chance: float, clips: LabelledClips,
                       draws: Sequence[np.ndarray], windows: Sequence[LabelledWindow]) -> str:
        """Say the headline with all that it depends on, in one line."""
        is_exemplar, queries = draws[0], clips.labels[~draws[0]]
        each = np.unique(clips.labels[is_exemplar], return_counts=True)[1]
        how = 'chosen by name' if self.exemplars is not None else (
            f'drawn once (seed {self.seed})' if len(draws) == 1 else
            f'drawn {len(draws)} times (seed {self.seed}), results averaged, standard deviation '
            f'{metrics["accuracy/std"]:.2f}')
        return ' | '.join([
            f'Protocol of accuracy {metrics["accuracy"]:.2f} over {len(queries)} queries', f'classes: {len(each)}',
            f'exemplars: {count_words(each)} per class, {how}', f'rule: {RULE_WORDS[self.rule]}',
            f'windows: {len(windows)}, {count_words(clips.counts)} per clip, embeddings averaged',
            f'flip TTA: {flip_words(window.flip_test for window in windows)}', chance_words(chance, queries)])
