"""What only the ground truth can say, given to models that are measured with it."""
from __future__ import annotations

import numpy as np

from motionbert_mm.registry import TRANSFORMS
from motionbert_mm.structures.skeleton import get_skeleton


@TRANSFORMS.register_module()
class RootDepthOracle:
    """Note in ``norm`` what ``RefinedPoseHead`` needs: the true depth of the root and the rays of the 2D input.

    P-STMO's refine module reads the ground truth at test time too; its numbers, marked (*) in the paper, cannot be had
    for motion whose true depth is not known. Stands after ``NormalizeCoords``.

    Adds ``rays`` (B, M, T, J, 2), x and y per unit of depth, and ``root_depth`` (B, M, T) in millimetres.

    Raises:
        ValueError: when called, no ``norm`` yet, or data without 3D truth or camera.
    """

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with rays and root depth in ``norm``."""
        missing = [name for name in ('norm', 'keypoints_3d', 'intrinsics') if name not in results]
        if missing:
            raise ValueError(f'RootDepthOracle needs {", ".join(missing)}, which the samples lack: it stands after '
                             "NormalizeCoords, reads targets=['keypoints_3d'], and its data set knows the cameras. "
                             'Without true depths use a model without refinement')
        camera = results['intrinsics'].astype(np.float32)[:, None, None, None]  # (B, 1, 1, 1, 4): fx, fy, cx, cy
        rays = (results['keypoints_2d'] - camera[..., 2:]) / camera[..., :2]
        depth = results['keypoints_3d'][..., get_skeleton(results['skeleton']).root, 2]
        return dict(results, norm=dict(results['norm'], rays=rays.astype(np.float32),
                                       root_depth=depth.astype(np.float32)))
