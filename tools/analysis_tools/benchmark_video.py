"""Print frames per second of lifting a whole video with a model that predicts the centre frame of a window.

Such a model (P-STMO) needs a window around every frame. Three ways lead to the same motion: one window at a time,
batches of windows, and batches whose windows share the work on single frames, as Lifter and tools/infer.py do it. The
last way lifts the whole video; between its batches the others take turns on pieces of it, so that all three meet the
same load of the machine. Everything is counted from pixels to millimetres. The keypoints are random, and so are the
weights of a config: speed does not depend on them.
"""
from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from benchmark import describe_machine
from mmengine.config import DictAction
from mmengine.device import get_device
from tqdm import tqdm

from motionbert_mm.apis import Lifter
from motionbert_mm.apis.inference import CENTRE_BATCH_SIZE
from motionbert_mm.checkpoints.load import META_KEY
from motionbert_mm.engine.command_line import EXPECTED, describe_error, read_config
from motionbert_mm.engine.hooks.plain_checkpoint import describe_config
from motionbert_mm.registry import MODELS, build

SINGLE, BATCHED, SHARED = 'one window at a time', 'batches of windows', 'batches, frames shared'
IMAGE_SIZE = (1000, 1000)
CONFIG_SUFFIXES = ('.py', '.json')


def make_lifter(path: str, device: str, options: Optional[dict] = None) -> Lifter:
    """Read a checkpoint, or build the model of a config with random weights.

    Raises:
        FileNotFoundError, KeyError, TypeError, ValueError: see ``read_config`` and ``Lifter.from_checkpoint``; also a
            model that does not predict the centre frame only.
    """
    if Path(path).suffix in CONFIG_SUFFIXES:
        description = describe_config(read_config(path, options).to_dict())
        with tempfile.TemporaryDirectory(prefix='benchmark-') as folder:
            checkpoint = Path(folder, 'random.pth')
            state_dict = build(MODELS, description['model']).state_dict()
            torch.save(dict(state_dict=state_dict, meta={META_KEY: description}), checkpoint)
            lifter = Lifter.from_checkpoint(checkpoint, device)
    else:
        lifter = Lifter.from_checkpoint(path, device)
    if not lifter.predicts_centre:
        raise ValueError('the model predicts every frame of a window, so that there is nothing to share; expected one '
                         'that predicts the centre frame, such as configs/pose3d/pstmo-s_*.py')
    return lifter


class Video:
    """Random keypoints, and the ways to lift them.

    Args:
        lifter: of a model that predicts the centre frame.
        num_frames: F.
        batch_size: windows per forward pass.
        flip_test: average with the prediction for the mirrored input.
    """

    def __init__(self, lifter: Lifter, num_frames: int, *, batch_size: int, flip_test: bool) -> None:
        shape = (num_frames, lifter.skeleton.num_joints, 2)
        self.keypoints = np.random.default_rng(0).uniform(0, IMAGE_SIZE, shape).astype(np.float32)
        self.lifter, self.flip_test = lifter, flip_test
        self.ways = {SINGLE: dict(batch_size=1, share_frames=False),
                     BATCHED: dict(batch_size=batch_size, share_frames=False)}
        if lifter.shares_frames:
            self.ways[SHARED] = dict(batch_size=batch_size, share_frames=True)

    def lift(self, way: str, num_frames: Optional[int] = None, **options: Any) -> np.ndarray:
        """Lift the first frames, or all, in one of the ways -> (F, J, 3) mm."""
        return self.lifter.lift(self.keypoints[:num_frames], skeleton=self.lifter.skeleton.name, image_size=IMAGE_SIZE,
                                flip_test=self.flip_test, **self.ways[way], **options).keypoints_3d

    def differences(self, num_frames: int) -> dict[str, float]:
        """Lift the first frames in all ways; return how far each is from one window at a time, at most, in mm."""
        expected, *others = (self.lift(way, num_frames) for way in self.ways)
        return {way: float(np.abs(motion - expected).max()) for way, motion in zip(list(self.ways)[1:], others)}

    def measure(self, *, piece: int, turns: int) -> dict[str, float]:
        """Lift the video in the last way, and pieces of it in the others in between.

        Args:
            piece: frames that the other ways lift in a turn.
            turns: their number, spread over the video.

        Returns:
            Frames per second of every way.
        """
        *others, whole = self.ways
        seconds, counts = dict.fromkeys(others, 0.0), dict.fromkeys(others, 0)

        def take_turns(batches: Sequence) -> Iterator:
            starts = set(np.linspace(0, len(batches), turns, endpoint=False).astype(int))
            for number, batch in enumerate(tqdm(batches, desc=whole, unit='batch', leave=False, disable=None)):
                for way in others if number in starts else ():
                    seconds[way] += _timed(self.lift, way, piece)
                    counts[way] += len(self.keypoints[:piece])
                yield batch

        total = _timed(self.lift, whole, progress=take_turns)
        seconds[whole], counts[whole] = total - sum(seconds.values()), len(self.keypoints)
        return {way: counts[way] / seconds[way] for way in self.ways}


