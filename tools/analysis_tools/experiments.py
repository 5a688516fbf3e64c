"""Trainings and tests as steps of a study: run once each, resumed where they were stopped, written as tables.

A step is a process of tools/train.py or tools/test.py with a folder of its own. The folder holds ``experiment.json``
(config, seed or checkpoint and, once done, the result), the resolved config, and ``log.txt``. A step that is
finished is not run again; the folder of another one is refused. Another config makes another step; changed data or
code do not: remove the folders then.

Scripts in this folder use it as ``from experiments import train, evaluate``.
"""
from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from mmengine.config import Config

from motionbert_mm.engine.command_line import read_config
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.tables import check_widths

TOOLS = Path(__file__).resolve().parents[1]
RECORD, LOG, METRICS = 'experiment.json', 'log.txt', 'metrics.json'
LAST_LINES = 15  # of the log, quoted when a step fails


def train(config: Union[str, Path], work_dir: Union[str, Path], options: Optional[Mapping[str, Any]] = None,
          seed: int = 0) -> Path:
    """Train, go on with an interrupted training, or do nothing if it is finished.

    Args:
        config: path of a config file.
        work_dir: folder of this run alone.
        options: dotted keys and values that override the config; any value that a config may hold.
        seed: of every random draw.

    Returns:
        The last checkpoint.

    Raises:
        FileNotFoundError, KeyError, TypeError: see ``read_config``.
        ValueError: ``work_dir`` holds a run of another config or seed; the first difference is named.
        RuntimeError: the training failed; with the last lines of its log.
    """
    folder = Path(work_dir)
    resolved, facts = _describe(config, options, seed=seed)
    result = _earlier_result(folder, facts)
    if result is not None and (folder / result).is_file():
        return folder / result
    arguments = ['--work-dir', folder, '--seed', seed]
    last = _last_checkpoint(folder)
    if last is not None:
        arguments += ['--resume', last]
    _run('train.py', resolved, folder, arguments)
    last = _last_checkpoint(folder)
    if last is None:
        raise RuntimeError(f'training ended without a checkpoint in {folder}; see {folder / LOG}, and set '
                           'default_hooks.checkpoint in the config')
    _write_record(folder, facts, last.name)
    return last


def evaluate(config: Union[str, Path], checkpoint: Union[str, Path], options: Optional[Mapping[str, Any]],
             out: Union[str, Path]) -> dict[str, float]:
    """Test a checkpoint, or return what an earlier call measured.

    Args:
        config: path of a config file.
        checkpoint: path of a checkpoint.
        options: dotted keys and values that override the config.
        out: folder of this test alone.

    Returns:
        The metrics of the test data by name, e.g. ``MPJPE``, ``MPJPE/clip``.

    Raises:
        FileNotFoundError, KeyError, TypeError: see ``read_config``; or no such checkpoint.
        ValueError: ``out`` holds another test; the first difference is named.
        RuntimeError: the test failed; with the last lines of its log.
    """
    folder, checkpoint = Path(out), Path(checkpoint)
    if not checkpoint.is_file():
        raise FileNotFoundError(f'checkpoint {checkpoint} does not exist; expected one of an earlier training')
    # The time tells a checkpoint from one of the same name that was trained again.
    source = dict(path=str(checkpoint), written=checkpoint.stat().st_mtime)
    resolved, facts = _describe(config, options, checkpoint=source)
    result = _earlier_result(folder, facts)
    if result is None:
        path = folder / METRICS
        _run('test.py', resolved, folder, [checkpoint, '--work-dir', folder, '--json', path])
        result = json.loads(path.read_text(encoding='utf-8'))
        _write_record(folder, facts, result)
    return result


