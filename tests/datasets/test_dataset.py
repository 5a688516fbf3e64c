import pickle
import shutil

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from motionbert_mm.datasets.transforms.basic import Gathered, RandomFlip
from motionbert_mm.models.heads.frame_pose import FramePoseHead

WINDOW = dict(num_frames=9, stride=4)
PIPELINE = (dict(type='NormalizeCoords'), dict(type='PackInputs', fields=('target_3d', 'keypoints_2d')))
RANDOM = (dict(type='AddDetectorNoise'), dict(type='RandomFlip'), *PIPELINE)


def make_dataset(store, pipeline=PIPELINE, **options):
    return MotionDataset(str(store), **{'window': WINDOW, 'pipeline': pipeline, **options})


def load_epoch(dataset, **options):
    """All inputs of one epoch, batch after batch."""
    loader = DataLoader(dataset, batch_size=16, collate_fn=collate_batch, **options)
    return torch.cat([batch['inputs'] for batch in loader])


def test_a_batch_equals_its_singles(tiny_store):
    dataset, indices = make_dataset(tiny_store), [0, 20, 7]
    batch = dataset.__getitems__(indices)
    for place, index in enumerate(indices):
        single = dataset[index]
        np.testing.assert_array_equal(single['inputs'], batch['inputs'][place])
        for name, value in single['fields'].items():
            np.testing.assert_array_equal(value, batch['fields'][name][place])
        for name, value in single['metainfo'].items():
            whole = batch['metainfo'][name]
            if name == 'norm':
                assert value['scale'] == whole['scale'][place] and value['target'] == whole['target']
            else:
                np.testing.assert_array_equal(value, whole if name == 'skeleton' else whole[place])


def test_windows_are_those_of_the_store(tiny_store):
    dataset, store = make_dataset(tiny_store, pipeline=()), MotionStore(tiny_store)
    batch = dataset.__getitems__(np.arange(len(dataset)))
    assert batch['keypoints_2d'].shape == (len(dataset), 1, 9, 17, 2)
    clips = {clip.name: clip for clip in store.clips}
    for place, name in enumerate(batch['sample_id']):
        rows = clips[name].start + batch['frame_ids'][place]
        np.testing.assert_array_equal(batch['keypoints_3d'][place, 0], store.arrays['keypoints_3d'][rows])
        np.testing.assert_array_equal(batch['image_size'][place], clips[name].image_size)
        assert batch['action'][place] == clips[name].action and batch['camera_id'][place] == clips[name].camera
        assert batch['label'][place] == dataset.classes.index(clips[name].action)
        assert batch['text'][place] == list(clips[name].text)
    assert batch['visible'].all() and batch['skeleton'] == 'h36m'
    assert set(batch['sample_id']) == set(clips)


def test_input_is_detected_or_exact(tiny_store):
    batches = {name: make_dataset(tiny_store, pipeline=(), input_2d=name).__getitems__([3])
               for name in ('exact', 'detected')}
    frames = batches['exact']['frame_ids'][0]
    store = MotionStore(tiny_store)
    np.testing.assert_array_equal(batches['exact']['keypoints_2d'][0, 0], store.arrays['keypoints_2d'][frames])
    np.testing.assert_array_equal(batches['detected']['keypoints_2d'][0, 0], store.arrays['detected_2d'][frames])
    np.testing.assert_array_equal(batches['detected']['confidence'][0, 0], store.arrays['detected_confidence'][frames])
    assert (batches['exact']['confidence'] == 1).all() and batches['exact']['confidence'].dtype == np.float32


@pytest.mark.parametrize('options', [dict(num_workers=1), dict(num_workers=2, multiprocessing_context='fork'),
                                     dict(num_workers=2, persistent_workers=True)])
def test_numbers_do_not_depend_on_the_workers(tiny_store, options):
    dataset = make_dataset(tiny_store, RANDOM, input_2d='exact', window=dict(WINDOW, jitter=True), seed=5)
    dataset.set_epoch(2)
    torch.testing.assert_close(load_epoch(dataset, **options), load_epoch(dataset), rtol=0, atol=0)


def test_living_workers_hear_of_the_epoch(tiny_store):
    dataset = make_dataset(tiny_store, RANDOM)
    loader = DataLoader(dataset, batch_size=16, collate_fn=collate_batch, num_workers=1, persistent_workers=True)
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        drawn = torch.cat([batch['inputs'] for batch in loader])
        torch.testing.assert_close(drawn, load_epoch(dataset), rtol=0, atol=0)


