"""What DSTformer and the designs that its paper compares it with have in common."""
from __future__ import annotations

from typing import ClassVar, Optional

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.layers.attention import attend_frames, attend_joints
from motionbert_mm.layers.init import init_transformer
from motionbert_mm.layers.recompute import recompute
from motionbert_mm.layers.transformer import SeriesTransformerLayer, TransformerLayer
from motionbert_mm.models.backbones.checks import check_inputs

# Kind of a layer -> its class, and how it is applied to (N, T, J, D).
LAYERS = {
    'spatial': (TransformerLayer, attend_joints),
    'temporal': (TransformerLayer, attend_frames),
    'series': (SeriesTransformerLayer, lambda layer, features: layer(features)),
}


class StreamTransformer(BaseModule):
    """Embedded joints run through stages of one or two streams, and a final norm.

    The streams of a stage start from the same features, each with layers of its own; the next stage starts from
    their fusion. Subclasses name their streams. Pre-norm as in MotionBERT's code (its paper describes post-norm).
    Under autocast features have its type from the embedding to the final norm, whose output is that of the weights.

    Args:
        in_channels: C_in, x, y and confidence.
        num_joints: J.
        max_frames: most frames T; a shorter clip uses the first T temporal embeddings.
        dim: channels D.
        depth: stages.
        num_heads: attention heads; must divide ``dim``.
        mlp_ratio: hidden width of the MLPs over ``dim``.
        qkv_bias: give the q, k, v projections a bias.
        qk_scale: factor on the attention logits; None is 1 / sqrt(dim / num_heads).
        drop: dropout of embeddings, projections and MLPs.
        attn_drop: dropout of the attention weights.
        drop_path: stochastic depth of the last stage; it grows linearly from 0. Differs from official: rows
            of the folded tensor are dropped (a frame in spatial, a joint's track in temporal layers).
        norm_eps: epsilon of the layer norms. Official: 1e-6.
        activation_checkpointing: keep less for the backward pass and compute the rest again there: of every stage
            only its input is kept. Takes less memory and more time; results are the same.
        init_cfg: MMEngine's initialisation, e.g. ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.
    """

    # Name of a stream, the attribute that holds it -> kinds of the layers in each of its stages, in order.
    streams: ClassVar[dict[str, tuple]] = {}

    def __init__(self, in_channels: int = 3, *, num_joints: int = 17, max_frames: int = 243, dim: int = 512,
                 depth: int = 5, num_heads: int = 8, mlp_ratio: float = 2.0, qkv_bias: bool = True,
                 qk_scale: Optional[float] = None, drop: float = 0.0, attn_drop: float = 0.0,
                 drop_path: float = 0.0, norm_eps: float = 1e-6, activation_checkpointing: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.num_joints, self.max_frames = in_channels, num_joints, max_frames
        self.out_channels, self.depth = dim, depth
        self.activation_checkpointing = activation_checkpointing
        self.embed = nn.Linear(in_channels, dim)
        self.joint_embed = nn.Parameter(torch.zeros(1, num_joints, dim))
        self.frame_embed = nn.Parameter(torch.zeros(1, max_frames, 1, dim))
        self.embed_drop = nn.Dropout(drop)

        def layer(kind: str, rate: float) -> nn.Module:
            return LAYERS[kind][0](dim, num_heads=num_heads, mlp_ratio=mlp_ratio, qkv_bias=qkv_bias, qk_scale=qk_scale,
                                   drop=drop, attn_drop=attn_drop, drop_path=rate, norm_eps=norm_eps)

        rates = [drop_path * stage / max(depth - 1, 1) for stage in range(depth)]
        for name, kinds in self.streams.items():
            # Spatial before temporal whatever their order in the stream, which fixes the order in checkpoints.
            setattr(self, name, nn.ModuleList(
                nn.ModuleDict({kind: layer(kind, rate) for kind in sorted(kinds)}) for rate in rates))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        nn.init.trunc_normal_(self.joint_embed, std=0.02)
        nn.init.trunc_normal_(self.frame_embed, std=0.02)
        self.apply(init_transformer)

    def forward(self, inputs: Tensor) -> Tensor:
        """Encode motion.

        Args:
            inputs: (N, T, J, C_in) normalised coordinates and confidence.

        Returns:
            (N, T, J, D) features.

        Raises:
            ValueError: another number of joints or channels, or more frames than ``max_frames``.
        """
        features = self.embed_inputs(inputs)
        for stage in range(self.depth):
            features = self.run_stage(stage, features)
        return self.finish(features)

    def embed_inputs(self, inputs: Tensor) -> Tensor:
        """Embed inputs (N, T, J, C_in) with joint and frame -> (N, T, J, D)."""
        check_inputs(self, inputs)
        embedded = self.embed(inputs)
        features = embedded + self.joint_embed + self.frame_embed[:, :inputs.shape[1]]
        # Parameters would make it float32 under autocast, and every sum, norm and copy of the network with it.
        return self.embed_drop(features.to(embedded.dtype))

    def run_stage(self, stage: int, features: Tensor) -> Tensor:
        """Run the streams of a stage on (N, T, J, D) and fuse them."""
        return recompute(self._run_streams, stage, features, wanted=self.activation_checkpointing)

    def _run_streams(self, stage: int, features: Tensor) -> Tensor:
        """Do the work of ``run_stage``."""
        return self.fuse(stage, *(self._run(name, stage, features) for name in self.streams))

    def fuse(self, stage: int, *streams: Tensor) -> Tensor:
        """Make one of the streams (N, T, J, D) of a stage; here there is only one."""
        stream, = streams
        return stream

    def _run(self, name: str, stage: int, features: Tensor) -> Tensor:
        """Apply one stage of a stream."""
        layers = getattr(self, name)[stage]
        for kind in self.streams[name]:
            features = self.apply_layer(kind, layers[kind], features)
        return features

    def finish(self, features: Tensor) -> Tensor:
        """Normalise the features (N, T, J, D) of the last stage, in the precision of the weight."""
        return self.norm(features.to(self.norm.weight.dtype))

    def apply_layer(self, kind: str, layer: nn.Module, features: Tensor) -> Tensor:
        """Apply a layer of a kind to (N, T, J, D)."""
        return LAYERS[kind][1](layer, features)
