"""Score a 2D keypoint sequence of any length against sentences: labels that were never trained."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional, Union

import numpy as np
from scipy.special import softmax
from torch import nn

from motionbert_mm.apis.sequence_model import BATCH_SIZE, Clip, SequenceModel, overlapping_windows
from motionbert_mm.datasets.windows import WHOLE_CLIPS, resample_indices, sliding_windows
from motionbert_mm.engine.texts import encode_motions, encode_texts, find_text_head, frame_step, input_steps
from motionbert_mm.evaluation.functional.retrieval import unit_features

TEMPERATURE = 0.1  # where the head has no loss that states it. Published (ActionPose): 0.1
# Transforms of motion in stores that a track of keypoints has no use for: its view is given, its joints are converted.
STORE_ONLY = ('AssociatePersons', 'ConvertSkeleton', 'OrthographicView')


@dataclass(frozen=True)
class TextScores:
    """How well n sentences fit a motion of F frames, and its K windows.

    Attributes:
        texts: the sentences.
        cosines: (n,) float32, of the mean vector of all windows; -1 to 1.
        shares: (n,) float32, of sum 1: the softmax of these at the temperature of training.
        windows: (K, 2) first frame of each window, and the one behind its last.
        window_cosines: (K, n) float32.
        notes: what the user should know, one sentence each.
    """

    texts: tuple
    cosines: np.ndarray
    shares: np.ndarray
    windows: np.ndarray
    window_cosines: np.ndarray
    notes: tuple

    @property
    def order(self) -> list[int]:
        """Numbers of the sentences, the one that fits best first."""
        return np.argsort(-self.cosines, kind='stable').tolist()


class TextScorer(SequenceModel):
    """A model aligned with text that scores one person's motion.

    Sequences longer than a window are cut into windows that overlap by half; shorter ones are padded, and the padding
    hidden, where that was so in training (windows of kind 'crop'). Models of whole clips ('resample', 'uniform') are
    given windows as long as the clips of training, in seconds, or the whole sequence if that is shorter.

    The constructor is that of ``SequenceModel``.

    Attributes:
        info: what the checkpoint says of training, see ``load_model``.
    """

    info: Mapping = {}

    @classmethod
    def from_model(cls, model: nn.Module, info: Mapping, *, source: str, dilation: Optional[int] = None) -> TextScorer:
        """Make one of what ``load_model`` returns for ``source``.

        Raises:
            ValueError: a model that knows no texts, or reads 3D poses, or no word on how its inputs are made.
        """
        find_text_head(model, source)
        steps = input_steps(info['text'], source, leave_out=STORE_ONLY)
        scorer = super().from_model(model, {**info, 'input': steps}, source=source, dilation=dilation)
        scorer.info = info
        return scorer

    def score(self, keypoints: np.ndarray, confidence: Optional[np.ndarray] = None, *, texts: Sequence[str],
              skeleton: str, image_size: Sequence[float], fps: Optional[float] = None, batch_size: int = BATCH_SIZE,
              missing: str = 'auto', progress: Callable[[Iterable], Iterable] = iter) -> TextScores:
        """Score one person.

        Args:
            keypoints: (F, J, 2) px, origin top left; NaN where a joint is missing.
            confidence: (F, J) in 0..1; all 1 if None. A joint at 0 or NaN is missing.
            texts: sentences, each with at least a word.
            skeleton: joint set of ``keypoints``; converted to that of the model.
            image_size: (width, height) px.
            fps: frames per second of ``keypoints``; None is that of training.
            batch_size: windows per forward pass.
            missing: who fills in missing joints, see ``Lifter.lift``.
            progress: wraps the batches, such as ``tqdm``.

        Raises:
            KeyError: unknown skeleton.
            ValueError: no text or one without a word; a frame rate that is not positive; or see ``read_input``.
        """
        if fps is not None and not 0 < fps < np.inf:
            raise ValueError(f'fps must be positive, got {fps}')
        if isinstance(texts, str):
            raise ValueError(f'expected a list of texts, got the string {texts!r}')
        head = find_text_head(self.model, 'this')
        sentences = encode_texts(self.model, head, texts)  # (n, D); before the longer work
        given, clip = self.read_input(keypoints, confidence, skeleton=skeleton, image_size=image_size,
                                      batch_size=batch_size, missing=missing)
        clip, frames, shown = self._lay_windows(clip, fps)
        embeddings = np.concatenate([encode_motions(self.model, head, self.make_batch(clip, frames[start:end]))
                                     for start, end in progress(_chunks(len(frames), batch_size))])
        mean = unit_features(embeddings.astype(np.float64).mean(axis=0, keepdims=True))
        cosines = (mean @ sentences.T)[0]
        return TextScores(tuple(texts), cosines.astype(np.float32),
                          softmax(cosines / self._temperature(head)).astype(np.float32), shown,
                          embeddings @ sentences.T, (*self.describe_input(given)['notes'], *self._notes()))

    def _lay_windows(self, clip: Clip, fps: Optional[float]) -> tuple[Clip, np.ndarray, np.ndarray]:
        """Return the clip, padded if it must be, its windows (K, T), and what these show (K, 2) of it as it was."""
        window, trained_fps = self.info.get('window', {}), self.info.get('fps')
        rate = fps or trained_fps
        if window.get('kind') in WHOLE_CLIPS:
            seconds = self.info.get('window_seconds')
            span = min(max(round(seconds * rate), 1), len(clip)) if seconds and rate else len(clip)
            starts = sliding_windows(len(clip), span, max(span // 2, 1), tail='shift')[:, :1]
            return clip, starts + resample_indices(span, self.num_frames), starts + np.array([0, span])
        dilation = self.dilation * (frame_step(fps, trained_fps, 'the motion') if fps else 1)
        length, before = len(clip), 0
        lacking = self.num_frames * dilation - length
        if window.get('kind') == 'crop' and lacking > 0:
            before = lacking // 2
            clip = pad_clip(clip, before, lacking - before)
        frames = overlapping_windows(len(clip), self.num_frames, dilation)
        shown = np.stack([frames.min(axis=1), frames.max(axis=1) + 1], axis=1) - before
        return clip, frames, np.clip(shown, 0, length)

    def _temperature(self, head: str) -> float:
        losses = self.model.heads[head].losses
        return next((loss.temperature for loss in losses if hasattr(loss, 'temperature')), TEMPERATURE)

    def _notes(self) -> tuple:
        persons = self.info.get('num_persons') or 1
        return (f'the model was trained with {persons} persons in every clip and sees one here',) * (persons > 1)


def score_texts(checkpoint: Union[str, os.PathLike], keypoints: np.ndarray, texts: Sequence[str], *, skeleton: str,
                image_size: Sequence[float], confidence: Optional[np.ndarray] = None, fps: Optional[float] = None,
                device: Optional[str] = None) -> TextScores:
    """Score a track of keypoints against sentences; see ``TextScorer.score``."""
    scorer = TextScorer.from_checkpoint(checkpoint, device)
    return scorer.score(keypoints, confidence, texts=texts, skeleton=skeleton, image_size=image_size, fps=fps)


def pad_clip(clip: Clip, before: int, after: int) -> Clip:
    """Repeat the first and the last frame of a clip, and hide the repetitions from the model."""
    frames = np.clip(np.arange(-before, len(clip) + after), 0, len(clip) - 1)
    hidden = clip.hidden[frames]
    hidden[:before] = True
    hidden[len(frames) - after:] = True
    return replace(clip, points=clip.points[frames], confidence=clip.confidence[frames], hidden=hidden,
                   given={name: values[frames] for name, values in clip.given.items()})


def _chunks(length: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, length)) for start in range(0, length, size)]
