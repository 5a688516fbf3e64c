"""Human3.6M: what the data set itself fixes, whatever files it comes in.

Three public forms are read, each by a file of its own: ``human36m_motionbert``, ``human36m_videopose3d`` and
``human36m_mmpose``. Joints are Human3.6M-17, coordinates those of the camera frame.
"""
from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from motionbert_mm.io.keypoint_files import MAX_NORMALISED

SKELETON = 'h36m'
NUM_JOINTS = 17
VIDEO_FPS = 50.0
MM_PER_METRE = 1000.0
SPLITS = {'train': ('S1', 'S5', 'S6', 'S7', 'S8'), 'test': ('S9', 'S11')}
# In the order of their numbers in the data set, 2 to 16: act_05 is Greeting.
FIRST_ACTION = 2
ACTIONS = ('Directions', 'Discussion', 'Eating', 'Greeting', 'Phoning', 'Posing', 'Purchases', 'Sitting', 'SittingDown',
           'Smoking', 'Photo', 'Waiting', 'Walking', 'WalkDog', 'WalkTogether')
# The last three lines are the words of MotionBERT's pickle that differ.
_SPELLINGS = {**{name.lower(): name for name in ACTIONS}, 'takingphoto': 'Photo', 'walkingdog': 'WalkDog',
              'walkingtogether': 'WalkTogether',
              'direction': 'Directions', 'discuss': 'Discussion', 'greet': 'Greeting', 'phone': 'Phoning',
              'pose': 'Posing', 'purchase': 'Purchases', 'smoke': 'Smoking', 'wait': 'Waiting', 'walk': 'Walking',
              'walktwo': 'WalkTogether'}
# Width and height in pixels by serial number.
IMAGE_SIZES = {'54138969': (1000, 1002), '55011271': (1000, 1000), '58860488': (1000, 1000), '60457274': (1000, 1002)}
# Largest extent of a pose in metres; anything else is another unit.
POSE_EXTENT = (0.2, 3.0)


@dataclass(frozen=True)
class PoseSequence:
    """One sequence seen by one camera, in the fields and units of a motion store.

    Attributes:
        name: as the source spells sequence and camera.
        subject: 'S9'.
        action: one of ``ACTIONS``.
        camera: serial number.
        image_size: (width, height) in pixels.
        arrays: (T, ...) by name.
        intrinsics: (fx, fy, cx, cy) in pixels.
    """

    name: str
    subject: str
    action: str
    camera: str
    image_size: tuple[int, int]
    arrays: dict[str, np.ndarray]
    intrinsics: Optional[tuple] = None


class Human36MFiles(ABC):
    """The files of one form of Human3.6M, opened and checked.

    Attributes:
        fps: frames per second of each split.
    """

    def __init__(self) -> None:
        self.fps = dict.fromkeys(SPLITS, VIDEO_FPS)

    @abstractmethod
    def keys(self, split: str) -> Sequence[Hashable]:
        """List the sequences of 'train' or 'test' in the order of the source."""

    @abstractmethod
    def read(self, split: str, key: Any) -> PoseSequence:
        """Return one sequence; a ValueError names what is wrong with it."""

    def notes(self) -> list[str]:
        """Say what was left out of the sequences read so far, one sentence each."""
        return []


def canonical_action(name: str) -> str:
    """Return the action of ``ACTIONS`` that ``name`` spells: 'Greeting 1', 'Greet' and 'TakingPhoto' are known.

    Raises:
        ValueError: there is no such action.
    """
    key = re.sub(r'[^a-z]', '', name.lower())
    if key not in _SPELLINGS:
        raise ValueError(f'unknown action {name!r}; Human3.6M has {", ".join(ACTIONS)}')
    return _SPELLINGS[key]


def numbered_action(number: int) -> str:
    """Return the action of a number as in 's_09_act_05_subact_02'.

    Raises:
        ValueError: a number outside 2 to 16.
    """
    if not 0 <= number - FIRST_ACTION < len(ACTIONS):
        raise ValueError(f'unknown action number {number}; those of Human3.6M run from {FIRST_ACTION}, {ACTIONS[0]}, '
                         f'to {FIRST_ACTION + len(ACTIONS) - 1}, {ACTIONS[-1]}')
    return ACTIONS[number - FIRST_ACTION]


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


def check_subjects(subjects: Iterable[str], split: str, place: str) -> None:
    """Refuse subjects of the other split: their poses must not be trained on."""
    strangers = sorted(set(subjects) - set(SPLITS[split]))
    if strangers:
        raise ValueError(f'{place} holds {", ".join(strangers)}, but subjects of the {split} split are '
                         f'{", ".join(SPLITS[split])}; are the files in the right order?')


def check_pixels(points: np.ndarray, place: str) -> None:
    """Refuse 2D joints (..., J, >= 2) that are normalised; NaN is left to the store."""
    if not points.size:
        return
    low, high = float(np.nanmin(points[..., :2])), float(np.nanmax(points[..., :2]))
    if max(-low, high) <= MAX_NORMALISED:
        raise ValueError(f'{place}: all coordinates lie between {low:.3g} and {high:.3g}, so they look normalised; '
                         'expected pixels')


def check_metres(points: np.ndarray, place: str) -> None:
    """Refuse poses (T, J, 3) that are not in metres; NaN is left to the store."""
    extent = float(np.nanmedian(np.ptp(points, axis=1).max(axis=-1)))
    if extent < POSE_EXTENT[0] or extent > POSE_EXTENT[1]:
        raise ValueError(f'{place}: a pose extends over {extent:.3g} (median of the frames), expected metres, '
                         f'{POSE_EXTENT[0]:g} to {POSE_EXTENT[1]:g}')
