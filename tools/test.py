"""Test a checkpoint: tools/test.py CONFIG CHECKPOINT."""
from __future__ import annotations

import argparse

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from motionbert_mm.checkpoints.load import load_weights, read_checkpoint
from motionbert_mm.engine.command_line import one_line_errors, read_config
from motionbert_mm.engine.distributed import process_group


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of a config file')
    parser.add_argument('checkpoint', help='path of a checkpoint')
    parser.add_argument('--work-dir', help='where logs go (default: work_dirs/<config name>)')
    parser.add_argument('--dump', metavar='OUT.npz', help='write the predictions, one array per sequence')
    parser.add_argument('--show-dir', metavar='DIR', help='write a picture of some sequences, prediction against truth')
    parser.add_argument('--tta', action=argparse.BooleanOptionalAction, default=None,
                        help='average with the mirrored input (default: flip_test of the config)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='how the processes of a distributed run are started (default: none)')
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the command line to it."""
    config = read_config(args.config, args.cfg_options, work_dir=args.work_dir, launcher=args.launcher)
    config.load_from, config.resume = None, False
    if args.tta is not None:
        config.model.flip_test = args.tta
    evaluators = config.test_evaluator if isinstance(config.test_evaluator, list) else [config.test_evaluator]
    if args.dump:
        evaluators = [*evaluators, dict(type='DumpPredictions', out_file=args.dump)]
    if args.show_dir:
        evaluators = [*evaluators, dict(type='DrawPredictions', show_dir=args.show_dir)]
    config.test_evaluator = evaluators
    return config


def main() -> None:
    """Run the command line."""
    args = parse_args()
    with one_line_errors():
        config = load_config(args)
        checkpoint = read_checkpoint(args.checkpoint)
    with one_line_errors(config.work_dir), process_group(config):
        runner = Runner.from_cfg(config)
        model = getattr(runner.model, 'module', runner.model)
        load_weights(model, checkpoint.get('state_dict', checkpoint), args.checkpoint)
        runner.test()


if __name__ == '__main__':
    main()
