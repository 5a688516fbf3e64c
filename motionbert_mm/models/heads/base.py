"""Loss plumbing shared by all heads."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample


class MotionHead(BaseModule):
    """A head reads features and owns its losses and the way back to the units of the ground truth.

    Subclasses set ``target_name``, the field of the batch that they learn from, and implement ``forward``,
    ``decode`` and ``average_mirrored``.

    Args:
        losses: configs of losses; each is called with prediction, target and weight.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: two losses of one name.
    """

    target_name: str = ''

    def __init__(self, *, losses: Sequence[dict] = (), init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.losses = nn.ModuleList(build(MODELS, loss) for loss in losses)
        names = [loss.name for loss in self.losses]
        for name in set(names):
            if names.count(name) > 1:
                raise ValueError(f'{names.count(name)} losses are logged as {name!r}, of which only one would count; '
                                 'give each its own name=... in the config')

    def loss(self, features: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return ``{loss_<quantity>: scalar}``, each multiplied by its weight.

        A batch without targets for this head gives a loss of zero that still reaches every parameter of the
        network: distributed training expects a gradient for each of them.
        """
        prediction = self(features)
        if self.target_name not in data_samples:
            return {'loss_absent': prediction.sum() * 0.0}
        target = data_samples.get(self.target_name).flatten(0, 1)
        weight = data_samples.visible.flatten(0, 1).to(prediction.dtype) if 'visible' in data_samples else None
        losses = {loss.name: loss.weight * loss(prediction, target, weight) for loss in self.losses if loss.weight}
        return losses or {'loss_absent': prediction.sum() * 0.0}

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Turn the output (B, M, ...) into fields of a ``MotionSample``."""
        raise NotImplementedError

    def average_mirrored(self, output: Tensor, mirrored: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Average the output with that of the mirrored input."""
        raise NotImplementedError
