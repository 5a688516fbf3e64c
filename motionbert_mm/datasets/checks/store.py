"""Is a motion store sound?"""
from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import numpy as np

from motionbert_mm.datasets.checks.report import Progress, Report, examples
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.io.joint_order import implausible_order
from motionbert_mm.structures.skeleton import Skeleton, get_skeleton

CHUNK_ROWS = 1 << 16
RATES = (5.0, 300.0)  # frames per second
# Thigh plus shank in millimetres: a child's to a giant's; metres and pixels lie outside.
LEG_LENGTHS = (300.0, 1300.0)
MAX_OUTSIDE = 0.1  # share of the joints that may lie outside the image
JOINTS_2D = {'keypoints_2d': None, 'detected_2d': 'detected_confidence'}


def check_store(path: Path, progress: Progress) -> Report:
    """Check a directory that a converter wrote: every number once, units and joint order."""
    report = Report('store', path, 'python tools/train.py CONFIG --cfg-options '
                    f'train_dataloader.dataset.data_root={shlex.quote(str(path))}')
    try:
        store = MotionStore(path)
        skeleton = get_skeleton(store.skeleton)
    except (FileNotFoundError, ValueError, KeyError) as error:
        report.broken('store', error.args[0] if isinstance(error, KeyError) else error, 'convert again')
        return report
    _check_clips(store, report)
    for name, array in progress(store.arrays.items()):
        _check_array(store, name, array, skeleton, report)
    rows = np.array([clip.start + clip.length // 2 for clip in store.clips])
    for name, confidence in JOINTS_2D.items():
        if name in store.arrays and store.arrays[name].shape[1:] == (skeleton.num_joints, 2):
            seen = np.ones((len(rows), skeleton.num_joints)) if confidence not in store.arrays else \
                store.arrays[confidence][rows]
            _check_pixels(store, name, store.arrays[name][rows], seen, skeleton, report)
    if 'keypoints_3d' in store.arrays:
        _check_millimetres(store.arrays['keypoints_3d'][rows], skeleton, report)
    return report


def _check_clips(store: MotionStore, report: Report) -> None:
    """Count clips and check the frame rate."""
    lengths = [clip.length for clip in store.clips]
    report.ok('clips', f'{len(lengths):,} of {min(lengths)} to {max(lengths)} frames, {store.num_rows:,} rows, '
              f'{store.skeleton}')
    doubled = [name for name, count in Counter(clip.name for clip in store.clips).items() if count > 1]
    report.broken_each('clip names', doubled, 'names must be unique; convert again')
    for kind in ('subject', 'action', 'camera'):
        values = sorted({getattr(clip, kind) for clip in store.clips} - {''})
        if values:
            report.ok(f'{kind}s', examples(values, limit=20))
    rates = sorted({store.clip_fps(clip) for clip in store.clips})
    words = f'{" and ".join(f"{rate:g}" for rate in rates)} fps'
    if RATES[0] <= rates[0] <= rates[-1] <= RATES[1]:
        report.ok('frame rate', words)
    else:
        report.broken('frame rate', words, 'convert again and give the frame rate of the source')


def _check_array(store: MotionStore, name: str, array: np.ndarray, skeleton: Skeleton, report: Report) -> None:
    """Look at every number of an array, a part at a time."""
    if name.startswith(('keypoints', 'detected')) and array.shape[1:2] != (skeleton.num_joints,):
        report.broken(name, f'{tuple(array.shape)}, {skeleton.name} has {skeleton.num_joints} joints',
                      'convert again with the right skeleton')
        return
    for start in range(0, len(array), CHUNK_ROWS):
        part = array[start:start + CHUNK_ROWS]
        if part.dtype.kind == 'f' and not np.isfinite(part).all():
            row = start + int(np.argwhere(~np.isfinite(part))[0][0])
            clip = next(clip for clip in reversed(store.clips) if clip.start <= row)
            report.broken(name, f'NaN or infinity, first in {clip.name!r}, frame {(row - clip.start) % clip.length}',
                          'repair or cut the source and convert again')
            return
    low, high = float(array.min()), float(array.max())
    if name.endswith('confidence') and (low < 0 or high > 1):
        report.broken(name, f'from {low:.3g} to {high:.3g}', 'expected 0 to 1; convert again')
    else:
        report.ok(name, f'{tuple(array.shape)} {array.dtype}, from {low:.4g} to {high:.4g}')


def _check_pixels(store: MotionStore, name: str, points: np.ndarray, seen: np.ndarray, skeleton: Skeleton,
                  report: Report) -> None:
    """Judge order and place of one pose (J, 2) of every clip."""
    reasons = implausible_order(points, skeleton, seen)
    if reasons:
        report.broken(f'{name}: order', f'not that of {skeleton.name}: {"; ".join(reasons)}',
                      'convert again with the right skeleton')
    else:
        report.ok(f'{name}: order', f'plausible for {skeleton.name}')
    sizes = [clip.image_size for clip in store.clips]
    if any(size is None for size in sizes):
        report.missing(f'{name}: image', f'{sum(size is None for size in sizes)} clips without image_size',
                       "needed by NormalizeCoords(inputs='screen'); inputs='crop_scale' goes without")
        return
    is_outside = ((points < 0) | (points > np.array(sizes)[:, None])).any(-1)[seen > 0]
    if is_outside.size and is_outside.mean() > MAX_OUTSIDE:
        report.broken(f'{name}: image', f'{is_outside.mean():.0%} of the joints lie outside it',
                      'convert again with the size of the images')
    else:
        report.ok(f'{name}: image', f'{len(set(sizes))} size(s), e.g. {sizes[0][0]:g} x {sizes[0][1]:g}')


def _check_millimetres(points: np.ndarray, skeleton: Skeleton, report: Report) -> None:
    """Judge the unit by the length of the legs in one pose (J, 3) of every clip."""
    bones = [np.linalg.norm(points[:, end] - points[:, start], axis=-1) for start, end in skeleton.legs]
    leg = float(np.median(np.sum(bones, axis=0) / 2))
    if LEG_LENGTHS[0] <= leg <= LEG_LENGTHS[1]:
        report.ok('keypoints_3d: unit', f'a leg is {leg:.0f} mm long (median)')
    else:
        report.broken('keypoints_3d: unit', f'a leg is {leg:.3g} long (median)', 'expected millimetres, '
                      f'{LEG_LENGTHS[0]:g} to {LEG_LENGTHS[1]:g}; convert again with the right unit')
