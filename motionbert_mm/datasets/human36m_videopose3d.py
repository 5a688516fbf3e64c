"""Human3.6M as VideoPose3D prepares it: ``data_3d_h36m.npz`` and files of 2D joints beside it.

``positions_3d`` is ``{subject: {action: (n, 32, 3)}}``, metres in the world frame. A file of 2D joints
(``data_2d_h36m_gt.npz``, ``..._cpn_ft_h36m_dbb.npz``, ``..._sh_ft_h36m.npz``, ``..._detectron_pt_coco.npz``) has
``positions_2d``, ``{subject: {action: [(m, J, 2) for each of four cameras]}}`` in pixels, and ``metadata`` with the
number of joints and which of them are left and right.
Official: common/h36m_dataset.py, data/prepare_data_h36m.py, data/prepare_data_2d_h36m_sh.py, run.py.
"""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np

from motionbert_mm.datasets.human36m import IMAGE_SIZES, SKELETON, SPLITS, Human36MFiles, canonical_action
from motionbert_mm.datasets.human36m_cameras import studio_camera
from motionbert_mm.datasets.pose_files import (
    MM_PER_METRE,
    PoseSequence,
    check_array,
    check_extent,
    check_pixels,
    object_dict,
)
from motionbert_mm.io import safe_pickle
from motionbert_mm.structures.skeleton import convert, get_skeleton

NUM_RAW_JOINTS = 32
# Human3.6M-17 among the 32 joints of the recording.
RAW_JOINTS = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
CAMERAS = tuple(IMAGE_SIZES)  # in the order of the files
# Joint orders that files of 2D joints have; told apart by the number of joints and by which are left and right.
LAYOUTS = ('h36m', 'h36m16', 'mpii16', 'coco17')


class VideoPose3DFiles(Human36MFiles):
    """World positions brought into every camera, with 2D joints from files.

    ``keypoints_3d`` is the camera frame, ``keypoints_2d`` the projection with lens distortion, or what the file
    ``exact`` holds. ``detected_2d`` are the joints of ``detected``, converted to Human3.6M-17 by name, and
    ``detected_confidence`` is 1, or 0 for a joint that the detector does not know (the nose of stacked hourglass).
    2D frames after the last 3D frame are left out, as in VideoPose3D.

    Args:
        positions: ``data_3d_h36m.npz``.
        detected: file of detected 2D joints.
        exact: file of projected 2D joints, ``data_2d_h36m_gt.npz``.

    Raises:
        FileNotFoundError, ValueError: see ``io.safe_pickle.load_npz``.
        ValueError: missing keys, unknown subjects, or a joint order that is not known.
    """

    def __init__(self, positions: str | os.PathLike, *, detected: Optional[str | os.PathLike] = None,
                 exact: Optional[str | os.PathLike] = None) -> None:
        super().__init__()
        self.path = positions
        self._positions = _tree(safe_pickle.load_npz(positions), 'positions_3d', positions)
        known = [subject for subjects in SPLITS.values() for subject in subjects]
        unknown = sorted(map(str, set(self._positions) - set(known)))
        if unknown:
            raise ValueError(f'{positions}: positions_3d has subjects {unknown}, expected those with published poses: '
                             f'{", ".join(known)}')
        self._detected = _Keypoints(detected) if detected else None
        self._exact = _Keypoints(exact) if exact else None
        self._surplus: dict = {}  # 2D frames after the last 3D frame, by file and sequence

    def notes(self) -> list[str]:
        """Say which 2D joints have no 3D pose."""
        notes = []
        for keypoints in filter(None, (self._detected, self._exact)):
            unused = [f'{subject}/{action}' for subject, actions in keypoints.tree.items() for action in actions
                      if action not in self._positions.get(subject, {})]
            if unused:
                notes.append(f'{keypoints.path}: no 3D for {", ".join(unused)}; left out')
            surplus = [count for (path, _), count in self._surplus.items() if path == keypoints.path]
            if surplus:
                notes.append(f'{keypoints.path}: {sum(surplus)} frames after the last 3D frame of {len(surplus)} '
                             'sequences left out')
        return notes

    def keys(self, split: str) -> list[tuple[str, str, int]]:
        """List subject, action and number of the camera."""
        return [(subject, action, camera) for subject in SPLITS[split] for action in self._positions.get(subject, ())
                for camera in range(len(CAMERAS))]

    def read(self, split: str, key: tuple[str, str, int]) -> PoseSequence:
        """Return one sequence seen by one camera."""
        subject, action, number = key
        name, place = f'{subject}/{action}.{CAMERAS[number]}', f'{self.path}: {subject}/{action}'
        camera = studio_camera(subject, CAMERAS[number])
        positions = np.asarray(self._positions[subject][action])
        positions = check_array(positions, (None, NUM_RAW_JOINTS, 3), place)[:, RAW_JOINTS].astype(np.float64)
        if not np.isfinite(positions).all() or not len(positions):
            raise ValueError(f'{place} is empty, or holds NaN or infinity; repair or cut the source')
        check_extent(positions, place, unit='metres')
        points = camera.to_camera(positions * MM_PER_METRE)
        arrays = {'keypoints_3d': points, 'keypoints_2d': camera.project(points)}
        if self._exact:
            arrays['keypoints_2d'], _ = self._read_2d(self._exact, key, len(points))
        if self._detected:
            arrays['detected_2d'], arrays['detected_confidence'] = self._read_2d(self._detected, key, len(points))
        try:
            action = canonical_action(action)
        except ValueError as error:
            raise ValueError(f'{place}: {error}') from None
        return PoseSequence(name, subject, action, CAMERAS[number], camera.image_size,
                            {key: value.astype(np.float32) for key, value in arrays.items()}, camera.intrinsics)

    def _read_2d(self, keypoints: _Keypoints, key: tuple[str, str, int], num_frames: int) -> tuple:
        points, confidence = keypoints.read(*key)
        if len(points) < num_frames:
            raise ValueError(f'{keypoints.path}: {key[0]}/{key[1]} has {len(points)} frames for camera '
                             f'{CAMERAS[key[2]]}, {self.path} has {num_frames}; the files do not belong together')
        if len(points) > num_frames:
            self._surplus[keypoints.path, key] = len(points) - num_frames
        return points[:num_frames], confidence[:num_frames]


