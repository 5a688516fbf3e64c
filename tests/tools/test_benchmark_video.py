import json
import re

import numpy as np
import pytest

from tests.apis.test_centre_lifting import NORMALIZE, NUM_FRAMES, PSTMO
from tests.generated import TINY_MODEL, load_tool

tool = load_tool('analysis_tools/benchmark_video.py')
OPTIONS = ['--device', 'cpu', '--frames', '20', '--batch-size', '4', '--runs', '2', '--turns', '2', '--piece', '3']


def write_config(folder, model=PSTMO, normalize=NORMALIZE):
    dataset = dict(type='MotionDataset', data_root='nowhere',
                   window=dict(num_frames=NUM_FRAMES, kind='centre', dilation=2),
                   pipeline=[*normalize, dict(type='PackInputs', fields=['target_3d'])])
    path = folder / 'config.json'
    path.write_text(json.dumps(dict(default_scope='motionbert_mm', model=model,
                                    train_dataloader=dict(batch_size=4, num_workers=0, dataset=dataset))))
    return str(path)


def test_speed_of_three_ways_and_their_ratios_are_printed(tmp_path, capsys):
    tool.main([write_config(tmp_path), *OPTIONS])
    printed = capsys.readouterr().out
    assert '20 frames, a window of 9 frames (every 2.) around each, batches of 4, without the mirrored input' in printed
    rows = re.findall(r'^(one window at a time|batches of windows|batches, frames shared) +([\d.,]+) .* ([\d.]+)$',
                      printed, re.MULTILINE)
    assert [name for name, _, _ in rows] == [tool.SINGLE, tool.BATCHED, tool.SHARED]
    assert rows[0][2] == '1.00'
    assert all(float(speed.replace(',', '')) > 0 for _, speed, _ in rows)
    differences = re.findall(r'([\d.e+-]+) mm', printed.splitlines()[-1])
    assert len(differences) == 2
    assert all(float(value) < 0.05 for value in differences)  # the poses of random weights are metres wide


def test_every_way_is_divided_by_its_own_seconds(tmp_path, monkeypatch):
    # A clock that ticks by windows: 3 s for each alone, 2 s in batches, 1 s with shared frames.
    clock = {'now': 0.0}
    lifter = tool.make_lifter(write_config(tmp_path), 'cpu')
    video = tool.Video(lifter, 20, batch_size=4, flip_test=False)
    seconds = {(1, False): 3.0, (4, False): 2.0, (4, True): 1.0}

    def lift(keypoints, *, batch_size, share_frames, progress=iter, **_):
        for start in progress(range(0, len(keypoints), batch_size)):
            clock['now'] += seconds[batch_size, share_frames] * len(keypoints[start:start + batch_size])
        return tool.argparse.Namespace(keypoints_3d=np.zeros((len(keypoints), 17, 3)))

    monkeypatch.setattr(lifter, 'lift', lift)
    monkeypatch.setattr(tool.time, 'perf_counter', lambda: clock['now'])
    speeds = video.measure(piece=3, turns=2)
    assert speeds == pytest.approx({tool.SINGLE: 1 / 3, tool.BATCHED: 1 / 2, tool.SHARED: 1})
    assert clock['now'] == 20 + 2 * 3 * (3 + 2)
    table = tool.format_table([speeds, speeds]).splitlines()
    assert [line.split()[-1] for line in table[1:]] == ['1.00', '1.50', '3.00']


def test_a_model_that_shares_nothing_is_measured_in_two_ways(tmp_path, capsys):
    crop = [dict(type='NormalizeCoords', inputs='crop_scale')]
    tool.main([write_config(tmp_path, normalize=crop), *OPTIONS])
    printed = capsys.readouterr().out
    assert 'note: the windows of this model share no work' in printed
    assert tool.BATCHED in printed
    assert tool.SHARED not in printed


@pytest.mark.parametrize('arguments, message', [
    (['CONFIG'], 'nothing to share'), (['nowhere.py'], 'nowhere.py does not exist'),
    (['nowhere.pth'], 'nowhere.pth does not exist')])
def test_expected_errors_are_one_line_and_code_2(tmp_path, capsys, arguments, message):
    path = write_config(tmp_path, TINY_MODEL)
    with pytest.raises(SystemExit) as stop:
        tool.main([path if argument == 'CONFIG' else argument for argument in arguments] + OPTIONS)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert error.count('\n') == 1


@pytest.mark.parametrize('arguments', [['--frames', '0'], ['--device', 'abacus'], ['--piece', 'x']])
def test_wrong_options_are_named(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        tool.main(['config.py', *arguments])
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err
