"""Batches of several stores: Human3.6M-like, MPI-INF-3DHP-like and 3D alone, as MPM joins them."""
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from motionbert_mm.datasets.joining import JoinedDataset
from motionbert_mm.datasets.loading import ResumableSampler, collate_batch
from motionbert_mm.datasets.mixing import MixedDataset
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.registry import DATASETS, build
from tests import mpi_inf_3dhp_files
from tests.generated import CLIPS, make_motion

MASK = dict(type='SampleExactMask', frame_ratio=0.3, num_joints=2)
FIELDS = ('target_3d', 'keypoints_3d')


@pytest.fixture(autouse=True)
def scope():
    """Names of this package in the configs of these tests."""
    with DefaultScope.overwrite_default_scope('motionbert_mm'):
        yield


@pytest.fixture(scope='module')
def stores(tiny_store, tmp_path_factory):
    """Paths by name: 17 joints with cameras; 17 others with frames that are not valid; 3D alone."""
    folder = tmp_path_factory.mktemp('joined')
    with MotionStoreWriter(folder / 'mocap', skeleton='h36m', fps=30.0) as writer:
        for seed in range(2):
            writer.add_clip(f'clip{seed}', {'keypoints_3d': make_motion(31, seed)}, action='move')
    return dict(h36m=tiny_store, mocap=folder / 'mocap',
                threedhp=mpi_inf_3dhp_files.write_store(folder / 'threedhp', is_test=True))


def sources(stores, before=(), behind=(), fields=FIELDS, **options):
    """Configs of data sets as MPM joins them, with steps before the normalisation and behind it."""
    def make(name, first=(), **facts):
        pipeline = [dict(type='ConvertSkeleton', target='h36m16'), *first, *before, dict(type='NormalizeCoords'),
                    *behind, dict(type='PackInputs', fields=fields)]
        return dict(type='MotionDataset', data_root=str(stores[name]), pipeline=pipeline,
                    **{'window': dict(num_frames=9, stride=6), 'input_2d': 'exact', **facts, **options})

    return dict(threedhp=make('threedhp'), h36m=make('h36m', exclude=['walk/*']),
                mocap=make('mocap', first=[dict(type='OrthographicView')], input_2d=None))


def shuffled(dataset, count=12):
    """Indices of samples of all sources, in disorder."""
    indices = np.random.default_rng(0).permutation(len(dataset))[:count]
    assert len(np.unique(dataset.locate(indices)[0])) == len(dataset.datasets)
    return indices.tolist()


def as_parts(dataset, indices):
    """Yield the places in a batch and what each source itself gives for them."""
    found, numbers = dataset.locate(indices)
    for number, part in enumerate(dataset.datasets.values()):
        places = np.flatnonzero(found == number)
        yield places, part.__getitems__(numbers[places])


def test_a_batch_is_in_the_order_of_its_indices(stores):
    dataset = JoinedDataset(sources(stores, behind=[MASK]))
    indices = shuffled(dataset)
    batch = dataset.__getitems__(indices)
    assert batch['inputs'].shape == (12, 1, 9, 16, 3) and batch['metainfo']['skeleton'] == 'h36m16'
    assert set(batch['fields']) == {*FIELDS, 'mask', 'visible'}
    for places, part in as_parts(dataset, indices):
        np.testing.assert_array_equal(batch['inputs'][places], part['inputs'])
        for name, value in part['fields'].items():
            np.testing.assert_array_equal(batch['fields'][name][places], value)
        for name in ('sample_id', 'action', 'text'):
            assert [batch['metainfo'][name][place] for place in places] == part['metainfo'][name]
        for name in ('frame_ids', 'fps'):
            np.testing.assert_array_equal(batch['metainfo'][name][places], part['metainfo'][name])
        for name in ('scale', 'root', 'input_box'):
            np.testing.assert_array_equal(batch['metainfo']['norm'][name][places], part['metainfo']['norm'][name])


