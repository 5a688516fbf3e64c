"""Convert official P-STMO checkpoints of stage I or stage II to this package's format, or back.

What the weights do not tell is noted in the converted checkpoint by the options below; tools/infer.py reads it there.
"""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Optional

from motionbert_mm.checkpoints.conversion import (
    EXAMPLES,
    ORIGIN_KEY,
    check_match,
    converter_parser,
    our_checkpoint,
    our_weights,
    put_together,
    run_converter,
    save_checkpoint,
    take_apart,
)
from motionbert_mm.checkpoints.load import META_KEY, read_checkpoint
from motionbert_mm.checkpoints.official_pstmo import (
    check_official_options,
    pstmo_model_config,
    pstmo_to_official,
    pstmo_to_ours,
)
from motionbert_mm.structures.skeleton import get_skeleton

H36M, MPI_INF_3DHP, COCO = SKELETONS = ('h36m', 'mpi_inf_3dhp17', 'coco17')
# Bare state dicts of a network in nn.DataParallel.
ORIGIN = dict(container=None, has_prefix=True)
REFINE = 'post_refine.'


def convert(checkpoint: dict, refine: Optional[dict] = None, *, skeleton: str = H36M,
            dilation: Optional[int] = None) -> dict:
    """Make our checkpoint of an official one.

    Args:
        checkpoint: official, of either stage.
        refine: official, of the refine module that was trained with a model of stage II.
        skeleton: joint set of the model.
        dilation: step between the frames of a window (official ``--t_downsample``); None is the official one.

    Raises:
        ValueError: keys that no rule knows, missing keys or other shapes: the conversion is strict. Also another number
            of joints than the skeleton has, and a lifter of COCO joints.
    """
    weights, origin = take_apart(checkpoint)
    if refine is not None:
        weights, origin = _join_refine(weights, origin, refine)
    config = pstmo_model_config(weights, skeleton=skeleton)
    renamed, unmatched = pstmo_to_ours(weights)
    check_match(config, renamed, unmatched)
    is_lifter = 'neck' in config
    _check_skeleton(skeleton, config['backbone']['num_joints'], is_lifter)
    frames = config['backbone']['max_frames']
    if dilation is None:
        # Official: the data of MPI-INF-3DHP take every frame whatever the option says.
        dilation = 2 if frames == 243 and skeleton != MPI_INF_3DHP else 1
    return our_checkpoint(renamed, model=config, window=dict(kind='centre', num_frames=frames, dilation=dilation),
                          pipeline=_pipeline(skeleton, is_lifter, refine is not None), origin=origin)


def revert(checkpoint: dict) -> tuple[dict, Optional[dict]]:
    """Make an official checkpoint of ours, with the prefix ``module.`` unless it came without.

    Returns:
        The network, and its refine module if it has one: the official code reads them from two files.

    Raises:
        ValueError: weights that the official models do not have, or options that they do not have.
    """
    weights = our_weights(checkpoint)
    official, unmatched = pstmo_to_official(weights)
    if unmatched:
        raise ValueError(f'{len(unmatched)} weights have no place in the official models: {unmatched[:EXAMPLES]}')
    check_match(pstmo_model_config(official), weights, unmatched)
    meta = checkpoint.get('meta', {})
    if META_KEY in meta:
        check_official_options(meta[META_KEY]['model'])
    origin = meta.get(ORIGIN_KEY, ORIGIN)
    refine = {key: official.pop(key) for key in list(official) if key.startswith(REFINE)}
    return put_together(official, origin), put_together(refine, origin.get('refine', ORIGIN)) if refine else None


def _join_refine(weights: dict, origin: dict, refine: dict) -> tuple[dict, dict]:
    """Put the weights of the refine module to those of stage II."""
    added, refine_origin = take_apart(refine)
    if not added or not all(key.startswith(REFINE) for key in added):
        raise ValueError(f'no refine module found: expected the keys {REFINE}0. and {REFINE}3., got '
                         f'{sorted(map(str, added))[:EXAMPLES]}')
    return {**weights, **added}, dict(origin, refine=refine_origin)


def _check_skeleton(skeleton: str, num_joints: int, is_lifter: bool) -> None:
    expected = get_skeleton(skeleton).num_joints
    if num_joints != expected:
        raise ValueError(f'the model has {num_joints} joints, skeleton {skeleton!r} has {expected}; name another one')
    if is_lifter and skeleton == COCO:
        raise ValueError(f'a lifter whose input is {skeleton!r} is not supported: the official in-the-wild model reads '
                         'COCO joints and gives Human3.6M joints, a MotionModel has one joint set for both. Take a '
                         'model of Human3.6M joints; COCO keypoints are converted to them')


def _pipeline(skeleton: str, is_lifter: bool, is_refined: bool) -> Sequence[dict]:
    normalize = dict(type='NormalizeCoords', inputs='screen', target='root_relative' if is_lifter else None)
    if is_lifter and skeleton == MPI_INF_3DHP:
        normalize['unit_mm'] = 1.0  # Official: targets in the data's millimetres; on Human3.6M in metres
    return normalize, *([dict(type='RootDepthOracle')] if is_refined else ()), dict(type='PackInputs')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = converter_parser(__doc__)
    parser.add_argument('--skeleton', choices=SKELETONS, help='joint set of the model (default: h36m); mpi_inf_3dhp17 '
                        'for models of MPI-INF-3DHP, which regress millimetres instead of metres; coco17 for stage I '
                        'of the in-the-wild model')
    parser.add_argument('--tds', type=int, metavar='S', help='temporal downsampling the model was trained with: a '
                        'window takes every S-th frame (default: 2 for 243 frames, else 1; 1 for mpi_inf_3dhp17)')
    parser.add_argument('--refine', metavar='REFINE.pth', help='official refine module that belongs to the model: '
                        'read, or written with --reverse')
    args = parser.parse_args()
    if args.reverse and (args.skeleton or args.tds):
        parser.error('--skeleton and --tds go with the conversion from the official format')
    if args.tds is not None and args.tds < 1:
        parser.error(f'--tds is {args.tds}, expected at least 1')
    return args


def main() -> None:
    """Run the command line."""
    args = parse_args()
    if args.skeleton is None and not args.reverse and 'in_the_wild' in os.path.basename(args.source):
        sys.exit(f'{args.source}: by its name an in-the-wild model, whose input are COCO joints, which its weights do '
                 'not tell; name the joint set by --skeleton')
    run_converter(args.source, args.target, partial(_revert if args.reverse else _convert, args=args))


def _convert(checkpoint: dict, args: argparse.Namespace) -> dict:
    refine = read_checkpoint(args.refine) if args.refine else None
    return convert(checkpoint, refine, skeleton=args.skeleton or H36M, dilation=args.tds)


def _revert(checkpoint: dict, args: argparse.Namespace) -> dict:
    official, refine = revert(checkpoint)
    if (refine is None) != (args.refine is None):
        raise ValueError('the model has no refine module; leave out --refine' if refine is None else
                         'the model has a refine module, for which the official code has a file of its own; name it by '
                         '--refine')
    if refine is not None:
        save_checkpoint(args.refine, refine)
    return official


if __name__ == '__main__':
    main()
