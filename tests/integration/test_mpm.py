"""MPM on synthetic motion by commands: stage I, lifting and completion from its checkpoint, evaluation."""
import json
import math

import pytest
import torch

from motionbert_mm.checkpoints.load import load_model
from tests.generated import ROOT, run_tool

STAGE_1 = ROOT / 'configs' / 'demo' / 'mpm-tiny_mask_9f_1xb32-8e_synthetic_det.py'
STAGE_2 = ROOT / 'configs' / 'demo' / 'mpm-tiny_ft_9f_1xb32-8e_synthetic_det.py'
COMPLETION = ROOT / 'configs' / 'completion' / 'mpm-tiny_ft_9f_1xb32-8e_synthetic-2d_gt.py'
FEW = ['val_dataloader.dataset.num_clips=2', 'test_dataloader.dataset.num_clips=2', 'param_scheduler=[]']
TASKS = ('m2m', 'm3m', 'm2l')


def run(tool, *arguments, folder, options=()):
    """Run a tool on little data; return what it printed."""
    data = [f'{stage}_dataloader.dataset.data_root={folder / "data"}' for stage in ('val', 'test')]
    result = run_tool(tool, *arguments, '--cfg-options', *FEW, *data, *options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def train(config, work_dir, folder, options=(), epochs=1):
    train_data = [f'train_dataloader.dataset.data_root={folder / "data"}', 'train_dataloader.dataset.num_clips=4']
    return run('train.py', config, '--work-dir', work_dir, folder=folder,
               options=[*(train_data if config != STAGE_1 else ()), f'train_cfg.max_epochs={epochs}',
                        f'train_cfg.val_interval={epochs}', *options])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('mpm')


@pytest.fixture(scope='module')
def stage_1(folder):
    places = [f'train_dataloader.dataset.datasets.{task}.{key}' for task in TASKS
              for key in (f'data_root={folder / "data"}', 'num_clips=4')]
    log = train(STAGE_1, folder / 'mask', folder, [*places, 'default_hooks.logger.interval=1'], epochs=2)
    return log, folder / 'mask' / 'epoch_2.pth'


def evaluate(config, checkpoint, folder, name, options=()):
    path = folder / f'{name}.json'
    printed = run('test.py', config, checkpoint, '--json', path, '--work-dir', folder / name, folder=folder,
                  options=options)
    metrics = json.loads(path.read_text())
    assert all(map(math.isfinite, metrics.values()))
    return metrics, printed


def test_three_tasks_are_learned_and_measured(stage_1):
    log, _ = stage_1
    for task, head in zip(TASKS, ('pose_2d', 'pose_3d', 'pose_3d')):
        assert f'{task}.{head}.loss_mpjpe: ' in log
    assert 'nan' not in log.lower() and 'MPJPE-2D/hidden-frames: ' in log and 'MPJPE/hidden: ' in log


def test_stage_two_takes_encoder_and_decoder_and_says_so(stage_1, folder):
    log = train(STAGE_2, folder / 'ft', folder, [f'load_from={stage_1[1]}'])
    model, _ = load_model(folder / 'ft' / 'epoch_1.pth', 'cpu')
    count = len(model.backbone.state_dict())
    assert 'entries of neck and heads.centre start from the decoder of pose_3d' in log
    assert f'backbone {count} of {count}' in log and 'heads.centre 7 of 7' in log and 'heads.frames 0 of 7' in log
    metrics, printed = evaluate(STAGE_2, folder / 'ft' / 'epoch_1.pth', folder, 'test')
    assert 0 < metrics['P-MPJPE'] < metrics['MPJPE'] < 2000 and 'Protocol of MPJPE' in printed


def test_a_resumed_stage_two_keeps_its_own_weights(stage_1, folder):
    """The decoder is not put in a second time."""
    train(STAGE_2, folder / 'again', folder, [f'load_from={stage_1[1]}'])
    log = run('train.py', STAGE_2, '--work-dir', folder / 'again', '--resume', folder=folder,
              options=[f'train_dataloader.dataset.data_root={folder / "data"}',
                       'train_dataloader.dataset.num_clips=4', 'train_cfg.max_epochs=1'])
    assert 'start from the decoder' not in log
    states = [torch.load(folder / name / 'epoch_1.pth', weights_only=True)['state_dict'] for name in ('ft', 'again')]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_completion_starts_from_stage_one_and_is_measured_on_hidden_joints(stage_1, folder):
    log = train(COMPLETION, folder / 'complete', folder, [f'load_from={stage_1[1]}'])
    assert 'heads.pose_3d' in log and ' of the checkpoint have no place' not in log
    metrics, printed = evaluate(COMPLETION, folder / 'complete' / 'epoch_1.pth', folder, 'arms',
                                ['test_dataloader.dataset.pipeline_changes.SampleJointGroups.groups=["arms"]'])
    joints, hidden = 16, 6
    assert metrics['MPJPE/completed'] == pytest.approx(metrics['MPJPE/hidden'] * hidden / joints, rel=1e-4)
    assert 'left_wrist' in printed
