import pytest
import torch

from motionbert_mm.layers.masking import keep_visible, restore_masked, visible_places

MASK = torch.tensor([[True, False, True, False], [False, False, True, True]])
PLACES = visible_places(MASK)


def test_what_stays_keeps_its_order():
    tokens = torch.arange(8.0).reshape(2, 4, 1)
    assert keep_visible(tokens, PLACES)[..., 0].tolist() == [[1, 3], [4, 5]]


def test_restoring_puts_every_token_back_and_zeros_between():
    tokens = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    restored = restore_masked(keep_visible(tokens, PLACES), PLACES, 4)
    torch.testing.assert_close(restored, tokens.masked_fill(MASK[..., None], 0.0), rtol=0, atol=0)


def test_the_type_of_the_tokens_stays():
    tokens = torch.ones(2, 4, 3, dtype=torch.bfloat16)
    assert restore_masked(keep_visible(tokens, PLACES), PLACES, 4).dtype == torch.bfloat16


def test_gradients_reach_visible_tokens_only():
    tokens = torch.ones(2, 4, 3, requires_grad=True)
    restore_masked(keep_visible(tokens, PLACES), PLACES, 4).sum().backward()
    assert torch.equal(tokens.grad.any(-1), ~MASK)


@pytest.mark.parametrize('mask, words', [
    ([[True, False], [False, False]], 'between 1 and 2 of 2'), ([[True, True], [True, True]], 'between 0 and 0 of 2')])
def test_rows_of_unequal_length_are_refused(mask, words):
    with pytest.raises(ValueError, match=words):
        visible_places(torch.tensor(mask))
