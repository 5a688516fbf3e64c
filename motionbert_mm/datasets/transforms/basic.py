"""Transforms that every pipeline uses: skeleton, flip, normalisation, packing.

A transform is a pure function of a batch and one random generator: ``transform(results, rng) -> results``,
where every array of ``results`` has the batch as its first axis. It may replace keys, never write into an
array.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motionbert_mm.geometry.coords import crop_scale, screen_to_unit
from motionbert_mm.geometry.targets import TARGETS, encode_target
from motionbert_mm.registry import TRANSFORMS
from motionbert_mm.structures.skeleton import convert, get_skeleton


@TRANSFORMS.register_module()
class ConvertSkeleton:
    """Bring every joint array of a batch to another skeleton, by joint name.

    Args:
        target: name of the skeleton wanted.

    Raises:
        KeyError: an unknown skeleton, or no rule between the two.
    """

    def __init__(self, target: str) -> None:
        self.target = get_skeleton(target).name

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with joints of the target; joints without a source are not visible."""
        source = results['skeleton']
        if source == self.target:
            return results
        converted = dict(results, skeleton=self.target)
        flat = convert(results['keypoints_2d'], source, self.target, results['confidence'])
        converted.update(keypoints_2d=flat.keypoints, confidence=flat.confidence)
        if 'keypoints_3d' in results:
            solid = convert(results['keypoints_3d'], source, self.target,
                            results['visible'].astype(np.float32))
            converted.update(keypoints_3d=solid.keypoints, visible=solid.confidence > 0)
        else:
            converted.update(visible=flat.confidence > 0)
        return converted


@TRANSFORMS.register_module()
class RandomFlip:
    """Mirror whole samples left to right, in the image and in the camera frame.

    Args:
        prob: share of the samples.
    """

    def __init__(self, *, prob: float = 0.5) -> None:
        self.prob = prob

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with some samples mirrored.

        A point x pixels from the left comes to lie x pixels from the right; a point in the camera frame
        changes the sign of its x; the principal point moves along. Swapped are joints and their confidence.
        """
        _check_image_size(results, 'RandomFlip mirrors at its middle')
        chosen = np.flatnonzero(rng.random(len(results['keypoints_2d'])) < self.prob)
        swap = list(get_skeleton(results['skeleton']).flip_indices)
        width = results['image_size'][chosen, 0]
        flipped = dict(results)
        for name in ('keypoints_2d', 'keypoints_3d', 'confidence', 'visible'):
            if name in results:
                flipped[name] = results[name].copy()
                flipped[name][chosen] = results[name][chosen][:, :, :, swap]
        flipped['keypoints_2d'][chosen, ..., 0] = (
            width[:, None, None, None] - flipped['keypoints_2d'][chosen, ..., 0])
        if 'keypoints_3d' in flipped:
            flipped['keypoints_3d'][chosen, ..., 0] *= -1
        if 'smpl_pose' in results:
            # Mirroring at the plane x = 0 keeps the x part of a rotation vector and turns y and z round.
            pose = results['smpl_pose'].copy()
            pose[chosen] = pose[chosen][:, :, :, list(get_skeleton('smpl24').flip_indices)]
            pose[chosen] *= np.array([1, -1, -1], pose.dtype)
            flipped['smpl_pose'] = pose
        if 'intrinsics' in results:
            flipped['intrinsics'] = results['intrinsics'].copy()
            flipped['intrinsics'][chosen, 2] = width - results['intrinsics'][chosen, 2]
        return flipped


@TRANSFORMS.register_module()
class NormalizeCoords:
    """Make network inputs and targets of pixels and millimetres; note in ``norm`` how to come back.

    Writes ``inputs`` (B, M, T, J, 3): x, y and confidence, and ``target_3d`` where there is 3D truth.

    Args:
        inputs: 'screen' spans the image width over [-1, 1]; 'crop_scale' fits the square around the person.
        target: a row of ``geometry.targets``: 'root_relative' or 'image_space'.
        crop_range: ratio of the square's side to the person's larger side, drawn uniformly per sample.

    Raises:
        ValueError: an unknown name, NaN in the input, or no image size where it is needed.
    """

    def __init__(self, *, inputs: str = 'screen', target: str = 'root_relative',
                 crop_range: Sequence[float] = (1.0, 1.0)) -> None:
        if inputs not in ('screen', 'crop_scale') or target not in TARGETS:
            raise ValueError(f"NormalizeCoords got inputs={inputs!r} and target={target!r}; expected inputs 'screen' "
                             f"or 'crop_scale' and target one of {sorted(TARGETS)}")
        self.inputs, self.target, self.crop_range = inputs, target, tuple(crop_range)

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``inputs``, ``target_3d`` and ``norm``."""
        points, confidence = results['keypoints_2d'], results['confidence']
        if self.inputs == 'screen':
            _check_image_size(results, "NormalizeCoords(inputs='screen') divides by it")
            points = screen_to_unit(points, results['image_size'])
        else:
            points, confidence, _ = crop_scale(points, confidence, rng.uniform(*self.crop_range, size=len(points)))
        inputs = np.concatenate([points, confidence[..., None]], axis=-1, dtype=np.float32)
        if not np.isfinite(inputs).all():
            sample = results['sample_id'][int(np.argwhere(~np.isfinite(inputs))[0][0])]
            raise ValueError(f'sample {sample!r} has NaN or infinite 2D input; repair the source and convert again')
        root = get_skeleton(results['skeleton']).root
        target, norm = encode_target(self.target, results.get('keypoints_3d'), root, results)
        normalised = dict(results, inputs=inputs, norm=norm)
        return normalised if target is None else dict(normalised, target_3d=target.astype(np.float32))


@TRANSFORMS.register_module()
class PackInputs:
    """End a pipeline: keep the inputs, the named fields and the metainfo.

    Args:
        fields: fields of ``MotionSample`` that losses, metrics or pictures read.
    """

    METAINFO = ('sample_id', 'subject', 'action', 'camera_id', 'image_size', 'intrinsics', 'fps', 'frame_ids',
                'skeleton', 'text', 'norm')

    def __init__(self, *, fields: Sequence[str] = ('target_3d',)) -> None:
        self.fields = tuple(fields)

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``dict(inputs, fields, metainfo)`` for ``collate_batch``."""
        fields = {name: results[name] for name in self.fields if name in results}
        # A mask that hides nothing would only cost time in every loss.
        if 'visible' in results and not results['visible'].all():
            fields['visible'] = results['visible']
        return dict(inputs=results['inputs'], fields=fields,
                    metainfo={name: results[name] for name in self.METAINFO if name in results})


def _check_image_size(results: dict, reason: str) -> None:
    if 'image_size' not in results:
        raise ValueError(f"sample {results['sample_id'][0]!r} has no image size, and {reason}; give it to the "
                         "converter, or leave RandomFlip out and set NormalizeCoords.inputs='crop_scale'")
