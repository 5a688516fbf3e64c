"""Pickles of PYSKL and MMAction2 in their formats, made of walks."""
from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from tests.io.body import walk, walk_2d

DISTANCE = 250  # px between neighbours


def dense_2d(name: str, label: int, num_frames: int = 12, persons: int = 1, **changes: Any) -> dict:
    """As ntu60_hrnet.pkl has it; persons stand side by side, each with a lower score than the one before."""
    points = np.stack([walk_2d('coco17', num_frames) + [DISTANCE * person, 0] for person in range(persons)])
    scores = np.ones(points.shape[:3]) - 0.125 * np.arange(persons)[:, None, None]
    return dict(frame_dir=name, label=label, img_shape=(1080, 1920), original_shape=(1080, 1920),
                total_frames=num_frames, keypoint=points.astype(np.float16), keypoint_score=scores.astype(np.float16),
                **changes)


def dense_3d(name: str, label: int, num_frames: int = 12, persons: int = 1) -> dict:
    """As ntu60_3danno.pkl has it: metres, x to the sensor's left, y up, z forward."""
    points = np.stack([walk('ntu25', num_frames) * [-0.001, -0.001, 0.001] + [person, 0, 3]
                       for person in range(persons)])
    return dict(frame_dir=name, label=label, keypoint=points.astype(np.float16), total_frames=num_frames)


def compact(name: str, label: int, num_frames: int, detections: Sequence[tuple], **changes: Any) -> dict:
    """As Kinetics-400 has it, with the keypoints: detections (frame, shift in px, score of the box) in any order."""
    body = walk_2d('coco17', num_frames)
    detections = sorted(detections, key=lambda detection: detection[0])
    frames = [frame for frame, _, _ in detections]
    poses = np.array([np.column_stack([body[frame] + [shift, 0], np.full(17, 0.75)]) for frame, shift, _ in detections])
    return dict(frame_dir=name, label=label, img_shape=(340, 256), original_shape=(340, 256), total_frames=num_frames,
                frame_inds=np.array(frames, np.int16), num_person_raw=4, valid={0.5: len(set(frames))},
                box_score=np.array([score for _, _, score in detections], np.float16),
                keypoint=poses.reshape(-1, 17, 3).astype(np.float16), **changes)


def write_pyskl(path: Path, annotations: Sequence[dict], split: Optional[dict] = None) -> Path:
    """Write annotations with splits, or the plain list of MMAction2 without."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = list(annotations) if split is None else dict(split=split, annotations=list(annotations))
    path.write_bytes(pickle.dumps(content))
    return path


def write_tiny(path: Path) -> Path:
    """Write two clips of one person and one of two, of two classes and two splits."""
    return write_pyskl(path, [dense_2d('walk', 0), dense_2d('hug', 1, persons=2), dense_2d('alone', 0, 15)],
                       dict(train=['walk', 'hug'], val=['alone']))


def write_ntu(path: Path, num_classes: int) -> Path:
    """Write, for each class of NTU RGB+D, the exemplar of its one-shot protocol and one clip more, in all splits."""
    clip = dense_2d('', 0)
    names = [f'{place}{number:03d}' for number in range(1, num_classes + 1)
             for place in (f'S{1 if number <= 55 else 18:03d}C003P008R001A', 'S002C002P003R002A')]
    annotations = [dict(clip, frame_dir=name, label=int(name[-3:]) - 1) for name in names]
    return write_pyskl(path, annotations, {f'{protocol}_{part}': names for protocol in ('xsub', 'xview')
                                           for part in ('train', 'val')})
