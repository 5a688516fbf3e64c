from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from motionbert_mm.datasets.loading import ResumableSampler
from motionbert_mm.datasets.pairs import ClassPairSampler, deal
from tests.generated import Labelled

SIZES = {3: 31, 4: 2, 7: 9, 8: 5, 20: 13}  # label -> samples, 60 together
LABELS = np.random.default_rng(0).permutation(np.repeat(list(SIZES), list(SIZES.values())))


def make_batches(batch_size=6, labels=LABELS, epoch=0, seed=0, rank=0, world_size=1, classes=(), **options):
    """A batch sampler as the Runner builds it."""
    sampler = ResumableSampler(Labelled(labels, classes), seed=seed)
    sampler.rank, sampler.world_size = rank, world_size
    sampler.set_epoch(epoch)
    return ClassPairSampler(sampler, batch_size, **options)


def take_epochs(batches, count):
    """All batches of the first epochs."""
    drawn = []
    for epoch in range(count):
        batches.sampler.set_epoch(epoch)
        drawn += list(batches)
    return drawn


def class_counts(batches):
    """How often a sample of each class is met."""
    return Counter(LABELS[np.concatenate(batches)].tolist())


@pytest.mark.parametrize('batch_size, samples', [(2, 2), (6, 2), (10, 2), (6, 3), (15, 3)])
def test_every_batch_holds_different_samples_of_different_classes(batch_size, samples):
    labels = LABELS[LABELS != 4] if samples == 3 else LABELS  # class 4 has but two samples
    labels = np.append(labels, [5] * 4)
    for batch in make_batches(batch_size, labels, samples_per_class=samples):
        assert len(set(batch)) == len(batch) == batch_size
        assert list(Counter(labels[batch].tolist()).values()) == [samples] * (batch_size // samples)


@pytest.mark.parametrize('batch_size, world_size, expected', [(6, 1, 10), (8, 1, 7), (6, 3, 3), (10, 4, 1), (10, 9, 1)])
def test_an_epoch_is_as_long_as_the_data_set_and_never_empty(batch_size, world_size, expected):
    for rank in range(world_size):
        batches = make_batches(batch_size, rank=rank, world_size=world_size)
        assert len(list(batches)) == len(batches) == batches.num_batches(0) == batches.num_batches(5) == expected


@pytest.mark.parametrize('batch_size', [2, 4, 6, 8])
@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_classes_are_met_equally_often_however_many_samples_they_have(batch_size, world_size):
    drawn = [list(make_batches(batch_size, rank=rank, world_size=world_size)) for rank in range(world_size)]
    pairs = [count // 2 for count in class_counts(sum(drawn, [])).values()]
    assert len(pairs) == len(SIZES) and max(pairs) - min(pairs) <= 1
    for batches in drawn:
        pairs = [class_counts(batches)[label] // 2 for label in SIZES]
        assert max(pairs) - min(pairs) <= 2


@pytest.mark.parametrize('world_size', [1, 3])
def test_a_class_takes_all_its_samples_before_one_returns(world_size):
    drawn = [list(make_batches(rank=rank, world_size=world_size)) for rank in range(world_size)]
    indices = np.concatenate(sum(drawn, []))
    for label, size in SIZES.items():
        times = Counter(indices[LABELS[indices] == label].tolist())
        most, least = max(times.values()), min(times.values()) if len(times) == size else 0
        assert most - least <= 1, label


def test_large_classes_show_other_samples_in_every_epoch():
    batches = make_batches()
    met = [set(take_epochs(batches, count)[-1]) for count in (1, 2)]
    assert met[0] != met[1]
    everything = np.concatenate(take_epochs(batches, 40))
    assert set(everything.tolist()) == set(range(60))


def test_pairs_are_not_always_the_same():
    pairs = {tuple(sorted(batch[start:start + 2])) for batch in take_epochs(make_batches(), 60) for start in (0, 2, 4)}
    of_five = {pair for pair in pairs if LABELS[pair[0]] == 8}
    assert len(of_five) == 10  # all pairs of five samples


def test_the_order_depends_on_seed_and_epoch_only():
    first = list(make_batches(epoch=2, seed=5))
    batches = make_batches(epoch=0, seed=5)
    list(batches)
    batches.sampler.set_epoch(2)
    assert list(batches) == list(batches) == first
    assert list(make_batches(epoch=3, seed=5)) != first
    assert list(make_batches(epoch=2, seed=6)) != first


def test_processes_draw_different_batches_that_depend_on_the_rank_only():
    drawn = [list(make_batches(rank=rank, world_size=3)) for rank in range(3)]
    assert len({str(batches) for batches in drawn}) == 3
    assert all(drawn[0][step] not in (drawn[1][step], drawn[2][step]) for step in range(3))
    assert list(make_batches(rank=1, world_size=3)) == drawn[1]


@pytest.mark.parametrize('world_size', [1, 2])
def test_a_skip_leaves_out_the_start_of_one_pass_only(world_size):
    batches = make_batches(rank=world_size - 1, world_size=world_size)
    whole = list(batches)
    batches.skip(3)
    assert list(batches) == whole[3:] and list(batches) == whole
    batches.skip(len(whole))
    assert list(batches) == []


@pytest.mark.parametrize('size', range(1, 7))
@pytest.mark.parametrize('number', range(1, 9))
def test_dealt_hands_hold_nothing_twice_and_rounds_are_complete(number, size):
    items = np.arange(number) * 3 + 5
    hands = deal(items, size, 11, np.random.default_rng(number))
    assert hands.shape == (11, size) and hands.dtype == np.int64
    for start in range(0, hands.size, number):
        dealt = hands.ravel()[start:start + number]
        assert len(set(dealt.tolist())) == len(dealt) and set(dealt.tolist()) <= set(items.tolist())
    if size <= number:
        assert all(len(set(hand)) == size for hand in hands.tolist())
    assert deal(items, size, 0, np.random.default_rng(0)).shape == (0, size)


@pytest.fixture
def warnings(monkeypatch):
    """What is warned of."""
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', lines.append)
    return lines


def test_a_class_of_one_sample_repeats_it_with_a_warning(warnings):
    labels = [0, 0, 0, 1, 2, 2]
    batches = make_batches(6, labels, classes=['walk', 'wave', 'squat'])
    assert len(warnings) == 1 and 'fewer than 2 samples of wave; they are repeated within a batch' in warnings[0]
    for batch in take_epochs(batches, 5):
        assert batch.count(3) == 2 and Counter(np.array(labels)[batch].tolist()) == {0: 2, 1: 2, 2: 2}
        assert len(set(batch)) == 5


def test_one_warning_names_the_first_small_classes_only(warnings):
    make_batches(6, [*range(8), 8, 8])
    assert len(warnings) == 1 and 'class 0, class 1, class 2, class 3, class 4 and 3 more;' in warnings[0]


def test_classes_that_are_large_enough_need_no_warning(warnings):
    make_batches()
    assert warnings == []


@pytest.mark.parametrize('changes, message', [
    (dict(batch_size=12), r'12 samples takes 2 of each of 6 classes, but the data set has samples of 5; .*batch_size '
                          'to at most 10'),
    (dict(batch_size=18, samples_per_class=3), 'takes 3 of each of 6 classes, .* to at most 15'),
    (dict(batch_size=7), r'batch_size is 7, expected a multiple of samples_per_class \(2\); change train_datal'),
    (dict(batch_size=0), 'batch_size is 0, expected a multiple'),
    (dict(samples_per_class=1), 'samples_per_class is 1, expected at least 2'),
    (dict(labels=[]), 'the data set has samples of 0'),
    (dict(labels=[[0, 1], [0, 1]]), r'Labelled.labels has shape \(2, 2\) and dtype int64, expected one integer for '
                                    'each of 2 samples'),
    (dict(labels=[0.0, 1.0]), 'dtype float64, expected one integer'),
])
def test_impossible_batches_are_refused(changes, message):
    changes = {'batch_size': 6, **changes}
    if changes.get('labels') == []:
        changes['labels'] = np.empty(0, np.int64)
    with pytest.raises(ValueError, match=message):
        make_batches(**changes)


def test_a_data_set_without_labels_is_refused():
    with pytest.raises(TypeError, match='needs a data set with labels, got range; use a MotionDataset whose clips hav'):
        ClassPairSampler(ResumableSampler(range(8), seed=0), 4)


def load_epoch(store, epoch=1, seed=3, skip=0, **changes):
    """Inputs and labels of all batches of an epoch, but the first that are skipped."""
    pipeline = [dict(type='AddDetectorNoise'), dict(type='NormalizeCoords'),
                dict(type='PackInputs', fields=['label'])]
    loader = Runner.build_dataloader(dict(
        batch_size=4, sampler=dict(type='ResumableSampler'), batch_sampler=dict(type='ClassPairSampler'),
        collate_fn=dict(type='motionbert_mm.collate_batch'), **changes,
        dataset=dict(type='MotionDataset', data_root=str(store), window=dict(num_frames=9, jitter=True),
                     pipeline=pipeline)), seed=seed)
    loader.batch_sampler.sampler.set_epoch(epoch)
    loader.batch_sampler.skip(skip)
    loader.dataset.set_epoch(epoch, run_seed=seed)
    return [(batch['inputs'], batch['data_samples'].label.tolist()) for batch in loader]


@pytest.fixture
def scope():
    """Names of this package in the configs of a test."""
    with DefaultScope.overwrite_default_scope('motionbert_mm'):
        yield


def test_the_runner_loads_pairs_of_a_store(scope, tiny_store):
    whole = load_epoch(tiny_store)
    assert len(whole) > 3 and all(Counter(labels) == {0: 2, 1: 2} for _, labels in whole)
    rest = load_epoch(tiny_store, skip=2, num_workers=2)
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(expected[0], got[0]) for expected, got in zip(whole[2:], rest))
    assert not torch.equal(whole[0][0], load_epoch(tiny_store, epoch=2)[0][0])
