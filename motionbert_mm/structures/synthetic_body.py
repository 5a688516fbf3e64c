"""A body in SMPL's layout that is made by this code: nothing is downloaded and nothing is licensed.

The person of mean stature stands in a T pose in body axes: x to the person's left, y up, z forward, the root joint at
the origin. Trunk and head, each limb, each foot and each thumb are closed tubes. A joint lies in the middle of a ring
of vertices that only its own and its parent's rotation move, all in the same shares; so a regressor that takes the
mean of the ring gives the joint exactly, in every shape and pose.
"""
from __future__ import annotations

from functools import cache

import numpy as np

from motionbert_mm.structures.body import Body
from motionbert_mm.structures.synthetic_bones import (
    H36M_SOURCES,
    MIRROR,
    POINTS,
    SHAPES,
    SMPL,
    UNIT,
    mean_offsets,
    offset_dirs,
    place,
)
from motionbert_mm.structures.synthetic_skin import (
    Skin,
    Tube,
    along,
    bend_shares,
    make_skin,
    rise,
    rotation_shares,
)

X, Y, Z = 0, 1, 2
TRUNK = Tube(
    chain=('root', 'spine1', 'spine2', 'spine3', 'neck', 'head', 'head_top'), axes=(Z, X), sides=12, power=2.3,
    takeover={'head': (4.30, 4.55), 'head_top': (7.0, 8.0)},  # the jaw goes with the head, and the crown
    bumps={4.55: 12.0, 4.78: 6.0, 5.00: 24.0},  # chin, mouth, nose
    sections=(
        (-1.45, 0, 0, 0, 0, -8), (-1.25, 70, 110, 0, 0, -8), (-0.70, 102, 165, 0, 0, -8), (0.00, 106, 164, 0, 0, 0),
        (0.55, 98, 152, 0, 0, 2), (1.00, 94, 143, 0, 0, 0), (1.50, 92, 138, 0, 0, 0), (2.00, 97, 141, 0, 0, 0),
        (2.55, 108, 150, 0, 0, 2), (3.00, 114, 158, 0, 0, 0), (3.35, 112, 160, 0, 0, -4), (3.65, 100, 174, 0, 0, -8),
        (3.85, 80, 168, 0, 0, -8), (3.97, 60, 108, 0, 4, -4), (4.00, 57, 64, 0, 0, 0), (4.25, 52, 54, 0, 0, 0),
        (4.55, 74, 50, 0, 0, 14), (4.78, 86, 66, 0, 0, 3), (5.00, 92, 73, 0, 0, 0),
        (5.27, 96, 77, 0, 0, -9), (5.60, 93, 74, 0, 0, -8), (5.85, 68, 55, 0, 0, -4), (5.96, 36, 29, 0, 0, 0),
        (6.00, 0, 0, 0, 0, 0)))
LEG = Tube(
    chain=('root', 'left_hip', 'left_knee', 'left_ankle'), axes=(X, Z), sides=10,
    sections=(
        (0.75, 0, 0, 15, 25, 0), (0.85, 55, 62, 8, 12, 0), (1.00, 76, 88, 0, 0, 0), (1.15, 79, 89, -2, 0, 0),
        (1.35, 71, 82, -2, 0, 0), (1.60, 61, 70, -1, 0, 0), (1.85, 52, 60, 0, 0, 0), (2.00, 48, 56, 0, 0, 0),
        (2.15, 48, 56, 0, 0, -4), (2.35, 50, 58, 0, 0, -11), (2.60, 42, 49, 0, 0, -8), (2.85, 32, 37, 0, 0, -3),
        (3.00, 31, 36, 0, 0, 0), (3.08, 0, 0, 0, 0, 0)))
FOOT = Tube(
    chain=('left_ankle', 'left_foot'), axes=(X, Y), sides=8, power=2.4,
    sections=(
        (-0.40, 0, 0, 0, -77, 0), (-0.35, 24, 18, 0, -76, 0), (-0.15, 33, 32, 0, -51, 0), (0.12, 35, 38, 0, -30, 0),
        (0.42, 38, 30, 0, -21, 0), (0.73, 42, 21, 0, -13, 0), (1.00, 46, 19, 0, 0, 0), (1.27, 44, 15, 0, 11, 0),
        (1.47, 32, 11, -3, 18, 0), (1.56, 0, 0, -4, 22, 0)))
