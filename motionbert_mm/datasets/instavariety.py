"""InstaVariety: 2D tracks detected by OpenPose, as MotionBERT takes them for pretraining.

Two forms are read: the folders of tracks of the data set's authors, one JSON per frame, in pixels; and the pair
``motion_all.npy`` and ``id_all.npy`` into which MotionBERT packs them, already cropped to [-1, 1] and shifted.
Joints are Human3.6M-17 without spine and head, which are zero with confidence 0.
"""
from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np

from motionbert_mm.datasets.tracks import Track
from motionbert_mm.datasets.windows import resample_indices
from motionbert_mm.io.plain_files import read_json, read_npy
from motionbert_mm.structures.skeleton import get_skeleton

SKELETON = 'h36m'
# Names of the joints in the files, in Human3.6M order. Official: MotionBERT tools/convert_insta.py.
NAMES = ('Hip', 'R Hip', 'R Knee', 'R Ankle', 'L Hip', 'L Knee', 'L Ankle', None, 'Neck', 'Nose', None, 'L Shoulder',
         'L Elbow', 'L Wrist', 'R Shoulder', 'R Elbow', 'R Wrist')
PACKED = ('motion_all.npy', 'id_all.npy')
# Side of the virtual image that packed coordinates are put into. crop_scale, the only rule for such data, looks at
# the box around the joints: scaling and shifting all of them changes nothing.
VIRTUAL_SIZE = 1000
# Largest coordinate of packed data: cropped to [-1, 1], then moved so that the first root is 0.
_MAX_PACKED = 2.001


def is_packed(source: Path) -> bool:
    """Tell whether a folder holds the two packed arrays."""
    return (source / PACKED[0]).is_file()


def find_track_folders(source: Path) -> list[Path]:
    """List the folders under ``source`` that hold JSON files, in order of their names.

    Raises:
        FileNotFoundError: there is none.
    """
    folders = []
    for folder, below, files in os.walk(source):
        below.sort()
        if any(name.endswith('.json') and not name.startswith('.') for name in files):
            folders.append(Path(folder))
    if not folders:
        raise FileNotFoundError(f'{source} holds neither {PACKED[0]} and {PACKED[1]} nor folders '
                                '<tag>/<video>/<track>/ with a *.json per frame')
    return folders


def read_track(folder: Path, name: str) -> Track:
    """Read a track: one JSON per frame with named joints of x, y in pixels and logits, the confidence.

    Confidence is limited to 0..1; a joint that a frame does not name is (0, 0) with confidence 0.

    Raises:
        ValueError: a torn file, other JSON, no known joint, a frame number that comes twice.
    """
    frames: dict[int, np.ndarray] = {}
    for place, path in enumerate(sorted(folder.glob('[!.]*.json'))):
        content = _read_frame(path)
        frame = content.get('frame', place)
        if not isinstance(frame, int) or frame in frames:
            raise ValueError(f'{path}: frame is {frame!r}, expected a number that no other file of {folder.name} has')
        frames[frame] = _joints(path, content)
    numbers = np.array(sorted(frames))
    points = np.stack([frames[number] for number in numbers])
    return Track(name, numbers, points[..., :2], np.clip(points[..., 2], 0, 1))


