import contextlib
import gc
import importlib.util
import io
import json
import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

import loader_data
import loader_memory
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.synthetic import write_store
from motionbert_mm.registry import MODELS, build

ROOT = Path(__file__).parents[2]
JOINTS, FRAMES, DIM, HEADS, HIDDEN = 17, 5, 8, 2, 16


def load_tool(name):
    spec = importlib.util.spec_from_file_location(f'analysis_{name}', ROOT / 'tools/analysis_tools' / f'{name}.py')
    tool = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = tool  # dataclasses look their module up
    spec.loader.exec_module(tool)
    return tool


get_flops, benchmark, plot_curves = map(load_tool, ('get_flops', 'benchmark', 'plot_curves'))


def tiny_config(data_root='nowhere', **model):
    return Config(dict(
        default_scope='motionbert_mm',
        model=dict(type='MotionModel', skeleton='h36m', flip_test=True,
                   backbone=dict(type='DSTformer', max_frames=100, dim=DIM, depth=1, num_heads=HEADS,
                                 mlp_ratio=HIDDEN / DIM),
                   neck=dict(type='RepresentationLayer', out_channels=6),
                   heads=dict(pose=dict(type='PoseLiftHead', losses=[dict(type='MPJPELoss')])), **model),
        train_dataloader=dict(
            batch_size=4, num_workers=0, sampler=dict(type='ResumableSampler', shuffle=True),
            collate_fn=dict(type='motionbert_mm.collate_batch'),
            dataset=dict(type='MotionDataset', data_root=str(data_root), window=dict(num_frames=FRAMES),
                         pipeline=[dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['target_3d'])])),
        optim_wrapper=dict(constructor='MotionOptimConstructor', optimizer=dict(type='AdamW', lr=1e-2))))


def write_config(folder, config):
    path = folder / 'config.json'
    path.write_text(json.dumps(config.to_dict()), encoding='utf-8')
    return str(path)


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp('analysis') / 'store'
    write_store(path, num_clips=2, num_frames=15)  # 8 clips of 3 windows
    return path


def count_by_hand(frames):
    """Return MACs of the tiny model by part, and those of attention, from the papers' formulas."""
    tokens = frames * JOINTS
    linear = 4 * DIM * DIM + 2 * DIM * HIDDEN  # q, k, v, output projection and MLP of one layer, per token
    spatial, temporal = 2 * JOINTS * DIM, 2 * frames * DIM  # q k^T and weights v, per token
    attention = tokens * 2 * (spatial + temporal)  # two streams
    fusion = 2 * DIM  # one weight per channel of both streams
    return dict(backbone=tokens * (3 * DIM + 4 * linear + fusion) + attention, neck=tokens * DIM * 6,
                attention=attention, head=tokens * 6 * 3)


@pytest.mark.parametrize('clips', [1, 3])
@pytest.mark.parametrize('frames', [FRAMES, 70])
@pytest.mark.parametrize('device', ['meta', 'cpu'])
def test_macs_equal_a_hand_count_with_plain_and_with_fused_attention(clips, frames, device):
    model = build(MODELS, tiny_config().model.to_dict()).eval().to(device)
    macs, kinds = get_flops.count_macs(model, torch.zeros(clips, 1, frames, JOINTS, 3, device=device))
    expected = {part: clips * count for part, count in count_by_hand(frames).items()}
    assert macs['backbone'] == expected['backbone']
    assert macs['neck'] == expected['neck']
    assert macs['heads.pose'] == expected['head']
    assert kinds['attention'] == expected['attention']
    assert macs['total'] == sum(kinds.values()) == sum(expected[key] for key in ('backbone', 'neck', 'head'))


def linear_and_attention(tokens, length, dim):
    """MACs of a transformer layer over groups of ``length`` tokens: its linear maps, and its attention."""
    return tokens * (4 * dim * dim + 2 * dim * 2 * dim), tokens * 2 * length * dim


