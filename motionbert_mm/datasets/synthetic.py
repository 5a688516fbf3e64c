"""Synthetic human motion: clips of a dozen actions, the store made of them, and the data set.

Nothing is downloaded and nothing is licensed: bodies, motions, cameras and detector noise are drawn from a seed.
Clip i depends on (seed, split, i) and the clip's length only, not on how many clips are made.
"""
from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import numpy as np
from tqdm import tqdm

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.made_stores import find_or_make
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.synthetic_actions import ACTION_BUILDERS
from motionbert_mm.datasets.synthetic_rig import Body, make_body, pose_body, solve, unwrap_axis_angle
from motionbert_mm.datasets.synthetic_tracks import Scene
from motionbert_mm.datasets.transforms.noise import pixel_noise
from motionbert_mm.geometry.camera import Camera, orbit_cameras
from motionbert_mm.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from motionbert_mm.registry import DATASETS
from motionbert_mm.structures.synthetic_bones import fit_betas

ACTIONS = tuple(ACTION_BUILDERS)
NUM_SUBJECTS = 10  # in each split; splits share none
GENERATOR_VERSION = 2  # raise when the same seed gives another motion or a store gets other arrays
SLOW, FAST = 0.88, 1.14  # relative speeds at which a text says slowly or quickly
# Place of the sentence of each action that texts of the phrasings 'held_out' have, and those of 'train' have not.
HELD_OUT_SENTENCE = 1
PHRASINGS = (None, 'train', 'held_out')


@dataclass(frozen=True)
class SyntheticClip:
    """One synthetic motion of one person, T frames.

    Attributes:
        name: unique within (seed, split).
        subject: name of the body.
        action: one of ``ACTIONS``; ``label`` is its index there.
        label: class index.
        text: one sentence that describes the clip.
        positions: (T, 17, 3) mm, Human3.6M joints in the world: Z up, floor at z = 0.
        smpl_pose: (T, 24, 3) rad, axis-angle relative to the parent; the root's turns body axes (x left, y up,
            z forward) into world axes. The root's may exceed pi, so that it is continuous.
        smpl_joints: (T, 24, 3) mm, the same joints that forward kinematics gives with ``body``, world.
        contact: (T, 2) bool, where the ball of the left and right foot rests on the floor.
        pace: speed relative to the usual one.
        side: 'left' or 'right', the side that acts or to which the person turns.
        body: bone lengths.
    """

    name: str
    subject: str
    action: str
    label: int
    text: str
    positions: np.ndarray
    smpl_pose: np.ndarray
    smpl_joints: np.ndarray
    contact: np.ndarray
    pace: float
    side: str
    body: Body


def generate_clip(index: int, *, num_frames: int = 90, fps: float = 30.0, seed: int = 0,
                  split: str = 'train', phrasings: Optional[str] = None) -> SyntheticClip:
    """Make one clip; actions take turns, so that clip ``index`` shows ``ACTIONS[index % len(ACTIONS)]``.

    Args:
        index: of the clip, from 0.
        num_frames: T.
        fps: frames per second.
        seed: of the data set, not negative.
        split: any name; another one gives other people and other motions.
        phrasings: sentences that may describe it: 'train', 'held_out', which have none in common, or None for all; the
            motion is the same.

    Raises:
        ValueError: a negative index or seed, no frames, no frame rate or unknown phrasings.
    """
    if index < 0 or num_frames < 1 or fps <= 0 or seed < 0:
        raise ValueError(f'a synthetic clip needs index >= 0, num_frames >= 1, fps > 0 and seed >= 0, '
                         f'got {index}, {num_frames}, {fps} and {seed}')
    if phrasings not in PHRASINGS:
        raise ValueError(f'phrasings is {phrasings!r}, expected one of {PHRASINGS}')
    rng = _generator(seed, split, 'clip', index)
    label = index % len(ACTIONS)
    number = int(rng.integers(NUM_SUBJECTS))
    body = make_body(f'{split}{number:02d}', _generator(seed, split, 'body', number))
    scene = Scene(time=np.arange(num_frames) / fps, duration=num_frames / fps, body=body, rng=rng,
                  pace=float(rng.uniform(0.75, 1.3)), side='left' if rng.uniform() < 0.5 else 'right')
    tracks, sentences = ACTION_BUILDERS[ACTIONS[label]](scene)
    if scene.side == 'left':
        tracks = tracks.mirrored()
    tracks = tracks.placed(rng.uniform(-np.pi, np.pi), rng.uniform(-60.0, 60.0, 2))
    pose, translation = solve(tracks, body, fps)
    smpl_joints, positions = pose_body(pose, translation, body)
    return SyntheticClip(
        name=f'{split}/{ACTIONS[label]}/{index:05d}', subject=body.name, action=ACTIONS[label], label=label,
        text=_say(_phrased(sentences, phrasings), scene), positions=positions, smpl_pose=pose, smpl_joints=smpl_joints,
        contact=np.stack([foot.contact for foot in tracks.feet], axis=-1), pace=scene.pace, side=scene.side, body=body)


