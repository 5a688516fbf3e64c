"""Small files of the three sources of mesh recovery, in the exact formats of their publishers."""
from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Optional

import numpy as np

from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.structures.skeleton import convert
from motionbert_mm.structures.synthetic_body import synthetic_body, synthetic_regressor
from tests.generated import make_cameras, make_motion, smooth_noise

# Videos of each mesh pickle: source, camera, frames.
H36M = {'train': [('s_01_act_02_subact_01_ca_01', '54138969', 20), ('s_05_act_12_subact_02_ca_03', '58860488', 33)],
        'test': [('s_09_act_05_subact_02_ca_02', '55011271', 17), ('s_11_act_16_subact_01_ca_04', '60457274', 40)]}
PW3D = {'train': [('courtyard_arguing_00_0', '', 20), ('courtyard_arguing_00_1', '', 18)],
        'test': [('downtown_arguing_00_0', '', 35)]}
COCO = {'train': [(f'COCO_train2014_{number:012d}', '', 1) for number in (9, 36, 36, 49)],
        'test': [('COCO_val2014_000000000042', '', 1)]}
VIDEOS = {'h36m': H36M, 'pw3d': PW3D, 'coco': COCO}
# Corners of an image of 3DPW's phone, held upright.
PW3D_LENS = np.array([[1961.9, 0.0, 540.0], [0.0, 1969.2, 960.0], [0.0, 0.0, 1.0]])


def make_pose(num_frames: int, seed: int = 0) -> np.ndarray:
    """Smooth axis-angles (F, 24, 3) that turn by less than a half."""
    return 0.6 * smooth_noise(np.random.default_rng(seed), num_frames, 24, 3)


def make_pixels(num_frames: int, seed: int = 0) -> np.ndarray:
    """Projected Human3.6M joints (F, 17, 2) of somebody in an image of 1000 x 1000."""
    camera = make_cameras()[0]
    return camera.project(camera.to_camera(make_motion(num_frames, seed)))


def mesh_split(videos: list, seed: int = 0, has_initial: bool = False) -> dict[str, Any]:
    """All arrays of one split of a mesh pickle."""
    rng = np.random.default_rng(seed)
    rows = sum(length for *_, length in videos)
    arrays = {'joint_2d': np.concatenate([make_pixels(length, number) for number, (*_, length) in enumerate(videos)]),
              'confidence': rng.uniform(0, 1.3, (rows, 17)).astype(np.float32),
              'source': [source for source, _, length in videos for _ in range(length)],
              'smpl_pose': make_pose(rows, seed).reshape(rows, 72), 'smpl_shape': rng.normal(size=(rows, 10))}
    if any(camera for _, camera, _ in videos):
        arrays['camera_name'] = [camera for _, camera, length in videos for _ in range(length)]
    if has_initial:
        arrays.update(pred_smpl_pose=make_pose(rows, seed + 1).reshape(rows, 72),
                      pred_smpl_shape=rng.normal(size=(rows, 10)))
    return arrays


def mesh_content(dataset: str, **options: Any) -> dict[str, dict]:
    """The content of mesh_det_<dataset>.pkl."""
    return {split: mesh_split(videos, seed, **options) for seed, (split, videos) in enumerate(VIDEOS[dataset].items())}


