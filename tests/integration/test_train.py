"""Training and testing through the command lines, as a user runs them."""
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from motionbert_mm.datasets.motion_store import MotionStore
from tests.generated import ROOT, load_tool, run_tool, tool_environment, write_config

# A hook that dies as a machine does, in the middle of an epoch.
KILL_HOOK = '''
import os, signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class KillHook(Hook):
    def __init__(self, after):
        self.after = after

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.after:
            os.kill(os.getpid(), signal.SIGKILL)
'''
# Twelve iterations an epoch, two epochs, a checkpoint every third iteration.
BY_ITERATION = {'train_dataloader.batch_size': 4, 'default_hooks.checkpoint.by_epoch': False,
                'default_hooks.checkpoint.interval': 3, 'default_hooks.checkpoint.max_keep_ckpts': -1,
                'train_cfg.val_interval': 2}


def load(path):
    return torch.load(path, map_location='cpu', weights_only=True)


def logged_metrics(work_dir):
    """The metrics that the last validation or test logged; MMEngine writes them to two different files."""
    files = [*Path(work_dir).glob('*/*.json'), *Path(work_dir).glob('*/vis_data/scalars.json')]
    lines = [json.loads(line) for file in sorted(files) for line in file.read_text().splitlines() if line.strip()]
    return [line for line in lines if 'MPJPE' in line][-1]


def processes_with(mark):
    """Ids of the processes that carry a mark in their environment."""
    found = []
    for entry in Path('/proc').glob('[0-9]*/environ'):
        try:
            content = entry.read_bytes()
        except OSError:
            continue
        if mark.encode() in content and int(entry.parent.name) != os.getpid():
            found.append(int(entry.parent.name))
    return found


@pytest.fixture(scope='module')
def run(tiny_store, tmp_path_factory):
    """Config and work dir of a run of two epochs."""
    folder = tmp_path_factory.mktemp('train')
    config, work_dir = write_config(folder / 'tiny.py', tiny_store), folder / 'work'
    result = run_tool('train.py', config, '--work-dir', work_dir)
    assert result.returncode == 0, result.stderr
    return config, work_dir


def test_training_writes_checkpoints_and_measures(run):
    _, work_dir = run
    checkpoint = load(work_dir / 'epoch_2.pth')
    assert checkpoint['meta']['epoch'] == 2 and checkpoint['meta']['iter'] == 6
    assert checkpoint['meta']['motionbert_mm']['model']['type'] == 'MotionModel'
    assert {'state_dict', 'optimizer', 'param_schedulers', 'message_hub'} <= set(checkpoint)
    assert [path.name for path in sorted(work_dir.glob('*.pth'))][-2:] == ['epoch_1.pth', 'epoch_2.pth']
    assert len(list(work_dir.glob('best_MPJPE_*.pth'))) == 1
    assert 0 < logged_metrics(work_dir)['MPJPE'] < 1000


@pytest.mark.parametrize('precision, wrapper', [([], dict(type='BFloat16OptimWrapper')),
                                                (['bf16'], dict(type='BFloat16OptimWrapper')),
                                                (['fp16'], dict(type='AmpOptimWrapper', loss_scale='dynamic'))])
def test_command_line_options_reach_the_config(run, monkeypatch, precision, wrapper):
    config, work_dir = run
    monkeypatch.setattr('sys.argv', ['train.py', str(config), '--work-dir', str(work_dir), '--amp', *precision,
                                     '--compile', '--seed', '7', '--resume', '--cfg-options', 'train_cfg.max_epochs=5',
                                     '--launcher', 'slurm'])
    tool = load_tool('train.py')
    loaded = tool.load_config(tool.parse_args())
    assert {key: loaded.optim_wrapper.get(key) for key in wrapper} == wrapper and loaded.model.compile is True
    assert ('loss_scale' in loaded.optim_wrapper) is ('loss_scale' in wrapper)
    assert loaded.optim_wrapper.constructor == 'MotionOptimConstructor' and 'amp' not in loaded.model
    assert loaded.randomness.seed == 7 and loaded.resume is True and loaded.load_from is None
    assert loaded.train_cfg.max_epochs == 5 and loaded.launcher == 'slurm' and loaded.work_dir == str(work_dir)


