"""Transforms that every pipeline uses: skeleton, flip, normalisation, packing.

A transform is a pure function of a batch and one random generator: ``transform(results, rng) -> results``,
where every array of ``results`` has the batch as its first axis. It may replace keys, never write into an
array. The one exception is the first transform behind the store: see ``Gathered``.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from motionbert_mm.datasets.texts import mirror_text
from motionbert_mm.datasets.transforms.arrays import all_finite, blocks, distinct, mirrored, with_confidence
from motionbert_mm.geometry.coords import crop_scale, root_relative, screen_box, screen_to_unit
from motionbert_mm.geometry.rotation import mirror_axis_angle
from motionbert_mm.geometry.targets import TARGETS, UNIT_MM, encode_target
from motionbert_mm.registry import TRANSFORMS
from motionbert_mm.structures.skeleton import convert, get_skeleton

SMPL_POSES = ('smpl_pose', 'initial_pose')  # axis-angle, the root's in camera axes


class Gathered(dict):
    """A batch that a data set hands from the store to its first transform: nobody else knows its arrays.

    Only a transform that is handed a ``Gathered`` may write into its arrays, if they are writeable, and what it returns
    is an ordinary dict again. Any other batch may share its arrays with whoever made them.
    """


@TRANSFORMS.register_module()
class ConvertSkeleton:
    """Bring every joint array of a batch to another skeleton, by joint name.

    After ``NormalizeCoords`` the network inputs are converted too: official 2D clips are cropped around the joints of
    their own skeleton first.

    Args:
        target: name of the skeleton wanted.

    Raises:
        KeyError: an unknown skeleton, or no rule between the two.
        ValueError: targets or a mask were made of the joints before.
    """

    # What later transforms make of the joints, and which would be left behind.
    MADE_LATER = ('target_3d', 'target_2d', 'mask')

    def __init__(self, target: str) -> None:
        self.target = get_skeleton(target).name

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with joints of the target; joints without a source are not visible."""
        source = results['skeleton']
        if source == self.target:
            return results
        made = [name for name in self.MADE_LATER if name in results]
        if made:
            raise ValueError(f'ConvertSkeleton from {source!r} to {self.target!r} comes after {", ".join(made)} of the '
                             f'samples was made of {source!r} joints; move it further to the front of the pipeline')
        converted = dict(results, skeleton=self.target)
        if 'keypoints_2d' in results:  # else a transform makes it later
            flat = convert(results['keypoints_2d'], source, self.target, results['confidence'])
            seen = convert(results['keypoints_2d'], source, self.target, results['confidence'] * results['visible'])
            converted.update(keypoints_2d=flat.keypoints, confidence=flat.confidence, visible=seen.confidence > 0)
        if 'inputs' in results:
            unit = convert(results['inputs'][..., :2], source, self.target, results['inputs'][..., 2])
            converted.update(inputs=with_confidence(unit.keypoints, unit.confidence))
        for name in ('keypoints_3d', 'keypoints_image'):
            if name in results:
                solid = convert(results[name], source, self.target, results['visible'].astype(np.float32))
                converted.update({name: solid.keypoints, 'visible': solid.confidence > 0})
        return converted


