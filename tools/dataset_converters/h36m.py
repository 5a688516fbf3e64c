"""Turn one of the three public forms of Human3.6M into motion stores OUT_DIR/train and OUT_DIR/test.

motionbert    the pickle of the official MotionBERT release: stacked-hourglass detections with scores, image-space
              poses, and the truth of the official evaluation
videopose3d   world positions and files of 2D joints as VideoPose3D prepares them
mmpose        annotation files and cameras as MMPose prepares them
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from motionbert_mm.datasets.human36m import SPLITS, Human36MFiles
from motionbert_mm.datasets.human36m_mmpose import MMPoseFiles
from motionbert_mm.datasets.human36m_motionbert import MotionBERTFile
from motionbert_mm.datasets.human36m_videopose3d import VideoPose3DFiles
from motionbert_mm.datasets.pose_files import write_stores


def open_videopose3d(positions: str, keypoints: list[str]) -> VideoPose3DFiles:
    """Open VideoPose3D's files; a file of 2D joints named ``*_gt.npz`` holds projections, any other detections."""
    exact = [path for path in keypoints if Path(path).stem.endswith('_gt')]
    detected = [path for path in keypoints if path not in exact]
    if len(exact) > 1 or len(detected) > 1:
        raise ValueError(f'got {len(detected)} files of detections ({", ".join(detected) or "none"}) and {len(exact)} '
                         f'of projections, *_gt.npz ({", ".join(exact) or "none"}); at most one of each makes a store')
    return VideoPose3DFiles(positions, detected=next(iter(detected), None), exact=next(iter(exact), None))


def open_files(args: argparse.Namespace) -> Human36MFiles:
    """Open the files that the command line names."""
    if args.layout == 'motionbert':
        return MotionBERTFile(args.source)
    if args.layout == 'videopose3d':
        return open_videopose3d(args.source, args.keypoints)
    return MMPoseFiles(dict(train=args.train, test=args.test), args.cameras,
                       detected=dict(zip(SPLITS, args.detected)) if args.detected else None,
                       factors=dict(test=args.test_factors) if args.test_factors else None)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    layouts = parser.add_subparsers(dest='layout', required=True, metavar='LAYOUT')
    motionbert = layouts.add_parser('motionbert', help='h36m_sh_conf_cam_source_final.pkl')
    motionbert.add_argument('source', metavar='SRC.pkl')
    videopose3d = layouts.add_parser('videopose3d', help='data_3d_h36m.npz and data_2d_h36m_*.npz')
    videopose3d.add_argument('source', metavar='DATA_3D.npz')
    videopose3d.add_argument('keypoints', metavar='DATA_2D.npz', nargs='*',
                             help='2D joints: *_gt.npz are projections (made from the 3D where absent), any other file '
                                  'detections')
    mmpose = layouts.add_parser('mmpose', help='h36m_train.npz, h36m_test.npz, cameras.pkl')
    mmpose.add_argument('train', metavar='TRAIN.npz')
    mmpose.add_argument('test', metavar='TEST.npz')
    mmpose.add_argument('cameras', metavar='CAMERAS.pkl')
    mmpose.add_argument('--detected', nargs=2, metavar=('TRAIN.npy', 'TEST.npy'),
                        help='detections (N, 17, 3): x, y, score')
    mmpose.add_argument('--test-factors', metavar='FACTORS.npy',
                        help="millimetres per pixel of the test images, or 'computed': the test truth becomes that of "
                             "MMPose's MotionBERTLabel")
    for layout in (motionbert, videopose3d, mmpose):
        layout.add_argument('out_dir', metavar='OUT_DIR', help='stores OUT_DIR/train and OUT_DIR/test are replaced')
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    args = parse_args()
    try:
        files = open_files(args)
        sources = {key: value for key, value in vars(args).items() if key not in ('layout', 'out_dir')}
        written = write_stores(files, args.out_dir, layout=args.layout, sources=sources)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(*files.notes(), *written, sep='\n')


if __name__ == '__main__':
    main()
