"""What all heads that lift to 3D share: losses on 3D and 2D targets, mirroring, the way back to millimetres."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from torch import Tensor

from motionbert_mm.geometry.targets import decode_target
from motionbert_mm.models.heads.base import MotionHead, build_losses, weigh
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton


class Pose3DHead(MotionHead):
    """Base of the heads whose output is (N, T, J, 3) in normalised units.

    Learns ``target_3d`` in the units that the pipeline's normalisation chose, or, from motion without 3D truth,
    ``target_2d`` by re-projection: the predicted x and y, since the projection of image space is orthographic.
    Predicts ``keypoints_3d`` in millimetres, camera axes, relative to the root joint.

    Args:
        source: see ``MotionHead``.
        losses: configs of the losses on ``target_3d``.
        losses_2d: configs of the losses on ``target_2d``, weighted by ``weight_2d`` (MotionBERT, eq. 10).
        init_cfg: MMEngine's initialisation.
    """

    target_name = 'target_3d'

    def __init__(self, *, source: Optional[str] = None, losses: Sequence[dict] = (), losses_2d: Sequence[dict] = (),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(source=source, losses=losses, init_cfg=init_cfg)
        build_losses([*losses, *losses_2d])  # all are logged under one head
        self.losses_2d = build_losses(losses_2d)

    def compare(self, prediction: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses on 3D and on 2D targets, whichever the batch has."""
        frames = data_samples.get(self.target_name).shape[2] if self.target_name in data_samples else None
        if frames == 1 < prediction.shape[1] and any(loss.weight for loss in self.losses):
            raise ValueError(f'{type(self).__name__} learns the poses of {prediction.shape[1]} frames, but the targets '
                             "have one; set target_frames='all' of the data set, or weight=0.0 of that head's losses")
        losses = super().compare(prediction, data_samples)
        if 'target_2d' in data_samples:
            target, weight = (data_samples.get(name).flatten(0, 1) for name in ('target_2d', 'weight_2d'))
            if 'visible' in data_samples:
                weight = weight * data_samples.visible.flatten(0, 1)
            losses.update(weigh(self.losses_2d, prediction, target, weight))
        return losses

    def average_mirrored(self, output: Tensor, mirrored: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Mirror the second output back and average."""
        return (output + mirror_inputs(mirrored, flip_indices)) / 2

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Invert the normalisation noted in the metainfo: (B, M, T, J, 3) millimetres, root at zero."""
        meta = data_samples.metainfo
        return {'keypoints_3d': decode_target(output, meta['norm'], get_skeleton(meta['skeleton']).legs)}
