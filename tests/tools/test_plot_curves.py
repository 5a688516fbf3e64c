"""Groups of runs over one another; single runs are tested in test_analysis_tools.py."""
import csv
import json

import numpy as np
import pytest

from motionbert_mm.visualization.curves import average_runs, plot_bands
from tests.generated import load_tool

plot_curves = load_tool('analysis_tools/plot_curves.py')


@pytest.fixture
def runs(tmp_path):
    """Work dirs of two seeds with three epochs of ten iterations, the second stopped after two; MPJPE falls by seed."""
    for seed, epochs in ((0, 3), (1, 2)):
        path = tmp_path / f'seed_{seed}' / '20200101_000000' / 'vis_data' / 'scalars.json'
        path.parent.mkdir(parents=True)
        records = []
        for epoch in range(1, epochs + 1):
            records += [{'loss': 1 / epoch, 'epoch': epoch, 'step': 10 * epoch},
                        {'MPJPE': 100.0 - 10 * epoch - 4 * seed, 'PCK@150': 50.0, 'step': epoch}]
        path.write_text('\n'.join(map(json.dumps, records)))
    return [tmp_path / 'seed_0', tmp_path / 'seed_1']


def test_runs_are_averaged_where_all_have_a_value():
    band = average_runs([{10: 3.0, 20: 1.0, 30: 0.0}, {10: 5.0, 20: 1.0}])
    assert band.steps.tolist() == [10, 20] and band.means.tolist() == [4.0, 1.0] and band.count == 2
    np.testing.assert_allclose(band.spreads, [np.sqrt(2), 0.0])
    assert np.isnan(average_runs([{1: 2.0}]).spreads).all()
    with pytest.raises(ValueError, match='2 runs have no step in common'):
        average_runs([{1: 2.0}, {2: 2.0}])


def test_a_label_has_one_colour_in_all_panels():
    one, two = average_runs([{1: 2.0, 2: 1.0}]), average_runs([{1: 4.0, 2: 1.0}, {1: 2.0, 2: 1.0}])
    figure = plot_bands({'first': {'a': one, 'b': two}, 'second': {'b': two}}, x_label='ratio', y_label='mm')
    lines = [{line.get_label(): line.get_color() for line in axes.lines} for axes in figure.axes]
    assert list(lines[0]) == ['a, n = 1', 'b, n = 2'] and lines[1] == {'b, n = 2': lines[0]['b, n = 2']}
    band = figure.axes[1].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(3 + np.sqrt(2)) and band[:, 1].min() == pytest.approx(1.0)


def test_groups_are_compared_in_picture_and_table(runs, tmp_path, capsys):
    out = tmp_path / 'compared.png'
    plot_curves.main(['--group', 'finetune', *map(str, runs), '--group', 'scratch', str(runs[0]),
                      '--keys', 'MPJPE', 'loss', '--out', str(out)])
    with open(out.with_suffix('.csv'), newline='') as file:
        rows = list(csv.DictReader(file))
    chosen = [row for row in rows if (row['curve'], row['label']) == ('MPJPE', 'finetune')]
    assert [(row['iteration'], row['mean'], row['n']) for row in chosen] == [('10', '88.0', '2'), ('20', '78.0', '2')]
    assert float(chosen[0]['spread']) == pytest.approx(np.sqrt(8))
    other = [row['mean'] for row in rows if (row['curve'], row['label']) == ('MPJPE', 'scratch')]
    assert other == ['90.0', '80.0', '70.0']
    assert {row['curve'] for row in rows} == {'MPJPE', 'loss'}
    assert out.stat().st_size > 10_000
    assert 'finetune: MPJPE 78 at 20, n = 2' in capsys.readouterr().out


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--group', 'a', '{run}'], 'the names of the curves to compare'),
    (['--group', 'a', '--keys', 'MPJPE'], 'at least one LOG'),
    (['--group', 'a', '{run}', '--group', 'a', '{run}', '--keys', 'MPJPE'], 'a label of its own'),
    (['--group', 'a', '{run}', '--keys', 'AUC'], "seed_0 of 'a' has no curve AUC; the group has MPJPE, PCK@150, loss"),
    (['{run}', '--group', 'a', '{run}'], 'either LOG ... or --group'),
    ([], 'either LOG ... or --group')])
def test_impossible_comparisons_are_refused(runs, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        plot_curves.main([*(word.format(run=runs[0]) for word in arguments), '--out', str(tmp_path / 'curves.png')])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'curves.png').exists()
