"""The model of every task: preprocessor, backbone, neck and named heads."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Optional, Union

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from motionbert_mm.layers.masking import replace_masked
from motionbert_mm.models.compilation import compile_parts
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton

Features = Union[Tensor, dict[str, Tensor]]
PRECISIONS = dict(bf16=torch.bfloat16, fp16=torch.float16)


@MODELS.register_module()
class MotionModel(BaseModel):
    """Fold persons into the batch, encode, run every head.

    Args:
        backbone: config; (N, T, J, C) -> (N, T', J', D), offers ``out_channels``.
        heads: name -> config of a head.
        neck: config, or a list of configs that follow each other; makes one feature layout out of another.
        predicts: names of the heads that predict; the others only train. None is all.
        skeleton: joint set of inputs and predictions.
        flip_test: average each prediction with that of the mirrored input.
        frozen: names of sub-modules, e.g. ``['backbone']``, that are neither trained nor left in training mode.
        compile: compile backbone and neck by ``torch.compile``, for training and prediction; a dict is its arguments.
            A mask that hides whole frames from ``PSTMOEncoder`` or ``MPMEncoder`` cuts the graph once.
        amp: 'bf16' or 'fp16', the precision of the network while predicting; decoding stays in float32. Training has
            ``optim_wrapper`` for it.
        data_preprocessor: config.
        init_cfg: MMEngine's initialisation.

    Raises:
        KeyError: an unknown skeleton.
        TypeError: ``compile`` has what ``torch.compile`` does not take.
        ValueError: ``frozen`` names no sub-module, ``predicts`` no head, a head features that the neck lacks, heads
            that predict do not agree on the frames, ``amp`` is no precision, or this machine cannot compile.
    """

    def __init__(self, backbone: dict, *, heads: Mapping[str, dict], neck: Union[dict, Sequence[dict], None] = None,
                 predicts: Optional[Sequence[str]] = None, skeleton: str = 'h36m', flip_test: bool = False,
                 frozen: Sequence[str] = (), compile: Union[dict, bool, None] = None, amp: Optional[str] = None,
                 data_preprocessor: Optional[dict] = None, init_cfg: Optional[dict] = None) -> None:
        super().__init__(build(MODELS, data_preprocessor or dict(type='MotionDataPreprocessor')), init_cfg)
        self.skeleton = get_skeleton(skeleton)
        self.flip_test = flip_test
        self.backbone = build(MODELS, backbone)
        self.neck, channels, tokens = build_neck(neck, self.backbone)
        self.heads = nn.ModuleDict({name: _build_head(head, channels, tokens) for name, head in heads.items()})
        self.predicts = tuple(self.heads if predicts is None else predicts)
        self._check_predicts()
        self.frozen = tuple(frozen)
        self._freeze()
        if amp is not None and amp not in PRECISIONS:
            raise ValueError(f'model.amp is {amp!r}, expected one of {", ".join(PRECISIONS)}, or None for float32')
        self.amp = amp
        if compile not in (None, False):
            compile_parts([self.backbone, *([self.neck] if len(list(self.neck.parameters())) else [])], compile)

    def forward(self, inputs: Tensor, data_samples: Optional[MotionSample] = None, mode: str = 'tensor') -> Any:
        """Run the model on one batch.

        Args:
            inputs: (B, M, T, J, C) normalised coordinates and confidence.
            data_samples: the batch's ground truth and metainfo. Where it has a ``mask``, backbones and necks with
                ``takes_mask`` are given it; for other backbones hidden joints of the inputs are set to zero.
            mode: 'tensor', 'loss' or 'predict'.

        Returns:
            'tensor': features (B * M, T', J', D), or a dict of them if the neck gives several. 'loss': dict of losses.
            'predict': list of B ``MotionSample`` in the units of the ground truth.
        """
        if mode == 'tensor':
            return self.extract_features(inputs, folded_mask(data_samples))
        if mode not in ('loss', 'predict'):
            raise ValueError(f"mode is {mode!r}, expected 'tensor', 'loss' or 'predict'")
        self._check_skeleton(data_samples)
        return self.loss(inputs, data_samples) if mode == 'loss' else self.predict(inputs, data_samples)

    def extract_features(self, inputs: Tensor, mask: Optional[Tensor] = None) -> Features:
        """Encode (B, M, T, J, C) under a mask (B * M, T, J) -> (B * M, T', J', D)."""
        inputs = inputs.flatten(0, 1)
        if mask is not None and not _takes_mask(self.backbone):
            inputs = replace_masked(inputs, mask)
        return _run(self.neck, _run(self.backbone, inputs, mask), mask)

    def loss(self, inputs: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses of every head under ``<head>.loss_<quantity>``.

        Those of a source of ``MixedDataset`` are multiplied by its weight and returned under
        ``<source>.<head>.loss_<quantity>``, so that they are logged apart.
        """
        features = self.extract_features(inputs, folded_mask(data_samples))
        meta = data_samples.metainfo
        prefix, weight = f'{meta["source"]}.' if 'source' in meta else '', meta.get('loss_weight', 1.0)
        return _absorb_absent({
            f'{prefix}{name}.{key}': weight * value for name, head in self.heads.items()
            for key, value in head.loss(self._features_of(name, features, inputs.shape[1]), data_samples).items()})

    def predict(self, inputs: Tensor, data_samples: MotionSample) -> list[MotionSample]:
        """Return one sample per element of the batch, with the metainfo of ``data_samples``.

        Samples of centre-frame heads have that frame only, in ``frame_ids`` too.
        """
        mask, flip, persons = folded_mask(data_samples), list(self.skeleton.flip_indices), inputs.shape[1]
        given = dict(num_persons=persons, data_samples=data_samples)
        with self._precision(inputs):
            passes = [self.run_heads(self.extract_features(inputs, mask), **given)]
            if self.flip_test:
                # The mask is mirrored with the pose, so that a joint hidden on one side does not show on the other.
                mirrored, mask = mirror_inputs(inputs, flip), None if mask is None else mask[..., flip]
                passes.append(self.run_heads(self.extract_features(mirrored, mask), **given, mirrored=True))
        return self._make_samples(passes, inputs.shape[:2], data_samples)

    @property
    def predicts_centre(self) -> bool:
        """Whether predictions hold the centre frame of a window only."""
        return self.heads[self.predicts[0]].centre

    @property
    def shares_frames(self) -> bool:
        """Whether overlapping windows can share what the backbone does to single frames, see ``predict_windows``."""
        return hasattr(self.backbone, 'encode_windows')

    def embed_sequence(self, inputs: Tensor) -> list[Tensor]:
        """Do once for all windows what the backbone does to single frames.

        Args:
            inputs: (F, J, C) normalised coordinates and confidence of one person.

        Returns:
            Tokens (F, D); under ``flip_test`` a second entry with those of the mirrored sequence.
        """
        sequences = [inputs, mirror_inputs(inputs, self.skeleton.flip_indices)] if self.flip_test else [inputs]
        with self._precision(inputs):
            return [self.backbone.embed_sequence(sequence) for sequence in sequences]

    def predict_windows(self, tokens: Sequence[Tensor], windows: Tensor,
                        data_samples: MotionSample) -> list[MotionSample]:
        """Predict windows of one sequence as ``predict`` does without a mask, from frames that were embedded before.

        Args:
            tokens: of ``embed_sequence``.
            windows: (K, T) numbers of the windows' frames.
            data_samples: metainfo of the K windows, as for ``predict``; if the centre frame alone is predicted, that of
                the centre frames is enough.
        """
        with self._precision(tokens[0]):
            passes = [self.run_heads(self.neck(self.backbone.encode_windows(each, windows)), data_samples=data_samples,
                                     mirrored=bool(number)) for number, each in enumerate(tokens)]
        return self._make_samples(passes, (len(windows), 1), data_samples)

    def _precision(self, inputs: Tensor) -> AbstractContextManager:
        """Return the context of predictions: autocast to ``amp``, or what is around already."""
        return torch.autocast(inputs.device.type, PRECISIONS[self.amp]) if self.amp else nullcontext()

    def _make_samples(self, passes: Sequence[dict], shape: Sequence[int],
                      data_samples: MotionSample) -> list[MotionSample]:
        """Average the outputs of the plain and the mirrored pass; decode them, ``shape`` being (B, M)."""
        passes = [{name: _full_precision(output) for name, output in outputs.items()} for outputs in passes]
        outputs, flip = passes[0], list(self.skeleton.flip_indices)
        if len(passes) > 1:
            outputs = {name: self.heads[name].average_mirrored(outputs[name], passes[1][name], flip)
                       for name in self.predicts}
        batch = MotionSample(metainfo=dict(data_samples.metainfo_items()))
        batch.set_metainfo(dict(flip_test=[len(passes) > 1] * shape[0]))
        if self.predicts_centre and 'frame_ids' in batch.metainfo:
            batch.set_metainfo(dict(frame_ids=[ids[len(ids) // 2:][:1] for ids in batch.metainfo['frame_ids']]))
        for name in self.predicts:
            joined = self.heads[name].joins_persons
            output = outputs[name] if joined else outputs[name].unflatten(0, tuple(shape))
            fields = self.heads[name].decode(output, data_samples)
            twice = sorted(set(fields) & set(batch.keys()))
            if twice:
                raise ValueError(f'the heads {", ".join(self.predicts)} all predict {", ".join(twice)}; name one of '
                                 'them in model.predicts')
            batch.set_data(fields)
        return batch.unbind()

    def run_heads(self, features: Features, names: Optional[Iterable[str]] = None, *, num_persons: int = 1,
                  data_samples: Optional[MotionSample] = None, mirrored: bool = False) -> dict[str, Tensor]:
        """Return the outputs, in normalised units, of the heads that predict, or of those named.

        Args:
            features: of ``extract_features``.
            names: of heads.
            num_persons: M. Heads with ``joins_persons`` give one output for a sample (B, ...), others (B * M, ...).
            data_samples: the batch, for heads with ``reads_given``.
            mirrored: the features are those of mirrored inputs.
        """
        return {name: self.heads[name](self._features_of(name, features, num_persons),
                                       **self.heads[name].given(data_samples, mirrored=mirrored))
                for name in (self.predicts if names is None else names)}

    def _features_of(self, name: str, features: Features, num_persons: int) -> Tensor:
        """Return the features that a head reads, (B * M, T', J', D), or (B, M, T', J', D) if it joins persons."""
        head = self.heads[name]
        chosen = choose_features(features, head.source, name)
        return chosen.unflatten(0, (-1, num_persons)) if head.joins_persons else chosen

    def _check_predicts(self) -> None:
        unknown = sorted(set(self.predicts) - set(self.heads))
        if unknown or not self.predicts:
            raise ValueError(f'model.predicts is {list(self.predicts)}, expected some of the heads {list(self.heads)}')
        if len({self.heads[name].centre for name in self.predicts}) > 1:
            raise ValueError(f'of the heads {", ".join(self.predicts)} some predict the centre frame and some all '
                             'frames; name those of one kind in model.predicts')

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


def build_neck(neck: Union[dict, Sequence[dict], None], backbone: nn.Module) -> tuple[nn.Module, Any, Any]:
    """Build a neck or a row of necks behind a backbone; return it, and the channels and tokens of a frame it gives.

    Both are dicts behind ``FeatureBranches``.
    """
    necks, channels, tokens = [], backbone.out_channels, getattr(backbone, 'num_tokens', backbone.num_joints)
    for config in [neck] if isinstance(neck, Mapping) else neck or ():
        necks.append(build(MODELS, config, in_channels=channels))
        channels, given = necks[-1].out_channels, getattr(necks[-1], 'num_tokens', tokens)
        tokens = ({name: count or tokens for name, count in given.items()} if isinstance(given, Mapping) else given)
    return (necks[0] if isinstance(neck, Mapping) else NeckChain(*necks)), channels, tokens


def _build_head(head: dict, channels: Any, tokens: Any) -> nn.Module:
    """Build a head behind features of some channels and, where it joins them, some tokens of a frame."""
    if isinstance(channels, Mapping):
        branch = head.get('source')
        if branch not in channels:
            raise ValueError(f'a head of type {head.get("type")} reads source={branch!r}, but the neck gives '
                             f'{list(channels)}; change source of the head or model.neck')
        channels, tokens = channels[branch], tokens[branch]
    kind = head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    reads_tokens = getattr(kind, 'reads_tokens', False)
    return build(MODELS, head, in_channels=channels, **(dict(num_tokens=tokens) if reads_tokens else {}))


class NeckChain(nn.Sequential):
    """Necks one behind the other; without any, the features as they are."""

    @property
    def takes_mask(self) -> bool:
        """Whether one of them does."""
        return any(_takes_mask(neck) for neck in self)

    def forward(self, features: Tensor, mask: Optional[Tensor] = None) -> Features:
        """Run all necks; those with ``takes_mask`` get the mask (N, T, J) too."""
        for neck in self:
            features = _run(neck, features, mask)
        return features


def _takes_mask(module: nn.Module) -> bool:
    return getattr(module, 'takes_mask', False)


def _run(module: nn.Module, inputs: Tensor, mask: Optional[Tensor]) -> Features:
    """Run a backbone or neck, under a mask if there is one and the module has a use for it."""
    return module(inputs, mask) if mask is not None and _takes_mask(module) else module(inputs)


def _full_precision(output: Tensor) -> Tensor:
    """Give float32 to what autocast left in less, before it becomes millimetres."""
    return output.float() if output.dtype in PRECISIONS.values() else output


def folded_mask(data_samples: Optional[MotionSample]) -> Optional[Tensor]:
    """Return the mask of a batch with persons folded, (B * M, T, J) bool, if it has one."""
    return data_samples.mask.flatten(0, 1) if data_samples is not None and 'mask' in data_samples else None


def _absorb_absent(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the zeros of heads without targets (``loss_absent``) to the first loss of another: nothing to be logged."""
    there = {name: value for name, value in losses.items() if not name.endswith('.loss_absent')}
    if not there or len(there) == len(losses):
        return losses
    zeros = [value for name, value in losses.items() if name not in there]
    first = next(iter(there))
    return {**there, first: there[first] + sum(zeros)}


def choose_features(features: Features, source: Optional[str], head: str) -> Tensor:
    """Return the features that a head with some ``source`` reads, be they one tensor or a dict of a neck.

    Raises:
        ValueError: the neck gives no such features; ``head`` is the name in the message.
    """
    if isinstance(features, Mapping) and source in features:
        return features[source]
    if isinstance(features, Mapping) or source is not None:
        available = list(features) if isinstance(features, Mapping) else None
        raise ValueError(f'head {head!r} reads source={source!r}, but the neck gives {available}; change source of the '
                         'head or model.neck')
    return features
