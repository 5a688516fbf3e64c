"""The training loop: MMEngine's epoch loop, able to go on in the middle of an epoch."""
from __future__ import annotations

from mmengine.runner import EpochBasedTrainLoop

from motionbert_mm.registry import LOOPS


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """Continue an interrupted epoch with its next batch.

    MMEngine's own loop starts the epoch again, so that a run resumed from a checkpoint of mid-epoch sees
    some samples twice. Needs ``ResumableSampler`` or a batch sampler of this package (``EpochBatches``), which leave
    out what was done without loading it; with the latter, epochs may differ in length.
    """

    @property
    def max_iters(self) -> int:
        """Number of iterations of the whole training."""
        return self._iterations(self._max_epochs)

    def run_epoch(self) -> None:
        """Iterate one epoch, or the rest of it."""
        done = self._iter - self._iterations(self._epoch)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if done:
            self._skip(done)
        for step, data_batch in enumerate(self.dataloader, start=done):
            self.run_iter(step, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _iterations(self, epochs: int) -> int:
        """Number of iterations of the first epochs."""
        batches = self.dataloader.batch_sampler
        if hasattr(batches, 'num_batches'):
            return sum(batches.num_batches(epoch) for epoch in range(epochs))
        return epochs * len(self.dataloader)

    def _skip(self, num_batches: int) -> None:
        length = self._iterations(self._epoch + 1) - self._iterations(self._epoch)
        if not 0 < num_batches <= length:
            raise ValueError(
                f'the checkpoint stands at iteration {self._iter} of epoch {self._epoch}, but that epoch has '
                f'{length} iterations in this config; resume with the batch size, number of processes and data '
                'that the run was started with, or start anew with load_from')
        if hasattr(self.dataloader.batch_sampler, 'skip'):
            self.dataloader.batch_sampler.skip(num_batches)
        elif hasattr(self.dataloader.sampler, 'skip'):
            self.dataloader.sampler.skip(num_batches * self.dataloader.batch_size)
        else:
            raise TypeError(f'{type(self.dataloader.sampler).__name__} cannot start in the middle of an epoch; set '
                            "train_dataloader.sampler=dict(type='ResumableSampler', shuffle=True)")
