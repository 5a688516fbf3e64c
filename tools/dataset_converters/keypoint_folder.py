"""Turn detector results of many videos into a motion store of 2D tracks.

SRC holds AlphaPose or COCO-style JSON, one file per video, or folders of the frames that OpenPose writes, one
folder per video, at any depth; it may also be one such file or folder. Every person becomes a clip `VIDEO#TRACK`
(`VIDEO#TRACK@FRAME` where somebody who was away for long comes back). People without identities are linked over
time by proximity. What the detector missed has confidence 0.

Examples:
    tools/dataset_converters/keypoint_folder.py alphapose/ data/dance --skeleton halpe26 --image-size 1920 1080
    tools/dataset_converters/keypoint_folder.py openpose/ data/mixed --skeleton body25 --image-sizes sizes.csv
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.io.image_sizes import add_size_options, check_inside, check_size_options, sizes_of
from motionbert_mm.io.keypoint_files import KeypointTrack
from motionbert_mm.io.people import People, find_videos, read_people
from motionbert_mm.io.tracking import MAX_GAP

SKELETONS = ('body25', 'coco18', 'coco17', 'halpe26')


class Summary:
    """What was written and what was left out, and why."""

    def __init__(self) -> None:
        self.videos = self.clips = self.frames = self.seen = self.linked = 0
        self.people: set = set()
        self.dropped: Counter = Counter()
        self.skipped: dict[str, str] = {}  # video -> reason
        self.steps: Counter = Counter()

    def add(self, video: str, people: People) -> None:
        """Count a video that was read."""
        self.dropped.update(people.dropped)
        if not people.tracks:
            self.skipped[video] = 'nobody left: ' + '; '.join(f'{number} {reason}' for reason, number
                                                              in people.dropped.items())
            return
        self.videos += 1
        self.clips += len(people.tracks)
        self.people.update((video, track.track_id) for track in people.tracks)
        self.frames += sum(len(track.keypoints) for track in people.tracks)
        self.seen += sum(int((track.confidence > 0).any(-1).sum()) for track in people.tracks)
        self.linked += people.is_linked
        self.steps[people.step] += 1

    def lines(self) -> list[str]:
        """Return the table."""
        filled = self.frames - self.seen
        rows = [('videos', f'{self.videos} of {self.videos + len(self.skipped)}'),
                ('persons', f'{len(self.people)}' + (f', linked by proximity in {self.linked} videos without track ids'
                                                     if self.linked else '')),
                ('clips', f'{self.clips}'), ('frames', f'{self.frames}, of which {filled} filled in')]
        rows += [('left out', f'{number} {reason}') for reason, number in self.dropped.most_common()]
        rows += [('skipped', f'{video}: {reason}') for video, reason in self.skipped.items()]
        rows += [('note', f'images of {number} videos are numbered in steps of {step}: --fps is the rate of the images')
                 for step, number in self.steps.items() if step > 1]
        return [f'{kind:<9} {text}' for kind, text in rows]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, metavar='SRC')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='the store to make; an existing store there is replaced')
    parser.add_argument('--skeleton', required=True, choices=SKELETONS, help='joint order of the detector')
    add_size_options(parser)
    parser.add_argument('--min-frames', type=int, default=30, help='shorter tracks are left out (default: 30)')
    parser.add_argument('--max-gap', type=int, default=MAX_GAP,
                        help=f'images that a person may miss; longer gaps part the track (default: {MAX_GAP})')
    parser.add_argument('--trust-order', action='store_true', help='accept joints in an order that looks wrong')
    args = parser.parse_args()
    check_size_options(parser, args)
    if args.min_frames < 1 or args.max_gap < 0:
        parser.error(f'--min-frames must be at least 1 and --max-gap at least 0, got {args.min_frames}, {args.max_gap}')
    return args


def clip_names(video: str, tracks: list[KeypointTrack]) -> list[str]:
    """Name the tracks of a video; those of one person by their first frame too."""
    counts = Counter(track.track_id for track in tracks)
    return [f'{video}#{track.track_id}' + (f'@{track.frame_ids[0]}' if counts[track.track_id] > 1 else '')
            for track in tracks]


def convert(args: argparse.Namespace) -> Summary:
    """Write the store; a video that cannot be read is skipped and reported.

    Raises:
        ValueError: nobody can be followed in any video.
    """
    videos = find_videos(args.source)
    sizes, summary = sizes_of(videos, args.image_size, args.image_sizes), Summary()
    info = dict(source=str(args.source), min_frames=args.min_frames, max_gap=args.max_gap)
    with MotionStoreWriter(args.out_dir, skeleton=args.skeleton, fps=args.fps, info=info) as writer:
        for video, path in tqdm(videos.items(), desc='videos', unit='video'):
            try:
                people = read_people(path, skeleton=args.skeleton, max_gap=args.max_gap, min_frames=args.min_frames,
                                     trust_order=args.trust_order)
                if people.tracks:
                    check_inside(path, people.tracks, sizes[video])
            except (ValueError, OSError) as error:
                summary.skipped[video] = ' '.join(str(error).split())
                continue
            summary.add(video, people)
            for name, track in zip(clip_names(video, people.tracks), people.tracks):
                writer.add_clip(name, {'detected_2d': track.keypoints, 'detected_confidence': track.confidence},
                                image_size=sizes[video])
        if not summary.clips:
            first, reason = next(iter(summary.skipped.items()))
            raise ValueError(f'{args.source}: no usable track in {len(videos)} videos; first, {first}: {reason}')
    return summary


def main() -> None:
    """Run the command line."""
    args = parse_args()
    try:
        summary = convert(args)
    except (OSError, KeyError, ValueError) as error:
        sys.exit(str(error.args[0] if isinstance(error, KeyError) else error))
    print(f'{args.out_dir}: {args.skeleton}, {args.fps:g} fps')
    print('\n'.join(summary.lines()))


if __name__ == '__main__':
    main()
