"""Parse detector JSON (AlphaPose, COCO style) and put one person's detections on a frame axis."""
from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from motionbert_mm.geometry.filling import without_nan
from motionbert_mm.io.plain_files import read_json

# A track with fewer detections per frame than this, over a span longer than this, is no video of one person.
MIN_SHARE, MAX_SPARSE_SPAN = 0.1, 300
# COCO annotations mark joints as 0 absent, 1 labelled but hidden, 2 visible, where detectors write a score.
VISIBILITY_FLAGS = (0.0, 1.0, 2.0)


class NobodySeenError(ValueError):
    """A keypoint file that is whole but shows nobody."""


@dataclass(frozen=True)
class Detection:
    """One person in one image; ``keypoints`` is (J, 3): x, y in pixels, confidence."""

    frame: int
    track: Optional[Union[int, str]]
    keypoints: np.ndarray
    score: float


@dataclass(frozen=True)
class DetectionFile:
    """All detections of a file, the numbers of all its images and, where it says so, its joint names."""

    detections: list
    frames: np.ndarray
    joint_names: tuple = ()


def read_detections(path: Path) -> DetectionFile:
    """Read AlphaPose results or a COCO-style file.

    Args:
        path: JSON; a list of items with ``image_id`` and ``keypoints``, or ``{images, annotations}``.

    Returns:
        The detections; joints of COCO annotation files get confidence 1 or 0 from their visibility flag. Joints that
        are NaN or null lie at 0 with confidence 0; persons without any joint are left out.

    Raises:
        NobodySeenError: no detection, or none with a joint.
        ValueError: no, torn or other JSON, items without keypoints, images without a number.
    """
    content = read_json(path, 'write it again with the detector')
    images, categories = [], []
    if isinstance(content, dict) and 'annotations' in content:
        images, categories = ([entry for entry in content.get(key) or [] if isinstance(entry, dict)]
                              for key in ('images', 'categories'))
        content = content['annotations']
    if not isinstance(content, list):
        raise ValueError(f'{path}: expected AlphaPose results (a list of items with image_id and keypoints) or COCO '
                         f'style ({{"images", "annotations"}}), got {_describe(content)}; for AlphaPose leave out '
                         '--format, for others convert to an .npz with keypoints and confidence')
    if not content:
        raise NobodySeenError(f'{path}: holds no detection; run the detector on a video that shows a person')
    numbers = _frame_numbers(path, images, content)
    points = _stack_keypoints(path, content)
    # COCO keeps persons without keypoints too, all zeros.
    detections = [Detection(frame=numbers[_key(item['image_id'])], track=_track_of(item), keypoints=keypoints,
                            score=_score_of(item, keypoints))
                  for item, keypoints in zip(content, points) if keypoints.any()]
    if not detections:
        raise NobodySeenError(f'{path}: all keypoints are 0 or NaN; expected persons with keypoints in pixels')
    names = categories[0].get('keypoints') if categories else None
    return DetectionFile(detections=detections, frames=np.unique(list(numbers.values())),
                         joint_names=tuple(map(str, names if isinstance(names, list) else ())))


def choose_track(path: Path, detections: Sequence[Detection], track: Optional[Union[int, str]] = None) -> tuple:
    """Pick one person's detections, one per frame.

    Args:
        path: named in errors.
        detections: of all persons.
        track: id of the person; the one with most frames if None.

    Returns:
        The detections in frame order, the track id, and a tuple of notes on what was chosen and dropped.

    Raises:
        ValueError: no such track.
    """
    people = defaultdict(list)
    for detection in detections:
        people[detection.track].append(detection)
    counts = {key: len({item.frame for item in items}) for key, items in people.items()}
    listed = ', '.join(f'{key} ({counts[key]} frames)' for key in sorted(counts, key=lambda key: -counts[key])[:8])
    if track is not None:
        chosen = next((key for key in people if key is not None and str(key) == str(track)), None)
        if chosen is None:
            raise ValueError(f'{path}: no track {track}; tracks here: '
                             f'{listed if set(people) != {None} else "none, the file holds no track ids"}')
    else:
        chosen = max((key for key in people if key is not None), key=counts.get, default=None)
    best = best_per_frame(people[chosen])
    doubled = len(people[chosen]) - len(best)
    notes = []
    if track is None and len(people) > 1:
        notes.append(f'several persons: took track {chosen}, the longest; tracks here: {listed}; '
                     'choose another with --track')
    if doubled:
        notes.append(f'track {chosen} occurs more than once in {doubled} image(s): kept the higher score')
    return best, chosen, tuple(notes)


