"""Turn your own clips into a motion store for action recognition.

SRC is either
  * a folder with a sub-folder per class, named as the class, which holds the keypoint files of its clips;
  * a folder with train/ and val/ (or test/), each with such sub-folders: these are the splits then;
  * a CSV with the head line file,label[,start,end[,split]]: files relative to the CSV, start and end in seconds (empty:
    the beginning and end of the file), split train, val or test. Several lines may cut the same file and may overlap.

A keypoint file is .json of AlphaPose or in COCO style, a folder of the frames that OpenPose writes, or .npy or .npz of
one person: (frames, joints, 3) of x, y in pixels and confidence. Second 0 is the image number 0. What was not seen has
confidence 0. Without splits of your own a share of the clips of each class is drawn for val; clips that were cut out
of one file stay on one side. A table of image sizes names files by their path below SRC, or as the CSV does, without
suffix.

Examples:
    tools/dataset_converters/action_folder.py clips/ data/actions --skeleton coco17 --image-size 1920 1080
    tools/dataset_converters/action_folder.py clips.csv data/actions --skeleton body25 --image-sizes sizes.csv --fps 25
    tools/dataset_converters/action_folder.py duels/ data/duels --skeleton halpe26 --image-size 1280 720 --num-persons 2

What to do next: train a classifier, whose classes are those of the store, and let it label a long video.
    tools/train.py configs/action/dstformer-tiny_ft_27f_1xb32-40e_own_det.py
    tools/infer.py work_dirs/dstformer-tiny_ft_27f_1xb32-40e_own_det/CHECKPOINT.pth long_video.json \\
        --skeleton coco17 --image-size 1920 1080 --out out
The config reads data/actions, as in the first example.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from motionbert_mm.datasets.action_clips import ActionClip, ActionClips
from motionbert_mm.datasets.action_files import SPLITS, TEST, ClipSource, find_clips
from motionbert_mm.datasets.action_splits import assign_splits, write_splits
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.io.image_sizes import add_size_options, check_size_options, sizes_of
from motionbert_mm.io.tracking import MAX_GAP
from motionbert_mm.structures.skeleton_table import SKELETONS

MAX_LISTED = 20  # names in a note


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, metavar='SRC', help='folder or CSV, see above')
    parser.add_argument('out_dir', type=Path, metavar='OUT_DIR',
                        help='the store to make; an existing store there is replaced')
    parser.add_argument('--skeleton', required=True, choices=sorted(SKELETONS), help='joint order of the files')
    add_size_options(parser)
    parser.add_argument('--num-persons', type=int, default=1, metavar='M',
                        help='most persons of a clip; those seen most are taken (default: 1)')
    parser.add_argument('--val-share', type=float, default=0.2, metavar='SHARE',
                        help='share of the clips of each class that is drawn for val, unless SRC names splits; a class '
                             'with two files or more has at least one there (default: 0.2)')
    parser.add_argument('--seed', type=int, default=0, help='of that draw (default: 0)')
    parser.add_argument('--max-gap', type=int, default=MAX_GAP,
                        help='images that a person may miss and be interpolated; where there are no track ids, who is '
                             f'away for longer comes back as somebody else (default: {MAX_GAP})')
    parser.add_argument('--skip-bad', action='store_true',
                        help='leave out files that cannot be read and list them at the end, instead of stopping')
    parser.add_argument('--trust-order', action='store_true', help='accept joints in an order that looks wrong')
    args = parser.parse_args()
    check_size_options(parser, args)
    if not 0 <= args.val_share < 1:
        parser.error(f'--val-share must be at least 0 and below 1, got {args.val_share}')
    if args.num_persons < 1 or args.max_gap < 0 or args.seed < 0:
        parser.error(f'--num-persons must be at least 1, --max-gap and --seed at least 0, got {args.num_persons}, '
                     f'{args.max_gap}, {args.seed}')
    if args.source.resolve() in args.out_dir.resolve().parents:
        parser.error(f'OUT_DIR {args.out_dir} lies in SRC, where it would be taken for a class; name another')
    return args


def read_clips(sources: Sequence[ClipSource], args: argparse.Namespace) -> tuple[ActionClips, list[str]]:
    """Read all files; return the clips and, with --skip-bad, what is wrong with those that cannot be read."""
    sizes = sizes_of(dict.fromkeys(source.video for source in sources), args.image_size, args.image_sizes)
    files: dict[Path, list[ClipSource]] = {}
    for source in sources:
        files.setdefault(source.path, []).append(source)
    clips = ActionClips(skeleton=args.skeleton, fps=args.fps, num_persons=args.num_persons, max_gap=args.max_gap,
                        trust_order=args.trust_order)
    bad = []
    for path, mine in tqdm(files.items(), desc='files', unit='file'):
        try:
            clips.add(path, mine, sizes[mine[0].video])
        except (ValueError, OSError) as error:
            if not args.skip_bad:
                raise ValueError(f'{error}; or leave out such files with --skip-bad') from None
            bad.append(' '.join(str(error).split()))
    if not clips.clips:
        reasons = [f'{len(names)} {reason}' for reason, names in clips.left_out.items()]
        reasons += [f'{len(bad)} files that cannot be read, first: {bad[0]}'] if bad else []
        raise ValueError(f'{args.source}: none of {len(sources)} clips is left: {"; ".join(reasons)}')
    return clips, bad


def convert(args: argparse.Namespace) -> list[str]:
    """Write the store; return the lines of the summary.

    Raises:
        FileNotFoundError, ValueError: nothing to convert, or a file that cannot be read, without --skip-bad.
    """
    sources = find_clips(args.source)
    with MotionStoreWriter(args.out_dir, skeleton=args.skeleton, fps=args.fps,
                           info=dict(source=str(args.source), max_gap=args.max_gap, val_share=args.val_share,
                                     seed=args.seed)) as writer:
        clips, bad = read_clips(sources, args)
        splits, warnings = assign_splits(clips.clips, val_share=args.val_share, seed=args.seed)
        write_splits(writer, splits)
    kept = {clip.source.action for part in splits.values() for clip in part}
    lost = {source.action for source in sources} - {clip.source.action for clip in clips.clips}
    warnings += [f'class {name!r}: no clip is left, so the store does not have it' for name in sorted(lost)]
    if len(kept) == 1:
        warnings.append(f'{next(iter(kept))!r} is the only class: nothing to tell apart')
    return [*table(splits), *notes(clips, args), *(f'warning: {line}' for line in warnings),
            *(f'skipped: {line}' for line in bad)]


def table(splits: dict[str, list[ActionClip]]) -> list[str]:
    """Count clips and frames of each class."""
    names = [name for name in SPLITS if name in splits or name != TEST]
    counts = {name: Counter(clip.source.action for clip in splits.get(name, ())) for name in names}
    frames = Counter()
    for clip in (clip for part in splits.values() for clip in part):
        frames[clip.source.action] += clip.keypoints.shape[1]
    rows = [(action, *(counts[name][action] for name in names), frames[action]) for action in sorted(frames)]
    rows += [('all', *(sum(counts[name].values()) for name in names), sum(frames.values()))]
    width = max(len('class'), *(len(row[0]) for row in rows))
    return [f'{action:<{width}}' + ''.join(f'{number:>8}' for number in numbers)
            for action, *numbers in [('class', *names, 'frames'), *rows]]


def notes(clips: ActionClips, args: argparse.Namespace) -> list[str]:
    """Say what was left out, and what to know about the rest."""
    lines = [f'note: left out {len(names)} clips {reason}: {listed(names)}' for reason, names in clips.left_out.items()]
    if clips.crowds:
        lines.append(f'note: {len(clips.crowds)} clips show more than {args.num_persons} persons, up to '
                     f'{max(clips.crowds.values())}; took those seen most (--num-persons): {listed(clips.crowds)}')
    lines += [f'note: left out {number} persons or parts of their tracks: {reason}'
              for reason, number in clips.dropped.most_common()]
    lines += [f'note: the images of {number} files are numbered in steps of {step}: --fps is the rate of the images'
              for step, number in clips.steps.items() if step > 1]
    return lines


def listed(names: Sequence[str]) -> str:
    """Join names, not too many."""
    names = list(names)
    return ', '.join(names[:MAX_LISTED]) + (f' and {len(names) - MAX_LISTED} more' if len(names) > MAX_LISTED else '')


def main() -> None:
    """Run the command line."""
    args = parse_args()
    try:
        lines = convert(args)
    except (OSError, ValueError) as error:
        sys.exit(' '.join(str(error).split()))
    print(f'{args.out_dir}: {args.skeleton}, {args.fps:g} fps')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
