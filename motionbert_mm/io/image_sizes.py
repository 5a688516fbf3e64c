"""How large the images of many videos are: one size for all or a table, as command lines ask for it."""
from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from motionbert_mm.io.keypoint_files import KeypointTrack

MAX_OUTSIDE = 0.1  # share of the joints that may lie outside the image


def add_size_options(parser: argparse.ArgumentParser) -> None:
    """Add --image-size, --image-sizes and --fps, see ``check_size_options``."""
    parser.add_argument('--image-size', type=float, nargs=2, metavar=('W', 'H'), help='of every video, in pixels')
    parser.add_argument('--image-sizes', type=Path, metavar='CSV',
                        help='columns video, width, height; videos that it does not name have --image-size')
    parser.add_argument('--fps', type=float, default=30.0, help='frame rate of the images (default: 30)')


def check_size_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End the program where an option of ``add_size_options`` is missing or makes no sense."""
    if args.image_size is None and args.image_sizes is None:
        parser.error('--image-size W H or --image-sizes CSV is required')
    if args.image_size is not None and not all(np.isfinite(args.image_size)) or min(args.image_size or [1]) <= 0:
        parser.error(f'--image-size must be two positive numbers, got {args.image_size}')
    if not (args.fps > 0 and np.isfinite(args.fps)):
        parser.error(f'--fps must be positive, got {args.fps}')


def sizes_of(videos: Iterable[str], default: Optional[Sequence[float]], table: Optional[Path]) -> dict[str, tuple]:
    """Return (width, height) in pixels of every video.

    Args:
        videos: names.
        default: of the videos that the table does not name.
        table: see ``read_sizes``.

    Raises:
        FileNotFoundError, ValueError: no table of the columns wanted, or a video without a size.
    """
    listed = {} if table is None else read_sizes(table)
    sizes = {video: listed.get(video, None if default is None else tuple(default)) for video in videos}
    lacking = [video for video, size in sizes.items() if size is None]
    if lacking:
        raise ValueError(f'{table} has no row for {len(lacking)} of {len(sizes)} videos, e.g. {lacking[0]!r}; it names '
                         f'e.g. {next(iter(listed), None)!r}; add them, or give --image-size')
    return sizes


def read_sizes(path: Path) -> dict[str, tuple]:
    """Read a CSV with the columns video, width, height.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another table, or sizes that are no positive numbers.
    """
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            rows = list(csv.DictReader(file))
        sizes = {row['video']: (float(row['width']), float(row['height'])) for row in rows}
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such file; expected a CSV with the columns video, width, height') from None
    except (KeyError, TypeError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path}: no table of the columns video, width, height with a head line ({error!r})') from None
    if not all(np.isfinite(size).all() and min(size) > 0 for size in sizes.values()):
        raise ValueError(f'{path}: width and height must be positive numbers of pixels')
    return sizes


def check_inside(path: Path, tracks: Sequence[KeypointTrack], size: tuple) -> None:
    """Refuse an image size that cannot be that of the video.

    Args:
        path: named in errors.
        tracks: everybody in the video, at least one.
        size: (width, height) in pixels.

    Raises:
        ValueError: many of the joints lie outside.
    """
    points = np.concatenate([track.keypoints[track.confidence > 0] for track in tracks])  # (N, 2)
    outside = ((points < 0) | (points > size)).any(-1).mean()
    if outside > MAX_OUTSIDE:
        high = points.max(0)
        raise ValueError(f'{path}: {outside:.0%} of the joints lie outside the image of {size[0]:g} x {size[1]:g}; '
                         f'they reach x {high[0]:.0f}, y {high[1]:.0f}: give the size of this video')
