"""Test sequences of MPI-INF-3DHP as the vectors hold them, from the official npz through a store to a batch."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.mpi_inf_3dhp_npz import PSTMOFiles
from motionbert_mm.datasets.pose_files import write_stores
from tests.parity.vectors import Vector


def sequences(vector: Vector) -> list[str]:
    """Names of the sequences."""
    return sorted(key[:-3] for key in vector.inputs if key.endswith('_2d'))


def write_test_store(vector: Vector, folder: Path) -> Path:
    """Write the official file, convert it, and return the store."""
    content = {name: {'data_2d': vector.inputs[f'{name}_2d'], 'data_3d': vector.inputs[f'{name}_3d'],
                      'valid': vector.inputs[f'{name}_valid']} for name in sequences(vector)}
    np.savez_compressed(folder / 'data_test_3dhp.npz', data=content)
    write_stores(PSTMOFiles([folder / 'data_test_3dhp.npz']), folder)
    return folder / 'test'


def fetch(store: Path, name: str, pipeline: Sequence[dict], num_frames: int = 1, **options: Any) -> dict:
    """Read every window of a sequence."""
    data = MotionDataset(str(store), include=[name], input_2d='exact', test_mode=True, pipeline=list(pipeline),
                         window=dict(kind='centre', num_frames=num_frames), **options)
    return data.__getitems__(range(len(data)))