class _Keypoints:
    """One file of 2D joints."""

    def __init__(self, path: str | os.PathLike) -> None:
        arrays = safe_pickle.load_npz(path)
        self.path, self.tree = path, _tree(arrays, 'positions_2d', path)
        self.skeleton = _find_layout(_tree(arrays, 'metadata', path), path)

    def read(self, subject: str, action: str, camera: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels (m, 17, 2) and confidence (m, 17)."""
        views = self.tree.get(subject, {}).get(action)
        if views is None:
            raise ValueError(f'{self.path}: positions_2d has no {subject}/{action}, which has 3D positions; '
                             'the files do not belong together')
        if len(views) != len(CAMERAS):
            raise ValueError(f'{self.path}: {subject}/{action} has {len(views)} views, expected those of the cameras '
                             f'{", ".join(CAMERAS)}')
        joints = get_skeleton(self.skeleton).num_joints
        place = f'{self.path}: {subject}/{action}.{CAMERAS[camera]}'
        points = check_array(views[camera], (None, joints, 2), place)
        check_pixels(points, place)
        converted = convert(points.astype(np.float64), self.skeleton, SKELETON)
        return converted.keypoints, converted.confidence


def _tree(arrays: Mapping[str, np.ndarray], key: str, path: str | os.PathLike) -> dict:
    """Return metadata, or the actions of every subject."""
    content = object_dict(arrays, key, path)
    for subject, actions in content.items() if key != 'metadata' else ():
        if not isinstance(actions, dict):
            raise ValueError(f'{path}: {key}[{subject!r}] is {type(actions).__name__}, expected a dict as VideoPose3D '
                             'writes it')
    return content


def _find_layout(metadata: Mapping[str, Any], path: str | os.PathLike) -> str:
    """Return the skeleton whose left and right joints are those of the metadata."""
    try:
        count = int(metadata['num_joints'])
        sides = [set(np.asarray(side).tolist()) for side in metadata['keypoints_symmetry']]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f'{path}: metadata is {dict(metadata)}, expected num_joints and keypoints_symmetry') from None
    for name in LAYOUTS:
        skeleton = get_skeleton(name)
        if count == skeleton.num_joints and sides == [set(skeleton.left), set(skeleton.right)]:
            return name
    raise ValueError(f'{path}: no known joint order has {count} joints with left and right '
                     f'{metadata["keypoints_symmetry"]}; known are {", ".join(LAYOUTS)}')
