import json

import pytest
from PIL import Image

from motionbert_mm.visualization import plot_losses
from motionbert_mm.visualization.curves import read_scalars, split_records


def records(num_epochs=3, iterations=10):
    rows = []
    for epoch in range(1, num_epochs + 1):
        for iteration in (5, 10):
            step = (epoch - 1) * iterations + iteration
            rows.append({'lr': 1e-3, 'data_time': 0.1, 'time': 0.2, 'loss': 3.0 / step, 'pose.loss_mpjpe': 1.0 / step,
                         'pose.loss_velocity': 2.0 / step, 'epoch': epoch, 'iter': step, 'step': step})
        rows.append({'pose3d/MPJPE': 100.0 - epoch, 'pose3d/PCK': 50.0 + epoch, 'data_time': 0.1, 'time': 0.1,
                     'step': epoch})
    return rows


def test_epochs_of_validation_become_iterations():
    losses, metrics = split_records(records())
    assert metrics == {'pose3d/MPJPE': {10: 99.0, 20: 98.0, 30: 97.0}, 'pose3d/PCK': {10: 51.0, 20: 52.0, 30: 53.0}}
    assert sorted(losses) == ['loss', 'pose.loss_mpjpe', 'pose.loss_velocity']
    assert losses['loss'] == {step: 3.0 / step for step in (5, 10, 15, 20, 25, 30)}


def test_losses_of_several_sources_are_curves_of_their_own():
    rows = [{'loss': 3.0, 'm2m.pose_2d.loss_mpjpe': 1.0, 'm2l.pose_3d.loss_mpjpe': 2.0, 'step': 1}]
    assert split_records(rows)[0] == {'loss': {1: 3.0}, 'm2m.pose_2d.loss_mpjpe': {1: 1.0},
                                      'm2l.pose_3d.loss_mpjpe': {1: 2.0}}
    assert [line.get_label() for line in plot_losses(rows).axes[0].lines] == [
        'loss', 'm2l.pose_3d.loss_mpjpe', 'm2m.pose_2d.loss_mpjpe']


def test_validation_of_training_by_iteration_keeps_its_steps():
    rows = [{'loss': 1.0, 'iter': 50, 'step': 50}, {'MPJPE': 60.0, 'step': 50}]
    assert split_records(rows)[1] == {'MPJPE': {50: 60.0}}


def test_a_resumed_run_overrides_repeated_steps():
    assert split_records([{'loss': 1.0, 'step': 5}, {'loss': 2.0, 'step': 5}])[0] == {'loss': {5: 2.0}}


def test_picture_has_a_panel_per_kind(tmp_path):
    log = tmp_path / 'scalars.json'
    log.write_text('\n'.join(map(json.dumps, records())))
    figure = plot_losses(log, tmp_path / 'a.png', title='run')
    assert [axes.get_title() for axes in figure.axes] == ['training loss', 'validation error', 'validation score']
    assert [line.get_label() for line in figure.axes[0].lines] == ['loss', 'pose.loss_velocity', 'pose.loss_mpjpe']
    assert Image.open(tmp_path / 'a.png').size[0] > 1500


def test_run_without_validation_has_one_panel():
    assert len(plot_losses([{'loss': 1.0, 'step': 1}, {'loss': 0.5, 'step': 2}]).axes) == 1


def test_details_of_a_metric_are_left_out_and_acceleration_is_an_error():
    rows = [{'loss': 1.0, 'step': 1}, {'MPJPE': 60.0, 'MPJPE/clip': 61.0, 'Accel': 5.0, 'PCK@150': 90.0,
                                       'PCK@150/clip': 91.0, 'eval/AUC': 50.0, 'step': 1}]
    panels = {axes.get_title(): [line.get_label() for line in axes.lines] for axes in plot_losses(rows).axes}
    assert panels == {'training loss': ['loss'], 'validation error': ['MPJPE', 'Accel'],
                      'validation score': ['PCK@150', 'eval/AUC']}


def test_half_a_last_line_is_skipped_and_any_other_is_named(tmp_path):
    log = tmp_path / 'scalars.json'
    log.write_text('{"loss": 1.0, "step": 1}\n{"loss": 0.5, "st')
    assert read_scalars(log) == [{'loss': 1.0, 'step': 1}]
    log.write_text('{"loss": 1.0\n{"loss": 0.5, "step": 2}\n')
    with pytest.raises(ValueError, match='scalars.json: line 1 is no JSON'):
        read_scalars(log)
    log.write_text('[1]\n')
    with pytest.raises(ValueError, match=r'line 1 is \[1\]'):
        read_scalars(log)


def test_missing_log_and_log_without_losses_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='vis_data/scalars.json'):
        plot_losses(tmp_path / 'scalars.json')
    with pytest.raises(ValueError, match='none of the 1 records holds a training loss'):
        plot_losses([{'MPJPE': 3.0, 'step': 1}])
