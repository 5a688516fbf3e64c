"""Turn a mesh pickle of the MotionBERT release into motion stores OUT_DIR/train and OUT_DIR/test.

h36m    mesh_det_h36m.pkl, Human3.6M with SMPL parameters of MoSh
pw3d    mesh_det_pw3d.pkl, 3DPW
coco    mesh_det_coco.pkl, COCO with SMPL parameters of EFT, one frame per clip

Files that also hold the prediction of another method (mesh_det_*_w_*_pred*.pkl) give it as initial_pose and
initial_betas, which the hybrid refiner reads. Images of 3DPW count as 1920 x 1920 and those of COCO as 640 x 640, as
in the official code.
"""
from __future__ import annotations

import argparse
import sys

from motionbert_mm.datasets.motionbert_mesh import DATASETS, SQUARES, MeshFile
from motionbert_mm.datasets.pose_files import write_stores


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dataset', choices=DATASETS, metavar='DATASET', help=', '.join(DATASETS))
    parser.add_argument('source', metavar='SRC.pkl')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='stores OUT_DIR/train and OUT_DIR/test are replaced')
    args = parser.parse_args()
    info = dict(source=args.source, dataset=args.dataset, frame_rate='nominal, not in the file')
    if args.dataset in SQUARES:
        info['image_size'] = 'a square as in the official code, not the size of the images'
    try:
        files = MeshFile(args.source, args.dataset)
        written = write_stores(files, args.out_dir, **info)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(*files.notes(), *written, sep='\n')


if __name__ == '__main__':
    main()
