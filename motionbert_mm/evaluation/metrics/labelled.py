"""What metrics of classes share: they keep one vector for each window, its scores or embedding, and its label."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
from mmengine.logging import MMLogger

from motionbert_mm.evaluation.functional.merging import as_array
from motionbert_mm.evaluation.metrics.class_report import ClassReport, write_report
from motionbert_mm.evaluation.metrics.gathering import GatheringMetric, pair_samples


class LabelledWindow(NamedTuple):
    """What is kept of one window.

    Attributes:
        sample_id: unique name of the clip.
        frame_ids: (T,) source frames; they tell the windows of a clip apart.
        vectors: (D,) float32 by name: 'scores', 'embedding'.
        label: class index.
        flip_test: was the prediction averaged with that for the mirrored input; None if it does not say.
    """

    sample_id: str
    frame_ids: np.ndarray
    vectors: dict[str, np.ndarray]
    label: int
    flip_test: Optional[bool]


class LabelledClips(NamedTuple):
    """N clips, or windows that are measured one by one, in the order of their names.

    Attributes:
        names: (N,) of the clips.
        vectors: (N, D) float64, means over the windows of each.
        labels: (N,) int64.
        counts: (N,) windows that were averaged.
    """

    names: np.ndarray
    vectors: np.ndarray
    labels: np.ndarray
    counts: np.ndarray


class LabelCollector(GatheringMetric):
    """Keep vectors and label of every window.

    Args:
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.
    """

    fields: Sequence[str] = ()  # of the prediction; those are kept that there are, at least one

    def __init__(self, *, prefix: Optional[str] = None, collect_device: str = 'cpu',
                 collect_dir: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes as the data set states them; empty if it does not."""
        return tuple(map(str, (self.dataset_meta or {}).get('classes') or ()))

    def process(self, data_batch: Mapping[str, Any], data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep one batch.

        Args:
            data_batch: ``data_samples`` of it is the ground truth, one batched MotionSample or a list of samples.
            data_samples: the predictions as dicts, one per sample, in the same order.

        Raises:
            KeyError: no field to keep, no label or no frames.
            ValueError: vectors that are not finite, scores that do not fit the classes, or a label that is no class.
        """
        for prediction, target in pair_samples(data_batch, data_samples, type(self).__name__):
            name = target['sample_id']
            vectors = {field: as_array(prediction[field]).astype(np.float32) for field in self.fields
                       if prediction.get(field) is not None}
            if not vectors:
                raise KeyError(f'{name}: {type(self).__name__} needs {" or ".join(self.fields)}, but the prediction '
                               f'has only {sorted(prediction)}; check the heads of the model')
            for key, cure in (('label', "add 'label' to the fields of PackInputs, and convert the data with labels"),
                              ('frame_ids', 'they tell the windows of a clip apart; let the data set state them')):
                if target.get(key) is None:
                    raise KeyError(f'{name}: the ground truth has no {key}, only {sorted(target)}; {cure}')
            label = int(as_array(target['label']))
            self._check(name, vectors, label)
            frame_ids = as_array(target['frame_ids']).astype(np.int64)
            self.results.append(LabelledWindow(name, frame_ids, vectors, label, prediction.get('flip_test')))

    def _check(self, name: str, vectors: Mapping[str, np.ndarray], label: int) -> None:
        """Refuse vectors and labels that do not fit the classes."""
        for field, vector in vectors.items():
            if vector.ndim != 1 or not np.isfinite(vector).all():
                raise ValueError(f'{name}: {field} has shape {vector.shape} and {int((~np.isfinite(vector)).sum())} '
                                 'NaN or infinite entries, expected one finite vector; training diverged or the input '
                                 'holds NaN')
        num_scores, names = len(vectors.get('scores', ())), self.class_names
        if num_scores and names and num_scores != len(names):
            raise ValueError(f'{name}: {num_scores} scores, but the data have {len(names)} classes ({names[0]}, ...); '
                             'set num_classes of the head and classes of the data set to those of the checkpoint')
        num_classes = num_scores or len(names)
        if label < 0 or (num_classes and label >= num_classes):
            raise ValueError(f'{name}: the label is {label}, but there are {num_classes} classes, 0 to '
                             f'{num_classes - 1}; set classes of the data set to those of the checkpoint')


class LabelledMetric(LabelCollector):
    """Base of the metrics of classes: a subclass measures the windows of all processes.

    Args:
        out_dir: where ``confusion.png``, ``confusion.csv`` and ``per_class.csv`` go; None writes nothing.
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.
    """

    def __init__(self, *, out_dir: Optional[str] = None, prefix: Optional[str] = None, collect_device: str = 'cpu',
                 collect_dir: Optional[str] = None) -> None:
        super().__init__(prefix=prefix, collect_device=collect_device, collect_dir=collect_dir)
        self.out_dir = None if out_dir is None else Path(out_dir)

    @abstractmethod
    def report(self, results: Sequence[LabelledWindow]) -> ClassReport:
        """Measure windows, in any order, copies included."""

    def compute_metrics(self, results: Sequence[LabelledWindow]) -> dict[str, float]:
        """Measure, log the table of classes and the protocol, and write the files.

        Args:
            results: windows of all processes, in any order, copies included.

        Returns:
            percent by name, the headline first.
        """
        report = self.report(results)
        logger = MMLogger.get_current_instance()
        logger.info('\n' + report.table)
        logger.info(report.protocol)
        if self.out_dir is not None:
            write_report(report, self.out_dir)
        return report.metrics

    def names_of(self, num_classes: int) -> tuple[str, ...]:
        """Names of the classes 0..K - 1: those of the data set, or their numbers."""
        return self.class_names or tuple(map(str, range(num_classes)))


def distinct_windows(windows: Iterable[LabelledWindow]) -> list[LabelledWindow]:
    """Return each window once, in an order that does not depend on how they were spread over processes.

    Raises:
        ValueError: no window, or windows of one clip with different labels.
    """
    by_key: dict[tuple, LabelledWindow] = {}
    labels: dict[str, int] = {}
    for window in windows:
        by_key.setdefault((window.sample_id, window.frame_ids.tobytes()), window)
        if labels.setdefault(window.sample_id, window.label) != window.label:
            raise ValueError(f'{window.sample_id}: windows of this clip have the labels {labels[window.sample_id]} and '
                             f'{window.label}, expected one for all; two data sets may have clips of the same name')
    if not by_key:
        raise ValueError('there is nothing to measure, no window was predicted; check the test data set')
    return [by_key[key] for key in sorted(by_key)]


def join_clips(windows: Sequence[LabelledWindow], field: str, *, per: str = 'clip') -> LabelledClips:
    """Average the vectors of the windows of each clip, or of each window by itself.

    Args:
        windows: of ``distinct_windows``.
        field: which of their vectors.
        per: 'clip' or 'window'.
    """
    names = np.array([window.sample_id for window in windows])
    vectors = np.stack([window.vectors[field] for window in windows]).astype(np.float64)
    labels = np.array([window.label for window in windows], np.int64)
    if per == 'window':
        return LabelledClips(names, vectors, labels, np.ones(len(names), np.int64))
    clips, means, starts, counts = average_by_name(names, vectors)
    return LabelledClips(clips, means, labels[starts], counts)


def average_by_name(names: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Average the vectors (W, D) that have one name.

    Args:
        names: (W,) in order.
        vectors: (W, D).

    Returns:
        The N names, means (N, D), and of each name the first row and the number of rows.
    """
    clips, starts, counts = np.unique(names, return_index=True, return_counts=True)
    return clips, np.add.reduceat(vectors, starts) / counts[:, None], starts, counts
