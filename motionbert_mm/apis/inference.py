"""Lift 2D keypoint sequences of any length to 3D with a trained checkpoint."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from motionbert_mm.apis.blending import WindowBlend
from motionbert_mm.apis.sequence_model import (
    BATCH_SIZE,
    Clip,
    SequenceModel,
    mirrored_too,
    read_field,
    stack_field,
)
from motionbert_mm.datasets.transforms import NormalizeCoords
from motionbert_mm.datasets.windows import WindowPlan

CENTRE_BATCH_SIZE = 32  # windows per forward pass of models that predict the centre frame
BLOCK = 8192  # frames that are embedded at a time
MOTION = ('keypoints_3d', 'lifts to 3D')  # field of the prediction, and which models have it


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


class Lifter(SequenceModel):
    """A 2D-to-3D lifter that knows its skeleton, window and input normalisation.

    Models that predict every frame of a window get windows that overlap by half, and these are blended; a sequence
    shorter than a window is continued with its last frame. Models that predict the centre frame only
    (``predicts_centre``) get a window around every frame; beyond the ends the first and the last frame are repeated.
    Where such a model allows it (``shares_frames``), its work on single frames is done once, not in every window in
    which all joints are given.

    Joints may be missing. Models that were made for that are told which; for others they are interpolated.

    ``test_step`` of the model gives ``keypoints_3d``; see ``SequenceModel`` for the arguments.
    """

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
        batch_size = (CENTRE_BATCH_SIZE if self.predicts_centre else BATCH_SIZE) if batch_size is None else batch_size
        given, clip = self.read_input(keypoints, confidence, skeleton=skeleton, image_size=image_size,
                                      batch_size=batch_size, missing=missing)
        with torch.inference_mode(), mirrored_too(self.model, flip_test):
            if self.predicts_centre:
                motion = self._lift_centres(clip, batch_size, share_frames and self.shares_frames, progress)
            else:
                motion = self._blend_windows(clip, batch_size, progress)
        motion -= motion[:, self.skeleton.root:self.skeleton.root + 1]
        return LiftResult(keypoints_3d=motion.astype(np.float32), **self.describe_input(given))

    def _blend_windows(self, clip: Clip, batch_size: int, progress: Callable[[Iterable], Iterable]) -> np.ndarray:
        """Lift windows that overlap by half -> (F, J, 3) mm."""
        blend = WindowBlend(len(clip), (self.skeleton.num_joints, 3), self.dilation)
        for frames, samples in self.run_windows(clip, batch_size, progress):
            blend.add(frames, stack_field(samples, *MOTION, frames))
        return blend.result()

    def _lift_centres(self, clip: Clip, batch_size: int, share_frames: bool,
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
                samples = self.model.test_step(self.make_batch(clip, windows))
            else:
                metainfo = self._on_device(clip, centres)['data_samples']
                samples = self.model.predict_windows(tokens, torch.from_numpy(windows), metainfo)
            motion.append(read_field(samples, *MOTION)[:, 0])
        return np.concatenate(motion)

    def _embed(self, clip: Clip) -> list[Tensor]:
        """Return the tokens of all frames, see ``MotionModel.embed_sequence``."""
        blocks = [np.arange(start, min(start + BLOCK, len(clip))) for start in range(0, len(clip), BLOCK)]
        tokens = [self.model.embed_sequence(self._on_device(clip, block)['inputs'][:, 0, 0]) for block in blocks]
        return [torch.cat(parts) for parts in zip(*tokens)]

    def _on_device(self, clip: Clip, frames: np.ndarray) -> dict:
        """Make a batch of frames (B,), each a window of its own, where the model is."""
        return self.model.data_preprocessor(self.make_batch(clip, frames[:, None]))


def _looks_at_frames(transform: Any) -> bool:
    """Whether a transform does to a frame what it would do in any window that has it."""
    return isinstance(transform, NormalizeCoords) and transform.inputs == 'screen'
