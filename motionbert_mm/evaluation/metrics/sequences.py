"""Collectors that write whole predicted sequences instead of measuring them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from motionbert_mm.evaluation.functional.matching import match_frames, visible_joints
from motionbert_mm.evaluation.functional.merging import as_array, merge_windows
from motionbert_mm.evaluation.metrics.gathering import GatheringMetric
from motionbert_mm.evaluation.prediction_file import Predictions, join_windows, write_predictions
from motionbert_mm.registry import METRICS
from motionbert_mm.structures.skeleton import get_skeleton

FIELD = 'keypoints_3d'
BODY = ('smpl_pose', 'smpl_betas')


class SequenceCollector(GatheringMetric):
    """Keep predictions, and what else is needed, of every window; a subclass writes the merged sequences.

    Args:
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
    """

    fields: Sequence[str] = ()  # of the ground truth, kept for the predicted frames
    predicted: Sequence[str] = ()  # further fields of the prediction, kept as predicted_...
    facts: Sequence[str] = ()  # of the metainfo
    frame_facts: Sequence[str] = ()  # likewise, with one entry per frame

    def __init__(self, *, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)

    def process(self, data_batch: Mapping[str, Any], data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep one batch: the predicted poses, and the named fields of the ground truth in the same frames."""
        for prediction, sample in zip(data_samples, data_batch['data_samples'].unbind()):
            truth = sample.to_dict()
            frame_ids, rows = match_frames(prediction, truth)
            pose = as_array(prediction[FIELD]).astype(np.float32)
            shape = pose.shape[0], len(truth['frame_ids']), pose.shape[2]
            kept = {key: as_array(truth[key])[:, rows] for key in self.fields if truth.get(key) is not None}
            kept.update({key: as_array(truth[key])[rows] for key in self.frame_facts if truth.get(key) is not None})
            kept.update({f'predicted_{key}': as_array(prediction[key]).astype(np.float32) for key in self.predicted
                         if prediction.get(key) is not None})
            self.results.append({
                'sample_id': prediction['sample_id'], 'frame_ids': frame_ids, 'prediction': pose,
                'visible': visible_joints(truth, shape)[:, rows], 'skeleton': truth['skeleton'],
                'flip_test': prediction.get('flip_test'), **{key: truth.get(key) for key in self.facts}, **kept})


@METRICS.register_module()
class DumpPredictions(SequenceCollector):
    """Write predictions and ground truth of all sequences to one .npz that loads without pickle.

    ``evaluation/prediction_file.py`` lists its arrays; ``tools/analysis_tools/eval_predictions.py`` measures it again.
    Windows that overlap are kept as they were predicted besides the merged sequence, so that every protocol gives the
    numbers that it gives during the test. Of bodies their parameters are kept, not their vertices.

    Args:
        out_file: the file; it appears only when it is complete.
        protocol: that the config measures under, noted in the file.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
    """

    fields = (FIELD, *BODY)
    predicted = BODY
    facts = ('subject', 'action', 'camera_id', 'fps')
    frame_facts = ('activity',)

    def __init__(self, out_file: str, *, protocol: Optional[str] = None, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        if not out_file.endswith('.npz'):
            raise ValueError(f'the dump must be an .npz file, got {out_file!r}')
        self.out_file, self.protocol = out_file, protocol

    def compute_metrics(self, results: list) -> dict:
        """Merge the windows and write the file."""
        skeletons = sorted({window['skeleton'] for window in results})
        if len(skeletons) > 1:
            raise ValueError(f'a dump holds sequences of one skeleton, got {skeletons}; test one data set at a time')
        root = get_skeleton(skeletons[0]).root
        by_name: dict[str, list[dict]] = {}
        for window in results:
            by_name.setdefault(window['sample_id'], []).append(_as_dumped(window, root))
        sequences = [join_windows(name, windows, windows[0]['facts']) for name, windows in sorted(by_name.items())]
        write_predictions(self.out_file, Predictions(sequences, skeletons[0], protocol=self.protocol or '',
                                                     flip_test=results[0]['flip_test']))
        return {}


def _as_dumped(window: Mapping[str, Any], root: int) -> dict[str, Any]:
    """Bring a collected window to the names and the frame of the file."""
    facts = {'subject': window['subject'], 'action': window['action'], 'camera': window['camera_id'],
             'fps': None if window['fps'] is None else float(window['fps'])}
    dumped = {'frame_ids': window['frame_ids'], FIELD: window['prediction'], 'visible': window['visible'],
              'facts': facts}
    if 'activity' in window:
        dumped['activity'] = window['activity']
    if FIELD in window:
        truth = window[FIELD].astype(np.float32)
        dumped['ground_truth'] = truth - truth[:, :, root, None]
    if all(f'predicted_{key}' in window for key in BODY):
        dumped[FIELD] = window['prediction'] - window['prediction'][:, :, root, None]
        dumped.update({key: window[f'predicted_{key}'] for key in BODY})
        dumped.update({f'true_{key}': window[key].astype(np.float32) for key in BODY if key in window})
    return dumped


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
