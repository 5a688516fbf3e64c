"""Samples as points in a plane, coloured by class."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from motionbert_mm.visualization.artists import TEXT, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 5.2  # inches of the plane
ROWS = 28  # of a column of the legend
MARKERS = ('o', 's', '^', 'D', 'v', 'P')  # of each twenty classes


def plot_points(points: np.ndarray, labels: np.ndarray, names: Sequence[str],
                path: Optional[Union[str, Path]] = None, *, title: str = '', dpi: float = 150.0) -> Figure:
    """Draw samples as points with a colour for each class and a legend beside them.

    Colours repeat after twenty classes, with another marker. Classes without samples are not in the legend.

    Args:
        points: (N, 2), unitless: the axes have no ticks.
        labels: (N,) int, places among ``names``.
        names: (K,) of the classes.
        path: picture to write; none if None.
        title: text above the points.
        dpi: dots per inch.

    Returns:
        The figure.

    Raises:
        ValueError: points and labels that do not fit.
    """
    points, labels = np.asarray(points), np.asarray(labels)
    if points.shape != (len(labels), 2) or not len(labels) or labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(f'points have shape {points.shape}, labels {labels.shape} and there are {len(names)} classes; '
                         'expected (samples, 2), and for each sample a label from 0 to the number of classes - 1')
    from matplotlib import colormaps
    from matplotlib.lines import Line2D
    shown = np.unique(labels)
    columns = -(-len(shown) // ROWS)
    margin = columns * (0.45 + 0.075 * max(len(names[label]) for label in shown)) + 0.2
    width, height = SIDE + margin + 0.3, SIDE + 0.5
    figure = new_figure(width, height, dpi)
    axes = figure.add_axes((0.15 / width, 0.15 / height, SIDE / width, SIDE / height))
    colors = colormaps['tab10' if len(shown) <= 10 else 'tab20'].colors
    size = float(np.clip(6000 / len(points), 5, 30))
    entries = []
    for place, label in enumerate(shown):
        look = dict(color=colors[place % len(colors)], marker=MARKERS[place // len(colors) % len(MARKERS)])
        axes.scatter(*points[labels == label].T, s=size, linewidths=0, alpha=0.8, **look)
        entries.append(Line2D([], [], linestyle='none', markersize=5, markeredgewidth=0, label=names[label], **look))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color='#B0B0B0', linewidth=0.8)
    figure.legend(handles=entries, loc='center left', bbox_to_anchor=((SIDE + 0.2) / width, 0.5), ncol=columns,
                  frameon=False, fontsize=8, labelcolor=TEXT, handletextpad=0.2, columnspacing=1.0)
    figure.suptitle(title, fontsize=10, color=TEXT, x=(0.15 + SIDE / 2) / width, y=1 - 0.1 / height, va='top')
    if path is not None:
        save(figure, path)
    return figure
