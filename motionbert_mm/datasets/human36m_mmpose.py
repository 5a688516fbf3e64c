"""Human3.6M as MMPose prepares it: ``h36m_train.npz``, ``h36m_test.npz`` and ``cameras.pkl``.

An .npz has one row per image: ``imgname``, 'S1/S1_Walking_1.54138969/S1_Walking_1.54138969_000001.jpg' with frames
counted from 1; ``part`` (N, 17, 3), pixels and visibility; ``S`` (N, 17, 4), metres in the camera frame and visibility.
``cameras.pkl`` maps ('S1', '54138969') to f and c in pixels, w, h, the lens and the pose of the camera. Detections
(N, 17, 3), x, y and score, and factors (N,), millimetres per pixel, are .npy files with the rows of the .npz.
Official: tools/dataset_converters/preprocess_h36m.py, mmpose/datasets/datasets/body3d/h36m_dataset.py.
"""
from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple, Optional

import numpy as np

from motionbert_mm.datasets.human36m import (
    NUM_JOINTS,
    SKELETON,
    VIDEO_FPS,
    Human36MFiles,
    canonical_action,
    check_subjects,
)
from motionbert_mm.datasets.pose_files import MM_PER_METRE, PoseSequence, check_array, check_extent, check_pixels
from motionbert_mm.geometry.camera import project
from motionbert_mm.geometry.coords import image_space_3d, image_space_factor
from motionbert_mm.io import safe_pickle
from motionbert_mm.io.plain_files import read_npy
from motionbert_mm.structures.skeleton import get_skeleton

_IMAGE = re.compile(r'(?:.*[/\\])?((S\d+)_(.+)\.(\d+))_(\d+)\.\w+')
_ANNOTATIONS = {'part': 3, 'S': 4}  # channels by key
# Numbers of a camera: focal lengths, centre, radial and tangential distortion
_LENS = {'f': 2, 'c': 2, 'k': 3, 'p': 2}
COMPUTED = 'computed'  # instead of the path of a factor file

PathMap = Mapping[str, str]


class ImageName(NamedTuple):
    """What the name of an image says; ``action`` as it is spelt there, with the number of the recording."""

    sequence: str
    subject: str
    action: str
    camera: str
    frame: int


def parse_image_name(name: str) -> ImageName:
    """Take apart 'S1/S1_Walking_1.54138969/S1_Walking_1.54138969_000001.jpg'; ValueError if it is none such."""
    match = _IMAGE.fullmatch(name)
    if match is None:
        raise ValueError(f'imgname {name!r}, expected one like S1/S1_Walking_1.54138969/'
                         'S1_Walking_1.54138969_000001.jpg')
    return ImageName(*match.groups()[:4], int(match[5]))


class MMPoseFiles(Human36MFiles):
    """The annotation files of both splits.

    ``keypoints_3d`` is S, ``keypoints_2d`` part. A part whose visibility is not 1 everywhere is taken for detections
    with scores; ``keypoints_2d`` is then the projection of S. With factors, the truth is what MMPose's
    ``MotionBERTLabel`` compares with: ``keypoints_image`` is the image-space pose, ``image_factor`` the factor and
    ``keypoints_3d`` their product.

    Args:
        annotations: the .npz of 'train' and of 'test'.
        cameras: ``cameras.pkl``.
        detected: the detections of a split, where there are any.
        factors: the factors of a split, where there are any; 'computed' makes them of the camera, as MMPose does
            without a file.

    Raises:
        FileNotFoundError, ValueError: see ``io.safe_pickle``.
        ValueError: missing keys, wrong shapes or lengths, image names or frame steps that are not those above.
    """

    def __init__(self, annotations: PathMap, cameras: str | os.PathLike, *, detected: Optional[PathMap] = None,
                 factors: Optional[PathMap] = None) -> None:
        super().__init__()
        self.cameras = safe_pickle.load(cameras)
        if not isinstance(self.cameras, dict):
            raise ValueError(f'{cameras}: expected a dict of cameras, got {type(self.cameras).__name__}')
        self.camera_path = cameras
        self._splits = {split: _Split(path, split, (detected or {}).get(split), (factors or {}).get(split))
                        for split, path in annotations.items()}
        self.fps = {split: entry.fps for split, entry in self._splits.items()}

    def keys(self, split: str) -> list[str]:
        """List the sequences, each with its camera."""
        return list(self._splits[split].rows)

    def read(self, split: str, key: str) -> PoseSequence:
        """Return one sequence."""
        entry = self._splits[split]
        subject, word, camera = entry.parsed[key]
        try:
            action = canonical_action(word)
        except ValueError as error:
            raise ValueError(f'{entry.path}: {key}: {error}') from None
        lens = self._lens(subject, camera)
        arrays = entry.read(key, lens)
        return PoseSequence(key, subject, action, camera, lens['image_size'],
                            {name: value.astype(np.float32) for name, value in arrays.items()}, lens['intrinsics'])

    def _lens(self, subject: str, camera: str) -> dict:
        """Return image size, intrinsics and distortion of a camera."""
        if (subject, camera) not in self.cameras:
            raise ValueError(f'{self.camera_path} has no camera {(subject, camera)}, which the annotations name, among '
                             f'its {len(self.cameras)}')
        values = self.cameras[subject, camera]
        try:
            numbers = {name: np.asarray(values[name], np.float64).reshape(count) for name, count in _LENS.items()}
            size = int(values['w']), int(values['h'])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{self.camera_path}: camera {(subject, camera)} cannot be read ({error!r}); expected w, '
                             f'h and as many numbers as {_LENS}') from None
        # The tangential coefficients stand in the opposite order of VideoPose3D's, which ``project`` follows.
        return {'image_size': size, 'intrinsics': (*numbers['f'], *numbers['c']),
                'distortion': (*numbers['k'], *numbers['p'][::-1])}


