"""The contract of every registered backbone, neck and head; new classes need a row in tests/minimal.py."""
import numpy as np
import pytest
import torch

from motionbert_mm.models.heads.base import MotionHead
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.minimal import arguments

MODELS.import_from_location()
BATCH, FRAMES, JOINTS, CHANNELS = 3, 9, 17, 16
# Axes (T', J') of the features of each backbone or neck, where they are not (T, J); by name where it gives several.
LAYOUTS = {'JointsToFrame': (FRAMES, 1), 'PSTMOEncoder': (FRAMES, 1), 'MPMEncoder': (FRAMES, 1),
           'RestoreFrames': (FRAMES, 1), 'PosePooling': (1, 1),
           'FeatureBranches': dict(frames=(FRAMES, JOINTS), token=(1, 1)),
           'StridedReduction': dict(frames=(FRAMES, 1), centre=(1, 1))}
# Necks and heads that read one token for every frame.
READ_FRAMES = ('FramePoseHead', 'FrameToJoints', 'MaskedPoseHead', 'RefinedPoseHead', 'RestoreFrames',
               'StridedReduction', 'TextAlignHead')
READ_CENTRE = ('RefinedPoseHead',)
PERSONS = 2  # of the heads that read all persons of a sample at once


def registered(kind):
    return sorted(name for name, entry in MODELS.module_dict.items()
                  if entry.__module__.startswith(f'motionbert_mm.models.{kind}.'))


def make(name):
    torch.manual_seed(0)
    module = build(MODELS, dict(type=name, **arguments(name)))
    # Weights that start at zero, as in the fusion, would hide a path that nothing flows through.
    for parameter in trained(module).values():
        torch.nn.init.normal_(parameter, std=0.2)
    return module


def trained(module):
    return {key: value for key, value in module.named_parameters() if value.requires_grad}


def named(features):
    """Features by name, also where there is only one kind."""
    return features if isinstance(features, dict) else {'': features}


def example(*shape):
    return torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(1))


def tokens_of(name):
    return 1 if name in READ_FRAMES else JOINTS


def features_for(name):
    persons = (PERSONS,) if MODELS.get(name).joins_persons else ()
    return example(*persons, 1 if name in READ_CENTRE else FRAMES, tokens_of(name), CHANNELS)


# Backbones that read 3D poses too, (N, T, J, 4) with the confidence.
READ_3D = ('MPMEncoder',)
ENCODERS = [(name, example(FRAMES, JOINTS, 3)) for name in registered('backbones')]
ENCODERS += [(name, example(FRAMES, tokens_of(name), CHANNELS)) for name in registered('necks')]
HEADS = registered('heads')


def test_every_kind_has_a_member():
    assert registered('backbones') and registered('necks') and HEADS


@pytest.mark.parametrize('name, inputs', ENCODERS)
def test_features_keep_the_layout(name, inputs):
    module = make(name).eval()
    features, layouts = named(module(inputs)), named(LAYOUTS.get(name, (FRAMES, JOINTS)))
    assert features.keys() == layouts.keys()
    for key, value in features.items():
        channels = module.out_channels
        assert value.shape == (BATCH, *layouts[key], channels[key] if isinstance(channels, dict) else channels)
        assert torch.isfinite(value).all() and value.std() > 1e-3


@pytest.mark.parametrize('frames', [1, 4])
@pytest.mark.parametrize('name', registered('backbones'))
def test_a_clip_shorter_than_the_longest_keeps_its_frames(name, frames):
    module, inputs = make(name).eval(), example(FRAMES, JOINTS, 3)[:, :frames]
    features = module(inputs)
    assert features.shape == (BATCH, frames, LAYOUTS.get(name, (FRAMES, JOINTS))[1], module.out_channels)
    assert torch.isfinite(features).all() and features.std() > 1e-3


@pytest.mark.parametrize('name, inputs', ENCODERS)
def test_the_input_is_not_written(name, inputs):
    kept = inputs.clone()
    make(name)(inputs)
    torch.testing.assert_close(inputs, kept, rtol=0, atol=0)


