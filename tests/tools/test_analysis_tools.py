import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from motionbert_mm.registry import MODELS, build

ROOT = Path(__file__).parents[2]
JOINTS, FRAMES, DIM, HEADS, HIDDEN = 17, 5, 8, 2, 16


def load_tool(name):
    spec = importlib.util.spec_from_file_location(f'analysis_{name}', ROOT / 'tools/analysis_tools' / f'{name}.py')
    tool = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = tool  # dataclasses look their module up
    spec.loader.exec_module(tool)
    return tool


get_flops, plot_curves = map(load_tool, ('get_flops', 'plot_curves'))


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
