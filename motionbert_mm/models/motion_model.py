"""The model of every task: preprocessor, backbone, neck and named heads."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from mmengine.model import BaseModel
from torch import Tensor, nn

from motionbert_mm.layers.masking import replace_masked
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton


@MODELS.register_module()
class MotionModel(BaseModel):
    """Fold persons into the batch, encode, run every head.

    Args:
        backbone: config; (N, T, J, C) -> (N, T', J', D), offers ``out_channels``.
        heads: name -> config of a head.
        neck: config; makes one feature layout out of another.
        skeleton: joint set of inputs and predictions.
        flip_test: average each prediction with that of the mirrored input.
        frozen: names of sub-modules, e.g. ``['backbone']``, that are neither trained nor left in training mode.
        data_preprocessor: config.
        init_cfg: MMEngine's initialisation.

    Raises:
        KeyError: an unknown skeleton.
        ValueError: ``frozen`` names no sub-module.
    """

    def __init__(self, backbone: dict, *, heads: Mapping[str, dict], neck: Optional[dict] = None,
                 skeleton: str = 'h36m', flip_test: bool = False, frozen: Sequence[str] = (),
                 data_preprocessor: Optional[dict] = None, init_cfg: Optional[dict] = None) -> None:
        super().__init__(build(MODELS, data_preprocessor or dict(type='MotionDataPreprocessor')), init_cfg)
        self.skeleton = get_skeleton(skeleton)
        self.flip_test = flip_test
        self.backbone = build(MODELS, backbone)
        self.neck = build(MODELS, neck, in_channels=self.backbone.out_channels) if neck else nn.Identity()
        channels = self.neck.out_channels if neck else self.backbone.out_channels
        self.heads = nn.ModuleDict({name: build(MODELS, head, in_channels=channels) for name, head in heads.items()})
        self.frozen = tuple(frozen)
        self._freeze()

    def forward(self, inputs: Tensor, data_samples: Optional[MotionSample] = None, mode: str = 'tensor') -> Any:
        """Run the model on one batch.

        Args:
            inputs: (B, M, T, J, C) normalised coordinates and confidence.
            data_samples: the batch's ground truth and metainfo; where it has a ``mask``, hidden joints of the
                inputs are set to zero.
            mode: 'tensor', 'loss' or 'predict'.

        Returns:
            'tensor': features (B * M, T', J', D). 'loss': dict of losses. 'predict': list of B
            ``MotionSample`` in the units of the ground truth.
        """
        if data_samples is not None and 'mask' in data_samples:
            inputs = replace_masked(inputs, data_samples.mask)
        if mode == 'tensor':
            return self.extract_features(inputs)
        if mode not in ('loss', 'predict'):
            raise ValueError(f"mode is {mode!r}, expected 'tensor', 'loss' or 'predict'")
        self._check_skeleton(data_samples)
        return self.loss(inputs, data_samples) if mode == 'loss' else self.predict(inputs, data_samples)

    def extract_features(self, inputs: Tensor) -> Tensor:
        """Encode (B, M, T, J, C) -> (B * M, T', J', D)."""
        return self.neck(self.backbone(inputs.flatten(0, 1)))

    def loss(self, inputs: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses of every head under ``<head>.loss_<quantity>``."""
        features = self.extract_features(inputs)
        return {f'{name}.{key}': value for name, head in self.heads.items()
                for key, value in head.loss(features, data_samples).items()}

    def predict(self, inputs: Tensor, data_samples: MotionSample) -> list[MotionSample]:
        """Return one sample per element of the batch, with the metainfo of ``data_samples``."""
        outputs = self._run_heads(inputs)
        if self.flip_test:
            mirrored = self._run_heads(mirror_inputs(inputs, self.skeleton.flip_indices))
            outputs = {name: head.average_mirrored(outputs[name], mirrored[name], self.skeleton.flip_indices)
                       for name, head in self.heads.items()}
        batch = MotionSample(metainfo=dict(data_samples.metainfo_items()))
        batch.set_metainfo(dict(flip_test=[self.flip_test] * len(inputs)))
        for name, head in self.heads.items():
            batch.set_data(head.decode(outputs[name].unflatten(0, inputs.shape[:2]), data_samples))
        return batch.unbind()

    def _run_heads(self, inputs: Tensor) -> dict[str, Tensor]:
        features = self.extract_features(inputs)
        return {name: head(features) for name, head in self.heads.items()}

    def _check_skeleton(self, data_samples: MotionSample) -> None:
        got = data_samples.metainfo.get('skeleton', self.skeleton.name)
        if got != self.skeleton.name:
            raise ValueError(f'the batch has skeleton {got!r}, the model was built for {self.skeleton.name!r}; add '
                             f"dict(type='ConvertSkeleton', target={self.skeleton.name!r}) to the pipeline")

    def _freeze(self) -> None:
        modules = dict(self.named_modules())
        for name in self.frozen:
            if name not in modules:
                raise ValueError(f'frozen names {name!r}, but the model has no such module; '
                                 f'its parts are {sorted(key for key, _ in self.named_children())}')
            modules[name].requires_grad_(False)

    def train(self, mode: bool = True) -> MotionModel:
        """Set the training mode, but keep frozen parts in evaluation mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self
