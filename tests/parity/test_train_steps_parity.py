"""The official training function, three batches with 3D and three with 2D targets, step by step."""
import re

import numpy as np
import pytest
import torch

from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.transforms import PackInputs, ReprojectionTarget
from motionbert_mm.models.heads.base import build_losses
from motionbert_mm.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, build
from tests.parity.official_model import load_official, make_model, official_names, run
from tests.parity.vectors import load_vector

LOSS_TOLERANCE, PARAMETER_TOLERANCE = 1e-4, 2e-3
# Classes of the 3D losses by the name of their official value, and the option of the official config that weighs them.
LOSSES = {'3d_pos': ('MPJPELoss', None), '3d_scale': ('NMPJPELoss', 'lambda_scale'),
          '3d_velocity': ('VelocityLoss', 'lambda_3d_velocity'), 'lg': ('LimbLengthLoss', 'lambda_lg'),
          'lv': ('LimbVarianceLoss', 'lambda_lv'), 'angle': ('AngleLoss', 'lambda_a'),
          'angle_velocity': ('AngleVelocityLoss', 'lambda_av')}


def make_optimizer(model, options):
    optimizer = dict(type=options['name'], lr=options['lr'], weight_decay=options['weight_decay'],
                     betas=tuple(options['betas']), eps=options['eps'])
    return build(OPTIM_WRAPPER_CONSTRUCTORS, dict(type='MotionOptimConstructor',
                                                  optim_wrapper_cfg=dict(optimizer=optimizer)))(model)


def losses_3d(model, chunk, target, config):
    """Return every official value of a batch with 3D truth, and the sum that is minimised."""
    prediction, _ = run(model, chunk)
    target = root_relative(target, config['rootrel'])
    losses = {name: build(MODELS, dict(type=kind, weight=1.0 if option is None else config[option]))
              for name, (kind, option) in LOSSES.items()}
    values = {name: loss(prediction, target) for name, loss in losses.items()}
    # Official values of weight 0 are logged too, but must not reach the sum: 0 * NaN is NaN.
    return {**values, 'total': sum(loss.weight * values[name] for name, loss in losses.items() if loss.weight)}


def losses_2d(model, chunk, target, config):
    """Return the official value of a batch of which only the 2D input is known, by our transform and head."""
    batch = dict(inputs=chunk.unsqueeze(1).numpy(), skeleton='h36m')
    pipeline = [ReprojectionTarget(root_relative=config['rootrel']), PackInputs(fields=['target_2d', 'weight_2d'])]
    for transform in pipeline:
        batch = transform(batch, np.random.default_rng())
    total, _ = model.parse_losses(model(**collate_batch(batch), mode='loss'))
    return {'2d_proj': total, 'total': total}


def root_relative(targets, is_full):
    """Subtract the root of each frame, or only the first frame's root depth."""
    return targets - (targets[:, :, :1] if is_full else targets[:, :1, :1] * torch.tensor([0.0, 0.0, 1.0]))


def train(vector, model, wrapper, compute_losses):
    """Run one phase; return the official losses averaged over its batches."""
    inputs, targets = torch.from_numpy(vector.inputs['x']), torch.from_numpy(vector.inputs['y'])
    steps, batch = map(int, re.search(r'(\d+) batches of (\d+)', vector.meta['steps']).groups())
    assert steps * batch == len(inputs)
    sums = {}
    for chunk, target in zip(inputs.split(batch), targets.split(batch)):
        losses = compute_losses(model, chunk, target, vector.meta['config'])
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
    model.heads['pose'].losses_2d = build_losses([dict(type='Weighted2DLoss')])
    wrapper = make_optimizer(model, vector.meta['optimiser'])
    results = {}
    for phase, compute_losses in (('a', losses_3d), ('b', losses_2d)):
        losses = train(vector, model, wrapper, compute_losses)
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
