"""From the batches of a data set to the tensors of the Runner: sampler and collate function."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Union

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import Dataset, Sampler

from motionbert_mm.registry import DATA_SAMPLERS, FUNCTIONS
from motionbert_mm.structures.motion_sample import MotionSample

ORDER_PIECE = 1 << 12  # samples whose numbers are listed at a time


@FUNCTIONS.register_module()
def collate_batch(results: dict) -> dict:
    """Turn a batch of ``PackInputs`` into tensors: inputs, and one ``MotionSample`` with the batch axis.

    Args:
        results: ``dict(inputs=array, fields=dict of arrays, metainfo=dict)``; arrays may be tensors of a device.

    Returns:
        ``dict(inputs=Tensor (B, M, T, J, C), data_samples=MotionSample)``.

    Raises:
        TypeError: a list of samples, which means that the loader did not use the batched fetch.
    """
    if not isinstance(results, dict) or 'fields' not in results:
        raise TypeError(f'collate_batch expects the batch that PackInputs makes, got {_describe(results)}; end the '
                        "pipeline with dict(type='PackInputs') and leave the batch to MotionDataset.__getitems__")
    fields = {name: _tensor(value) for name, value in results['fields'].items()}
    return dict(inputs=_tensor(results['inputs']),
                data_samples=MotionSample(metainfo=results['metainfo'], **fields))


def _tensor(values: Union[np.ndarray, torch.Tensor]) -> torch.Tensor:
    """Return a tensor of its own memory or, without a copy, that of the array; see ``device.py`` for tensors."""
    if isinstance(values, torch.Tensor):
        return values
    return torch.from_numpy(np.require(values, requirements=['C', 'W']))


def _describe(results: Any) -> str:
    return f'a dict with {sorted(results)}' if isinstance(results, dict) else f'a {type(results).__name__}'


@DATA_SAMPLERS.register_module()
class ResumableSampler(DefaultSampler):
    """MMEngine's distributed sampler, able to start an epoch in the middle.

    The order depends on seed and epoch only, so that a resumed run sees the rest of the very same epoch.

    Args:
        dataset: the data set.
        shuffle: draw a new order every epoch.
        seed: of the order; the Runner passes its own.
        round_up: repeat samples so that every rank has equally many.
    """

    def __init__(self, dataset: Dataset, *, shuffle: bool = True, seed: Union[int, None] = None,
                 round_up: bool = True) -> None:
        super().__init__(dataset, shuffle=shuffle, seed=seed, round_up=round_up)
        self._skip = 0

    def skip(self, num_samples: int) -> None:
        """Leave out the first samples of this rank in the next pass, and in that one only."""
        self._skip = num_samples

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers of MMEngine's sampler, without its lists of Python numbers, 70 bytes for each sample."""
        skip, self._skip = self._skip, 0
        count = len(self.dataset)
        order = torch.arange(count)
        if self.shuffle:
            order = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed + self.epoch))
        places = range(self.rank + skip * self.world_size, self.total_size, self.world_size)
        for first in range(0, len(places), ORDER_PIECE):
            yield from order[torch.tensor(places[first:first + ORDER_PIECE]) % count].tolist()


class EpochBatches(Sampler, ABC):
    """Base of batch samplers: an order that depends on seed and epoch only, able to start in the middle.

    Args:
        sampler: MMEngine's distributed sampler; gives the data set, seed, epoch, rank and number of processes.
        batch_size: samples per batch and process.
    """

    def __init__(self, sampler: Sampler, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size
        self._skip = 0

    @abstractmethod
    def num_batches(self, epoch: int) -> int:
        """Number of batches of an epoch, counted from 0, for each process."""

    @abstractmethod
    def draw_batches(self, rng: np.random.Generator) -> Sequence[np.ndarray]:
        """Return this process's batches of the sampler's epoch, from a generator that all processes seed alike."""

    def skip(self, num_batches: int) -> None:
        """Leave out the first batches of the next pass, and of that one only."""
        self._skip = num_batches

    def __len__(self) -> int:
        return self.num_batches(self.sampler.epoch)

    def __iter__(self) -> Iterator[list[int]]:
        batches = self.draw_batches(np.random.default_rng([self.sampler.seed, self.sampler.epoch]))
        skip, self._skip = self._skip, 0
        for batch in batches[skip:]:
            yield batch.tolist()
