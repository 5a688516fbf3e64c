"""Are the files of Human3.6M complete? They are read as the converter reads them, sequence by sequence."""
from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Optional

import numpy as np

from motionbert_mm.datasets.checks.report import MAX_EXAMPLES, Progress, Report, examples, opened
from motionbert_mm.datasets.human36m import ACTIONS, IMAGE_SIZES, SKELETON, SPLITS, Human36MFiles
from motionbert_mm.datasets.human36m_mmpose import MMPoseFiles
from motionbert_mm.datasets.human36m_motionbert import MotionBERTFile
from motionbert_mm.datasets.human36m_videopose3d import VideoPose3DFiles
from motionbert_mm.datasets.pose_files import PoseSequence
from motionbert_mm.io.joint_order import implausible_order
from motionbert_mm.structures.skeleton import get_skeleton

CONVERTER = 'python tools/dataset_converters/h36m.py'
PICKLE = 'h36m_sh_conf_cam_source_final.pkl'
# Frames of the official pickle. Source: its arrays, as MotionBERT's lib/data/datareader_h36m.py reads them.
NUM_FRAMES = {'train': 1_559_752, 'test': 566_920}
TAKES = 2  # of every action
SINGLE_TAKES = {('S11', 'Directions')}  # the video of the other one is corrupt; VideoPose3D leaves it out
FACTORS = (1.0, 20.0)  # millimetres per pixel of somebody at 1 to 20 m from a camera of this studio
FRAMES_PER_SEQUENCE = 3
CONFIDENCE_OF = {'keypoints_2d': None, 'detected_2d': 'detected_confidence'}


def check_motionbert(path: Path, progress: Progress) -> Report:
    """Check MotionBERT's pickle, or a folder that holds it."""
    report = Report('h36m-motionbert', path)
    file = find_file(path, PICKLE, report, 'get it from the link in docs/pose3d.md of the MotionBERT repository')
    report.command = f'{CONVERTER} motionbert {shlex.quote(str(file or path / PICKLE))} data/h36m'
    files = file and opened(report, file.name, 'download the file again', MotionBERTFile, file)
    for split in SPLITS if files else ():
        check_sequences(files, split, report, progress, full_frames=NUM_FRAMES[split])
    return report


def check_videopose3d(path: Path, progress: Progress) -> Report:
    """Check the folder of VideoPose3D's data_3d_h36m.npz and data_2d_h36m_*.npz."""
    report = Report('h36m-videopose3d', path)
    folder = path.parent if path.is_file() else path
    positions = find_file(folder, 'data_3d_h36m.npz', report, 'make it as DATASETS.md of VideoPose3D says')
    found = sorted(folder.glob('data_2d_h36m_*.npz'))
    exact = [file for file in found if file.stem.endswith('_gt')]
    detections = [file for file in found if file not in exact]
    if detections:
        report.ok('2D detections', ', '.join(file.name for file in detections))
    else:
        report.missing('2D detections', f'no data_2d_h36m_*.npz but {[file.name for file in exact]}',
                       'links in DATASETS.md of VideoPose3D; without them train and test with exact 2D '
                       "(input_2d='exact')")
    sources = [positions or folder / 'data_3d_h36m.npz', *exact[:1], *detections[:1]]
    report.command = f'{CONVERTER} videopose3d {" ".join(shlex.quote(str(file)) for file in sources)} data/h36m'
    for detected in (detections or [None]) if positions else ():
        label = detected.name if detected else positions.name
        files = opened(report, label, 'download or make the file again', VideoPose3DFiles, positions,
                       detected=detected, exact=(exact or [None])[0])
        for split in SPLITS if files else ():
            check_sequences(files, split, report, progress, label=f'{label}: ' if len(detections) > 1 else '')
    return report


def check_mmpose(path: Path, progress: Progress) -> Report:
    """Check a folder of h36m_train.npz, h36m_test.npz and cameras.pkl, at any depth."""
    report = Report('h36m-mmpose', path)
    advice = 'make it with tools/dataset_converters/preprocess_h36m.py of MMPose'
    folder = path.parent if path.is_file() else path
    annotations = {split: find_file(folder, f'h36m_{split}.npz', report, advice) for split in SPLITS}
    cameras = find_file(folder, 'cameras.pkl', report, advice)
    names = [annotations['train'] or 'h36m_train.npz', annotations['test'] or 'h36m_test.npz', cameras or 'cameras.pkl']
    report.command = f'{CONVERTER} mmpose {" ".join(shlex.quote(str(name)) for name in names)} data/h36m'
    for split, file in annotations.items() if cameras else ():
        files = file and opened(report, file.name, advice, MMPoseFiles, {split: file}, cameras)
        if files:
            report.ok(f'{split}: frame rate', f'{files.fps[split]:g} fps')
            check_sequences(files, split, report, progress)
    return report