def test_every_epoch_and_seed_draws_anew(tiny_store):
    def draw(epoch, run_seed=0, **options):
        dataset = make_dataset(tiny_store, RANDOM, **options)
        dataset.set_epoch(epoch, run_seed=run_seed)
        return dataset.__getitems__([0, 1])['inputs']

    first = draw(0)
    np.testing.assert_array_equal(draw(0), first)
    for other in (draw(1), draw(0, seed=1), draw(0, run_seed=1)):
        assert not np.allclose(other, first)


def test_a_test_set_draws_the_same_in_every_epoch(tiny_store):
    dataset = make_dataset(tiny_store, RANDOM, test_mode=True)
    first = dataset.__getitems__([0, 1])['inputs']
    dataset.set_epoch(3, run_seed=7)
    np.testing.assert_array_equal(dataset.__getitems__([0, 1])['inputs'], first)


@pytest.mark.parametrize('include, exclude, expected', [
    ((), (), {'walk/walk_1', 'walk/walk_2', 'wave/wave_1', 'wave/wave_2'}),
    (['walk/*'], (), {'walk/walk_1', 'walk/walk_2'}),
    ((), ['*_1#*'], {'walk/walk_2', 'wave/wave_2'}),
    (['walk/*'], ['*_1#*'], {'walk/walk_2'}),
])
def test_clips_are_chosen_by_patterns(tiny_store, include, exclude, expected):
    dataset = make_dataset(tiny_store, include=include, exclude=exclude)
    names = {name.split('#')[0] for index in range(len(dataset)) for name in [dataset[index]['metainfo']['sample_id']]}
    assert names == expected
    assert dataset.metainfo == dict(skeleton='h36m', fps=30.0, num_clips=2 * len(expected), classes=('walk', 'wave'),
                                    num_persons=1, window_seconds=pytest.approx(9 / 30.0))


def frames_used(dataset):
    """The frames of each clip that windows hold."""
    batch = dataset.__getitems__(np.arange(len(dataset)))
    used = {}
    for name, frames in zip(batch['sample_id'], batch['frame_ids']):
        used.setdefault(name, set()).update(frames.tolist())
    return used


@pytest.mark.parametrize('window', [dict(num_frames=5, stride=1), dict(num_frames=5, kind='centre'),
                                    dict(num_frames=5, stride=2, jitter=True), dict(num_frames=7, kind='uniform'),
                                    dict(num_frames=30)])
def test_windows_lie_in_one_part_of_each_clip(tiny_store, window):
    lengths = {clip.name: clip.length for clip in MotionStore(tiny_store).clips}
    dataset = make_dataset(tiny_store, pipeline=(), fraction=0.3, window=window)
    used, starts = frames_used(dataset), []
    assert used.keys() == lengths.keys()
    for name, frames in used.items():
        start, stop = min(frames), max(frames) + 1
        assert 0 <= start < stop <= lengths[name] and stop - start <= round(0.3 * lengths[name])
        starts.append(start / lengths[name])
    assert max(starts) - min(starts) > 0.3 and len(set(starts)) > 4
    store, batch = dataset.store, dataset.__getitems__([3])
    clip = next(clip for clip in store.clips if clip.name == batch['sample_id'][0])
    np.testing.assert_array_equal(batch['keypoints_3d'][0, 0],
                                  store.arrays['keypoints_3d'][clip.start + batch['frame_ids'][0]])


def test_the_part_has_its_share_of_the_frames_and_its_edges_are_repeated(tiny_store):
    dataset = make_dataset(tiny_store, pipeline=(), fraction=0.3, window=dict(num_frames=5, kind='centre'))
    assert {name: len(frames) for name, frames in frames_used(dataset).items()} == {
        clip.name: round(0.3 * clip.length) for clip in dataset.store.clips}
    batch = dataset.__getitems__([0])
    first = batch['frame_ids'][0, 0]
    assert batch['frame_ids'][0].tolist() == [first, first, first, first + 1, first + 2] and first > 0
    assert batch['visible'][0, 0, :, 0].tolist() == [False, False, True, True, True]


def test_parts_depend_on_the_seed_and_the_clip_only(tiny_store):
    def used(**options):
        return frames_used(make_dataset(tiny_store, pipeline=(), fraction=0.3, window=dict(num_frames=5), **options))

    first = used()
    chosen = used(include=['wave/*'])
    assert used() == first and chosen == {name: first[name] for name in chosen}
    assert sum(frames != first[name] for name, frames in used(seed=1).items()) > 4


