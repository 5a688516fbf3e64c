"""Pretrain with several masking ratios, finetune from each, and compare with training from scratch.

MotionBERT, figure 7. RATIO is the sum of both ratios of SampleMask, two thirds of it frames and one third joints. For
every ratio and seed PRETRAIN_CONFIG is trained and tested (how well it lifts by itself), then FINETUNE_CONFIG is
trained from its last checkpoint and tested; for every seed FINETUNE_CONFIG is trained and tested from scratch too.

The folder takes the runs (ratio_RATIO/seed_SEED/pretrain and finetune, scratch/seed_SEED), mask_sweep.csv with a row
per ratio and seed, and mask_sweep.png. The same command again goes on where it was stopped.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config, DictAction
from tqdm import tqdm

from experiments import evaluate, format_spread, format_table, train
from motionbert_mm.engine.command_line import EXPECTED, describe_error, read_config
from motionbert_mm.io.tables import write_table
from motionbert_mm.visualization.curves import average_runs, plot_bands

COLUMNS = ('ratio', 'joint_ratio', 'frame_ratio', 'hidden', 'seed', 'pretrained', 'finetuned', 'scratch')


@dataclass(frozen=True)
class Sweep:
    """What is run, and where.

    Attributes:
        pretrain: config file.
        finetune: config file.
        scratch: config file.
        out: folder.
        split: 'val' or 'test', the data of each config that its checkpoints are tested on.
        metric: the name of the result.
        pretrain_options: override entries of ``pretrain``.
        finetune_options: override entries of ``finetune`` and ``scratch``.
    """

    pretrain: str
    finetune: str
    scratch: str
    out: Path
    split: str
    metric: str
    pretrain_options: Mapping[str, Any]
    finetune_options: Mapping[str, Any]

    def run_scratch(self, seed: int) -> float:
        """Train without pretraining and test."""
        options = {**self.finetune_options, 'load_from': None}
        return self._train_and_test(self.scratch, self.out / 'scratch' / f'seed_{seed}', options, seed)[1]

    def run_ratio(self, ratio: float, seed: int) -> tuple[float, float]:
        """Pretrain with a ratio, finetune, and test both."""
        folder = self.out / f'ratio_{ratio:g}' / f'seed_{seed}'
        options = {**self.pretrain_options, **mask_options(read_config(self.pretrain, self.pretrain_options), ratio)}
        checkpoint, lifting = self._train_and_test(self.pretrain, folder / 'pretrain', options, seed)
        options = {**self.finetune_options, 'load_from': str(checkpoint)}
        return lifting, self._train_and_test(self.finetune, folder / 'finetune', options, seed)[1]

    def _train_and_test(self, config: str, folder: Path, options: Mapping[str, Any], seed: int) -> tuple[Path, float]:
        checkpoint = train(config, folder, options, seed)
        test_options = {**options, **split_options(read_config(config, options), self.split)}
        metrics = evaluate(config, checkpoint, test_options, folder / self.split)
        if self.metric not in metrics:
            raise ValueError(f'{config} has no metric {self.metric} on its {self.split} data; '
                             f'it has {", ".join(metrics)}')
        return checkpoint, metrics[self.metric]


def split_ratio(ratio: float) -> tuple[float, float]:
    """Return (joint ratio, frame ratio) of a total masking ratio; their sum is the total.

    Raises:
        ValueError: the ratio is not in 0..1.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f'a masking ratio is between 0 and 1, got {ratio:g}')
    return round(ratio / 3, 6), round(2 * ratio / 3, 6)


def mask_options(config: Config, ratio: float) -> dict[str, float]:
    """Return the config options that set a total ratio on every ``SampleMask`` of the training data.

    Raises:
        ValueError: the training data have no ``SampleMask``.
    """
    places = list(find_transforms(config.get('train_dataloader'), 'SampleMask', 'train_dataloader'))
    if not places:
        raise ValueError("no pipeline of train_dataloader has dict(type='SampleMask'); a masking ratio has no meaning "
                         'for this config')
    joint, frame = split_ratio(ratio)
    return {f'{place}.{name}': value for place in places
            for name, value in (('joint_ratio', joint), ('frame_ratio', frame))}


def find_transforms(config: Any, name: str, place: str) -> Iterator[str]:
    """Yield the dotted place of every class ``name`` in a nested config."""
    if isinstance(config, Mapping):
        if str(config.get('type')).rpartition('.')[2] == name:
            yield place
        entries: Sequence = list(config.items())
    else:
        entries = list(enumerate(config)) if isinstance(config, (list, tuple)) else []
    for key, value in entries:
        yield from find_transforms(value, name, f'{place}.{key}')


