"""MotionBERT dataset_motion_2d.py: which clips of PoseTrack18 and InstaVariety are taken, and what the network sees."""
import ast
import re
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from tests.generated import load_tool
from tests.parity.vectors import assert_close, load_vector
from tests.track_files import write_packed, write_posetrack

NAME = 'mb_motion2d_datasets'


class GivenRatios:
    """Stands for the generator of a batch: crop ratios as the official code drew them."""

    def __init__(self, ratios):
        self.ratios = np.asarray(ratios)

    def uniform(self, low, high, size):
        assert size == len(self.ratios)
        return self.ratios


def official_args(name):
    """The recorded options, e.g. 'flip=False, scale_range=[0.25,1]', as a dict."""
    text = load_vector(NAME).meta['args'][name]
    return {entry.arg: ast.literal_eval(entry.value) for entry in ast.parse(f'f({text})', mode='eval').body.keywords}


def official_seeds():
    """Seeds before making PoseTrack and InstaVariety, and before the first item of the latter."""
    return [int(seed) for seed in re.findall(r'seed\((\d+)', load_vector(NAME).meta['seeding'])]


def run_tool(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    load_tool(f'dataset_converters/{name}').main()


def inputs_of(store, window, ratios, crop_range):
    """What the pipeline of 2D pretraining makes of all windows of a store."""
    pipeline = [dict(type='NormalizeCoords', inputs='crop_scale', crop_range=crop_range),
                dict(type='ConvertSkeleton', target='h36m'), dict(type='ZeroMissing')]
    dataset = MotionDataset(str(store), window=window, targets=(), pipeline=pipeline)
    raw = dataset.gather(np.arange(len(dataset)), np.random.default_rng(0))
    results = raw
    for transform in dataset.pipeline:
        results = transform(results, GivenRatios(ratios))
    return raw, results['inputs'][:, 0]


def test_posetrack(tmp_path, monkeypatch):
    vector, options = load_vector(NAME), official_args('posetrack')
    names = sorted((key for key in vector.inputs if key.startswith('track')), key=lambda key: int(key[5:]))
    tracks = [vector.inputs[name] for name in names]
    write_posetrack(tmp_path / 'train' / '000342_mpii_train.json', tracks)
    run_tool(monkeypatch, 'posetrack18.py', tmp_path / 'train', tmp_path / 'store')
    expected = vector.outputs['posetrack']
    # Official: a ratio is drawn for every track that is long and visible enough, before those without root are dropped.
    cropped = [track[:30] for track in tracks if len(track) >= 30 and track[:30, :, 2].sum() > 306]
    ratios = np.random.RandomState(official_seeds()[0]).uniform(*options['scale_range'], size=len(cropped))
    ratios = [ratio for ratio, track in zip(ratios, cropped) if track[:, [11, 12], 2].all()]
    window = dict(num_frames=expected.shape[1], stride=expected.shape[1], tail='drop')
    _, inputs = inputs_of(tmp_path / 'store', window, ratios, options['scale_range'])
    assert_close(inputs, expected)


def insta_runs(vector):
    """Tracks (F, 17, 3) and their ids; official code loses a last track that is shorter than a window."""
    ids, motion = vector.inputs['insta_id'], vector.inputs['insta_motion']
    starts = np.flatnonzero(ids[1:] != ids[:-1]) + 1
    runs, names = np.split(motion, starts), ids[[0, *starts]].tolist()
    is_short = len(runs[-1]) < official_args('insta')['n_frames']
    return (runs[:-1], names[:-1]) if is_short else (runs, names)


@pytest.fixture
def insta(tmp_path, monkeypatch):
    """The windows that are read of the converted InstaVariety vector, raw and as inputs, and the vector."""
    vector, options, seeds = load_vector(NAME), official_args('insta'), official_seeds()
    write_packed(tmp_path / 'insta', *insta_runs(vector))
    run_tool(monkeypatch, 'instavariety.py', tmp_path / 'insta', tmp_path / 'store', '--unit', 'pixel',
             '--window', options['n_frames'], '--stride', options['data_stride'], '--stretch-short', '--seed', seeds[1])
    ratios = [np.random.RandomState(seeds[2] + index).uniform(*options['scale_range'])
              for index in range(len(vector.outputs['insta_items']))]
    window = dict(num_frames=options['n_frames'], stride=options['data_stride'], tail='drop')
    return vector, *inputs_of(tmp_path / 'store', window, ratios, options['scale_range'])


def test_instavariety_windows(insta):
    vector, raw, _ = insta
    expected = vector.outputs['insta_clips']
    assert_close(raw['keypoints_2d'][:, 0], expected[..., :2])
    assert_close(raw['confidence'][:, 0], expected[..., 2])


def test_instavariety_items(insta):
    vector, _, inputs = insta
    assert_close(inputs, vector.outputs['insta_items'])
