"""Skeleton pickles of PYSKL and MMAction2: NTU RGB+D, FineGYM, UCF101, HMDB51, Diving48, Kinetics-400 and your own.

The file is ``{'split': {name: [video, ...]}, 'annotations': [dict, ...]}``, or just the list. An annotation has
``frame_dir`` (or ``filename``), ``label``, ``total_frames``, ``img_shape`` (height, width) for 2D, and keypoints in one
of the forms of ``pyskl_annotations.py``.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from motionbert_mm.datasets.base import SWAPPED, VALID
from motionbert_mm.datasets.ntu_classes import class_names, parse_name
from motionbert_mm.datasets.pose_files import MM_PER_METRE, check_extent, check_pixels
from motionbert_mm.datasets.pyskl_annotations import KeypointFiles, People, read_people
from motionbert_mm.geometry.association import find_swaps
from motionbert_mm.io import safe_pickle
from motionbert_mm.io.joint_order import implausible_order
from motionbert_mm.structures.skeleton import get_skeleton

SAMPLE = 200  # clips by which units and the order of the joints are judged
SURE = 0.3  # confidence of the joints that are looked at for that
MAX_UNNAMED = 10_000  # labels above are no class numbers
EXPECTED = "expected {'split': {name: [video, ...]}, 'annotations': [dict, ...]} or a list of annotations"


@dataclass(frozen=True)
class PysklClip:
    """One annotation in the fields and units of a motion store.

    Attributes:
        name: ``frame_dir`` or ``filename``.
        label: class index; ``action`` is its name.
        arrays: (M, T, ...) by name; 2D detections in px and their confidence, or 3D joints in mm.
        image_size: (width, height) in pixels, None for 3D.
        subject, camera: 'P001', 'C001' where the name is one of NTU RGB+D.
    """

    name: str
    label: int
    action: str
    arrays: dict[str, np.ndarray]
    image_size: Optional[tuple] = None
    subject: str = ''
    camera: str = ''


class PysklFile:
    """A pickle, opened and checked.

    Args:
        path: the file.
        classes: names of the classes by label; by default those of NTU RGB+D if the videos are named and labelled as
            there, else ``class_0``, ``class_1``, ...
        keypoint_dir: folder of the separate keypoint files of Kinetics-400.
        max_persons: persons that are kept of each video, those seen most.
        trust_order: accept joints in an order that looks wrong.

    Attributes:
        classes: names by label.
        skeleton: name of the joint set.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is torn or asks for other globals than numpy's, has another form, a video twice, a label without
            a name, or a split of which no video has an annotation; names the file and the annotation.
    """

    def __init__(self, path: Union[str, Path], *, classes: Optional[Sequence[str]] = None,
                 keypoint_dir: Union[str, Path, None] = None, max_persons: int = 2, trust_order: bool = False) -> None:
        if max_persons < 1:
            raise ValueError(f'max_persons is {max_persons}, expected 1 or more')
        self.path, self.max_persons, self.trust_order = Path(path), max_persons, trust_order
        self._annotations, splits = _parts(self.path)
        self._keypoint_files = KeypointFiles(None if keypoint_dir is None else Path(keypoint_dir))
        self._names = self._read_names()
        self._labels = [self._read_label(number) for number in range(len(self._names))]
        self.classes = self._find_classes(classes)
        self._counts: Counter = Counter()
        self._unseen: set = set()
        self._splits, self._unknown = self._known_members(splits)
        self.skeleton = ''
        self.skeleton = self._read_people(0).skeleton

    def __len__(self) -> int:
        return len(self._annotations)

    @property
    def splits(self) -> dict[str, list[str]]:
        """Names of the clips of each split, without those in which nobody was seen so far."""
        return {split: [name for name in members if name not in self._unseen]
                for split, members in self._splits.items()}

    def clips(self, progress: Callable[[Iterable], Iterable] = iter) -> Iterator[PysklClip]:
        """Yield the clips in which somebody is seen; those of one keypoint file follow each other.

        Args:
            progress: wraps the loop, as tqdm does.

        Raises:
            ValueError: an annotation that cannot be read, or poses of another unit or joint order.
        """
        self._counts.clear()
        sample: list[tuple] = []
        rows = sorted(range(len(self)), key=lambda row: str(self._annotations[row].get('raw_file', '')))
        for number in progress(rows):
            people = self._read_people(number)
            kept = people.most_seen(self.max_persons)
            if not len(kept.points):
                self._unseen.add(self._names[number])
                continue
            surplus = int(people.seen.any(axis=1).sum()) - len(kept.points)
            self._counts.update(clips=int(surplus > 0), persons=surplus, detections=people.dropped)
            if len(sample) < SAMPLE:
                sample.append(_middle_pose(kept))
                if len(sample) == SAMPLE:
                    self._check_sample(*zip(*sample))
            yield self._clip(number, kept, people if len(people.points) == 2 else kept)
        if 0 < len(sample) < SAMPLE:
            self._check_sample(*zip(*sample))

    def notes(self) -> list[str]:
        """Say what was left out of the clips read so far and of the splits, one sentence each."""
        notes = []
        if self._unseen:
            notes.append(f'{len(self._unseen)} annotations in which nobody is seen, e.g. {min(self._unseen)!r}')
        if self._counts['clips']:
            notes.append(f'{self._counts["persons"]} persons of {self._counts["clips"]} clips that have more than '
                         f'{self.max_persons}')
        if self._counts['detections']:
            notes.append(f'{self._counts["detections"]} detections of people for whom {self.max_persons} places are '
                         'too few')
        return notes + [f'{count} videos of split {split} that have no annotation'
                        for split, count in self._unknown.items() if count]

    def _read_names(self) -> list[str]:
        # Official: PoseDataset takes the key that the first annotation has.
        key = 'filename' if 'filename' in self._annotations[0] else 'frame_dir'
        names: dict[str, int] = {}
        for number, annotation in enumerate(self._annotations):
            if not isinstance(annotation, dict) or key not in annotation:
                found = sorted(annotation) if isinstance(annotation, dict) else type(annotation).__name__
                raise ValueError(f'{self.path}: annotation {number} has no {key}, it holds {found}; {EXPECTED}')
            name = str(annotation[key])
            if name in names:
                raise ValueError(f'{self.path}: annotation {number} has the {key} {name!r} of annotation '
                                 f'{names[name]}; expected a name of its own for every video')
            names[name] = number
        return list(names)

    def _read_label(self, number: int) -> int:
        label = self._annotations[number].get('label')
        label = label.item() if isinstance(label, (np.generic, np.ndarray)) and label.size == 1 else label
        if type(label) is not int or label < 0:
            raise ValueError(f'{self._place(number)} has label {label!r}, expected a class number from 0')
        return label

    def _find_classes(self, given: Optional[Sequence[str]]) -> tuple:
        highest = int(np.argmax(self._labels))
        count = self._labels[highest] + 1
        parsed = [parse_name(name) for name in self._names]
        if given is not None:
            classes = tuple(given)
        elif all(sample and sample.label == label for sample, label in zip(parsed, self._labels)):
            classes = class_names(count)
        else:
            classes = tuple(f'class_{label}' for label in range(min(count, MAX_UNNAMED)))
        if len(set(classes)) < len(classes) or count > len(classes):
            raise ValueError(f'{self._place(highest)} has label {count - 1}, but there are {len(set(classes))} '
                             'different class names, expected one for each label from 0; name the classes, one per '
                             'line, by --classes of the converter or class_names of the data set')
        return classes

    def _known_members(self, splits: Mapping[str, Sequence]) -> tuple[dict[str, list[str]], dict[str, int]]:
        """Return the members of each split that have an annotation, and the number of the others."""
        names = set(self._names)
        known = {split: [name for name in members if name in names] for split, members in splits.items()}
        for split, members in splits.items():
            if members and not known[split]:
                raise ValueError(f'{self.path}: split {split!r} names {len(members)} videos, none of which has an '
                                 f'annotation, e.g. {members[0]!r}; annotations are named like {self._names[0]!r}')
        return known, {split: len(members) - len(known[split]) for split, members in splits.items()}

    def _read_people(self, number: int) -> People:
        try:
            annotation = self._keypoint_files.complete(self._annotations[number], self._names[number])
            people = read_people(annotation, self.max_persons)
        except (ValueError, OSError) as error:
            raise ValueError(f'{self._place(number)}: {error}') from None
        if self.skeleton not in ('', people.skeleton):
            raise ValueError(f'{self._place(number)} has the joints of {people.skeleton}, the first one those of '
                             f'{self.skeleton}; expected one form in all annotations')
        return people

    def _clip(self, number: int, people: People, as_given: People) -> PysklClip:
        """Make the clip of some people; ``as_given`` has them in the order of the file."""
        annotation, sample = self._annotations[number], parse_name(self._names[number])
        image_size = None
        if people.skeleton == 'ntu25':
            arrays = {'keypoints_3d': people.points, VALID: people.seen}
        else:
            # The official association depends on which of two comes first in the file.
            swapped = (find_swaps(as_given.points[None])[0] if len(as_given.points) == len(people.points) == 2 else
                       np.zeros(people.points.shape[1], bool))
            arrays = {'detected_2d': people.points, 'detected_confidence': people.confidence,
                      SWAPPED: np.tile(swapped, (len(people.points), 1))}
            image_size = self._image_size(number, annotation.get('img_shape'))
        return PysklClip(self._names[number], self._labels[number], self.classes[self._labels[number]], arrays,
                         image_size, *(('', '') if sample is None else
                                       (f'P{sample.subject:03d}', f'C{sample.camera:03d}')))

    def _image_size(self, number: int, shape: Any) -> tuple:
        """Return (width, height) of an ``img_shape`` (height, width)."""
        shape = np.asarray(() if shape is None else shape)
        if shape.shape != (2,) or shape.dtype.kind not in 'iuf' or not (np.isfinite(shape) & (shape > 0)).all():
            raise ValueError(f'{self._place(number)} has img_shape {self._annotations[number].get("img_shape")!r}, '
                             'expected (height, width) in pixels')
        return tuple(shape[::-1].tolist())

    def _check_sample(self, points: tuple, confidence: tuple) -> None:
        """Judge unit and joint order by one pose (V, C) of each of several clips."""
        points, confidence = np.stack(points), np.stack(confidence)
        if self.skeleton == 'ntu25':
            check_extent(points / MM_PER_METRE, str(self.path), unit='metres')
        else:
            check_pixels(points[confidence > 0], str(self.path))
        reasons = implausible_order(points[..., :2], get_skeleton(self.skeleton),
                                    np.where(confidence < SURE, 0, confidence))
        if reasons and not self.trust_order:
            raise ValueError(f'{self.path}: the joints are not in the order of {self.skeleton}: {"; ".join(reasons)}; '
                             'reorder them, or accept them by --trust-order of the converter or trust_order of the '
                             'data set')

    def _place(self, number: int) -> str:
        return f'{self.path}: annotation {number} ({self._names[number]!r})'


def _parts(path: Path) -> tuple[list, dict[str, list[str]]]:
    """Return the annotations and the splits of a file."""
    content = safe_pickle.load(path)
    annotations = content.get('annotations') if isinstance(content, dict) else content
    splits = content.get('split', {}) if isinstance(content, dict) else {}
    if not isinstance(annotations, (list, tuple)) or not isinstance(splits, dict):
        found = f'a dict with {sorted(map(str, content))}' if isinstance(content, dict) else type(content).__name__
        raise ValueError(f'{path} holds {found}; {EXPECTED}')
    if not annotations:
        raise ValueError(f'{path} holds no annotation; {EXPECTED}')
    if not all(isinstance(members, (list, tuple, set, np.ndarray)) for members in splits.values()):
        raise ValueError(f'{path}: split holds something else than lists of videos; {EXPECTED}')
    return list(annotations), {str(split): [str(name) for name in members] for split, members in splits.items()}


def _middle_pose(people: People) -> tuple[np.ndarray, np.ndarray]:
    """Return points (V, C) and confidence (V,) of the middle one of the frames in which the first person is seen."""
    frames = np.flatnonzero(people.seen[0])
    frame = frames[len(frames) // 2]
    return people.points[0, frame], people.confidence[0, frame]


def read_class_names(path: Union[str, Path]) -> list[str]:
    """Read a text file with the name of a class in each line, that of label 0 first.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no text, an empty line between names, or a name twice.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8-sig').rstrip().split('\n')
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such file, expected a text with one class name per line') from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'{path}: no text with one class name per line ({error})') from None
    names = [line.strip() for line in lines]
    doubled = [name for name, count in Counter(names).items() if count > 1 or not name]
    if doubled:
        raise ValueError(f'{path}: line {names.index(doubled[0]) + 1} is {doubled[0]!r}, empty or there twice; '
                         'expected one name per class, in the order of the labels')
    return names
