"""Make a motion store of procedural human motion: a dozen actions seen by four virtual cameras.

Nothing is read and nothing is downloaded; the same arguments give the same store. Each clip has exact 3D and
2D joints (Human3.6M-17), detector-noised 2D with confidence, SMPL-layout rotations, an action label and a text.
"""
from __future__ import annotations

import argparse
import sys

from motionbert_mm.datasets.synthetic import ACTIONS, PHRASINGS, write_store


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog=f'actions: {", ".join(ACTIONS)}')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='the store to make; an existing store there is replaced')
    parser.add_argument('--clips', type=int, default=120, metavar='N',
                        help='motions; the store holds each as seen by four cameras (default: 120)')
    parser.add_argument('--frames', type=int, default=90, metavar='T', help='frames of each clip (default: 90)')
    parser.add_argument('--fps', type=float, default=30.0, help='frame rate (default: 30)')
    parser.add_argument('--split', choices=['train', 'val'], default='train',
                        help='the splits share neither people nor motions (default: train)')
    parser.add_argument('--seed', type=int, default=0, help='another seed gives other people and motions (default: 0)')
    parser.add_argument('--phrasings', choices=PHRASINGS[1:],
                        help='sentences to use; the two sets have none in common (default: all)')
    args = parser.parse_args()
    try:
        write_store(args.out_dir, num_clips=args.clips, num_frames=args.frames, fps=args.fps, seed=args.seed,
                    split=args.split, phrasings=args.phrasings, show_progress=True)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(f'{args.out_dir}: {args.clips} clips of {args.frames} frames at {args.fps:g} fps, each seen by 4 cameras')


if __name__ == '__main__':
    main()
