"""Weight initialisation shared by the transformers."""
from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from motionbert_mm.layers.attention import MultiHeadAttention
from motionbert_mm.layers.transformer import MLP


def init_transformer(module: nn.Module) -> None:
    """Draw linear weights from a normal of std 0.02 truncated at +-2, zero biases, set norms to identity.

    Official: MotionBERT ``DSTformer._init_weights``. For use with ``Module.apply``.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


def start_equal(layers: Iterable[nn.Module]) -> None:
    """Give all layers the attention and the MLP of the first; q, k, v and output maps start equal too.

    Official: P-STMO and MPM make their layers by deep copies. It does not matter to loaded weights, only to how
    training from scratch starts.
    """
    modules = [module for layer in layers for module in layer.modules()]
    attentions = [module for module in modules if isinstance(module, MultiHeadAttention)]
    mlps = [module for module in modules if isinstance(module, MLP)]
    with torch.no_grad():
        for attention in attentions:
            attention.proj.load_state_dict(attentions[0].proj.state_dict())
            attention.qkv.weight.copy_(attention.proj.weight.repeat(3, 1))
            attention.qkv.bias.copy_(attention.proj.bias.repeat(3))
        for mlp in mlps:
            mlp.load_state_dict(mlps[0].state_dict())
