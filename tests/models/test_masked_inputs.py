"""What a mask hides, the model cannot know."""
import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.layers.masking import replace_masked
from motionbert_mm.registry import MODELS, build

PIPELINE = [dict(type='NormalizeCoords'), dict(type='SampleMask', joint_ratio=0.1, frame_ratio=0.2, exact=True),
            dict(type='PackInputs', fields=['target_3d'])]


@pytest.fixture
def batch(people_store):
    """Samples of one and of two persons, with detected 2D and a mask."""
    dataset = MotionDataset(str(people_store), window=dict(num_frames=9), pipeline=PIPELINE)
    return collate_batch(dataset.__getitems__(range(5)))


@pytest.fixture
def make(tiny_model):
    def make_model(**options):
        torch.manual_seed(0)
        model = build(MODELS, {**tiny_model, **options})
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        return model.eval()
    return make_model


def with_hidden(batch, value):
    """The batch with another value wherever the mask hides."""
    hidden = batch['data_samples'].mask[..., None]
    return dict(batch, inputs=batch['inputs'].masked_fill(hidden, value))


def with_visible(batch, amount):
    """The batch with one coordinate moved that the mask does not hide."""
    inputs = batch['inputs'].clone()
    place = tuple(torch.nonzero(~batch['data_samples'].mask)[0])
    inputs[place] += amount
    return dict(batch, inputs=inputs)


def outputs(model, batch, mode):
    """Features, losses, or predictions of all samples, as one tensor."""
    result = model(**batch, mode=mode)
    if mode == 'tensor':
        return result
    return torch.stack(list(result.values()) if mode == 'loss' else [sample.keypoints_3d for sample in result])


def test_masked_tokens_become_zero_whatever_they_were():
    mask = torch.tensor([[True, False, False], [False, False, True]])
    tokens = torch.arange(1.0, 13.0).reshape(2, 3, 2).masked_fill(mask[..., None], float('nan'))
    replaced = replace_masked(tokens, mask)
    expected = torch.tensor([[[0, 0], [3, 4], [5, 6]], [[7, 8], [9, 10], [0, 0]]], dtype=torch.float32)
    torch.testing.assert_close(replaced, expected, rtol=0, atol=0)
    assert tokens[0, 0].isnan().all()


def test_no_gradient_reaches_a_masked_token():
    tokens, mask = torch.ones(2, 3, 2, requires_grad=True), torch.tensor([[True, False, True]] * 2)
    replace_masked(tokens, mask).sum().backward()
    torch.testing.assert_close(tokens.grad, (~mask)[..., None].expand(2, 3, 2).float())


@pytest.mark.parametrize('flip_test', [False, True])
@pytest.mark.parametrize('mode', ['tensor', 'loss', 'predict'])
def test_masked_inputs_cannot_change_the_output(make, batch, mode, flip_test):
    model = make(flip_test=flip_test)
    assert 0.2 < batch['data_samples'].mask.float().mean() < 0.4
    expected = outputs(model, batch, mode)
    assert expected.isfinite().all()
    for value in (0.0, 1e3, float('nan'), float('inf')):
        torch.testing.assert_close(outputs(model, with_hidden(batch, value), mode), expected, rtol=0, atol=0)
    assert not torch.equal(outputs(model, with_visible(batch, 0.5), mode), expected)


@pytest.mark.parametrize('mode', ['tensor', 'loss', 'predict'])
def test_a_mask_is_zeros_in_the_input(make, batch, mode):
    model, by_hand = make(flip_test=True), with_hidden(batch, 0.0)
    by_hand['data_samples'] = batch['data_samples'].clone()
    by_hand['data_samples'].pop('mask')
    torch.testing.assert_close(outputs(model, batch, mode), outputs(model, by_hand, mode), rtol=0, atol=0)
    by_hand['inputs'] = batch['inputs']
    assert not torch.equal(outputs(model, batch, mode), outputs(model, by_hand, mode))


def test_the_mask_leaves_the_batch_alone(make, batch):
    kept = batch['inputs'].clone()
    make()(**batch, mode='loss')
    torch.testing.assert_close(batch['inputs'], kept, rtol=0, atol=0)


def test_hidden_joints_are_still_learned(make, batch):
    """The loss covers all positions, masked or not: lifting them is the task."""
    model, changed = make(), dict(batch, data_samples=batch['data_samples'].clone())
    hidden = (batch['data_samples'].mask & batch['data_samples'].visible)[..., None]
    changed['data_samples'].target_3d = batch['data_samples'].target_3d + 1.0 * hidden
    assert not np.allclose(outputs(model, changed, 'loss').detach(), outputs(model, batch, 'loss').detach(), rtol=0.01)
