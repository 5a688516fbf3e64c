from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from motionbert_mm.datasets.loading import ResumableSampler, collate_batch
from motionbert_mm.datasets.mixing import MixedDataset, SourceBatchSampler
from motionbert_mm.registry import DATASETS, build
from tests.generated import CLIPS

SIZES = dict(amass=23, h36m=10, posetrack=7, video=40)


class Numbers(list):
    """A source of numbers with batched fetch, as far as batches need it."""

    metainfo = dict(skeleton='h36m')

    def __getitem__(self, index):
        return dict(inputs=super().__getitem__(index), fields={}, metainfo=dict(skeleton='h36m'))

    def __getitems__(self, indices):
        return dict(inputs=[self[index]['inputs'] for index in indices], fields={}, metainfo=dict(skeleton='h36m'))


def make_dataset(**sizes):
    """Sources of numbers; each number tells its source."""
    return MixedDataset({name: Numbers(range(1000 * place, 1000 * place + size))
                         for place, (name, size) in enumerate(sorted((sizes or SIZES).items()))})


RANGES = make_dataset().ranges


def make_batches(batch_size=4, epoch=0, seed=0, rank=0, world_size=1, dataset=None, **options):
    """A batch sampler as the Runner builds it."""
    sampler = ResumableSampler(make_dataset() if dataset is None else dataset, seed=seed)
    sampler.rank, sampler.world_size = rank, world_size
    sampler.set_epoch(epoch)
    return SourceBatchSampler(sampler, batch_size, **options)


def source_of(batch):
    """The one source of a batch."""
    name, = {name for index in batch for name, indices in RANGES.items() if index in indices}
    return name


def order_of(batches):
    """The source of every batch."""
    return [source_of(batch) for batch in batches]


def runs(names):
    """Names without immediate repetition."""
    return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]


def test_sources_follow_each_other_by_name():
    dataset = make_dataset()
    assert len(dataset) == 80
    assert dataset.ranges == dict(amass=range(23), h36m=range(23, 33), posetrack=range(33, 40), video=range(40, 80))
    assert [dataset[index]['inputs'] for index in (0, 22, 23, 39, 40, 79)] == [0, 22, 1000, 2006, 3000, 3039]
    assert dataset.__getitems__([41, 79, 40])['inputs'] == [3001, 3039, 3000]
    assert dataset.metainfo['video'] == dict(skeleton='h36m')


def test_batches_and_samples_name_their_source_and_its_weight():
    dataset = MixedDataset(make_dataset().datasets, loss_weights=dict(h36m=2, video=0.0))
    for name, weight in dict(amass=1.0, h36m=2.0, posetrack=1.0, video=0.0).items():
        index = dataset.ranges[name][3]
        for got in (dataset[index], dataset.__getitems__([index, index - 1])):
            assert got['metainfo'] == dict(skeleton='h36m', source=name, loss_weight=weight)
    assert dataset.datasets['h36m'][0]['metainfo'] == dict(skeleton='h36m')  # what a source gives is left alone


@pytest.mark.parametrize('weight', [-1.0, float('nan'), float('inf'), '2', None])
def test_weights_that_are_no_factors_are_refused(weight):
    with pytest.raises(ValueError, match='the loss weight of h36m is .*, expected a finite number of at least 0; ch'):
        MixedDataset(make_dataset().datasets, loss_weights=dict(h36m=weight))


def test_weights_of_unknown_sources_are_refused():
    with pytest.raises(ValueError, match='vidoe: no such source; the data set has amass, h36m, posetrack, video'):
        MixedDataset(make_dataset().datasets, loss_weights=dict(video=1.0, vidoe=2.0))


@pytest.mark.parametrize('batch, got', [([1], 'a list'), (dict(inputs=1), 'a dict with inputs')])
def test_a_source_that_does_not_pack_its_batches_is_refused(batch, got):
    class Unpacked(Numbers):
        def __getitems__(self, indices):
            return batch

    with pytest.raises(TypeError, match=f"source 'poses' gives {got}, .*end its pipeline with dict.type='PackInputs'"):
        MixedDataset(dict(poses=Unpacked(range(3)))).__getitems__([0])


def test_a_batch_of_several_sources_is_refused():
    with pytest.raises(ValueError, match="samples of amass, posetrack at once; .*batch_sampler=dict.*SourceBatchSam"):
        make_dataset().__getitems__([0, 35, 2])


