"""Convert official MPM checkpoints of stage I, completion or stage II to this package's format, or back.

What the weights do not tell is noted in the converted checkpoint by the options below; tools/infer.py reads it there.
Models that the released code trained on MPI-INF-3DHP convert, but lift badly: it divides their 2D input by 1000, and
puts the head at the place of the thorax.
"""
from __future__ import annotations

from typing import Optional

from motionbert_mm.checkpoints.official_mpm import H36M_SKELETONS, MPM
from motionbert_mm.checkpoints.staged_conversion import make_checkpoint, parse_args, run, to_ours

MPI_INF_3DHP = 'mpi_inf_3dhp17'
DILATION = 2  # Official: the README's commands for Human3.6M, also with 27 frames


def convert(checkpoint: dict, refine: Optional[dict] = None, *, skeleton: Optional[str] = None,
            dilation: Optional[int] = None) -> dict:
    """Make our checkpoint of an official one.

    Args:
        checkpoint: official, of stage I, a completion network or stage II.
        refine: official, of the refine module that was trained with a model of stage II.
        skeleton: joint set of the model; None is that of the official models with as many joints.
        dilation: step between the frames of a window; None is the official one on Human3.6M.

    Raises:
        ValueError: keys that no rule knows, missing keys or other shapes: the conversion is strict. Also another number
            of joints than the skeleton has.
    """
    config, weights, origin = to_ours(MPM, checkpoint, refine, skeleton=skeleton)
    normalize = dict(type='NormalizeCoords', inputs='screen', target='root_relative')  # metres
    return make_checkpoint(config, weights, origin, dilation=DILATION if dilation is None else dilation,
                           normalize=normalize, is_refined=refine is not None)


def main() -> None:
    """Run the command line."""
    names = ', '.join(f'{name} for {number} joints' for number, name in H36M_SKELETONS.items())
    args = parse_args(__doc__, skeletons=(*H36M_SKELETONS.values(), MPI_INF_3DHP), skeleton_help=f'(default: {names})',
                      tds_help=f'(default: {DILATION}; models of MPI-INF-3DHP and AMASS: 1)')
    run(args, MPM, convert)


if __name__ == '__main__':
    main()