@TRANSFORMS.register_module()
class RandomFlip:
    """Mirror whole samples left to right, in the image, in the camera frame and in the words that describe them.

    Stands before ``NormalizeCoords``. Without an image size the mirror is the left edge of the image, which
    ``NormalizeCoords(inputs='crop_scale')``, the only rule for such data, does not see.

    Args:
        prob: share of the samples.
    """

    def __init__(self, *, prob: float = 0.5) -> None:
        self.prob = prob

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with some samples mirrored.

        A point x pixels from the left comes to lie x pixels from the right; a point in the camera frame
        changes the sign of its x; the principal point moves along. Swapped are joints and their confidence, and left
        and right in texts.
        """
        chosen = self.choose(results, rng)
        if not len(chosen):
            return dict(results)
        swap = get_skeleton(results['skeleton']).flip_indices
        width = results['image_size'][chosen, 0] if 'image_size' in results else np.zeros(len(chosen), np.float32)
        # Where x goes: to width - x in the image, to -x in the camera frame.
        edges = {'keypoints_2d': width, 'keypoints_image': width, 'keypoints_3d': 0.0 * width}
        flipped = self.mirror_notes(results, chosen)
        for name in ('keypoints_2d', 'keypoints_image', 'keypoints_3d', 'confidence', 'visible'):
            if name in results:
                values = results[name]
                flipped[name] = mirrored(values, chosen, swap, edges.get(name),
                                          in_place=isinstance(results, Gathered) and values.flags.writeable)
        if 'smpl_translation' in results:
            flipped['smpl_translation'] = results['smpl_translation'].copy()
            flipped['smpl_translation'][chosen, ..., 0] *= -1
        for name in SMPL_POSES:
            if name in results:
                flipped[name] = results[name].copy()
                flipped[name][chosen] = mirror_axis_angle(results[name][chosen], get_skeleton('smpl24').flip_indices)
        return flipped

    def choose(self, results: dict, rng: np.random.Generator) -> np.ndarray:
        """Draw which samples (S,) are mirrored."""
        return np.flatnonzero(rng.random(len(results['visible'])) < self.prob)

    @staticmethod
    def mirror_notes(results: dict, chosen: np.ndarray) -> dict:
        """Return ``results`` with cameras and words of the chosen samples mirrored, all else as it is."""
        flipped = dict(results)
        if 'intrinsics' in results:
            width = results['image_size'][chosen, 0] if 'image_size' in results else 0.0
            flipped['intrinsics'] = results['intrinsics'].copy()
            flipped['intrinsics'][chosen, 2] = width - results['intrinsics'][chosen, 2]
        for name in ('text', 'negatives', 'positives'):
            if name in results:
                flipped[name] = list(results[name])
                for sample in chosen:
                    flipped[name][sample] = mirror_text(results[name][sample])
        return flipped


@TRANSFORMS.register_module()
class NormalizeCoords:
    """Make network inputs and targets of pixels and millimetres; note in ``norm`` how to come back.

    Writes ``inputs`` (B, M, T, J, 3): x, y and confidence, and ``target_3d`` where there is 3D truth. With ``norm``
    ``decode_target`` leads back from targets and ``decode_input`` from inputs.

    Args:
        inputs: 'screen' spans the image width over [-1, 1]; 'crop_scale' fits the square around the person.
        target: a row of ``geometry.targets``: 'root_relative', 'image_space' or 'image_space_global'; None for motion
            of which only 2D is used.
        crop_range: ratio of the square's side to the person's larger side, drawn uniformly per sample.
        given_2d: the 2D input is the truth and replaces x and y of predictions in image space (official ``gt_2d``).
        unit_mm: millimetres per unit of a root-relative target. Official: metres, but 1 on MPI-INF-3DHP.

    Raises:
        ValueError: an unknown name, NaN in the input, or no image size where it is needed.
    """

    def __init__(self, *, inputs: str = 'screen', target: Optional[str] = 'root_relative',
                 crop_range: Sequence[float] = (1.0, 1.0), given_2d: bool = False, unit_mm: float = UNIT_MM) -> None:
        if inputs not in ('screen', 'crop_scale') or target not in (*TARGETS, None):
            raise ValueError(f"NormalizeCoords got inputs={inputs!r} and target={target!r}; expected inputs 'screen' "
                             f"or 'crop_scale' and target one of {sorted(TARGETS)} or None")
        if given_2d and (inputs != 'screen' or target not in ('image_space', 'image_space_global')):
            raise ValueError(f"NormalizeCoords got given_2d with inputs={inputs!r} and target={target!r}; input and "
                             "target share their x and y only with inputs='screen' and a target in image space")
        if not 0 < unit_mm < np.inf or (unit_mm != UNIT_MM and target != 'root_relative'):
            raise ValueError(f"NormalizeCoords got unit_mm={unit_mm} and target={target!r}; expected a positive number "
                             "of millimetres, and target='root_relative', the only one that has such a unit")
        self.inputs, self.target, self.crop_range, self.given_2d = inputs, target, tuple(crop_range), given_2d
        self.unit_mm = unit_mm

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``inputs``, ``target_3d`` and ``norm``."""
        points, confidence = results['keypoints_2d'], results['confidence']
        if self.inputs == 'screen':
            size = self.image_size(results)
            box = screen_box(size)
        else:
            size = None
            points, confidence, box = crop_scale(points, confidence, rng.uniform(*self.crop_range, size=len(points)))
        inputs, is_finite = make_inputs(points, confidence, size)
        if not is_finite:
            sample = results['sample_id'][int(np.argwhere(~np.isfinite(inputs))[0][0])]
            raise ValueError(f'sample {sample!r} has NaN or infinite 2D input; repair the source and convert again')
        if self.target is None:
            return dict(results, inputs=inputs, norm={'input_box': box})
        root = get_skeleton(results['skeleton']).root
        target, norm = encode_target(self.target, results.get('keypoints_3d'), root,
                                     {**results, 'unit_mm': self.unit_mm})
        norm = {**norm, 'input_box': box}
        if self.given_2d:
            norm['xy'] = inputs[..., :2]
        normalised = dict(results, inputs=inputs, norm=norm)
        return normalised if target is None else dict(normalised, target_3d=target.astype(np.float32, copy=False))

    @staticmethod
    def image_size(results: dict) -> np.ndarray:
        """Return width and height (B, 2) in pixels, which 'screen' divides by."""
        if 'image_size' not in results:
            raise ValueError(f"sample {results['sample_id'][0]!r} has no image size, and NormalizeCoords(inputs="
                             "'screen') divides by it; give it to the converter, or set inputs='crop_scale'")
        return results['image_size']


