import pytest
import torch
from mmpose.models.backbones.tcn import TCN

from motionbert_mm.models.backbones.tcn import TemporalConvNet
from motionbert_mm.registry import MODELS, build

CHANNELS, WIDTHS = 12, (3, 3, 3)


def make(**options):
    return build(MODELS, {**dict(type='TemporalConvNet', dim=4, channels=CHANNELS, filter_widths=WIDTHS), **options})


def randomise(model):
    """Draw weights and statistics of the batch norms that leave about half of the ReLUs open."""
    for name, value in model.state_dict().items():
        if name.endswith('running_var'):
            value.uniform_(0.5, 2.0)
        elif value.is_floating_point():
            value.normal_(std=0.4)
    return model.eval()


def host_of(model, is_strided):
    """MMPose's network with the weights of ours."""
    host = TCN(in_channels=17 * 3, stem_channels=CHANNELS, num_blocks=len(WIDTHS) - 1, kernel_sizes=WIDTHS,
               use_stride_conv=is_strided)
    pairs = [(model.expand, host.expand_conv)]
    for ours, theirs in zip(model.blocks, host.tcn_blocks):
        pairs += [(ours.across, theirs.conv1[0]), (ours.within, theirs.conv2[0])]
    for ours, theirs in pairs:
        theirs.conv.load_state_dict(ours.conv.state_dict())
        theirs.bn.load_state_dict(ours.norm.state_dict())
    host.eval()
    return host


def run_host(model, host, inputs):
    frames = host(inputs.flatten(2).transpose(1, 2))[-1].transpose(1, 2)
    return model.to_joints(frames).unflatten(-1, (17, -1))


@pytest.mark.parametrize('in_channels, dim, widths, parameters', [
    (2, 3, (3,) * 5, 16_952_371),  # VideoPose3D's paper: 16.95 M for 243 frames,
    (2, 3, (3,) * 3, 8_555_571),  # 8.56 M for 27
    (3, 64, (3,) * 5, 156_672 + 2048 + 16_793_600 + 1_115_200)])
def test_sizes(in_channels, dim, widths, parameters):
    with torch.device('meta'):
        model = TemporalConvNet(in_channels, dim=dim, filter_widths=widths)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_frames_far_from_the_edges_equal_those_of_the_host():
    model, inputs = randomise(make()), torch.randn(2, 40, 17, 3)
    expected = run_host(model, host_of(model, is_strided=False), inputs)
    assert expected.shape[1] == 40 - 26 and expected.std() > 0.1
    torch.testing.assert_close(model(inputs)[:, 13:-13], expected, rtol=1e-4, atol=1e-5)


def test_the_middle_frame_equals_that_of_the_strided_host():
    model, inputs = randomise(make()), torch.randn(2, 27, 17, 3)
    expected = run_host(model, host_of(model, is_strided=True), inputs)
    torch.testing.assert_close(model(inputs)[:, 13:14], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('widths, field', [((3, 3, 3, 3, 3), 243), ((3, 5), 15), ((1, 3), 3), ((7,), 7)])
def test_receptive_field_is_the_product_of_the_widths(widths, field):
    model = make(filter_widths=widths, channels=2, dim=1).eval()
    for parameter in model.parameters():
        parameter.data.fill_(0.1)  # every ReLU open
    inputs = torch.ones(1, 251, 17, 3, requires_grad=True)
    model(inputs)[0, 125].sum().backward()
    seen = inputs.grad[0].abs().sum(dim=(1, 2)) > 0
    assert seen.sum() == field and seen[125 - field // 2:126 + field // 2].all()


@pytest.mark.parametrize('frames', [1, 2, 5, 60])
def test_a_person_who_stands_still_stands_still_in_the_features(frames):
    model, pose = randomise(make()), torch.randn(2, 1, 17, 3)
    features = model(pose.expand(-1, frames, -1, -1))
    assert features.shape == (2, frames, 17, 4)
    torch.testing.assert_close(features, model(pose).expand_as(features), rtol=1e-4, atol=1e-5)


def test_training_normalises_by_the_batch_and_draws_dropout():
    model, inputs = make(drop=0.0).train(), torch.randn(4, 9, 17, 3)
    model.expand.norm.momentum = 1.0
    model(inputs)
    filtered = model.expand.conv(torch.cat([inputs[:, :1], inputs, inputs[:, -1:]], dim=1).flatten(2).transpose(1, 2))
    torch.testing.assert_close(model.expand.norm.running_mean, filtered.mean(dim=(0, 2)))
    dropping = make(drop=0.25)
    assert not torch.equal(dropping(inputs), dropping(inputs))
    assert torch.equal(dropping.eval()(inputs), dropping(inputs))


@pytest.mark.parametrize('widths, message', [
    ((3, 4), 'need an odd width, got 4; change filter_widths in the config'),
    ((), 'needs filter_widths with at least one number, got none')])
def test_filters_without_a_middle_are_refused(widths, message):
    with pytest.raises(ValueError, match=message):
        make(filter_widths=widths)


def test_wrong_inputs_are_named():
    with pytest.raises(ValueError, match=r'TemporalConvNet was built for inputs \(N, T, 17, 3\), got \(2, 9, 16, 3\)'):
        make()(torch.zeros(2, 9, 16, 3))
