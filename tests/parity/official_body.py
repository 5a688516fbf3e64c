"""The bodies in the vectors of MotionBERT's mesh code, in memory and as files."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.structures.body import Body
from tests.parity.vectors import Vector

KEYS = ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'weights', 'kintree_table', 'f')


def official_body(vector: Vector) -> Body:
    """The body of a vector."""
    template, shape, pose, regressor, weights, kintree, faces = (vector.inputs[key] for key in KEYS)
    parents = kintree[0].astype(np.int64)
    parents[0] = -1
    return Body(template, shape, pose, regressor, parents, weights, faces)


def official_body_model(vector: Vector) -> BodyModel:
    """The body model of a vector, with its regressor and mean parameters."""
    return BodyModel.from_body(official_body(vector), vector.inputs['J_regressor_h36m'],
                               vector.inputs['mean_pose'], vector.inputs['mean_shape'])


def write_official_files(vector: Vector, folder: Path) -> Path:
    """Write the files of the official data/mesh, but for the mean parameters."""
    folder.mkdir()
    np.savez(folder / 'SMPL_NEUTRAL.npz', **{key: vector.inputs[key] for key in KEYS})
    np.save(folder / 'J_regressor_h36m_correct.npy', vector.inputs['J_regressor_h36m'])
    np.save(folder / 'J_regressor_extra.npy', vector.inputs['J_regressor_extra'])
    return folder
