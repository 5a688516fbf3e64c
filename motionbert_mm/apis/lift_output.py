"""Write what was recovered of one person: the numbers, a picture strip and an animation."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from motionbert_mm.apis.inference import LiftResult
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.keypoint_files import KeypointTrack
from motionbert_mm.visualization.animation import animate
from motionbert_mm.visualization.skeleton_plot import draw_strip

FRAME = 'camera: x right, y down, z forward; relative to the root joint'


@dataclass(frozen=True)
class Output:
    """Where and how results are written.

    Attributes:
        folder: made if missing.
        name: begins the names of all files, and stands above the pictures.
        fps: frames per second of the keypoints.
        movie: 'gif', 'mp4', or None for no animation.
        bar: makes, of the name of a step, a progress bar to wrap around an iterable.
    """

    folder: Path
    name: str
    fps: float
    movie: Optional[str]
    bar: Callable[[str], Callable]

    def path(self, ending: str) -> Path:
        """Return the path of a file."""
        return self.folder / f'{self.name}{ending}'


def save_result(path: Path, result: LiftResult, *, joints: Sequence[str], frame_ids: np.ndarray, fps: float, frame: str,
                **more: Any) -> None:
    """Write a result and what is needed to read it; loads with ``allow_pickle=False``.

    Args:
        path: .npz to write.
        result: motion of one person.
        joints: names of its joints.
        frame_ids: (F,) numbers of the frames.
        fps: frames per second.
        frame: says where the coordinates are measured.
        **more: further arrays and texts.
    """
    with atomic_path(path) as work:
        np.savez_compressed(work, keypoints_3d=result.keypoints_3d, confidence=result.confidence,
                            filled=result.filled, hidden=result.hidden, frame_ids=frame_ids, joints=np.array(joints),
                            skeleton=np.array(result.skeleton), unit=np.array('mm'), frame=np.array(frame),
                            fps=np.array(fps), **{name: np.asarray(value) for name, value in more.items()})


def write_motion(output: Output, track: KeypointTrack, result: LiftResult, joints: Sequence[str]) -> list[Path]:
    """Write a lifted motion; return the paths.

    Args:
        output: where and how.
        track: the input.
        result: of ``Lifter``.
        joints: names of the joints of the model.
    """
    paths = [output.path('_3d.npz'), output.path('_strip.png')]
    shown = {'keypoints_2d': track.keypoints, 'confidence': track.confidence, 'skeleton_2d': track.skeleton,
             'filled': result.filled, 'title': output.name}
    save_result(paths[0], result, joints=joints, frame_ids=track.frame_ids, fps=output.fps, frame=FRAME)
    draw_strip(result.keypoints_3d, result.skeleton, path=paths[1], frame_ids=track.frame_ids, **shown)
    if output.movie is not None:
        paths.append(output.path(f'.{output.movie}'))
        animate(result.keypoints_3d, result.skeleton, paths[-1], fps=output.fps, progress=output.bar('drawing'),
                **shown)
    return paths
