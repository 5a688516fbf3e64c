"""Many frames to one: the many-to-one frame aggregator (MOFA) of P-STMO."""
from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Optional

from mmengine.model import BaseModule
from torch import Tensor

from motionbert_mm.layers.init import start_equal
from motionbert_mm.layers.strided import StridedTransformer
from motionbert_mm.registry import MODELS

# Official: stride_num in run.py of P-STMO.
STRIDES = {9: (1, 3, 3), 27: (3, 3, 3), 81: (3, 3, 3, 3), 243: (3, 3, 3, 3, 3), 351: (3, 9, 13)}


@MODELS.register_module()
class StridedReduction(BaseModule):
    """Reduce a window of frame tokens to one token of its centre frame (P-STMO, section 3.3).

    Heads choose between the tokens of all frames, as they came, and the one of the centre by ``source='frames'`` and
    ``source='centre'``.

    Args:
        in_channels: channels D of the tokens.
        num_frames: T of a window.
        strides: of the layers, whose product is ``num_frames``; None takes the official ones.
        num_heads: attention heads.
        mlp_ratio: see ``StridedTransformerLayer``.
        drop: dropout.
        centred: see ``StridedTransformerLayer``; False is official.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: strides that do not reduce ``num_frames`` to one; when called, other inputs than (N, T, 1, D).
    """

    num_tokens = 1  # of a frame

    def __init__(self, in_channels: int, *, num_frames: int = 243, strides: Optional[Sequence[int]] = None,
                 num_heads: int = 8, mlp_ratio: float = 2.0, drop: float = 0.1, centred: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        strides = STRIDES.get(num_frames) if strides is None else tuple(strides)
        if not strides or prod(strides) != num_frames:
            raise ValueError(f'StridedReduction got num_frames {num_frames} and strides {strides}; expected one of '
                             f'{sorted(STRIDES)} frames, or strides whose product is num_frames')
        self.num_frames, self.out_channels = num_frames, in_channels
        self.transformer = StridedTransformer(in_channels, num_tokens=num_frames, strides=strides,
                                              num_heads=num_heads, mlp_ratio=mlp_ratio, drop=drop, centred=centred)
        start_equal(self.transformer.layers)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Return ``frames``, the features (N, T, 1, D) as they are, and ``centre`` (N, 1, 1, D)."""
        if features.ndim != 4 or features.shape[1:3] != (self.num_frames, 1):
            raise ValueError(f'StridedReduction was built for frame tokens (N, {self.num_frames}, 1, D), got '
                             f"{tuple(features.shape)}; set num_frames of the data set's window, or put "
                             "dict(type='JointsToFrame') before it if the backbone has a token for every joint")
        return dict(frames=features, centre=self.transformer(features[:, :, 0])[:, :, None])
