"""Small files in the exact formats of the three public forms of Human3.6M."""
from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Optional

import numpy as np

from motionbert_mm.datasets.human36m_cameras import studio_camera
from motionbert_mm.datasets.human36m_videopose3d import CAMERAS, RAW_JOINTS
from motionbert_mm.geometry.coords import image_space_3d, image_space_factor
from tests.generated import make_motion

# Sequence ids of MotionBERT's pickle with camera and length.
MOTIONBERT_VIDEOS = {
    'train': [('s_01_act_02_subact_01_ca_01', '54138969', 12), ('s_01_act_02_subact_01_ca_02', '55011271', 12),
              ('s_05_act_12_subact_02_ca_03', '58860488', 9)],
    'test': [('s_09_act_05_subact_02_ca_02', '55011271', 10), ('s_11_act_16_subact_01_ca_04', '60457274', 14)]}
MOTIONBERT_ACTIONS = {'s_09_act_05_subact_02_ca_02': 'greeting', 's_11_act_16_subact_01_ca_04': 'walkTogether'}
VIDEOPOSE3D_ACTIONS = {'S1': {'Walking 1': 11, 'Photo': 8}, 'S9': {'Greeting 1': 9, 'WalkDog': 12}}
MMPOSE_VIDEOS = {'train': [('S1', 'Walking_1', '54138969', 7), ('S5', 'TakingPhoto', '55011271', 6)],
                 'test': [('S9', 'Greeting_1', '60457274', 8), ('S11', 'WalkDog', '58860488', 5)]}


def world_motion(num_frames: int, seed: int) -> np.ndarray:
    """A walk in the middle of the studio: (T, 17, 3) millimetres, world frame."""
    return make_motion(num_frames, seed)


def motionbert_split(split: str, seed: int = 0) -> dict[str, Any]:
    """All arrays of one split of the pickle."""
    rng, parts = np.random.default_rng(seed), []
    for number, (source, camera, length) in enumerate(MOTIONBERT_VIDEOS[split]):
        lens = studio_camera(f'S{int(source[2:4])}', camera)
        points = lens.to_camera(world_motion(length, number))
        image = image_space_3d(points, np.array(lens.intrinsics), 0)
        factor = image_space_factor(points[:, 0, 2], np.array(lens.intrinsics))
        parts.append({'joint3d_image': image, 'joint_2d': image[..., :2] + rng.normal(0, 4, image[..., :2].shape),
                      'confidence': rng.random(image.shape[:2]), '2.5d_factor': factor,
                      'joints_2.5d_image': image * factor[:, None, None], 'camera_name': [camera] * length,
                      'source': [source] * length, 'action': [MOTIONBERT_ACTIONS.get(source, 'none')] * length})
    arrays = {key: sum((part[key] for part in parts), []) if isinstance(parts[0][key], list)
              else np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if split == 'train':
        for key in ('2.5d_factor', 'joints_2.5d_image', 'action'):
            del arrays[key]
    return arrays


def write_pickle(path: Path, content: Any) -> Path:
    """Write a pickle as its publishers do."""
    path.write_bytes(pickle.dumps(content, 4))
    return path


def write_motionbert(path: Path) -> Path:
    """Write MotionBERT's pickle."""
    return write_pickle(path, {split: motionbert_split(split) for split in MOTIONBERT_VIDEOS})


def raw_positions(num_frames: int, seed: int) -> np.ndarray:
    """World positions (T, 32, 3) in metres; joints that no skeleton keeps lie far away."""
    positions = np.full((num_frames, 32, 3), 9.0, np.float32)
    positions[:, RAW_JOINTS] = world_motion(num_frames, seed) / 1000
    return positions


def videopose3d_positions() -> dict:
    """``positions_3d`` of data_3d_h36m.npz."""
    return {subject: {action: raw_positions(length, len(action)) for action, length in actions.items()}
            for subject, actions in VIDEOPOSE3D_ACTIONS.items()}


def videopose3d_keypoints(num_joints: int = 17, surplus: int = 0) -> dict:
    """``positions_2d`` of a file of 2D joints: every joint j of camera c lies at (100 c + j, frame)."""
    def view(camera: int, length: int) -> np.ndarray:
        frames, joints = np.mgrid[:length, :num_joints]
        return np.stack([100 * camera + joints, frames], axis=-1).astype(np.float32)

    return {subject: {action: [view(camera, length + surplus) for camera in range(len(CAMERAS))]
                      for action, length in actions.items()} for subject, actions in VIDEOPOSE3D_ACTIONS.items()}


METADATA = {'h36m': dict(layout_name='h36m', num_joints=17,
                         keypoints_symmetry=[[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]),
            'mpii': dict(num_joints=16, keypoints_symmetry=[[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]]),
            'coco': dict(layout_name='coco', num_joints=17,
                         keypoints_symmetry=[[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]])}


def write_videopose3d(folder: Path, positions: Optional[dict] = None) -> Path:
    """Write data_3d_h36m.npz and return its path."""
    path = folder / 'data_3d_h36m.npz'
    np.savez_compressed(path, positions_3d=videopose3d_positions() if positions is None else positions)
    return path


def write_keypoints(folder: Path, name: str, keypoints: dict, metadata: dict) -> Path:
    """Write data_2d_h36m_<name>.npz and return its path."""
    path = folder / f'data_2d_h36m_{name}.npz'
    np.savez_compressed(path, positions_2d=keypoints, metadata=metadata)
    return path


def mmpose_arrays(split: str, step: int = 5, videos: dict = MMPOSE_VIDEOS) -> dict[str, np.ndarray]:
    """The arrays of h36m_train.npz or h36m_test.npz."""
    images, parts, solids = [], [], []
    for number, (subject, action, camera, length) in enumerate(videos[split]):
        lens, name = studio_camera(subject, camera), f'{subject}_{action}.{camera}'
        points = lens.to_camera(world_motion(length, number))
        images += [f'{subject}/{name}/{name}_{1 + step * frame:06d}.jpg' for frame in range(length)]
        ones = np.ones((length, 17, 1))
        parts.append(np.concatenate([lens.project(points), ones], axis=-1))
        solids.append(np.concatenate([points / 1000, ones], axis=-1))
    count = len(images)
    return dict(imgname=np.array(images), center=np.zeros((count, 2)), scale=np.ones(count),
                part=np.concatenate(parts), S=np.concatenate(solids))


def mmpose_cameras() -> dict:
    """The content of cameras.pkl."""
    cameras = {}
    for subject in ('S1', 'S5', 'S9', 'S11'):
        for number, name in enumerate(CAMERAS):
            lens = studio_camera(subject, name)
            fx, fy, cx, cy = lens.intrinsics
            width, height = lens.image_size
            cameras[subject, name] = dict(
                R=np.eye(3), T=np.array(lens.translation)[:, None] / 1000, c=np.array([[cx], [cy]]),
                f=np.array([[fx], [fy]]), k=np.array(lens.distortion[:3])[:, None],
                p=np.array(lens.distortion[:2:-1])[:, None], w=width, h=height, name=f'camera{number + 1}', id=name)
    return cameras


def write_mmpose(folder: Path, videos: dict = MMPOSE_VIDEOS, **changes: dict) -> dict[str, Path]:
    """Write the annotation files and cameras; ``changes`` replace arrays of a split. Returns the paths."""
    paths = {'cameras': write_pickle(folder / 'cameras.pkl', mmpose_cameras())}
    for split in videos:
        paths[split] = folder / f'h36m_{split}.npz'
        np.savez(paths[split], **{**mmpose_arrays(split, videos=videos), **changes.get(split, {})})
    return paths
