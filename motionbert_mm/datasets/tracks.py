"""Tracks of one person's 2D joints in the images of a video, from data sets of annotated or detected video."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

import numpy as np

from motionbert_mm.datasets.motion_store import MotionStoreWriter


@dataclass(frozen=True)
class Track:
    """One person in some of the images of a video.

    Attributes:
        name: unique in the data set.
        frames: (F,) int, ascending; numbers that are not neighbours leave a gap.
        keypoints: (F, J, 2) px, origin top left.
        confidence: (F, J) 0..1; 0 for joints that were not seen.
        image_size: (width, height) in pixels, None if unknown.
    """

    name: str
    frames: np.ndarray
    keypoints: np.ndarray
    confidence: np.ndarray
    image_size: Optional[tuple[int, int]] = None

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, rows: Union[slice, np.ndarray], name: str = '') -> Track:
        """Return some of the frames, under the same name or another one."""
        return Track(name or self.name, self.frames[rows], self.keypoints[rows], self.confidence[rows],
                     self.image_size)


def cut_at_gaps(track: Track) -> list[Track]:
    """Part a track wherever an image is missing; parts of a track that has gaps are named by their first frame."""
    edges = [0, *(np.flatnonzero(np.diff(track.frames) > 1) + 1), len(track)]
    if len(edges) == 2:
        return [track]
    return [track.take(slice(start, end), f'{track.name}@{track.frames[start]}')
            for start, end in zip(edges, edges[1:])]


def add_track(writer: MotionStoreWriter, track: Track) -> None:
    """Append a track to a store as a clip of detections."""
    writer.add_clip(track.name, {'detected_2d': track.keypoints, 'detected_confidence': track.confidence},
                    image_size=track.image_size)
