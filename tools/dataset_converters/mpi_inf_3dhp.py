"""Turn MPI-INF-3DHP into motion stores OUT_DIR/train (S1 to S8) and OUT_DIR/test (TS1 to TS6).

download    the folder of the official download: S1/Seq1/annot.mat and camera.calibration, ..., TS1/annot_data.mat, ...
            reading the test set needs h5py: pip install 'motionbert_mm[data]'
npz         data_train_3dhp.npz and data_test_3dhp.npz, as P-STMO prepares them

Where only one of the two splits is there, only its store is written.
"""
from __future__ import annotations

import argparse
import sys

from motionbert_mm.datasets.mpi_inf_3dhp import NUM_CAMERAS, OFFICIAL_CAMERAS, MPIInf3DHPFiles
from motionbert_mm.datasets.mpi_inf_3dhp_download import TRUTHS, DownloadFiles
from motionbert_mm.datasets.mpi_inf_3dhp_npz import PSTMOFiles
from motionbert_mm.datasets.pose_files import write_stores


def open_files(args: argparse.Namespace) -> MPIInf3DHPFiles:
    """Open the files that the command line names."""
    options = dict(cameras=args.cameras, fps=args.fps)
    if args.layout == 'npz':
        return PSTMOFiles(args.source, **options)
    return DownloadFiles(args.source, truth=args.truth, **options)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    layouts = parser.add_subparsers(dest='layout', required=True, metavar='LAYOUT')
    download = layouts.add_parser('download', help='the folder of the official download')
    download.add_argument('source', metavar='FOLDER')
    npz = layouts.add_parser('npz', help='data_train_3dhp.npz, data_test_3dhp.npz')
    npz.add_argument('source', metavar='FILE.npz', nargs='+', help='one or both files, in any order')
    download.add_argument('--truth', choices=TRUTHS, default=TRUTHS[0],
                          help=f'annotation that becomes keypoints_3d (default: {TRUTHS[0]}, on which papers report)')
    for layout in (download, npz):
        layout.add_argument('out_dir', metavar='OUT_DIR', help='stores OUT_DIR/train and OUT_DIR/test are replaced')
        layout.add_argument('--cameras', type=int, nargs='+', metavar='N', default=OFFICIAL_CAMERAS,
                            help=f'training cameras, 0 to {NUM_CAMERAS - 1}; '
                                 f'default: {" ".join(map(str, OFFICIAL_CAMERAS))}')
        layout.add_argument('--fps', type=float, metavar='25',
                            help='bring the training sequences of 50 frames per second down to 25; by default they are '
                                 'mixed with those of 25 as they are, as officially')
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    args = parse_args()
    facts = {key: value for key, value in vars(args).items() if key != 'out_dir'}
    try:
        files = open_files(args)
        written = write_stores(files, args.out_dir, **facts)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))
    print(*files.notes(), *written, sep='\n')


if __name__ == '__main__':
    main()
