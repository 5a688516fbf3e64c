"""Read JSON, .npy and .npz files of plain data; any damage becomes one error that names the file."""
from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

MAX_LISTED = 12  # arrays of a file that an error names


def read_json(path: Union[str, Path], cure: str) -> Any:
    """Read a JSON file, with or without a byte order mark.

    Args:
        path: the file.
        cure: what to do about a damaged file; ends the message.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is empty, truncated or no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding='utf-8-sig'))
    except (ValueError, RecursionError) as error:  # wrong bytes, wrong grammar, thousands of brackets
        raise ValueError(f'{path}: empty, truncated or no JSON ({error}); {cure}') from None


def read_npy(path: Union[str, Path], cure: str, *, mmap_mode: Optional[str] = None) -> np.ndarray:
    """Read an .npy file without running code.

    Args:
        path: the file.
        cure: what to do about a missing or damaged file; ends the message.
        mmap_mode: as of ``numpy.load``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is truncated, no .npy, or holds Python objects.
    """
    with _damage_named(path, '.npy', cure):
        array = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError('it is an .npz')
        return array


def read_npz(path: Union[str, Path], cure: str, *, required: Sequence[str] = (),
             optional: Optional[Sequence[str]] = None) -> dict[str, np.ndarray]:
    """Read arrays of an .npz file whole and without running code.

    Args:
        path: the file.
        cure: what to do about a missing or damaged file; ends the message.
        required: names that must be there.
        optional: other names to read; None reads everything.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is truncated, no .npz, lacks an array, or holds Python objects.
    """
    with _damage_named(path, '.npz', cure):
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            raise ValueError('it is an .npy')
        with content:
            found = list(content.files)
            wanted = found if optional is None else [*required, *optional]
            arrays = {name: content[name] for name in wanted if name in found}
    missing = [name for name in required if name not in found]
    if missing:
        raise ValueError(f'{path} lacks {", ".join(missing)}; it holds {", ".join(sorted(found)[:MAX_LISTED])}; {cure}')
    return arrays


@contextmanager
def _damage_named(path: Union[str, Path], kind: str, cure: str) -> Iterator[None]:
    """Turn whatever reading a damaged file raises into one kind of error."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such file, expected an {kind}; {cure}') from None
    except Exception as error:  # a damaged file raises any type
        # numpy takes a file of any other kind for a pickle and says how to run it.
        reason = 'it holds Python objects, or is of another kind' if 'pickle' in str(error).lower() else error
        raise ValueError(f'{path}: truncated or no {kind} of plain arrays ({reason}); {cure}') from None
