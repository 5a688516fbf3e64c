"""MPI-INF-3DHP as its authors publish it: ``S1/Seq1/annot.mat`` ... and ``TS1/annot_data.mat`` ...

=====================  ===============================================================================================
annot.mat              MATLAB 5; cells of 14 cameras: annot2 (n, 28 * 2) px, annot3 and univ_annot3 (n, 28 * 3) mm,
                       camera frame; univ_annot3 is scaled to a skeleton of one height
camera.calibration     text: for each camera its name, image size, intrinsic and extrinsic 4 x 4 matrix, row by row
annot_data.mat         MATLAB 7.3, that is HDF5, where axes come in the opposite order: annot2 (n, 1, 17, 2), annot3 and
                       univ_annot3 (n, 1, 17, 3), valid_frame and activity_annotation (n, 1)
=====================  ===============================================================================================

Official: README of the download; P-STMO, common/data_to_npz_3dhp.py.
"""
from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Optional

import numpy as np
import scipy.io

from motionbert_mm.datasets.mpi_inf_3dhp import (
    NUM_CAMERAS,
    OFFICIAL_CAMERAS,
    SKELETON,
    TEST,
    TRAIN,
    MPIInf3DHPFiles,
    View,
    order_sequences,
)
from motionbert_mm.datasets.pose_files import check_array
from motionbert_mm.structures.skeleton import get_skeleton

RAW_SKELETON = get_skeleton('mpi_inf_3dhp28')
# The 17 joints of the test set among the 28 of the training set.
RAW_JOINTS = [RAW_SKELETON.index(name) for name in SKELETON.joints]
WIDTHS = {'annot2': 2, 'annot3': 3, 'univ_annot3': 3}  # coordinates per joint
TRUTHS = ('univ_annot3', 'annot3')
TEST_FOLDERS = ('', 'mpi_inf_3dhp_test_set', 'mpi_inf_3dhp_test_set/mpi_inf_3dhp_test_set')
CURE = 'download it again'


class DownloadFiles(MPIInf3DHPFiles):
    """The folder with S1 to S8 and, in it or below it, TS1 to TS6; what is not there is left out.

    Args:
        root: the folder.
        truth: 'univ_annot3', on which papers report, or 'annot3', the sizes that people really have.
        cameras: see ``MPIInf3DHPFiles``.
        fps: see ``MPIInf3DHPFiles``.

    Raises:
        FileNotFoundError: no sequence in the folder.
        ImportError: there are test sequences, and the h5py package is missing.
    """

    def __init__(self, root: str | os.PathLike, *, truth: str = 'univ_annot3',
                 cameras: Sequence[int] = OFFICIAL_CAMERAS, fps: Optional[float] = None) -> None:
        super().__init__(cameras=cameras, fps=fps)
        if truth not in TRUTHS:
            raise ValueError(f'truth is {truth!r}, expected one of {TRUTHS}')
        self.root, self.truth = Path(root), truth
        self._files = {**find_training(self.root), **find_tests(self.root)}
        if not self._files:
            raise FileNotFoundError(f'{root}: neither S1/Seq1/annot.mat to S8/Seq2/annot.mat nor TS1/annot_data.mat to '
                                    'TS6/annot_data.mat is there; give the folder into which the download was unpacked')
        if any(name in TEST for name in self._files):
            import_h5py()
        self._loaded: tuple[str, dict] = ('', {})  # the last annot.mat; its cameras are read one after the other
        self._blind: list[str] = []

    def sequences(self, split: str) -> list[str]:
        """Name the sequences of a split that the folder has."""
        names = TRAIN if split == 'train' else TEST
        return order_sequences((name for name in self._files if name in names), split, str(self.root))

    def place(self, name: str) -> str:
        """Say where a sequence lies, for messages."""
        return str(self._files[name])

    def notes(self) -> list[str]:
        """Add which sequences have no calibration."""
        blind = sorted(set(self._blind))
        return super().notes() + ([f'no camera.calibration, and so no intrinsics: {", ".join(blind)}'] if blind else [])

    def view(self, name: str, camera: Optional[int]) -> View:
        """Read a sequence seen by one camera."""
        path = self._files[name]
        try:
            if camera is None:
                arrays = read_annot_data(path, self.truth)
                return View(arrays['annot2'], arrays[self.truth], valid=arrays['valid_frame'],
                            activity=arrays['activity_annotation'])
            if self._loaded[0] != name:
                self._loaded = name, read_annot(path, ('annot2', self.truth))
            flat, solid = (self._loaded[1][key][camera] for key in ('annot2', self.truth))
            if len(flat) != len(solid):
                raise ValueError(f'camera {camera} has {len(flat)} frames in 2D and {len(solid)} in 3D; {CURE}')
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None
        return View(flat[:, RAW_JOINTS], solid[:, RAW_JOINTS], intrinsics=self._intrinsics(name, camera))

    def _intrinsics(self, name: str, camera: int) -> Optional[tuple]:
        path = self._files[name].with_name('camera.calibration')
        if not path.is_file():
            self._blind.append(name)
            return None
        calibration = read_calibration(path)
        if camera not in calibration:
            raise ValueError(f'{path} has the cameras {sorted(calibration)}, but not {camera}; {CURE}')
        return calibration[camera]


