"""AMASS: SMPL+H (``*_poses.npz``) or SMPL-X (``*_stageii.npz``) motions to Human3.6M joints.

Differs from official (MotionBERT ``tools/compress_amass.py``, ``preprocess_amass.py``, ``convert_amass.py``): frames
are taken by time stamp where the official stride of round(fps / 60) calls 50 Hz 60; a gender written as bytes is read,
not taken for female; clips stay whole where slices of 2916 frames leave short rests that later become slow motion.
"""
from __future__ import annotations

import multiprocessing
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Optional

import numpy as np
import torch

from motionbert_mm.datasets.regressed_joints import RegressedJoints
from motionbert_mm.geometry.resampling import resample, resample_rotations
from motionbert_mm.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from motionbert_mm.io.body_files import (
    BODY_KINDS,
    DOWNLOAD,
    GENDERS,
    find_body,
    read_body,
    read_dmpls,
    read_regressor,
)
from motionbert_mm.io.plain_files import read_npz
from motionbert_mm.io.work_folder import WorkFolder
from motionbert_mm.structures.body import order_regressor

SUFFIXES = {'smplh': '_poses.npz', 'smplx': '_stageii.npz'}
RATE_KEYS = ('mocap_framerate', 'mocap_frame_rate')  # SMPL+H and SMPL-X releases
NUM_DMPLS = 8
MM_PER_METRE = 1000.0
# Folders that the archives unpack to, with their names in the SMPL-X release. Source: listings of mirrors of the
# download page; VIBE, lib/data_utils/amass_utils.py.
PARTS = {'ACCAD': '', 'BMLhandball': '', 'BMLmovi': '', 'BioMotionLab_NTroje': 'BMLrub', 'CMU': '',
         'DFaust_67': 'DFaust', 'DanceDB': '', 'EKUT': '', 'Eyes_Japan_Dataset': 'EyesJapanDataset', 'GRAB': '',
         'HUMAN4D': '', 'HumanEva': '', 'KIT': '', 'MPI_HDM05': 'HDM05', 'MPI_Limits': 'PosePrior',
         'MPI_mosh': 'MoSh', 'SFU': '', 'SOMA': '', 'SSM_synced': 'SSM', 'TCD_handMocap': 'TCDHands',
         'TotalCapture': '', 'Transitions_mocap': 'Transitions'}
# World (x, y, z up) to the camera of the official tool: (x, -z, y), looking along the world's y.
WORLD_TO_CAMERA = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
# SMPL's two hand joints, seen from SMPL+H and SMPL-X: the roots of the index fingers.
SMPL24_JOINTS = {'smplh': [*range(22), 22, 37], 'smplx': [*range(22), 25, 40]}
# Frame rates that the files state wrongly. Source: TEACH, scripts/process_amass.py.
RATE_FIXES = {'BMLhandball': 240.0, '20160930_50032': 59.0, '20161014_50033': 59.0}


@dataclass(frozen=True)
class AmassOptions:
    """What a conversion depends on.

    Attributes:
        kind: body model, 'smplh' or 'smplx'.
        body_dir: folder of body models, see ``find_body``.
        regressor: .npy (17, V).
        dmpl_dir: folder of DMPL models, or None for hard bodies.
        fps: frames per second of the result.
        num_betas: shape coefficients that are used.
        batch_frames: frames posed at once.
        with_pose: keep the rotations as ``smpl_pose`` too.
    """

    kind: str
    body_dir: str
    regressor: str
    dmpl_dir: Optional[str] = None
    fps: float = 30.0
    num_betas: int = 16
    batch_frames: int = 512
    with_pose: bool = False


@dataclass(frozen=True)
class AmassSequence:
    """One file: pose (F, J, 3) axis-angle, translation (F, 3) metres, Z up; dmpls (F, 8) or None."""

    gender: str
    fps: float
    pose: np.ndarray
    translation: np.ndarray
    betas: np.ndarray
    dmpls: Optional[np.ndarray]


