"""Does the order of the joints in a keypoint file look like the skeleton it is said to be?

A wrong order raises no error in a network and gives poses that look random. It does show in the 2D points:
neighbours in the skeleton are far apart, one leg is much longer than the other, the head is below the hips.
What cannot be seen in 2D is a person whose left and right are exchanged throughout.
"""
from __future__ import annotations

from typing import Optional

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree

from motionbert_mm.structures.skeleton import Skeleton, get_skeleton
from motionbert_mm.structures.skeleton_table import SKELETONS

MAX_FRAMES = 64
# Bounds of what people do, from motion capture (walking to basketball, 6 directions, 4 px of noise) with a margin
# to the nearest wrong order: a true order gives at most 2.3, a random one hardly ever less than 2.5.
MAX_TREE_RATIO = 2.5
MAX_ASYMMETRY = 2.2  # of whole limbs; true orders reach 1.7
MAX_BONE_ASYMMETRY = 3.5  # of single bones; true: 2.6
MIN_UPRIGHTNESS = -0.6  # cosine between the trunk and the upward direction of the image
MIN_HEAD, MAX_ANKLES = 0.6, 0.8  # places on the axis from hips (0) to shoulders (1); true: 1.2 and -1.1
MAX_OPPOSED = 0.7  # share of frames in which hips and shoulders point opposite ways; true: 0.25
MAX_EYES, MIN_HEAD_HEIGHT = 0.35, 0.2  # relative to the trunk; true: 0.17 and 0.5
MIN_TALLNESS = 0.8  # a trunk shorter than this share of the shoulders is seen from above: heights say nothing
# Fewer poses than this can all be extreme: bounds are wider by SLACK, left is not compared with right.
MIN_POSES, SLACK = 5, 1.5
MIN_WIDTH = 0.15  # a girdle seen narrower than this, relative to the trunk, has no reliable direction


def implausible_order(keypoints: np.ndarray, skeleton: Skeleton, confidence: Optional[np.ndarray] = None) -> list[str]:
    """Say what speaks against the joints being in the order of a skeleton.

    Args:
        keypoints: (F, J, 2) px, origin top left.
        skeleton: the order to test.
        confidence: (F, J); joints at 0 are not looked at.

    Returns:
        One sentence per contradiction; empty if the order is plausible or too little is seen to tell.
    """
    seen = np.ones(keypoints.shape[:2], bool) if confidence is None else confidence > 0
    frames = np.unique(np.linspace(0, len(keypoints) - 1, MAX_FRAMES).round().astype(int))
    with np.errstate(invalid='ignore', divide='ignore'):  # joints on top of each other give NaN, which says nothing
        body = _Body(keypoints[frames].astype(np.float64), seen[frames], skeleton)
        reasons = [_tree_reason(body), _upside_down_reason(body), _axis_reason(body), _asymmetry_reason(body),
                   _sides_reason(body), _face_reason(body)]
    return [reason for reason in reasons if reason]


def plausible_skeletons(keypoints: np.ndarray, confidence: Optional[np.ndarray] = None) -> list[str]:
    """Return the names of the known skeletons in whose order the points (F, J, 2) px could be."""
    candidates = [get_skeleton(name) for name in SKELETONS]
    return [skeleton.name for skeleton in candidates if skeleton.num_joints == keypoints.shape[1]
            and not implausible_order(keypoints, skeleton, confidence)]


class _Body:
    """Points by joint name; NaN where a joint was not seen."""

    def __init__(self, points: np.ndarray, seen: np.ndarray, skeleton: Skeleton) -> None:
        self.points = np.where(seen[..., None], points, np.nan)
        self.skeleton = skeleton
        self.hips = (self['left_hip'] + self['right_hip']) / 2
        self.shoulders = (self['left_shoulder'] + self['right_shoulder']) / 2
        self.trunk = self.shoulders - self.hips  # (F, 2)
        # Seen from above the trunk is short and the shoulders are wide.
        height = np.linalg.norm(self.trunk, axis=-1)
        self.size = np.maximum(height, np.linalg.norm(self['left_shoulder'] - self['right_shoulder'], axis=-1))
        self.is_tall = height > MIN_TALLNESS * self.size
        self.is_varied = len(points) >= MIN_POSES
        self.slack = 1.0 if self.is_varied else SLACK

    def __getitem__(self, joint: str) -> np.ndarray:
        return self.points[:, self.skeleton.index(joint)]

    def has(self, *joints: str) -> bool:
        """Tell whether the skeleton has all these joints."""
        return all(joint in self.skeleton.joints for joint in joints)

    def length(self, start: str, end: str) -> np.ndarray:
        """Return the distance of two joints per frame (F,)."""
        return np.linalg.norm(self[start] - self[end], axis=-1)

    def place(self, point: np.ndarray) -> float:
        """Return the median place of points (F, 2) on the axis from hips (0) to shoulders (1)."""
        return _median((((point - self.hips) * self.trunk).sum(-1) / np.square(self.trunk).sum(-1))[self.is_tall])


