"""Lift 2D keypoint sequences of any length to 3D with a trained checkpoint."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import torch
from torch import Tensor, nn

from motionbert_mm.apis.blending import WindowBlend
from motionbert_mm.apis.checks import check_inside, check_keypoints, check_sizes
from motionbert_mm.apis.missing import WAYS, complete_input, is_made_for_missing, notes_on
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.transforms import NormalizeCoords, PackInputs
from motionbert_mm.datasets.windows import WindowPlan, sliding_windows
from motionbert_mm.registry import TRANSFORMS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton

# Windows per forward pass: of models that predict every frame of a window, and of those that predict its centre only.
BATCH_SIZE, CENTRE_BATCH_SIZE = 8, 32
BLOCK = 8192  # frames that are embedded at a time


@dataclass(frozen=True)
class LiftResult:
    """A motion in 3D and where its joints came from.

    Attributes:
        keypoints_3d: (F, J, 3) float32 mm, camera frame (x right, y down, z forward), relative to the root joint.
        confidence: (F, J) float32 in 0..1, of the input after conversion; 0 for missing and invented joints.
        skeleton: name of the joint set of both.
        copied: joints that the input has.
        averaged: joints that are the mean of several joints of the input.
        invented: joints that the input does not determine.
        filled: (F, J) bool, joints that were missing in a frame of the input.
        hidden: (F, J) bool, those of them that the model was not given and found out itself; the others were
            interpolated over time.
        notes: what the user should know about missing joints, one sentence each.
    """

    keypoints_3d: np.ndarray
    confidence: np.ndarray
    skeleton: str
    copied: tuple
    averaged: tuple
    invented: tuple
    filled: np.ndarray
    hidden: np.ndarray
    notes: tuple


@dataclass(frozen=True)
class _Clip:
    """One person's sequence in the joints of the model: (F, J, 2) px, (F, J), (F, J) bool, image size (2,) px."""

    points: np.ndarray
    confidence: np.ndarray
    hidden: np.ndarray
    size: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


