"""Moves a batch to the device of the model; the pipeline has done everything else."""
from __future__ import annotations

import torch
from mmengine.model import BaseDataPreprocessor

from motionbert_mm.registry import MODELS


@MODELS.register_module()
class MotionDataPreprocessor(BaseDataPreprocessor):
    """Cast and move ``dict(inputs=..., data_samples=...)`` and check its layout once.

    Args:
        non_blocking: copy asynchronously from pinned memory.
    """

    def __init__(self, *, non_blocking: bool = True) -> None:
        super().__init__(non_blocking=non_blocking)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return the batch on the device, inputs (B, M, T, J, C) float32.

        Raises:
            ValueError: inputs of another rank, or none at all.
        """
        inputs = data.get('inputs')
        if not isinstance(inputs, torch.Tensor) or inputs.ndim != 5 or 0 in inputs.shape:
            got = tuple(inputs.shape) if isinstance(inputs, torch.Tensor) else type(inputs).__name__
            raise ValueError(f'inputs must be a tensor (B, M, T, J, C) without empty axes, got {got}; batches come '
                             'from PackInputs and collate_batch, see train_dataloader in the config')
        return self.cast_data({**data, 'inputs': inputs.float()})
