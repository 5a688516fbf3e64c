"""P-STMO on synthetic motion by three commands: stage I, stage II from its checkpoint, evaluation."""
import json
import math
import re

import pytest
import torch
from mmengine.config import Config

from motionbert_mm.checkpoints.load import load_model
from tests.generated import ROOT, run_tool

CONFIGS = {stage: ROOT / 'configs' / 'demo' / f'pstmo-tiny_{stage}_9f_1xb32-8e_synthetic_det.py'
           for stage in ('mask', 'ft')}
FEW = ['train_dataloader.dataset.num_clips=4', 'val_dataloader.dataset.num_clips=2',
       'test_dataloader.dataset.num_clips=2', 'train_cfg.max_epochs=2', 'train_cfg.val_interval=2',
       'param_scheduler=[]']


def run(tool, *arguments, folder, options=()):
    """Run a tool on little data; return what it printed."""
    data = [f'{stage}_dataloader.dataset.data_root={folder / "data"}' for stage in ('train', 'val', 'test')]
    result = run_tool(tool, *arguments, '--cfg-options', *FEW, *data, *options)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('pstmo')


@pytest.fixture(scope='module')
def stage_1(folder):
    log = run('train.py', CONFIGS['mask'], '--work-dir', folder / 'mask', folder=folder)
    return log, folder / 'mask' / 'epoch_2.pth'


@pytest.fixture(scope='module')
def stage_2(folder, stage_1):
    log = run('train.py', CONFIGS['ft'], '--work-dir', folder / 'ft', folder=folder,
              options=[f'load_from={stage_1[1]}', 'train_cfg.max_epochs=1', 'optim_wrapper.optimizer.lr=1e-5'])
    return log, folder / 'ft' / 'epoch_1.pth'


def test_two_processes_measure_what_they_save(folder):
    """Batch norms differ between processes while training, but not in validation and checkpoint."""
    work_dir = folder / 'two'
    log = run('dist_train.sh', CONFIGS['ft'], 2, '--work-dir', work_dir, folder=folder,
              options=['load_from=None', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1'])
    measured = re.findall(r'Epoch\(val\) +\[1\].* MPJPE: ([0-9.]+)', log)
    run('test.py', CONFIGS['ft'], work_dir / 'epoch_1.pth', '--json', work_dir / 'test.json', '--work-dir',
        work_dir / 'test', folder=folder)
    assert float(measured[-1]) == pytest.approx(json.loads((work_dir / 'test.json').read_text())['MPJPE'], abs=1e-3)


def test_stage_one_measures_restored_poses(stage_1):
    log, _ = stage_1
    assert 'masked.loss_mpjpe: ' in log and 'nan' not in log.lower()
    assert all(f'MPJPE-2D/{part}: ' in log for part in ('hidden-frames', 'hidden-joints', 'seen'))


def test_stage_two_takes_the_whole_encoder_and_says_so(stage_1, stage_2):
    model, _ = load_model(stage_2[1], 'cpu')
    count = len(model.backbone.state_dict())
    assert f'entries of the model are taken: backbone {count} of {count}, neck 0 of ' in stage_2[0]
    assert 'have no place: backbone 1, heads.masked ' in stage_2[0]  # the joint token
    before = torch.load(stage_1[1], weights_only=True)['state_dict']
    for key, value in model.backbone.named_parameters():
        moved = (value - before[f'backbone.{key}']).abs().max()
        assert moved < 1e-3, key  # some steps of Adam; weights drawn anew would differ by their own size


def test_the_centre_frames_are_measured(stage_2, folder):
    path = folder / 'metrics.json'
    printed = run('test.py', CONFIGS['ft'], stage_2[1], '--json', path, '--work-dir', folder / 'test', folder=folder)
    metrics = json.loads(path.read_text())
    assert 0 < metrics['P-MPJPE'] < metrics['MPJPE'] < 2000 and all(map(math.isfinite, metrics.values()))
    frames = Config.fromfile(CONFIGS['ft']).test_dataloader.dataset.window
    assert frames.kind == 'centre' and 'Protocol of MPJPE' in printed
