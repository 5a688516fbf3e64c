"""Human3.6M: what the data set itself fixes, whatever files it comes in.

Three public forms are read, each by a file of its own: ``human36m_motionbert``, ``human36m_videopose3d`` and
``human36m_mmpose``. Joints are Human3.6M-17, coordinates those of the camera frame.
"""
from __future__ import annotations

import re
from collections.abc import Iterable

from motionbert_mm.datasets.pose_files import PoseFiles

SKELETON = 'h36m'
NUM_JOINTS = 17
VIDEO_FPS = 50.0
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


class Human36MFiles(PoseFiles):
    """The files of one form of Human3.6M; the splits are 'train' and 'test'."""

    skeleton = SKELETON

    def __init__(self) -> None:
        self.fps = dict.fromkeys(SPLITS, VIDEO_FPS)


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


def check_subjects(subjects: Iterable[str], split: str, place: str) -> None:
    """Refuse subjects of the other split: their poses must not be trained on."""
    strangers = sorted(set(subjects) - set(SPLITS[split]))
    if strangers:
        raise ValueError(f'{place} holds {", ".join(strangers)}, but subjects of the {split} split are '
                         f'{", ".join(SPLITS[split])}; are the files in the right order?')