class _Split:
    """The annotations of one split, sorted into sequences."""

    def __init__(self, path: str, split: str, detected: Optional[str], factors: Optional[str]) -> None:
        self.path, arrays = path, safe_pickle.load_npz(path)
        missing = [name for name in ('imgname', *_ANNOTATIONS) if name not in arrays]
        if missing:
            raise ValueError(f'{path} lacks {", ".join(missing)}; it holds {sorted(arrays)}')
        self.images = arrays['imgname'].astype(str)
        if self.images.ndim != 1:
            raise ValueError(f'{path}: imgname has shape {self.images.shape}, expected one name for each image')
        self.part, self.solid = (check_array(arrays[name], (len(self.images), NUM_JOINTS, channels), f'{path}: {name}')
                                 for name, channels in _ANNOTATIONS.items())
        self.detected = detected and _read_rows(detected, (len(self.images), NUM_JOINTS, 3))
        self.factors = factors if factors in (None, COMPUTED) else _read_rows(factors, (len(self.images),))
        self._check_values(detected, factors)
        self._sort(split)

    def _check_values(self, detected: Optional[str], factors: Optional[str]) -> None:
        if not len(self.images):
            raise ValueError(f'{self.path} holds no image')
        if (self.solid[..., 3] < 1).any():
            raise ValueError(f'{self.path}: S has joints that are not visible, but Human3.6M knows every joint of '
                             'every frame')
        check_extent(self.solid[..., :3], f'{self.path}: S', unit='metres')
        check_pixels(self.part, f'{self.path}: part')
        self.has_scores = bool((self.part[..., 2] != 1).any())
        if self.has_scores and detected:
            raise ValueError(f'{self.path}: part has scores other than 1, so that it holds detections itself; leave '
                             f'{detected} out')
        if detected:
            check_pixels(self.detected, detected)
        if isinstance(self.factors, np.ndarray) and not (self.factors > 0).all():
            raise ValueError(f'{factors}: factors must be positive millimetres per pixel, '
                             f'got a minimum of {self.factors.min():g}')

    def _sort(self, split: str) -> None:
        """Find the rows of each sequence and the frame rate."""
        self.rows, self.parsed, frames = {}, {}, {}
        for row, image in enumerate(self.images.tolist()):
            try:
                parsed = parse_image_name(image)
            except ValueError as error:
                raise ValueError(f'{self.path}: {error}') from None
            name = parsed.sequence
            self.parsed[name] = parsed.subject, parsed.action, parsed.camera
            self.rows.setdefault(name, []).append(row)
            frames.setdefault(name, []).append(parsed.frame)
        check_subjects((subject for subject, _, _ in self.parsed.values()), split, str(self.path))
        self.fps = VIDEO_FPS / self._frame_step(frames)

    def _frame_step(self, frames: Mapping[str, list]) -> int:
        """Return the step between frames, which all sequences must share."""
        steps: dict = {}
        for name, numbers in frames.items():
            for step in np.unique(np.diff(numbers)).tolist():
                steps.setdefault(step, name)
        if len(steps) != 1 or next(iter(steps)) < 1:
            found = ', '.join(f'{step} in {name}' for step, name in sorted(steps.items()))
            raise ValueError(f'{self.path}: consecutive images must be one number of frames apart, the same in all '
                             f'sequences; found {found or "sequences of single images only"}')
        return next(iter(steps))

    def read(self, key: str, lens: Mapping[str, tuple]) -> dict[str, np.ndarray]:
        rows = np.array(self.rows[key])
        solid, part = self.solid[rows, :, :3].astype(np.float64) * MM_PER_METRE, self.part[rows]
        arrays = {'keypoints_3d': solid, 'keypoints_2d': part[..., :2]}
        if self.has_scores:
            arrays['keypoints_2d'] = project(solid, lens['intrinsics'], lens['distortion'])
        detected = part if self.has_scores else None if self.detected is None else self.detected[rows]
        if detected is not None:
            arrays.update(detected_2d=detected[..., :2], detected_confidence=detected[..., 2])
        if self.factors is not None:
            root = get_skeleton(SKELETON).root
            image = image_space_3d(solid, lens['intrinsics'], root)
            factor = (image_space_factor(solid[:, root, 2], lens['intrinsics']) if isinstance(self.factors, str)
                      else self.factors[rows])
            arrays.update(keypoints_image=image, image_factor=factor, keypoints_3d=image * factor[:, None, None])
        return arrays


def _read_rows(path: str, shape: tuple) -> np.ndarray:
    return check_array(read_npy(path, 'copy it again'), shape, path)
