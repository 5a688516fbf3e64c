"""Attention maps: a grid of layers and heads on one colour scale."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

import numpy as np

from motionbert_mm.visualization.artists import TEXT, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL, GAP = 1.75, 0.16  # inches
HIDDEN = '#D55E00'
# A few weights may be far above all others; the colours end where all but this share of the weights lie.
OFF_SCALE = 0.002


class AttentionRow(NamedTuple):
    """The maps of one layer.

    Attributes:
        title: beside the row.
        weights: (heads, L, L), rows sum to one.
        labels: (L,) of the tokens: numbers, of which a few are shown, or names, which all are.
        hidden: (L,) bool, tokens whose input was hidden.
    """

    title: str
    weights: np.ndarray
    labels: Sequence
    hidden: np.ndarray


def plot_attention(rows: Sequence[AttentionRow], path: Optional[Union[str, Path]] = None, *, tokens: str,
                   title: str = '', dpi: float = 150.0) -> Figure:
    """Draw attention maps, a row for every layer and a column for every head.

    Colours show weight times number of tokens, so that 1 is even attention in layers of any length. What attends runs
    down, what is attended to runs to the right; a strip along both axes marks hidden tokens.

    Args:
        rows: at least one layer.
        path: picture to write; none if None.
        tokens: what they are, e.g. 'frame'.
        title: text above the panels.
        dpi: dots per inch.

    Returns:
        The figure.

    Raises:
        ValueError: no layer, or weights that do not fit the labels.
    """
    _check(rows)
    columns = max(len(row.weights) for row in rows)
    margin = 0.75 if isinstance(rows[0].labels[0], str) else 0.3  # for the names of tokens
    width = max(columns * (PANEL + GAP) + margin + 1.25, 6.0)
    height = len(rows) * (PANEL + margin + GAP) + 1.1
    figure = new_figure(width, height, dpi)
    figure.suptitle(title, fontsize=10, color=TEXT, y=1 - 0.1 / height, va='top')
    grid = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw=dict(
        left=(margin + 0.4) / width, right=1 - 1.0 / width, top=1 - 0.8 / height, bottom=(margin + 0.2) / height,
        wspace=GAP / PANEL, hspace=(margin + GAP) / PANEL))
    limit = _limit(rows)
    for line, row in zip(grid, rows):
        for head, axes in enumerate(line):
            if head >= len(row.weights):
                axes.set_visible(False)
                continue
            image = axes.imshow(row.weights[head] * len(row.labels), cmap='viridis', vmin=0.0, vmax=limit,
                                interpolation='antialiased', aspect='equal')
            axes.set_title(f'head {head + 1}', fontsize=7.5, color=TEXT, pad=8)
            _style(axes, row, is_first=head == 0)
    _add_bar(figure, image, width, is_cut=limit < _values(rows).max())
    figure.supxlabel(f'{tokens} attended to', fontsize=8, color=TEXT, y=0.08 / height, va='bottom')
    figure.supylabel(f'{tokens} that attends', fontsize=8, color=TEXT, x=0.06 / width, ha='left')
    if any(np.any(row.hidden) for row in rows):
        figure.text(1 - 0.1 / width, 0.08 / height, f'orange: hidden {tokens}s', fontsize=8, color=HIDDEN, ha='right')
    if path is not None:
        save(figure, path)
    return figure


def _check(rows: Sequence[AttentionRow]) -> None:
    if not rows:
        raise ValueError('got no attention map to draw; expected at least one layer')
    for row in rows:
        length = len(row.labels)
        if row.weights.ndim != 3 or row.weights.shape[1:] != (length, length) or len(row.hidden) != length:
            raise ValueError(f'{row.title}: weights have shape {row.weights.shape} and {len(row.hidden)} tokens are '
                             f'hidden or not, expected (heads, {length}, {length}) and {length} as there are labels')


def _values(rows: Sequence[AttentionRow]) -> np.ndarray:
    """Return all weights of a picture, relative to even attention."""
    return np.concatenate([row.weights.ravel() * len(row.labels) for row in rows])


def _limit(rows: Sequence[AttentionRow]) -> float:
    """Return the end of the colour scale, at least twice even attention."""
    return max(float(np.quantile(_values(rows), 1 - OFF_SCALE)), 2.0)


def _style(axes: Axes, row: AttentionRow, *, is_first: bool) -> None:
    """Label the tokens and mark the hidden ones."""
    length = len(row.labels)
    has_names = isinstance(row.labels[0], str)
    ticks = np.arange(length) if has_names else np.unique(np.linspace(0, length - 1, 4).round().astype(int))
    labels = [str(row.labels[tick]).replace('_', ' ') for tick in ticks]
    axes.set_xticks(ticks, labels, rotation=90 if has_names else 0)
    axes.set_yticks(ticks, labels if is_first else [''] * len(ticks))
    axes.tick_params(length=1.5, labelsize=4.5 if has_names else 5.5, colors=TEXT, pad=1.5)
    if is_first:
        axes.set_ylabel(row.title, fontsize=8, color=TEXT, labelpad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _mark(axes, np.flatnonzero(row.hidden))


def _mark(axes: Axes, tokens: np.ndarray) -> None:
    """Mark tokens (H,) above and on the right of a map."""
    from matplotlib.collections import PolyCollection
    along = tokens[:, None] + np.array([-0.5, 0.5, 0.5, -0.5])  # (H, 4) corners; a token spans half a unit either way
    across = np.broadcast_to([1.01, 1.01, 1.04, 1.04], along.shape)
    for corners, transform in (((along, across), axes.get_xaxis_transform()),
                               ((across, along), axes.get_yaxis_transform())):
        axes.add_collection(PolyCollection(np.stack(corners, axis=-1), facecolors=HIDDEN, linewidths=0,
                                           transform=transform, clip_on=False), autolim=False)


def _add_bar(figure: Figure, image: object, width: float, *, is_cut: bool) -> None:
    """Add the colour bar of all panels."""
    axes = figure.add_axes((1 - 0.75 / width, 0.3, 0.13 / width, 0.45))
    bar = figure.colorbar(image, cax=axes, extend='max' if is_cut else 'neither')
    bar.set_label('weight \u00d7 number of tokens (1 is even)', fontsize=7.5, color=TEXT)
    bar.outline.set_visible(False)
    axes.tick_params(length=0, labelsize=7, colors=TEXT)
