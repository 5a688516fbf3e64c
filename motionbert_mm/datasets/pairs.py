"""Batches of several samples of a class, for losses that compare samples (one-shot recognition)."""
from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from torch.utils.data import Sampler

from motionbert_mm.datasets.loading import EpochBatches
from motionbert_mm.registry import DATA_SAMPLERS

SHOWN = 5  # names in a message


@DATA_SAMPLERS.register_module()
class ClassPairSampler(EpochBatches):
    """Batches of m different samples of each of several classes, in an order that depends on seed and epoch only.

    MotionBERT's one-shot recognition trains on pairs, with a supervised contrastive loss. An epoch has as many batches
    as the samples fill, at least one. Over all processes, all classes are met equally often (give or take one),
    however many samples they have, and a class takes all its samples before one of them returns. A large class
    therefore shows another part of its samples in every epoch.

    Every process gets batches of its own, equally many. Samples are windows: pairs are of different clips for sure
    only if a window is a whole clip (``window=dict(kind='resample', ...)``).

    Args:
        sampler: MMEngine's distributed sampler; gives the data set, seed, epoch, rank and number of processes. The
            data set has ``labels`` (W,), one integer for each sample; ``classes``, their names, make messages clearer.
        batch_size: samples per batch and process, a multiple of m. Batches hold a class once, so that there must be
            ``batch_size / samples_per_class`` classes: with pairs, 8 classes allow 16 samples. Official: 32.
        samples_per_class: m. A class with fewer repeats them within a batch, and is named in one warning; transforms
            draw anew for each repetition. Official: 2.

    Raises:
        TypeError: a data set without labels.
        ValueError: labels that do not number the samples, fewer than 2 samples per class, a batch size that is no
            multiple of it, or too few classes.
    """

    def __init__(self, sampler: Sampler, batch_size: int, *, samples_per_class: int = 2) -> None:
        super().__init__(sampler, batch_size)
        labels = _check_labels(getattr(sampler, 'dataset', None))
        if samples_per_class < 2:
            raise ValueError(f'samples_per_class is {samples_per_class}, expected at least 2, since the loss compares '
                             'samples of a class; change train_dataloader.batch_sampler')
        if batch_size < samples_per_class or batch_size % samples_per_class:
            raise ValueError(f'batch_size is {batch_size}, expected a multiple of samples_per_class '
                             f'({samples_per_class}); change train_dataloader.batch_size')
        self.samples_per_class, self.num_samples = samples_per_class, len(labels)
        present = np.unique(labels)
        if self.classes_per_batch > len(present):
            raise ValueError(f'a batch of {batch_size} samples takes {samples_per_class} of each of '
                             f'{self.classes_per_batch} classes, but the data set has samples of {len(present)}; '
                             'repeated classes would change the loss. Set train_dataloader.batch_size to at most '
                             f'{len(present) * samples_per_class}')
        self.members = [np.flatnonzero(labels == label) for label in present]
        few = [_class_name(sampler.dataset, label) for label, members in zip(present.tolist(), self.members)
               if len(members) < samples_per_class]
        if few:
            more = f' and {len(few) - SHOWN} more' if len(few) > SHOWN else ''
            MMLogger.get_current_instance().warning(
                f'ClassPairSampler: fewer than {samples_per_class} samples of {", ".join(few[:SHOWN])}{more}; they are '
                'repeated within a batch, and only random transforms tell them apart')

    @property
    def classes_per_batch(self) -> int:
        """Number of different classes in every batch."""
        return self.batch_size // self.samples_per_class

    def num_batches(self, epoch: int) -> int:
        """Number of batches of any epoch, for each process."""
        return max(1, self.num_samples // (self.batch_size * self.sampler.world_size))

    def draw_batches(self, rng: np.random.Generator) -> np.ndarray:
        """Return this process's batches (batches, batch_size); samples of a class lie side by side."""
        own = self.num_batches(self.sampler.epoch)
        classes = deal(np.arange(len(self.members)), self.classes_per_batch, own * self.sampler.world_size, rng)
        samples = np.empty((*classes.shape, self.samples_per_class), np.int64)
        for number, members in enumerate(self.members):
            turns = classes == number
            samples[turns] = deal(members, self.samples_per_class, np.count_nonzero(turns), rng)
        # Consecutive batches go to one process, so that each meets all classes about equally often, too.
        return samples.reshape(self.sampler.world_size, own, self.batch_size)[self.sampler.rank]


def deal(items: np.ndarray, size: int, hands: int, rng: np.random.Generator) -> np.ndarray:
    """Deal shuffled items out, over and over, so that no hand holds one twice.

    Args:
        items: (N,) different items. All are dealt once before any is dealt again, and so on; with N < ``size``, hands
            hold items twice.
        size: items in a hand.
        hands: number of hands.
        rng: shuffles.

    Returns:
        (hands, size) items.
    """
    rounds = [items[:0]]
    for dealt in range(0, hands * size, len(items)):
        # A hand that the last round left unfinished gets what it has not.
        held, wanted = rounds[-1][::-1][:dealt % size], -dealt % size
        first = rng.permutation(np.setdiff1d(items, held))[:wanted]
        rounds += [np.concatenate([first, rng.permutation(np.setdiff1d(items, first))])]
    return np.concatenate(rounds)[:hands * size].reshape(hands, size)


def _check_labels(dataset: Any) -> np.ndarray:
    """Return the labels of a data set."""
    labels = getattr(dataset, 'labels', None)
    if labels is None:
        raise TypeError(f'ClassPairSampler needs a data set with labels, got {type(dataset).__name__}; use a '
                        'MotionDataset whose clips have classes, or leave train_dataloader.batch_sampler out')
    labels = np.asarray(labels)
    if labels.shape != (len(dataset),) or labels.dtype.kind not in 'iu':
        raise ValueError(f'{type(dataset).__name__}.labels has shape {labels.shape} and dtype {labels.dtype}, expected '
                         f'one integer for each of {len(dataset)} samples; leave train_dataloader.'
                         'num_batch_per_epoch out, or correct the data set')
    return labels


def _class_name(dataset: Any, label: int) -> str:
    """Return what to call a class in a message."""
    names = getattr(dataset, 'classes', None) or ()
    return str(names[label]) if 0 <= label < len(names) else f'class {label}'
