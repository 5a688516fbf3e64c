import pytest
import torch
from torch.nn import functional as F

from motionbert_mm.models.necks.branches import FeatureBranches
from motionbert_mm.models.necks.pose_pooling import PosePooling
from motionbert_mm.registry import MODELS, build


def tokens(frames=4, joints=17):
    return torch.randn(3, frames, joints, 16, generator=torch.Generator().manual_seed(2))


def make(**options):
    torch.manual_seed(0)
    return PosePooling(16, out_channels=8, **options).eval()


def layer(module, features):
    return F.layer_norm(F.gelu(F.linear(features, module[0].weight, module[0].bias)), module[2].normalized_shape,
                        module[2].weight, module[2].bias)


def test_pooling_by_hand():
    pooling, features = make(), tokens(1)
    torch.nn.init.normal_(pooling.joints.weight)
    motion = layer(pooling.first, F.layer_norm(features[:, 0], (16,), pooling.norm.weight, pooling.norm.bias))
    summed = sum(weight * motion[:, joint] for joint, weight in enumerate(pooling.joints.weight))
    torch.testing.assert_close(pooling(features), layer(pooling.last, summed)[:, None, None])


def test_of_several_frames_the_mean_is_pooled():
    pooling = make()
    torch.testing.assert_close(pooling(tokens()), pooling(tokens().mean(dim=1, keepdim=True)))


@pytest.mark.parametrize('softmax', [False, True])
def test_joints_start_with_equal_weights(softmax):
    pooling = make(softmax_weights=softmax)
    torch.testing.assert_close(pooling.joints(tokens()), tokens().mean(dim=2))
    torch.nn.init.normal_(pooling.joints.weight, std=3.0)
    ones = pooling.joints(torch.ones(1, 17, 2))
    assert torch.allclose(ones, torch.ones(1, 2)) is softmax


def test_the_end_can_be_a_linear_map():
    pooling = make(final_activation=False)
    assert isinstance(pooling.last, torch.nn.Linear) and pooling(tokens()).shape == (3, 1, 1, 8)


def test_other_joints_are_refused():
    with pytest.raises(ValueError, match=r'features \(N, T, 17, D\), got \(3, 4, 1, 16\)'):
        make()(tokens(joints=1))
    assert make(num_joints=1)(tokens(joints=1)).shape == (3, 1, 1, 8)


BRANCHES = dict(frames=dict(type='RepresentationLayer', out_channels=6), token=dict(type='PosePooling', out_channels=8))


def test_each_branch_reads_its_own_features():
    neck = FeatureBranches(16, branches=BRANCHES).eval()
    features = dict(frames=tokens(), token=tokens(1).flip(0), other=tokens(2))
    outputs = neck(features)
    assert {name: value.shape[1:] for name, value in outputs.items()} == dict(frames=(4, 17, 6), token=(1, 1, 8))
    for name, branch in neck.branches.items():
        assert torch.equal(outputs[name], branch(features[name]))
        assert torch.equal(neck(tokens())[name], branch(tokens()))
    with pytest.raises(ValueError, match='branches for token, but the features are frames'):
        neck(dict(frames=tokens()))
    with pytest.raises(ValueError, match='got no branches'):
        FeatureBranches(16, branches={})


def model(**heads):
    return build(MODELS, dict(type='MotionModel', backbone=dict(type='DSTformer', max_frames=9, dim=16, depth=1,
                                                                num_heads=2),
                              neck=dict(type='FeatureBranches', branches=BRANCHES), heads=heads))


def test_heads_are_built_behind_their_branch():
    built = model(pose=dict(type='PoseLiftHead', source='frames'),
                  action=dict(type='ActionHead', num_classes=2, hidden_channels=4, source='token'),
                  whole=dict(type='ActionHead', num_classes=2, hidden_channels=4, source='frames'))
    assert built.heads['pose'].fc.in_features == 6 and built.heads['action'].fc1.in_features == 8
    assert built.heads['whole'].fc1.in_features == 17 * 6
    features = built(torch.randn(2, 1, 9, 17, 3))
    assert {name: output.shape for name, output in built.run_heads(features).items()} == dict(
        pose=(2, 9, 17, 3), action=(2, 2), whole=(2, 2))


@pytest.mark.parametrize('source', [None, 'centre'])
def test_a_head_without_a_branch_is_refused(source):
    with pytest.raises(ValueError, match=r"PoseLiftHead reads source=.*, but the neck gives \['frames', 'token'\]"):
        model(pose=dict(type='PoseLiftHead', source=source))
