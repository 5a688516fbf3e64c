"""Is a download of MPI-INF-3DHP complete? Files, frame counts and numbers of the annotations; no images."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io

from motionbert_mm.datasets.checks.report import Progress, Report, examples
from motionbert_mm.io.joint_order import implausible_order
from motionbert_mm.structures.skeleton import get_skeleton

SKELETON = get_skeleton('mpi_inf_3dhp28')
# Frames of each training sequence, in the order S1 Seq1, S1 Seq2, ... Source: P-STMO, common/utils_3dhp.py.
FRAMES = dict(zip([f'S{subject}/Seq{sequence}' for subject in range(1, 9) for sequence in (1, 2)],
                  (6416, 12430, 6502, 6081, 12488, 12283, 6171, 6675,
                   12820, 12312, 6188, 6145, 6239, 6320, 6468, 6054)))
TESTS = tuple(f'TS{number}' for number in range(1, 7))
NUM_CAMERAS = 14
WIDTHS = {'annot2': 2, 'annot3': 3, 'univ_annot3': 3}  # coordinates per joint
LEG_LENGTHS = (300.0, 1300.0)  # thigh plus shank, millimetres
HDF5_SIGNATURE = b'\x89HDF\r\n\x1a\n'
SAMPLE = 64
ADVICE = 'run get_dataset.sh of the download again'


def check_3dhp(path: Path, progress: Progress) -> Report:
    """Check a folder with S1 to S8 and, somewhere below it, TS1 to TS6."""
    report = Report('3dhp', path)
    found = [name for name in FRAMES if (path / name / 'annot.mat').is_file()]
    lacking = sorted(set(FRAMES) - set(found))
    if lacking:
        report.missing('training', f'{len(lacking)} of {len(FRAMES)} annot.mat: {", ".join(lacking)}', ADVICE,
                       blocks=not found)
    frames, broken = {}, []
    for name in progress(found):
        try:
            frames[name] = _count_frames(path / name / 'annot.mat')
        except ValueError as error:
            broken.append(f'{name}: {error}')
    report.broken_each('training', broken, ADVICE)
    short = [f'{name} has {count:,} of {FRAMES[name]:,}' for name, count in frames.items() if count < FRAMES[name]]
    if short:
        report.missing('frames', examples(short), ADVICE)
    if frames:
        report.ok('training', f'{len(frames)} of {len(FRAMES)} annot.mat, {sum(frames.values()):,} frames in each of '
                  f'{NUM_CAMERAS} cameras')
    blind = [name for name in found if not (path / name / 'camera.calibration').is_file()]
    if blind:
        report.missing('calibration', f'no camera.calibration in {examples(blind)}', ADVICE)
    _check_tests(path, report)
    report.ok('converter', 'none yet in this package')
    return report


def _count_frames(path: Path) -> int:
    """Check one annot.mat and count its frames; a ValueError says what is wrong with it."""
    try:
        content = scipy.io.loadmat(path, variable_names=list(WIDTHS))
    except Exception as error:  # a damaged file raises any type
        raise ValueError(f'truncated or no MATLAB file ({type(error).__name__}: {error})') from None
    missing = [key for key in WIDTHS if key not in content]
    if missing:
        raise ValueError(f'lacks {", ".join(missing)}')
    lengths = {}
    for key, width in WIDTHS.items():
        cameras, columns = content[key].ravel(), width * SKELETON.num_joints
        shapes = [np.shape(values) for values in cameras]
        if len(cameras) != NUM_CAMERAS or {shape[1:] for shape in shapes} != {(columns,)}:
            raise ValueError(f'{key} holds {len(cameras)} cameras of shapes {sorted(set(shapes))}, expected '
                             f'{NUM_CAMERAS} of (n, {columns})')
        if not all(np.isfinite(values).all() for values in cameras):
            raise ValueError(f'{key} holds NaN or infinity')
        lengths[key] = [shape[0] for shape in shapes]
    if lengths['annot2'] != lengths['annot3'] or lengths['annot2'] != lengths['univ_annot3']:
        raise ValueError(f'2D and 3D have different numbers of frames: {lengths}')
    if not min(lengths['annot2']):
        raise ValueError('a camera without frames')
    _check_poses(content)
    return min(lengths['annot2'])


def _check_poses(content: dict) -> None:
    """Judge joint order and unit by some frames of the first camera."""
    pixels, points = (content[key].ravel()[0] for key in ('annot2', 'univ_annot3'))
    rows = np.linspace(0, len(pixels) - 1, SAMPLE).astype(int)
    reasons = implausible_order(pixels[rows].reshape(len(rows), -1, 2), SKELETON)
    if reasons:
        raise ValueError(f'annot2 is not in the order of {SKELETON.name}: {"; ".join(reasons)}')
    points = points[rows].reshape(len(rows), -1, 3)
    bones = [np.linalg.norm(points[:, end] - points[:, start], axis=-1) for start, end in SKELETON.legs]
    leg = float(np.median(np.sum(bones, axis=0) / 2))
    if not LEG_LENGTHS[0] <= leg <= LEG_LENGTHS[1]:
        raise ValueError(f'univ_annot3: a leg is {leg:.3g} long, expected millimetres')


def _check_tests(path: Path, report: Report) -> None:
    """Look for the test files, which are HDF5."""
    files = {name: next(iter(sorted(path.rglob(f'{name}/annot_data.mat'))), None) for name in TESTS}
    lacking = [name for name, file in files.items() if file is None]
    if lacking:
        report.missing('test', f'{len(lacking)} of {len(TESTS)} annot_data.mat: {", ".join(lacking)}',
                       'run get_testset.sh of the download')
    whole = [name for name, file in files.items() if file is not None and _is_hdf5(file)]
    if whole:
        report.ok('test', f'{len(whole)} of {len(TESTS)} annot_data.mat, not opened')
    report.broken_each('test', [f'{file} is no HDF5 file' for name, file in files.items()
                                if file is not None and name not in whole],
                       'run get_testset.sh of the download again')


def _is_hdf5(path: Path) -> bool:
    with path.open('rb') as file:
        head = file.read(1024)
    return HDF5_SIGNATURE in (head[:8], head[512:520])  # MATLAB puts 512 bytes of text before it
