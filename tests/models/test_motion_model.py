import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.geometry.coords import flip
from motionbert_mm.geometry.targets import decode_target
from motionbert_mm.models.losses.keypoint import mpjpe, velocity
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton

PIPELINE = [dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['target_3d', 'keypoints_3d'])]
FLIP, LEGS = get_skeleton('h36m').flip_indices, get_skeleton('h36m').legs


def make(config, **options):
    torch.manual_seed(0)
    model = build(MODELS, {**config, **options})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def load(store, indices=(0, 5, 40), **options):
    dataset = MotionDataset(str(store), **{'window': dict(num_frames=9), 'pipeline': PIPELINE, **options})
    return collate_batch(dataset.__getitems__(list(indices)))


@pytest.fixture
def batch(tiny_store):
    return load(tiny_store)


@pytest.fixture
def crowd(people_store):
    """Two persons in some samples, one in others."""
    return load(people_store, indices=range(7))


def test_tensor_mode_folds_persons_into_the_batch(tiny_model, crowd):
    features = make(tiny_model)(crowd['inputs'], mode='tensor')
    assert features.shape == (7 * 2, 9, 17, 8)
    torch.testing.assert_close(make(tiny_model).backbone(crowd['inputs'][3])[0],
                               make(tiny_model).backbone(crowd['inputs'].flatten(0, 1))[6])


def test_losses_are_those_of_the_head_in_normalised_units(tiny_model, batch):
    model = make(tiny_model)
    losses = model(**batch, mode='loss')
    prediction = model.heads['pose'](model(batch['inputs']))
    target = batch['data_samples'].target_3d.flatten(0, 1)
    assert set(losses) == {'pose.loss_mpjpe', 'pose.loss_velocity'}
    torch.testing.assert_close(losses['pose.loss_mpjpe'], mpjpe(prediction, target))
    torch.testing.assert_close(losses['pose.loss_velocity'], 2.0 * velocity(prediction, target))


def test_predictions_are_millimetres_per_sample(tiny_model, batch):
    model = make(tiny_model)
    predictions = model(**batch, mode='predict')
    output = model.heads['pose'](model(batch['inputs'])).unflatten(0, (3, 1))
    assert [sample.sample_id for sample in predictions] == batch['data_samples'].sample_id
    for place, sample in enumerate(predictions):
        assert isinstance(sample, MotionSample) and sample.keypoints_3d.shape == (1, 9, 17, 3)
        torch.testing.assert_close(sample.keypoints_3d[..., 1:, :], output[place][..., 1:, :] * 1000.0)
        assert (sample.keypoints_3d[..., 0, :] == 0).all()
        np.testing.assert_array_equal(sample.frame_ids, batch['data_samples'].frame_ids[place])
        assert sample.skeleton == 'h36m' and 'target_3d' not in sample and sample.flip_test is False


def test_prediction_does_not_read_the_truth(tiny_model, batch):
    model, hidden = make(tiny_model), batch['data_samples'].clone()
    hidden.pop('target_3d'), hidden.pop('keypoints_3d')
    for expected, got in zip(model(**batch, mode='predict'), model(batch['inputs'], hidden, mode='predict')):
        torch.testing.assert_close(got.keypoints_3d, expected.keypoints_3d, rtol=0, atol=0)


@pytest.mark.parametrize('target', ['root_relative', 'image_space'])
def test_flip_test_is_the_average_by_hand(tiny_model, tiny_store, target):
    batch = load(tiny_store, pipeline=[dict(type='NormalizeCoords', target=target), PIPELINE[1]])
    model, inputs = make(tiny_model, flip_test=True), batch['inputs'].numpy()
    mirrored = inputs[:, :, :, list(FLIP)] * np.array([-1, 1, 1], np.float32)
    outputs = [model.heads['pose'](model(torch.from_numpy(part))).detach().numpy() for part in (inputs, mirrored)]
    mean = (outputs[0] + outputs[1][:, :, list(FLIP)] * np.array([-1, 1, 1])) / 2
    expected = decode_target(torch.from_numpy(mean).float().unflatten(0, (3, 1)), batch['data_samples'].norm, LEGS)
    for place, sample in enumerate(model(**batch, mode='predict')):
        torch.testing.assert_close(sample.keypoints_3d, expected[place], rtol=1e-4, atol=1e-2)
        assert sample.flip_test is True