def test_testing_measures_dumps_and_draws(run, tiny_store, tmp_path):
    config, work_dir = run
    result = run_tool('test.py', config, work_dir / 'epoch_2.pth', '--work-dir', tmp_path / 'test', '--tta',
                      '--dump', tmp_path / 'out.npz', '--show-dir', tmp_path / 'show',
                      '--json', tmp_path / 'tested.json', '--cfg-options', 'test_evaluator.protocol=videopose3d')
    assert result.returncode == 0, result.stderr
    assert 'flip TTA: on' in result.stdout
    again = run_tool('analysis_tools/eval_predictions.py', tmp_path / 'out.npz', '--json', tmp_path / 'again.json')
    assert again.returncode == 0, again.stderr
    tested, again = (json.loads((tmp_path / name).read_text()) for name in ('tested.json', 'again.json'))
    assert again['protocols']['videopose3d']['metrics'] == tested
    measured, plain = (logged_metrics(folder)['MPJPE'] for folder in (tmp_path / 'test', work_dir))
    assert measured == pytest.approx(plain, rel=0.1) and measured != pytest.approx(plain, rel=1e-6)
    clips = [clip for clip in MotionStore(tiny_store).clips if '_2#' in clip.name]
    with np.load(tmp_path / 'out.npz', allow_pickle=False) as dump:
        assert str(dump['skeleton']) == 'h36m' and str(dump['unit']) == 'mm'
        for clip in clips:
            assert dump[f'{clip.name}/keypoints_3d'].shape == (1, clip.length, 17, 3)
            assert dump[f'{clip.name}/frame_ids'].tolist() == list(range(clip.length))
    pictures = list((tmp_path / 'show').glob('*.png'))
    assert len(pictures) == len(clips) and all(path.stat().st_size > 1000 for path in pictures)


@pytest.mark.parametrize('name, options', [
    ('--amp', dict(amp='bf16')), ('--compile', dict(compile=True)), (['--amp', 'fp16'], dict(amp='fp16'))])
def test_switches_of_testing_reach_the_model(run, monkeypatch, name, options):
    config, work_dir = run
    switches = [name] if isinstance(name, str) else name
    monkeypatch.setattr('sys.argv', ['test.py', str(config), str(work_dir / 'epoch_2.pth'), *switches])
    tool = load_tool('test.py')
    model = tool.load_config(tool.parse_args()).model
    assert {key: model[key] for key in ('amp', 'compile') if key in model} == options


def test_a_config_names_how_to_compile(run, monkeypatch):
    config, work_dir = run
    monkeypatch.setattr('sys.argv', ['test.py', str(config), str(work_dir / 'epoch_2.pth'), '--compile',
                                     '--cfg-options', 'model.compile.backend=eager', 'model.compile.dynamic=True'])
    tool = load_tool('test.py')
    assert tool.load_config(tool.parse_args()).model.compile == dict(backend='eager', dynamic=True)


def test_testing_in_bfloat16_measures_about_the_same(run, tmp_path):
    config, work_dir = run
    result = run_tool('test.py', config, work_dir / 'epoch_2.pth', '--work-dir', tmp_path / 'half', '--amp', 'bf16',
                      '--compile', '--cfg-options', 'model.compile.backend=eager')
    assert result.returncode == 0, result.stderr
    half, full = (logged_metrics(folder)['MPJPE'] for folder in (tmp_path / 'half', work_dir))
    assert half == pytest.approx(full, rel=5e-3) and half != full


