"""Memory of a data loader and its workers, for generated data of two sizes; a part of benchmark.py."""
from __future__ import annotations

import copy
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tqdm import tqdm

from loader_data import data_sets, make_small_store, read_stores, with_workers
from motionbert_mm.datasets.base import INPUT_ARRAYS
from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from motionbert_mm.registry import SCOPE

BENCHMARK = Path(__file__).with_name('benchmark.py')  # its --probe is one process that is watched
MEMORY_KINDS = {'peak': 'VmHWM', 'anonymous': 'RssAnon', 'mapped': 'RssFile'}  # names in /proc/PID/status
MEGABYTE = 1e6
NAMES = {'loader': 'the loader', 'train': 'training'}
HEADER = (f'{"data":>10}{"workers":>9}{"clips":>10}{"peak RSS":>11}{"anonymous":>11}{"mapped":>9}'
          '   MB, main process and workers together')


def repeat_store(source: Path, path: Path, *, arrays: Sequence[str], num_bytes: float) -> int:
    """Write the clips of ``source`` again and again, under new names, until a size is reached.

    Args:
        source: a store.
        path: the store to make.
        arrays: names of those to keep.
        num_bytes: least size of the arrays together.

    Returns:
        The size that came out, in bytes.
    """
    store, written, count = MotionStore(source), 0, 0
    with MotionStoreWriter(path, skeleton=store.skeleton, fps=store.fps) as writer, \
            tqdm(total=int(num_bytes), desc='writing store', unit='B', unit_scale=True, leave=False,
                 disable=None) as bar:
        while written < num_bytes:
            clip = store.clips[count % len(store.clips)]
            rows = slice(clip.start, clip.start + clip.length)
            values = {name: store.arrays[name][rows] for name in arrays}
            writer.add_clip(f'{clip.name}@{count}', values, subject=clip.subject, action=clip.action,
                            camera=clip.camera, image_size=clip.image_size, intrinsics=clip.intrinsics,
                            label=clip.label, text=clip.text)
            size = sum(value.nbytes for value in values.values())
            written, count = written + size, count + 1
            bar.update(size)
    return written


class MemoryNotes:
    """Note batch by batch what this process and the workers of its loader hold.

    ``found`` has the ``clips`` handled, and in bytes the highest sums over the processes of ``peak`` (most memory ever
    resident), ``anonymous`` (its own part) and ``mapped`` (pages of files, which the system may take back).
    """

    def __init__(self) -> None:
        self.found = dict.fromkeys(('clips', *MEMORY_KINDS), 0)

    def add(self, batch: Mapping) -> None:
        """Look at the processes after a batch."""
        self.found['clips'] += len(batch['inputs'])
        workers = [child.pid for child in multiprocessing.active_children()]
        states = [memory_of(process) for process in (os.getpid(), *workers)]
        for name, key in MEMORY_KINDS.items():
            self.found[name] = max(self.found[name], sum(state.get(key, 0) for state in states))


def probe_memory(dataloader: Mapping, title: str = '') -> dict:
    """Iterate a loader config once over all its data; return what ``MemoryNotes`` found."""
    notes = MemoryNotes()
    with DefaultScope.overwrite_default_scope(SCOPE):
        loader = Runner.build_dataloader(dataloader, seed=0)
        for batch in tqdm(loader, desc=title, unit='batch', leave=False, disable=None):
            notes.add(batch)
    return notes.found


def memory_of(process: int) -> dict[str, int]:
    """Return the sizes in /proc/PID/status in bytes; none of a process that has ended."""
    try:
        lines = Path(f'/proc/{process}/status').read_text(encoding='ascii', errors='replace').splitlines()
    except (ProcessLookupError, FileNotFoundError):
        return {}
    fields = [line.split() for line in lines if line.endswith(' kB')]
    return {name.rstrip(':'): int(size) * 1024 for name, size, _ in fields}


def compare_memory(config: Config, *, megabytes: float, workers: Sequence[int] = (0, 2)) -> None:
    """Print the memory of the loader for generated data of one and of ten times a size.

    Each loader runs in a process of its own, so that none inherits what another one left.
    """
    dataloader = config.train_dataloader.to_dict()
    print(HEADER)
    with tempfile.TemporaryDirectory(prefix='benchmark-') as folder:
        sizes = make_two_stores(Path(folder), dataloader, megabytes)
        for count in workers:
            rows = [run_probe(dict(train_dataloader=with_workers(dataloader, count)), store, 'loader')
                    for store in sizes]
            print(format_memory(list(sizes.values()), count, rows))


def make_two_stores(folder: Path, dataloader: Mapping, megabytes: float) -> dict[Path, int]:
    """Generate a store of a size for a loader config, and one of ten times that; return their bytes."""
    arrays = stored_arrays(dataloader)
    make_small_store(folder / 'seed', dataloader)
    return {folder / f'{times}x': repeat_store(folder / 'seed', folder / f'{times}x', arrays=arrays,
                                               num_bytes=times * megabytes * MEGABYTE) for times in (1, 10)}


def stored_arrays(dataloader: Mapping) -> list[str]:
    """Return the names of the arrays that the first data set of a loader config reads of a generated store."""
    data = next(data_sets(dataloader['dataset']), {})
    keypoints = [name for name in INPUT_ARRAYS[data.get('input_2d', 'detected')] if name]
    return sorted({*(('keypoints_3d',) if data.get('targets', True) else ()), *keypoints})


def run_probe(config: Mapping, store: Path, kind: str, options: Sequence[str] = ()) -> dict:
    """Watch a loader or a training in a new process.

    Args:
        config: with the loader config, whose data sets are replaced.
        store: takes their place.
        kind: 'loader' or 'train'.
        options: further ones of benchmark.py.

    Returns:
        What ``MemoryNotes`` found.
    """
    config = copy.deepcopy(dict(config))
    read_stores(config['train_dataloader'], store)
    file = store.with_suffix('.json')
    file.write_text(json.dumps(config), encoding='utf-8')
    command = [sys.executable, str(BENCHMARK), str(file), '--probe', kind, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise ValueError(f'{NAMES[kind]} failed on generated data with '
                         f'{config["train_dataloader"]["num_workers"]} workers, see above')
    return json.loads(done.stdout.splitlines()[-1])


def format_memory(sizes: Sequence[int], workers: int, rows: Sequence[Mapping]) -> str:
    """Return a line for each of two stores, what the larger one adds, and in percent."""
    lines = [f'{size / MEGABYTE:>7,.0f} MB{workers:>9}{row["clips"]:>10,}' + _columns(row, '.1f', 1 / MEGABYTE)
             for size, row in zip(sizes, rows)]
    growth = {key: rows[1][key] - rows[0][key] for key in MEMORY_KINDS}
    shares = {key: growth[key] / rows[0][key] if rows[0][key] else 0.0 for key in MEMORY_KINDS}
    lines.append(f'{(sizes[1] - sizes[0]) / MEGABYTE:>+7,.0f} MB{"adds":>19}' + _columns(growth, '+.1f', 1 / MEGABYTE))
    lines.append(f'{"":>29}' + _columns(shares, '+.1%'))
    return '\n'.join(lines)


def _columns(values: Mapping, style: str, factor: float = 1.0) -> str:
    texts = [format(values[key] * factor, style) for key in MEMORY_KINDS]
    return ''.join(f'{text:>{width}}' for text, width in zip(texts, (11, 11, 9)))
