"""How often the class of an action is recognised."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from motionbert_mm.evaluation.functional.classification import confusion_matrix, mean_class_accuracy, top_k_accuracy
from motionbert_mm.evaluation.metrics.class_report import ClassReport, chance_words, count_words
from motionbert_mm.evaluation.metrics.labelled import LabelledMetric, LabelledWindow, distinct_windows, join_clips
from motionbert_mm.evaluation.metrics.report import flip_words
from motionbert_mm.registry import METRICS


@METRICS.register_module()
class ActionMetric(LabelledMetric):
    """Top-k accuracy and mean class accuracy in percent, with a table of the classes.

    Keys of the result: ``top1``, ``top5``, ... (the share of samples whose class is among those of the k highest
    scores; left out where there are no more than k classes) and ``mean_class`` (mean over the classes of the share of
    their samples that were recognised). Reads ``scores`` of the prediction, ``label`` of the ground truth, and
    ``classes`` of the data set's metainfo. Windows that occur twice count once.

    Args:
        per: 'clip' averages the scores of all windows of a clip and measures the clip; 'window' measures each window.
        topk: the numbers of scores, at least 1; the first is the headline.
        out_dir: where ``confusion.png``, ``confusion.csv`` and ``per_class.csv`` go; None writes nothing.
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.

    Raises:
        ValueError: another ``per``, or a ``topk`` below 1.
    """

    fields = ('scores',)

    def __init__(self, per: str = 'clip', *, topk: Sequence[int] = (1, 5), out_dir: Optional[str] = None,
                 prefix: Optional[str] = None, collect_device: str = 'cpu', collect_dir: Optional[str] = None) -> None:
        super().__init__(out_dir=out_dir, prefix=prefix, collect_device=collect_device, collect_dir=collect_dir)
        if per not in ('clip', 'window') or not topk or min(topk) < 1:
            raise ValueError(f"ActionMetric got per={per!r} and topk={topk}; expected per 'clip' or 'window', and "
                             'numbers of at least 1')
        self.per, self.topk = per, tuple(topk)

    def report(self, results: Sequence[LabelledWindow]) -> ClassReport:
        """Measure windows, in any order, copies included."""
        windows = distinct_windows(results)
        samples = join_clips(windows, 'scores', per=self.per)
        num_classes = samples.vectors.shape[1]
        confusion = confusion_matrix(samples.labels, samples.vectors.argmax(axis=1), num_classes)
        metrics = {f'top{k}': top_k_accuracy(samples.vectors, samples.labels, k) for k in self.topk
                   if k == 1 or k < num_classes}
        metrics['mean_class'] = mean_class_accuracy(confusion)
        chance = 100.0 / num_classes
        headline, value = next(iter(metrics.items()))
        num_clips = len({window.sample_id for window in windows})
        how = (f'{count_words(samples.counts)} per clip, scores averaged' if self.per == 'clip' else
               f'each measured, of {num_clips} clips')
        protocol = ' | '.join([
            f'Protocol of {headline} {value:.2f} over {len(samples.names)} {self.per}s', f'classes: {num_classes}',
            f'windows: {len(windows)}, {how}', f'flip TTA: {flip_words(window.flip_test for window in windows)}',
            chance_words(chance, samples.labels)])
        return ClassReport(metrics, self.names_of(num_classes), confusion, f'{self.per}s', chance, protocol)
