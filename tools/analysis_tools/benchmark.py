"""Print clips per second of the data loader alone, of inference and of training, for each config.

The loader is the config's train_dataloader, built as MMEngine's Runner builds it. Inference and training
repeat one batch that is held in memory, so that the three figures do not mix; inference is measured without
and with flip averaging. Every figure is the median of several runs, with the slowest and the fastest run.
Weights are random: speed does not depend on them.
"""
from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from motionbert_mm.datasets.base import INPUT_ARRAYS
from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from motionbert_mm.datasets.synthetic import write_store
from motionbert_mm.engine.command_line import EXPECTED, describe_error, read_config
from motionbert_mm.registry import MODELS, SCOPE, build

PARTS = ('loader', 'inference', 'training')
# Arguments of MotionDataset that stay when a generated store takes the place of the config's data.
KEPT_ARGUMENTS = ('window', 'input_2d', 'targets', 'pipeline', 'num_persons', 'test_mode', 'seed')
SELF_MADE = 'SyntheticDataset'  # generates its store itself
CLIP_FRAMES = 300  # of generated clips, unless windows are longer
MEMORY_KINDS = {'peak': 'VmHWM', 'anonymous': 'RssAnon', 'mapped': 'RssFile'}  # names in /proc/PID/status
RUN_SECONDS = 8.0  # a run of slow batches ends early
MEGABYTE = 1e6


@dataclass(frozen=True)
class Speed:
    """Clips per second of one part, one figure per run, and the batch (B, M, T, J, C) that it handled."""

    part: str
    clips: tuple
    shape: tuple

    @property
    def median(self) -> float:
        """Clips per second."""
        return statistics.median(self.clips)


# --- Speed ---


def measure(step: Callable[[], int], *, runs: int, steps: int, warm_up: int = 2, device: str = 'cpu',
            title: str = '') -> tuple:
    """Time a step.

    Args:
        step: does its work and returns the clips that it handled.
        runs: figures wanted.
        steps: of each run, fewer if they take more than ``RUN_SECONDS``.
        warm_up: steps before the first run.
        device: whose queue is waited for before the clock is read.
        title: of the progress bar.

    Returns:
        Clips per second of each run.
    """
    def wait() -> None:
        if device.startswith('cuda'):
            torch.cuda.synchronize(device)

    figures = []
    for _ in range(warm_up):
        step()
    for _ in tqdm(range(runs), desc=title, unit='run', leave=False, disable=None):
        wait()
        start, clips, done = time.perf_counter(), 0, 0
        while done < steps and (not done or time.perf_counter() - start < RUN_SECONDS):
            clips, done = clips + step(), done + 1
        wait()
        figures.append(clips / (time.perf_counter() - start))
    return tuple(figures)


def measure_config(config: Config, *, parts: Sequence[str] = PARTS, runs: int = 5, steps: int = 20,
                   device: str = 'cpu') -> Iterator[Speed]:
    """Measure the parts of one config whose data exist.

    Args:
        config: the whole config.
        parts: of ``PARTS``.
        runs: figures per part.
        steps: batches per run.
        device: of the model, e.g. 'cuda:0'.

    Raises:
        ValueError: the loader has no batch, inference without ``model`` or training without ``optim_wrapper``.
    """
    with DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)):
        loader = Runner.build_dataloader(config.train_dataloader, seed=0)
        if not len(loader):
            raise ValueError(f'train_dataloader has no batch: {len(loader.dataset)} windows, batch size '
                             f'{loader.batch_size}; use a smaller --batch-size')
        batch = first_batch(config.train_dataloader)
        shape = tuple(batch['inputs'].shape)
        options = dict(runs=runs, steps=steps)
        if 'loader' in parts:
            stream = endless(loader)
            # Workers fill their queues ahead; runs start when these have been emptied once.
            ahead = loader.num_workers * (loader.prefetch_factor or 0)
            yield Speed('loader', measure(lambda: len(next(stream)['inputs']), warm_up=2 + 2 * ahead, title='loader',
                                          **options), shape)
            stream.close()
        if {'inference', 'training'} & set(parts):
            if 'model' not in config:
                raise ValueError(f'the config has no model; it holds {sorted(config)}, and --part loader needs none')
            model = build(MODELS, config.model.to_dict()).to(device)
            for part, step in model_steps(config, model, batch, parts):
                yield Speed(part, measure(step, device=device, title=part, **options), shape)


