"""Pretraining on two sources, finetuning and testing through the command lines, as a user runs them."""
import json
import math

import pytest
import torch

from motionbert_mm.checkpoints.load import load_model
from tests.generated import load_tool, run_tool, write_config
from tests.mixed import make_mixed_config


def load(path):
    return torch.load(path, map_location='cpu', weights_only=True)


def call_here(tool, *arguments, work_dir, options=()):
    """Run a tool in this process, which saves its start; return its log."""
    # MMEngine keeps its objects by the name of the experiment, one per process otherwise.
    options = [f'experiment_name={work_dir.parent.name}_{work_dir.name}', *options]
    argv = [tool, *map(str, arguments), '--work-dir', str(work_dir), '--cfg-options', *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', argv)
        load_tool(tool).main()
    log, = work_dir.glob('*/*.log')
    return log.read_text()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('pretrain')


@pytest.fixture(scope='module')
def pretrained(tiny_store, folder):
    """The log of a pretraining of three epochs, and its checkpoint."""
    make_mixed_config(tiny_store, **{'train_cfg.val_interval': 3}).dump(folder / 'pretrain.py')
    result = run_tool('train.py', folder / 'pretrain.py', '--work-dir', folder / 'pretrain')
    assert result.returncode == 0, result.stderr
    return result.stdout, folder / 'pretrain' / 'epoch_3.pth'


@pytest.fixture(scope='module')
def finetuned(tiny_store, folder, pretrained):
    """The log of a finetuning of one epoch at a small learning rate, its config and checkpoint."""
    changes = {'train_cfg.max_epochs': 1, 'param_scheduler': [], 'optim_wrapper.optimizer.lr': 1e-5}
    config = write_config(folder / 'finetune.py', tiny_store, **changes)
    work_dir = folder / 'finetune'
    log = call_here('train.py', config, work_dir=work_dir, options=[f'load_from={pretrained[1]}'])
    return log, config, work_dir / 'epoch_1.pth'


def test_pretraining_begins_with_3d_and_goes_on_with_both(pretrained):
    log, _ = pretrained
    first, second = (log.index(f'Epoch {number} trains on {names}') for number, names in ((1, 'mocap: '),
                                                                                          (2, 'mocap, video: ')))
    assert 'Epoch 3 trains on' not in log
    assert ' mocap.pose.loss_mpjpe: ' in log[first:second] and 'pose.loss_2d: ' not in log[first:second]
    assert ' mocap.pose.loss_mpjpe: ' in log[second:] and ' video.pose.loss_2d: ' in log[second:]
    assert ' pose.loss_' not in log
    assert 'nan' not in log[first:].lower()


def test_the_pretrained_checkpoint_lifts_without_its_config(pretrained):
    _, checkpoint = pretrained
    model, info = load_model(checkpoint, 'cpu')
    assert info == dict(skeleton='h36m', num_frames=9, dilation=1, window=dict(num_frames=9, stride=4),
                        input=[dict(type='NormalizeCoords')], input_3d=[], text=[dict(type='NormalizeCoords')],
                        mask=[], trained_mask=[dict(type='SampleMask', joint_ratio=0.1, frame_ratio=0.1)] * 2,
                        action=[dict(type='NormalizeCoords')],
                        **dict.fromkeys(('classes', 'fps', 'num_persons', 'window_seconds')))
    assert load(checkpoint)['meta']['iter'] == 3 + 7 + 7
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_finetuning_starts_from_the_pretrained_weights(pretrained, finetuned):
    log, _, checkpoint = finetuned
    assert f'Load checkpoint from {pretrained[1]}' in log
    assert 'entries of the model are taken: backbone 106 of 106, neck 2 of 2, heads.pose 2 of 2' in log
    before, after = (load(path)['state_dict'] for path in (pretrained[1], checkpoint))
    assert before.keys() == after.keys()
    moved = {name: float((after[name] - before[name]).abs().max()) for name in before}
    # Three steps of Adam; weights that were drawn anew would differ by their own size.
    assert 0 < max(moved.values()) < 1e-3


def test_the_finetuned_model_is_measured(finetuned, folder):
    _, config, checkpoint = finetuned
    log = call_here('test.py', config, checkpoint, '--json', folder / 'metrics.json', work_dir=folder / 'test')
    metrics = json.loads((folder / 'metrics.json').read_text())
    assert {'MPJPE', 'P-MPJPE', 'MPJVE'} <= set(metrics) and all(map(math.isfinite, metrics.values()))
    assert 0 < metrics['P-MPJPE'] < metrics['MPJPE'] < 1000 and 'MPJPE' in log
