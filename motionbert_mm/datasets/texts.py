"""Texts that describe motion: their normal form, their mirror image, and the bank that wrong ones are drawn from.

A wrong text for a motion, a *negative*, must not be true of it. What is excluded are three masks (B, N) over the N
distinct texts of the bank, one function for each rule.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Union

import numpy as np

from motionbert_mm.datasets.motion_store import Clip

OVERLAPPING = ('exclude', 'share', 'keep')
NO_TEXT = ''
_SIDES = {'left': 'right', 'right': 'left', 'clockwise': 'counterclockwise'}
_SIDE_WORDS = re.compile(r'\b(?:(?:left|right)(?=(?:wards?|most|handed|footed)?\b)'
                         r'|(?:(?:counter|anti)[ -]?)?clockwise\b)', re.IGNORECASE)


def normal_form(text: str) -> str:
    """Return a text in lower case with single spaces; texts that agree in it are one text."""
    return ' '.join(text.lower().split())


def mirror_text(text: Union[str, Sequence]) -> Union[str, list]:
    """Swap left and right in a text, or in every text of a list; clockwise becomes counterclockwise and back.

    Whole words are swapped, with their endings (leftwards, right-handed); others stay (upright, bright).
    """
    return _mirror_words(text) if isinstance(text, str) else [mirror_text(entry) for entry in text]


@lru_cache(maxsize=1 << 16)  # the same texts come again in every epoch
def _mirror_words(text: str) -> str:
    return _SIDE_WORDS.sub(_swap, text)


def _swap(match: re.Match) -> str:
    word = match.group()
    other = _SIDES.get(word.lower(), 'clockwise')
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


class Lists:
    """A list of entries for each row, in flat arrays, looked up for many rows at once.

    Args:
        lists: of numbers, or of tuples of K numbers.
        dtype: of the entries.

    Attributes:
        values: (V,) or (V, K), the entries of all rows, one row behind the other.
        starts: (R,) first entry of each row.
        counts: (R,) entries of each row.
    """

    def __init__(self, lists: Sequence[Sequence], dtype: Any = np.int64) -> None:
        self.counts = np.array([len(entries) for entries in lists], np.int64)
        self.starts = np.cumsum(self.counts) - self.counts
        self.values = np.array(list(chain.from_iterable(lists)), dtype)

    def entries(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return for rows (B,) which of them (S,) each of all their entries belongs to, and its place (S,)."""
        counts = self.counts[rows]
        owners = np.repeat(np.arange(len(rows)), counts)
        return owners, np.arange(len(owners)) + np.repeat(self.starts[rows] - np.cumsum(counts) + counts, counts)


