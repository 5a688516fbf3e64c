import csv
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.registry import DATASETS, MODELS, build
from tests.generated import NUM_FRAMES, TINY_MODEL, load_tool, write_config
from tests.text_files import MODEL as TEXT_MODEL

tsne = load_tool('analysis_tools/tsne.py')
EMBED = dict(_delete_=True, embed=dict(type='EmbeddingHead', out_channels=8))
TEXT = {'model.backbone': dict(_delete_=True, **TEXT_MODEL['backbone']),
        'model.neck': dict(_delete_=True, **TEXT_MODEL['neck']),
        'test_dataloader.dataset.pipeline': [dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['label'])]}
ACTION = dict(_delete_=True, action=dict(type='ActionHead', num_classes=2, hidden_channels=12))
PIPELINE = [dict(type='NormalizeCoords', target=None), dict(type='PackInputs', fields=['label'])]


def make_run(folder, store, heads, **changes):
    """Config whose test data are all eight clips, one window each, and a checkpoint with random weights."""
    window = dict(_delete_=True, num_frames=NUM_FRAMES, kind='resample')
    changes = {'model.heads': heads, 'test_dataloader.dataset.include': [], 'test_dataloader.dataset.window': window,
               'test_dataloader.dataset.pipeline': PIPELINE, **changes}
    path = write_config(folder / 'action.py', store, **changes)
    torch.manual_seed(0)
    model = build(MODELS, Config.fromfile(path).model.to_dict())
    torch.save(dict(state_dict=model.state_dict()), folder / 'model.pth')
    return str(path), str(folder / 'model.pth')


def call(run, out, *options):
    tsne.main([*run, '--out', str(out), '--perplexity', '3', '--device', 'cpu', *options])


def read(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def features(run, kind):
    """Features of the tool by clip, the model, and the batch of all clips."""
    config = Config.fromfile(run[0])
    model = tsne.load(config, run[1], 'cpu')
    clips, names = tsne.read_features(config, model, kind)
    assert list(names) == ['walk', 'wave'] and [names[label] for label in clips.labels] == [
        name.split('/')[0] for name in clips.names]
    dataset = build(DATASETS, config.test_dataloader.dataset)
    return dict(zip(clips.names, clips.vectors)), model, collate_batch(dataset.__getitems__(range(len(dataset))))


def test_the_tool_draws_the_embeddings_and_writes_the_points(tiny_store, tmp_path, capsys):
    run = make_run(tmp_path, tiny_store, EMBED)
    call(run, tmp_path / 'out' / 'tsne.png')
    rows = read(tmp_path / 'out' / 'tsne.csv')
    assert len(rows) == 8 and {row['class'] for row in rows} == {'walk', 'wave'}
    assert all(row['clip'].startswith(row['class']) for row in rows)
    points = np.array([[float(row['x']), float(row['y'])] for row in rows])
    assert np.isfinite(points).all() and len(np.unique(points, axis=0)) == 8
    assert min(Image.open(tmp_path / 'out' / 'tsne.png').size) > 700
    assert 'embeddings of 8 clips of 2 classes' in capsys.readouterr().out


def test_the_picture_is_the_same_every_time(tiny_store, tmp_path):
    run = make_run(tmp_path, tiny_store, EMBED)
    for name in 'ab':
        call(run, tmp_path / f'{name}.png', '--seed', '4', '--cfg-options', 'test_dataloader.batch_size=3')
    assert read(tmp_path / 'a.csv') == read(tmp_path / 'b.csv')


@pytest.mark.parametrize('flip_test', [False, True])
def test_features_of_the_head_are_the_predicted_embeddings(tiny_store, tmp_path, flip_test):
    found, model, batch = features(make_run(tmp_path, tiny_store, EMBED, **{'model.flip_test': flip_test}), 'head')
    with torch.no_grad():
        samples = model.test_step(batch)
    for sample in samples:
        vector = found[sample.sample_id]
        np.testing.assert_allclose(vector / np.linalg.norm(vector), sample.embedding.numpy(), atol=1e-6)


@pytest.mark.parametrize('heads', [EMBED, ACTION])
def test_features_of_the_neck_are_pooled_over_frames_and_persons(tiny_store, tmp_path, heads):
    found, model, batch = features(make_run(tmp_path, tiny_store, heads), 'neck')
    with torch.no_grad():
        tokens = model.extract_features(batch['inputs'])  # one person: (B, T, J, D)
    for name, vector in zip(batch['data_samples'].metainfo['sample_id'], tokens.mean(dim=1).flatten(1).numpy()):
        np.testing.assert_allclose(found[name], vector, atol=1e-6)
    assert tokens.shape == (8, NUM_FRAMES, 17, 8)


def test_features_of_an_action_head_are_its_hidden_layer(tiny_store, tmp_path):
    found, model, batch = features(make_run(tmp_path, tiny_store, ACTION), 'head')
    head = model.heads['action']
    for sample in model.test_step(batch):
        logits = head.fc2(torch.from_numpy(found[sample.sample_id]).float())
        torch.testing.assert_close(logits.softmax(-1), sample.scores, atol=1e-6, rtol=0)


def test_an_action_model_is_drawn_by_its_pooled_features(tiny_store, tmp_path, capsys):
    call(make_run(tmp_path, tiny_store, ACTION), tmp_path / 'a.png')
    assert 'pooled features of 8 clips' in capsys.readouterr().out


@pytest.mark.parametrize('flip_test', [False, True])
def test_embeddings_of_a_text_model_are_those_of_its_token(tiny_store, tmp_path, capsys, flip_test):
    run = make_run(tmp_path, tiny_store, dict(_delete_=True, **TEXT_MODEL['heads']), **TEXT,
                   **{'model.flip_test': flip_test})
    found, model, batch = features(run, 'head')
    with torch.no_grad():
        token = model.extract_features(batch['inputs'])['token'][:, 0, 0]  # one person: (B, D)
    for name, vector in zip(batch['data_samples'].metainfo['sample_id'], torch.nn.functional.normalize(token).numpy()):
        np.testing.assert_allclose(found[name], vector, atol=1e-6)
    call(run, tmp_path / 'a.png')
    assert 'embeddings of 8 clips' in capsys.readouterr().out


@pytest.mark.parametrize('heads, changes', [(TINY_MODEL['heads'], {}), (TEXT_MODEL['heads'], TEXT)])
def test_any_model_is_drawn_by_the_average_of_its_frames(tiny_store, tmp_path, capsys, heads, changes):
    run = make_run(tmp_path, tiny_store, dict(_delete_=True, **heads), **changes)
    found, model, batch = features(run, 'average')
    with torch.no_grad():
        frames = model.extract_features(batch['inputs'])
    frames = frames['frames'] if changes else frames
    for name, vector in zip(batch['data_samples'].metainfo['sample_id'], frames.mean(dim=(1, 2)).numpy()):
        np.testing.assert_allclose(found[name], vector, atol=1e-6)
    call(run, tmp_path / 'a.png', '--features', 'average', '--neighbours', '3')
    assert 'averaged features: 3-NN accuracy ' in capsys.readouterr().out


def test_how_well_classes_are_told_apart_is_measured():
    # By cosine: two classes of three, in directions 0 and 90; the last clip of the second lies among the first.
    angles = np.radians([0, 2, 4, 90, 93, 1])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array([1, 5, 9, 2, 1, 4])[:, None]
    labels = np.array([0, 0, 0, 1, 1, 1])
    accuracy, silhouette = tsne.tell_apart(vectors, labels, 1)
    assert accuracy == pytest.approx(100 * 3 / 6)  # 0 and 2 degrees are nearest to the strange one, it to one of them
    assert tsne.tell_apart(vectors, labels, 3)[0] == pytest.approx(100 * 3 / 6)
    clean, silhouette_clean = tsne.tell_apart(vectors[:5], labels[:5], 1)
    assert clean == 100 and silhouette_clean > 0.9 > silhouette
    for wrong, neighbours in ((labels, 6), (labels, 0), (np.zeros(6, int), 1), (np.arange(6), 1)):
        with pytest.raises(ValueError, match='expected at least one neighbour'):
            tsne.tell_apart(vectors, wrong, neighbours)


def test_groups_that_are_far_apart_stay_apart():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(3), 20)
    points = tsne.project(10 * np.eye(16)[groups] + rng.normal(0, 0.1, (60, 16)), perplexity=10, seed=0)
    distances = np.linalg.norm(points[:, None] - points, axis=-1) + 1e9 * np.eye(60)
    assert (groups[distances.argmin(axis=1)] == groups).all()


