"""Label everybody in a video, and write what they do as JSON, arrays and lines of a table."""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motionbert_mm.apis.labelling import ActionLabeller, LabelResult
from motionbert_mm.evaluation.functional.segments import UNKNOWN, find_runs
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.keypoint_files import KeypointTrack
from motionbert_mm.visualization.labelled import MAX_PEOPLE, LabelledPerson, LabelledSpan

TOP = 5  # classes that are listed for a whole sequence


@dataclass(frozen=True)
class Clock:
    """From frame numbers of a file to seconds: number 0 is second 0.

    Attributes:
        fps: images per second.
        step: from the number of one image to the next.
    """

    fps: float
    step: int = 1

    def seconds(self, frame: int) -> float:
        """Return the time at which an image begins to be shown."""
        return float(frame) / (self.step * self.fps)


@dataclass(frozen=True)
class LabelledTracks:
    """One person, or several who were labelled together.

    Attributes:
        tracks: of the persons.
        frame_ids: (F,) numbers of the frames that ``result`` is about.
        result: labels.
    """

    tracks: tuple
    frame_ids: np.ndarray
    result: LabelResult

    @property
    def ids(self) -> Any:
        """Id of the person, or a list of those of several."""
        ids = [track.track_id for track in self.tracks]
        return ids[0] if len(ids) == 1 else ids

    @property
    def name(self) -> str:
        """Say who it is."""
        return f'track{"s" * (len(self.tracks) > 1)} {" and ".join(str(track.track_id) for track in self.tracks)}'


def label_people(labeller: ActionLabeller, tracks: Sequence[KeypointTrack], *, together: bool = False,
                 frame_step: int = 1, **options: Any) -> list[LabelledTracks]:
    """Label every person alone, or all of them as one.

    Args:
        labeller: the model.
        tracks: of a video, one of each person, see ``read_persons``.
        together: label all as people who act together.
        frame_step: from the number of one frame to the next.
        **options: of ``ActionLabeller.label``.

    Raises:
        KeyError, ValueError: see ``ActionLabeller.label``.
    """
    if not together:
        return [LabelledTracks((track,), track.frame_ids,
                               labeller.label(track.keypoints, track.confidence, skeleton=track.skeleton, **options))
                for track in tracks]
    keypoints, confidence, frame_ids = stack_tracks(tracks, frame_step)
    result = labeller.label(keypoints, confidence, skeleton=tracks[0].skeleton, **options)
    return [LabelledTracks(tuple(tracks[person] for person in result.persons), frame_ids, result)]


