"""What a metric of classes reports: numbers, a table of the classes, the protocol in one line; and its files."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from motionbert_mm.evaluation.functional.classification import class_precision, class_recall
from motionbert_mm.evaluation.metrics.report import format_table
from motionbert_mm.io.tables import write_table

CONFUSION_PICTURE, CONFUSION_TABLE, CLASS_TABLE = 'confusion.png', 'confusion.csv', 'per_class.csv'


class ClassRow(NamedTuple):
    """How one class was recognised.

    Attributes:
        name: of the class.
        count: samples of it that were measured.
        recall: percent of them that were recognised; None without samples.
        precision: percent that were right of what was taken for it; None where nothing was.
        taken_for: the class that its samples were most often wrongly taken for; '' if they never were.
        taken_count: how often.
    """

    name: str
    count: int
    recall: Optional[float]
    precision: Optional[float]
    taken_for: str
    taken_count: int


class ClassReport(NamedTuple):
    """The result of a metric of classes.

    Attributes:
        metrics: what the metric returns, in percent; the headline first.
        classes: (K,) names.
        confusion: (K, K) counts; the row is the true class.
        sample: what was counted, in the plural: 'clips', 'windows' or 'queries'.
        chance: percent that guessing evenly among the candidate classes gives.
        protocol: all that the headline depends on, in one line.
    """

    metrics: dict[str, float]
    classes: tuple[str, ...]
    confusion: np.ndarray
    sample: str
    chance: float
    protocol: str

    @property
    def rows(self) -> list[ClassRow]:
        """One row per class, in the order of the labels."""
        columns = zip(self.classes, self.confusion, class_recall(self.confusion), class_precision(self.confusion))
        return [self._row(label, *column) for label, column in enumerate(columns)]

    @property
    def table(self) -> str:
        """A row per class that was shown or seen, and the mean over the classes that were shown."""
        rows = [row for row in self.rows if row.recall is not None or row.precision is not None]
        cells = [[row.name, row.count, _cell(row.recall), _cell(row.precision),
                  f'{row.taken_for} ({row.taken_count})' if row.taken_for else '-'] for row in rows]
        mean = float(np.mean([row.recall for row in rows if row.recall is not None]))
        cells.append(['mean over classes', int(self.confusion.sum()), mean, '-', '-'])
        return format_table(['class', self.sample, 'recall', 'precision', 'most often taken for'], cells)

    def _row(self, label: int, name: str, counts: np.ndarray, recall: float, precision: float) -> ClassRow:
        wrong = np.where(np.arange(len(counts)) == label, 0, counts)
        place = int(wrong.argmax())
        return ClassRow(name, int(counts.sum()), None if np.isnan(recall) else float(recall),
                        None if np.isnan(precision) else float(precision), self.classes[place] if wrong[place] else '',
                        int(wrong[place]))


def write_report(report: ClassReport, folder: Path) -> None:
    """Write the confusion matrix as a picture and a table, and the table of classes; each file appears when complete.

    Rows of ``confusion.csv`` are true classes, columns predicted ones, cells counts. A cell of ``per_class.csv`` that
    is not defined, such as the recall of a class without samples, is empty.
    """
    from motionbert_mm.visualization import plot_confusion  # matplotlib is imported on first use only
    write_table(folder / CLASS_TABLE, [['' if cell is None else cell for cell in row] for row in report.rows],
                ['class', report.sample, 'recall', 'precision', 'most_often_taken_for', 'times'])
    write_table(folder / CONFUSION_TABLE, [[name, *counts] for name, counts in
                                           zip(report.classes, report.confusion.tolist())],
                ['true_class', *report.classes])
    headline, value = next(iter(report.metrics.items()))
    plot_confusion(report.confusion, report.classes, folder / CONFUSION_PICTURE,
                   title=f'{headline} {value:.1f} %, {int(report.confusion.sum())} {report.sample}')


def count_words(counts: Sequence[int]) -> str:
    """Return '3' or '1 to 3': the least and the most."""
    least, most = min(counts), max(counts)
    return str(least) if least == most else f'{least} to {most}'


def chance_words(chance: float, labels: np.ndarray) -> str:
    """Say what guessing gives, in percent: evenly among the classes, or always the most frequent one."""
    frequent = 100.0 * np.bincount(labels).max() / len(labels)
    return f'chance: {chance:.2f} (always the most frequent class: {frequent:.2f})'


def _cell(value: Optional[float]) -> Any:
    return '-' if value is None else value
