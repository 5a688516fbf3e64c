"""Stores that data sets make on first use: whole or not at all, once, whatever number of processes asks."""
from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional

from mmengine.dist import broadcast_object_list, is_main_process

from motionbert_mm.datasets.motion_store import INDEX_NAME, MotionStore


def find_or_make(path: Path, note: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
    """Return ``path`` with a store whose info holds ``note``; make the store unless it is there.

    Folders above are made. When several processes make it at once, the first one wins and the others use its store.
    One of another note is replaced; a torn one is refused with an error.

    Args:
        path: the store.
        note: facts that tell whether the store can be used again; plain types of JSON.
        write: makes the store, with ``note`` in its info, in the folder that it is given.
    """
    if _is_made(path, note):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent) as work:
        made = Path(work) / 'store'
        write(made)
        if path.exists() and not _is_made(path, note):
            shutil.move(str(path), str(Path(work) / 'stale'))
        try:
            made.rename(path)
        except OSError:
            if not _is_made(path, note):  # otherwise another process was faster
                raise
    return path


def find_or_make_in_main_process(path: Path, note: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
    """Do ``find_or_make`` in the main process while the others wait; for stores whose making takes long.

    All processes of a group must call this. Where the main one fails, all raise its error; one that does not see
    the store, on a machine with a disk of its own, makes it too.
    """
    failure: list[Optional[Exception]] = [None]
    if is_main_process():
        try:
            find_or_make(path, note, write)
        except Exception as error:  # the others would wait for ever
            failure = [error]
    broadcast_object_list(failure)
    if failure[0] is not None:
        raise failure[0]
    return find_or_make(path, note, write)


def _is_made(path: Path, note: Mapping[str, Any]) -> bool:
    """Tell whether ``path`` is a store with this note; a torn one is refused with an error."""
    if not (path / INDEX_NAME).is_file():
        return False
    info = MotionStore(path).info
    return all(key in info and info[key] == value for key, value in note.items())
