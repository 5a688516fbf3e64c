"""Are downloads of PoseTrack18 and InstaVariety complete? Tracks are read as the converters read them."""
from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from motionbert_mm.datasets import instavariety, posetrack18
from motionbert_mm.datasets.checks.report import Progress, Report, examples
from motionbert_mm.datasets.tracks import Track
from motionbert_mm.io.joint_order import implausible_order
from motionbert_mm.structures.skeleton import get_skeleton

# Videos with public annotations. Source: papers that train on PoseTrack18 (593 train, 170 validation, 375 test).
POSETRACK_VIDEOS = {'train': 593, 'val': 170}
POSETRACK_ADVICE = 'unpack posetrack18_annotations again; MMPose links it (docs of dataset_zoo/2d_body_keypoint)'
INSTAVARIETY_ADVICE = 'unpack InstaVariety_tracks again; link: doc/insta_variety.md of human_dynamics'
WINDOW = 81  # frames, as MotionBERT takes them
SAMPLE = 200


def check_posetrack18(path: Path, progress: Progress) -> Report:
    """Check the folder of the annotations, of one of its splits, or one above it."""
    report = Report('posetrack18', path)
    folders = _split_folders(path)
    first = folders.get('train') or next(iter(folders.values()), path / 'train')
    report.command = f'python tools/dataset_converters/posetrack18.py {shlex.quote(str(first))} data/posetrack18'
    if not folders:
        report.missing('annotations', f'no train/*.json or val/*.json in {path}', POSETRACK_ADVICE, blocks=True)
    for split, folder in folders.items():
        _check_posetrack_split(split, folder, report, progress)
    for split in set(POSETRACK_VIDEOS) - set(folders) if folders else ():
        report.missing(f'{split}: videos', f'0 of {POSETRACK_VIDEOS[split]}', POSETRACK_ADVICE)
    return report


def _split_folders(path: Path) -> dict[str, Path]:
    """Return the folder of each split, by its name, in ``path`` or a level or two below."""
    if any(path.glob('*.json')):
        return {path.absolute().name: path}
    folders = {}
    for split in POSETRACK_VIDEOS:
        found = [folder for pattern in (split, f'*/{split}', f'*/*/{split}') for folder in sorted(path.glob(pattern))
                 if any(folder.glob('*.json'))]
        folders.update({split: found[0]} if found else {})
    return folders


def _check_posetrack_split(split: str, folder: Path, report: Report, progress: Progress) -> None:
    select, broken, videos, tracks, clips = posetrack18.TrackFilter(), [], set(), [], 0
    unused: Counter = Counter()
    for file in progress(posetrack18.find_annotations(folder)):
        try:
            content = posetrack18.read_tracks(file)
        except (OSError, ValueError) as error:
            broken.append(str(error))
            continue
        videos.update({track.name.rpartition('#')[0] for track in content.tracks} or {file.stem})
        unused.update(content.unused)
        tracks += content.tracks
        clips += sum(len(select(track)[0]) for track in content.tracks)
    report.broken_each(f'{split}: files', broken, POSETRACK_ADVICE)
    if split in POSETRACK_VIDEOS:
        report.compare(f'{split}: videos', len(videos) + len(broken), POSETRACK_VIDEOS[split], POSETRACK_ADVICE)
    else:
        report.ok(f'{split}: videos', f'{len(videos) + len(broken):,}')
    if unused:
        report.ok(f'{split}: not used', ', '.join(f'{count:,} annotations {why}' for why, count in unused.items()))
    _check_tracks(f'{split}: ', tracks, posetrack18.SKELETON, report, POSETRACK_ADVICE)
    if clips:
        report.ok(f'{split}: clips', f'{clips:,} of {select.min_frames} frames, as MotionBERT takes them')
    elif tracks:
        report.missing(f'{split}: clips', f'no track has {select.min_frames} frames well seen', 'convert with smaller '
                       '--min-frames or --min-visible')


