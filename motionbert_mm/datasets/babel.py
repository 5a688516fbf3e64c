"""BABEL (CVPR 2021): action labels of AMASS motions, as its authors release them.

``train.json``, ``val.json`` and ``test.json`` hold one annotation of each sequence, ``extra_train.json`` and
``extra_val.json`` those of further annotators. Nothing of a file that is well-formed JSON stops the reading: what
cannot be used is left out or put right, and counted in a ``Tally``. Source of the layout: the authors' repository
(abhinanda-punnakkal/BABEL), notebooks/ and action_recognition/data_gen/.
"""
from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from motionbert_mm.datasets.amass import PARTS, SUFFIXES
from motionbert_mm.datasets.texts import normal_form
from motionbert_mm.io.plain_files import read_json

SPLITS = ('train', 'val', 'test', 'extra_train', 'extra_val')
RELEASE = 'babel_v1.0_release'  # the folder that the download unpacks to
DOWNLOAD = 'get it from https://babel.is.tue.mpg.de/data.html'
TEXTS = {'proc': 'proc_label', 'raw': 'raw_label'}
TRANSITION = 'transition'
ROUNDING = 0.05  # seconds by which times pass the stated duration, which has two decimals, without a word
MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Label:
    """What an annotator says of a stretch of a sequence.

    Attributes:
        text: in the normal form of ``texts.normal_form``.
        start: seconds; None for the beginning of the sequence.
        end: seconds; None for its end.
        categories: action categories, of which BABEL has 260.
    """

    text: str
    start: Optional[float] = None
    end: Optional[float] = None
    categories: tuple = ()

    @property
    def is_transition(self) -> bool:
        """Whether it only says that one action ends and another begins."""
        return self.text == TRANSITION


@dataclass(frozen=True)
class Recording:
    """One sequence of a split.

    Attributes:
        name: id of the sequence; the same in files of further annotators.
        path: of its motion, ``<archive>/<data set>/<subject>/<name>_poses.npz`` in AMASS.
        duration: seconds; None if the file does not say it.
        annotations: the labels of each annotator.
    """

    name: str
    path: str
    duration: Optional[float]
    annotations: tuple


@dataclass
class Tally:
    """Counts of what was met, by kind, and where it was met first.

    Attributes:
        counts: kind -> number.
        examples: kind -> a few places.
    """

    counts: Counter = field(default_factory=Counter)
    examples: dict = field(default_factory=lambda: defaultdict(list))

    def note(self, kind: str, place: str) -> None:
        """Count something at a place."""
        self.counts[kind] += 1
        if len(self.examples[kind]) < MAX_EXAMPLES:
            self.examples[kind].append(place)

    def content(self) -> dict:
        """Return plain numbers and lists for an index."""
        return {kind: dict(count=count, examples=list(self.examples[kind])) for kind, count in self.counts.items()}

    def lines(self) -> Iterable[str]:
        """Yield one line for each kind."""
        for kind, count in self.counts.items():
            yield f'{count:,} {kind}, e.g. {", ".join(self.examples[kind][:3])}'


def find_files(folder: Path, splits: Sequence[str] = SPLITS) -> dict[str, Path]:
    """Return the files of some splits, as far as they are in a folder or in the release's folder below.

    Raises:
        FileNotFoundError: none of them.
    """
    for place in (folder, folder / RELEASE):
        found = {split: place / f'{split}.json' for split in splits if (place / f'{split}.json').is_file()}
        if found:
            return found
    raise FileNotFoundError(f'{folder} holds none of {", ".join(f"{split}.json" for split in splits)}, expected the '
                            f'folder {RELEASE} of BABEL; {DOWNLOAD}')


def read_split(path: Path, tally: Tally, *, text: str = 'proc', use_sequence_labels: bool = True) -> list[Recording]:
    """Read one file.

    Args:
        path: the file.
        tally: takes what is left out.
        text: 'proc' takes the normalised labels, 'raw' those that annotators typed.
        use_sequence_labels: take the labels of whole sequences for those that have no labels of frames.

    Raises:
        OSError, ValueError: it cannot be opened, is torn, or no dict of sequences.
    """
    content = read_json(path, DOWNLOAD)
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds a {type(content).__name__}, expected sequences by their id; {DOWNLOAD}')
    recordings = (_read_recording(name, f'{path.stem}/{name}', entry, tally, TEXTS[text], use_sequence_labels)
                  for name, entry in content.items())
    return [recording for recording in recordings if recording is not None]


