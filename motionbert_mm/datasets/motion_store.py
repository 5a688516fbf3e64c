"""The canonical on-disk store: flat memory-mapped arrays and an index of clips.

A store is one directory::

    index.json         format version, skeleton, fps, units, array shapes, clips
    keypoints_3d.npy   (F, J, 3) millimetres, camera frame
    keypoints_2d.npy   (F, J, 2) pixels          detected_2d.npy, detected_confidence.npy, smpl_pose.npy, ...

All frames of all clips are concatenated along the first axis; a clip of M persons and T frames takes M * T
rows, person after person. Arrays are opened with ``mmap_mode='r'``: workers share pages, so resident memory
grows neither with the number of workers nor with the size of the data.
"""
from __future__ import annotations

import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Optional

import numpy as np

FORMAT_VERSION = 1
INDEX_NAME = 'index.json'
KEPT_BYTES = 64 << 20  # where more than this is read of a store, mapped pages are given back
RELEASE_BYTES = 32 << 20  # after this much reading
FAULT_AROUND = 64 << 10  # Linux maps this much around a page that is read
UNITS = {'keypoints_3d': 'mm, camera frame', 'keypoints_2d': 'px', 'detected_2d': 'px', 'smpl_pose': 'rad',
         'initial_pose': 'rad', 'smpl_translation': 'mm, camera frame',
         'keypoints_image': 'px, depth from the root in px', 'image_factor': 'mm per px',
         'valid': 'is the frame evaluated', 'activity': 'class number, 0 is unknown',
         'persons_swapped': "do two persons stand in each other's place"}


@dataclass(frozen=True)
class Clip:
    """One sequence of a store: rows ``start`` to ``start + persons * length`` of every array.

    Attributes:
        name: unique in the store; names the camera too where there are several.
        start: first row.
        length: frames T.
        persons: persons M.
        camera: name of the camera.
        image_size: (width, height) in pixels.
        intrinsics: (fx, fy, cx, cy) in pixels.
        label: class index.
        text: sentences that describe the clip.
        sequence: name of the longer recording that it was cut from.
        seconds: (start, end) of the clip in that recording.
        categories: names of all classes that it is of; ``action`` is one of them.
        fps: frames per second, where they are not those of the store.
    """

    name: str
    start: int
    length: int
    persons: int = 1
    subject: str = ''
    action: str = ''
    camera: str = ''
    image_size: Optional[tuple] = None
    intrinsics: Optional[tuple] = None
    label: Optional[int] = None
    text: tuple = field(default=())
    fps: Optional[float] = None
    sequence: str = ''
    seconds: Optional[tuple] = None
    categories: tuple = field(default=())