def find_sequences(source: Path, kind: str) -> tuple[dict[str, Path], Counter]:
    """Walk a download.

    Args:
        source: folder with the unpacked archives.
        kind: 'smplh' or 'smplx'.

    Returns:
        Name -> file of every motion of this kind, and how many other files there are of each sort.

    Raises:
        FileNotFoundError: no such folder, or no motion in it.
    """
    if not source.is_dir():
        raise FileNotFoundError(f'{source} is not a folder; expected unpacked archives of AMASS')
    other = next(suffix for name, suffix in SUFFIXES.items() if name != kind)
    found, skipped = {}, Counter()
    for path in sorted(path for path in source.rglob('*') if path.is_file()):
        if path.name.endswith(SUFFIXES[kind]) and not path.name.startswith('.'):  # ._x is no motion, macOS makes it
            found[path.relative_to(source).with_suffix('').as_posix()] = path
        elif path.name == 'shape.npz' or path.name.endswith('_stagei.npz'):
            skipped['shape files'] += 1
        elif path.name.endswith(other):
            skipped[f'motions of another body model (*{other})'] += 1
        elif re.search(r'\.(tar|zip|bz2|xz|gz)$', path.name):
            skipped['archives that are not unpacked'] += 1
        else:
            skipped['other files'] += 1
    if not found:
        listed = ', '.join(f'{count} {sort}' for sort, count in skipped.items()) or 'nothing'
        raise FileNotFoundError(f'{source} holds no *{SUFFIXES[kind]}, but {listed}')
    return found, skipped


def read_sequence(path: Path, kind: str) -> AmassSequence:
    """Read a motion.

    Raises:
        ValueError: torn, missing arrays, another body model, NaN, no frames, no frame rate.
    """
    arrays = read_npz(path, DOWNLOAD, required=('poses', 'trans', 'betas', 'gender'), optional=(*RATE_KEYS, 'dmpls'))
    words = [name for name, values in arrays.items() if name != 'gender' and values.dtype.kind not in 'fiu']
    if words:
        raise ValueError(f'{path}: {words[0]} has dtype {arrays[words[0]].dtype}, expected numbers')
    pose, translation, joints = arrays['poses'], arrays['trans'], BODY_KINDS[kind]
    if pose.ndim != 2 or pose.shape[1] != 3 * joints or not len(pose) or translation.shape != (len(pose), 3):
        raise ValueError(f'{path}: poses has shape {pose.shape} and trans {translation.shape}, expected '
                         f'(F, {3 * joints}) and (F, 3) of {kind}')
    for name in ('poses', 'trans', 'betas'):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f'{path}: {name} holds NaN or infinity, first in row '
                             f'{int(np.argwhere(~np.isfinite(arrays[name]))[0][0])}')
    dmpls = arrays.get('dmpls')
    if dmpls is not None and (dmpls.ndim != 2 or len(dmpls) != len(pose) or not np.isfinite(dmpls).all()):
        raise ValueError(f'{path}: dmpls has shape {dmpls.shape} or holds NaN, expected ({len(pose)}, {NUM_DMPLS})')
    return AmassSequence(_gender(path, arrays['gender']), _frame_rate(path, arrays),
                         pose.reshape(len(pose), joints, 3), translation, arrays['betas'].reshape(-1), dmpls)