@pytest.mark.parametrize('indices', [[-1], [3, 80], [1000]])
def test_samples_that_are_not_there_are_refused(indices):
    with pytest.raises(IndexError, match=f'samples {min(indices)}..{max(indices)} were asked for, but there are 80'):
        make_dataset().__getitems__(indices)


def test_a_source_of_an_inherited_config_may_be_left_out():
    dataset = MixedDataset(dict(some=Numbers(range(3)), other=None))
    assert dataset.ranges == dict(some=range(3))
    with pytest.raises(ValueError, match='needs at least one data set, got none'):
        MixedDataset(dict(other=None))


def test_nothing_to_mix_is_refused():
    with pytest.raises(ValueError, match='needs at least one data set, got none'):
        MixedDataset({})
    with pytest.raises(ValueError, match='none has no samples; leave it out'):
        make_dataset(some=3, none=0)


@pytest.mark.parametrize('order', ['proportional', ['video', 'posetrack', ['h36m', 'amass']]])
def test_every_sample_is_met_once_in_batches_of_one_source(order):
    batches = make_batches(order=order)
    drawn = list(batches)
    assert Counter(order_of(drawn)) == dict(amass=6, h36m=3, posetrack=2, video=10)
    assert len(batches) == batches.num_batches(0) == len(drawn) == 21
    assert sorted(index for batch in drawn for index in batch) == list(range(80))
    # Only the last batch of each source may be smaller.
    assert sorted(len(batch) for batch in drawn if len(batch) < 4) == [2, 3, 3]


def test_proportional_batches_of_all_sources_are_shuffled_together():
    names = order_of(make_batches(batch_size=1))
    assert len(runs(names)) > 35
    halves = [Counter(half) for half in (names[:40], names[40:])]
    assert all(set(half) == set(SIZES) for half in halves)


def test_listed_sources_come_one_after_the_other():
    names = order_of(make_batches(order=['video', 'amass', 'posetrack', 'h36m']))
    assert runs(names) == ['video', 'amass', 'posetrack', 'h36m']


def test_a_pass_may_hold_several_sources():
    names = order_of(make_batches(batch_size=1, order=['posetrack', 'video', ['amass', 'h36m']]))
    assert runs(names[:47]) == ['posetrack', 'video']
    assert Counter(names[47:]) == dict(amass=23, h36m=10) and len(runs(names[47:])) > 8


def test_repeats_change_the_proportions():
    batches = make_batches(repeats=dict(posetrack=3))
    drawn = list(batches)
    times = Counter(index for batch in drawn for index in batch)
    assert all(count == (3 if 33 <= index < 40 else 1) for index, count in times.items()) and len(times) == 80
    assert len(batches) == len(drawn) == 25
    # Each repetition is shuffled anew.
    repeated = [tuple(batch) for batch in drawn if batch[0] in range(33, 40)]
    assert len(set(repeated)) == 6


def test_a_cycle_takes_one_batch_of_each_source_in_turn():
    batches = make_batches(order='cycle')
    drawn = list(batches)
    # Video is the largest, with 10 batches of 4.
    assert order_of(drawn) == 10 * list(SIZES) and len(batches) == batches.num_batches(0) == 40
    assert sorted(index for batch in drawn for index in batch if index in RANGES['video']) == list(RANGES['video'])


def test_a_cycle_begins_small_sources_anew_in_another_order():
    drawn = [batch for batch in make_batches(order='cycle') if source_of(batch) == 'h36m']
    passes = [sum(drawn[start:start + 3], []) for start in (0, 3, 6)]  # 10 samples are batches of 4, 4 and 2
    assert [len(batch) for batch in drawn] == [4, 4, 2, 4, 4, 2, 4, 4, 2, 4]
    assert all(sorted(samples) == list(RANGES['h36m']) for samples in passes)
    assert len(set(map(tuple, passes))) == 3


def test_repeats_of_a_cycle_make_the_epoch_longer():
    batches = make_batches(order='cycle', repeats=dict(amass=2, posetrack=2))
    assert order_of(batches) == 12 * list(SIZES) and len(batches) == 48  # amass has 6 batches
    times = Counter(index for batch in batches for index in batch)
    assert all(times[index] == 2 for index in RANGES['amass'])


