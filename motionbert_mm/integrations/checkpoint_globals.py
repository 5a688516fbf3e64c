"""Let torch >= 2.6 read what MMEngine's Runner writes, with ``weights_only`` on.

A checkpoint of the Runner holds its log history (``HistoryBuffer``) and numpy arrays and numbers. Of the globals
that its pickle names only the class of the history is admitted as it is; stand-ins take the place of the others,
because the real ones are not safe whatever a file passes to them: ``getattr`` reaches everything, and a numpy dtype
whose flags lie takes bytes for pointers.
"""
from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Callable

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from motionbert_mm.checkpoints.load import global_name


class LoadedDtype:
    """Stands for ``numpy.dtype``: one of plain numbers or text whose state is the one that numpy writes."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        self.dtype = np.dtype(code) if isinstance(code, str) else None
        if self.dtype is None or self.dtype.kind not in 'biufcSU' or self.dtype.fields is not None:
            raise pickle.UnpicklingError(f'the checkpoint holds a numpy dtype {code!r}; only plain numbers and text '
                                         'are admitted')

    def __setstate__(self, state: tuple) -> None:
        """Take the byte order; everything else follows from the code."""
        dtype = self.dtype.newbyteorder(state[1])
        if state[2:] != dtype.__reduce__()[2][2:]:
            raise pickle.UnpicklingError(f'the checkpoint holds a numpy dtype {dtype} with the state {state}, which '
                                         'numpy never writes')
        self.dtype = dtype


class LoadedArray(np.ndarray):
    """Stands for ``numpy.ndarray``: an array of a ``LoadedDtype``; it is saved as a plain array."""

    def __new__(cls, *args: Any) -> None:
        """Refuse; an array is made by ``new_array``."""
        raise pickle.UnpicklingError('the checkpoint calls numpy.ndarray itself, which torch.save never writes')

    def __setstate__(self, state: tuple) -> None:
        """Take shape and content."""
        _, shape, dtype, is_fortran, raw = state
        if not isinstance(dtype, LoadedDtype) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError('the checkpoint holds a numpy array of objects; only numbers and text are '
                                         'admitted')
        super().__setstate__((1, shape, dtype.dtype, is_fortran, raw))

    def __reduce__(self) -> tuple:
        return np.asarray(self).__reduce__()


def new_array(kind: type, shape: tuple, code: Any) -> LoadedArray:
    """Stand for ``numpy.core.multiarray._reconstruct``: the empty array whose state comes next."""
    if kind is not LoadedArray:
        raise pickle.UnpicklingError(f'the checkpoint holds an array of the type {kind!r}; only numpy.ndarray is '
                                     'admitted')
    return np.ndarray.__new__(LoadedArray, (0,), np.uint8)


def new_scalar(dtype: LoadedDtype, raw: bytes) -> np.generic:
    """Stand for ``numpy.core.multiarray.scalar``: one number or text from its bytes."""
    return np.frombuffer(raw, dtype=dtype.dtype, count=1)[0] if dtype.dtype.itemsize else np.zeros(1, dtype.dtype)[0]


def history_method(kind: type, name: str) -> Callable:
    """Stand for ``getattr``, by which a log history names ``min``, ``max``, ``mean`` and ``current`` of its class."""
    if kind is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(f'the checkpoint asks for getattr({kind!r}, {name!r}); only the methods of '
                                     'HistoryBuffer are admitted')
    return getattr(HistoryBuffer, name)


def no_bytes() -> bytes:
    """Stand for ``bytes``, which the pickle of an empty array calls without arguments."""
    return b''


# numpy 1 says numpy.core, numpy 2 numpy._core.
ADMITTED = [(HistoryBuffer, 'mmengine.logging.history_buffer.HistoryBuffer'), (history_method, 'builtins.getattr'),
            (no_bytes, 'builtins.bytes'), (LoadedDtype, 'numpy.dtype'), (LoadedArray, 'numpy.ndarray'),
            *((function, f'numpy.{core}.multiarray.{name}') for core in ('core', '_core')
              for name, function in (('_reconstruct', new_array), ('scalar', new_scalar)))]


def refuses_history() -> bool:
    """Try whether ``torch.load`` refuses what a checkpoint of the Runner holds."""
    file = io.BytesIO()
    torch.save(dict(history=HistoryBuffer([1.0], [1]), score=np.float32(1)), file)
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch 2.4 and 2.5 announce the change
        try:
            torch.load(file)
        except pickle.UnpicklingError:
            return True
    return False


def admit_history() -> Callable[[], None]:
    """Put ``ADMITTED`` in the place of what was admitted under these names; return what undoes it."""
    names = {name for _, name in ADMITTED}
    displaced = [entry for entry in torch.serialization.get_safe_globals() if global_name(entry) in names]
    _change(displaced, ADMITTED)
    return lambda: _change(ADMITTED, displaced)


@contextmanager
def history_admitted() -> Iterator[None]:
    """Read checkpoints of MMEngine's Runner as they are, inside a block; before torch 2.5 they stay refused."""
    undo = admit_history() if hasattr(torch.serialization, 'safe_globals') else lambda: None
    try:
        yield
    finally:
        undo()


def _change(removed: Iterable, added: Iterable) -> None:
    kept = [entry for entry in torch.serialization.get_safe_globals() if entry not in removed]
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([*kept, *added])