class MotionStore:
    """Read a store.

    Args:
        path: the directory.

    Attributes:
        arrays: name -> read-only memory-mapped array (F, ...).
        clips: the clips in order.
        skeleton: name of the joint set.
        fps: frames per second of the clips that state no other.
        info: what the converter noted about its source.

    Raises:
        FileNotFoundError: no directory, or no index in it.
        ValueError: another format version, a torn or inconsistent file, which is named.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        index = self._read_index()
        self.skeleton: str = index['skeleton']
        self.fps: float = index['fps']
        self.info: dict = index.get('info', {})
        self.clips: list[Clip] = index['clips']
        self.num_rows = self._count_rows()
        self.arrays = {name: self._open(name, shape) for name, shape in index['arrays'].items()}
        self._used: set[str] = set()  # arrays that were read
        self._used_bytes = self._read_bytes = 0

    def __getstate__(self) -> dict:
        # A memory-mapped array pickles as a copy of its data; workers re-open the files instead.
        return {'path': self.path}

    def __setstate__(self, state: dict) -> None:
        self.__init__(state['path'])

    def _read_index(self) -> dict:
        file = self.path / INDEX_NAME
        if not file.is_file():
            raise FileNotFoundError(
                f'{self.path} is not a motion store: {INDEX_NAME} is missing; make one with a script of '
                'tools/dataset_converters/ and set dataset.data_root to its output directory')
        try:
            index = json.loads(file.read_text(encoding='utf-8'))
            version = index['version']
            if version == FORMAT_VERSION:
                index.update(skeleton=str(index['skeleton']), fps=float(index['fps']),
                             clips=[_clip_from_json(entry) for entry in index['clips']],
                             arrays={name: tuple(shape) for name, shape in index['arrays'].items()})
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise ValueError(f'{file} is torn or not an index of a motion store ({error}); convert again') from None
        if version != FORMAT_VERSION:
            raise ValueError(f'{file} has format version {version}, this package reads {FORMAT_VERSION}; convert again')
        if not index['clips']:
            raise ValueError(f'{file} lists no clip; convert again from a source that is not empty')
        return index

    def _count_rows(self) -> int:
        rows = 0
        for clip in self.clips:
            if clip.start != rows or clip.length < 1 or clip.persons < 1:
                raise ValueError(f'{self.path / INDEX_NAME}: clip {clip.name!r} has {clip.persons} persons and '
                                 f'{clip.length} frames from row {clip.start}, expected at least one of each from row '
                                 f'{rows}; the store is inconsistent, convert again')
            rows += clip.length * clip.persons
        return rows

    def _open(self, name: str, row_shape: tuple) -> np.ndarray:
        file = self.path / f'{name}.npy'
        try:
            array = np.load(file, mmap_mode='r', allow_pickle=False)
        except FileNotFoundError:
            raise FileNotFoundError(f'{file} is listed in {INDEX_NAME} but missing; convert again') from None
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f'{file} is torn or no .npy file ({error}); convert again') from None
        if array.shape != (self.num_rows, *row_shape):
            raise ValueError(f'{file} has shape {array.shape}, {INDEX_NAME} asks for {(self.num_rows, *row_shape)}; '
                             'the store is inconsistent, convert again')
        return array

    def clip_fps(self, clip: Clip) -> float:
        """Return the frames per second of a clip of this store."""
        return self.fps if clip.fps is None else clip.fps

    def gather(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Copy rows (...) int of an array into memory: (..., *row shape).

        Pages that were read stay in the system's cache, but those of a large store leave this process now and then;
        otherwise its resident memory would creep up to the size of the data.
        """
        values = np.asarray(self.arrays[name]).take(rows, axis=0)  # several times as fast as [rows]
        if name not in self._used:
            self._used.add(name)
            self._used_bytes += self.arrays[name].nbytes
        if self._used_bytes > KEPT_BYTES:
            windows = rows.size // max(rows.shape[-1], 1)
            self._read_bytes += values.nbytes + FAULT_AROUND * windows
            if self._read_bytes > RELEASE_BYTES:
                self._release()
        return values

    def _release(self) -> None:
        self._read_bytes = 0
        for array in self.arrays.values():
            pages = array.base
            if isinstance(pages, mmap.mmap) and hasattr(mmap, 'MADV_DONTNEED'):
                pages.madvise(mmap.MADV_DONTNEED)


