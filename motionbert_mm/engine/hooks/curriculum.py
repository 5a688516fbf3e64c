"""Sources that join the training later."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from motionbert_mm.registry import HOOKS


@HOOKS.register_module()
class CurriculumHook(Hook):
    """Let sources of a ``MixedDataset`` join at an epoch: 3D alone first, then 3D and 2D (MotionBERT, section 3.3).

    Args:
        first_epochs: name of a source -> epoch, counted from 0, in which it joins. Sources that are not named are
            there from the start. Official: ``pretrain_3d_curriculum: 30``.
    """

    def __init__(self, first_epochs: Mapping[str, int]) -> None:
        self.first_epochs = dict(first_epochs)

    def before_run(self, runner: Any) -> None:
        """Tell the batch sampler, before the Runner counts the iterations of the training.

        Raises:
            TypeError: the data loader has no ``SourceBatchSampler``.
        """
        if not isinstance(runner._train_loop, BaseLoop):  # a test, for which no training data are built
            return
        batches = runner.train_dataloader.batch_sampler
        if not hasattr(batches, 'begin_later'):
            raise TypeError(f'CurriculumHook needs the sources kept apart, but the batches come from '
                            f"{type(batches).__name__}; set train_dataloader.batch_sampler=dict(type="
                            "'SourceBatchSampler') and train_dataloader.dataset=dict(type='MixedDataset', ...)")
        batches.begin_later(self.first_epochs)

    def before_train_epoch(self, runner: Any) -> None:
        """Log the sources whenever they change."""
        batches = runner.train_dataloader.batch_sampler
        now = batches.sources(runner.epoch)
        if runner.epoch == 0 or now != batches.sources(runner.epoch - 1):
            runner.logger.info(f'Epoch {runner.epoch + 1} trains on {", ".join(now)}: '
                               f'{batches.num_batches(runner.epoch)} batches')
