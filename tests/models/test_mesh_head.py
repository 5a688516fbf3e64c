import pytest
import torch
from mmengine.optim import OptimWrapper

from motionbert_mm.geometry.rotation import (
    average_rotations,
    axis_angle_to_matrix,
    matrix_to_rotation_6d,
    mirror_axis_angle,
    rotation_6d_to_matrix,
)
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.models.losses.keypoint import mpjpe, velocity
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton

BATCH, PERSONS, FRAMES = 2, 1, 6
FLIP, SMPL_FLIP = list(get_skeleton('h36m').flip_indices), get_skeleton('smpl24').flip_indices
BODY = dict(path='synthetic')
HEAD = dict(type='MeshHead', body_model=BODY, hidden_channels=16, drop=0.0,
            losses=[dict(type='MPJPELoss', weight=0.5), dict(type='VelocityLoss', weight=10.0)],
            smpl_losses=[dict(type='SMPLPoseLoss', weight=1000.0), dict(type='SMPLShapeLoss'),
                         dict(type='SMPLNormLoss', weight=20.0)])
TRANSFORMER = dict(type='DSTformer', max_frames=9, dim=16, depth=1, num_heads=2)
REPRESENTATION = dict(type='RepresentationLayer', out_channels=8)
# Backbone and neck of three kinds: tokens of joints, the same from convolutions, and tokens of frames.
NETWORKS = dict(
    dstformer=dict(backbone=TRANSFORMER, neck=REPRESENTATION),
    tcn=dict(backbone=dict(type='TemporalConvNet', dim=4, channels=16, filter_widths=(3, 3)), neck=REPRESENTATION),
    pstmo=dict(backbone=dict(type='PSTMOEncoder', max_frames=9, dim=16, depth=1, num_heads=2, hidden_dim=24, drop=0.0),
               neck=dict(type='RestoreFrames', out_channels=8, max_frames=9)))
WORN = dict(dstformer=17, tcn=17, pstmo=1)  # tokens of a frame


def make(network='dstformer', worn=False, flip_test=False, **changes):
    """A tiny mesh model; ``worn`` makes all weights random, as after training; ``changes`` are of the head."""
    torch.manual_seed(0)
    model = build(MODELS, dict(type='MotionModel', heads=dict(mesh={**HEAD, **changes}), flip_test=flip_test,
                               **NETWORKS[network]))
    if worn:
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.2)
    return model


def inputs(persons=PERSONS, frames=FRAMES, batch=BATCH):
    return torch.randn(batch, persons, frames, 17, 3, generator=torch.Generator().manual_seed(1))


def samples(persons=PERSONS, frames=FRAMES, batch=BATCH, **fields):
    generator = torch.Generator().manual_seed(2)
    pose = 0.3 * torch.randn(batch, persons, frames, 24, 3, generator=generator)
    betas = torch.randn(batch, persons, frames, 10, generator=generator)
    meta = dict(skeleton='h36m', sample_id=[f's{number}' for number in range(batch)])
    return MotionSample(metainfo=meta, **{**dict(smpl_pose=pose, smpl_betas=betas), **fields})


def body_of(pose, betas):
    """Vertices and joints that the body model gives, the slow way."""
    body = BodyModel(**BODY)
    vertices = body(axis_angle_to_matrix(pose).flatten(0, -4), betas.flatten(0, -2)).unflatten(0, pose.shape[:-2])
    return vertices, body.joints(vertices)


def trained(model):
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


@pytest.mark.parametrize('network', NETWORKS)
def test_every_backbone_drives_the_head(network):
    model = make(network).train()
    assert model.heads['mesh'].pose.fc1.in_features == WORN[network] * 8
    batch = dict(inputs=inputs(), data_samples=samples())
    losses = model(**batch, mode='loss')
    assert list(losses) == ['mesh.loss_pose', 'mesh.loss_shape', 'mesh.loss_norm', 'mesh.loss_mpjpe',
                            'mesh.loss_velocity']
    sum(losses.values()).backward()
    # Nothing is hidden: the token of hidden frames gets a gradient of zero.
    assert not [name for name, value in trained(model).items() if value.grad is None
                or not (value.grad.any() or name.endswith('frame_token'))]
    assert all(torch.isfinite(value.grad).all() for value in trained(model).values())
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=3e-3))
    steps = [model.train_step(batch, wrapper)['loss'].item() for _ in range(15)]
    assert steps[-1] < 0.8 * steps[0]
    predictions = model.eval()(**batch, mode='predict')
    assert [sample.sample_id for sample in predictions] == ['s0', 's1']
    for sample in predictions:
        assert sample.smpl_pose.shape == (PERSONS, FRAMES, 24, 3) and sample.smpl_betas.shape == (PERSONS, FRAMES, 10)
        assert sample.vertices.shape == (PERSONS, FRAMES, BodyModel(**BODY).num_vertices, 3)
        assert sample.keypoints_3d.shape == (PERSONS, FRAMES, 17, 3)
        assert all(torch.isfinite(value).all() for value in sample.values())


