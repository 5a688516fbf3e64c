"""Time steps, and large matrix products of the same moment to compare them with; a part of benchmark.py."""
from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from tqdm import tqdm

from loader_memory import memory_of

RUN_SECONDS = 8.0  # a run of slow batches ends early
WARM_UP = 2  # steps before the first run
MATRIX_SECONDS = 0.3  # of one look at the machine
MATRIX_REPETITIONS = 3  # at least, of which the best counts
GPU_SIZE = 8192
CPU_SIZES = (4096, 2048)  # the largest that is quick enough, or else:
SLOW_SIZE = 1024


@dataclass(frozen=True)
class Speed:
    """What one part of a config does, one figure per run.

    Attributes:
        part: 'loader', 'infer', 'train', 'end2end'.
        shape: (B, M, T, J, C) of the batch.
        clips: per second.
        flops: floating-point operations of one clip; None where the part has no model.
        matrix: FLOP/s of a large matrix product around each run.
        yardstick: FLOP/s of a float32 product around each run, to compare runs of different moments.
        alone: of 'end2end', clips per second of the training step alone around each run.
        memory: largest resident memory of this process during a run, bytes; None where the system does not tell.
        device_memory: largest memory of the GPU during a run, bytes; None without one.
    """

    part: str
    shape: tuple
    clips: tuple
    flops: Optional[float] = None
    matrix: tuple = ()
    yardstick: tuple = ()
    alone: tuple = ()
    memory: Optional[int] = None
    device_memory: Optional[int] = None

    @property
    def median(self) -> float:
        """Clips per second."""
        return statistics.median(self.clips)

    @property
    def shares(self) -> tuple:
        """Share of the rate of matrix products, one per run; empty where either is unknown."""
        return tuple(self.flops * clips / rate for clips, rate in zip(self.clips, self.matrix)) if self.flops else ()

    @property
    def relative(self) -> float:
        """Clips per operation of a float32 product: the speed, less what the machine's speed has drifted."""
        return statistics.median(clips / rate for clips, rate in zip(self.clips, self.yardstick))

    @property
    def shares_alone(self) -> tuple:
        """Share of the speed of the training step alone, one per run."""
        return tuple(clips / alone for clips, alone in zip(self.clips, self.alone))


# --- Clocks ---


def wait_for(device: str) -> None:
    """Wait until the queue of a GPU is empty."""
    if device.startswith('cuda'):
        torch.cuda.synchronize(device)


def timed(step: Callable[[], int], *, steps: int, device: str = 'cpu') -> float:
    """Repeat a step.

    Args:
        step: does its work and returns the clips that it handled.
        steps: fewer if they take more than ``RUN_SECONDS``, but one at least.
        device: whose queue is waited for before the clock is read.

    Returns:
        Clips per second.
    """
    wait_for(device)
    start, clips, done = time.perf_counter(), 0, 0
    while done < steps and (not done or time.perf_counter() - start < RUN_SECONDS):
        clips, done = clips + step(), done + 1
    wait_for(device)
    return clips / (time.perf_counter() - start)


def interleave(run: Callable[[], float], references: Sequence[Callable[[], float]], *, runs: int,
               title: str = '') -> tuple[tuple, list[tuple]]:
    """Measure again and again, with other measurements before and after every run.

    The speed of a machine drifts; neighbours in time have met the same.

    Args:
        run: returns a rate.
        references: each returns a rate.
        runs: of ``run``.
        title: of the progress bar.

    Returns:
        The rates, and for each reference one rate per run, the mean of the two next to it.
    """
    rates, around = [], []
    before = [reference() for reference in references]
    for _ in tqdm(range(runs), desc=title, unit='run', leave=False, disable=None):
        rates.append(run())
        after = [reference() for reference in references]
        around.append([(first + second) / 2 for first, second in zip(before, after)])
        before = after
    return tuple(rates), list(zip(*around)) if references else []


# --- Matrix products ---


class MatrixProduct:
    """A large square matrix product, the yardstick of what the machine can do at this moment.

    Args:
        device: e.g. 'cuda:0'.
        dtype: of the matrices.
    """

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.size = GPU_SIZE if device.startswith('cuda') else self._quick_size()

    def rate(self) -> float:
        """Return FLOP/s of the best of some repetitions."""
        return 2.0 * self.size ** 3 / self._seconds(self.size, MATRIX_SECONDS)

    def _quick_size(self) -> int:
        """Return the largest size whose repetitions fit into ``MATRIX_SECONDS``, about."""
        second = self._seconds(SLOW_SIZE, 0.0) / SLOW_SIZE ** 3
        fitting = [size for size in CPU_SIZES if second * size ** 3 * MATRIX_REPETITIONS < 1.5 * MATRIX_SECONDS]
        # A product of 2048 tells more than one of 1024, also where it takes somewhat longer.
        return fitting[0] if fitting else CPU_SIZES[-1] if second * CPU_SIZES[-1] ** 3 < 1.0 else SLOW_SIZE

    def _seconds(self, size: int, seconds: float) -> float:
        # Made anew each time: kept, they would count as memory of the model.
        left, right = torch.rand(2, size, size, device=self.device).to(self.dtype)
        times = []
        while len(times) < MATRIX_REPETITIONS or sum(times) < seconds:
            wait_for(self.device)
            start = time.perf_counter()
            left @ right
            wait_for(self.device)
            times.append(time.perf_counter() - start)
        return min(times)


# --- Memory ---


class PeakMemory:
    """The most memory that this process has held since ``start``, over several stretches of time.

    Where Linux does not let the peak be set back, that of the whole life of the process is told.

    Args:
        device: whose memory is told too, if it is a GPU.
    """

    def __init__(self, device: str) -> None:
        self.device, self.found = device, dict(memory=None, device_memory=None)

    def watch(self, run: Callable[[], Any]) -> Any:
        """Call ``run`` and note how much memory it took."""
        self._start()
        result = run()
        peaks = dict(memory=memory_of(os.getpid()).get('VmHWM'))
        if self.device.startswith('cuda'):
            peaks['device_memory'] = torch.cuda.max_memory_allocated(self.device)
        for name, peak in peaks.items():
            self.found[name] = max(filter(None, (peak, self.found[name])), default=None)
        return result

    def _start(self) -> None:
        if self.device.startswith('cuda'):
            torch.cuda.reset_peak_memory_stats(self.device)
        try:
            Path('/proc/self/clear_refs').write_text('5', encoding='ascii')  # proc(5): resets VmHWM
        except OSError:
            pass
