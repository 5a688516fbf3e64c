"""The contract of every registered backbone, neck and head; new classes need a row in tests/minimal.py."""
import pytest
import torch

from motionbert_mm.models.heads.base import MotionHead
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.minimal import arguments

MODELS.import_from_location()
BATCH, FRAMES, JOINTS, CHANNELS = 3, 9, 17, 16
# Axes (T', J') of the features of each backbone or neck, where they are not (T, J).
LAYOUTS = {}


def registered(kind):
    return sorted(name for name, entry in MODELS.module_dict.items()
                  if entry.__module__.startswith(f'motionbert_mm.models.{kind}.'))


def make(name):
    torch.manual_seed(0)
    module = build(MODELS, dict(type=name, **arguments(name)))
    # Weights that start at zero, as in the fusion, would hide a path that nothing flows through.
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return module


def example(*shape):
    return torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(1))


ENCODERS = [(name, example(FRAMES, JOINTS, 3)) for name in registered('backbones')]
ENCODERS += [(name, example(FRAMES, JOINTS, CHANNELS)) for name in registered('necks')]
HEADS = registered('heads')


def test_every_kind_has_a_member():
    assert registered('backbones') and registered('necks') and HEADS


@pytest.mark.parametrize('name, inputs', ENCODERS)
def test_features_keep_the_layout(name, inputs):
    module = make(name).eval()
    features = module(inputs)
    assert features.shape == (BATCH, *LAYOUTS.get(name, (FRAMES, JOINTS)), module.out_channels)
    assert torch.isfinite(features).all() and features.std() > 1e-3


@pytest.mark.parametrize('frames', [1, 4])
@pytest.mark.parametrize('name', [name for name in registered('backbones') if name not in LAYOUTS])
def test_a_clip_shorter_than_the_longest_keeps_its_frames(name, frames):
    module, inputs = make(name).eval(), example(FRAMES, JOINTS, 3)[:, :frames]
    features = module(inputs)
    assert features.shape == (BATCH, frames, JOINTS, module.out_channels)
    assert torch.isfinite(features).all() and features.std() > 1e-3


@pytest.mark.parametrize('name, inputs', ENCODERS)
def test_the_input_is_not_written(name, inputs):
    kept = inputs.clone()
    make(name)(inputs)
    torch.testing.assert_close(inputs, kept, rtol=0, atol=0)


@pytest.mark.parametrize('name, inputs', ENCODERS)
def test_backward_reaches_every_parameter_and_the_input(name, inputs):
    module, inputs = make(name), inputs.clone().requires_grad_()
    module(inputs).square().sum().backward()
    assert not [key for key, value in module.named_parameters() if value.grad is None or not value.grad.any()]
    assert inputs.grad.flatten(1).any(dim=1).all()
    assert all(torch.isfinite(value.grad).all() for value in module.parameters())


@pytest.mark.parametrize('name, inputs', ENCODERS)
def test_samples_do_not_see_each_other(name, inputs):
    module = make(name).eval()
    features, changed = module(inputs), inputs.clone()
    changed[0] += 1.0
    torch.testing.assert_close(module(changed)[1:], features[1:], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(module(inputs.flip(0)).flip(0), features, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(module(inputs[1:2]), features[1:2], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(module(changed)[0], features[0])


def targets():
    """One batch with a target for every head."""
    norm = dict(target='root_relative', root=[0] * BATCH, scale=[1000.0] * BATCH)
    return MotionSample(metainfo=dict(sample_id=list('abc'), skeleton='h36m', norm=norm),
                        target_3d=example(1, FRAMES, JOINTS, 3))


@pytest.mark.parametrize('name', HEADS)
def test_a_head_learns_from_its_target(name):
    head, features = make(name), example(FRAMES, JOINTS, CHANNELS).requires_grad_()
    assert isinstance(head, MotionHead) and head.target_name in targets()
    losses = head.loss(features, targets())
    assert losses and all(key.startswith('loss_') and value.shape == () for key, value in losses.items())
    assert all(torch.isfinite(value) and value > 0 for value in losses.values())
    sum(losses.values()).backward()
    assert not [key for key, value in head.named_parameters() if value.grad is None or not value.grad.any()]
    assert features.grad.flatten(1).any(dim=1).all()


@pytest.mark.parametrize('name', HEADS)
def test_a_head_without_its_target_still_reaches_every_parameter(name):
    head, features = make(name), example(FRAMES, JOINTS, CHANNELS).requires_grad_()
    losses = head.loss(features, MotionSample(metainfo=dict(skeleton='h36m')))
    assert sum(losses.values()) == 0
    sum(losses.values()).backward()
    assert all(value.grad is not None and not value.grad.any() for value in head.parameters())
    assert features.grad is not None


@pytest.mark.parametrize('name', HEADS)
def test_a_head_predicts_fields_of_its_samples(name):
    head, samples = make(name).eval(), targets()
    output = head(example(FRAMES, JOINTS, CHANNELS))
    fields = head.decode(output.unflatten(0, (BATCH, 1)), samples)
    assert fields and all(len(value) == BATCH for value in fields.values())
    assert set(fields) <= {'keypoints_2d', 'keypoints_3d', 'confidence', 'smpl_pose', 'smpl_betas', 'vertices',
                           'label', 'scores', 'embedding'}
    again = head.average_mirrored(output, output, get_skeleton('h36m').flip_indices)
    assert again.shape == output.shape
