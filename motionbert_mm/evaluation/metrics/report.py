"""What a metric reports: numbers, tables of groups, and the protocol in one line."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from motionbert_mm.evaluation.groupings import Grouping

Rows = Mapping[str, Mapping[str, float]]


class Report(NamedTuple):
    """The result of a metric.

    Attributes:
        metrics: what the metric returns: the headlines, and every average as ``name/average``.
        groupings: by grouping, that of ``group_by`` first, then by group in the order of the table: ``clips``,
            ``frames`` and the mean of every measured name. Empty where the data do not state the groups.
        counts: ``sequences`` and ``frames`` that were measured, sequences ``excluded``, frames ``hidden`` for lack of
            a valid target.
        table: one row per group and one per average, one table after another.
        protocol: all that the headline depends on, in one line.
    """

    metrics: dict[str, float]
    groupings: dict[str, dict[str, dict[str, float]]]
    counts: dict[str, int]
    table: str
    protocol: str

    @property
    def groups(self) -> dict[str, dict[str, float]]:
        """The rows of ``group_by``."""
        return next(iter(self.groupings.values()))


def lay_out(groupings: Sequence[Grouping], rows: Mapping[str, Rows], averages: Rows, counts: Mapping[str, int],
            whole_heading: str = 'total') -> str:
    """Lay out a table of every grouping, and of the first one more for every measured name that has parts.

    Args:
        groupings: in the order of the tables.
        rows: by grouping, as ``Report.groupings``.
        averages: by measured name, by average. 'NAME/part' is a part of NAME.
        counts: as ``Report.counts``.
        whole_heading: of the column of a name in the table of its parts.
    """
    whole = [name for name in averages if '/' not in name]
    main, *others = groupings
    means = {'frame': 'frames', 'clip': 'clips', main.name: main.plural}
    texts = [_group_table(main.name, main, rows[main.name], {name: averages[name] for name in whole}, means, counts) +
             _unknown(main, rows[main.name], counts)]
    for name in whole:
        parts = {key.partition('/')[2]: key for key in averages if key.startswith(f'{name}/')}
        if parts:
            columns = {**parts, whole_heading: name}
            texts.append(_group_table(
                name, main, {group: {'clips': row['clips'], 'frames': row['frames'],
                                     **{part: row[key] for part, key in columns.items()}}
                             for group, row in rows[main.name].items()},
                {part: averages[key] for part, key in columns.items()}, means, counts))
    for grouping in others:
        texts.append(_further_table(grouping, rows[grouping.name], {name: averages[name] for name in whole}, counts))
    return '\n\n'.join(texts)


def _further_table(grouping: Grouping, rows: Rows, averages: Rows, counts: Mapping[str, int]) -> str:
    """The table of a grouping beside the first, or a word instead."""
    if not rows:
        return f'{grouping.name}: not stated by the data, no table'
    known = {**counts, 'frames': sum(int(row['frames']) for row in rows.values())}
    return (_group_table(grouping.name, grouping, rows, averages, {grouping.name: grouping.plural}, known) +
            _unknown(grouping, rows, counts))


def _unknown(grouping: Grouping, rows: Rows, counts: Mapping[str, int]) -> str:
    """A line on the frames that are in no row of a table that has rows."""
    unknown = counts['frames'] - sum(int(row['frames']) for row in rows.values())
    return f'\n{grouping.name} not known: {unknown} frames, in no row' if rows and unknown else ''


def _group_table(title: str, grouping: Grouping, rows: Rows, averages: Rows, means: Mapping[str, str],
                 counts: Mapping[str, int]) -> str:
    """One row per group, and one for each of ``means``, average -> plural, that there is."""
    cells = [[word, rows[group]['clips'], rows[group]['frames'], *(rows[group][name] for name in averages)]
             for group, word in grouping.order(rows).items()]
    known = next(iter(averages.values()))
    cells += [[f'mean over {plural}', counts['sequences'], counts['frames'],
               *(average[key] for average in averages.values())] for key, plural in means.items() if key in known]
    return format_table([title, 'clips', 'frames', *averages], cells)


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
