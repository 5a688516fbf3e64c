"""Convert checkpoints of MMAction2's RecognizerGCN with our backbones to this package's format, or back."""
from __future__ import annotations

from motionbert_mm.checkpoints.conversion import converter_parser, run_converter
from motionbert_mm.integrations.checkpoint_globals import history_admitted
from motionbert_mm.integrations.mmaction_weights import from_recognizer, to_recognizer


def main() -> None:
    """Run the command line."""
    args = converter_parser(__doc__).parse_args()
    with history_admitted():
        run_converter(args.source, args.target, to_recognizer if args.reverse else from_recognizer)


if __name__ == '__main__':
    main()
