"""Train a model: tools/train.py CONFIG."""
from __future__ import annotations

import argparse

import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner, find_latest_checkpoint

from motionbert_mm.checkpoints.load import read_checkpoint
from motionbert_mm.engine.allocator import keep_freed_memory
from motionbert_mm.engine.classes import fill_classes
from motionbert_mm.engine.command_line import one_line_errors, read_config
from motionbert_mm.engine.distributed import process_group

# Optimizer wrappers of the precisions of --amp.
WRAPPERS = dict(bf16='BFloat16OptimWrapper', fp16='AmpOptimWrapper')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of a config file')
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/<config name>)')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from a checkpoint; without a path, from the latest in the work dir')
    parser.add_argument('--amp', nargs='?', const='bf16', choices=list(WRAPPERS),
                        help='mixed precision: bf16, on CPUs too, or fp16 with loss scaling on CUDA (default: float32 '
                        'or the config; --amp alone: bf16)')
    parser.add_argument('--compile', action='store_true', help='compile backbone and neck, model.compile of the config')
    parser.add_argument('--seed', type=int, help='seed of every random draw (default: the config, 0)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config, e.g. train_cfg.max_epochs=10')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='how the processes of a distributed run are started (default: none)')
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the command line to it."""
    config = read_config(args.config, args.cfg_options, work_dir=args.work_dir, launcher=args.launcher)
    if args.seed is not None:
        config.randomness = dict(config.get('randomness', {}), seed=args.seed)
    if args.amp:
        scale = config.optim_wrapper.pop('loss_scale', 'dynamic')
        config.optim_wrapper.update(type=WRAPPERS[args.amp], **(dict(loss_scale=scale) if args.amp == 'fp16' else {}))
    if args.compile:
        config.model.compile = config.model.get('compile') or True
    if args.resume:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume
    return config


def check_checkpoint(config: Config) -> None:
    """Read the file that training starts from once, safely, before the Runner does with less to say."""
    source = config.get('load_from')
    path = find_latest_checkpoint(config.work_dir) if config.get('resume') and not source else source
    if path and '://' not in path:
        read_checkpoint(path)


def main() -> None:
    """Run the command line."""
    keep_freed_memory()
    args = parse_args()
    with one_line_errors():
        config = load_config(args)
        check_checkpoint(config)
    with one_line_errors(config.work_dir), process_group(config):
        fill_classes(config)
        # 'high' allows TF32 on GPUs, 'medium' also bfloat16 products where the hardware has them.
        torch.set_float32_matmul_precision(config.get('float32_matmul_precision', 'highest'))
        Runner.from_cfg(config).train()


if __name__ == '__main__':
    main()
