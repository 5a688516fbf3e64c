"""A made-up SMPL+H body, its regressor and motions, in the file layouts of AMASS and of the smplx package."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from motionbert_mm.structures.skeleton import get_skeleton

NUM_JOINTS, NUM_BETAS, VERTICES_PER_JOINT = 52, 16, 4
SMPL = get_skeleton('smpl24')
# Rest pose in metres, y up, facing z, of the left side and the middle; the right side is its mirror image.
REST = {'root': (0, -0.2, 0), 'left_hip': (0.07, -0.3, 0), 'spine1': (0, -0.1, 0), 'left_knee': (0.1, -0.7, 0),
        'spine2': (0, 0.05, 0), 'left_ankle': (0.09, -1.1, 0), 'spine3': (0, 0.1, 0), 'left_foot': (0.12, -1.15, 0.12),
        'neck': (0, 0.3, 0), 'left_collar': (0.08, 0.2, 0), 'head': (0, 0.4, 0.03), 'left_shoulder': (0.18, 0.22, 0),
        'left_elbow': (0.45, 0.2, 0), 'left_wrist': (0.7, 0.21, 0)}
# Human3.6M joint -> joints of SMPL whose vertices make it.
H36M_FROM = {'spine': ('spine2',), 'thorax': ('neck',), 'nose': ('neck', 'head')}


def joint_parents() -> np.ndarray:
    """Parents of the 52 joints: 22 of SMPL, then five fingers of three joints at each wrist."""
    fingers = [wrist if joint % 3 == 0 else 22 + 15 * hand + joint - 1
               for hand, wrist in enumerate((20, 21)) for joint in range(15)]
    return np.array([*SMPL.parents[:22], *fingers])


def joint_places() -> np.ndarray:
    """Rest places of the 52 joints (52, 3)."""
    places = np.zeros((NUM_JOINTS, 3))
    for joint, name in enumerate(SMPL.joints[:22]):
        left = name.replace('right_', 'left_')
        places[joint] = np.multiply(REST[left], (-1 if name != left else 1, 1, 1))
    for joint, parent in list(enumerate(joint_parents()))[22:]:
        places[joint] = places[parent] + np.array([0.03 * np.sign(places[parent][0]), 0, 0])
    return places


def make_body(num_vertices: int = NUM_JOINTS * VERTICES_PER_JOINT, seed: int = 0) -> dict:
    """Arrays of a body; the first vertices lie in fours around the joints, more of them anywhere."""
    rng, joints = np.random.default_rng(seed), np.arange(num_vertices) // VERTICES_PER_JOINT % NUM_JOINTS
    parents = joint_parents()
    offsets = rng.uniform(-0.02, 0.02, (num_vertices, 3))
    core = slice(0, NUM_JOINTS * VERTICES_PER_JOINT)
    offsets[core] -= np.repeat(offsets[core].reshape(NUM_JOINTS, -1, 3).mean(1), VERTICES_PER_JOINT, axis=0)
    regressor, weights = np.zeros((NUM_JOINTS, num_vertices)), np.zeros((num_vertices, NUM_JOINTS))
    regressor[joints[core], np.arange(num_vertices)[core]] = 1 / VERTICES_PER_JOINT
    weights[np.arange(num_vertices), joints] = 0.7
    weights[np.arange(num_vertices), np.maximum(parents[joints], 0)] += 0.3
    tree = np.stack([parents, np.arange(NUM_JOINTS)]).astype(np.uint32)  # the root's parent wraps round, as in files
    return dict(v_template=joint_places()[joints] + offsets,
                shapedirs=rng.normal(scale=0.01, size=(num_vertices, 3, NUM_BETAS)),
                posedirs=rng.normal(scale=0.002, size=(num_vertices, 3, 9 * (NUM_JOINTS - 1))).astype(np.float32),
                J_regressor=regressor, kintree_table=tree, weights=weights, f=np.zeros((1, 3), np.uint32))


def make_regressor(body: dict) -> np.ndarray:
    """A Human3.6M regressor (17, V) of a body, right leg first."""
    rows = [np.mean([body['J_regressor'][SMPL.index(part)] for part in H36M_FROM.get(joint, (joint,))], axis=0)
            for joint in get_skeleton('h36m').joints]
    return np.stack(rows)


def write_body(folder: Path, name: str = 'male/model.npz', **changes: Any) -> Path:
    """Write a body; ``changes`` replace arrays, None leaves one out."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {**make_body(), **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def make_motion(num_frames: int, fps: float, seed: int = 0) -> dict:
    """A motion as AMASS writes it: limbs swing with time, the body drifts at a constant speed."""
    rng, time = np.random.default_rng(seed), np.arange(num_frames)[:, None] / fps
    swing = np.sin(2 * time + rng.uniform(0, 6, 3 * NUM_JOINTS)) * rng.uniform(0, 0.5, 3 * NUM_JOINTS)
    return dict(poses=swing, trans=np.array([0.1, 0.2, 0.9]) + time * [0.5, -0.3, 0.02],
                betas=rng.normal(size=NUM_BETAS), dmpls=rng.normal(size=(num_frames, 8)), gender=np.array('male'),
                mocap_framerate=np.array(fps))


def write_motion(path: Path, num_frames: int = 40, fps: float = 120.0, seed: int = 0, **changes: Any) -> Path:
    """Write a motion; ``changes`` as in ``write_body``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {**make_motion(num_frames, fps, seed), **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path
