"""Fit the detector noise of AddMixtureNoise to a motion store that has detected and exact 2D joints.

STORE needs detected_2d, detected_confidence, keypoints_2d and the image size of every clip. Per joint the mean,
spread and probability of a Gaussian error are fitted, the rest being uniform (expectation maximisation over errors at
key frames), the jitter of single frames (median absolute residual) and the confidence as a function of the error (least
squares). OUT.json is what AddMixtureNoise(params=OUT.json) reads.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatch

import numpy as np
from tqdm import tqdm

from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.noise_files import write_noise_model
from motionbert_mm.datasets.noise_fit import NoiseFit, NoiseFitter, histogram_quantile
from motionbert_mm.datasets.noise_model import UNIFORM_RANGE, draw_noise, simulate
from motionbert_mm.structures.skeleton import get_skeleton

REQUIRED = ('detected_2d', 'detected_confidence', 'keypoints_2d')
NUM_SIMULATED = 64  # clips of the fitted noise that the table compares with


def add_store(fitter: NoiseFitter, store: MotionStore, include: Sequence[str]) -> int:
    """Give all chosen clips of a store to the fitter and return how many they are.

    Raises:
        ValueError: missing arrays or image size, or no clip is chosen.
    """
    missing = [name for name in REQUIRED if name not in store.arrays]
    if missing:
        raise ValueError(f'{store.path} has no {", ".join(missing)}, only {sorted(store.arrays)}; noise is fitted to '
                         'pairs of detected and exact 2D joints')
    clips = [clip for clip in store.clips if not include or any(fnmatch(clip.name, pattern) for pattern in include)]
    if not clips:
        raise ValueError(f'{store.path}: no clip matches {list(include)}; its first clip is {store.clips[0].name!r}')
    for clip in tqdm(clips, desc='clips', unit='clip'):
        if clip.image_size is None:
            raise ValueError(f'{store.path}: clip {clip.name!r} has no image size, and noise is fitted in units of '
                             'half the image width; give the size to the converter')
        rows = np.arange(clip.start, clip.start + clip.persons * clip.length).reshape(clip.persons, clip.length)
        detected, confidence, exact = (store.gather(name, rows) for name in REQUIRED)
        errors = (detected.astype(np.float64) - exact) * (2.0 / clip.image_size[0])
        for person in range(clip.persons):
            fitter.add(errors[person], confidence[person])
    return len(clips)


def print_table(fit: NoiseFit, num_keyframes: int, num_frames: int) -> None:
    """Print the parameters, and how far observed and simulated joints lie from the truth."""
    model, joints = fit.model, get_skeleton(fit.model.skeleton).joints
    shape = (NUM_SIMULATED, 1, num_frames, len(joints))
    errors, confidence = simulate(model, draw_noise(np.random.default_rng(0), shape, num_keyframes))
    distance = np.linalg.norm(errors, axis=-1)
    print(f'{"":17s}{"Gaussian":^39s}{"key":>8s}  {"observed":^15s}  {"fitted":^15s}')
    print(f'{"joint":15s}{"mean x":>9s}{"y":>9s}{"std x":>9s}{"y":>8s}{"prob.":>7s}{"frames":>8s}'
          + 2 * f'{"median":>9s}{"95 %":>8s}')
    for index, joint in enumerate(joints):
        observed, fitted = _summary(fit.counts[index]), np.quantile(distance[..., index], (0.5, 0.95))
        print(f'{joint:15s}' + '{:9.5f}{:9.5f}{:9.5f}{:8.5f}'.format(*model.mean[index], *model.std[index])
              + f'{model.weight[index]:7.3f}{fit.num_keyframes[index]:8d}'
              + ''.join('{:9.5f}{:8.5f}'.format(*pair) for pair in (observed, fitted)))
    total = _summary(fit.counts.sum(axis=0)), np.quantile(distance, (0.5, 0.95))
    print(f'{"all":15s}{"":50s}' + ''.join('{:9.5f}{:8.5f}'.format(*pair) for pair in total))
    curve = model.confidence
    print(f'jitter std {model.jitter_std:.5f}, uniform range {model.uniform_range:g}; unit: half the image width\n'
          f'confidence clip(a / (d + a) + b d + N(m, s^2), 0, 1) with a {curve.a:.4g}, b {curve.b:.4g}, '
          f'm {curve.m:.4g}, s {curve.s:.4g}; mean observed {fit.confidence_mean:.3f}, fitted {confidence.mean():.3f}')


def _summary(counts: np.ndarray) -> tuple:
    return histogram_quantile(counts, 0.5), histogram_quantile(counts, 0.95)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('store', metavar='STORE', help='motion store with detected and exact 2D joints')
    parser.add_argument('out', metavar='OUT.json', help='parameters to write')
    parser.add_argument('--num-keyframes', type=int, default=27, help='key frames of a piece (default: 27)')
    parser.add_argument('--num-frames', type=int, default=243,
                        help='frames of a piece: as many as the samples of the training have (default: 243)')
    parser.add_argument('--uniform-range', type=float, default=UNIFORM_RANGE,
                        help=f'side of the square of uniform errors, not fitted (default: {UNIFORM_RANGE})')
    parser.add_argument('--include', nargs='*', default=(), metavar='PATTERN',
                        help='shell patterns of clip names to use (default: all)')
    parser.add_argument('--source', help='where the pairs come from, kept in OUT.json (default: name of the store)')
    args = parser.parse_args()
    try:
        store = MotionStore(args.store)
        fitter = NoiseFitter(store.skeleton, num_keyframes=args.num_keyframes, num_frames=args.num_frames,
                             uniform_range=args.uniform_range)
        clips = add_store(fitter, store, args.include)
        source = args.source or store.path.resolve().name
        fit = fitter.fit(f'{source}; {clips} clips, {args.num_keyframes} key frames per {args.num_frames} frames at '
                         f'{store.fps:g} fps')
        write_noise_model(args.out, fit.model)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(str(error.args[0]) if isinstance(error, KeyError) else str(error))
    print_table(fit, args.num_keyframes, args.num_frames)
    print(f'{args.out}: noise of {len(fit.num_keyframes)} joints from {clips} clips')


if __name__ == '__main__':
    main()
