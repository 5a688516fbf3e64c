"""The pieces every skeleton picture is made of: views, colours, axes, re-usable artists.

matplotlib is imported on first use, through its object-oriented interface only, so that a picture neither
needs a display nor touches the state of pyplot.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.structures.skeleton import Skeleton, get_skeleton

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's blue and vermilion stay apart for every common kind of colour blindness.
COLORS = {'left': '#0072B2', 'right': '#D55E00', 'middle': '#4A4A4A', 'truth': '#8C8C8C'}
GRID, TEXT = '#E4E4E4', '#303030'
# Azimuth and elevation of the observer in degrees: 0, 0 is the camera; azimuth goes to the camera's right.
VIEWS = {'front': (0.0, 0.0), 'side': (90.0, 0.0), 'top': (0.0, 90.0)}
AXIS_LABELS = {'front': ('right, x (mm)', 'up, \u2212y (mm)'), 'side': ('depth, z (mm)', 'up, \u2212y (mm)'),
               'top': ('right, x (mm)', 'depth, z (mm)')}
TICK_MM = 500.0
# Height of a panel over its width; a person with hanging arms would make it a stripe.
MAX_ASPECT = 1.65
# An input joint below this confidence is drawn hollow.
UNSURE = 0.3


def new_figure(width: float, height: float, dpi: float) -> Figure:
    """Return an empty figure of so many inches on a canvas without a display."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'pictures need matplotlib, which does not import here ({error}); '
                          'pip install matplotlib') from error
    figure = Figure(figsize=(width, height), dpi=dpi, facecolor='white')
    FigureCanvasAgg(figure)
    return figure


def resolve(skeleton: Union[str, Skeleton]) -> Skeleton:
    """Return the skeleton of a name; a skeleton is returned as it is."""
    return get_skeleton(skeleton) if isinstance(skeleton, str) else skeleton


def check_points(points: np.ndarray, skeleton: Skeleton, channels: int, what: str) -> np.ndarray:
    """Return finite points (..., J, channels) as float64."""
    points = np.asarray(points, dtype=np.float64)
    if points.ndim < 2 or points.shape[-2:] != (skeleton.num_joints, channels) or not points.size:
        raise ValueError(f'{what} has shape {points.shape}, expected (..., {skeleton.num_joints}, {channels}) for '
                         f'skeleton {skeleton.name!r}; name the skeleton of the data')
    if not np.isfinite(points).all():
        raise ValueError(f'{what} holds NaN or infinity; a picture needs finite coordinates')
    return points


def rooted(motion: np.ndarray, skeleton: Skeleton, what: str) -> np.ndarray:
    """Return a checked motion (F, J, 3) relative to its root."""
    motion = check_points(motion, skeleton, 3, what)
    if motion.ndim != 3:
        raise ValueError(f'{what} has shape {motion.shape}, expected (F, {skeleton.num_joints}, 3), one person')
    return motion - motion[:, skeleton.root:skeleton.root + 1]


def require_length(num_frames: int, **others: Optional[Sequence]) -> None:
    """Refuse companions with another number of frames."""
    for name, value in others.items():
        if value is not None and len(value) != num_frames:
            raise ValueError(f'{name} has {len(value)} frames, motion has {num_frames}; cut both to the same frames')


def view_axes(view: str) -> np.ndarray:
    """Return the directions right, up and towards the observer, (3, 3) rows in the camera frame.

    Args:
        view: a key of VIEWS; the observer of 'side' stands to the camera's right.
    """
    azimuth, elevation = np.radians(VIEWS[view])
    ahead = np.array([-np.sin(azimuth), 0.0, np.cos(azimuth)])
    right = np.array([np.cos(azimuth), 0.0, np.sin(azimuth)])
    down = np.array([0.0, 1.0, 0.0])
    up = np.sin(elevation) * ahead - np.cos(elevation) * down
    near = -np.cos(elevation) * ahead - np.sin(elevation) * down
    return np.stack([right, up, near])


class SkeletonArtist:
    """Limbs and joints of one skeleton in one axes; ``move`` re-uses them for the next pose.

    Args:
        axes: where to draw.
        skeleton: gives limbs and sides.
        is_truth: draw thin, dashed and grey, behind the others.
        size: line width in points.
    """

    def __init__(self, axes: Axes, skeleton: Skeleton, *, is_truth: bool = False, size: float = 2.4) -> None:
        from matplotlib.collections import LineCollection
        sides = {**dict.fromkeys(skeleton.left, 'left'), **dict.fromkeys(skeleton.right, 'right')}
        if is_truth:
            sides = dict.fromkeys(range(skeleton.num_joints), 'truth')
        girdles = _girdles(skeleton)
        self.limbs = np.array(skeleton.limbs + girdles)
        self.limb_colors = np.array([COLORS[sides.get(child, 'middle')] for _, child in skeleton.limbs] +
                                    [COLORS['truth' if is_truth else 'middle']] * len(girdles))
        self.joint_colors = np.array([COLORS[sides.get(joint, 'middle')] for joint in range(skeleton.num_joints)])
        style = {'linestyles': [(0, (3.0, 1.6))], 'linewidths': 0.6 * size} if is_truth else \
            {'linewidths': size, 'capstyle': 'round'}
        self.lines = LineCollection([], zorder=2 if is_truth else 3, **style)
        axes.add_collection(self.lines, autolim=False)
        self.dots = None
        if not is_truth:
            nowhere = np.zeros(skeleton.num_joints)
            self.dots = axes.scatter(nowhere, nowhere, s=(1.9 * size) ** 2, c=self.joint_colors, zorder=3.1,
                                     edgecolors='white', linewidths=0.3 * size)

    @property
    def artists(self) -> list[Artist]:
        """What to draw again after ``move``."""
        return [artist for artist in (self.lines, self.dots) if artist is not None]

    def move(self, points: np.ndarray, *, nearness: Optional[np.ndarray] = None,
             confidence: Optional[np.ndarray] = None) -> None:
        """Put the skeleton elsewhere.

        Args:
            points: (J, 2) data coordinates of the axes.
            nearness: (J,) larger is nearer to the observer; nearer limbs cover others.
            confidence: (J,) joints below UNSURE become hollow.
        """
        order = np.arange(len(self.limbs)) if nearness is None else np.argsort(nearness[self.limbs].mean(axis=1))
        self.lines.set_segments(points[self.limbs[order]])
        self.lines.set_color(self.limb_colors[order])
        if self.dots is None:
            return
        self.dots.set_offsets(points)
        if confidence is not None:
            is_unsure = np.asarray(confidence) < UNSURE
            self.dots.set_facecolor(np.where(is_unsure, 'white', self.joint_colors))
            self.dots.set_edgecolor(np.where(is_unsure, self.joint_colors, 'white'))