class AmassConverter:
    """Turn motions into joints; reads each body once.

    Args:
        options: see there.

    Raises:
        FileNotFoundError, ValueError, ImportError: no body at all, a wrong regressor, no smplx package.
    """

    def __init__(self, options: AmassOptions) -> None:
        self.options = options
        self._regressor = read_regressor(options.regressor, 17)
        self._bodies: dict[str, RegressedJoints] = {}
        self.note = ''
        for gender in GENDERS:  # what is wrong with every file should show before the first
            try:
                find_body(options.body_dir, options.kind, gender)
            except FileNotFoundError as error:
                missing = error
            else:
                self._body(gender)
                return
        raise FileNotFoundError(str(missing).replace("'neutral'", ' or '.join(map(repr, GENDERS))))

    def __call__(self, sequence: AmassSequence) -> dict[str, np.ndarray]:
        """Return ``keypoints_3d`` (F, 17, 3) in camera axes, mm, and, if wanted, ``smpl_pose`` (F, 24, 3)."""
        options, rates = self.options, (sequence.fps, self.options.fps)
        pose = resample_rotations(sequence.pose, *rates)
        shape = np.zeros((len(pose), options.num_betas))
        betas = sequence.betas[:options.num_betas]
        shape[:, :len(betas)] = betas
        if options.dmpl_dir is not None:
            if sequence.dmpls is None or sequence.dmpls.shape[1] < NUM_DMPLS:
                raise ValueError(f'the file has no {NUM_DMPLS} dmpls; convert without --dmpls')
            shape = np.concatenate([shape, resample(sequence.dmpls[:, :NUM_DMPLS], *rates)], axis=1)
        joints = self._body(sequence.gender)(pose, shape, resample(sequence.translation, *rates))
        arrays = {'keypoints_3d': (joints @ WORLD_TO_CAMERA.T * MM_PER_METRE).astype(np.float32)}
        if options.with_pose:
            root = matrix_to_axis_angle(WORLD_TO_CAMERA @ axis_angle_to_matrix(pose[:, :1]))
            pose = np.concatenate([root, pose[:, 1:]], axis=1)[:, SMPL24_JOINTS[options.kind]]
            arrays['smpl_pose'] = pose.astype(np.float32)
        return arrays

    def _body(self, gender: str) -> RegressedJoints:
        if gender not in self._bodies:
            options = self.options
            dmpls = None if options.dmpl_dir is None else read_dmpls(options.dmpl_dir, gender, NUM_DMPLS)
            path = find_body(options.body_dir, options.kind, gender)
            body = read_body(path, options.kind, options.num_betas, dmpls)
            regressor, self.note = order_regressor(self._regressor, body)
            self._bodies[gender] = RegressedJoints(body, regressor, batch_frames=options.batch_frames)
        return self._bodies[gender]


@lru_cache(maxsize=1)
def converter_of(options: AmassOptions) -> AmassConverter:
    """Return the one converter of this process for these options."""
    return AmassConverter(options)


def open_work_folder(out_dir: Path, options: AmassOptions) -> WorkFolder:
    """Return the folder of finished pieces for these options."""
    regressor = zlib.crc32(Path(options.regressor).read_bytes())
    settings = {key: value for key, value in asdict(options).items() if key != 'batch_frames'}
    return WorkFolder(out_dir, {**settings, 'regressor_crc': regressor})


def convert_files(files: Mapping[str, Path], work: WorkFolder, options: AmassOptions,
                  workers: int = 0) -> Iterator[tuple[str, str]]:
    """Convert every file that has no finished piece yet.

    Args:
        files: name -> file.
        work: takes the pieces.
        options: of the conversion.
        workers: processes; 0 works in this one.

    Yields:
        Name and what is wrong with the file, an empty string if nothing; in any order.
    """
    jobs = [(options, work, name, path) for name, path in files.items()]
    if not workers:
        yield from map(_convert_file, jobs)
        return
    # Torch's threads do not survive a fork.
    with ProcessPoolExecutor(workers, multiprocessing.get_context('spawn'), torch.set_num_threads, (1,)) as pool:
        yield from pool.map(_convert_file, jobs)


def _convert_file(job: tuple) -> tuple[str, str]:
    """Make one piece; return name and what is wrong with the file."""
    options, work, name, path = job
    try:
        if not work.has(name, path):
            sequence = read_sequence(path, options.kind)
            work.save(name, path, {**converter_of(options)(sequence), 'source_fps': np.array(sequence.fps)})
    except (ValueError, OSError) as error:
        return name, ' '.join(str(error).split())
    return name, ''


def _gender(path: Path, value: np.ndarray) -> str:
    """Read text, bytes, the text of bytes, or an array of one of them."""
    entries = np.asarray(value).reshape(-1)
    first = entries[0] if len(entries) else ''
    text = first.decode('latin1') if isinstance(first, bytes) else str(first)
    gender = text.removeprefix("b'").removesuffix("'").strip().lower()
    if gender not in GENDERS:
        raise ValueError(f'{path}: gender is {value!r}, expected one of {", ".join(GENDERS)}')
    return gender


def _frame_rate(path: Path, arrays: Mapping[str, np.ndarray]) -> float:
    for part, rate in RATE_FIXES.items():
        if part in path.as_posix():
            return rate
    rates = [float(np.asarray(arrays[key]).reshape(-1)[0]) for key in RATE_KEYS if key in arrays]
    if not rates or not 0 < rates[0] < np.inf:
        raise ValueError(f'{path}: frame rate is {rates or "missing"}, expected a positive number under '
                         f'{" or ".join(RATE_KEYS)}')
    return rates[0]
