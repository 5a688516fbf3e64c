"""The motion representation layer of MotionBERT."""
from torch import Tensor, nn

from motionbert_mm.layers.init import init_transformer
from motionbert_mm.registry import MODELS


@MODELS.register_module()
class RepresentationLayer(nn.Module):
    """Linear map and tanh: features -> motion representation E (MotionBERT, section 3.2; dim_rep 512).

    Every downstream head of MotionBERT reads E.

    Args:
        in_channels: channels D of the backbone.
        out_channels: channels of the representation.
    """

    def __init__(self, in_channels: int, *, out_channels: int = 512) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.fc = nn.Linear(in_channels, out_channels)
        self.apply(init_transformer)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, T, J, D) -> (N, T, J, out_channels) in (-1, 1)."""
        return self.fc(features).tanh()
