"""The refine module of P-STMO: a lifted pose corrected by where the 2D input says its joints are."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from motionbert_mm.models.heads.frame_pose import FramePoseHead, centre_frame
from motionbert_mm.registry import MODELS
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton


class RefineModule(nn.Module):
    """Mix x and y of two poses with weights that a small network draws from both; z is that of the first.

    Official: ``refine`` in model/block/refine.py, 140,322 parameters for 17 joints.

    Args:
        num_joints: J.
        hidden_dim: width.
        drop: dropout.
    """

    def __init__(self, num_joints: int = 17, *, hidden_dim: int = 1024, drop: float = 0.5) -> None:
        super().__init__()
        self.weights = nn.Sequential(nn.Linear(num_joints * 6, hidden_dim), nn.ReLU(), nn.Dropout(drop),
                                     nn.Linear(hidden_dim, num_joints * 2), nn.Sigmoid())

    def forward(self, lifted: Tensor, projected: Tensor) -> Tensor:
        """Mix poses (..., J, 3) of one unit, relative to the root -> (..., J, 3)."""
        weight = self.weights(torch.cat([lifted, projected], dim=-1).flatten(-2)).unflatten(-1, (-1, 2))
        mixed = weight * lifted[..., :2] + (1 - weight) * projected[..., :2]
        return torch.cat([mixed, lifted[..., 2:]], dim=-1)


@MODELS.register_module()
class RefinedPoseHead(FramePoseHead):
    """``FramePoseHead`` of the centre frame with P-STMO's refine module behind it.

    The second pose of the module is the 2D input put at the predicted depth, for which the true depth of the root is
    read, in tests too: the results are those of an oracle. Losses measure the refined pose.

    Args:
        in_channels: channels D of the tokens.
        num_joints: J.
        source: see ``MotionHead``.
        losses: see ``Pose3DHead``.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: when called, samples without what ``RootDepthOracle`` notes.
    """

    def __init__(self, in_channels: int, *, num_joints: int = 17, source: Optional[str] = None,
                 losses: Sequence[dict] = (), init_cfg: Optional[dict] = None) -> None:
        super().__init__(in_channels, num_joints=num_joints, centre=True, source=source, losses=losses,
                         init_cfg=init_cfg)
        self.refine = RefineModule(num_joints)

    def compare(self, prediction: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses of the refined centre pose (N, 1, J, 3)."""
        if self.target_name not in data_samples:
            return {}
        folded = prediction.unflatten(0, data_samples.get(self.target_name).shape[:2])
        return super().compare(self._refined(folded, data_samples).flatten(0, 1), data_samples)

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Refine (B, M, 1, J, 3) and bring it to millimetres, root at zero."""
        return super().decode(self._refined(output, data_samples), data_samples)

    def _refined(self, lifted: Tensor, data_samples: MotionSample) -> Tensor:
        meta = centre_frame(data_samples).metainfo
        norm = meta.get('norm', {})
        if 'rays' not in norm or norm.get('target') != 'root_relative':
            raise ValueError('RefinedPoseHead needs the true depth of the root joint, which belongs to data with 3D '
                             "truth: put dict(type='RootDepthOracle') after NormalizeCoords(target='root_relative') in "
                             'the pipeline, or use a model without refinement for motion without known depth')
        root = get_skeleton(meta['skeleton']).root
        return self.refine(lifted, back_project(lifted, norm, root))


def back_project(lifted: Tensor, norm: dict[str, Any], root: int) -> Tensor:
    """Put the 2D input at the predicted depths. Official: ``get_uvd2xyz`` in common/camera.py of P-STMO.

    Args:
        lifted: (B, M, T, J, 3) root-relative, in units of ``norm['scale']`` millimetres.
        norm: with ``rays`` and ``root_depth`` of the same frames, see ``RootDepthOracle``.
        root: index of the root joint, whose depth is the true one.

    Returns:
        (B, M, T, J, 3) in the same units, relative to the root.
    """
    scale, rays, root_depth = (torch.as_tensor(norm[name], dtype=lifted.dtype, device=lifted.device)
                               for name in ('scale', 'rays', 'root_depth'))
    scale, root_depth = scale.view(-1, 1, 1, 1, 1), root_depth[..., None, None]
    is_root = torch.arange(lifted.shape[-2], device=lifted.device)[:, None] == root  # (J, 1)
    depth = root_depth + (lifted[..., 2:] * scale).masked_fill(is_root, 0.0)
    points = torch.cat([rays * depth, depth], dim=-1)
    return (points - points[..., root:root + 1, :]) / scale
