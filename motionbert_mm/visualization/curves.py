"""Loss and metric curves from the scalars that MMEngine logs."""
from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

import numpy as np

from motionbert_mm.visualization.artists import GRID, TEXT, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette without its yellow, which is too light for lines.
LINE_COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00')
# What MMEngine logs beside losses and metrics.
BOOKKEEPING = ('lr', 'base_lr', 'momentum', 'time', 'data_time', 'memory', 'eta', 'epoch', 'iter', 'step', 'grad_norm')
# Metrics of which more is better; all others are errors.
SCORE = re.compile(r'pck|auc|accuracy|\bacc\b|top\d|mean_class|recall|\bmap\b', re.IGNORECASE)


class Band(NamedTuple):
    """Several runs of one experiment, seeds for example, as one curve.

    Attributes:
        steps: (S,) places that all runs have.
        means: (S,) over the runs.
        spreads: (S,) sample standard deviation; NaN for a single run.
        count: number of runs.
    """

    steps: np.ndarray
    means: np.ndarray
    spreads: np.ndarray
    count: int


def average_runs(curves: Sequence[Mapping[float, float]]) -> Band:
    """Average curves {step: value} at the steps that all of them have.

    Raises:
        ValueError: no curve, or no common step.
    """
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    if not steps:
        raise ValueError(f'{len(curves)} runs have no step in common; expected runs of one config that differ by seed')
    values = np.array([[curve[step] for step in steps] for curve in curves], np.float64)
    spreads = values.std(axis=0, ddof=1) if len(curves) > 1 else np.full(len(steps), np.nan)
    return Band(np.array(steps), values.mean(axis=0), spreads, len(curves))


def plot_bands(panels: Mapping[str, Mapping[str, Band]], path: Optional[Union[str, Path]] = None, *, x_label: str,
               y_label: str = '', title: str = '', dpi: float = 150.0) -> Figure:
    """Draw mean curves with a band of one standard deviation on either side.

    Args:
        panels: heading -> label -> curve; a label has one colour in all panels.
        path: picture to write; none if None.
        x_label: what the steps are.
        y_label: what the values are.
        title: text above the panels.
        dpi: dots per inch.

    Returns:
        The figure.
    """
    labels = list(dict.fromkeys(label for bands in panels.values() for label in bands))
    figure = new_figure(0.4 + 4.6 * len(panels), 3.6, dpi)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (heading, bands) in zip(grid, panels.items()):
        for label, band in bands.items():
            color = LINE_COLORS[labels.index(label) % len(LINE_COLORS)]
            runs = f'{label}, n = {band.count}'
            axes.plot(band.steps, band.means, label=runs, color=color, linewidth=1.6, marker='o', markersize=3.5)
            axes.fill_between(band.steps, band.means - band.spreads, band.means + band.spreads, color=color, alpha=0.2,
                              linewidth=0)
        axes.set_ylabel(y_label, fontsize=8, color=TEXT)
        _style_panel(axes, heading, x_label)
    if title:
        figure.suptitle(title, fontsize=10, color=TEXT)
    figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure


