"""Is a download of MPI-INF-3DHP complete? Files, frame counts and numbers of the annotations; no images."""
from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from motionbert_mm.datasets.checks.report import Progress, Report, examples, opened
from motionbert_mm.datasets.mpi_inf_3dhp import NUM_CAMERAS, SKELETON, SPLITS, TEST, TRAIN, Recording
from motionbert_mm.datasets.mpi_inf_3dhp_download import (
    RAW_SKELETON,
    TRUTHS,
    find_tests,
    find_training,
    import_h5py,
    read_annot,
    read_annot_data,
)
from motionbert_mm.datasets.mpi_inf_3dhp_npz import PSTMOFiles
from motionbert_mm.io.joint_order import implausible_order
from motionbert_mm.structures.skeleton import Skeleton

CONVERTER = 'python tools/dataset_converters/mpi_inf_3dhp.py'
LEG_LENGTHS = (300.0, 1300.0)  # thigh plus shank, millimetres
SAMPLE = 64
ADVICE = 'run get_dataset.sh of the download again'
TEST_ADVICE = 'run get_testset.sh of the download again'
NPZ_ADVICE = 'make the file again with common/data_to_npz_3dhp*.py of P-STMO, or get it where you got it again'


def check_3dhp(path: Path, progress: Progress) -> Report:
    """Check the official download, a folder with S1 to S8 and TS1 to TS6, or one or both npz files of P-STMO.

    Args:
        path: the folder, or one of the npz files.
        progress: wraps the loops over the sequences.
    """
    made = [path] if path.is_file() else sorted(path.glob('data_*_3dhp.npz'))
    layout, sources = ('npz', made) if made else ('download', [path])
    report = Report('3dhp', path, f'{CONVERTER} {layout} {" ".join(shlex.quote(str(source)) for source in sources)} '
                    'data/mpi_inf_3dhp')
    if made:
        _check_npz(made, report, progress)
    else:
        _check_training(path, report, progress)
        _check_tests(path, report, progress)
    return report


# The official download


def _check_training(path: Path, report: Report, progress: Progress) -> None:
    """Read every annot.mat, all cameras and annotations."""
    files = find_training(path)
    lacking = [name for name in TRAIN if name not in files]
    if lacking:
        report.missing('training', f'{len(lacking)} of {len(TRAIN)} annot.mat: {", ".join(lacking)}', ADVICE,
                       blocks=not files and not find_tests(path))
    frames, broken = {}, []
    for name in progress(files):
        try:
            frames[name] = _check_annot(files[name])
        except ValueError as error:
            broken.append(f'{name}: {error}')
    report.broken_each('training', broken, ADVICE)
    _report_short('frames', frames, _wanted(TRAIN, 'frames'), report, ADVICE)
    if frames:
        report.ok('training', f'{len(frames)} of {len(TRAIN)} annot.mat, {sum(frames.values()):,} frames in each of '
                  f'{NUM_CAMERAS} cameras')
    blind = [name for name, file in files.items() if not file.with_name('camera.calibration').is_file()]
    if blind:
        report.missing('calibration', f'no camera.calibration in {examples(blind)}', ADVICE)


def _check_annot(path: Path) -> int:
    """Check one annot.mat and count its frames; a ValueError says what is wrong with it."""
    content = read_annot(path)
    lengths = {name: [len(values) for values in cameras] for name, cameras in content.items()}
    for name, cameras in content.items():
        if not all(np.isfinite(values).all() for values in cameras):
            raise ValueError(f'{name} holds NaN or infinity')
    if lengths['annot2'] != lengths['annot3'] or lengths['annot2'] != lengths['univ_annot3']:
        raise ValueError(f'2D and 3D have different numbers of frames: {lengths}')
    if not min(lengths['annot2']):
        raise ValueError('a camera without frames')
    _check_poses(content['annot2'][0], content['univ_annot3'][0], RAW_SKELETON)
    return min(lengths['annot2'])