def read_packed(source: Path, unit: str) -> Iterator[Track]:
    """Read ``motion_all.npy`` (N, 17, 3) and ``id_all.npy`` (N,): one track per run of equal ids.

    Args:
        source: the folder of the two files.
        unit: 'crop' for coordinates as official, put into a virtual image of ``VIRTUAL_SIZE``; 'pixel' for pixels.

    Raises:
        FileNotFoundError: one of them is missing.
        ValueError: torn, other shapes, NaN, coordinates that contradict ``unit``.
    """
    motion, ids = (read_npy(source / name, f'pack the tracks again, {" and ".join(PACKED)} side by side', mmap_mode='r')
                   for name in PACKED)
    joints = get_skeleton(SKELETON).num_joints
    is_motion = motion.ndim == 3 and motion.shape[1:] == (joints, 3) and motion.dtype.kind in 'fiu'
    if not is_motion or ids.shape != motion.shape[:1] or not len(ids):
        raise ValueError(f'{source}: {PACKED[0]} has shape {motion.shape} and dtype {motion.dtype}, {PACKED[1]} '
                         f'{ids.shape}; expected numbers of shape (N, {joints}, 3), and (N,)')
    edges = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1), len(ids)]
    size = (VIRTUAL_SIZE, VIRTUAL_SIZE) if unit == 'crop' else None
    seen: Counter = Counter()
    for start, end in zip(edges, edges[1:]):
        run, name = np.array(motion[start:end], np.float64), str(ids[start])
        seen[name] += 1
        place = f'{source / PACKED[0]}, id {name}'
        if not np.isfinite(run).all():
            raise ValueError(f'{place}: NaN or infinity; pack the tracks again')
        points = run[..., :2]
        if unit == 'crop':
            if np.abs(points).max() > _MAX_PACKED:
                raise ValueError(f'{place}: a coordinate is {np.abs(points).max():.4g}, expected at most 2 after the '
                                 'official cropping; for pixels say --unit pixel')
            points = (points + 1) * (VIRTUAL_SIZE / 2)
        yield Track(name if seen[name] == 1 else f'{name}.{seen[name]}', np.arange(end - start), points,
                    np.clip(run[..., 2], 0, 1), size)


def visible_parts(track: Track, num_frames: int, stride: int) -> list[Track]:
    """Keep the frames of windows that begin with a visible root. Official: InstaVDataset2D drops the other windows.

    A run of kept windows becomes one clip, so that sliding windows of the same length and stride, ``tail='drop'``, over
    the clips are the official windows, and hardly any frame is stored twice.

    Args:
        track: at least ``num_frames`` long.
        num_frames: of a window.
        stride: between the starts of two windows.
    """
    starts = np.arange(0, len(track) - num_frames + 1, stride)
    kept = starts[track.confidence[starts, get_skeleton(SKELETON).root] > 0]
    runs = np.split(kept, np.flatnonzero(np.diff(kept) > stride) + 1) if len(kept) else []
    parts = []
    for run in runs:
        end = len(track) if run[-1] == starts[-1] else run[-1] + num_frames
        name = track.name if len(runs) == 1 else f'{track.name}@{track.frames[run[0]]}'
        parts.append(track.take(slice(run[0], end), name))
    return parts


def stretch(track: Track, num_frames: int, rng: np.random.RandomState) -> Track:
    """Repeat frames of a short track so that it fills a window, in slow motion. Official: ``split_clips``."""
    return track.take(resample_indices(len(track), num_frames, rng))


def _read_frame(path: Path) -> dict:
    content = read_json(path, 'unpack the track again')
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds a {type(content).__name__}, expected an object with joints such as '
                         '"R Knee": {"x", "y", "logits"}')
    return content


def _joints(path: Path, content: dict) -> np.ndarray:
    """Return the joints (17, 3) of a frame: x, y, confidence."""
    if not any(name in content for name in NAMES if name):
        raise ValueError(f'{path} names no known joint but {", ".join(map(str, content))}; expected '
                         f'{", ".join(name for name in NAMES if name)}')
    return np.array([_joint(path, name, content.get(name)) for name in NAMES], np.float64)


def _joint(path: Path, name: Optional[str], entry: Any) -> tuple[float, float, float]:
    if name is None or entry is None:
        return 0.0, 0.0, 0.0
    try:
        point = float(entry['x']), float(entry['y']), float(entry['logits'])
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f'{path}: {name} is {entry!r}, expected numbers x, y and logits ({error})') from None
    if not np.isfinite(point).all():
        raise ValueError(f'{path}: {name} is {point}, expected finite numbers')
    return point
