"""Scores and embeddings of a test, written instead of measured."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motionbert_mm.evaluation.metrics.labelled import LabelCollector, LabelledWindow, distinct_windows
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.registry import METRICS

VERSION = 1


@METRICS.register_module()
class DumpScores(LabelCollector):
    """Write what a model says of every window to one .npz that loads without pickle.

    Arrays, one row per window, ordered by clip::

        sample_id   (W,) name of the clip
        frame_ids   (W, T) its source frames that the model saw
        label       (W,) int, a place among ``classes``
        scores      (W, K) class probabilities; only if the model predicts them
        embedding   (W, D) unit norm; only if the model predicts it
        classes     (K,) names; empty if the data set states none
        version     ()

    Args:
        out_file: the file; it appears only when it is complete.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
    """

    fields = ('scores', 'embedding')

    def __init__(self, out_file: str, *, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        if not out_file.endswith('.npz'):
            raise ValueError(f'the dump must be an .npz file, got {out_file!r}')
        self.out_file = out_file

    def compute_metrics(self, results: Sequence[LabelledWindow]) -> dict:
        """Write the file."""
        windows = distinct_windows(results)
        arrays = {field: np.stack([window.vectors[field] for window in windows]) for field in windows[0].vectors}
        with atomic_path(self.out_file) as work:
            np.savez_compressed(
                work, version=np.array(VERSION), classes=np.array(self.class_names, np.str_),
                sample_id=np.array([window.sample_id for window in windows]),
                frame_ids=np.stack([window.frame_ids for window in windows]),
                label=np.array([window.label for window in windows]), **arrays)
        return {}
