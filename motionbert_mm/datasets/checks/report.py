"""What a check of a download found, as a table: OK, MISSING or BROKEN, and where to mend it."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

MAX_EXAMPLES = 3
Progress = Callable[[Iterable], Iterable]  # wraps a long loop, as tqdm does


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
        state: 'OK', 'MISSING' or 'BROKEN'.
        what: the thing that was looked at.
        found: what it is like.
        fix: where to mend it.
        blocks: nothing can be made of the data before this is mended.
    """

    state: str
    what: str
    found: str
    fix: str = ''
    blocks: bool = False


@dataclass
class Report:
    """All findings about one download.

    Attributes:
        dataset: its name on the command line.
        path: where it lies.
        command: what to run next once it is usable.
    """

    dataset: str
    path: Path
    command: str = ''
    findings: list = field(default_factory=list)

    def ok(self, what: str, found: object) -> None:
        """Note something that is as it should be, or that is only counted."""
        self.findings.append(Finding('OK', what, str(found)))

    def missing(self, what: str, found: object, fix: str, *, blocks: bool = False) -> None:
        """Note something that the full release has; without it the data may still be used, unless it ``blocks``."""
        self.findings.append(Finding('MISSING', what, str(found), fix, blocks))

    def broken(self, what: str, found: object, fix: str) -> None:
        """Note something that is not what it should be."""
        self.findings.append(Finding('BROKEN', what, str(found), fix, blocks=True))

    def broken_each(self, what: str, problems: Sequence[str], fix: str) -> None:
        """Note one kind of damage that several files have: their number and the first few."""
        if problems:
            self.broken(what, examples(problems), fix)

    def compare(self, what: str, found: int, full: int, fix: str) -> None:
        """Hold a count against that of the full release; more than that is another release, and said so."""
        if found < full:
            self.missing(what, f'{found:,} of {full:,}', fix)
        else:
            self.ok(what, f'{found:,}' + (f', {found - full:,} more than the known release' if found > full else ''))

    @property
    def is_usable(self) -> bool:
        """Tell whether a converter can make something of the data."""
        return not any(finding.blocks for finding in self.findings)

    def text(self) -> str:
        """Return the table, the verdict and the command to run next."""
        width = max((len(finding.what) for finding in self.findings), default=0)
        lines = [f'{self.dataset}: {self.path}', '']
        for finding in self.findings:
            lines.append(f'{finding.state:<8} {finding.what:<{width}}  {finding.found}')
            if finding.fix:
                lines.append(f'{"":<8} {"":<{width}}  -> {finding.fix}')
        return '\n'.join([*lines, '', *self._verdict()])

    def _verdict(self) -> list[str]:
        num_blocks = sum(finding.blocks for finding in self.findings)
        if num_blocks:
            verdict, order = f'not usable: {num_blocks} problem{"s" * (num_blocks > 1)} to mend first', 'then'
        elif any(finding.state == 'MISSING' for finding in self.findings):
            verdict, order = 'usable, but short of the full release', 'next'
        else:
            verdict, order = 'usable', 'next'
        return [verdict] + ([f'{order}: {self.command}'] if self.command else [])


def examples(items: Iterable[object], limit: int = MAX_EXAMPLES) -> str:
    """Return the number of items and the first few of them."""
    items = [str(item) for item in items]
    shown = '; '.join(items[:limit])
    return shown if len(items) == 1 else f'{len(items)}: {shown}' + ('; ...' if len(items) > limit else '')


def opened(report: Report, what: str, fix: str, make: Callable, *args: Any, **options: Any) -> Any:
    """Return ``make(*args, **options)``; report a file that cannot be read."""
    try:
        return make(*args, **options)
    except (ValueError, OSError) as error:
        report.broken(what, ' '.join(str(error).split()), fix)
        return None