def test_sources_join_a_cycle_later():
    batches = make_batches(order='cycle')
    batches.limit(dict(video=1), {}, 2)
    for epoch, (rounds, names) in enumerate([(6, list(SIZES)[:3]), (10, list(SIZES))]):
        batches.sampler.set_epoch(epoch)
        assert order_of(batches) == rounds * names and len(batches) == batches.num_batches(epoch) == rounds * len(names)


@pytest.mark.parametrize('order', ['proportional', 'cycle'])
def test_the_order_depends_on_seed_and_epoch_only(order):
    first = list(make_batches(epoch=2, seed=5, order=order))
    assert list(make_batches(epoch=2, seed=5, order=order)) == first
    for others in (make_batches(epoch=3, seed=5, order=order), make_batches(epoch=2, seed=6, order=order)):
        others = list(others)
        assert (order_of(others) != order_of(first)) == (order == 'proportional') and sorted(others) != sorted(first)
        assert set(sum(others, [])) == set(sum(first, []))
        assert order == 'cycle' or sorted(sum(others, [])) == sorted(sum(first, []))


def test_the_order_of_names_in_the_config_does_not_matter():
    backwards = MixedDataset({name: Numbers(range(SIZES[name])) for name in sorted(SIZES, reverse=True)})
    assert list(make_batches(dataset=backwards)) == list(make_batches())


