"""The vectors of all motions of a store: ranked by their nearness to others, kept in a file, and recognised again."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from torch import Tensor, nn

from motionbert_mm.datasets.motion_store import INDEX_NAME, Clip, MotionStore
from motionbert_mm.evaluation.functional.retrieval import unit_features
from motionbert_mm.evaluation.metrics.labelled import average_by_name
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.plain_files import read_npz

VERSION = 1  # raise when the same checkpoint and store give other vectors
ARRAYS = ('key', 'embeddings', 'owners', 'frames')
READ_BYTES = 1 << 22


@dataclass(frozen=True)
class Hit:
    """A motion that was found.

    Attributes:
        rank: from 1.
        score: cosine, -1 to 1.
        clip: its name.
        action: '' if the store states none.
        text: sentences that describe the clip.
        seconds: begin and end: in the recording that the clip was cut from, where the store says it, else in the clip.
    """

    rank: int
    score: float
    clip: str
    action: str
    text: tuple
    seconds: tuple


@dataclass(frozen=True)
class MotionIndex:
    """Windows of clips and their vectors.

    Attributes:
        clips: of the store, in the order of ``owners``.
        rates: (clips,) frames per second of each.
        embeddings: (W, D) float32 of unit norm.
        owners: (W,) place of the clip of each window, ascending.
        frames: (W, 2) first frame of each window, and the one behind its last, in the clip.
    """

    clips: tuple
    rates: np.ndarray
    embeddings: np.ndarray
    owners: np.ndarray
    frames: np.ndarray

    def find(self, vectors: np.ndarray, *, top: int = 10, windows: bool = False) -> list[list[Hit]]:
        """Return the nearest motions of vectors (Q, D) of unit norm, the nearest first.

        Args:
            vectors: queries.
            top: most hits of each.
            windows: find windows; else whole clips, by the mean of the vectors of their windows.
        """
        owners, motions = (self.owners, self.embeddings) if windows else average_by_name(self.owners,
                                                                                         self.embeddings)[:2]
        scores = np.asarray(vectors, np.float64) @ unit_features(motions).T  # (Q, N)
        best = np.argsort(-scores, axis=1, kind='stable')[:, :top]
        return [[self._hit(rank, float(row[place]), int(owners[place]), self.frames[place] if windows else None)
                 for rank, place in enumerate(places, start=1)] for row, places in zip(scores, best.tolist())]

    def _hit(self, rank: int, score: float, owner: int, frames: Optional[np.ndarray]) -> Hit:
        """Describe a clip, or the frames (2,) of one."""
        clip, begin = self.clips[owner], 0.0
        if clip.seconds and frames is None:
            return Hit(rank, score, clip.name, clip.action, clip.text, clip.seconds)
        if clip.seconds:
            begin = clip.seconds[0]
        shown = (0, clip.length) if frames is None else frames.tolist()
        seconds = tuple(begin + frame / float(self.rates[owner]) for frame in shown)
        return Hit(rank, score, clip.name, clip.action, clip.text, seconds)


def index_key(model: nn.Module, settings: Mapping[str, Any], store: MotionStore, arrays: Sequence[str]) -> str:
    """Return what tells whether vectors can be used again: a digest of weights, settings and content of a store.

    Args:
        model: that embeds.
        settings: all else that the vectors depend on, plain data.
        store: of the motions.
        arrays: names of those that are read.
    """
    digest = hashlib.blake2b(json.dumps([VERSION, settings], sort_keys=True).encode(), digest_size=20)
    for name, value in model.state_dict().items():
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(_raw_bytes(value))
    for file in (INDEX_NAME, *(f'{name}.npy' for name in sorted(arrays))):
        with open(store.path / file, 'rb') as source:
            while chunk := source.read(READ_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _raw_bytes(value: Tensor) -> bytes:
    """Return the bytes of a tensor of any device; of bfloat16, which numpy lacks, as float32."""
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).numpy().tobytes()


def save_index(path: Path, index: MotionIndex, key: str) -> None:
    """Write the vectors of an index; the file appears only when it is complete."""
    with atomic_path(path) as work:
        np.savez(work, key=np.array(key), embeddings=index.embeddings, owners=index.owners, frames=index.frames)


def load_index(path: Path, key: str, clips: Sequence[Clip], rates: np.ndarray) -> Optional[MotionIndex]:
    """Read an index of some clips; None if there is no file, it is damaged, or was made under another key."""
    if not path.is_file():
        return None
    try:
        stored = read_npz(path, 'it is made again', required=ARRAYS)
    except ValueError:
        return None  # what a file of the cache held can be computed again
    is_whole = str(stored['key']) == key and (
        len(stored['embeddings']) == len(stored['owners']) == len(stored['frames']) > 0)
    if not is_whole or not np.isfinite(stored['embeddings']).all():
        return None
    return MotionIndex(tuple(clips), rates, *(stored[name] for name in ARRAYS[1:]))
