"""What the converters of P-STMO and MPM share: networks of two stages, and a refine module in a file of its own."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
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
from motionbert_mm.checkpoints.official_blocks import REFINE, OfficialNetwork, check_official_options
from motionbert_mm.structures.skeleton import get_skeleton

# Bare state dicts of a network in nn.DataParallel.
ORIGIN = dict(container=None, has_prefix=True)


def is_lifter(model: Mapping) -> bool:
    """Whether a ``MotionModel`` config is one of stage II."""
    return 'centre' in model['heads']


def to_ours(network: OfficialNetwork, checkpoint: Mapping, refine: Optional[Mapping] = None, *,
            skeleton: Optional[str] = None) -> tuple[dict, dict, dict]:
    """Take an official checkpoint to pieces of ours, strictly.

    Args:
        network: the code base that it is of.
        checkpoint: official, of either stage.
        refine: official, of the refine module that was trained with a model of stage II.
        skeleton: joint set of the model; None is that of the official models of Human3.6M.

    Returns:
        The model's config, its weights, and the origin that ``revert`` needs.

    Raises:
        ValueError: keys that no rule knows, missing keys or other shapes, or another number of joints than the skeleton
            has.
    """
    weights, origin = take_apart(checkpoint)
    if refine is not None:
        weights, origin = _join_refine(weights, origin, refine)
    config = network.model_config(weights, skeleton=skeleton)
    renamed, unmatched = network.to_ours(weights)
    check_match(config, renamed, unmatched)
    num_joints, expected = config['backbone']['num_joints'], get_skeleton(config['skeleton']).num_joints
    if num_joints != expected:
        raise ValueError(f'the model has {num_joints} joints, skeleton {config["skeleton"]!r} has {expected}; name '
                         'another one')
    return config, renamed, origin


def make_checkpoint(config: dict, weights: dict, origin: dict, *, dilation: int, normalize: Mapping,
                    is_refined: bool) -> dict:
    """Make a checkpoint of ours.

    Args:
        config: of ``to_ours``, as are ``weights`` and ``origin``.
        weights: see there.
        origin: see there.
        dilation: step between the frames of a window.
        normalize: config of the transform that makes the network's inputs.
        is_refined: the model has a refine module.
    """
    pipeline = [dict(normalize), *([dict(type='RootDepthOracle')] if is_refined else ()), dict(type='PackInputs')]
    window = dict(kind='centre', num_frames=config['backbone']['max_frames'], dilation=dilation)
    return our_checkpoint(weights, model=config, window=window, pipeline=pipeline, origin=origin)


def revert(network: OfficialNetwork, checkpoint: Mapping) -> tuple[dict, Optional[dict]]:
    """Make an official checkpoint of ours, with the prefix ``module.`` unless it came without.

    Returns:
        The network, and its refine module if it has one: the official code reads them from two files.

    Raises:
        ValueError: weights that the official models do not have, or options that they do not have.
    """
    weights = our_weights(checkpoint)
    official, unmatched = network.to_official(weights)
    if unmatched:
        raise ValueError(f'{len(unmatched)} weights have no place in the official models: {unmatched[:EXAMPLES]}')
    meta = checkpoint.get('meta', {})
    check_match(network.model_config(official), weights, unmatched)
    if META_KEY in meta:
        check_official_options(meta[META_KEY]['model'])
    origin = meta.get(ORIGIN_KEY, ORIGIN)
    refine = {key: official.pop(key) for key in list(official) if key.startswith(REFINE)}
    return put_together(official, origin), put_together(refine, origin.get('refine', ORIGIN)) if refine else None


def _join_refine(weights: dict, origin: dict, refine: Mapping) -> tuple[dict, dict]:
    """Put the weights of the refine module to those of stage II."""
    added, refine_origin = take_apart(refine)
    if not added or not all(key.startswith(REFINE) for key in added):
        raise ValueError(f'no refine module found: expected the keys {REFINE}0. and {REFINE}3., got '
                         f'{sorted(map(str, added))[:EXAMPLES]}')
    return {**weights, **added}, dict(origin, refine=refine_origin)


def parse_args(description: Optional[str], *, skeletons: Sequence[str], skeleton_help: str,
               tds_help: str) -> argparse.Namespace:
    """Read the command line; the helps say what holds without the option."""
    parser = converter_parser(description)
    parser.add_argument('--skeleton', choices=skeletons, help=f'joint set of the model {skeleton_help}')
    parser.add_argument('--tds', type=int, metavar='S', help='temporal downsampling the model was trained with: a '
                        f'window takes every S-th frame {tds_help}')
    parser.add_argument('--refine', metavar='REFINE.pth', help='official refine module that belongs to the model: '
                        'read, or written with --reverse')
    args = parser.parse_args()
    if args.reverse and (args.skeleton or args.tds):
        parser.error('--skeleton and --tds go with the conversion from the official format')
    if args.tds is not None and args.tds < 1:
        parser.error(f'--tds is {args.tds}, expected at least 1')
    return args


def run(args: argparse.Namespace, network: OfficialNetwork, convert: Callable[..., dict]) -> None:
    """Convert by the command line.

    Args:
        args: of ``parse_args``.
        network: see ``to_ours``.
        convert: ``(checkpoint, refine, *, skeleton, dilation) -> our checkpoint``.
    """
    def forth(checkpoint: dict) -> dict:
        refine = read_checkpoint(args.refine) if args.refine else None
        return convert(checkpoint, refine, skeleton=args.skeleton, dilation=args.tds)

    def back(checkpoint: dict) -> dict:
        official, refine = revert(network, checkpoint)
        if (refine is None) != (args.refine is None):
            raise ValueError('the model has no refine module; leave out --refine' if refine is None else
                             'the model has a refine module, for which the official code has a file of its own; name '
                             'it by --refine')
        if refine is not None:
            save_checkpoint(args.refine, refine)
        return official

    run_converter(args.source, args.target, back if args.reverse else forth)
