"""Animate a motion as GIF or MP4: the 2D input beside the 3D pose from the front and from the side."""
from __future__ import annotations

import itertools
import math
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Optional, Union

import numpy as np

from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.structures.skeleton import Skeleton
from motionbert_mm.visualization.artists import (
    AXIS_LABELS,
    COLORS,
    GRID,
    TEXT,
    TICK_MM,
    SkeletonArtist,
    add_axes,
    add_legend,
    check_points,
    move_to_view,
    new_figure,
    nice_step,
    require_length,
    resolve,
    rooted,
    style_axes,
    upright_ranges,
    view_axes,
)

# GIF stores delays in hundredths of a second and viewers slow down what is faster than two of them.
MAX_GIF_FPS = 25.0
# A GIF is held in memory until its end; longer motions are sampled, at true speed.
MAX_GIF_FRAMES = 1500
GIF_SHADES = 10


def check_format(path: Union[str, Path]) -> None:
    """Refuse a suffix other than .gif and .mp4, and .mp4 where ffmpeg is not found."""
    suffix = Path(path).suffix.lower()
    if suffix not in ('.gif', '.mp4'):
        raise ValueError(f'cannot animate to {path}; the suffix must be .gif or .mp4')
    if suffix == '.mp4' and shutil.which('ffmpeg') is None:
        raise FileNotFoundError(f'{path}: MP4 needs the program ffmpeg, which is not on PATH; install it or '
                                'write a .gif')


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
    check_format(path)
    if not (fps > 0 and math.isfinite(fps)):
        raise ValueError(f'fps must be positive, got {fps}')
    skeleton = resolve(skeleton)
    poses = rooted(motion, skeleton, 'motion')
    truth = None if ground_truth is None else rooted(ground_truth, skeleton, 'ground_truth')
    require_length(len(poses), ground_truth=truth, keypoints_2d=keypoints_2d, confidence=confidence, filled=filled)
    if keypoints_2d is not None:
        skeleton_2d = skeleton if skeleton_2d is None else resolve(skeleton_2d)
        keypoints_2d = check_points(keypoints_2d, skeleton_2d, 2, 'keypoints_2d')
    stage = _Stage(poses, truth, skeleton, keypoints_2d, skeleton_2d, confidence, filled, fps, title)
    with atomic_path(path) as work:
        if work.suffix.lower() == '.mp4':
            _write_mp4(work, (stage.render(index) for index in progress(range(len(poses)))), fps)
        else:
            step = max(math.ceil(fps / MAX_GIF_FPS), math.ceil(len(poses) / MAX_GIF_FRAMES))
            indices = range(0, len(poses), step)
            _write_gif(work, (stage.render(index) for index in progress(indices)), _delays(len(indices), step / fps))