ARM = Tube(
    chain=('left_collar', 'left_shoulder', 'left_elbow', 'left_wrist', 'left_hand'), axes=(Y, Z), sides=8,
    sections=(
        (0.70, 0, 0, 0, -6, 0), (0.80, 32, 40, 0, -4, 0), (1.00, 41, 53, 0, 0, 0), (1.13, 48, 54, 0, -9, 0),
        (1.50, 44, 47, 0, -4, 0), (2.00, 35, 38, 0, 0, 0), (2.15, 37, 40, 0, 0, 0),
        (2.35, 35, 39, 0, 0, 0), (2.70, 26, 31, 0, 0, 0), (3.00, 20, 27, 0, 0, 0), (3.35, 18, 36, 0, 0, 2),
        (4.00, 15, 42, 0, 0, 0), (4.65, 12, 37, 0, 0, -1), (5.05, 8, 25, 0, 0, -3), (5.15, 0, 0, 0, 0, -3)))
THUMB = Tube(
    chain=('left_wrist', 'left_hand'), axes=(X, Y), sides=6,
    sections=((0.25, 0, 0, 0, 0, 12), (0.30, 16, 13, 0, -2, 24), (0.60, 13, 11, 0, -5, 48), (0.85, 10, 9, 0, -7, 68),
              (0.95, 0, 0, 0, -8, 78)))
# The middle tube, then those of the left side, which the right side mirrors.
TUBES = (TRUNK, LEG, FOOT, ARM, THUMB)
# Shape coefficient that thickens the body around a joint.
GIRTHS = {
    'root': 'hips', 'spine1': 'hips', 'spine2': 'spine', 'spine3': 'shoulders', 'neck': 'neck', 'head': 'head',
    'head_top': 'head', 'left_hip': 'thigh', 'left_knee': 'shank', 'left_ankle': 'shank', 'left_foot': 'foot',
    'left_collar': 'shoulders', 'left_shoulder': 'upper_arm', 'left_elbow': 'forearm', 'left_wrist': 'forearm',
    'left_hand': 'forearm'}
# By which share a joint bent by 90 degrees swells, against the thinning of linear blending.
SWELLING = {'left_elbow': 0.30, 'left_knee': 0.30}
SHRUG = 0.7  # of the skin over the shoulder, the share that goes with the collar bone
MM_PER_METRE = 1000.0


@cache
def synthetic_body() -> Body:
    """Return the body: 24 joints, 10 shape coefficients (``SHAPES``). Its arrays cannot be written to."""
    parts = _parts()
    starts = np.cumsum([0, *(len(part['ring']) for part in parts)])
    joined = _joined()
    arrays = dict(
        template=joined['template'] / MM_PER_METRE, shape_dirs=joined['shape_dirs'] / MM_PER_METRE,
        pose_dirs=joined['pose_dirs'] / MM_PER_METRE, joint_regressor=_ring_means()[:SMPL.num_joints],
        parents=np.array(SMPL.parents), skin_weights=joined['skin_weights'],
        faces=np.concatenate([part['faces'] + start for part, start in zip(parts, starts)]))
    for array in arrays.values():
        array.setflags(write=False)
    return Body(**arrays)


@cache
def synthetic_regressor() -> np.ndarray:
    """Return the regressor (17, V) of Human3.6M joints. It cannot be written to."""
    means = _ring_means()
    regressor = means[list(H36M_SOURCES)]
    regressor[0] = (regressor[1] + regressor[4]) / 2
    regressor[10] = means[POINTS.index('head_top')]
    regressor.setflags(write=False)
    return regressor


