"""Measure predicted sequences under one or several named protocols: of Human3.6M, of MPI-INF-3DHP, or of meshes.

PRED.npz is what tools/test.py --dump wrote, or a file of another method with one array ID/keypoints_3d,
(F, J, 3) millimetres in camera axes, per sequence ID; the truth then comes from the motion store --store, whose clips
are called ID. Frames other than 0..F-1 need ID/frame_ids too. Meshes need ID/smpl_pose (F, 24, 3), axis-angle in
radians, and ID/smpl_betas (F, 10) besides; --body-model poses them.
"""
from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
from tqdm import tqdm

from motionbert_mm.datasets.base import ACTIVITY, VALID
from motionbert_mm.datasets.motion_store import Clip, MotionStore
from motionbert_mm.engine.command_line import one_line_errors
from motionbert_mm.evaluation.groupings import get_grouping
from motionbert_mm.evaluation.metrics import MeshMetric, MotionMetric, Pose3DMetric
from motionbert_mm.evaluation.metrics.report import Report, format_table
from motionbert_mm.evaluation.prediction_file import PredictedSequence, Predictions, Rows, read_predictions
from motionbert_mm.evaluation.protocols import MESH_PROTOCOLS, PROTOCOLS
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.structures.skeleton import get_skeleton

# Typical distance of a joint from the root, prediction by truth, beyond which the unit must be wrong.
TOO_SMALL, TOO_LARGE = 0.05, 20.0
SHOWN = 5  # names in an error message
KNOWN = (*PROTOCOLS, *MESH_PROTOCOLS)
BODY = ('smpl_pose', 'smpl_betas')


def choose_protocols(names: Sequence[str], predictions: Predictions) -> list[str]:
    """Return the protocols of the command line, or that of the file; 'all' are those of bodies, or of a skeleton.

    Raises:
        ValueError: none, or one of meshes for a file without bodies.
    """
    default, skeleton = predictions.protocol, predictions.skeleton
    has_bodies = all(part.windows.smpl_pose is not None and part.windows.smpl_betas is not None
                     for part in predictions.sequences)
    if not names and not default:
        raise ValueError(f'the file names no protocol; choose with --protocol from {", ".join(KNOWN)}, all')
    if 'all' not in names:
        chosen = list(dict.fromkeys(names or [default]))
        if not has_bodies and set(chosen) & set(MESH_PROTOCOLS):
            raise ValueError(f'{", ".join(name for name in chosen if name in MESH_PROTOCOLS)} measures meshes, but not '
                             'every sequence ID has ID/smpl_pose and ID/smpl_betas')
        return chosen
    if has_bodies:
        return list(MESH_PROTOCOLS)
    fitting = [name for name, protocol in PROTOCOLS.items() if skeleton in (None, protocol.skeleton)]
    if not fitting:
        known = sorted({protocol.skeleton for protocol in PROTOCOLS.values()})
        raise ValueError(f'no protocol is defined for skeleton {skeleton!r}, only for {", ".join(known)}; convert the '
                         'predictions to one of them')
    return fitting


def make_metric(name: str, args: argparse.Namespace) -> MotionMetric:
    """Build the metric of a protocol."""
    if name not in MESH_PROTOCOLS:
        return Pose3DMetric(name, skip_list=args.skip)
    if args.body_model is None:
        raise ValueError(f'protocol {name!r} measures meshes; name the body by --body-model, an SMPL file with '
                         "--regressor, or 'synthetic'")
    return MeshMetric(dict(path=args.body_model, regressor=args.regressor), protocol=name, skip_list=args.skip)


def add_truth(predictions: Predictions, store: MotionStore) -> Predictions:
    """Replace the ground truth by that of a store, relative to the root; frames that it calls invalid do not count.

    Raises:
        ValueError: another skeleton, number of joints or frames, or another unit.
    """
    if predictions.skeleton not in (None, store.skeleton):
        raise ValueError(f'the predictions have skeleton {predictions.skeleton!r}, {store.path} has '
                         f'{store.skeleton!r}; name a store of the same joints')
    if 'keypoints_3d' not in store.arrays and not _has_bodies(store):
        raise ValueError(f'{store.path} has no keypoints_3d, and no {" and ".join(BODY)}, only {sorted(store.arrays)}; '
                         'it cannot be the truth')
    clips = {clip.name: clip for clip in store.clips}
    sequences = [_with_truth(part, clips[part.name], store) if part.name in clips else part
                 for part in predictions.sequences]
    return replace(predictions, sequences=sequences, skeleton=store.skeleton)


def _has_bodies(store: MotionStore) -> bool:
    return all(name in store.arrays for name in BODY)