def test_the_least_part_is_a_frame_and_the_largest_the_clip(tiny_store):
    assert len(make_dataset(tiny_store, fraction=1e-6, window=dict(num_frames=1))) == 8
    whole = make_dataset(tiny_store, pipeline=(), fraction=1.0)
    assert frames_used(whole) == frames_used(make_dataset(tiny_store, pipeline=()))


@pytest.mark.parametrize('fraction', [0.0, -0.5, 1.01, float('nan')])
def test_no_part_of_a_clip_is_refused(tiny_store, fraction):
    with pytest.raises(ValueError, match='fraction is the share of each clip that is used, above 0 and at most 1, got'):
        make_dataset(tiny_store, fraction=fraction)


def test_absent_persons_are_zero_and_not_visible(people_store):
    dataset = make_dataset(people_store, pipeline=(), include=(), window=dict(num_frames=9, stride=9, tail='drop'))
    batch = dataset.__getitems__(np.arange(len(dataset)))
    pair, alone = (np.array([name == kind for name in batch['sample_id']]) for kind in ('hug', 'alone'))
    assert batch['keypoints_3d'].shape == (len(dataset), 2, 9, 17, 3) and pair.any() and alone.any()
    assert batch['visible'][pair].all() and batch['visible'][alone, 0].all()
    assert not batch['visible'][alone, 1].any()
    assert (batch['confidence'][alone, 1] == 0).all() and (batch['confidence'][pair, 1] > 0).mean() > 0.9
    for name in ('keypoints_2d', 'keypoints_3d'):
        assert (batch[name][alone, 1] == 0).all() and (batch[name][:, 0] != 0).all()
    store = MotionStore(people_store)
    rows = store.clips[0].length + batch['frame_ids'][np.flatnonzero(pair)[0]]
    np.testing.assert_array_equal(batch['keypoints_2d'][pair][0, 1], store.arrays['detected_2d'][rows])


def test_the_number_of_persons_can_be_set(people_store, tiny_store):
    assert make_dataset(people_store, num_persons=1, pipeline=())[0]['keypoints_2d'].shape == (1, 9, 17, 2)
    assert make_dataset(tiny_store, num_persons=3, pipeline=())[0]['visible'].sum() == 9 * 17


def test_padded_frames_are_not_visible(tiny_store):
    batch = make_dataset(tiny_store, window=dict(num_frames=50), include=['walk/walk_1#*']).__getitems__([0])
    assert batch['fields']['visible'][0, 0, :40].all() and not batch['fields']['visible'][0, 0, 40:].any()


VALID = {'first': np.arange(12) % 3 == 1, 'none': np.zeros(6, bool), 'second': np.arange(20) > 17}


@pytest.fixture(scope='module')
def marked_store(tmp_path_factory):
    """A store that says which frames are valid, and what is done in them."""
    path = tmp_path_factory.mktemp('marked') / 'store'
    with MotionStoreWriter(path, skeleton='h36m', fps=25.0) as writer:
        for name, valid in VALID.items():
            pose = np.arange(1.0, len(valid) + 1)[:, None, None] * np.ones((1, 17, 3))
            writer.add_clip(name, {'keypoints_3d': pose, 'keypoints_2d': pose[..., :2], 'valid': valid,
                                   'activity': np.arange(len(valid), dtype=np.uint8) % 8},
                            image_size=(2048, 2048), fps=50 if name == 'second' else None)
    return path


def test_frames_that_are_not_valid_are_seen_but_not_visible(marked_store):
    dataset = make_dataset(marked_store, pipeline=(), input_2d='exact', window=dict(num_frames=9, kind='centre'))
    batch = dataset.__getitems__(range(len(dataset)))
    assert len(dataset) == 38 and (batch['keypoints_2d'] > 0).all() and (batch['keypoints_3d'] > 0).all()
    for name, frames, visible in zip(batch['sample_id'], batch['frame_ids'], batch['visible'][:, 0]):
        is_inside = frames == frames[4] + np.arange(-4, 5)
        np.testing.assert_array_equal(visible, (VALID[name][frames] & is_inside)[:, None].repeat(17, 1))


def test_windows_lie_around_valid_frames_if_so_wanted(marked_store):
    dataset = make_dataset(marked_store, pipeline=(), input_2d='exact', valid_only=True,
                           window=dict(num_frames=5, kind='centre'))
    batch = dataset.__getitems__(range(len(dataset)))
    expected = [(name, frame) for name, valid in VALID.items() for frame in np.flatnonzero(valid)]
    assert list(zip(batch['sample_id'], batch['frame_ids'][:, 2])) == expected
    assert batch['visible'][:, 0, 2].all() and not batch['visible'].all()
    assert batch['frame_ids'][1].tolist() == [2, 3, 4, 5, 6]  # the neighbours are there, valid or not


