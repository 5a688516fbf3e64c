"""Skeletons by name, and conversions between them that follow from joint names."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Optional, Union

import numpy as np

from motionbert_mm.geometry.array import Array, like, namespace, take_joints
from motionbert_mm.structures.skeleton_table import (
    DERIVED,
    EXCEPTIONS,
    INVENTED,
    LIMB_JOINTS,
    PART_GROUPS,
    PELVIS_JOINTS,
    SKELETONS,
)

_MIRROR = {'left_': 'right_', 'right_': 'left_'}


@dataclass(frozen=True)
class Skeleton:
    """A tree of named joints; everything else is derived from the names and the tree.

    Attributes:
        name: the name that data sets, stores and checkpoints carry.
        joints: joint names in array order, from the vocabulary of ``skeleton_table``.
        parents: index of each joint's parent, -1 for the root.
        parts: body part of each joint: torso, head, left_arm, right_arm, left_leg or right_leg.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        sizes = len(self.joints), len(self.parents), len(self.parts), len(set(self.joints))
        if len(set(sizes)) != 1:
            raise ValueError(f'skeleton {self.name!r} has {sizes[0]} joints, {sizes[1]} parents, {sizes[2]} parts and '
                             f'{sizes[3]} distinct names; all four must agree.')
        unpaired = [joint for joint in self.joints if _mirrored(joint) not in self.joints]
        if unpaired:
            raise ValueError(f'skeleton {self.name!r}: {unpaired} have no partner on the other side; name both sides '
                             'left_... and right_....')
        if self.parents.count(-1) != 1 or not all(self._reaches_root(joint) for joint in range(len(self.joints))):
            raise ValueError(f'skeleton {self.name!r}: parents {self.parents} are no tree with one root (-1).')

    def _reaches_root(self, joint: int) -> bool:
        for _ in self.parents:
            joint = self.parents[joint]
            if not 0 <= joint < len(self.parents):
                return joint == -1
        return False

    @property
    def num_joints(self) -> int:
        """Number of joints J."""
        return len(self.joints)

    @property
    def root(self) -> int:
        """Index of the joint without parent: the pelvis wherever the skeleton has one."""
        return self.parents.index(-1)

    @cached_property
    def flip_indices(self) -> tuple[int, ...]:
        """For each joint, the joint whose value it takes when the body is mirrored."""
        return tuple(self.joints.index(_mirrored(joint)) for joint in self.joints)

    @cached_property
    def left(self) -> tuple[int, ...]:
        """Joints of the left side, in array order."""
        return tuple(i for i, joint in enumerate(self.joints) if joint.startswith('left_'))

    @cached_property
    def right(self) -> tuple[int, ...]:
        """Joints of the right side, each at the place of its partner in ``left``."""
        return tuple(self.flip_indices[i] for i in self.left)

    @cached_property
    def limbs(self) -> tuple[tuple[int, int], ...]:
        """Bones as (parent, child), ordered by child."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)

    @cached_property
    def legs(self) -> tuple[tuple[int, int], ...]:
        """Thigh and shank of both sides as (parent, child); a KeyError where a joint is missing."""
        return tuple((self.index(f'{side}_{upper}'), self.index(f'{side}_{lower}')) for side in ('left', 'right')
                     for upper, lower in (('hip', 'knee'), ('knee', 'ankle')))

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Joints of every body part, and of legs, arms, left_side and right_side, by name, in array order.

        An arm begins with the shoulder, a leg with the hip.
        """
        named = {**{part: (part,) for part in self.parts}, **PART_GROUPS}
        return {name: tuple(i for i, part in enumerate(self.parts) if part in parts) for name, parts in named.items()}

    @cached_property
    def regions(self) -> dict[str, tuple[int, ...]]:
        """Joints of the six overlapping regions of ActionPose, by name, each its own mirror image, in array order.

        Unlike in ``groups``, legs are without hips: lower_body is hips and legs, upper_body everything else.
        """
        hips = {i for i, joint in enumerate(self.joints) if joint in PELVIS_JOINTS}
        legs = set(self.groups['legs']) - hips
        named = {'upper_body': set(range(self.num_joints)) - hips - legs, 'lower_body': hips | legs,
                 'head': self.groups.get('head', ()), 'arms': self.groups['arms'], 'legs': legs, 'hips': hips}
        return {name: tuple(sorted(joints)) for name, joints in named.items()}

    def index(self, joint: str) -> int:
        """Return the position of a joint name, or raise a KeyError that lists the names."""
        if joint not in self.joints:
            raise KeyError(f'skeleton {self.name!r} has no joint {joint!r}; it has {", ".join(self.joints)}.')
        return self.joints.index(joint)


def _mirrored(joint: str) -> str:
    """Name of the same joint on the other side; joints of the middle are their own mirror image."""
    side = joint[:joint.find('_') + 1]
    return _MIRROR.get(side, side) + joint[len(side):]


@cache
def get_skeleton(name: str) -> Skeleton:
    """Return a skeleton of ``skeleton_table`` by name, or raise a KeyError that lists the names."""
    if name not in SKELETONS:
        raise KeyError(f'unknown skeleton {name!r}; known are {", ".join(SKELETONS)}. '
                       'A new one is a table in motionbert_mm/structures/skeleton_table.py.')
    joints, parents, parts = zip(*(row.split() for row in SKELETONS[name].strip().splitlines()))
    return Skeleton(name, joints, tuple(-1 if parent == '-' else joints.index(parent) for parent in parents), parts)


