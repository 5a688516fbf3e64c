"""Views of 3D motion that has no camera of its own."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np

from motionbert_mm.datasets.transforms.basic import SMPL_POSES
from motionbert_mm.geometry.coords import root_relative
from motionbert_mm.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from motionbert_mm.registry import TRANSFORMS
from motionbert_mm.structures.skeleton import Skeleton, get_skeleton

# Degrees that a person is turned by.
NAMED_VIEWS = {'front': 0.0, 'side': 90.0, 'back': 180.0}
MM_PER_METRE = 1000.0


@TRANSFORMS.register_module()
class OrthographicView:
    """Look at 3D motion along the z axis without perspective; MotionBERT's view of AMASS in pretraining.

    In normalised units the view is the pose in metres times ``scale``, neither centred nor cropped: the origin of the
    3D frame is the middle of a virtual image, and persons may walk out of it. Writes ``keypoints_2d`` and
    ``keypoints_image`` in pixels of that image (depth from the root of each frame, at the same scale), ``confidence``
    1 (0 and zeros for absent persons), ``image_factor`` in millimetres per pixel and ``image_size``; takes away
    ``intrinsics``, of which this view has none.

    Differs from official in what it offers beyond the one fixed view, 'front': turned by an angle, a whole sample
    (``keypoints_3d`` and the root of ``smpl_pose`` too) rotates about the vertical through the root of its first person
    in the first frame, so that the person stays at its place in the image. Without ``facing``, views are those of the
    store: in motion capture, people head anywhere, and 'front' is no side of theirs.

    Args:
        scale: normalised units (half image widths) per metre. Official: MotionBERT tools/convert_amass.py.
        image_size: (width, height) of the virtual image in pixels.
        views: one is drawn for each sample: 'front', 'side', 'back', or a pair (low, high) of degrees between which an
            angle is drawn. Positive angles turn +x (right in the image) away from the viewer, to +z.
        facing: turn each sample first so that its first person faces the viewer in the first frame, as the line of the
            hips tells; then 'front' shows the front and 'side' somebody who heads to the right, or, mirrored by a
            later ``RandomFlip``, to the left.

    Raises:
        ValueError: no or unknown views, or sizes that are not positive; when called, no ``keypoints_3d``.
    """

    reads_all_targets = True

    def __init__(self, *, scale: float = 0.298, image_size: Sequence[float] = (1000, 1000),
                 views: Sequence[Union[str, Sequence[float]]] = ('front',), facing: bool = False) -> None:
        if scale <= 0 or len(image_size) != 2 or min(image_size) <= 0:
            raise ValueError(f'OrthographicView got scale={scale} and image_size={tuple(image_size)}; expected a '
                             'positive scale and a positive (width, height)')
        self.image_size = np.array(image_size, np.float32)
        self.pixels_per_mm = scale * self.image_size[0] / 2 / MM_PER_METRE
        self.facing = facing
        self.ranges = np.array([_angle_range(view) for view in views]).reshape(-1, 2)  # (V, 2) degrees
        if not len(self.ranges):
            raise ValueError("OrthographicView got no views; expected e.g. views=('front',)")

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` as seen in the view drawn for each sample."""
        if 'keypoints_3d' not in results:
            raise ValueError(f"sample {results['sample_id'][0]!r} has no keypoints_3d to look at; set targets="
                             "('keypoints_3d',) of the data set")
        skeleton = get_skeleton(results['skeleton'])
        root = skeleton.root
        low, high = self.ranges[rng.integers(len(self.ranges), size=len(results['keypoints_3d']))].T
        angles = np.radians(rng.uniform(low, high))
        if self.facing:
            angles = angles + _angle_to_viewer(results['keypoints_3d'][:, 0, 0], skeleton)
        viewed = _turn(results, angles, root)
        points = viewed['keypoints_3d']
        is_there = points.any(axis=(2, 3, 4))[:, :, None, None]  # (B, M, 1, 1)
        place = points[..., :2] * self.pixels_per_mm + self.image_size / 2
        depth = root_relative(points, root)[..., 2:] * self.pixels_per_mm
        image = np.concatenate([place, depth], axis=-1, dtype=np.float32) * is_there[..., None]
        viewed.update(
            keypoints_2d=image[..., :2], keypoints_image=image,
            confidence=np.broadcast_to(is_there, points.shape[:-1]).astype(np.float32),
            image_factor=np.full(points.shape[:3], 1 / self.pixels_per_mm, np.float32),
            image_size=np.tile(self.image_size, (len(points), 1)))
        viewed.pop('intrinsics', None)
        return viewed


def _angle_range(view: Union[str, Sequence[float]]) -> tuple[float, float]:
    """Return the lowest and highest angle of a view in degrees."""
    if isinstance(view, str) and view in NAMED_VIEWS:
        return NAMED_VIEWS[view], NAMED_VIEWS[view]
    if isinstance(view, (str, int, float)) or len(view) != 2 or not view[0] <= view[1]:
        raise ValueError(f'OrthographicView got the view {view!r}; expected one of {", ".join(NAMED_VIEWS)} or a pair '
                         '(low, high) of degrees')
    return float(view[0]), float(view[1])


def _angle_to_viewer(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return the angle (B,) in radians that turns poses (B, J, 3) to face the viewer: hips from left in +x to right."""
    hips = points[:, skeleton.index('left_hip')] - points[:, skeleton.index('right_hip')]
    return -np.arctan2(hips[:, 2], hips[:, 0])


def _turn(results: dict, angles: np.ndarray, root: int) -> dict:
    """Rotate samples by angles (B,) in radians about the vertical (y) through the first person's first root."""
    turned = dict(results)
    chosen = np.flatnonzero(angles)
    if not len(chosen):
        return turned
    rotations = axis_angle_to_matrix(np.array([0.0, -1.0, 0.0]) * angles[chosen, None])  # (K, 3, 3)
    rotations = rotations[:, None, None]  # over persons and frames
    points = results['keypoints_3d'][chosen].astype(np.float64)
    centre = points[:, :1, :1, root:root + 1]
    is_there = points.any(axis=(2, 3, 4), keepdims=True)
    turned['keypoints_3d'] = results['keypoints_3d'].copy()
    turned['keypoints_3d'][chosen] = ((points - centre) @ rotations.swapaxes(-1, -2) + centre) * is_there
    for name in SMPL_POSES:
        if name in results:
            turned[name] = results[name].copy()
            first = axis_angle_to_matrix(results[name][chosen][..., 0, :].astype(np.float64))
            turned[name][chosen, ..., 0, :] = matrix_to_axis_angle(rotations @ first)
    return turned
