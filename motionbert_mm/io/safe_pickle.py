"""Read pickles of strangers, also those inside .npz files: numpy arrays and plain containers, nothing else.

A caller that knows which other classes a file names may give stand-ins for them, which keep data and run nothing.
"""
from __future__ import annotations

import codecs
import collections
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Optional, Union

import numpy as np


class UnsafePickleError(ValueError):
    """A pickle holds something that is neither a numpy array nor a plain container."""


class StandIn:
    """Stands for an object of a class that is not imported: keeps its state and does nothing.

    Attributes:
        state: what the pickle sets, usually a dictionary of attributes.
    """

    state: Any = None

    def __new__(cls, *args: Any) -> StandIn:
        """Make it, whatever the arguments."""
        return super().__new__(cls)

    def __init__(self, *args: Any) -> None:
        """Ignore the arguments, which may be anything."""

    def __setstate__(self, state: Any) -> None:
        """Keep the state."""
        self.state = state

    def field(self, name: str) -> Any:
        """Return an entry of the state, or raise a ValueError."""
        if not isinstance(self.state, dict) or name not in self.state:
            raise ValueError(f'the pickled object has no {name!r}')
        return self.state[name]


class _ArrayType:
    """Stands for numpy.ndarray inside a pickle, where it is only named, never called."""

    def __new__(cls, *args: Any) -> None:
        raise UnsafePickleError('the pickle calls numpy.ndarray itself, which numpy.save and pickle.dump never write')


def _checked_dtype(dtype: Any) -> np.dtype:
    """Return a dtype of plain numbers, text or objects whose flags tell the truth.

    A pickle may set any field and flag of a dtype; a false one makes numpy take bytes for pointers.
    """
    is_plain = isinstance(dtype, np.dtype) and dtype.kind in 'biufcSUOMm' and dtype.fields is None
    if not is_plain or dtype.flags != np.dtype(dtype.str).flags:
        raise UnsafePickleError(f'the pickle holds an array of dtype {dtype!r}; '
                                'only plain numbers, text, times and objects are admitted')
    return dtype


def _new_array(kind: type, shape: tuple, code: Any) -> np.ndarray:
    """Make the empty array whose content the pickle sets next."""
    if kind is not _ArrayType:
        raise UnsafePickleError(f'the pickle rebuilds an array of type {kind!r}; only numpy.ndarray is admitted')
    return np.ndarray.__new__(np.ndarray, shape, _checked_dtype(np.dtype(code)))


def _new_scalar(dtype: np.dtype, raw: Union[bytes, str] = b'') -> np.generic:
    """Make one numpy scalar from its bytes."""
    if _checked_dtype(dtype).hasobject:
        raise UnsafePickleError(f'the pickle holds a scalar of dtype {dtype}; only numbers and text are admitted')
    raw = raw.encode('latin1') if isinstance(raw, str) else raw
    return np.frombuffer(raw, dtype=dtype, count=1)[0] if dtype.itemsize else np.zeros(1, dtype)[0]


def _array_from_buffer(buffer: Any, dtype: np.dtype, shape: tuple, order: str) -> np.ndarray:
    """Make an array from the buffer that pickle protocol 5 keeps in the file."""
    return np.frombuffer(buffer, dtype=_checked_dtype(dtype)).reshape(shape, order=order)


def _bytes_from_text(text: str, encoding: str) -> bytes:
    """Undo how Python 3 writes bytes under pickle protocol 2."""
    if codecs.lookup(encoding).name != 'iso8859-1':
        raise UnsafePickleError(f'the pickle asks for the codec {encoding!r}; only latin1 is admitted')
    return text.encode('latin1')


def _new_stand_in(kind: Any, base: Any, state: Any) -> StandIn:
    """Make a stand-in as pickle protocols 0 and 1 make objects."""
    if not (isinstance(kind, type) and issubclass(kind, StandIn)) or base is not StandIn or state is not None:
        raise UnsafePickleError(f'the pickle rebuilds an object of type {kind!r}')
    return kind()


# numpy 1 says numpy.core, numpy 2 numpy._core; Python 2 says __builtin__.
_ADMITTED = {
    ('numpy', 'ndarray'): _ArrayType,
    ('numpy', 'dtype'): np.dtype,
    ('_codecs', 'encode'): _bytes_from_text,
    ('collections', 'OrderedDict'): collections.OrderedDict,
    ('collections', 'defaultdict'): collections.defaultdict,
}
for _core in ('numpy.core', 'numpy._core'):
    _ADMITTED[f'{_core}.multiarray', '_reconstruct'] = _new_array
    _ADMITTED[f'{_core}.multiarray', 'scalar'] = _new_scalar
    _ADMITTED[f'{_core}.numeric', '_frombuffer'] = _array_from_buffer