class _Stage:
    """One figure whose artists move; only they are drawn again for the next frame."""

    HEIGHT, GAP, BOTTOM, TOP = 3.3, 0.62, 0.85, 0.75  # inches

    def __init__(self, poses: np.ndarray, truth: Optional[np.ndarray], skeleton: Skeleton,
                 points: Optional[np.ndarray], skeleton_2d: Optional[Skeleton], confidence: Optional[np.ndarray],
                 filled: Optional[np.ndarray], fps: float, title: str) -> None:
        self.poses, self.truth, self.points, self.confidence, self.fps = poses, truth, points, confidence, fps
        self.filled = None if filled is None else np.asarray(filled, bool)
        x_range, y_range = upright_ranges(poses if truth is None else np.concatenate([poses, truth]))
        panel = self.HEIGHT * np.ptp(x_range) / np.ptp(y_range)
        count = 2 if points is None else 3
        # Even numbers of pixels, which H.264 asks for.
        size = [2 * round(50 * inches) / 100 for inches in (
            max(count * (panel + self.GAP) + 0.3, 5.2), self.HEIGHT + self.BOTTOM + self.TOP)]
        self.figure = new_figure(*size, 100)
        margin = (size[0] - count * (panel + self.GAP)) / 2
        lefts = [margin + self.GAP + (panel + self.GAP) * index for index in range(count)]
        self.inputs = None if points is None else self._add_input(lefts.pop(0), panel, skeleton_2d)
        self.views = [self._add_view(view, left, panel, skeleton, x_range, y_range)
                      for view, left in zip(('front', 'side'), lefts)]
        self.figure.suptitle(title, fontsize=10, color=TEXT, y=1.0 - 0.08 / size[1], va='top')
        self.caption = self.figure.text(0.995, 1.0 - 0.08 / size[1], '', fontsize=8, color=TEXT, ha='right', va='top')
        add_legend(self.figure, has_truth=truth is not None, loc='lower center')
        self.moving = [artist for view in self.views for part in view for artist in (part.artists if part else ())]
        self.moving += self.inputs.artists if self.inputs else []
        self._draw_background()

    def _add_view(self, view: str, left: float, width: float, skeleton: Skeleton, x_range: tuple,
                  y_range: tuple) -> tuple:
        """Add a 3D panel; return its artists (truth or None, prediction)."""
        axes = add_axes(self.figure, left, self.BOTTOM, width, self.HEIGHT)
        style_axes(axes, x_range, y_range, step=TICK_MM)
        axes.set_title(view, fontsize=9, color=TEXT)
        axes.set_xlabel(AXIS_LABELS[view][0], fontsize=8, color=TEXT)
        axes.set_ylabel(AXIS_LABELS[view][1], fontsize=8, color=TEXT, labelpad=0)
        truth = SkeletonArtist(axes, skeleton, is_truth=True) if self.truth is not None else None
        return truth, SkeletonArtist(axes, skeleton)

    def _add_input(self, left: float, width: float, skeleton: Skeleton) -> SkeletonArtist:
        """Add the panel of the 2D input, whose window holds the whole path of the person."""
        low, high = self.points.min(axis=(0, 1)), self.points.max(axis=(0, 1))
        centre, half = (low + high) / 2, 0.54 * max((high - low).max(), 2.0)
        half_height = max(half, (high - low)[0] * 0.54 * self.HEIGHT / width)
        half_width = half_height * width / self.HEIGHT
        axes = add_axes(self.figure, left, self.BOTTOM, width, self.HEIGHT)
        style_axes(axes, (centre[0] - half_width, centre[0] + half_width),
                   (centre[1] + half_height, centre[1] - half_height), step=nice_step(2 * half_width))
        axes.set_title('2D input', fontsize=9, color=TEXT)
        axes.set_xlabel('x (px)', fontsize=8, color=TEXT)
        axes.set_ylabel('y (px)', fontsize=8, color=TEXT, labelpad=0)
        return SkeletonArtist(axes, skeleton, size=2.0)

    def _draw_background(self) -> None:
        """Draw what never moves and keep it."""
        for artist in (*self.moving, self.caption):
            artist.set_visible(False)
        self.figure.canvas.draw()
        self.background = self.figure.canvas.copy_from_bbox(self.figure.bbox)
        for artist in (*self.moving, self.caption):
            artist.set_visible(True)

    def render(self, index: int) -> np.ndarray:
        """Return frame ``index`` as (H, W, 3) uint8."""
        for view, (truth, pose) in zip(('front', 'side'), self.views):
            if truth is not None:
                move_to_view(truth, self.truth[index], view_axes(view))
            move_to_view(pose, self.poses[index], view_axes(view), None if self.filled is None else self.filled[index])
        if self.inputs is not None:
            self.inputs.move(self.points[index],
                             confidence=None if self.confidence is None else self.confidence[index])
        self.caption.set_text(f'{index / self.fps:.2f} s')
        self.figure.canvas.restore_region(self.background)
        for artist in (*self.moving, self.caption):
            self.figure.draw_artist(artist)
        return np.asarray(self.figure.canvas.buffer_rgba())[..., :3].copy()


def _delays(count: int, seconds: float) -> list[int]:
    """Return delays in ms, multiples of 10, whose sum stays within 5 ms of the true time."""
    ends = np.round(np.arange(count + 1) * seconds * 100).astype(int)
    return (np.maximum(np.diff(ends), 2) * 10).tolist()


def _write_gif(path: Path, frames: Iterator[np.ndarray], delays: list[int]) -> None:
    """Write frames with one palette: the shades from white to each colour of the drawing."""
    from matplotlib.colors import to_rgb
    from PIL import Image
    colors = np.array([to_rgb(color) for color in (*COLORS.values(), TEXT)])
    shades = (1.0 - np.linspace(0.0, 1.0, GIF_SHADES)[:, None, None] * (1.0 - colors)).reshape(-1, 3)
    # Pillow fills a shorter palette with grey levels of its own.
    shades = np.resize(np.concatenate([shades, [to_rgb(GRID)]]), (256, 3))
    palette = Image.new('P', (1, 1))
    palette.putpalette((shades * 255).round().astype(np.uint8).tobytes())
    images = (Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    next(images).save(path, save_all=True, append_images=images, duration=delays, loop=0, optimize=False)


def _write_mp4(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    """Pipe frames into ffmpeg as H.264 that every player takes."""
    first = next(frames)
    command = ['ffmpeg', '-y', '-loglevel', 'error', '-f', 'rawvideo', '-pix_fmt', 'rgb24',
               '-s', f'{first.shape[1]}x{first.shape[0]}', '-r', f'{fps:g}', '-i', '-', '-an',
               '-c:v', 'libx264', '-crf', '20', '-pix_fmt', 'yuv420p', str(path)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            for frame in itertools.chain([first], frames):
                process.stdin.write(frame.tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass  # ffmpeg has ended; its exit code and message follow
        finally:
            code = process.wait()
        log.seek(0)
        if code:
            raise OSError(f'ffmpeg failed with code {code}: {log.read().decode(errors="replace").strip()[-300:]}; '
                          'write a .gif instead')
