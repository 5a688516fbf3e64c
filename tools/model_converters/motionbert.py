"""Convert official MotionBERT checkpoints, of 3D pose, of actions or of meshes, to this package's format, or back.

Which of them a file holds is recognised from its keys. The 3D output of action and mesh models, which nothing reads, is
kept beside the model for the way back. SMPL itself, which is licensed and lies in official mesh checkpoints, is left
out; on the way back it is taken from the files of --body-model.
"""
from __future__ import annotations

import logging
from functools import partial
from typing import Optional

from mmengine.logging import print_log

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
from motionbert_mm.checkpoints.official_motionbert import (
    BODY_MODEL,
    MESH,
    OFFICIAL_MODELS,
    with_body,
)
from motionbert_mm.checkpoints.official_smpl import EXTRA_REGRESSOR, REGRESSOR, body_files, official_smpl

SYNTHETIC_BODY = dict(path='synthetic')  # weights are checked without SMPL at hand: nothing of it is among them


def convert(checkpoint: dict, *, num_heads: int = 8, body_model: str = BODY_MODEL) -> dict:
    """Make our checkpoint of an official one; which model it holds is recognised from its keys.

    Args:
        checkpoint: official.
        num_heads: of the official model.
        body_model: folder or file in which a mesh model will look for SMPL; it need not exist yet.

    Raises:
        ValueError: keys that no rule knows, missing keys or other shapes: the conversion is strict.
    """
    weights, origin = take_apart(checkpoint)
    found = next((model for model in OFFICIAL_MODELS if model.official_key in weights), None)
    if found is None:
        raise ValueError('no MotionBERT pose, action or mesh model found: expected the keys of DSTformer under '
                         'model_pos or at the top level, or of ActionNet or MeshRegressor under model, got '
                         f'{sorted(checkpoint)[:EXAMPLES]}')
    used, unused = found.split(weights)
    left_out = len(weights) - len(used) - len(unused)
    if left_out:
        print_log(f'{left_out} tensors {found.licensed}* are SMPL itself, which is licensed, and are left out; the '
                  f'model takes it from {body_model}')
    renamed, unmatched = rename_keys(used, found.rows)
    config = with_body(found.model_config(used, num_heads=num_heads), body_files(body_model))
    check_match(with_body(config, SYNTHETIC_BODY), renamed, unmatched)
    window, pipeline, facts = found.describe(config)
    return our_checkpoint(renamed, model=config, window=window, pipeline=pipeline, facts=facts,
                          origin=dict(origin, unused=unused))


def revert(checkpoint: dict, *, body_model: Optional[str] = None) -> dict:
    """Make an official checkpoint of ours; what an official file held besides the weights is restored.

    Args:
        checkpoint: ours.
        body_model: SMPL, with its regressors beside it, see ``official_smpl``. Without it mesh models are written
            without SMPL.

    Raises:
        ValueError: weights that the official model does not have, or that it needs and ours does not have.
    """
    weights = our_weights(checkpoint)
    found = next((model for model in OFFICIAL_MODELS if model.our_key in weights), OFFICIAL_MODELS[-1])
    renamed, unmatched = rename_keys(weights, found.rows, reverse=True)
    if unmatched or found.official_key not in renamed:
        raise ValueError(f'{len(unmatched)} weights have no place in the official {found.title} model: '
                         f'{unmatched[:EXAMPLES]}')
    config = found.model_config(renamed, num_heads=1)  # shapes do not depend on the heads
    check_match(with_body(config, SYNTHETIC_BODY), weights, unmatched)
    origin = checkpoint.get('meta', {}).get(ORIGIN_KEY) or found.own_origin(renamed)
    body = _licensed(body_model) if found.licensed else {}
    return put_together({**renamed, **origin.get('unused', {}), **body}, origin)


def _licensed(body_model: Optional[str]) -> dict:
    """Return SMPL under its official names, or say what it means that it is missing."""
    if body_model is not None:
        return {MESH.licensed + name: value for name, value in official_smpl(body_model).items()}
    print_log(f'written without {MESH.licensed}*, SMPL itself: the official code, which expects it, reads the file '
              'with load_state_dict(..., strict=False); or give --body-model, a folder with SMPL_NEUTRAL.npz or .pkl, '
              f'{REGRESSOR} and {EXTRA_REGRESSOR}', level=logging.WARNING)
    return {}


def main() -> None:
    """Run the command line."""
    parser = converter_parser(__doc__)
    parser.add_argument('--num-heads', type=int, default=8, help='attention heads of the official model (default: 8)')
    parser.add_argument('--body-model', help='of mesh models: folder of SMPL_NEUTRAL.npz or .pkl and its regressors, '
                        f'noted in the checkpoint (default: {BODY_MODEL}) or, with --reverse, read')
    args = parser.parse_args()
    forth = partial(convert, num_heads=args.num_heads, body_model=args.body_model or BODY_MODEL)
    run_converter(args.source, args.target, partial(revert, body_model=args.body_model) if args.reverse else forth)


if __name__ == '__main__':
    main()
