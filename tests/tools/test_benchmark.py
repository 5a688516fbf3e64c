import contextlib
import gc
import io
import json
import mmap
import multiprocessing
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import benchmark
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import benchmark_flops
import benchmark_report
import benchmark_runner
import benchmark_steps
import benchmark_timing
import loader_data
import loader_memory
from benchmark_steps import Options
from benchmark_timing import Speed
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.synthetic import write_store
from motionbert_mm.layers import attention
from motionbert_mm.layers.kernels import is_plain, plain_kernels
from motionbert_mm.registry import HOOKS

JOINTS, FRAMES, DIM, HEADS, HIDDEN = 17, 5, 8, 2, 16
QUICK = ['--device', 'cpu', '--steps', '1', '--runs', '1']
FEW = Options(runs=2, steps=2)


def tiny_config(data_root='nowhere', frames=FRAMES):
    return Config(dict(
        default_scope='motionbert_mm',
        model=dict(type='MotionModel', skeleton='h36m', flip_test=True,
                   backbone=dict(type='DSTformer', max_frames=100, dim=DIM, depth=1, num_heads=HEADS,
                                 mlp_ratio=HIDDEN / DIM),
                   neck=dict(type='RepresentationLayer', out_channels=6),
                   heads=dict(pose=dict(type='PoseLiftHead', losses=[dict(type='MPJPELoss')]))),
        train_dataloader=dict(
            batch_size=4, num_workers=0, sampler=dict(type='ResumableSampler', shuffle=True),
            collate_fn=dict(type='motionbert_mm.collate_batch'),
            dataset=dict(type='MotionDataset', data_root=str(data_root), window=dict(num_frames=frames),
                         pipeline=[dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['target_3d'])])),
        train_cfg=dict(type='ResumableEpochLoop', max_epochs=100),
        optim_wrapper=dict(constructor='MotionOptimConstructor', optimizer=dict(type='AdamW', lr=1e-2))))