def _timed(step: Any, *arguments: Any, **options: Any) -> float:
    """Return the seconds that a call takes; lifted motion is on the CPU, so that no queue has to be waited for."""
    start = time.perf_counter()
    step(*arguments, **options)
    return time.perf_counter() - start


def format_table(runs: Sequence[dict[str, float]]) -> str:
    """Return the medians over runs of speed and of its ratio to one window at a time, with the range of the speed."""
    lines = [f'{"":<26}{"frames/s":>10}{"(slowest - fastest)":>22}{"ms/frame":>11}{"ratio":>9}']
    for way in runs[0]:
        speeds = [run[way] for run in runs]
        median, ratio = statistics.median(speeds), statistics.median(run[way] / run[SINGLE] for run in runs)
        spread = f'({min(speeds):,.1f} - {max(speeds):,.1f})'
        lines.append(f'{way:<26}{median:>10,.1f}{spread:>22}{1e3 / median:>11,.2f}{ratio:>9.2f}')
    return '\n'.join(lines)


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    torch.manual_seed(0)
    lifter = make_lifter(args.model, args.device, args.cfg_options)
    video = Video(lifter, args.frames, batch_size=args.batch_size, flip_test=args.tta)
    print(f'{args.model}: {args.frames} frames, a window of {lifter.num_frames} frames (every '
          f'{lifter.dilation}.) around each, batches of {args.batch_size}, '
          f'{"averaged with" if args.tta else "without"} the mirrored input, medians of {args.runs} runs')
    if SHARED not in video.ways:
        print('note: the windows of this model share no work on single frames')
    differences = video.differences(args.piece)
    print(format_table([video.measure(piece=args.piece, turns=args.turns) for _ in range(args.runs)]))
    print('largest difference from one window at a time: '
          + ', '.join(f'{way} {value:.1e} mm' for way, value in differences.items()))


def parse_args(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', metavar='MODEL', help='path of a config file (random weights) or of a checkpoint')
    parser.add_argument('--frames', type=_positive, default=3000, metavar='N', help='of the video (default: 3000)')
    parser.add_argument('--batch-size', type=_positive, default=CENTRE_BATCH_SIZE, metavar='N',
                        help=f'windows per forward pass (default: {CENTRE_BATCH_SIZE})')
    parser.add_argument('--runs', type=_positive, default=3, metavar='N', help='runs per figure (default: 3)')
    parser.add_argument('--turns', type=_positive, default=6, metavar='N',
                        help='of the other ways in each run (default: 6)')
    parser.add_argument('--piece', type=_positive, default=32, metavar='N',
                        help='frames that the other ways lift in a turn (default: 32)')
    parser.add_argument('--tta', action='store_true', help='average with the prediction for the mirrored input')
    parser.add_argument('--threads', type=_positive, metavar='N', help="of the model (default: PyTorch's choice)")
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: the best there is)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args(arguments)
    args.device = args.device or get_device()
    if args.device != 'cpu' and (not args.device.startswith('cuda') or not torch.cuda.is_available()):
        parser.error(f'--device {args.device} is not on this machine; expected cpu, or cuda:N where PyTorch sees a GPU')
    return args


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number, 1 or more')
    return int(text)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    args = parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    print(describe_machine(args.device), flush=True)
    try:
        run(args)
    except EXPECTED as error:
        print(f'{args.model}: {describe_error(error)}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()
