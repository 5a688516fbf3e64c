"""3DPW in its own files: one pickle for each sequence, ``sequenceFiles/{train,validation,test}/NAME.pkl``.

Fields of persons are lists with one entry each; there are one or two. These have one row for each image:

===================  ============  ==================================================================================
sequence             text
poses, trans         (F, 72), (F, 3)  SMPL of the person's gender, radians and metres, world frame
betas                (>= 10,)
genders              'm' or 'f'
poses2d              (F, 3, 18)    x, y, score of OpenPose; zeros where fewer than six joints were found
campose_valid        (F,)          is the pose of the camera known
cam_poses            (F, 4, 4)     world to camera, the same for all persons
cam_intrinsics       (3, 3)
===================  ============  ==================================================================================

Images are as large as twice the principal point, 1080 x 1920 or 1920 x 1080, and there are 30 a second. Source: the
data set's readme.txt and the loaders of VIBE.
"""
from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from motionbert_mm.datasets.pose_files import MM_PER_METRE, check_array
from motionbert_mm.datasets.regressed_joints import RegressedJoints
from motionbert_mm.datasets.smpl_arrays import NUM_BETAS, read_pose
from motionbert_mm.geometry.camera import project
from motionbert_mm.geometry.filling import interpolate_gaps
from motionbert_mm.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from motionbert_mm.io import safe_pickle
from motionbert_mm.io.body_files import find_body, read_body, read_regressor
from motionbert_mm.structures.body import order_regressor
from motionbert_mm.structures.skeleton import convert, get_skeleton

SKELETON = 'h36m'
FRAME_RATE = 30.0
SPLITS = ('train', 'validation', 'test')
FOLDER = 'sequenceFiles'
GENDERS = {'m': 'male', 'f': 'female'}
_DETECTOR = 'coco18'
_KEYS = ('poses', 'trans', 'betas', 'poses2d', 'campose_valid', 'cam_poses', 'cam_intrinsics')
_GENDER_KEYS = ('genders', 'gender')  # in the files, and in the readme
_ROTATION_TOLERANCE = 0.01


@dataclass(frozen=True)
class Person:
    """Somebody in the F images of a sequence whose camera is known.

    Attributes:
        name: unique in a split: sequence and number of the person.
        gender: 'male' or 'female'.
        frames: (F,) int, ascending; numbers of the images.
        pose: (F, 24, 3) axis-angle, the root in camera axes.
        betas: (10,) of the body of this gender.
        detected: (F, 17, 2) px, Human3.6M joints of OpenPose; interpolated where they were not found.
        confidence: (F, 17) 0..1; 0 where they were not found.
        world_translation: (F, 3) metres.
        cameras: (F, 4, 4) world to camera, metres.
    """

    name: str
    gender: str
    frames: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    detected: np.ndarray
    confidence: np.ndarray
    world_translation: np.ndarray
    cameras: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a store keeps of the person."""
        return {'detected_2d': self.detected, 'detected_confidence': self.confidence, 'smpl_pose': self.pose,
                'smpl_betas': np.broadcast_to(self.betas, (len(self.pose), NUM_BETAS))}


@dataclass(frozen=True)
class Recording:
    """One file.

    Attributes:
        name: of the file, without suffix.
        intrinsics: (fx, fy, cx, cy) in pixels.
        image_size: (width, height) in pixels.
        people: those who can be used.
        unused: what is wrong with the others -> their number.
    """

    name: str
    intrinsics: tuple[float, ...]
    image_size: tuple[int, int]
    people: list[Person]
    unused: Counter


def find_sequences(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each split in the unpacked ``sequenceFiles.zip``, or in the folder that holds it.

    Raises:
        FileNotFoundError: there are none.
    """
    roots = [root for root in (folder / FOLDER, folder) if root.is_dir()]
    for root in roots:
        files = {split: sorted((root / split).glob('*.pkl')) for split in SPLITS}
        if any(files.values()):
            return {split: paths for split, paths in files.items() if paths}
    raise FileNotFoundError(f'{folder} has none of {", ".join(f"{FOLDER}/{split}/*.pkl" for split in SPLITS)}; unpack '
                            'sequenceFiles.zip of https://virtualhumans.mpi-inf.mpg.de/3DPW there')


