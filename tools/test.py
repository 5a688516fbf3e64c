"""Test a checkpoint: tools/test.py CONFIG CHECKPOINT."""
from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.dist import master_only
from mmengine.runner import Runner

from motionbert_mm.checkpoints.load import load_weights, noted_classes, read_checkpoint
from motionbert_mm.engine.allocator import keep_freed_memory
from motionbert_mm.engine.classes import fill_classes
from motionbert_mm.engine.command_line import one_line_errors, read_config
from motionbert_mm.engine.distributed import process_group
from motionbert_mm.evaluation.outputs import add_outputs
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.models.motion_model import PRECISIONS


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of a config file')
    parser.add_argument('checkpoint', help='path of a checkpoint')
    parser.add_argument('--work-dir', help='where logs go (default: work_dirs/<config name>)')
    parser.add_argument('--json', type=Path, metavar='OUT.json', help='write the metrics, name to value')
    parser.add_argument('--dump', metavar='OUT.npz', help='write predictions and ground truth of all sequences, which '
                        'tools/analysis_tools/eval_predictions.py measures again under any protocol; with metrics of '
                        'classes: scores or embeddings, labels, and names of clips and classes')
    parser.add_argument('--show-dir', metavar='DIR', help='write a picture of some sequences, prediction against '
                        'truth; with metrics of classes: the confusion matrix and a table of classes')
    parser.add_argument('--tta', action=argparse.BooleanOptionalAction, default=None,
                        help='average with the mirrored input (default: flip_test of the config)')
    parser.add_argument('--amp', nargs='?', const='bf16', choices=list(PRECISIONS),
                        help='precision of the network, model.amp of the config; bf16 runs on CPUs too (default: '
                        'float32 or the config; --amp alone: bf16)')
    parser.add_argument('--compile', action='store_true', help='compile backbone and neck, model.compile of the config')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='how the processes of a distributed run are started (default: none)')
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the command line to it."""
    config = read_config(args.config, args.cfg_options, work_dir=args.work_dir, launcher=args.launcher)
    missing = [name for name in ('model', 'test_dataloader', 'test_evaluator') if name not in config]
    if missing:
        raise ValueError(f'{args.config} has no {", ".join(missing)}, so there is nothing to test; it holds '
                         f'{", ".join(sorted(config))}')
    config.load_from, config.resume = None, False
    if args.tta is not None:
        config.model.flip_test = args.tta
    if args.amp:
        config.model.amp = args.amp
    if args.compile:
        config.model.compile = config.model.get('compile') or True
    evaluators = config.test_evaluator if isinstance(config.test_evaluator, list) else [config.test_evaluator]
    config.test_evaluator = add_outputs(evaluators, dump=args.dump, show_dir=args.show_dir)
    return config


@master_only
def write_metrics(path: Path, metrics: Mapping[str, float]) -> None:
    """Write metrics as one JSON object."""
    with atomic_path(path) as work:
        work.write_text(json.dumps({name: float(value) for name, value in metrics.items()}, indent=1))


def main() -> None:
    """Run the command line."""
    keep_freed_memory()
    args = parse_args()
    with one_line_errors():
        config = load_config(args)
        checkpoint = read_checkpoint(args.checkpoint)
    with one_line_errors(config.work_dir), process_group(config):
        fill_classes(config, noted_classes(checkpoint))
        runner = Runner.from_cfg(config)
        model = getattr(runner.model, 'module', runner.model)
        load_weights(model, checkpoint.get('state_dict', checkpoint), args.checkpoint)
        metrics = runner.test()
        if args.json:
            write_metrics(args.json, metrics)


if __name__ == '__main__':
    main()
