"""tools/test.py with metrics of classes: what it measures, dumps and draws."""
import contextlib
import csv
import json
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config

from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.registry import MODELS, build
from tests.generated import NUM_FRAMES, load_tool, write_config

PIPELINE = [dict(type='NormalizeCoords', target=None), dict(type='PackInputs', fields=['label'])]
KINDS = {'scores': (dict(_delete_=True, action=dict(type='ActionHead', num_classes=2, hidden_channels=12)),
                    dict(_delete_=True, type='ActionMetric'), 2),
         'embedding': (dict(_delete_=True, embed=dict(type='EmbeddingHead', out_channels=8)),
                       dict(_delete_=True, type='OneShotMetric', exemplars=['*_1#*']), 8)}


@pytest.fixture(params=list(KINDS))
def tested(request, tiny_store, tmp_path, monkeypatch):
    """Test random weights with all outputs; name and size of what is predicted, and the folder of the outputs."""
    heads, metric, size = KINDS[request.param]
    path = write_config(tmp_path / 'classes.py', tiny_store, **{
        'model.heads': heads, 'test_evaluator': metric, 'test_dataloader.dataset.include': [],
        'test_dataloader.dataset.pipeline': PIPELINE, 'experiment_name': tmp_path.as_posix().replace('/', '_'),
        'test_dataloader.dataset.window': dict(_delete_=True, num_frames=NUM_FRAMES, stride=20)})
    model = build(MODELS, Config.fromfile(path).model.to_dict())
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    monkeypatch.setattr(sys, 'argv', [
        'test.py', str(path), str(tmp_path / 'model.pth'), '--work-dir', str(tmp_path / 'work'), '--json',
        str(tmp_path / 'out.json'), '--dump', str(tmp_path / 'out.npz'), '--show-dir', str(tmp_path / 'show')])
    with contextlib.redirect_stdout(None):
        load_tool('test.py').main()
    return request.param, size, tmp_path


def test_scores_or_embeddings_are_measured_dumped_and_drawn(tested, tiny_store):
    field, size, folder = tested
    clips = {clip.name: clip for clip in MotionStore(tiny_store).clips}
    with np.load(folder / 'out.npz', allow_pickle=False) as dump:
        assert dump['classes'].tolist() == ['walk', 'wave'] and set(dump['sample_id']) == set(clips)
        assert dump['label'].tolist() == [int('wave' in name) for name in dump['sample_id']]
        windows = len(dump['sample_id'])
        assert windows > len(clips) and dump[field].shape == (windows, size)
        assert dump['frame_ids'].shape == (windows, NUM_FRAMES)
        values = dump[field]
    sizes = values.sum(axis=1) if field == 'scores' else np.linalg.norm(values, axis=1)
    np.testing.assert_allclose(sizes, 1, atol=1e-5)
    assert sorted(path.name for path in (folder / 'show').iterdir()) == [
        'confusion.csv', 'confusion.png', 'per_class.csv']
    with open(folder / 'show' / 'confusion.csv', newline='') as file:
        counts = np.array([row[1:] for row in list(csv.reader(file))[1:]], int)
    metrics = json.loads((folder / 'out.json').read_text())
    headline = metrics['top1' if field == 'scores' else 'accuracy']
    assert headline == pytest.approx(100 * np.trace(counts) / counts.sum())
    assert counts.sum() == (8 if field == 'scores' else 4)
