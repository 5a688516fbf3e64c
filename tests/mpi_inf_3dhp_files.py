"""Small files in the exact formats of the two public forms of MPI-INF-3DHP."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.mpi_inf_3dhp import NUM_CAMERAS, OFFICIAL_CAMERAS, TEST, TRAIN
from tests.io.body import walk

FEW_FRAMES = 12
# fx, fy, cx, cy in pixels; those of camera c have c added.
INTRINSICS = (1497.0, 1498.0, 1024.0, 1051.0)
USER_BLOCK = 512  # bytes that MATLAB puts before HDF5


def poses(skeleton: str, num_frames: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A walk before a camera: (F, J, 2) pixels in an image of 1920 x 1080, (F, J, 3) millimetres."""
    points = _walk(skeleton, num_frames) + [shift, 0, 4000]
    return points[..., :2] / points[..., 2:] * 1500 + [960, 540], points


_walk = lru_cache(maxsize=8)(walk)


def is_valid(num_frames: int) -> np.ndarray:
    """Mark some frames, as MATLAB does: 0 or 1."""
    return (np.arange(num_frames) % 4 == 1).astype(np.float64)


def activities(num_frames: int) -> np.ndarray:
    """Numbers of activities, 1 to 7, as MATLAB stores them."""
    return 1.0 + np.arange(num_frames) % 7


# The official download


def write_annot(path: Path, num_frames: int = FEW_FRAMES, **changes: np.ndarray) -> Path:
    """Write annot.mat and return its path; ``changes`` replace the array that all cameras share.

    Camera c lies c mm further to the left; ``annot3`` is a tenth smaller than ``univ_annot3``.
    """
    cells = {name: np.empty((NUM_CAMERAS, 1), object) for name in ('annot2', 'annot3', 'univ_annot3')}
    for camera in range(NUM_CAMERAS):
        pixels, points = poses('mpi_inf_3dhp28', num_frames, shift=float(camera))
        arrays = {'annot2': pixels, 'annot3': 0.9 * points, 'univ_annot3': points, **changes}
        for name, values in arrays.items():
            cells[name][camera, 0] = values.reshape(len(values), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {**cells, 'cameras': np.arange(NUM_CAMERAS), 'frames': np.arange(num_frames)[:, None]})
    return path


def write_calibration(path: Path) -> Path:
    """Write camera.calibration and return its path."""
    lines = ['Skeletool Camera Calibration File V1.0']
    for camera in range(NUM_CAMERAS):
        fx, fy, cx, cy = (value + camera for value in INTRINSICS)
        lines += [f'name          {camera}', '  sensor      10 10', '  size        2048 2048', '  animated    0',
                  f'  intrinsic   {fx} 0 {cx} 0 0 {fy} {cy} 0 0 0 1 0 0 0 0 1 ',
                  '  extrinsic   1 0 0 -562.8 0 -1 0 1398.1 0 0 -1 3852.6 0 0 0 1 ', '  radial      0']
    path.write_text('\n'.join(lines) + '\n')
    return path


def write_annot_data(path: Path, num_frames: int = FEW_FRAMES, **changes: np.ndarray) -> Path:
    """Write annot_data.mat as MATLAB 7.3 does and return its path; ``changes`` replace arrays.

    MATLAB holds annot2 as 2 x 17 x 1 x n, column by column, which HDF5 calls (n, 1, 17, 2).
    """
    pixels, points = poses('mpi_inf_3dhp17', num_frames)
    arrays = {'annot2': pixels[:, None], 'annot3': 0.9 * points[:, None], 'univ_annot3': points[:, None],
              'valid_frame': is_valid(num_frames)[:, None], 'activity_annotation': activities(num_frames)[:, None],
              **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, 'w', userblock_size=USER_BLOCK) as file:
        for name, values in arrays.items():
            if values is not None:
                file.create_dataset(name, data=values).attrs['MATLAB_class'] = np.bytes_('double')
    content = path.read_bytes()
    path.write_bytes(b'MATLAB 7.3 MAT-file, Platform: GLNXA64'.ljust(USER_BLOCK) + content[USER_BLOCK:])
    return path


def write_download(folder: Path, sequences: Iterable[str] = tuple(TRAIN), tests: Iterable[str] = tuple(TEST)) -> Path:
    """Write the folder of the official download and return it."""
    for name in sequences:
        write_annot(folder / name / 'annot.mat')
        write_calibration(folder / name / 'camera.calibration')
    for name in tests:
        write_annot_data(folder / 'mpi_inf_3dhp_test_set' / name / 'annot_data.mat')
    return folder


# P-STMO's files


def train_content(sequences: Iterable[str] = ('S1/Seq1', 'S1/Seq2'), num_frames: int = FEW_FRAMES,
                  cameras: Iterable[int] = OFFICIAL_CAMERAS) -> dict[str, list]:
    """``data`` of data_train_3dhp.npz; camera c lies c mm further to the left."""
    def view(camera: int) -> dict[str, np.ndarray]:
        pixels, points = poses('mpi_inf_3dhp17', num_frames, shift=float(camera))
        return {'data_2d': pixels, 'data_3d': points}

    return {name.replace('/', ' '): [{str(camera): view(camera) for camera in cameras}, int(TRAIN[name].fps)]
            for name in sequences}


def evaluation_content(sequences: Iterable[str] = ('TS1', 'TS5'), num_frames: int = FEW_FRAMES) -> dict[str, dict]:
    """``data`` of data_test_3dhp.npz."""
    pixels, points = poses('mpi_inf_3dhp17', num_frames)
    return {name: {'data_2d': pixels, 'data_3d': points, 'valid': is_valid(num_frames)} for name in sequences}


def write_npz(path: Path, content: Any) -> Path:
    """Write data_train_3dhp.npz or data_test_3dhp.npz and return its path."""
    np.savez_compressed(path, data=content)
    return path


def write_both_npz(folder: Path, **changes: Mapping) -> list[Path]:
    """Write both files and return their paths; ``changes`` replace the content of a split."""
    content = {'train': train_content(), 'test': evaluation_content(), **changes}
    return [write_npz(folder / f'data_{split}_3dhp.npz', content[split]) for split in ('train', 'test')]


# Stores


def write_store(path: Path, *, is_test: bool = True) -> Path:
    """Write a store of two clips as the converter does and return its path."""
    with MotionStoreWriter(path, skeleton='mpi_inf_3dhp17', fps=25.0) as writer:
        for name, num_frames in {'TS1': 60, 'TS5': 45}.items():
            pixels, points = poses('mpi_inf_3dhp17', num_frames)
            arrays = {'keypoints_3d': points, 'keypoints_2d': pixels}
            if is_test:
                arrays.update(valid=is_valid(num_frames) > 0, activity=activities(num_frames).astype(np.uint8))
            writer.add_clip(name, arrays, subject=name, action=name, camera=TEST[name].camera,
                            image_size=TEST[name].image_size)
    return path
