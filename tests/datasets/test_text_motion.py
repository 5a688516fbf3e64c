"""Motion with texts: what a batch holds, mirrored texts, padding, and sentences that are held out."""
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from motionbert_mm.datasets import SyntheticTextDataset, TextMotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from motionbert_mm.datasets.synthetic import ACTIONS, generate_clip
from motionbert_mm.datasets.texts import mirror_text
from motionbert_mm.registry import MODELS, build
from tests.generated import TINY_MODEL, load_tool

LABELS = {'7': [[1.0, 2.0, 'wave left'], [1.5, 3.0, 'walk'], [2.5, 4.0, 'hop'], [0.0, 9.0, 'short']]}
VIEW = [dict(type='OrthographicView', facing=True), dict(type='NormalizeCoords', target='image_space'),
        dict(type='PackInputs')]


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    """Segments of a recording at 30 fps, 5 to 45 frames long, and a clip of another one without a text."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp('texts') / 'store'

    def motion(length):
        return {'keypoints_3d': rng.normal(scale=300, size=(length, 17, 3)) + [0, 0, 3000]}

    with MotionStoreWriter(path, skeleton='h36m', fps=30, info=dict(labels=LABELS)) as writer:
        writer.add_clip('7/0', motion(30), text=('Wave left',), sequence='7', seconds=(1.0, 2.0), categories=('wave',),
                        action='wave')
        writer.add_clip('7/1', motion(45), text=('walk', 'pace  LEFT'), sequence='7', seconds=(1.5, 3.0), action='walk')
        writer.add_clip('7/2', motion(5), text=('hop',), sequence='7', seconds=(2.5, 2.6), action='hop')
        writer.add_clip('8/0', motion(12), action='other')
        for number in range(4):
            writer.add_clip(f'9/{number}', motion(9), text=(f'text {number}',), action='other')
    return path


def open_store(store, **options):
    options = {'window': dict(num_frames=9, kind='crop', jitter=True), 'input_2d': None,
               'negatives': dict(number=3), **options}
    return TextMotionDataset(str(store), **options)


def test_a_batch_has_texts_and_wrong_ones(store):
    dataset = open_store(store)
    assert dataset.texts == dataset.metainfo['texts'] == ('wave left', 'walk', 'pace left', 'hop', 'text 0', 'text 1',
                                                          'text 2', 'text 3')
    batch = dataset.__getitems__([0, 2, 3])
    assert batch['text'] == ['wave left', 'hop', ''] and batch['text_id'].tolist() == [0, 3, -1]
    assert batch['sequence'] == ['7', '7', ''] and batch['categories'] == [['wave'], [], []]
    assert batch['seconds'].shape == (3, 2) and batch['label'].tolist() == [4 - 1, 0, 1]
    assert [len(texts) for texts in batch['negatives']] == [3, 3, 3] and batch['negatives'][2] == ['', '', '']
    assert 'positives' not in batch
    for text, negatives in zip(batch['text'][:2], batch['negatives']):
        assert len(set(negatives)) == 3 and set(negatives) <= set(dataset.texts) - {text}


def test_texts_of_a_clip_take_turns_and_the_first_is_tested(store):
    dataset = open_store(store)
    seen = [text for epoch in range(40) for text in [dataset.set_epoch(epoch), dataset[1]['text']][1:]]
    assert set(seen) == {'walk', 'pace left'}
    tested = open_store(store, test_mode=True)
    assert {text for epoch in range(9) for text in [tested.set_epoch(epoch), tested[1]['text']][1:]} == {'walk'}


def test_seconds_are_those_of_the_frames_shown(store):
    dataset = open_store(store, window=dict(num_frames=9, stride=9))
    batch = dataset.__getitems__(np.flatnonzero(dataset.windows.clips == 1))
    np.testing.assert_allclose(batch['seconds'][:, 0], 1.5 + batch['frame_ids'][:, 0] / 30)
    np.testing.assert_allclose(batch['seconds'][:, 1], batch['seconds'][:, 0] + 9 / 30)
    short = open_store(store, window=dict(num_frames=20, kind='crop'))[2]
    np.testing.assert_allclose(short['seconds'], [2.5, 2.5 + 5 / 30])  # padding shows nothing


def test_what_overlaps_the_frames_shown_is_no_negative(store):
    dataset = open_store(store, window=dict(num_frames=9, stride=1), negatives=dict(number=7))
    walking = np.flatnonzero(dataset.windows.clips == 1)
    batch = dataset.__getitems__(walking)
    for (start, end), negatives in zip(batch['seconds'], batch['negatives']):
        assert ('wave left' in negatives) == (start >= 2.0)
        assert ('hop' in negatives) == (end <= 2.5)
        assert not {'walk', 'pace left'} & set(negatives)
    shared = open_store(store, window=dict(num_frames=9, stride=1), negatives=dict(overlapping='share'))
    first = shared.__getitems__(walking[:1])
    assert set(first['positives'][0]) == {'walk', 'pace left', 'wave left'} - set(first['text'])


def test_a_flip_mirrors_texts_and_wrong_ones_alike(store):
    pipeline = [dict(type='RandomFlip', prob=0.5)]
    options = dict(window=dict(num_frames=9, stride=9), negatives=dict(overlapping='share', number=4))
    plain, flipped = open_store(store, **options), open_store(store, pipeline=pipeline, **options)
    indices = np.repeat(np.arange(len(plain)), 8)
    first, second = plain.__getitems__(indices), flipped.__getitems__(indices)
    is_flipped = (first['keypoints_3d'] != second['keypoints_3d']).any(axis=(1, 2, 3, 4))
    assert 10 < is_flipped.sum() < len(indices) - 10
    for name in ('text', 'negatives', 'positives'):
        for mirrored, before, after in zip(is_flipped, first[name], second[name]):
            assert after == (mirror_text(before) if mirrored else before)
    assert {'wave left', 'wave right', 'pace right'} <= set(second['text'])


def test_short_clips_are_padded_at_random_and_left_out_of_losses(store):
    dataset = open_store(store, window=dict(num_frames=20, kind='crop', jitter=True), pipeline=VIEW)
    batch = dataset.__getitems__([2] * 200)
    visible, mask = batch['fields']['visible'], batch['fields']['mask']
    np.testing.assert_array_equal(mask, ~visible)
    is_real = visible[:, 0, :, 0]
    assert (is_real.sum(axis=1) == 5).all() and (visible == visible[..., :1]).all()
    assert set(is_real.argmax(axis=1)) == set(range(16))
    still = open_store(store, window=dict(num_frames=20, kind='crop'), pipeline=VIEW).__getitems__([2, 2])
    assert (still['fields']['visible'][:, 0, :, 0].argmax(axis=1) == 7).all()


def test_long_clips_are_cropped(store):
    batch = open_store(store, pipeline=VIEW).__getitems__([1] * 300)
    assert 'visible' not in batch['fields'] and 'mask' not in batch['fields']
    assert {int(frames[0]) for frames in batch['metainfo']['frame_ids']} == set(range(37))
    assert open_store(store, window=dict(num_frames=9, kind='crop'))[1]['frame_ids'].tolist() == list(range(18, 27))


def test_the_network_is_given_zeros_for_padding(store):
    dataset = open_store(store, window=dict(num_frames=9, kind='crop'), pipeline=VIEW)
    batch = collate_batch(dataset.__getitems__([2, 0]))
    torch.manual_seed(0)
    model = build(MODELS, TINY_MODEL).eval()
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        model(batch['inputs'], batch['data_samples'], mode='loss')
    is_zero = (seen[0] == 0).all(dim=-1).all(dim=-1)
    assert is_zero.tolist() == [[True, True, False, False, False, False, False, True, True], [False] * 9]
    changed = batch['inputs'].clone()
    changed[0, :, :2] += 100.0
    with torch.no_grad():
        torch.testing.assert_close(model(changed, batch['data_samples']), model(batch['inputs'], batch['data_samples']))


def test_packed_batches_carry_everything(store):
    dataset = open_store(store, pipeline=VIEW, negatives=dict(overlapping='share'))
    samples = next(iter(DataLoader(dataset, batch_size=4, collate_fn=collate_batch)))['data_samples']
    assert {'text', 'text_id', 'negatives', 'positives', 'sequence', 'seconds', 'categories'} <= set(
        samples.metainfo_keys())
    second = samples.unbind()[1]
    assert second.text in ('walk', 'pace left') and len(second.negatives) == 16 and second.sequence == '7'


def test_workers_draw_the_same(store):
    dataset = open_store(store, pipeline=VIEW)
    alone, together = (list(DataLoader(dataset, batch_size=4, collate_fn=collate_batch, num_workers=workers))
                       for workers in (0, 1))
    for first, second in zip(alone, together):
        assert first['data_samples'].negatives == second['data_samples'].negatives
        torch.testing.assert_close(first['inputs'], second['inputs'])


def test_unknown_options_of_negatives_are_refused(store):
    with pytest.raises(ValueError, match='negatives got number=3 and overlapping=.no.'):
        open_store(store, negatives=dict(number=3, overlapping='no'))


def test_phrasings_share_no_sentence_and_no_motion_changes():
    train, held_out = (set(), set())
    for index in range(len(ACTIONS) * 4):
        plain, *others = (generate_clip(index, num_frames=2, phrasings=phrasings)
                          for phrasings in (None, 'train', 'held_out'))
        assert plain.text in {clip.text for clip in others}
        for clip, texts in zip(others, (train, held_out)):
            assert (clip.pace, clip.side) == (plain.pace, plain.side)
            np.testing.assert_array_equal(clip.positions, plain.positions)
            texts.add((clip.action, clip.text))
    assert not {text for _, text in train} & {text for _, text in held_out}
    assert {action for action, _ in train} == {action for action, _ in held_out} == set(ACTIONS)
    assert min(sum(action == name for action, _ in train) for name in ACTIONS) > 1


def test_synthetic_stores_of_other_phrasings_differ_in_texts_only(tmp_path):
    options = dict(num_clips=12, num_frames=12, window=dict(num_frames=9), negatives=dict(number=5))
    plain, train, held_out = (SyntheticTextDataset(str(tmp_path), phrasings=phrasings, **options)
                              for phrasings in (None, 'train', 'held_out'))
    assert len({dataset.store.path for dataset in (plain, train, held_out)}) == 3
    np.testing.assert_array_equal(train.store.arrays['detected_2d'], held_out.store.arrays['detected_2d'])
    np.testing.assert_array_equal(train.store.arrays['keypoints_3d'], plain.store.arrays['keypoints_3d'])
    assert len(train.texts) == len(held_out.texts) == 12 and not set(train.texts) & set(held_out.texts)
    batch = train.__getitems__([0, 5])
    assert set(batch['negatives'][0]) < set(train.texts) - {batch['text'][0]}


def test_unknown_phrasings_are_refused():
    with pytest.raises(ValueError, match="phrasings is 'new', expected one of"):
        generate_clip(0, num_frames=2, phrasings='new')


def test_the_command_line_writes_a_store_of_held_out_phrasings(tmp_path, monkeypatch):
    tool = load_tool('dataset_converters/synthetic.py')
    monkeypatch.setattr('sys.argv', ['synthetic.py', str(tmp_path / 'out'), '--clips', '2', '--frames', '5',
                                     '--phrasings', 'held_out'])
    tool.main()
    store = MotionStore(tmp_path / 'out')
    expected = [(generate_clip(index, num_frames=5, phrasings='held_out').text,) for index in (0, 1)]
    assert [clip.text for clip in store.clips[::4]] == expected and store.info['phrasings'] == 'held_out'
