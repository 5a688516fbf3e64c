import csv
import os
import threading

import pytest
from mmengine.config import Config

from tests.generated import load_tool, write_config

compare = load_tool('analysis_tools/compare_pretraining.py')
TEST = [dict(type='NormalizeCoords'), dict(type='SampleMask', joint_ratio=0.0, frame_ratio=0.0),
        dict(type='PackInputs', fields=['keypoints_3d'])]
MISSING = 'test_dataloader.dataset.pipeline_changes.SampleMask.joint_ratio=0.5'


@pytest.fixture
def configs(tiny_store, tmp_path):
    """Paths of a config that finetunes and of two that pretrain: one epoch each, tested on few windows."""
    short = {'train_cfg.max_epochs': 1, 'param_scheduler': [], 'val_cfg': None, 'val_dataloader': None,
             'val_evaluator': None, 'default_hooks.checkpoint.save_best': None,
             'test_dataloader.dataset.pipeline': TEST, 'test_dataloader.dataset.window.stride': 30}
    lr = 'optim_wrapper.optimizer.lr'
    return [str(write_config(tmp_path / f'{name}.py', tiny_store, **short, **changes)) for name, changes in (
        ('finetune', {lr: 1e-4}), ('lift', {lr: 2e-3}), ('noise', {lr: 5e-3}))]


@pytest.fixture
def run(configs, tmp_path, monkeypatch):
    """Run the command line on the configs; paths of recipes are filled in by name."""
    paths = dict(zip(('finetune', 'lift', 'noise'), configs))

    def main(*arguments, recipes=('lift',)):
        chosen = [word for name in recipes for word in ('--pretrain', f'{name}={paths[name]}')]
        argv = ['compare_pretraining.py', paths['finetune'], *chosen, '--out', str(tmp_path / 'out'), *arguments]
        monkeypatch.setattr('sys.argv', argv)
        compare.main()
    return main