def _with_truth(sequence: PredictedSequence, clip: Clip, store: MotionStore) -> PredictedSequence:
    """Look up the truth of the predicted frames of one sequence."""
    persons, frames, joints, _ = sequence.merged.keypoints_3d.shape
    skeleton = get_skeleton(store.skeleton)
    if joints != skeleton.num_joints:
        raise ValueError(f'{sequence.name}: the predictions have {joints} joints, {store.path} has the '
                         f'{skeleton.num_joints} of {skeleton.name}: {", ".join(skeleton.joints)}; bring them to these')
    last = int(sequence.merged.frame_ids.max(initial=0))
    is_cut = not sequence.states_frames and frames != clip.length
    if persons != clip.persons or last >= clip.length or is_cut:
        raise ValueError(f'{sequence.name}: the predictions have {persons} persons and {frames} frames, the last of '
                         f'them {last}, {store.path} has {clip.persons} persons and {clip.length} frames; predict '
                         f'every frame, or say which by {sequence.name}/frame_ids')
    rows = slice(clip.start, clip.start + clip.persons * clip.length)
    truth: dict[str, np.ndarray] = {}
    if 'keypoints_3d' in store.arrays:
        points = np.asarray(store.arrays['keypoints_3d'][rows], np.float32).reshape(persons, clip.length, joints, 3)
        truth['ground_truth'] = points - points[:, :, skeleton.root, None]
    if _has_bodies(store):
        truth.update({f'true_{name}': np.asarray(store.arrays[name][rows], np.float32).reshape(
            persons, clip.length, *store.arrays[name].shape[1:]) for name in BODY})
    valid, activity = np.ones((persons, clip.length), bool), None
    if VALID in store.arrays:
        valid = np.asarray(store.arrays[VALID][rows]).reshape(persons, clip.length)
    if ACTIVITY in store.arrays:  # that of the first person, as MotionDataset has it
        activity = np.asarray(store.arrays[ACTIVITY][rows][:clip.length])
    merged = _fill(sequence.merged, truth, valid, activity)
    windows = merged if sequence.windows is sequence.merged else _fill(sequence.windows, truth, valid, activity)
    facts = {'subject': clip.subject, 'action': clip.action, 'camera': clip.camera,
             'fps': store.clip_fps(clip)}
    return replace(sequence, merged=merged, windows=windows, facts=facts)


def _fill(rows: Rows, truth: Mapping[str, np.ndarray], valid: np.ndarray, activity: Optional[np.ndarray]) -> Rows:
    """Put the truth (M, F, ...), what it is valid for (M, F) and the activity (F,) of the rows' frames in."""
    visible = np.ones(rows.keypoints_3d.shape[:3], bool) if rows.visible is None else rows.visible.astype(bool)
    return rows._replace(**{name: values[:, rows.frame_ids] for name, values in truth.items()},
                         visible=visible & valid[:, rows.frame_ids, None],
                         activity=rows.activity if activity is None else activity[rows.frame_ids])


def check_unit(predictions: Predictions) -> None:
    """Refuse predictions of unknown joints, or in metres and the like: their size must be that of the truth.

    Files that state their unit are taken at their word, for the poses of an untrained network may be small.
    """
    if predictions.skeleton is None:
        raise ValueError("the file does not say which joints it holds; add an array skeleton, e.g. 'h36m', or name a "
                         'motion store by --store')
    if predictions.unit == 'mm':
        return
    if predictions.unit is not None:
        raise ValueError(f'the predictions are in {predictions.unit}; bring them to millimetres, unit mm')
    root = get_skeleton(predictions.skeleton).root
    merged = [part.merged for part in predictions.sequences if part.merged.ground_truth is not None]
    if not merged:
        return
    sizes = [np.nanmedian([np.nanmedian(np.linalg.norm(points - points[:, :, root, None], axis=-1)) for points in side])
             for side in ([rows.keypoints_3d for rows in merged], [rows.ground_truth for rows in merged])]
    if sizes[0] / sizes[1] < TOO_SMALL or sizes[0] / sizes[1] > TOO_LARGE:
        raise ValueError(f'a joint is {sizes[0]:.3g} away from the root in the predictions and {sizes[1]:.3g} mm in '
                         'the ground truth; the predictions must be in millimetres (multiply metres by 1000)')


def check_sequences(predictions: Predictions, metric: MotionMetric, store: Optional[MotionStore]) -> None:
    """Refuse sequences without truth, and clips of the store without prediction, unless they are left out anyway."""
    known = {part.name for part in predictions.sequences}
    clips = [clip.name for clip in store.clips] if store else []
    truth, words = ('true_smpl_pose', 'bodies') if isinstance(metric, MeshMetric) else ('ground_truth', 'keypoints_3d')
    unknown = [part.name for part in predictions.sequences if not metric.is_skipped(part.name) and
               ((store and part.name not in clips) or getattr(part.windows, truth) is None)]
    place = 'hold no ground truth; name a motion store that has it by --store'
    if store is not None:
        place = f'are not in {store.path} with {words} as truth, whose clips are called like {clips[0]!r}'
    if unknown:
        raise ValueError(f'{len(unknown)} of {len(known)} predicted sequences {place}: {_some(unknown)}')
    missing = [name for name in clips if name not in known and not metric.is_skipped(name)]
    if missing:
        raise ValueError(f'{len(missing)} of {len(clips)} clips of {store.path} are not predicted: '
                         f'{_some(missing)}; predict them, or leave them out by --skip PATTERN')


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:SHOWN]) + (', ...' if len(names) > SHOWN else '')