class LabelBank:
    """The distinct texts of some clips, and what is known of the clips.

    Args:
        clips: clips of a store; their texts, categories (else the action), sequence and seconds are read.
        labels: sequence -> (start, end, text) of everything that is said of it, seconds; also of clips that are not
            among ``clips``.

    Attributes:
        texts: the distinct texts in their normal form, N of them, in the order of the clips.
        own: of each clip, the places of its texts.
    """

    def __init__(self, clips: Sequence[Clip], labels: Mapping[str, Sequence]) -> None:
        places: dict[str, int] = {}
        own = [[places.setdefault(text, len(places)) for text in dict.fromkeys(map(normal_form, clip.text)) if text]
               for clip in clips]
        self.texts, self.own = tuple(places), Lists(own)
        self._texts = np.array([*self.texts, NO_TEXT], object)
        self._categories, self._text_categories = self._count_categories(clips)
        sequences = {name: number for number, name in enumerate(labels)}
        self._sequence = np.array([sequences.get(clip.sequence, len(sequences)) for clip in clips])
        known = [[(start, end, places.get(normal_form(text), -1)) for start, end, text in entries]
                 for entries in labels.values()]
        self._labels = Lists([[entry for entry in entries if entry[2] >= 0] for entries in known] + [[]], np.float64)

    def __len__(self) -> int:
        return len(self.texts)

    def look_up(self, places: np.ndarray) -> Union[str, list]:
        """Return the texts at some places, of any shape, as nested lists; -1 is no text, ''."""
        return self._texts[places].tolist()

    def own_texts(self, clips: np.ndarray) -> np.ndarray:
        """Mark the texts of clips (B,) themselves: (B, N)."""
        owners, entries = self.own.entries(clips)
        return self._mark(len(clips), owners, self.own.values[entries])

    def overlapping_texts(self, clips: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Mark what is said of the same sequence between seconds (B, 2) of it: (B, N)."""
        owners, entries = self._labels.entries(self._sequence[clips])
        start, end, text = self._labels.values.reshape(-1, 3)[entries].T
        is_met = (start < seconds[owners, 1]) & (end > seconds[owners, 0])
        return self._mark(len(clips), owners[is_met], text[is_met].astype(np.int64))

    def related_texts(self, clips: np.ndarray) -> np.ndarray:
        """Mark the texts of clips that share a category with clips (B,): (B, N)."""
        return self._categories[clips].astype(np.float32) @ self._text_categories.T > 0

    def _mark(self, size: int, owners: np.ndarray, texts: np.ndarray) -> np.ndarray:
        marked = np.zeros((size, len(self)), bool)
        marked[owners, texts] = True
        return marked

    def _count_categories(self, clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
        """Return which categories each clip (clips, C) and each text (N, C) has."""
        lists = [clip.categories or ((clip.action,) if clip.action else ()) for clip in clips]
        places = {name: place for place, name in enumerate(dict.fromkeys(chain.from_iterable(lists)))}
        of_clips = np.zeros((len(clips), len(places)), bool)
        of_texts = np.zeros((len(self), len(places)), np.float32)
        for number, names in enumerate(lists):
            columns = [places[name] for name in names]
            of_clips[number, columns] = True
            start = self.own.starts[number]
            of_texts[np.ix_(self.own.values[start:start + self.own.counts[number]], columns)] = 1
        return of_clips, of_texts


class NegativeSampler:
    """Draw wrong texts for motions, uniformly over the distinct texts of a bank and without replacement.

    Frequent texts are not drawn more often than rare ones. The texts of the clip itself are never drawn.

    Args:
        bank: of the data set.
        number: K, wrong texts for each sample. Published (ActionPose): 16.
        overlapping: what becomes of other texts that are true of the frames shown, since they are said of the same
            sequence at the same time: 'exclude' them, 'share' makes them positives and excludes them, 'keep' lets them
            be drawn.
        same_category: exclude the texts of clips that share a category; coarse, as "hop left" and "hop right" do.

    Raises:
        ValueError: a negative number, or an unknown way.
    """

    def __init__(self, bank: LabelBank, *, number: int = 16, overlapping: str = 'exclude',
                 same_category: bool = False) -> None:
        if number < 0 or overlapping not in OVERLAPPING:
            raise ValueError(f'negatives got number={number} and overlapping={overlapping!r}; expected a number of at '
                             f'least 0 and one of {OVERLAPPING}; change negatives of the data set')
        self.bank, self.number, self.overlapping, self.same_category = bank, number, overlapping, same_category

    @property
    def shares(self) -> bool:
        """Whether further texts are positives."""
        return self.overlapping == 'share'

    def __call__(self, clips: np.ndarray, text_ids: np.ndarray, seconds: np.ndarray,
                 rng: np.random.Generator) -> tuple[np.ndarray, list]:
        """Draw for windows of clips.

        Args:
            clips: (B,) their clips.
            text_ids: (B,) place of the text that was chosen for each, -1 for none: such a sample gets nothing.
            seconds: (B, 2) begin and end of the frames shown, in the sequence.
            rng: draws.

        Returns:
            Places (B, K), -1 at the end where fewer texts are left, and of each sample the list of the places of its
            further positives, empty unless they are shared.
        """
        own, has_text = self.bank.own_texts(clips), text_ids >= 0
        true = own if self.overlapping == 'keep' else own | self.bank.overlapping_texts(clips, seconds)
        excluded = true | ~has_text[:, None]
        if self.same_category:
            excluded = excluded | self.bank.related_texts(clips)
        negatives = draw_distinct(~excluded, self.number, rng)
        if not self.shares:
            return negatives, [[] for _ in clips]
        further = true & has_text[:, None]
        further[np.flatnonzero(has_text), text_ids[has_text]] = False
        return negatives, [np.flatnonzero(row).tolist() for row in further]


def draw_distinct(allowed: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Draw entries of every row, all that are allowed equally likely, none twice.

    Args:
        allowed: (B, N) bool.
        number: K.
        rng: draws.

    Returns:
        (B, K) places in the row; -1 at the end where fewer are allowed.
    """
    drawn = np.full((len(allowed), number), -1, np.int64)
    count = min(number, allowed.shape[1])
    if count:
        keys = rng.random(allowed.shape, dtype=np.float32) + ~allowed  # what is not allowed comes last
        nearest = np.argpartition(keys, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(keys, nearest, axis=1), axis=1)
        places = np.take_along_axis(nearest, order, axis=1)
        drawn[:, :count] = np.where(np.take_along_axis(allowed, places, axis=1), places, -1)
    return drawn
