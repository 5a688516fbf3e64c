"""The re-projection loss of motion without 3D truth (MotionBERT, eq. 10)."""
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.registry import MODELS, build

PIPELINE = [dict(type='NormalizeCoords'), dict(type='ReprojectionTarget'),
            dict(type='PackInputs', fields=['target_2d', 'weight_2d', 'target_3d'])]


@pytest.fixture
def model(tiny_model):
    tiny_model['heads']['pose']['losses_2d'] = [dict(type='Weighted2DLoss', weight=0.5)]
    return build(MODELS, tiny_model).train()


def load(store, *missing, **options):
    """Three samples whose batch lacks some fields."""
    dataset = MotionDataset(str(store), window=dict(num_frames=9, **options), pipeline=PIPELINE)
    batch = collate_batch(dataset.__getitems__([0, 1, len(dataset) - 1]))
    for name in missing:
        batch['data_samples'].pop(name)
    return batch


@pytest.fixture
def video(tiny_store):
    """A batch of which only detected 2D is known."""
    return load(tiny_store, 'target_3d')


def distances(model, batch):
    """Weighted distances (N, T, J) by hand, between the prediction and the 2D truth."""
    prediction, samples = model.heads['pose'](model(batch['inputs'])), batch['data_samples']
    difference = prediction[..., :2] - samples.target_2d.flatten(0, 1)
    return difference.square().sum(-1).sqrt() * samples.weight_2d.flatten(0, 1)


def test_the_loss_is_the_distance_weighted_by_confidence(model, video):
    assert 0.1 < video['data_samples'].weight_2d.std()
    losses = model(**video, mode='loss')
    assert set(losses) == {'pose.loss_2d'}
    torch.testing.assert_close(losses['pose.loss_2d'], 0.5 * distances(model, video).mean())


def test_the_loss_reaches_every_parameter(model, video):
    model(**video, mode='loss')['pose.loss_2d'].backward()
    for name, value in model.named_parameters():
        assert value.grad is not None and value.grad.any(), name
    # The depth is free.
    depth, plane = model.heads['pose'].fc.weight.grad[2], model.heads['pose'].fc.weight.grad[:2]
    assert not depth.any() and plane.any(dim=1).all()


def test_joints_that_were_not_seen_do_not_count(model, video):
    samples = video['data_samples']
    samples.weight_2d[:, :, 2:4, 5] = 0.0
    loss = model(**video, mode='loss')['pose.loss_2d']
    samples.target_2d[:, :, 2:4, 5] += 100.0
    torch.testing.assert_close(model(**video, mode='loss')['pose.loss_2d'], loss)
    samples.target_2d[:, :, 4, 5] += 100.0
    assert model(**video, mode='loss')['pose.loss_2d'] > 2 * loss


def test_padded_frames_do_not_count(model, tiny_store):
    batch = load(tiny_store, 'target_3d', stride=8, tail='pad')
    samples = batch['data_samples']
    padded = ~samples.visible
    assert padded.any() and not padded.all()
    loss = model(**batch, mode='loss')['pose.loss_2d']
    torch.testing.assert_close(loss, 0.5 * (distances(model, batch) * samples.visible.flatten(0, 1)).mean())
    samples.target_2d = samples.target_2d + 100.0 * padded[..., None]
    torch.testing.assert_close(model(**batch, mode='loss')['pose.loss_2d'], loss)


def test_a_batch_with_3d_ignores_the_2d_losses(model, tiny_model, tiny_store):
    batch = load(tiny_store, 'target_2d', 'weight_2d')
    losses = model(**batch, mode='loss')
    assert set(losses) == {'pose.loss_mpjpe', 'pose.loss_velocity'}
    del tiny_model['heads']['pose']['losses_2d']
    plain = build(MODELS, tiny_model).train()
    plain.load_state_dict(model.state_dict())
    for name, value in plain(**batch, mode='loss').items():
        torch.testing.assert_close(losses[name], value, rtol=0, atol=0)


def test_a_batch_with_both_counts_both(model, tiny_store):
    both = model(**load(tiny_store), mode='loss')
    apart = {**model(**load(tiny_store, 'target_3d'), mode='loss'),
             **model(**load(tiny_store, 'target_2d', 'weight_2d'), mode='loss')}
    assert both.keys() == apart.keys() == {'pose.loss_mpjpe', 'pose.loss_velocity', 'pose.loss_2d'}
    for name, value in both.items():
        torch.testing.assert_close(value, apart[name])


def test_a_head_without_2d_losses_learns_nothing_from_video(tiny_model, video):
    model = build(MODELS, tiny_model).train()
    losses = model(**video, mode='loss')
    assert set(losses) == {'pose.loss_absent'} and losses['pose.loss_absent'] == 0
    losses['pose.loss_absent'].backward()
    assert all(value.grad is not None and not value.grad.any() for value in model.parameters())


def test_two_2d_losses_of_one_name_are_refused(tiny_model):
    tiny_model['heads']['pose']['losses_2d'] = [dict(type='Weighted2DLoss'), dict(type='Weighted2DLoss', weight=2.0)]
    with pytest.raises(ValueError, match="losses are logged as 'loss_2d'.*name"):
        build(MODELS, tiny_model)


def test_a_2d_loss_with_the_name_of_a_3d_loss_is_refused(tiny_model):
    tiny_model['heads']['pose']['losses_2d'] = [dict(type='Weighted2DLoss', name='loss_mpjpe')]
    with pytest.raises(ValueError, match="2 losses are logged as 'loss_mpjpe'.*name"):
        build(MODELS, tiny_model)
