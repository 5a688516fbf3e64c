"""WordPiece: texts to numbers of word pieces, vocabularies read and trained.

A piece that goes on with a word begins with ##. The numbers and the split into pieces are those of BERT.
"""
from __future__ import annotations

import os
import string
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Union

from tqdm import tqdm

PAD, UNKNOWN, CLASS, END = '[PAD]', '[UNK]', '[CLS]', '[SEP]'
SPECIAL = (PAD, UNKNOWN, CLASS, END, '[MASK]')
GOES_ON = '##'


def import_tokenizers() -> Any:
    """Return the package ``tokenizers``; ImportError names the extra."""
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(f'texts need the package tokenizers ({error}); install the extra: pip install '
                          "'motionbert_mm[text]'") from error
    return tokenizers


def make_tokenizer(words: Sequence[str], *, lowercase: bool = True, max_tokens: int = 32) -> Any:
    """Make BERT's tokenizer of a vocabulary: [CLS], the pieces of a text, [SEP].

    Args:
        words: of the vocabulary in order.
        lowercase: write texts in lower case, without accents, first.
        max_tokens: longer texts are cut.

    Returns:
        A ``tokenizers.Tokenizer``.
    """
    tokenizers = import_tokenizers()
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(
        numbers, unk_token=UNKNOWN, continuing_subword_prefix=GOES_ON, max_input_chars_per_word=100))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing((END, numbers[END]), (CLASS, numbers[CLASS]))
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def read_vocabulary(path: Union[str, os.PathLike]) -> list[str]:
    """Read a ``vocab.txt``, a word on every line.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no text, or see ``check_vocabulary``.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'vocabulary {path} does not exist; make it with tools/train_vocabulary.py, or set '
                                'vocab_file or path of text_encoder in the config')
    try:
        with open(path, encoding='utf-8') as file:
            # Not splitlines: vocabularies of BERT hold characters that it would take for ends of lines.
            words = file.read().rstrip('\n').split('\n')
    except UnicodeDecodeError as error:
        raise ValueError(f'vocabulary {path} is not UTF-8 text ({error}); expected a word on every line') from None
    check_vocabulary(words, str(path))
    return words


def check_vocabulary(words: Sequence[str], source: str) -> None:
    """Refuse a vocabulary without the special tokens that texts need, or with a word twice."""
    missing = [word for word in SPECIAL[:4] if word not in words]
    if missing:
        raise ValueError(f'the vocabulary of {source} ({len(words)} words) lacks {", ".join(missing)}; expected the '
                         'vocab.txt of a BERT, or one of tools/train_vocabulary.py, a word on every line')
    twice = [word for word, count in Counter(words).items() if count > 1]
    if twice:
        raise ValueError(f'the vocabulary of {source} has {len(twice)} words twice, e.g. {twice[0]!r}; the numbers of '
                         'words are their lines, each word has one')


def train_vocabulary(texts: Iterable[str], size: int, *, lowercase: bool = True) -> list[str]:
    """Train a WordPiece vocabulary: join the most frequent pair of pieces until there are enough.

    Of equally frequent pairs the first in the alphabet is joined, and every distinct text counts once, in whatever
    order they come: the same texts give the same vocabulary. The trainers of ``tokenizers`` do not; they go through
    words in an order that changes from process to process.

    Args:
        texts: that describe the training data.
        size: most words of the vocabulary; fewer if all words of the texts are whole. Letters a to z, digits and all
            characters of the texts are always in, so that words that were not seen are spelt.
        lowercase: see ``make_tokenizer``.

    Returns:
        Special tokens, characters, then pieces in the order in which they were made.

    Raises:
        ValueError: no word in the texts, or a size too small for the characters.
    """
    counts = count_words(texts, lowercase=lowercase)
    if not counts:
        raise ValueError('the texts have no word; a vocabulary needs some, see the texts of the clips of the store')
    characters = sorted({*string.ascii_lowercase, *string.digits, *''.join(counts)})
    words = [*SPECIAL, *characters, *(GOES_ON + character for character in characters)]
    if size < len(words):
        raise ValueError(f'size {size} is too small: special tokens and characters are {len(words)} words already')
    pairs, vocabulary = _Pairs(counts), dict.fromkeys(words)
    with tqdm(total=size, initial=len(vocabulary), desc='Training the vocabulary', disable=None) as progress:
        while len(vocabulary) < size:
            joined = pairs.join_most_frequent()
            if joined is None:
                break
            vocabulary[joined] = None  # it may be there: a piece can be made in several ways
            progress.update(len(vocabulary) - progress.n)
    return list(vocabulary)


def count_words(texts: Iterable[str], *, lowercase: bool = True) -> Counter:
    """Count the words of the distinct texts; punctuation marks are words too."""
    tokenizers = import_tokenizers()
    normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    splitter = tokenizers.pre_tokenizers.BertPreTokenizer()
    return Counter(word for text in sorted(set(map(normalizer.normalize_str, texts)))
                   for word, _ in splitter.pre_tokenize_str(text))


class _Pairs:
    """Neighbouring pieces of words, how often each pair stands in the texts, and in which words."""

    def __init__(self, counts: Counter) -> None:
        self.frequencies = list(counts.values())
        self.words = [[word[0], *(GOES_ON + character for character in word[1:])] for word in counts]
        self.counts: Counter = Counter()
        self.places: defaultdict = defaultdict(set)
        for place in range(len(self.words)):
            self._count(place, 1)

    def join_most_frequent(self) -> Union[str, None]:
        """Join the most frequent pair wherever it stands; return the new piece, or None if all words are whole."""
        if not self.counts:
            return None
        highest = max(self.counts.values())
        first, second = pair = min(pair for pair, count in self.counts.items() if count == highest)
        joined = first + second[len(GOES_ON):]
        for place in sorted(self.places[pair]):
            self._count(place, -1)
            self.words[place] = _join(self.words[place], pair, joined)
            self._count(place, 1)
        return joined

    def _count(self, place: int, sign: int) -> None:
        """Add the pairs of a word to the counts, or take them away."""
        pieces = self.words[place]
        for pair in zip(pieces, pieces[1:]):
            self.counts[pair] += sign * self.frequencies[place]
            if sign > 0:
                self.places[pair].add(place)
            elif self.counts[pair] == 0:
                del self.counts[pair], self.places[pair]


def _join(pieces: Sequence[str], pair: tuple, joined: str) -> list[str]:
    """Put a joined piece in the place of a pair, from the left."""
    result: list[str] = []
    for piece in pieces:
        if result and (result[-1], piece) == pair:
            result[-1] = joined
        else:
            result.append(piece)
    return result
