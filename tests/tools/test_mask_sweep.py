import csv

import pytest
from mmengine.config import Config

from tests.generated import load_tool, write_config

mask_sweep = load_tool('analysis_tools/mask_sweep.py')
MASKED = [dict(type='NormalizeCoords'), dict(type='SampleMask'), dict(type='PackInputs', fields=['target_3d'])]


@pytest.fixture
def configs(tiny_store, tmp_path):
    """Paths of a config that pretrains with masks and of one that finetunes; one epoch each."""
    short = {'train_cfg.max_epochs': 1, 'param_scheduler': []}
    return [str(write_config(tmp_path / 'pretrain.py', tiny_store, **short,
                             **{'train_dataloader.dataset.pipeline': MASKED})),
            str(write_config(tmp_path / 'finetune.py', tiny_store, **short))]


def read_rows(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_a_total_ratio_is_two_thirds_frames():
    assert mask_sweep.split_ratio(0.15) == (0.05, 0.1)
    assert mask_sweep.split_ratio(0) == (0, 0)
    with pytest.raises(ValueError, match='between 0 and 1, got 1.5'):
        mask_sweep.split_ratio(1.5)


def test_every_mask_of_the_training_data_is_set_wherever_it_sits():
    mask = dict(type='motionbert_mm.SampleMask', joint_ratio=0.5)
    pipeline = dict(flip=dict(type='RandomFlip'), mask=mask, pack=None)
    data = dict(type='MixedDataset', datasets=dict(mocap=dict(pipeline=pipeline), video=dict(pipeline=MASKED)))
    config = Config(dict(train_dataloader=dict(dataset=data), test_dataloader=dict(dataset=dict(pipeline=MASKED))))
    options = mask_sweep.mask_options(config, 0.6)
    config.merge_from_dict(options)
    changed = config.train_dataloader.dataset.datasets
    for mask in (changed.mocap.pipeline.mask, changed.video.pipeline[1]):
        assert (mask.joint_ratio, mask.frame_ratio) == (0.2, 0.4)
    assert len(options) == 4 and 'joint_ratio' not in config.test_dataloader.dataset.pipeline[1]


def test_a_split_takes_the_place_of_the_test_data_as_a_whole():
    config = Config(dict(val_dataloader=dict(batch_size=3, dataset=dict(include=['a'])), val_evaluator=[dict(type='X')],
                         test_dataloader=dict(batch_size=1, num_workers=2), test_evaluator=dict(type='Y', joints=[1])))
    assert mask_sweep.split_options(config, 'test') == {}
    config.merge_from_dict(mask_sweep.split_options(config, 'val'))
    assert config.test_dataloader.to_dict() == dict(batch_size=3, dataset=dict(include=['a']))
    assert config.test_evaluator == [dict(type='X')]


def test_sweep_trains_tests_draws_and_goes_on(configs, tmp_path, tools_here, capsys):
    out = tmp_path / 'out'
    arguments = [*configs, '--seeds', '0', '--out', str(out), '--split', 'val', '--ratios']
    mask_sweep.main([*arguments, '0.15'])
    assert [command[0].rpartition('/')[2] for command in tools_here] == 3 * ['train.py', 'test.py']
    pretrained = Config.fromfile(out / 'ratio_0.15/seed_0/pretrain/pretrain.py')
    assert pretrained.train_dataloader.dataset.pipeline[1] == dict(type='SampleMask', joint_ratio=0.05, frame_ratio=0.1)
    finetuned = Config.fromfile(out / 'ratio_0.15/seed_0/finetune/finetune.py')
    assert finetuned.load_from == str(out / 'ratio_0.15/seed_0/pretrain/epoch_1.pth')
    assert Config.fromfile(out / 'scratch/seed_0/finetune.py').load_from is None
    first, = read_rows(out / 'mask_sweep.csv')
    assert float(first['hidden']) == pytest.approx(0.145) and first['seed'] == '0'
    assert len({first['pretrained'], first['finetuned'], first['scratch']}) == 3
    # A larger sweep runs only what is new.
    mask_sweep.main([*arguments, '0.15', '0.9'])
    assert len(tools_here) == 6 + 4
    rows = read_rows(out / 'mask_sweep.csv')
    assert rows[0] == first and rows[1]['ratio'] == '0.9' and rows[1]['pretrained'] != first['pretrained']
    assert (out / 'mask_sweep.png').stat().st_size > 10_000
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].split()[:6] == ['|', '0.9', '|', '0.720', '|', f'{float(rows[1]["pretrained"]):.1f}']


def test_table_and_picture_average_over_seeds(tmp_path):
    rows = [[ratio, 0.0, 0.0, ratio, seed, 50.0 + seed, 40.0 + 3 * seed, 45.0]
            for seed in (0, 2) for ratio in (0.0, 0.3)]
    lines = mask_sweep.summarize(rows).splitlines()
    assert len(lines) == 4 and '51.0 ± 1.4' in lines[2] and '43.0 ± 4.2' in lines[3] and '45.0 ± 0.0' in lines[3]
    mask_sweep.draw(rows, 'MPJPE', tmp_path / 'sweep.png')
    assert (tmp_path / 'sweep.png').is_file()


@pytest.mark.parametrize(('swap', 'options', 'message'), [
    (True, [], "no pipeline of train_dataloader has dict\\(type='SampleMask'\\)"),
    (False, ['--ratios', '2'], 'between 0 and 1, got 2'),
    (False, ['--cfg-options', 'modle.dim=3'], 'modle.dim would change nothing')])
def test_impossible_sweeps_are_refused_before_anything_runs(configs, tmp_path, tools_here, swap, options, message):
    with pytest.raises(SystemExit, match=f'error: .*{message}'):
        mask_sweep.main([*(configs[::-1] if swap else configs), '--out', str(tmp_path / 'out'), *options])
    assert tools_here == [] and not (tmp_path / 'out').exists()


def test_a_metric_that_is_not_measured_is_named(configs, tmp_path, tools_here):
    with pytest.raises(SystemExit, match=r'finetune\.py has no metric Top1 on its test data; it has MPJPE'):
        mask_sweep.main([*configs, '--out', str(tmp_path / 'out'), '--metric', 'Top1', '--seeds', '0'])