def test_gradients_where_rotations_are_identities_are_finite():
    model = make(smpl_losses=[*HEAD['smpl_losses'], dict(type='SMPLAxisAngleLoss')]).train()
    head = model.heads['mesh']
    head.mean_pose.copy_(matrix_to_rotation_6d(torch.eye(3)).repeat(24))
    with torch.no_grad():
        for branch in (head.pose, head.shape):
            branch.fc2.weight.zero_(), branch.fc2.bias.zero_()
    still = samples(smpl_pose=torch.zeros(BATCH, PERSONS, FRAMES, 24, 3),
                    smpl_betas=torch.zeros(BATCH, PERSONS, FRAMES, 10))
    for targets in (still, samples()):
        model.zero_grad()
        sum(model(inputs(), targets, mode='loss').values()).backward()
        assert all(torch.isfinite(value.grad).all() for value in trained(model).values())


def test_training_starts_at_the_mean_parameters():
    model = make(hidden_channels=1024).eval()
    body, (prediction, *_) = BodyModel(**BODY), model(inputs(), samples(), mode='predict')
    mean = rotation_6d_to_matrix(body.mean_pose.view(24, 6))
    assert (axis_angle_to_matrix(prediction.smpl_pose) - mean).abs().max() < 0.06  # biases are of 1 / 32
    assert (prediction.smpl_betas - body.mean_betas).abs().max() < 0.05


def test_output_layers_start_small_and_the_mean_is_kept_with_the_weights():
    head = make().heads['mesh']
    for branch, size in ((head.pose, 144), (head.shape, 10)):
        assert branch.fc2.weight.abs().max() <= 0.01 * (6 / (16 + size)) ** 0.5
    names = {'mean_pose', 'mean_betas'}
    kept = {name for name in head.state_dict() if not name.startswith(('pose.', 'shape.'))}
    assert kept == names and not [name for name in head.state_dict() if name.startswith('body')]
    other = make(worn=True).heads['mesh']
    other.mean_pose.add_(1.0)
    head.load_state_dict(other.state_dict())
    features = torch.randn(2, FRAMES, 17, 8)
    torch.testing.assert_close(head.eval()(features), other.eval()(features), rtol=0, atol=0)


def test_the_pose_is_that_of_the_frame_and_the_shape_that_of_the_clip():
    head = make(worn=True).heads['mesh'].eval()
    features = torch.randn(1, FRAMES, 17, 8)
    changed = features.clone()
    changed[:, 2] += 1.0
    output, other = head(features), head(changed)
    assert output.shape == (1, FRAMES, 154)
    same = [frame for frame in range(FRAMES) if frame != 2]
    torch.testing.assert_close(other[:, same, :144], output[:, same, :144])
    assert not torch.allclose(other[:, 2, :144], output[:, 2, :144])
    assert not torch.allclose(other[..., 144:], output[..., 144:])
    assert (output[..., 144:] == output[:, :1, 144:]).all()
    pooled = features.mean(dim=1).flatten(1)
    torch.testing.assert_close(output[:, 0, 144:], head.shape(pooled) + head.mean_betas)


def test_predictions_are_bodies_of_the_predicted_parameters():
    model = make(worn=True).eval()
    prediction = model(inputs(persons=2), samples(persons=2), mode='predict')[1]
    vertices, joints = body_of(prediction.smpl_pose, prediction.smpl_betas)
    torch.testing.assert_close(prediction.vertices, vertices, rtol=0, atol=1e-2)  # millimetres
    torch.testing.assert_close(prediction.keypoints_3d, joints, rtol=0, atol=1e-2)
    output = model.run_heads(model(inputs(persons=2)))['mesh'].unflatten(0, (BATCH, 2))[1]
    torch.testing.assert_close(axis_angle_to_matrix(prediction.smpl_pose),
                               rotation_6d_to_matrix(output[..., :144].unflatten(-1, (24, 6))), rtol=0, atol=1e-5)
    torch.testing.assert_close(prediction.smpl_betas, output[..., 144:])


