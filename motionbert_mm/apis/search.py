"""Find the motions of a store that fit a sentence."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Optional, Union

import numpy as np
from torch import nn

from motionbert_mm.apis.motion_index import Hit, MotionIndex, index_key, load_index, save_index
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.datasets.base import INPUT_ARRAYS, MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.windows import WHOLE_CLIPS
from motionbert_mm.engine.texts import encode_motions, encode_texts, find_text_head, frame_step, input_steps

BATCH_SIZE = 32  # windows per forward pass
OWN_WINDOWS = ('crop', *WHOLE_CLIPS)  # kinds with one window for each clip


class MotionSearch:
    """A model that knows motions and texts, and the motions of a store.

    Clips are seen as in the test of the model: the same windows, view and normalisation. Of views that are drawn, the
    first counts. A store of another frame rate is read at every second, third, ... frame. Where windows of a test lie
    around every frame, they stand side by side; the vectors of the windows of a clip are averaged.

    Args:
        model: in evaluation mode.
        info: of ``load_model``.
        source: where the model comes from, for messages.

    Raises:
        ValueError: a model that knows no texts, or reads 3D poses, or a checkpoint that does not say how its inputs
            are made.
    """

    def __init__(self, model: nn.Module, info: Mapping, *, source: str = 'the checkpoint') -> None:
        self.model, self.info, self.head = model, info, find_text_head(model, source)
        if info['input_3d']:
            raise ValueError(f'{source} is of a model that reads 3D poses (Take3DInputs in its test pipeline); use the '
                             'checkpoint of one that was tested on 2D input')
        self.steps = input_steps(info['text'], source)
        self.indexed: Optional[MotionIndex] = None

    @classmethod
    def from_checkpoint(cls, path: Union[str, os.PathLike], device: Optional[str] = None) -> MotionSearch:
        """Build from a checkpoint of ``tools/train.py``.

        Args:
            path: the checkpoint, which carries its config and vocabulary.
            device: 'cpu', 'cuda:0', ...; None takes the best available.

        Raises:
            FileNotFoundError, ValueError: no, torn or foreign checkpoint, or see the class.
        """
        return cls(*load_model(path, device), source=str(path))

    def index(self, store: Union[str, os.PathLike], *, split: Optional[str] = None, every: Optional[float] = None,
              batch_size: int = BATCH_SIZE, cache: Union[str, os.PathLike, None] = None,
              progress: Callable[[Iterable], Iterable] = iter) -> MotionIndex:
        """Embed the motions of a store, among which ``search`` will find.

        Args:
            store: path of a motion store.
            split: only its clips of this name.
            every: lay a window every so many seconds over all clips, in the place of the windows of the test.
            batch_size: windows per forward pass.
            cache: folder of vectors that were computed before. They are used again if weights, settings and the store
                are the same; else they are computed, and written.
            progress: wraps the batches, such as ``tqdm``.

        Raises:
            FileNotFoundError, ValueError: see ``MotionDataset``; options out of range, or ``every`` for a model of
                whole clips.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        settings = self._settings(MotionStore(store), split, every)
        dataset = MotionDataset(str(store), **settings, test_mode=True)
        rates = np.array([dataset.store.clip_fps(clip) for clip in dataset.clips])
        path, key = None, ''
        if cache is not None:
            arrays = (*dataset.targets, *(name for name in INPUT_ARRAYS[dataset.input_2d] if name))
            key = index_key(self.model, settings, dataset.store, arrays)
            path = Path(cache) / f'{dataset.store.path.resolve().name}-{key[:16]}.npz'
        known = None if path is None else load_index(path, key, dataset.clips, rates)
        if known is None:
            known = self._embed(dataset, rates, batch_size, progress)
            if path is not None:
                save_index(path, known, key)
        self.indexed = known
        return known

    def search(self, texts: Sequence[str], *, top: int = 10, windows: bool = False) -> list[list[Hit]]:
        """Find the motions of the store that fit each text, best first.

        Args:
            texts: sentences, each with at least a word.
            top: most hits of each.
            windows: find single windows, which tell when, in the place of clips.

        Raises:
            ValueError: no text, one without a word, ``top`` below 1, or nothing was indexed before.
        """
        if self.indexed is None:
            raise ValueError('there is nothing to search in; call index(store) first')
        if isinstance(texts, str) or top < 1:
            raise ValueError(f'search got texts={texts!r} and top={top}; expected a list of sentences, and at least 1')
        return self.indexed.find(encode_texts(self.model, self.head, texts), top=top, windows=windows)

    def _embed(self, dataset: MotionDataset, rates: np.ndarray, batch_size: int,
               progress: Callable[[Iterable], Iterable]) -> MotionIndex:
        embeddings, frames = [], []
        for start in progress(range(0, len(dataset), batch_size)):
            numbers = range(start, min(start + batch_size, len(dataset)))
            batch = collate_batch(dataset.__getitems__(numbers))
            embeddings.append(encode_motions(self.model, self.head, batch))
            shown = batch['data_samples'].metainfo['frame_ids']  # (B, T); padding repeats frames of the clip
            frames.append(np.stack([shown.min(axis=1), shown.max(axis=1) + 1], axis=1))
        return MotionIndex(tuple(dataset.clips), rates, np.concatenate(embeddings), dataset.windows.clips,
                           np.concatenate(frames))

    def _settings(self, store: MotionStore, split: Optional[str], every: Optional[float]) -> dict:
        """Return the arguments of ``MotionDataset`` but its folder."""
        steps = list(self.steps)
        names = [step['type'].rpartition('.')[2] for step in steps]
        if store.skeleton != self.model.skeleton.name and 'ConvertSkeleton' not in names:
            steps.insert(0, dict(type='ConvertSkeleton', target=self.model.skeleton.name))
        looks = 'OrthographicView' in names  # at 3D motion, from a view of its own
        exact = 'detected_2d' not in store.arrays and 'keypoints_2d' in store.arrays
        return dict(window=self._window(store, every), split=split, num_persons=self.info['num_persons'],
                    pipeline=[*steps, dict(type='PackInputs', fields=[])],
                    input_2d=None if looks else 'exact' if exact else 'detected',
                    targets=['keypoints_3d'] if looks else [])

    def _window(self, store: MotionStore, every: Optional[float]) -> dict:
        """Return the arguments of ``WindowPlan``."""
        window, num_frames = self.info['window'], self.info['num_frames']
        kind = window.get('kind', 'sliding')
        if every is not None and (kind in WHOLE_CLIPS or not 0 < every < np.inf):
            raise ValueError(f'a window every {every} seconds: expected a positive number, and a model of windows of '
                             f'{num_frames} frames; windows of this one are of kind {kind!r}'
                             f'{", whole clips" if kind in WHOLE_CLIPS else ""}')
        if kind in WHOLE_CLIPS:
            return dict(kind=kind, num_frames=num_frames)
        dilation = self.info['dilation'] * frame_step(store.fps, self.info['fps'], str(store.path))
        if kind in OWN_WINDOWS and every is None:
            return dict(kind=kind, num_frames=num_frames, dilation=dilation)
        stride = window.get('stride') if kind in ('sliding', 'official') else None
        if every is not None:
            stride = max(round(every * store.fps), 1)
        return dict(kind='sliding', num_frames=num_frames, dilation=dilation, stride=stride, tail='shift')