def measure(predictions: Predictions, metric: MotionMetric, title: str) -> Report:
    """Run all windows through a metric, as a test does."""
    for sequence in tqdm(predictions.sequences, desc=title, unit='sequence', disable=None):
        samples = sequence.samples(predictions.skeleton, predictions.flip_test)
        if metric.is_skipped(sequence.name):  # it may lack the truth; the metric counts it by its name
            samples = [({'sample_id': sequence.name}, {'sample_id': sequence.name})]
        for prediction, target in samples:
            metric.process({'data_samples': [target]}, [prediction])
    return metric.report(metric.results)


def compare(reports: Mapping[str, Report]) -> str:
    """Lay out one row per protocol."""
    names = [name for name in next(iter(reports.values())).metrics if '/' not in name]
    rows = [[protocol, *(report.metrics.get(name, math.nan) for name in names),
             *(report.counts[key] for key in ('sequences', 'frames', 'excluded'))]
            for protocol, report in reports.items()]
    return format_table(['protocol', *names, 'sequences', 'frames', 'excluded'], rows)


def write_json(path: Path, source: Path, reports: Mapping[str, Report]) -> None:
    """Write all numbers: protocol -> metrics, counts, the protocol in words, and table -> group -> means."""
    content = {name: {'metrics': report.metrics, 'counts': report.counts, 'protocol': report.protocol,
                      'tables': {table: _plain(rows) for table, rows in report.groupings.items()}}
               for name, report in reports.items()}
    with atomic_path(path) as work:
        work.write_text(json.dumps({'predictions': str(source), 'protocols': content}, indent=1), encoding='utf-8')


def _plain(groups: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Leave out what JSON does not know: means over nothing."""
    return {group: {key: value for key, value in row.items() if not math.isnan(value)} for group, row in groups.items()}


def write_csv(path: Path, reports: Mapping[str, Report]) -> None:
    """Write one row per protocol, table and group, and one per protocol and average."""
    with atomic_path(path) as work, open(work, 'w', newline='', encoding='utf-8') as file:
        columns = [name for name in next(iter(reports.values())).metrics if '/' not in name]
        table = csv.writer(file)
        table.writerow(['protocol', 'table', 'group', 'clips', 'frames', *columns])
        for protocol, report in reports.items():
            for name, groups in report.groupings.items():
                for group, row in groups.items():
                    table.writerow([protocol, name, group, row['clips'], row['frames'], *map(row.get, columns)])
            counts = [report.counts['sequences'], report.counts['frames']]
            stated = [name for name, groups in report.groupings.items() if groups]
            for average, plural in (('frame', 'frames'), ('clip', 'clips'),
                                    *((name, get_grouping(name).plural) for name in stated)):
                values = [report.metrics.get(f'{name}/{average}', '') for name in columns]
                table.writerow([protocol, average, f'mean over {plural}', *counts, *values])


def parse_args(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('predictions', type=Path, metavar='PRED.npz')
    parser.add_argument('--protocol', nargs='+', default=[], choices=[*KNOWN, 'all'], metavar='NAME',
                        help=f'{", ".join(PROTOCOLS)}, or of meshes {", ".join(MESH_PROTOCOLS)}; all compares those of '
                             'meshes, or else of the skeleton (default: that of the tested config)')
    parser.add_argument('--body-model', metavar='PATH', help="SMPL that poses meshes, .npz or .pkl, or 'synthetic'")
    parser.add_argument('--regressor', metavar='PATH', help='.npy (17, V) of the joints of that body')
    parser.add_argument('--store', type=Path, metavar='DIR',
                        help='motion store with the truth; it goes before truth in the file')
    parser.add_argument('--skip', nargs='+', default=[], metavar='PATTERN',
                        help='sequences to leave out besides those of the protocol, names or shell patterns')
    parser.add_argument('--json', type=Path, metavar='OUT', help='write all numbers')
    parser.add_argument('--csv', type=Path, metavar='OUT', help='write the tables of all protocols')
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Read, measure, print and write."""
    predictions = read_predictions(args.predictions)
    store = None if args.store is None else MotionStore(args.store)
    if store is not None:
        predictions = add_truth(predictions, store)
    reports: dict[str, Report] = {}
    for name in choose_protocols(args.protocol, predictions):
        metric = make_metric(name, args)
        check_sequences(predictions, metric, store)
        check_unit(predictions)
        reports[name] = measure(predictions, metric, name)
        print(f'{reports[name].table}\n{reports[name].protocol}\n')
    if len(reports) > 1:
        print(compare(reports))
    if args.json:
        write_json(args.json, args.predictions, reports)
    if args.csv:
        write_csv(args.csv, reports)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    args = parse_args(arguments)
    with one_line_errors():
        run(args)


if __name__ == '__main__':
    main()
