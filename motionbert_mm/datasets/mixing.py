"""Training on several sources whose batches stay apart, and the order of these batches.

A batch of ``MixedDataset`` never mixes sources: their windows differ in length and in what is known about them. Sources
that agree in both can share batches in a ``JoinedDataset``, see ``joining.py``.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Optional, Union

import numpy as np
from torch.utils.data import Dataset, Sampler

from motionbert_mm.datasets.loading import EpochBatches
from motionbert_mm.registry import DATA_SAMPLERS, DATASETS, build

Order = Union[str, Sequence[Union[str, Sequence[str]]]]


class SourceSet(Dataset):
    """Named data sets whose samples are numbered one data set after the other, by name.

    Args:
        datasets: name -> config of a data set with batched fetch (``MotionDataset``). None leaves a source out that an
            inherited config names.

    Raises:
        ValueError: no data set, or one without samples.
    """

    def __init__(self, datasets: Mapping[str, Optional[dict]]) -> None:
        datasets = {name: config for name, config in datasets.items() if config is not None}
        if not datasets:
            raise ValueError(f'{type(self).__name__} needs at least one data set, got none; name them in '
                             'dataset.datasets')
        # By name, since MMEngine sorts the keys of a config whenever it writes one.
        self.datasets = {name: build(DATASETS, datasets[name]) for name in sorted(datasets)}
        lengths = [len(dataset) for dataset in self.datasets.values()]
        if not all(lengths):
            empty = [name for name, length in zip(self.datasets, lengths) if not length]
            raise ValueError(f'{", ".join(empty)} has no samples; leave it out of dataset.datasets')
        self.ends = np.cumsum(lengths)

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

    def locate(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return for indices (B,) the numbers of their sources, and their indices within these.

        Raises:
            IndexError: an index of no sample.
        """
        indices = np.asarray(indices, np.int64)
        sources = np.searchsorted(self.ends, indices, side='right')
        if indices.min() < 0 or sources.max() >= len(self.ends):
            raise IndexError(f'samples {indices.min()}..{indices.max()} were asked for, but there are {len(self)}')
        starts = np.append(0, self.ends[:-1])
        return sources, indices - starts[sources]


@DATASETS.register_module()
class MixedDataset(SourceSet):
    """Several data sets one after the other, each fetched by its own pipeline; a batch is of one of them.

    Notes in the metainfo of a batch its ``source`` and the source's ``loss_weight``, which ``MotionModel`` reads.

    Args:
        datasets: name -> config of a data set with batched fetch, whose pipeline ends with ``PackInputs``; None leaves
            it out.
        loss_weights: name of a source -> factor on all losses of its batches; sources that are not named, 1. MPM:
            ``dict(m2m=5, m3m=2, m2l=1)``, one source for each of its tasks.

    Raises:
        ValueError: no data set, one without samples, or a weight that is negative, not finite or of no source; when
            called, a batch of several sources.
        TypeError: when called, a batch without metainfo.
    """

    def __init__(self, datasets: Mapping[str, Optional[dict]],
                 loss_weights: Optional[Mapping[str, float]] = None) -> None:
        super().__init__(datasets)
        weights = dict(loss_weights or {})
        check_names(weights, self.datasets)
        for name, weight in weights.items():
            if not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
                raise ValueError(f'the loss weight of {name} is {weight!r}, expected a finite number of at least 0; '
                                 'change dataset.loss_weights')
        self.loss_weights = {name: float(weights.get(name, 1.0)) for name in self.datasets}

    def __getitem__(self, index: int) -> dict:
        """Return one sample."""
        (source,), (number,) = self.locate([index])
        name = list(self.datasets)[source]
        return self._with_notes(self.datasets[name][int(number)], name)

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """Return a batch, whose indices must belong to one source."""
        sources, numbers = self.locate(indices)
        names = [list(self.datasets)[source] for source in np.unique(sources)]
        if len(names) > 1:
            raise ValueError(f'a batch asks for samples of {", ".join(names)} at once; set train_dataloader.'
                             "batch_sampler=dict(type='SourceBatchSampler'), which keeps sources apart, or use a "
                             'JoinedDataset, which joins them')
        return self._with_notes(self.datasets[names[0]].__getitems__(numbers), names[0])

    def _with_notes(self, packed: dict, name: str) -> dict:
        """Note the source in a batch, or in a sample."""
        check_packed(packed, name)
        notes = dict(source=name, loss_weight=self.loss_weights[name])
        return {**packed, 'metainfo': {**packed['metainfo'], **notes}}