def find_file(path: Path, name: str, report: Report, advice: str) -> Optional[Path]:
    """Return ``path`` itself, or the first file of this name below it; report one that is not there."""
    if path.is_file():
        return path
    found = next(iter(sorted(path.rglob(name))), None)
    if found is None:
        report.missing(name, f'not in {path}', advice, blocks=True)
    return found


class Census:
    """Counts and samples of the sequences of one split."""

    def __init__(self) -> None:
        self.frames, self.takes, self.cameras = 0, Counter(), Counter()
        self.problems: list[str] = []
        self.samples: dict[str, list] = {name: [] for name in CONFIDENCE_OF}
        self.factors: list[float] = []

    def add(self, sequence: PoseSequence) -> None:
        """Count a sequence, look for NaN and keep some frames."""
        arrays = sequence.arrays
        self.frames += len(arrays['keypoints_2d'])
        self.takes[sequence.subject, sequence.action, sequence.camera] += 1
        self.cameras[sequence.camera] += 1
        bad = [name for name, values in arrays.items() if not np.isfinite(values).all()]
        if bad:
            self.problems.append(f'{sequence.name}: NaN or infinity in {", ".join(bad)}')
            return
        rows = np.linspace(0, len(arrays['keypoints_2d']) - 1, FRAMES_PER_SEQUENCE).astype(int)
        for points, confidence in CONFIDENCE_OF.items():
            if points in arrays:
                seen = np.ones(arrays[points].shape[:2]) if confidence is None else arrays[confidence]
                self.samples[points].append((arrays[points][rows], seen[rows]))
        if 'image_factor' in arrays:
            self.factors.append(float(np.median(arrays['image_factor'])))

    def lacking(self, split: str) -> list[str]:
        """Name what the full data set has besides."""
        gaps: dict[str, list] = {}
        for subject in SPLITS[split]:
            for action in ACTIONS:
                wanted = 1 if (subject, action) in SINGLE_TAKES else TAKES
                number = sum(max(wanted - self.takes[subject, action, camera], 0) for camera in IMAGE_SIZES)
                if number:
                    gaps.setdefault(subject, []).append(f'{action} ({number})')
        present = {subject for subject, _, _ in self.takes}
        return [f'{subject}: {_listed(actions) if subject in present else "everything"}'
                for subject, actions in gaps.items()]


def _listed(actions: list) -> str:
    rest = len(actions) - MAX_EXAMPLES
    return ', '.join(actions[:MAX_EXAMPLES]) + (f' and {rest} more actions' if rest > 0 else '')


def check_sequences(files: Human36MFiles, split: str, report: Report, progress: Progress, *, label: str = '',
                    full_frames: Optional[int] = None) -> None:
    """Read all sequences of a split and report what is wrong with them.

    Args:
        files: what to read.
        split: 'train' or 'test'.
        report: takes the findings.
        progress: wraps the loop over the sequences.
        label: in front of what the table says.
        full_frames: frames of the full release, where they are known.
    """
    census, place = Census(), f'{label}{split}'
    for key in progress(files.keys(split)):
        try:
            census.add(files.read(split, key))
        except ValueError as error:
            census.problems.append(' '.join(str(error).split()))
    subjects = sorted({subject for subject, _, _ in census.takes}, key=lambda subject: int(subject[1:]))
    actions = {action for _, action, _ in census.takes}
    report.ok(f'{place}: sequences', f'{sum(census.takes.values())} with {census.frames:,} frames; '
              f'{", ".join(subjects) or "nobody"}; {len(actions)} actions; {len(census.cameras)} cameras')
    if full_frames:
        report.compare(f'{place}: frames', census.frames, full_frames, 'the official file has more; download it again, '
                       'or go on with what you have')
    gaps = census.lacking(split)
    if gaps and full_frames and census.frames >= full_frames:
        report.ok(f'{place}: takes', f'not in the release: {" | ".join(gaps)}')
    elif gaps:
        report.missing(f'{place}: takes', ' | '.join(gaps), 'sequences in brackets; every subject has 2 takes of 15 '
                       'actions seen by 4 cameras (S11 one of Directions)', blocks=not census.takes)
    report.broken_each(f'{place}: contents', census.problems, 'download or make the file again')
    _check_points(census, place, report)
    low, high = FACTORS
    strange = [factor for factor in census.factors if not low <= factor <= high]
    if strange:
        report.broken(f'{place}: factor', examples(f'{factor:.3g}' for factor in strange),
                      f'expected {low:g} to {high:g} mm per pixel')


def _check_points(census: Census, place: str, report: Report) -> None:
    """Judge the joint order of the 2D joints by some frames of every sequence."""
    for name, samples in census.samples.items():
        if not samples:
            continue
        points, confidence = (np.concatenate(parts) for parts in zip(*samples))
        reasons = implausible_order(points, get_skeleton(SKELETON), confidence)
        if reasons:
            report.broken(f'{place}: {name}', f'not in the order of {SKELETON}: {"; ".join(reasons)}',
                          'expected the 17 joints of motionbert_mm/structures/skeleton_table.py')
        else:
            report.ok(f'{place}: {name}', f'joints in the order of {SKELETON}')