def test_joint_losses_are_in_millimetres_from_the_pelvis():
    model, targets = make(worn=True).eval(), samples()
    losses = model(inputs(), targets, mode='loss')
    prediction = torch.stack([sample.keypoints_3d for sample in model(inputs(), targets, mode='predict')])
    _, truth = body_of(targets.smpl_pose, targets.smpl_betas)
    pred, truth = ((each - each[..., :1, :]).flatten(0, 1) for each in (prediction, truth))
    assert 10.0 < mpjpe(pred, truth) < 2000.0
    torch.testing.assert_close(losses['mesh.loss_mpjpe'], 0.5 * mpjpe(pred, truth), rtol=1e-4, atol=0)
    torch.testing.assert_close(losses['mesh.loss_velocity'], 10.0 * velocity(pred, truth), rtol=1e-4, atol=0)


def test_the_truth_has_no_distance_to_itself():
    model, targets = make(worn=True).eval(), samples()
    head = model.heads['mesh']
    six = matrix_to_rotation_6d(axis_angle_to_matrix(targets.smpl_pose)).flatten(-2)
    losses = head.compare(torch.cat([six, targets.smpl_betas], dim=-1).flatten(0, 1), targets)
    assert all(losses[name] < 1e-2 for name in ('loss_mpjpe', 'loss_velocity', 'loss_pose', 'loss_shape'))
    assert losses['loss_norm'] > 1.0


def test_frames_that_are_not_visible_do_not_count():
    model = make(worn=True).eval()
    visible = torch.ones(BATCH, PERSONS, FRAMES, 17, dtype=torch.bool)
    visible[0, :, 4:], visible[1, :, :, :16] = False, False  # one visible joint is enough
    plain = model(inputs(), samples(visible=visible), mode='loss')
    changed = samples(visible=visible)
    changed.smpl_pose[0, :, 4:], changed.smpl_betas[0, :, 4:] = float('nan'), 1e3
    for name, value in model(inputs(), changed, mode='loss').items():
        torch.testing.assert_close(value, plain[name])
    shown = model(inputs(), samples(visible=torch.ones_like(visible)), mode='loss')
    for name, value in model(inputs(), samples(), mode='loss').items():
        torch.testing.assert_close(value, shown[name])
        assert plain[name] < value
    weights = visible.any(dim=-1)
    assert weights[1].all() and not weights[0, 0, 4:].any()


def test_a_batch_without_smpl_reaches_every_parameter():
    model = make().train()
    total, logged = model.parse_losses(model(inputs(), MotionSample(metainfo=dict(skeleton='h36m')), mode='loss'))
    total.backward()
    assert total == 0 and list(logged) == ['loss', 'mesh.loss_absent']
    assert all(value.grad is not None and not value.grad.any() for value in trained(model).values())


def test_a_pose_without_betas_is_named():
    targets = samples()
    targets.pop('smpl_betas')
    with pytest.raises(ValueError, match='has smpl_pose without smpl_betas; put both into targets of the data set'):
        make()(inputs(), targets, mode='loss')


def test_two_losses_of_one_name_are_refused():
    with pytest.raises(ValueError, match="2 losses are logged as 'loss_shape'"):
        make(losses=[dict(type='MPJPELoss', name='loss_shape')])


def test_joints_of_another_skeleton_are_refused():
    model = build(MODELS, dict(type='MotionModel', skeleton='coco17', heads=dict(mesh=HEAD), **NETWORKS['dstformer']))
    targets = samples()
    targets.set_metainfo(dict(skeleton='coco17'))
    for mode in ('loss', 'predict'):
        with pytest.raises(ValueError, match="MeshHead .* skeleton 'h36m', but .* 'coco17'.*ConvertSkeleton"):
            model(inputs(), targets, mode=mode)