def write_config(folder, config):
    path = folder / 'config.json'
    path.write_text(json.dumps(config.to_dict()), encoding='utf-8')
    return str(path)


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp('benchmark') / 'store'
    write_store(path, num_clips=2, num_frames=15)  # 8 clips of 3 windows
    return path


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """Leave the allocator and the clock of matrix products alone; note what is called."""
    noted = []
    monkeypatch.setattr(benchmark, 'keep_freed_memory', lambda: noted.append('keep_freed_memory'))
    monkeypatch.setattr(benchmark_timing, 'CPU_SIZES', (64, 32))
    monkeypatch.setattr(benchmark_timing, 'SLOW_SIZE', 16)
    monkeypatch.setattr(benchmark_timing, 'MATRIX_SECONDS', 0.001)
    return noted


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test turns."""
    now = {'now': 0.0}
    monkeypatch.setattr(benchmark_timing.time, 'perf_counter', lambda: now['now'])
    return now


def scope():
    return DefaultScope.overwrite_default_scope('motionbert_mm')


def batch_of(config):
    with scope():
        return benchmark_steps.first_batch(config.train_dataloader)


# --- Clocks ---


def test_timed_divides_clips_by_seconds(clock):
    def step():
        clock['now'] += 0.5
        return 4

    assert benchmark_timing.timed(step, steps=5) == 8.0
    assert clock['now'] == 2.5


def test_a_run_of_slow_batches_ends_early(clock):
    def step():
        clock['now'] += 5.0
        return 10

    assert benchmark_timing.timed(step, steps=100) == 2.0
    assert clock['now'] == 10.0


def test_runs_are_compared_with_their_neighbours_in_time():
    order = []

    def make(name, values):
        values = iter(values)
        return lambda: order.append(name) or next(values)

    rates, around = benchmark_timing.interleave(make('run', [5, 6]), [make('a', [1, 3, 9]), make('b', [0, 4, 4])],
                                                runs=2)
    assert ''.join(name[0] for name in order) == 'abrabrab'
    assert rates == (5, 6)
    assert around == [(2, 6), (2, 4)]
    assert benchmark_timing.interleave(make('run', [5]), [], runs=1) == ((5,), [])


def test_matrix_product_counts_the_best_repetition(clock, monkeypatch):
    product = benchmark_timing.MatrixProduct('cpu', torch.float32)
    assert product.size == 64  # no time at all
    seconds = iter([3.0, 1.0, 2.0, 50.0])

    def wait(device):
        waits.append(device)
        clock['now'] += next(seconds) if len(waits) % 2 == 0 else 100.0

    waits = []
    monkeypatch.setattr(benchmark_timing, 'wait_for', wait)
    assert product.rate() == 2 * 64 ** 3 / 1.0
    assert len(waits) == 6


@pytest.mark.parametrize(('second', 'size'), [(1e-6, 4096), (0.1, 2048), (1.0, 1024)])
def test_matrix_product_is_smaller_on_slow_machines(monkeypatch, second, size):
    monkeypatch.undo()
    monkeypatch.setattr(benchmark_timing.MatrixProduct, '_seconds', lambda *_: second)
    assert benchmark_timing.MatrixProduct('cpu', torch.float32).size == size


def test_shares_are_by_run_and_comparison_leaves_drift_out():
    slow = Speed('infer', (2, 1, 3, 17, 3), (10.0, 30.0, 20.0), flops=4.0, matrix=(80.0, 160.0, 160.0),
                 yardstick=(80.0, 160.0, 160.0))
    fast = replace(slow, clips=tuple(clips / 2 for clips in slow.clips), yardstick=(20.0, 40.0, 40.0))
    assert slow.median == 20.0
    assert slow.shares == (0.5, 0.75, 0.5)
    job = benchmark_report.Job('c.py', Config(), speeds=dict(infer=fast), baseline=dict(infer=slow))
    assert job.times_baseline('infer') == 2.0
    assert job.times_baseline('train') is None
    line = benchmark_report.format_speed(slow, 'infer', times=2.0).split()
    assert line == ['infer', '20', '60', '8e-08', '1.6e-07', '50.0%', '(10', '-', '30)', '-', '2.00']


# --- Operations ---


def operations_by_hand(frames):
    """Return the operations of a forward and of a training step of the tiny model, one clip, by the closed formula."""
    tokens = frames * JOINTS
    # q, k and v, output projection, MLP; two products of attention over the joints or the frames.
    layers = 2 * sum(2 * tokens * (3 * DIM * DIM + DIM * DIM + 2 * DIM * HIDDEN) + 4 * tokens * length * DIM
                     for length in (JOINTS, frames))
    embed, fusion = 2 * tokens * 3 * DIM, 2 * tokens * 2 * DIM
    forward = embed + layers + fusion + 2 * tokens * DIM * 6 + 2 * tokens * 6 * 3
    # Two products for each of the forward pass; but the poses want no gradient.
    return forward, 3 * forward - embed


@pytest.mark.parametrize('frames', [FRAMES, 70])
@pytest.mark.parametrize('is_meta', [True, False])
@pytest.mark.parametrize('is_training', [False, True])
def test_operations_of_a_step_equal_a_hand_count(tmp_path, monkeypatch, frames, is_meta, is_training):
    write_store(tmp_path / 'store', num_clips=1, num_frames=2 * frames)
    config = tiny_config(tmp_path / 'store', frames)
    batch, devices = batch_of(config), []
    count = benchmark_flops._count

    def counted(model, *args):
        devices.append(next(model.parameters()).device.type)
        if devices == ['meta'] and not is_meta:
            raise NotImplementedError('no values on meta')
        return count(model, *args)

    monkeypatch.setattr(benchmark_flops, '_count', counted)
    expected = operations_by_hand(frames)[is_training]
    assert benchmark_flops.count_step(config, batch, is_training=is_training) == 4 * expected
    assert devices == (['meta'] if is_meta else ['meta', 'cpu'])


def test_operations_do_not_depend_on_how_the_network_is_computed(store):
    config = tiny_config(store)
    batch = batch_of(config)
    config.model.compile = True
    config.activation_checkpointing = ['backbone']
    with torch.autocast('cpu', torch.bfloat16):
        assert benchmark_flops.count_step(config, batch, is_training=True) == 4 * operations_by_hand(FRAMES)[1]
    assert config.model.compile  # the config stays


# --- Parts ---


def test_every_part_of_a_config_is_measured(store):
    options = replace(FEW, parts=benchmark_steps.PARTS)
    speeds = list(benchmark_steps.measure_config(tiny_config(store), options))
    assert [speed.part for speed in speeds] == ['loader', 'infer', 'train', 'end2end']
    forward, both = operations_by_hand(FRAMES)
    assert [speed.flops for speed in speeds] == [None, forward, both, both]
    assert options.counted == dict(infer=forward, train=both)
    for speed in speeds:
        assert speed.shape == (4, 1, FRAMES, JOINTS, 3)
        assert len(speed.clips) == 2
        assert min(speed.clips) > 0
        assert len(speed.matrix) == len(speed.shares) == len(speed.yardstick) == 2 * (speed.part != 'loader')
        assert len(speed.shares_alone) == 2 * (speed.part == 'end2end')
        assert speed.memory is None or speed.memory > 1e7
        assert speed.device_memory is None


def test_steps_run_the_network_once_and_only_training_changes_it(store):
    config = tiny_config(store)
    with scope():
        steps = benchmark_steps.ModelSteps(config, batch_of(config), FEW)
    passes, changed = [], []
    steps.model.backbone.register_forward_hook(lambda *_: passes.append(steps.model.training))
    for step in (steps.infer, steps.train):
        before = steps.model.backbone.embed.weight.detach().clone()
        assert step() == 4
        changed.append(not torch.equal(before, steps.model.backbone.embed.weight))
    assert passes == [False, True]
    assert changed == [False, True]


@pytest.mark.parametrize('amp', [False, True])
def test_models_run_in_the_precision_that_is_asked_for(store, amp):
    config = tiny_config(store)
    config.optim_wrapper.type = 'AmpOptimWrapper' if not amp else 'OptimWrapper'
    config.optim_wrapper.loss_scale = 'dynamic'
    with scope():
        steps = benchmark_steps.ModelSteps(benchmark_steps.tuned(config, amp=amp), batch_of(config),
                                           replace(FEW, amp=amp))
    types = []
    steps.model.backbone.embed.register_forward_hook(lambda _, inputs, output: types.append(output.dtype))
    steps.infer()
    steps.train()
    assert types == [torch.bfloat16 if amp else torch.float32] * 2


def test_untuned_config_is_plain_and_tuned_one_is_compiled(store):
    config = tiny_config(store)
    config.merge_from_dict(dict(activation_checkpointing=['backbone'], float32_matmul_precision='medium'))
    config.model.compile = False
    config.optim_wrapper.optimizer.fused = True
    plain, tuned = benchmark_steps.untuned(config), benchmark_steps.tuned(config, is_compiled=True)
    assert 'activation_checkpointing' not in plain
    assert 'float32_matmul_precision' not in plain
    assert 'compile' not in plain.model
    assert plain.optim_wrapper.optimizer == dict(type='AdamW', lr=1e-2)
    assert tuned.model.compile
    assert tuned.optim_wrapper == config.optim_wrapper
    assert config.model.compile is False


@pytest.mark.parametrize('is_baseline', [False, True])
def test_baseline_runs_plain_attention(store, monkeypatch, is_baseline):
    seen = []
    for used in (attention.attend, attention.mix_short):
        monkeypatch.setattr(attention, used.__name__, lambda *args, used=used, **kwargs:
                            seen.append((used.__name__, is_plain())) or used(*args, **kwargs))
    options = replace(FEW, parts=('infer',), is_baseline=is_baseline, counted=dict(infer=1.0))
    list(benchmark_steps.measure_config(tiny_config(store), options))
    assert set(seen) == {('attend', True) if is_baseline else ('mix_short', False)}
    assert not is_plain()


def test_plain_attention_equals_the_fused_one(monkeypatch):
    query, key, value = torch.rand(3, 2, HEADS, 70, DIM)
    fused = attention.attend(query, key, value)
    monkeypatch.setattr(attention.F, 'scaled_dot_product_attention', None)
    with plain_kernels():
        torch.testing.assert_close(attention.attend(query, key, value), fused)


@pytest.mark.parametrize(('key', 'part'), [('model', 'infer'), ('optim_wrapper', 'train'), ('train_cfg', 'end2end')])
def test_measuring_needs_the_entries_of_its_part(store, key, part):
    config = tiny_config(store)
    config.pop(key)
    with pytest.raises(ValueError, match=f'no {key}, which {part} needs'):
        list(benchmark_steps.measure_config(config, replace(FEW, parts=(part,))))
    assert next(benchmark_steps.measure_config(config, replace(FEW, parts=('loader',)))).part == 'loader'


def test_endless_loader_gives_epochs_one_after_the_other(store):
    with DefaultScope.overwrite_default_scope('motionbert_mm'):
        loader = Runner.build_dataloader(tiny_config(store).train_dataloader, seed=0)
    stream = benchmark_steps.endless(loader)
    epochs = [[tuple(name) for name in (next(stream)['data_samples'].sample_id for _ in range(len(loader)))]
              for _ in range(2)]
    assert len(loader) == 6
    assert epochs[0] != epochs[1]
    assert sorted(sum(epochs[0], ())) == sorted(sum(epochs[1], ()))


# --- Real training ---


class FakeRunner:
    """Turns the clock as a training would."""

    def __init__(self, timer, clock, seconds):
        self.timer, self.clock, self.seconds = timer, clock, seconds

    def train(self):
        for number, seconds in enumerate(self.seconds):
            self.clock['now'] += seconds
            self.timer.after_train_iter(self, number, dict(inputs=[0] * 4))
        self.timer.after_train_epoch(self)


def test_first_iterations_are_left_out(clock):
    timer = benchmark_runner.StretchTimer(3, workers=1)
    with pytest.raises(benchmark_runner.StretchEnd):
        FakeRunner(timer, clock, [60.0, 5.0, 5.0, 1.0, 2.0, 1.0, 99.0]).train()
    assert timer.rate == 3 * 4 / 4.0
    assert timer.done == 6


@pytest.mark.parametrize(('seconds', 'rate'), [
    ([1.0, 1.0, 2.0], 2.0),  # the end of an epoch
    ([60.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0], 4 / 6.0)])  # slow
def test_stretches_end_with_the_epoch_or_when_they_take_long(clock, seconds, rate):
    timer = benchmark_runner.StretchTimer(20, workers=0 if len(seconds) == 3 else 9)
    with pytest.raises(benchmark_runner.StretchEnd):
        FakeRunner(timer, clock, seconds).train()
    assert timer.rate == pytest.approx(rate)
    assert timer.done < 7


def test_an_epoch_of_too_few_batches_is_refused(clock):
    with pytest.raises(ValueError, match='the first epoch has 2 batches, but 3 are the least'):
        FakeRunner(benchmark_runner.StretchTimer(3), clock, [1.0, 1.0]).train()


def test_training_is_that_of_the_runner_but_leaves_nothing_behind(store, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    seen = []

    @HOOKS.register_module(name='NoteForBenchmark', force=True)
    class Note(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            seen.append((runner.work_dir, len(multiprocessing.active_children())))

    config = tiny_config(store)
    config.train_dataloader = loader_data.with_workers(config.train_dataloader, 1)
    config.merge_from_dict(dict(
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False)),
        custom_hooks=[dict(type='NoteForBenchmark'), dict(type='CheckpointHook', interval=1, by_epoch=False)],
        val_dataloader=config.train_dataloader, val_cfg=dict(type='ValLoop'), val_evaluator=dict(type='nothing'),
        load_from='nowhere.pth'))
    assert benchmark_runner.runner_speed(config, iterations=2, device='cpu') > 0
    assert [workers for _, workers in seen] == [1] * 5
    assert not os.path.exists(seen[0][0])
    assert not multiprocessing.active_children()
    assert os.listdir(tmp_path) == []
    assert 'INFO' not in ''.join(capfd.readouterr())
    assert config.load_from == 'nowhere.pth'


def test_a_larger_store_is_made_where_an_epoch_would_be_too_short(tmp_path, monkeypatch):
    monkeypatch.setattr(loader_data, 'CLIP_FRAMES', 2 * FRAMES)
    monkeypatch.setattr(benchmark, 'SMALL_STORE', 1)
    args = benchmark.parse_args(['c.py', '--device', 'cpu', '--synthetic', '--what', 'end2end', '--steps', '5'])
    job = benchmark_report.Job('c.py', tiny_config())
    assert benchmark_steps.PARTS[-1] in args.what
    benchmark.find_data(args, job, tmp_path)
    assert benchmark.num_batches(job.config) >= 2 + 5


# --- Command line ---


def test_missing_data_are_refused_or_replaced_by_generated_motion(tmp_path, capsys, monkeypatch):
    path = write_config(tmp_path, tiny_config(tmp_path / 'nowhere'))
    options = [*QUICK, '--what', 'loader', '--batch', '3']
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
    benchmark.main([write_config(tmp_path, tiny_config(store)), *QUICK, '--what', 'loader', '--synthetic'])
    assert 'generated motion' not in capsys.readouterr().out


def test_baseline_comes_first_and_everything_is_written(store, tmp_path, capsys, monkeypatch, calls):
    measure = benchmark.measure_config

    def measured(config, options):
        calls.append((options.parts, options.is_baseline, options.amp, config.optim_wrapper.get('type')))
        return measure(config, options)

    monkeypatch.setattr(benchmark, 'measure_config', measured)
    path, out = write_config(tmp_path, tiny_config(store)), tmp_path / 'new' / 'out.json'
    benchmark.main([path, *QUICK, '--what', 'infer,end2end', '--amp', '--baseline', '--json', str(out)])
    assert calls == [(('infer', 'train'), True, False, None), 'keep_freed_memory',
                     (('infer', 'end2end'), False, True, 'BFloat16OptimWrapper')]
    printed = capsys.readouterr().out
    names = [line.split('  ')[0] for line in printed.splitlines()]
    assert [name for name in names if name in ('baseline infer', 'baseline train', 'infer', 'end2end')] == [
        'baseline infer', 'baseline train', 'infer', 'end2end']
    assert 'of the speed of train alone' in printed
    document = json.loads(out.read_text())
    assert document['command'][1:3] == [path, '--device']
    assert document['precision'] == 'bf16'
    assert document['versions']['torch'] == torch.__version__
    config, = document['configs']
    assert set(config['parts']) == {'infer', 'end2end'}
    assert set(config['baseline']) == {'infer', 'train'}
    row = config['parts']['infer']
    assert config['times_baseline']['infer'] == pytest.approx(
        row['clips'][0] / row['yardstick'][0] / config['baseline']['infer']['clips'][0]
        * config['baseline']['infer']['yardstick'][0])
    assert row['shares'] == pytest.approx([row['flops'] * row['clips'][0] / row['matrix'][0]])


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--batch', '0'], '--batch'), (['--steps', 'x'], '--steps'), (['--device', 'abacus'], '--device'),
    (['--what', 'sleep'], "'sleep' is none of loader, infer, train, end2end"), (['--amp', 'fp8'], '--amp'),
    (['--baseline', '--what', 'loader'], '--baseline is for infer'), (['--json', '.'], '--json . is a folder'),
    (['--memory', '--what', 'infer'], 'got --what infer'), (['--memory', '--baseline'], '--memory goes neither')])
def test_benchmark_refuses_bad_options(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        benchmark.main(['config.py', '--device', 'cpu', *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_later_config_with_an_error_ends_the_tool_before_it_measures(store, tmp_path, capsys):
    path = write_config(tmp_path, tiny_config(store))
    with pytest.raises(SystemExit) as stop:
        benchmark.main([path, str(tmp_path / 'gone.py'), *QUICK])
    printed = capsys.readouterr()
    assert stop.value.code == 2
    assert printed.err.count('\n') == 1
    assert 'gone.py does not exist' in printed.err
    assert 'loader' not in printed.out


# --- Data and memory ---


def test_no_worker_options_without_workers():
    config = dict(batch_size=2, num_workers=3, persistent_workers=True, prefetch_factor=4)
    assert loader_data.with_workers(config, 0) == dict(batch_size=2, num_workers=0)
    assert loader_data.with_workers(config, 1) == dict(config, num_workers=1)


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


@pytest.fixture
def probes_here(monkeypatch):
    """Run the processes of --memory in this one."""
    run = subprocess.run

    def run_here(command, **options):
        if '--probe' not in command:  # Python's platform module runs programs too
            return run(command, **options)
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            benchmark.main(command[2:])
        return subprocess.CompletedProcess(command, 0, stdout=stdout.getvalue())

    monkeypatch.setattr(loader_data, 'CLIP_FRAMES', 2 * FRAMES)
    monkeypatch.setattr(loader_memory.subprocess, 'run', run_here)


@pytest.mark.skipif(not Path('/proc/self/status').is_file(), reason='reads /proc')
def test_memory_is_compared_for_one_and_ten_times_the_data(tmp_path, capsys, probes_here):
    benchmark.main([write_config(tmp_path, tiny_config()), '--device', 'cpu', '--memory', '--memory-mb', '0.02',
                    '--num-workers', '0'])
    clip = 2 * FRAMES * JOINTS * (3 + 2 + 1) * 4  # bytes of one clip: 3D, detections, confidence; two windows
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-4:-2]]
    assert [int(row[3]) for row in rows] == [2 * -(-20_000 // clip), 2 * -(-200_000 // clip)]
    assert all(float(value) > 0 for row in rows for value in row[4:])


@pytest.mark.skipif(not Path('/proc/self/status').is_file(), reason='reads /proc')
def test_memory_of_training_is_compared_after_as_many_steps(tmp_path, capsys, probes_here, calls):
    benchmark.main([write_config(tmp_path, tiny_config()), '--device', 'cpu', '--memory', '--memory-mb', '0.02',
                    '--steps', '3', '--what', 'train'])
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines[-4:-2]]
    assert [int(row[3]) for row in rows] == [4 + 4 + 2, 3 * 4]  # an epoch of the smaller one has 10 clips
    peaks = [float(row[4]) for row in rows]
    assert lines[-1].split()[0] == f'{peaks[1] / peaks[0] - 1:+.1%}'
    assert len(calls) == 3  # the allocator is set where it trains, too


def test_larger_data_add_megabytes_and_percent():
    rows = [dict(clips=4, peak=200_000_000, anonymous=100_000_000, mapped=0),
            dict(clips=40, peak=250_000_000, anonymous=100_000_000, mapped=50_000_000)]
    lines = [line.split() for line in loader_memory.format_memory([10_000_000, 100_000_000], 2, rows).splitlines()]
    assert lines[1] == ['100', 'MB', '2', '40', '250.0', '100.0', '50.0']
    assert lines[2] == ['+90', 'MB', 'adds', '+50.0', '+0.0', '+50.0']
    assert lines[3] == ['+25.0%', '+0.0%', '+0.0%']
