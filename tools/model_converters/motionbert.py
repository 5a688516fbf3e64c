"""Convert official MotionBERT checkpoints, of 3D pose or of actions, to this package's format, or back.

Which of them a file holds is recognised from its keys. The 3D output of action models, which nothing reads, is kept
beside the model for the way back.
"""
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
from motionbert_mm.checkpoints.official import rename_keys
from motionbert_mm.checkpoints.official_motionbert import OFFICIAL_MODELS


def convert(checkpoint: dict, *, num_heads: int = 8) -> dict:
    """Make our checkpoint of an official one; which model it holds is recognised from its keys.

    Raises:
        ValueError: keys that no rule knows, missing keys or other shapes: the conversion is strict.
    """
    weights, origin = take_apart(checkpoint)
    found = next((model for model in OFFICIAL_MODELS if model.official_key in weights), None)
    if found is None:
        raise ValueError('no MotionBERT pose or action model found: expected the keys of DSTformer under model_pos or '
                         f'at the top level, or of ActionNet under model, got {sorted(checkpoint)[:EXAMPLES]}')
    used, unused = found.split(weights)
    renamed, unmatched = rename_keys(used, found.rows)
    config = found.model_config(used, num_heads=num_heads)
    check_match(config, renamed, unmatched)
    window, pipeline, facts = found.describe(config)
    return our_checkpoint(renamed, model=config, window=window, pipeline=pipeline, facts=facts,
                          origin=dict(origin, unused=unused))


def revert(checkpoint: dict) -> dict:
    """Make an official checkpoint of ours; what an official file held besides the weights is restored.

    Raises:
        ValueError: weights that the official model does not have, or that it needs and ours does not have.
    """
    weights = our_weights(checkpoint)
    found = next((model for model in OFFICIAL_MODELS if model.our_key in weights), OFFICIAL_MODELS[-1])
    renamed, unmatched = rename_keys(weights, found.rows, reverse=True)
    if unmatched or found.official_key not in renamed:
        raise ValueError(f'{len(unmatched)} weights have no place in the official {found.title} model: '
                         f'{unmatched[:EXAMPLES]}')
    check_match(found.model_config(renamed, num_heads=1), weights, unmatched)  # shapes do not depend on the heads
    origin = checkpoint.get('meta', {}).get(ORIGIN_KEY) or found.own_origin(renamed)
    return put_together({**renamed, **origin.get('unused', {})}, origin)


def main() -> None:
    """Run the command line."""
    parser = converter_parser(__doc__)
    parser.add_argument('--num-heads', type=int, default=8, help='attention heads of the official model (default: 8)')
    args = parser.parse_args()
    run_converter(args.source, args.target, revert if args.reverse else partial(convert, num_heads=args.num_heads))


if __name__ == '__main__':
    main()
