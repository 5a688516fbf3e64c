"""Masks of completion: groups of joints hidden through whole samples, or for a stretch of frames."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

import numpy as np

from motionbert_mm.datasets.transforms.masking import inputs_to_corrupt, sample_exactly
from motionbert_mm.registry import TRANSFORMS
from motionbert_mm.structures.skeleton import Skeleton, get_skeleton

Group = Union[int, str, Sequence[str]]


@TRANSFORMS.register_module()
class SampleJointGroups:
    """Hide one group of joints in each sample, the same in all frames: the tube masks of MPM's completion.

    Writes ``mask`` (B, M, T, J) bool for 2D and 3D inputs; a mask that is there already is joined. Stands after
    ``NormalizeCoords``, and after ``Take3DInputs`` where there is one. ``test_mode=True`` of the data set keeps the
    masks of a batch the same.

    Official MPM trains completion of 3D poses with ``groups=['left_leg', 'right_leg', 'left_arm', 'right_arm', 3]`` and
    of 2D poses with ``groups=['legs', 'arms', 'left_side', 'right_side', 6]``, and tests with one of them at a time.
    Differs from official: left and right are the person's. The official README calls the right limbs left and the left
    ones right, so that its row "left leg" is our 'right_leg'.

    Args:
        groups: one of them is drawn for each sample and person, all equally likely. A number hides as many joints,
            drawn from all, the root included. A name hides a group of the skeleton (``Skeleton.groups``): 'left_leg',
            'right_leg', 'left_arm', 'right_arm', each with its hip or shoulder; 'legs'; 'arms'; 'left_side' and
            'right_side', a leg and an arm; 'head' or 'torso'. A list of names hides these joints.
        num_frames: hide them for so many frames in a row, beginning anywhere; (least, most) draws the number too. None
            is all frames. Where a window repeats a frame beyond the ends of its clip, copies of a hidden frame are
            hidden too.

    Raises:
        ValueError: no groups, or a number below 1; when called, a group or number that leaves no joint, more frames
            than a window has, no inputs, or inputs that predictions are given anyway.
        TypeError: groups that are no list, or an entry of another kind.
        KeyError: when called, a name that the skeleton does not know.
    """

    hides_joints = True  # single ones, not whole frames alone

    def __init__(self, *, groups: Sequence[Group], num_frames: Union[int, Sequence[int], None] = None) -> None:
        if isinstance(groups, str) or not isinstance(groups, Sequence):
            raise TypeError(f'SampleJointGroups.groups is a list of which one entry is drawn, got {groups!r}')
        if not groups:
            raise ValueError('SampleJointGroups.groups is empty; name at least one number or group of joints')
        self.groups = tuple(_checked(group) for group in groups)
        self.num_frames = None if num_frames is None else checked_range(num_frames, 'SampleJointGroups')

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``mask``."""
        shape = inputs_to_corrupt(results, 'SampleJointGroups').shape[:-1]
        mask = self._draw_joints((*shape[:2], shape[3]), get_skeleton(results['skeleton']), rng)[:, :, None]
        if self.num_frames is None:
            mask = np.broadcast_to(mask, shape).copy()
        else:
            frames = self._draw_frames(shape[:3], rng)
            mask = mask & with_copies(frames, results['frame_ids'])[..., None]
        return dict(results, mask=mask | results['mask'] if 'mask' in results else mask)

    def _draw_joints(self, shape: tuple, skeleton: Skeleton, rng: np.random.Generator) -> np.ndarray:
        """Draw the joints of each sample, (B, M, J)."""
        drawn = rng.integers(len(self.groups), size=shape[:2])
        mask = np.zeros(shape, bool)
        for number, group in enumerate(self.groups):
            rows = drawn == number
            mask[rows] = _draw_group(group, (int(rows.sum()), shape[2]), skeleton, rng)
        return mask

    def _draw_frames(self, shape: tuple, rng: np.random.Generator) -> np.ndarray:
        """Draw a stretch of frames of each sample, (B, M, T)."""
        least, most = self.num_frames
        if most > shape[2]:
            raise ValueError(f'SampleJointGroups.num_frames is {most}, but a window has {shape[2]} frames; leave it '
                             'out to hide all of them')
        length = rng.integers(least, most + 1, size=shape[:2])
        start = rng.integers(0, shape[2] + 1 - length)
        frames = np.arange(shape[2]) - start[..., None]
        return (frames >= 0) & (frames < length[..., None])


def _draw_group(group: Group, shape: tuple, skeleton: Skeleton, rng: np.random.Generator) -> np.ndarray:
    """Draw a number of joints for each row (N, J), or mark those of a group."""
    hidden: Optional[list] = None
    if not isinstance(group, int):
        hidden = [skeleton.index(joint) for joint in group] if isinstance(group, tuple) else _find(group, skeleton)
    count = group if hidden is None else len(set(hidden))
    if count >= skeleton.num_joints:
        raise ValueError(f'SampleJointGroups: {group!r} hides all {skeleton.num_joints} joints of {skeleton.name!r}, '
                         'but one must be left; whole frames are hidden by SampleExactMask')
    if hidden is None:
        return sample_exactly(shape, count, rng)
    mask = np.zeros(shape, bool)
    mask[:, hidden] = True
    return mask


def _find(group: str, skeleton: Skeleton) -> list[int]:
    """Look up the joints of a named group."""
    if not skeleton.groups.get(group):
        raise KeyError(f'SampleJointGroups: skeleton {skeleton.name!r} has no group {group!r}; it has '
                       f'{", ".join(skeleton.groups)}. Single joints are named in a list, [{group!r}]')
    return list(skeleton.groups[group])


def with_copies(hidden: np.ndarray, frame_ids: np.ndarray) -> np.ndarray:
    """Hide in (B, M, T) all rows that show the source frame (B, T) of a hidden one."""
    if (np.diff(frame_ids, axis=1) != 0).all():
        return hidden
    is_same = frame_ids[:, :, None] == frame_ids[:, None]  # (B, T, T)
    return (is_same[:, None] & hidden[:, :, None]).any(axis=-1)


def _checked(group: Group) -> Group:
    """Refuse what is no group; lists become tuples."""
    if isinstance(group, int) and not isinstance(group, bool):
        if group < 1:
            raise ValueError(f'SampleJointGroups.groups: a number of joints is at least 1, got {group}')
        return group
    if isinstance(group, str):
        return group
    if isinstance(group, Sequence) and group and all(isinstance(joint, str) for joint in group):
        return tuple(group)
    raise TypeError('SampleJointGroups.groups: an entry is a number of joints, the name of a group or a list of joint '
                    f'names, got {group!r}')


def checked_range(num_frames: Union[int, Sequence[int]], name: str) -> tuple[int, int]:
    """Return the least and the greatest number of frames; ``name`` of the transform is for the message."""
    pair = (num_frames, num_frames) if isinstance(num_frames, int) else tuple(num_frames)
    if len(pair) != 2 or not all(type(number) is int for number in pair) or not 1 <= pair[0] <= pair[1]:
        raise ValueError(f'{name}.num_frames is a number of frames, at least 1, or (least, most), got {num_frames!r}')
    return pair
