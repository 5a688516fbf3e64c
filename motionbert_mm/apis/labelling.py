"""Label what people do in 2D keypoint sequences of any length with a trained action checkpoint."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import torch
from torch import nn

from motionbert_mm.apis.blending import WindowBlend
from motionbert_mm.apis.checks import check_inside, check_keypoints, check_sizes
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.transforms import ConvertSkeleton, OfficialActionPose, PackInputs
from motionbert_mm.datasets.windows import resample_indices, sliding_windows
from motionbert_mm.evaluation.functional.segments import UNKNOWN, Segment, find_runs, find_segments
from motionbert_mm.geometry.filling import interpolate_gaps
from motionbert_mm.models.heads.action import ActionHead, EmbeddingHead
from motionbert_mm.registry import TRANSFORMS, build
from motionbert_mm.structures.skeleton import convert, get_skeleton

BATCH_SIZE = 16  # windows per forward pass
STEP_SHARE = 0.25  # of a window, from one to the next
MIN_SECONDS = 1.0  # of a segment
CHANGE_COST = 1.0  # of a change of the label: a class e times as likely for so many least lengths of a segment
GAP_SECONDS = 0.5  # a person who is missing for longer is away, for less was not detected
FEW_FRAMES = 5  # labels of fewer frames are noted as unsure


@dataclass(frozen=True)
class LabelResult:
    """What somebody does in every frame.

    Attributes:
        scores: (F, K) float32, probability of each class; NaN in frames in which nobody is there.
        segments: of one class each, in the order of time; frames in which nobody is there belong to none.
        classes: names of the K classes.
        persons: numbers of the persons who were labelled, of those given.
        notes: what the user should know, one sentence each.
    """

    scores: np.ndarray
    segments: tuple
    classes: tuple
    persons: tuple
    notes: tuple

    @property
    def overall(self) -> np.ndarray:
        """Mean scores (K,) over the frames that have some."""
        return np.nanmean(self.scores, axis=0)

    def name(self, segment: Segment) -> str:
        """Return the name of the class of a segment."""
        return 'unknown' if segment.label == UNKNOWN else self.classes[segment.label]


@dataclass(frozen=True)
class _Scene:
    """The persons of a model (M, F, ...): px, confidence, and who is there (M, F); absent ones are zero."""

    points: np.ndarray
    confidence: np.ndarray
    is_there: np.ndarray
    skeleton: str
    size: np.ndarray


class ActionLabeller:
    """An action model that knows its classes, windows and input normalisation.

    Windows as long as those of training, in seconds, overlap; their scores are blended for every frame, so that a
    sequence may hold any number of actions. A sequence shorter than a window is one window of its whole length.

    Missing joints (NaN or confidence 0) are interpolated and keep confidence 0, which the transforms of the model treat
    as in training. A person who is missing for more than GAP_SECONDS is away: windows end there, and the frames get no
    label.

    Args:
        model: in evaluation mode; ``test_step`` gives ``scores``.
        skeleton: joint set of the model.
        num_frames: frames T that a window is brought to.
        transforms: configs of the transforms that make network inputs of pixels.
        classes: names.
        window_seconds: how long a window is.
        num_persons: M that the model was trained with; absent ones are zeros.

    Raises:
        ValueError: a window that is not positive.
    """

    def __init__(self, model: nn.Module, *, skeleton: str, num_frames: int, transforms: Sequence[dict],
                 classes: Sequence[str], window_seconds: float, num_persons: int = 1) -> None:
        _check_positive(window_seconds=window_seconds)
        self.model, self.num_frames, self.num_persons = model, num_frames, num_persons
        self.classes, self.window_seconds = tuple(classes), window_seconds
        self.skeleton = get_skeleton(skeleton)
        self.transforms = [build(TRANSFORMS, transform) for transform in transforms]
        self.pack = PackInputs(fields=())

    @classmethod
    def from_checkpoint(cls, path: Union[str, os.PathLike], device: Optional[str] = None, *,
                        window_seconds: Optional[float] = None) -> ActionLabeller:
        """Build a labeller from a checkpoint of ``tools/train.py`` or of a model converter.

        Args:
            path: the checkpoint, which carries its classes.
            device: 'cpu', 'cuda:0', ...; None takes the best available.
            window_seconds: how long a window is; None is that of training.

        Raises:
            FileNotFoundError, ValueError: no, torn or foreign checkpoint; one of a model without class scores; or one
                that does not say how long its windows are.
        """
        return cls.from_model(*load_model(path, device), source=str(path), window_seconds=window_seconds)

    @classmethod
    def from_model(cls, model: nn.Module, info: Mapping, *, source: str,
                   window_seconds: Optional[float] = None) -> ActionLabeller:
        """Make a labeller of what ``load_model`` returns for ``source``; see ``from_checkpoint``."""
        head = find_head(model, ActionHead)
        if head is None:
            what = 'an embedding' if find_head(model, EmbeddingHead) is not None else 'no class scores'
            raise ValueError(f'{source} is of a model that predicts {what}; labels need that of one with an ActionHead')
        if info['input_3d']:
            raise ValueError(f'{source} is of a model that reads 3D poses (Take3DInputs in its test pipeline); use the '
                             'checkpoint of one that was tested on 2D input')
        seconds = info['window_seconds'] if window_seconds is None else window_seconds
        if seconds is None:
            raise ValueError(f'{source} does not say how long the clips were that it was trained on; give the length '
                             'of a window, about that of one action (--window-seconds)')
        is_official = any(step['type'].endswith('OfficialActionPose') for step in info['action'])
        return cls(model, skeleton=info['skeleton'], num_frames=info['num_frames'], transforms=info['action'],
                   classes=info['classes'] or [f'class {label}' for label in range(head.num_classes)],
                   window_seconds=seconds, num_persons=info['num_persons'] or (2 if is_official else 1))

    def label(self, keypoints: np.ndarray, confidence: Optional[np.ndarray] = None, *, skeleton: str,
              image_size: Sequence[float], fps: float, step: Optional[float] = None,
              min_seconds: float = MIN_SECONDS, threshold: Optional[float] = None, batch_size: int = BATCH_SIZE,
              progress: Callable[[Iterable], Iterable] = iter) -> LabelResult:
        """Label one person, or several together.

        Args:
            keypoints: (F, J, 2) px, origin top left, of one person; (M, F, J, 2) of persons who act together. A joint
                that is NaN is missing in that frame. Of more persons than the model knows, those seen most are taken.
            confidence: (F, J) or (M, F, J) in 0..1; all 1 if None. A joint at 0 or NaN is missing.
            skeleton: joint set of ``keypoints``; converted to that of the model.
            image_size: (width, height) px.
            fps: frames per second of ``keypoints``.
            step: seconds from one window to the next; None is a quarter of a window.
            min_seconds: least length of a segment; longer ones of undecided scores go too, see ``find_segments``.
            threshold: mean score below which a segment is unknown; None labels all.
            batch_size: windows per forward pass.
            progress: wraps the batches, such as ``tqdm``.

        Raises:
            KeyError: unknown skeleton.
            ValueError: another shape, no frames, infinity, nobody seen in any frame, several persons for a model of
                one, keypoints outside the image, or options out of range.
        """
        step = STEP_SHARE * self.window_seconds if step is None else step
        _check_positive(fps=fps, step=step)
        if min_seconds < 0 or (threshold is not None and not 0 <= threshold <= 1):
            raise ValueError(f'min_seconds is {min_seconds} and threshold {threshold}; expected 0 or more, and a '
                             'probability')
        has_persons = np.ndim(keypoints) == 4
        keypoints, confidence = check_keypoints(keypoints, confidence, skeleton, has_persons=has_persons)
        if not has_persons:
            keypoints, confidence = keypoints[None], confidence[None]
        size = check_sizes(image_size, batch_size)
        check_inside(keypoints, confidence, size)
        chosen, notes = self._choose(confidence)
        scene = self._make_scene(keypoints[chosen], confidence[chosen], skeleton, size, round(GAP_SECONDS * fps))
        stays = find_runs(scene.is_there.any(axis=0), is_true=True)
        span, stride = (max(round(seconds * fps), 1) for seconds in (self.window_seconds, step))
        windows = [start + _windows(end - start, span, stride) for start, end in stays]
        scores = self._label_windows(scene, windows, batch_size, progress)
        segments = find_segments(scores, change_cost=CHANGE_COST * min_seconds * fps,
                                 min_frames=int(np.ceil(min_seconds * fps - 1e-6)), threshold=threshold)
        return LabelResult(scores, tuple(segments), self.classes, tuple(chosen), notes + _notes_on(stays))

    def _choose(self, confidence: np.ndarray) -> tuple[list, tuple]:
        """Choose persons (M, F, J) for the model, the one seen most first; return them and notes."""
        sums = confidence.sum(axis=(1, 2), dtype=np.float64)
        order = [person for person in np.argsort(-sums, kind='stable').tolist() if sums[person] > 0]
        if not order:
            raise ValueError('nobody was seen: every joint is NaN or has confidence 0 in every frame')
        if len(confidence) > 1 and self.num_persons == 1:
            raise ValueError(f'the model was trained with one person in every clip, got {len(confidence)} to label '
                             'together; label each person by itself')
        never = len(sums) - len(order)
        notes = (f'{never} of {len(sums)} persons never seen: left out',) if never else ()
        if len(order) > self.num_persons:
            notes += (f'{len(order)} persons for a model of {self.num_persons}: took the {self.num_persons} seen most',)
        return order[:self.num_persons], notes

    def _make_scene(self, keypoints: np.ndarray, confidence: np.ndarray, skeleton: str, size: np.ndarray,
                    max_gap: int) -> _Scene:
        """Fill in what was missed of persons (m, F, J, 2), and absent persons up to those of the model."""
        is_there = np.zeros((self.num_persons, keypoints.shape[1]), bool)
        filled = np.zeros((self.num_persons, *keypoints.shape[1:]), np.float32)
        for person, seen in enumerate(confidence > 0):
            for start, end in _stays(seen.any(axis=1), max_gap):
                is_there[person, start:end] = True
                filled[person, start:end] = interpolate_gaps(keypoints[person, start:end], seen[start:end])
        sure = np.zeros(filled.shape[:-1], np.float32)
        sure[:len(confidence)] = np.clip(confidence, 0.0, 1.0)
        if any(isinstance(transform, OfficialActionPose) for transform in self.transforms):
            target = 'coco17'
        elif any(isinstance(transform, ConvertSkeleton) for transform in self.transforms):
            target = skeleton  # converted there, as in training
        else:
            target = self.skeleton.name
        given = convert(filled, skeleton, target, sure)
        return _Scene(given.keypoints, given.confidence, is_there, target, size)

    def _label_windows(self, scene: _Scene, windows: Sequence[np.ndarray], batch_size: int,
                       progress: Callable[[Iterable], Iterable]) -> np.ndarray:
        """Return the blended scores (F, K) of the windows (k, span) of each stay."""
        frames = np.concatenate([stay[:, resample_indices(stay.shape[1], self.num_frames)] for stay in windows])
        with torch.inference_mode():
            scores = np.concatenate([self._run(scene, frames[start:start + batch_size])
                                     for start in progress(range(0, len(frames), batch_size))])
        blended = np.full((scene.points.shape[1], len(self.classes)), np.nan, np.float32)
        ends = np.cumsum([len(stay) for stay in windows])
        for stay, values in zip(windows, np.split(scores, ends[:-1])):
            first, last = stay[0, 0], stay[-1, -1] + 1
            blend = WindowBlend(last - first, scores.shape[1:])
            blend.add(stay - first, np.broadcast_to(values[:, None], (*stay.shape, len(self.classes))))
            blended[first:last] = blend.result()
        return blended

    def _run(self, scene: _Scene, frames: np.ndarray) -> np.ndarray:
        """Return the scores (B, K) of windows (B, T)."""
        samples = self.model.test_step(self._make_batch(scene, frames))
        scores = torch.stack([sample.scores for sample in samples]).float().cpu().numpy()
        if scores.shape[1] != len(self.classes):
            raise ValueError(f'the model scores {scores.shape[1]} classes, but {len(self.classes)} are named; the '
                             'checkpoint contradicts itself, train again')
        return scores

    def _make_batch(self, scene: _Scene, frames: np.ndarray) -> dict:
        """Make a batch of windows (B, T) as data sets do, inputs (B, M, T, J, C)."""
        points, confidence, is_there = (np.moveaxis(values[:, frames], 0, 1) for values in (
            scene.points, scene.confidence, scene.is_there))
        # As in a data set, persons are visible in all frames of a clip, or absent from it.
        visible = np.broadcast_to(is_there.any(axis=2)[:, :, None, None], confidence.shape)
        results: dict[str, Any] = {
            'keypoints_2d': points, 'confidence': confidence, 'visible': visible, 'skeleton': scene.skeleton,
            'image_size': np.tile(scene.size, (len(frames), 1)), 'frame_ids': frames,
            'sample_id': [f'window at frame {window[0]}' for window in frames]}
        for transform in (*self.transforms, self.pack):
            results = transform(results, np.random.default_rng(0))
        return collate_batch(results)


def find_head(model: nn.Module, kind: type) -> Optional[nn.Module]:
    """Return the head of a kind that predicts in a ``MotionModel``, if there is one."""
    return next((model.heads[name] for name in model.predicts if isinstance(model.heads[name], kind)), None)


def _windows(length: int, span: int, stride: int) -> np.ndarray:
    """Cover a stay by windows (k, span) that overlap; one that is shorter is a window of its whole length."""
    return sliding_windows(length, min(span, length), stride, tail='shift')


def _stays(is_seen: np.ndarray, max_gap: int) -> list[tuple[int, int]]:
    """Return start and end of the runs of frames (F,) in which a person is there, gaps of a few frames included."""
    stays: list[tuple[int, int]] = []
    for start, end in find_runs(is_seen, is_true=True):
        if stays and start - stays[-1][1] <= max_gap:
            start = stays.pop()[0]
        stays.append((start, end))
    return stays


def _notes_on(stays: Sequence[tuple[int, int]]) -> tuple:
    """Say which stays are too short for a sure label."""
    short = [end - start for start, end in stays if end - start < FEW_FRAMES]
    if not short:
        return ()
    what = f'only {short[0]} frame{"s" * (short[0] > 1)}' if len(stays) == 1 else \
        f'{len(short)} of {len(stays)} stays in the picture have fewer than {FEW_FRAMES} frames'
    return (f'{what}: a label of so few is unsure',)


def _check_positive(**numbers: float) -> None:
    """Refuse what is not above zero."""
    for name, number in numbers.items():
        if not (number > 0 and np.isfinite(number)):
            raise ValueError(f'{name} must be positive, got {number}')
