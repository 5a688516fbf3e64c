"""Convert official MotionBERT checkpoints to this package's format, or back."""
from __future__ import annotations

import argparse
import os
import sys

import torch

from motionbert_mm.checkpoints.load import META_KEY, compare_states, read_checkpoint
from motionbert_mm.checkpoints.official import (
    MOTIONBERT_POSE,
    find_weights,
    motionbert_model_config,
    rename_keys,
    strip_prefix,
)
from motionbert_mm.engine.hooks.plain_checkpoint import to_plain
from motionbert_mm.registry import MODELS, build

# The official pose models read screen coordinates and regress the 2.5D pose (lib/data/datareader_h36m.py).
PIPELINE = [dict(type='NormalizeCoords', inputs='screen', target='image_space'), dict(type='PackInputs')]
REPORT_LIMIT = 10


def convert(checkpoint: dict, *, num_heads: int = 8) -> dict:
    """Make our checkpoint of an official one.

    Raises:
        ValueError: keys that no rule knows, missing keys or other shapes: the conversion is strict.
    """
    weights, container = find_weights(checkpoint)
    weights, has_prefix = strip_prefix(weights)
    if 'joints_embed.weight' not in weights:
        raise ValueError('no MotionBERT pose model found: expected the keys of DSTformer under model_pos or at the '
                         f'top level, got {sorted(checkpoint)[:REPORT_LIMIT]}')
    renamed, unmatched = rename_keys(weights, MOTIONBERT_POSE)
    config = motionbert_model_config(weights, num_heads=num_heads)
    problems = compare_states(build(MODELS, config).state_dict(), renamed)
    if unmatched or problems:
        raise ValueError(f'{len(unmatched)} official keys without a counterpart {unmatched[:REPORT_LIMIT]}; '
                         f'{"; ".join(problems) or "all others match"}')
    description = dict(model=config, window=dict(num_frames=config['backbone']['max_frames']), pipeline=PIPELINE)
    # What else the file held (epoch, lr, optimizer, min_loss) travels along for the way back.
    rest = {key: to_plain(value) for key, value in checkpoint.items() if key != container} if container else {}
    origin = dict(container=container, has_prefix=has_prefix, keys=list(checkpoint) if container else [], rest=rest)
    return dict(state_dict=renamed, meta={META_KEY: description, 'official': origin})


def revert(checkpoint: dict) -> dict:
    """Make an official checkpoint of ours; what an official file held besides the weights is restored.

    Raises:
        ValueError: weights that the official model does not have.
    """
    if 'state_dict' not in checkpoint:
        raise ValueError(f'expected a checkpoint of this package with state_dict, got {sorted(checkpoint)}')
    renamed, unmatched = rename_keys(checkpoint['state_dict'], MOTIONBERT_POSE, reverse=True)
    if unmatched or 'joints_embed.weight' not in renamed:
        raise ValueError(f'{len(unmatched)} weights have no place in the official pose model: '
                         f'{unmatched[:REPORT_LIMIT]}')
    origin = checkpoint.get('meta', {}).get('official', dict(container='model_pos', has_prefix=True))
    prefix = 'module.' if origin['has_prefix'] else ''
    weights = {prefix + key: value for key, value in renamed.items()}
    if not origin['container']:
        return weights
    entries = {**origin.get('rest', {}), origin['container']: weights}
    return {key: entries[key] for key in origin.get('keys', entries)}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help='checkpoint to read')
    parser.add_argument('target', help='checkpoint to write')
    parser.add_argument('--reverse', action='store_true', help="from this package's format to the official one")
    parser.add_argument('--num-heads', type=int, default=8, help='attention heads of the official model (default: 8)')
    args = parser.parse_args()
    try:
        checkpoint = read_checkpoint(args.source)
        converted = revert(checkpoint) if args.reverse else convert(checkpoint, num_heads=args.num_heads)
    except (OSError, ValueError) as error:
        sys.exit(f'{args.source}: {error}')
    temporary = f'{args.target}.tmp'
    torch.save(converted, temporary)
    os.replace(temporary, args.target)
    weights = converted.get('state_dict') or find_weights(converted)[0]
    count = sum(value.numel() for value in weights.values())
    print(f'{args.target}: {len(weights)} tensors, {count:,} parameters, all matched, none left over')


if __name__ == '__main__':
    main()