def write_pickle(path: Path, content: Any, protocol: int = 4) -> Path:
    """Write a pickle as its publishers do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))
    return path


# 3DPW


def detections(num_frames: int, seed: int = 0) -> np.ndarray:
    """What OpenPose finds, (F, 3, 18): x, y, score."""
    found = convert(make_pixels(num_frames, seed), 'h36m', 'coco18')
    scores = np.random.default_rng(seed).uniform(0.3, 0.9, (num_frames, 18, 1))
    return np.concatenate([found.keypoints, scores], axis=-1).transpose(0, 2, 1)


def moving_camera(num_frames: int, seed: int = 0) -> np.ndarray:
    """Rigid motions (F, 4, 4) from a world whose y points up to a camera some metres away, in metres."""
    noise = smooth_noise(np.random.default_rng(seed), num_frames, 6)
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    poses[:, :3, :3] = axis_angle_to_matrix(0.2 * noise[:, :3]) @ np.diag([1.0, -1.0, -1.0])
    poses[:, :3, 3] = np.array([0.2, 0.3, 4.0]) + 0.3 * noise[:, 3:]
    return poses


def pw3d_sequence(num_frames: int = 24, genders: str = 'mf', seed: int = 0) -> dict[str, Any]:
    """One sequence; every camera is known, every joint found."""
    rng, people = np.random.default_rng(seed), range(len(genders))
    return dict(
        sequence='downtown_test_00', genders=list(genders), cam_poses=moving_camera(num_frames, seed),
        cam_intrinsics=PW3D_LENS.copy(), img_frame_ids=np.arange(num_frames) * 2,
        poses=[make_pose(num_frames, seed + person).reshape(-1, 72) for person in people],
        trans=[0.3 * smooth_noise(rng, num_frames, 3) for _ in people],
        poses_60Hz=[make_pose(2 * num_frames, person).reshape(-1, 72) for person in people],
        betas=[rng.normal(size=300 if person else 10) for person in people],
        poses2d=[detections(num_frames, seed + person) for person in people],
        campose_valid=[np.ones(num_frames, np.int64) for _ in people],
        jointPositions=[np.zeros((num_frames, 72)) for _ in people], texture_maps=[])


def write_pw3d(folder: Path, split: str = 'test', name: str = 'downtown_test_00',
               content: Optional[dict] = None) -> Path:
    """Write one sequence, as Python 2 did, and return its path."""
    content = pw3d_sequence() if content is None else content
    return write_pickle(folder / 'sequenceFiles' / split / f'{name}.pkl', content, protocol=2)


def write_smpl(folder: Path) -> tuple[Path, Path]:
    """Write gendered bodies in SMPL's layout, which differ in size, and a regressor; return folder and regressor."""
    folder.mkdir(parents=True, exist_ok=True)
    body, pelvis = synthetic_body(), np.array([0.0, -0.23, 0.03])  # SMPL's pelvis lies beside the origin
    tree = np.stack([body.parents, np.arange(24)]).astype(np.uint32)
    for gender, scale in (('MALE', 1.05), ('FEMALE', 0.96)):
        np.savez(folder / f'SMPL_{gender}.npz', v_template=scale * body.template + pelvis, shapedirs=body.shape_dirs,
                 posedirs=body.pose_dirs, J_regressor=body.joint_regressor, kintree_table=tree,
                 weights=body.skin_weights, f=body.faces)
    np.save(folder / 'regressor.npy', synthetic_regressor())
    return folder, folder / 'regressor.npy'


# COCO and EFT


def coco_content(num_people: int = 4, seed: int = 0) -> tuple[dict, dict]:
    """EFT's fits and COCO's annotations of the same people, one in each image; a joint of each is not labelled."""
    rng = np.random.default_rng(seed)
    rotations = axis_angle_to_matrix(rng.normal(scale=0.5, size=(num_people, 24, 3)))
    fits, annotations, images = [], [], []
    for person in range(num_people):
        name = f'COCO_train2014_{100 + person:012d}.jpg'
        found = convert(make_pixels(1, person), 'h36m', 'coco17').keypoints[0].round(2)
        points = np.concatenate([found, np.full((17, 1), 2.0)], axis=-1)
        points[person] = 0
        points[person + 1, 2] = 1  # labelled though hidden
        fits.append(dict(parm_pose=rotations[person].tolist(), parm_shape=rng.normal(size=10).tolist(),
                         parm_cam=[0.9, 0.0, 0.1], bbox_scale=1.5, bbox_center=[300.0, 200.0],
                         joint_validity_openpose18=[True] * 18, smpltype='smpl', annotId=5000 + person,
                         imageName=name))
        annotations.append(dict(id=5000 + person, image_id=100 + person, keypoints=points.reshape(-1).tolist(),
                                num_keypoints=16, category_id=1, bbox=[1.0, 2.0, 3.0, 4.0], iscrowd=0))
        images.append(dict(id=100 + person, file_name=name, width=1000 + person, height=1002))
    return dict(ver=0.1, data=fits), dict(images=images, annotations=annotations, categories=[])


def write_coco(folder: Path, content: Optional[tuple[dict, dict]] = None) -> tuple[Path, Path]:
    """Write both files and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / 'COCO2014-All-ver01.json', folder / 'person_keypoints_train2014.json'
    for path, part in zip(paths, coco_content() if content is None else content):
        path.write_text(json.dumps(part))
    return paths
