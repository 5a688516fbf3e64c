"""Measure the data loader, inference, training steps and real training of configs.

  loader   batches of train_dataloader, built as MMEngine's Runner builds it, without a model
  infer    model.test_step on one batch that is held in memory, without flip averaging
  train    model.train_step on that batch: forward, backward, optimizer
  end2end  MMEngine's Runner trains the config: loader, hooks, optimizer; no validation, no checkpoints

Every figure is the median of several runs after a warm-up. GFLOP are exact counts of the network's matrix products
and convolutions on the batch, attention included, backward pass included in training; what is computed twice to save
memory counts once. Around every run a large square matrix product is timed on the same device, in the same type, with
the same threads; the share is the rate of the run over that of the product. end2end takes turns with train alone and
is told as a share of it. MB is the largest resident memory of this process during the runs; after the baseline it
keeps what it frees, as tools/train.py does. Weights are random: speed does not depend on them.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from benchmark_report import Job, describe_machine, format_header, format_notes, format_speed, to_document, write_json
from benchmark_steps import PARTS, Options, check_parts, measure_config, tuned, untuned
from benchmark_timing import RUN_SECONDS, WARM_UP
from loader_data import make_small_store, missing_data, read_stores, with_workers
from loader_memory import compare_memory, memory_of, probe_memory
from motionbert_mm.engine.allocator import keep_freed_memory
from motionbert_mm.engine.classes import fill_classes
from motionbert_mm.engine.command_line import EXPECTED, describe_error, read_config
from motionbert_mm.registry import SCOPE
from training_memory import compare_training_memory, probe_training

DEFAULT_PARTS = PARTS[:3]
BASELINE_PARTS = ('infer', 'train')
SMALL_STORE = 12  # motions, of which each is seen by several cameras


# --- Configs and their data ---


def load_config(args: argparse.Namespace, path: str) -> Config:
    """Read one config and apply the command line to it.

    Raises:
        FileNotFoundError, KeyError, TypeError, ValueError: see ``read_config``; also a config without what is measured.
    """
    config = read_config(path, args.cfg_options)
    check_parts(config, args.what)
    if args.batch is not None:
        config.train_dataloader.batch_size = args.batch
    if args.num_workers is not None:
        config.train_dataloader = with_workers(config.train_dataloader, args.num_workers)
    return config


def find_data(args: argparse.Namespace, job: Job, folder: Path) -> None:
    """Let the config read generated motion where its data do not exist; changes the job in place."""
    loader = job.config.train_dataloader
    missing = missing_data(loader)
    if missing and not args.synthetic:
        raise FileNotFoundError(f'data_root {missing[0]} does not exist; make it with a script of '
                                'tools/dataset_converters/, or add --synthetic to measure on generated motion')
    if missing:
        job.note = f'note: {missing[0]} does not exist, measured on generated motion'
        make_small_store(folder / 'store', loader, SMALL_STORE)
        read_stores(loader, folder / 'store')
        batches = WARM_UP + loader.get('num_workers', 0) + args.steps
        if 'end2end' in args.what and (times := batches / num_batches(job.config)) > 1.0:
            make_small_store(folder / 'larger', loader, int(SMALL_STORE * times) + 1)
            read_stores(loader, folder / 'larger')
    heads = (job.config.get('model') or {}).get('heads') or {}
    # Generated motion has fewer classes than data sets; their number only matters where the config leaves it open.
    if heads and (not missing or any(head.get('num_classes', 0) is None for head in heads.values())):
        fill_classes(job.config)


def num_batches(config: Config) -> float:
    """Return the batches of an epoch, also a fraction of one."""
    with DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)):
        loader = Runner.build_dataloader(with_workers(config.train_dataloader, 0), seed=0)
    return max(len(loader), len(loader.dataset) / config.train_dataloader.batch_size)


# --- Measuring ---


def measure_baseline(args: argparse.Namespace, job: Job) -> None:
    """Measure and print what an untuned script would do. Must come before the allocator is set, which is for good."""
    has_gpu = args.device.startswith('cuda')
    print(f'{job.path}: baseline, float32, eager, plain attention\n{format_header(has_gpu, False)}')
    wanted = {'train' if part == 'end2end' else part for part in args.what}
    options = Options(parts=tuple(part for part in BASELINE_PARTS if part in wanted), runs=args.runs, steps=args.steps,
                      device=args.device, is_baseline=True, counted=job.counted)
    for speed in measure_config(untuned(job.config), options):
        job.baseline[speed.part] = speed
        print(format_speed(speed, f'baseline {speed.part}', has_gpu=has_gpu), flush=True)


def measure_speed(args: argparse.Namespace, job: Job) -> None:
    """Measure and print the parts of a config."""
    has_gpu = args.device.startswith('cuda')
    print('\n'.join(filter(None, (job.path, job.note))))
    options = Options(parts=args.what, runs=args.runs, steps=args.steps, device=args.device, amp=bool(args.amp),
                      counted=job.counted)
    for speed in measure_config(tuned(job.config, amp=bool(args.amp), is_compiled=args.compile), options):
        if not job.speeds:
            print(f'batch (B, M, T, J, C) = {speed.shape}, {job.config.train_dataloader.get("num_workers", 0)} loader '
                  f'workers, {args.amp or "fp32"}{", compiled" * args.compile}, median of {args.runs} runs of up to '
                  f'{args.steps} batches\n{format_header(has_gpu, args.baseline)}')
        job.speeds[speed.part] = speed
        print(format_speed(speed, speed.part, has_gpu=has_gpu, times=job.times_baseline(speed.part)), flush=True)
    if job.counted or 'end2end' in job.speeds:
        print(format_notes(job))


def measure_memory(args: argparse.Namespace, job: Job) -> None:
    """Print the memory of one config on generated data."""
    keep_freed_memory()
    if 'loader' in args.what:
        print(f'{job.path}: the loader alone, an epoch')
        compare_memory(job.config, megabytes=args.memory_mb,
                       workers=(0, 2) if args.num_workers is None else (args.num_workers,))
    if 'train' in args.what:
        print(f'{job.path}: training, {args.steps} steps')
        options = ['--device', args.device, '--steps', str(args.steps)]
        options += ['--threads', str(args.threads)] if args.threads else []
        compare_training_memory(tuned(job.config, amp=bool(args.amp), is_compiled=args.compile),
                                megabytes=args.memory_mb, options=options)


def probe(args: argparse.Namespace, job: Job) -> None:
    """Be one process of --memory: print what it held as JSON, in the last line."""
    keep_freed_memory()
    found = (probe_memory(job.config.train_dataloader, f'{Path(job.path).stem} data') if args.probe == 'loader'
             else probe_training(job.config, args.steps))
    print(json.dumps(found))


# --- Command line ---


def parse_args(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='path of a config file')
    parser.add_argument('--what', type=_parts, metavar='PART,...',
                        help=f'what to measure, of {",".join(PARTS)} (default: {",".join(DEFAULT_PARTS)})')
    parser.add_argument('--amp', nargs='?', const='bf16', choices=['bf16'],
                        help='run models under bfloat16 autocast (default: float32, whatever the config trains in)')
    parser.add_argument('--compile', action='store_true', help='set model.compile of the configs')
    parser.add_argument('--batch', type=positive, metavar='N', help="clips per batch (default: the config's)")
    parser.add_argument('--baseline', action='store_true',
                        help='first measure infer and train in float32, eager, by plain attention, with the defaults '
                             'of optimizer and allocator; tell how many times as fast the rest is, both relative to '
                             'float32 products of the same moment')
    parser.add_argument('--json', type=Path, metavar='OUT', help='write everything measured, with the machine')
    parser.add_argument('--runs', type=positive, default=5, metavar='N', help='runs per figure (default: 5)')
    parser.add_argument('--steps', type=positive, default=20, metavar='N',
                        help=f'batches per run, fewer after {RUN_SECONDS:.0f} s (default: 20)')
    parser.add_argument('--num-workers', type=_count, metavar='N', help="loader processes (default: the config's)")
    parser.add_argument('--threads', type=positive, metavar='N', help="of the model (default: PyTorch's choice)")
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: the best there is)')
    parser.add_argument('--synthetic', action='store_true',
                        help='where the data of a config do not exist, measure on generated motion')
    parser.add_argument('--memory', action='store_true',
                        help='instead of speed, print memory for generated data of 1x and 10x size: of the loader, or '
                             'with --what train of a real training of --steps steps')
    parser.add_argument('--memory-mb', type=float, default=60.0, metavar='MB', help='size of 1x (default: 60)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the configs')
    parser.add_argument('--probe', choices=['loader', 'train'], help=argparse.SUPPRESS)  # one process of --memory
    args = parser.parse_args(arguments)
    args.command = [Path(sys.argv[0]).name, *(sys.argv[1:] if arguments is None else arguments)]
    args.device = args.device or get_device()
    args.what = args.what or ((args.probe or 'loader',) if args.memory or args.probe else DEFAULT_PARTS)
    _check_args(parser, args)
    return args


def _check_args(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what this machine has not, and options that would change nothing."""
    if args.device != 'cpu' and (not args.device.startswith('cuda') or not torch.cuda.is_available()):
        parser.error(f'--device {args.device} is not on this machine; expected cpu, or cuda:N where PyTorch sees a GPU')
    if 'end2end' in args.what and args.device == 'cpu' and get_device() != 'cpu':
        parser.error(f'--device cpu does not hold for end2end: MMEngine trains on {get_device()} where there is one; '
                     'hide it by CUDA_VISIBLE_DEVICES=-1')
    if args.memory and (args.baseline or args.json):
        parser.error('--memory goes neither with --baseline nor with --json')
    if args.baseline and not set(args.what) - {'loader'}:
        parser.error('--baseline is for infer, train and end2end, but --what has loader only')
    if args.memory and not memory_of(os.getpid()):
        parser.error('--memory reads /proc/PID/status, which only Linux has')
    if args.memory and set(args.what) - {'loader', 'train'}:
        parser.error(f'--memory tells about loader and train, got --what {",".join(args.what)}')
    if args.json and args.json.is_dir():
        parser.error(f'--json {args.json} is a folder, expected the name of a file')


