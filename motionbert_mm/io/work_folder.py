"""Finished pieces of a long conversion, so that a run that was killed goes on where it stopped."""
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Union

import numpy as np

from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.plain_files import read_npz

_SETTINGS, _STAMP = 'settings.json', 'source_stamp'
_CURE = 'remove it and run again'


class WorkFolder:
    """One .npz per source file in a hidden folder beside the output.

    Every piece appears whole or not at all and remembers size and time of its source. Pieces made with other
    settings are removed at the start.

    Args:
        out_dir: the output of the conversion; the folder is its neighbour ``.<name>.parts``.
        settings: plain values that the content of the pieces depends on.
    """

    def __init__(self, out_dir: Union[str, Path], settings: Mapping[str, object]) -> None:
        out_dir = Path(out_dir)
        self.path = out_dir.parent / f'.{out_dir.name}.parts'
        wanted = json.dumps(dict(settings), sort_keys=True)
        file = self.path / _SETTINGS
        if file.is_file() and file.read_text(encoding='utf-8') == wanted:
            return
        self.remove()
        with atomic_path(file) as work:
            work.write_text(wanted, encoding='utf-8')

    def has(self, name: str, source: Path) -> bool:
        """Tell whether the piece of a source file is finished and the file has not changed since."""
        try:
            piece = read_npz(self._piece(name), _CURE, required=(_STAMP,), optional=())
        except (FileNotFoundError, ValueError):  # a crash of the machine may leave a torn one
            return False
        return bool((piece[_STAMP] == _stamp(source)).all())

    def save(self, name: str, source: Path, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the arrays made of a source file under ``name``, which may hold slashes."""
        with atomic_path(self._piece(name)) as work:
            np.savez(work, **{_STAMP: _stamp(source)}, **arrays)

    def load(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays of a piece."""
        arrays = read_npz(self._piece(name), _CURE)
        return {key: values for key, values in arrays.items() if key != _STAMP}

    def remove(self) -> None:
        """Delete all pieces."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _piece(self, name: str) -> Path:
        return self.path / 'pieces' / f'{name}.npz'


def _stamp(source: Path) -> np.ndarray:
    facts = os.stat(source)
    return np.array([facts.st_size, facts.st_mtime_ns])
