"""Write moving pictures as GIF or MP4, one figure whose artists move from frame to frame."""
from __future__ import annotations

import itertools
import math
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np

from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.visualization.artists import COLORS, GRID, TEXT, new_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.text import Text

# GIF stores delays in hundredths of a second and viewers slow down what is faster than two of them.
MAX_GIF_FPS = 25.0
# A GIF is held in memory until its end; longer motions are sampled, at true speed.
MAX_GIF_FRAMES = 1500
GIF_SHADES = 10
DPI = 100


class Stage:
    """One figure whose artists move; only they are drawn again for the next frame.

    Subclasses draw in ``figure``, call ``keep_background`` once, and implement ``move``.

    Args:
        width: inches.
        height: inches.
    """

    # Of the drawing, besides those of skeletons and text; a GIF has one palette.
    colors: Sequence[str] = ()

    def __init__(self, width: float, height: float) -> None:
        # Even numbers of pixels, which H.264 asks for.
        self.size = [2 * round(DPI / 2 * inches) / DPI for inches in (width, height)]
        self.figure = new_figure(*self.size, DPI)

    def add_title(self, title: str) -> Text:
        """Write a title above all, and return an empty caption in the right corner."""
        top = 1.0 - 0.08 / self.size[1]
        self.figure.suptitle(title, fontsize=10, color=TEXT, y=top, va='top')
        return self.figure.text(0.995, top, '', fontsize=8, color=TEXT, ha='right', va='top')

    def keep_background(self, moving: Sequence[Artist]) -> None:
        """Draw all but the artists that move and keep it."""
        self.moving = list(moving)
        for artist in self.moving:
            artist.set_visible(False)
        self.figure.canvas.draw()
        self.background = self.figure.canvas.copy_from_bbox(self.figure.bbox)
        for artist in self.moving:
            artist.set_visible(True)

    def move(self, index: int) -> None:
        """Put the artists where they are in frame ``index``."""
        raise NotImplementedError

    def render(self, index: int) -> np.ndarray:
        """Return frame ``index`` as (H, W, 3) uint8."""
        self.move(index)
        self.figure.canvas.restore_region(self.background)
        for artist in self.moving:
            self.figure.draw_artist(artist)
        return np.asarray(self.figure.canvas.buffer_rgba())[..., :3].copy()


def write_movie(stage: Stage, path: Union[str, Path], num_frames: int, *, fps: float,
                progress: Callable[[Iterable], Iterable] = iter) -> None:
    """Write frames that play at the speed of the motion.

    A GIF shows at most MAX_GIF_FPS frames per second and MAX_GIF_FRAMES frames; more are skipped evenly.

    Args:
        stage: renders a frame by its number.
        path: .gif, or .mp4 where ffmpeg is found.
        num_frames: of the motion.
        fps: frames per second of the motion.
        progress: wraps the frames, such as ``tqdm``.

    Raises:
        OSError: ffmpeg failed.
    """
    with atomic_path(path) as work:
        if work.suffix.lower() == '.mp4':
            _write_mp4(work, (stage.render(index) for index in progress(range(num_frames))), fps)
        else:
            step = max(math.ceil(fps / MAX_GIF_FPS), math.ceil(num_frames / MAX_GIF_FRAMES))
            indices = range(0, num_frames, step)
            frames = (stage.render(index) for index in progress(indices))
            _write_gif(work, frames, _delays(len(indices), step / fps), stage.colors)


def check_movie(path: Union[str, Path], fps: float) -> None:
    """Refuse what ``write_movie`` cannot write, before anything is drawn; see ``check_format``."""
    check_format(path)
    if not (fps > 0 and math.isfinite(fps)):
        raise ValueError(f'fps must be positive, got {fps}')


def check_format(path: Union[str, Path]) -> None:
    """Refuse a suffix other than .gif and .mp4, and .mp4 where ffmpeg is not found."""
    suffix = Path(path).suffix.lower()
    if suffix not in ('.gif', '.mp4'):
        raise ValueError(f'cannot animate to {path}; the suffix must be .gif or .mp4')
    if suffix == '.mp4' and shutil.which('ffmpeg') is None:
        raise FileNotFoundError(f'{path}: MP4 needs the program ffmpeg, which is not on PATH; install it or '
                                'write a .gif')


def _delays(count: int, seconds: float) -> list[int]:
    """Return delays in ms, multiples of 10, whose sum stays within 5 ms of the true time."""
    ends = np.round(np.arange(count + 1) * seconds * 100).astype(int)
    return (np.maximum(np.diff(ends), 2) * 10).tolist()


def _write_gif(path: Path, frames: Iterator[np.ndarray], delays: list[int], colors: Sequence[str]) -> None:
    """Write frames with one palette: the shades from white to each colour of the drawing."""
    from matplotlib.colors import to_rgb
    from PIL import Image
    drawn = np.array([to_rgb(color) for color in (*COLORS.values(), TEXT, *colors)])
    shades = (1.0 - np.linspace(0.0, 1.0, GIF_SHADES)[:, None, None] * (1.0 - drawn)).reshape(-1, 3)
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