class Lifter:
    """A 2D-to-3D lifter that knows its skeleton, window and input normalisation.

    Models that predict every frame of a window get windows that overlap by half, and these are blended; a sequence
    shorter than a window is continued with its last frame. Models that predict the centre frame only
    (``predicts_centre``) get a window around every frame; beyond the ends the first and the last frame are repeated.
    Where such a model allows it (``shares_frames``), its work on single frames is done once, not in every window in
    which all joints are given.

    Joints may be missing. Models that were made for that are told which; for others they are interpolated.

    Args:
        model: in evaluation mode; ``test_step`` gives ``keypoints_3d``.
        skeleton: joint set of the model.
        num_frames: frames T of a window.
        transforms: configs of the transforms that make network inputs of pixels.
        dilation: step between the frames of a window.
        is_made_for_missing: the model was trained with joints hidden from it.

    Raises:
        ValueError: ``dilation`` below 1.
    """

    def __init__(self, model: nn.Module, *, skeleton: str, num_frames: int, transforms: Sequence[dict],
                 dilation: int = 1, is_made_for_missing: bool = False) -> None:
        if dilation < 1:
            raise ValueError(f'dilation must be at least 1, got {dilation}')
        self.model, self.num_frames, self.dilation = model, num_frames, dilation
        self.is_made_for_missing = is_made_for_missing
        self.skeleton = get_skeleton(skeleton)
        self.transforms = [build(TRANSFORMS, transform) for transform in transforms]
        self.pack = PackInputs(fields=())

    @classmethod
    def from_checkpoint(cls, path: Union[str, os.PathLike], device: Optional[str] = None, *,
                        dilation: Optional[int] = None) -> Lifter:
        """Build a lifter from a checkpoint of ``tools/train.py`` or of a model converter.

        Args:
            path: the checkpoint, which carries its config.
            device: 'cpu', 'cuda:0', ...; None takes the best available.
            dilation: step between the frames of a window; None is that of training. A model of every second frame of
                50 fps takes every frame of a video of 25 fps.

        Raises:
            FileNotFoundError, ValueError: no, torn or foreign checkpoint; that of a model that reads 3D poses; or see
                ``Lifter``.
        """
        return cls.from_model(*load_model(path, device), source=str(path), dilation=dilation)

    @classmethod
    def from_model(cls, model: nn.Module, info: Mapping, *, source: str, dilation: Optional[int] = None) -> Lifter:
        """Make a lifter of what ``load_model`` returns for ``source``; see ``from_checkpoint``."""
        if info['input_3d']:
            raise ValueError(f'{source} is of a model that completes 3D poses (Take3DInputs in its test pipeline); use '
                             'the checkpoint of one that was tested on 2D input')
        return cls(model, skeleton=info['skeleton'], num_frames=info['num_frames'], transforms=info['input'],
                   dilation=info['dilation'] if dilation is None else dilation,
                   is_made_for_missing=is_made_for_missing(model, info))

    @property
    def predicts_centre(self) -> bool:
        """Whether there is a window for every frame."""
        return getattr(self.model, 'predicts_centre', False)

    @property
    def shares_frames(self) -> bool:
        """Whether work on single frames can be shared: the model does some, and windows do not change its inputs."""
        return (self.predicts_centre and self.model.shares_frames
                and all(_looks_at_frames(transform) for transform in self.transforms))

    def lift(self, keypoints: np.ndarray, confidence: Optional[np.ndarray] = None, *, skeleton: str,
             image_size: Sequence[float], batch_size: Optional[int] = None, flip_test: bool = True,
             share_frames: bool = True, missing: str = 'auto',
             progress: Callable[[Iterable], Iterable] = iter) -> LiftResult:
        """Lift one person's sequence of any length.

        Args:
            keypoints: (F, J, 2) px, origin top left. A joint that is NaN is missing in that frame.
            confidence: (F, J) in 0..1; all 1 if None. A joint at 0 or NaN is missing.
            skeleton: joint set of ``keypoints``; converted to that of the model.
            image_size: (width, height) px.
            batch_size: windows per forward pass; None is 32 if there is one for every frame, else 8.
            flip_test: average with the prediction for the mirrored input.
            share_frames: False runs the whole model on every window, for the same result.
            missing: who fills in missing joints: 'model' hides them from the model, 'interpolate' interpolates them
                over time before it, 'auto' does what the model was made for. Frames without any joint are interpolated
                in any case, joints that were never seen are hidden in any case.
            progress: wraps the batches, such as ``tqdm``.

        Raises:
            KeyError: unknown skeleton.
            ValueError: another number of joints, no frames, infinity, no joint in any frame, or keypoints outside the
                image; an unknown way to fill; or a model that does not lift.
        """
        if missing not in WAYS:
            raise ValueError(f'missing is {missing!r}, expected one of {", ".join(WAYS)}')
        batch_size = (CENTRE_BATCH_SIZE if self.predicts_centre else BATCH_SIZE) if batch_size is None else batch_size
        keypoints, confidence = check_keypoints(keypoints, confidence, skeleton)
        size = check_sizes(image_size, batch_size)
        check_inside(keypoints, confidence, size)
        given = complete_input(keypoints, confidence, skeleton, self.skeleton,
                               by_model=missing == 'model' or missing == 'auto' and self.is_made_for_missing)
        source = given.source
        clip = _Clip(source.keypoints, source.confidence, given.hidden, size)
        with torch.inference_mode(), _flip_test(self.model, flip_test):
            if self.predicts_centre:
                motion = self._lift_centres(clip, batch_size, share_frames and self.shares_frames, progress)
            else:
                motion = self._blend_windows(clip, batch_size, progress)
        motion -= motion[:, self.skeleton.root:self.skeleton.root + 1]
        return LiftResult(keypoints_3d=motion.astype(np.float32), confidence=source.confidence,
                          skeleton=self.skeleton.name, copied=source.copied, averaged=source.averaged,
                          invented=source.invented, filled=given.filled, hidden=given.hidden,
                          notes=notes_on(given, self.skeleton, is_made=self.is_made_for_missing))

    def _blend_windows(self, clip: _Clip, batch_size: int, progress: Callable[[Iterable], Iterable]) -> np.ndarray:
        """Lift windows that overlap by half -> (F, J, 3) mm."""
        windows = _overlapping_windows(len(clip), self.num_frames, self.dilation)
        blend = WindowBlend(len(clip), (self.skeleton.num_joints, 3), self.dilation)
        for start in progress(range(0, len(windows), batch_size)):
            frames = windows[start:start + batch_size]
            motion = _stack_motion(self.model.test_step(self._make_batch(clip, frames)))
            if motion.shape[1] != frames.shape[1]:
                raise ValueError(f'the model predicts {motion.shape[1]} frames of a window of {frames.shape[1]}, '
                                 'expected all of them, or the centre frame of a model that says predicts_centre')
            blend.add(frames, motion)
        return blend.result()

    def _lift_centres(self, clip: _Clip, batch_size: int, share_frames: bool,
                      progress: Callable[[Iterable], Iterable]) -> np.ndarray:
        """Lift the centre of a window around every frame -> (F, J, 3) mm."""
        plan = WindowPlan([len(clip)], num_frames=self.num_frames, kind='centre', dilation=self.dilation)
        share_frames = share_frames and not clip.hidden.any(axis=1).all()
        tokens = self._embed(clip) if share_frames else None
        motion = []
        for start in progress(range(0, len(clip), batch_size)):
            centres = np.arange(start, min(start + batch_size, len(clip)))
            windows = plan.frames(centres, np.random.default_rng(0))[1]
            if tokens is None or clip.hidden[windows].any():
                samples = self.model.test_step(self._make_batch(clip, windows))
            else:
                metainfo = self._on_device(clip, centres)['data_samples']
                samples = self.model.predict_windows(tokens, torch.from_numpy(windows), metainfo)
            motion.append(_stack_motion(samples)[:, 0])
        return np.concatenate(motion)

    def _embed(self, clip: _Clip) -> list[Tensor]:
        """Return the tokens of all frames, see ``MotionModel.embed_sequence``."""
        blocks = [np.arange(start, min(start + BLOCK, len(clip))) for start in range(0, len(clip), BLOCK)]
        tokens = [self.model.embed_sequence(self._on_device(clip, block)['inputs'][:, 0, 0]) for block in blocks]
        return [torch.cat(parts) for parts in zip(*tokens)]

    def _on_device(self, clip: _Clip, frames: np.ndarray) -> dict:
        """Make a batch of frames (B,), each a window of its own, where the model is."""
        return self.model.data_preprocessor(self._make_batch(clip, frames[:, None]))

    def _make_batch(self, clip: _Clip, frames: np.ndarray) -> dict:
        """Make a batch of windows (B, T) as data sets do, inputs (B, 1, T, J, C)."""
        results: dict[str, Any] = {
            'keypoints_2d': clip.points[frames][:, None], 'confidence': clip.confidence[frames][:, None],
            'mask': clip.hidden[frames][:, None], 'skeleton': self.skeleton.name,
            'image_size': np.tile(clip.size, (len(frames), 1)), 'frame_ids': frames,
            'sample_id': [f'window at frame {window[0]}' for window in frames]}
        for transform in self.transforms:
            results = transform(results, np.random.default_rng(0))
        return collate_batch(self.pack(results, np.random.default_rng(0)))


