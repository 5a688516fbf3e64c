"""Collectors that write whole predicted sequences instead of measuring them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from mmengine.evaluator import BaseMetric

from motionbert_mm.evaluation.functional.merging import as_array, merge_windows
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.registry import METRICS

FIELD = 'keypoints_3d'


class SequenceCollector(BaseMetric):
    """Keep predictions, and what else is needed, of every window; a subclass writes the merged sequences.

    Args:
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
    """

    default_prefix = ''
    fields: Sequence[str] = ()

    def __init__(self, *, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)

    def process(self, data_batch: Mapping[str, Any], data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep one batch: the predicted poses and the named fields of the ground truth."""
        for prediction, truth in zip(data_samples, data_batch['data_samples'].unbind()):
            kept = {key: as_array(truth.get(key)) for key in (*self.fields, 'visible') if key in truth}
            self.results.append({'sample_id': prediction['sample_id'], 'frame_ids': prediction['frame_ids'],
                                 'skeleton': truth.metainfo['skeleton'], **kept,
                                 'prediction': as_array(prediction[FIELD]).astype(np.float32)})


@METRICS.register_module()
class DumpPredictions(SequenceCollector):
    """Write the predictions of all sequences to one .npz that loads without pickle.

    The arrays of sequence ID are ``ID/keypoints_3d`` (M, F, J, 3) millimetres, camera axes, relative to the
    root, and ``ID/frame_ids`` (F,); ``skeleton``, ``unit`` and ``frame`` say what the numbers are.

    Args:
        out_file: the file; it appears only when it is complete.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
    """

    def __init__(self, out_file: str, *, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        if not out_file.endswith('.npz'):
            raise ValueError(f'the dump must be an .npz file, got {out_file!r}')
        self.out_file = out_file

    def compute_metrics(self, results: list) -> dict:
        """Merge the windows and write the file."""
        arrays = {'skeleton': np.array(results[0]['skeleton']), 'unit': np.array('mm'),
                  'frame': np.array('camera axes (x right, y down, z forward), relative to the root')}
        for name, (frame_ids, motion) in merge_windows(results, 'prediction').items():
            arrays[f'{name}/{FIELD}'], arrays[f'{name}/frame_ids'] = motion, frame_ids
        with atomic_path(self.out_file) as temporary:
            np.savez_compressed(temporary, **arrays)
        return {}


@METRICS.register_module()
class DrawPredictions(SequenceCollector):
    """Draw sequences, prediction against ground truth, one picture each.

    Args:
        show_dir: directory of the pictures.
        num_sequences: how many, spread evenly over the data set.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
    """

    fields = (FIELD, 'keypoints_2d', 'confidence')

    def __init__(self, show_dir: str, *, num_sequences: int = 8, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        self.show_dir, self.num_sequences = Path(show_dir), num_sequences

    def compute_metrics(self, results: list) -> dict:
        """Merge the windows and draw."""
        from motionbert_mm.visualization import draw_strip  # matplotlib is imported on first use only
        merged = {field: merge_windows(results, field) for field in ('prediction', *self.fields) if field in results[0]}
        names = sorted(merged['prediction'])
        chosen = np.unique(np.linspace(0, len(names) - 1, self.num_sequences).astype(int))
        for name in (names[index] for index in chosen):
            frame_ids, motion = merged['prediction'][name]
            draw_strip(motion[0], results[0]['skeleton'], path=self.show_dir / f'{_file_name(name)}.png',
                       keypoints_2d=_first_person(merged, 'keypoints_2d', name), title=name, frame_ids=frame_ids,
                       confidence=_first_person(merged, 'confidence', name),
                       ground_truth=_first_person(merged, FIELD, name))
        return {}


def _first_person(merged: Mapping, field: str, name: str) -> Optional[np.ndarray]:
    return merged[field][name][1][0] if field in merged else None


def _file_name(sample_id: str) -> str:
    return ''.join(letter if letter.isalnum() or letter in '-_.' else '_' for letter in sample_id)
