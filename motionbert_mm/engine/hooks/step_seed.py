"""Random numbers that depend on where training is, not on how it got there."""
from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from motionbert_mm.registry import HOOKS


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seed the data set by (seed of the run, epoch) and torch by (seed of the run, iteration, rank).

    Dropout and drop path then draw the same numbers whether a run was interrupted or not, and no state of a
    generator has to be stored.
    """

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner: Any) -> None:
        """Tell the data set the epoch and the seed of the run; its workers see them too."""
        dataset = runner.train_dataloader.dataset
        if hasattr(dataset, 'set_epoch'):
            dataset.set_epoch(runner.epoch, run_seed=runner.seed)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed torch's generators for this step."""
        torch.manual_seed((runner.seed * 1_000_003 + runner.iter) * 4099 + get_rank())