def split_options(config: Config, split: str) -> dict[str, Any]:
    """Return the config options that make testing use the data and metrics of a split, 'val' or 'test'."""
    if split == 'test':
        return {}
    settings = config.to_dict()
    replaced = {f'test_{part}': settings[f'{split}_{part}'] for part in ('dataloader', 'evaluator')}
    return {key: {**value, '_delete_': True} if isinstance(value, dict) else value for key, value in replaced.items()}


def run_sweep(sweep: Sweep, ratios: Sequence[float], seeds: Sequence[int]) -> list[list]:
    """Run everything that is not done yet, writing the table after each ratio; return its rows."""
    rows: list[list] = []
    with tqdm(total=len(seeds) * (1 + len(ratios)), unit='run', disable=None) as progress:
        for seed in seeds:
            progress.set_description(f'seed {seed}, scratch')
            scratch = sweep.run_scratch(seed)
            progress.update()
            for ratio in ratios:
                progress.set_description(f'seed {seed}, ratio {ratio:g}')
                joint, frame = split_ratio(ratio)
                hidden = round(1 - (1 - joint) * (1 - frame), 6)  # a joint can be hidden by both
                rows.append([ratio, joint, frame, hidden, seed, *sweep.run_ratio(ratio, seed), scratch])
                write_table(sweep.out / 'mask_sweep.csv', rows, COLUMNS)
                progress.update()
    return rows


def draw(rows: Sequence[Sequence], metric: str, path: Path) -> None:
    """Draw the results over the ratio: pretraining alone, and finetuning beside training from scratch."""
    seeds = sorted({row[COLUMNS.index('seed')] for row in rows})
    bands = {column: average_runs([{row[0]: row[COLUMNS.index(column)] for row in rows
                                    if row[COLUMNS.index('seed')] == seed} for seed in seeds])
             for column in ('pretrained', 'finetuned', 'scratch')}
    panels = {'pretrained, not finetuned': {'pretrained': bands['pretrained']},
              'finetuned': {name: bands[name] for name in ('finetuned', 'scratch')}}
    plot_bands(panels, path, x_label='total masking ratio (frames : joints = 2 : 1)', y_label=metric)


def summarize(rows: Sequence[Sequence]) -> str:
    """Return a Markdown table of mean and spread over the seeds."""
    header = ('ratio', 'hidden', 'pretrained', 'finetuned', 'scratch')
    table = []
    for ratio in sorted({row[0] for row in rows}):
        chosen = [dict(zip(COLUMNS, row)) for row in rows if row[0] == ratio]
        table.append([f'{ratio:g}', f'{chosen[0]["hidden"]:.3f}',
                      *(format_spread(row[name] for row in chosen) for name in header[2:])])
    return format_table(table, header)


def parse_args(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pretrain_config', help="config whose training data are masked by dict(type='SampleMask')")
    parser.add_argument('finetune_config', help='config that is trained from the pretrained checkpoint')
    parser.add_argument('--scratch-config', help='config that is trained from scratch (default: FINETUNE_CONFIG)')
    parser.add_argument('--ratios', nargs='+', type=float, default=[0, 0.15, 0.3, 0.45, 0.6, 0.75], metavar='RATIO')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='SEED')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder of runs, table and picture')
    parser.add_argument('--split', choices=['val', 'test'], default='test',
                        help='data of each config that checkpoints are tested on (default: test)')
    parser.add_argument('--metric', default='MPJPE', help='the result (default: MPJPE)')
    for name, target in (('cfg', 'all configs'), ('pretrain', 'PRETRAIN_CONFIG'), ('finetune', 'the other configs')):
        parser.add_argument(f'--{name}-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                            help=f'override entries of {target}')
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    args = parse_args(arguments)
    sweep = Sweep(args.pretrain_config, args.finetune_config, args.scratch_config or args.finetune_config, args.out,
                  args.split, args.metric, {**args.cfg_options, **args.pretrain_options},
                  {**args.cfg_options, **args.finetune_options})
    try:
        mask_options(read_config(sweep.pretrain, sweep.pretrain_options), max(args.ratios))
        rows = run_sweep(sweep, args.ratios, args.seeds)
        draw(rows, sweep.metric, sweep.out / 'mask_sweep.png')
    except (*EXPECTED, RuntimeError) as error:
        sys.exit(f'error: {error if isinstance(error, RuntimeError) else describe_error(error)}')
    print(summarize(rows))


if __name__ == '__main__':
    main()