def _check_tests(path: Path, report: Report, progress: Progress) -> None:
    """Read every annot_data.mat, where h5py is there."""
    files = find_tests(path)
    lacking = [name for name in TEST if name not in files]
    if lacking:
        report.missing('test', f'{len(lacking)} of {len(TEST)} annot_data.mat: {", ".join(lacking)}',
                       'run get_testset.sh of the download')
    try:
        import_h5py()
    except ImportError as error:
        if files:
            report.missing('test', f'{len(files)} of {len(TEST)} annot_data.mat, not opened: {error}',
                           "pip install 'motionbert_mm[data]'")
        return
    frames, valid, broken = {}, {}, []
    for name in progress(files):
        try:
            arrays = read_annot_data(files[name], *TRUTHS)
            rows = arrays['valid_frame'] > 0
            if not all(np.isfinite(values).all() for values in arrays.values()):
                raise ValueError('NaN or infinity')
            if len({len(values) for values in arrays.values()}) > 1 or not rows.any():
                raise ValueError('arrays of different lengths, or no valid frame')
            _check_poses(arrays['annot2'][rows], arrays['univ_annot3'][rows], SKELETON)
            frames[name], valid[name] = len(rows), int(rows.sum())
        except ValueError as error:
            broken.append(f'{files[name]}: {error}')
    report.broken_each('test', broken, TEST_ADVICE)
    if frames:
        report.ok('test', f'{len(frames)} of {len(TEST)} annot_data.mat')
    _report_test(frames, valid, report, TEST_ADVICE)


# P-STMO's files


def _check_npz(paths: Sequence[Path], report: Report, progress: Progress) -> None:
    """Read every sequence as the converter does."""
    files = opened(report, 'files', NPZ_ADVICE, PSTMOFiles, paths)
    for split in files.fps if files else ():
        frames, valid, broken = {}, {}, []
        for name, camera in progress(files.keys(split)):
            try:
                arrays = files.read(split, (name, camera)).arrays
                rows = arrays.get('valid', slice(None))
                _check_poses(arrays['keypoints_2d'][rows], arrays['keypoints_3d'][rows], SKELETON)
                frames[name], valid[name] = len(arrays['keypoints_2d']), int(np.sum(arrays.get('valid', 0)))
            except ValueError as error:
                broken.append(f'{name}{"" if camera is None else f".{camera}"}: {" ".join(str(error).split())}')
        report.broken_each(split, broken, NPZ_ADVICE)
        lacking = [name for name in SPLITS[split] if name not in files.sequences(split)]
        if lacking:
            report.missing(split, f'{len(lacking)} of {len(SPLITS[split])} sequences: {", ".join(lacking)}', NPZ_ADVICE)
        if split == 'test':
            _report_test(frames, valid, report, NPZ_ADVICE)
        elif frames:
            report.ok(split, f'{len(frames)} sequences, {sum(frames.values()):,} frames in each of '
                      f'{len(files.cameras)} cameras')
            _report_short('train: frames', frames, _wanted(TRAIN, 'frames'), report, NPZ_ADVICE)


def _wanted(recordings: Mapping[str, Recording], fact: str) -> dict[str, int]:
    return {name: getattr(facts, fact) for name, facts in recordings.items()}


def _report_test(frames: Mapping[str, int], valid: Mapping[str, int], report: Report, advice: str) -> None:
    """Hold frames and valid frames against those of the official protocol."""
    _report_short('test: frames', frames, _wanted(TEST, 'frames'), report, advice)
    wanted = _wanted(TEST, 'valid')
    _report_short('test: valid frames', valid, wanted, report, f'{advice}; results do not compare with published ones')
    if valid:
        report.ok('test: valid frames', f'{sum(valid.values()):,} of {sum(wanted.values()):,}')
    more = [f'{name} has {count}, officially {wanted[name]}' for name, count in valid.items() if count > wanted[name]]
    report.broken_each('test: valid frames', more, f'{advice}; frames are evaluated that must not be')


def _report_short(what: str, counts: Mapping[str, int], wanted: Mapping[str, int], report: Report, advice: str) -> None:
    """Name sequences that lack frames."""
    short = [f'{name} has {count:,} of {wanted[name]:,}' for name, count in counts.items() if count < wanted[name]]
    if short:
        report.missing(what, examples(short), advice)


def _check_poses(pixels: np.ndarray, points: np.ndarray, skeleton: Skeleton) -> None:
    """Judge joint order (F, J, 2) and unit (F, J, 3) by some frames; a ValueError says what is wrong."""
    rows = np.linspace(0, len(pixels) - 1, SAMPLE).astype(int)
    reasons = implausible_order(pixels[rows], skeleton)
    if reasons:
        raise ValueError(f'2D joints are not in the order of {skeleton.name}: {"; ".join(reasons)}')
    bones = [np.linalg.norm(points[rows, end] - points[rows, start], axis=-1) for start, end in skeleton.legs]
    leg = float(np.median(np.sum(bones, axis=0) / 2))
    if not LEG_LENGTHS[0] <= leg <= LEG_LENGTHS[1]:
        raise ValueError(f'3D poses: a leg is {leg:.3g} long, expected millimetres')
