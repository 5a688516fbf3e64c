"""Confusion matrices, for a few classes and for a hundred."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from motionbert_mm.visualization.artists import GRID, TEXT, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of a cell: with few classes there is room for a number in it, with many for a line of small print beside it.
LARGE, SMALL = 0.42, 0.145
WIDEST = 24.0  # inches of a matrix; beyond 165 classes cells and print shrink
MOST_WITH_NUMBERS = 30
# Letters of a class name that are shown, and width of one relative to the size of the print.
LONGEST, LETTER = 32, 0.56
ABSENT = '#D9D9D9'


def plot_confusion(counts: np.ndarray, names: Sequence[str], path: Optional[Union[str, Path]] = None, *,
                   title: str = '', dpi: float = 150.0) -> Figure:
    """Draw how often the samples of each class were taken for which, in percent of the samples of that class.

    True classes run down, predicted ones to the right. Colours follow the square root, so that rare mistakes show too.
    Up to 30 classes the percentages stand in the cells; rows of classes without samples are grey.

    Args:
        counts: (K, K); the row is the true class.
        names: (K,) of the classes.
        path: picture to write; none if None.
        title: text above the matrix.
        dpi: dots per inch.

    Returns:
        The figure.

    Raises:
        ValueError: counts that are no matrix of as many classes as there are names.
    """
    counts = np.asarray(counts)
    if counts.shape != (len(names), len(names)) or not len(names):
        raise ValueError(f'counts have shape {counts.shape}, expected ({len(names)}, {len(names)}) for as many names')
    totals = counts.sum(axis=1, keepdims=True)
    percent = np.divide(100.0 * counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    has_numbers = len(names) <= MOST_WITH_NUMBERS
    cell = LARGE if has_numbers else min(SMALL, WIDEST / len(names))
    size = 8.0 if has_numbers else 6.0 * cell / SMALL
    labels = [name if len(name) <= LONGEST else f'{name[:LONGEST - 1]}\u2026' for name in names]
    margin = max(map(len, labels)) * LETTER * size / 72 + 0.45
    side = max(cell * len(names), 1.6)
    width, height = margin + side + 1.1, margin + side + 0.5
    figure = new_figure(width, height, dpi)
    axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
    _draw(axes, percent, labels, size, grid='white' if has_numbers else GRID)
    if has_numbers:
        _add_numbers(axes, percent)
    _add_bar(figure, axes, (1 - 0.95 / width, (margin + 0.15 * side) / height, 0.14 / width, 0.7 * side / height))
    figure.suptitle(title, fontsize=10, color=TEXT, x=(margin + side / 2) / width, y=1 - 0.12 / height, va='top')
    if path is not None:
        save(figure, path)
    return figure


def _draw(axes: Axes, percent: np.ndarray, labels: Sequence[str], size: float, *, grid: str) -> None:
    """Draw the matrix with all names, in print of a size, and lines of a colour between the cells."""
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm
    colors = colormaps['Blues'].with_extremes(bad=ABSENT)
    axes.imshow(np.ma.masked_invalid(percent), cmap=colors, norm=PowerNorm(0.5, vmin=0.0, vmax=100.0),
                interpolation='nearest', aspect='equal')
    places = np.arange(len(labels))
    axes.set_xticks(places, labels, rotation=90)
    axes.set_yticks(places, labels)
    axes.set_xlabel('predicted class', fontsize=9, color=TEXT)
    axes.set_ylabel('true class', fontsize=9, color=TEXT)
    axes.tick_params(length=0, labelsize=size, colors=TEXT, pad=2)
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(which='minor', color=grid, linewidth=0.4)
    axes.tick_params(which='minor', length=0)
    for spine in axes.spines.values():
        spine.set(color='#B0B0B0', linewidth=0.6)


def _add_numbers(axes: Axes, percent: np.ndarray) -> None:
    """Write the percentages into the cells that are not empty."""
    for row, column in np.argwhere(np.nan_to_num(percent) > 0):
        value = percent[row, column]
        axes.text(column, row, f'{value:.0f}' if value >= 0.5 else '<1', ha='center', va='center', fontsize=7.5,
                  color='white' if value > 40 else TEXT)


def _add_bar(figure: Figure, axes: Axes, place: Sequence[float]) -> None:
    """Add the colour bar at a place (left, bottom, width, height) of the figure."""
    bar = figure.colorbar(axes.images[0], cax=figure.add_axes(place), ticks=[0, 1, 5, 20, 50, 100])
    bar.set_label('% of the true class', fontsize=8, color=TEXT)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=7.5, colors=TEXT)
