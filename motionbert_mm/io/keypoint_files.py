"""Read 2D keypoints of one person from arrays or detector JSON, and refuse what a lifter cannot use."""
from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Optional, Union

import numpy as np

from motionbert_mm.geometry.filling import interpolate_gaps, without_nan
from motionbert_mm.io.joint_order import implausible_order, plausible_skeletons
from motionbert_mm.io.keypoint_json import (
    Detection,
    DetectionFile,
    NobodySeenError,
    choose_track,
    place_on_frames,
    read_detections,
)
from motionbert_mm.io.openpose import OPENPOSE_SKELETONS, is_openpose_folder, read_openpose
from motionbert_mm.io.plain_files import read_npy, read_npz
from motionbert_mm.io.tracking import has_crowds, is_tracked, link_people
from motionbert_mm.structures.skeleton import Skeleton, get_skeleton
from motionbert_mm.structures.skeleton_table import SKELETONS

# Whole-body detectors put the body first: Halpe-136 starts with Halpe-26, COCO-WholeBody-133 with COCO-17.
WHOLE_BODY = {136: 'halpe26', 133: 'coco17'}
# AlphaPose writes these; arrays of 17 joints are too ambiguous to guess.
JSON_SKELETONS = {17: 'coco17', 26: 'halpe26', **WHOLE_BODY}
ARRAY_SUFFIXES = ('.npy', '.npz')
EXPECTED = 'expected keypoints as .npy, .npz, .json, or a folder of the frames that OpenPose writes'
NOTHING_SEEN = 'every joint has confidence 0 or is NaN in every frame; expected joints that were detected'
MAX_NORMALISED = 2.0
# Detector scores may exceed 1 a little; coordinates in their place do so a lot.
SCORE_RANGE = (-0.1, 10.0)


@dataclass(frozen=True)
class KeypointTrack:
    """One person's 2D keypoints on a gapless frame axis.

    Attributes:
        keypoints: (F, J, 2) float32 px, origin top left, finite.
        confidence: (F, J) float32 in 0..1; 0 where a joint or frame is missing in the file and was interpolated.
        frame_ids: (F,) int, as numbered by the file.
        track_id: id of the person in the file; None where it has none.
        skeleton: name of the joint set; None for an array read without naming one.
        notes: what was chosen, filled or assumed, one sentence each, to be shown to the user.
    """

    keypoints: np.ndarray
    confidence: np.ndarray
    frame_ids: np.ndarray
    track_id: Optional[Union[int, str]]
    skeleton: Optional[str]
    notes: tuple = ()


def read_keypoints(path: Union[str, Path], *, skeleton: Optional[str] = None,
                   track: Optional[Union[int, str]] = None, trust_order: bool = False) -> KeypointTrack:
    """Read a keypoint file.

    Accepted: ``.npy`` with (F, J, 2) or (F, J, 3), x, y in pixels and the confidence as third channel; ``.npz`` with
    ``keypoints`` of that shape and, if wanted, ``confidence`` (F, J) and ``frame_ids`` (F,); ``.json`` of
    AlphaPose or in COCO style; a folder of one OpenPose JSON per frame. A joint is missing in a frame where its
    coordinates are NaN or its confidence is 0, or where the detector did not find the person: it gets confidence 0 and
    an interpolated place. Several persons without identities are linked over time (``io.tracking``).

    Args:
        path: the file or folder.
        skeleton: joint set of the file; for JSON guessed from the number of joints if None.
        track: person of JSON; the one seen in most frames if None.
        trust_order: accept a joint order that looks wrong.

    Returns:
        The track; its ``notes`` say what was chosen, filled or assumed.

    Raises:
        FileNotFoundError: there is no such file.
        KeyError: unknown skeleton; the message lists the known ones.
        NobodySeenError: no joint in any frame.
        ValueError: empty, truncated or unreadable file, another number of joints, infinity, coordinates that are not
            pixels, or joints in an order that is implausible for the skeleton.
    """
    path = Path(path)
    target = None if skeleton is None else get_skeleton(skeleton)
    result = _reader_of(path)(path, target, track)
    check_numbers(path, result, target)
    result = fill_joints(result)
    if result.skeleton is not None and not trust_order:
        check_order(path, result)
    return result


def _reader_of(path: Path) -> Callable:
    """Return the function that reads this kind of file."""
    if path.is_dir() and is_openpose_folder(path):
        return _read_people
    if not path.is_file():
        kind = 'is a directory without frames of OpenPose' if path.is_dir() else 'no such file'
        raise FileNotFoundError(f'{path}: {kind}; {EXPECTED}')
    readers = {'.npy': _read_npy, '.npz': _read_npz, '.json': _read_people}
    if path.suffix.lower() not in readers:
        raise ValueError(f'{path}: unknown suffix {path.suffix!r}; {EXPECTED}')
    if path.stat().st_size == 0:
        raise ValueError(f'{path}: the file is empty; write it again')
    return readers[path.suffix.lower()]


