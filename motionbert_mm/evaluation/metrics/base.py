"""Metric plumbing for all tasks: windows to clips, skip lists, groups, averages, ranks, and the protocol in words."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any, NamedTuple, Optional, Union

import numpy as np
from mmengine.logging import MMLogger

from motionbert_mm.evaluation.functional.averaging import mean_by_clip, mean_by_frame, mean_by_group
from motionbert_mm.evaluation.functional.merging import merge_frames
from motionbert_mm.evaluation.groupings import Grouping, get_grouping
from motionbert_mm.evaluation.metrics.gathering import GatheringMetric, pair_samples
from motionbert_mm.evaluation.metrics.report import Report, flip_words, lay_out

OVERLAPS = {'predictions': 'predictions averaged per frame, then whole sequences measured',
            'errors': 'each window measured, errors averaged per frame'}


class Window(NamedTuple):
    """What is kept of one person in one window, or in the clip that its windows were merged into.

    Attributes:
        sample_id: unique name of the sequence, camera included.
        person: index on the person axis.
        frame_ids: (F,) source frames that count.
        arrays: (F, ...) by name, rows as in ``frame_ids``: predictions and targets, or values per frame.
        hidden: (H,) source frames without a valid target, which were left out.
        meta: what the protocol needs: fps, flip_test, skeleton, ...
        groups: by grouping: one group, or (F,) of them, rows as in ``frame_ids``; '' is none. ``MotionMetric.process``
            fills them in.
    """

    sample_id: str
    person: int
    frame_ids: np.ndarray
    arrays: dict[str, np.ndarray]
    hidden: np.ndarray
    meta: dict[str, Any]
    groups: Mapping[str, Union[str, np.ndarray]] = {}


class MotionMetric(GatheringMetric):
    """Base of the metrics: a subclass says what to keep of a sample and how to measure a clip.

    ``process`` keeps one :class:`Window` per person and sample; ``compute_metrics`` drops windows that occur twice,
    merges the windows of every sequence, and averages the values per frame in three ways, whatever the process count.
    For each name that ``measure`` returns the result holds ``name`` (the headline, averaged as ``average`` says), and
    ``name/frame``, ``name/clip`` and ``name/<group_by>``. There is no prefix unless one is given, so that the headline
    selects checkpoints: ``CheckpointHook(save_best='MPJPE', rule='less')``.

    Each of ``tables`` adds a table and ``name/<table>``, the mean over its groups. Groups may be of clips or of frames:
    a clip whose frames belong to several groups counts in each with these frames. Of a name 'NAME/part' (PCK of the
    wrists, say) there is the headline alone, and a table of all parts of NAME.

    Args:
        average: 'frame', 'clip' or the value of ``group_by``: which of the three averages is the headline.
        group_by: a row of ``GROUPINGS``, or a metainfo key with one value per clip or per frame: what the rows of
            the first table are, actions for example. Either all clips state it or none.
        tables: likewise for further tables; clips and frames that do not state them are in no row.
        within_group: 'frame' pools the frames of a group (official Human3.6M protocol), 'clip' averages its clips.
        overlap: 'predictions' averages the predictions for a source frame over the windows and measures whole
            sequences; 'errors' measures each window and averages the values for a source frame (official MotionBERT;
            of a frame that a stretched window repeats, the last copy counts).
        skip_list: sequences that are left out: sample_ids, or patterns as of a shell (``s_09_act_05_subact_02*``).
        prefix: put before every key of the result, with a slash.
        collect_device: 'cpu' or 'gpu', how results are gathered from the processes.
        collect_dir: shared directory for gathering on the CPU.

    Attributes:
        whole: heading of the column of NAME in the table of its parts.
    """

    whole: str = 'total'

    def __init__(self, *, average: str = 'action', group_by: str = 'action', tables: Sequence[str] = (),
                 within_group: str = 'frame', overlap: str = 'predictions', skip_list: Sequence[str] = (),
                 prefix: Optional[str] = None, collect_device: str = 'cpu', collect_dir: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        _check_choice('average', average, ('frame', 'clip', group_by))
        _check_choice('within_group', within_group, ('frame', 'clip'))
        _check_choice('overlap', overlap, tuple(OVERLAPS))
        if isinstance(skip_list, str):
            raise TypeError(f'skip_list must be a list of sequence names, got the string {skip_list!r}')
        if isinstance(tables, str):
            raise TypeError(f'tables must be a list of groupings or metainfo keys, got the string {tables!r}')
        self.average, self.group_by, self.within_group = average, group_by, within_group
        self.tables = tuple(tables)
        self.overlap, self.skip_list = overlap, tuple(skip_list)

    @property
    def groupings(self) -> list[Grouping]:
        """What the rows of each table are, the first table first."""
        return [get_grouping(name) for name in dict.fromkeys((self.group_by, *self.tables))]

    @abstractmethod
    def extract(self, prediction: Mapping[str, Any], target: Mapping[str, Any]) -> list[Window]:
        """Keep what is needed of a sample: one window per person, its rows the frames that count.

        Args:
            prediction: fields and metainfo of one predicted sample.
            target: fields and metainfo of its ground truth.
        """

    @abstractmethod
    def measure(self, window: Window) -> dict[str, np.ndarray]:
        """Measure a window or merged clip: (F,) values by name, the headline first, NaN where undefined."""

    def finish(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Change the values (F,) of a merged clip before they are averaged."""
        return values

    def describe(self, clips: Sequence[Window]) -> list[str]:
        """Say in a few words each how ``measure`` works, for the protocol line."""
        return []

    def describe_overlap(self) -> str:
        """Say how windows that overlap are merged, for the protocol line."""
        return OVERLAPS[self.overlap]

    def describe_excluded(self) -> str:
        """Say which sequences are left out, for the protocol line."""
        return ', '.join(self.skip_list)

    def check(self, clips: Sequence[Window]) -> None:
        """Refuse clips that this metric must not average."""

    def process(self, data_batch: Mapping[str, Any], data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep one batch.

        Args:
            data_batch: ``data_samples`` of it is the ground truth, one batched MotionSample or a list of samples.
            data_samples: the predictions as dicts, one per sample, in the same order.
        """
        for prediction, target in pair_samples(data_batch, data_samples, type(self).__name__):
            name = target['sample_id']
            if self.is_skipped(name):
                self.results.append(Window(name, 0, np.empty(0, np.int64), {}, np.empty(0, np.int64), {}))
                continue
            windows = [window._replace(groups={grouping.name: grouping.read(target, window.frame_ids)
                                               for grouping in self.groupings})
                       for window in self.extract(prediction, target)]
            if self.overlap == 'errors':
                windows = [window._replace(arrays=self._measure(window)) for window in map(_last_copies, windows)]
            self.results.extend(windows)

    def compute_metrics(self, results: Sequence[Window]) -> dict[str, float]:
        """Average the values of all clips and log them with the protocol.

        Args:
            results: windows of all processes, in any order, copies included.

        Returns:
            the headline of each measured name, and each of its averages under ``name/average``. An average over no
            value (velocities of one-frame clips) is left out.
        """
        report = self.report(results)
        _log('\n' + report.table)
        _log(report.protocol)
        return report.metrics

    def report(self, results: Sequence[Window]) -> Report:
        """Average the values of all clips; arguments as of ``compute_metrics``."""
        skipped = {window.sample_id for window in results if self.is_skipped(window.sample_id)}
        kept = [window for window in results if window.sample_id not in skipped]
        clips = [self._merge(list(parts)) for _, parts in groupby(_distinct(kept), key=lambda window: window[:2])]
        counts = {'excluded': len(skipped), 'hidden': sum(len(clip.hidden) for clip in clips)}
        clips = [clip for clip in clips if len(clip.frame_ids)]
        if not clips:
            raise ValueError(f'{type(self).__name__} has nothing to measure: {len(results)} windows, {len(skipped)} '
                             f'sequences skipped by skip_list, {counts["hidden"]} frames without a valid target; check '
                             'the test data set, skip_list and joints')
        self.check(clips)
        counts.update(sequences=len(clips), frames=sum(_count(clip.arrays) for clip in clips))
        self._check_groups(clips)
        rows = {grouping.name: self._by_group(clips, grouping) for grouping in self.groupings}
        averages = {name: _averages([clip.arrays[name] for clip in clips], rows, name) for name in clips[0].arrays}
        metrics = {name: values[self.average] for name, values in averages.items()}
        metrics.update({f'{name}/{key}': value for name, values in averages.items() if '/' not in name
                        for key, value in values.items()})
        metrics = {key: value for key, value in metrics.items() if not np.isnan(value)}
        return Report(metrics, rows, counts, lay_out(self.groupings, rows, averages, counts, self.whole),
                      self._protocol_line(clips, rows, averages, counts))

    def is_skipped(self, sample_id: str) -> bool:
        """Say whether a sequence is left out."""
        return any(sample_id == entry or fnmatchcase(sample_id, entry) for entry in self.skip_list)

    def _measure(self, window: Window) -> dict[str, np.ndarray]:
        return self.measure(window) if len(window.frame_ids) else {}

    def _merge(self, parts: list[Window]) -> Window:
        """Merge the windows of one sequence; the arrays of the result are the values per frame."""
        filled = [part for part in parts if len(part.frame_ids)] or parts[:1]
        rows = np.concatenate([part.frame_ids for part in filled])
        merged = {name: merge_frames(rows, np.concatenate([part.arrays[name] for part in filled]))[1]
                  for name in filled[0].arrays}
        hidden = np.setdiff1d(np.concatenate([part.hidden for part in parts]), rows)
        frames, first = np.unique(rows, return_index=True)
        groups = {name: group if isinstance(group, str) else
                  np.concatenate([part.groups[name] for part in filled])[first]
                  for name, group in filled[0].groups.items()}
        clip = filled[0]._replace(frame_ids=frames, arrays=merged, hidden=hidden, groups=groups)
        values = merged if self.overlap == 'errors' else self._measure(clip)
        return clip._replace(arrays=self.finish(values) if values else {})

    def _check_groups(self, clips: Sequence[Window]) -> None:
        """Refuse clips of which some state ``group_by``, or none does although the headline needs it."""
        missing = [clip.sample_id for clip in clips if (np.asarray(clip.groups[self.group_by]) == '').any()]
        if missing and (len(missing) < len(clips) or self.average == self.group_by):
            raise KeyError(f'{type(self).__name__} averages by {self.group_by!r}, but {len(missing)} of {len(clips)} '
                           f"sequences do not state it, {missing[0]} for one; add it to the data set's metainfo, or "
                           "set the metric's group_by, or average='clip' for data without groups")

    def _by_group(self, clips: Sequence[Window], grouping: Grouping) -> dict[str, dict[str, float]]:
        """Count and average each group, in the order of the table."""
        pieces = [piece for clip in clips for piece in _pieces(clip, grouping.name) if piece[0]]
        groups = [group for group, _ in pieces]
        columns = {name: mean_by_group([arrays[name] for _, arrays in pieces], groups, within=self.within_group)
                   for name in clips[0].arrays}
        return {group: {'clips': groups.count(group),
                        'frames': sum(_count(arrays) for label, arrays in pieces if label == group),
                        **{name: means[group] for name, means in columns.items()}} for group in grouping.order(groups)}

    def _protocol_line(self, clips: Sequence[Window], rows: Mapping[str, Mapping], averages: Mapping[str, Mapping],
                       counts: Mapping[str, int]) -> str:
        """Say the headline with all that it depends on, in one line."""
        headline, values = next(iter(averages.items()))
        number = {'frame': f'{counts["frames"]} frames', 'clip': f'{len(clips)} clips'}
        unit = 'frames pooled' if self.within_group == 'frame' else 'clips averaged'
        number.setdefault(self.average, f'{len(rows[self.group_by])} {self.groupings[0].plural} ({unit} in each)')
        rates = sorted({float(clip.meta['fps']) for clip in clips if clip.meta.get('fps')})
        excluded = f'{counts["excluded"]} sequences ({self.describe_excluded()})' if self.skip_list else 'none'
        return ' | '.join([
            f'Protocol of {headline} {values[self.average]:.2f} averaged over {number[self.average]}',
            *self.describe(clips), f'overlapping windows: {self.describe_overlap()}',
            f'flip TTA: {flip_words(clip.meta.get("flip_test") for clip in clips)}', f'excluded: {excluded}',
            f'evaluated: {counts["sequences"]} sequences, {counts["frames"]} frames, {counts["hidden"]} frames without '
            f'valid target left out', f'fps: {", ".join(f"{rate:g}" for rate in rates) or "not stated"}'])


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f'{name} must be one of {sorted(set(choices))}, got {value!r}')


def _distinct(windows: Iterable[Window]) -> list[Window]:
    """Each window once, in an order that does not depend on how they were spread over processes."""
    by_key = {}
    for window in windows:
        frames = window.frame_ids.tobytes(), window.hidden.tobytes()
        by_key.setdefault((window.sample_id, window.person, *frames), window)
    return [by_key[key] for key in sorted(by_key)]


def _last_copies(window: Window) -> Window:
    """Keep the last row of every frame, in ascending order.

    Official: evaluate() of MotionBERT adds a clip's errors to the source frames by fancy indexing, which keeps the last
    of the copies that a stretched clip holds.
    """
    frames, rows = np.unique(window.frame_ids[::-1], return_index=True)
    if len(frames) == len(window.frame_ids):
        return window
    rows = len(window.frame_ids) - 1 - rows
    groups = {name: group if isinstance(group, str) else group[rows] for name, group in window.groups.items()}
    return window._replace(frame_ids=frames, groups=groups,
                           arrays={name: values[rows] for name, values in window.arrays.items()})


def _pieces(clip: Window, grouping: str) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Cut a merged clip by the groups of its frames: group and arrays of each piece."""
    groups = clip.groups[grouping]
    if isinstance(groups, str):
        return [(groups, clip.arrays)]
    return [(group, {name: values[groups == group] for name, values in clip.arrays.items()})
            for group in np.unique(groups).tolist()]


def _averages(clips: Sequence[np.ndarray], rows: Mapping[str, Mapping], name: str) -> dict[str, float]:
    """Average one measured name over frames, clips, and the groups of each grouping that the data state."""
    means = {key: mean_by_frame([np.array([row[name] for row in groups.values()])]) for key, groups in rows.items()
             if groups}
    return {'frame': mean_by_frame(clips), 'clip': mean_by_clip(clips), **means}


def _count(arrays: Mapping[str, np.ndarray]) -> int:
    """Frames of a merged clip, or a piece of one, that count."""
    return int(np.isfinite(next(iter(arrays.values()))).sum())


def _log(message: str) -> None:
    MMLogger.get_current_instance().info(message)
