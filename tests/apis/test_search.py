"""Search among the motions of a store: what is seen of them, how they are ranked, and when vectors are used again."""
import copy

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from motionbert_mm.apis import MotionSearch
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.text_motion import TextMotionDataset
from motionbert_mm.engine.texts import encode_motions, frame_step
from tests.generated import TINY_MODEL, write_people_store
from tests.text_files import (
    CLIPS,
    CROP,
    JUMP,
    NUM_FRAMES,
    PIPELINE,
    VIEW,
    WALK,
    WAVE,
    cosines,
    save_text_model,
    write_text_store,
)


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    return write_text_store(tmp_path_factory.mktemp('search') / 'store')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return save_text_model(tmp_path_factory.mktemp('search') / 'model.pth')


@pytest.fixture
def search(checkpoint):
    return MotionSearch.from_checkpoint(checkpoint, 'cpu')


def predicted(search, store, **options):
    """Embeddings of the windows of a test, as the metric gets them."""
    options = {'window': {**CROP, 'jitter': False}, 'pipeline': PIPELINE, **options}
    dataset = TextMotionDataset(str(store), test_mode=True, **options)
    batch = collate_batch(dataset.__getitems__(range(len(dataset))))
    with torch.no_grad():
        return np.stack([sample.embedding.numpy() for sample in search.model.test_step(batch)])


def test_motions_are_seen_as_in_the_test_of_the_model(search, store):
    index = search.index(store, batch_size=3)
    np.testing.assert_allclose(index.embeddings, predicted(search, store), atol=1e-6)
    assert [clip.name for clip in index.clips] == list(CLIPS) and index.owners.tolist() == [0, 1, 2, 3]
    assert index.frames.tolist() == [[10, 19], [0, 5], [6, 15], [0, 9]]  # the middle; padding shows nothing


def test_clips_are_ranked_by_the_cosine_of_their_vectors(search, store):
    embeddings = search.index(store).embeddings
    texts = search.model.heads['text'].embed_texts([WALK, WAVE]).detach().numpy()
    expected = cosines(texts, embeddings)
    found = search.search(['A person  WALKS', WAVE], top=3)
    for hits, row in zip(found, expected):
        order = np.argsort(-row)[:3]
        assert [hit.clip for hit in hits] == [list(CLIPS)[place] for place in order]
        assert [hit.rank for hit in hits] == [1, 2, 3]
        np.testing.assert_allclose([hit.score for hit in hits], row[order], atol=1e-6)


def test_hits_say_what_the_store_knows(search, store):
    search.index(store)
    hits = {hit.clip: hit for hit in search.search([WALK])[0]}
    assert hits['r1/1'].text == (WAVE, JUMP) and hits['r1/1'].action == 'wave'
    assert hits['r1/1'].seconds == pytest.approx((3.0, 3.0 + 5 / 30)) and hits['r1/0'].seconds == (2.0, 3.0)
    assert hits['r2/0'].seconds == pytest.approx((0, 0.7)) and hits['r2/1'].text == ()


def test_a_store_of_3d_is_looked_at_from_the_first_view(store, tmp_path):
    search = MotionSearch.from_checkpoint(save_text_model(tmp_path / 'view.pth', pipeline=VIEW), 'cpu')
    index = search.index(store)
    from_side = [dict(VIEW[0], views=['side']), *VIEW[1:]]
    expected = predicted(search, store, pipeline=from_side, input_2d=None)
    np.testing.assert_allclose(index.embeddings, expected, atol=1e-6)
    from_front = predicted(search, store, pipeline=[dict(VIEW[0], views=['front']), *VIEW[1:]], input_2d=None)
    assert np.abs(index.embeddings - from_front).max() > 1e-3


