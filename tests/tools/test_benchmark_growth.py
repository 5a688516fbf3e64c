import re

import pytest

from tests.generated import load_tool
from tests.tools.test_benchmark import tiny_config, write_config

tool = load_tool('analysis_tools/benchmark_growth.py')
OPTIONS = ['--device', 'cpu', '--runs', '1', '--steps', '1']


@pytest.fixture(autouse=True)
def allocator_as_it_is(monkeypatch):
    monkeypatch.setattr(tool, 'keep_freed_memory', lambda: None)  # for good, in the process of all tests


def test_frames_batch_and_depth_grow_one_at_a_time(tmp_path, capsys):
    path = write_config(tmp_path, tiny_config())
    tool.main([path, *OPTIONS, '--clip-frames', '5,10', '--batches', '2', '--depths', '2'])
    rows = re.findall(r'^(.+?) (infer|train) .* ([\d.]+) GFLOP a clip$', capsys.readouterr().out, re.MULTILINE)
    assert [row[:2] for row in rows] == [(label, part) for label in ('T 5', 'T 10', 'batch 2', 'depth 2')
                                         for part in ('infer', 'train')]
    cost = {row[:2]: float(row[2]) for row in rows}
    assert cost['T 10', 'infer'] > 2 * cost['T 5', 'infer']  # attention grows with the square
    assert cost['batch 2', 'train'] == cost['T 5', 'train'] == pytest.approx(3 * cost['T 5', 'infer'], rel=0.2)
    assert 1.5 < cost['depth 2', 'infer'] / cost['T 5', 'infer'] < 2.5


def test_data_sets_of_many_sizes_are_opened_and_read(tmp_path, capsys):
    tool.main([write_config(tmp_path, tiny_config()), *OPTIONS, '--data-frames', '500,3000'])
    rows = re.findall(r'^([\d,]+) frames .* ([\d,]+) windows, ([\d.]+) MB, opened in [\d.]+ s$',
                      capsys.readouterr().out, re.MULTILINE)
    sizes = [[float(value.replace(',', '')) for value in row] for row in rows]
    assert [500 <= frames < 1000 for frames, _, _ in sizes] == [True, False] and 3000 <= sizes[1][0] < 3500
    for frames, windows, megabytes in sizes:
        assert windows == pytest.approx(frames / 5, rel=0.05)
        assert megabytes == pytest.approx(frames * 17 * (2 + 1 + 3) * 4 / 1e6, abs=0.1)


def test_nothing_to_vary_and_nothing_to_change_are_told(tmp_path, capsys):
    path = write_config(tmp_path, tiny_config())
    with pytest.raises(SystemExit):
        tool.main([path, *OPTIONS])
    assert 'nothing to vary: give --clip-frames' in capsys.readouterr().err
    config = tiny_config()
    config.train_dataloader.dataset = dict(type='SyntheticDataset', split='train')
    with pytest.raises(SystemExit):
        tool.main([write_config(tmp_path, config), *OPTIONS, '--clip-frames', '9'])
    assert 'no data set of train_dataloader has window=dict(num_frames=...)' in capsys.readouterr().err
