"""Texts, their mirror images, and which of them may stand for wrong ones."""
import numpy as np
import pytest

from motionbert_mm.datasets.motion_store import Clip
from motionbert_mm.datasets.texts import LabelBank, Lists, NegativeSampler, draw_distinct, mirror_text, normal_form

# A recording of two overlapping actions and a later one, one of another recording, and clips of none.
CLIPS = [Clip('a', 0, 60, text=('walk',), sequence='7', seconds=(0.0, 2.0), categories=('walk',)),
         Clip('b', 60, 60, text=('Wave  left',), sequence='7', seconds=(1.0, 3.0), categories=('wave', 'hand')),
         Clip('c', 120, 60, text=('jump', 'hop'), sequence='7', seconds=(4.0, 6.0), categories=('jump',)),
         Clip('d', 180, 60, text=('walk',), sequence='8', seconds=(0.0, 2.0), categories=('walk',)),
         Clip('e', 240, 60, text=('stroll',), action='walk'), Clip('f', 300, 60, text=('clap',), categories=('hand',)),
         Clip('g', 360, 60)]
LABELS = {'7': [[0.0, 2.0, 'walk'], [1.0, 3.0, 'wave left'], [4.0, 6.0, 'jump'], [1.5, 1.7, 'Clap'],
                [0.0, 9.0, 'never cut']], '8': [[0.0, 2.0, 'walk']]}
TEXTS = ('walk', 'wave left', 'jump', 'hop', 'stroll', 'clap')


@pytest.fixture
def bank():
    return LabelBank(CLIPS, LABELS)


def names(marked):
    return {text for text, is_marked in zip(TEXTS, marked) if is_marked}


def seconds_of(*clips):
    return np.array([CLIPS[clip].seconds or (0.0, 2.0) for clip in clips])


def draw(bank, clip, times=400, seconds=None, **options):
    """Every text that is ever drawn for a clip, and how often, and the positives."""
    clips = np.full(times, clip)
    seconds = np.tile(seconds_of(clip) if seconds is None else [seconds], (times, 1))
    first = bank.own.values[bank.own.starts[clip]] if bank.own.counts[clip] else -1
    sampler = NegativeSampler(bank, **{'number': 2, **options})
    places, positives = sampler(clips, np.full(times, first), seconds, np.random.default_rng(0))
    texts, counts = np.unique(bank.look_up(places), return_counts=True)
    return dict(zip(texts.tolist(), counts.tolist())), bank.look_up(np.array(positives[0], int))


@pytest.mark.parametrize('text, mirrored', [
    ('hop left', 'hop right'), ('raise the right arm, then the left', 'raise the left arm, then the right'),
    ('Left', 'Right'), ('LEFT', 'RIGHT'), ('leftwards', 'rightwards'), ('right-handed throw', 'left-handed throw'),
    ('stand upright', 'stand upright'), ('bright lefty', 'bright lefty'), ('turn clockwise', 'turn counterclockwise'),
    ('', '')])
def test_sides_are_swapped_and_back(text, mirrored):
    assert mirror_text(text) == mirrored and mirror_text(mirrored) == text


def test_all_spellings_of_counterclockwise_are_mirrored():
    for word in ('counterclockwise', 'counter clockwise', 'counter-clockwise', 'anticlockwise', 'anti-clockwise'):
        assert mirror_text(f'turn {word}') == 'turn clockwise'


def test_lists_of_texts_are_mirrored_at_any_depth():
    assert mirror_text([['left'], 'walk', []]) == [['right'], 'walk', []]


def test_normal_form():
    assert normal_form('  Walk \t FORWARD\n') == 'walk forward'


def test_the_bank_holds_each_text_once_in_its_normal_form(bank):
    assert bank.texts == TEXTS and len(bank) == 6
    assert bank.look_up(np.array([[0, -1], [2, 3]])) == [['walk', ''], ['jump', 'hop']]


def test_lists_give_the_entries_of_many_rows():
    lists = Lists([[5, 6], [], [7], [8, 9, 10]])
    owners, places = lists.entries(np.array([3, 1, 0, 3, 2]))
    assert owners.tolist() == [0, 0, 0, 2, 2, 3, 3, 3, 4]
    assert lists.values[places].tolist() == [8, 9, 10, 5, 6, 8, 9, 10, 7]


def test_own_texts_are_all_those_of_the_clip(bank):
    assert [names(row) for row in bank.own_texts(np.array([2, 0, 6]))] == [{'jump', 'hop'}, {'walk'}, set()]


