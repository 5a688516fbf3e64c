"""From overlapping windows back to whole sequences."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def merge_frames(frame_ids: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average the rows that belong to the same frame.

    Args:
        frame_ids: (N,) source frame of each row, in any order.
        values: (N, ...) float; NaN marks entries that do not count.

    Returns:
        (F,) the distinct frames in ascending order, and (F, ...) their means, in the dtype of ``values``; NaN where no
        row counts.
    """
    order = np.argsort(frame_ids, kind='stable')
    frames, starts = np.unique(frame_ids[order], return_index=True)
    if len(frames) == len(order):
        return frames, values[order]
    values = values[order]
    missing = np.isnan(values)
    sums = np.add.reduceat(np.where(missing, 0.0, values), starts, axis=0, dtype=np.float64)
    counts = np.add.reduceat(~missing, starts, axis=0, dtype=np.int64)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return frames, means.astype(values.dtype)


def merge_windows(windows: Iterable[Mapping[str, Any]],
                  field: str = 'keypoints_3d') -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Join the windows of each sequence; frames that several windows cover are averaged.

    A window that occurs twice (a distributed sampler pads its last batch with copies) counts once. Where a window
    holds padded copies of a frame, marked by ``visible`` False, the copies count only if no other row shows the frame.

    Args:
        windows: samples as dicts: ``sample_id``, ``frame_ids`` (T,), ``field`` (M, T, ...), array or tensor, and, if
            known, ``visible`` (M, T, J).
        field: what to merge.

    Returns:
        by sample_id: (F,) ascending frame ids and (M, F, ...) merged values.
    """
    rows: dict[str, dict[bytes, tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for window in windows:
        ids, values = as_array(window['frame_ids']).astype(np.int64), as_array(window[field])
        if len(ids) != values.shape[1]:
            raise ValueError(f'{window["sample_id"]}: {field} has {values.shape[1]} frames on axis 1 but frame_ids '
                             f'{len(ids)}; the head must set frame_ids of the frames that it predicts')
        visible = window.get('visible')
        shown = np.ones(len(ids), bool) if visible is None else as_array(visible).astype(bool).any(axis=(0, 2))
        rows.setdefault(window['sample_id'], {})[ids.tobytes()] = ids, np.moveaxis(values, 1, 0), shown
    return {name: _merge_rows(list(parts.values())) for name, parts in rows.items()}


def as_array(values: Any) -> np.ndarray:
    """Turn a tensor of any device and precision, or a sequence, into an array."""
    if hasattr(values, 'detach'):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
        return values.numpy()
    return np.asarray(values)


def _merge_rows(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Merge (ids, values (T, M, ...), shown) of one sequence into ids and values (M, F, ...)."""
    ids, values, shown = (np.concatenate(column) for column in zip(*parts))
    keep = shown | ~np.isin(ids, ids[shown])
    frames, merged = merge_frames(ids[keep], values[keep])
    return frames, np.moveaxis(merged, 0, 1)
