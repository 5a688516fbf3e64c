"""The encoder of P-STMO: an MLP for every frame, then a transformer over the frames."""
from __future__ import annotations

from typing import Optional

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.layers.frame_mlp import NormedLinear, ResidualMLP
from motionbert_mm.layers.init import start_equal
from motionbert_mm.layers.linear import Linear
from motionbert_mm.layers.masking import keep_visible, replace_masked, restore_masked, visible_places
from motionbert_mm.layers.norm import unused_norm
from motionbert_mm.layers.recompute import recompute
from motionbert_mm.layers.transformer import ReLUTransformerLayer
from motionbert_mm.models.backbones.checks import check_inputs
from motionbert_mm.registry import MODELS


@MODELS.register_module()
class PSTMOEncoder(BaseModule):
    """SEM and TEM of P-STMO (Shan et al., ECCV 2022, section 3): a pose becomes a token, tokens mix over time.

    Under a mask only visible frames enter the transformer (section 3.2). P-STMO-S has ``depth=3``, P-STMO
    ``depth=4``. The start is the official code's: positions and joint token are drawn from N(0, 1), layers are equal.

    Args:
        in_channels: of the inputs, the first that are read: 2 are x and y, 3 also the confidence.
        num_joints: J.
        max_frames: rows of the position table.
        dim: channels D of a frame token.
        depth: transformer layers (TEM).
        num_heads: attention heads.
        mlp_ratio: hidden width of the transformer's MLP over ``dim``.
        hidden_dim: width of the MLP over single frames (SEM).
        num_blocks: residual blocks of that MLP.
        drop: dropout.
        mlp_drop: dropout of the MLP over single frames; None is ``drop``.
        has_joint_token: hidden joints become a learned joint, for masked pose modelling, instead of zeros.
        hidden_in_statistics: while training, the batch norms also see frames that are hidden, as in the official code.
            False keeps them out altogether.
        activation_checkpointing: keep less for the backward pass and compute the rest again there: of every
            transformer layer only its input is kept. Takes less memory and more time; results are the same.
        init_cfg: MMEngine's initialisation.
    """

    takes_mask = True
    num_tokens = 1  # of a frame

    def __init__(self, in_channels: int = 2, *, num_joints: int = 17, max_frames: int = 243, dim: int = 256,
                 depth: int = 3, num_heads: int = 8, mlp_ratio: float = 2.0, hidden_dim: int = 512,
                 num_blocks: int = 1, drop: float = 0.1, mlp_drop: Optional[float] = None,
                 has_joint_token: bool = False, hidden_in_statistics: bool = True,
                 activation_checkpointing: bool = False, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.num_joints, self.max_frames, self.out_channels = in_channels, num_joints, max_frames, dim
        self.hidden_in_statistics = hidden_in_statistics
        self.activation_checkpointing = activation_checkpointing
        mlp_drop = drop if mlp_drop is None else mlp_drop
        self.expand = NormedLinear(num_joints * in_channels, hidden_dim, drop=mlp_drop)
        self.blocks = nn.Sequential(*(ResidualMLP(hidden_dim, drop=mlp_drop) for _ in range(num_blocks)))
        self.reduce = Linear(hidden_dim, dim)
        self.frame_embed = nn.Parameter(torch.randn(1, max_frames, dim))
        self.layers = nn.ModuleList(ReLUTransformerLayer(dim, num_heads=num_heads, mlp_ratio=mlp_ratio, drop=drop)
                                    for _ in range(depth))
        self.norm = unused_norm(dim)
        self.joint_token = nn.Parameter(torch.randn(in_channels)) if has_joint_token else None
        start_equal(self.layers)

    def forward(self, inputs: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        """Encode motion.

        Args:
            inputs: (N, T, J, C) normalised coordinates, and confidence.
            mask: (N, T, J) bool, True = hidden. Hidden joints are replaced by the joint token; frames of which every
                joint is hidden are left out.

        Returns:
            (N, T, 1, D) features, zero at frames that were left out.

        Raises:
            ValueError: another number of joints, fewer channels, more than ``max_frames`` frames, or samples that hide
                different numbers of frames.
        """
        inputs = inputs[..., :self.in_channels]
        check_inputs(self, inputs)
        return self.encode(inputs, mask, self.expand, self.joint_token)

    def encode(self, points: Tensor, mask: Optional[Tensor], expand: nn.Module, token: Optional[Tensor]) -> Tensor:
        """Encode checked coordinates.

        Args:
            points: (N, T, J, C).
            mask: see ``forward``.
            expand: first map of the MLP over single frames.
            token: (C,) what stands at hidden joints, zero if None.

        Returns:
            (N, T, 1, D) features.
        """
        if mask is None:
            tokens = self.embed_frames(points, expand)
            return self.mix_frames(tokens + self.frame_embed[:, :points.shape[1]])[:, :, None]
        is_hidden = mask.all(dim=-1)  # (N, T)
        places = visible_places(is_hidden)  # (N, V)
        points = replace_masked(points, mask & ~is_hidden[..., None], token)
        if self.training and self.hidden_in_statistics:
            tokens = keep_visible(self.embed_frames(points, expand), places)
        else:
            tokens = self.embed_frames(keep_visible(points, places), expand)
        tokens = self.mix_frames(tokens + self.frame_embed[0, places])
        return restore_masked(tokens, places, points.shape[1])[:, :, None]

    def embed_frames(self, points: Tensor, expand: nn.Module) -> Tensor:
        """Make a token of every pose, without its position: (N, T, J, C) -> (N, T, D)."""
        return self.reduce(self.blocks(expand(points.flatten(2))))

    def embed_sequence(self, inputs: Tensor) -> Tensor:
        """Make the tokens of a whole sequence, of any length, for ``encode_windows``: (F, J, C) -> (F, D)."""
        inputs = inputs[:, None, :, :self.in_channels]
        check_inputs(self, inputs)
        return self.embed_frames(inputs, self.expand)[:, 0]

    def encode_windows(self, tokens: Tensor, windows: Tensor) -> Tensor:
        """Encode windows of a sequence as ``forward`` does, the work on single frames being shared.

        Args:
            tokens: (F, D) of ``embed_sequence``.
            windows: (K, T) numbers of the windows' frames.

        Returns:
            (K, T, 1, D) features.
        """
        return self.mix_frames(tokens[windows] + self.frame_embed[:, :windows.shape[1]])[:, :, None]

    def mix_frames(self, tokens: Tensor) -> Tensor:
        """Run the transformer over tokens with their positions: (N, V, D) -> (N, V, D)."""
        for layer in self.layers:
            tokens = recompute(layer, tokens, wanted=self.activation_checkpointing)
        return tokens