def _looks_at_frames(transform: Any) -> bool:
    """Whether a transform does to a frame what it would do in any window that has it."""
    return isinstance(transform, NormalizeCoords) and transform.inputs == 'screen'


@contextmanager
def _flip_test(model: nn.Module, flip_test: bool) -> Iterator[None]:
    """Set ``flip_test`` of a model for a while."""
    before, model.flip_test = model.flip_test, flip_test
    try:
        yield
    finally:
        model.flip_test = before


def _stack_motion(samples: Sequence[MotionSample]) -> np.ndarray:
    """Join the predictions of windows: (B, T', J, 3) mm."""
    if 'keypoints_3d' not in samples[0]:
        raise ValueError(f'the model predicts {", ".join(samples[0].keys())}, expected keypoints_3d; use the '
                         'checkpoint of a model that lifts to 3D')
    return torch.stack([sample.keypoints_3d[0] for sample in samples]).float().cpu().numpy()


def _overlapping_windows(length: int, num_frames: int, dilation: int) -> np.ndarray:
    """Cover a sequence by windows (K, T) that overlap by half; with a dilation, each of its phases for itself."""
    phases = [np.arange(start, length, dilation) for start in range(min(dilation, length))]
    return np.concatenate([phase[sliding_windows(len(phase), num_frames, max(num_frames // 2, 1), tail='shift')]
                           for phase in phases])