def _read_recording(name: str, place: str, entry: Any, tally: Tally, text_key: str,
                    use_sequence_labels: bool) -> Optional[Recording]:
    """Read a sequence; None, noted under its place, if nothing can be made of it."""
    if not isinstance(entry, dict) or not isinstance(entry.get('feat_p'), str):
        tally.note('sequences without a path of their motion', place)
        return None
    duration = entry.get('dur')
    if not _is_time(duration) or duration <= 0:
        tally.note('sequences without a duration; that of the motion is taken', place)
        duration = None
    lists = _label_lists(place, entry, 'frame_ann', tally)
    has_times = bool(lists)
    if not has_times:
        lists = _label_lists(place, entry, 'seq_ann', tally) if use_sequence_labels else []
        if not lists:
            tally.note('sequences without labels', place)
            return None
    annotations = tuple(tuple(_read_labels(place, labels, tally, text_key, has_times)) for labels in lists)
    return Recording(name, entry['feat_p'], duration, annotations)


def _label_lists(place: str, entry: Mapping, key: str, tally: Tally) -> list[list]:
    """Return the lists of labels under ``key`` (one annotator) or its plural (several), without empty ones."""
    value = entry.get(key, entry.get(f'{key}s'))
    lists = []
    for annotation in value if isinstance(value, list) else [value]:
        labels = annotation.get('labels') if isinstance(annotation, dict) else None
        if isinstance(labels, list):
            lists += [labels] if labels else []
        elif annotation is not None:
            tally.note('annotations that are none', place)
    return lists


def _read_labels(place: str, labels: Sequence, tally: Tally, text_key: str, has_times: bool) -> Iterable[Label]:
    """Yield the labels that have a text and, if they should, times."""
    for label in labels:
        label = label if isinstance(label, dict) else {text_key: label}
        text = label.get(text_key)
        if not isinstance(text, str) or not text.strip():
            tally.note('null labels' if text is None else 'labels that are no text', place)
            continue
        times = (label.get('start_t'), label.get('end_t')) if has_times else (None, None)
        if has_times and not all(map(_is_time, times)):
            tally.note('labels without times', place)
            continue
        categories = label.get('act_cat')
        if not isinstance(categories, list):
            categories = []
        yield Label(normal_form(text), *times, tuple(dict.fromkeys(c for c in categories if isinstance(c, str))))


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def order_labels(labels: Sequence[Label], duration: float, place: str, tally: Tally) -> list[Label]:
    """Put labels in order of time and inside a sequence; note what is left out, put right or worth knowing.

    Args:
        labels: of one annotator.
        duration: seconds of the sequence.
        place: name for the notes.
        tally: takes the notes.

    Returns:
        Labels with 0 <= start < end <= duration, sorted by start and end.
    """
    inside = [label for label in (_inside(label, duration, place, tally) for label in labels) if label is not None]
    ordered = sorted(dict.fromkeys(inside), key=lambda label: (label.start, label.end))
    if len(ordered) < len(inside):
        tally.note('sequences with labels that are there twice; one is kept', place)
    starts = [label.start for label in inside]
    if starts != sorted(starts):
        tally.note('sequences with unsorted labels; sorted', place)
    if any(later.start < earlier.end for earlier, later in zip(ordered, ordered[1:])):
        tally.note('sequences with overlapping labels; all are kept', place)
    return ordered


def _inside(label: Label, duration: float, place: str, tally: Tally) -> Optional[Label]:
    """Return a label with its times cut to the sequence; None, noted, if nothing is left."""
    start, end = 0.0 if label.start is None else label.start, duration if label.end is None else label.end
    if end <= start:
        tally.note('labels of zero length' if end == start else 'labels that end before they begin', place)
    elif end <= 0:
        tally.note('labels before the beginning of the sequence', place)
    elif start >= duration:
        tally.note('labels beyond the end of the sequence', place)
    else:
        if start < 0:
            tally.note('labels that begin before 0; cut', place)
        if end > duration + ROUNDING:
            tally.note('labels that end after the sequence; cut', place)
        return replace(label, start=float(max(start, 0.0)), end=float(min(end, duration)))
    return None


class MotionIndex:
    """Find the motions of BABEL's sequences among the clips of a store of AMASS.

    The names in a store are paths below the folder that was converted. Looked for are the very path; then data set,
    subject and name, wherever they lie and under the names of either release: AMASS calls eight data sets otherwise
    now, its SMPL-X files end in ``_stageii`` and have underscores for spaces.

    Args:
        names: of the clips.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._by_key: dict = {}
        for name in sorted(self._names):
            self._by_key.setdefault(_motion_key(name), name)

    def find(self, path: str) -> Optional[str]:
        """Return the clip of a path ``.../<data set>/<subject>/<name>_poses.npz``, or None."""
        name = path.removesuffix('.npz')
        return name if name in self._names else self._by_key.get(_motion_key(path))


_OLD_NAMES = {new: old for old, new in PARTS.items() if new}


def _motion_key(path: str) -> tuple:
    """Return data set, subject and name of a motion in one spelling."""
    parts = [part.replace(' ', '_') for part in PurePosixPath(path.removesuffix('.npz')).parts[-3:]]
    for suffix in SUFFIXES.values():
        parts[-1] = parts[-1].removesuffix(suffix.removesuffix('.npz'))
    return (_OLD_NAMES.get(parts[0], parts[0]), *parts[1:])