def make_inputs(points: np.ndarray, confidence: np.ndarray,
                image_size: Optional[np.ndarray] = None) -> tuple[np.ndarray, bool]:
    """Make network inputs, and look whether they are numbers, while they are in the cache.

    Args:
        points: (B, M, T, J, 2), normalised, or in pixels if there is an image size.
        confidence: (B, M, T, J).
        image_size: (B, 2) width and height in pixels, see ``screen_to_unit``.

    Returns:
        (B, M, T, J, 3) float32, and whether all of them are finite.
    """
    inputs, is_finite = np.empty((*points.shape[:-1], 3), np.float32), True
    for block in blocks(inputs, len(points)):
        unit = points[block] if image_size is None else screen_to_unit(points[block], image_size[block])
        with_confidence(unit, confidence[block], out=inputs[block])
        is_finite = is_finite and all_finite(inputs[block])
    return inputs, is_finite


@TRANSFORMS.register_module()
class ZeroMissing:
    """Set coordinates and confidence of the network input to zero where the confidence is zero.

    Official: MotionBERT does so for in-the-wild 2D data, after the normalisation.
    """

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with zeros for joints that were not seen."""
        inputs = results['inputs']
        return dict(results, inputs=inputs * (inputs[..., -1:] > 0))


@TRANSFORMS.register_module()
class ReprojectionTarget:
    """Make the 2D input, as it is before any corruption, the target of the re-projection loss (MotionBERT, eq. 10).

    Writes ``target_2d`` (B, M, T, J, 2) and ``weight_2d`` (B, M, T, J), the confidence. Stands after
    ``NormalizeCoords`` and before noise and masks.

    Args:
        root_relative: subtract the root of every frame (official ``rootrel``), as from the 3D targets.

    Raises:
        ValueError: when called, inputs that are 3D poses.
    """

    def __init__(self, *, root_relative: bool = True) -> None:
        self.root_relative = root_relative

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``target_2d`` and ``weight_2d``."""
        if results['inputs'].shape[-1] != 3:
            raise ValueError('ReprojectionTarget makes targets of 2D inputs, but the inputs are '
                             f'{results["inputs"].shape[-1] - 1}D poses; put it before Take3DInputs, or leave it out')
        target = results['inputs'][..., :2]
        if self.root_relative:
            target = root_relative(target, get_skeleton(results['skeleton']).root)
        return dict(results, target_2d=target, weight_2d=results['inputs'][..., 2])


