"""Which clips a user's own action data consist of: a folder per class, or a table of files, labels and times."""
from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from motionbert_mm.io.keypoint_files import ARRAY_SUFFIXES
from motionbert_mm.io.openpose import json_files
from motionbert_mm.io.people import array_files, find_videos

TRAIN, VAL, TEST = SPLITS = ('train', 'val', 'test')
COLUMNS = ('file', 'label', 'start', 'end', 'split')
HEAD = 'file,label[,start,end[,split]]'
MAC_COPIES = '__MACOSX'  # beside the folders of an archive that was packed on a Mac
FILE_SUFFIXES = ('.json', *ARRAY_SUFFIXES)
LAYOUT = ('expected a sub-folder per class with the keypoint files of its clips (or train/ and val/ with such '
          f'sub-folders), or a CSV with the head line {HEAD}')


@dataclass(frozen=True)
class ClipSource:
    """Where a clip of an action is found.

    Attributes:
        name: of the clip, unique.
        path: keypoint file or folder, as ``io.people.read_people`` reads it.
        video: name of the file, without suffix, below the folder or as in the table.
        action: name of the class.
        place: where the user says so: a folder, or a line of the table; named in errors.
        split: 'train', 'val' or 'test', where the user says.
        start: seconds of the file; None is its beginning.
        end: seconds of the file, not included; None is its end.
    """

    name: str
    path: Path
    video: str
    action: str
    place: str
    split: Optional[str] = None
    start: Optional[float] = None
    end: Optional[float] = None


def find_clips(source: Path) -> list[ClipSource]:
    """List the clips of a folder or table; nothing but the table is read.

    A folder has a sub-folder per class with keypoint files at any depth; or sub-folders ``train`` and ``val`` (and
    ``test``) with sub-folders per class, which are the splits then. A table is a CSV with the columns file and label
    and, if wanted, start and end (seconds; empty means the beginning and end of the file) and split; paths are
    relative to the table. Where there is a split test and none is called val, it is taken for val.

    Args:
        source: the folder or table.

    Raises:
        FileNotFoundError: no such folder, or a class without files.
        ValueError: files or folders in other places, a table with other columns or wrong cells, a clip listed twice,
            splits without train, or a class of another split that train lacks.
    """
    if not source.exists():
        raise FileNotFoundError(f'{source}: no such file or folder; {LAYOUT}')
    if source.is_file() and source.suffix.lower() != '.csv':
        raise ValueError(f'{source} is neither a folder nor a CSV; {LAYOUT}')
    clips = _clips_of_table(source) if source.is_file() else _clips_of_folder(source)
    return _check_splits(source, clips)


def _clips_of_folder(root: Path) -> list[ClipSource]:
    folders = _sub_folders(root)
    names = [folder.name for folder in folders]
    splits = [name for name in SPLITS if name in names]
    if TRAIN not in splits or len(splits) < 2:
        return [clip for folder in folders for clip in _clips_of_class(root, folder, None)]
    if len(splits) < len(names):
        raise ValueError(f'{root} has {", ".join(splits)} and {", ".join(sorted(set(names) - set(splits)))} side by '
                         f'side; {LAYOUT}')
    return [clip for split in splits for folder in _sub_folders(root / split)
            for clip in _clips_of_class(root, folder, split)]


def _sub_folders(root: Path) -> list[Path]:
    """List the folders in a folder by name, hidden ones left out; refuse keypoint files beside them."""
    strays = json_files(root) + array_files(root)
    if strays:
        raise ValueError(f'{root}: {len(strays)} keypoint files lie directly in it, e.g. {strays[0].name}; {LAYOUT}')
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and folder.name[0] != '.'
                     and folder.name != MAC_COPIES)
    if not folders:
        raise FileNotFoundError(f'{root}: no sub-folder; {LAYOUT}')
    return folders