def test_flip_test_makes_prediction_equivariant(tiny_model, batch):
    model, mirrored = make(tiny_model, flip_test=True), mirror_inputs(batch['inputs'], FLIP)
    for plain, flipped in zip(model(**batch, mode='predict'), model(mirrored, batch['data_samples'], mode='predict')):
        torch.testing.assert_close(flip(plain.keypoints_3d, FLIP), flipped.keypoints_3d, rtol=1e-4, atol=1e-2)


def test_mirrored_inputs_leave_the_original_alone(batch):
    kept = batch['inputs'].clone()
    torch.testing.assert_close(mirror_inputs(mirror_inputs(batch['inputs'], FLIP), FLIP), kept)
    torch.testing.assert_close(batch['inputs'], kept, rtol=0, atol=0)


def test_hidden_targets_do_not_count(tiny_model, crowd):
    model, samples = make(tiny_model), crowd['data_samples']
    assert not samples.visible.all()
    losses = model(**crowd, mode='loss')
    changed = samples.clone()
    changed.target_3d = torch.where(samples.visible[..., None], samples.target_3d, torch.tensor(1e3))
    for name, value in model(crowd['inputs'], changed, mode='loss').items():
        torch.testing.assert_close(value, losses[name])
    changed.target_3d = samples.target_3d + 1.0
    assert model(crowd['inputs'], changed, mode='loss')['pose.loss_mpjpe'] != losses['pose.loss_mpjpe']


def test_a_batch_without_targets_reaches_every_parameter(tiny_model, batch):
    model = make(tiny_model).train()
    losses = model(batch['inputs'], MotionSample(metainfo=dict(skeleton='h36m')), mode='loss')
    total, _ = model.parse_losses(losses)
    assert total == 0
    total.backward()
    assert all(value.grad is not None and not value.grad.any() for value in model.parameters())


def test_a_training_step_lowers_the_loss(tiny_model, batch):
    torch.manual_seed(0)
    model = build(MODELS, tiny_model)
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-2))
    losses = [model.train_step(batch, wrapper)['loss'].item() for _ in range(20)]
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize('flip_test', [False, True])
def test_predictions_in_bfloat16_are_close_and_decoded_in_float32(tiny_model, batch, flip_test):
    full, half = (make(tiny_model, flip_test=flip_test, amp=amp) for amp in (None, 'bf16'))
    types = []
    half.backbone.register_forward_hook(lambda module, inputs, output: types.append(half.neck.fc(output).dtype))
    with torch.no_grad():
        pairs = [(one.keypoints_3d, other.keypoints_3d) for one, other in
                 zip(full(**batch, mode='predict'), half(**batch, mode='predict'))]
    assert types == [torch.bfloat16] * (1 + flip_test)
    scale = torch.cat([one for one, _ in pairs]).std()
    for one, other in pairs:
        assert other.dtype == torch.float32 and not torch.equal(one, other)
        assert (one - other).abs().max() < 0.05 * scale
    assert half(batch['inputs']).dtype == torch.float32  # predictions alone
    torch.testing.assert_close(half(**batch, mode='loss'), full(**batch, mode='loss'), rtol=0, atol=0)


def test_an_unknown_precision_is_named(tiny_model):
    with pytest.raises(ValueError, match="model.amp is 'half', expected one of bf16, fp16, or None"):
        build(MODELS, dict(tiny_model, amp='half'))


def test_frozen_parts_are_not_trained(tiny_model, batch):
    tiny_model['backbone'].update(drop=0.5, drop_path=0.5)
    model = make(tiny_model, frozen=['backbone', 'heads.pose']).train()
    assert model.training and model.neck.training and not model.backbone.training and not model.heads['pose'].training
    trained = [name for name, value in model.named_parameters() if value.requires_grad]
    assert trained == ['neck.fc.weight', 'neck.fc.bias']
    assert torch.equal(model(batch['inputs']), model(batch['inputs']))
    sum(model(**batch, mode='loss').values()).backward()
    assert model.neck.fc.weight.grad.any() and model.backbone.embed.weight.grad is None


def test_freezing_what_does_not_exist_is_named(tiny_model):
    with pytest.raises(ValueError, match=r"frozen names 'backbones'.*\['backbone', 'data_preprocessor', 'heads', 'nec"):
        build(MODELS, dict(tiny_model, frozen=['backbones']))