class MotionStoreWriter:
    """Write a store clip by clip; it appears under its name only when it is complete.

    Use as a context manager; an exception inside leaves nothing behind.

    Args:
        path: the directory to make; an existing store there is replaced at the end, and so is what a link points to.
        skeleton: name of the joint set of every keypoint array.
        fps: frames per second of the clips that state no other.
        info: free facts about the source, kept in the index.

    Raises:
        ValueError: no frame rate, or a path that holds something else; at ``add_clip``, for NaN or infinite numbers,
            wrong shapes, no frames or a repeated name.
        OSError: the directory cannot be made or written.
    """

    def __init__(self, path: str | os.PathLike, *, skeleton: str, fps: float, info: Optional[dict] = None) -> None:
        self.path = Path(path)
        self.skeleton, self.fps, self.info = skeleton, float(fps), dict(info or {})
        _checked_rate(self.fps, str(self.path))
        if self.path.is_file():
            raise ValueError(f'{self.path} is a file; a motion store is a directory, choose another name')
        if self.path.exists() and not (self.path / INDEX_NAME).is_file() and any(self.path.iterdir()):
            raise ValueError(f'{self.path} exists, is not empty and is not a motion store; '
                             'choose another output directory')
        self._clips: list[Clip] = []
        self._names: set = set()
        self._columns: dict[str, _Column] = {}
        self._num_rows = 0

    def __enter__(self) -> MotionStoreWriter:
        self._target = self.path.resolve()  # links stay, and both names lie on one disk
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._work_dir = Path(tempfile.mkdtemp(prefix=f'.{self._target.name}.', dir=self._target.parent))
        return self

    def __exit__(self, error_type: Any, error: Any, trace: Any) -> None:
        try:
            if error_type is None:
                self._finish()
        finally:
            for column in self._columns.values():
                column.file.close()
            shutil.rmtree(self._work_dir, ignore_errors=True)

    def add_clip(self, name: str, arrays: Mapping[str, np.ndarray], *, persons: int = 1, subject: str = '',
                 action: str = '', camera: str = '', image_size: Optional[tuple] = None,
                 intrinsics: Optional[tuple] = None, label: Optional[int] = None, text: tuple = (),
                 fps: Optional[float] = None, sequence: str = '', seconds: Optional[tuple] = None,
                 categories: tuple = ()) -> None:
        """Append one clip; arrays are (T, ...) for one person or (M, T, ...) for ``persons`` = M > 1."""
        if name in self._names:
            raise ValueError(f'clip name {name!r} is used twice; names must be unique, add the camera or a number')
        arrays = {key: self._checked(name, key, value, persons) for key, value in arrays.items()}
        if self._columns and set(arrays) != set(self._columns):
            raise ValueError(f'clip {name!r} has arrays {sorted(arrays)}, earlier clips had {sorted(self._columns)}')
        counts = {key: len(value) for key, value in arrays.items()}
        rows = next(iter(counts.values()), 0)
        if rows == 0 or len(set(counts.values())) > 1:
            raise ValueError(f'clip {name!r}: arrays need one common, positive number of frames, got {counts}')
        for key, value in arrays.items():
            self._append(name, key, value)
        self._clips.append(Clip(
            name=name, start=self._num_rows, length=rows // persons, persons=persons, subject=subject, action=action,
            camera=camera, image_size=_numbers(image_size), intrinsics=_numbers(intrinsics),
            label=None if label is None else int(label), text=tuple(text),
            fps=None if fps in (None, self.fps) else _checked_rate(fps, name), sequence=sequence,
            seconds=_numbers(seconds), categories=tuple(categories)))
        self._names.add(name)
        self._num_rows += rows

    @staticmethod
    def _checked(name: str, key: str, value: np.ndarray, persons: int) -> np.ndarray:
        value = np.asarray(value)
        value = value.astype(np.float32) if value.dtype.kind == 'f' else value
        if persons > 1:
            if value.ndim < 2 or value.shape[0] != persons:
                raise ValueError(f'clip {name!r}: {key} has shape {value.shape}, expected ({persons}, T, ...)')
            value = value.reshape(-1, *value.shape[2:])
        if value.dtype.kind == 'f' and not np.isfinite(value).all():
            frame = int(np.argwhere(~np.isfinite(value))[0][0])
            raise ValueError(f'clip {name!r}: {key} holds NaN or infinity, first in frame {frame}; '
                             'repair or cut the source')
        return value

    def _append(self, name: str, key: str, value: np.ndarray) -> None:
        if key not in self._columns:
            self._columns[key] = _Column(open(self._work_dir / f'{key}.raw', 'w+b'),  # noqa: SIM115 closed at exit
                                         value.dtype, value.shape[1:])
        column = self._columns[key]
        if value.shape[1:] != column.row_shape:
            raise ValueError(f'clip {name!r}: {key} has row shape {value.shape[1:]}, '
                             f'earlier clips had {column.row_shape}')
        np.ascontiguousarray(value, dtype=column.dtype).tofile(column.file)

    def _finish(self) -> None:
        if not self._clips:
            raise ValueError(f'no clip was written to {self.path}; the source is empty')
        for key, column in self._columns.items():
            column.write_npy(self._work_dir / f'{key}.npy', self._num_rows)
            os.unlink(self._work_dir / f'{key}.raw')
        index = {'version': FORMAT_VERSION, 'skeleton': self.skeleton, 'fps': self.fps, 'info': self.info,
                 'units': {key: UNITS[key] for key in self._columns if key in UNITS},
                 'arrays': {key: list(column.row_shape) for key, column in self._columns.items()},
                 'clips': [asdict(clip) for clip in self._clips]}
        (self._work_dir / INDEX_NAME).write_text(json.dumps(index), encoding='utf-8')
        os.chmod(self._work_dir, 0o755)  # mkdtemp makes it private
        if self._target.exists():
            shutil.rmtree(self._target)
        os.replace(self._work_dir, self._target)


@dataclass
class _Column:
    """One array under construction: raw rows on disk, until the number of rows is known."""

    file: BinaryIO
    dtype: np.dtype
    row_shape: tuple

    def write_npy(self, path: Path, num_rows: int) -> None:
        """Put a .npy header in front of the raw rows."""
        header = {'descr': np.lib.format.dtype_to_descr(self.dtype), 'fortran_order': False,
                  'shape': (num_rows, *self.row_shape)}
        self.file.seek(0)
        with open(path, 'wb') as out:
            np.lib.format.write_array_header_1_0(out, header)
            shutil.copyfileobj(self.file, out)


def _checked_rate(fps: float, place: str) -> float:
    """Refuse a meaningless frame rate."""
    if not 0 < fps < np.inf:
        raise ValueError(f'{place}: frame rate {fps:g}, expected a positive number')
    return float(fps)


def _numbers(values: Optional[tuple]) -> Optional[tuple]:
    """Return plain floats and ints, which JSON can hold."""
    return None if values is None else tuple(np.asarray(values).tolist())


def _clip_from_json(entry: dict) -> Clip:
    """Make lists hashable tuples again."""
    return Clip(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})