@pytest.mark.parametrize('options, message', [
    (('--perplexity', '8'), '8 clips and a perplexity of 8: .*; set --perplexity, or test on more clips'),
    (('--perplexity', '0'), 'a perplexity of 0'), (('--device', 'abacus'), '--device abacus is not available'),
    (('--cfg-options', 'model.backbone.depth=1'), 'model.pth does not fit the model'),
    (('--cfg-options', 'test_dataloader=None'), 'has no test_dataloader')])
def test_what_cannot_be_drawn_is_refused_in_one_line(tiny_store, tmp_path, options, message):
    run = make_run(tmp_path, tiny_store, EMBED)
    with pytest.raises(SystemExit, match=f'error: .*{message}'):
        call(run, tmp_path / 'a.png', *options)
    assert not (tmp_path / 'a.png').exists()


def test_another_suffix_is_refused(tiny_store, tmp_path):
    with pytest.raises(SystemExit, match='error: --out must be a picture'):
        call(make_run(tmp_path, tiny_store, EMBED), tmp_path / 'a.csv')


def test_a_model_without_a_head_of_clips_is_refused(tiny_store, tmp_path):
    run = make_run(tmp_path, tiny_store, TINY_MODEL['heads'])
    with pytest.raises(SystemExit, match='error: the model predicts by PoseLiftHead, expected an EmbeddingHead'):
        call(run, tmp_path / 'a.png')


def test_a_missing_scikit_learn_is_named_with_its_extra(tiny_store, tmp_path, monkeypatch):
    run = make_run(tmp_path, tiny_store, EMBED)
    monkeypatch.setitem(sys.modules, 'sklearn.manifold', None)
    with pytest.raises(SystemExit, match=r"error: tsne.py needs scikit-learn.*pip install 'motionbert_mm\[analysis\]'"):
        call(run, tmp_path / 'a.png')


def test_data_without_labels_are_refused(tiny_store, tmp_path):
    pipeline = [PIPELINE[0], dict(type='PackInputs', fields=[])]
    run = make_run(tmp_path, tiny_store, EMBED, **{'test_dataloader.dataset.pipeline': pipeline})
    assert 'label' not in build(DATASETS, Config.fromfile(run[0]).test_dataloader.dataset)[0]['fields']
    with pytest.raises(SystemExit, match='error: .*the ground truth has no label'):
        call(run, tmp_path / 'a.png')
