"""Turn tracks of InstaVariety into a motion store of 2D tracks (docs/data.md, "InstaVariety").

SRC is the folder InstaVariety_tracks (<tag>/<video>/<track>/*.json), or a folder with motion_all.npy and id_all.npy as
MotionBERT packs them. By default only frames of windows that begin with a visible root are kept (81 frames, every 27):
data sets with window=dict(num_frames=81, stride=27, tail='drop') see the windows of MotionBERT. Tracks that cannot
be read are listed and make the exit status 1.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from motionbert_mm.datasets.instavariety import (
    SKELETON,
    find_track_folders,
    is_packed,
    read_packed,
    read_track,
    stretch,
    visible_parts,
)
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.tracks import Track, add_track, cut_at_gaps


def read_tracks(args: argparse.Namespace, failed: dict) -> Iterator[Track]:
    """Yield the tracks of either form; what cannot be read goes into ``failed``."""
    if is_packed(args.source):
        yield from tqdm(read_packed(args.source, args.unit), desc='tracks', unit='track')
        return
    for folder in tqdm(find_track_folders(args.source), desc='tracks', unit='track'):
        name = folder.relative_to(args.source).as_posix()
        try:
            track = read_track(folder, args.source.name if name == '.' else name)
        except (OSError, ValueError) as error:
            failed[name] = str(error)
        else:
            yield from cut_at_gaps(track) if args.cut_gaps else [track]


def clips_of(track: Track, args: argparse.Namespace, rng: np.random.RandomState) -> tuple[list[Track], str]:
    """Return the clips of a track, and if there are none, why."""
    if args.whole_tracks:
        return [track], ''
    if len(track) < args.window:
        if not args.stretch_short:
            return [], f'shorter than {args.window} frames'
        track = stretch(track, args.window, rng)
    parts = visible_parts(track, args.window, args.stride)
    return parts, '' if parts else 'no window begins with a visible root'


def convert(args: argparse.Namespace) -> dict:
    """Make the store; return the report that is kept in its index.

    Raises:
        FileNotFoundError, ValueError: nothing there, torn packed arrays, no clip is left.
    """
    failed: dict = {}
    counts: Counter = Counter()
    lost: Counter = Counter()
    rng = np.random.RandomState(args.seed)  # the generator of the official code
    info = dict(source=str(args.source), fps='nominal, not in the files', window=args.window, stride=args.stride,
                whole_tracks=args.whole_tracks, stretch_short=args.stretch_short, seed=args.seed)
    with MotionStoreWriter(args.out_dir, skeleton=SKELETON, fps=args.fps, info=info) as writer:
        for track in read_tracks(args, failed):
            clips, reason = clips_of(track, args, rng)
            counts.update(tracks=1, clips=len(clips), frames=sum(map(len, clips)))
            lost.update([reason] if reason else [])
            for clip in clips:
                add_track(writer, clip)
        if not counts['clips']:
            reasons = [f'{count} {reason}' for reason, count in lost.items()] + list(failed.values())
            raise ValueError(f'{args.source}: no clip in {counts["tracks"] + len(failed)} tracks; '
                             f'{"; ".join(reasons[:5])}')
        writer.info.update(counts, left_out=dict(lost), failed=failed)
    return writer.info


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SRC', type=Path)
    parser.add_argument('out_dir', metavar='OUT_DIR', type=Path, help='the store to make; one that exists is replaced')
    parser.add_argument('--unit', choices=['crop', 'pixel'], default='crop',
                        help='of packed files: cropped to [-1, 1] as official (default), or pixels')
    parser.add_argument('--window', type=int, default=81, help='frames of a window (default: 81)')
    parser.add_argument('--stride', type=int, default=27, help='frames between windows (default: 27)')
    parser.add_argument('--whole-tracks', action='store_true', help='keep every frame of every track')
    parser.add_argument('--stretch-short', action='store_true',
                        help='stretch tracks shorter than a window to slow motion, as official; else they are left out')
    parser.add_argument('--seed', type=int, default=0, help='of the frames that are repeated (default: 0)')
    parser.add_argument('--cut-gaps', action='store_true',
                        help='part tracks where a frame is missing; officially they are joined (track folders only)')
    parser.add_argument('--fps', type=float, default=30.0, help='noted in the store; files do not say it (default: 30)')
    args = parser.parse_args()
    if min(args.window, args.stride, args.fps) <= 0:
        parser.error('--window, --stride and --fps must be positive')
    if args.cut_gaps and is_packed(args.source):
        parser.error('--cut-gaps needs frame numbers, which packed files do not have')
    return args


def main() -> None:
    """Run the command line."""
    args = parse_args()
    try:
        report = convert(args)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f'{args.out_dir}: {report["clips"]} clips, {report["frames"]} frames of {report["tracks"]} tracks')
    for reason, count in report['left_out'].items():
        print(f'left out: {count} tracks: {reason}')
    if report['failed']:
        sys.exit('\n'.join([*report['failed'].values(), f'{len(report["failed"])} tracks failed']))


if __name__ == '__main__':
    main()