def _generator(seed: int, split: str, use: str, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(split.encode()), zlib.crc32(use.encode()), number])


def _phrased(sentences: Sequence[str], phrasings: Optional[str]) -> list[str]:
    """Replace the sentences that are not allowed, so that as many numbers are drawn as without."""
    held_out = sentences[HELD_OUT_SENTENCE]
    if phrasings == 'held_out':
        return [held_out] * len(sentences)
    return [sentences[0] if phrasings == 'train' and sentence == held_out else sentence for sentence in sentences]


def _say(sentences: Sequence[str], scene: Scene) -> str:
    """Choose a sentence and add how fast it is done."""
    sentence = sentences[scene.rng.integers(len(sentences))]
    choice = int(scene.rng.integers(3))
    if scene.pace < SLOW:
        return (f'{sentence} slowly', f'{sentence} at a slow pace', f'moving slowly, {sentence}')[choice]
    if scene.pace > FAST:
        return (f'{sentence} quickly', f'{sentence} at a fast pace', f'moving quickly, {sentence}')[choice]
    return sentence


def write_store(path: Union[str, Path], *, num_clips: int, num_frames: int = 90, fps: float = 30.0, seed: int = 0,
                split: str = 'train', phrasings: Optional[str] = None, show_progress: bool = False) -> None:
    """Write a motion store of synthetic clips, each seen by four cameras around it.

    Every clip and camera gives one entry ``{split}/{action}/{index}#{camera}`` with the exact 3D and 2D, noisy
    detections, SMPL rotations (the root's in the camera frame) and the shape coefficients of the synthetic body that
    come closest to the person's bones, label and text.

    Args:
        path: directory to make; an existing store there is replaced.
        num_clips: motions; the store holds four times as many entries.
        num_frames: frames of each.
        fps: frames per second.
        seed: of the data set.
        split: name; another one gives other people and motions.
        phrasings: see ``generate_clip``.
        show_progress: draw a progress bar.

    Raises:
        ValueError: no clips, or see ``generate_clip``.
    """
    info = _info(num_clips, num_frames, fps, seed, split, phrasings)
    with MotionStoreWriter(path, skeleton='h36m', fps=fps, info=info) as writer:
        for index in tqdm(range(num_clips), desc=f'synthetic {split}', unit='clip', disable=not show_progress):
            clip = generate_clip(index, num_frames=num_frames, fps=fps, seed=seed, split=split, phrasings=phrasings)
            for camera, arrays in _views(clip, _generator(seed, split, 'detector', index)):
                writer.add_clip(
                    f'{clip.name}#{camera.name}', arrays, subject=clip.subject, action=clip.action, label=clip.label,
                    camera=camera.name, image_size=tuple(camera.image_size.astype(int)),
                    intrinsics=tuple(camera.intrinsics), text=(clip.text,))


def _info(num_clips: int, num_frames: int, fps: float, seed: int, split: str, phrasings: Optional[str]) -> dict:
    """Return what a store notes about its making, which tells whether it can be used again."""
    facts = {'source': 'synthetic', 'version': GENERATOR_VERSION, 'num_clips': num_clips, 'num_frames': num_frames,
             'fps': float(fps), 'seed': seed, 'split': split, 'classes': list(ACTIONS)}
    return {**facts, 'phrasings': phrasings} if phrasings else facts


