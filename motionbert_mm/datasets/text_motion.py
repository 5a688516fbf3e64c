"""Motion and the texts that describe it, with wrong texts to tell them from (ActionPose)."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

import numpy as np

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.synthetic import find_or_make_store
from motionbert_mm.datasets.texts import LabelBank, NegativeSampler
from motionbert_mm.registry import DATASETS


@DATASETS.register_module()
class TextMotionDataset(MotionDataset):
    """Windows of the clips of a motion store, each with one text and K wrong ones.

    Of the metainfo that it adds, all in the normal form of ``texts.normal_form``:

    * ``text``: list of B texts. Of clips with several, one is drawn; in test mode it is the first. '' is none.
    * ``negatives``: B lists of K texts that are not true of the frames shown, drawn over the distinct texts of the data
      set, see ``NegativeSampler``. Where fewer are left, the rest is ''; losses leave these out.
    * ``positives``: B lists of any number of further texts that are true; with ``overlapping='share'`` only.
    * ``text_id``: (B,) place of ``text`` among ``texts``, -1 for none; that of the store, which ``RandomFlip`` mirrors.
    * ``sequence``: name of the recording that the clip was cut from; ``seconds`` (B, 2): begin and end of the frames
      shown, in that recording; ``categories``: B lists.

    What else is true of the frames shown, a store tells by ``info['labels']``, sequence -> list of (start, end, text),
    seconds, together with ``sequence`` and ``seconds`` of its clips (``tools/dataset_converters/babel.py``).

    Args:
        data_root: directory of the store.
        window: arguments of ``WindowPlan``. ``dict(kind='crop', num_frames=243, jitter=True)`` shows a run of each clip
            and pads short ones; without ``jitter`` the middle.
        negatives: arguments of ``NegativeSampler``, e.g. ``dict(number=16, overlapping='exclude')``.
        input_2d, targets, pipeline, pipeline_changes, include, exclude, fraction, num_persons, split, classes,
        other_classes, test_mode, seed: see ``MotionDataset``.

    Attributes:
        bank: the distinct texts.

    Raises:
        FileNotFoundError, ValueError: see ``MotionDataset`` and ``NegativeSampler``.
    """

    def __init__(self, data_root: str, *, window: dict, negatives: Optional[dict] = None,
                 input_2d: Optional[str] = 'detected', targets: Sequence[str] = ('keypoints_3d',),
                 pipeline: Sequence[dict] = (), pipeline_changes: Optional[Mapping[str, Optional[dict]]] = None,
                 include: Sequence[str] = (), exclude: Sequence[str] = (), fraction: float = 1.0,
                 num_persons: Optional[int] = None, split: Optional[str] = None,
                 classes: Optional[Sequence[str]] = None, other_classes: str = 'refuse', test_mode: bool = False,
                 seed: int = 0) -> None:
        super().__init__(data_root, window=window, input_2d=input_2d, targets=targets, pipeline=pipeline,
                         pipeline_changes=pipeline_changes, include=include, exclude=exclude, fraction=fraction,
                         num_persons=num_persons, split=split, classes=classes, other_classes=other_classes,
                         test_mode=test_mode, seed=seed)
        self.bank = LabelBank(self.clips, self.store.info.get('labels', {}))
        self.sampler = NegativeSampler(self.bank, **(negatives or {}))
        self._clip_begins = np.array([clip.seconds[0] if clip.seconds else 0.0 for clip in self.clips])

    @property
    def texts(self) -> tuple:
        """The distinct texts of all clips."""
        return self.bank.texts

    @property
    def metainfo(self) -> dict:
        """Plain facts for MMEngine's checkpoints and visualizers, the texts among them."""
        return {**super().metainfo, 'texts': self.texts}

    def describe(self, clips: np.ndarray, frames: np.ndarray, rng: np.random.Generator) -> dict:
        """Return the metainfo of windows: that of their clips (B,), and texts for the frames (B, T) they show."""
        meta = super().describe(clips, frames, rng)
        shown = np.stack([frames.min(axis=1), frames.max(axis=1) + 1], axis=1)  # padding repeats frames of the clip
        seconds = self._clip_begins[clips, None] + shown / meta['fps'][:, None]
        text_ids = self._choose_texts(clips, rng)
        negatives, positives = self.sampler(clips, text_ids, seconds, rng)
        meta.update(text=self.bank.look_up(text_ids), negatives=self.bank.look_up(negatives), text_id=text_ids,
                    sequence=[self.clips[clip].sequence for clip in clips], seconds=seconds,
                    categories=[list(self.clips[clip].categories) for clip in clips])
        if self.sampler.shares:
            meta['positives'] = [self.bank.look_up(np.array(places, np.int64)) for places in positives]
        return meta

    def _choose_texts(self, clips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the place (B,) of one text of each clip, -1 for clips without."""
        own, counts = self.bank.own, self.bank.own.counts[clips]
        number = np.zeros_like(counts) if self.test_mode else rng.integers(np.maximum(counts, 1))
        values = np.append(own.values, -1)
        return values[np.where(counts > 0, own.starts[clips] + number, -1)]


@DATASETS.register_module()
class SyntheticTextDataset(TextMotionDataset):
    """Synthetic human motion with its sentences, made on first use as ``SyntheticDataset`` is.

    Another ``split`` holds out people and motions, ``phrasings`` holds out how they are described: a model trained on
    'train' phrasings is tested on motions with sentences it has met (``split='val', phrasings='train'``), and on the
    same motions with sentences of templates that it never met (``split='val', phrasings='held_out'``).

    Args:
        data_root, num_clips, num_frames, fps, split, clip_seed: see ``SyntheticDataset``.
        window, negatives, input_2d, targets, pipeline, pipeline_changes, include, exclude, classes, other_classes,
        test_mode, seed: see ``TextMotionDataset``.
        phrasings: sentences that clips may have: 'train', 'held_out' or None for all.

    Raises:
        ValueError: see ``write_store`` of the synthetic data and ``TextMotionDataset``.
    """

    def __init__(self, data_root: str, *, num_clips: int, window: dict, num_frames: int = 90, fps: float = 30.0,
                 split: str = 'train', phrasings: Optional[str] = None, clip_seed: int = 0,
                 negatives: Optional[dict] = None, input_2d: str = 'detected',
                 targets: Sequence[str] = ('keypoints_3d',), pipeline: Sequence[dict] = (),
                 pipeline_changes: Optional[Mapping[str, Optional[dict]]] = None, include: Sequence[str] = (),
                 exclude: Sequence[str] = (), classes: Optional[Sequence[str]] = None, other_classes: str = 'refuse',
                 test_mode: bool = False, seed: int = 0) -> None:
        path = find_or_make_store(data_root, num_clips=num_clips, num_frames=num_frames, fps=fps, seed=clip_seed,
                                  split=split, phrasings=phrasings)
        super().__init__(str(path), window=window, negatives=negatives, input_2d=input_2d, targets=targets,
                         pipeline=pipeline, pipeline_changes=pipeline_changes, include=include, exclude=exclude,
                         classes=classes, other_classes=other_classes, test_mode=test_mode, seed=seed)
