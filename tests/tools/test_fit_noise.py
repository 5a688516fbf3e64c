"""The tools that make imitated detections and fit noise to detections."""
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from motionbert_mm.datasets.noise_files import read_noise_model
from motionbert_mm.datasets.noise_model import ConfidenceCurve, NoiseModel, draw_noise, simulate
from motionbert_mm.datasets.transforms import AddMixtureNoise
from tests.generated import load_tool, make_motion

fit_noise, imitate, mocap = map(load_tool, ('analysis_tools/fit_noise.py', 'dataset_converters/imitate_detections.py',
                                            'dataset_converters/mocap_npz.py'))
JOINTS, FRAMES, KEYS, WIDTH = 17, 61, 7, 800.0
TRUTH = NoiseModel('h36m', np.full((JOINTS, 2), 0.002), np.full((JOINTS, 2), [0.004, 0.006]), np.full(JOINTS, 0.85),
                   ConfidenceCurve(0.03, 0.5, 0.0, 0.1), jitter_std=0.0015)


@pytest.fixture
def run(monkeypatch):
    def call(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', ['tool', *map(str, arguments)])
        tool.main()
    return call


def write_pairs(path, clips=24, image_size=(WIDTH, 600.0), leave_out=()):
    """A store of two persons per clip with detections drawn from TRUTH."""
    rng = np.random.default_rng(0)
    with MotionStoreWriter(path, skeleton='h36m', fps=25.0) as writer:
        for number in range(clips):
            errors, confidence = simulate(TRUTH, draw_noise(rng, (2, 1, FRAMES, JOINTS), KEYS))
            exact = rng.uniform(0, 600, (2, FRAMES, JOINTS, 2))
            arrays = {'keypoints_2d': exact, 'detected_2d': exact + errors[:, 0] * WIDTH / 2,
                      'detected_confidence': confidence[:, 0]}
            writer.add_clip(f'clip/{number}', {key: value for key, value in arrays.items() if key not in leave_out},
                            persons=2, image_size=image_size)
    return path


def write_mocap(path):
    """World-space clips in the format that the mocap converter reads."""
    lengths = (70, 80)
    positions = np.concatenate([make_motion(length, seed) for seed, length in enumerate(lengths)]) / 1000
    np.savez(path, positions=positions.astype(np.float32), clip_start=np.cumsum([0, *lengths]),
             clip_name=np.array(['a', 'b']), action=np.array(['walk', 'wave']), fps=np.array(30))
    return path


def test_pairs_of_known_noise_are_recovered(run, tmp_path, capsys):
    out = tmp_path / 'deep' / 'noise.json'
    run(fit_noise, write_pairs(tmp_path / 'pairs'), out, '--num-frames', FRAMES, '--num-keyframes', KEYS)
    found = read_noise_model(out)
    np.testing.assert_allclose(found.mean.mean(axis=0), TRUTH.mean[0], atol=2e-4)
    np.testing.assert_allclose(found.std.mean(axis=0), TRUTH.std[0], rtol=0.04)
    assert found.weight.mean() == pytest.approx(0.85, abs=0.02)
    assert found.jitter_std == pytest.approx(TRUTH.jitter_std, rel=0.05)
    assert found.source == 'pairs; 24 clips, 7 key frames per 61 frames at 25 fps'
    table = capsys.readouterr().out.splitlines()
    row = next(line for line in table if line.startswith('right_wrist')).split()
    assert float(row[3]) == pytest.approx(found.std[16, 0], abs=1e-5) and row[6] == str(24 * 2 * KEYS)
    total = [float(value) for value in next(line for line in table if line.startswith('all')).split()[1:]]
    np.testing.assert_allclose(total[2:], total[:2], rtol=0.05)  # observed against fitted


def test_a_store_of_the_mocap_converter_can_be_fitted(run, tmp_path):
    run(mocap, write_mocap(tmp_path / 'source.npz'), tmp_path / 'mocap')
    run(fit_noise, tmp_path / 'mocap', tmp_path / 'noise.json', '--num-frames', 27, '--num-keyframes', 4)
    model = read_noise_model(tmp_path / 'noise.json')
    assert model.jitter_std == pytest.approx(0.008, rel=0.1)  # its noise of 4 px has no memory: it is all jitter
    batch = dict(inputs=np.ones((2, 1, 9, JOINTS, 3), np.float32), skeleton='h36m')
    noisy = AddMixtureNoise(params=str(tmp_path / 'noise.json'))(batch, np.random.default_rng(0))['inputs']
    assert 0.005 < np.abs(noisy[..., :2] - 1).mean() < 0.012


def test_clips_can_be_chosen(run, tmp_path):
    store = write_pairs(tmp_path / 'pairs')
    run(fit_noise, store, tmp_path / 'noise.json', '--num-frames', FRAMES, '--num-keyframes', KEYS,
        '--include', 'clip/1*', '--source', 'mine')
    assert read_noise_model(tmp_path / 'noise.json').source.startswith('mine; 11 clips')


@pytest.mark.parametrize('changes, options, message', [
    (dict(leave_out=['detected_confidence']), [], 'has no detected_confidence, only .* pairs of detected and exact'),
    (dict(image_size=None), [], "clip 'clip/0' has no image size"),
    ({}, ['--include', 'walk/*'], "no clip matches .*; its first clip is 'clip/0'"),
    (dict(clips=1), [], 'was detected at 14 key frames.* at least 50 are needed'),
    ({}, ['--num-keyframes', '40'], 'a fit needs at least 2 key frames, 2 frames for each'),
])
def test_what_cannot_be_fitted_is_refused(run, tmp_path, changes, options, message):
    store = write_pairs(tmp_path / 'pairs', **{**dict(clips=4), **changes})
    with pytest.raises(SystemExit, match=message):
        run(fit_noise, store, tmp_path / 'noise.json', '--num-frames', FRAMES, '--num-keyframes', KEYS, *options)
    assert not (tmp_path / 'noise.json').exists()


def test_imitated_detections_replace_those_of_a_store(run, tiny_store, tmp_path):
    run(imitate, tiny_store, tmp_path / 'imitated', '--seed', '3')
    before, after = MotionStore(tiny_store), MotionStore(tmp_path / 'imitated')
    assert after.clips == before.clips and after.info == dict(before.info, detections='imitated', detections_seed=3)
    for name in ('keypoints_2d', 'keypoints_3d'):
        np.testing.assert_array_equal(after.arrays[name], before.arrays[name])
    distance = np.linalg.norm(after.arrays['detected_2d'] - after.arrays['keypoints_2d'], axis=-1)
    assert 1 < np.median(distance) < 10
    assert not np.array_equal(after.arrays['detected_confidence'], before.arrays['detected_confidence'])


def test_imitated_detections_treat_persons_alone(run, people_store, tmp_path):
    run(imitate, people_store, tmp_path / 'imitated')
    store = MotionStore(tmp_path / 'imitated')
    assert [clip.persons for clip in store.clips] == [2, 1] and store.clips == MotionStore(people_store).clips
    distance = np.linalg.norm(store.arrays['detected_2d'] - store.arrays['keypoints_2d'], axis=-1)
    assert 1 < np.median(distance) < 10


def test_detections_need_exact_joints_and_another_directory(run, tmp_path):
    store = write_pairs(tmp_path / 'pairs', clips=1, leave_out=['keypoints_2d'])
    with pytest.raises(SystemExit, match='has no keypoints_2d, only'):
        run(imitate, store, tmp_path / 'out')
    with pytest.raises(SystemExit, match='is the store that is read; name another directory'):
        run(imitate, write_pairs(tmp_path / 'other', clips=1), tmp_path / 'other')
