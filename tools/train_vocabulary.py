"""Train the WordPiece vocabulary of a text encoder on the texts of motion stores.

The same texts always give the same file, a word on every line. Set its path as vocab_file of the text encoder:

    tools/train_vocabulary.py data/babel --split train --out data/babel_vocab.txt
"""
from __future__ import annotations

import argparse
from pathlib import Path

from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.selection import select_clips
from motionbert_mm.datasets.texts import mirror_text, normal_form
from motionbert_mm.engine.command_line import one_line_errors
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.models.word_pieces import UNKNOWN, make_tokenizer, train_vocabulary


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('stores', metavar='STORE', nargs='+', type=Path, help='motion stores whose clips have texts')
    parser.add_argument('--out', metavar='VOCAB.txt', type=Path, required=True,
                        help='file to write; one that exists is replaced')
    parser.add_argument('--split', help='take the clips of this split alone, e.g. train')
    parser.add_argument('--include', nargs='+', default=[], metavar='PATTERN', help='shell patterns of clip names')
    parser.add_argument('--exclude', nargs='+', default=[], metavar='PATTERN', help='clips to leave out')
    parser.add_argument('--size', type=int, default=4000, help='most words (default: 4000)')
    return parser.parse_args()


def collect_texts(args: argparse.Namespace) -> list[str]:
    """Return the distinct texts of all stores in order, and their mirror images, which flipped samples have.

    Raises:
        ValueError: a store without texts.
    """
    texts = set()
    for path in args.stores:
        clips = select_clips(MotionStore(path), split=args.split, include=args.include, exclude=args.exclude)
        found = {normal_form(text) for clip in clips for text in clip.text} - {''}
        if not found:
            raise ValueError(f'{path}: none of its {len(clips)} clips has a text; convert a data set that has some, as '
                             'tools/dataset_converters/babel.py or synthetic.py do')
        texts |= found | {mirror_text(text) for text in found}
    return sorted(texts)


def main() -> None:
    """Run the command line."""
    args = parse_args()
    with one_line_errors():
        texts = collect_texts(args)
        words = train_vocabulary(texts, args.size)
        with atomic_path(args.out) as work:
            work.write_text('\n'.join(words) + '\n', encoding='utf-8')
    tokenizer = make_tokenizer(words, max_tokens=512)
    pieces = [tokenizer.encode(text).tokens for text in texts]
    longest = max(map(len, pieces))
    unknown = sum(UNKNOWN in tokens for tokens in pieces)
    print(f'{args.out}: {len(words)} words of {len(texts)} texts (mirror images included), which are '
          f'{sum(map(len, pieces)) / len(pieces):.1f} tokens long on average and {longest} at most; '
          f'{unknown} have an unknown word')


if __name__ == '__main__':
    main()
