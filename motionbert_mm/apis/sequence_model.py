"""What lifting and mesh recovery share: from 2D keypoints of any length to the windows of a model."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional, TypeVar, Union

import numpy as np
import torch
from torch import nn

from motionbert_mm.apis.checks import check_inside, check_keypoints, check_sizes
from motionbert_mm.apis.missing import WAYS, CompleteInput, complete_input, is_made_for_missing, notes_on
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.transforms import PackInputs
from motionbert_mm.datasets.windows import sliding_windows
from motionbert_mm.registry import TRANSFORMS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton

BATCH_SIZE = 8  # windows per forward pass of models that predict every frame of a window

Self = TypeVar('Self', bound='SequenceModel')


@dataclass(frozen=True)
class Clip:
    """One person's sequence in the joints of the model: (F, J, 2) px, (F, J), (F, J) bool, image size (2,) px.

    ``given`` holds further arrays (F, ...) that the model reads, by the names of their fields.
    """

    points: np.ndarray
    confidence: np.ndarray
    hidden: np.ndarray
    size: np.ndarray
    given: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.points)


class SequenceModel:
    """A model of 2D keypoint windows that knows its skeleton, window and input normalisation.

    Args:
        model: in evaluation mode.
        skeleton: joint set of the model.
        num_frames: frames T of a window.
        transforms: configs of the transforms that make network inputs of pixels.
        dilation: step between the frames of a window.
        is_made_for_missing: the model was trained with joints hidden from it.

    Raises:
        ValueError: ``dilation`` below 1.
    """

    # Fields of a ``Clip`` that the model reads besides its inputs.
    given_fields: tuple = ()

    def __init__(self, model: nn.Module, *, skeleton: str, num_frames: int, transforms: Sequence[dict],
                 dilation: int = 1, is_made_for_missing: bool = False) -> None:
        if dilation < 1:
            raise ValueError(f'dilation must be at least 1, got {dilation}')
        self.model, self.num_frames, self.dilation = model, num_frames, dilation
        self.is_made_for_missing = is_made_for_missing
        self.skeleton = get_skeleton(skeleton)
        self.transforms = [build(TRANSFORMS, transform) for transform in transforms]
        self.pack = PackInputs(fields=self.given_fields)

    @classmethod
    def from_checkpoint(cls: type[Self], path: Union[str, os.PathLike], device: Optional[str] = None, *,
                        dilation: Optional[int] = None) -> Self:
        """Build from a checkpoint of ``tools/train.py`` or of a model converter.

        Args:
            path: the checkpoint, which carries its config.
            device: 'cpu', 'cuda:0', ...; None takes the best available.
            dilation: step between the frames of a window; None is that of training. A model of every second frame of
                50 fps takes every frame of a video of 25 fps.

        Raises:
            FileNotFoundError, ValueError: no, torn or foreign checkpoint; that of a model that reads 3D poses; or see
                the class.
        """
        return cls.from_model(*load_model(path, device), source=str(path), dilation=dilation)

    @classmethod
    def from_model(cls: type[Self], model: nn.Module, info: Mapping, *, source: str,
                   dilation: Optional[int] = None) -> Self:
        """Make one of what ``load_model`` returns for ``source``; see ``from_checkpoint``."""
        if info['input_3d']:
            raise ValueError(f'{source} is of a model that completes 3D poses (Take3DInputs in its test pipeline); use '
                             'the checkpoint of one that was tested on 2D input')
        return cls(model, skeleton=info['skeleton'], num_frames=info['num_frames'], transforms=info['input'],
                   dilation=info['dilation'] if dilation is None else dilation,
                   is_made_for_missing=is_made_for_missing(model, info), **cls._own_arguments(model, source))

    @classmethod
    def _own_arguments(cls, model: nn.Module, source: str) -> dict:
        """Return what the constructor of a subclass takes besides, and refuse models that it has no use for."""
        return {}

    def read_input(self, keypoints: np.ndarray, confidence: Optional[np.ndarray], *, skeleton: str,
                   image_size: Sequence[float], batch_size: int, missing: str,
                   given: Optional[Mapping[str, np.ndarray]] = None) -> tuple[CompleteInput, Clip]:
        """Check one person's keypoints, convert them to the joints of the model and fill in what is missing.

        Args:
            keypoints: (F, J, 2) px, NaN where a joint is missing.
            confidence: (F, J) in 0..1; all 1 if None.
            skeleton: joint set of both.
            image_size: (width, height) px.
            batch_size: windows per forward pass.
            missing: one of ``WAYS``.
            given: for the ``Clip``.

        Raises:
            KeyError: unknown skeleton.
            ValueError: what ``apis.checks`` and ``complete_input`` refuse; an unknown way to fill.
        """
        if missing not in WAYS:
            raise ValueError(f'missing is {missing!r}, expected one of {", ".join(WAYS)}')
        keypoints, confidence = check_keypoints(keypoints, confidence, skeleton)
        size = check_sizes(image_size, batch_size)
        check_inside(keypoints, confidence, size)
        complete = complete_input(keypoints, confidence, skeleton, self.skeleton,
                                  by_model=missing == 'model' or missing == 'auto' and self.is_made_for_missing)
        source = complete.source
        return complete, Clip(source.keypoints, source.confidence, complete.hidden, size, given or {})

    def describe_input(self, given: CompleteInput) -> dict:
        """Return what a result says of its input, by the names of the fields of ``LiftResult``."""
        source = given.source
        return dict(confidence=source.confidence, skeleton=self.skeleton.name, copied=source.copied,
                    averaged=source.averaged, invented=source.invented, filled=given.filled, hidden=given.hidden,
                    notes=notes_on(given, self.skeleton, is_made=self.is_made_for_missing))

    def run_windows(self, clip: Clip, batch_size: int,
                    progress: Callable[[Iterable], Iterable]) -> Iterator[tuple[np.ndarray, list[MotionSample]]]:
        """Run windows that overlap by half; yield their frames (B, T) and the predictions."""
        windows = overlapping_windows(len(clip), self.num_frames, self.dilation)
        for start in progress(range(0, len(windows), batch_size)):
            frames = windows[start:start + batch_size]
            yield frames, self.model.test_step(self.make_batch(clip, frames))

    def make_batch(self, clip: Clip, frames: np.ndarray) -> dict:
        """Make a batch of windows (B, T) as data sets do, inputs (B, 1, T, J, C)."""
        results: dict[str, Any] = {
            'keypoints_2d': clip.points[frames][:, None], 'confidence': clip.confidence[frames][:, None],
            'mask': clip.hidden[frames][:, None], 'skeleton': self.skeleton.name,
            'image_size': np.tile(clip.size, (len(frames), 1)), 'frame_ids': frames,
            'sample_id': [f'window at frame {window[0]}' for window in frames],
            **{name: values[frames][:, None] for name, values in clip.given.items()}}
        for transform in self.transforms:
            results = transform(results, np.random.default_rng(0))
        return collate_batch(self.pack(results, np.random.default_rng(0)))


@contextmanager
def mirrored_too(model: nn.Module, flip_test: bool) -> Iterator[None]:
    """Set ``flip_test`` of a model for a while."""
    before, model.flip_test = model.flip_test, flip_test
    try:
        yield
    finally:
        model.flip_test = before


def stack_field(samples: Sequence[MotionSample], name: str, purpose: str, windows: np.ndarray) -> np.ndarray:
    """Join what was predicted for windows (B, T): (B, T, ...).

    Args:
        samples: predictions for one person.
        name: of the field.
        purpose: of the model that would predict it, for the message.
        windows: frames.

    Raises:
        ValueError: no such field, or not every frame of the windows.
    """
    values = read_field(samples, name, purpose)
    if values.shape[1] != windows.shape[1]:
        raise ValueError(f'the model predicts {values.shape[1]} frames of a window of {windows.shape[1]}, expected '
                         'all of them, or the centre frame of a model that says predicts_centre')
    return values


def read_field(samples: Sequence[MotionSample], name: str, purpose: str) -> np.ndarray:
    """Join what was predicted for one person in windows, be it for all frames or the centre: (B, T', ...)."""
    if name not in samples[0]:
        raise ValueError(f'the model predicts {", ".join(samples[0].keys())}, expected {name}; use the checkpoint of a '
                         f'model that {purpose}')
    return torch.stack([sample.get(name)[0] for sample in samples]).float().cpu().numpy()


def overlapping_windows(length: int, num_frames: int, dilation: int) -> np.ndarray:
    """Cover a sequence by windows (K, T) that overlap by half; with a dilation, each of its phases for itself."""
    phases = [np.arange(start, length, dilation) for start in range(min(dilation, length))]
    return np.concatenate([phase[sliding_windows(len(phase), num_frames, max(num_frames // 2, 1), tail='shift')]
                           for phase in phases])