for _builtins in ('builtins', '__builtin__'):
    for _kind in (bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, slice):
        _ADMITTED[_builtins, _kind.__name__] = _kind


# How protocols 0 and 1 write objects in Python 2 and 3; admitted with stand-ins only.
_OBJECT_MAKERS = {('copy_reg', '_reconstructor'): _new_stand_in, ('copyreg', '_reconstructor'): _new_stand_in,
                  ('__builtin__', 'object'): StandIn, ('builtins', 'object'): StandIn}


class _RestrictedUnpickler(pickle.Unpickler):
    """Resolve the admitted globals to functions that are safe whatever their arguments."""

    def __init__(self, file: BinaryIO, stand_ins: Optional[Mapping[tuple[str, str], type[StandIn]]] = None) -> None:
        super().__init__(file, encoding='latin1')
        self._admitted = {**_ADMITTED, **_OBJECT_MAKERS, **stand_ins} if stand_ins else _ADMITTED

    def find_class(self, module: str, name: str) -> Any:
        """Return what takes the place of an admitted global."""
        if (module, name) not in self._admitted:
            raise UnsafePickleError(
                f'the pickle asks for the global {module}.{name}; only numpy arrays and plain containers are '
                'admitted, because anything else can run code; if you trust its origin, open it yourself and '
                'save its arrays with numpy.savez')
        return self._admitted[module, name]


def _check_content(root: Any) -> None:
    """Check the dtype of every array inside nested containers before anyone reads an element."""
    stack, seen = [root], set()
    while stack:
        item = stack.pop()
        if not isinstance(item, (list, tuple, dict, np.ndarray, StandIn)) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, StandIn):
            stack.append(item.state)
        elif isinstance(item, np.ndarray):
            stack.extend(item.ravel().tolist() if _checked_dtype(item.dtype).hasobject else ())
        else:
            stack.extend(item.values() if isinstance(item, dict) else item)


def load(path: Union[str, Path], *, stand_ins: Optional[Mapping[tuple[str, str], type[StandIn]]] = None) -> Any:
    """Read a pickle that holds numpy arrays, numbers, text and plain containers.

    Text of Python 2 is decoded as latin1, which its numpy arrays need.

    Args:
        path: file written by ``pickle.dump``, any protocol, numpy 1 or 2.
        stand_ins: (module, name) of classes that the file may name besides -> what takes their place.

    Returns:
        The object.

    Raises:
        FileNotFoundError: there is no such file.
        UnsafePickleError: the file asks for any other global; the message names it.
        ValueError: the file is empty, truncated or no pickle.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file; expected a pickle')
    with path.open('rb') as file:
        try:
            return _unpickle(file, stand_ins)
        except UnsafePickleError as error:
            raise UnsafePickleError(f'{path}: {error}') from None
        except Exception as error:  # a damaged stream raises any type; to the caller all mean the same
            raise ValueError(f'{path}: not a complete pickle ({type(error).__name__}: {error}); expected a file '
                             'written by pickle.dump; copy or download it again') from error


def load_npz(path: Union[str, Path]) -> dict[str, np.ndarray]:
    """Read an .npz file whose arrays may hold objects, that is, pickles.

    Args:
        path: file written by ``numpy.savez`` or ``numpy.savez_compressed``, numpy 1 or 2.

    Returns:
        All arrays by name.

    Raises:
        FileNotFoundError: there is no such file.
        UnsafePickleError: an array of objects asks for anything that ``load`` does not admit.
        ValueError: the file is truncated or no .npz.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file; expected an .npz')
    name = ''
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {}
            for name in archive.namelist():
                arrays[name.removesuffix('.npy')] = _read_member(archive, name)
            return arrays
    except UnsafePickleError as error:
        raise UnsafePickleError(f'{path}: {name}: {error}') from None
    except Exception as error:  # as above
        raise ValueError(f'{path}: not a complete .npz file ({name}: {type(error).__name__}: {error}); expected a '
                         'file written by numpy.savez; copy or download it again') from error


def _unpickle(file: BinaryIO, stand_ins: Optional[Mapping[tuple[str, str], type[StandIn]]] = None) -> Any:
    content = _RestrictedUnpickler(file, stand_ins).load()
    _check_content(content)
    return content


def _read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read one array of an .npz; numpy itself reads all but arrays of objects."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        is_first = version == (1, 0)
        _, _, dtype = (np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0)(file)
        if dtype.hasobject:
            return np.asarray(_unpickle(file), dtype=object)
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
