"""Compare ways of pretraining by what a finetuned model reaches, over seeds and test conditions.

For every seed each recipe is pretrained, tested as it is, finetuned with one and the same config and tested again;
the finetuning config alone, from scratch, is the baseline. Recipes of one pretraining config share its run. A study
that was stopped goes on where it was. Writes DIR/results.csv (every test) and DIR/table.md (mean and standard deviation
over seeds).

  python tools/analysis_tools/compare_pretraining.py FINETUNE_CONFIG --pretrain lift=CONFIG --pretrain mask=CONFIG \\
      --test detected --test missing test_dataloader.dataset.pipeline_changes.SampleMask.joint_ratio=0.3 --out DIR
"""
from __future__ import annotations

import argparse
import ast
import itertools
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from experiments import evaluate, format_spread, format_table, train
from motionbert_mm.engine.command_line import read_config
from motionbert_mm.io.tables import write_table

SCRATCH = 'scratch'
STAGES = ('pretrained', 'finetuned')
PRETRAINING: defaultdict = defaultdict(Lock)  # (config, seed) -> held while this training runs


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('finetune', metavar='FINETUNE_CONFIG', help='config that every recipe is finetuned with')
    parser.add_argument('--pretrain', action='append', required=True, type=_pair, metavar='NAME=CONFIG',
                        help='a recipe: its name in the table and its config; repeat the option for more')
    parser.add_argument('--test', action='append', nargs='+', required=True, metavar=('NAME', 'KEY=VALUE'),
                        help='a test condition: its name in the table and what it changes; repeat the option for more')
    parser.add_argument('--pretrained-test', action='append', nargs='+', default=[], metavar=('NAME', 'KEY=VALUE'),
                        help='a test condition of what is only pretrained, whose data and metrics may be others '
                        '(default: those of --test)')
    parser.add_argument('--finetune-options', action='append', nargs='+', default=[], metavar=('NAME', 'KEY=VALUE'),
                        help='a recipe (scratch too) and what it changes of the finetuning config, e.g. frozen '
                             "model.frozen=['backbone']; repeat the option for more recipes")
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], help='(default: 0 1 2)')
    parser.add_argument('--metric', nargs='+', default=['MPJPE'],
                        help='what the table shows: one or more, as far as a test measures them (default: MPJPE)')
    parser.add_argument('--finetuned-only', action='store_true', help='do not test what is only pretrained: its heads '
                        'may predict something else')
    parser.add_argument('--jobs', type=int, default=1, help='recipes that run at the same time, one thread each; '
                        'with 1 a run uses all cores (default: 1)')
    parser.add_argument('--cfg-options', nargs='+', type=_setting, default=[], metavar='KEY=VALUE',
                        help='changes of every training')
    parser.add_argument('--out', required=True, type=Path, metavar='DIR', help='folder of all runs and results')
    args = parser.parse_args()
    names = [SCRATCH, *(name for name, _ in args.pretrain)]
    if len(set(names)) < len(names) or any(
            len({name for name, *_ in tests}) < len(tests) for tests in (args.test, args.pretrained_test)):
        parser.error(f'every recipe and every test needs a name of its own, and {SCRATCH} is the baseline')
    if args.pretrained_test and args.finetuned_only:
        parser.error('--pretrained-test and --finetuned-only contradict each other')
    unknown = {name for name, *_ in args.finetune_options} - set(names)
    if unknown:
        parser.error(f'--finetune-options names {", ".join(sorted(unknown))}; the recipes are {", ".join(names)}')
    return args


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition('=')
    if not (name and separator and value):
        raise argparse.ArgumentTypeError(f'{text!r} is not NAME=VALUE')
    return name, value