def stack_tracks(tracks: Sequence[KeypointTrack], step: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put persons on one frame axis: points (M, F, J, 2), confidence (M, F, J), zero where absent, numbers (F,)."""
    first = min(track.frame_ids[0] for track in tracks)
    frame_ids = np.arange(first, max(track.frame_ids[-1] for track in tracks) + 1, step)
    keypoints = np.zeros((len(tracks), len(frame_ids), *tracks[0].keypoints.shape[1:]), np.float32)
    confidence = np.zeros(keypoints.shape[:-1], np.float32)
    for person, track in enumerate(tracks):
        rows = (track.frame_ids - first) // step
        keypoints[person, rows], confidence[person, rows] = track.keypoints, track.confidence
    return keypoints, confidence, frame_ids


def describe_segments(labelled: LabelledTracks, clock: Clock) -> list[dict]:
    """Return the segments as plain data.

    Returns:
        ``start`` and ``end`` in seconds, the end of a segment being the start of the next; ``start_frame`` and
        ``end_frame``, the numbers of its first and its last frame; ``label``, a class or 'unknown', and ``score``.
    """
    rows = []
    for segment in labelled.result.segments:
        first, last = (int(labelled.frame_ids[frame]) for frame in (segment.start, segment.end - 1))
        rows.append(dict(start=round(clock.seconds(first), 3), end=round(clock.seconds(last + clock.step), 3),
                         start_frame=first, end_frame=last, label=labelled.result.name(segment),
                         score=round(segment.score, 4)))
    return rows


def rank_classes(result: LabelResult) -> list[dict]:
    """Return the classes of the highest mean score over all frames, best first, as plain data."""
    overall = result.overall
    return [dict(label=result.classes[label], score=round(float(overall[label]), 4))
            for label in np.argsort(-overall, kind='stable')[:TOP].tolist()]


def write_labels(path: Path, people: Sequence[LabelledTracks], *, clock: Clock, window_seconds: float,
                 notes: Sequence[str] = ()) -> None:
    """Write the segments of all people as JSON."""
    persons = [dict(track=person.ids, frames=[int(person.frame_ids[0]), int(person.frame_ids[-1])],
                    segments=describe_segments(person, clock), top=rank_classes(person.result),
                    notes=list(person.result.notes)) for person in people]
    content = dict(classes=list(people[0].result.classes), fps=clock.fps, window_seconds=round(window_seconds, 3),
                   persons=persons, notes=list(notes))
    with atomic_path(path) as work:
        work.write_text(json.dumps(content, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')


def save_scores(path: Path, people: Sequence[LabelledTracks], fps: float) -> None:
    """Write the scores of every frame of every person who is there; loads with ``allow_pickle=False``.

    A row of ``scores`` (N, K) belongs to the number ``frame_ids`` (N,) of the file and to ``track`` (N,), as text.
    """
    shown = [~np.isnan(person.result.scores[:, 0]) for person in people]
    with atomic_path(path) as work:
        np.savez_compressed(
            work, scores=np.concatenate([person.result.scores[rows] for person, rows in zip(people, shown)]),
            frame_ids=np.concatenate([person.frame_ids[rows] for person, rows in zip(people, shown)]),
            track=np.repeat([person.name.partition(' ')[2] for person in people], [rows.sum() for rows in shown]),
            classes=np.array(people[0].result.classes), fps=np.array(fps))


def table_lines(labelled: LabelledTracks, clock: Clock) -> list[str]:
    """Say who does what and when, a line for every segment."""
    best = ', '.join(f'{entry["label"]} {entry["score"]:.2f}' for entry in rank_classes(labelled.result)[:3])
    rows = describe_segments(labelled, clock)
    width = max(len(row['label']) for row in rows)
    return [f'{labelled.name}: {best} over all'] + [
        f'  {row["start"]:8.2f} s to {row["end"]:8.2f} s  {row["label"]:<{width}}  {row["score"]:.2f}' for row in rows]


def people_to_show(people: Sequence[LabelledTracks], step: int = 1) -> tuple[list[LabelledPerson], int]:
    """Return the first MAX_PEOPLE persons for ``animate_labels``, and the number of its first frame.

    Persons who were labelled together have the same spans, where they are seen.
    """
    pairs = [(track, person) for person in people for track in person.tracks][:MAX_PEOPLE]
    first = min(int(track.frame_ids[0]) for track, _ in pairs)
    return [LabelledPerson(f'track {track.track_id}', track.keypoints, track.confidence,
                           (int(track.frame_ids[0]) - first) // step, _spans(track, person, step))
            for track, person in pairs], first


def _spans(track: KeypointTrack, labelled: LabelledTracks, step: int) -> list[LabelledSpan]:
    """Return the segments in frames of a track, as far as the person is there; absent ones are zeros."""
    is_there = track.keypoints.any(axis=(1, 2)) | track.confidence.any(axis=1)
    shift = int(track.frame_ids[0] - labelled.frame_ids[0]) // step
    spans = []
    for segment in labelled.result.segments:
        name = None if segment.label == UNKNOWN else labelled.result.name(segment)
        start, end = max(segment.start - shift, 0), max(segment.end - shift, 0)
        spans += [LabelledSpan(start + first, start + last, name, segment.score)
                  for first, last in find_runs(is_there[start:end], is_true=True)]
    return spans
