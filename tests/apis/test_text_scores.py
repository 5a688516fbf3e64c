"""Sentences scored against a track of keypoints: the windows, what is padded, and what is written."""
import json

import numpy as np
import pytest
import torch

from motionbert_mm.apis import MotionSearch, TextScorer, score_texts
from motionbert_mm.apis.text_output import text_lines, write_text_scores
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.io import KeypointTrack
from tests.generated import TINY_MODEL
from tests.text_files import JUMP, MODEL, NUM_FRAMES, WALK, WAVE, cosines, save_text_model, write_text_store

TEXTS = [WALK, WAVE, JUMP]
EVERYTHING = slice(None)
# Coordinates of missing joints do not count; they are interpolated in tracks alone.
PIPELINE = [dict(type='NormalizeCoords'), dict(type='ZeroMissing'), dict(type='PackInputs')]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('scores')


@pytest.fixture(scope='module')
def store(folder):
    return write_text_store(folder / 'store')


def make(folder, **options):
    """Checkpoint, and the scorer and search of it."""
    path = save_text_model(folder / 'model.pth', **options)
    return TextScorer.from_checkpoint(path, 'cpu'), MotionSearch.from_checkpoint(path, 'cpu')


def read_clip(store, number, part=EVERYTHING):
    """Arguments of ``score`` for the detections of a clip."""
    opened = MotionStore(store)
    clip = opened.clips[number]
    rows = slice(clip.start, clip.start + clip.length)
    return dict(keypoints=opened.arrays['detected_2d'][rows][part], skeleton='h36m', image_size=clip.image_size,
                confidence=opened.arrays['detected_confidence'][rows][part])


def sentences(scorer):
    return scorer.model.heads['text'].embed_texts(TEXTS).detach().numpy()


@pytest.mark.parametrize('clip', [1, 3])  # of 5 frames, which are padded, and of 9
@pytest.mark.parametrize('inputs', ['screen', 'crop_scale'])
def test_a_short_track_is_seen_as_a_clip_of_training(folder, store, clip, inputs):
    scorer, search = make(folder, pipeline=[dict(type='NormalizeCoords', inputs=inputs), *PIPELINE[1:]])
    result = scorer.score(texts=TEXTS, **read_clip(store, clip))
    expected = cosines(search.index(store).embeddings[clip:clip + 1], sentences(scorer))[0]
    np.testing.assert_allclose(result.cosines, expected, atol=1e-5)
    assert result.windows.tolist() == [[0, [0, 5, 0, 9][clip]]] and result.texts == tuple(TEXTS)


def test_a_long_track_is_cut_into_windows_that_overlap_by_half(folder, store):
    scorer, _ = make(folder, pipeline=PIPELINE)
    given = read_clip(store, 0)
    result = scorer.score(texts=TEXTS, **given)
    assert result.windows.tolist() == [[start, start + 9] for start in (0, 4, 8, 12, 16, 20, 21)]
    rows = [scorer.score(texts=TEXTS, **read_clip(store, 0, slice(start, start + 9))).cosines
            for start in (0, 4, 8, 12, 16, 20, 21)]
    np.testing.assert_allclose(result.window_cosines, rows, atol=1e-5)
    assert np.abs(np.diff(rows, axis=0)).max() > 1e-3


def test_the_whole_is_the_mean_of_the_vectors_of_the_windows(folder, store):
    scorer, search = make(folder, pipeline=PIPELINE, window=dict(kind='sliding', num_frames=NUM_FRAMES, stride=4))
    expected = search.index(store)
    mean = expected.embeddings[expected.owners == 0].mean(axis=0, keepdims=True)
    result = scorer.score(texts=TEXTS, **read_clip(store, 0))
    np.testing.assert_allclose(result.cosines, cosines(mean, sentences(scorer))[0], atol=1e-5)


def test_shares_are_the_softmax_at_the_temperature_of_training(folder, store):
    scorer, _ = make(folder)
    result = scorer.score(texts=TEXTS, **read_clip(store, 0))
    expected = torch.tensor(result.cosines / 0.2).softmax(0).numpy()
    np.testing.assert_allclose(result.shares, expected, rtol=1e-5)
    assert [result.cosines[number] for number in result.order] == sorted(result.cosines, reverse=True)
    plain = {**MODEL, 'heads': {**MODEL['heads'], 'text': dict(MODEL['heads']['text'], losses=[])}}
    result = make(folder, model=plain)[0].score(texts=TEXTS, **read_clip(store, 0))
    np.testing.assert_allclose(result.shares, torch.tensor(result.cosines / 0.1).softmax(0).numpy(), rtol=1e-5)


def test_a_track_of_twice_the_frame_rate_is_seen_at_every_second_frame(folder, store):
    scorer, _ = make(folder)
    given = read_clip(store, 2, slice(0, 18))
    result = scorer.score(texts=TEXTS, fps=60.0, **given)
    assert result.windows.tolist() == [[0, 17], [1, 18]]
    slow = scorer.score(texts=TEXTS, fps=30.0, **read_clip(store, 2, slice(0, 18, 2)))
    np.testing.assert_allclose(result.window_cosines[0], slow.cosines, atol=1e-5)