def read_sequence(path: Path) -> Recording:
    """Read a file.

    Raises:
        ValueError: no pickle of plain arrays, missing fields, shapes or lengths that do not fit, NaN.
    """
    content = safe_pickle.load(path)
    missing = [key for key in _KEYS if not isinstance(content, dict) or key not in content]
    gender_key = next((key for key in _GENDER_KEYS if isinstance(content, dict) and key in content), None)
    if missing or gender_key is None:
        got = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f'{path} lacks {", ".join(missing or _GENDER_KEYS[:1])}, got {got}; expected a file of the '
                         f'{FOLDER} of 3DPW')
    genders, cameras = content[gender_key], check_array(content['cam_poses'], (None, 4, 4), f'{path}: cam_poses')
    strange = [key for key in _KEYS[:5] if not isinstance(content[key], (list, tuple, np.ndarray))]
    if strange:
        raise ValueError(f'{path}: {strange[0]} is a {type(content[strange[0]]).__name__}, expected a list of persons')
    counts = {key: len(content[key]) for key in _KEYS[:5]}
    if len({*counts.values(), len(genders)}) > 1:
        raise ValueError(f'{path}: fields have different numbers of persons, {counts} and {len(genders)} genders')
    people, unused = [], Counter()
    for number, gender in enumerate(genders):
        place = f'{path}: person {number}'
        fields = {key: content[key][number] for key in _KEYS[:5]}
        person = _read_person(f'{path.stem}#{number}', gender, fields, cameras, place)
        if isinstance(person, str):
            unused[person] += 1
        else:
            people.append(person)
    intrinsics, size = _read_lens(content['cam_intrinsics'], f'{path}: cam_intrinsics')
    return Recording(path.stem, intrinsics, size, people, unused)


def _read_person(name: str, gender: Any, fields: Mapping[str, Any], cameras: np.ndarray,
                 place: str) -> Union[Person, str]:
    """Return a person, or in words why there is none."""
    pose = read_pose(fields['poses'], f'{place}: poses').astype(np.float64)
    arrays = {'trans': check_array(fields['trans'], (None, 3), f'{place}: trans'),
              'poses2d': check_array(fields['poses2d'], (None, 3, 18), f'{place}: poses2d'),
              'campose_valid': np.asarray(fields['campose_valid']).reshape(-1), 'cam_poses': cameras}
    lengths = {'poses': len(pose), **{key: len(values) for key, values in arrays.items()}}
    if len(set(lengths.values())) > 1:
        raise ValueError(f'{place}: fields need one row for each image, got {lengths}')
    betas = np.asarray(fields['betas'], np.float64).reshape(-1)
    if len(betas) < NUM_BETAS or GENDERS.get(str(gender)[:1].lower()) is None:
        raise ValueError(f'{place} has {len(betas)} betas and gender {gender!r}, expected at least {NUM_BETAS}, and '
                         f'one of {", ".join(GENDERS)}')
    frames = np.flatnonzero(arrays['campose_valid'].astype(bool))
    if not len(frames):
        return 'without a known camera'
    detected, confidence = _read_detections(arrays['poses2d'], place)
    if not (confidence > 0).any():
        return 'without 2D detections'
    pose, cameras = pose[frames], cameras[frames].astype(np.float64)
    _check_finite(place, frames, poses=pose, trans=arrays['trans'][frames], betas=betas[None, :NUM_BETAS],
                  cam_poses=cameras)
    turns = cameras[:, :3, :3]
    if np.abs(turns @ turns.swapaxes(1, 2) - np.eye(3)).max() > _ROTATION_TOLERANCE:
        raise ValueError(f'{place}: cam_poses hold no rotations; expected rigid motions from world to camera')
    pose[:, 0] = matrix_to_axis_angle(turns @ axis_angle_to_matrix(pose[:, 0]))
    return Person(name, GENDERS[str(gender)[:1].lower()], frames, pose, betas[:NUM_BETAS], detected[frames],
                  confidence[frames], arrays['trans'][frames].astype(np.float64), cameras)


