"""Lift a 2D keypoint file to 3D: numbers, a picture strip and an animation.

Example:
    tools/infer.py work_dirs/lifter/best.pth alphapose.json --skeleton halpe26 --image-size 1920 1080 --out out
"""
from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from motionbert_mm.apis import Lifter, LiftResult
from motionbert_mm.apis.missing import WAYS, describe_filled
from motionbert_mm.engine.command_line import check_device
from motionbert_mm.io import KeypointTrack, atomic_path, read_keypoints
from motionbert_mm.visualization import animate, draw_strip
from motionbert_mm.visualization.animation import check_format

FRAME = 'camera: x right, y down, z forward; relative to the root joint'


class OneLineParser(argparse.ArgumentParser):
    """Report a wrong command line in one line."""

    def error(self, message: str) -> None:
        """Exit with code 2."""
        self.exit(2, f'{self.prog}: error: {message} (see --help)\n')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', type=Path, help='written by tools/train.py or tools/model_converters/')
    parser.add_argument('keypoints', type=Path,
                        help='.npy, .npz, .json of AlphaPose or in COCO style, or a folder of OpenPose JSON files')
    parser.add_argument('--skeleton', help='joint order of the keypoints, such as coco17 or halpe26; '
                                           'JSON files may leave it out')
    parser.add_argument('--image-size', type=float, nargs=2, required=True, metavar=('W', 'H'),
                        help='of the video, in pixels')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='made if missing')
    parser.add_argument('--track', metavar='ID', help='person to lift; default: the one seen longest')
    parser.add_argument('--fps', type=float, default=30.0, help='of the keypoints; speed of the animation')
    parser.add_argument('--format', choices=('gif', 'mp4'), default='gif', help='of the animation')
    parser.add_argument('--device', help='cpu, cuda:0, ...; default: the best available')
    parser.add_argument('--batch-size', type=int, metavar='N',
                        help='windows per forward pass. Default: 32 of a model that predicts the centre frame, which '
                             'gets a window around every frame; else 8, which overlap by half')
    parser.add_argument('--dilation', type=int, metavar='N',
                        help='step between the frames of a window; default: as in training. A model of every second '
                             'frame of 50 fps takes every frame (1) of 25 fps')
    parser.add_argument('--missing', choices=WAYS, default='auto',
                        help='who fills in joints that are NaN or have confidence 0: the model, from which they are '
                             'hidden, or interpolation over time before it. Default: the model, if it was trained with '
                             'hidden joints')
    parser.add_argument('--no-tta', action='store_true', help='do not average with the mirrored input')
    parser.add_argument('--trust-order', action='store_true', help='accept joints in an order that looks wrong')
    parser.add_argument('--no-animation', action='store_true', help='write numbers and strip only')
    return parser.parse_args()


def check_args(args: argparse.Namespace) -> None:
    """Refuse what would fail only after the model has run."""
    if not args.checkpoint.is_file():
        raise FileNotFoundError(f'{args.checkpoint}: no such checkpoint')
    if args.out.exists() and not args.out.is_dir():
        raise NotADirectoryError(f'--out {args.out} is a file; name a directory')
    if not (args.fps > 0 and np.isfinite(args.fps)):
        raise ValueError(f'--fps must be positive, got {args.fps}')
    for option in ('batch_size', 'dilation'):
        value = getattr(args, option)
        if value is not None and value < 1:
            raise ValueError(f'--{option.replace("_", "-")} must be at least 1, got {value}')
    if not all(side > 0 and np.isfinite(side) for side in args.image_size):
        raise ValueError(f'--image-size must be two positive numbers, got {args.image_size}')
    if not args.no_animation:
        check_format(f'motion.{args.format}')
    check_device(args.device)


def save_motion(path: Path, result: LiftResult, joints: tuple, frame_ids: np.ndarray, fps: float) -> None:
    """Write the motion and what is needed to read it; loads with ``allow_pickle=False``."""
    with atomic_path(path) as work:
        np.savez_compressed(work, keypoints_3d=result.keypoints_3d, confidence=result.confidence,
                            filled=result.filled, hidden=result.hidden, frame_ids=frame_ids, joints=np.array(joints),
                            skeleton=np.array(result.skeleton), unit=np.array('mm'), frame=np.array(FRAME),
                            fps=np.array(fps))


def write_outputs(args: argparse.Namespace, track: KeypointTrack, result: LiftResult, joints: tuple) -> list[Path]:
    """Write numbers and pictures; return their paths."""
    name = args.keypoints.absolute().stem
    paths = [args.out / f'{name}_3d.npz', args.out / f'{name}_strip.png', args.out / f'{name}.{args.format}']
    shown = {'keypoints_2d': track.keypoints, 'confidence': track.confidence, 'skeleton_2d': track.skeleton,
             'filled': result.filled, 'title': name}
    save_motion(paths[0], result, joints, track.frame_ids, args.fps)
    draw_strip(result.keypoints_3d, result.skeleton, path=paths[1], frame_ids=track.frame_ids, **shown)
    if args.no_animation:
        return paths[:2]
    animate(result.keypoints_3d, result.skeleton, paths[2], fps=args.fps, progress=_bar('drawing'), **shown)
    return paths


def _bar(name: str) -> functools.partial:
    """Return a progress bar to wrap around an iterable."""
    return functools.partial(tqdm, desc=name, ncols=80, leave=False)


def run(args: argparse.Namespace) -> None:
    """Read, lift, write, report."""
    check_args(args)
    track = read_keypoints(args.keypoints, skeleton=args.skeleton, track=args.track, trust_order=args.trust_order)
    if track.skeleton is None:
        raise ValueError(f'{args.keypoints} does not say which joints it holds; name them with --skeleton')
    for note in track.notes:
        print(f'note: {note}')
    lifter = Lifter.from_checkpoint(args.checkpoint, args.device, dilation=args.dilation)
    result = lifter.lift(track.keypoints, track.confidence, skeleton=track.skeleton, image_size=args.image_size,
                         batch_size=args.batch_size, flip_test=not args.no_tta, missing=args.missing,
                         progress=_bar('lifting'))
    paths = write_outputs(args, track, result, lifter.skeleton.joints)
    for note in result.notes:
        print(f'note: {note}')
    num_frames = len(track.keypoints)
    print(f'{track.skeleton} -> {result.skeleton}, {num_frames} frame{"" if num_frames == 1 else "s"}')
    for kind in ('copied', 'averaged', 'invented'):
        print(f'  {kind + ":":<10}{", ".join(getattr(result, kind)) or "none"}')
    for line in describe_filled(result.filled, result.hidden, lifter.skeleton.joints) or ['none']:
        print(f'  filled:   {line}')
    for path in paths:
        print(f'wrote {path}')


def main() -> int:
    """Return the exit code: 0, or 2 with one line on stderr for whatever a user can mend."""
    args = parse_args()
    try:
        run(args)
    except (ValueError, KeyError, OSError, ImportError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print('infer.py: error: ' + ' '.join(str(message).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
