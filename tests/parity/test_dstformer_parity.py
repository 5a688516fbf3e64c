"""DSTformer against recorded outputs and gradients of the official class; tolerances as the vectors' README states."""
import re
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import linear

from tests.parity.official_model import load_official, make_model, official_names, run
from tests.parity.vectors import PARITY_DIR, assert_close, load_vector

ABSOLUTE = 2e-5  # networks
RELATIVE = 1e-5  # gradients, to the largest entry
VECTORS = [f'mb_dstformer_{variant}' for variant in ('fuse', 'nofuse', 'short', 'eps', 'grad')]


def having(key):
    """The vectors with an array whose name starts so; a missing one is kept, for ``load_vector`` to report."""
    return [name for name in VECTORS if not (PARITY_DIR / f'{name}.npz').is_file()
            or any(entry.startswith(key) for entry in np.load(PARITY_DIR / f'{name}.npz').files)]


def load(name, **changes):
    vector = load_vector(name)
    model = load_official(make_model(vector.meta['args'], **changes), vector.state_dict)
    return vector, model.eval()


def assert_near(actual, expected):
    actual = actual.detach().numpy()
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ABSOLUTE)


@pytest.mark.parametrize('name', VECTORS)
def test_output_and_representation(name):
    vector, model = load(name)
    with torch.no_grad():
        output, representation = run(model, torch.from_numpy(vector.inputs['x']))
    assert_near(output, vector.outputs['y'])
    if 'rep' in vector.outputs:
        assert_near(representation, vector.outputs['rep'])


@pytest.mark.parametrize('name', VECTORS)
def test_the_encoder_of_actionpose_without_its_token(name):
    vector, model = load(name, type='ActionPoseEncoder', class_token=False)
    assert type(model.backbone).__name__ == 'ActionPoseEncoder'
    with torch.no_grad():
        output, representation = run(model, torch.from_numpy(vector.inputs['x']))
        plain = load(name)[1](torch.from_numpy(vector.inputs['x'])[:, None])
    assert_near(output, vector.outputs['y'])
    assert torch.equal(representation, plain)


@pytest.mark.parametrize('name', having('in/x_t1'))
def test_one_frame(name):
    vector, model = load(name)
    with torch.no_grad():
        output, representation = run(model, torch.from_numpy(vector.inputs['x_t1']))
    assert_near(output, vector.outputs['y_t1'])
    assert_near(representation, vector.outputs['rep_t1'])


def test_the_epsilon_of_the_norms_matters():
    vector, model = load('mb_dstformer_eps', norm_eps=1e-5)
    with torch.no_grad():
        output, _ = run(model, torch.from_numpy(vector.inputs['x']))
    assert_near(output, vector.outputs['y_eps1e5'])
    recorded = vector.meta['max_abs_difference_between_the_two_eps']
    assert np.abs(output.numpy() - vector.outputs['y']).max() == pytest.approx(recorded, abs=2 * ABSOLUTE)


class Steps:
    """Outputs of our modules under the names and in the layout (B * T, J, C) of the official ones."""

    STREAMS = {'st': 'space_first', 'ts': 'time_first'}
    AXES = {'s': 'spatial', 't': 'temporal'}
    PLAIN = {'joints_embed': 'backbone.embed', 'pos_drop': 'backbone.embed_drop', 'norm': 'backbone.norm',
             'pre_logits': 'neck', 'head': 'heads.pose'}

    def __init__(self, model, inputs):
        self.model, self.shape, self.seen = model, inputs.shape[:3], {}
        hooks = [module.register_forward_hook(partial(self._note, name)) for name, module in model.named_modules()]
        with torch.no_grad():
            run(model, inputs)
        for hook in hooks:
            hook.remove()

    def _note(self, name, module, args, output):
        self.seen[name] = args, output

    def output(self, name, by_joint=False):
        frames, joints = self.shape[1:]
        value = self.seen[name][1]
        if by_joint:  # (B * J, T, C)
            value = value.unflatten(0, (-1, joints)).transpose(1, 2).flatten(0, 1)
        return value.reshape(-1, joints, value.shape[-1])

    def __getitem__(self, name):
        block, part, fusion = (re.fullmatch(pattern, name) for pattern in (
            r'blocks_(st|ts)\.(\d+)', r'blocks_(st|ts)\.(\d+)\.(attn|mlp|norm1|norm2)_(s|t)', r'ts_attn\.(\d+)'))
        if part:
            stream, stage, kind, axis = part.groups()
            return self.output(f'backbone.{self.STREAMS[stream]}.{stage}.{self.AXES[axis]}.{kind}', axis == 't')
        if block:  # the output of the second layer
            stream, stage = block.groups()
            axis = {'st': 't', 'ts': 's'}[stream]
            return self.output(f'backbone.{self.STREAMS[stream]}.{stage}.{self.AXES[axis]}', axis == 't')
        if fusion:  # logits, which our module does not compute
            module, (streams, _) = self.model.backbone.fusion[int(fusion[1])], self.seen[f'backbone.fusion.{fusion[1]}']
            return linear(torch.cat(streams, dim=-1), module.weight, module.bias).flatten(0, 1)
        return self.output(self.PLAIN[name])


@pytest.mark.parametrize('name', having('out/step/'))
def test_every_recorded_step(name):
    vector, model = load(name)
    recorded = {key[len('step/'):]: value for key, value in vector.outputs.items() if key.startswith('step/')}
    steps = Steps(model, torch.from_numpy(vector.inputs['x']))
    for step, expected in recorded.items():
        actual = steps[step].detach().numpy()
        assert actual.size == expected.size, step
        np.testing.assert_allclose(actual.reshape(expected.shape), expected, rtol=0, atol=ABSOLUTE, err_msg=step)


def test_gradients():
    vector, model = load('mb_dstformer_grad')
    inputs = torch.from_numpy(vector.inputs['x']).requires_grad_()
    output, _ = run(model.train(), inputs)
    loss = (output - torch.from_numpy(vector.inputs['target'])).square().mean()
    loss.backward()
    assert_close(loss.detach(), vector.outputs['loss'], RELATIVE)
    assert_close(inputs.grad, vector.outputs['grad_x'], RELATIVE)
    gradients = {key: parameter.grad for key, parameter in official_names(model).items()}
    assert set(gradients) == set(vector.meta['param_names'])
    norms = [float(gradients[key].norm()) for key in vector.meta['param_names']]
    assert_close(norms, vector.outputs['grad_norms'], RELATIVE)
    full = {key[len('grad/'):]: value for key, value in vector.outputs.items() if key.startswith('grad/')}
    assert set(full) == set(vector.meta['full_gradients'])
    for key, expected in full.items():
        assert_close(gradients[key], expected, RELATIVE)


def test_every_vector_is_compared_with_all_it_holds():
    known = {'y', 'rep', 'y_t1', 'rep_t1', 'y_eps1e5', 'get_representation_diff', 'loss', 'grad_norms', 'grad_x'}
    for name in VECTORS:
        outputs = load_vector(name).outputs
        assert {key for key in outputs if '/' not in key} <= known
        assert {key.split('/')[0] for key in outputs if '/' in key} <= {'step', 'grad'}
        assert float(outputs.get('get_representation_diff', 0)) == 0  # official forward and get_representation agree
