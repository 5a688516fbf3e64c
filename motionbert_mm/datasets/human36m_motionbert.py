"""Human3.6M as MotionBERT publishes it: one pickle of per-frame arrays, ``h36m_sh_conf_cam_source_final.pkl``.

``{'train', 'test'}`` each hold, over all frames of all videos, one video after the other:

====================  =============  =====================================================================
joint_2d              (N, 17, >=2)   detections in pixels
confidence            (N, 17[, 1])   their scores; absent: 1
joint3d_image         (N, 17, >=3)   pixels: projection, and depth from the root at the root's scale
camera_name, source   N texts        serial number; 's_09_act_05_subact_02_ca_02', one per video
action                N texts        needed in 'test' only
2.5d_factor           (N,)           millimetres per pixel, 'test' only
joints_2.5d_image     (N, 17, 3)     truth of the evaluation in millimetres, 'test' only
====================  =============  =====================================================================

Official: lib/data/datareader_h36m.py.
"""
from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from motionbert_mm.datasets.human36m import (
    IMAGE_SIZES,
    Human36MFiles,
    canonical_action,
    check_subjects,
    numbered_action,
)
from motionbert_mm.datasets.motionbert_pickles import (
    SPLITS,
    check_lengths,
    check_split,
    common_value,
    find_runs,
    load_splits,
    read_confidence,
    read_points,
    read_texts,
)
from motionbert_mm.datasets.pose_files import PoseSequence, check_array, check_pixels

SOURCE = re.compile(r's_(\d+)_act_(\d+)_subact_\d+_ca_\d+')
_REQUIRED = {'train': ('joint_2d', 'joint3d_image', 'camera_name', 'source')}
_REQUIRED['test'] = (*_REQUIRED['train'], 'action', '2.5d_factor', 'joints_2.5d_image')


class MotionBERTFile(Human36MFiles):
    """The pickle, read once.

    ``keypoints_image`` is joint3d_image, ``keypoints_2d`` its x and y; ``detected_2d`` and ``detected_confidence`` are
    the detections. The test split adds ``image_factor`` and, as ``keypoints_3d``, the official truth: weak-perspective
    millimetres with the origin in the corner of the image, of which only differences between joints mean anything.

    Args:
        path: the pickle.

    Raises:
        FileNotFoundError, ValueError: see ``io.safe_pickle.load``.
        ValueError: keys, shapes or lengths that are not those above, or a source in two places.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__()
        content = load_splits(path, 'h36m_sh_conf_cam_source_final.pkl')
        self._splits = {split: _Split(f'{path}: {split}', content[split], split) for split in SPLITS}

    def keys(self, split: str) -> range:
        """Number the videos of a split."""
        return range(len(self._splits[split].names))

    def read(self, split: str, key: int) -> PoseSequence:
        """Return one video."""
        return self._splits[split].read(key)


class _Split:
    """The arrays of one split and where its videos begin."""

    def __init__(self, place: str, content: Mapping[str, Any], split: str) -> None:
        check_split(content, _REQUIRED[split], place)
        self.place, self.split, self.is_test = place, split, split == 'test'
        self.words = {name: read_texts(content[name], f'{place}: {name}')
                      for name in ('camera_name', 'source', 'action') if name in content}
        self.image = read_points(content, 'joint3d_image', 3, place)
        self.detected = read_points(content, 'joint_2d', 2, place)
        self.confidence = read_confidence(content.get('confidence'), f'{place}: confidence')
        arrays = {**self.words, 'joint3d_image': self.image, 'joint_2d': self.detected}
        if self.is_test:
            self.factor = check_array(content['2.5d_factor'], (None,), f'{place}: 2.5d_factor')
            self.truth = read_points(content, 'joints_2.5d_image', 3, place)
            arrays.update({'2.5d_factor': self.factor, 'joints_2.5d_image': self.truth})
        if self.confidence is not None:
            arrays['confidence'] = self.confidence
        if not check_lengths(arrays, place):
            raise ValueError(f'{place}: all arrays are empty, expected the frames of at least one video')
        check_pixels(self.image, f'{place}: joint3d_image')
        check_pixels(self.detected, f'{place}: joint_2d')
        self._find_videos()

    def _find_videos(self) -> None:
        sources = self.words['source']
        self.starts, self.ends = find_runs(sources)
        self.names = sources[self.starts].tolist()
        if len(set(self.names)) < len(self.names):
            name = next(name for name in self.names if self.names.count(name) > 1)
            frames = [int(start) for start, other in zip(self.starts, self.names) if other == name]
            raise ValueError(f'{self.place}: source {name!r} begins at frame {frames[0]} and again at {frames[1]}; '
                             'the frames of a source must follow each other')

    def read(self, number: int) -> PoseSequence:
        name, rows = self.names[number], slice(self.starts[number], self.ends[number])
        match = SOURCE.fullmatch(name)
        if match is None:
            raise ValueError(f'{self.place}: source {name!r}, expected one like s_09_act_05_subact_02_ca_02')
        subject = f'S{int(match[1])}'
        check_subjects([subject], self.split, f'{self.place}: {name}')
        camera = common_value(self.words['camera_name'][rows], name, 'camera_name', self.place)
        if camera not in IMAGE_SIZES:
            raise ValueError(f'{self.place}: {name} was seen by camera {camera!r}; the size of its images is known for '
                             f'{", ".join(IMAGE_SIZES)}')
        return PoseSequence(name, subject=subject, action=self._action(name, int(match[2]), rows),
                            camera=camera, image_size=IMAGE_SIZES[camera], arrays=self._arrays(name, rows))

    def _arrays(self, name: str, rows: slice) -> dict[str, np.ndarray]:
        arrays = {'keypoints_image': self.image[rows], 'keypoints_2d': self.image[rows, :, :2],
                  'detected_2d': self.detected[rows],
                  'detected_confidence': (np.ones(self.detected[rows].shape[:2]) if self.confidence is None
                                          else self.confidence[rows])}
        if self.is_test:
            if not (self.factor[rows] > 0).all():
                raise ValueError(f'{self.place}: 2.5d_factor of {name} has values that are not positive millimetres '
                                 'per pixel')
            arrays.update(image_factor=self.factor[rows], keypoints_3d=self.truth[rows])
        return {key: value.astype(np.float32) for key, value in arrays.items()}

    def _action(self, name: str, number: int, rows: slice) -> str:
        """Take the name that the file gives; the number in the source where it gives none, or a number."""
        word = (common_value(self.words['action'][rows], name, 'action', self.place)
                if 'action' in self.words else '')
        try:
            return numbered_action(number) if not word or word.isdigit() else canonical_action(word)
        except ValueError as error:
            raise ValueError(f'{self.place}: {name}: {error}') from None
