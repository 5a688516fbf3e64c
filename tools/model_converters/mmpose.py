"""Convert lifters of MMPose to this package's format, or, with --reverse, lifters of this package to MMPose's.

MMPose's own DSTFormer (its MotionBERT checkpoints) and lifters made of our classes are told apart by their keys.
"""
from __future__ import annotations

from functools import partial

from mmengine.config import Config

from motionbert_mm.checkpoints.conversion import converter_parser, run_converter
from motionbert_mm.checkpoints.load import META_KEY
from motionbert_mm.integrations.checkpoint_globals import history_admitted
from motionbert_mm.integrations.mmpose_config import inference_config
from motionbert_mm.integrations.mmpose_weights import from_lifter, to_lifter
from motionbert_mm.io.atomic import atomic_path


def main() -> None:
    """Run the command line."""
    parser = converter_parser(__doc__)
    parser.add_argument('--num-heads', type=int, help="attention heads of MMPose's DSTFormer, where its checkpoint "
                        'does not say them (default: 8)')
    parser.add_argument('--own', action='store_true', help="with --reverse: for MMPose's own DSTFormer instead of "
                        'our classes, for projects without this package')
    parser.add_argument('--config', metavar='CONFIG.py', help='with --reverse: write a config for Pose3DInferencer and '
                        'init_model too')
    args = parser.parse_args()
    if not args.reverse and (args.own or args.config):
        parser.error('--own and --config go with --reverse')

    def back(checkpoint: dict) -> dict:
        converted = to_lifter(checkpoint, own=args.own)
        if args.config:
            if not args.config.endswith('.py'):
                raise ValueError(f'--config {args.config} must end in .py')
            with atomic_path(args.config) as work:
                config = Config(inference_config(converted['meta'][META_KEY], own=args.own))
                work.write_text(config.pretty_text, encoding='utf-8')
        return converted

    with history_admitted():
        run_converter(args.source, args.target,
                      back if args.reverse else partial(from_lifter, num_heads=args.num_heads))


if __name__ == '__main__':
    main()