def read_rows(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def value(rows, **chosen):
    row, = [row for row in rows if {**row, **chosen} == row]
    return float(row['value'])


def test_every_recipe_is_pretrained_finetuned_and_tested(run, tmp_path, tools_here, capsys):
    run('--test', 'detected', '--seeds', '0', '3')
    names = [command[0].rpartition('/')[2] for command in tools_here]
    assert names.count('train.py') == 2 * 3 and names.count('test.py') == 2 * 3
    out = tmp_path / 'out'
    finetuned = Config.fromfile(out / 'lift/seed3/finetune/finetune.py')
    assert finetuned.load_from == str(out / 'lift/seed3/pretrain/epoch_1.pth')
    assert Config.fromfile(out / 'scratch/seed3/finetune/finetune.py').load_from is None
    rows = [row for row in read_rows(out / 'results.csv') if row['metric'] == 'MPJPE']
    assert list(rows[0]) == ['recipe', 'seed', 'stage', 'test', 'metric', 'value']
    keys = [(row['recipe'], row['seed'], row['stage'], row['test']) for row in rows]
    assert keys == [(recipe, seed, stage, 'detected') for seed in '03' for recipe, stage in (
        ('scratch', 'finetuned'), ('lift', 'pretrained'), ('lift', 'finetuned'))]
    assert len({row['value'] for row in rows}) == 6
    table = (out / 'table.md').read_text().splitlines()
    assert [cell.strip() for cell in table[0].split('|')[1:-1]] == ['stage', 'recipe', 'detected']
    cells = {tuple(cell.strip() for cell in line.split('|')[1:3]): line.split('|')[3].strip() for line in table[2:]}
    assert list(cells) == [('pretrained', 'lift'), ('finetuned', 'scratch'), ('finetuned', 'lift')]
    for (stage, recipe), cell in cells.items():
        first, second = (value(rows, recipe=recipe, stage=stage, seed=seed) for seed in '03')
        assert cell == f'{(first + second) / 2:.1f} ± {abs(first - second) / 2 ** 0.5:.1f}'
    printed = capsys.readouterr().out
    assert 'MPJPE, mean ± standard deviation over 2 seeds' in printed and '\n'.join(table) in printed


def test_a_study_goes_on_and_grows(run, tmp_path, tools_here, capsys):
    run('--test', 'detected', '--seeds', '0')
    before = read_rows(tmp_path / 'out' / 'results.csv')
    assert len(tools_here) == 3 + 3
    run('--test', 'detected', '--seeds', '0')
    assert len(tools_here) == 6 and read_rows(tmp_path / 'out' / 'results.csv') == before
    # A new test condition tests, a new recipe trains; the rest is taken from before.
    run('--test', 'detected', '--test', 'missing', MISSING, '--seeds', '0', '--metric', 'P-MPJPE',
        recipes=('lift', 'noise'))
    names = [command[0].rpartition('/')[2] for command in tools_here[6:]]
    assert names.count('train.py') == 2 and names.count('test.py') == 3 + 4
    rows = read_rows(tmp_path / 'out' / 'results.csv')
    assert all(row in rows for row in before)
    for recipe, stage in (('scratch', 'finetuned'), ('lift', 'pretrained'), ('noise', 'finetuned')):
        whole, missing = (value(rows, recipe=recipe, stage=stage, test=test, metric='MPJPE')
                          for test in ('detected', 'missing'))
        assert whole != missing
    table = (tmp_path / 'out' / 'table.md').read_text().splitlines()
    assert [cell.strip() for cell in table[0].split('|')[3:-1]] == ['detected', 'missing'] and len(table) == 2 + 5
    expected = value(rows, recipe='noise', stage='finetuned', test='missing', metric='P-MPJPE')
    assert table[-1].split('|')[4].strip() == f'{expected:.1f}'
    assert 'P-MPJPE, mean' in capsys.readouterr().out


def test_what_is_only_pretrained_may_have_tests_and_metrics_of_its_own(run, tmp_path, tools_here, capsys):
    run('--pretrained-test', 'missing', MISSING, '--test', 'detected', '--seeds', '0', '--metric', 'MPJPE', 'P-MPJPE',
        'Top1')
    rows = read_rows(tmp_path / 'out' / 'results.csv')
    assert {(row['recipe'], row['stage'], row['test']) for row in rows} == {
        ('lift', 'pretrained', 'missing'), ('lift', 'finetuned', 'detected'), ('scratch', 'finetuned', 'detected')}
    first, second = (tmp_path / 'out' / 'table.md').read_text().rstrip().split('\n\n')
    tables = [[[cell.strip() for cell in line.split('|')[1:-1]] for line in table.split('\n')]
              for table in (first, second)]
    assert [table[0] for table in tables] == [['stage', 'recipe', f'{test} MPJPE', f'{test} P-MPJPE']
                                              for test in ('missing', 'detected')]
    assert [row[:2] for row in tables[0][2:]] == [['pretrained', 'lift']]
    assert [row[:2] for row in tables[1][2:]] == [['finetuned', 'scratch'], ['finetuned', 'lift']]
    expected = value(rows, recipe='lift', stage='pretrained', metric='P-MPJPE')
    assert tables[0][2][3] == f'{expected:.1f}' and 'MPJPE, P-MPJPE, Top1, mean' in capsys.readouterr().out


def test_a_recipe_may_finetune_otherwise_after_the_same_pretraining(run, configs, tmp_path, tools_here):
    run('--pretrain', f'frozen={configs[1]}', '--test', 'detected', '--seeds', '0', '--finetuned-only',
        '--finetune-options', 'frozen', "model.frozen=['backbone']", 'optim_wrapper.optimizer.weight_decay=0.5')
    names = [command[0].rpartition('/')[2] for command in tools_here]
    assert names.count('train.py') == 1 + 1 + 2
    plain, frozen = (Config.fromfile(tmp_path / f'out/{name}/seed0/finetune/finetune.py')
                     for name in ('lift', 'frozen'))
    assert frozen.load_from == plain.load_from and frozen.load_from.endswith('lift/seed0/pretrain/epoch_1.pth')
    assert frozen.model.frozen == ['backbone'] and 'frozen' not in plain.model
    assert frozen.optim_wrapper.optimizer.weight_decay == 0.5 != plain.optim_wrapper.optimizer.weight_decay


def test_changes_reach_every_training(run, tmp_path, tools_here):
    run('--test', 'detected', '--seeds', '0', '--cfg-options', 'optim_wrapper.optimizer.weight_decay=0.25',
        'model.backbone.drop=0.0')
    for name in ('lift/seed0/pretrain/lift', 'lift/seed0/finetune/finetune', 'scratch/seed0/finetune/finetune'):
        config = Config.fromfile(tmp_path / 'out' / f'{name}.py')
        assert config.optim_wrapper.optimizer.weight_decay == 0.25 and config.model.backbone.drop == 0.0


def test_values_are_literals_or_text():
    assert compare._setting('a.b=3') == ('a.b', 3) and compare._setting('a=[1, None]') == ('a', [1, None])
    assert compare._setting('a=data/cmu') == ('a', 'data/cmu') and compare._setting('a=b=c') == ('a', 'b=c')


def test_a_metric_that_is_not_measured_is_named(run, tmp_path, tools_here):
    with pytest.raises(SystemExit, match=r"the tests measure MPJPE, .*, not 'Top1'; choose one with --metric"):
        run('--test', 'detected', '--seeds', '0', '--metric', 'Top1')
    assert not (tmp_path / 'out' / 'table.md').exists()


@pytest.mark.parametrize('arguments, message', [
    (['--pretrain', 'lift'], "argument --pretrain: 'lift' is not NAME=VALUE"),
    (['--pretrain', '=lift.py'], "'=lift.py' is not NAME=VALUE"),
    (['--pretrain', 'lift=other.py'], 'every recipe and every test needs a name of its own'),
    (['--pretrain', 'scratch=other.py'], 'a name of its own, and scratch is the baseline'),
    (['--test', 'detected', MISSING], 'every test needs a name of its own'),
    (['--pretrained-test', 'detected', '--finetuned-only'], 'contradict each other'),
    (['--cfg-options', 'seed'], "'seed' is not NAME=VALUE"),
    (['--finetune-options', 'lit', 'randomness.seed=3'], '--finetune-options names lit; the recipes are scratch, lift'),
])
def test_bad_command_lines_are_refused(run, tools_here, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run('--test', 'detected', *arguments)
    assert message in capsys.readouterr().err and tools_here == []


@pytest.mark.parametrize('arguments, message', [
    (['--pretrain', 'none=none.py'], 'config none.py does not exist'),
    (['--cfg-options', 'modle.dim=3'], 'modle.dim would change nothing'),
    (['--test', 'typo', 'test_dataloader.dataset.windw=3'], 'has windw, which MotionDataset does not take'),
])
def test_what_cannot_be_read_is_refused_before_anything_runs(run, tools_here, arguments, message):
    with pytest.raises(SystemExit, match=message):
        run('--test', 'detected', '--seeds', '0', *arguments)
    assert tools_here == []


@pytest.mark.parametrize('jobs', [1, 2])
def test_recipes_run_beside_each_other_and_one_alone_where_signals_arrive(run, tmp_path, monkeypatch, jobs):
    threads, together = [], threading.Barrier(jobs)

    def follow(name, seed, args):
        threads.append(threading.current_thread())
        together.wait(timeout=20)
        return [(name, seed, 'finetuned', 'detected', dict(MPJPE=10.0 * seed + len(name)))]

    monkeypatch.setattr(compare, 'follow_recipe', follow)
    monkeypatch.setenv('OMP_NUM_THREADS', 'as before')
    (tmp_path / 'out').mkdir()
    run('--test', 'detected', '--seeds', '0', '1', '--jobs', str(jobs))
    is_main = [thread is threading.main_thread() for thread in threads]
    assert is_main == 4 * [jobs == 1]
    assert os.environ['OMP_NUM_THREADS'] == ('as before' if jobs == 1 else '1')
    # The order of the results is that of the recipes.
    rows = [(row['recipe'], row['seed'], float(row['value'])) for row in read_rows(tmp_path / 'out' / 'results.csv')]
    assert rows == [('scratch', '0', 7), ('lift', '0', 4), ('scratch', '1', 17), ('lift', '1', 14)]
