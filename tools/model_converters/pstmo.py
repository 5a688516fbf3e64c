"""Convert official P-STMO checkpoints of stage I or stage II to this package's format, or back.

What the weights do not tell is noted in the converted checkpoint by the options below; tools/infer.py reads it there.
"""
from __future__ import annotations

import os
import sys
from typing import Optional

from motionbert_mm.checkpoints.official_pstmo import PSTMO
from motionbert_mm.checkpoints.staged_conversion import is_lifter, make_checkpoint, parse_args, run, to_ours

MPI_INF_3DHP, COCO = 'mpi_inf_3dhp17', 'coco17'


def convert(checkpoint: dict, refine: Optional[dict] = None, *, skeleton: Optional[str] = None,
            dilation: Optional[int] = None) -> dict:
    """Make our checkpoint of an official one.

    Args:
        checkpoint: official, of either stage.
        refine: official, of the refine module that was trained with a model of stage II.
        skeleton: joint set of the model; None is that of Human3.6M.
        dilation: step between the frames of a window (official ``--t_downsample``); None is the official one.

    Raises:
        ValueError: keys that no rule knows, missing keys or other shapes: the conversion is strict. Also another number
            of joints than the skeleton has, and a lifter of COCO joints.
    """
    config, weights, origin = to_ours(PSTMO, checkpoint, refine, skeleton=skeleton)
    lifts, is_3dhp = is_lifter(config), skeleton == MPI_INF_3DHP
    if lifts and skeleton == COCO:
        raise ValueError(f'a lifter whose input is {skeleton!r} is not supported: the official in-the-wild model reads '
                         'COCO joints and gives Human3.6M joints, a MotionModel has one joint set for both. Take a '
                         'model of Human3.6M joints; COCO keypoints are converted to them')
    normalize = dict(type='NormalizeCoords', inputs='screen', target='root_relative' if lifts else None)
    if lifts and is_3dhp:
        normalize['unit_mm'] = 1.0  # Official: targets in the data's millimetres; on Human3.6M in metres
    if dilation is None:
        # Official: the data of MPI-INF-3DHP take every frame whatever the option says.
        dilation = 2 if config['backbone']['max_frames'] == 243 and not is_3dhp else 1
    return make_checkpoint(config, weights, origin, dilation=dilation, normalize=normalize,
                           is_refined=refine is not None)


def main() -> None:
    """Run the command line."""
    args = parse_args(
        __doc__, skeletons=('h36m', MPI_INF_3DHP, COCO),
        skeleton_help='(default: h36m); mpi_inf_3dhp17 for models of MPI-INF-3DHP, which regress millimetres instead '
                      'of metres; coco17 for stage I of the in-the-wild model',
        tds_help='(default: 2 for 243 frames, else 1; 1 for mpi_inf_3dhp17)')
    if args.skeleton is None and not args.reverse and 'in_the_wild' in os.path.basename(args.source):
        sys.exit(f'{args.source}: by its name an in-the-wild model, whose input are COCO joints, which its weights do '
                 'not tell; name the joint set by --skeleton')
    run(args, PSTMO, convert)


if __name__ == '__main__':
    main()
