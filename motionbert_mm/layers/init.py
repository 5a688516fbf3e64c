"""Weight initialisation shared by the transformers."""
from torch import nn


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
