"""Sources that join the training later, or leave it before the end."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from motionbert_mm.registry import HOOKS


@HOOKS.register_module()
class CurriculumHook(Hook):
    """Let sources of a ``MixedDataset`` join and leave at an epoch: 3D alone first, then 3D and 2D (MotionBERT, 3.3).

    Args:
        first_epochs: name of a source -> epoch, counted from 0, in which it joins. Sources that are not named are
            there from the start. Official: ``pretrain_3d_curriculum: 30``.
        end_epochs: name of a source -> first epoch without it. Sources that are not named stay to the end. Official:
            ``warmup_h36m: 20`` of mesh recovery on 3DPW.

    Raises:
        ValueError: neither, or a source that ends before it begins.
    """

    def __init__(self, first_epochs: Optional[Mapping[str, int]] = None,
                 end_epochs: Optional[Mapping[str, int]] = None) -> None:
        self.first_epochs, self.end_epochs = dict(first_epochs or {}), dict(end_epochs or {})
        never = [name for name, end in self.end_epochs.items() if end <= self.first_epochs.get(name, 0)]
        if never or not (self.first_epochs or self.end_epochs):
            got = f'{never[0]} ends with epoch {self.end_epochs[never[0]]}, before it begins' if never else 'nothing'
            raise ValueError(f'CurriculumHook got {got}; expected first_epochs or end_epochs, epochs counted from 0')

    def before_run(self, runner: Any) -> None:
        """Tell the batch sampler, before the Runner counts the iterations of the training.

        Raises:
            TypeError: the data loader has no ``SourceBatchSampler``.
            ValueError: no such sources, or an epoch without any.
        """
        if not isinstance(runner._train_loop, BaseLoop):  # a test, for which no training data are built
            return
        batches = runner.train_dataloader.batch_sampler
        if not hasattr(batches, 'limit'):
            raise TypeError(f'CurriculumHook needs the sources kept apart, but the batches come from '
                            f"{type(batches).__name__}; set train_dataloader.batch_sampler=dict(type="
                            "'SourceBatchSampler') and train_dataloader.dataset=dict(type='MixedDataset', ...)")
        batches.limit(self.first_epochs, self.end_epochs, runner.max_epochs)

    def before_train_epoch(self, runner: Any) -> None:
        """Log the sources whenever they change."""
        batches = runner.train_dataloader.batch_sampler
        now = batches.sources(runner.epoch)
        if runner.epoch == 0 or now != batches.sources(runner.epoch - 1):
            runner.logger.info(f'Epoch {runner.epoch + 1} trains on {", ".join(now)}: '
                               f'{batches.num_batches(runner.epoch)} batches')
