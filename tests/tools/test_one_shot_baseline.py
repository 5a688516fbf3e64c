import json

import numpy as np
import pytest
import torch

from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from motionbert_mm.evaluation import functional as F
from tests.generated import NUM_FRAMES, load_tool, write_config

baseline = load_tool('analysis_tools/one_shot_baseline.py')
PIPELINE = [dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2, 2]),
            dict(type='PackInputs', fields=['label'])]
EXEMPLARS = ['walk/walk_1#*', 'wave/wave_1#*']


def make_config(folder, store, **changes):
    """Config that tests all clips of a store by the clips whose names end with 1."""
    changes = {'test_dataloader.dataset.include': [], 'test_dataloader.dataset.pipeline': PIPELINE,
               'test_evaluator': dict(_delete_=True, type='OneShotMetric', exemplars=EXEMPLARS), **changes}
    return str(write_config(folder / 'one_shot.py', store, **changes))


def run(config, tmp_path, *options):
    baseline.main([config, '--json', str(tmp_path / 'out.json'), *options])
    return json.loads((tmp_path / 'out.json').read_text())


def raw_poses(store):
    """Vector of each clip by name: root-relative detections of nine frames."""
    store = MotionStore(store)
    vectors = {}
    for clip in store.clips:
        rows = clip.start + np.arange(NUM_FRAMES) * clip.length // NUM_FRAMES
        points = np.asarray(store.arrays['detected_2d'][rows], np.float64)
        vectors[clip.name] = (points - points[:, :1]).ravel()
    return vectors


def test_the_nearest_raw_pose_by_hand(tiny_store, tmp_path, capsys):
    result = run(make_config(tmp_path, tiny_store), tmp_path)
    vectors = raw_poses(tiny_store)
    exemplars = [name for name in sorted(vectors) if '_1#' in name]
    queries = [name for name in sorted(vectors) if '_2#' in name]
    found = F.nearest_exemplar(*(np.stack([vectors[name] for name in names]) for names in (queries, exemplars)),
                               np.array([int('wave' in name) for name in exemplars]))
    accuracy = 100 * (found == [int('wave' in name) for name in queries]).mean()
    assert result == {'accuracy': accuracy, 'mean_class': accuracy, 'chance': 50}
    printed = capsys.readouterr().out
    assert 'exemplars: 2 per class, chosen by name' in printed and 'over 4 queries' in printed
    assert printed.splitlines()[-1].split() == ['chance', '50.00', '50.00']
    assert printed.splitlines()[-2].split() == ['raw', 'pose', f'{accuracy:.2f}', f'{accuracy:.2f}']


def test_drawn_exemplars_are_those_of_the_metric(tiny_store, tmp_path, capsys):
    metric = dict(type='OneShotMetric', num_exemplars=2, num_draws=3, rule='mean', seed=5)
    result = run(make_config(tmp_path, tiny_store, test_evaluator=[metric]), tmp_path)
    assert set(result) == {'accuracy', 'mean_class', 'accuracy/std', 'chance'}
    assert 'exemplars: 2 per class, drawn 3 times (seed 5)' in capsys.readouterr().out


def test_windows_are_whole_clips_whatever_the_config_says(tiny_store, tmp_path):
    sliding = run(make_config(tmp_path, tiny_store), tmp_path)
    window = dict(_delete_=True, num_frames=NUM_FRAMES, kind='resample')
    whole = run(make_config(tmp_path, tiny_store, **{'test_dataloader.dataset.window': window}), tmp_path)
    assert sliding == whole


def write_plain_store(path, arms):
    """Clips of one person who holds an arm up or down, with random place, size and speed; half of them unseen."""
    rng = np.random.default_rng(0)
    with MotionStoreWriter(path, skeleton='h36m', fps=30.0, info=dict(classes=['up', 'down'])) as writer:
        for number, is_up in enumerate(arms):
            pose = rng.normal(0, 0.02, (20 + number, 17, 2)) + np.linspace(-1, 1, 17)[:, None]
            pose[:, 16, 1] += 4.0 if is_up else -4.0
            points = pose * rng.uniform(50, 200) + rng.uniform(300, 700, 2)
            writer.add_clip(f'{"up" if is_up else "down"}/{number}', dict(
                detected_2d=points.astype(np.float32), detected_confidence=np.ones(points.shape[:2], np.float32)),
                action='up' if is_up else 'down', image_size=(1000, 1000))
    return path


def test_place_size_and_length_of_a_clip_do_not_matter(tmp_path):
    store = write_plain_store(tmp_path / 'store', [True, False, True, False, True, False])
    metric = dict(_delete_=True, type='OneShotMetric', num_draws=4)
    config = make_config(tmp_path, store, test_evaluator=metric, **{'test_dataloader.dataset.targets': []})
    assert run(config, tmp_path) == {'accuracy': 100, 'mean_class': 100, 'accuracy/std': 0, 'chance': 50}


def test_vectors_are_root_relative_scaled_and_zero_where_nothing_was_seen():
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.normal(size=(1, 2, 3, 5, 2)))
    confidence = torch.ones(1, 2, 3, 5, 1)
    confidence[0, 0, 1, 4] = 0  # a joint
    confidence[0, 0, 2, 0] = 0  # the root of a frame
    confidence[0, 1] = 0  # a person
    vector = baseline.raw_pose(torch.cat([points, confidence], dim=-1), 0).reshape(2, 3, 5, 2)
    assert (vector[1] == 0).all() and (vector[0, 2] == 0).all() and (vector[0, 1, 4] == 0).all()
    assert (vector[0, :, 0] == 0).all()
    assert vector[0, :2].square().sum().item() / 9 == pytest.approx(1)  # nine joints were seen
    moved = torch.cat([3 * points + 7, confidence], dim=-1)
    torch.testing.assert_close(baseline.raw_pose(moved, 0).reshape(vector.shape), vector)


@pytest.mark.parametrize('changes, message', [
    ({'test_evaluator': dict(_delete_=True, type='ActionMetric')}, 'is tested by ActionMetric; this baseline needs'),
    ({'test_evaluator': dict(_delete_=True, type='OneShotMetric', exemplars=['sit*'])}, "fits the exemplar 'sit"),
    ({'test_dataloader': None}, 'has no test_dataloader.dataset.window'),
    ({'test_dataloader.dataset.pipeline': [PIPELINE[0], dict(type='PackInputs', fields=[])]}, 'has no label')])
def test_what_cannot_be_measured_is_refused_in_one_line(tiny_store, tmp_path, changes, message):
    with pytest.raises(SystemExit, match=f'error: .*{message}'):
        run(make_config(tmp_path, tiny_store, **changes), tmp_path)
    assert not (tmp_path / 'out.json').exists()
