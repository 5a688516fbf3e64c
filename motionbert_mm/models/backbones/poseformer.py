"""PoseFormer (Zheng et al., ICCV 2021), one output per frame."""
from __future__ import annotations

from typing import Optional

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.layers.attention import attend_joints
from motionbert_mm.layers.norm import LayerNorm
from motionbert_mm.layers.recompute import recompute
from motionbert_mm.layers.transformer import TransformerLayer
from motionbert_mm.models.backbones.checks import check_inputs
from motionbert_mm.registry import MODELS


@MODELS.register_module()
class PoseFormer(BaseModule):
    """A transformer over the joints of each frame, then one over frames whose tokens are all their joints.

    Sequence to sequence, as MotionBERT's table 6 needs it: the learned mean over frames, which made one pose of a
    clip, is left out, and the last map goes to D features of every joint in place of 3 coordinates. Without the mean
    the norm of the official head would follow another norm directly, and is left out too.

    Linear layers keep PyTorch's initialisation and embeddings start at zero, as in the official code.

    Args:
        in_channels: C_in, x, y and confidence.
        num_joints: J.
        max_frames: most frames T; a shorter clip uses the first T temporal embeddings.
        dim: channels D of a joint; a frame has J times as many.
        depth: layers of each transformer.
        num_heads: attention heads of both; must divide ``dim``.
        mlp_ratio: hidden width of the MLPs over their input.
        drop: dropout of embeddings, projections and MLPs.
        attn_drop: dropout of the attention weights.
        drop_path: stochastic depth of the last layer of both, growing linearly from 0. MotionBERT used none,
            PoseFormer itself 0.1.
        activation_checkpointing: keep less for the backward pass and compute the rest again there: of every layer
            only its input is kept. Takes less memory and more time; results are the same.
        init_cfg: MMEngine's initialisation.
    """

    def __init__(self, in_channels: int = 3, *, num_joints: int = 17, max_frames: int = 243, dim: int = 32,
                 depth: int = 4, num_heads: int = 8, mlp_ratio: float = 2.0, drop: float = 0.0,
                 attn_drop: float = 0.0, drop_path: float = 0.0, activation_checkpointing: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.num_joints, self.max_frames = in_channels, num_joints, max_frames
        self.out_channels, self.activation_checkpointing = dim, activation_checkpointing
        frame_dim = num_joints * dim
        self.embed, self.embed_drop = nn.Linear(in_channels, dim), nn.Dropout(drop)
        self.joint_embed = nn.Parameter(torch.zeros(1, num_joints, dim))
        self.frame_embed = nn.Parameter(torch.zeros(1, max_frames, frame_dim))

        def layers(width: int) -> nn.ModuleList:
            return nn.ModuleList(TransformerLayer(
                width, num_heads=num_heads, mlp_ratio=mlp_ratio, drop=drop, attn_drop=attn_drop,
                drop_path=drop_path * number / max(depth - 1, 1)) for number in range(depth))

        self.spatial, self.spatial_norm = layers(dim), LayerNorm(dim, eps=1e-6)
        self.temporal, self.temporal_norm = layers(frame_dim), LayerNorm(frame_dim, eps=1e-6)
        self.to_joints = nn.Linear(frame_dim, frame_dim)

    def forward(self, inputs: Tensor) -> Tensor:
        """Encode motion.

        Args:
            inputs: (N, T, J, C_in) normalised coordinates and confidence.

        Returns:
            (N, T, J, D) features.

        Raises:
            ValueError: another number of joints or channels, or more frames than ``max_frames``.
        """
        check_inputs(self, inputs)
        embedded = self.embed(inputs)
        # Under autocast tokens keep its type; the sums with parameters would make them float32.
        joints = self.embed_drop((embedded + self.joint_embed).to(embedded.dtype))  # (N, T, J, D)
        for layer in self.spatial:
            joints = recompute(attend_joints, layer, joints, wanted=self.activation_checkpointing)
        frames = self.spatial_norm(joints).flatten(2)  # (N, T, J D)
        frames = self.embed_drop((frames + self.frame_embed[:, :inputs.shape[1]]).to(embedded.dtype))
        for layer in self.temporal:
            frames = recompute(layer, frames, wanted=self.activation_checkpointing)
        features = self.to_joints(self.temporal_norm(frames))
        return features.unflatten(-1, (self.num_joints, -1))