def test_valid_frames_are_counted_in_the_part_of_a_clip(marked_store):
    options = dict(pipeline=(), input_2d='exact', fraction=0.7, seed=7)
    dataset = make_dataset(marked_store, valid_only=True, window=dict(num_frames=3, kind='centre'), **options)
    used = frames_used(make_dataset(marked_store, window=dict(num_frames=1), **options))
    assert min(used['first']) > 1 and max(used['second']) >= 18  # seen from the start of the clips they would differ
    batch = dataset.__getitems__(range(len(dataset)))
    expected = [(name, frame) for name, valid in VALID.items() for frame in np.flatnonzero(valid)
                if frame in used[name]]
    assert list(zip(batch['sample_id'], batch['frame_ids'][:, 1])) == expected


def test_activity_and_frame_rate_go_along_with_every_sample(marked_store):
    pipeline = (dict(type='NormalizeCoords'), dict(type='PackInputs', fields=('keypoints_3d',)))
    dataset = make_dataset(marked_store, pipeline, input_2d='exact', window=dict(num_frames=5, kind='centre'),
                           valid_only=True)
    samples = collate_batch(dataset.__getitems__([0, 5]))['data_samples'].unbind()
    assert [sample.activity.tolist() for sample in samples] == [[0, 0, 1, 2, 3], [1, 2, 3, 3, 3]]
    assert all(sample.activity.dtype == np.int64 for sample in samples)
    assert [float(sample.fps) for sample in samples] == [25.0, 50.0]


def write_marked(path, **arrays):
    with MotionStoreWriter(path, skeleton='h36m', fps=25.0) as writer:
        writer.add_clip('clip', {'keypoints_3d': np.ones((6, 17, 3)), 'keypoints_2d': np.ones((6, 17, 2)), **arrays})
    return path


@pytest.mark.parametrize('arrays, options, message', [
    ({}, dict(valid_only=True), 'valid_only asks for windows around valid frames, but .* has no array valid'),
    (dict(valid=np.zeros(6, bool)), dict(valid_only=True), 'no frame of any clip is to be the centre'),
    (dict(valid=np.ones(6, bool)), dict(valid_only=True, window=dict(num_frames=3)), "kind='centre' .* 'sliding'"),
    (dict(valid=np.ones((6, 1), bool)), {}, r'valid has rows of shape \(1,\) and dtype bool, expected one bool'),
    (dict(valid=np.ones(6)), {}, r'valid has rows of shape \(\) and dtype float32, expected one bool'),
    (dict(activity=np.ones(6)), {}, r'activity .* dtype float32, expected one integer for each frame'),
])
def test_marks_that_say_nothing_are_refused(tmp_path, arrays, options, message):
    store = write_marked(tmp_path / 'store', **arrays)
    with pytest.raises(ValueError, match=message):
        make_dataset(store, **{'input_2d': 'exact', 'window': dict(num_frames=3, kind='centre'), **options})


def test_a_data_set_pickles_without_its_data(tiny_store):
    dataset = make_dataset(tiny_store, RANDOM)
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 20_000
    again = pickle.loads(pickled)
    np.testing.assert_array_equal(again.__getitems__([4])['inputs'], dataset.__getitems__([4])['inputs'])


@pytest.mark.parametrize('options, message', [
    (dict(input_2d='noisy'), r"'noisy', expected one of \['detected', 'exact', None\]"),
    (dict(targets=('smpl_pose',)), r"has no smpl_pose; it holds \['detected_2d'"),
    (dict(include=['run/*']), r"include=\['run/\*'\].*none of its 8 clips, e.g. 'walk/walk_1#azimuth045'"),
    (dict(window=dict(num_frames=99, tail='drop')), r'no clip is as long as a window of 99 frames \(longest: 60\)'),
])
def test_impossible_choices_are_named(tiny_store, options, message):
    with pytest.raises(ValueError, match=message):
        make_dataset(tiny_store, **options)


def write_wrong_store(path, skeleton, joints):
    with MotionStoreWriter(path, skeleton=skeleton, fps=30.0) as writer:
        writer.add_clip('clip', {'keypoints_3d': np.ones((20, joints, 3)), 'keypoints_2d': np.ones((20, joints, 2))})
    return path


def test_wrong_joints_are_named(tmp_path):
    store = write_wrong_store(tmp_path / 'store', 'h36m', 16)
    with pytest.raises(ValueError, match="keypoints_3d has 16 joints, skeleton 'h36m' has 17; convert again"):
        make_dataset(store, input_2d='exact')


