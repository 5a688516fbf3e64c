"""Is a PYSKL pickle of NTU RGB+D complete? Every annotation is looked at, and every split recomputed."""
from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from motionbert_mm.datasets.checks.report import Progress, Report, examples
from motionbert_mm.datasets.ntu_classes import class_names, parse_name
from motionbert_mm.datasets.pyskl_annotations import FORMS, KINECT_TO_CAMERA, check_form
from motionbert_mm.io import safe_pickle
from motionbert_mm.io.joint_order import implausible_order
from motionbert_mm.structures.skeleton import get_skeleton

SUBJECTS = {1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38, 45, 46, 47, 49, 50, 52, 53, 54,
            55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103}
# Which samples train: by setup, camera and subject. Source: pyskl tools/data/ntu_preproc.py.
PROTOCOLS: dict[str, Callable[[int, int, int], bool]] = {
    'xsub': lambda setup, camera, subject: subject in SUBJECTS,
    'xview': lambda setup, camera, subject: camera != 1,
    'xset': lambda setup, camera, subject: setup % 2 == 0}
WANTED = {60: ('xsub', 'xview'), 120: ('xsub', 'xset')}
# Samples whose skeletons are not missing, of the 3D skeletons of NTU-60. Source: public training logs of ST-GCN.
SIZES = {'xsub_train': 40_091, 'xsub_val': 16_487, 'xview_train': 37_646, 'xview_val': 18_932}
SAMPLE = 200
ADVICE = 'download it again; links: tools/data/README.md of PYSKL'


def check_ntu(path: Path, progress: Progress) -> Report:
    """Check ntu60_hrnet.pkl, ntu60_3danno.pkl or one of their NTU-120 siblings."""
    report = Report('ntu-pyskl', path)
    report.command = f'python tools/dataset_converters/pyskl.py {shlex.quote(str(path))} data/{shlex.quote(path.stem)}'
    try:
        content = safe_pickle.load(path)
        annotations, splits = content['annotations'], content['split']
        names = [str(entry['frame_dir']) for entry in annotations]
        splits = {str(name): [str(member) for member in members] for name, members in splits.items()}
    except (ValueError, OSError) as error:
        report.broken(path.name, error, ADVICE)
        return report
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        report.broken(path.name, f'no dict of split and annotations with frame_dir ({error!r})', ADVICE)
        return report
    problems, forms = {}, Counter()
    for name, entry in zip(names, progress(annotations)):
        try:
            forms[_form(name, entry)] += 1
        except ValueError as error:
            problems[name] = f'{name}: {error}'
    report.broken_each('annotations', list(problems.values()), ADVICE)
    if len(forms) != 1:
        report.broken('joints', f'{dict(forms)}', f'expected one of {", ".join(FORMS.values())} in all annotations')
        return report
    skeleton = next(iter(forms))
    classes = len(class_names(max(parse_name(name).action for name in names if name not in problems)))
    report.ok('annotations', f'{len(names):,} of {classes} classes, {skeleton}')
    _check_order([entry for name, entry in zip(names, annotations) if name not in problems], skeleton, report)
    _check_splits(splits, set(names), classes, skeleton, report)
    return report


def _form(name: str, entry: Any) -> str:
    """Return the skeleton of an annotation, or raise a ValueError that says what is wrong with it."""
    sample = parse_name(name)
    if sample is None:
        raise ValueError('frame_dir is not like S001C001P001R001A001')
    form = check_form(entry)
    if not np.size(entry['keypoint']):
        raise ValueError(f'keypoint is empty, of shape {np.shape(entry["keypoint"])}')
    if 'label' not in entry:
        raise ValueError(f'lacks label; it holds {sorted(entry)}')
    if entry['label'] != sample.label:
        raise ValueError(f'label is {entry["label"]}, expected the class of its name minus 1')
    return form


def _check_order(annotations: list, skeleton: str, report: Report) -> None:
    """Judge the joint order by the middle frame of the first person of a sample of the annotations."""
    chosen = [annotations[row] for row in np.linspace(0, len(annotations) - 1, SAMPLE).astype(int)]
    points = np.stack([np.asarray(entry['keypoint'], np.float64)[0, entry['total_frames'] // 2] for entry in chosen])
    if skeleton == 'ntu25':
        points = (points * KINECT_TO_CAMERA)[..., :2]
    reasons = implausible_order(points, get_skeleton(skeleton), points.any(-1).astype(float))
    if reasons:
        report.broken('joint order', f'not that of {skeleton}: {"; ".join(reasons)}', ADVICE)
    else:
        report.ok('joint order', f'plausible for {skeleton}')


def _check_splits(splits: dict, names: set, classes: int, skeleton: str, report: Report) -> None:
    """Compare every split with the protocol that it is named for."""
    for protocol in WANTED[classes]:
        for part in ('train', 'val'):
            split = f'{protocol}_{part}'
            if split not in splits:
                report.missing(split, f'not among {sorted(splits)}', ADVICE)
                continue
            absent = [name for name in splits[split] if name not in names]
            wrong = [name for name in splits[split] if name in names and _trains(protocol, name) is (part == 'val')]
            report.broken_each(f'{split}: absent', absent, 'names without an annotation; ' + ADVICE)
            report.broken_each(f'{split}: wrong', wrong, f'samples of the other part of {protocol}; ' + ADVICE)
            if classes == 60 and skeleton == 'ntu25':
                report.compare(split, len(splits[split]), SIZES[split], ADVICE)
            else:
                report.ok(split, f'{len(splits[split]):,}')
    others = sorted(set(splits) - {f'{protocol}_{part}' for protocol in PROTOCOLS for part in ('train', 'val')})
    if others:
        report.ok('other splits', examples(others))


def _trains(protocol: str, name: str) -> Optional[bool]:
    """Tell whether a sample belongs to the training part of a protocol; None for another kind of name."""
    sample = parse_name(name)
    return None if sample is None else PROTOCOLS[protocol](sample.setup, sample.camera, sample.subject)