def _read_npy(path: Path, skeleton: Optional[Skeleton], track: Optional[Union[int, str]]) -> KeypointTrack:
    """Read one array."""
    return _from_arrays(path, {'keypoints': read_npy(path, 'save it with numpy.save')}, skeleton, track)


def _read_npz(path: Path, skeleton: Optional[Skeleton], track: Optional[Union[int, str]]) -> KeypointTrack:
    """Read named arrays."""
    arrays = read_npz(path, 'save it with numpy.savez')
    if 'keypoints' not in arrays:
        raise ValueError(f'{path}: no array "keypoints"; it holds {sorted(arrays)}; expected keypoints (F, J, 2) in '
                         'pixels and, if wanted, confidence (F, J) and frame_ids (F,)')
    return _from_arrays(path, arrays, skeleton, track)


def _from_arrays(path: Path, arrays: dict, skeleton: Optional[Skeleton],
                 track: Optional[Union[int, str]]) -> KeypointTrack:
    """Check shapes and split off the confidence."""
    points = np.asarray(arrays['keypoints'])
    if track is not None:
        raise ValueError(f'{path}: a track can only be chosen in .json files; arrays hold one person')
    if points.dtype.kind not in 'fiu' or points.ndim != 3 or points.shape[-1] not in (2, 3):
        hint = ('add a frame axis' if points.ndim == 2 else
                'choose one person' if points.ndim == 4 else 'x, y in pixels and, if wanted, the confidence')
        raise ValueError(f'{path}: keypoints have shape {points.shape} and dtype {points.dtype}; expected numbers of '
                         f'shape (F, J, 2) or (F, J, 3): {hint}')
    if not points.shape[0]:
        raise ValueError(f'{path}: keypoints have shape {points.shape}, no frames; expected at least one')
    points = _match_joints(path, points, skeleton)
    confidence = np.asarray(arrays.get('confidence', points[..., 2] if points.shape[-1] == 3 else
                                       np.ones(points.shape[:2])))
    if confidence.shape == (*points.shape[:2], 1):
        confidence = confidence[..., 0]
    frame_ids = np.asarray(arrays.get('frame_ids', np.arange(len(points))))
    for name, value, shape in (('confidence', confidence, points.shape[:2]),
                               ('frame_ids', frame_ids, points.shape[:1])):
        if value.shape != shape or value.dtype.kind not in 'fiub':
            raise ValueError(f'{path}: {name} has shape {value.shape} and dtype {value.dtype}; expected numbers of '
                             f'shape {shape} to go with keypoints of shape {points.shape}')
    keypoints, confidence = without_nan(points[..., :2].astype(np.float32), confidence.astype(np.float32))
    return KeypointTrack(keypoints=keypoints, confidence=confidence, frame_ids=frame_ids.astype(np.int64),
                         track_id=None, skeleton=None if skeleton is None else skeleton.name)


def _read_people(path: Path, skeleton: Optional[Skeleton], track: Optional[Union[int, str]]) -> KeypointTrack:
    """Read detector results and choose one person."""
    file, notes = read_detector(path), ()
    if not is_tracked(file.detections) and has_crowds(file.detections):
        file = link_people(file)
        notes = ('several persons without track ids: linked them over time by their distance',)
    chosen, track_id, track_notes = choose_track(path, file.detections, track)
    points, frame_ids, frame_notes = place_on_frames(path, chosen, file.frames)
    points, name, joint_notes = name_joints(path, file, points, skeleton)
    return KeypointTrack(keypoints=points[..., :2], confidence=points[..., 2], frame_ids=frame_ids, track_id=track_id,
                         skeleton=name, notes=notes + track_notes + frame_notes + joint_notes)


def read_detector(path: Path) -> DetectionFile:
    """Read a JSON file of AlphaPose or in COCO style, a folder of OpenPose, or arrays, which hold one person, 0."""
    read = _reader_of(path)
    if read is _read_people:
        return read_openpose(path) if path.is_dir() else read_detections(path)
    return _as_detections(path, read(path, None, None))


def _as_detections(path: Path, track: KeypointTrack) -> DetectionFile:
    """Return the frames of an array in which a joint is seen."""
    if (np.diff(track.frame_ids) <= 0).any():
        raise ValueError(f'{path}: frame_ids do not rise from frame to frame; expected the numbers of the images')
    poses = np.concatenate([track.keypoints, track.confidence[..., None]], axis=-1)  # (F, J, 3)
    seen = np.flatnonzero((track.confidence > 0).any(axis=-1))
    if not seen.size:
        raise NobodySeenError(f'{path}: {NOTHING_SEEN}')
    return DetectionFile([Detection(int(track.frame_ids[row]), 0, poses[row], float(poses[row, :, 2].mean()))
                          for row in seen], track.frame_ids)


