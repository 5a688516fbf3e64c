"""Memory of a real training, for generated data of two sizes; a part of benchmark.py."""
from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from benchmark_runner import StepWatch, train_a_while
from loader_memory import HEADER, MemoryNotes, format_memory, make_two_stores, run_probe


def probe_training(config: Config, steps: int) -> dict:
    """Train for some iterations; return what ``MemoryNotes`` found."""
    notes = MemoryNotes()
    train_a_while(config, StepWatch(steps, notes.add))
    return notes.found


def compare_training_memory(config: Config, *, megabytes: float, options: Sequence[str]) -> None:
    """Print the memory of training on generated data of one and of ten times a size, as many steps of each.

    Args:
        config: the whole config.
        megabytes: size of the smaller store.
        options: of benchmark.py for the processes that train.
    """
    document = config.to_dict()
    print(HEADER)
    with tempfile.TemporaryDirectory(prefix='benchmark-') as folder:
        sizes = make_two_stores(Path(folder), document['train_dataloader'], megabytes)
        rows = [run_probe(document, store, 'train', options) for store in sizes]
        print(format_memory(list(sizes.values()), document['train_dataloader'].get('num_workers', 0), rows))