@pytest.mark.parametrize('order', ['proportional', ['video', 'posetrack', ['h36m', 'amass']]])
@pytest.mark.parametrize('world_size', [2, 3])
def test_processes_see_the_same_source_in_every_step_and_share_the_samples(order, world_size):
    ranks = [make_batches(rank=rank, world_size=world_size, order=order) for rank in range(world_size)]
    drawn = [list(batches) for batches in ranks]
    assert len({len(batches) for batches in drawn} | {len(batches) for batches in ranks}) == 1
    for step in zip(*drawn):
        assert len({source_of(batch) for batch in step}) == 1
        assert len({len(batch) for batch in step}) == 1
    times = Counter(index for batches in drawn for batch in batches for index in batch)
    assert set(times) == set(range(80))
    # What does not divide evenly is filled up with samples of the same source.
    assert sum(times.values()) == sum(-(-size // world_size) * world_size for size in SIZES.values())
    assert max(times.values()) <= 2


def test_a_source_smaller_than_the_number_of_processes_is_dealt_to_all():
    dataset = make_dataset(few=2, many=9)
    drawn = [list(make_batches(rank=rank, world_size=5, dataset=dataset)) for rank in range(5)]
    assert [sum(len(batch) for batch in batches) for batches in drawn] == [3] * 5
    assert set(np.concatenate(sum(drawn, [])).tolist()) == set(range(11))


@pytest.mark.parametrize('world_size', [2, 3])
def test_processes_take_turns_together(world_size):
    drawn = [list(make_batches(rank=rank, world_size=world_size, order='cycle')) for rank in range(world_size)]
    rounds = {2: 5, 3: 4}[world_size]  # 40 of video are 20 or 14 for each process, in batches of 4
    assert all(order_of(batches) == rounds * list(SIZES) for batches in drawn)
    assert all(len({len(batch) for batch in step}) == 1 for step in zip(*drawn))
    times = Counter(index for batches in drawn for batch in batches for index in batch if index in RANGES['video'])
    assert set(times) == set(RANGES['video']) and sum(times.values()) <= len(RANGES['video']) + world_size - 1


@pytest.mark.parametrize('order', ['cycle', ['video', 'posetrack', ['h36m', 'amass']]])
def test_a_skip_leaves_out_the_start_of_one_pass_only(order):
    batches = make_batches(order=order)
    whole = list(batches)
    batches.skip(11)
    assert list(batches) == whole[11:] and list(batches) == whole
    batches.skip(len(whole))
    assert list(batches) == []


def test_sources_may_begin_later():
    batches = make_batches(order=['video', 'posetrack', ['h36m', 'amass']])
    batches.limit(dict(video=2, posetrack=1), {}, 8)
    expected = {0: ['amass', 'h36m'], 1: ['amass', 'h36m', 'posetrack'], 2: list(SIZES), 7: list(SIZES)}
    for epoch, names in expected.items():
        batches.sampler.set_epoch(epoch)
        assert batches.sources(epoch) == names and set(order_of(batches)) == set(names)
        assert len(batches) == batches.num_batches(epoch) == len(list(batches))
    assert [batches.num_batches(epoch) for epoch in range(4)] == [9, 11, 21, 21]


def test_sources_may_end_before_the_others():
    """The schedule of mesh recovery: Human3.6M in the first epochs only."""
    batches = make_batches(order=['video', 'posetrack', ['h36m', 'amass']])
    batches.limit(dict(posetrack=1), dict(h36m=2, amass=2), 4)
    expected = {0: ['amass', 'h36m', 'video'], 1: list(SIZES), 2: ['posetrack', 'video'], 3: ['posetrack', 'video']}
    for epoch, names in expected.items():
        batches.sampler.set_epoch(epoch)
        assert batches.sources(epoch) == names and set(order_of(batches)) == set(names)
        assert len(batches) == batches.num_batches(epoch) == len(list(batches))


@pytest.mark.parametrize('first, end, message', [
    (dict(vidoe=1), {}, 'vidoe: no such source; the data set has amass, h36m, posetrack, video'),
    ({}, dict(vidoe=1), 'vidoe: no such source; the data set has amass, h36m, posetrack, video'),
    (dict.fromkeys(SIZES, 1), {}, "no source is left for the first epoch; amass, h36m, .* begin at {'amass': 1"),
    (dict(video=2), dict.fromkeys(list(SIZES)[:3], 1), 'no source is left for epoch 1; amass, .* before .*: 1}'),
])
def test_impossible_schedules_are_named(first, end, message):
    with pytest.raises(ValueError, match=message):
        make_batches().limit(first, end, 3)


def test_an_end_after_the_training_is_none():
    batches = make_batches()
    batches.limit({}, dict.fromkeys(SIZES, 3), 3)
    assert batches.sources(2) == list(SIZES)


@pytest.mark.parametrize('order', ['proportional', 'cycle'])
def test_sources_may_have_batches_of_their_own_size(order):
    batches = make_batches(batch_size=4, order=order, batch_sizes=dict(video=16))
    drawn = list(batches)
    assert {len(batch) for batch in drawn if source_of(batch) == 'video'} == {16, 8}
    assert max(len(batch) for batch in drawn if source_of(batch) != 'video') == 4
    assert len(batches) == len(drawn) == {'proportional': 6 + 3 + 2 + 3, 'cycle': 4 * 6}[order]


@pytest.mark.parametrize('order', ['sequential', [], ['video'], ['amass', 'h36m', 'posetrack', 'video', 'amass'],
                                   ['amass', 'h36m', 'posetrack', ['video', 'vidoe']]])
def test_orders_that_do_not_name_each_source_once_are_refused(order):
    with pytest.raises(ValueError, match="expected 'proportional', 'cycle' or a list of passes that names each of "
                                         'amass, h36m, posetrack, video once'):
        make_batches(order=order)


def test_options_of_an_unknown_source_are_refused():
    for option in ('repeats', 'batch_sizes'):
        with pytest.raises(ValueError, match='vidoe: no such source; the data set has amass,'):
            make_batches(**{option: dict(vidoe=2)})


@pytest.mark.parametrize('count', [0, -1])
def test_options_below_one_are_refused(count):
    for option in ('repeats', 'batch_sizes'):
        with pytest.raises(ValueError, match=f'{option} must be at least 1.*leave the source out'):
            make_batches(**{option: dict(video=count)})


def test_another_data_set_is_refused():
    with pytest.raises(TypeError, match='orders the sources of a MixedDataset, got range; without batch_sampler'):
        make_batches(dataset=range(8))


def motion_config(store, **options):
    """A data loader of two sources as a user writes it, names not in alphabetical order."""
    pipeline = [dict(type='AddDetectorNoise'), dict(type='RandomFlip'), dict(type='NormalizeCoords'),
                dict(type='PackInputs')]
    data = dict(type='MotionDataset', data_root=str(store), window=dict(num_frames=9, stride=6), pipeline=pipeline)
    datasets = dict(wave=dict(data, include=['wave/*']),
                    walk=dict(data, include=['walk/*'], window=dict(num_frames=7, stride=6, jitter=True)))
    return Config(dict(default_scope='motionbert_mm', train_dataloader=dict(
        batch_size=8, sampler=dict(type='ResumableSampler'), batch_sampler=dict(type='SourceBatchSampler', **options),
        collate_fn=dict(type='motionbert_mm.collate_batch'), dataset=dict(type='MixedDataset', datasets=datasets))))


def load_epoch(config, epoch=1, seed=3, skip=0, **changes):
    """Inputs of all batches of an epoch, but the first that are skipped."""
    loader = Runner.build_dataloader(dict(config.train_dataloader.to_dict(), **changes), seed=seed)
    loader.batch_sampler.sampler.set_epoch(epoch)
    loader.batch_sampler.skip(skip)
    loader.dataset.set_epoch(epoch, run_seed=seed)
    return [batch['inputs'] for batch in loader]


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for batches in zip(first, second):
        assert torch.equal(*batches)


@pytest.fixture(autouse=True)
def scope():
    """Names of this package in the configs of these tests."""
    with DefaultScope.overwrite_default_scope('motionbert_mm'):
        yield


def test_batches_of_motion_come_from_their_own_pipeline(tiny_store):
    batches = load_epoch(motion_config(tiny_store))
    frames = Counter(batch.shape[2] for batch in batches for _ in batch)
    windows = {kind: sum(2 * (1 + -(-(length - frames) // 6)) for name, length in CLIPS.items() if kind in name)
               for kind, frames in (('walk', 7), ('wave', 9))}
    assert frames == {7: windows['walk'], 9: windows['wave']}
    assert len({batch.shape[2] for batch in batches[:6]}) == 2


@pytest.mark.parametrize('order', ['proportional', 'cycle', ['wave', 'walk']])
def test_a_config_that_was_written_and_read_gives_the_same_batches(tiny_store, tmp_path, order):
    config = motion_config(tiny_store, order=order)
    config.dump(tmp_path / 'dumped.py')
    again = Config.fromfile(tmp_path / 'dumped.py')
    # MMEngine sorts what it writes.
    assert list(config.train_dataloader.dataset.datasets) != list(again.train_dataloader.dataset.datasets)
    assert_same(load_epoch(config), load_epoch(again))


@pytest.mark.parametrize('order', ['proportional', 'cycle'])
def test_batches_do_not_depend_on_the_workers(tiny_store, order):
    config = motion_config(tiny_store, order=order)
    assert_same(load_epoch(config, num_workers=2), load_epoch(config))


def test_the_rest_of_an_epoch_has_the_batches_of_the_whole(tiny_store):
    config = motion_config(tiny_store, order='cycle')
    whole = load_epoch(config)
    assert_same(load_epoch(config, skip=5, num_workers=2), whole[5:])
    assert [batch.shape[2] for batch in whole] == len(whole) // 2 * [7, 9]


def test_collated_batches_know_their_source(tiny_store):
    config = motion_config(tiny_store).train_dataloader.dataset.to_dict()
    dataset = build(DATASETS, dict(config, loss_weights=dict(wave=5)))
    samples = collate_batch(dataset.__getitems__(dataset.ranges['wave'][:3]))['data_samples']
    assert (samples.source, samples.loss_weight) == ('wave', 5.0)
    assert [(sample.source, sample.loss_weight, sample.action) for sample in samples.unbind()] == 3 * [
        ('wave', 5.0, 'wave')]


def test_epoch_and_seed_of_the_run_reach_every_source(tiny_store):
    dataset = build(DATASETS, motion_config(tiny_store).train_dataloader.dataset.to_dict())

    def draw(name, epoch, run_seed):
        dataset.set_epoch(epoch, run_seed=run_seed)
        return dataset.__getitems__(dataset.ranges[name][:4])['inputs']

    for name in ('walk', 'wave'):
        first = draw(name, 1, 3)
        np.testing.assert_array_equal(draw(name, 1, 3), first)
        assert not np.allclose(draw(name, 2, 3), first) and not np.allclose(draw(name, 1, 4), first)


def test_a_single_sample_is_that_of_its_batch(tiny_store):
    dataset = build(DATASETS, motion_config(tiny_store).train_dataloader.dataset.to_dict())
    for name, frames in (('walk', 7), ('wave', 9)):
        index = dataset.ranges[name][2]
        sample = dataset[index]
        assert sample['inputs'].shape == (1, frames, 17, 3) and sample['metainfo']['action'] == name
        np.testing.assert_array_equal(sample['inputs'], dataset.__getitems__([index])['inputs'][0])
