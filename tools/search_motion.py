"""Find the clips of a motion store that fit a sentence, with a model that was aligned with text.

Every sentence gets a table of the clips whose vectors are nearest to its own, by their cosine. The clips are seen as in
the test of the model. Their vectors are kept in --cache and used again as long as checkpoint and store are the same.
Windows laid every --every seconds tell when in a long recording something is done.

Examples:
    tools/search_motion.py work_dirs/text/best.pth data/babel/val "a person waves" "jump over something" --top 5
    tools/search_motion.py work_dirs/text/best.pth data/recordings "sit down" --every 1 --cache cache --out hits.json
"""
from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Optional

import numpy as np
from tqdm import tqdm

from motionbert_mm.apis.motion_index import Hit
from motionbert_mm.apis.search import BATCH_SIZE, MotionSearch
from motionbert_mm.engine.command_line import check_device, one_line_errors
from motionbert_mm.io import atomic_path

HEADER = ('rank', 'score', 'clip', 'action', 'seconds', 'text')


def check_args(args: argparse.Namespace) -> None:
    """Refuse what would fail only after the motions were embedded."""
    empty = [text for text in args.texts if not text.strip()]
    if empty:
        raise ValueError(f'{len(empty)} of the {len(args.texts)} texts have no word; give sentences to search for')
    for option in ('top', 'batch_size'):
        if getattr(args, option) < 1:
            raise ValueError(f'--{option.replace("_", "-")} must be at least 1, got {getattr(args, option)}')
    if args.out is not None and args.out.suffix not in ('.json', '.npz'):
        raise ValueError(f'--out must be a .json or .npz file, got {args.out}')
    if args.cache is not None and args.cache.exists() and not args.cache.is_dir():
        raise NotADirectoryError(f'--cache {args.cache} is a file; name a folder')
    check_device(args.device)


def table_lines(hits: Sequence[Hit]) -> list[str]:
    """Lay the hits of a text out in columns."""
    rows = [HEADER] + [(str(hit.rank), f'{hit.score:.3f}', hit.clip, hit.action or '-',
                        f'{hit.seconds[0]:.2f}-{hit.seconds[1]:.2f}', ' / '.join(hit.text) or '-') for hit in hits]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER) - 1)]
    right = (0, 1, 4)
    return ['  '.join([*(cell.rjust(width) if column in right else cell.ljust(width)
                         for column, (cell, width) in enumerate(zip(row, widths))), row[-1]]) for row in rows]


def write_hits(path: Path, args: argparse.Namespace, found: Sequence[Sequence[Hit]]) -> None:
    """Write what was found: as JSON, or as arrays (queries, hits) of an .npz that loads without pickle."""
    facts = dict(checkpoint=str(args.checkpoint), store=str(args.store), split=args.split, every=args.every)
    with atomic_path(path) as work:
        if path.suffix == '.json':
            queries = [dict(text=text, hits=[asdict(hit) for hit in hits]) for text, hits in zip(args.texts, found)]
            work.write_text(json.dumps(dict(facts, queries=queries), indent=1, ensure_ascii=False) + '\n',
                            encoding='utf-8')
        else:
            np.savez_compressed(
                work, queries=np.array(args.texts), scores=np.array([[hit.score for hit in hits] for hits in found]),
                seconds=np.array([[hit.seconds for hit in hits] for hits in found]),
                text=np.array([[' / '.join(hit.text) for hit in hits] for hits in found]),
                **{name: np.array([[getattr(hit, name) for hit in hits] for hits in found])
                   for name in ('clip', 'action')})


def run(args: argparse.Namespace) -> None:
    """Read, embed, search, print and write."""
    check_args(args)
    search = MotionSearch.from_checkpoint(args.checkpoint, args.device)
    index = search.index(args.store, split=args.split, every=args.every, batch_size=args.batch_size, cache=args.cache,
                         progress=functools.partial(tqdm, desc='motions', unit='batch', disable=None))
    found = search.search(args.texts, top=args.top, windows=args.every is not None)
    for text, hits in zip(args.texts, found):
        print(f'"{text}"')
        print('\n'.join(f'  {line}' for line in table_lines(hits)))
    print(f'searched {len(index.clips)} clips, {len(index.owners)} windows, of {args.store}')
    if args.out is not None:
        write_hits(args.out, args, found)
        print(f'wrote {args.out}')


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', type=Path, help='of tools/train.py, of a model with a TextAlignHead')
    parser.add_argument('store', type=Path, help='motion store, made by a script of tools/dataset_converters/')
    parser.add_argument('texts', nargs='+', metavar='TEXT', help='what to search for')
    parser.add_argument('--top', type=int, default=10, metavar='N', help='hits of each text (default: 10)')
    parser.add_argument('--split', help='only the clips of this split of the store')
    parser.add_argument('--every', type=float, metavar='SECONDS',
                        help='lay a window every so many seconds, and find windows in the place of clips')
    parser.add_argument('--cache', type=Path, metavar='DIR', help='folder that keeps the vectors of the motions')
    parser.add_argument('--out', type=Path, metavar='OUT', help='write the hits, .json or .npz')
    parser.add_argument('--batch-size', type=int, default=BATCH_SIZE, metavar='N',
                        help=f'windows at a time (default: {BATCH_SIZE})')
    parser.add_argument('--device', help="'cpu', 'cuda:0', ... (default: the best available)")
    args = parser.parse_args(arguments)
    try:
        with one_line_errors():
            run(args)
    except ImportError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