def find_training(root: Path) -> dict[str, Path]:
    """Return the annot.mat of each training sequence that is there."""
    files = {name: root / name / 'annot.mat' for name in TRAIN}
    return {name: path for name, path in files.items() if path.is_file()}


def find_tests(root: Path) -> dict[str, Path]:
    """Return the annot_data.mat of each test sequence that is there."""
    for folder in TEST_FOLDERS:
        files = {name: root / folder / name / 'annot_data.mat' for name in TEST}
        found = {name: path for name, path in files.items() if path.is_file()}
        if found:
            return found
    return {}


def read_annot(path: str | os.PathLike, names: Iterable[str] = tuple(WIDTHS)) -> dict[str, list[np.ndarray]]:
    """Read annotations of a training sequence.

    Args:
        path: annot.mat.
        names: of ``WIDTHS``.

    Returns:
        For each name (n, 28, C) of every camera.

    Raises:
        ValueError: a damaged file, or another layout; the message does not name the file.
    """
    names = list(names)
    try:
        content = scipy.io.loadmat(path, variable_names=names)
    except Exception as error:  # a damaged file raises any type
        raise ValueError(f'truncated or no MATLAB file ({type(error).__name__}: {error}); {CURE}') from None
    missing = [name for name in names if name not in content]
    if missing:
        raise ValueError(f'lacks {", ".join(missing)}, or is truncated; {CURE}')
    return {name: _split_cameras(content[name], name) for name in names}


def _split_cameras(cells: np.ndarray, name: str) -> list[np.ndarray]:
    """Check the cells of one annotation and split coordinates from joints."""
    width = WIDTHS[name]
    shapes, columns = {np.shape(values) for values in cells.ravel()}, width * RAW_SKELETON.num_joints
    if cells.size != NUM_CAMERAS or {shape[1:] for shape in shapes} != {(columns,)}:
        raise ValueError(f'{name} holds {cells.size} cameras of shapes {sorted(shapes)}, expected {NUM_CAMERAS} of '
                         f'(n, {columns}); {CURE}')
    return [values.reshape(len(values), -1, width) for values in cells.ravel()]


def read_annot_data(path: str | os.PathLike, *truths: str) -> dict[str, np.ndarray]:
    """Read annotations of a test sequence.

    Args:
        path: annot_data.mat.
        *truths: of ``TRUTHS``.

    Returns:
        annot2 (n, 17, 2) px, the truths (n, 17, 3) mm, valid_frame (n,) and activity_annotation (n,).

    Raises:
        ImportError: the h5py package is missing.
        ValueError: a damaged file, or another layout; the message does not name the file.
    """
    h5py = import_h5py()
    shapes = {name: (None, 1, SKELETON.num_joints, WIDTHS[name]) for name in ('annot2', *truths)}
    shapes.update(valid_frame=(None, 1), activity_annotation=(None, 1))
    try:
        with h5py.File(path, 'r') as file:
            arrays = {name: file[name][()] for name in shapes if isinstance(file.get(name), h5py.Dataset)}
    except (OSError, RuntimeError, KeyError) as error:  # what HDF5 says of damage is long and names addresses
        raise ValueError(f'truncated or no HDF5 file ({type(error).__name__}); {CURE}') from None
    missing = [name for name in shapes if name not in arrays]
    if missing:
        raise ValueError(f'lacks {", ".join(missing)}; {CURE}')
    return {name: check_array(arrays[name], shape, name)[:, 0] for name, shape in shapes.items()}


def read_calibration(path: str | os.PathLike) -> dict[int, tuple[float, float, float, float]]:
    """Read the intrinsics of all cameras of a training sequence: fx, fy, cx, cy in pixels by number of the camera.

    Raises:
        ValueError: the text is not that of a calibration.
    """
    intrinsics, camera = {}, None
    for number, line in enumerate(Path(path).read_text(encoding='utf-8', errors='replace').splitlines(), 1):
        word, *values = line.split() or ['']
        try:
            if word == 'name':
                camera = int(values[0])
            elif word == 'intrinsic':
                matrix = np.array(values, np.float64).reshape(4, 4)
                intrinsics[int(camera)] = (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])
        except (IndexError, TypeError, ValueError):
            raise ValueError(f'{path}: line {number} is {line.strip()[:60]!r}, expected the name of a camera or, after '
                             f'it, the 16 numbers of its intrinsic matrix; {CURE}') from None
    if not intrinsics:
        raise ValueError(f'{path} holds no camera; {CURE}')
    return intrinsics


def import_h5py() -> ModuleType:
    """Return h5py, with which MATLAB 7.3 files are read."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"the test set of MPI-INF-3DHP needs the h5py package ({error}); pip install "
                          "'motionbert_mm[data]'") from None
    return h5py