def read_scalars(path: Union[str, Path]) -> list[dict]:
    """Read ``vis_data/scalars.json`` of a run: one JSON object per line.

    A last line without its end, as a killed run leaves it, is skipped.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is no JSON object; its number is named.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file; expected WORK_DIR/TIMESTAMP/vis_data/scalars.json')
    lines = path.read_text(encoding='utf-8').splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line) if line.strip() else {}
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise ValueError(f'{path}: line {number} is no JSON ({error}); expected one object per line') from None
        if not isinstance(record, dict):
            raise ValueError(f'{path}: line {number} is {line:.40}; expected the JSON objects of scalars.json')
        records.append(record)
    return records


def plot_losses(log: Union[str, Path, Sequence[Mapping]], path: Optional[Union[str, Path]] = None, *,
                title: str = '', dpi: float = 150.0) -> Figure:
    """Draw every training loss and, beside them, the validation errors and scores.

    Args:
        log: scalars.json of a run, or its records in order; where a resumed run repeats a step, the later counts.
        path: picture to write; none if None.
        title: text above the panels.
        dpi: dots per inch.

    Returns:
        The figure.

    Raises:
        ValueError: no record holds a loss.
    """
    records = read_scalars(log) if isinstance(log, (str, Path)) else list(log)
    losses, metrics = split_records(records)
    if not losses:
        raise ValueError(f'none of the {len(records)} records holds a training loss (a key with "loss" and "step"); '
                         'expected the scalars.json of a training run')
    # A metric's details, such as MPJPE/clip beside MPJPE, would hide it.
    shown = {name: curve for name, curve in metrics.items() if name.rsplit('/', 1)[0] not in metrics or '/' not in name}
    errors = {name: curve for name, curve in shown.items() if not SCORE.search(name)}
    scores = {name: curve for name, curve in shown.items() if SCORE.search(name)}
    panels = [('training loss', losses)] + [(name, curves) for name, curves in
                                            (('validation error', errors), ('validation score', scores)) if curves]
    figure = new_figure(0.4 + 4.1 * len(panels), 3.4, dpi)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, curves) in zip(grid, panels):
        _draw_panel(axes, name, curves, is_loss=curves is losses)
    figure.suptitle(title, fontsize=10, color=TEXT)
    figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure


def split_records(records: Iterable[Mapping]) -> tuple[dict, dict]:
    """Sort records into training losses and validation metrics, both over training iterations.

    MMEngine numbers validation by epoch when it trains by epoch; such steps are mapped to the last iteration of
    that epoch.

    Returns:
        Two dicts: name -> {iteration: value}.
    """
    losses, metrics, epoch_ends = {}, {}, {}
    for record in records:
        step = record.get('step', record.get('iter'))
        if step is None:
            continue
        values = {name: float(value) for name, value in record.items() if _is_number(value)}
        found = {name: value for name, value in values.items() if _quantity(name).startswith('loss')}
        if found:
            target = losses
            if 'epoch' in values:
                epoch_ends[int(values['epoch'])] = int(step)
        else:
            target = metrics
            found = {name: value for name, value in values.items() if _quantity(name) not in BOOKKEEPING}
            step = epoch_ends.get(int(step), int(step))
        for name, value in found.items():
            target.setdefault(name, {})[int(step)] = value
    return losses, metrics


def _draw_panel(axes: Axes, name: str, curves: Mapping, *, is_loss: bool) -> None:
    """Draw all curves of one kind with a legend; total loss thick and dark."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
    colors = iter(LINE_COLORS * len(curves))
    # The total first, the others by size: the legend then has the order of the lines.
    names = sorted(curves, key=lambda key: (_quantity(key) != 'loss', -curves[key][max(curves[key])]))
    for key in names:
        steps = sorted(curves[key])
        is_total = _quantity(key) == 'loss'
        axes.plot(steps, [curves[key][step] for step in steps], label=key, linewidth=2.2 if is_total else 1.4,
                  color='#303030' if is_total else next(colors), marker='' if is_loss else 'o', markersize=3.5,
                  zorder=3 if is_total else 2)
    values = [value for curve in curves.values() for value in curve.values() if math.isfinite(value)]
    if is_loss and values and min(values) > 0 and max(values) / min(values) > 10:
        axes.set_yscale('log')
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter('{x:g}')
    _style_panel(axes, name, 'iteration')
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _style_panel(axes: Axes, name: str, x_label: str) -> None:
    """Set heading, quiet grid and legend."""
    axes.set_title(name, fontsize=9, color=TEXT)
    axes.set_xlabel(x_label, fontsize=8, color=TEXT)
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=7.5, colors=TEXT)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ('left', 'bottom'))
        spine.set(color='#B0B0B0', linewidth=0.8)
    axes.legend(frameon=False, fontsize=7.5, labelcolor=TEXT)


def _quantity(name: str) -> str:
    """Return a logged name without the metric or head before it: pose3d/MPJPE, pose.loss_mpjpe."""
    return name.replace('.', '/').rsplit('/', 1)[-1]


def _is_number(value: object) -> bool:
    """Tell whether a logged value can be drawn."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