def test_windows_of_a_clip_are_averaged_or_found_one_by_one(store, tmp_path):
    window = dict(kind='sliding', num_frames=NUM_FRAMES, stride=6, tail='drop', jitter=True)
    search = MotionSearch.from_checkpoint(save_text_model(tmp_path / 'sliding.pth', window=window), 'cpu')
    index = search.index(store)
    assert index.owners.tolist() == [0] * 5 + [1] + [2] * 3 + [3]  # no clip is dropped
    text = search.model.heads['text'].embed_texts([WALK]).detach().numpy()
    means = np.stack([index.embeddings[index.owners == clip].mean(axis=0) for clip in range(4)])
    found = search.search([WALK])[0]
    np.testing.assert_allclose([hit.score for hit in found], np.sort(cosines(text, means)[0])[::-1], atol=1e-6)
    single = search.search([WALK], windows=True, top=20)[0]
    assert len(single) == 10 and len(found) == 4
    best = int(cosines(text, index.embeddings).argmax())
    begin = [2.0, 3.0, 0.0, 0.0][index.owners[best]]
    assert single[0].seconds == pytest.approx(begin + index.frames[best] / 30)


def test_windows_can_be_laid_every_so_many_seconds(search, store):
    index = search.index(store, every=0.2)
    assert np.bincount(index.owners).tolist() == [5, 1, 3, 1]
    assert index.frames[:5].tolist() == [[0, 9], [6, 15], [12, 21], [18, 27], [21, 30]]


def test_a_store_of_twice_the_frame_rate_is_read_at_every_second_frame(search, tmp_path):
    index = search.index(write_text_store(tmp_path / 'fast', fps=60.0))
    assert index.frames[0].tolist() == [6, 23] and search.search([WALK])[0][0].clip in CLIPS


def test_whole_clips_are_brought_to_the_frames_of_the_model(store, tmp_path):
    window = dict(kind='resample', num_frames=NUM_FRAMES, jitter=True)
    search = MotionSearch.from_checkpoint(save_text_model(tmp_path / 'whole.pth', window=window), 'cpu')
    expected = predicted(search, store, window=dict(kind='resample', num_frames=NUM_FRAMES))
    np.testing.assert_allclose(search.index(store).embeddings, expected, atol=1e-6)
    with pytest.raises(ValueError, match="a window every 1.0 seconds.*kind 'resample', whole clips"):
        search.index(store, every=1.0)


def test_a_split_and_persons_as_in_training(search, store, tmp_path):
    assert [clip.name for clip in search.index(store, split='half').clips] == ['r1/0', 'r2/0']
    people = search.index(write_people_store(tmp_path / 'people'))  # of two persons, the model knows one
    assert people.embeddings.shape == (2, 12)


def test_joints_of_another_store_are_converted(search, tmp_path):
    rng = np.random.default_rng(0)
    with MotionStoreWriter(tmp_path / 'coco', skeleton='coco17', fps=30) as writer:
        writer.add_clip('a', dict(keypoints_2d=rng.uniform(0, 900, (12, 17, 2))), image_size=(1000, 1000))
    assert search.index(tmp_path / 'coco').embeddings.shape == (1, 12)


# --- Vectors that are used again ---


def count_batches(search, monkeypatch):
    calls = []
    monkeypatch.setattr('motionbert_mm.apis.search.encode_motions',
                        lambda *args: calls.append(1) or encode_motions(*args))
    return calls


def test_cached_vectors_are_used_again(search, store, checkpoint, tmp_path, monkeypatch):
    calls = count_batches(search, monkeypatch)
    first = search.index(store, cache=tmp_path / 'new' / 'cache')
    assert len(calls) == 1 and [path.name[:6] for path in (tmp_path / 'new' / 'cache').iterdir()] == ['store-']
    again = MotionSearch.from_checkpoint(checkpoint, 'cpu').index(store, cache=tmp_path / 'new' / 'cache', batch_size=1)
    assert len(calls) == 1
    for name in ('embeddings', 'owners', 'frames', 'rates'):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    assert again.clips == first.clips


