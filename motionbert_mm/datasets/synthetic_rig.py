"""The puppet behind the synthetic motion: a body, the tracks that drive it, and the solver in between.

Frames of reference. The world has Z up, the floor at z = 0, millimetres. Body axes are those of SMPL: x to the
person's left, y up, z forward; at rest the arms are stretched out sideways. A person of heading 0 faces world +X
and positive headings turn left.

Where the body bends is chosen such that every Human3.6M limb is rigid: the trunk bends at the joint that
Human3.6M calls spine, elsewhere it only twists about its own straight line, and both collar bones turn
about the base of the neck, which is Human3.6M's thorax.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from motionbert_mm.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from motionbert_mm.structures.synthetic_bones import H36M_SOURCES, HEAD_TOP, MEAN_STATURE, MIRROR, REST_OFFSETS, SMPL

# Columns are the body axes x, y, z of a person of heading 0, in world coordinates.
BODY_TO_WORLD = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
LEFT, RIGHT = 0, 1

_BALL_HEIGHT = .011
_HEEL_BACK = .028
_SOFT = 5.0  # mm, how gently the hips give way to a leg that is too short


@dataclass(frozen=True)
class Body:
    """Bone lengths of one person.

    Attributes:
        name: of the subject.
        stature: mm.
        offsets: (24, 3) mm, rest position of every SMPL joint relative to its parent, body axes.
        head_top: (3,) mm, relative to the head joint.
        ball_height: mm, joint of the ball of the foot above the floor when the foot is flat.
        heel_back: mm, heel behind the ankle.
    """

    name: str
    stature: float
    offsets: np.ndarray
    head_top: np.ndarray
    ball_height: float
    heel_back: float

    def length(self, joint: str) -> float:
        """Return the length in mm of the bone that ends in ``joint``."""
        return float(np.linalg.norm(self.offsets[SMPL.index(joint)]))

    @property
    def leg(self) -> float:
        """Thigh and shank, mm."""
        return self.length('left_knee') + self.length('left_ankle')

    @property
    def arm(self) -> float:
        """Upper arm and forearm, mm."""
        return self.length('left_elbow') + self.length('left_wrist')

    @property
    def ankle_height(self) -> float:
        """Ankle above the floor when the foot is flat, mm."""
        return self.ball_height - float(self.offsets[SMPL.index('left_foot')][1])

    @property
    def stand(self) -> float:
        """Middle of the hips above the floor on straight legs, mm."""
        return self.ankle_height + 0.999 * self.leg


def make_body(name: str, rng: np.random.Generator) -> Body:
    """Draw an adult: stature 1.5 to 1.95 m, every bone a few per cent off its usual share."""
    stature = float(np.clip(rng.normal(MEAN_STATURE, 90.0), 1500.0, 1950.0))
    offsets = np.zeros((SMPL.num_joints, 3))
    for joint, share in REST_OFFSETS.items():
        offset = np.array(share) * stature * np.clip(rng.normal(1.0, 0.03), 0.92, 1.08)
        offsets[SMPL.index(joint)] = offset
        if joint.startswith('left_'):
            offsets[SMPL.index(joint.replace('left_', 'right_'))] = MIRROR @ offset
    for collar in ('left_collar', 'right_collar'):
        offsets[SMPL.index(collar)] = offsets[SMPL.index('neck')]
    return Body(name, stature, offsets, np.array(HEAD_TOP) * stature, _BALL_HEIGHT * stature, _HEEL_BACK * stature)


@dataclass(frozen=True)
class Arm:
    """Where a hand is: ``wrist`` (T, 3) mm from the shoulder and the direction ``pole`` (T, 3) of the elbow.

    Both in chest axes (outward, up, forward), so that the same numbers fit either side.
    """

    wrist: np.ndarray
    pole: np.ndarray


@dataclass(frozen=True)
class Foot:
    """Where a foot is: ``ankle`` (T, 3) mm world, ``yaw`` and ``pitch`` (T,) rad, heel up is positive.

    ``contact`` (T,) is True where the ball of the foot rests on the floor.
    """

    ankle: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    contact: np.ndarray


@dataclass(frozen=True)
class Tracks:
    """All that drives a body over T frames.

    Attributes:
        hips: (T, 3) mm world, middle of the hips. Lowered where a leg would be too short.
        heading: (T,) rad.
        pelvis, trunk, head: (T, 3) rad: bend forward, raise the left side, turn left; each relative to the part below.
        arms, feet: left, right.
    """

    hips: np.ndarray
    heading: np.ndarray
    pelvis: np.ndarray
    trunk: np.ndarray
    head: np.ndarray
    arms: tuple
    feet: tuple

    def mirrored(self) -> Tracks:
        """Swap left and right about the world plane y = 0."""
        flip_world, flip_angles = np.array([1.0, -1.0, 1.0]), np.array([1.0, -1.0, -1.0])
        feet = [replace(foot, ankle=foot.ankle * flip_world, yaw=-foot.yaw) for foot in self.feet]
        return Tracks(self.hips * flip_world, -self.heading, self.pelvis * flip_angles, self.trunk * flip_angles,
                      self.head * flip_angles, self.arms[::-1], tuple(feet[::-1]))

    def placed(self, yaw: float, shift: np.ndarray) -> Tracks:
        """Turn the scene about the vertical through the origin, then move it by ``shift`` (2,) mm."""
        turn = turn_about(2, yaw)
        offset = np.array([*shift, 0.0])
        feet = tuple(replace(foot, ankle=foot.ankle @ turn.T + offset, yaw=foot.yaw + yaw) for foot in self.feet)
        return replace(self, hips=self.hips @ turn.T + offset, heading=self.heading + yaw, feet=feet)


def turn_about(axis: int, angle: np.ndarray) -> np.ndarray:
    """Return rotation matrices (..., 3, 3) about one coordinate axis, angles (...) in rad."""
    angle = np.asarray(angle, np.float64)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., axis, axis] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -matrix[..., second, first]
    return matrix


def facing(heading: np.ndarray) -> np.ndarray:
    """Return the body axes (..., 3, 3) in the world of an upright person of that heading."""
    return turn_about(2, heading) @ BODY_TO_WORLD


def bend(angles: np.ndarray) -> np.ndarray:
    """Turn (forward, left side up, turn left) (..., 3) into matrices; the turn is applied last."""
    return turn_about(1, angles[..., 2]) @ turn_about(0, angles[..., 0]) @ turn_about(2, angles[..., 1])


def plant(ball: np.ndarray, yaw: np.ndarray, pitch: np.ndarray, body: Body) -> np.ndarray:
    """Return the ankle (T, 3) of a foot that rolls over its ball (heel up) or its heel (toes up).

    Args:
        ball: (T, 3) mm, where the ball of the foot would be if the foot were flat.
        yaw: (T,) rad.
        pitch: (T,) rad, heel up is positive.
        body: gives the size of the foot.
    """
    to_ball = body.offsets[SMPL.index('left_foot')]
    to_heel = np.array([0.0, -body.ankle_height, -body.heel_back])
    level, rolled = facing(yaw), facing(yaw) @ turn_about(0, pitch)
    from_ball = ball - rolled @ to_ball
    from_heel = ball - level @ to_ball + level @ to_heel - rolled @ to_heel
    share = np.clip(-pitch / 0.15, 0.0, 1.0)[:, None]
    share = share * share * (3 - 2 * share)  # a sudden change from one pivot to the other would jerk the knee
    return from_ball + share * (from_heel - from_ball)


def solve(tracks: Tracks, body: Body, fps: float) -> np.ndarray:
    """Turn tracks into local rotations.

    Args:
        tracks: T frames.
        body: the person.
        fps: frames per second, for the smoothing of the hips.

    Returns:
        pose (T, 24, 3) axis-angle in rad, the root's first, and translation (T, 3) mm of the root joint.
    """
    root = facing(tracks.heading) @ bend(tracks.pelvis)
    local = np.tile(np.eye(3), (len(root), SMPL.num_joints, 1, 1))
    local[:, 0] = root
    twist = turn_about(1, tracks.trunk[:, 2] / 3)
    local[:, SMPL.index('spine1')] = local[:, SMPL.index('spine3')] = twist
    local[:, SMPL.index('spine2')] = twist @ bend(tracks.trunk * [1.0, 1.0, 0.0])
    local[:, SMPL.index('neck')] = local[:, SMPL.index('head')] = bend(tracks.head / 2)
    for name, arm in zip(('left', 'right'), tracks.arms):
        _solve_arm(local, name, arm, body)
    hips = _within_reach(tracks, root, body, fps)
    for name, foot in zip(('left', 'right'), tracks.feet):
        _solve_leg(local, name, foot, hips, root, body)
    pose = matrix_to_axis_angle(local)
    pose[:, 0] = unwrap_axis_angle(pose[:, 0])
    hip_height = np.array([0.0, -body.offsets[SMPL.index('left_hip')][1], 0.0])
    return pose, hips + root @ hip_height


def pose_body(pose: np.ndarray, translation: np.ndarray, body: Body) -> tuple:
    """Forward kinematics.

    Args:
        pose: (T, 24, 3) axis-angle in rad.
        translation: (T, 3) mm, the root joint.
        body: bone lengths.

    Returns:
        SMPL joints (T, 24, 3) and Human3.6M joints (T, 17, 3), mm, in the frame of the root rotation.
    """
    turned = axis_angle_to_matrix(pose)
    joints = np.empty((*pose.shape[:-1], 3))
    joints[:, 0] = translation
    for joint, parent in enumerate(SMPL.parents[1:], start=1):
        joints[:, joint] = joints[:, parent] + turned[:, parent] @ body.offsets[joint]
        turned[:, joint] = turned[:, parent] @ turned[:, joint]
    h36m = joints[:, H36M_SOURCES]
    h36m[:, 0] = (h36m[:, 1] + h36m[:, 4]) / 2
    h36m[:, 10] += turned[:, SMPL.index('head')] @ body.head_top
    return joints, h36m


def unwrap_axis_angle(vectors: np.ndarray) -> np.ndarray:
    """Make axis-angle vectors (T, 3) continuous in time by adding whole turns where they jump."""
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    axis = vectors / np.maximum(angle, 1e-12)
    # The same rotation is angle about axis and angle - 2 pi about axis; follow the nearer one.
    result = vectors.copy()
    for frame in range(1, len(vectors)):
        turns = np.round((axis[frame] @ result[frame - 1] - angle[frame]) / (2 * np.pi))
        result[frame] = axis[frame] * (angle[frame] + 2 * np.pi * turns)
    return result


def _within_reach(tracks: Tracks, root: np.ndarray, body: Body, fps: float) -> np.ndarray:
    """Lower the hips (T, 3) smoothly where a leg is too short to reach its foot."""
    excess = np.full(len(root), -np.inf)
    for name, foot in zip(('left', 'right'), tracks.feet):
        hip = tracks.hips + root @ (body.offsets[SMPL.index(f'{name}_hip')] * [1.0, 0.0, 0.0])
        away = np.square(hip[:, :2] - foot.ankle[:, :2]).sum(-1)
        highest = foot.ankle[:, 2] + np.sqrt(np.maximum(np.square(0.9985 * body.leg) - away, 0.0))
        excess = np.maximum(excess, hip[:, 2] - highest)
    excess = _SOFT * np.logaddexp(0.0, excess / _SOFT)  # a knee that snaps straight jerks
    width = 0.05 * fps  # the maximum over twice the width of the Gaussian keeps its peaks
    excess = gaussian_filter1d(maximum_filter1d(excess, 4 * int(np.ceil(width)) + 1, mode='nearest'), width)
    return tracks.hips - excess[:, None] * [0.0, 0.0, 1.0]


def _solve_leg(local: np.ndarray, name: str, foot: Foot, hips: np.ndarray, root: np.ndarray, body: Body) -> None:
    """Fill in the rotations of one leg from the place of its foot."""
    joints = [SMPL.index(f'{name}_{part}') for part in ('hip', 'knee', 'ankle', 'foot')]
    thigh_length, shank_length = body.length(f'{name}_knee'), body.length(f'{name}_ankle')
    hip = hips + root @ (body.offsets[joints[0]] * [1.0, 0.0, 0.0])
    down, distance = _direction(foot.ankle - hip)
    distance = np.minimum(distance, 0.9995 * body.leg)
    knee, at_hip = _triangle(thigh_length, shank_length, distance)
    # The knee is a hinge about an axis to the left, between that of the pelvis and that of the foot.
    sideways = root[..., 0] + facing(foot.yaw)[..., 0]
    hinge, _ = _direction(sideways - down * (sideways * down).sum(-1, keepdims=True))
    straight = np.stack([hinge, -down, np.cross(hinge, -down)], axis=-1)
    thigh = straight @ turn_about(0, -at_hip)
    shank = thigh @ turn_about(0, knee)
    sole = facing(foot.yaw) @ turn_about(0, foot.pitch)
    local[:, joints[0]] = np.swapaxes(root, -1, -2) @ thigh
    local[:, joints[1]] = turn_about(0, knee)
    local[:, joints[2]] = np.swapaxes(shank, -1, -2) @ sole
    local[:, joints[3]] = turn_about(0, -0.7 * np.maximum(foot.pitch, 0.0))  # toes stay on the floor


def _solve_arm(local: np.ndarray, name: str, arm: Arm, body: Body) -> None:
    """Fill in the rotations of one arm from the place of its wrist."""
    joints = [SMPL.index(f'{name}_{part}') for part in ('collar', 'shoulder', 'elbow', 'wrist')]
    upper, fore = body.length('left_elbow'), body.length('left_wrist')
    outward, distance = _direction(arm.wrist)
    # Solved as a left arm; a share of the raise of the hand is taken by the collar bone.
    shrug = turn_about(2, 0.10 + 0.16 * np.clip(outward[:, 1], -1.0, 1.0))
    shoulder = body.offsets[SMPL.index('left_shoulder')]
    local_wrist = np.swapaxes(shrug, -1, -2) @ (shoulder + arm.wrist)[..., None] - shoulder[:, None]
    outward, distance = _direction(local_wrist[..., 0])
    elbow, at_shoulder = _triangle(upper, fore, _soft_clip(distance / body.arm, 0.93, 0.30) * body.arm)
    pole = (np.swapaxes(shrug, -1, -2) @ arm.pole[..., None])[..., 0]
    pole, _ = _direction(pole - outward * (pole * outward).sum(-1, keepdims=True))
    cosine, sine = np.cos(at_shoulder)[:, None], np.sin(at_shoulder)[:, None]
    along, bending = cosine * outward + sine * pole, sine * outward - cosine * pole
    turned = np.stack([along, np.cross(bending, along), bending], axis=-1)
    hinge = turn_about(1, -elbow)
    wrist = np.broadcast_to(turn_about(2, -0.15), hinge.shape)  # a relaxed hand
    for joint, matrix in zip(joints, (shrug, turned, hinge, wrist)):
        local[:, joint] = matrix if name == 'left' else MIRROR @ matrix @ MIRROR


def _triangle(first: float, second: float, distance: np.ndarray) -> tuple:
    """Return the bend between two bones and the angle at the start of the first, rad."""
    cosine = (np.square(distance) - first**2 - second**2) / (2 * first * second)
    at_start = (np.square(distance) + first**2 - second**2) / (2 * first * distance)
    return np.arccos(np.clip(cosine, -1.0, 1.0)), np.arccos(np.clip(at_start, -1.0, 1.0))


def _soft_clip(share: np.ndarray, high: float, low: float) -> np.ndarray:
    """Let reach saturate smoothly at 0.995 from ``high`` on, and keep it above ``low``."""
    room = 0.995 - high
    clipped = np.where(share > high, high + room * np.tanh((share - high) / room), share)
    return np.maximum(clipped, low)


def _direction(vectors: np.ndarray) -> tuple:
    """Return unit vectors (..., 3) and lengths (...)."""
    length = np.linalg.norm(vectors, axis=-1)
    return vectors / np.maximum(length, 1e-9)[..., None], length
