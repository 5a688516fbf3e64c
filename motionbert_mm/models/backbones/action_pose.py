"""The pose encoder of ActionPose: DSTformer with a class token that stands for the whole motion."""
from __future__ import annotations

from typing import Optional, Union

import torch
from torch import Tensor, nn

from motionbert_mm.models.backbones.dstformer import DSTformer
from motionbert_mm.registry import MODELS


@MODELS.register_module()
class ActionPoseEncoder(DSTformer):
    """DSTformer with the class token <POSE> of ActionPose as one more frame, in front of the others.

    In temporal layers the token of a joint and the frames of that joint attend to each other; it is the only way on
    which they meet. In spatial layers the joints of the token are those of a frame. The token is embedded by joint,
    like the frames, but not by time: its own parameter stands for that, and frame t keeps the t-th temporal embedding.

    Its weights are those of a DSTformer and ``class_token``, and load from and into one. Not published: the joints of
    the token, its embeddings and its part in spatial layers.

    Args:
        class_token: have the token; without it this is DSTformer.
        token_per_joint: learn a token for every joint; else all joints start from the same.
        token_spatial: let the joints of the token attend to each other; else spatial layers leave it as it is.
        gives_token: return the token beside the frames, for alignment with text; else the frames alone.
        tap_layer: stage, 1 to ``depth``, after whose fusion the token is read. Published: in the middle.

    The other arguments are those of :class:`DSTformer`.

    Raises:
        ValueError: ``gives_token`` without a token, or a stage that is not there.
    """

    def __init__(self, in_channels: int = 3, *, class_token: bool = True, token_per_joint: bool = True,
                 token_spatial: bool = True, gives_token: bool = False, tap_layer: int = 3, num_joints: int = 17,
                 max_frames: int = 243, dim: int = 512, depth: int = 5, num_heads: int = 8, mlp_ratio: float = 2.0,
                 use_fusion: bool = True, qkv_bias: bool = True, qk_scale: Optional[float] = None, drop: float = 0.0,
                 attn_drop: float = 0.0, drop_path: float = 0.0, norm_eps: float = 1e-6,
                 activation_checkpointing: bool = False, init_cfg: Optional[dict] = None) -> None:
        super().__init__(in_channels, num_joints=num_joints, max_frames=max_frames, dim=dim, depth=depth,
                         num_heads=num_heads, mlp_ratio=mlp_ratio, use_fusion=use_fusion, qkv_bias=qkv_bias,
                         qk_scale=qk_scale, drop=drop, attn_drop=attn_drop, drop_path=drop_path, norm_eps=norm_eps,
                         activation_checkpointing=activation_checkpointing, init_cfg=init_cfg)
        if gives_token and not (class_token and 1 <= tap_layer <= depth):
            raise ValueError(f'ActionPoseEncoder gives its token after a stage 1 to depth={depth}, got '
                             f'tap_layer={tap_layer} and class_token={class_token}; change them in the config, or set '
                             'gives_token=False')
        self.token_spatial, self.gives_token, self.tap_layer = token_spatial, gives_token, tap_layer
        self.class_token: Optional[nn.Parameter] = None
        if class_token:
            self.class_token = nn.Parameter(torch.zeros(1, 1, num_joints if token_per_joint else 1, dim))
            nn.init.trunc_normal_(self.class_token, std=0.02)

    def forward(self, inputs: Tensor) -> Union[Tensor, dict[str, Tensor]]:
        """Encode motion.

        Args:
            inputs: (N, T, J, C_in) normalised coordinates and confidence.

        Returns:
            Features (N, T, J, D), or, with ``gives_token``, a dict of these, ``frames``, and of ``token`` (N, 1, J, D).

        Raises:
            ValueError: see ``DSTformer``.
        """
        if self.class_token is None:
            return super().forward(inputs)
        features, token = self._prepend_token(self.embed_inputs(inputs)), None
        for stage in range(self.depth):
            features = self.run_stage(stage, features)  # (N, 1 + T, J, D)
            if stage + 1 == self.tap_layer:
                token = features[:, :1]
        frames = self.finish(features[:, 1:])
        return dict(frames=frames, token=token) if self.gives_token else frames

    def apply_layer(self, kind: str, layer: nn.Module, features: Tensor) -> Tensor:
        """Apply a layer of a kind to (N, 1 + T, J, D), spatial ones to the frames alone if the token takes no part."""
        if kind != 'spatial' or self.class_token is None or self.token_spatial:
            return super().apply_layer(kind, layer, features)
        return torch.cat([features[:, :1], super().apply_layer(kind, layer, features[:, 1:])], dim=1)

    def _prepend_token(self, frames: Tensor) -> Tensor:
        """Put the token, embedded by joint, in front of frames (N, T, J, D) -> (N, 1 + T, J, D)."""
        token = (self.class_token + self.joint_embed).to(frames.dtype)  # (1, 1, J, D)
        return torch.cat([token.expand(len(frames), -1, -1, -1), frames], dim=1)