@pytest.mark.parametrize('seconds, expected', [
    ((0.0, 2.0), {'walk', 'wave left', 'clap'}), ((0.0, 1.0), {'walk'}), ((2.0, 3.0), {'wave left'}),
    ((1.6, 1.65), {'walk', 'wave left', 'clap'}), ((3.0, 4.0), set()), ((3.0, 4.01), {'jump'})])
def test_overlapping_texts_are_those_said_of_the_frames_shown(bank, seconds, expected):
    assert names(bank.overlapping_texts(np.array([0]), np.array([seconds]))[0]) == expected


def test_overlap_is_looked_for_in_the_same_sequence_only(bank):
    marked = bank.overlapping_texts(np.array([3, 4, 0]), np.array([[0.0, 2.0]] * 3))
    assert [names(row) for row in marked] == [{'walk'}, set(), {'walk', 'wave left', 'clap'}]


def test_related_texts_share_a_category_or_the_action(bank):
    assert names(bank.related_texts(np.array([0]))[0]) == {'walk', 'stroll'}
    assert names(bank.related_texts(np.array([1]))[0]) == {'wave left', 'clap'}
    assert names(bank.related_texts(np.array([6]))[0]) == set()


def test_the_same_text_is_never_negative(bank):
    for way in ('exclude', 'share', 'keep'):
        assert 'walk' not in draw(bank, 3, overlapping=way)[0]
        assert not {'jump', 'hop'} & set(draw(bank, 2, overlapping=way)[0])


def test_overlapping_labels_are_excluded_by_default(bank):
    assert set(draw(bank, 0)[0]) == {'jump', 'hop', 'stroll'}
    assert set(draw(bank, 0, seconds=(0.0, 1.0))[0]) == {'wave left', 'jump', 'hop', 'stroll', 'clap'}


def test_overlapping_labels_are_kept_on_request(bank):
    drawn, positives = draw(bank, 0, overlapping='keep')
    assert set(drawn) == set(TEXTS) - {'walk'} and positives == []


def test_overlapping_labels_are_shared_on_request(bank):
    drawn, positives = draw(bank, 0, overlapping='share')
    assert set(drawn) == {'jump', 'hop', 'stroll'} and positives == ['wave left', 'clap']
    assert draw(bank, 2, overlapping='share')[1] == ['hop']
    assert draw(bank, 6, overlapping='share')[1] == []


def test_categories_are_excluded_on_request(bank):
    assert set(draw(bank, 3)[0]) == set(TEXTS) - {'walk'}
    assert set(draw(bank, 3, same_category=True)[0]) == set(TEXTS) - {'walk', 'stroll'}


def test_distinct_texts_are_drawn_equally_often_whatever_their_frequency():
    clips = [Clip(str(number), number, 1, text=('walk' if number < 90 else f'text {number}',)) for number in range(99)]
    bank = LabelBank([*clips, Clip('own', 99, 1, text=('own',))], {})
    drawn, _ = draw(bank, 99, times=3000, seconds=(0.0, 1.0), number=2)
    assert len(drawn) == 10 and 'own' not in drawn
    assert min(drawn.values()) > 500 and max(drawn.values()) < 700  # 600 each


def test_no_text_is_drawn_twice_for_a_sample():
    allowed = np.random.default_rng(0).random((200, 40)) < 0.6
    drawn = draw_distinct(allowed, 16, np.random.default_rng(1))
    for row, entries in zip(allowed, drawn):
        assert len(set(entries)) == 16 and row[entries].all()
    assert len({tuple(row) for row in drawn}) == 200


def test_where_fewer_texts_are_left_the_rest_is_empty(bank):
    sampler = NegativeSampler(bank, number=8)
    places, _ = sampler(np.array([0, 6]), np.array([0, -1]), seconds_of(0, 6), np.random.default_rng(0))
    walk, nothing = bank.look_up(places)
    assert sorted(walk[:3]) == ['hop', 'jump', 'stroll'] and walk[3:] == [''] * 5
    assert nothing == [''] * 8  # a clip without text has no wrong ones either


def test_a_bank_without_texts_gives_none():
    bank = LabelBank([Clip('a', 0, 5)], {})
    places, _ = NegativeSampler(bank, number=3)(np.array([0]), np.array([-1]), np.zeros((1, 2)),
                                                np.random.default_rng(0))
    assert bank.look_up(places) == [['', '', '']]


@pytest.mark.parametrize('options', [dict(number=-1), dict(overlapping='drop')])
def test_unknown_ways_are_refused(bank, options):
    with pytest.raises(ValueError, match='negatives got .*change negatives of the data set'):
        NegativeSampler(bank, **options)
