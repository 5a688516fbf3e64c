"""The training loop: MMEngine's epoch loop, able to go on in the middle of an epoch."""
from __future__ import annotations

from mmengine.runner import EpochBasedTrainLoop

from motionbert_mm.registry import LOOPS


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """Continue an interrupted epoch with its next batch.

    MMEngine's own loop starts the epoch again, so that a run resumed from a checkpoint of mid-epoch sees
    some samples twice. Needs ``ResumableSampler``, which leaves out what was done without loading it.
    """

    def run_epoch(self) -> None:
        """Iterate one epoch, or the rest of it."""
        done = self._iter - self._epoch * len(self.dataloader)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if done:
            self._skip(done)
        for step, data_batch in enumerate(self.dataloader, start=done):
            self.run_iter(step, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _skip(self, num_batches: int) -> None:
        if not 0 < num_batches <= len(self.dataloader):
            raise ValueError(
                f'the checkpoint stands at iteration {self._iter} of epoch {self._epoch}, but an epoch of this config '
                f'has {len(self.dataloader)} iterations; resume with the batch size, number of processes and data '
                'that the run was started with, or start anew with load_from')
        sampler = self.dataloader.sampler
        if not hasattr(sampler, 'skip'):
            raise TypeError(f'{type(sampler).__name__} cannot start in the middle of an epoch; set '
                            "train_dataloader.sampler=dict(type='ResumableSampler', shuffle=True)")
        sampler.skip(num_batches * self.dataloader.batch_size)
