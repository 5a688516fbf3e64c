"""Training on several sources: the concatenation of data sets, and the order of their batches.

A batch never mixes sources: their windows differ in length and in what is known about them.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Optional, Union

import numpy as np
from torch.utils.data import Dataset, Sampler

from motionbert_mm.registry import DATA_SAMPLERS, DATASETS, build

Order = Union[str, Sequence[Union[str, Sequence[str]]]]


@DATASETS.register_module()
class MixedDataset(Dataset):
    """Several data sets one after the other, each fetched by its own pipeline.

    Args:
        datasets: name -> config of a data set with batched fetch (``MotionDataset``).

    Raises:
        ValueError: no data set.
    """

    def __init__(self, datasets: Mapping[str, dict]) -> None:
        if not datasets:
            raise ValueError('MixedDataset needs at least one data set, got none; name them in dataset.datasets')
        # By name, since MMEngine sorts the keys of a config whenever it writes one.
        self.datasets = {name: build(DATASETS, datasets[name]) for name in sorted(datasets)}
        self.ends = np.cumsum([len(dataset) for dataset in self.datasets.values()])

    @property
    def metainfo(self) -> dict:
        """Plain facts of every data set, for MMEngine's checkpoints."""
        return {name: dataset.metainfo for name, dataset in self.datasets.items()}

    @property
    def ranges(self) -> dict[str, range]:
        """The indices of each source."""
        return {name: range(end - len(dataset), end)
                for (name, dataset), end in zip(self.datasets.items(), self.ends.tolist())}

    def set_epoch(self, epoch: int, run_seed: int = 0) -> None:
        """Choose the random draws of every source."""
        for dataset in self.datasets.values():
            dataset.set_epoch(epoch, run_seed=run_seed)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> dict:
        """Return one sample."""
        source, number = self._locate(np.array([index]))
        return source[number[0]]

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """Return a batch, whose indices must belong to one source."""
        source, numbers = self._locate(np.asarray(indices, np.int64))
        return source.__getitems__(numbers)

    def _locate(self, indices: np.ndarray) -> tuple[Dataset, np.ndarray]:
        places = np.searchsorted(self.ends, indices, side='right')
        if indices.min() < 0 or places.max() >= len(self.ends):
            raise IndexError(f'samples {indices.min()}..{indices.max()} were asked for, but there are {len(self)}')
        if (places != places[0]).any():
            names = np.array(list(self.datasets))[np.unique(places)]
            raise ValueError(f'a batch asks for samples of {", ".join(names)} at once; set train_dataloader.'
                             "batch_sampler=dict(type='SourceBatchSampler'), which keeps sources apart")
        source = list(self.datasets.values())[places[0]]
        return source, indices - (self.ends[places[0]] - len(source))


@DATA_SAMPLERS.register_module()
class SourceBatchSampler(Sampler):
    """Batches of one source each, in an order that depends on seed and epoch only.

    Every source is shuffled and dealt out to the processes by itself, so that all processes see a batch of the same
    source in every step. The last batch of a source may be smaller.

    Args:
        sampler: MMEngine's distributed sampler; gives the data set, seed, epoch, rank and number of processes.
        batch_size: samples per batch and process.
        order: 'proportional' shuffles the batches of all sources, so that each is met in proportion to its size. A list
            takes one after the other, as official MotionBERT does: each entry is a source, or a list of sources
            whose batches are shuffled together, e.g. ``['posetrack', 'instavariety', ['amass', 'h36m']]``.
        repeats: how often a source is gone through in an epoch; sources that are not named, once. Changes the
            proportions.

    Raises:
        TypeError: the data set is no ``MixedDataset``.
        ValueError: an order that does not name every source once, or repeats of a source that is not there.
    """

    def __init__(self, sampler: Sampler, batch_size: int, *, order: Order = 'proportional',
                 repeats: Optional[Mapping[str, int]] = None) -> None:
        dataset = getattr(sampler, 'dataset', None)
        if not isinstance(dataset, MixedDataset):
            raise TypeError(f'SourceBatchSampler orders the sources of a MixedDataset, got {type(dataset).__name__}; '
                            'without batch_sampler the Runner makes ordinary batches')
        self.sampler, self.batch_size, self.ranges = sampler, batch_size, dataset.ranges
        self.passes = self._passes(order)
        self.repeats = dict(repeats or {})
        self._check_names(self.repeats)
        if min(self.repeats.values(), default=1) < 1:
            raise ValueError(f'repeats must be at least 1, got {self.repeats}; leave the source out of the data set')
        self.first_epochs: dict[str, int] = {}
        self._skip = 0

    def begin_later(self, first_epochs: Mapping[str, int]) -> None:
        """Leave sources out before an epoch; see ``CurriculumHook``."""
        self._check_names(first_epochs)
        self.first_epochs = dict(first_epochs)
        if not self.sources(0):
            raise ValueError(f'no source is left for the first epoch; all of {list(self.ranges)} begin later')

    def sources(self, epoch: int) -> list[str]:
        """Names of the sources of an epoch, counted from 0."""
        return [name for name in self.ranges if epoch >= self.first_epochs.get(name, 0)]

    def num_batches(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return sum(self.repeats.get(name, 1) * -(-self._share(name) // self.batch_size) for name in self.sources(epoch))

    def skip(self, num_batches: int) -> None:
        """Leave out the first batches of the next pass, and of that one only."""
        self._skip = num_batches

    def __len__(self) -> int:
        return self.num_batches(self.sampler.epoch)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.sampler.seed, self.sampler.epoch])
        sources = set(self.sources(self.sampler.epoch))
        batches = []
        for names in self.passes:
            together = [batch for name in names if name in sources
                        for _ in range(self.repeats.get(name, 1)) for batch in self._deal(name, rng)]
            batches += [together[place] for place in rng.permutation(len(together))]
        skip, self._skip = self._skip, 0
        yield from batches[skip:]

    def _deal(self, name: str, rng: np.random.Generator) -> list[list[int]]:
        """Shuffle a source and cut this process's share into batches."""
        indices = np.asarray(self.ranges[name])
        # Cyclic, so that every process gets equally many.
        dealt = np.resize(rng.permutation(indices), self._share(name) * self.sampler.world_size)
        own = dealt[self.sampler.rank::self.sampler.world_size]
        return [own[start:start + self.batch_size].tolist() for start in range(0, len(own), self.batch_size)]

    def _share(self, name: str) -> int:
        return -(-len(self.ranges[name]) // self.sampler.world_size)

    def _passes(self, order: Order) -> list[list[str]]:
        """Return the sources that are shuffled together, pass after pass."""
        if order == 'proportional':
            return [list(self.ranges)]
        passes = [[entry] if isinstance(entry, str) else list(entry) for entry in order if not isinstance(order, str)]
        if sorted(name for names in passes for name in names) != list(self.ranges):
            raise ValueError(f"order is {order!r}, expected 'proportional' or a list of passes that names each of "
                             f'{", ".join(self.ranges)} once')
        return passes

    def _check_names(self, names: Mapping[str, int]) -> None:
        unknown = sorted(set(names) - set(self.ranges))
        if unknown:
            raise ValueError(f'{", ".join(unknown)}: no such source; the data set has {", ".join(self.ranges)}')