def _parts(text: str) -> tuple:
    wanted = text.split(',')
    unknown = sorted(set(wanted) - set(PARTS))
    if unknown:
        raise argparse.ArgumentTypeError(f'{", ".join(map(repr, unknown))} is none of {", ".join(PARTS)}')
    return tuple(part for part in PARTS if part in wanted)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number, 0 or more')
    return int(text)


def positive(text: str) -> int:
    """Read a whole number of the command line, 1 or more."""
    if _count(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not at least 1')
    return int(text)


def run(args: argparse.Namespace, jobs: Sequence[Job], machine: str, folder: Path) -> None:
    """Do what the command line wants; generated motion goes to ``folder``."""
    if args.memory or args.probe:
        for job in jobs:
            with errors_of(job.path):
                (probe if args.probe else measure_memory)(args, job)
        return
    for number, job in enumerate(jobs):
        with errors_of(job.path):
            find_data(args, job, folder / str(number))
    for job in jobs if args.baseline else ():
        with errors_of(job.path):
            measure_baseline(args, job)
    keep_freed_memory()
    for job in jobs:
        with errors_of(job.path):
            measure_speed(args, job)
        if args.json:
            write_json(args.json, to_document(jobs, command=args.command, machine=machine, device=args.device,
                                              threads=torch.get_num_threads(), precision=args.amp or 'fp32',
                                              is_compiled=args.compile))


@contextmanager
def errors_of(path: str) -> Iterator[None]:
    """End the program with one line about a config for errors that a user, a config or a file can cause."""
    try:
        yield
    except EXPECTED as error:
        print(f'{path}: {describe_error(error)}', file=sys.stderr)
        sys.exit(2)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    args = parse_args(arguments)
    torch.manual_seed(0)
    warnings.filterwarnings('ignore', category=UserWarning, module='torch.utils.data')  # numbers of workers, pinning
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.device.startswith('cuda:'):
        torch.cuda.set_device(args.device)  # where the Runner trains
    machine = describe_machine(args.device)
    if not args.probe:
        print(machine)
    jobs = []
    for path in args.configs:
        with errors_of(path):
            jobs.append(Job(path, load_config(args, path)))
    with tempfile.TemporaryDirectory(prefix='benchmark-') as folder:
        run(args, jobs, machine, Path(folder))


if __name__ == '__main__':
    main()
