"""Lift 2D keypoint sequences of any length to 3D with a trained checkpoint."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import torch
from torch import nn

from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.transforms import PackInputs
from motionbert_mm.datasets.windows import sliding_windows
from motionbert_mm.registry import TRANSFORMS, build
from motionbert_mm.structures.skeleton import convert, get_skeleton


@dataclass(frozen=True)
class LiftResult:
    """A motion in 3D and where its joints came from.

    Attributes:
        keypoints_3d: (F, J, 3) float32 mm, camera frame (x right, y down, z forward), relative to the root joint.
        confidence: (F, J) float32 in 0..1, of the input after conversion; 0 for invented joints.
        skeleton: name of the joint set of both.
        copied: joints that the input has.
        averaged: joints that are the mean of several joints of the input.
        invented: joints that the input does not determine.
    """

    keypoints_3d: np.ndarray
    confidence: np.ndarray
    skeleton: str
    copied: tuple
    averaged: tuple
    invented: tuple


class WindowBlend:
    """Average overlapping windows with weights that fall smoothly to their ends, so that no seam shows.

    Args:
        length: frames F of the whole sequence.
        shape: shape of one frame.
    """

    def __init__(self, length: int, shape: Sequence[int]) -> None:
        self.total = np.zeros((length, *shape))
        self.weight = np.zeros(length)

    def add(self, windows: np.ndarray, values: np.ndarray) -> None:
        """Add windows.

        Args:
            windows: (K, T) frame indices; repetitions behind the end of the sequence are left out.
            values: (K, T, ...) one value per frame.
        """
        places = np.arange(windows.shape[1])
        hann = np.sin(np.pi * (places + 0.5) / len(places)) ** 2  # positive at the ends too
        for window, value in zip(windows, values):
            is_real = window == window[0] + places
            self.total[window[is_real]] += (value.T * hann).T[is_real]
            self.weight[window[is_real]] += hann[is_real]

    def result(self) -> np.ndarray:
        """Return the weighted mean (F, ...)."""
        return (self.total.T / self.weight).T


class Lifter:
    """A 2D-to-3D lifter that knows its skeleton, window and input normalisation.

    Args:
        model: in evaluation mode; ``test_step`` gives ``keypoints_3d``.
        skeleton: joint set of the model.
        num_frames: frames T of a window.
        transforms: configs of the transforms that make network inputs of pixels.
    """

    def __init__(self, model: nn.Module, *, skeleton: str, num_frames: int, transforms: Sequence[dict]) -> None:
        self.model, self.num_frames = model, num_frames
        self.skeleton = get_skeleton(skeleton)
        self.transforms = [build(TRANSFORMS, transform) for transform in transforms]
        self.pack = PackInputs(fields=())

    @classmethod
    def from_checkpoint(cls, path: Union[str, os.PathLike], device: Optional[str] = None) -> Lifter:
        """Build a lifter from a checkpoint of ``tools/train.py`` or of a model converter.

        Args:
            path: the checkpoint, which carries its config.
            device: 'cpu', 'cuda:0', ...; None takes the best available.

        Raises:
            FileNotFoundError, ValueError: no, torn or foreign checkpoint.
        """
        model, info = load_model(path, device)
        return cls(model, skeleton=info['skeleton'], num_frames=info['num_frames'], transforms=info['input'])

    def lift(self, keypoints: np.ndarray, confidence: Optional[np.ndarray] = None, *, skeleton: str,
             image_size: Sequence[float], batch_size: int = 8, flip_test: bool = True,
             progress: Callable[[Iterable], Iterable] = iter) -> LiftResult:
        """Lift one person's sequence of any length.

        Long sequences are cut into windows that overlap by half and are blended; sequences shorter than a
        window are continued with their last frame.

        Args:
            keypoints: (F, J, 2) px, origin top left.
            confidence: (F, J) in 0..1; all 1 if None.
            skeleton: joint set of ``keypoints``; converted to that of the model.
            image_size: (width, height) px.
            batch_size: windows per forward pass.
            flip_test: average with the prediction for the mirrored input.
            progress: wraps the batches, such as ``tqdm``.

        Raises:
            KeyError: unknown skeleton.
            ValueError: another number of joints, no frames, NaN, or keypoints outside the image.
        """
        keypoints = np.asarray(keypoints, dtype=np.float32)
        confidence = np.ones(keypoints.shape[:-1], np.float32) if confidence is None else confidence
        size = _check_input(keypoints, confidence, skeleton, image_size, batch_size)
        source = convert(keypoints, skeleton, self.skeleton.name, np.asarray(confidence, dtype=np.float32))
        windows = sliding_windows(len(keypoints), self.num_frames, max(self.num_frames // 2, 1), tail='shift')
        blend = WindowBlend(len(keypoints), (self.skeleton.num_joints, 3))
        for start in progress(range(0, len(windows), batch_size)):
            batch = windows[start:start + batch_size]
            blend.add(batch, self._predict(source.keypoints[batch], source.confidence[batch], batch, size, flip_test))
        motion = blend.result()
        motion -= motion[:, self.skeleton.root:self.skeleton.root + 1]
        return LiftResult(keypoints_3d=motion.astype(np.float32), confidence=source.confidence,
                          skeleton=self.skeleton.name, copied=source.copied, averaged=source.averaged,
                          invented=source.invented)

    def _predict(self, points: np.ndarray, confidence: np.ndarray, frame_ids: np.ndarray, size: np.ndarray,
                 flip_test: bool) -> np.ndarray:
        """Lift windows (B, T, J, 2) px -> (B, T, J, 3) mm."""
        results: dict[str, Any] = {
            'keypoints_2d': points[:, None], 'confidence': confidence[:, None], 'skeleton': self.skeleton.name,
            'image_size': np.tile(size, (len(points), 1)), 'frame_ids': frame_ids,
            'sample_id': [f'window at frame {frames[0]}' for frames in frame_ids]}
        for transform in self.transforms:
            results = transform(results, np.random.default_rng(0))
        before, self.model.flip_test = self.model.flip_test, flip_test
        try:
            with torch.inference_mode():
                samples = self.model.test_step(collate_batch(self.pack(results, np.random.default_rng(0))))
        finally:
            self.model.flip_test = before
        motion = np.stack([sample.keypoints_3d[0].float().cpu().numpy() for sample in samples])
        if motion.shape[1] != points.shape[1]:
            raise ValueError(f'the model predicts {motion.shape[1]} frames of a window of {points.shape[1]}; '
                             'this tool needs a model that predicts every frame')
        return motion


def _check_input(keypoints: np.ndarray, confidence: np.ndarray, skeleton: str, image_size: Sequence[float],
                 batch_size: int) -> np.ndarray:
    """Refuse what cannot be lifted; return the image size (2,)."""
    num_joints = get_skeleton(skeleton).num_joints
    if keypoints.ndim != 3 or keypoints.shape[1:] != (num_joints, 2) or not len(keypoints):
        raise ValueError(f'keypoints have shape {keypoints.shape}, expected (F, {num_joints}, 2) with at least one '
                         f'frame for skeleton {skeleton!r}')
    if np.shape(confidence) != keypoints.shape[:2]:
        raise ValueError(f'confidence has shape {np.shape(confidence)}, expected {keypoints.shape[:2]}')
    if not (np.isfinite(keypoints).all() and np.isfinite(confidence).all()):
        raise ValueError('keypoints or confidence hold NaN or infinity; fill or drop such frames')
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}')
    size = np.asarray(image_size, dtype=np.float32)
    if size.shape != (2,) or not (np.isfinite(size) & (size > 0)).all():
        raise ValueError(f'image_size must be width and height in pixels, got {image_size!r}')
    is_outside = ((keypoints < 0) | (keypoints > size)).any(-1)[np.asarray(confidence) > 0]
    if is_outside.size and is_outside.mean() > 0.5:
        low, high = keypoints.min((0, 1)), keypoints.max((0, 1))
        raise ValueError(f'{is_outside.mean():.0%} of the joints lie outside the image of {size[0]:g} x {size[1]:g}: '
                         f'x {low[0]:.0f} to {high[0]:.0f}, y {low[1]:.0f} to {high[1]:.0f}; give width and height of '
                         'the video in which the keypoints were found')
    return size