def mean_and_spread(values: Iterable[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation; that of a single value is NaN."""
    values = np.asarray(list(values), np.float64)
    if not values.size:
        raise ValueError('no values to average; expected one per seed')
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan


def format_spread(values: Iterable[float], digits: int = 1) -> str:
    """Return ``mean ± standard deviation``; a single value stands alone."""
    mean, spread = mean_and_spread(values)
    return f'{mean:.{digits}f}' if math.isnan(spread) else f'{mean:.{digits}f} ± {spread:.{digits}f}'


def format_table(rows: Iterable[Sequence[Any]], header: Sequence[str]) -> str:
    """Return a Markdown table with aligned columns; floats have one digit after the point."""
    cells = [[f'{cell:.1f}' if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    check_widths(cells, header)
    widths = [max(map(len, column)) for column in zip(header, *cells)]
    lines = [list(header), ['-' * width for width in widths], *cells]
    return '\n'.join('| ' + ' | '.join(cell.ljust(width) for cell, width in zip(line, widths)) + ' |' for line in lines)


def _describe(path: Union[str, Path], options: Optional[Mapping[str, Any]], **facts: Any) -> tuple[Config, dict]:
    """Return the resolved config, and what makes a step the same as an earlier one, as JSON gives it back."""
    options = {key: str(value) if isinstance(value, Path) else value for key, value in (options or {}).items()}
    config = read_config(str(path), options)
    settings = {key: value for key, value in config.to_dict().items() if key not in ('work_dir', 'launcher')}
    return config, json.loads(json.dumps(dict(facts, config=settings), default=repr))


def _earlier_result(folder: Path, facts: Mapping[str, Any]) -> Any:
    """Return the result of the same step in a folder; None if it is not finished, and then note the step."""
    path = folder / RECORD
    result = None
    if path.is_file():
        try:
            record = json.loads(path.read_text(encoding='utf-8'))
            known, result = record['step'], record['result']
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f'{path} is no record of an experiment ({error}); remove the folder or name '
                             'another') from None
        difference = _first_difference(known, facts)
        # A step that failed before it made anything may be tried with a better config.
        if difference and (result is not None or _last_checkpoint(folder)):
            raise ValueError(f'{folder} holds another experiment: {difference}; remove it or name another folder')
    if result is None:
        _write_record(folder, facts, None)
    return result


def _write_record(folder: Path, facts: Mapping[str, Any], result: Any) -> None:
    with atomic_path(folder / RECORD) as work:
        work.write_text(json.dumps(dict(result=result, step=facts), indent=1), encoding='utf-8')


def _first_difference(known: Any, asked: Any, place: str = '') -> str:
    """Name the first entry in which two JSON values differ; empty if they do not."""
    if isinstance(known, dict) and isinstance(asked, dict):
        pairs = [(key, known.get(key), asked.get(key)) for key in sorted({*known, *asked})]
    elif isinstance(known, list) and isinstance(asked, list) and len(known) == len(asked):
        pairs = list(zip(range(len(known)), known, asked))
    else:
        return '' if known == asked else f'{place} is {known!r} there and {asked!r} now'
    differences = (_first_difference(old, new, f'{place}.{key}' if place else str(key)) for key, old, new in pairs)
    return next((difference for difference in differences if difference), '')


def _last_checkpoint(folder: Path) -> Optional[Path]:
    """Return the checkpoint that MMEngine wrote last, also after the folder was moved."""
    note = folder / 'last_checkpoint'
    path = folder / Path(note.read_text(encoding='utf-8').strip()).name if note.is_file() else folder
    return path if path.is_file() else None


def _run(tool: str, config: Config, folder: Path, arguments: Sequence[Any]) -> None:
    """Run a tool on a config; its output is added to the log of the folder."""
    path = folder / f'{Path(config.filename).stem}.py'
    config.dump(path)
    command = [sys.executable, str(TOOLS / tool), str(path), *map(str, arguments)]
    with open(folder / LOG, 'a', encoding='utf-8') as log, _termination_raises():
        status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        lines = (folder / LOG).read_text(encoding='utf-8', errors='replace').splitlines()[-LAST_LINES:]
        raise RuntimeError('\n'.join([f'{" ".join(command)} ended with status {status}; last lines of {folder / LOG}:',
                                      *lines]))


@contextmanager
def _termination_raises() -> Iterator[None]:
    """Turn SIGTERM into an exception, on which ``subprocess.run`` ends its process instead of leaving it running."""
    if threading.current_thread() is not threading.main_thread():  # others cannot receive signals
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
