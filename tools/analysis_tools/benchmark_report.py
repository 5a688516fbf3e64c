"""Tables and JSON of benchmark.py."""
from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

import mmengine
import numpy as np
import torch
from mmengine.config import Config

from benchmark_timing import Speed
from motionbert_mm import __version__
from motionbert_mm.io.atomic import atomic_path


@dataclass
class Job:
    """One config to measure, and what was found.

    Attributes:
        path: of the config.
        config: as the command line wants it.
        note: about its data.
        counted: floating-point operations of a clip, of 'infer' and 'train'.
        speeds: by part.
        baseline: by part.
    """

    path: str
    config: Config
    note: str = ''
    counted: dict = field(default_factory=dict)
    speeds: dict[str, Speed] = field(default_factory=dict)
    baseline: dict[str, Speed] = field(default_factory=dict)

    def times_baseline(self, part: str) -> Optional[float]:
        """Return how many times as fast as the baseline a part is; real training is compared with its bare steps."""
        other = self.baseline.get('train' if part == 'end2end' else part)
        return self.speeds[part].relative / other.relative if other and part in self.speeds else None


def describe_machine(device: str) -> str:
    """Return one line about processor, load, threads and versions."""
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        names = [line.split(':')[1].strip() for line in info.read_text().splitlines() if line.startswith('model name')]
        name = names[0] if names else name
    gpu = f', {torch.cuda.get_device_name(device)}' if device.startswith('cuda') else ''
    load = f', load average {os.getloadavg()[0]:.1f}' if hasattr(os, 'getloadavg') else ''
    return (f'{name}, {os.cpu_count()} CPUs{gpu}{load}; {torch.get_num_threads()} threads, torch {torch.__version__}, '
            f'Python {platform.python_version()}, device {device}')


def format_header(has_gpu: bool, has_baseline: bool) -> str:
    """Return the names of the columns."""
    return (f'{"":<15}{"clips/s":>10}{"frames/s":>11}{"GFLOP/s":>10}{"matrix":>10}{"share":>8}'
            f'{"(slowest - fastest)":>22}{"MB":>9}' + f'{"GPU MB":>9}' * has_gpu + f'{"x baseline":>12}' * has_baseline)


def format_speed(speed: Speed, name: str, *, has_gpu: bool = False, times: Optional[float] = None) -> str:
    """Return one line of the table."""
    texts = [_rounded(speed.median), _rounded(speed.median * speed.shape[2]), '-', '-', '-',
             f'({_rounded(min(speed.clips))} - {_rounded(max(speed.clips))})', _megabytes(speed.memory)]
    if speed.flops:
        texts[2:5] = (_rounded(speed.flops * speed.median / 1e9), _rounded(statistics.median(speed.matrix) / 1e9),
                      f'{statistics.median(speed.shares):.1%}')
    widths = [10, 11, 10, 10, 8, 22, 9]
    if has_gpu:
        texts, widths = [*texts, _megabytes(speed.device_memory)], [*widths, 9]
    if times:
        texts, widths = [*texts, f'{times:.2f}'], [*widths, 12]
    return f'{name:<15}' + ''.join(f'{text:>{width}}' for text, width in zip(texts, widths))


def format_notes(job: Job) -> str:
    """Return what the table does not say: operations of a clip, and real training against its bare steps."""
    names = {'infer': 'forward', 'train': 'forward and backward'}
    lines = ['GFLOP of one clip: ' + ', '.join(f'{name} {job.counted[part] / 1e9:,.4g}' for part, name in names.items()
                                               if part in job.counted)] if job.counted else []
    if 'end2end' in job.speeds:
        shares = job.speeds['end2end'].shares_alone
        lines.append(f'end2end has {statistics.median(shares):.1%} of the speed of train alone '
                     f'({min(shares):.1%} - {max(shares):.1%}), measured in turns')
    return '\n'.join(lines)


def _rounded(value: float) -> str:
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def _megabytes(value: Optional[int]) -> str:
    return '-' if value is None else f'{value / 1e6:,.0f}'


def to_document(jobs: Sequence[Job], **facts: Any) -> dict:
    """Return everything that was measured, and facts about the run, as plain types of JSON."""
    def row(speed: Speed) -> dict:
        return {**asdict(speed), 'median': speed.median, 'shares': speed.shares, 'shares_alone': speed.shares_alone}

    versions = dict(python=platform.python_version(), torch=torch.__version__, numpy=np.__version__,
                    mmengine=mmengine.__version__, motionbert_mm=__version__)
    return dict(facts, versions=versions, configs=[dict(
                    config=job.path, batch_size=job.config.train_dataloader.batch_size,
                    num_workers=job.config.train_dataloader.get('num_workers', 0), note=job.note,
                    parts={part: row(speed) for part, speed in job.speeds.items()},
                    baseline={part: row(speed) for part, speed in job.baseline.items()},
                    times_baseline={part: job.times_baseline(part) for part in job.speeds}) for job in jobs])


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document, whole or not at all."""
    with atomic_path(path) as work:
        work.write_text(json.dumps(document, indent=1), encoding='utf-8')
