"""Animate 2D skeletons with the names of what they do, above a timeline of it."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np

from motionbert_mm.structures.skeleton import Skeleton
from motionbert_mm.visualization.artists import (
    GRID,
    TEXT,
    SkeletonArtist,
    add_axes,
    add_pixel_axes,
    check_points,
    require_length,
    resolve,
)
from motionbert_mm.visualization.movie import Stage, check_movie, write_movie

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

# Colours of classes, far from those of the sides of a body; more classes begin again.
CLASS_COLORS = ('#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#882255', '#44AA99', '#999933', '#332288', '#DDCC77')
UNKNOWN_COLOR = '#BDBDBD'
MAX_PEOPLE = 8  # rows of the timeline
HEADROOM = 0.15  # above the highest joint, for the label; relative to the height of all


@dataclass(frozen=True)
class LabelledSpan:
    """Frames of one label: start and end (exclusive), the name of the class, None for an unknown one, and its score."""

    start: int
    end: int
    name: Union[str, None]
    score: float


@dataclass(frozen=True)
class LabelledPerson:
    """One person of a labelled animation.

    Attributes:
        name: stands at the person's row of the timeline.
        keypoints: (F, J, 2) px.
        confidence: (F, J); unsure joints are drawn hollow.
        first: number of the first frame, of all frames of the animation.
        spans: in frames of this person; in frames of none the person is not drawn.
    """

    name: str
    keypoints: np.ndarray
    confidence: np.ndarray
    first: int
    spans: Sequence[LabelledSpan]


def animate_labels(people: Sequence[LabelledPerson], skeleton: Union[str, Skeleton], path: Union[str, Path], *,
                   fps: float, start_time: float = 0.0, title: str = '',
                   progress: Callable[[Iterable], Iterable] = iter) -> None:
    """Write an animation that plays at the speed of the motion, see ``write_movie``.

    Args:
        people: who is shown, at most MAX_PEOPLE.
        skeleton: joint set of all keypoints, or its name.
        path: .gif, or .mp4 where ffmpeg is found.
        fps: frames per second of the motion.
        start_time: seconds that frame 0 is labelled with.
        title: text above the picture.
        progress: wraps the frames, such as ``tqdm``.

    Raises:
        ValueError: nobody or too many, another suffix, shapes that do not fit each other, NaN, or a frame rate that is
            not positive.
        FileNotFoundError: .mp4 where ffmpeg is not found.
        OSError: ffmpeg failed.
    """
    check_movie(path, fps)
    if not 0 < len(people) <= MAX_PEOPLE or not any(person.spans for person in people):
        raise ValueError(f'an animation shows 1 to {MAX_PEOPLE} people with labels, got {len(people)}')
    skeleton = resolve(skeleton)
    for person in people:
        check_points(person.keypoints, skeleton, 2, f'keypoints of {person.name}')
        require_length(len(person.keypoints), confidence=person.confidence)
    stage = _Stage(people, skeleton, fps, start_time, title)
    write_movie(stage, path, stage.num_frames, fps=fps, progress=progress)


class _Stage(Stage):
    """The image with its people above a timeline."""

    WIDTH, HEIGHT, LEFT, TOP, ROW, GAP, LEGEND = 6.4, 3.8, 0.95, 0.42, 0.24, 0.62, 0.3  # inches
    COLUMNS = 4  # of the legend
    colors = (*CLASS_COLORS, UNKNOWN_COLOR)

    def __init__(self, people: Sequence[LabelledPerson], skeleton: Skeleton, fps: float, start_time: float,
                 title: str) -> None:
        self.people, self.fps, self.start_time = people, fps, start_time
        self.num_frames = max(person.first + len(person.keypoints) for person in people)
        names = dict.fromkeys(span.name for person in people for span in person.spans)
        known = [name for name in names if name is not None]
        self.color_of = {name: CLASS_COLORS[number % len(CLASS_COLORS)] for number, name in enumerate(known)}
        self.color_of.update({None: UNKNOWN_COLOR} if None in names else {})
        legend = self.LEGEND * -(-len(self.color_of) // self.COLUMNS)
        rows = self.ROW * len(people)
        bottom = legend + 0.45 + rows + self.GAP
        super().__init__(self.WIDTH, bottom + self.HEIGHT + self.TOP)
        self.caption = self.add_title(title)
        corners = _shown_corners(people)
        self.label_gap = HEADROOM / 4 * np.ptp(corners[:, 1])
        axes = add_pixel_axes(self.figure, self.LEFT, bottom, self.WIDTH - self.LEFT - 0.2, self.HEIGHT, corners)
        self.skeletons = [SkeletonArtist(axes, skeleton, size=2.0) for _ in people]
        self.labels = [self._add_label(axes) for _ in people]
        timeline = add_axes(self.figure, self.LEFT, legend + 0.45, self.WIDTH - self.LEFT - 0.2, rows)
        self._draw_timeline(timeline)
        self.cursor = timeline.axvline(start_time, color=TEXT, linewidth=1.2)
        bodies = [artist for body in self.skeletons for artist in body.artists]
        self.keep_background([*bodies, *self.labels, self.cursor, self.caption])

    def _add_label(self, axes: Axes) -> Text:
        """Add the label of a person, whose box has the colour of the class."""
        return axes.text(0, 0, '', fontsize=8, color=TEXT, ha='center', va='bottom', zorder=4,
                         bbox=dict(boxstyle='round,pad=0.2', facecolor='white', edgecolor=GRID, linewidth=1.4))

    def _draw_timeline(self, axes: Axes) -> None:
        """Draw a row of segments for every person, and what their colours mean."""
        from matplotlib.patches import Patch
        for row, person in enumerate(self.people):
            bars = [((person.first + span.start) / self.fps + self.start_time, (span.end - span.start) / self.fps)
                    for span in person.spans]
            axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=[self.color_of[span.name] for span in person.spans],
                             edgecolors='white', linewidth=0.5)
        axes.set_xlim(self.start_time, self.start_time + self.num_frames / self.fps)
        axes.set_ylim(len(self.people) - 0.5, -0.5)
        axes.set_yticks(range(len(self.people)), [person.name for person in self.people])
        axes.set_xlabel('time (s)', fontsize=8, color=TEXT, labelpad=1)
        axes.tick_params(length=0, labelsize=7, colors=TEXT, pad=2)
        for spine in axes.spines.values():
            spine.set(color=GRID, linewidth=0.8)
        self.figure.legend(handles=[Patch(color=color, label=_text(name)) for name, color in self.color_of.items()],
                           ncol=self.COLUMNS, frameon=False, fontsize=8, labelcolor=TEXT, loc='lower center')

    def move(self, index: int) -> None:
        """Show frame ``index``."""
        for person, body, label in zip(self.people, self.skeletons, self.labels):
            frame = index - person.first
            span = next((span for span in person.spans if span.start <= frame < span.end), None)
            for artist in (*body.artists, label):
                artist.set_visible(span is not None)
            if span is None:
                continue
            points, confidence = person.keypoints[frame], person.confidence[frame]
            body.move(points, confidence=confidence)
            seen = points[confidence > 0] if (confidence > 0).any() else points
            label.set_position(((seen[:, 0].min() + seen[:, 0].max()) / 2, seen[:, 1].min() - self.label_gap))
            label.set_text(f'{_text(span.name)} {span.score:.2f}')
            label.get_bbox_patch().set_edgecolor(self.color_of[span.name])
        time = self.start_time + index / self.fps
        self.cursor.set_xdata([time, time])
        self.caption.set_text(f'{time:.2f} s')


def _text(name: Union[str, None]) -> str:
    return 'unknown' if name is None else name


def _shown_corners(people: Sequence[LabelledPerson]) -> np.ndarray:
    """Return corners (2, 2) px of what the picture has to hold: all joints of frames with a label, and room for it."""
    parts = [person.keypoints[span.start:span.end].reshape(-1, 2) for person in people for span in person.spans]
    points = np.concatenate(parts)
    low, high = points.min(axis=0), points.max(axis=0)
    return np.stack([low - [0, HEADROOM * (high[1] - low[1])], high])