def test_a_source_that_hides_nothing_shares_the_batch_with_one_that_does(stores):
    configs = sources(stores)
    configs['h36m']['pipeline'].insert(-1, MASK)
    dataset = JoinedDataset(configs)
    batch = dataset.__getitems__(shuffled(dataset))
    fields = batch['fields']
    for action, mask, visible in zip(batch['metainfo']['action'], fields['mask'], fields['visible']):
        # Of h36m, which is waving here, 2 of 9 frames are hidden, and 2 of 16 joints in the others.
        assert mask.sum() == (2 * 16 + 7 * 2 if action == 'wave' else 0)
        assert visible.all() or action.startswith('TS')
    assert fields['mask'].dtype == fields['visible'].dtype == bool and not fields['visible'].all()


def test_fields_that_say_nothing_stay_away(stores):
    configs = sources(stores)
    del configs['threedhp']
    dataset = JoinedDataset(configs)
    assert set(dataset.__getitems__(shuffled(dataset))['fields']) == set(FIELDS)


def test_metainfo_that_some_do_not_have_is_left_out_of_every_batch(stores):
    dataset = JoinedDataset(sources(stores))
    whole = set(dataset.__getitems__(shuffled(dataset))['metainfo'])
    assert not whole & {'intrinsics', 'activity'} and {'image_size', 'norm', 'frame_ids', 'sample_id'} <= whole
    for name, place in dataset.ranges.items():
        part = dataset.datasets[name].__getitems__([0])
        assert set(dataset.__getitems__([place[0]])['metainfo']) == whole < {*part['metainfo'], 'label'}
    assert 'intrinsics' in dataset.datasets['h36m'].__getitems__([0])['metainfo']


def test_millimetres_per_pixel_of_a_sample_and_of_a_frame_are_joined(stores):
    data = dict(type='MotionDataset', data_root=str(stores['h36m']), window=dict(num_frames=9), pipeline=[
        dict(type='NormalizeCoords', target='image_space'), dict(type='PackInputs')])
    # Without 3D truth the factor is unknown: one NaN for a sample.
    dataset = JoinedDataset(dict(known=data, unknown=dict(data, targets=['keypoints_image'])))
    batch = dataset.__getitems__([place[2] for place in reversed(dataset.ranges.values())])
    factor = batch['metainfo']['norm']['factor']
    assert factor.shape == (2, 1, 9) and np.isnan(factor[0]).all() and np.isfinite(factor[1]).all()
    np.testing.assert_allclose(*batch['fields']['target_3d'], atol=1e-4)


def test_draws_depend_on_seed_epoch_and_the_indices_of_each_part(stores):
    random = [dict(type='AddDetectorNoise'), dict(type='RandomFlip')]
    dataset = JoinedDataset(sources(stores, before=random, behind=[MASK]))
    indices = shuffled(dataset)
    dataset.set_epoch(2, run_seed=4)
    batch = dataset.__getitems__(indices)
    for places, part in as_parts(dataset, indices):
        np.testing.assert_array_equal(batch['inputs'][places], part['inputs'])
        np.testing.assert_array_equal(batch['fields']['mask'][places], part['fields']['mask'])
    np.testing.assert_array_equal(dataset.__getitems__(indices)['inputs'], batch['inputs'])
    for epoch, seed in ((3, 4), (2, 5)):
        dataset.set_epoch(epoch, run_seed=seed)
        other = dataset.__getitems__(indices)
        for places, _ in as_parts(dataset, indices):
            assert (other['fields']['mask'][places] != batch['fields']['mask'][places]).any()


def test_a_single_sample_is_that_of_its_batch(stores):
    dataset = JoinedDataset(sources(stores))
    for place in dataset.ranges.values():
        sample, batch = dataset[place[1]], dataset.__getitems__([place[1]])
        np.testing.assert_array_equal(sample['inputs'], batch['inputs'][0])
        assert sample['inputs'].shape == (1, 9, 16, 3) and sample['metainfo']['skeleton'] == 'h36m16'
        assert sample['metainfo']['sample_id'] == batch['metainfo']['sample_id'][0]
        assert sample['metainfo']['norm']['target'] == 'root_relative'


