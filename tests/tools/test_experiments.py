import json
import math
import os
import shutil
import signal
import statistics
from pathlib import Path

import pytest
import torch

import experiments
from tests.generated import write_config

# Stands in for tools/train.py: fails unless the seed is 4, then leaves a checkpoint as MMEngine does.
TOOL = '''
import sys
from pathlib import Path
config, _, work_dir, _, seed = sys.argv[1:]
if seed != '4':
    sys.stderr.write(f'no {seed}\\n')
    sys.exit(2)
print('yes', config)
Path(work_dir, 'epoch_2.pth').touch()
Path(work_dir, 'last_checkpoint').write_text(f'{work_dir}/epoch_2.pth')
'''


@pytest.fixture
def config(tiny_store, tmp_path):
    return write_config(tmp_path / 'tiny.py', tiny_store)


def weights(path):
    return torch.load(path, map_location='cpu', weights_only=True)['state_dict']


def test_a_training_is_a_process_that_logs_and_runs_once(config, tmp_path, monkeypatch):
    (tmp_path / 'train.py').write_text(TOOL)
    monkeypatch.setattr(experiments, 'TOOLS', tmp_path)
    with pytest.raises(RuntimeError, match=r'(?s)train\.py .*--seed 3 ended with status 2; .*log\.txt:\n.*no 3'):
        experiments.train(config, tmp_path / 'run', seed=3)
    checkpoint, again = (experiments.train(config, tmp_path / 'run', seed=4) for _ in range(2))
    assert checkpoint == again == tmp_path / 'run' / 'epoch_2.pth'
    assert (tmp_path / 'run' / 'log.txt').read_text().splitlines() == ['no 3', f'yes {tmp_path / "run" / "tiny.py"}']


def test_a_terminated_study_takes_its_process_along(config, tmp_path, monkeypatch):
    (tmp_path / 'train.py').write_text('import os, signal, sys, time; print(os.getpid(), flush=True);'
                                       'os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)')
    monkeypatch.setattr(experiments, 'TOOLS', tmp_path)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # so that a failure does not end the tests
    try:
        with pytest.raises(SystemExit, match='terminated'):
            experiments.train(config, tmp_path / 'run')
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / 'run' / 'log.txt').read_text()), 0)


def test_metrics_are_measured_once_for_a_checkpoint(config, tmp_path, tools_here):
    checkpoint = experiments.train(config, tmp_path / 'run', {'train_cfg.max_epochs': 1})
    metrics, again = (experiments.evaluate(config, checkpoint, {}, tmp_path / 'test') for _ in range(2))
    assert [Path(command[0]).name for command in tools_here] == ['train.py', 'test.py']
    assert metrics == again == json.loads((tmp_path / 'test' / 'metrics.json').read_text())
    assert 0 < metrics['MPJPE'] < 1000 and 'MPJPE/clip' in metrics
    mirrored = experiments.evaluate(config, checkpoint, {'model.flip_test': True}, tmp_path / 'mirrored')
    assert mirrored['MPJPE'] != metrics['MPJPE']
    os.utime(checkpoint, (0, 0))  # as if trained again
    with pytest.raises(ValueError, match='test holds another experiment: checkpoint.written is'):
        experiments.evaluate(config, checkpoint, {}, tmp_path / 'test')


def test_an_interrupted_training_goes_on_to_the_same_weights(config, tmp_path, tools_here):
    whole = experiments.train(config, tmp_path / 'whole', seed=1)
    assert whole.name == 'epoch_2.pth'
    # What a run leaves that is killed in its second epoch, in a folder that was renamed since.
    stopped = tmp_path / 'stopped'
    shutil.copytree(tmp_path / 'whole', stopped)
    (stopped / 'epoch_2.pth').unlink()
    (stopped / 'last_checkpoint').write_text(str(tmp_path / 'whole' / 'epoch_1.pth'))
    record = json.loads((stopped / 'experiment.json').read_text())
    (stopped / 'experiment.json').write_text(json.dumps({**record, 'result': None}))
    resumed = experiments.train(config, stopped, seed=1)
    assert resumed == stopped / 'epoch_2.pth'
    assert tools_here[-1][-2:] == ['--resume', str(stopped / 'epoch_1.pth')]
    assert '--resume' not in tools_here[0] and len(tools_here) == 2
    expected, got = weights(whole), weights(resumed)
    assert all(torch.equal(got[key], value) for key, value in expected.items())


