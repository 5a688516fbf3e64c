"""The official training function, three batches with 3D and three with 2D targets, step by step."""
import re

import numpy as np
import pytest
import torch

from motionbert_mm.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, build
from tests.parity.official_model import load_official, make_model, official_names, run
from tests.parity.vectors import load_vector

LOSS_TOLERANCE, PARAMETER_TOLERANCE = 1e-4, 2e-3
# Loss classes by the name of their official value, and the option of the official config that weighs them.
LOSSES = {'3d_pos': ('MPJPELoss', None), '3d_scale': ('NMPJPELoss', 'lambda_scale'),
          '3d_velocity': ('VelocityLoss', 'lambda_3d_velocity'), 'lg': ('LimbLengthLoss', 'lambda_lg'),
          'lv': ('LimbVarianceLoss', 'lambda_lv'), 'angle': ('AngleLoss', 'lambda_a'),
          'angle_velocity': ('AngleVelocityLoss', 'lambda_av'), '2d_proj': ('Weighted2DLoss', None)}


def make_optimizer(model, options):
    optimizer = dict(type=options['name'], lr=options['lr'], weight_decay=options['weight_decay'],
                     betas=tuple(options['betas']), eps=options['eps'])
    return build(OPTIM_WRAPPER_CONSTRUCTORS, dict(type='MotionOptimConstructor',
                                                  optim_wrapper_cfg=dict(optimizer=optimizer)))(model)


def compute_losses(prediction, inputs, target, config, has_3d):
    """Return every official value of one batch, and the sum that is minimised."""
    values = {}
    for name, (kind, option) in LOSSES.items():
        if (name == '2d_proj') != has_3d:
            loss = build(MODELS, dict(type=kind, weight=1.0 if option is None else config[option]))
            weight = inputs[..., 2] if name == '2d_proj' else None
            values[name] = loss.weight, loss(prediction, target, weight)
    # Official values of weight 0 are logged too, but must not reach the sum: 0 * NaN is NaN.
    values['total'] = 1.0, sum(weight * value for weight, value in values.values() if weight)
    return {name: value for name, (_, value) in values.items()}


def root_relative(targets, is_full):
    """Subtract the root of each frame, or only the first frame's root depth."""
    return targets - (targets[:, :, :1] if is_full else targets[:, :1, :1] * torch.tensor([0.0, 0.0, 1.0]))


def train(vector, model, wrapper, has_3d):
    """Run one phase; return the official losses averaged over its batches."""
    inputs, targets = torch.from_numpy(vector.inputs['x']), torch.from_numpy(vector.inputs['y'])
    targets = root_relative(targets if has_3d else inputs, vector.meta['config']['rootrel'])
    steps, batch = map(int, re.search(r'(\d+) batches of (\d+)', vector.meta['steps']).groups())
    assert steps * batch == len(inputs)
    sums = {}
    for chunk, target in zip(inputs.split(batch), targets.split(batch)):
        prediction, _ = run(model, chunk)
        losses = compute_losses(prediction, chunk, target, vector.meta['config'], has_3d)
        wrapper.update_params(losses['total'])
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / steps
    return sums


@pytest.fixture(scope='module')
def phases():
    """The vector, and after each phase its losses and parameters."""
    vector = load_vector('mb_train_steps')
    assert not (vector.meta['config']['mask'] or vector.meta['config']['noise'] or vector.meta['config']['no_conf'])
    model = load_official(make_model(vector.meta['args']), vector.state_dict).train()
    wrapper = make_optimizer(model, vector.meta['optimiser'])
    results = {}
    for phase, has_3d in (('a', True), ('b', False)):
        losses = train(vector, model, wrapper, has_3d)
        results[phase] = losses, {name: value.detach().clone() for name, value in official_names(model).items()}
    return vector, results


@pytest.mark.parametrize('phase', ['a', 'b'])
def test_losses(phases, phase):
    vector, results = phases
    losses = [results[phase][0].get(name, 0.0) for name in vector.meta['losses_order']]
    np.testing.assert_allclose(losses, vector.outputs[f'losses_{phase}'], rtol=0, atol=LOSS_TOLERANCE)


@pytest.mark.parametrize('phase', ['a', 'b'])
def test_parameters(phases, phase):
    vector, results = phases
    _, parameters = results[phase]
    norms = [float(parameters[name].norm()) for name in vector.meta['param_names']]
    np.testing.assert_allclose(norms, vector.outputs[f'param_norm_{phase}'], rtol=0, atol=PARAMETER_TOLERANCE)
    prefix = f'after_{phase}/'
    recorded = {key[len(prefix):]: value for key, value in vector.outputs.items() if key.startswith(prefix)}
    assert recorded
    for name, expected in recorded.items():
        np.testing.assert_allclose(parameters[name].numpy(), expected, rtol=0, atol=PARAMETER_TOLERANCE, err_msg=name)


def test_training_moved_the_parameters(phases):
    vector, results = phases
    first, second = (results[phase][1]['head.weight'] for phase in ('a', 'b'))
    assert (first - vector.state_dict['head.weight']).abs().max() > 1e-3 and (second - first).abs().max() > 3e-4
