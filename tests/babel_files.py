"""Annotations in the exact layout of BABEL's release, with made-up labels."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

# Frame labels of sequence 7536 as the authors' visualisation notebook shows them.
NOTEBOOK = (('walk', 0, 2.106), ('transition', 2.106, 2.845), ('make a knocking gesture', 2.845, 3.507),
            ('transition', 3.466, 4.6), ('turn around', 4.519, 5.519), ('walk back', 5.424, 7.734))


def label(text: Any, *times: Any, categories: Any = ('walk',), **changes: Any) -> dict:
    """One label; of a whole sequence without times."""
    entry = dict(raw_label=text.upper() if isinstance(text, str) else text, proc_label=text,
                 act_cat=list(categories) if isinstance(categories, tuple) else categories,
                 seg_id=f'segment of {text}')
    return {**entry, **dict(zip(('start_t', 'end_t'), times)), **changes}


def annotation(labels: Sequence[dict]) -> dict:
    """What one annotator says."""
    return dict(babel_lid='list', anntr_id='somebody', mul_act=len(labels) > 1, labels=list(labels))


def sequence(path: str, duration: Any, frames: Optional[Sequence] = None, whole: Optional[Sequence] = None,
             **changes: Any) -> dict:
    """A sequence of train.json, val.json or test.json; labels of frames or of the whole."""
    return {**dict(babel_sid=1, url='https://example.org/000001.mp4', feat_p=path, dur=duration,
                   seq_ann=None if whole is None else annotation(whole),
                   frame_ann=None if frames is None else annotation(frames)), **changes}


def extra_sequence(path: str, duration: Any, frames: Sequence[Sequence]) -> dict:
    """A sequence of extra_train.json or extra_val.json; labels of frames by several annotators."""
    return dict(babel_sid=1, url='https://example.org/000001.mp4', feat_p=path, dur=duration, seq_anns=None,
                frame_anns=[annotation(labels) for labels in frames])


def write_split(folder: Path, split: str, sequences: dict) -> Path:
    """Write one file of the release."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{split}.json'
    path.write_text(json.dumps(sequences))
    return path
