"""Generated data and small models that the tests share: seeded, no files but under the path they are given."""
from __future__ import annotations

import copy
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from mmengine.config import Config

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.transforms.noise import pixel_noise
from motionbert_mm.geometry.camera import orbit_cameras
from motionbert_mm.geometry.coords import image_space_3d, image_space_factor
from motionbert_mm.structures.skeleton import get_skeleton

ROOT = Path(__file__).resolve().parents[1]
NUM_FRAMES = 9
CLIPS = {'walk/walk_1': 40, 'walk/walk_2': 52, 'wave/wave_1': 60, 'wave/wave_2': 47}
# Mean direction (X, Y, Z up) and length in millimetres of the bone that ends in a joint.
BONES = {'hip': ((0, 0, 0), 130), 'knee': ((0, 0, -1), 440), 'ankle': ((0, 0, -1), 430), 'spine': ((0, 0, 1), 230),
         'thorax': ((0, 0, 1), 250), 'nose': ((0.3, 0, 1), 110), 'head': ((0, 0, 1), 115),
         'shoulder': ((0, 0, 0.1), 150), 'elbow': ((0, 0, -1), 280), 'wrist': ((0.4, 0, -1), 250)}
TINY_MODEL = dict(
    type='MotionModel',
    backbone=dict(type='DSTformer', max_frames=NUM_FRAMES, dim=16, depth=2, num_heads=2),
    neck=dict(type='RepresentationLayer', out_channels=8),
    heads=dict(pose=dict(type='PoseLiftHead', losses=[dict(type='MPJPELoss'), dict(type='VelocityLoss', weight=2.0)])))


def smooth_noise(rng: np.random.Generator, num_frames: int, *shape: int) -> np.ndarray:
    """Sums of slow sines, (T, *shape), of about unit size."""
    time = np.arange(num_frames).reshape(-1, *(1,) * len(shape), 1)
    frequency, phase = rng.uniform(0.03, 0.2, (*shape, 3)), rng.uniform(0, 2 * np.pi, (*shape, 3))
    return np.sin(frequency * time + phase).mean(axis=-1) * 1.5


def make_motion(num_frames: int, seed: int) -> np.ndarray:
    """World positions (T, 17, 3) in millimetres, Z up, of a skeleton with constant bone lengths."""
    rng, skeleton = np.random.default_rng(seed), get_skeleton('h36m')
    positions = np.zeros((num_frames, skeleton.num_joints, 3))
    positions[:, skeleton.root] = np.array([0.0, 0.0, 900.0]) + 150.0 * smooth_noise(rng, num_frames, 3)
    for parent, child in skeleton.limbs:
        side, _, kind = skeleton.joints[child].rpartition('_')
        direction, length = BONES[kind]
        sideways = (0, {'left': 1.0, 'right': -1.0}.get(side, 0.0) * (kind in ('hip', 'shoulder')), 0)
        vector = np.add(direction, sideways) + 0.4 * smooth_noise(rng, num_frames, 3)
        positions[:, child] = positions[:, parent] + length * vector / np.linalg.norm(vector, axis=-1, keepdims=True)
    return positions


def make_cameras() -> list:
    """Two cameras that differ in image size and focal length."""
    target = np.array([0.0, 0.0, 900.0])
    return [*orbit_cameras(target, azimuths=(45,)),
            *orbit_cameras(target, azimuths=(225,), focal=1300.0, center=(950.0, 530.0), image_size=(1920, 1080))]


def make_clip(num_frames: int, seed: int, camera: object) -> dict:
    """All arrays of one clip seen by one camera."""
    points = camera.to_camera(make_motion(num_frames, seed))
    pixels = camera.project(points)
    detected, confidence = pixel_noise(pixels, np.random.default_rng(seed))
    root = get_skeleton('h36m').root
    return {'keypoints_3d': points, 'keypoints_2d': pixels, 'detected_2d': detected, 'detected_confidence': confidence,
            'keypoints_image': image_space_3d(points, camera.intrinsics, root),
            'image_factor': image_space_factor(points[:, root, 2], camera.intrinsics)}


def write_store(path: Path, clips: dict = CLIPS) -> Path:
    """Write a store of two actions, every clip seen by two cameras."""
    with MotionStoreWriter(path, skeleton='h36m', fps=30.0, info=dict(source='generated')) as writer:
        for seed, (name, length) in enumerate(clips.items()):
            for camera in make_cameras():
                writer.add_clip(f'{name}#{camera.name}', make_clip(length, seed, camera), subject=f'S{seed % 2}',
                                action=name.split('/')[0], camera=camera.name, image_size=camera.image_size,
                                intrinsics=camera.intrinsics, label=seed % 2, text=(f'somebody does {name}',))
    return path


