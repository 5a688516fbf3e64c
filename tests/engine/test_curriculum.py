"""Sources that join later, in trainings of this process."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from motionbert_mm.engine.hooks import CurriculumHook
from tests.mixed import make_mixed_config

# Batches of 8: 24 windows of walking, and 28 of waving from the second epoch on.
MOCAP, BOTH = 3, 7
EPOCHS = (MOCAP, BOTH, BOTH)


class Record(Hook):
    """Note what the model is trained on, and what it is told about the training."""

    priority = 'LOWEST'

    def __init__(self):
        self.batches = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        action, = set(data_batch['data_samples'].action)
        self.batches.append((runner.epoch, batch_idx, action, sorted(outputs)))


def make_runner(store, work_dir, **changes):
    checkpoint = dict(type='CheckpointHook', interval=1, by_epoch=False, max_keep_ckpts=-1, save_best=None)
    config = make_mixed_config(store, val_dataloader=None, val_cfg=None, val_evaluator=None, work_dir=str(work_dir),
                               experiment_name=f'{work_dir.parent.name}_{work_dir.name}', **changes)
    config.default_hooks.checkpoint = checkpoint
    return Runner.from_cfg(config)


@pytest.fixture(scope='module')
def whole_run(tiny_store, tmp_path_factory):
    """An uninterrupted run: its folder, with a checkpoint of every iteration, the Runner and what it recorded."""
    work_dir = tmp_path_factory.mktemp('curriculum') / 'whole'
    runner, record = make_runner(tiny_store, work_dir), Record()
    runner.register_hook(record)
    runner.train()
    return SimpleNamespace(work_dir=work_dir, runner=runner, batches=record.batches)


def test_the_second_source_joins_at_its_epoch(whole_run):
    assert [epoch for epoch, *_ in whole_run.batches] == [epoch for epoch, length in enumerate(EPOCHS)
                                                          for _ in range(length)]
    actions = [[action for epoch, _, action, _ in whole_run.batches if epoch == number] for number in range(3)]
    assert actions[0] == MOCAP * ['walk']
    for later in actions[1:]:
        assert sorted(later) == MOCAP * ['walk'] + (BOTH - MOCAP) * ['wave']
    assert actions[1] != actions[2]


def test_each_source_is_learned_by_its_own_losses(whole_run):
    losses = {action: names for _, _, action, names in whole_run.batches}
    assert losses == dict(walk=['loss', 'mocap.pose.loss_mpjpe', 'mocap.pose.loss_velocity'],
                          wave=['loss', 'video.pose.loss_2d'])


def test_the_log_names_the_sources_when_they_change(whole_run):
    log = next(whole_run.work_dir.glob('*/*.log')).read_text()
    lines = [line.partition('Epoch ')[2] for line in log.splitlines() if ' trains on ' in line]
    assert lines == [f'1 trains on mocap: {MOCAP} batches', f'2 trains on mocap, video: {BOTH} batches']
    assert f'Epoch(train) [1][{MOCAP - 1}/{MOCAP}]' in log and f'Epoch(train) [3][{BOTH - 1}/{BOTH}]' in log


def test_the_length_of_the_training_counts_the_curriculum(whole_run):
    runner = whole_run.runner
    assert runner.iter == runner.max_iters == runner.train_loop.max_iters == sum(EPOCHS)
    # MMEngine asks before the first epoch; it divides gradients that are gathered over several batches by it.
    assert runner.optim_wrapper._max_counts == sum(EPOCHS)
    assert runner.message_hub.get_info('max_iters') == sum(EPOCHS)


@pytest.mark.parametrize('iteration', [3, 5, 13])
def test_a_resumed_run_ends_with_the_same_bits(whole_run, tiny_store, tmp_path, iteration):
    resumed = make_runner(tiny_store, tmp_path / 'resumed', resume=True, log_level='ERROR',
                          load_from=str(whole_run.work_dir / f'iter_{iteration}.pth'))
    record = Record()
    resumed.register_hook(record)
    resumed.train()
    assert record.batches == whole_run.batches[iteration:]
    assert (resumed.epoch, resumed.iter) == (3, sum(EPOCHS))
    expected = torch.load(whole_run.work_dir / f'iter_{sum(EPOCHS)}.pth', weights_only=True)
    for key, value in resumed.model.state_dict().items():
        assert torch.equal(value, expected['state_dict'][key]), key
    for number, entry in resumed.optim_wrapper.state_dict()['state'].items():
        assert all(torch.equal(value, expected['optimizer']['state'][number][name]) for name, value in entry.items())


def test_a_resumed_run_with_another_curriculum_is_refused(whole_run, tiny_store, tmp_path):
    runner = make_runner(tiny_store, tmp_path / 'run', resume=True, log_level='ERROR',
                         load_from=str(whole_run.work_dir / 'iter_9.pth'),
                         **{'default_hooks.curriculum.first_epochs.video': 2})
    with pytest.raises(ValueError, match='at iteration 9 of epoch 1, but that epoch has 3 iterations in this config'):
        runner.train()


@pytest.mark.parametrize('changes, error, message', [
    ({'train_dataloader.batch_sampler': None}, TypeError,
     "come from BatchSampler; set train_dataloader.batch_sampler=dict\\(type='SourceBatchSampler'\\) and"),
    ({'default_hooks.curriculum.first_epochs': dict(vidoe=1)}, ValueError, 'vidoe: no such source; the data set has m'),
    ({'default_hooks.curriculum.first_epochs.mocap': 1}, ValueError, 'no source is left for the first epoch'),
])
def test_impossible_curricula_are_named(tiny_store, tmp_path, changes, error, message):
    runner = make_runner(tiny_store, tmp_path / 'run', log_level='ERROR', **changes)
    with pytest.raises(error, match=message):
        runner.train()
    assert runner.iter == 0


def test_testing_reads_no_training_data(tiny_store, tmp_path):
    runner = make_runner(tiny_store, tmp_path / 'run', log_level='ERROR',
                         **{'train_dataloader.dataset.datasets.mocap.data_root': 'nowhere'})
    assert runner.test()['MPJPE'] > 0


def test_epochs_are_taken_from_the_config_by_value():
    given = dict(video=1)
    hook = CurriculumHook(given)
    given['video'] = 5
    assert hook.first_epochs == dict(video=1)


def test_a_source_leaves_before_its_end_epoch(tiny_store, tmp_path):
    curriculum = dict(type='CurriculumHook', end_epochs=dict(mocap=1))
    runner = make_runner(tiny_store, tmp_path / 'run', log_level='ERROR', **{
        'default_hooks.curriculum': curriculum, 'train_cfg.max_epochs': 2})
    record = Record()
    runner.register_hook(record)
    runner.train()
    actions = [[action for epoch, _, action, _ in record.batches if epoch == number] for number in range(2)]
    assert sorted(actions[0]) == MOCAP * ['walk'] + (BOTH - MOCAP) * ['wave']
    assert actions[1] == (BOTH - MOCAP) * ['wave'] and runner.max_iters == BOTH + BOTH - MOCAP


@pytest.mark.parametrize('options, message', [
    ({}, 'got nothing; expected first_epochs or end_epochs'),
    (dict(first_epochs=dict(video=3), end_epochs=dict(video=3)), 'video ends with epoch 3, before it begins'),
    (dict(end_epochs=dict(video=0)), 'video ends with epoch 0, before it begins'),
])
def test_curricula_without_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CurriculumHook(**options)
