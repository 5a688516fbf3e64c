"""Files that a test writes besides its numbers, by what its evaluators measure."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from motionbert_mm.evaluation.metrics.labelled import LabelledMetric
from motionbert_mm.evaluation.metrics.text_retrieval import TextRetrievalMetric
from motionbert_mm.registry import METRICS, SCOPE


def add_outputs(evaluators: Sequence[Mapping[str, Any]], *, dump: Optional[str] = None,
                show_dir: Optional[str] = None) -> list[Mapping[str, Any]]:
    """Let evaluators write a dump and pictures.

    Metrics of classes, and of texts, draw and write their confusion matrices themselves; where there are several, each
    does so in a folder of its own, ``<show_dir>/<prefix, or number among them>``.

    Args:
        evaluators: configs.
        dump: .npz file of all predictions, or of all scores and embeddings; None writes none.
        show_dir: folder of pictures; None draws none.

    Returns:
        The configs, and those of collectors.

    Raises:
        ValueError: one dump for metrics of classes and of poses.
    """
    evaluators = list(evaluators)
    of_classes = [number for number, entry in enumerate(evaluators) if _measures_classes(entry)]
    has_poses, collectors = len(of_classes) < len(evaluators), []
    if dump and of_classes and has_poses:
        raise ValueError(f'{", ".join(entry["type"] for entry in evaluators)} measure both classes and poses, of which '
                         'a dump holds one; leave out either in test_evaluator, or the dump')
    if dump and of_classes:
        collectors.append(dict(type='DumpScores', out_file=dump))
    elif dump:
        protocol = next(filter(None, (entry.get('protocol') for entry in evaluators)), None)
        collectors.append(dict(type='DumpPredictions', out_file=dump, protocol=protocol))
    if show_dir:
        for place, number in enumerate(of_classes):
            entry = evaluators[number]
            folder = Path(show_dir, entry.get('prefix') or str(place)) if len(of_classes) > 1 else show_dir
            evaluators[number] = dict(entry, out_dir=str(folder))
        if has_poses:
            collectors.append(dict(type='DrawPredictions', show_dir=show_dir))
    return [*evaluators, *collectors]


def _measures_classes(evaluator: Mapping[str, Any]) -> bool:
    kind = METRICS.get(evaluator['type'].removeprefix(f'{SCOPE}.'))
    return kind is not None and issubclass(kind, (LabelledMetric, TextRetrievalMetric))