def loader_config(dataset, **batches):
    return dict(dataset=dataset, batch_size=8, sampler=dict(type='ResumableSampler'),
                collate_fn=dict(type='motionbert_mm.collate_batch'), **batches)


def load_epoch(config, epoch=1, seed=3, **changes):
    """Names and inputs of all batches of an epoch."""
    loader = Runner.build_dataloader(dict(Config(config).to_dict(), **changes), seed=seed)
    batches = loader.batch_sampler if 'batch_sampler' in config else loader
    batches.sampler.set_epoch(epoch)
    loader.dataset.set_epoch(epoch, run_seed=seed)
    return [(batch['data_samples'].sample_id, batch['inputs']) for batch in loader]


def test_shuffled_batches_hold_all_sources_in_proportion_to_their_size(stores):
    config = loader_config(dict(type='JoinedDataset', datasets=sources(stores)))
    drawn = load_epoch(config)
    dataset = build(DATASETS, config['dataset'])
    sizes = {name: len(place) for name, place in dataset.ranges.items()}
    of = {'TS': 'threedhp', 'wa': 'h36m', 'cl': 'mocap'}
    assert Counter(of[name[:2]] for names, _ in drawn for name in names) == sizes
    assert sum(len({of[name[:2]] for name in names}) > 1 for names, _ in drawn) > len(drawn) / 2


def test_batches_do_not_depend_on_the_workers(stores):
    random = [dict(type='AddDetectorNoise'), dict(type='RandomFlip')]
    config = loader_config(dict(type='JoinedDataset', datasets=sources(stores, before=random)))
    first, again = load_epoch(config), load_epoch(config, num_workers=2)
    assert [names for names, _ in first] == [names for names, _ in again]
    assert all(torch.equal(one[1], other[1]) for one, other in zip(first, again))