def test_an_unknown_skeleton_is_named(tmp_path):
    with pytest.raises(KeyError, match="unknown skeleton 'alien5'; known are h36m, "):
        make_dataset(write_wrong_store(tmp_path / 'store', 'alien5', 5), input_2d='exact')


def test_a_store_that_breaks_later_is_named(tiny_store, tmp_path):
    store = shutil.copytree(tiny_store, tmp_path / 'store')
    (store / 'detected_2d.npy').write_bytes((store / 'detected_2d.npy').read_bytes()[:5000])
    with pytest.raises(ValueError, match=r'detected_2d\.npy is torn'):
        make_dataset(store)


CENTRE = dict(window=dict(kind='centre', num_frames=9), target_frames='centre')


@pytest.mark.parametrize('steps', [(), (dict(type='ConvertSkeleton', target='h36m16'),)])
def test_targets_of_the_centre_frame_are_those_of_that_frame(tiny_store, steps):
    pipeline = [*steps, dict(type='RandomFlip'), dict(type='NormalizeCoords'),
                dict(type='PackInputs', fields=['target_3d', 'keypoints_3d', 'visible'])]
    whole, centre = (make_dataset(tiny_store, pipeline, **{**CENTRE, 'target_frames': kind}).__getitems__(range(40))
                     for kind in ('all', 'centre'))
    np.testing.assert_array_equal(centre['inputs'], whole['inputs'])
    for name in ('target_3d', 'keypoints_3d'):
        assert centre['fields'][name].shape[2] == 1
        np.testing.assert_array_equal(centre['fields'][name], whole['fields'][name][:, :, 4:5])
    # Of the first windows some frames lie before the clip, never the centre.
    assert not whole['fields']['visible'].all() and centre['fields']['visible'].all()
    assert centre['fields']['visible'].shape == (40, 1, 1, centre['inputs'].shape[3])


def test_centre_targets_give_the_losses_of_the_centre_frame(tiny_store):
    pipeline = [dict(type='NormalizeCoords'), dict(type='PackInputs')]
    whole, centre = (collate_batch(make_dataset(tiny_store, pipeline, **{**CENTRE, 'target_frames': kind})
                                   .__getitems__(range(6)))['data_samples'] for kind in ('all', 'centre'))
    head = FramePoseHead(8, centre=True, losses=[dict(type='MPJPELoss')])
    prediction = torch.rand(6, 1, 17, 3)
    torch.testing.assert_close(head.compare(prediction, centre), head.compare(prediction, whole))
    dense = FramePoseHead(8, losses=[dict(type='MPJPELoss')])
    with pytest.raises(ValueError, match='learns the poses of 9 frames, but the targets have one; set target_frames'):
        dense.compare(torch.rand(6, 9, 17, 3), centre)


def test_centre_targets_are_refused_where_all_frames_are_read(tiny_store):
    with pytest.raises(ValueError, match="target_frames is 'middle', expected 'all' or 'centre'"):
        make_dataset(tiny_store, **{**CENTRE, 'target_frames': 'middle'})
    with pytest.raises(ValueError, match='metrics compare all frames'):
        make_dataset(tiny_store, test_mode=True, **CENTRE)
    with pytest.raises(ValueError, match="Take3DInputs needs the targets of all frames; set target_frames='all'"):
        make_dataset(tiny_store, [dict(type='NormalizeCoords'), dict(type='Take3DInputs')], **CENTRE)


def test_flips_leave_the_store_and_other_batches_as_they_are(tiny_store):
    dataset = make_dataset(tiny_store, [dict(type='RandomFlip', prob=1.0)])
    before = {name: array.copy() for name, array in dataset.store.arrays.items()}
    first = dataset.__getitems__([0, 1])
    kept = first['keypoints_2d'].copy()
    again = dataset.__getitems__([0, 1])
    np.testing.assert_array_equal(first['keypoints_2d'], kept)
    np.testing.assert_array_equal(again['keypoints_2d'], kept)
    for name, array in before.items():
        np.testing.assert_array_equal(dataset.store.arrays[name], array)


def test_only_batches_straight_from_the_store_are_written_into(tiny_store):
    batch, flip = make_dataset(tiny_store, ()).__getitems__([0, 1]), RandomFlip(prob=1.0)
    kept = batch['keypoints_2d'].copy()
    flipped = flip(batch, np.random.default_rng(0))
    np.testing.assert_array_equal(batch['keypoints_2d'], kept)
    assert not isinstance(flip(Gathered(batch), np.random.default_rng(0)), Gathered)
    np.testing.assert_array_equal(batch['keypoints_2d'], flipped['keypoints_2d'])