def _clips_of_class(root: Path, folder: Path, split: Optional[str]) -> list[ClipSource]:
    above = folder.relative_to(root).as_posix()
    return [ClipSource(name=f'{above}/{video}', path=path, video=f'{above}/{video}', action=folder.name,
                       place=str(folder), split=split)
            for video, path in sorted(find_videos(folder, with_arrays=True).items())]


def _clips_of_table(path: Path) -> list[ClipSource]:
    clips: dict[str, ClipSource] = {}
    for line, row in _read_rows(path):
        clip = _clip_of_row(path, f'{path}, line {line}', row)
        if clip.name in clips:
            raise ValueError(f'{clip.place}: {clip.name!r} is listed before, in {clips[clip.name].place}; a clip has '
                             'one label, and names of files must differ in more than the suffix')
        clips[clip.name] = clip
    unsplit = [clip for clip in clips.values() if clip.split is None]
    if 0 < len(unsplit) < len(clips):
        raise ValueError(f'{unsplit[0].place}: no split, but {len(clips) - len(unsplit)} other lines have one; '
                         'fill in all of them or none')
    return list(clips.values())


def _read_rows(path: Path) -> list[tuple[int, dict]]:
    """Return the number of the line and the cells of each row."""
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file, restval='', skipinitialspace=True)
            head = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = head
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path}: no CSV in UTF-8 ({error})') from None
    if not {'file', 'label'} <= set(head) <= set(COLUMNS) or len(set(head)) < len(head):
        raise ValueError(f'{path}: the head line is {",".join(head)!r}; expected {HEAD}, separated by commas')
    if not rows:
        raise ValueError(f'{path}: no line after the head line; list the clips')
    return rows


def _clip_of_row(path: Path, place: str, row: dict) -> ClipSource:
    if None in row:
        raise ValueError(f'{place}: more cells than columns; put names that hold a comma in double quotes')
    cells = {key: value.strip() for key, value in row.items()}
    if not cells['file'] or not cells['label']:
        raise ValueError(f'{place}: file is {cells["file"]!r} and label is {cells["label"]!r}; both are needed')
    split = cells.get('split') or None
    if split not in (None, *SPLITS):
        raise ValueError(f'{place}: split is {split!r}, expected one of {", ".join(SPLITS)}, or nothing')
    start, end = (_seconds(place, key, cells.get(key, '')) for key in ('start', 'end'))
    if end is not None and end <= (start or 0.0):
        raise ValueError(f'{place}: end is {end:g} s and start {start or 0.0:g} s; the end must come after the start')
    file = Path(cells['file'])
    video = (file.with_suffix('') if file.suffix.lower() in FILE_SUFFIXES else file).as_posix()
    times = ['' if time is None else f'{time:g}' for time in (start, end)]
    return ClipSource(name=video + (f'@{"-".join(times)}' if any(times) else ''), path=path.parent / file, video=video,
                      action=cells['label'], place=place, split=split, start=start, end=end)


def _seconds(place: str, column: str, text: str) -> Optional[float]:
    try:
        seconds = float(text) if text else None
    except ValueError:
        seconds = math.nan
    if seconds is not None and not 0 <= seconds < math.inf:
        raise ValueError(f'{place}: {column} is {text!r}; expected seconds such as 12.5, or nothing')
    return seconds


def _check_splits(source: Path, clips: Sequence[ClipSource]) -> list[ClipSource]:
    """Refuse splits that nothing can be trained or tested on; call test val where there is no val."""
    found = {clip.split for clip in clips}
    if found == {None}:
        return list(clips)
    known = sorted({clip.action for clip in clips if clip.split == TRAIN})
    if not known:
        raise ValueError(f'{source}: no clip is in the split {TRAIN}, but in {", ".join(sorted(found))}')
    for clip in clips:
        if clip.action not in known:
            raise ValueError(f'{clip.place}: the label {clip.action!r} of {clip.split} is none of those of {TRAIN}: '
                             f'{", ".join(known)}; correct it, or add clips of it to {TRAIN}')
    if VAL in found:
        return list(clips)
    return [replace(clip, split=VAL) if clip.split == TEST else clip for clip in clips]