@pytest.mark.parametrize('mode', ['loss', 'predict'])
def test_another_skeleton_is_named(tiny_model, batch, mode):
    model = make(tiny_model, skeleton='coco17')
    with pytest.raises(ValueError, match="skeleton 'h36m', the model was built for 'coco17'.*ConvertSkeleton"):
        model(**batch, mode=mode)


def test_an_unknown_mode_is_named(tiny_model, batch):
    with pytest.raises(ValueError, match="'train', expected 'tensor', 'loss' or 'predict'"):
        make(tiny_model)(**batch, mode='train')


@pytest.mark.parametrize('inputs', [torch.zeros(2, 9, 17, 3), torch.zeros(2, 1, 0, 17, 3), None])
def test_wrong_batches_are_named_at_the_door(tiny_model, batch, inputs):
    with pytest.raises(ValueError, match=r'must be a tensor \(B, M, T, J, C\) without empty axes, got'):
        make(tiny_model).test_step(dict(batch, inputs=inputs))


def test_heads_log_under_their_names(tiny_model, batch):
    head = tiny_model['heads']['pose']
    other = dict(head, losses=[dict(type='MPJPELoss', name='loss_second')])
    model = make(tiny_model, heads=dict(pose=head, other=other))
    assert set(model(**batch, mode='loss')) == {'pose.loss_mpjpe', 'pose.loss_velocity', 'other.loss_second'}


def test_losses_of_a_source_are_weighted_and_named_by_it(tiny_model, batch):
    model = make(tiny_model)
    plain = model(**batch, mode='loss')
    batch['data_samples'].set_metainfo(dict(source='m2l', loss_weight=2.5))
    losses = model(**batch, mode='loss')
    assert set(losses) == {'m2l.pose.loss_mpjpe', 'm2l.pose.loss_velocity'}
    for name, value in plain.items():
        torch.testing.assert_close(losses[f'm2l.{name}'], 2.5 * value, rtol=0, atol=0)
    total, logged = model.parse_losses(losses)
    torch.testing.assert_close(total, 2.5 * sum(plain.values()))
    assert list(logged) == ['loss', *losses]


@pytest.mark.parametrize('known, unknown', [('first', 'second'), ('second', 'first')])
def test_a_head_without_targets_is_not_logged_but_reaches_its_parameters(tiny_model, batch, known, unknown):
    losses = [dict(type='MPJPELoss'), dict(type='VelocityLoss', weight=2.0)]
    heads = {known: dict(type='FramePoseHead', losses=losses),
             unknown: dict(type='MaskedPoseHead', depth=1, num_heads=2, drop=0.0, losses=losses)}
    model = make(tiny_model, neck=dict(type='JointsToFrame', out_channels=8),
                 heads={name: heads[name] for name in sorted(heads)}).train()
    batch['data_samples'].set_metainfo(dict(source='m2l'))
    losses = model(**batch, mode='loss')
    prediction, target = model.heads[known](model(batch['inputs'])), batch['data_samples'].target_3d.flatten(0, 1)
    assert list(losses) == [f'm2l.{known}.loss_mpjpe', f'm2l.{known}.loss_velocity']
    torch.testing.assert_close(losses[f'm2l.{known}.loss_mpjpe'], mpjpe(prediction, target))
    torch.testing.assert_close(losses[f'm2l.{known}.loss_velocity'], 2.0 * velocity(prediction, target))
    sum(losses.values()).backward()
    trained = [value for value in model.parameters() if value.requires_grad]
    own = [value for value in model.heads[unknown].parameters() if value.requires_grad]
    assert all(value.grad is not None for value in trained) and own and not any(value.grad.any() for value in own)


def test_two_losses_of_one_name_are_refused(tiny_model):
    tiny_model['heads']['pose']['losses'] = [dict(type='MPJPELoss'), dict(type='MPJPELoss', weight=2.0)]
    with pytest.raises(ValueError, match="losses are logged as 'loss_mpjpe'.*name"):
        build(MODELS, tiny_model)


def test_the_neck_may_be_left_out(tiny_model, batch):
    del tiny_model['neck']
    model = make(tiny_model)
    assert model(batch['inputs']).shape == (3, 9, 17, 16)
    assert model(**batch, mode='predict')[0].keypoints_3d.shape == (1, 9, 17, 3)
