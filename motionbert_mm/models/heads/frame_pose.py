"""Lifting heads that read one token for every frame."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
from torch import Tensor

from motionbert_mm.layers.frame_decoder import FrameDecoder
from motionbert_mm.models.heads.pose3d import Pose3DHead
from motionbert_mm.registry import MODELS
from motionbert_mm.structures.motion_sample import MotionSample


@MODELS.register_module()
class FramePoseHead(Pose3DHead):
    """The pose of a frame from one token, for every frame or for the centre of the window (P-STMO, section 3.3).

    Args:
        in_channels: channels D of the tokens.
        num_joints: J.
        out_channels: coordinates per joint.
        centre: the features have the centre frame of the window only, as of ``StridedReduction``; the losses look at
            that frame of the targets, and predictions have T' = 1.
        depth: layers of a transformer in front of the output; MPM's 3D decoder of stage I has 1, for completion 2.
        num_heads: its attention heads.
        mlp_ratio: hidden width of its MLP over D.
        drop: its dropout.
        source: see ``MotionHead``.
        losses: see ``Pose3DHead``.
        losses_2d: see ``Pose3DHead``.
        init_cfg: MMEngine's initialisation.
    """

    def __init__(self, in_channels: int, *, num_joints: int = 17, out_channels: int = 3, centre: bool = False,
                 depth: int = 0, num_heads: int = 8, mlp_ratio: float = 2.0, drop: float = 0.1,
                 source: Optional[str] = None, losses: Sequence[dict] = (), losses_2d: Sequence[dict] = (),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(source=source, losses=losses, losses_2d=losses_2d, init_cfg=init_cfg)
        self.centre = centre
        self.output = FrameDecoder(in_channels, num_joints, out_channels, depth=depth, num_heads=num_heads,
                                   mlp_ratio=mlp_ratio, drop=drop)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, T', 1, D) -> (N, T', J, 3) in normalised units."""
        return self.output(features)

    def compare(self, prediction: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses on the targets of the frames that the head has."""
        return super().compare(prediction, centre_frame(data_samples) if self.centre else data_samples)

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Invert the normalisation of the frames that the head has: (B, M, T', J, 3) millimetres, root at zero."""
        return super().decode(output, centre_frame(data_samples) if self.centre else data_samples)


def centre_frame(data_samples: MotionSample) -> MotionSample:
    """Keep the centre frame, number T // 2, of what belongs to single frames: targets and the ``norm`` record."""
    kept = MotionSample(metainfo=dict(data_samples.metainfo_items()))
    for name in ('target_3d', 'target_2d', 'weight_2d', 'visible'):
        if name in data_samples:
            kept.set_data({name: _centre(data_samples.get(name))})
    if 'norm' in data_samples.metainfo:
        kept.set_metainfo(dict(norm=_centre(data_samples.metainfo['norm'])))
    return kept


def _centre(values: Any) -> Any:
    """Slice the frame axis out of (B, M, T, ...); what has no such axis stays."""
    if isinstance(values, Mapping):
        return {name: _centre(entry) for name, entry in values.items()}
    if isinstance(values, (Tensor, np.ndarray)) and values.ndim >= 3:
        middle = values.shape[2] // 2
        return values[:, :, middle:middle + 1]
    return values