def expected_costs(frames):
    """Return (linear, attention, convolution) of the backbones below, MLPs twice as wide as their input."""
    tokens, wide = frames * JOINTS, JOINTS * DIM
    embed, projection = tokens * 3 * DIM, tokens * DIM * DIM
    space, space_attention = linear_and_attention(tokens, JOINTS, DIM)
    time, time_attention = linear_and_attention(tokens, frames, DIM)
    whole, whole_attention = linear_and_attention(frames, frames, wide)
    attention = space_attention + time_attention
    return {
        'SpaceTimeTransformer': (embed + space + time, attention, 0),
        'TimeSpaceTransformer': (embed + space + time, attention, 0),
        'ParallelStreamTransformer': (embed + space + time + 4 * projection, attention, 0),
        # One layer, but its q, k and v are projected twice.
        'SeriesAttentionTransformer': (embed + space + 3 * projection, attention, 0),
        'PoseFormer': (embed + space + whole + frames * wide * wide, space_attention + whole_attention, 0),
        'TemporalConvNet': (frames * 12 * wide, 0, frames * (3 * JOINTS * 3 * 12 + 5 * 12 * 12 + 12 * 12)),
    }


@pytest.mark.parametrize('name', sorted(expected_costs(FRAMES)))
@pytest.mark.parametrize('frames', [FRAMES, 70])
@pytest.mark.parametrize('device', ['meta', 'cpu'])
def test_macs_of_the_compared_backbones_equal_a_hand_count(name, frames, device):
    sizes = dict(channels=12, filter_widths=(3, 5)) if name == 'TemporalConvNet' else dict(
        max_frames=100, depth=1, num_heads=HEADS, mlp_ratio=2.0)
    config = tiny_config()
    config.model.backbone = dict(type=name, dim=DIM, **sizes)
    model = build(MODELS, config.model.to_dict()).eval().to(device)
    clips = 2
    macs, kinds = get_flops.count_macs(model, torch.zeros(clips, 1, frames, JOINTS, 3, device=device))
    linear, attention, convolution = (clips * count for count in expected_costs(frames)[name])
    rest = macs['neck'] + macs['heads.pose']
    assert macs['backbone'] == linear + attention + convolution
    assert (kinds['linear'], kinds.get('attention', 0), kinds.get('convolution', 0)) == (
        linear + rest, attention, convolution)


def test_cost_is_per_clip_and_grows_with_persons():
    single = get_flops.count_cost(tiny_config())
    many = get_flops.count_cost(tiny_config(), persons=2, batch_size=3)
    assert single.shape == (1, 1, FRAMES, JOINTS, 3)
    assert many.shape == (3, 2, FRAMES, JOINTS, 3)
    assert many.macs['total'] == 2 * single.macs['total']


def test_frozen_parameters_are_not_trainable():
    cost = get_flops.count_cost(tiny_config(frozen=['backbone']))
    head, neck = 6 * 3 + 3, DIM * 6 + 6
    assert cost.parameters['heads.pose'] == (head, head)
    assert cost.parameters['backbone'][1] == 0
    assert cost.parameters['total'] == (cost.parameters['backbone'][0] + neck + head, neck + head)


def test_a_model_that_needs_values_is_counted_by_a_real_pass(monkeypatch):
    devices = []

    def count(model, inputs, depth):
        devices.append(inputs.device.type)
        if inputs.is_meta:
            raise NotImplementedError('no values on meta')
        return {'total': 10.0}, {}

    monkeypatch.setattr(get_flops, 'count_macs', count)
    assert get_flops.count_cost(tiny_config(), batch_size=5).macs == {'total': 2.0}
    assert devices == ['meta', 'cpu']


@pytest.mark.parametrize(('size', 'parameters', 'giga'), [('base', 42_466_317, 184), ('lite', 16_001_549, 70)])
def test_published_sizes_cost_what_the_formulas_say(size, parameters, giga):
    config = Config.fromfile(ROOT / f'configs/_base_/models/dstformer_{size}.py')
    cost = get_flops.count_cost(config)
    assert cost.shape[2] == 243
    assert cost.parameters['total'][0] == parameters
    assert cost.macs['backbone'] / 1e9 == pytest.approx(giga, abs=0.5)


