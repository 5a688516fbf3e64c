"""Training in this process, interrupted at every kind of place."""
from contextlib import nullcontext

import pytest
import torch
from mmengine.runner import Runner

from motionbert_mm.layers.kernels import plain_kernels
from tests.generated import make_config


def make_runner(store, work_dir, **changes):
    """Three batches an epoch, two epochs, a checkpoint after every iteration, no validation."""
    checkpoint = dict(type='CheckpointHook', interval=1, by_epoch=False, max_keep_ckpts=-1, save_best=None)
    config = make_config(store, val_dataloader=None, val_cfg=None, val_evaluator=None, log_level='ERROR',
                         work_dir=str(work_dir), experiment_name=f'{work_dir.parent.name}_{work_dir.name}')
    config.default_hooks.checkpoint = checkpoint
    config.merge_from_dict(changes)
    return Runner.from_cfg(config)


def load(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope='module')
def whole_run(tiny_store, tmp_path_factory):
    """Directory of an uninterrupted run: iter_1.pth .. iter_6.pth."""
    work_dir = tmp_path_factory.mktemp('loops') / 'whole'
    make_runner(tiny_store, work_dir).train()
    return work_dir


@pytest.mark.parametrize('iteration', [1, 3, 5, 6])
def test_a_resumed_run_ends_with_the_same_bits(whole_run, tiny_store, tmp_path, iteration):
    resumed = make_runner(tiny_store, tmp_path / 'resumed', resume=True,
                          load_from=str(whole_run / f'iter_{iteration}.pth'))
    resumed.train()
    expected = load(whole_run / 'iter_6.pth')
    for key, value in resumed.model.state_dict().items():
        assert torch.equal(value, expected['state_dict'][key]), key
    assert (resumed.iter, resumed.epoch) == (6, 2)
    state, moments = resumed.optim_wrapper.state_dict(), expected['optimizer']
    assert state['param_groups'] == moments['param_groups']
    for number, entry in state['state'].items():
        assert all(torch.equal(value, moments['state'][number][name]) for name, value in entry.items())


def test_training_goes_on_after_the_interruption(whole_run):
    weights = [load(whole_run / f'iter_{iteration}.pth')['state_dict']['neck.fc.weight'] for iteration in (1, 5, 6)]
    assert not torch.equal(weights[0], weights[2]) and not torch.equal(weights[1], weights[2])


def test_another_seed_trains_other_weights(whole_run, tiny_store, tmp_path):
    runner = make_runner(tiny_store, tmp_path / 'other', randomness=dict(seed=1), **{'train_cfg.max_epochs': 1})
    runner.train()
    expected = load(whole_run / 'iter_3.pth')['state_dict']
    assert not torch.equal(runner.model.neck.fc.weight, expected['neck.fc.weight'])


def test_resuming_with_another_batch_size_is_refused(whole_run, tiny_store, tmp_path):
    runner = make_runner(tiny_store, tmp_path / 'run', resume=True, load_from=str(whole_run / 'iter_5.pth'),
                         **{'train_dataloader.batch_size': 64})
    with pytest.raises(ValueError, match='at iteration 5 of epoch 1, but that epoch has 1 iterations'):
        runner.train()


def test_a_sampler_that_cannot_skip_is_named(whole_run, tiny_store, tmp_path):
    runner = make_runner(tiny_store, tmp_path / 'run', resume=True, load_from=str(whole_run / 'iter_1.pth'),
                         **{'train_dataloader.sampler.type': 'DefaultSampler'})
    with pytest.raises(TypeError, match='DefaultSampler cannot start in the middle of an epoch; .*ResumableSampler'):
        runner.train()


def test_a_run_on_class_pairs_resumes_in_the_middle_of_an_epoch(tiny_store, tmp_path):
    pairs = {'train_dataloader.batch_sampler': dict(type='ClassPairSampler'), 'train_dataloader.batch_size': 4,
             'train_dataloader.dataset.window.stride': 16}
    whole = make_runner(tiny_store, tmp_path / 'whole', **pairs)
    whole.train()
    assert (whole.iter, whole.epoch) == (8, 2)
    resumed = make_runner(tiny_store, tmp_path / 'resumed', resume=True,
                          load_from=str(tmp_path / 'whole' / 'iter_6.pth'), **pairs)
    resumed.train()
    assert (resumed.iter, resumed.epoch) == (8, 2)
    expected, before = whole.model.state_dict(), load(tmp_path / 'whole' / 'iter_6.pth')['state_dict']
    assert all(torch.equal(value, expected[key]) for key, value in resumed.model.state_dict().items())
    assert not torch.equal(before['neck.fc.weight'], expected['neck.fc.weight'])


@pytest.mark.parametrize('kind', ['OptimWrapper', 'BFloat16OptimWrapper'])
def test_accumulated_gradients_step_and_resume_in_the_middle_of_an_epoch(tiny_store, tmp_path, kind):
    """Of the three batches of an epoch two make a step: after iterations 2, 4 and 6."""
    accumulate = {'optim_wrapper.type': kind, 'optim_wrapper.accumulative_counts': 2}
    whole = make_runner(tiny_store, tmp_path / 'whole', **accumulate)
    whole.train()
    states = [load(tmp_path / 'whole' / f'iter_{number}.pth')['state_dict'] for number in range(1, 7)]
    weights = [state['neck.fc.weight'] for state in states]
    steps = [not torch.equal(before, after) for before, after in zip(weights, weights[1:])]
    assert steps == [True, False, True, False, True]
    resumed = make_runner(tiny_store, tmp_path / 'resumed', resume=True,
                          load_from=str(tmp_path / 'whole' / 'iter_4.pth'), **accumulate)
    resumed.train()
    assert (resumed.iter, resumed.epoch) == (6, 2)
    expected = whole.model.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in resumed.model.state_dict().items())


def test_a_compiled_model_trains_and_resumes_like_any(whole_run, tiny_store, tmp_path):
    found = []
    for name, changes in (('plain', {}), ('compiled', {'model.compile.backend': 'eager'})):
        runner = make_runner(tiny_store, tmp_path / name, resume=True, load_from=str(whole_run / 'iter_4.pth'),
                             **changes)
        # Compiled networks consist of plain kernels, with PyTorch's dropout.
        with plain_kernels() if name == 'plain' else nullcontext():
            runner.train()
        found.append(dict(runner.model.state_dict()))
    torch.testing.assert_close(*found)
    assert load(tmp_path / 'compiled' / 'iter_6.pth')['state_dict'].keys() == found[0].keys()


def test_activation_checkpointing_trains_to_the_same_weights(whole_run, tiny_store, tmp_path):
    runner = make_runner(tiny_store, tmp_path / 'again', **{'model.backbone.activation_checkpointing': True})
    assert runner.model.backbone.activation_checkpointing
    runner.train()
    torch.testing.assert_close(dict(runner.model.state_dict()), dict(load(whole_run / 'iter_6.pth')['state_dict']))
