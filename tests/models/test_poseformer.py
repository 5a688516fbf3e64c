import pytest
import torch

from motionbert_mm.models.backbones.poseformer import PoseFormer


def make(**options):
    model = PoseFormer(3, **{**dict(max_frames=9, dim=8, depth=2, num_heads=2), **options}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize('frames, official', [(9, 9_563_645), (27, 9_573_455), (81, 9_602_885)])
def test_size_is_the_official_one_but_for_the_output(frames, official):
    with torch.device('meta'):
        model = PoseFormer(2, max_frames=frames)
    shared = sum(value.numel() for name, value in model.named_parameters() if not name.startswith('to_joints.'))
    mean, norm, head = frames + 1, 2 * 544, 544 * 51 + 51  # of the official network only
    assert shared == official - mean - norm - head
    assert model.to_joints.weight.shape == (17 * 32, 544)


def test_a_short_clip_uses_the_first_frame_embeddings():
    model, short, inputs = make(), make(max_frames=5), torch.randn(2, 5, 17, 3)
    short.load_state_dict({key: value[:, :5] if key == 'frame_embed' else value
                           for key, value in model.state_dict().items()})
    torch.testing.assert_close(model(inputs), short(inputs))


def test_every_frame_and_joint_sees_all_others():
    model, inputs = make(depth=1), torch.randn(1, 6, 17, 3)
    changed = inputs.clone()
    changed[0, 2, 5] += 1.0
    assert ((model(changed) - model(inputs)).abs().amax(dim=-1) > 1e-5).all()


def test_frames_are_encoded_alone_before_they_meet():
    model, inputs = make(), torch.randn(2, 6, 17, 3)
    model.frame_embed.data.zero_()
    seen = []
    model.temporal[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(inputs), model(inputs[:, 3:4])
    assert seen[0].shape == (2, 6, 17 * 8)
    torch.testing.assert_close(seen[1], seen[0][:, 3:4])


def test_the_order_of_frames_counts_through_their_embeddings():
    model, inputs = make(), torch.randn(2, 6, 17, 3)
    assert not torch.allclose(model(inputs.flip(1)), model(inputs).flip(1), atol=1e-3)
    model.frame_embed.data.zero_()
    torch.testing.assert_close(model(inputs.flip(1)), model(inputs).flip(1), rtol=1e-4, atol=1e-4)


def test_drop_path_grows_with_the_layer_in_both_transformers():
    model = make(depth=3, drop_path=0.4)
    for layers in (model.spatial, model.temporal):
        assert [layer.drop_path.rate for layer in layers] == pytest.approx([0.0, 0.2, 0.4])


@pytest.mark.parametrize('shape, message', [
    ((2, 10, 17, 3), 'PoseFormer was built for at most 9 frames, got 10; set backbone.max_frames'),
    ((2, 9, 17, 2), r'PoseFormer was built for inputs \(N, T, 17, 3\), got \(2, 9, 17, 2\)')])
def test_wrong_inputs_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        make()(torch.zeros(shape))
