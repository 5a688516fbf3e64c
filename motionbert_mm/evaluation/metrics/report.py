"""What a metric reports: numbers, a table per group, and the protocol in one line."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Report(NamedTuple):
    """The result of a metric.

    Attributes:
        metrics: what the metric returns: the headlines, and every average as ``name/average``.
        groups: by group name, in the order of the table: ``clips``, ``frames`` and the mean of every measured name.
        counts: ``sequences`` and ``frames`` that were measured, sequences ``excluded``, frames ``hidden`` for lack of
            a valid target.
        table: one row per group and one per average.
        protocol: all that the headline depends on, in one line.
    """

    metrics: dict[str, float]
    groups: dict[str, dict[str, float]]
    counts: dict[str, int]
    table: str
    protocol: str


def format_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Lay out a table in columns of equal width."""
    cells = [[f'{cell:.2f}' if isinstance(cell, float) else str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return '\n'.join('  '.join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in
                                                           zip(row[1:], widths[1:]))]) for row in cells)


def flip_words(stated: Iterable[Any]) -> str:
    """Say whether predictions were averaged with those for the mirrored input; None is not stated."""
    stated = set(stated)
    words = {True: 'on', False: 'off', None: 'not stated'}
    return words[stated.pop()] if len(stated) == 1 else 'mixed'
