import pytest
import torch
from mmengine.optim import OptimWrapper

from motionbert_mm.geometry.rotation import axis_angle_to_matrix, mirror_axis_angle, rotation_6d_to_matrix
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.registry import MODELS, build
from tests.models.test_mesh_head import BATCH, FLIP, FRAMES, HEAD, NETWORKS, SMPL_FLIP, inputs, samples, trained

HIDDEN = 16


def make(network='dstformer', flip_test=False, **changes):
    torch.manual_seed(0)
    head = {**HEAD, 'type': 'MeshRefineHead', 'hidden_channels': HIDDEN, **changes}
    return build(MODELS, dict(type='MotionModel', heads=dict(mesh=head), flip_test=flip_test, **NETWORKS[network]))


def given(persons=1, **options):
    """Targets, and what another method made of them."""
    targets = samples(persons, **options)
    noise = torch.Generator().manual_seed(3)
    targets.initial_pose = targets.smpl_pose + 0.2 * torch.randn(targets.smpl_pose.shape, generator=noise)
    targets.initial_betas = targets.smpl_betas + 0.1
    return targets


def without_residual(**options):
    model = make(**options)
    for parameter in model.heads['mesh'].output.parameters():
        torch.nn.init.zeros_(parameter)
    return model.eval()


def matrices(predictions):
    return torch.stack([axis_angle_to_matrix(sample.smpl_pose) for sample in predictions])


@pytest.mark.parametrize('flip_test', [False, True])
def test_a_residual_of_zero_is_the_initial_pose(flip_test):
    batch = given(persons=2)
    predictions = without_residual(flip_test=flip_test)(inputs(2), batch, mode='predict')
    expected = axis_angle_to_matrix(batch.initial_pose)
    torch.testing.assert_close(matrices(predictions), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.stack([sample.smpl_betas for sample in predictions]), batch.initial_betas)
    torch.testing.assert_close(torch.stack([sample.smpl_pose for sample in predictions]), batch.initial_pose,
                               rtol=0, atol=1e-5)


def test_the_official_packing_hands_rows_to_a_reader_of_columns():
    batch = given()
    predictions = without_residual(official_packing=True)(inputs(), batch, mode='predict')
    initial = axis_angle_to_matrix(batch.initial_pose)
    rows = torch.cat([initial[..., 0, :], initial[..., 1, :]], dim=-1)
    torch.testing.assert_close(matrices(predictions), rotation_6d_to_matrix(rows), rtol=0, atol=1e-5)
    assert (matrices(predictions) - initial).abs().max() > 0.3


def test_the_layers_are_those_of_the_official_module():
    head = make().heads['mesh']
    sizes = {name: tuple(value.shape) for name, value in head.named_parameters() if name.endswith('weight')}
    assert sizes == {'fc.weight': (HIDDEN, 17 * 8), 'feature_norm.weight': (HIDDEN,), 'pose_norm.weight': (HIDDEN,),
                     'pose_conv.weight': (HIDDEN, 144, 5), 'output.weight': (144, 2 * HIDDEN, 5)}
    default = build(MODELS, dict(type='MeshRefineHead', in_channels=8, body_model=dict(path='synthetic')))
    assert default.fc.out_features == 512 and default.drop.p == 0.5


def test_a_pose_reaches_two_frames_beyond_those_that_the_convolution_sees():
    model = make().eval()
    batch, features = given(batch=1, frames=9), torch.randn(1, 9, 17, 8)
    head, fields = model.heads['mesh'], model.heads['mesh'].given(batch)
    changed = dict(fields, initial_pose=fields['initial_pose'].clone())
    changed['initial_pose'][:, 8] += 0.3
    difference = (head(features, **changed) - head(features, **fields)).abs().amax(dim=(0, 2))
    assert (difference[4:] > 0).all() and not difference[:4].any()