def test_a_short_track_of_twice_the_frame_rate_is_padded(folder, store):
    result = make(folder)[0].score(texts=TEXTS, fps=60.0, **read_clip(store, 3))
    assert result.windows.tolist() == [[0, 9], [0, 9]]  # even and odd frames of the same 18, half of them padding


def test_models_of_whole_clips_get_windows_as_long_as_clips(folder, store):
    window = dict(kind='resample', num_frames=NUM_FRAMES)
    scorer, search = make(folder, window=window, pipeline=PIPELINE)
    whole = scorer.score(texts=TEXTS, **read_clip(store, 1))  # of 5 frames
    expected = cosines(search.index(store).embeddings[1:2], sentences(scorer))[0]
    np.testing.assert_allclose(whole.cosines, expected, atol=1e-5)
    result = scorer.score(texts=TEXTS, fps=60.0, **read_clip(store, 0))  # 0.3 s are 18 frames
    assert result.windows.tolist() == [[0, 18], [9, 27], [12, 30]]


def test_missing_joints_change_what_is_said_and_are_allowed(folder, store):
    scorer, _ = make(folder)
    given = read_clip(store, 0)
    points = given['keypoints'].copy()
    points[3:6, 4] = np.nan
    result = scorer.score(texts=TEXTS, **{**given, 'keypoints': points})
    assert np.isfinite(result.window_cosines).all()


def test_a_model_of_two_persons_says_that_it_sees_one(folder, store):
    path = save_text_model(folder / 'two.pth')
    stored = torch.load(path, weights_only=True)
    stored['meta']['motionbert_mm']['num_persons'] = 2
    torch.save(stored, path)
    result = TextScorer.from_checkpoint(path, 'cpu').score(texts=TEXTS, **read_clip(store, 0))
    assert result.notes == ('the model was trained with 2 persons in every clip and sees one here',)


def test_the_function_does_it_in_one_call(folder, store):
    scorer, _ = make(folder)
    given = read_clip(store, 0)
    expected = scorer.score(texts=TEXTS, **given)
    result = score_texts(folder / 'model.pth', given.pop('keypoints'), TEXTS, device='cpu', **given)
    np.testing.assert_array_equal(result.cosines, expected.cosines)


def test_scores_are_written_and_said(folder, store, tmp_path):
    scorer, _ = make(folder)
    given = read_clip(store, 0)
    result = scorer.score(texts=TEXTS, **given)
    track = KeypointTrack(given['keypoints'], given['confidence'], np.arange(60, 90), 7, 'h36m', ())
    write_text_scores(tmp_path / 'new' / 'texts.json', track, result, fps=30.0)
    written = json.loads((tmp_path / 'new' / 'texts.json').read_text())
    assert written['track'] == 7 and written['frames'] == [60, 89] and written['texts'] == TEXTS
    assert [entry['text'] for entry in written['scores']] == [TEXTS[number] for number in result.order]
    assert sum(entry['share'] for entry in written['scores']) == pytest.approx(1, abs=1e-3)
    first = written['windows'][0]
    assert (first['start'], first['end'], first['start_frame'], first['end_frame']) == (2.0, 2.3, 60, 68)
    assert first['best'] == TEXTS[int(result.window_cosines[0].argmax())] and len(first['cosines']) == 3
    lines = text_lines(track, result, fps=30.0)
    assert lines[0].split() == ['cosine', 'share', 'text'] and len(lines) == 1 + 3 + len(result.windows)
    assert lines[1].endswith(TEXTS[result.order[0]]) and lines[4].split()[:2] == ['2.00', 's']


@pytest.mark.parametrize('options, words', [
    (dict(texts=[]), 'with words in them'), (dict(texts=['', WALK]), 'with words in them'),
    (dict(texts=WALK), "got the string 'a person walks'"), (dict(fps=0.0), 'fps must be positive'),
    (dict(batch_size=0), 'batch_size must be at least 1'), (dict(image_size=(20, 20)), 'lie outside the image'),
    (dict(keypoints=np.zeros((4, 16, 2))), r'shape \(4, 16, 2\), expected')])
def test_what_cannot_be_scored_is_refused(folder, store, options, words):
    scorer, _ = make(folder)
    given = {'texts': TEXTS, **read_clip(store, 0), **options}
    if 'keypoints' in options:
        given['confidence'] = None
    with pytest.raises(ValueError, match=words):
        scorer.score(**given)


def test_models_that_know_no_texts_are_refused(folder):
    path = save_text_model(folder / 'lifter.pth', model=TINY_MODEL)
    with pytest.raises(ValueError, match='lifter.pth holds no model that knows texts'):
        TextScorer.from_checkpoint(path, 'cpu')