@TRANSFORMS.register_module()
class Take3DInputs:
    """Give the network the 3D pose instead of the 2D one, for models that read both (MPM, arXiv 2306.17201).

    Makes ``inputs`` (B, M, T, J, 4) of ``target_3d``: x, y, z and confidence, in the units that the network regresses,
    relative to the root. The confidence is 1, and 0 where the target is not visible. The target stays what it is.
    Stands behind ``NormalizeCoords(target='root_relative')`` and before the transform that makes the mask.

    Raises:
        ValueError: when called, no ``target_3d`` or one of another kind, or visible targets that are not finite.
    """

    reads_all_targets = True

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with the 3D target as ``inputs``; what is not visible and not finite becomes zero."""
        kind = results.get('norm', {}).get('target')
        if 'target_3d' not in results or kind != 'root_relative':
            found = f'a target of the kind {kind!r}' if 'target_3d' in results else 'no target_3d'
            raise ValueError(f'Take3DInputs found {found}; it makes inputs of the 3D truth of stores that have it, '
                             "targets=['keypoints_3d'], behind NormalizeCoords(target='root_relative')")
        if 'mask' in results:
            raise ValueError('Take3DInputs comes after the transform that made the mask, which hides inputs that are '
                             'replaced now; move it before')
        points, visible = results['target_3d'], results['visible']
        is_known = np.isfinite(points).all(axis=-1)
        if not (is_known | ~visible).all():
            sample = results['sample_id'][int(np.argwhere(visible & ~is_known)[0][0])]
            raise ValueError(f'sample {sample!r} has NaN or infinite 3D truth; repair the source and convert again, or '
                             'mark it as not valid')
        return dict(results, inputs=with_confidence(np.where(is_known[..., None], points, 0.0), visible))


@TRANSFORMS.register_module()
class PackInputs:
    """End a pipeline: keep the inputs, the named fields and the metainfo.

    Frames that ``window=dict(kind='crop', ...)`` padded are hidden by the ``mask``: the network is given zeros.

    Args:
        fields: fields of ``MotionSample`` that losses, metrics or pictures read.
    """

    METAINFO = ('sample_id', 'subject', 'action', 'activity', 'camera_id', 'image_size', 'intrinsics', 'fps',
                'frame_ids', 'skeleton', 'text', 'text_id', 'negatives', 'positives', 'categories', 'sequence',
                'seconds', 'norm')

    def __init__(self, *, fields: Sequence[str] = ('target_3d',)) -> None:
        self.fields = tuple(fields)

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``dict(inputs, fields, metainfo)`` for ``collate_batch``."""
        mask = hide_padding(results)
        return self.pack(results, mask if mask is not None and mask.any() else None)

    def pack(self, results: dict, mask: Optional[np.ndarray]) -> dict:
        """Choose what is kept of ``results``, with a mask or none."""
        fields = {name: results[name] for name in self.fields if name in results}
        # A mask that hides nothing would only cost time in every loss.
        if 'visible' in results and not distinct(results['visible']).all():
            fields['visible'] = results['visible']
        if mask is not None:
            fields['mask'] = mask
        return dict(inputs=results['inputs'], fields=fields,
                    metainfo={name: results[name] for name in self.METAINFO if name in results})


def hide_padding(results: dict) -> Optional[np.ndarray]:
    """Return the mask (B, M, T, J) of a batch with frames beyond the ends of clips hidden where windows ask for it."""
    mask = results.get('mask')
    if 'is_inside' not in results:
        return mask
    padding = np.broadcast_to(~results['is_inside'][:, None, :, None], results['inputs'].shape[:-1])
    return padding if mask is None else padding | mask