@pytest.mark.parametrize('name, inputs', ENCODERS)
def test_backward_reaches_every_parameter_and_the_input(name, inputs):
    module, inputs = make(name), inputs.clone().requires_grad_()
    passes = [module(inputs)]
    if name == 'RestoreFrames':
        passes.append(module(inputs, (torch.arange(FRAMES) < 3)[:, None].expand(BATCH, FRAMES, JOINTS)))
    if name in READ_3D:
        passes.append(module(torch.cat([inputs, inputs[..., :1]], dim=-1)))
    sum(value.square().sum() for features in passes for value in named(features).values()).backward()
    assert not [key for key, value in trained(module).items() if value.grad is None or not value.grad.any()]
    assert inputs.grad.flatten(1).any(dim=1).all()
    assert all(torch.isfinite(value.grad).all() for value in trained(module).values())


@pytest.mark.parametrize('name, inputs', ENCODERS)
def test_samples_do_not_see_each_other(name, inputs):
    module = make(name).eval()
    changed = inputs.clone()
    changed[0] = 1.0 - 2.0 * changed[0]
    turned, single, moved = (named(module(other)) for other in (inputs.flip(0), inputs[1:2], changed))
    for key, features in named(module(inputs)).items():
        torch.testing.assert_close(moved[key][1:], features[1:], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(turned[key].flip(0), features, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(single[key], features[1:2], rtol=1e-5, atol=1e-5)
        assert not torch.allclose(moved[key][0], features[0])


def targets():
    """One batch with a target for every head."""
    box = np.tile(np.float32([0, 0, 1000]), (BATCH, 1))
    norm = dict(target='root_relative', root=[0] * BATCH, scale=[1000.0] * BATCH, input_box=box,
                rays=np.full((BATCH, 1, FRAMES, JOINTS, 2), 0.1), root_depth=np.full((BATCH, 1, FRAMES), 4000.0))
    texts = dict(text=['a person walks', 'a walks', 'a person waves'], negatives=[['a person jumps']] * BATCH)
    return MotionSample(metainfo=dict(sample_id=list('abc'), skeleton='h36m', norm=norm, **texts),
                        target_3d=example(1, FRAMES, JOINTS, 3), target_2d=example(1, FRAMES, JOINTS, 2),
                        weight_2d=torch.ones(BATCH, 1, FRAMES, JOINTS), label=torch.tensor([0, 1, 0]),
                        smpl_pose=example(1, FRAMES, 24, 3), smpl_betas=example(1, FRAMES, 10), **given())


def given():
    """What heads read besides features: the parameters of another method."""
    return dict(initial_pose=0.5 * example(1, FRAMES, 24, 3), initial_betas=example(1, FRAMES, 10))


@pytest.mark.parametrize('name', HEADS)
def test_a_head_learns_from_its_target(name):
    head, features = make(name), features_for(name).requires_grad_()
    assert isinstance(head, MotionHead) and head.target_name in targets()
    losses = head.loss(features, targets())
    assert losses and all(key.startswith('loss_') and value.shape == () for key, value in losses.items())
    assert all(torch.isfinite(value) and value > 0 for value in losses.values())
    sum(losses.values()).backward()
    # Nothing is hidden here, so that a token that stands for hidden frames has a gradient of zero.
    assert not [key for key, value in trained(head).items()
                if value.grad is None or not (value.grad.any() or key == 'frame_token')]
    assert features.grad.flatten(1).any(dim=1).all()


@pytest.mark.parametrize('name', HEADS)
def test_a_head_without_its_target_still_reaches_every_parameter(name):
    head, features = make(name), features_for(name).requires_grad_()
    losses = head.loss(features, MotionSample(metainfo=dict(skeleton='h36m'), **given()))
    assert sum(losses.values()) == 0
    sum(losses.values()).backward()
    assert all(value.grad is not None and not value.grad.any() for value in trained(head).values())
    assert features.grad is not None


@pytest.mark.parametrize('name', HEADS)
def test_a_head_predicts_fields_of_its_samples(name):
    head, samples = make(name).eval(), targets()
    output = head(features_for(name), **head.given(samples))
    fields = head.decode(output if head.joins_persons else output.unflatten(0, (BATCH, 1)), samples)
    assert fields and all(len(value) == BATCH for value in fields.values())
    assert set(fields) <= {'keypoints_2d', 'keypoints_3d', 'confidence', 'smpl_pose', 'smpl_betas', 'vertices',
                           'label', 'scores', 'embedding'}
    again = head.average_mirrored(output, output, get_skeleton('h36m').flip_indices)
    assert again.shape == output.shape
