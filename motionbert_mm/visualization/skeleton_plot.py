"""Still pictures: one pose in three views, and strips of poses over time beside input and truth.

Views are orthographic, from points in the camera frame (x right, y down, z forward), so that millimetres can
be read off the axes and every person stands upright.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from motionbert_mm.structures.skeleton import Skeleton
from motionbert_mm.visualization.artists import (
    AXIS_LABELS,
    TEXT,
    TICK_MM,
    UNSURE,
    SkeletonArtist,
    add_axes,
    add_legend,
    check_points,
    move_to_view,
    new_figure,
    nice_step,
    padded_range,
    require_length,
    resolve,
    rooted,
    save,
    style_axes,
    upright_ranges,
    view_axes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_views(points: np.ndarray, skeleton: Union[str, Skeleton], *, ground_truth: Optional[np.ndarray] = None,
               path: Optional[Union[str, Path]] = None, title: str = '', dpi: float = 150.0) -> Figure:
    """Draw one pose from the front, from the side and from above, at one scale.

    Args:
        points: (J, 3) mm, camera frame.
        skeleton: joint set or its name.
        ground_truth: (J, 3) mm; drawn dashed in grey, the mean joint error goes into the title.
        path: picture to write; none if None.
        title: text above the panels.
        dpi: dots per inch.

    Returns:
        The figure.

    Raises:
        ValueError: another number of joints, NaN.
    """
    skeleton = resolve(skeleton)
    points = check_points(np.asarray(points)[None], skeleton, 3, 'points')[0]
    shown = [points]
    if ground_truth is not None:
        shown.append(check_points(np.asarray(ground_truth)[None], skeleton, 3, 'ground_truth')[0])
        error = np.linalg.norm(shown[0] - shown[1], axis=-1).mean()
        title = f'{title}   mean error {error:.1f} mm'.strip()
    ranges = []
    for view in AXIS_LABELS:
        seen = np.stack(shown) @ view_axes(view)[:2].T
        ranges.append([padded_range(seen[..., 0], least=120.0), padded_range(seen[..., 1], least=120.0)])
    scale = 3.6 / max(high - low for _, (low, high) in ranges)  # inches per mm
    widths = [max((high - low) * scale, 1.0) for (low, high), _ in ranges]
    height = 3.6 + 1.15 + (0.3 if title else 0.0)
    figure = new_figure(max(sum(widths) + 0.76 * len(widths) + 0.2, 5.0), height, dpi)
    left = 0.68
    for view, (x_range, y_range), width in zip(AXIS_LABELS, ranges, widths):
        axes = add_axes(figure, left, 0.82, width, 3.6)
        axes.set_anchor('S')
        style_axes(axes, x_range, y_range, step=TICK_MM / 2)
        axes.set_title(view, fontsize=9, color=TEXT)
        axes.set_xlabel(AXIS_LABELS[view][0], fontsize=8, color=TEXT)
        axes.set_ylabel(AXIS_LABELS[view][1], fontsize=8, color=TEXT, labelpad=1)
        for pose, is_truth in zip(shown[::-1], (True, False)[-len(shown):]):
            move_to_view(SkeletonArtist(axes, skeleton, is_truth=is_truth, size=3.2), pose, view_axes(view))
        left += width + 0.76
    add_legend(figure, has_truth=ground_truth is not None, loc='lower center')
    figure.suptitle(title, fontsize=10, color=TEXT, y=1.0 - 0.1 / height, va='top')
    if path is not None:
        save(figure, path)
    return figure


def draw_strip(motion: np.ndarray, skeleton: Union[str, Skeleton], *, path: Optional[Union[str, Path]] = None,
               keypoints_2d: Optional[np.ndarray] = None, confidence: Optional[np.ndarray] = None,
               skeleton_2d: Optional[Union[str, Skeleton]] = None, ground_truth: Optional[np.ndarray] = None,
               filled: Optional[np.ndarray] = None, frame_ids: Optional[Sequence[int]] = None, num_poses: int = 6,
               title: str = '', dpi: float = 150.0) -> Figure:
    """Draw poses of one motion side by side: the 2D input, the 3D pose from the front and from the side.

    3D is shown relative to the root. With ground truth, the title of each column has the mean joint error of
    that frame after aligning the roots (MPJPE).

    Args:
        motion: (F, J, 3) mm, camera frame.
        skeleton: joint set of ``motion`` and ``ground_truth``, or its name.
        path: picture to write; none if None.
        keypoints_2d: (F, J2, 2) px, the input.
        confidence: (F, J2) of the input; unsure joints are drawn hollow.
        skeleton_2d: joint set of the input; that of ``motion`` if None.
        ground_truth: (F, J, 3) mm, camera frame; dashed in grey.
        filled: (F, J) bool, joints of ``motion`` that were missing in the input; hollow.
        frame_ids: (F,) numbers for the titles.
        num_poses: columns, spread evenly over the motion.
        title: text above all.
        dpi: dots per inch.

    Returns:
        The figure.

    Raises:
        ValueError: shapes that do not fit each other, NaN.
    """
    skeleton = resolve(skeleton)
    poses = rooted(motion, skeleton, 'motion')
    truth = None if ground_truth is None else rooted(ground_truth, skeleton, 'ground_truth')
    require_length(len(poses), ground_truth=truth, keypoints_2d=keypoints_2d, confidence=confidence,
                    filled=filled, frame_ids=frame_ids)
    chosen = pick_columns(len(poses), num_poses)
    errors = None if truth is None else np.linalg.norm(poses[chosen] - truth[chosen], axis=-1).mean(axis=-1)
    titles = title_columns(chosen, frame_ids, errors)
    strip = Strip(np.concatenate([poses[chosen]] + ([] if truth is None else [truth[chosen]])), titles, title,
                   has_input=keypoints_2d is not None, dpi=dpi)
    unsure = None if confidence is None else np.asarray(confidence)[chosen]
    if keypoints_2d is not None:
        skeleton_2d = skeleton if skeleton_2d is None else resolve(skeleton_2d)
        points = check_points(keypoints_2d, skeleton_2d, 2, 'keypoints_2d')[chosen]
        strip.draw_input(strip.add_input_row(points), points, skeleton_2d, unsure)
    filled = None if filled is None else np.asarray(filled, bool)[chosen]
    for view in ('front', 'side'):
        strip.draw_view(view, skeleton, poses[chosen], None if truth is None else truth[chosen], filled)
    has_unsure = keypoints_2d is not None and unsure is not None and bool((unsure < UNSURE).any())
    has_unsure = has_unsure or (filled is not None and bool(filled.any()))
    add_legend(strip.figure, has_truth=truth is not None, has_unsure=has_unsure, loc='lower center')
    if path is not None:
        save(strip.figure, path)
    return strip.figure


class Strip:
    """A grid of panels of one size; rows are filled from the top."""

    PANEL, GAP, LEFT, BOTTOM = 1.55, 0.07, 0.75, 0.78  # inches

    def __init__(self, poses: np.ndarray, column_titles: Sequence[str], title: str, *, has_input: bool,
                 dpi: float) -> None:
        self.x_range, self.y_range = upright_ranges(poses)
        self.aspect = np.ptp(self.y_range) / np.ptp(self.x_range)
        self.column_titles, self.rows = column_titles, 3 if has_input else 2
        self.height = self.PANEL * self.aspect
        self.top = 0.29 + 0.15 * column_titles[0].count('\n')
        self.top += 0.28 if title else 0.0
        needed = self.LEFT + len(column_titles) * (self.PANEL + self.GAP) + 0.15
        figure_width = max(needed, 5.2)
        self.left = self.LEFT + (figure_width - needed) / 2
        self.figure_height = self.top + self.rows * (self.height + self.GAP) + self.BOTTOM
        self.figure = new_figure(figure_width, self.figure_height, dpi)
        self.figure.suptitle(title, fontsize=10, color=TEXT, y=1.0 - 0.1 / self.figure_height, va='top')
        self.next_row = 0

    def _new_row(self, label: str) -> list:
        """Add one row of empty panels."""
        bottom = self.figure_height - self.top - self.next_row * (self.height + self.GAP) - self.height
        row = [add_axes(self.figure, self.left + index * (self.PANEL + self.GAP), bottom, self.PANEL, self.height)
               for index in range(len(self.column_titles))]
        if self.next_row == 0:
            for axes, text in zip(row, self.column_titles):
                axes.set_title(text, fontsize=8, color=TEXT, pad=4)
        self.next_row += 1
        row[0].set_ylabel(label, fontsize=8, color=TEXT)
        for axes in row:
            axes.tick_params(labelleft=axes is row[0], labelbottom=axes is row[0] and self.next_row == self.rows)
        return row

    def add_input_row(self, points: np.ndarray) -> list:
        """Add a row for the 2D input (N, J, 2) px, each panel centred on the person, all at one scale."""
        low, high = points.min(axis=1), points.max(axis=1)
        centre, span = (low + high) / 2, (high - low).max(axis=0)
        half_width = 0.56 * max(span[0], span[1] / self.aspect, 1.0)
        half_height, step = half_width * self.aspect, nice_step(2 * half_width)
        row = self._new_row(f'2D input\ngrid {step:g} px')
        for axes, (x, y) in zip(row, centre):
            style_axes(axes, (x - half_width, x + half_width), (y + half_height, y - half_height), step=step)
            axes.tick_params(labelleft=False)
        return row

    def draw_input(self, row: Sequence, points: np.ndarray, skeleton: Skeleton, confidence: Optional[np.ndarray], *,
                   size: float = 2.0) -> None:
        """Draw the 2D input (N, J, 2) px into the panels of a row."""
        for index, axes in enumerate(row):
            SkeletonArtist(axes, skeleton, size=size).move(
                points[index], confidence=None if confidence is None else confidence[index])

    def add_view_row(self, view: str) -> list:
        """Add a row for one view of what is shown in mm."""
        row = self._new_row(f'{view}\n{AXIS_LABELS[view][1]}')
        for axes in row:
            style_axes(axes, self.x_range, self.y_range, step=TICK_MM)
            is_corner = axes is row[0] and self.next_row == self.rows
            axes.set_xlabel(AXIS_LABELS[view][0] if is_corner else '', fontsize=8, color=TEXT)
        return row

    def draw_view(self, view: str, skeleton: Skeleton, poses: np.ndarray, truth: Optional[np.ndarray],
                  filled: Optional[np.ndarray]) -> None:
        """Add a row with root-relative poses (N, J, 3) mm in one view, joints that were filled in hollow."""
        directions = view_axes(view)
        for index, axes in enumerate(self.add_view_row(view)):
            if truth is not None:
                move_to_view(SkeletonArtist(axes, skeleton, is_truth=True), truth[index], directions)
            move_to_view(SkeletonArtist(axes, skeleton), poses[index], directions,
                         None if filled is None else filled[index])


def pick_columns(num_frames: int, count: int) -> np.ndarray:
    """Return the numbers of at most ``count`` frames, spread evenly over a motion."""
    return np.unique(np.linspace(0, num_frames - 1, count).round().astype(int))


def title_columns(chosen: np.ndarray, frame_ids: Optional[Sequence[int]] = None,
                  errors: Optional[np.ndarray] = None) -> list[str]:
    """Name each column (N,) by its frame and, with ground truth, by its error (N,) in mm."""
    titles = [f'frame {index if frame_ids is None else frame_ids[index]}' for index in chosen]
    return titles if errors is None else [f'{text}\n{error:.1f} mm' for text, error in zip(titles, errors)]
