"""Draw loss and metric curves of training runs, each on its own or groups of them over one another.

LOG is a work dir or a scalars.json in it. One row of panels per LOG: losses, validation errors, validation
scores. The runs of one work dir, which resuming makes, are joined: where a run repeats iterations, it replaces
what an earlier one logged.

With --group LABEL LOG ..., once per group, the runs of a group (seeds of one config) become a mean curve with a band of
one standard deviation, all groups in one panel per curve of --keys; the numbers are written as .csv beside the picture.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Optional

import numpy as np
from tqdm import tqdm

from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.tables import write_table
from motionbert_mm.visualization.artists import save
from motionbert_mm.visualization.curves import (
    BOOKKEEPING,
    Band,
    average_runs,
    plot_bands,
    plot_losses,
    read_scalars,
    split_records,
)

SCALARS = Path('vis_data', 'scalars.json')


def find_logs(path: Path) -> list[Path]:
    """Return the scalars.json of every run in a work dir, oldest first; of a file, the file.

    Raises:
        FileNotFoundError: nothing at ``path``, or no log in it.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f'{path} does not exist; expected a work dir or its scalars.json')
    logs = [file for file in (path / SCALARS.name, path / SCALARS) if file.is_file()]
    logs = logs or sorted(path.glob(f'*/{SCALARS}'))  # the folders are named by date and time
    if not logs:
        raise FileNotFoundError(f'{path} holds no TIMESTAMP/{SCALARS.as_posix()}; did a training run log there?')
    return logs


def join_runs(runs: Sequence[Sequence[Mapping]]) -> list[Mapping]:
    """Join the records of one work dir: a later run cuts off what it repeats of the earlier ones."""
    joined: list = []
    for records in runs:
        first = next((record['step'] for record in records if _is_training(record)), None)
        if first is not None:
            repeated = (number for number, record in enumerate(joined)
                        if _is_training(record) and record['step'] >= first)
            del joined[next(repeated, len(joined)):]
        joined += records
    return joined


def _is_training(record: Mapping) -> bool:
    return 'loss' in record and 'step' in record


def choose_curves(records: Sequence[Mapping], patterns: Sequence[str] = ()) -> list[dict]:
    """Keep the total loss, the curves whose names fit a shell pattern, and the bookkeeping.

    Without patterns the details of a metric, such as ``MPJPE/clip`` beside ``MPJPE``, are left out.

    Raises:
        ValueError: a pattern that no curve fits; the names are listed.
    """
    names = {name for record in records for name in record if name not in BOOKKEEPING}
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise ValueError(f'no curve is called {pattern}; there are {", ".join(sorted(names))}')
    if patterns:
        kept = {'loss', *(name for name in names if any(fnmatch(name, pattern) for pattern in patterns))}
    else:
        kept = {name for name in names if '/' not in name or name.rsplit('/', 1)[0] not in names}
    return [{name: value for name, value in record.items() if name in kept or name in BOOKKEEPING}
            for record in records]


def summarize(records: Sequence[Mapping]) -> str:
    """Return the last value of every curve in one line."""
    losses, metrics = split_records(records)
    return ', '.join(f'{name} {curve[max(curve)]:.4g} at {max(curve)}' for name, curve in {**losses, **metrics}.items())


def draw(logs: Mapping[str, Sequence[Mapping]], path: Path, dpi: float = 150.0) -> None:
    """Write one picture with a row of panels for each named log."""
    figures = [plot_losses(records, title=name, dpi=dpi) for name, records in tqdm(
        logs.items(), desc='drawing', unit='run', disable=None)]
    if len(figures) == 1:
        save(figures[0], path)
        return
    from matplotlib.image import imsave
    rows = []
    for figure in figures:
        figure.canvas.draw()
        rows.append(np.asarray(figure.canvas.buffer_rgba()))
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    with atomic_path(path) as work:
        imsave(work, np.concatenate(rows))


def read_run(path: Path) -> list[Mapping]:
    """Read the records of a work dir or of one log."""
    return join_runs([read_scalars(file) for file in find_logs(path)])


