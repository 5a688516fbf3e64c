"""Content of a checkpoint as tensors and plain containers."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer


def to_plain(value: Any) -> Any:
    """Return ``value`` with containers, numpy values and log histories made plain; text for what is unknown."""
    if isinstance(value, HistoryBuffer):
        values, counts = value.data
        return dict(values=torch.tensor(np.asarray(values, np.float64)), counts=torch.tensor(np.asarray(counts)),
                    max_length=value.max_length)
    if isinstance(value, dict):
        return {key: to_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(to_plain(entry) for entry in value)
    if isinstance(value, (np.ndarray, np.generic)):
        return torch.from_numpy(value) if isinstance(value, np.ndarray) and value.dtype.kind in 'fiub' \
            else value.tolist()
    if value is None or isinstance(value, (bool, int, float, str, bytes, torch.Tensor)):
        return value
    return str(value)
