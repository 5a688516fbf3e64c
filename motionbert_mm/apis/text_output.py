"""Write how well sentences fit a motion, as JSON and lines of a table."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from motionbert_mm.apis.label_output import Clock
from motionbert_mm.apis.text_scores import TextScores
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.keypoint_files import KeypointTrack


def describe_windows(result: TextScores, frame_ids: np.ndarray, clock: Clock) -> list[dict]:
    """Return the windows as plain data: when they begin and end, the sentence that fits best, all cosines.

    Args:
        result: scores.
        frame_ids: (F,) numbers of the frames of the motion.
        clock: of the frames.
    """
    rows = []
    for (start, end), cosines in zip(result.windows.tolist(), result.window_cosines.tolist()):
        first, last = (int(frame_ids[frame]) for frame in (start, end - 1))
        rows.append(dict(start=round(clock.seconds(first), 3), end=round(clock.seconds(last + clock.step), 3),
                         start_frame=first, end_frame=last, best=result.texts[int(np.argmax(cosines))],
                         cosines=[round(cosine, 4) for cosine in cosines]))
    return rows


def write_text_scores(path: Path, track: KeypointTrack, result: TextScores, *, fps: float) -> None:
    """Write the scores of a track as JSON; the file appears only when it is complete."""
    scores = [dict(text=result.texts[number], cosine=round(float(result.cosines[number]), 4),
                   share=round(float(result.shares[number]), 4)) for number in result.order]
    content = dict(track=track.track_id, frames=[int(track.frame_ids[0]), int(track.frame_ids[-1])], fps=fps,
                   texts=list(result.texts), scores=scores,
                   windows=describe_windows(result, track.frame_ids, Clock(fps)), notes=list(result.notes))
    with atomic_path(path) as work:
        work.write_text(json.dumps(content, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')


def text_lines(track: KeypointTrack, result: TextScores, *, fps: float) -> list[str]:
    """Say which sentences fit, the best first, and which one fits best at what time."""
    lines = ['cosine  share  text']
    lines += [f'{result.cosines[number]:6.3f}  {result.shares[number]:5.2f}  {result.texts[number]}'
              for number in result.order]
    rows = describe_windows(result, track.frame_ids, Clock(fps))
    if len(rows) > 1:
        lines += [f'  {row["start"]:8.2f} s to {row["end"]:8.2f} s  {row["best"]}' for row in rows]
    return lines