def _setting(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE, the value as a Python literal or else as text."""
    key, value = _pair(text)
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def check_configs(args: argparse.Namespace) -> None:
    """Read every config with every change, so that a typing error does not end a study after hours."""
    for config in (args.finetune, *dict(args.pretrain).values()):
        read_config(config, dict(args.cfg_options))
    for stage, configs in zip(STAGES, (dict(args.pretrain).values(), [args.finetune])):
        for config, (_, *options) in itertools.product(configs, tests_of(stage, args)):
            read_config(config, dict(map(_setting, options)))
    for name, *_ in args.finetune_options:
        read_config(args.finetune, {**dict(args.cfg_options), **finetune_options(name, args)})


def follow_recipe(name: str, seed: int, args: argparse.Namespace) -> list[tuple]:
    """Pretrain, finetune and test one recipe with one seed: rows (recipe, seed, stage, test, metrics)."""
    folder, changes = args.out / name / f'seed{seed}', dict(args.cfg_options)
    stages, start = [], {}
    if name != SCRATCH:
        config = dict(args.pretrain)[name]
        checkpoint = pretrain(config, seed, args)
        if not args.finetuned_only:
            stages.append((STAGES[0], config, {}, checkpoint))
        start = dict(load_from=checkpoint)
    # The baseline is the very same config without a checkpoint to start from.
    own = finetune_options(name, args)
    checkpoint = train(args.finetune, folder / 'finetune', {'load_from': None, **changes, **own, **start}, seed)
    # Of what a recipe changes, the tests need the model.
    model = {key: value for key, value in own.items() if key.startswith('model.')}
    stages.append((STAGES[1], args.finetune, model, checkpoint))
    return [(name, seed, stage, test, evaluate(config, checkpoint, {**model, **dict(map(_setting, options))},
                                               folder / f'test_{stage}_{test}'))
            for stage, config, model, checkpoint in stages for test, *options in tests_of(stage, args)]


def pretrain(config: str, seed: int, args: argparse.Namespace) -> Path:
    """Pretrain once for all recipes that begin so, in the folder of the first."""
    owner = next(name for name, other in args.pretrain if other == config)
    with PRETRAINING[config, seed]:
        return train(config, args.out / owner / f'seed{seed}' / 'pretrain', dict(args.cfg_options), seed)


def finetune_options(name: str, args: argparse.Namespace) -> dict:
    """Return what a recipe changes of the finetuning config."""
    return {key: value for recipe, *options in args.finetune_options if recipe == name
            for key, value in map(_setting, options)}


def tests_of(stage: str, args: argparse.Namespace) -> list[list[str]]:
    """Return the test conditions of a stage, each a name and changes."""
    if stage == STAGES[0]:
        return [] if args.finetuned_only else args.pretrained_test or args.test
    return args.test


def format_tables(results: list[tuple], args: argparse.Namespace) -> str:
    """Return the table of both stages, or one for each if their tests are others."""
    groups = [(stage,) for stage in STAGES] if args.pretrained_test else [STAGES]
    return '\n\n'.join(format_stages(stages, results, args) for stages in groups)


def format_stages(stages: Sequence[str], results: list[tuple], args: argparse.Namespace) -> str:
    """Return a table with a row per stage and recipe: mean and spread over the seeds, per test and metric."""
    values = defaultdict(list)
    for name, _, stage, test, metrics in results:
        for metric in set(args.metric) & set(metrics):
            values[stage, name, test, metric].append(metrics[metric])
    tests = [test for test, *_ in tests_of(stages[-1], args)]
    measured = {(test, metric) for stage, _, test, metric in values if stage in stages}
    columns = [column for column in itertools.product(tests, args.metric) if column in measured]
    rows = []
    for start in itertools.product(stages, [SCRATCH, *dict(args.pretrain)]):
        cells = [values.get((*start, *column)) for column in columns]
        if any(cells):
            rows.append([*start, *(format_spread(cell) if cell else '-' for cell in cells)])
    titles = [test if len(args.metric) == 1 else f'{test} {metric}' for test, metric in columns]
    return format_table(rows, ['stage', 'recipe', *titles])


def flatten(results: list[tuple]) -> Iterator[list]:
    """Yield one row per measured number."""
    for *key, metrics in results:
        for metric, value in metrics.items():
            yield [*key, metric, value]


def describe(metrics: Mapping[str, float], wanted: Sequence[str]) -> str:
    """Return the values of the metrics that were measured.

    Raises:
        KeyError: none was.
    """
    found = [f'{metrics[metric]:.1f}' for metric in wanted if metric in metrics]
    if not found:
        raise KeyError(f'the tests measure {", ".join(metrics)}, not {" or ".join(map(repr, wanted))}; choose one with '
                       '--metric')
    return ' '.join(found)


def main() -> None:
    """Run the command line."""
    args = parse_args()
    if args.jobs > 1:
        os.environ['OMP_NUM_THREADS'] = '1'
    recipes = [(name, seed) for seed in args.seeds for name in [SCRATCH, *dict(args.pretrain)]]
    results: list[tuple] = []
    try:
        check_configs(args)
        with ThreadPoolExecutor(args.jobs) as pool:
            run = pool.map if args.jobs > 1 else map  # only the main thread receives signals
            for (name, seed), rows in zip(recipes, run(lambda recipe: follow_recipe(*recipe, args), recipes)):
                results += rows
                measured = ', '.join(f'{row[2]} {row[3]} {describe(row[4], args.metric)}' for row in rows)
                print(f'{len(results)} tests done | {name}, seed {seed}: {measured}', flush=True)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        sys.exit(str(error.args[0] if isinstance(error, KeyError) else error))
    write_table(args.out / 'results.csv', flatten(results), ['recipe', 'seed', 'stage', 'test', 'metric', 'value'])
    table = format_tables(results, args)
    (args.out / 'table.md').write_text(table + '\n', encoding='utf-8')
    print(f'{", ".join(args.metric)}, mean ± standard deviation over {len(args.seeds)} seeds\n\n{table}')


if __name__ == '__main__':
    main()