def test_modules_below_the_parts_are_listed_and_sum_up_to_them():
    cost = get_flops.count_cost(tiny_config(), depth=2)
    plain = get_flops.count_cost(tiny_config())
    assert {name: cost.macs[name] for name in plain.macs} == plain.macs
    assert list(cost.macs) == list(cost.parameters)
    for counts in (cost.macs, {name: number for name, (number, _) in cost.parameters.items()}):
        for part in ('backbone', 'backbone.space_first'):
            below = [count for name, count in counts.items() if name.rpartition('.')[0] == part]
            assert len(below) > 0 and sum(below) == counts[part], part
    tokens = FRAMES * JOINTS
    assert cost.macs['backbone.embed'] == tokens * 3 * DIM
    # A list of layers is never called; it has what its layers have. Joint and frame positions are no modules.
    assert cost.macs['backbone.fusion'] == tokens * 2 * DIM
    assert cost.parameters['backbone.joint_embed'] == (JOINTS * DIM, JOINTS * DIM)
    assert 'backbone.embed.weight' not in cost.parameters


# MPM's table of parameters by module, J = 16, N = 243, as measured on the official classes: ours, official, parameters.
MPM_MODULES = {
    'mpm_mask': [('backbone.expand', 'encoder2d', 17_920), ('backbone.expand_3d', 'encoder3d', 26_112),
                 ('backbone.blocks', 'shared_layers_spatial', 527_360),
                 ('backbone.reduce', 'shared_layers_spatial', 131_328),
                 ('backbone.frame_embed', 'shared_layers_temporal', 62_208),
                 ('backbone.layers', 'shared_layers_temporal', 4 * 527_104),
                 ('backbone.norm', 'shared_layers_temporal', 512),
                 ('backbone.joint_token', 'spatial_mask_token2d', 2),
                 ('backbone.joint_token_3d', 'spatial_mask_token3d', 3),
                 ('neck.norm', 'encoder_LN', 512), ('neck.frame_token', 'temporal_mask_token', 256),
                 ('neck.frame_embed', 'dec_pos_embedding', 62_208),
                 ('heads.pose_2d.output', 'decoder2d + fcn_dec2d', 527_616 + 8_736),
                 ('heads.pose_3d.output', 'decoder3d + fcn_dec3d', 527_616 + 12_848)],
    'mpm': [('backbone.expand', 'encoder2d', 17_920), ('backbone.blocks', 'shared_layers_spatial', 527_360),
            ('backbone.reduce', 'shared_layers_spatial', 131_328),
            ('backbone.frame_embed', 'shared_layers_temporal', 62_208),
            ('backbone.layers', 'shared_layers_temporal', 4 * 527_104),
            ('backbone.norm', 'shared_layers_temporal', 512),
            ('neck.transformer', 'Transformer_reduce', 4_133_376),
            ('heads.frames.output', 'fcn_1', 12_848), ('heads.centre.output', 'fcn', 12_848)],
}


@pytest.mark.parametrize('name', MPM_MODULES)
def test_modules_of_mpm_have_the_official_parameters(name):
    config = Config.fromfile(ROOT / f'configs/_base_/models/{name}.py')
    counts = {part: number for part, (number, _) in get_flops.count_cost(config, depth=1).parameters.items()}
    assert {part: counts[part] for part, _, _ in MPM_MODULES[name]} == {
        part: number for part, _, number in MPM_MODULES[name]}
    assert sum(number for _, _, number in MPM_MODULES[name]) == counts['total']


def test_the_3d_encoder_of_mpm_has_no_share_in_a_pass_of_2d():
    cost = get_flops.count_cost(Config.fromfile(ROOT / 'configs/_base_/models/mpm_mask.py'), depth=1)
    assert cost.shape == (1, 1, 243, 16, 3)
    assert cost.macs['backbone.expand_3d'] == 0 and cost.macs['backbone.expand'] == 243 * 2 * 16 * 512


