"""Which frames make a window; the only place where windows are laid out.

``WindowPlan`` numbers the windows of all clips of a data set; the functions lay out one sequence. Readers gather
frames with the index arrays that come back.
Random samplers draw from ``rng``, a ``numpy.random.Generator`` or (for parity with official code) ``RandomState``.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import numpy as np

Rng = Union[np.random.Generator, np.random.RandomState]
Lengths = Union[int, np.ndarray]
KINDS = ('sliding', 'centre', 'uniform', 'resample', 'official', 'crop')
WHOLE_CLIPS = ('uniform', 'resample')  # kinds that bring a whole clip to T frames
TAILS = ('drop', 'shift', 'pad')


class WindowPlan:
    """Number the windows of many clips and compute the frames of any of them, a batch at a time.

    Nothing is stored per window but what a formula needs, so that a window per frame of millions of frames
    costs no memory. Only stretched clips of ``kind='official'`` keep their frames.

    Args:
        lengths: frames of each clip.
        num_frames: T of a window.
        kind: 'sliding' windows every ``stride`` frames; 'centre': one window around every frame, edges
            replicated; 'uniform' and 'resample': the whole clip brought to T frames, see
            ``uniform_indices`` and ``resample_indices``; 'official': the clips of MotionBERT, see
            ``official_clips``; 'crop': one window of each clip, its middle frames, or the whole clip in the middle of
            padding that is hidden from the network too.
        stride: of sliding and official windows; None is ``num_frames``, no overlap.
        dilation: step between the frames of a window (P-STMO's temporal downsampling).
        tail: frames after the last full sliding window: 'drop', 'shift' (a last window that ends with the
            clip and overlaps its neighbour) or 'pad' (a last window with the edge replicated).
        jitter: start sliding windows up to ``stride`` - 1 frames later, drawn anew every time; of 'uniform' and
            'resample', draw the frames; of 'crop', draw where the window begins in the clip, or the clip in the
            window. Without it, always the same windows.
        centres: of 'centre': frames of each clip that get a window, all by default; their neighbours in the
            window may be any frames of the clip.
        seed: of the stretched clips of 'official', drawn once. A ``RandomState`` goes on where another plan stopped,
            as the test clips of Human3.6M do after the training clips in the official code.

    Raises:
        ValueError: unknown names, numbers below 1, options that the kind has not, frames that a clip has not, or no
            window in any clip.
    """

    def __init__(self, lengths: Sequence[int], *, num_frames: int, kind: str = 'sliding',
                 stride: Optional[int] = None, dilation: int = 1, tail: str = 'shift', jitter: bool = False,
                 centres: Optional[Sequence[np.ndarray]] = None,
                 seed: Union[int, np.random.RandomState] = 0) -> None:
        if kind not in KINDS or tail not in TAILS:
            raise ValueError(f'window kind {kind!r} and tail {tail!r}: expected kind in {KINDS} and tail in {TAILS}')
        if kind == 'official' and (dilation != 1 or jitter):
            raise ValueError(f"window kind 'official' takes every frame and always the same clips, got dilation "
                             f"{dilation} and jitter {jitter}; use kind='sliding' for these")
        stride = num_frames * dilation if stride is None else stride
        if min(num_frames, stride, dilation) < 1:
            raise ValueError(f'num_frames {num_frames}, stride {stride} and dilation {dilation} must be at least 1')
        self.num_frames, self.kind, self.stride, self.dilation = num_frames, kind, stride, dilation
        self.tail, self.jitter = tail, jitter
        self.lengths = np.asarray(lengths, np.int64)
        self.span = (num_frames - 1) * dilation + 1
        self._centres, self._num_centres = self._check_centres(centres)
        self._stretched, self._stretched_row = self._draw_stretched(seed)
        self._ends = np.cumsum(self._count())
        if not len(self):
            raise ValueError(f'no clip is as long as a window of {self.span} frames (longest: {self.lengths.max()}); '
                             "use fewer num_frames or tail='pad'")

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def takes_whole_clips(self) -> bool:
        """Whether a window is a clip brought to T frames."""
        return self.kind in WHOLE_CLIPS

    @property
    def hides_padding(self) -> bool:
        """Whether frames beyond the ends of a clip are hidden from the network, not only left out of losses."""
        return self.kind == 'crop'

    @property
    def clips(self) -> np.ndarray:
        """The clip (W,) of every window."""
        return np.repeat(np.arange(len(self._ends)), np.diff(self._ends, prepend=0))

    def _count(self) -> np.ndarray:
        """Return the number of windows of each clip."""
        if self.takes_whole_clips or self.kind == 'crop':
            return np.ones_like(self.lengths)
        if self.kind == 'centre':
            return self.lengths if self._centres is None else self._num_centres
        beyond = self.lengths - self.span  # frames after the first window
        if self.kind == 'official' or self.tail == 'drop':
            return np.where(self._stretched_row >= 0, 1, np.maximum(beyond // self.stride + 1, 0))
        count = np.maximum(-(-beyond // self.stride), 0) + 1
        # A stride above the span can step over the end, where 'pad' would make a window of nothing but padding.
        return np.minimum(count, -(-self.lengths // self.stride)) if self.tail == 'pad' else count

    def _check_centres(self, centres: Optional[Sequence[np.ndarray]]) -> tuple:
        """Return the centres of all clips in one array, in the order of the windows, and their number by clip."""
        if centres is None:
            return None, None
        if self.kind != 'centre' or len(centres) != len(self.lengths):
            raise ValueError(f"window centres go with kind='centre' and need one array of frames for each clip, got "
                             f'kind {self.kind!r} and {len(centres)} arrays for {len(self.lengths)} clips')
        centres = [np.asarray(frames, np.int64) for frames in centres]
        for clip, frames in enumerate(centres):
            if len(frames) and not 0 <= frames.min() <= frames.max() < self.lengths[clip]:
                raise ValueError(f'window centres {frames.min()}..{frames.max()} were asked for in clip {clip}, which '
                                 f'has {self.lengths[clip]} frames')
        if not sum(map(len, centres)):
            raise ValueError('no frame of any clip is to be the centre of a window')
        return np.concatenate(centres), np.array([len(frames) for frames in centres])

    def _draw_stretched(self, seed: Union[int, np.random.RandomState]) -> tuple[np.ndarray, np.ndarray]:
        """Return the frames (K, T) of the K clips that are stretched to a window, and each clip's row there or -1."""
        # Official: the last clip is dropped where it is too short.
        is_short = (self.lengths[:-1] < self.num_frames) & (self.kind == 'official')
        short, rows = np.flatnonzero(is_short), np.full(len(self.lengths), -1)
        rows[short] = np.arange(len(short))
        rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
        return resample_indices(self.lengths[short], self.num_frames, rng).astype(np.int32), rows

    def frames(self, indices: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return clip (B,), frames (B, T) and whether a frame lies inside its clip (B, T), for windows (B,)."""
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f'window numbers {indices.min()}..{indices.max()} were asked for, but there are '
                             f'{len(self)} windows')
        clips = np.searchsorted(self._ends, indices, side='right')
        lengths = self.lengths[clips]
        if self.takes_whole_clips:
            pick = uniform_indices if self.kind == 'uniform' else resample_indices
            frames = pick(lengths, self.num_frames, rng if self.jitter else None)
            return clips, frames, np.ones_like(frames, bool)
        number = (indices - self._ends[clips - 1] * (clips > 0)) if self._centres is None else self._centres[indices]
        starts = self._starts(number, lengths, rng)
        frames = starts[:, None] + np.arange(self.num_frames) * self.dilation
        if len(self._stretched):
            row = self._stretched_row[clips]
            frames[row >= 0] = self._stretched[row[row >= 0]]
        kept = np.clip(frames, 0, lengths[:, None] - 1)
        return clips, kept, kept == frames

    def _starts(self, number: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.kind == 'centre':
            return number - (self.num_frames // 2) * self.dilation
        if self.kind == 'crop':
            room = lengths - self.span  # negative: frames of padding
            shift = rng.integers(np.abs(room) + 1) if self.jitter else np.abs(room) // 2
            return np.sign(room) * shift
        starts = number * self.stride
        if self.jitter:
            starts = starts + rng.integers(self.stride, size=len(starts))
        if self.tail != 'pad' or self.jitter:
            starts = np.minimum(starts, np.maximum(lengths - self.span, 0))
        return starts


def sliding_windows(length: int, num_frames: int, stride: int, tail: str = 'drop') -> np.ndarray:
    """Cut a sequence into windows at equal distance.

    Args:
        length: frames in the sequence.
        num_frames: frames per window T.
        stride: distance between the starts of two windows.
        tail: what becomes of the frames after the last whole window. ``drop`` leaves them out; ``shift`` adds a
            window that ends with the sequence; ``pad`` adds one at the next stride that repeats the last
            frame. A sequence shorter than T gives no window with ``drop``, else one that repeats the last frame.

    Returns:
        (K, T) frame indices.
    """
    _check_positive(length=length, num_frames=num_frames, stride=stride)
    if tail == 'drop' and length < num_frames:
        return np.empty((0, num_frames), np.int64)
    return _all_frames(WindowPlan([length], num_frames=num_frames, stride=stride, tail=tail))


def centre_windows(length: int, num_frames: int, dilation: int = 1) -> np.ndarray:
    """Lay a window around every frame, repeating the first and last frame beyond the ends.

    Differs from official: P-STMO pads one end only, so that sequences shorter than the span give short windows.

    Args:
        length: frames in the sequence.
        num_frames: frames per window T; the centre is at T // 2.
        dilation: distance between frames of a window (temporal down-sampling of P-STMO).

    Returns:
        (length, T) frame indices.
    """
    _check_positive(length=length, num_frames=num_frames, dilation=dilation)
    return _all_frames(WindowPlan([length], num_frames=num_frames, kind='centre', dilation=dilation))


def uniform_indices(length: Lengths, num_frames: int, rng: Optional[Rng] = None) -> np.ndarray:
    """Take one frame from each of T equal segments: a random one, or the middle one without ``rng``.

    Args:
        length: frames in the sequence, or (B,) of each of many.
        num_frames: frames wanted, T.
        rng: draws.

    Returns:
        (T,) or (B, T) frame indices in ascending order; frames repeat where ``length`` < T.
    """
    _check_positive(length=length, num_frames=num_frames)
    lengths = np.asarray(length, np.int64)[..., None]
    shift = 0.5 if rng is None else rng.random((*lengths.shape[:-1], num_frames))
    places = (np.arange(num_frames) + shift) * lengths / num_frames
    return np.minimum(places.astype(np.int64), lengths - 1)


def resample_indices(length: Lengths, num_frames: int, rng: Optional[Rng] = None,
                     replay: bool = False) -> np.ndarray:
    """Stretch or shrink sequences to T frames as MotionBERT does. Official: ``resample`` in utils_data.py.

    Args:
        length: frames in the sequence, or (B,) of each of many.
        num_frames: frames wanted, T.
        rng: jitters the frames: a random frame of each segment, or, when stretching, a random neighbour of each
            grid point. Without it, the start of each segment. Draws for all sequences that are stretched first.
        replay: keep the speed: a random run of T frames (the first without ``rng``), or the sequence over and over.
            Official: the run that ends with the last frame is never drawn.

    Returns:
        (T,) or (B, T) frame indices.
    """
    _check_positive(length=length, num_frames=num_frames)
    lengths = np.asarray(length, np.int64)
    if replay:
        starts, has_choice = np.zeros_like(lengths), lengths > num_frames
        if rng is not None:
            starts[has_choice] = _integers(rng, lengths[has_choice] - num_frames)
        return (starts[..., None] + np.arange(num_frames)) % lengths[..., None]
    places = np.linspace(0, lengths, num=num_frames, endpoint=False, axis=-1)
    if rng is not None:
        # A single length selects one row, or none; an empty selection draws nothing.
        stretched, shrunk = lengths < num_frames, lengths >= num_frames
        grid = places[stretched]
        takes_floor = _integers(rng, 2, size=grid.shape) == 1
        places[stretched] = np.sort(np.where(takes_floor, np.floor(grid), np.ceil(grid)), axis=-1)
        steps = lengths[shrunk, None] / num_frames
        places[shrunk] += rng.random((len(steps), num_frames)) * steps
    return np.minimum(places.astype(np.int64), lengths[..., None] - 1)


def official_clips(ids: Sequence[Any], num_frames: int, stride: int, rng: Rng) -> np.ndarray:
    """Cut concatenated sequences into clips as MotionBERT does. Official: ``split_clips`` in utils_data.py.

    Its quirks are kept: frames after the last whole clip are dropped; a sequence without a clip is stretched
    to one by ``resample_indices``, unless its id gave a clip before or it is the last sequence.

    Args:
        ids: (F,) sequence id of every frame.
        num_frames: frames per clip T.
        stride: distance between the starts of two clips.
        rng: draws for the stretched clips.

    Returns:
        (K, T) frame indices.
    """
    ids = np.asarray(ids)
    _check_positive(length=len(ids), num_frames=num_frames, stride=stride)
    starts = np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1])
    ends = np.append(starts[1:], len(ids))
    clips, served = [np.empty((0, num_frames), np.int64)], set()
    for start, end in zip(starts, ends):
        windows = sliding_windows(end - start, num_frames, stride)
        if not len(windows) and end < len(ids) and ids[start] not in served:
            windows = resample_indices(end - start, num_frames, rng)[None]
        if len(windows):
            served.add(ids[start])
            clips.append(start + windows)
    return np.concatenate(clips)


def _all_frames(plan: WindowPlan) -> np.ndarray:
    """Frames (K, T) of all windows of a plan without random draws."""
    return plan.frames(np.arange(len(plan)), np.random.default_rng(0))[1]


def _integers(rng: Rng, high: Lengths, size: Any = None) -> Any:
    """Draw integers in [0, high) from either kind of generator."""
    return (rng.integers if isinstance(rng, np.random.Generator) else rng.randint)(high, size=size)


def _check_positive(**numbers: Lengths) -> None:
    """Refuse empty sequences and meaningless sizes."""
    for name, number in numbers.items():
        if np.any(np.less(number, 1)):
            raise ValueError(f'{name} must be at least 1, got {np.min(number)}.')