def first_batch(dataloader: Mapping) -> dict:
    """Return the first batch of a loader config, made in this process."""
    return next(iter(Runner.build_dataloader(with_workers(dataloader, 0), seed=0)))


def with_workers(dataloader: Mapping, count: int) -> dict:
    """Return a copy of a loader config with so many workers; without any, some options are not allowed."""
    refused = () if count else ('persistent_workers', 'prefetch_factor')
    return dict({key: copy.deepcopy(value) for key, value in dataloader.items() if key not in refused},
                num_workers=count)


def endless(loader: DataLoader) -> Iterator[dict]:
    """Yield the batches of one epoch after the other, as training sees them."""
    epoch = 0
    while True:
        if hasattr(loader.dataset, 'set_epoch'):
            loader.dataset.set_epoch(epoch)
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def model_steps(config: Config, model: nn.Module, batch: dict,
                parts: Sequence[str]) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield the name and the step of every part that runs the model on ``batch``, ready to be timed."""
    if 'inference' in parts:
        model.eval()
        for name, has_flip in (('inference', False), ('inference, flip', True)):
            model.flip_test = has_flip
            yield name, partial(_infer, model, batch)
    if 'training' in parts:
        if 'optim_wrapper' not in config:
            raise ValueError(f'training needs optim_wrapper in the config; it holds {sorted(config)}')
        model.train()
        yield 'training', partial(_train, model, batch, build_optim_wrapper(model, config.optim_wrapper))


def _infer(model: nn.Module, batch: dict) -> int:
    with torch.no_grad():
        return len(model.test_step(batch))


def _train(model: nn.Module, batch: dict, optimizer: Any) -> int:
    model.train_step(batch, optimizer)
    return len(batch['inputs'])


# --- Data ---


def data_sets(config: Any) -> Iterator[dict]:
    """Yield the configs of data sets, however deep in wrappers: everything with a ``data_root``."""
    if isinstance(config, Mapping):
        if 'data_root' in config:
            yield config
        else:
            config = list(config.values())
    if isinstance(config, (list, tuple)):
        for entry in config:
            yield from data_sets(entry)


def missing_data(dataloader: Mapping) -> list[str]:
    """Return the data roots of a loader config that do not exist."""
    return [data['data_root'] for data in data_sets(dataloader['dataset'])
            if SELF_MADE not in str(data.get('type')) and not os.path.exists(data['data_root'])]


def read_stores(dataloader: Mapping, store: Path) -> None:
    """Let every data set of a loader config read ``store``, whole; changes the config in place."""
    for data in data_sets(dataloader['dataset']):
        kept = {key: data[key] for key in KEPT_ARGUMENTS if key in data}
        data.clear()
        data.update(type=f'{SCOPE}.MotionDataset', data_root=str(store), **kept)


def window_span(dataloader: Mapping) -> int:
    """Return the frames from the first to the last of the longest window of a loader config."""
    windows = [data.get('window', {}) for data in data_sets(dataloader['dataset'])]
    return max((window.get('num_frames', 1) * window.get('dilation', 1) for window in windows), default=1)


def make_small_store(path: Path, dataloader: Mapping, num_motions: int = 12) -> None:
    """Write synthetic clips, long enough for two windows of the loader config."""
    write_store(path, num_clips=num_motions, num_frames=max(CLIP_FRAMES, 2 * window_span(dataloader)),
                show_progress=sys.stderr.isatty())


# --- Memory ---


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
    done = subprocess.run([sys.executable, __file__, str(file), '--probe'], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise ValueError(f'the loader failed on generated data with {dataloader["num_workers"]} workers, see above')
    return json.loads(done.stdout.splitlines()[-1])


# --- Command line ---


def describe_machine(device: str) -> str:
    """Return one line about processor, load, threads and versions."""
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        names = [line.split(':')[1].strip() for line in info.read_text().splitlines() if line.startswith('model name')]
        name = names[0] if names else name
    gpu = f', {torch.cuda.get_device_name(device)}' if device.startswith('cuda') else ''
    load = f', load average {os.getloadavg()[0]:.1f}' if hasattr(os, 'getloadavg') else ''
    return (f'{name}, {os.cpu_count()} CPUs{gpu}{load}; {torch.get_num_threads()} threads, torch {torch.__version__}, '
            f'Python {platform.python_version()}, device {device}')


def format_speed(speed: Speed) -> str:
    """Return one line of the table."""
    batch, _, frames = speed.shape[:3]
    spread = f'({_rounded(min(speed.clips))} - {_rounded(max(speed.clips))})'
    return (f'{speed.part:<18}{_rounded(speed.median):>12}{spread:>22}{_rounded(speed.median * frames):>14}'
            f'{1e3 * batch / speed.median:>12,.1f}')


def _rounded(value: float) -> str:
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def load_config(args: argparse.Namespace, path: str) -> Config:
    """Read one config and apply the command line to its loader."""
    config = read_config(path, args.cfg_options)
    if 'train_dataloader' not in config:
        raise ValueError(f'the config has no train_dataloader; it holds {sorted(config)}')
    if args.batch_size is not None:
        config.train_dataloader.batch_size = args.batch_size
    if args.num_workers is not None:
        config.train_dataloader = with_workers(config.train_dataloader, args.num_workers)
    return config


def run(args: argparse.Namespace, path: str) -> None:
    """Measure and print one config."""
    config = load_config(args, path)
    if args.probe:
        print(json.dumps(probe_memory(config.train_dataloader, f'{Path(path).stem} data')))
        return
    print(path)
    if args.memory:
        compare_memory(config, megabytes=args.memory_mb,
                       workers=(0, 2) if args.num_workers is None else (args.num_workers,))
        return
    with tempfile.TemporaryDirectory(prefix='benchmark-') as folder:
        missing = missing_data(config.train_dataloader)
        if missing and not args.synthetic:
            raise FileNotFoundError(f'data_root {missing[0]} does not exist; make it with a script of '
                                    'tools/dataset_converters/, or add --synthetic to measure on generated motion')
        if missing:
            print(f'note: {missing[0]} does not exist, measured on generated motion')
            make_small_store(Path(folder, 'store'), config.train_dataloader)
            read_stores(config.train_dataloader, Path(folder, 'store'))
        header = f'{"part":<18}{"clips/s":>12}{"(slowest - fastest)":>22}{"frames/s":>14}{"ms/batch":>12}'
        for speed in measure_config(config, parts=args.part, runs=args.runs, steps=args.steps, device=args.device):
            if header:
                print(f'batch (B, M, T, J, C) = {speed.shape}, {config.train_dataloader.num_workers} loader workers, '
                      f'median of {args.runs} runs of up to {args.steps} batches\n{header}')
                header = ''
            print(format_speed(speed), flush=True)


def parse_args(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='path of a config file')
    parser.add_argument('--part', nargs='+', choices=PARTS, default=PARTS, help='what to measure (default: all)')
    parser.add_argument('--batch-size', type=_positive, metavar='N', help="clips per batch (default: the config's)")
    parser.add_argument('--num-workers', type=_count, metavar='N', help="loader processes (default: the config's)")
    parser.add_argument('--steps', type=_positive, default=20, metavar='N',
                        help=f'batches per run, fewer after {RUN_SECONDS:.0f} s (default: 20)')
    parser.add_argument('--runs', type=_positive, default=5, metavar='N', help='runs per figure (default: 5)')
    parser.add_argument('--threads', type=_positive, metavar='N', help="of the model (default: PyTorch's choice)")
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: the best there is)')
    parser.add_argument('--synthetic', action='store_true',
                        help='where the data of a config do not exist, measure on generated motion')
    parser.add_argument('--memory', action='store_true',
                        help='instead of speed, print the memory of the loader for generated data of 1x and 10x size')
    parser.add_argument('--memory-mb', type=float, default=60.0, metavar='MB', help='size of 1x (default: 60)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the configs')
    parser.add_argument('--probe', action='store_true', help=argparse.SUPPRESS)  # one process of --memory
    args = parser.parse_args(arguments)
    args.device = args.device or get_device()
    if args.device != 'cpu' and (not args.device.startswith('cuda') or not torch.cuda.is_available()):
        parser.error(f'--device {args.device} is not on this machine; expected cpu, or cuda:N where PyTorch sees a GPU')
    if args.memory and not memory_of(os.getpid()):
        parser.error('--memory reads /proc/PID/status, which only Linux has')
    return args


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number, 0 or more')
    return int(text)


def _positive(text: str) -> int:
    if _count(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not at least 1')
    return int(text)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    args = parse_args(arguments)
    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    if not args.probe:
        print(describe_machine(args.device))
    for path in args.configs:
        try:
            run(args, path)
        except EXPECTED as error:
            print(f'{path}: {describe_error(error)}', file=sys.stderr)
            sys.exit(2)


if __name__ == '__main__':
    main()
