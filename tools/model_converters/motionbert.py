"""Convert official MotionBERT checkpoints to this package's format, or back."""
from __future__ import annotations

from functools import partial

from motionbert_mm.checkpoints.conversion import (
    EXAMPLES,
    ORIGIN_KEY,
    check_match,
    converter_parser,
    our_checkpoint,
    our_weights,
    put_together,
    run_converter,
    take_apart,
)
from motionbert_mm.checkpoints.official import MOTIONBERT_POSE, motionbert_model_config, rename_keys

# The official pose models read screen coordinates and regress the 2.5D pose (lib/data/datareader_h36m.py).
PIPELINE = [dict(type='NormalizeCoords', inputs='screen', target='image_space'), dict(type='PackInputs')]


def convert(checkpoint: dict, *, num_heads: int = 8) -> dict:
    """Make our checkpoint of an official one.

    Raises:
        ValueError: keys that no rule knows, missing keys or other shapes: the conversion is strict.
    """
    weights, origin = take_apart(checkpoint)
    if 'joints_embed.weight' not in weights:
        raise ValueError('no MotionBERT pose model found: expected the keys of DSTformer under model_pos or at the '
                         f'top level, got {sorted(checkpoint)[:EXAMPLES]}')
    renamed, unmatched = rename_keys(weights, MOTIONBERT_POSE)
    config = motionbert_model_config(weights, num_heads=num_heads)
    check_match(config, renamed, unmatched)
    return our_checkpoint(renamed, model=config, window=dict(num_frames=config['backbone']['max_frames']),
                          pipeline=PIPELINE, origin=origin)


def revert(checkpoint: dict) -> dict:
    """Make an official checkpoint of ours; what an official file held besides the weights is restored.

    Raises:
        ValueError: weights that the official model does not have.
    """
    renamed, unmatched = rename_keys(our_weights(checkpoint), MOTIONBERT_POSE, reverse=True)
    if unmatched or 'joints_embed.weight' not in renamed:
        raise ValueError(f'{len(unmatched)} weights have no place in the official pose model: {unmatched[:EXAMPLES]}')
    return put_together(renamed, checkpoint.get('meta', {}).get(ORIGIN_KEY,
                                                                dict(container='model_pos', has_prefix=True)))


def main() -> None:
    """Run the command line."""
    parser = converter_parser(__doc__)
    parser.add_argument('--num-heads', type=int, default=8, help='attention heads of the official model (default: 8)')
    args = parser.parse_args()
    run_converter(args.source, args.target, revert if args.reverse else partial(convert, num_heads=args.num_heads))


if __name__ == '__main__':
    main()
