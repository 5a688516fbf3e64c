"""Memory of a data loader and its workers, for generated data of two sizes; a part of benchmark.py."""
from __future__ import annotations

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


def probe_memory(dataloader: Mapping, title: str = '') -> dict:
    """Iterate a loader config once over all its data and watch this process and the workers.

    Returns:
        ``clips`` handled, and in bytes the highest sums over the processes of ``peak`` (most memory ever
        resident), ``anonymous`` (its own part) and ``mapped`` (pages of files, which the system may take back).
    """
    found = dict.fromkeys(('clips', *MEMORY_KINDS), 0)
    with DefaultScope.overwrite_default_scope(SCOPE):
        loader = Runner.build_dataloader(dataloader, seed=0)
        for batch in tqdm(loader, desc=title, unit='batch', leave=False, disable=None):
            found['clips'] += len(batch['inputs'])
            workers = [child.pid for child in multiprocessing.active_children()]
            states = [memory_of(process) for process in (os.getpid(), *workers)]
            for name, key in MEMORY_KINDS.items():
                found[name] = max(found[name], sum(state.get(key, 0) for state in states))
    return found


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
    data = next(data_sets(dataloader['dataset']), {})
    keypoints = [name for name in INPUT_ARRAYS[data.get('input_2d', 'detected')] if name]
    arrays = sorted({*data.get('targets', ('keypoints_3d',)), *keypoints})
    print(f'{"data":>10}{"workers":>9}{"clips":>10}{"peak RSS":>11}{"anonymous":>11}{"mapped":>9}'
          '   MB, main process and workers together')
    with tempfile.TemporaryDirectory(prefix='benchmark-') as folder:
        make_small_store(Path(folder, 'seed'), dataloader)
        sizes = [repeat_store(Path(folder, 'seed'), Path(folder, f'{times}x'), arrays=arrays,
                              num_bytes=times * megabytes * MEGABYTE) for times in (1, 10)]
        for count in workers:
            rows = [_run_probe(with_workers(dataloader, count), Path(folder, name)) for name in ('1x', '10x')]
            for size, row in zip(sizes, rows):
                print(f'{size / MEGABYTE:>7,.0f} MB{count:>9}{row["clips"]:>10,}' + _in_megabytes(row))
            growth = {key: rows[1][key] - rows[0][key] for key in MEMORY_KINDS}
            print(f'{(sizes[1] - sizes[0]) / MEGABYTE:>+7,.0f} MB{"adds":>19}' + _in_megabytes(growth, '+'))


def _in_megabytes(sizes: Mapping, sign: str = '') -> str:
    return ''.join(f'{sizes[key] / MEGABYTE:>{sign}{width}.1f}' for key, width in zip(MEMORY_KINDS, (11, 11, 9)))


def _run_probe(dataloader: dict, store: Path) -> dict:
    """Run ``probe_memory`` in a new process."""
    read_stores(dataloader, store)
    file = store.with_suffix('.json')
    file.write_text(json.dumps(dict(train_dataloader=dataloader)), encoding='utf-8')
    done = subprocess.run([sys.executable, str(BENCHMARK), str(file), '--probe'], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise ValueError(f'the loader failed on generated data with {dataloader["num_workers"]} workers, see above')
    return json.loads(done.stdout.splitlines()[-1])
