"""Check a download, or a motion store, and say what is missing, what is broken and what to run next.

Nothing is changed. A part of the full release that is not there is MISSING; that does not hinder the use of the rest.
The exit status is 0 if the data can be used and 1 if not.

Examples:
    tools/dataset_converters/doctor.py amass downloads/AMASS
    tools/dataset_converters/doctor.py openpose my_videos/json
    tools/dataset_converters/doctor.py store data/h36m/train
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from motionbert_mm.datasets.checks import CHECKS

SAMPLED = ('amass', 'instavariety')  # too many files to read all of them by default


def bar(items: Iterable) -> Iterable:
    """Show the progress through a long loop, and remove it at the end."""
    return tqdm(items, ncols=80, leave=False)


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dataset', metavar='DATASET', choices=CHECKS, help=', '.join(CHECKS))
    parser.add_argument('path', metavar='PATH', type=Path, help='the file or folder, as unpacked')
    parser.add_argument('--thorough', action='store_true',
                        help=f'read every file whole, not a sample ({", ".join(SAMPLED)})')
    args = parser.parse_args()
    if not args.path.exists():
        sys.exit(f'{args.path}: no such file or folder')
    options = dict(thorough=args.thorough) if args.dataset in SAMPLED else {}
    report = CHECKS[args.dataset](args.path, bar, **options)
    print(report.text())
    return 0 if report.is_usable else 1


if __name__ == '__main__':
    sys.exit(main())