def test_two_processes_share_the_samples(stores):
    dataset = JoinedDataset(sources(stores))
    drawn = []
    for rank in range(2):
        sampler = ResumableSampler(dataset, seed=3)
        sampler.rank, sampler.world_size = rank, 2
        sampler.num_samples = -(-len(dataset) // 2)
        sampler.total_size = 2 * sampler.num_samples
        drawn.append(list(sampler))
    assert len(drawn[0]) == len(drawn[1]) and set(sum(drawn, [])) == set(range(len(dataset)))
    assert len(sum(drawn, [])) - len(dataset) in (0, 1)


def test_a_joined_data_set_is_a_source_of_a_mixed_one(stores):
    tasks = {name: dict(type='JoinedDataset', datasets=sources(stores, behind=steps))
             for name, steps in (('lift', [MASK]), ('pose', [dict(type='Take3DInputs'), MASK]))}
    mixed = MixedDataset(tasks, loss_weights=dict(lift=2.0))
    for name, channels in (('lift', 3), ('pose', 4)):
        part = mixed.datasets[name]
        indices = [mixed.ranges[name][index] for index in shuffled(part)]
        samples = collate_batch(mixed.__getitems__(indices))
        assert samples['inputs'].shape == (12, 1, 9, 16, channels)
        assert samples['data_samples'].source == name and len(set(samples['data_samples'].action)) > 2
        expected = part.__getitems__(shuffled(part))
        np.testing.assert_array_equal(samples['inputs'], expected['inputs'])
    assert mixed.metainfo['lift']['mocap'] == dict(skeleton='h36m', fps=30.0, num_clips=2, classes=('move',),
                                                   num_persons=1, window_seconds=pytest.approx(9 / 30.0))
    drawn = load_epoch(loader_config(dict(type='MixedDataset', datasets=tasks),
                                     batch_sampler=dict(type='SourceBatchSampler', order='cycle')))
    assert [inputs.shape[-1] for _, inputs in drawn] == len(drawn) // 2 * [3, 4]


def test_a_joined_data_set_pickles_without_its_data(stores):
    dataset = JoinedDataset(sources(stores))
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 40_000
    indices = shuffled(dataset)
    np.testing.assert_array_equal(pickle.loads(pickled).__getitems__(indices)['inputs'],
                                  dataset.__getitems__(indices)['inputs'])


NORMALIZE, PACK = -2, -1


def replaced(place, *steps, **changes):
    """A change of a data set: other steps from a place of the pipeline on, other arguments."""
    return lambda config: dict(config, pipeline=[*config['pipeline'][:place], *steps], **changes)


@pytest.mark.parametrize('change, message', [
    (lambda config: dict(config, pipeline=config['pipeline'][1:]),
     'skeleton .h36m: h36m; threedhp: h36m16.; put .*ConvertSkeleton'),
    (lambda config: dict(config, num_persons=2), r'persons .h36m: 2; threedhp: 1.; set num_persons'),
    (lambda config: dict(config, window=dict(num_frames=7)), r'frames .h36m: 7; threedhp: 9.; set window.num_frames'),
    (replaced(PACK, dict(type='Take3DInputs'), dict(type='PackInputs', fields=FIELDS)),
     'channels .h36m: 4; threedhp: 3.; .*keep the data sets apart in a MixedDataset'),
    (replaced(PACK, dict(type='PackInputs')),
     r'fields .h36m: target_3d \(1, 9, 16, 3\); threedhp: keypoints_3d \(1, 9, 16, 3\), target_3d .*PackInputs.fields'),
    (replaced(NORMALIZE, dict(type='NormalizeCoords', target=None), dict(type='PackInputs'), targets=[]),
     'fields .h36m: none; threedhp: keypoints_3d '),
    (replaced(NORMALIZE, dict(type='NormalizeCoords', target='image_space'), dict(type='PackInputs', fields=FIELDS)),
     '3D target .h36m: image_space; threedhp: root_relative.; set NormalizeCoords.target'),
    (replaced(NORMALIZE, dict(type='NormalizeCoords', unit_mm=1.0), dict(type='PackInputs', fields=FIELDS)),
     'millimetres per unit .h36m: 1; threedhp: 1000.; set NormalizeCoords.unit_mm'),
    (replaced(PACK, dict(type='RootDepthOracle'), dict(type='PackInputs', fields=FIELDS)),
     'notes for de-normalisation .h36m: input_box, rays, root, .*RootDepthOracle'),
])
def test_samples_that_do_not_fit_in_one_batch_are_refused_at_once(stores, change, message):
    configs = sources(stores)
    del configs['mocap']
    configs['h36m'] = change(configs['h36m'])
    with pytest.raises(ValueError, match=f'h36m, threedhp cannot be joined, their samples differ in {message}'):
        JoinedDataset(configs)


def test_a_store_of_pairs_is_joined_by_its_first_persons(stores, people_store):
    configs = sources({**stores, 'threedhp': people_store})
    with pytest.raises(ValueError, match='persons .h36m: 1; mocap: 1; threedhp: 2.; set num_persons'):
        JoinedDataset(configs)
    configs['threedhp']['num_persons'] = 1
    dataset = JoinedDataset(configs)
    assert dataset.__getitems__(shuffled(dataset))['inputs'].shape == (12, 1, 9, 16, 3)


def test_a_pipeline_that_does_not_pack_is_refused(stores):
    configs = sources(stores)
    configs['mocap']['pipeline'].pop()
    with pytest.raises(TypeError, match="source 'mocap' gives a dict with keypoints_3d, .*end its pipeline with"):
        JoinedDataset(configs)


def test_nothing_to_join_is_refused():
    with pytest.raises(ValueError, match='JoinedDataset needs at least one data set, got none'):
        JoinedDataset({})


def test_samples_that_are_not_there_are_refused(stores):
    dataset = JoinedDataset(sources(stores))
    assert len(dataset) > sum(CLIPS.values()) // 9
    with pytest.raises(IndexError, match=f'samples 0..{len(dataset)} were asked for, but there are {len(dataset)}'):
        dataset.__getitems__([0, len(dataset)])