@dataclass(frozen=True)
class Conversion:
    """Result of ``convert``.

    Attributes:
        keypoints: (..., J_target, C) in the unit and frame of the input.
        confidence: (..., J_target); a mean has the lowest confidence of its sources, an invented joint has 0.
        copied: target joints that are a joint of the source.
        averaged: target joints that are the mean of several joints of the source.
        invented: target joints that the source does not determine.
    """

    keypoints: Array
    confidence: Array
    copied: tuple[str, ...]
    averaged: tuple[str, ...]
    invented: tuple[str, ...]


def convert(keypoints: Array, source: Union[str, Skeleton], target: Union[str, Skeleton],
            confidence: Optional[Array] = None) -> Conversion:
    """Rearrange keypoints of one skeleton into another one.

    Joints of the same name are copied, the others follow from the rules in ``skeleton_table``. All C channels
    are treated alike: with the score as last channel and no ``confidence``, scores are averaged as coordinates
    are (Official: coco2h36m and halpe2h36m of MotionBERT).

    Args:
        keypoints: (..., J_source, C), any unit and frame.
        source: skeleton of ``keypoints``.
        target: skeleton of the result.
        confidence: (..., J_source) in 0..1; all 1 if not given.

    Returns:
        The converted keypoints and confidence, with the names of the copied, averaged and invented joints.

    Raises:
        ValueError: the number of joints is not that of ``source``, or a limb joint cannot be derived.
    """
    source = get_skeleton(source) if isinstance(source, str) else source
    target = get_skeleton(target) if isinstance(target, str) else target
    if keypoints.ndim < 2 or keypoints.shape[-2] != source.num_joints:
        raise ValueError(f'{source.name!r} keypoints have {source.num_joints} joints on their second to last axis, got '
                         f'shape {tuple(keypoints.shape)}; name the skeleton that the detector or data set uses.')
    if confidence is None:
        confidence = namespace(keypoints).ones_like(keypoints[..., 0])
    elif tuple(confidence.shape) != tuple(keypoints.shape[:-1]):
        raise ValueError(f'confidence must have shape {tuple(keypoints.shape[:-1])}, one value per keypoint, '
                         f'got {tuple(confidence.shape)}.')
    plan = _plan(source, target)
    weights = like(plan.weights[..., None], keypoints)
    gathered = take_joints(keypoints, plan.sources, axis=-2)  # (..., J_target, K, C)
    lowest = namespace(keypoints).amin(take_joints(confidence, plan.sources, axis=-1), -1)
    return Conversion((gathered * weights).sum(-2), lowest * like(plan.is_real, lowest),
                      plan.copied, plan.averaged, plan.invented)


@dataclass(frozen=True)
class _Plan:
    """Each target joint as a weighted sum of at most K source joints."""

    sources: np.ndarray  # (J_target, K) int; unused places repeat the first source with weight 0
    weights: np.ndarray  # (J_target, K), rows sum to one
    is_real: np.ndarray  # (J_target,) bool, False for invented joints
    copied: tuple[str, ...]
    averaged: tuple[str, ...]
    invented: tuple[str, ...]


@cache
def _plan(source: Skeleton, target: Skeleton) -> _Plan:
    """Decide once per pair of skeletons where each target joint comes from."""
    derived = [_derive(joint, source, target) for joint in target.joints]
    mixtures = [mixture or _invent(joint, source, target) for joint, mixture in zip(target.joints, derived)]
    shape = len(mixtures), max(map(len, mixtures))
    sources, weights = np.zeros(shape, np.int64), np.zeros(shape)
    for row, mixture in enumerate(mixtures):
        indices = [source.index(joint) for joint in mixture]
        sources[row], weights[row, :len(indices)] = indices[0], list(mixture.values())
        sources[row, :len(indices)] = indices
    is_real = np.array([mixture is not None for mixture in derived])
    is_copied = is_real & [len(mixture) == 1 for mixture in mixtures]
    copied, averaged, invented = (tuple(np.array(target.joints)[chosen].tolist())
                                  for chosen in (is_copied, is_real & ~is_copied, ~is_real))
    return _Plan(sources, weights, is_real, copied, averaged, invented)


def _derive(joint: str, source: Skeleton, target: Skeleton,
            pending: tuple[str, ...] = ()) -> Optional[dict[str, float]]:
    """Express a joint as weights of source joints, or return None where no rule leads to it."""
    exceptions = EXCEPTIONS.get((source.name, target.name), {})
    if joint in exceptions:
        return {name: 1.0 / len(exceptions[joint]) for name in exceptions[joint]}
    if joint in source.joints:
        return {joint: 1.0}
    if joint in pending:  # rules may point at each other: head <-> head_top
        return None
    for parts in DERIVED.get(joint, ()):
        mixtures = [_derive(part, source, target, (*pending, joint)) for part in parts]
        if None not in mixtures:
            return _mean(mixtures)
    return None


def _invent(joint: str, source: Skeleton, target: Skeleton) -> dict[str, float]:
    """Choose a place for a joint that the source does not determine."""
    mixtures = [_derive(part, source, target) for part in INVENTED.get(joint, ())]
    if mixtures and None not in mixtures:
        return _mean(mixtures)
    parent = target.parents[target.index(joint)]
    if joint in LIMB_JOINTS or parent < 0:
        raise ValueError(f'no conversion from {source.name!r} to {target.name!r}: {joint!r} cannot be derived from '
                         f'{", ".join(source.joints)}; use a source that has it, or add a rule to '
                         'motionbert_mm/structures/skeleton_table.py.')
    ancestor = target.joints[parent]
    return _derive(ancestor, source, target) or _invent(ancestor, source, target)


def _mean(mixtures: list[Mapping[str, float]]) -> dict[str, float]:
    """Average several weighted sums of source joints."""
    names = dict.fromkeys(name for mixture in mixtures for name in mixture)
    return {name: sum(mixture.get(name, 0.0) for mixture in mixtures) / len(mixtures) for name in names}
