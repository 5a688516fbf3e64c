"""Turn world-space 3D motion clips into a motion store seen by virtual cameras.

The source is an .npz with `positions` (F, 17, 3) in metres, Z up, floor at z = 0, Human3.6M-17 joints;
`clip_start` (K + 1) offsets, `clip_name` (K), `action` (K or per clip) and `fps`. Clips are brought to the
frame rate wanted by time stamps and seen by four cameras around the middle of each walk.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.transforms.noise import pixel_noise
from motionbert_mm.geometry.bones import bone_lengths
from motionbert_mm.geometry.camera import Camera, orbit_cameras
from motionbert_mm.geometry.resampling import resample
from motionbert_mm.io.plain_files import read_npz
from motionbert_mm.structures.skeleton import get_skeleton

SKELETON = 'h36m'
MM_PER_METRE = 1000.0
# Standard deviation over mean of a limb's length in a clip: 0.002 in motion capture, 0.06 and more in a wrong order.
MAX_LIMB_CHANGE = 0.03
REQUIRED = ('positions', 'clip_start', 'clip_name', 'action', 'fps')


@dataclass(frozen=True)
class WorldClip:
    """One clip: positions (T, J, 3) millimetres, world frame with Z up."""

    name: str
    action: str
    positions: np.ndarray


def read_clips(path: str, fps: float) -> list[WorldClip]:
    """Read and check the source, and resample its clips to ``fps``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an .npz, missing keys, wrong shapes, units that are not metres, NaN, empty clips.
    """
    source = read_npz(path, 'copy or export it again', required=REQUIRED, optional=())
    check_arrays(path, source)
    positions, starts = source['positions'], source['clip_start'].astype(int)
    check_positions(path, positions, starts, len(source['clip_name']))
    source_fps = float(source['fps'].item())
    if not source_fps > 0:
        raise ValueError(f'{path}: fps is {source_fps:g}, expected a positive number')
    clips = []
    for number, name in enumerate(source['clip_name']):
        clip = positions[starts[number]:starts[number + 1]].astype(np.float64) * MM_PER_METRE
        clips.append(WorldClip(str(name), str(source['action'][number]), resample(clip, source_fps, fps)))
    return clips


def check_arrays(path: str, source: dict[str, np.ndarray]) -> None:
    """Refuse words where numbers belong, and lists that do not go with each other."""
    for name in ('positions', 'clip_start', 'fps'):
        if source[name].dtype.kind not in 'fiu':
            raise ValueError(f'{path}: {name} has dtype {source[name].dtype}, expected numbers')
    if source['fps'].size != 1:
        raise ValueError(f'{path}: fps has {source["fps"].size} entries, expected one frame rate for all clips')
    for name in ('clip_start', 'clip_name'):
        if source[name].ndim != 1 or not source[name].size:
            raise ValueError(f'{path}: {name} has shape {source[name].shape}, expected a list')
    if source['action'].shape != source['clip_name'].shape:
        raise ValueError(f'{path}: action has {source["action"].size} entries, expected one for each of the '
                         f'{len(source["clip_name"])} clips')


def check_positions(path: str, positions: np.ndarray, starts: np.ndarray, num_clips: int) -> None:
    """Refuse what could only fail, or silently spoil a training, later."""
    joints = get_skeleton(SKELETON).num_joints
    if positions.ndim != 3 or positions.shape[1:] != (joints, 3) or not len(positions):
        raise ValueError(f'{path}: positions has shape {positions.shape}, expected (F, {joints}, 3) in the order of '
                         f'{SKELETON}: {", ".join(get_skeleton(SKELETON).joints)}')
    if len(starts) != num_clips + 1 or starts[0] != 0 or starts[-1] != len(positions) or (np.diff(starts) < 1).any():
        raise ValueError(f'{path}: clip_start must rise from 0 to {len(positions)} in {num_clips + 1} steps, '
                         f'got {len(starts)} from {starts[0]} to {starts[-1]}')
    bad = np.argwhere(~np.isfinite(positions))
    if len(bad):
        raise ValueError(f'{path}: positions holds NaN or infinity, first in frame {bad[0][0]}, joint {bad[0][1]}')
    height = float(np.median(np.ptp(positions[..., 2], axis=1)))
    if not 0.3 < height < 3.0:
        raise ValueError(f'{path}: a person is {height:.3g} high (median extent along z); positions must be in metres '
                         'with z up')
    check_posture(path, positions, starts)


def check_posture(path: str, positions: np.ndarray, starts: np.ndarray) -> None:
    """Refuse other axes and other joint orders: heads are above ankles, and limbs keep their length in a clip."""
    skeleton = get_skeleton(SKELETON)
    ankles = positions[:, [skeleton.index('left_ankle'), skeleton.index('right_ankle')]].mean(axis=1)
    trunk = np.median(positions[:, skeleton.index('head')] - ankles, axis=0)
    if np.argmax(np.abs(trunk)) != 2 or trunk[2] < 0:
        raise ValueError(f'{path}: heads lie {trunk.round(2).tolist()} from the ankles (median along x, y, z); '
                         f'z must point up and joints must be in the order of {SKELETON}: {", ".join(skeleton.joints)}')
    lengths = bone_lengths(positions, skeleton.limbs)
    clips = np.split(lengths, starts[1:-1])
    change = np.median([clip.std(axis=0) / clip.mean(axis=0) for clip in clips], axis=0)
    loose = int(change.argmax())
    if change[loose] > MAX_LIMB_CHANGE:
        names = [skeleton.joints[joint] for joint in skeleton.limbs[loose]]
        raise ValueError(f'{path}: the limb from {names[0]} to {names[1]} changes its length by {change[loose]:.0%}; '
                         f'joints must be in the order of {SKELETON}: {", ".join(skeleton.joints)}')


def aim_cameras(clip: WorldClip) -> list[Camera]:
    """Place the four cameras around the middle of the pelvis' path, at its median height."""
    pelvis = clip.positions[:, get_skeleton(SKELETON).root]
    middle = (pelvis.min(axis=0) + pelvis.max(axis=0)) / 2
    return orbit_cameras(np.array([middle[0], middle[1], np.median(pelvis[:, 2])]))


