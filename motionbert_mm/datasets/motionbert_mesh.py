"""SMPL parameters beside 2D detections, from the pickles of the MotionBERT release.

``mesh_det_h36m.pkl``, ``mesh_det_pw3d.pkl`` and ``mesh_det_coco.pkl`` hold ``{'train', 'test'}`` of arrays over all
frames, one video after the other:

=================  =============  ====================================================================================
joint_2d           (N, 17, >=2)   detections in pixels, Human3.6M joints
confidence         (N, 17[, 1])   their scores, which may exceed 1; absent: 1
source             N texts        one per video
smpl_pose          (N, 72)        axis-angle, radians, the root in camera axes
smpl_shape         (N, 10)        of the neutral body
camera_name        N texts        serial number, Human3.6M only
pred_smpl_pose     (N, 72)        what another method predicts, for the refiner; both or neither
pred_smpl_shape    (N, 10)
=================  =============  ====================================================================================

Official: lib/data/datareader_mesh.py, lib/data/dataset_mesh.py.
"""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from motionbert_mm.datasets.human36m import IMAGE_SIZES, SKELETON, VIDEO_FPS, numbered_action
from motionbert_mm.datasets.human36m_motionbert import SOURCE
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
from motionbert_mm.datasets.pose_files import PoseFiles, PoseSequence, check_pixels
from motionbert_mm.datasets.smpl_arrays import read_betas, read_pose

# Official: pixels of 3DPW are divided by 1920 and those of COCO by 640, whatever the size of the image, so that only
# images of that very width are centred. Networks of the release know no other input; therefore it stands in the store.
SQUARES = {'pw3d': (1920, 1920), 'coco': (640, 640)}
DATASETS = ('h36m', *SQUARES)
# Frame rates are not in the files: those of the cameras. A clip of COCO is a single image.
FRAME_RATES = {'h36m': VIDEO_FPS, 'pw3d': 30.0, 'coco': 30.0}
_REQUIRED = ('joint_2d', 'source', 'smpl_pose', 'smpl_shape')
_INITIAL = ('pred_smpl_pose', 'pred_smpl_shape')


class MeshFile(PoseFiles):
    """One of the pickles, read once.

    A clip is a run of frames of one source; where a source comes back later, the name of the clip gets the number of
    its first frame. A split without frames is left out.

    Args:
        path: the pickle.
        dataset: 'h36m', 'pw3d' or 'coco': says what size its images are taken for.

    Raises:
        FileNotFoundError, ValueError: see ``io.safe_pickle.load``.
        ValueError: keys, shapes, lengths or units that are not those above, or no frames at all.
    """

    skeleton = SKELETON

    def __init__(self, path: str | os.PathLike, dataset: str) -> None:
        if dataset not in DATASETS:
            raise ValueError(f'unknown data set {dataset!r}, expected one of {", ".join(DATASETS)}')
        content = load_splits(path, f'mesh_det_{dataset}.pkl')
        splits = {split: _Split(f'{path}: {split}', content[split], dataset) for split in SPLITS}
        self._splits = {split: frames for split, frames in splits.items() if frames.names}
        self.empty = [split for split in SPLITS if split not in self._splits]
        if not self._splits:
            raise ValueError(f'{path}: both splits are empty, expected the frames of at least one video; download the '
                             'file again')
        self.fps = dict.fromkeys(self._splits, FRAME_RATES[dataset])

    def keys(self, split: str) -> range:
        """Number the videos of a split."""
        return range(len(self._splits[split].names))

    def read(self, split: str, key: int) -> PoseSequence:
        """Return one video."""
        return self._splits[split].read(key)

    def notes(self) -> list[str]:
        """Name the splits that have no frames."""
        return [f'{split} has no frames; no store was written for it' for split in self.empty]


class _Split:
    """The arrays of one split and where its videos begin."""

    def __init__(self, place: str, content: Any, dataset: str) -> None:
        required = (*_REQUIRED, 'camera_name') if dataset == 'h36m' else _REQUIRED
        check_split(content, required, place)
        half = [name for name in _INITIAL if name in content]
        if len(half) == 1:
            raise ValueError(f'{place} has {half[0]} alone; the refiner needs both {" and ".join(_INITIAL)}')
        self.place, self.dataset = place, dataset
        self.sources = read_texts(content['source'], f'{place}: source')
        self.cameras = read_texts(content['camera_name'], f'{place}: camera_name') if dataset == 'h36m' else None
        self.arrays: dict[str, np.ndarray] = {}
        self.names: list[str] = []
        if self._check_lengths(content):
            self.arrays = self._read_arrays(content, has_initial=bool(half))
            self._find_videos()

    def _check_lengths(self, content: Mapping[str, Any]) -> int:
        names = ('confidence', *_REQUIRED, *_INITIAL)
        arrays = {name: content[name] for name in names if content.get(name) is not None}
        return check_lengths(arrays if self.cameras is None else {**arrays, 'camera_name': self.cameras}, self.place)

    def _read_arrays(self, content: Mapping[str, Any], has_initial: bool) -> dict[str, np.ndarray]:
        place = self.place
        points = read_points(content, 'joint_2d', 2, place)
        check_pixels(points, f'{place}: joint_2d')
        confidence = read_confidence(content.get('confidence'), f'{place}: confidence')
        arrays = {'detected_2d': points,
                  'detected_confidence': np.ones(points.shape[:2]) if confidence is None else confidence.clip(0, 1),
                  'smpl_pose': read_pose(content['smpl_pose'], f'{place}: smpl_pose'),
                  'smpl_betas': read_betas(content['smpl_shape'], f'{place}: smpl_shape')}
        if has_initial:
            arrays.update(initial_pose=read_pose(content['pred_smpl_pose'], f'{place}: pred_smpl_pose'),
                          initial_betas=read_betas(content['pred_smpl_shape'], f'{place}: pred_smpl_shape'))
        return arrays

    def _find_videos(self) -> None:
        self.starts, self.ends = find_runs(self.sources)
        taken: set = set()
        for start in self.starts.tolist():
            source = str(self.sources[start])
            name = f'{source}@{start}' if source in taken else source
            taken.add(name)
            self.names.append(name)

    def read(self, number: int) -> PoseSequence:
        name, rows = self.names[number], slice(self.starts[number], self.ends[number])
        subject, action = self._facts(str(self.sources[rows.start]))
        camera, size = self._camera(name, rows)
        return PoseSequence(name, subject=subject, action=action, camera=camera, image_size=size,
                            arrays={key: values[rows].astype(np.float32) for key, values in self.arrays.items()})

    def _facts(self, source: str) -> tuple[str, str]:
        """Return subject and action where a source of Human3.6M tells them."""
        match = SOURCE.fullmatch(source)
        if match is None:
            return '', ''
        try:
            return f'S{int(match[1])}', numbered_action(int(match[2]))
        except ValueError as error:
            raise ValueError(f'{self.place}: {source}: {error}') from None

    def _camera(self, name: str, rows: slice) -> tuple[str, tuple[int, int]]:
        """Return the name of the camera, if there is one, and the size that the images are taken for."""
        if self.cameras is None:
            return '', SQUARES[self.dataset]
        camera = common_value(self.cameras[rows], name, 'camera_name', self.place)
        if camera not in IMAGE_SIZES:
            raise ValueError(f'{self.place}: {name} was seen by camera {camera!r}; the size of its images is known for '
                             f'{", ".join(IMAGE_SIZES)}')
        return camera, IMAGE_SIZES[camera]
