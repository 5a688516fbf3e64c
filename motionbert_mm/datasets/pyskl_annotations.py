"""One annotation of a PYSKL pickle: its persons over time, from either of the forms that the files have.

Dense, of NTU RGB+D, FineGYM, UCF101 and most others::

    keypoint (M, T, 17, 2) px and keypoint_score (M, T, 17), detected by HRNet in COCO order
    keypoint (M, T, 25, 3) metres, skeletons of the Kinect

Compact, of Kinetics-400, one row per detection::

    keypoint (N, 17, 3) px and score, frame_inds (N,) from 0, and if known box_score (N,) and anno_inds, rows to keep

Absent persons are zeros. Sources: PYSKL tools/data/data_doc.md, ntu_preproc.py, custom_2d_skeleton.py and
DecompressPose; MMAction2 mmaction/datasets/pose_dataset.py.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np

from motionbert_mm.datasets.pose_files import MM_PER_METRE, check_array
from motionbert_mm.io import safe_pickle
from motionbert_mm.io.keypoint_files import SCORE_RANGE
from motionbert_mm.io.tracking import link_poses

# Joints and channels of the dense forms.
FORMS = {(17, 2): 'coco17', (25, 3): 'ntu25'}
COMPACT_FORM = (17, 3)  # of coco17
# Metres of the Kinect (x to the sensor's left, y up, z forward; Microsoft, CameraSpacePoint) to millimetres x right,
# y down. Kinect images are mirrored, so its x grows to the right in them; people would be mirrored with x kept.
KINECT_TO_CAMERA = np.array([-MM_PER_METRE, -MM_PER_METRE, MM_PER_METRE])


@dataclass(frozen=True)
class People:
    """Persons of a video.

    Attributes:
        skeleton: name of the joint set.
        points: (M, T, V, 2) px or (M, T, V, 3) mm in the camera frame; zeros where a person is absent.
        confidence: (M, T, V) 0..1; 0 where a person is absent, 1 for the Kinect's joints.
        dropped: detections of people who had no place among the persons.
    """

    skeleton: str
    points: np.ndarray
    confidence: np.ndarray
    dropped: int = 0

    @property
    def seen(self) -> np.ndarray:
        """Tell in which frames each person is there, (M, T) bool."""
        return (self.confidence > 0).any(axis=-1)

    def most_seen(self, limit: int) -> People:
        """Keep at most ``limit`` persons, in the order of how much they are seen: the sum of their confidence."""
        weights = self.confidence.sum(axis=(1, 2))
        order = np.argsort(-weights, kind='stable')
        order = order[weights[order] > 0][:limit]
        return replace(self, points=self.points[order], confidence=self.confidence[order])


def is_compact(annotation: Mapping) -> bool:
    """Tell whether an annotation lists detections."""
    return 'frame_inds' in annotation


def read_people(annotation: Mapping, max_persons: int) -> People:
    """Return all persons of a dense annotation, or those seen most of a compact one.

    Args:
        annotation: with keypoints; see the top of this file.
        max_persons: persons that are made of the detections of a compact one.

    Raises:
        ValueError: a key is missing, a wrong shape, NaN, scores that are none.
    """
    _require(annotation, ('total_frames', 'keypoint'))
    return _read_compact(annotation, max_persons) if is_compact(annotation) else _read_dense(annotation)


def check_form(annotation: Mapping) -> str:
    """Return the skeleton of a dense annotation.

    Raises:
        ValueError: as ``read_people``.
    """
    _require(annotation, ('total_frames', 'keypoint'))
    points = np.asarray(annotation['keypoint'])
    form = FORMS.get(points.shape[2:])
    if points.ndim != 4 or form is None or points.shape[1] != annotation['total_frames']:
        raise ValueError(f'keypoint has shape {points.shape}, total_frames is {annotation["total_frames"]}; expected '
                         '(M, T, 17, 2) or (M, T, 25, 3)')
    if form == 'coco17':
        _require(annotation, ('keypoint_score',))
        check_array(annotation['keypoint_score'], points.shape[:3], 'keypoint_score')
    _check_finite(points, 'keypoint')
    return form


def _read_dense(annotation: Mapping) -> People:
    skeleton = check_form(annotation)
    points = np.asarray(annotation['keypoint'], np.float32)
    if skeleton == 'ntu25':
        seen = points.any(axis=(2, 3))
        points = np.where(seen[..., None, None], points * KINECT_TO_CAMERA.astype(np.float32), 0)
        return People(skeleton, points, np.broadcast_to(seen[..., None], points.shape[:3]).astype(np.float32))
    return _detected(points, annotation['keypoint_score'])


def _detected(points: np.ndarray, scores: Any) -> People:
    """Return persons (M, T, V, 2) px with scores (M, T, V)."""
    confidence = np.clip(_checked_scores(scores), 0, 1)
    return People('coco17', points * confidence.any(axis=-1)[..., None, None], confidence)


def _checked_scores(scores: Any) -> np.ndarray:
    scores = np.asarray(scores, np.float32)
    _check_finite(scores, 'the scores')
    low, high = scores.min(initial=0), scores.max(initial=0)
    if low < SCORE_RANGE[0] or high > SCORE_RANGE[1]:
        raise ValueError(f'the scores of the joints run from {low:g} to {high:g}, expected 0 to 1')
    return scores


def _read_compact(annotation: Mapping, max_persons: int) -> People:
    """Follow the people over time and keep those with the best boxes, summed over the frames.

    Differs from official: frames without anybody stay, so that time is kept, and persons are followed; DecompressPose
    lays the boxes of each frame out in the order of the file. The best boxes of single frames would be another
    person's from frame to frame in a crowd.
    """
    length = int(annotation['total_frames'])
    poses = check_array(annotation['keypoint'], (None, *COMPACT_FORM), 'keypoint').astype(np.float32)
    frames = check_array(annotation['frame_inds'], (len(poses),), 'frame_inds').astype(np.int64)
    boxes = check_array(annotation.get('box_score', np.ones(len(poses))), (len(poses),), 'box_score')
    kept = _kept_rows(annotation, len(poses))
    poses, frames, boxes = poses[kept], frames[kept], boxes[kept]
    if frames.size and not 0 <= frames.min() <= frames.max() < length:
        raise ValueError(f'frame_inds run from {frames.min()} to {frames.max()}, expected 0 to {length - 1}, one less '
                         'than total_frames')
    _check_finite(poses, 'keypoint')
    _check_finite(boxes, 'box_score')
    scores = boxes * _checked_scores(poses[..., 2]).clip(0).sum(axis=1)
    seen = scores > 0
    people = _detected(*_lay_out(poses[seen], frames[seen], scores[seen], (max_persons, length)))
    return replace(people, dropped=int(seen.sum() - people.seen.sum()))


def _lay_out(poses: np.ndarray, frames: np.ndarray, scores: np.ndarray, shape: tuple) -> tuple:
    """Return points (M, T, V, 2) and confidence (M, T, V) of detections (N, V, 3) for ``shape`` (M, T)."""
    tracks = link_poses(poses, frames) if len(poses) else np.zeros(0, np.int64)
    places = _find_places(tracks, frames, scores, shape)
    laid_out = np.zeros((*shape, *COMPACT_FORM), np.float32)
    laid_out[places[places >= 0], frames[places >= 0]] = poses[places >= 0]
    return laid_out[..., :2], laid_out[..., 2]


def _kept_rows(annotation: Mapping, num_rows: int) -> np.ndarray:
    """Return the rows (K,) that ``anno_inds``, a mask or numbers, keeps."""
    rows = np.asarray(annotation.get('anno_inds', np.ones(num_rows, bool)))
    if rows.dtype == bool and rows.shape == (num_rows,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in 'iu' or not ((rows >= 0) & (rows < num_rows)).all():
        raise ValueError(f'anno_inds has shape {rows.shape} and dtype {rows.dtype}, expected numbers of its '
                         f'{num_rows} rows of keypoint, or a mask of them')
    return rows


def _find_places(tracks: np.ndarray, frames: np.ndarray, scores: np.ndarray, shape: tuple) -> np.ndarray:
    """Give every track a place among the persons, the best first; tracks share one if they take turns.

    Args:
        tracks: (N,) track of each detection.
        frames: (N,) its frame.
        scores: (N,) how good it is.
        shape: persons M and frames T.

    Returns:
        (N,) person of each detection, -1 where no place was free.
    """
    places = np.full(len(tracks), -1)
    taken = np.zeros(shape, bool)
    for track in np.argsort(-np.bincount(tracks, scores), kind='stable'):
        rows = np.flatnonzero(tracks == track)
        span = slice(frames[rows].min(), frames[rows].max() + 1)
        free = np.flatnonzero(~taken[:, span].any(axis=1))
        if free.size:
            places[rows] = free[0]
            taken[free[0], span] = True
    return places


def _require(annotation: Mapping, keys: tuple) -> None:
    missing = [key for key in keys if key not in annotation]
    if missing:
        raise ValueError(f'lacks {", ".join(missing)}; it holds {", ".join(sorted(map(str, annotation)))}')


def _check_finite(values: np.ndarray, what: str) -> None:
    if values.dtype.kind not in 'fiu' or not np.isfinite(values).all():
        raise ValueError(f'{what} holds NaN or infinity, or no numbers (dtype {values.dtype})')


class KeypointFiles:
    """The separate files of keypoints that Kinetics-400 has.

    MMAction2 has one per video, ``<frame_dir>.pkl``, a dict of keys that belong to the annotation. PYSKL has one for
    many videos, named in ``raw_file`` of the annotations: a dict of such dicts by ``key`` or ``frame_dir``.

    Args:
        folder: where they lie; None for files that hold their keypoints themselves.
    """

    def __init__(self, folder: Optional[Path]) -> None:
        self.folder = folder
        self._path: Optional[Path] = None
        self._content: Any = None

    def complete(self, annotation: Mapping, name: str) -> Mapping:
        """Return an annotation with its keypoints.

        Raises:
            ValueError: it has none and no file holds them.
        """
        if 'keypoint' in annotation:
            return annotation
        if self.folder is None:
            raise ValueError('has no keypoint; Kinetics-400 keeps it in separate files: give their folder, '
                             '--keypoint-dir of the converter or keypoint_dir of the data set')
        own, raw_file = self.folder / f'{name}.pkl', annotation.get('raw_file')
        path = own if raw_file is None or own.is_file() else self.folder / Path(str(raw_file)).name
        content = self._load(path)
        if isinstance(content, dict) and 'keypoint' not in content:
            content = content.get(annotation.get('key', name), content)
        if not isinstance(content, dict) or 'keypoint' not in content:
            raise ValueError(f'{path} holds no keypoint of it; expected a dict with keypoint, or one of such dicts by '
                             'frame_dir')
        return {**annotation, **content}

    def _load(self, path: Path) -> Any:
        if path != self._path:
            self._content, self._path = safe_pickle.load(path), path
        return self._content
