"""Print clips per second of the data loader alone, of inference and of training, for each config.

The loader is the config's train_dataloader, built as MMEngine's Runner builds it. Inference and training
repeat one batch that is held in memory, so that the three figures do not mix; inference is measured without
and with flip averaging. Every figure is the median of several runs, with the slowest and the fastest run.
Weights are random: speed does not depend on them.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
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

from loader_data import make_small_store, missing_data, read_stores, with_workers
from loader_memory import compare_memory, memory_of, probe_memory
from motionbert_mm.engine.command_line import EXPECTED, describe_error, read_config
from motionbert_mm.registry import MODELS, SCOPE, build

PARTS = ('loader', 'inference', 'training')
RUN_SECONDS = 8.0  # a run of slow batches ends early


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
    """Return the first batch of a loader config that can be predicted too, made in this process."""
    batches = iter(Runner.build_dataloader(with_workers(dataloader, 0), seed=0))
    return next(batch for batch in batches if 'norm' in batch['data_samples'].metainfo)  # not of 2D alone


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