def compare_groups(groups: Mapping[str, Sequence[Path]], patterns: Sequence[str]) -> dict[str, dict[str, Band]]:
    """Average the runs of each group: curve name -> label -> mean curve over training iterations.

    Args:
        groups: label -> work dirs or logs.
        patterns: names of curves, or shell patterns.

    Raises:
        ValueError: a curve that a run does not have, or runs of a group without a common iteration.
    """
    panels: dict[str, dict[str, Band]] = {}
    for label, paths in groups.items():
        runs = []
        for path in paths:
            losses, metrics = split_records(read_run(path))
            runs.append({**losses, **metrics})
        for pattern in patterns:
            names = sorted({name for run in runs for name in run if fnmatch(name, pattern)})
            for name in names or [pattern]:
                lacking = next((path for path, run in zip(paths, runs) if name not in run), None)
                if lacking is not None:
                    there = sorted(set().union(*runs))
                    raise ValueError(f'{lacking} of {label!r} has no curve {name}; the group has {", ".join(there)}')
                panels.setdefault(name, {})[label] = average_runs([run[name] for run in runs])
    return panels


def write_comparison(panels: Mapping[str, Mapping[str, Band]], path: Path, dpi: float = 150.0) -> None:
    """Write the picture, and the numbers as a table of the same name."""
    rows = [[name, label, *point, band.count] for name, bands in panels.items() for label, band in bands.items()
            for point in zip(band.steps.tolist(), band.means.tolist(), band.spreads.tolist())]
    write_table(path.with_suffix('.csv'), rows, ['curve', 'label', 'iteration', 'mean', 'spread', 'n'])
    plot_bands(panels, path, x_label='iteration', dpi=dpi)


def draw_runs(paths: Sequence[Path], keys: Sequence[str], out: Path) -> list[str]:
    """Write a row of panels per run; return a line about each."""
    logs = {str(path): choose_curves(read_run(path), keys) for path in paths}
    draw(logs, out)
    return [f'{name}: {summarize(records)}' for name, records in logs.items()]


def draw_groups(groups: Sequence[Sequence[str]], keys: Sequence[str], out: Path) -> list[str]:
    """Write the comparison of groups (label, path, ...); return a line about each."""
    by_label = {label: [Path(path) for path in paths] for label, *paths in groups}
    if len(by_label) < len(groups) or not all(by_label.values()):
        raise ValueError('--group needs a label of its own and at least one LOG, e.g. --group finetune work_dirs/ft_*')
    if not keys:
        raise ValueError('--group needs the names of the curves to compare, e.g. --keys MPJPE')
    panels = compare_groups(by_label, keys)
    write_comparison(panels, out)
    return [f'{label}: {name} {band.means[-1]:.4g} at {band.steps[-1]}, n = {band.count}'
            for name, bands in panels.items() for label, band in bands.items()]


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('logs', nargs='*', type=Path, metavar='LOG', help='work dir of a run, or its scalars.json')
    parser.add_argument('--group', nargs='+', action='append', default=[], metavar=('LABEL', 'LOG'),
                        help='compare groups of runs instead; once per group')
    parser.add_argument('--out', type=Path, default=Path('curves.png'), metavar='FILE',
                        help='picture to write; the suffix chooses the format (default: curves.png)')
    parser.add_argument('--keys', nargs='+', default=(), metavar='PATTERN',
                        help="curves to draw besides the loss, e.g. 'MPJPE*' (default: all but the details of "
                             'metrics); with --group exactly these')
    args = parser.parse_args(arguments)
    if bool(args.logs) == bool(args.group):
        parser.error('name either LOG ... or --group LABEL LOG ...')
    try:
        draw_any, sources = (draw_groups, args.group) if args.group else (draw_runs, args.logs)
        lines = draw_any(sources, args.keys, args.out)
    except (OSError, ValueError, ImportError) as error:
        print(' '.join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    print(*lines, f'wrote {args.out}', sep='\n')


if __name__ == '__main__':
    main()
