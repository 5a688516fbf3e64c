"""Two persons of a clip: who is who over time, and the poses that official action weights were trained with."""
from __future__ import annotations

import numpy as np

from motionbert_mm.datasets.base import SWAPPED
from motionbert_mm.geometry.association import exchange, find_swaps
from motionbert_mm.registry import TRANSFORMS
from motionbert_mm.structures.skeleton import convert


@TRANSFORMS.register_module()
class AssociatePersons:
    """Give two persons of a sample tracks of their own where they change places, by proximity (``find_swaps``).

    Exchanges ``keypoints_2d``, ``confidence``, ``visible``, ``keypoints_3d`` and all else that has one entry for each
    person and frame. Joints with confidence 0 count where they were seen last; in samples that show only one person
    nothing happens. Stands at the front of the pipeline. Differs from official: confidence goes with its joints, and
    persons out of the picture stay themselves; for official weights see ``OfficialActionPose``.

    Raises:
        ValueError: when called, more than two persons, or inputs that were made of the persons before.
    """

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with each person on one track."""
        points, confidence = results['keypoints_2d'], results['confidence']
        if points.shape[1] > 2:
            raise ValueError(f'AssociatePersons tells two persons apart, but samples have {points.shape[1]}; set '
                             'num_persons=2 of the data set, which takes the two who are seen most')
        if 'inputs' in results:
            raise ValueError('AssociatePersons comes after NormalizeCoords made inputs of the persons as they were; '
                             'move it to the front of the pipeline')
        if points.shape[1] < 2:
            return results
        swapped = find_swaps(points, confidence > 0)
        if not swapped.any():
            return results
        per_person = [name for name, value in results.items()
                      if isinstance(value, np.ndarray) and value.shape[:3] == points.shape[:3]]
        return {**results, **{name: exchange(results[name], swapped) for name in per_person}}


@TRANSFORMS.register_module()
class OfficialActionPose:
    """Make of COCO detections what the official MotionBERT action weights were trained with.

    Replaces ``ConvertSkeleton`` and ``AssociatePersons``; use it with these weights only. Official (lib/data/
    dataset_action.py): persons are told apart by ``find_swaps`` and joints converted from COCO to Human3.6M order, but
    their confidence stays where it was, in COCO order and with the person as detected; an absent second person lies in
    the middle of the square that ``max_side_to_unit`` spans over [-1, 1], with confidence 0. The result stays in pixels
    and has that function's values as the official code stores them.

    The official code compares all frames of a clip before it takes those of the sample. So does a store that has an
    array ``persons_swapped``, with ``targets=['persons_swapped']`` of the data set; without it neighbouring frames of
    the sample are compared, which is the same unless frames are left out between them.

    Raises:
        ValueError: when called, another skeleton than 'coco17', no image size, another number of persons than two, or
            3D truth or inputs, which would keep their joints.
    """

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with Human3.6M joints and the confidence of COCO joints."""
        _check_official(results)
        points, confidence, visible = (results[name] for name in ('keypoints_2d', 'confidence', 'visible'))
        is_there = (visible | (confidence > 0)).any(axis=(2, 3))  # (B, 2)
        swapped = results[SWAPPED][:, 0].astype(bool) if SWAPPED in results else find_swaps(points)
        swapped = swapped & is_there.all(axis=1, keepdims=True)
        seen = exchange(visible, swapped).astype(np.float32)
        converted = convert(exchange(points, swapped), 'coco17', 'h36m', seen)
        middle = results['image_size'].max(axis=-1)[:, None, None, None, None] / 2
        points = np.where(is_there[..., None, None, None], converted.keypoints, middle).astype(points.dtype)
        return dict(results, keypoints_2d=points, visible=converted.confidence > 0, skeleton='h36m')


def _check_official(results: dict) -> None:
    """Refuse samples that the official code could not have read, or that would be left half converted."""
    persons, sample = results['keypoints_2d'].shape[1], results['sample_id'][0]
    if results['skeleton'] != 'coco17':
        raise ValueError(f"OfficialActionPose converts from 'coco17', got {results['skeleton']!r} (sample {sample!r}); "
                         'take it out of the pipeline: official weights know no other detections')
    if 'image_size' not in results:
        raise ValueError(f'sample {sample!r} has no image size, by which OfficialActionPose places absent persons; '
                         'give it to the converter')
    if persons != 2:
        raise ValueError(f'OfficialActionPose got {persons} person(s), but official weights know two, one of whom may '
                         'be absent; set num_persons=2 of the data set')
    left = [name for name in ('keypoints_3d', 'inputs') if name in results]
    if left:
        raise ValueError(f'OfficialActionPose would leave {", ".join(left)} of the samples with COCO joints; set '
                         'targets=() of the data set, and put it at the front of the pipeline')