@pytest.mark.parametrize('frames', [1, FRAMES])
def test_a_last_batch_of_one_sample_trains(frames):
    model = make().train()
    sum(model(inputs(batch=1, frames=frames), samples(batch=1, frames=frames), mode='loss').values()).backward()
    assert all(torch.isfinite(value.grad).all() for value in trained(model).values())


def test_flip_averaging_is_the_mean_on_the_manifold():
    model = make(worn=True).eval()
    plain = model(inputs(), samples(), mode='predict')
    turned = model(mirror_inputs(inputs(), FLIP), samples(), mode='predict')
    model.flip_test = True
    for sample, one, other in zip(model(inputs(), samples(), mode='predict'), plain, turned):
        pair = [axis_angle_to_matrix(one.smpl_pose),
                axis_angle_to_matrix(mirror_axis_angle(other.smpl_pose, SMPL_FLIP))]
        expected = average_rotations(torch.stack(pair, dim=-3))
        torch.testing.assert_close(axis_angle_to_matrix(sample.smpl_pose), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(sample.smpl_betas, (one.smpl_betas + other.smpl_betas) / 2)
        vertices, joints = body_of(sample.smpl_pose, sample.smpl_betas)
        torch.testing.assert_close(sample.vertices, vertices, rtol=0, atol=1e-2)
        torch.testing.assert_close(sample.keypoints_3d, joints, rtol=0, atol=1e-2)


def test_flip_averaging_makes_prediction_equivariant():
    model = make(worn=True, flip_test=True).eval()
    plain = model(inputs(), samples(), mode='predict')
    for one, other in zip(plain, model(mirror_inputs(inputs(), FLIP), samples(), mode='predict')):
        torch.testing.assert_close(axis_angle_to_matrix(mirror_axis_angle(other.smpl_pose, SMPL_FLIP)),
                                   axis_angle_to_matrix(one.smpl_pose), rtol=0, atol=1e-5)
        torch.testing.assert_close(other.smpl_betas, one.smpl_betas)


def test_frames_that_windows_share_give_the_bodies_of_whole_windows():
    model = make('pstmo', worn=True, flip_test=True).eval()
    sequence, windows = inputs(frames=8)[0, 0], torch.arange(FRAMES) + torch.tensor([[0], [2]])
    expected = model(sequence[windows][:, None], samples(), mode='predict')
    for one, other in zip(model.predict_windows(model.embed_sequence(sequence), windows, samples()), expected):
        torch.testing.assert_close(one.keypoints_3d, other.keypoints_3d, rtol=0, atol=1e-1)
        torch.testing.assert_close(one.smpl_betas, other.smpl_betas, rtol=0, atol=1e-5)


def test_the_synthetic_body_mirrors_with_its_pose():
    pose, betas = samples().smpl_pose, samples().smpl_betas
    _, joints = body_of(pose, betas)
    _, mirrored = body_of(mirror_axis_angle(pose, SMPL_FLIP), betas)
    torch.testing.assert_close(mirror_inputs(mirrored, FLIP), joints, rtol=0, atol=1.0)


def test_losses_of_weight_zero_do_not_pose_a_body(monkeypatch):
    model = make(losses=[dict(type='MPJPELoss', weight=0.0)])
    monkeypatch.setattr(model.heads['mesh'].body, 'forward', lambda *_: pytest.fail('a body was posed'))
    assert list(model(inputs(), samples(), mode='loss')) == [f'mesh.loss_{name}' for name in ('pose', 'shape', 'norm')]


def test_the_losses_of_the_paper_can_be_asked_for():
    model = make(losses=[dict(type='CoordinateL1Loss')],
                 smpl_losses=[dict(type='SMPLAxisAngleLoss'), dict(type='SMPLShapeLoss'),
                              dict(type='SMPLNormLoss', joint=False)]).train()
    losses = model(inputs(), samples(), mode='loss')
    assert set(losses) == {f'mesh.loss_{name}' for name in ('l1', 'axis_angle', 'shape', 'norm')}
    sum(losses.values()).backward()
    assert all(torch.isfinite(value.grad).all() for value in trained(model).values())


def test_training_in_bfloat16_is_finite_and_near_float32():
    model = make().train()
    exact = sum(model(inputs(), samples(), mode='loss').values())
    with torch.autocast('cpu', torch.bfloat16):
        loss = sum(model(inputs(), samples(), mode='loss').values())
    loss.backward()
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    assert all(torch.isfinite(value.grad).all() for value in trained(model).values())
