import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper

from motionbert_mm.engine.optim import FUSED_DEVICES, MotionOptimConstructor
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample

ADAMW = dict(type='AdamW', lr=1e-3, weight_decay=0.1)


@pytest.fixture
def model(tiny_model):
    return build(MODELS, tiny_model)


def groups(model, wrapper=None, **options):
    """(lr, weight decay) of every parameter by name."""
    built = MotionOptimConstructor(dict(wrapper or {}, optimizer=dict(ADAMW)), options)(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    placed = {names[id(parameter)]: (group['lr'], group['weight_decay'])
              for group in built.optimizer.param_groups for parameter in group['params']}
    assert len(built.optimizer.param_groups) <= 4
    return placed


def test_by_default_everything_decays_as_in_the_official_code(model):
    placed = groups(model)
    assert set(placed) == dict(model.named_parameters()).keys()
    assert set(placed.values()) == {(1e-3, 0.1)}


def test_the_backbone_learns_at_its_own_rate(model):
    for name, (lr, _) in groups(model, backbone_lr_mult=0.1).items():
        assert lr == pytest.approx(1e-4 if name.startswith('backbone.') else 1e-3), name


@pytest.mark.parametrize('option, is_exempt', [
    ('decay_norm', lambda name: 'norm' in name),
    ('decay_embedding', lambda name: name.endswith(('frame_embed', 'joint_embed'))),
    ('decay_bias', lambda name: name.endswith('.bias') and 'norm' not in name),
])
def test_exceptions_from_weight_decay(model, option, is_exempt):
    placed = groups(model, **{option: False})
    exempt = {name for name, (_, decay) in placed.items() if decay == 0}
    assert exempt == {name for name in placed if is_exempt(name)} and exempt


def test_multiplier_and_exceptions_combine(model):
    placed = groups(model, backbone_lr_mult=0.5, decay_norm=False, decay_bias=False, decay_embedding=False)
    assert placed['backbone.norm.weight'] == (5e-4, 0.0)
    assert placed['backbone.embed.weight'] == (5e-4, 0.1)
    assert placed['neck.fc.bias'] == (1e-3, 0.0)
    assert placed['heads.pose.fc.weight'] == (1e-3, 0.1)


def test_frozen_parts_are_left_out(tiny_model):
    model = build(MODELS, dict(tiny_model, frozen=['backbone']))
    assert {name.split('.')[0] for name in groups(model)} == {'neck', 'heads'}
    with pytest.raises(ValueError, match='no parameter of the model requires a gradient'):
        groups(build(MODELS, dict(tiny_model, frozen=['backbone', 'neck', 'heads'])))


def test_wrapped_models_are_unwrapped(model):
    class Wrapper(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

    built = MotionOptimConstructor(dict(optimizer=dict(ADAMW)), dict(backbone_lr_mult=0.1))(Wrapper(model))
    assert sorted(group['lr'] for group in built.optimizer.param_groups) == pytest.approx([1e-4, 1e-3])


def test_the_wrapper_keeps_its_options(model):
    built = MotionOptimConstructor(dict(optimizer=dict(ADAMW, betas=(0.8, 0.9)), accumulative_counts=3,
                                        clip_grad=dict(max_norm=1.0)))(model)
    assert type(built) is OptimWrapper and built._accumulative_counts == 3
    assert built.clip_grad_kwargs == dict(max_norm=1.0)
    assert isinstance(built.optimizer, torch.optim.AdamW) and built.optimizer.defaults['betas'] == (0.8, 0.9)


def test_mmengine_builds_it_from_a_config(model):
    wrapper = build_optim_wrapper(model, dict(constructor='motionbert_mm.MotionOptimConstructor', optimizer=dict(ADAMW),
                                              paramwise_cfg=dict(backbone_lr_mult=0.0)))
    assert {group['lr'] for group in wrapper.optimizer.param_groups} == {0.0, 1e-3}


@pytest.mark.parametrize('arguments, message', [
    (dict(optim_wrapper_cfg=dict(optimizer=ADAMW), paramwise_cfg=dict(lr_mult=1)), r"keys \['lr_mult'\]; known are"),
    (dict(optim_wrapper_cfg=dict(type='OptimWrapper')), r'needs optimizer=dict\(type=...\), got None'),
])
def test_wrong_options_are_named(arguments, message):
    with pytest.raises(TypeError, match=message):
        MotionOptimConstructor(**arguments)


def test_bfloat16_runs_the_forward_pass_only(model):
    wrapper = MotionOptimConstructor(dict(type='BFloat16OptimWrapper', optimizer=dict(ADAMW)))(model)
    inputs = torch.rand(2, 1, 9, 17, 3)
    with wrapper.optim_context(model):
        features = model.extract_features(inputs)
        wrapper.update_params(features.float().square().mean())
    assert features.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.extract_features(inputs).dtype == torch.float32


def test_parts_learn_at_their_own_rates(model):
    placed = groups(model, backbone_lr_mult=0.5, lr_mults={'heads.pose': 0.1, 'backbone.fusion': 2.0})
    assert placed['heads.pose.fc.weight'][0] == pytest.approx(1e-4) and placed['neck.fc.weight'][0] == 1e-3
    assert placed['backbone.fusion.0.weight'][0] == 2e-3 and placed['backbone.embed.weight'][0] == 5e-4


def test_a_part_that_the_model_lacks_is_named(model):
    with pytest.raises(ValueError, match='lr_mults of paramwise_cfg names heads.text, which the model lacks; it has'):
        groups(model, lr_mults={'heads.text': 0.1})


@pytest.mark.parametrize('kind, tolerance', [('OptimWrapper', 1e-5), ('BFloat16OptimWrapper', 2e-2)])
@pytest.mark.parametrize('clip', [None, dict(max_norm=0.05)])
def test_two_half_batches_accumulated_are_one_batch(tiny_model, kind, tolerance, clip):
    def step(sizes):
        torch.manual_seed(0)
        model = build(MODELS, tiny_model).train()
        before = [value.detach().clone() for value in model.parameters()]
        wrapper = MotionOptimConstructor(dict(type=kind, optimizer=dict(type='SGD', lr=0.1), clip_grad=clip,
                                              accumulative_counts=len(sizes)))(model)
        parts = zip(inputs.split(sizes), targets.split(sizes))
        for number, (given, target) in enumerate(parts, start=1):
            samples = MotionSample(metainfo=dict(skeleton='h36m'), target_3d=target)
            model.train_step(dict(inputs=given, data_samples=samples), wrapper)
            moved = [(value - start).flatten() for value, start in zip(model.parameters(), before)]
            assert any(change.any() for change in moved) is (number == len(sizes))
        return torch.cat(moved).detach()

    inputs, targets = torch.randn(4, 1, 9, 17, 3), torch.randn(4, 1, 9, 17, 3)
    whole, halves = step([4]), step([2, 2])
    assert (halves - whole).norm() < tolerance * whole.norm()
    if clip:  # by the norm of the sum, not of each half
        assert halves.norm() == pytest.approx(0.1 * clip['max_norm'], rel=1e-3)


@pytest.mark.parametrize('options, expected', [
    ({}, 'cpu' in FUSED_DEVICES), (dict(fused=False), False), (dict(foreach=True), False), (dict(type='SGD'), False)])
def test_adam_updates_in_one_kernel_unless_told_otherwise(model, options, expected):
    built = MotionOptimConstructor(dict(optimizer={**ADAMW, **options}))(model)
    assert bool(built.optimizer.defaults.get('fused')) == expected
    loss = sum(parameter.square().sum() for parameter in model.parameters())
    before = float(loss.detach())
    built.update_params(loss)
    assert sum(float(parameter.detach().square().sum()) for parameter in model.parameters()) < before