def check_packed(packed: dict, name: str) -> None:
    """Refuse what the pipeline of a source gives if ``PackInputs`` did not make it."""
    if not isinstance(packed, dict) or not {'inputs', 'fields', 'metainfo'} <= set(packed):
        got = f'a dict with {", ".join(map(str, packed))}' if isinstance(packed, dict) else f'a {type(packed).__name__}'
        raise TypeError(f"source {name!r} gives {got}, expected inputs, fields and metainfo; end its pipeline with "
                        "dict(type='PackInputs')")


def check_names(names: Mapping, sources: Mapping) -> None:
    """Refuse names that are not those of sources."""
    unknown = sorted(set(names) - set(sources))
    if unknown:
        raise ValueError(f'{", ".join(unknown)}: no such source; the data set has {", ".join(sources)}')


@DATA_SAMPLERS.register_module()
class SourceBatchSampler(EpochBatches):
    """Batches of one source each, in an order that depends on seed and epoch only.

    Every source is shuffled and dealt out to the processes by itself, so that all processes see a batch of the same
    source in every step. The last batch of a source may be smaller. ``CurriculumHook`` says which epochs a source is
    there.

    Args:
        sampler: MMEngine's distributed sampler; gives the data set, seed, epoch, rank and number of processes.
        batch_size: samples per batch and process.
        order: 'proportional' shuffles the batches of all sources, so that each is met in proportion to its size. A list
            takes one after the other, as official MotionBERT does: each entry is a source, or a list of sources
            whose batches are shuffled together, e.g. ``['posetrack', 'instavariety', ['amass', 'h36m']]``. 'cycle'
            takes one batch of each source in turn, by name, until the source with the most batches has been gone
            through; the others begin anew, shuffled anew. MPM: tasks with the same frequency.
        repeats: how often a source is gone through in an epoch, at least; sources that are not named, once. Changes the
            proportions, but of 'cycle' the length of the epoch.
        batch_sizes: samples per batch and process of sources whose windows are shorter or longer than those of the
            others; sources that are not named, ``batch_size``. MotionBERT's mesh recovery: 128 windows of 16 frames,
            but 512 single images.

    Raises:
        TypeError: the data set is no ``MixedDataset``.
        ValueError: an order that does not name every source once, or repeats or batch sizes that are below 1 or of a
            source that is not there.
    """

    def __init__(self, sampler: Sampler, batch_size: int, *, order: Order = 'proportional',
                 repeats: Optional[Mapping[str, int]] = None,
                 batch_sizes: Optional[Mapping[str, int]] = None) -> None:
        dataset = getattr(sampler, 'dataset', None)
        if not isinstance(dataset, MixedDataset):
            raise TypeError(f'SourceBatchSampler orders the sources of a MixedDataset, got {type(dataset).__name__}; '
                            'without batch_sampler the Runner makes ordinary batches')
        super().__init__(sampler, batch_size)
        self.ranges = dataset.ranges
        self.cycles = order == 'cycle'
        self.passes = [] if self.cycles else self._passes(order)
        self.repeats, self.batch_sizes = dict(repeats or {}), dict(batch_sizes or {})
        for option, values in (('repeats', self.repeats), ('batch_sizes', self.batch_sizes)):
            check_names(values, self.ranges)
            if min(values.values(), default=1) < 1:
                raise ValueError(f'{option} must be at least 1, got {values}; leave the source out of the data set')
        self.first_epochs: dict[str, int] = {}
        self.end_epochs: dict[str, int] = {}

    def limit(self, first_epochs: Mapping[str, int], end_epochs: Mapping[str, int], num_epochs: int) -> None:
        """Leave sources out before and from an epoch on; see ``CurriculumHook``.

        Raises:
            ValueError: names that are not those of sources, or an epoch of the first ``num_epochs`` without any.
        """
        for epochs in (first_epochs, end_epochs):
            check_names(epochs, self.ranges)
        self.first_epochs, self.end_epochs = dict(first_epochs), dict(end_epochs)
        empty = [epoch for epoch in range(num_epochs) if not self.sources(epoch)]
        if empty:
            raise ValueError(f'no source is left for {"the first epoch" if empty[0] == 0 else f"epoch {empty[0]}"}; '
                             f'{", ".join(self.ranges)} begin at {self.first_epochs or 0} and end before '
                             f'{self.end_epochs or num_epochs}, epochs counted from 0')

    def sources(self, epoch: int) -> list[str]:
        """Names of the sources of an epoch, counted from 0."""
        return [name for name in self.ranges
                if self.first_epochs.get(name, 0) <= epoch < self.end_epochs.get(name, math.inf)]

    def num_batches(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        counts = [self.repeats.get(name, 1) * -(-self._share(name) // self._size(name))
                  for name in self.sources(epoch)]
        return max(counts) * len(counts) if self.cycles else sum(counts)

    def draw_batches(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Return this process's batches in their order."""
        sources = self.sources(self.sampler.epoch)
        return self._take_turns(sources, rng) if self.cycles else self._go_through(sources, rng)

    def _go_through(self, sources: Sequence[str], rng: np.random.Generator) -> list[np.ndarray]:
        """Shuffle the batches of the sources of each pass."""
        batches = []
        for names in self.passes:
            together = [batch for name in names if name in sources
                        for _ in range(self.repeats.get(name, 1)) for batch in self._deal(name, rng)]
            batches += [together[place] for place in rng.permutation(len(together))]
        return batches

    def _take_turns(self, sources: Sequence[str], rng: np.random.Generator) -> list[np.ndarray]:
        """Take one batch of each source after the other, round by round."""
        rounds = self.num_batches(self.sampler.epoch) // len(sources)
        rows = []
        for name in sources:
            row: list = []
            while len(row) < rounds:
                row += self._deal(name, rng)
            rows.append(row[:rounds])
        return [batch for turn in zip(*rows) for batch in turn]

    def _deal(self, name: str, rng: np.random.Generator) -> list[np.ndarray]:
        """Shuffle a source and cut this process's share into batches."""
        indices = np.asarray(self.ranges[name])
        # Cyclic, so that every process gets equally many.
        dealt = np.resize(rng.permutation(indices), self._share(name) * self.sampler.world_size)
        own = dealt[self.sampler.rank::self.sampler.world_size]
        size = self._size(name)
        return [own[start:start + size] for start in range(0, len(own), size)]

    def _size(self, name: str) -> int:
        return self.batch_sizes.get(name, self.batch_size)

    def _share(self, name: str) -> int:
        return -(-len(self.ranges[name]) // self.sampler.world_size)

    def _passes(self, order: Order) -> list[list[str]]:
        """Return the sources that are shuffled together, pass after pass."""
        if order == 'proportional':
            return [list(self.ranges)]
        passes = [[entry] if isinstance(entry, str) else list(entry) for entry in order if not isinstance(order, str)]
        if sorted(name for names in passes for name in names) != list(self.ranges):
            raise ValueError(f"order is {order!r}, expected 'proportional', 'cycle' or a list of passes that names "
                             f'each of {", ".join(self.ranges)} once')
        return passes
