"""What the pickles of the MotionBERT release share: ``{'train', 'test'}`` of arrays over the frames of all videos."""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from motionbert_mm.datasets.human36m import NUM_JOINTS
from motionbert_mm.datasets.pose_files import check_array
from motionbert_mm.io import safe_pickle

SPLITS = ('train', 'test')


def load_splits(path: str | os.PathLike, example: str) -> dict[str, Any]:
    """Read a pickle and return its two splits.

    Args:
        path: the file.
        example: name of an official file of this layout, for the message.

    Raises:
        FileNotFoundError, ValueError: see ``io.safe_pickle.load``.
        ValueError: another content.
    """
    content = safe_pickle.load(path)
    missing = [split for split in SPLITS if not isinstance(content, dict) or split not in content]
    if missing:
        got = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f'{path}: expected a dict of {" and ".join(SPLITS)}, got {got}; this layout is that of '
                         f'{example}')
    return content


def check_split(content: Any, required: Sequence[str], place: str) -> None:
    """Refuse a split that is no dict or lacks arrays."""
    if not isinstance(content, dict):
        raise ValueError(f'{place} is a {type(content).__name__}, expected a dict of arrays')
    missing = [name for name in required if name not in content]
    if missing:
        raise ValueError(f'{place} lacks {", ".join(missing)}; it holds {sorted(map(str, content))}')


def check_lengths(arrays: Mapping[str, np.ndarray], place: str) -> int:
    """Return the number of frames that all arrays share, or refuse them."""
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f'{place}: all arrays need one common, positive number of frames, got {lengths}')
    return next(iter(lengths.values()))


def read_points(content: Mapping[str, Any], name: str, channels: int, place: str) -> np.ndarray:
    """Return the first channels of an array (N, 17, >= channels)."""
    values = np.asarray(content[name])
    if values.ndim == 3 and values.shape[-1] > channels:
        values = values[..., :channels]
    return check_array(values, (None, NUM_JOINTS, channels), f'{place}: {name}')


def read_confidence(values: Any, place: str) -> Optional[np.ndarray]:
    """Return scores (N, 17) of an array (N, 17) or (N, 17, 1), or None."""
    if values is None:
        return None
    values = np.asarray(values)
    return check_array(values[..., 0] if values.shape[2:] == (1,) else values, (None, NUM_JOINTS), place)


def read_texts(values: Any, place: str) -> np.ndarray:
    """Return a list or array of texts, of numbers or of bytes as an array of texts."""
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f'{place} has shape {values.shape}, expected one text for each frame')
    return np.char.decode(values, 'ascii') if values.dtype.kind == 'S' else values.astype(str)


def find_runs(sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first frames and ends of the runs of equal sources (N,), N > 0."""
    starts = np.concatenate([[0], np.flatnonzero(sources[1:] != sources[:-1]) + 1])
    return starts, np.append(starts[1:], len(sources))


def common_value(values: np.ndarray, name: str, key: str, place: str) -> str:
    """Return the text that all frames of a video share.

    Raises:
        ValueError: they have several.
    """
    found = np.unique(values)
    if len(found) > 1:
        raise ValueError(f'{place}: {name} has {key} {found.tolist()}, expected one for the whole video')
    return str(found[0])