def _median(values: np.ndarray) -> float:
    """Return the median of the finite values, NaN if there is none; comparisons with NaN are false."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float('nan')


def _tree_reason(body: _Body) -> Optional[str]:
    """Compare the length of the skeleton with the shortest tree through the same points."""
    ratio = _median(np.array([_tree_ratio(points, body.skeleton) for points in body.points]))
    if ratio > MAX_TREE_RATIO * body.slack:
        return (f'neighbouring joints are far apart: the skeleton is {ratio:.1f} times as long as the shortest tree '
                f'through the points (people: below {MAX_TREE_RATIO})')
    return None


def _tree_ratio(points: np.ndarray, skeleton: Skeleton) -> float:
    """Return the ratio for one pose (J, 2); unseen joints are bridged."""
    seen = np.flatnonzero(np.isfinite(points[:, 0]))
    ancestors = {joint: _seen_ancestor(joint, skeleton, set(seen)) for joint in seen}
    limbs = np.array([(joint, ancestor) for joint, ancestor in ancestors.items() if ancestor >= 0])
    if len(limbs) < 5:
        return float('nan')
    length = np.linalg.norm(points[limbs[:, 0]] - points[limbs[:, 1]], axis=-1).sum()
    distances = np.linalg.norm(points[seen][:, None] - points[seen][None], axis=-1)
    edges = np.sort(minimum_spanning_tree(distances).data)
    shortest = edges[:len(limbs)].sum()  # without a seen root the skeleton falls into parts
    return length / shortest if shortest > 0 else float('nan')


def _seen_ancestor(joint: int, skeleton: Skeleton, seen: set) -> int:
    """Return the nearest seen joint towards the root, or -1."""
    joint = skeleton.parents[joint]
    while joint >= 0 and joint not in seen:
        joint = skeleton.parents[joint]
    return joint


def _upside_down_reason(body: _Body) -> Optional[str]:
    """Look whether the shoulders are below the hips in the image."""
    upward = _median(-body.trunk[:, 1] / np.linalg.norm(body.trunk, axis=-1))
    if upward < MIN_UPRIGHTNESS:
        return 'the shoulders are below the hips: another order, or a y axis that points up'
    return None


def _axis_reason(body: _Body) -> Optional[str]:
    """Look whether the head is beyond the shoulders and the ankles on the other side."""
    heads = [body[joint] for joint in ('nose', 'head', 'head_top') if joint in body.skeleton.joints]
    if body.place(np.mean(heads, axis=0)) < MIN_HEAD:
        return 'the head is not beyond the shoulders, seen from the hips'
    if body.place((body['left_ankle'] + body['right_ankle']) / 2) > MAX_ANKLES:
        return 'the ankles are as far up as the shoulders'
    return None


def _asymmetry_reason(body: _Body) -> Optional[str]:
    """Compare the lengths of left and right limbs, each where it is seen least shortened."""
    if not body.is_varied:
        return None
    for limb, joints in (('leg', ('hip', 'knee', 'ankle')), ('arm', ('shoulder', 'elbow', 'wrist'))):
        left, right = (np.stack([body.length(f'{side}_{start}', f'{side}_{end}') / body.size
                                 for start, end in zip(joints, joints[1:])]) for side in ('left', 'right'))  # (2, F)
        ratio = _ratio(left.sum(0), right.sum(0))
        if ratio > MAX_ASYMMETRY:
            return f'one {limb} is {ratio:.1f} times as long as the other (people: below {MAX_ASYMMETRY})'
        for start, end, *bones in zip(joints, joints[1:], left, right):
            if _ratio(*bones) > MAX_BONE_ASYMMETRY:
                return f'{start} to {end} is {_ratio(*bones):.1f} times as long on one side as on the other'
    return None


def _ratio(left: np.ndarray, right: np.ndarray) -> float:
    """Return the larger over the smaller of two lengths, each given per frame (F,)."""
    longest = [np.percentile(lengths[np.isfinite(lengths)], 75) if np.isfinite(lengths).any() else np.nan
               for lengths in (left, right)]
    return max(longest) / max(min(longest), 1e-6)


def _sides_reason(body: _Body) -> Optional[str]:
    """Look whether the hips point the same way as the shoulders."""
    shoulders, hips = body['left_shoulder'] - body['right_shoulder'], body['left_hip'] - body['right_hip']
    widths = np.minimum(np.linalg.norm(shoulders, axis=-1), np.linalg.norm(hips, axis=-1))
    is_wide = widths > MIN_WIDTH * body.size
    if is_wide.sum() >= max(0.25 * len(is_wide), MIN_POSES):
        opposed = ((shoulders * hips).sum(-1)[is_wide] < 0).mean()
        if opposed > MAX_OPPOSED:
            return 'left and right of the hips are opposite to those of the shoulders'
    return None


def _face_reason(body: _Body) -> Optional[str]:
    """Tell eyes from the neck and crown that other skeletons keep in their place."""
    if body.has('left_eye', 'right_eye') and \
            _median(body.length('left_eye', 'right_eye') / body.size) > MAX_EYES * body.slack:
        return 'the eyes are as far apart as neck and crown (is it PoseTrack order?)'
    if body.has('upper_neck', 'head_top') and \
            _median((body.length('upper_neck', 'head_top') / body.size)[body.is_tall]) < MIN_HEAD_HEIGHT / body.slack:
        return 'neck and crown are as close as two eyes (is it COCO order?)'
    return None
