"""COCO with SMPL parameters of EFT: two JSON files joined by the number of the annotation.

EFT (github.com/facebookresearch/eft, docs/README_dataformat.md) gives ``{ver, data: [...]}``, of each person
``annotId``, ``imageName``, ``parm_pose``, 24 rotation matrices with the root in camera axes, and ``parm_shape``, 10
coefficients of the neutral body. COCO's ``person_keypoints_train2014.json`` has keypoints and image sizes.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motionbert_mm.datasets.smpl_arrays import NUM_BETAS, NUM_SMPL_JOINTS
from motionbert_mm.geometry.rotation import matrix_to_axis_angle
from motionbert_mm.io.plain_files import read_json
from motionbert_mm.structures.skeleton import convert, get_skeleton

SKELETON = 'h36m'
_ANNOTATED = get_skeleton('coco17')
_CURE = 'download it again'
_ROTATION_TOLERANCE = 0.01


@dataclass(frozen=True)
class EftPeople:
    """N persons, each in an image of its own.

    Attributes:
        names: unique: image and annotation.
        image_sizes: (width, height) in pixels of each.
        arrays: (N, ...) as a motion store keeps them.
        unused: what is wrong with other fits -> their number.
    """

    names: list[str]
    image_sizes: list[tuple[int, int]]
    arrays: dict[str, np.ndarray]
    unused: Counter


def read_people(fits: Path, annotations: Path) -> EftPeople:
    """Read both files.

    Fits without an annotation, of another image than their annotation, without labelled keypoints, with NaN, or fitted
    before are counted and left out.

    Args:
        fits: EFT's JSON.
        annotations: COCO's person_keypoints JSON of the same images.

    Raises:
        OSError: a file cannot be opened.
        ValueError: torn, of another format, rotations or shapes of another form, or nobody left.
    """
    coco, unused = _Annotations(annotations), Counter()
    names: list[str] = []
    sizes, points, rotations, betas, taken = [], [], [], [], set()
    for number, fit in enumerate(_fits_of(fits)):
        rotation, shape = _parameters(fit, f'{fits}: entry {number}')
        found = coco.find(fit)
        if isinstance(found, dict) and fit['annotId'] in taken:
            found = 'of an annotation that has one already'
        elif isinstance(found, dict) and not (np.isfinite(rotation).all() and np.isfinite(shape).all()):
            found = 'with NaN or infinity'
        if isinstance(found, str):
            unused[found] += 1
            continue
        taken.add(fit['annotId'])
        names.append(f'{Path(found["file_name"]).stem}#{fit["annotId"]}')
        sizes.append(found['size'])
        points.append(found['keypoints'])
        rotations.append(rotation)
        betas.append(shape)
    if not names:
        reasons = ', '.join(f'{count} {reason}' for reason, count in unused.items()) or 'no fits'
        raise ValueError(f'{fits} and {annotations} have nobody in common: {reasons}; are they of the same part '
                         'of COCO?')
    arrays = {**_detections(np.stack(points)), 'smpl_pose': _axis_angles(np.stack(rotations), names),
              'smpl_betas': np.stack(betas)}
    return EftPeople(names, sizes, arrays, unused)


class _Annotations:
    """Annotations and images of COCO by their numbers."""

    def __init__(self, path: Path) -> None:
        content = read_json(path, _CURE)
        lists = [content.get(key) if isinstance(content, dict) else None for key in ('annotations', 'images')]
        for key, entries in zip(('annotations', 'images'), lists):
            if not isinstance(entries, list) or not all(isinstance(entry, dict) and 'id' in entry for entry in entries):
                raise ValueError(f'{path} has no list {key!r} of entries with an id; expected a '
                                 'person_keypoints_*.json of COCO')
        self.path = path
        self.annotations, self.images = ({entry['id']: entry for entry in entries} for entries in lists)

    def find(self, fit: Mapping[str, Any]) -> Any:
        """Return keypoints (17, 3), file_name and size of a fit, or in words why there are none."""
        annotation = self.annotations.get(fit['annotId'])
        if annotation is None:
            return 'without an annotation'
        image = self.images.get(annotation.get('image_id'))
        size = None if image is None else (image.get('width'), image.get('height'))
        if size is None or not all(isinstance(side, (int, float)) and side > 0 for side in size):
            raise ValueError(f'{self.path}: annotation {fit["annotId"]} is of image {annotation.get("image_id")!r}, '
                             f'which is not among the images with width and height; {_CURE}')
        file_name = str(image.get('file_name'))
        if fit.get('imageName') and Path(str(fit['imageName'])).name != Path(file_name).name:
            return 'of another image than its annotation'
        keypoints = self._keypoints(fit['annotId'], annotation)
        if not keypoints[:, 2].any():
            return 'without labelled keypoints'
        return dict(keypoints=keypoints, file_name=file_name, size=size)

    def _keypoints(self, number: int, annotation: Mapping[str, Any]) -> np.ndarray:
        try:
            points = np.asarray(annotation['keypoints'], np.float64).reshape(_ANNOTATED.num_joints, 3)
        except (KeyError, TypeError, ValueError):
            points = np.full((1, 3), np.nan)
        if not np.isfinite(points).all():
            raise ValueError(f'{self.path}: keypoints of annotation {number} are not {3 * _ANNOTATED.num_joints} '
                             'numbers x, y, visibility; expected a person_keypoints_*.json')
        return points


def _fits_of(path: Path) -> list[dict]:
    content = read_json(path, _CURE)
    fits = content.get('data') if isinstance(content, dict) else None
    if not isinstance(fits, list) or not fits or not all(isinstance(fit, dict) and 'annotId' in fit for fit in fits):
        raise ValueError(f"{path} has no list 'data' of fits with annotId; expected an EFT file such as "
                         'COCO2014-All-ver01.json')
    return fits


def _parameters(fit: Mapping[str, Any], place: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rotation matrices (24, 3, 3) and shape (10,) of a fit."""
    kind = fit.get('smpltype', 'smpl')
    if kind != 'smpl':
        raise ValueError(f'{place} is a fit of {kind!r}, expected smpl')
    try:
        rotation = np.asarray(fit['parm_pose'], np.float64).reshape(NUM_SMPL_JOINTS, 3, 3)
        shape = np.asarray(fit['parm_shape'], np.float64).reshape(NUM_BETAS)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{place} needs parm_pose of {NUM_SMPL_JOINTS} x 3 x 3 and parm_shape of {NUM_BETAS} numbers '
                         f'({error}); {_CURE}') from None
    return rotation, shape


def _axis_angles(rotations: np.ndarray, names: list[str]) -> np.ndarray:
    """Return matrices (N, 24, 3, 3) as axis-angle (N, 24, 3)."""
    skew = np.abs(rotations @ rotations.swapaxes(-1, -2) - np.eye(3)).max(axis=(1, 2, 3))
    is_bad = (skew > _ROTATION_TOLERANCE) | (np.linalg.det(rotations).min(axis=1) < 0)
    if is_bad.any():
        raise ValueError(f'{names[int(is_bad.argmax())]}: parm_pose holds no rotation matrices; expected orthonormal '
                         f'ones without reflection; {_CURE}')
    return matrix_to_axis_angle(rotations)


def _detections(points: np.ndarray) -> dict[str, np.ndarray]:
    """Return annotated points (N, 17, 3) of COCO as Human3.6M joints; what is not labelled has confidence 0."""
    flat = convert(points[..., :2], _ANNOTATED, SKELETON, (points[..., 2] > 0).astype(np.float64))
    return {'detected_2d': flat.keypoints, 'detected_confidence': flat.confidence}


