"""AddMixtureNoise: what it changes, its parameter files, and what it refuses."""
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from motionbert_mm.datasets.noise_files import DEFAULT_FILE, read_noise_model, write_noise_model
from motionbert_mm.datasets.noise_model import ConfidenceCurve, NoiseDraws, NoiseModel, draw_noise, simulate
from motionbert_mm.datasets.transforms import AddMixtureNoise
from motionbert_mm.structures.skeleton import get_skeleton

JOINTS = 17
CURVE = ConfidenceCurve(a=0.03, b=0.5, m=0.01, s=0.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def make_batch(batch=3, persons=2, frames=20, joints=JOINTS, skeleton='h36m', missing=()):
    """Normalised inputs with confidence 1, and 0 in all channels at ``missing``; writing to them is an error."""
    inputs = rng(7).uniform(-1, 1, (batch, persons, frames, joints, 3)).astype(np.float32)
    inputs[..., 2] = 1.0
    for place in missing:
        inputs[place] = 0.0
    inputs.flags.writeable = False
    return dict(inputs=inputs, skeleton=skeleton, confidence=inputs[..., 2])


def make_model(joints=JOINTS, skeleton='h36m', **changes):
    """Parameters that differ by joint and axis."""
    values = rng(3)
    model = dict(skeleton=skeleton, mean=values.normal(0, 0.002, (joints, 2)), confidence=CURVE,
                 std=values.uniform(0.003, 0.009, (joints, 2)), weight=values.uniform(0.7, 1.0, joints), source='test')
    return NoiseModel(**{**model, **changes})


def apply(transform, batch, seed=0):
    return transform(batch, rng(seed))['inputs'] - batch['inputs']


def with_model(model, **options):
    transform = AddMixtureNoise(**options)
    transform.model = model
    return transform


def test_noise_moves_every_joint_a_little_and_makes_a_confidence():
    batch = make_batch()
    noisy = AddMixtureNoise()(batch, rng())['inputs']
    distance = np.linalg.norm(noisy[..., :2] - batch['inputs'][..., :2], axis=-1)
    assert noisy.shape == batch['inputs'].shape and noisy.dtype == np.float32
    assert (distance > 0).all() and 0.005 < np.median(distance) < 0.009 and distance.max() < 0.1
    assert 0 <= noisy[..., 2].min() < 0.6 < noisy[..., 2].mean() < 0.9 and noisy[..., 2].max() == 1


@pytest.mark.parametrize('frames', [1, 2, 27, 243])
def test_any_number_of_frames_works(frames):
    errors = apply(AddMixtureNoise(), make_batch(frames=frames))
    assert errors.shape == (3, 2, frames, JOINTS, 3) and np.isfinite(errors).all()
    assert errors[..., :2].std() == pytest.approx(0.006, rel=0.4)


def test_only_the_inputs_change():
    batch = make_batch()
    noisy = AddMixtureNoise()(batch, rng())
    assert set(noisy) == set(batch) and noisy['confidence'] is batch['confidence']


def test_samples_and_persons_have_noise_of_their_own_which_the_seed_repeats():
    errors = apply(AddMixtureNoise(), make_batch())
    people = errors[..., :2].reshape(6, -1)
    correlation = np.corrcoef(people) - np.eye(6)
    assert np.abs(correlation).max() < 0.2
    np.testing.assert_array_equal(errors, apply(AddMixtureNoise(), make_batch()))


@pytest.mark.parametrize('share, shared', [(True, 1.0), (False, 0.0)])
def test_jitter_can_be_the_same_for_all_samples_but_not_for_persons(share, shared):
    still = make_model(mean=np.zeros((JOINTS, 2)), std=np.zeros((JOINTS, 2)), weight=np.ones(JOINTS))
    jitter = apply(with_model(still, share_jitter=share), make_batch(frames=50))[..., :2]
    first, second, other = jitter[0, 0].ravel(), jitter[1, 0].ravel(), jitter[0, 1].ravel()
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(shared, abs=0.1)
    assert np.corrcoef(first, other)[0, 1] == pytest.approx(0.0, abs=0.1)
    assert jitter.std() == pytest.approx(still.jitter_std, rel=0.05)


def test_missing_joints_stay_missing():
    batch = make_batch(missing=[(0, 1, slice(3, 9), 4), (2, 0, 0)])
    missing = batch['inputs'][..., 2] == 0
    noisy = AddMixtureNoise()(batch, rng())['inputs']
    assert (noisy[missing] == 0).all() and (noisy[~missing] != batch['inputs'][~missing])[:, :2].all()
    official = AddMixtureNoise(skip_missing=False)(batch, rng())['inputs']
    assert (official[missing][:, :2] != 0).all() and official[missing][:, 2].mean() > 0.6
    np.testing.assert_array_equal(official[~missing], noisy[~missing])


def test_errors_are_linear_between_key_frames():
    model = make_model(jitter_std=0.0)
    draws = draw_noise(rng(), (2, 1, 13, JOINTS), 4)
    errors, _ = simulate(model, draws)
    steps = np.diff(errors, axis=2)
    for first in (0, 4, 8):
        np.testing.assert_allclose(steps[:, :, first:first + 4] - steps[:, :, first:first + 1], 0, atol=1e-7)
    assert np.abs(steps[:, :, 3] - steps[:, :, 4]).min() > 1e-6
    chosen = draws.selector < model.weight[:, None]
    keys = np.where(chosen, draws.gaussian * model.std + model.mean, (draws.uniform - 0.5) * model.uniform_range)
    np.testing.assert_allclose(errors[:, :, ::4], keys, atol=1e-7)


def test_weight_is_the_share_of_gaussian_errors():
    model = make_model(mean=np.full((JOINTS, 2), 1.0), jitter_std=0.0)
    errors, _ = simulate(model, draw_noise(rng(), (500, 1, 8, JOINTS), 8))
    uniform = np.abs(errors[..., 0]) < 0.5
    assert np.abs(errors[uniform]).max() <= 0.03 and errors[uniform].std() == pytest.approx(0.06 / 12 ** 0.5, rel=0.02)
    np.testing.assert_allclose(1 - uniform.mean(axis=(0, 1, 2)), model.weight, atol=0.03)


def test_confidence_is_the_curve_of_the_whole_error():
    model = make_model(confidence=replace(CURVE, s=0.1), weight=np.ones(JOINTS), jitter_std=0.0, std=np.zeros((17, 2)),
                       mean=np.linspace(0, 0.06, 2 * JOINTS).reshape(JOINTS, 2))
    draws = draw_noise(rng(), (100, 1, 50, JOINTS), 5)
    errors, confidence = simulate(model, draws)
    distance = np.linalg.norm(model.mean, axis=1)
    expected = 0.03 / (distance + 0.03) + 0.5 * distance + 0.01
    clear = (expected > 0.3) & (expected < 0.7)  # too far from 0 and 1 for clipping to matter
    np.testing.assert_allclose(confidence[..., clear].mean(axis=(0, 1, 2)), expected[clear], atol=0.01)
    np.testing.assert_allclose(confidence[..., clear].std(axis=(0, 1, 2)), 0.1, atol=0.01)
    assert clear.sum() > 5 and confidence.max() == 1.0 and confidence.min() >= 0.0


def test_draws_broadcast_over_samples():
    model, single = make_model(), draw_noise(rng(), (1, 1, 9, JOINTS), 5)
    errors, confidence = simulate(model, single)
    many = NoiseDraws(*(np.repeat(getattr(single, name), 3, axis=0) for name in NoiseDraws.__dataclass_fields__))
    np.testing.assert_array_equal(simulate(model, many)[0], np.repeat(errors, 3, axis=0))
    np.testing.assert_array_equal(simulate(model, many)[1], np.repeat(confidence, 3, axis=0))


def test_the_default_set_is_at_the_level_of_real_detections():
    """Level that MotionBERT's own noise has: median 0.0071, mean 0.0084, 95 % 0.020, confidence 0.78."""
    errors, confidence = simulate(read_noise_model(), draw_noise(rng(), (16, 1, 243, JOINTS), 27))
    distance = np.linalg.norm(errors, axis=-1)
    assert np.median(distance) == pytest.approx(0.0071, rel=0.1) and distance.mean() == pytest.approx(0.0084, rel=0.1)
    assert np.quantile(distance, 0.95) == pytest.approx(0.020, rel=0.2)
    assert confidence.mean() == pytest.approx(0.78, abs=0.02)


def test_the_default_set_says_that_no_real_detector_is_behind_it():
    assert 'imitated detector' in read_noise_model().source and 'not a real one' in read_noise_model().source


def test_parameters_survive_their_file(tmp_path):
    model = make_model(12 + 5, 'coco17', uniform_range=0.1, jitter_std=0.003)
    write_noise_model(tmp_path / 'noise.json', model)
    again = read_noise_model(tmp_path / 'noise.json')
    for name in ('mean', 'std', 'weight'):
        np.testing.assert_allclose(getattr(again, name), getattr(model, name), atol=1e-7)
    assert (again.skeleton, again.uniform_range, again.jitter_std, again.source, again.confidence) == (
        'coco17', 0.1, 0.003, 'test', CURVE)
    assert [path.name for path in tmp_path.iterdir()] == ['noise.json']


def test_own_parameters_serve_their_skeleton(tmp_path):
    write_noise_model(tmp_path / 'noise.json', make_model(skeleton='coco17'))
    errors = apply(AddMixtureNoise(params=str(tmp_path / 'noise.json')), make_batch(skeleton='coco17'))
    assert np.abs(errors[..., :2]).min() > 0


def write_official(directory, noise=None, curve=None):
    content = {'mean': torch.full((JOINTS, 2), 0.001).double(), 'std': torch.full((JOINTS, 2), 0.004).double(),
               'weight': torch.full((JOINTS,), 0.8).double()}
    torch.save(content if noise is None else noise, directory / 'synthetic_noise.pth')
    curve = dict(a=0.02, b=np.float64(1.5), m=0.0, s=np.float32(0.25)) if curve is None else curve
    (directory / 'd2c_params.pkl').write_bytes(pickle.dumps(curve))
    return directory / 'synthetic_noise.pth', directory / 'd2c_params.pkl'


def test_official_files_are_read(tmp_path):
    model = read_noise_model(*write_official(tmp_path))
    assert (model.skeleton, model.uniform_range, model.jitter_std) == ('h36m', 0.06, 0.002)
    assert model.confidence == ConfidenceCurve(0.02, 1.5, 0.0, 0.25)
    assert (model.mean == np.float32(0.001)).all() and (model.weight == np.float32(0.8)).all()


def test_the_official_curve_replaces_that_of_another_file(tmp_path):
    _, curve = write_official(tmp_path)
    model = read_noise_model(None, curve)
    assert model.confidence.s == 0.25
    np.testing.assert_array_equal(model.mean, read_noise_model().mean)


def test_an_official_uniform_range_counts(tmp_path):
    content = {'mean': torch.zeros(JOINTS, 2), 'std': torch.ones(JOINTS, 2), 'weight': torch.ones(JOINTS),
               'uniform_range': 0.2}
    assert read_noise_model(*write_official(tmp_path, content)).uniform_range == 0.2


@pytest.mark.parametrize('noise, curve, message', [
    ({'mean': torch.zeros(17, 2), 'std': torch.ones(17, 2)}, None, r"lacks \['weight'\]; expected the official"),
    ({'mean': torch.zeros(16, 2), 'std': torch.ones(17, 2), 'weight': torch.ones(17)}, None, r'mean must be \(17, 2\)'),
    ({'mean': torch.zeros(17, 2), 'std': torch.ones(17, 2), 'weight': torch.full((17,), 2.0)}, None, 'weight in 0..1'),
    (None, dict(a=0.1, b=1.0, m=0.0), "does not hold the official confidence parameters .KeyError.'s'"),
    (None, [1, 2], 'does not hold the official confidence parameters'),
    (None, dict(a=-0.1, b=1.0, m=0.0, s=0.1), 'a > 0 and s >= 0'),
])
def test_a_damaged_official_file_is_refused(tmp_path, noise, curve, message):
    with pytest.raises(ValueError, match=message):
        read_noise_model(*write_official(tmp_path, noise, curve))


def test_the_official_noise_file_needs_the_confidence_file(tmp_path):
    noise, _ = write_official(tmp_path)
    with pytest.raises(ValueError, match='no confidence curve; give the official d2c_params.pkl as confidence_params'):
        AddMixtureNoise(params=str(noise))


def changed_default(**changes):
    content = json.loads(DEFAULT_FILE.read_text())
    content.update(changes)
    return json.dumps({key: value for key, value in content.items() if value is not None})


def swapped_joints():
    joints = json.loads(DEFAULT_FILE.read_text())['joints']
    return dict(reversed(joints.items()))


@pytest.mark.parametrize('text, message', [
    ('', 'torn or holds no noise parameters'),
    (DEFAULT_FILE.read_text()[:500], 'torn or holds no noise parameters'),
    ('[1, 2]', 'torn or holds no noise parameters'),
    (changed_default(version=9), 'version 9, expected .* version 1'),
    (changed_default(joints=swapped_joints()), 'joints are right_wrist, .* the skeleton has root'),
    (changed_default(skeleton='coco17'), 'the skeleton has nose'),
    (changed_default(skeleton='martian'), "unknown skeleton 'martian'"),
    (changed_default(confidence=None), "no usable noise parameters .'confidence'"),
    (changed_default(jitter_std=-1), 'jitter_std >= 0'),
    (changed_default(confidence=dict(a=float('nan'), b=0, m=0, s=0)), 'finite numbers'),
])
def test_a_damaged_file_is_refused(tmp_path, text, message):
    (tmp_path / 'noise.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_noise_model(tmp_path / 'noise.json')


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match='do not exist; fit one with tools/analysis_tools/fit_noise.py'):
        AddMixtureNoise(params=str(tmp_path / 'nothing.json'))


def test_another_skeleton_is_refused():
    joints = get_skeleton('body25').num_joints
    with pytest.raises(ValueError, match="parameters for skeleton 'h36m', the samples have 'body25'; put ConvertSkel"):
        AddMixtureNoise()(make_batch(joints=joints, skeleton='body25'), rng())


def test_noise_comes_after_normalisation():
    with pytest.raises(ValueError, match='put NormalizeCoords before it'):
        AddMixtureNoise()(dict(keypoints_2d=np.zeros((1, 1, 9, 17, 2)), skeleton='h36m'), rng())


def test_key_frames_are_needed():
    with pytest.raises(ValueError, match='num_keyframes is 0, expected at least 1'):
        AddMixtureNoise(num_keyframes=0)
