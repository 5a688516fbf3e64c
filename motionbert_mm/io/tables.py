"""Tables as CSV files."""
from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Union

from motionbert_mm.io.atomic import atomic_path


def write_table(path: Union[str, Path], rows: Iterable[Sequence[Any]], header: Sequence[str]) -> None:
    """Write a CSV file with a header, numbers in full precision; it appears only when it is complete.

    Raises:
        ValueError: a row that is not as long as the header.
    """
    rows = list(rows)
    check_widths(rows, header)
    with atomic_path(path) as work, open(work, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([header, *rows])


def check_widths(rows: Iterable[Sequence[Any]], header: Sequence[str]) -> None:
    """Refuse rows that are not as long as the header."""
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f'a row has {len(row)} cells, the header {len(header)}: {list(row)}; {list(header)}')
