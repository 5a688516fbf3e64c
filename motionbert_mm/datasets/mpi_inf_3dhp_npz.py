"""MPI-INF-3DHP as P-STMO prepares it: ``data_train_3dhp.npz`` and ``data_test_3dhp.npz``.

Each holds one array of objects without axes, ``data``, a dict::

    train: {'S1 Seq1': [{'0': {'data_2d': (n, 17, 2) px, 'data_3d': (n, 17, 3) mm}, ...}, 25], ...}
    test:  {'TS1': {'data_2d': ..., 'data_3d': ..., 'valid': (n,) 0 or 1}, ...}

A training sequence has its cameras and its frame rate. 3D poses are those of ``univ_annot3``.
Official: common/data_to_npz_3dhp.py, common/load_data_3dhp_mae.py.
"""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from motionbert_mm.datasets.mpi_inf_3dhp import (
    OFFICIAL_CAMERAS,
    SPLITS,
    TRAIN,
    MPIInf3DHPFiles,
    View,
    order_sequences,
)
from motionbert_mm.datasets.pose_files import object_dict
from motionbert_mm.io import safe_pickle


class PSTMOFiles(MPIInf3DHPFiles):
    """One or both of the two files, told apart by what they hold.

    Args:
        paths: the files.
        cameras: see ``MPIInf3DHPFiles``.
        fps: see ``MPIInf3DHPFiles``.

    Raises:
        FileNotFoundError, ValueError: see ``io.safe_pickle.load_npz``.
        ValueError: two files of one split, unknown sequences, or another layout.
    """

    def __init__(self, paths: Sequence[str | os.PathLike], *, cameras: Sequence[int] = OFFICIAL_CAMERAS,
                 fps: Optional[float] = None) -> None:
        super().__init__(cameras=cameras, fps=fps)
        self._entries: dict[str, Any] = {}  # by sequence
        self._paths: dict[str, str] = {}  # by split
        for path in paths:
            split, entries = _sort(object_dict(safe_pickle.load_npz(path), 'data', path), str(path))
            if split in self._paths:
                raise ValueError(f'{self._paths[split]} and {path} both hold {split} sequences; give one file of each '
                                 'split')
            self._paths[split] = str(path)
            self._entries.update(entries)

    def sequences(self, split: str) -> list[str]:
        """Name the sequences of a split that the files have."""
        return [name for name in SPLITS[split] if name in self._entries]

    def place(self, name: str) -> str:
        """Say where a sequence lies, for messages."""
        return f'{self._paths["train" if name in TRAIN else "test"]}: {name}'

    def view(self, name: str, camera: Optional[int]) -> View:
        """Read a sequence seen by one camera."""
        entry, place = self._entries[name], self.place(name)
        if camera is None:
            arrays = _fields(entry, ('data_2d', 'data_3d', 'valid'), place)
            return View(arrays['data_2d'], arrays['data_3d'], valid=arrays['valid'].reshape(-1))
        if not isinstance(entry, (list, tuple)) or not entry or not isinstance(entry[0], Mapping):
            raise ValueError(f'{place} is {type(entry).__name__}, expected a list of a dict of cameras and the frame '
                             'rate')
        _check_rate(entry, name, place)
        views = {str(number): view for number, view in entry[0].items()}
        if str(camera) not in views:
            raise ValueError(f'{place} has the cameras {", ".join(sorted(views))}, but not {camera}; choose others '
                             'with --cameras')
        arrays = _fields(views[str(camera)], ('data_2d', 'data_3d'), f'{place}.{camera}')
        return View(arrays['data_2d'], arrays['data_3d'])


def _sort(content: dict, path: str) -> tuple[str, dict]:
    """Return the split of a file and its sequences, named as in ``TRAIN`` and ``TEST``."""
    split = 'test' if content and all(str(name).startswith('TS') for name in content) else 'train'
    entries = {str(name).replace(' ', '/'): entry for name, entry in content.items()}
    if not order_sequences(entries, split, path):
        raise ValueError(f'{path} holds no sequence')
    return split, entries


def _fields(entry: Any, names: Sequence[str], place: str) -> dict[str, np.ndarray]:
    missing = [name for name in names if name not in entry] if isinstance(entry, Mapping) else list(names)
    if missing:
        found = sorted(map(str, entry)) if isinstance(entry, Mapping) else type(entry).__name__
        raise ValueError(f'{place} lacks {", ".join(missing)}; it holds {found}')
    return {name: np.asarray(entry[name]) for name in names}


def _check_rate(entry: Sequence, name: str, place: str) -> None:
    """Refuse a frame rate that is not that of the data set; some files have none."""
    if len(entry) > 1 and entry[1] != TRAIN[name].fps:
        raise ValueError(f'{place} has {entry[1]} frames per second, MPI-INF-3DHP has {TRAIN[name].fps:g} in this '
                         'sequence; make the file again')