def test_a_killed_run_resumes_to_the_same_bits(tiny_store, tmp_path):
    (tmp_path / 'kill_hook.py').write_text(KILL_HOOK)
    config = write_config(tmp_path / 'tiny.py', tiny_store, **BY_ITERATION)
    deadly = write_config(tmp_path / 'deadly.py', tiny_store, **BY_ITERATION,
                          custom_imports=dict(imports=['kill_hook']))
    deadly.write_text(deadly.read_text().replace('custom_hooks = [', "custom_hooks = [dict(type='KillHook', after=8),"))
    whole = run_tool('train.py', config, '--work-dir', tmp_path / 'whole')
    assert whole.returncode == 0, whole.stderr
    killed = run_tool('train.py', deadly, '--work-dir', tmp_path / 'killed', PYTHONPATH=f'{ROOT}{os.pathsep}{tmp_path}')
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sorted(path.name for path in (tmp_path / 'killed').glob('*.pth')) == ['iter_3.pth', 'iter_6.pth']
    resumed = run_tool('train.py', config, '--work-dir', tmp_path / 'killed', '--resume',
                       '--cfg-options', 'train_dataloader.num_workers=1')
    assert resumed.returncode == 0, resumed.stderr
    assert 'resumed epoch: 0, iter: 6' in resumed.stdout
    expected, got = (load(tmp_path / name / 'iter_24.pth') for name in ('whole', 'killed'))
    for key, value in expected['state_dict'].items():
        assert torch.equal(got['state_dict'][key], value), key
    for number, state in expected['optimizer']['state'].items():
        assert all(torch.equal(got['optimizer']['state'][number][name], value) for name, value in state.items())
    assert got['param_schedulers'] == expected['param_schedulers']
    assert logged_metrics(tmp_path / 'killed')['MPJPE'] == logged_metrics(tmp_path / 'whole')['MPJPE']


def test_two_processes_train_and_measure_like_one(run, tmp_path):
    config, work_dir = run
    mark = f'MARK_OF_TEST={tmp_path.name}'
    options = dict([mark.split('=')], cwd=tmp_path)
    trained = run_tool('dist_train.sh', config, 2, '--work-dir', 'train',
                       '--cfg-options', 'train_cfg.max_epochs=1', **options)
    assert trained.returncode == 0, trained.stderr
    assert processes_with(mark) == []
    assert load(tmp_path / 'train' / 'epoch_1.pth')['meta']['iter'] == 2  # 46 windows, 2 x 16 a step
    tested = run_tool('dist_test.sh', config, work_dir / 'epoch_2.pth', 2, '--work-dir', 'test',
                      '--dump', 'two.npz', **options)
    assert tested.returncode == 0, tested.stderr
    assert processes_with(mark) == []
    alone, both = logged_metrics(work_dir), logged_metrics(tmp_path / 'test')
    names = [name for name in alone if re.match('MPJPE|P-MPJPE|N-MPJPE|MPJVE|Accel|PCK|AUC', name)]
    assert len(names) >= 7
    for name in names:
        assert both[name] == pytest.approx(alone[name], rel=1e-6), name
    with np.load(tmp_path / 'two.npz', allow_pickle=False) as dump:
        assert len([name for name in dump.files if name.endswith('/frame_ids')]) == 4


def test_a_stopped_launcher_takes_its_processes_along(tiny_store, tmp_path):
    config = write_config(tmp_path / 'tiny.py', tiny_store, **{'train_cfg.max_epochs': 10_000})
    mark = f'MARK_OF_TEST={tmp_path.name}'
    environment = tool_environment(**dict([mark.split('=')]))
    with open(tmp_path / 'log.txt', 'w') as log:
        launcher = subprocess.Popen([ROOT / 'tools' / 'dist_train.sh', config, '2', '--work-dir', tmp_path / 'work'],
                                    stdout=log, stderr=log, cwd=tmp_path, env=environment)
    try:
        deadline = time.time() + 90
        while not (tmp_path / 'work' / 'last_checkpoint').exists() and time.time() < deadline:
            assert launcher.poll() is None, (tmp_path / 'log.txt').read_text()
            time.sleep(0.1)
        assert len(processes_with(mark)) == 3
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(timeout=60) != 0
    finally:
        launcher.kill()
    deadline = time.time() + 10
    while processes_with(mark) and time.time() < deadline:
        time.sleep(0.1)
    assert processes_with(mark) == []
