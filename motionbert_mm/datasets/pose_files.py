"""Public files of 3D poses on their way into motion stores: what they give, checks, and the writing of the stores."""
from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from tqdm import tqdm

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.io.keypoint_files import MAX_NORMALISED

MM_PER_METRE = 1000.0
# Largest extent of a pose in metres; anything else is another unit.
POSE_EXTENT = (0.2, 3.0)


@dataclass(frozen=True)
class PoseSequence:
    """One sequence seen by one camera, in the fields and units of a motion store.

    Attributes:
        name: unique; names sequence and camera as the source spells them.
        subject: who is seen, 'S9'.
        action: what is done, in the words of the data set.
        camera: name of the camera.
        image_size: (width, height) in pixels.
        arrays: (T, ...) by name.
        intrinsics: (fx, fy, cx, cy) in pixels.
        fps: frames per second, where they are not those of the split.
    """

    name: str
    subject: str
    action: str
    camera: str
    image_size: tuple[int, int]
    arrays: dict[str, np.ndarray]
    intrinsics: Optional[tuple] = None
    fps: Optional[float] = None


class PoseFiles(ABC):
    """The files of one form of a data set, opened and checked.

    Attributes:
        skeleton: name of the joint set.
        fps: frames per second of each split that the files have.
    """

    skeleton: str
    fps: dict[str, float]

    @abstractmethod
    def keys(self, split: str) -> Sequence[Hashable]:
        """List the sequences of a split in the order of the source."""

    @abstractmethod
    def read(self, split: str, key: Any) -> PoseSequence:
        """Return one sequence; a ValueError names what is wrong with it."""

    def notes(self) -> list[str]:
        """Say what was left out of the sequences read so far, one sentence each."""
        return []


def write_stores(files: PoseFiles, out_dir: str | os.PathLike, **info: object) -> list[str]:
    """Write one store per split; all appear when all are complete.

    Args:
        files: what to read.
        out_dir: where the stores are made, each under the name of its split; those that are there are replaced.
        **info: facts about the source for the index.

    Returns:
        What the stores hold, one sentence each.
    """
    sentences = []
    with ExitStack() as stack:
        for split, fps in files.fps.items():
            path = Path(out_dir) / split
            writer = stack.enter_context(MotionStoreWriter(path, skeleton=files.skeleton, fps=fps, info=info))
            keys, frames, rates = files.keys(split), 0, set()
            for key in tqdm(keys, desc=split, unit='clip'):
                sequence = files.read(split, key)
                writer.add_clip(sequence.name, sequence.arrays, subject=sequence.subject, action=sequence.action,
                                camera=sequence.camera, image_size=sequence.image_size,
                                intrinsics=sequence.intrinsics, fps=sequence.fps)
                frames += len(next(iter(sequence.arrays.values())))
                rates.add(sequence.fps or fps)
            sentences.append(f'{path}: {len(keys)} sequences, {frames} frames at '
                             f'{" and ".join(f"{rate:g}" for rate in sorted(rates))} fps')
    return sentences


def object_dict(arrays: Mapping[str, np.ndarray], key: str, path: str | os.PathLike) -> dict:
    """Return the dict that an array of objects without axes holds, as ``numpy.savez(path, key=dict(...))`` writes it.

    Raises:
        ValueError: there is no such array, or no dict in it.
    """
    if key not in arrays:
        raise ValueError(f'{path} lacks {key}; it holds {sorted(arrays)}')
    content = arrays[key].item() if arrays[key].shape == () else arrays[key]
    if not isinstance(content, dict):
        raise ValueError(f'{path}: {key} is {type(content).__name__}, expected a dict')
    return content


def check_array(values: Any, shape: Sequence[Optional[int]], place: str) -> np.ndarray:
    """Return ``values`` as an array of numbers of a shape; None in ``shape`` is any size.

    Raises:
        ValueError: another shape, or no numbers.
    """
    array = np.asarray(values)
    fits = array.ndim == len(shape) and all(wanted in (None, size) for wanted, size in zip(shape, array.shape))
    if not fits or array.dtype.kind not in 'fiu':
        wanted = ', '.join('N' if size is None else str(size) for size in shape)
        raise ValueError(f'{place} has shape {array.shape} and dtype {array.dtype}, expected numbers of '
                         f'shape ({wanted})')
    return array


def check_pixels(points: np.ndarray, place: str) -> None:
    """Refuse 2D joints (..., J, >= 2) that are normalised; NaN is left to the store."""
    if not points.size:
        return
    low, high = float(np.nanmin(points[..., :2])), float(np.nanmax(points[..., :2]))
    if max(-low, high) <= MAX_NORMALISED:
        raise ValueError(f'{place}: all coordinates lie between {low:.3g} and {high:.3g}, so they look normalised; '
                         'expected pixels')


def check_extent(points: np.ndarray, place: str, *, unit: str) -> None:
    """Refuse poses (T, J, 3) that are not in 'metres' or 'millimetres'; NaN is left to the store."""
    low, high = (limit * {'metres': 1.0, 'millimetres': MM_PER_METRE}[unit] for limit in POSE_EXTENT)
    extent = float(np.nanmedian(np.ptp(points, axis=1).max(axis=-1)))
    if extent < low or extent > high:
        raise ValueError(f'{place}: a pose extends over {extent:.3g} (median of the frames), expected {unit}, '
                         f'{low:g} to {high:g}')
