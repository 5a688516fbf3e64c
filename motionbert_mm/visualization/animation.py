"""Animate a motion as GIF or MP4: the 2D input beside the 3D pose from the front and from the side."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from motionbert_mm.structures.skeleton import Skeleton
from motionbert_mm.visualization.artists import (
    AXIS_LABELS,
    TEXT,
    TICK_MM,
    SkeletonArtist,
    add_axes,
    add_legend,
    add_pixel_axes,
    check_points,
    move_to_view,
    require_length,
    resolve,
    rooted,
    style_axes,
    upright_ranges,
    view_axes,
)
from motionbert_mm.visualization.movie import Stage, check_movie, write_movie

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def animate(motion: np.ndarray, skeleton: Union[str, Skeleton], path: Union[str, Path], *, fps: float = 30.0,
            keypoints_2d: Optional[np.ndarray] = None, confidence: Optional[np.ndarray] = None,
            skeleton_2d: Optional[Union[str, Skeleton]] = None, ground_truth: Optional[np.ndarray] = None,
            filled: Optional[np.ndarray] = None, title: str = '',
            progress: Callable[[Iterable], Iterable] = iter) -> None:
    """Write an animation that plays at the speed of the motion.

    A GIF shows at most MAX_GIF_FPS frames per second and MAX_GIF_FRAMES frames; more are skipped evenly.

    Args:
        motion: (F, J, 3) mm, camera frame; shown relative to the root.
        skeleton: joint set of ``motion`` and ``ground_truth``, or its name.
        path: .gif, or .mp4 where ffmpeg is found.
        fps: frames per second of the motion.
        keypoints_2d: (F, J2, 2) px, the input.
        confidence: (F, J2) of the input; unsure joints are drawn hollow.
        skeleton_2d: joint set of the input; that of ``motion`` if None.
        ground_truth: (F, J, 3) mm, camera frame; dashed in grey.
        filled: (F, J) bool, joints of ``motion`` that were missing in the input; hollow.
        title: text above the panels.
        progress: wraps the frames, such as ``tqdm``.

    Raises:
        ValueError: another suffix, shapes that do not fit each other, NaN, a frame rate that is not positive.
        FileNotFoundError: .mp4 where ffmpeg is not found.
        OSError: ffmpeg failed.
    """
    check_movie(path, fps)
    skeleton = resolve(skeleton)
    poses = rooted(motion, skeleton, 'motion')
    truth = None if ground_truth is None else rooted(ground_truth, skeleton, 'ground_truth')
    require_length(len(poses), ground_truth=truth, keypoints_2d=keypoints_2d, confidence=confidence, filled=filled)
    if keypoints_2d is not None:
        skeleton_2d = skeleton if skeleton_2d is None else resolve(skeleton_2d)
        keypoints_2d = check_points(keypoints_2d, skeleton_2d, 2, 'keypoints_2d')
    stage = _Stage(poses, truth, skeleton, keypoints_2d, skeleton_2d, confidence, filled, fps, title)
    write_movie(stage, path, len(poses), fps=fps, progress=progress)


class PanelStage(Stage):
    """The 2D input, if there is one, beside a view from the front and one from the side.

    Subclasses add artists to ``view_axes`` and ``input_axes`` and call ``keep_background``.

    Args:
        shown: (..., 3) mm, what the views have to hold.
        points: (..., 2) px, what the panel of the input has to hold; None leaves it out.
        fps: frames per second, for the clock.
        title: text above the panels.
    """

    HEIGHT, GAP, BOTTOM, TOP = 3.3, 0.62, 0.85, 0.75  # inches
    INPUT_TITLE = '2D input'

    def __init__(self, shown: np.ndarray, points: Optional[np.ndarray], fps: float, title: str) -> None:
        self.fps = fps
        x_range, y_range = upright_ranges(shown)
        panel = self.HEIGHT * np.ptp(x_range) / np.ptp(y_range)
        count = 2 if points is None else 3
        super().__init__(max(count * (panel + self.GAP) + 0.3, 5.2), self.HEIGHT + self.BOTTOM + self.TOP)
        margin = (self.size[0] - count * (panel + self.GAP)) / 2
        lefts = [margin + self.GAP + (panel + self.GAP) * index for index in range(count)]
        self.input_axes = None if points is None else self._add_input(lefts.pop(0), panel, points)
        self.view_axes = {view: self._add_view(view, left, panel, x_range, y_range)
                          for view, left in zip(('front', 'side'), lefts)}
        self.caption = self.add_title(title)

    def _add_view(self, view: str, left: float, width: float, x_range: tuple, y_range: tuple) -> Axes:
        """Add a panel in mm."""
        axes = add_axes(self.figure, left, self.BOTTOM, width, self.HEIGHT)
        style_axes(axes, x_range, y_range, step=TICK_MM)
        axes.set_title(view, fontsize=9, color=TEXT)
        axes.set_xlabel(AXIS_LABELS[view][0], fontsize=8, color=TEXT)
        axes.set_ylabel(AXIS_LABELS[view][1], fontsize=8, color=TEXT, labelpad=0)
        return axes

    def _add_input(self, left: float, width: float, points: np.ndarray) -> Axes:
        """Add the panel of the 2D input, whose window holds the whole path of the person."""
        axes = add_pixel_axes(self.figure, left, self.BOTTOM, width, self.HEIGHT, points)
        axes.set_title(self.INPUT_TITLE, fontsize=9, color=TEXT)
        return axes

    def show_time(self, index: int) -> None:
        """Set the clock to frame ``index``."""
        self.caption.set_text(f'{index / self.fps:.2f} s')


class _Stage(PanelStage):
    """Skeletons."""

    def __init__(self, poses: np.ndarray, truth: Optional[np.ndarray], skeleton: Skeleton,
                 points: Optional[np.ndarray], skeleton_2d: Optional[Skeleton], confidence: Optional[np.ndarray],
                 filled: Optional[np.ndarray], fps: float, title: str) -> None:
        super().__init__(poses if truth is None else np.concatenate([poses, truth]), points, fps, title)
        self.poses, self.truth, self.points, self.confidence = poses, truth, points, confidence
        self.filled = None if filled is None else np.asarray(filled, bool)
        self.inputs = None if points is None else SkeletonArtist(self.input_axes, skeleton_2d, size=2.0)
        self.views = [(SkeletonArtist(axes, skeleton, is_truth=True) if truth is not None else None,
                       SkeletonArtist(axes, skeleton)) for axes in self.view_axes.values()]
        add_legend(self.figure, has_truth=truth is not None, loc='lower center')
        moving = [artist for view in self.views for part in view for artist in (part.artists if part else ())]
        self.keep_background([*moving, *(self.inputs.artists if self.inputs else ()), self.caption])

    def move(self, index: int) -> None:
        """Show frame ``index``."""
        for view, (truth, pose) in zip(self.view_axes, self.views):
            if truth is not None:
                move_to_view(truth, self.truth[index], view_axes(view))
            move_to_view(pose, self.poses[index], view_axes(view), None if self.filled is None else self.filled[index])
        if self.inputs is not None:
            self.inputs.move(self.points[index],
                             confidence=None if self.confidence is None else self.confidence[index])
        self.show_time(index)