def test_flops_are_printed_for_the_window_of_the_data(tmp_path, capsys):
    get_flops.main([write_config(tmp_path, tiny_config())])
    printed = capsys.readouterr().out
    total = sum(value for key, value in count_by_hand(FRAMES).items() if key != 'attention')
    assert f'(1, {FRAMES}, {JOINTS}, 3)' in printed
    assert f'{total / 1e6:.2f} M' in printed
    assert f'{2 * total / 1e6:.2f} MFLOPs' in printed
    assert 'backbone.embed' not in printed
    get_flops.main([write_config(tmp_path, tiny_config()), '--depth', '1'])
    assert 'backbone.embed ' in capsys.readouterr().out


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--frames', '101'], 'at most 100 frames, got 101'), (['--frames', '0'], 'must be at least 1'),
    (['--depth', '-1'], 'depth -1 must not be negative'),
    (['--cfg-options', 'model.backbone.dept=1'], 'dept'), (['--cfg-options', 'model.skeleton=spider'], 'spider')])
def test_get_flops_refuses_in_one_line(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        get_flops.main([write_config(tmp_path, tiny_config()), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert error.count('\n') == 1


def test_measure_divides_clips_by_seconds(monkeypatch):
    clock = {'now': 0.0}

    def step():
        clock['now'] += 0.5
        return 4

    monkeypatch.setattr(benchmark.time, 'perf_counter', lambda: clock['now'])
    assert benchmark.measure(step, runs=3, steps=5) == (8.0, 8.0, 8.0)
    assert clock['now'] == (2 + 3 * 5) * 0.5


def test_a_run_of_slow_batches_ends_early(monkeypatch):
    clock = {'now': 0.0}

    def step():
        clock['now'] += 5.0
        return 10

    monkeypatch.setattr(benchmark.time, 'perf_counter', lambda: clock['now'])
    assert benchmark.measure(step, runs=1, steps=100, warm_up=0) == (2.0,)
    assert clock['now'] == 10.0


def test_every_part_of_a_config_is_measured(store):
    speeds = list(benchmark.measure_config(tiny_config(store), runs=2, steps=2))
    assert [speed.part for speed in speeds] == ['loader', 'inference', 'inference, flip', 'training']
    for speed in speeds:
        assert speed.shape == (4, 1, FRAMES, JOINTS, 3)
        assert len(speed.clips) == 2
        assert min(speed.clips) > 0


def test_steps_run_the_network_once_with_flip_twice_and_train_it(store):
    config = tiny_config(store)
    with benchmark.DefaultScope.overwrite_default_scope('motionbert_mm'):
        batch = benchmark.first_batch(config.train_dataloader)
        model = build(MODELS, config.model.to_dict())
        passes, changed = [], []
        model.backbone.register_forward_hook(lambda *_: passes.append(model.training))
        for name, step in benchmark.model_steps(config, model, batch, benchmark.PARTS):
            before = model.backbone.embed.weight.detach().clone()
            assert step() == 4
            changed.append((name, not torch.equal(before, model.backbone.embed.weight)))
    assert passes == [False, False, False, True]
    assert changed == [('inference', False), ('inference, flip', False), ('training', True)]


def test_endless_loader_gives_epochs_one_after_the_other(store):
    with benchmark.DefaultScope.overwrite_default_scope('motionbert_mm'):
        loader = benchmark.Runner.build_dataloader(tiny_config(store).train_dataloader, seed=0)
    stream = benchmark.endless(loader)
    epochs = [[tuple(name) for name in (next(stream)['data_samples'].sample_id for _ in range(len(loader)))]
              for _ in range(2)]
    assert len(loader) == 6
    assert epochs[0] != epochs[1]
    assert sorted(sum(epochs[0], ())) == sorted(sum(epochs[1], ()))


@pytest.mark.parametrize(('key', 'part'), [('model', 'inference'), ('optim_wrapper', 'training')])
def test_measuring_needs_the_entries_of_its_part(store, key, part):
    config = tiny_config(store)
    config.pop(key)
    with pytest.raises(ValueError, match=key):
        list(benchmark.measure_config(config, parts=[part], runs=1, steps=1))
    assert next(benchmark.measure_config(config, parts=['loader'], runs=1, steps=1)).part == 'loader'


def test_no_worker_options_without_workers():
    config = dict(batch_size=2, num_workers=3, persistent_workers=True, prefetch_factor=4)
    assert loader_data.with_workers(config, 0) == dict(batch_size=2, num_workers=0)
    assert loader_data.with_workers(config, 1) == dict(config, num_workers=1)


def test_missing_data_are_refused_or_replaced_by_generated_motion(tmp_path, capsys, monkeypatch):
    path = write_config(tmp_path, tiny_config(tmp_path / 'nowhere'))
    options = ['--device', 'cpu', '--steps', '1', '--runs', '1', '--part', 'loader', '--batch-size', '3']
    with pytest.raises(SystemExit) as stop:
        benchmark.main([path, *options])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert 'nowhere does not exist' in error
    assert '--synthetic' in error
    assert error.count('\n') == 1
    monkeypatch.setattr(loader_data, 'CLIP_FRAMES', 2 * FRAMES)
    benchmark.main([path, *options, '--synthetic'])
    printed = capsys.readouterr().out
    assert 'nowhere does not exist, measured on generated motion' in printed
    assert f'(3, 1, {FRAMES}, {JOINTS}, 3), 0 loader workers' in printed
    assert torch.__version__ in printed


def test_existing_data_are_read_even_with_synthetic(store, tmp_path, capsys):
    benchmark.main([write_config(tmp_path, tiny_config(store)), '--device', 'cpu', '--steps', '1', '--runs', '1',
                    '--part', 'loader', '--synthetic'])
    assert 'generated motion' not in capsys.readouterr().out


@pytest.mark.parametrize('arguments', [['--batch-size', '0'], ['--steps', 'x'], ['--device', 'abacus'],
                                       ['--part', 'sleep']])
def test_benchmark_refuses_bad_options(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        benchmark.main(['config.py', *arguments])
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_every_data_set_in_a_wrapper_reads_the_generated_store(tmp_path):
    wrapped = dict(type='Mix', datasets=[dict(type='A', data_root='a', window=dict(num_frames=4, dilation=3)),
                                         dict(type='B', data_root='b', window=dict(num_frames=9), exclude=['x'])])
    loader = dict(dataset=wrapped)
    assert loader_data.window_span(loader) == 12
    assert loader_data.missing_data(loader) == ['a', 'b']
    loader_data.read_stores(loader, tmp_path)
    assert wrapped['datasets'][1] == dict(type='motionbert_mm.MotionDataset', data_root=str(tmp_path),
                                          window=dict(num_frames=9))
    assert loader_data.missing_data(loader) == []


def test_repeated_store_holds_the_clips_again_and_again(store, tmp_path):
    source = MotionStore(store)
    size = loader_memory.repeat_store(store, tmp_path / 'big', arrays=['keypoints_3d'], num_bytes=50_000)
    big = MotionStore(tmp_path / 'big')
    assert list(big.arrays) == ['keypoints_3d']
    assert size == big.arrays['keypoints_3d'].nbytes
    assert 50_000 <= size < 50_000 + 15 * JOINTS * 3 * 4
    np.testing.assert_array_equal(big.arrays['keypoints_3d'][120:240], source.arrays['keypoints_3d'])


@pytest.mark.skipif(not Path('/proc/self/status').is_file(), reason='reads /proc')
def test_memory_of_a_process_counts_its_own_arrays():
    gc.collect()  # what other tests left must not be freed in between
    # Pages of its own: malloc may serve an array from memory that other tests gave back.
    pages = mmap.mmap(-1, 128_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    before = loader_memory.memory_of(os.getpid())
    np.frombuffer(pages, np.uint8)[:] = 1
    after = loader_memory.memory_of(os.getpid())
    assert after['RssAnon'] - before['RssAnon'] == pytest.approx(len(pages), rel=0.25)
    assert loader_memory.memory_of(2 ** 30) == {}


@pytest.mark.skipif(not Path('/proc/self/status').is_file(), reason='reads /proc')
def test_memory_is_compared_for_one_and_ten_times_the_data(tmp_path, capsys, monkeypatch):
    run = subprocess.run

    def run_here(command, **options):
        if '--probe' not in command:  # Python's platform module runs programs too
            return run(command, **options)
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            benchmark.main(command[2:])
        return subprocess.CompletedProcess(command, 0, stdout=stdout.getvalue())

    monkeypatch.setattr(loader_data, 'CLIP_FRAMES', 2 * FRAMES)
    monkeypatch.setattr(loader_memory.subprocess, 'run', run_here)
    benchmark.main([write_config(tmp_path, tiny_config()), '--device', 'cpu', '--memory', '--memory-mb', '0.02',
                    '--num-workers', '0'])
    clip = 2 * FRAMES * JOINTS * (3 + 2 + 1) * 4  # bytes of one clip: 3D, detections, confidence; two windows
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-3:-1]]
    assert [int(row[3]) for row in rows] == [2 * -(-20_000 // clip), 2 * -(-200_000 // clip)]
    assert all(float(value) > 0 for row in rows for value in row[4:])


def write_log(work_dir, timestamp, records):
    path = work_dir / timestamp / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(f'{json.dumps(record)}\n' for record in records), encoding='utf-8')


def training(step, loss, epoch=1):
    return {'loss': loss, 'pose.loss_mpjpe': loss / 2, 'lr': 1e-3, 'epoch': epoch, 'iter': step, 'step': step}


@pytest.fixture
def work_dir(tmp_path):
    """A run of 3 logged steps and a validation, resumed after the second step."""
    metric = {'MPJPE': 90.0, 'MPJPE/clip': 91.0, 'time': 1.0, 'step': 1}
    write_log(tmp_path / 'run', '20200101_000000', [training(10, 4.0), training(20, 3.0), training(30, 9.0), metric])
    write_log(tmp_path / 'run', '20200102_000000', [training(30, 2.0), {**metric, 'MPJPE': 80.0}])
    return tmp_path / 'run'


def test_resumed_run_replaces_what_it_repeats(work_dir):
    runs = [plot_curves.read_scalars(log) for log in plot_curves.find_logs(work_dir)]
    joined = plot_curves.join_runs(runs)
    assert [record.get('loss') for record in joined] == [4.0, 3.0, 2.0, None]
    assert joined[-1]['MPJPE'] == 80.0


def test_curves_are_chosen_by_pattern_and_details_left_out(work_dir):
    records = plot_curves.read_scalars(plot_curves.find_logs(work_dir)[0])
    assert set(plot_curves.choose_curves(records)[-1]) == {'MPJPE', 'time', 'step'}
    chosen = plot_curves.choose_curves(records, ['MPJPE/*'])
    assert set(chosen[-1]) == {'MPJPE/clip', 'time', 'step'}
    assert set(chosen[0]) == {'loss', 'lr', 'epoch', 'iter', 'step'}
    with pytest.raises(ValueError, match='no curve is called AUC; there are MPJPE, MPJPE/clip, loss'):
        plot_curves.choose_curves(records, ['AUC'])


def test_one_row_of_panels_per_log(work_dir, tmp_path, capsys):
    from matplotlib.image import imread
    file = work_dir / '20200101_000000' / 'vis_data' / 'scalars.json'
    plot_curves.main([str(work_dir), '--out', str(tmp_path / 'one.png')])
    plot_curves.main([str(work_dir), str(file), '--out', str(tmp_path / 'two.png')])
    one, two = imread(tmp_path / 'one.png'), imread(tmp_path / 'two.png')
    assert two.shape == (2 * one.shape[0], one.shape[1], 4)
    assert 'loss 2 at 30, pose.loss_mpjpe 1 at 30, MPJPE 80 at 30' in capsys.readouterr().out


@pytest.mark.parametrize(('name', 'message'), [('gone', 'does not exist'), ('', 'holds no TIMESTAMP/vis_data')])
def test_plot_curves_refuses_in_one_line(tmp_path, capsys, name, message):
    with pytest.raises(SystemExit) as stop:
        plot_curves.main([str(tmp_path / name), '--out', str(tmp_path / 'curves.png')])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert error.count('\n') == 1
    assert not (tmp_path / 'curves.png').exists()