def _views(clip: SyntheticClip, rng: np.random.Generator) -> Iterator[tuple[Camera, dict]]:
    """Yield every camera with the arrays of the clip that it sees."""
    pelvis = clip.positions[:, 0]
    middle = (pelvis.min(axis=0) + pelvis.max(axis=0)) / 2
    root = axis_angle_to_matrix(clip.smpl_pose[:, 0])
    betas = np.tile(fit_betas(clip.body.offsets, clip.body.head_top), (len(clip.positions), 1))
    for camera in orbit_cameras((middle[0], middle[1], np.median(pelvis[:, 2]))):
        points = camera.to_camera(clip.positions)
        pixels = camera.project(points)
        detected, confidence = pixel_noise(pixels, rng)
        pose = clip.smpl_pose.copy()
        pose[:, 0] = unwrap_axis_angle(matrix_to_axis_angle(camera.rotation @ root))
        yield camera, {'keypoints_3d': points, 'keypoints_2d': pixels, 'detected_2d': detected,
                       'detected_confidence': confidence, 'smpl_pose': pose, 'smpl_betas': betas}


@DATASETS.register_module()
class SyntheticDataset(MotionDataset):
    """Synthetic human motion, made on first use.

    The store is kept in a folder of ``data_root`` whose name tells how it was made. It appears there whole or
    not at all; when several processes make it at once, the first one wins and the others use its store.

    Args:
        data_root: folder that holds the stores, made if it is missing.
        num_clips: motions, each seen by four cameras.
        window: see ``MotionDataset``, as all arguments that are not listed here.
        num_frames: frames of each clip.
        fps: frames per second.
        split: 'train', 'val' or any other name; splits share neither people nor motions.
        clip_seed: seed of the motions; ``seed`` is that of the random draws while training.

    Raises:
        ValueError: see ``write_store`` and ``MotionDataset``.
    """

    def __init__(self, data_root: str, *, num_clips: int, window: dict, num_frames: int = 90, fps: float = 30.0,
                 split: str = 'train', clip_seed: int = 0, input_2d: str = 'detected',
                 targets: Sequence[str] = ('keypoints_3d',), target_frames: str = 'all',
                 pipeline: Sequence[dict] = (), pipeline_changes: Optional[Mapping[str, Optional[dict]]] = None,
                 include: Sequence[str] = (), exclude: Sequence[str] = (), classes: Optional[Sequence[str]] = None,
                 other_classes: str = 'refuse', test_mode: bool = False, seed: int = 0,
                 data_on_device: Union[bool, str] = False) -> None:
        path = find_or_make_store(data_root, num_clips=num_clips, num_frames=num_frames, fps=fps, seed=clip_seed,
                                  split=split)
        super().__init__(str(path), window=window, input_2d=input_2d, targets=targets, target_frames=target_frames,
                         pipeline=pipeline, pipeline_changes=pipeline_changes, include=include, exclude=exclude,
                         classes=classes, other_classes=other_classes, test_mode=test_mode, seed=seed,
                         data_on_device=data_on_device)


def find_or_make_store(root: Union[str, Path], *, num_clips: int, num_frames: int, fps: float, seed: int,
                       split: str, phrasings: Optional[str] = None) -> Path:
    """Return the folder below ``root`` with the store of these arguments of ``write_store``.

    It is made if it is missing, and made again if it holds something else than its name says.
    """
    info = _info(num_clips, num_frames, fps, seed, split, phrasings)
    name = f'synthetic-v{GENERATOR_VERSION}-{split}-{num_clips}x{num_frames}-{fps:g}fps-seed{seed}'
    path = Path(root) / (f'{name}-{phrasings}' if phrasings else name)
    return find_or_make(path, info, lambda made: write_store(made, num_clips=num_clips, num_frames=num_frames, fps=fps,
                                                             seed=seed, split=split, phrasings=phrasings))
