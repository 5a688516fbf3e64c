"""Are detector results complete and usable? Every video is read as the converter reads it."""
from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import numpy as np

from motionbert_mm.datasets.checks.report import Progress, Report
from motionbert_mm.io.keypoint_json import number_in_name
from motionbert_mm.io.openpose import json_files
from motionbert_mm.io.people import People, find_videos, read_people

MIN_FRAMES = 30  # as the converter


def check_openpose(path: Path, progress: Progress) -> Report:
    """Check folders of OpenPose frames."""
    return _check(Report('openpose', path), progress, wants_folders=True)


def check_alphapose(path: Path, progress: Progress) -> Report:
    """Check result files of AlphaPose, or in COCO style."""
    return _check(Report('alphapose', path), progress, wants_folders=False)


def _check(report: Report, progress: Progress, wants_folders: bool) -> Report:
    path, census = report.path, _Census()
    report.command = _command(path, census)
    try:
        videos = find_videos(path)
    except (ValueError, OSError) as error:
        report.missing('videos', error, 'see docs/data.md, "OpenPose and AlphaPose folders"', blocks=True)
        return report
    others = [name for name, video in videos.items() if video.is_dir() != wants_folders]
    if others:
        found, right = ('result files', 'alphapose') if wants_folders else ('folders of OpenPose frames', 'openpose')
        report.missing('format', f'{len(others)} of {len(videos)} are {found}, e.g. {others[0]!r}',
                       f'check them as {right}', blocks=len(others) == len(videos))
    for name, video in progress([(name, video) for name, video in videos.items() if name not in others]):
        try:
            census.add(name, read_people(video, min_frames=MIN_FRAMES))
            if wants_folders:
                census.look_for_gaps(name, video)
        except (ValueError, OSError) as error:
            census.broken.append(' '.join(str(error).split()))
    census.report(report)
    report.command = _command(path, census)
    return report


def _command(path: Path, census: _Census) -> str:
    skeleton = census.skeletons.most_common(1)[0][0] if census.skeletons else 'SKELETON'
    return (f'python tools/dataset_converters/keypoint_folder.py {shlex.quote(str(path))} data/NAME '
            f'--skeleton {skeleton} --image-size W H')


class _Census:
    """What all videos hold together."""

    def __init__(self) -> None:
        self.videos = self.frames = self.seen = self.linked = 0
        self.skeletons: Counter = Counter()
        self.dropped: Counter = Counter()
        self.broken: list[str] = []
        self.gaps: list[str] = []
        self.people: set = set()
        self.reach = np.zeros(2)

    def add(self, name: str, people: People) -> None:
        """Count one video."""
        self.videos += 1
        self.linked += people.is_linked
        self.dropped.update(people.dropped)
        for track in people.tracks:
            self.people.add((name, track.track_id))
            self.skeletons[track.skeleton] += 1
            self.frames += len(track.keypoints)
            self.seen += int((track.confidence > 0).any(-1).sum())
            self.reach = np.maximum(self.reach, track.keypoints[track.confidence > 0].max(0))

    def look_for_gaps(self, name: str, folder: Path) -> None:
        """Compare the frames of a folder with their numbers."""
        numbers = np.sort([number_in_name(file, file.name)[0] for file in json_files(folder)])
        steps = np.diff(numbers)
        lost = int((numbers[-1] - numbers[0]) // steps.min() + 1 - len(numbers)) if len(steps) else 0
        if lost:
            after = numbers[int(np.argmax(steps > steps.min()))]
            self.gaps.append(f'{name} lacks {lost} frames, the first after number {after}')

    def report(self, report: Report) -> None:
        """Write the table."""
        report.broken_each('videos', self.broken, 'run the detector on them again, or take them out')
        if self.gaps:
            report.missing('frames', '; '.join(self.gaps[:3]) + ('; ...' if len(self.gaps) > 3 else ''),
                           'copy the folder again, or run the detector again')
        if not self.videos:
            return
        report.ok('videos', f'{self.videos:,} can be read' + (
            f'; {self.linked:,} without track ids, people are linked by proximity' if self.linked else ''))
        if not self.people:
            report.broken('persons', 'nobody can be followed: ' + self._dropped(), 'film longer, or convert with '
                          'smaller --min-frames and larger --max-gap')
            return
        report.ok('persons', f'{len(self.people):,} for {MIN_FRAMES} frames and more, {self.frames:,} frames, '
                  f'{self.frames - self.seen:,} of them filled in')
        if self.dropped:
            report.ok('left out', self._dropped())
        report.ok('joints', ', '.join(self.skeletons) + ', in a plausible order')
        report.ok('image', f'joints reach x {self.reach[0]:.0f}, y {self.reach[1]:.0f}: it is at least as large')

    def _dropped(self) -> str:
        return ', '.join(f'{number:,} {reason}' for reason, number in self.dropped.items()) or 'nobody was detected'