@pytest.mark.parametrize('network', NETWORKS)
def test_it_learns_to_correct_the_other_method(network):
    model, batch = make(network).train(), dict(inputs=inputs(), data_samples=given())
    losses = model(**batch, mode='loss')
    assert set(losses) == {f'mesh.loss_{name}' for name in ('mpjpe', 'velocity', 'pose', 'shape', 'norm')}
    sum(losses.values()).backward()
    assert not [name for name, value in trained(model).items() if value.grad is None
                or not (value.grad.any() or name.endswith('frame_token'))]
    assert all(torch.isfinite(value.grad).all() for value in trained(model).values())
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-2))
    steps = [model.train_step(batch, wrapper)['loss'].item() for _ in range(15)]
    assert steps[-1] < 0.9 * steps[0]


def test_the_mirrored_pass_sees_mirrored_poses():
    model, batch = make(flip_test=True).eval(), given()
    mirrored = batch.clone()
    mirrored.initial_pose = mirror_axis_angle(batch.initial_pose, SMPL_FLIP)
    seen = []
    model.heads['mesh'].register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs['initial_pose']), with_kwargs=True)
    plain = matrices(model(inputs(), batch, mode='predict'))
    torch.testing.assert_close(seen[0], batch.initial_pose.flatten(0, 1), rtol=0, atol=0)
    torch.testing.assert_close(seen[1], mirrored.initial_pose.flatten(0, 1), rtol=0, atol=0)
    turned = model(mirror_inputs(inputs(), FLIP), mirrored, mode='predict')
    back = [mirror_axis_angle(sample.smpl_pose, SMPL_FLIP) for sample in turned]
    torch.testing.assert_close(axis_angle_to_matrix(torch.stack(back)), plain, rtol=0, atol=1e-5)


@pytest.mark.parametrize('mode', ['loss', 'predict'])
@pytest.mark.parametrize('name', ['initial_pose', 'initial_betas'])
def test_a_batch_without_the_other_method_is_named(mode, name):
    batch = given()
    batch.pop(name)
    with pytest.raises(ValueError, match=rf'MeshRefineHead reads initial_pose, initial_betas of the batch, which has '
                                         rf'no {name}; the store .* targets=\[...\] and PackInputs in fields='):
        make()(inputs(), batch, mode=mode)


@pytest.mark.parametrize('frames', [1, FRAMES])
def test_a_last_batch_of_one_sample_trains(frames):
    model = make().train()
    losses = model(inputs(batch=1, frames=frames), given(batch=1, frames=frames), mode='loss')
    sum(losses.values()).backward()
    assert all(torch.isfinite(value.grad).all() for value in trained(model).values())


def test_a_batch_without_truth_reaches_every_parameter():
    model, batch = make().train(), given()
    batch.pop('smpl_pose')
    losses = model(inputs(), batch, mode='loss')
    assert set(losses) == {'mesh.loss_absent'} and losses['mesh.loss_absent'] == 0
    losses['mesh.loss_absent'].backward()
    assert all(value.grad is not None and not value.grad.any() for value in trained(model).values())


def test_persons_are_refined_each_by_their_own_pose():
    model, batch = without_residual(), given(persons=2)
    turned = batch.clone()
    turned.initial_pose, turned.initial_betas = batch.initial_pose.flip(1), batch.initial_betas.flip(1)
    one, other = (matrices(model(inputs(2), each, mode='predict')) for each in (batch, turned))
    assert one.shape[:2] == (BATCH, 2)
    torch.testing.assert_close(other.flip(1), one, rtol=0, atol=0)


def test_windows_that_share_frames_are_refined_by_their_own_poses():
    model, batch = make('pstmo', flip_test=True).eval(), given()
    sequence, windows = inputs(frames=8)[0, 0], torch.arange(FRAMES) + torch.tensor([[0], [2]])
    expected = matrices(model(sequence[windows][:, None], batch, mode='predict'))
    shared = matrices(model.predict_windows(model.embed_sequence(sequence), windows, batch))
    torch.testing.assert_close(shared, expected, rtol=0, atol=1e-5)