def name_joints(path: Path, file: DetectionFile, points: np.ndarray,
                skeleton: Optional[Skeleton]) -> tuple[np.ndarray, str, tuple]:
    """Bring the joints (F, K, 3) of a detector into the order of a skeleton.

    Args:
        path: named in errors.
        file: where the points come from; its joint names, if it has any, decide the order.
        points: x, y in px and confidence.
        skeleton: guessed from the number of joints if None.

    Returns:
        Points (F, J, 3), the name of the skeleton and notes on what was assumed.

    Raises:
        ValueError: the number of joints is not that of the skeleton, or leaves none to guess.
    """
    notes: tuple = ()
    if skeleton is None:
        known = (OPENPOSE_SKELETONS if path.is_dir() else
                 {} if path.suffix.lower() in ARRAY_SUFFIXES else JSON_SKELETONS)
        if points.shape[1] not in known:
            raise ValueError(f'{path}: {points.shape[1]} joints per person, so the skeleton cannot be guessed; name it '
                             f'({_names_with(points.shape[1]) or "none of the known ones has as many"})')
        skeleton = get_skeleton(known[points.shape[1]])
        notes += (f'took the {points.shape[1]} joints for {skeleton.name}',)
    if sorted(file.joint_names) == sorted(skeleton.joints) and file.joint_names != skeleton.joints:
        points = points[:, [file.joint_names.index(joint) for joint in skeleton.joints]]
        notes += (f'put the joints into the order of {skeleton.name} by the names in "categories"',)
    return _match_joints(path, points, skeleton), skeleton.name, notes


def _match_joints(path: Path, points: np.ndarray, skeleton: Optional[Skeleton]) -> np.ndarray:
    """Return the joints of the skeleton; of a whole-body detector its body."""
    found = points.shape[1]
    if skeleton is None or found == skeleton.num_joints:
        return points
    if WHOLE_BODY.get(found) == skeleton.name:
        return points[:, :skeleton.num_joints]
    fitting = _names_with(found) or WHOLE_BODY.get(found)
    raise ValueError(f'{path}: {found} joints per frame, but skeleton {skeleton.name!r} has {skeleton.num_joints}; '
                     + (f'skeletons that fit: {fitting}' if fitting else f'no known skeleton has {found}'))


def _names_with(num_joints: int) -> str:
    """List the known skeletons of so many joints."""
    return ', '.join(name for name in SKELETONS if get_skeleton(name).num_joints == num_joints)


def check_numbers(path: Path, track: KeypointTrack, skeleton: Optional[Skeleton]) -> None:
    """Refuse infinity, scores that are none, coordinates that are no pixels, and files in which nothing was seen."""
    is_bad = ~(np.isfinite(track.keypoints).all(-1) & np.isfinite(track.confidence))
    if is_bad.any():
        frame, joint = np.argwhere(is_bad)[0]
        name = f' ({skeleton.joints[joint]})' if skeleton is not None else ''
        raise ValueError(f'{path}: infinity, first in frame {track.frame_ids[frame]}, joint {joint}{name}, '
                         f'{is_bad.sum()} in all; write missing joints as NaN, or with confidence 0')
    low, high = track.confidence.min(), track.confidence.max()
    if low < SCORE_RANGE[0] or high > SCORE_RANGE[1]:
        raise ValueError(f'{path}: the confidence runs from {low:g} to {high:g}; expected 0..1; if the third channel '
                         'is a coordinate, save x and y only')
    seen = track.keypoints[track.confidence > 0]
    if not seen.size:
        raise NobodySeenError(f'{path}: {NOTHING_SEEN}')
    if np.abs(seen).max() <= MAX_NORMALISED:
        raise ValueError(f'{path}: all coordinates lie between {seen.min():.3g} and {seen.max():.3g}, so they look '
                         'normalised; expected pixels: multiply by the image size, undo any centring')


def fill_joints(track: KeypointTrack) -> KeypointTrack:
    """Interpolate joints where they have confidence 0, see ``interpolate_gaps``."""
    seen, notes = track.confidence > 0, track.notes
    never = ~seen.any(axis=0)
    if never.any():
        names = get_skeleton(track.skeleton).joints if track.skeleton else [f'joint {i}' for i in range(len(never))]
        notes += (f'never detected: {", ".join(names[joint] for joint in np.flatnonzero(never))}',)
    return replace(track, keypoints=interpolate_gaps(track.keypoints, seen),
                   confidence=np.clip(track.confidence, 0.0, 1.0), notes=notes)


def check_order(path: Path, track: KeypointTrack) -> None:
    """Refuse joints that are plainly not in the order of the skeleton."""
    reasons = implausible_order(track.keypoints, get_skeleton(track.skeleton), track.confidence)
    if reasons:
        fitting = plausible_skeletons(track.keypoints, track.confidence)
        raise ValueError(f'{path}: the joints do not look like {track.skeleton} order: {"; ".join(reasons)}; '
                         + (f'they look like {" or ".join(fitting)}: name that skeleton' if fitting else
                            'put them into its order (motionbert_mm/structures/skeleton_table.py)')
                         + ', or trust the order (--trust-order) if the person really moves like this')