def test_options_of_any_kind_reach_the_tool(config, tmp_path, tools_here):
    pipeline = [dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['target_3d'])]
    first = experiments.train(config, tmp_path / 'first', {'train_cfg.max_epochs': 1})
    experiments.train(config, tmp_path / 'second', {'train_cfg.max_epochs': 1, 'load_from': first,
                                                    'train_dataloader.dataset.pipeline': pipeline}, seed=5)
    record = json.loads((tmp_path / 'second' / 'experiment.json').read_text())
    settings = record['step']['config']
    assert record['result'] == 'epoch_1.pth' and record['step']['seed'] == 5
    assert settings['load_from'] == str(first) and settings['train_dataloader']['dataset']['pipeline'] == pipeline
    written = experiments.Config.fromfile(tmp_path / 'second' / 'tiny.py')
    assert written.train_dataloader.dataset.pipeline == pipeline and written.load_from == str(first)


def test_a_folder_of_another_experiment_is_refused(config, tmp_path, tools_here):
    experiments.train(config, tmp_path / 'run', {'train_cfg.max_epochs': 1})
    with pytest.raises(ValueError, match=r'another experiment: config\.train_cfg\.max_epochs is 1 there and 2 '):
        experiments.train(config, tmp_path / 'run')
    with pytest.raises(ValueError, match='seed is 0 there and 1 now; remove it or name another folder'):
        experiments.train(config, tmp_path / 'run', {'train_cfg.max_epochs': 1}, seed=1)
    assert len(tools_here) == 1


def test_failures_quote_the_log_and_may_be_tried_again(config, tmp_path, tools_here):
    with pytest.raises(RuntimeError, match=r'(?s)train\.py .*status 1; last lines of .*nowhere is not a motion store'):
        experiments.train(config, tmp_path / 'run', {'train_dataloader.dataset.data_root': 'nowhere'})
    assert experiments.train(config, tmp_path / 'run', {'train_cfg.max_epochs': 1}).is_file()


def test_bad_requests_are_refused_before_a_process_starts(config, tmp_path, tools_here):
    with pytest.raises(FileNotFoundError, match=r'checkpoint .*none\.pth does not exist'):
        experiments.evaluate(config, tmp_path / 'none.pth', {}, tmp_path / 'test')
    with pytest.raises(KeyError, match='modle.dim would change nothing'):
        experiments.train(config, tmp_path / 'run', {'modle.dim': 3})
    (tmp_path / 'torn').mkdir()
    (tmp_path / 'torn' / 'experiment.json').write_text('{"step"')
    with pytest.raises(ValueError, match='experiment.json is no record of an experiment'):
        experiments.train(config, tmp_path / 'torn')
    assert tools_here == []


def test_mean_and_sample_standard_deviation():
    values = [34.0, 36.5, 33.1]
    assert experiments.mean_and_spread(values) == pytest.approx((statistics.mean(values), statistics.stdev(values)))
    mean, spread = experiments.mean_and_spread([5.0])
    assert mean == 5.0 and math.isnan(spread)
    assert experiments.format_spread(iter(values)) == '34.5 ± 1.8'
    assert experiments.format_spread([5.0], digits=2) == '5.00'
    with pytest.raises(ValueError, match='no values'):
        experiments.mean_and_spread([])


def test_tables_in_markdown():
    rows, header = [['scratch', 45.25, 3], ['pretrained, finetuned', 44.0, 3]], ['init', 'MPJPE', 'seeds']
    lines = experiments.format_table(rows, header).splitlines()
    assert lines[0] == '| init                  | MPJPE | seeds |'
    assert lines[1] == '| --------------------- | ----- | ----- |'
    assert lines[2] == '| scratch               | 45.2  | 3     |'
    with pytest.raises(ValueError, match='a row has 1 cells, the header 3'):
        experiments.format_table([['x']], header)
