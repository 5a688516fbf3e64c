import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict

from motionbert_mm.checkpoints.load import compare_states, match_report
from motionbert_mm.checkpoints.transfer import fit_branches, frames_only
from motionbert_mm.models.backbones.action_pose import ActionPoseEncoder
from motionbert_mm.models.backbones.dstformer import DSTformer
from motionbert_mm.registry import MODELS, build
from tests.minimal import TINY_TEXT

SIZES = dict(max_frames=9, dim=16, depth=3, num_heads=2)


def make(kind=ActionPoseEncoder, **options):
    torch.manual_seed(0)
    encoder = kind(3, **{**SIZES, **options})
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return encoder.eval()


def pair(**options):
    """An encoder and a DSTformer with its weights."""
    encoder, plain = make(**options), make(DSTformer)
    plain.load_state_dict({key: value for key, value in encoder.state_dict().items() if key != 'class_token'})
    return encoder, plain


def motion(frames=9, batch=2):
    return torch.randn(batch, frames, 17, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('frames', [1, 5, 9])
def test_without_the_token_it_is_dstformer_bit_for_bit(frames):
    encoder, plain = pair(class_token=False)
    assert list(encoder.state_dict()) == list(plain.state_dict())
    assert torch.equal(encoder(motion(frames)), plain(motion(frames)))


def test_the_weights_are_those_of_dstformer_and_the_token():
    encoder, plain = pair()
    assert set(encoder.state_dict()) - set(plain.state_dict()) == {'class_token'}
    assert encoder.class_token.shape == (1, 1, 17, 16)
    assert make(token_per_joint=False).class_token.shape == (1, 1, 1, 16)


def test_the_token_is_not_among_the_frames():
    encoder = make(gives_token=True, tap_layer=2)
    features = encoder(motion(5))
    assert {name: value.shape for name, value in features.items()} == dict(frames=(2, 5, 17, 16), token=(2, 1, 17, 16))
    encoder.gives_token = False
    assert torch.equal(encoder(motion(5)), features['frames'])


def silence_temporal(encoder):
    """Make temporal attention add nothing: zero output projections."""
    for stream in (encoder.space_first, encoder.time_first):
        for stage in stream:
            torch.nn.init.zeros_(stage['temporal'].attn.proj.weight)
            torch.nn.init.zeros_(stage['temporal'].attn.proj.bias)


@pytest.mark.parametrize('options', [{}, dict(token_spatial=False), dict(token_per_joint=False)])
def test_frames_meet_the_token_in_temporal_attention_only(options):
    encoder, plain = pair(**options)
    assert (encoder(motion()) - plain(motion())).abs().max() > 1e-2
    silence_temporal(encoder), silence_temporal(plain)
    torch.testing.assert_close(encoder(motion()), plain(motion()), rtol=1e-5, atol=1e-5)


def test_frames_keep_their_temporal_embeddings():
    encoder, plain = pair()
    embedded = encoder._prepend_token(encoder.embed_inputs(motion(5)))
    torch.testing.assert_close(embedded[:, 1:], plain.embed_inputs(motion(5)))
    torch.testing.assert_close(embedded[0, :1], (encoder.class_token + encoder.joint_embed)[0])


@pytest.mark.parametrize('stage', [1, 2, 3])
def test_the_token_is_read_after_its_stage(stage):
    encoder = make(gives_token=True, tap_layer=stage)
    features = encoder._prepend_token(encoder.embed_inputs(motion()))
    for number in range(stage):
        features = encoder.run_stage(number, features)
    assert torch.equal(encoder(motion())['token'], features[:, :1])
    changed = make(gives_token=True, tap_layer=stage)
    for name in ('space_first', 'time_first', 'fusion'):
        for later in getattr(changed, name)[stage:]:
            for parameter in later.parameters():
                torch.nn.init.normal_(parameter)
    assert torch.equal(changed(motion())['token'], features[:, :1])
    assert stage == 3 or not torch.allclose(changed(motion())['frames'], encoder(motion())['frames'])


def test_the_token_sees_every_frame_and_joints_of_the_token_see_each_other():
    encoder, inputs = make(gives_token=True, tap_layer=1, use_fusion=False), motion().requires_grad_()
    encoder(inputs)['token'][0, 0, 3].sum().backward()
    assert inputs.grad[0].flatten(1).any(dim=1).all() and inputs.grad[0].transpose(0, 1).flatten(1).any(dim=1).all()
    assert not inputs.grad[1].any()


def test_a_token_outside_spatial_layers_stays_with_its_joint():
    encoder = make(gives_token=True, tap_layer=1, token_spatial=False)
    features = encoder._prepend_token(encoder.embed_inputs(motion()))
    layer = encoder.space_first[0]['spatial']
    after = encoder.apply_layer('spatial', layer, features)
    assert torch.equal(after[:, :1], features[:, :1]) and not torch.equal(after[:, 1:], features[:, 1:])
    encoder.token_spatial = True
    assert not torch.equal(encoder.apply_layer('spatial', layer, features)[:, :1], features[:, :1])


@pytest.mark.parametrize('options', [dict(tap_layer=0), dict(tap_layer=4), dict(class_token=False)])
def test_a_token_that_cannot_be_given_is_refused(options):
    with pytest.raises(ValueError, match=r'1 to depth=3, got tap_layer=\d and class_token='):
        make(gives_token=True, **options)
    assert make(**options)(motion()).shape == (2, 9, 17, 16)


POSE = dict(type='PoseLiftHead', losses=[dict(type='MPJPELoss')])
REPRESENTATION = dict(type='RepresentationLayer', out_channels=8)
LIFTER = dict(type='MotionModel', backbone=dict(type='DSTformer', **SIZES), neck=REPRESENTATION, heads=dict(pose=POSE))
ALIGNED = dict(
    type='MotionModel', backbone=dict(type='ActionPoseEncoder', gives_token=True, tap_layer=2, **SIZES),
    neck=dict(type='FeatureBranches', branches=dict(frames=REPRESENTATION, token=dict(type='PosePooling',
                                                                                     out_channels=12))),
    heads=dict(pose=dict(POSE, source='frames'),
               text=dict(type='TextAlignHead', source='token', text_encoder=TINY_TEXT,
                         losses=[dict(type='AlignmentLoss')])))
NEW = ('backbone.class_token', 'neck.branches.token.', 'heads.text.')


def random_model(config, seed):
    torch.manual_seed(seed)
    model = build(MODELS, config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def test_a_lifter_starts_a_model_that_is_aligned_with_text():
    lifter, aligned = random_model(LIFTER, 0), random_model(ALIGNED, 1)
    state = fit_branches(lifter.state_dict(), aligned.state_dict())
    missing = set(aligned.state_dict()) - set(state)
    assert missing == {key for key in aligned.state_dict() if key.startswith(NEW)} and set(state) < set(
        aligned.state_dict())
    load_state_dict(aligned, state)
    torch.testing.assert_close(aligned.heads['pose'].fc.weight, lifter.heads['pose'].fc.weight)
    torch.testing.assert_close(aligned.neck.branches['frames'].fc.weight, lifter.neck.fc.weight)
    report = match_report(aligned.state_dict(), state)
    own, taken = (len([key for key in each if key.startswith('backbone.')]) for each in (aligned.state_dict(), state))
    assert f'backbone {taken} of {own}' in report and own == taken + 1 and 'no place' not in report


@pytest.mark.parametrize('backbone', ['DSTformer', 'ActionPoseEncoder'])
def test_a_lifter_is_finetuned_from_an_aligned_model(backbone):
    aligned = random_model(ALIGNED, 1)
    lifter = random_model(dict(LIFTER, backbone=dict(type=backbone, **SIZES)), 0)
    state = fit_branches(aligned.state_dict(), lifter.state_dict())
    assert not [problem for problem in compare_states(lifter.state_dict(), state) if 'missing' in problem]
    left_out = set(state) - set(lifter.state_dict())
    assert left_out == {key for key in aligned.state_dict()
                        if key.startswith(NEW if backbone == 'DSTformer' else NEW[1:])}
    assert 'heads.text' in match_report(lifter.state_dict(), state).split('have no place')[1]
    load_state_dict(lifter, state)
    if backbone == 'ActionPoseEncoder':
        inputs = motion()[:, None]
        expected = aligned.run_heads(aligned(inputs), ['pose'])['pose']
        assert torch.equal(lifter.run_heads(lifter(inputs))['pose'], expected)


def test_a_host_takes_the_encoder_of_an_aligned_checkpoint(tmp_path):
    aligned, inputs = random_model(ALIGNED, 1), motion()
    torch.save(dict(state_dict=aligned.state_dict()), tmp_path / 'aligned.pth')
    start = dict(type='Pretrained', checkpoint=str(tmp_path / 'aligned.pth'), prefix='backbone.')
    encoder = dict(type='ActionPoseEncoder', init_cfg=start, **SIZES)
    host = build(MODELS, dict(type='PoseLifterBackbone', backbone=encoder))
    host.init_weights()
    assert torch.equal(host.eval()(inputs), aligned.backbone(inputs)['frames'])


def test_equal_layouts_stay_as_they_are():
    for config in (LIFTER, ALIGNED):
        state = random_model(config, 0).state_dict()
        assert list(fit_branches(state, state)) == list(state)


def test_what_finds_poses_is_taken_out_of_an_aligned_model():
    aligned, inputs = random_model(ALIGNED, 1), motion()[:, None]
    weights, config = frames_only(aligned.state_dict(), ALIGNED)
    lifter = build(MODELS, config).eval()
    lifter.load_state_dict(weights)
    assert list(lifter.heads) == ['pose'] and lifter.predicts == ('pose',) and lifter.neck.out_channels == 8
    assert torch.equal(lifter.run_heads(lifter(inputs))['pose'], aligned.run_heads(aligned(inputs), ['pose'])['pose'])
    plain = random_model(LIFTER, 0).state_dict()
    assert frames_only(plain, LIFTER) == (plain, LIFTER)
    with pytest.raises(ValueError, match="heads text reads source='frames'"):
        frames_only({}, dict(ALIGNED, heads=dict(text=ALIGNED['heads']['text'])))
