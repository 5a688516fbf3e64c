"""Turn the action labels of BABEL into a motion store of labelled segments (docs/data.md, "BABEL").

BABEL_DIR holds train.json, val.json, ... of babel_v1.0_release; AMASS_STORE was made by amass.py of the same folder.
Every label of a stretch of frames becomes a clip with its text, action categories, sequence and times. Labels that
cannot be used are left out, others put right; the report counts them all and stays in the index of the store.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from motionbert_mm.datasets.babel import SPLITS, TEXTS, Tally, find_files, read_split
from motionbert_mm.datasets.babel_segments import SegmentMaker, SegmentOptions
from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter

SHOWN = 5  # reasons that an error gives


def convert(source: Path, amass: Path, out_dir: Path, options: SegmentOptions, *, text: str = 'proc',
            splits: Sequence[str] = SPLITS, use_sequence_labels: bool = True) -> dict:
    """Make the store; return the info that is kept in its index.

    Raises:
        FileNotFoundError, ValueError: no file, a torn one, no store of AMASS, or no segment is left.
    """
    tally, files, store = Tally(), find_files(source, splits), MotionStore(amass)
    make = SegmentMaker(store, options, tally)
    recordings = {split: read_split(path, tally, text=text, use_sequence_labels=use_sequence_labels)
                  for split, path in files.items()}
    counts = Counter(sequences=sum(map(len, recordings.values())))
    names: dict[str, list] = {split: [] for split in files}
    info = dict(source=str(source), amass=str(amass), text=text)
    with MotionStoreWriter(out_dir, skeleton=store.skeleton, fps=options.fps, info=info) as writer:
        for split, entries in recordings.items():
            for recording in tqdm(entries, desc=split, unit='sequence'):
                for clip in make(recording, split):
                    segment = clip.segment
                    writer.add_clip(clip.name, clip.arrays, subject=clip.subject, text=(segment.text,),
                                    action=segment.categories[0] if segment.categories else '',
                                    categories=segment.categories, sequence=clip.sequence, seconds=clip.seconds)
                    names[split].append(clip.name)
                    counts.update(frames=segment.end - segment.start)
        counts.update(clips=sum(map(len, names.values())))
        if not counts['clips']:
            reasons = '; '.join(islice(tally.lines(), SHOWN))
            raise ValueError(f'{source}: no segment in {counts["sequences"]} sequences; {reasons}')
        writer.info.update(counts, splits={split: members for split, members in names.items() if members},
                           missing_files=[split for split in splits if split not in files],
                           labels=make.labels, report=tally.content())
    print_report(out_dir, writer.info, options.fps, tally)
    return writer.info


def print_report(out_dir: Path, info: Mapping, fps: float, tally: Tally) -> None:
    """Say what was written, and what was left out, put right or is worth knowing."""
    splits = ', '.join(f'{split} {len(names)}' for split, names in info['splits'].items())
    print(f'{out_dir}: {info["clips"]} clips ({splits}) of {info["sequences"]} sequences, {info["frames"]} frames at '
          f'{fps:g} fps, {info["frames"] / fps / 3600:.2f} hours')
    if info['missing_files']:
        print(f'not there: {", ".join(f"{split}.json" for split in info["missing_files"])}')
    for line in tally.lines():
        print(f'noted: {line}')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    defaults = SegmentOptions()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='BABEL_DIR', type=Path, help='folder with train.json, val.json, ...')
    parser.add_argument('amass', metavar='AMASS_STORE', type=Path, help='store made by amass.py')
    parser.add_argument('out_dir', metavar='OUT_DIR', type=Path, help='the store to make; one that exists is replaced')
    parser.add_argument('--labels', choices=TEXTS, default='proc',
                        help='normalised labels, or raw ones as they were typed (default: proc)')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, default=SPLITS, help='files to read (default: all)')
    parser.add_argument('--no-sequence-labels', action='store_true',
                        help='leave out sequences without labels of frames; else those of the whole sequence are taken')
    parser.add_argument('--no-transitions', action='store_true',
                        help='leave out transitions; else they become "transit from A to B"')
    parser.add_argument('--fps', type=float, default=defaults.fps, help=f'frame rate (default: {defaults.fps:g})')
    parser.add_argument('--min-frames', type=int, default=defaults.min_frames,
                        help=f'shortest segment (default: {defaults.min_frames})')
    parser.add_argument('--context', type=int, default=defaults.context, help='frames around the middle of a '
                        f'transition that its segment has at most, on either side (default: {defaults.context})')
    args = parser.parse_args()
    if min(args.fps, args.min_frames, args.context) <= 0:
        parser.error('--fps, --min-frames and --context must be positive')
    return args


def main() -> None:
    """Run the command line."""
    args = parse_args()
    options = SegmentOptions(fps=args.fps, min_frames=args.min_frames, with_transitions=not args.no_transitions,
                             context=args.context)
    try:
        convert(args.source, args.amass, args.out_dir, options, text=args.labels, splits=args.splits,
                use_sequence_labels=not args.no_sequence_labels)
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