def best_per_frame(detections: Sequence[Detection]) -> list[Detection]:
    """Return one detection per frame, that of the highest score, in the order of the frames."""
    best: dict[int, Detection] = {}
    for detection in detections:
        if detection.frame not in best or detection.score > best[detection.frame].score:
            best[detection.frame] = detection
    return [best[frame] for frame in sorted(best)]


def frame_step(frames: np.ndarray) -> int:
    """Return the step at which a video was sampled: the greatest common divisor of the differences of (N,) numbers."""
    return max(int(np.gcd.reduce(np.diff(frames))) if len(frames) > 1 else 1, 1)


def place_on_frames(path: Path, track: Sequence[Detection], frames: np.ndarray) -> tuple:
    """Place a track on a gapless frame axis; images without a detection stay at 0 with confidence 0.

    The step of the axis is the one at which the video was sampled, see ``frame_step``.

    Args:
        path: named in errors.
        track: detections in frame order.
        frames: (N,) numbers of all images of the file.

    Returns:
        Points (F, J, 3) of x, y in px and confidence, frame ids (F,) and a tuple of notes.

    Raises:
        ValueError: the images cannot be the frames of one video.
    """
    step = frame_step(frames)
    seen = np.array([item.frame for item in track])
    length = int(seen[-1] - seen[0]) // step + 1
    if length > MAX_SPARSE_SPAN and len(track) < MIN_SHARE * length:
        raise ValueError(f'{path}: images {seen[0]} to {seen[-1]} span {length} frames, but the person is in only '
                         f'{len(track)} of them; expected the frames of one video, cut it to where the person is seen')
    points = np.zeros((length, *track[0].keypoints.shape), np.float32)
    points[(seen - seen[0]) // step] = np.stack([item.keypoints for item in track])
    notes = []
    if step > 1:
        notes.append(f'images are numbered in steps of {step}: give the frame rate of the images, not of the video')
    if length > len(track):
        notes.append(f'{length - len(track)} of {length} frames have no detection and were interpolated with '
                     f'confidence 0; the longest gap is {int(np.diff(seen).max()) // step - 1} frame(s)')
    return points, seen[0] + step * np.arange(length), tuple(notes)


def _frame_numbers(path: Path, images: list, items: list) -> dict:
    """Map every image id of the file to its frame number."""
    for index, item in enumerate(items):
        if not isinstance(item, dict) or 'image_id' not in item or 'keypoints' not in item:
            raise ValueError(f'{path}: item {index} lacks image_id or keypoints, got {_describe(item)}')
    if images and all(isinstance(image.get('frame_id'), int) and 'id' in image for image in images):
        numbers = {_key(image['id']): int(image['frame_id']) for image in images}
        lost = next((item['image_id'] for item in items if _key(item['image_id']) not in numbers), None)
        if lost is not None:
            raise ValueError(f'{path}: an annotation names image_id {lost!r}, which "images" does not list')
        return _require_distinct(path, numbers)
    ids = [image['id'] for image in images if 'id' in image] + [item['image_id'] for item in items]
    numbers, sources = {}, {}
    for image_id in ids:
        if isinstance(image_id, (int, float)) and float(image_id).is_integer():
            numbers[_key(image_id)], source = int(image_id), ''
        else:
            numbers[_key(image_id)], source = number_in_name(path, str(image_id))
        sources[source] = image_id
    if len(sources) > 1:
        first, second = list(sources.values())[:2]
        raise ValueError(f'{path}: images {first!r} and {second!r} belong to different sequences; '
                         'expected one video per file')
    return _require_distinct(path, numbers)


def number_in_name(path: Path, name: str) -> tuple[int, str]:
    """Return the frame number in the name of an image and what precedes it, which names the video."""
    stem = name.rsplit('/')[-1].rsplit('.', 1)[0]
    digits = re.search(r'(\d+)\D*$', stem)
    if digits is None:
        raise ValueError(f'{path}: {name!r} holds no frame number, so the order of the frames is unknown; '
                         'name the images by number, such as 000123.jpg')
    return int(digits[1]), stem[:digits.start()]


def _require_distinct(path: Path, numbers: dict) -> dict:
    """Return ``numbers`` when no two images share a frame."""
    owners = {}
    for image_id, number in numbers.items():
        if owners.setdefault(number, image_id) != image_id:
            raise ValueError(f'{path}: images {owners[number]!r} and {image_id!r} both have frame number {number}; '
                             'expected one video per file')
    return numbers


def _stack_keypoints(path: Path, items: list) -> np.ndarray:
    """Return the keypoints of all items (N, J, 3)."""
    rows = []
    for index, item in enumerate(items):
        try:
            row = np.asarray(item['keypoints'], dtype=np.float64).reshape(-1)
        except (TypeError, ValueError):
            raise ValueError(f'{path}: keypoints of item {index} (image_id {item["image_id"]!r}) are not a list of '
                             'numbers x, y, score, ...') from None
        if not row.size or row.size % 3:
            raise ValueError(f'{path}: item {index} (image_id {item["image_id"]!r}) has {row.size} keypoint numbers; '
                             'expected x, y, score for every joint')
        rows.append(row)
    counts = sorted({row.size // 3 for row in rows})
    if len(counts) > 1:
        raise ValueError(f'{path}: items have different numbers of joints {counts}; expected one detector per file')
    points = absent_as_zero(np.stack(rows).reshape(len(rows), -1, 3))
    third = points[..., 2]
    if (third == VISIBILITY_FLAGS[2]).any() and np.isin(third, VISIBILITY_FLAGS).all():
        points[..., 2] = third > 0
    return points


def absent_as_zero(points: np.ndarray) -> np.ndarray:
    """Return joints (..., 3) of x, y and confidence with zeros where any of them is NaN, or null in JSON."""
    keypoints, confidence = without_nan(points[..., :2], points[..., 2])
    return np.concatenate([keypoints, confidence[..., None]], axis=-1)


def _score_of(item: dict, keypoints: np.ndarray) -> float:
    """Return how sure the detector is of this person."""
    score = item.get('score')
    return float(score) if isinstance(score, (int, float)) else float(keypoints[:, 2].mean())


def _track_of(item: dict) -> Optional[Union[int, str]]:
    """Return the track id of an item; AlphaPose nests it in lists of any depth."""
    track = item['track_id'] if item.get('track_id') is not None else item.get('idx')
    while isinstance(track, list):
        track = track[0] if track else None
    if isinstance(track, float) and math.isfinite(track) and track == int(track):
        return int(track)
    return track if isinstance(track, (int, str)) else None


def _key(image_id: Any) -> str:
    """Return an image id as a dictionary key: 3, 3.0 and '3' are one image."""
    is_whole = isinstance(image_id, float) and image_id.is_integer()
    return str(int(image_id) if is_whole else image_id)


def _describe(content: Any) -> str:
    """Name a JSON value in few words."""
    if isinstance(content, dict):
        return f'an object with keys {sorted(map(str, content))[:6]}'
    return f'{type(content).__name__} {content!r:.40}'
