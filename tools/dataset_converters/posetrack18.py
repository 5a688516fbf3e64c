"""Turn annotations of PoseTrack18 into a motion store of 2D tracks (docs/data.md, "PoseTrack18").

ANNOTATION_DIR is the folder of one split, e.g. annotations/train, with one JSON per video. By default a clip is the
first 30 annotated frames of a track, if more than 60 % of its joints and in every frame both hips are visible: the
clips of MotionBERT. Joints keep the order of PoseTrack18. Files that cannot be read are listed and make the exit
status 1.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.posetrack18 import SKELETON, TrackFilter, find_annotations, read_tracks
from motionbert_mm.datasets.tracks import add_track


def convert(folder: Path, out_dir: Path, select: TrackFilter, fps: float) -> dict:
    """Make the store; return the report that is kept in its index.

    Raises:
        FileNotFoundError: no annotations.
        ValueError: no clip is left.
    """
    files = find_annotations(folder)
    counts: Counter = Counter()
    lost: Counter = Counter()
    failed = {}
    info = dict(source=str(folder), fps='nominal, not in the annotations', **asdict(select))
    with MotionStoreWriter(out_dir, skeleton=SKELETON, fps=fps, info=info) as writer:
        for path in tqdm(files, desc='videos', unit='file'):
            try:
                content = read_tracks(path)
            except (OSError, ValueError) as error:
                failed[path.name] = str(error)
                continue
            counts['tracks'] += len(content.tracks)
            lost.update({f'annotations {reason}': count for reason, count in content.unused.items()})
            for track in content.tracks:
                clips, reasons = select(track)
                lost.update({f'tracks {reason}': count for reason, count in reasons.items()})
                for clip in clips:
                    add_track(writer, clip)
                    counts['clips'] += 1
        if not counts['clips']:
            reasons = [f'{count} {reason}' for reason, count in lost.items()] + list(failed.values())
            raise ValueError(f'{folder}: no clip in {len(files)} files; {"; ".join(reasons[:5]) or "no annotations"}')
        writer.info.update(counts, files=len(files), left_out=dict(lost), failed=failed)
    return writer.info


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', metavar='ANNOTATION_DIR', type=Path)
    parser.add_argument('out_dir', metavar='OUT_DIR', type=Path, help='the store to make; one that exists is replaced')
    parser.add_argument('--min-frames', type=int, default=30, help='frames of a clip (default: 30)')
    parser.add_argument('--min-visible', type=float, default=0.6,
                        help='share of the joints of a clip that must be more than reached (default: 0.6)')
    parser.add_argument('--whole-tracks', action='store_true', help='keep all frames of a track, not only the first')
    parser.add_argument('--cut-gaps', action='store_true',
                        help='part tracks where an image has no annotation; officially they are joined')
    parser.add_argument('--fps', type=float, default=30.0, help='noted in the store; files do not say it (default: 30)')
    args = parser.parse_args()
    if args.min_frames < 1 or not 0 <= args.min_visible <= 1 or args.fps <= 0:
        parser.error('--min-frames and --fps must be positive, --min-visible between 0 and 1')
    select = TrackFilter(args.min_frames, args.min_visible, whole=args.whole_tracks, cut_gaps=args.cut_gaps)
    try:
        report = convert(args.folder, args.out_dir, select, args.fps)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f'{args.out_dir}: {report["clips"]} clips of {report["tracks"]} tracks in {report["files"]} files')
    for reason, count in report['left_out'].items():
        print(f'left out: {count} {reason}')
    if report['failed']:
        sys.exit('\n'.join([*report['failed'].values(), f'{len(report["failed"])} of {report["files"]} files failed']))


if __name__ == '__main__':
    main()