@pytest.mark.parametrize('change', ['weights', 'split', 'every', 'pipeline', 'motion', 'damage', 'foreign'])
def test_vectors_of_anything_else_are_computed_anew(change, search, tmp_path, monkeypatch):
    calls, cache = count_batches(search, monkeypatch), tmp_path / 'cache'
    store, options = write_text_store(tmp_path / 'store'), {}
    search.index(store, cache=cache)
    file, = cache.iterdir()
    if change == 'weights':
        with torch.no_grad():
            search.model.neck.branches['token'].joints.weight[3] += 1e-3
    elif change == 'pipeline':
        search.steps = [dict(type='NormalizeCoords', inputs='crop_scale', target=None)]
    elif change == 'motion':  # the same clips by name, length and text
        write_text_store(store, skip=10)
    elif change == 'damage':
        file.write_bytes(file.read_bytes()[:-200])
    elif change == 'foreign':
        with np.load(file) as stored:
            np.savez(file, **{**stored, 'key': np.array('another')})
    else:
        options = dict(split='half') if change == 'split' else dict(every=0.5)
    index = search.index(store, cache=cache, **options)
    assert len(calls) == 2
    np.testing.assert_array_equal(search.index(store, cache=cache, **options).embeddings, index.embeddings)
    assert len(calls) == 2


# --- What is refused ---


def test_models_that_know_no_texts_are_refused(store, tmp_path):
    path = save_text_model(tmp_path / 'lifter.pth', model=TINY_MODEL)
    with pytest.raises(ValueError, match='lifter.pth holds no model that knows texts .its heads: PoseLiftHead'):
        MotionSearch.from_checkpoint(path, 'cpu')


def test_a_checkpoint_that_does_not_say_what_its_inputs_are_is_refused(tmp_path):
    with pytest.raises(ValueError, match='a.pth does not say how inputs are made .*no NormalizeCoords'):
        MotionSearch.from_checkpoint(save_text_model(tmp_path / 'a.pth', pipeline=[]), 'cpu')


def test_models_of_3d_input_are_refused(tmp_path):
    pipeline = [PIPELINE[0], dict(type='Take3DInputs'), PIPELINE[1]]
    model = copy.deepcopy(load_model(save_text_model(tmp_path / 'a.pth', pipeline=pipeline), 'cpu'))
    with pytest.raises(ValueError, match='a.pth is of a model that reads 3D poses'):
        MotionSearch(*model, source='a.pth')


@pytest.mark.parametrize('options, words', [(dict(split='no'), "no split 'no'; it has half"),
                                            (dict(every=0.0), 'a window every 0.0 seconds: expected a positive'),
                                            (dict(batch_size=0), 'batch_size must be at least 1')])
def test_options_out_of_range_are_refused(search, store, options, words):
    with pytest.raises(ValueError, match=words):
        search.index(store, **options)


def test_a_store_without_what_the_model_sees_is_refused(search, tmp_path):
    with MotionStoreWriter(tmp_path / 'solid', skeleton='h36m', fps=30) as writer:
        writer.add_clip('a', dict(keypoints_3d=np.ones((12, 17, 3))))
    with pytest.raises(ValueError, match='solid has no detected_2d'):
        search.index(tmp_path / 'solid')


@pytest.mark.parametrize('texts, top, words', [(['  '], 3, 'with words in them'), ([], 3, 'with words in them'),
                                               (WALK, 3, "texts='a person walks'"), ([WALK], 0, 'top=0')])
def test_queries_without_words_are_refused(search, store, texts, top, words):
    search.index(store)
    with pytest.raises(ValueError, match=words):
        search.search(texts, top=top)


def test_searching_nothing_is_refused(search):
    with pytest.raises(ValueError, match=r'call index\(store\) first'):
        search.search([WALK])


@pytest.mark.parametrize('fps, trained, step', [(30, 30, 1), (60, 30, 2), (120, 30, 4), (29.97, 30, 1), (15, None, 1)])
def test_steps_between_frames_keep_the_speed(fps, trained, step):
    assert frame_step(fps, trained, 'a') == step


def test_a_speed_that_cannot_be_kept_is_warned_of(monkeypatch):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', lines.append)
    assert frame_step(50, 30, 'the store') == 2
    assert lines == ['the store has 50 frames per second, the model was trained on 30: it sees motion 1.2 times as '
                     'fast']