def _read_detections(points: np.ndarray, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Return Human3.6M joints (F, 17, 2) in pixels and their confidence (F, 17) of detections (F, 3, 18)."""
    if not np.isfinite(points).all():
        raise ValueError(f'{place}: poses2d holds NaN or infinity, first in image '
                         f'{int(np.argwhere(~np.isfinite(points))[0][0])}')
    points = points.transpose(0, 2, 1).astype(np.float64)
    flat = convert(points[..., :2], _DETECTOR, SKELETON, points[..., 2].clip(0, 1))
    seen = flat.confidence > 0
    filled = interpolate_gaps(flat.keypoints, seen) if seen.any() else flat.keypoints
    return filled, flat.confidence


def _check_finite(place: str, frames: np.ndarray, **arrays: np.ndarray) -> None:
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise ValueError(f'{place}: {name} holds NaN or infinity, first in image {frames[row]}')


def _read_lens(matrix: Any, place: str) -> tuple[tuple[float, ...], tuple[int, int]]:
    """Return (fx, fy, cx, cy) and the size of the images, in pixels."""
    matrix = check_array(matrix, (3, 3), place)
    lens = tuple(float(matrix[row, column]) for row, column in ((0, 0), (1, 1), (0, 2), (1, 2)))
    if not min(lens) > 1:
        raise ValueError(f'{place} is {matrix.tolist()}, expected focal lengths and principal point in pixels')
    return lens, (round(2 * lens[2]), round(2 * lens[3]))


def cut_person(person: Person, arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Cut arrays (F, ...) of a person wherever images are left out, so that all frames of a clip follow each other.

    Returns:
        Name -> arrays of each part; parts of a person with gaps are named by their first image.
    """
    edges = [0, *(np.flatnonzero(np.diff(person.frames) > 1) + 1), len(person.frames)]
    names = [person.name] if len(edges) == 2 else [f'{person.name}@{person.frames[start]}' for start in edges[:-1]]
    return {name: {key: values[start:end] for key, values in arrays.items()}
            for name, start, end in zip(names, edges, edges[1:])}


class BodyTruth:
    """Positions in front of the camera, from the body models of both genders.

    Args:
        folder: of SMPL's files, see ``io.body_files.find_body``.
        regressor: .npy (17, 6890).

    Attributes:
        note: what was put right about the regressor, in words.

    Raises:
        FileNotFoundError, ValueError: a file that is missing or not what it should be.
        ImportError: the smplx package is missing.
    """

    def __init__(self, folder: str | os.PathLike, regressor: str | os.PathLike) -> None:
        rows = read_regressor(regressor, get_skeleton(SKELETON).num_joints)
        self.bodies = {gender: read_body(find_body(folder, 'smpl', gender), 'smpl', NUM_BETAS)
                       for gender in GENDERS.values()}
        self.joints, self.note = {}, ''
        for gender, body in self.bodies.items():
            ordered, self.note = order_regressor(rows, body)
            self.joints[gender] = RegressedJoints(body, ordered)

    def __call__(self, person: Person, intrinsics: tuple[float, ...]) -> dict[str, np.ndarray]:
        """Return ``smpl_translation`` (F, 3) and ``keypoints_3d`` (F, 17, 3) in mm, ``keypoints_2d`` (F, 17, 2) in px.

        SMPL turns the body about its pelvis, which lies beside the origin; the translation in camera axes makes up for
        that.
        """
        body = self.bodies[person.gender]
        pelvis = body.joint_regressor[0] @ (body.template + body.shape_dirs @ person.betas)  # (3,) metres
        turned = np.einsum('fij,fj->fi', person.cameras[:, :3, :3], person.world_translation + pelvis)
        translation = turned + person.cameras[:, :3, 3] - pelvis
        betas = np.broadcast_to(person.betas, (len(person.pose), NUM_BETAS))
        joints = self.joints[person.gender](person.pose, betas, translation).astype(np.float64) * MM_PER_METRE
        if not joints[..., 2].min() > 0:
            raise ValueError(f'{person.name}: joints lie behind the camera, first in image '
                             f'{person.frames[np.argmin(joints[..., 2].min(axis=1) > 0)]}; expected cam_poses from '
                             'world to camera, in metres')
        return {'smpl_translation': translation * MM_PER_METRE, 'keypoints_3d': joints,
                'keypoints_2d': project(joints, np.array(intrinsics))}


def truth_of(folder: Optional[str], regressor: Optional[str]) -> Optional[BodyTruth]:
    """Return the positions of the bodies, or None without their files; one of the two alone is refused."""
    if (folder is None) != (regressor is None):
        raise ValueError('positions need both, the folder of SMPL bodies and the joint regressor; got '
                         f'{folder or regressor} alone')
    return None if folder is None else BodyTruth(folder, regressor)