def _ring_means() -> np.ndarray:
    """Return the rows (25, V) that take the mean of the ring around each point."""
    is_in_ring = _joined()['ring'] == np.arange(len(POINTS))[:, None]
    for side in ('left', 'right'):  # the collar bones turn about the base of the neck
        is_in_ring[POINTS.index(f'{side}_collar')] = is_in_ring[POINTS.index('neck')]
    return is_in_ring / is_in_ring.sum(axis=1, keepdims=True)


@cache
def _parts() -> tuple[dict, ...]:
    """Return the arrays of each tube: of the middle one, of the left side, of the right side."""
    parts = [_make_part(tube) for tube in TUBES]
    return (*parts, *(_mirror(part) for part in parts[1:]))


@cache
def _joined() -> dict[str, np.ndarray]:
    """Join the vertices of all tubes."""
    names = [name for name in _parts()[0] if name != 'faces']
    return {name: np.concatenate([part[name] for part in _parts()]) for name in names}


def _make_part(tube: Tube) -> dict:
    """Return the arrays of one tube, lengths in mm; ``ring`` is the point in whose ring a vertex lies, or -1."""
    skin, chain = make_skin(tube), [POINTS.index(joint) for joint in tube.chain]
    is_whole = skin.places == skin.places.round()
    girths = np.eye(len(SHAPES))[[list(SHAPES).index(GIRTHS[joint]) for joint in tube.chain]]
    thicker = UNIT * skin.offsets[..., None] * along(skin.places, girths)[:, None]
    return dict(template=along(skin.places, place(mean_offsets())[chain]) + skin.offsets,
                shape_dirs=along(skin.places, place(offset_dirs())[chain]) + thicker,
                pose_dirs=_swelling(tube, skin), skin_weights=_skin_weights(tube, skin),
                ring=np.where(is_whole, np.array(chain)[np.where(is_whole, skin.places, 0).astype(int)], -1),
                faces=skin.faces)


def _skin_weights(tube: Tube, skin: Skin) -> np.ndarray:
    """Return by which share each joint moves each vertex (V, 24)."""
    weights = np.zeros((len(skin.places), len(POINTS)))
    weights[:, [POINTS.index(joint) for joint in tube.chain]] = rotation_shares(tube, skin.places)
    if tube is TRUNK:
        for side, sign in (('left', 1), ('right', -1)):  # the shoulder girdle
            share = SHRUG * rise(skin.places, 3.2, 3.8) * rise(sign * skin.offsets[:, X], 65.0, 135.0)
            moved = share * weights[:, POINTS.index('spine3')]
            weights[:, POINTS.index(f'{side}_collar')] = moved
            weights[:, POINTS.index('spine3')] -= moved
    return weights[:, :SMPL.num_joints]


def _swelling(tube: Tube, skin: Skin) -> np.ndarray:
    """Return the pose directions (V, 3, 207): bent joints swell with 1 - cos of their angle, about whatever axis."""
    directions = np.zeros((len(skin.places), 3, SMPL.num_joints - 1, 9))
    for joint, share in SWELLING.items():
        if joint in tube.chain:
            near = share * bend_shares(tube, joint, skin.places)[:, None] * skin.offsets
            # The trace of a rotation minus identity is 2 * (cos - 1).
            directions[:, :, SMPL.index(joint) - 1, ::4] = -near[..., None] / 2
    return directions.reshape(len(skin.places), 3, -1)


def _mirror(part: dict) -> dict:
    """Return the arrays of the same tube on the other side."""
    flips = np.array(SMPL.flip_indices)
    turns = np.outer(np.diag(MIRROR), np.diag(MIRROR)).reshape(-1)  # signs of the entries of a mirrored rotation
    pose_dirs = part['pose_dirs'].reshape(len(part['ring']), 3, -1, 9)[:, :, flips[1:] - 1] * turns
    return dict(template=part['template'] @ MIRROR, shape_dirs=MIRROR @ part['shape_dirs'],
                pose_dirs=MIRROR @ pose_dirs.reshape(part['pose_dirs'].shape),
                skin_weights=part['skin_weights'][:, flips],
                ring=np.where(part['ring'] < 0, -1, flips[part['ring']]),
                faces=part['faces'][:, ::-1])
