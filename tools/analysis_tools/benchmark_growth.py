"""Show how cost grows with frames per clip, clips per batch, depth of the network and frames of the data set.

One of these varies at a time, the others stay as the config has them. Every row is measured as benchmark.py measures
it: medians of several runs, and the share of a large matrix product's rate. Weights and motion are generated: speed
does not depend on them. Of data sets of many sizes the loader alone is measured.
"""
from __future__ import annotations

import argparse
import copy
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import torch
from benchmark import Options, describe_machine, errors_of, measure_config, positive, tuned
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tqdm import tqdm

from benchmark_report import format_header, format_speed
from benchmark_steps import check_parts
from loader_data import data_sets, make_small_store, read_stores, with_workers
from loader_memory import repeat_store, stored_arrays
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.engine.allocator import keep_freed_memory
from motionbert_mm.engine.command_line import read_config
from motionbert_mm.registry import SCOPE

MODEL_PARTS = ('infer', 'train')


def with_clip_frames(config: Config, num_frames: int) -> Config:
    """Return a copy whose windows and networks have so many frames.

    Raises:
        ValueError: data sets without windows of a chosen length.
    """
    config = copy.deepcopy(config)
    windows = [data['window'] for data in data_sets(config.train_dataloader) if 'num_frames' in data.get('window', {})]
    if not windows:
        raise ValueError('no data set of train_dataloader has window=dict(num_frames=...), so that --clip-frames has '
                         'nothing to change')
    for window in windows:
        window.update(num_frames=num_frames)
    for part in (config.model.get('backbone'), config.model.get('neck')):
        for name in ('max_frames', 'num_frames'):
            if part is not None and name in part:
                part[name] = num_frames
    return config


def with_batch(config: Config, batch: int) -> Config:
    """Return a copy with so many clips per batch."""
    config = copy.deepcopy(config)
    config.train_dataloader.batch_size = batch
    return config


def with_depth(config: Config, depth: int) -> Config:
    """Return a copy whose backbone has so many layers or stages."""
    config = copy.deepcopy(config)
    config.model.backbone.depth = depth
    return config


def measure_models(config: Config, label: str, options: Options, folder: Path) -> None:
    """Print inference and training of one config on a small generated store."""
    config = tuned(config, amp=options.amp)
    store = folder / label.replace(' ', '-')
    make_small_store(store, config.train_dataloader, num_motions=4)
    read_stores(config.train_dataloader, store)
    config.train_dataloader = with_workers(config.train_dataloader, 0)
    for speed in measure_config(config, options):
        gflop = f'{options.counted[speed.part] / 1e9:,.3g} GFLOP a clip'
        print(f'{format_speed(speed, f"{label} {speed.part}", has_gpu=options.device.startswith("cuda"))}  {gflop}',
              flush=True)


def measure_data(config: Config, num_frames: int, options: Options, folder: Path) -> None:
    """Print how long a generated data set of so many frames takes to open, and what its loader does."""
    loader = with_workers(config.train_dataloader, 0)
    seed, store = folder / 'seed', folder / f'frames-{num_frames}'
    if not seed.exists():
        make_small_store(seed, loader)
    arrays = stored_arrays(loader)
    row_bytes = sum(MotionStore(seed).arrays[name][:1].nbytes for name in arrays)
    written = repeat_store(seed, store, arrays=arrays, num_bytes=num_frames * row_bytes)
    read_stores(loader, store)
    with DefaultScope.overwrite_default_scope(SCOPE):
        start = time.perf_counter()
        windows = len(Runner.build_dataloader(loader, seed=0).dataset)
        seconds = time.perf_counter() - start
    config = copy.deepcopy(config)
    config.train_dataloader = loader
    speed, = measure_config(config, options)
    print(f'{format_speed(speed, f"{written // row_bytes:,} frames")}  {windows:,} windows, '
          f'{written / 1e6:,.1f} MB, opened in {seconds:.2f} s', flush=True)


# --- Command line ---


def parse_args(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', metavar='CONFIG', help='path of a config file')
    parser.add_argument('--clip-frames', type=_numbers, default=(), metavar='T,...', help='frames per clip')
    parser.add_argument('--batches', type=_numbers, default=(), metavar='B,...', help='clips per batch')
    parser.add_argument('--depths', type=_numbers, default=(), metavar='N,...', help='depth of the backbone')
    parser.add_argument('--data-frames', type=_numbers, default=(), metavar='F,...', help='frames of the data set')
    parser.add_argument('--batch', type=positive, metavar='B', help="clips per batch elsewhere (default: the config's)")
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument('--runs', type=positive, default=3, metavar='N', help='runs per figure (default: 3)')
    parser.add_argument('--steps', type=positive, default=20, metavar='N', help='batches per run (default: 20)')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: the best there is)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args(arguments)
    args.device = args.device or get_device()
    if not (args.clip_frames or args.batches or args.depths or args.data_frames):
        parser.error('nothing to vary: give --clip-frames, --batches, --depths or --data-frames, e.g. '
                     '--clip-frames 27,81,243')
    return args


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(positive(part) for part in text.split(','))


def run(args: argparse.Namespace, folder: Path) -> None:
    """Measure and print, row by row."""
    config = read_config(args.config, args.cfg_options)
    check_parts(config, MODEL_PARTS)
    if args.batch:
        config.train_dataloader.batch_size = args.batch
    rows = [(f'T {value}', with_clip_frames(config, value)) for value in args.clip_frames]
    rows += [(f'batch {value}', with_batch(config, value)) for value in args.batches]
    rows += [(f'depth {value}', with_depth(config, value)) for value in args.depths]
    options: dict[str, Any] = dict(runs=args.runs, steps=args.steps, device=args.device)
    print(format_header(args.device.startswith('cuda'), False))
    for frames in tqdm(args.data_frames, desc='data', unit='row', leave=False, disable=None):
        measure_data(config, frames, Options(parts=('loader',), **options), folder)
    for label, changed in tqdm(rows, desc='model', unit='row', leave=False, disable=None):
        measure_models(changed, label, Options(parts=MODEL_PARTS, amp=args.amp, **options), folder)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    args = parse_args(arguments)
    torch.manual_seed(0)
    warnings.filterwarnings('ignore', category=UserWarning, module='torch.utils.data')  # pinning without a GPU
    print(describe_machine(args.device), flush=True)
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix='benchmark-') as folder, errors_of(args.config):
        run(args, Path(folder))


if __name__ == '__main__':
    main()