def check_instavariety(path: Path, progress: Progress, *, thorough: bool = False) -> Report:
    """Check folders of tracks, or a folder with the two packed arrays.

    Args:
        path: InstaVariety_tracks, or the folder of motion_all.npy.
        progress: wraps long loops.
        thorough: read every track folder, not only ``SAMPLE`` of them.
    """
    report = Report('instavariety', path)
    report.command = f'python tools/dataset_converters/instavariety.py {shlex.quote(str(path))} data/instavariety'
    try:
        if instavariety.is_packed(path):
            tracks = list(progress(instavariety.read_packed(path, 'crop')))
            _check_tracks('', tracks, instavariety.SKELETON, report, 'pack the tracks again as docs/pretrain.md of '
                          f'MotionBERT says; {INSTAVARIETY_ADVICE}')
            _check_lengths(tracks, report)
        else:
            _check_track_folders(path, instavariety.find_track_folders(path), report, progress, thorough)
    except FileNotFoundError as error:
        report.missing('tracks', error, INSTAVARIETY_ADVICE, blocks=True)
    except (OSError, ValueError) as error:
        report.broken('packed arrays', error, f'pack the tracks again; {INSTAVARIETY_ADVICE}')
    return report


def _check_track_folders(path: Path, folders: Sequence[Path], report: Report, progress: Progress,
                         thorough: bool) -> None:
    """Count all folders and read some."""
    places = [folder.relative_to(path).parts for folder in folders]
    report.ok('folders', f'{len({place[0] for place in places if place}):,} tags, '
              f'{len({place[:2] for place in places}):,} videos, {len(folders):,} tracks')
    odd = [folder for folder, place in zip(folders, places) if len(place) != 3]
    if odd:
        report.broken('folders', f'{len(odd)} not at <tag>/<video>/<track>, e.g. {odd[0]}',
                      'give the folder InstaVariety_tracks itself')
    rows = range(len(folders)) if thorough else np.unique(np.linspace(0, len(folders) - 1, SAMPLE).astype(int))
    tracks, broken = [], []
    for row in progress(rows):
        try:
            tracks.append(instavariety.read_track(folders[row], str(row)))
        except (OSError, ValueError) as error:
            broken.append(str(error))
    report.broken_each('tracks', broken, INSTAVARIETY_ADVICE)
    if len(rows) < len(folders):
        report.ok('sample', f'{len(rows)} tracks were read; --thorough reads all')
    _check_tracks('', tracks, instavariety.SKELETON, report, INSTAVARIETY_ADVICE)
    _check_lengths(tracks, report)


def _check_lengths(tracks: Sequence[Track], report: Report) -> None:
    """Count the tracks that are long enough to train on."""
    gaps = sum(bool((np.diff(track.frames) > 1).any()) for track in tracks)
    number = sum(len(track) >= WINDOW for track in tracks)
    if number:
        report.ok('lengths', f'{number:,} of {WINDOW} frames and more, {gaps:,} with gaps')
    elif tracks:
        report.missing('lengths', f'no track of {WINDOW} frames', 'convert with a smaller --window')


def _check_tracks(place: str, tracks: Sequence[Track], skeleton: str, report: Report, advice: str) -> None:
    """Count tracks and judge their joint order by the middle frame of each."""
    if not tracks:
        report.broken(f'{place}tracks', 'none', advice)
        return
    report.ok(f'{place}tracks', f'{len(tracks):,} with {sum(map(len, tracks)):,} frames')
    points = np.stack([track.keypoints[len(track) // 2] for track in tracks])
    confidence = np.stack([track.confidence[len(track) // 2] for track in tracks])
    reasons = implausible_order(points, get_skeleton(skeleton), confidence)
    if reasons:
        report.broken(f'{place}joint order', f'not that of {skeleton}: {"; ".join(reasons)}', advice)
    else:
        report.ok(f'{place}joint order', f'plausible for {skeleton}')
    unseen = [name for name, seen in zip(get_skeleton(skeleton).joints, (confidence > 0).any(0)) if not seen]
    if unseen:
        report.ok(f'{place}never seen', examples(unseen, limit=20))
