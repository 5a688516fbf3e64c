"""Are the sources of mesh recovery complete? Every file is read as its converter reads it."""
from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Optional

import numpy as np

from motionbert_mm.datasets import coco_eft, threedpw
from motionbert_mm.datasets.checks.report import Progress, Report, examples, opened
from motionbert_mm.datasets.motionbert_mesh import DATASETS, MeshFile
from motionbert_mm.io.joint_order import implausible_order
from motionbert_mm.structures.skeleton import get_skeleton

SKELETON = 'h36m'
SAMPLE = 200
# Source: the data set's own split into folders, 60 sequences.
PW3D_SEQUENCES = {'train': 24, 'validation': 12, 'test': 24}
PICKLE_ADVICE = 'get it from the link in docs/mesh.md of the MotionBERT repository'
PW3D_ADVICE = 'unpack sequenceFiles.zip again: https://virtualhumans.mpi-inf.mpg.de/3DPW'
EFT_ADVICE = 'github.com/facebookresearch/eft (docs/README_dataformat.md) links it'
COCO_ADVICE = 'unpack annotations_trainval2014.zip of https://cocodataset.org'


def check_motionbert_mesh(path: Path, progress: Progress) -> Report:
    """Check a mesh pickle of MotionBERT, or a folder that holds some."""
    report = Report('motionbert-mesh', path)
    files = [path] if path.is_file() else sorted(path.rglob('mesh_det_*.pkl'))
    if not files:
        report.missing('mesh_det_*.pkl', f'not in {path}', PICKLE_ADVICE, blocks=True)
    for file in files:
        dataset = next((name for name in DATASETS if f'_{name}' in file.stem), None)
        if dataset is None:
            report.broken(file.name, 'its name does not say the data set',
                          f'call it mesh_det_NAME.pkl with NAME one of {", ".join(DATASETS)}')
            continue
        report.command = (f'python tools/dataset_converters/motionbert_mesh.py {dataset} {shlex.quote(str(file))} '
                          f'data/mesh/{dataset}')
        content = opened(report, file.name, 'download the file again', MeshFile, file, dataset)
        for split in content.fps if content else ():
            _check_mesh_split(content, split, f'{file.name}: {split}', report, progress)
        for note in content.notes() if content else ():
            report.ok(file.name, note)
    return report


def _check_mesh_split(files: MeshFile, split: str, place: str, report: Report, progress: Progress) -> None:
    frames, problems, samples = 0, [], []
    keys = files.keys(split)
    step = max(len(keys) // SAMPLE, 1)
    for key in progress(keys):
        try:
            clip = files.read(split, key)
        except ValueError as error:
            problems.append(' '.join(str(error).split()))
            continue
        frames += len(clip.arrays['smpl_pose'])
        bad = [name for name, values in clip.arrays.items() if not np.isfinite(values).all()]
        if bad:
            problems.append(f'{clip.name}: NaN or infinity in {", ".join(bad)}')
        elif key % step == 0:
            middle = len(clip.arrays['detected_2d']) // 2
            samples.append((clip.arrays['detected_2d'][middle], clip.arrays['detected_confidence'][middle]))
    report.ok(f'{place}: frames', f'{frames:,} in {len(keys):,} clips')
    report.broken_each(f'{place}: contents', problems, 'download the file again, or repair and pickle it')
    _check_order(place, samples, report)


def check_threedpw(path: Path, progress: Progress) -> Report:
    """Check the unpacked sequenceFiles of 3DPW, or the folder above."""
    report = Report('3dpw', path, f'python tools/dataset_converters/threedpw.py {shlex.quote(str(path))} data/3dpw')
    try:
        splits = threedpw.find_sequences(path)
    except FileNotFoundError as error:
        report.missing('sequences', error, PW3D_ADVICE, blocks=True)
        return report
    for split, full in PW3D_SEQUENCES.items():
        files = splits.get(split, [])
        report.compare(f'{split}: sequences', len(files), full, PW3D_ADVICE)
        if files:
            _check_sequences(split, files, report, progress)
    return report


def _check_sequences(split: str, files: list, report: Report, progress: Progress) -> None:
    broken, samples, left_out, people, frames = [], [], Counter(), 0, 0
    for file in progress(files):
        try:
            sequence = threedpw.read_sequence(file)
        except (OSError, ValueError) as error:
            broken.append(' '.join(str(error).split()))
            continue
        left_out.update(sequence.unused)
        for person in sequence.people:
            people, frames = people + 1, frames + len(person.frames)
            middle = len(person.frames) // 2
            samples.append((person.detected[middle], person.confidence[middle]))
    report.broken_each(f'{split}: files', broken, PW3D_ADVICE)
    report.ok(f'{split}: persons', f'{people} in {frames:,} images with a known camera' + ''.join(
        f'; {count} {reason}' for reason, count in left_out.items()))
    _check_order(split, samples, report)


def check_coco_eft(path: Path, progress: Progress) -> Report:
    """Check a folder with one of EFT's files for COCO and the keypoint annotations of the same images."""
    report = Report('coco-eft', path)
    fits = _find(path, 'COCO2014-*.json', EFT_ADVICE, report)
    split = 'val' if fits and 'val' in fits.stem.lower() else 'train'
    annotations = _find(path, f'person_keypoints_{split}2014.json', COCO_ADVICE, report)
    names = (fits or path / 'COCO2014-All-ver01.json', annotations or path / f'person_keypoints_{split}2014.json')
    sources = ' '.join(shlex.quote(str(name)) for name in names)
    report.command = f'python tools/dataset_converters/coco_eft.py {sources} data/coco_eft'
    people = fits and annotations and opened(report, fits.name, 'download both files again', coco_eft.read_people,
                                             fits, annotations)
    if people:
        report.ok('people', f'{len(people.names):,} with 2D joints' + ''.join(
            f'; {count:,} {reason}' for reason, count in people.unused.items()))
        rows = np.unique(np.linspace(0, len(people.names) - 1, SAMPLE).astype(int))
        samples = [(people.arrays['detected_2d'][row], people.arrays['detected_confidence'][row])
                   for row in progress(rows)]
        _check_order('people', samples, report)
    return report


def _find(path: Path, pattern: str, advice: str, report: Report) -> Optional[Path]:
    """Return the first file of a pattern beside or below ``path``; report that there is none."""
    found = sorted((path.parent if path.is_file() else path).rglob(pattern))
    if not found:
        report.missing(pattern, f'not in {path}', advice, blocks=True)
    elif len(found) > 1:
        report.ok(pattern, f'{examples(file.name for file in found)}; the first is checked')
    return found[0] if found else None


def _check_order(place: str, samples: list, report: Report) -> None:
    """Judge the joint order of poses (17, 2) with confidence (17,), one of each clip."""
    if not samples:
        return
    points, confidence = (np.stack(parts) for parts in zip(*samples))
    reasons = implausible_order(points, get_skeleton(SKELETON), confidence)
    if reasons:
        report.broken(f'{place}: joints', f'not in the order of {SKELETON}: {"; ".join(reasons)}',
                      'expected the 17 joints of motionbert_mm/structures/skeleton_table.py')
    else:
        report.ok(f'{place}: joints', f'2D joints in the order of {SKELETON}')