def views(clip: WorldClip, rng: np.random.Generator, noise: str) -> Iterator[tuple[Camera, dict]]:
    """Yield each camera with the arrays of the clip that it sees."""
    for camera in aim_cameras(clip):
        points = camera.to_camera(clip.positions)
        if points[..., 2].min() <= 0:
            raise ValueError(f'clip {clip.name!r} passes through camera {camera.name}; cut it into shorter clips')
        pixels = camera.project(points)
        arrays = {'keypoints_3d': points, 'keypoints_2d': pixels}
        if noise == 'detector':
            arrays['detected_2d'], arrays['detected_confidence'] = pixel_noise(pixels, rng)
        yield camera, arrays


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SRC.npz')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='the store to make; an existing store there is replaced')
    parser.add_argument('--fps', type=float, default=30.0, help='frame rate of the store (default: 30)')
    parser.add_argument('--cameras', choices=['h36m-like'], default='h36m-like',
                        help='azimuth 45, 135, 225, 315 degrees, 4.5 m away, 1.5 m high, 1000 x 1002 px')
    parser.add_argument('--noise', choices=['detector', 'none'], default='detector',
                        help='also write detector-noised 2D with confidence (default: detector)')
    parser.add_argument('--seed', type=int, default=0, help='of the noise (default: 0)')
    args = parser.parse_args()
    if args.fps <= 0:
        parser.error(f'--fps must be positive, got {args.fps}')
    try:
        clips = read_clips(args.source, args.fps)
        rng = np.random.default_rng(args.seed)
        with MotionStoreWriter(args.out_dir, skeleton=SKELETON, fps=args.fps,
                               info=dict(source=args.source, noise=args.noise, seed=args.seed)) as writer:
            for clip in tqdm(clips, desc='clips', unit='clip'):
                for camera, arrays in views(clip, rng, args.noise):
                    writer.add_clip(f'{clip.name}#{camera.name}', arrays, action=clip.action, camera=camera.name,
                                    image_size=camera.image_size, intrinsics=(*camera.focal, *camera.center))
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    frames = sum(len(clip.positions) for clip in clips)
    print(f'{args.out_dir}: {len(clips)} clips, {frames} frames at {args.fps:g} fps, each seen by 4 cameras')


if __name__ == '__main__':
    main()
