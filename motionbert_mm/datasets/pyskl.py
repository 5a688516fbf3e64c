"""Skeleton pickles of PYSKL and MMAction2 as motion stores, and the data set that makes its store on first use."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional, Union

from mmengine.logging import MMLogger
from tqdm import tqdm

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.made_stores import find_or_make_in_main_process
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.pyskl_file import PysklFile, read_class_names
from motionbert_mm.registry import DATASETS

READER_VERSION = 1  # raise when the same file gives another store


def describe_source(path: Union[str, Path], *, classes: Optional[Sequence[str]] = None,
                    keypoint_dir: Union[str, Path, None] = None, max_persons: int = 2, fps: float = 30.0) -> dict:
    """Return what a store depends on, which tells whether it can be used again; separate keypoints are not looked at.

    Raises:
        FileNotFoundError: no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file; expected a pickle of PYSKL or MMAction2, e.g. ntu60_hrnet.pkl')
    facts = path.stat()
    return {'version': READER_VERSION, 'file': path.name, 'bytes': facts.st_size, 'mtime_ns': facts.st_mtime_ns,
            'classes': None if classes is None else list(classes), 'max_persons': max_persons, 'fps': float(fps),
            'keypoint_dir': None if keypoint_dir is None else str(keypoint_dir)}


def write_store(out_dir: Union[str, Path], path: Union[str, Path], *, classes: Optional[Sequence[str]] = None,
                keypoint_dir: Union[str, Path, None] = None, max_persons: int = 2, fps: float = 30.0,
                trust_order: bool = False) -> dict:
    """Turn a pickle into one motion store that holds all its splits, with a progress bar.

    Args:
        out_dir: the store to make; one that is there is replaced.
        path: the pickle.
        fps: frame rate, which is not in the file; NTU RGB+D has 30.
        classes, keypoint_dir, max_persons, trust_order: see ``PysklFile``.

    Returns:
        The info of the store: source, classes, splits, notes on what was left out.

    Raises:
        FileNotFoundError, ValueError: see ``PysklFile``; or nobody is seen in any annotation.
    """
    options = dict(classes=classes, keypoint_dir=keypoint_dir, max_persons=max_persons)
    made_from = describe_source(path, fps=fps, **options)
    file = PysklFile(path, trust_order=trust_order, **options)
    info = dict(source=str(path), made_from=made_from, classes=list(file.classes))
    with MotionStoreWriter(out_dir, skeleton=file.skeleton, fps=fps, info=info) as writer:
        is_empty = True
        for clip in file.clips(lambda rows: tqdm(rows, desc=Path(path).name, unit='clip')):
            persons = len(next(iter(clip.arrays.values())))
            arrays = clip.arrays if persons > 1 else {name: values[0] for name, values in clip.arrays.items()}
            writer.add_clip(clip.name, arrays, persons=persons, subject=clip.subject, action=clip.action,
                            camera=clip.camera, image_size=clip.image_size, label=clip.label)
            is_empty = False
        if is_empty:
            raise ValueError(f'{path}: nobody is seen in any of the {len(file)} annotations')
        writer.info.update(splits=file.splits, notes=file.notes())
    return writer.info


@DATASETS.register_module()
class PysklDataset(MotionDataset):
    """A skeleton pickle of PYSKL or MMAction2, turned into a motion store on first use.

    The store is kept in a folder of ``data_root`` whose name tells the file and what was made of it; a file that
    changed is converted again. In a distributed run the main process converts and the others wait; for Kinetics-400,
    where that may outlast their patience, use tools/dataset_converters/pyskl.py and ``MotionDataset``.

    2D files give detections and no targets. 3D files of the Kinect give ``keypoints_3d``: set ``input_2d=None`` and
    ``targets=['keypoints_3d']``.

    Args:
        ann_file: the pickle.
        window: see ``MotionDataset``, as all arguments that are not listed here.
        data_root: folder that holds the stores, made if it is missing.
        split: name of a split of the file, e.g. 'xsub_train'; None is all annotations.
        class_names: text file with one class name per line; see ``PysklFile`` for the default. ``classes`` chooses
            among the names.
        keypoint_dir: folder of the separate keypoint files of Kinetics-400.
        max_persons: persons that are kept of each video.
        fps: frame rate, which is not in the file; NTU RGB+D has 30.
        trust_order: accept joints in an order that looks wrong.

    Raises:
        FileNotFoundError, ValueError: see ``write_store`` and ``MotionDataset``.
    """

    def __init__(self, ann_file: str, *, window: dict, data_root: str = 'data', split: Optional[str] = None,
                 class_names: Optional[str] = None, keypoint_dir: Optional[str] = None, max_persons: int = 2,
                 fps: float = 30.0, trust_order: bool = False, input_2d: Optional[str] = 'detected',
                 targets: Sequence[str] = (), pipeline: Sequence[dict] = (),
                 pipeline_changes: Optional[Mapping[str, Optional[dict]]] = None, include: Sequence[str] = (),
                 exclude: Sequence[str] = (), valid_only: bool = False, fraction: float = 1.0,
                 num_persons: Optional[int] = 2, classes: Optional[Sequence[str]] = None,
                 other_classes: str = 'refuse', test_mode: bool = False, seed: int = 0) -> None:
        names = None if class_names is None else read_class_names(class_names)
        options = dict(classes=names, keypoint_dir=keypoint_dir, max_persons=max_persons, fps=fps)
        made_from = describe_source(ann_file, **options)
        digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:12]

        def write(made: Path) -> None:
            info = write_store(made, ann_file, trust_order=trust_order, **options)
            for note in info['notes']:
                MMLogger.get_current_instance().info(f'{ann_file}: left out: {note}')

        path = find_or_make_in_main_process(Path(data_root) / f'pyskl-{Path(ann_file).stem}-{digest}',
                                            {'made_from': made_from}, write)
        super().__init__(str(path), window=window, input_2d=input_2d, targets=targets, pipeline=pipeline,
                         pipeline_changes=pipeline_changes, include=include, exclude=exclude, valid_only=valid_only,
                         fraction=fraction, num_persons=num_persons, split=split, classes=classes,
                         other_classes=other_classes, test_mode=test_mode, seed=seed)