def write_people_store(path: Path) -> Path:
    """Write a store of one clip with two persons and one clip with one."""
    camera = make_cameras()[0]
    first, second = (make_clip(30, seed, camera) for seed in (5, 6))
    pair = {name: np.stack([first[name], second[name]]) for name in first}
    facts = dict(camera=camera.name, image_size=camera.image_size, intrinsics=camera.intrinsics)
    with MotionStoreWriter(path, skeleton='h36m', fps=30.0) as writer:
        writer.add_clip('hug', pair, persons=2, action='hug', **facts)
        writer.add_clip('alone', make_clip(25, 7, camera), action='walk', **facts)
    return path


class Labelled(list):
    """A data set of numbers that knows their classes."""

    def __init__(self, labels: Sequence[int], classes: Sequence[str] = ()) -> None:
        super().__init__(range(len(labels)))
        self.labels, self.classes = np.array(labels), tuple(classes)


def load_tool(path: str) -> ModuleType:
    """Import ``tools/<path>`` as a module, to call its functions in this process."""
    name = 'tool_' + path.replace('/', '_').removesuffix('.py')
    spec = importlib.util.spec_from_file_location(name, ROOT / 'tools' / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def run_tool(tool: str, *arguments: object, cwd: Path = ROOT, timeout: float = 120.0,
             **environment: str) -> subprocess.CompletedProcess:
    """Run ``tools/<tool>`` as a user does, in a process of its own."""
    command = [str(ROOT / 'tools' / tool), *map(str, arguments)]
    if tool.endswith('.py'):
        command = [sys.executable, *command]
    return subprocess.run(command, cwd=cwd, env=tool_environment(**environment), timeout=timeout, capture_output=True,
                          text=True, check=False)


def tool_environment(**extra: str) -> dict:
    """The environment of a tool: this interpreter, one thread."""
    return {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT), **extra}


def make_config(store: Path, **changes: Any) -> Config:
    """A config that trains ``TINY_MODEL`` on a store for two epochs, with everything that draws numbers switched on."""
    config = Config.fromfile(ROOT / 'configs' / '_base_' / 'default_runtime.py')
    train = [dict(type='AddDetectorNoise'), dict(type='RandomFlip'), dict(type='NormalizeCoords'),
             dict(type='PackInputs', fields=['target_3d'])]
    test = [dict(type='NormalizeCoords'),
            dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence'])]
    loader = dict(batch_size=16, num_workers=0, collate_fn=dict(type='motionbert_mm.collate_batch'))
    data = dict(type='MotionDataset', data_root=str(store), window=dict(num_frames=NUM_FRAMES, stride=4))
    test_loader = dict(loader, sampler=dict(type='DefaultSampler', shuffle=False),
                       dataset=dict(data, include=['*_2#*'], test_mode=True, pipeline=test))
    model = copy.deepcopy(TINY_MODEL)
    model['backbone'].update(drop=0.1, attn_drop=0.1, drop_path=0.1)
    config.merge_from_dict(dict(
        model=model,
        train_cfg=dict(type='ResumableEpochLoop', max_epochs=2, val_interval=1),
        optim_wrapper=dict(constructor='MotionOptimConstructor', clip_grad=dict(max_norm=1.0),
                           optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01)),
        param_scheduler=[dict(type='OneCycleLR', eta_max=2e-3, total_steps=2, by_epoch=True,
                              convert_to_iter_based=True)],
        train_dataloader=dict(
            loader, sampler=dict(type='ResumableSampler', shuffle=True),
            dataset=dict(data, exclude=['*_2#*'], input_2d='exact', pipeline=train,
                         window=dict(num_frames=NUM_FRAMES, stride=4, jitter=True))),
        val_dataloader=test_loader, test_dataloader=copy.deepcopy(test_loader),
        val_evaluator=dict(type='Pose3DMetric'), test_evaluator=dict(type='Pose3DMetric'),
        **{'default_hooks.logger.interval': 2}))
    config.merge_from_dict(changes)
    return config


def write_config(path: Path, store: Path, **changes: Any) -> Path:
    """Write ``make_config`` to a file and return its path."""
    make_config(store, **changes).dump(path)
    return path


def change_config(path: Path, source: Path, changes: Mapping[str, Any]) -> Path:
    """Write a config of this package with some dotted keys changed, and return its path."""
    config = Config.fromfile(source)
    config.merge_from_dict(dict(changes))
    config.dump(path)
    return path
