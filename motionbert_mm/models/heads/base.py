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
        source: which features to read where the neck gives several, e.g. 'centre'.
        losses: configs of losses; each is called with prediction, target and weight.
        init_cfg: MMEngine's initialisation.

    Attributes:
        centre: the output has the centre frame of the window only.
        joins_persons: the head reads all persons of a sample at once, features (B, M, T', J', D).
        reads_tokens: the head joins the tokens of a frame and takes their number, ``num_tokens``.
        reads_given: fields of the batch that ``forward`` takes besides the features, as keyword arguments.

    Raises:
        ValueError: two losses of one name; when called, a batch without a field of ``reads_given``.
    """

    target_name: str = ''
    centre: bool = False
    joins_persons: bool = False
    reads_tokens: bool = False
    reads_given: tuple = ()

    def __init__(self, *, source: Optional[str] = None, losses: Sequence[dict] = (),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.source, self.losses = source, build_losses(losses)

    def loss(self, features: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return ``{loss_<quantity>: scalar}``, each multiplied by its weight.

        A batch without targets for this head gives a loss of zero that still reaches every parameter of the
        network: distributed training expects a gradient for each of them.
        """
        prediction = self(features, **self.given(data_samples))
        return self.compare(prediction, data_samples) or {'loss_absent': self._nothing(prediction)}

    def given(self, data_samples: Optional[MotionSample], *, mirrored: bool = False) -> dict[str, Tensor]:
        """Return the fields of ``reads_given``, persons folded in, (B * M, T, ...).

        Args:
            data_samples: the batch.
            mirrored: mirror them left to right, as the inputs were.
        """
        missing = [name for name in self.reads_given if data_samples is None or name not in data_samples]
        if missing:
            raise ValueError(f'{type(self).__name__} reads {", ".join(self.reads_given)} of the batch, which has no '
                             f'{", ".join(missing)}; the store needs arrays of these names, the data set them in '
                             'targets=[...] and PackInputs in fields=[...]')
        fields = {name: data_samples.get(name).flatten(0, 1) for name in self.reads_given}
        return self.mirror_given(fields) if mirrored else fields

    def mirror_given(self, fields: dict[str, Tensor]) -> dict[str, Tensor]:
        """Mirror the fields of ``reads_given`` left to right."""
        return fields

    def _nothing(self, prediction: Tensor) -> Tensor:
        """Return zero, by way of the prediction and of parameters that only losses use."""
        own = [value.sum() for value in self.parameters() if value.requires_grad]
        return (prediction.sum() + sum(own)) * 0.0

    def compare(self, prediction: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses between the output and the targets that the batch has."""
        if self.target_name not in data_samples:
            return {}
        weight = data_samples.visible.flatten(0, 1).to(prediction.dtype) if 'visible' in data_samples else None
        return weigh(self.losses, prediction, data_samples.get(self.target_name).flatten(0, 1), weight)

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Turn the output (B, M, ...) into fields of a ``MotionSample``."""
        raise NotImplementedError

    def average_mirrored(self, output: Tensor, mirrored: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Average the output with that of the mirrored input."""
        raise NotImplementedError


def build_losses(configs: Sequence[dict]) -> nn.ModuleList:
    """Build losses; ValueError if two are logged under one name."""
    losses = nn.ModuleList(build(MODELS, config) for config in configs)
    names = [loss.name for loss in losses]
    for name in set(names):
        if names.count(name) > 1:
            raise ValueError(f'{names.count(name)} losses are logged as {name!r}, of which only one would count; '
                             'give each its own name=... in the config')
    return losses


def weigh(losses: nn.ModuleList, prediction: Tensor, target: Tensor, weight: Optional[Tensor]) -> dict[str, Tensor]:
    """Return ``{name: scalar}``, each multiplied by its weight; those of weight 0 are not computed."""
    return {loss.name: loss.weight * loss(prediction, target, weight) for loss in losses if loss.weight}
