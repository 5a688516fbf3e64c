"""Turn a skeleton pickle of PYSKL or MMAction2 into one motion store that holds all its splits.

SRC.pkl is ntu60_hrnet.pkl, ntu60_3danno.pkl, gym_hrnet.pkl, k400_hrnet.pkl, ... of PYSKL, ntu60_2d.pkl, ... of
MMAction2, or a file of your own in that form. What was left out, and why, is printed and kept in the store's index.

Examples:
    tools/dataset_converters/pyskl.py ntu60_hrnet.pkl data/ntu60
    tools/dataset_converters/pyskl.py gym_hrnet.pkl data/gym --classes gym_classes.txt
    tools/dataset_converters/pyskl.py k400_hrnet.pkl data/k400 --keypoint-dir kpfiles --classes kinetics_classes.txt
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.pyskl import write_store
from motionbert_mm.datasets.pyskl_file import read_class_names


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, metavar='SRC.pkl')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='the store to make; an existing store there is replaced')
    parser.add_argument('--classes', type=Path, metavar='TXT', help='one class name per line, that of label 0 first; '
                        'by default those of NTU RGB+D for its videos, else class_0, class_1, ...')
    parser.add_argument('--keypoint-dir', type=Path, metavar='DIR',
                        help='folder of the separate keypoint files of Kinetics-400')
    parser.add_argument('--max-persons', type=int, default=2, metavar='M',
                        help='persons that are kept of each video, those seen most (default: 2)')
    parser.add_argument('--fps', type=float, default=30.0,
                        help='frame rate, which is not in the file (default: 30, that of NTU RGB+D)')
    parser.add_argument('--trust-order', action='store_true', help='accept joints in an order that looks wrong')
    args = parser.parse_args()
    if args.max_persons < 1:
        parser.error(f'--max-persons must be at least 1, got {args.max_persons}')
    if not (args.fps > 0 and np.isfinite(args.fps)):
        parser.error(f'--fps must be positive, got {args.fps}')
    return args


def main() -> None:
    """Run the command line."""
    args = parse_args()
    try:
        info = write_store(args.out_dir, args.source, keypoint_dir=args.keypoint_dir, max_persons=args.max_persons,
                           classes=None if args.classes is None else read_class_names(args.classes), fps=args.fps,
                           trust_order=args.trust_order)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    store = MotionStore(args.out_dir)
    print(f'{args.out_dir}: {len(store.clips)} clips of {len(info["classes"])} classes, {store.skeleton}, '
          f'{args.fps:g} fps')
    for split, members in info['splits'].items():
        print(f'split {split}: {len(members)} clips')
    for note in info['notes']:
        print(f'left out: {note}')


if __name__ == '__main__':
    main()