def _girdles(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Return the lines from side to side that close the trunk of a skeleton without a pelvis joint."""
    if 'root' in skeleton.joints:
        return ()
    return tuple((skeleton.index(f'left_{part}'), skeleton.index(f'right_{part}')) for part in ('shoulder', 'hip'))


def move_to_view(artist: SkeletonArtist, points: np.ndarray, axes: np.ndarray,
                 filled: Optional[np.ndarray] = None) -> None:
    """Show 3D points (J, 3) in a view given by ``view_axes``; those that were filled in, (J,) bool, hollow."""
    seen = points @ axes.T
    artist.move(seen[:, :2], nearness=seen[:, 2], confidence=None if filled is None else ~filled)


def style_axes(axes: Axes, x_range: Sequence[float], y_range: Sequence[float], *, step: float) -> None:
    """Set limits, equal aspect, a quiet grid and ticks every ``step`` data units."""
    from matplotlib.ticker import MultipleLocator
    axes.set_xlim(*x_range)
    axes.set_ylim(*y_range)
    axes.set_aspect('equal', adjustable='box')
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(step))
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=7, colors=TEXT, pad=2)
    for spine in axes.spines.values():
        spine.set(color=GRID, linewidth=0.8)


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place in inches."""
    total_width, total_height = figure.get_size_inches()
    return figure.add_axes((left / total_width, bottom / total_height, width / total_width, height / total_height))


def add_pixel_axes(figure: Figure, left: float, bottom: float, width: float, height: float,
                   points: np.ndarray) -> Axes:
    """Add axes at a place in inches for a part of an image that holds all points (..., 2) px."""
    points = points.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    centre, half = (low + high) / 2, 0.54 * np.maximum(high - low, 2.0)
    half_height = max(half[1], half[0] * height / width)
    half_width = half_height * width / height
    axes = add_axes(figure, left, bottom, width, height)
    style_axes(axes, (centre[0] - half_width, centre[0] + half_width),
               (centre[1] + half_height, centre[1] - half_height), step=nice_step(2 * half_width))
    axes.set_xlabel('x (px)', fontsize=8, color=TEXT)
    axes.set_ylabel('y (px)', fontsize=8, color=TEXT, labelpad=0)
    return axes


def padded_range(values: np.ndarray, margin: float = 0.08, least: float = 1.0) -> tuple:
    """Return (low, high) around all values with a margin relative to their span."""
    low, high = float(values.min()), float(values.max())
    pad = max((high - low) * margin, least)
    return low - pad, high + pad


def upright_ranges(poses: np.ndarray) -> tuple:
    """Return (x range, y range) in mm that hold root-relative poses (..., J, 3) in front and side view."""
    y_range = padded_range(-poses[..., 1], margin=0.06, least=100.0)
    sideways = max(float(np.abs(poses[..., [0, 2]]).max()) * 1.12, (y_range[1] - y_range[0]) / (2 * MAX_ASPECT))
    return (-sideways, sideways), y_range


def nice_step(span: float) -> float:
    """Return a round grid step that divides ``span`` into three to six parts."""
    magnitude = 10.0 ** np.floor(np.log10(span))
    return float(magnitude * next(part for part in (2.0, 1.0, 0.5, 0.2) if span / (part * magnitude) >= 3))


def add_legend(figure: Figure, *, has_truth: bool, has_unsure: bool = False, **place: object) -> None:
    """Explain the colours below the panels."""
    from matplotlib.lines import Line2D
    entries = [Line2D([], [], color=COLORS[side], linewidth=2.4, solid_capstyle='round', label=label)
               for side, label in (('left', "person's left"), ('right', "person's right"), ('middle', 'middle'))]
    if has_truth:
        entries.append(Line2D([], [], color=COLORS['truth'], linewidth=1.6, linestyle=(0, (3.0, 1.6)),
                              label='ground truth'))
    if has_unsure:
        entries.append(Line2D([], [], color=COLORS['middle'], marker='o', markerfacecolor='white', linestyle='none',
                              markersize=5, label=f'not seen, or confidence below {UNSURE}'))
    columns = min(len(entries), int(figure.get_size_inches()[0] / 1.4))
    figure.legend(handles=entries, ncol=columns, frameon=False, fontsize=8, labelcolor=TEXT,
                  handlelength=1.8, columnspacing=1.6, **place)


def save(figure: Figure, path: Union[str, Path]) -> None:
    """Write a picture in the format of its suffix, atomically."""
    with atomic_path(path) as work:
        figure.savefig(work)
