"""Official checkpoint -> ours -> official, bit for bit, in the library and through the command line."""
import numpy as np
import pytest
import torch
from mmengine.config import Config

from motionbert_mm.checkpoints.load import load_model, read_checkpoint
from motionbert_mm.checkpoints.official import MOTIONBERT_POSE, motionbert_model_config, rename_keys
from motionbert_mm.registry import MODELS, build
from tests.generated import ROOT, load_tool, run_tool
from tests.parity.official_model import load_official, make_model
from tests.parity.vectors import assert_identical, load_listing, load_vector

VECTORS = [f'mb_dstformer_{variant}' for variant in ('fuse', 'nofuse', 'short', 'eps', 'grad')] + ['mb_train_steps']
converter = load_tool('model_converters/motionbert.py')


def wrap(weights, container, prefix):
    """A file as train.py or a release writes it."""
    weights = {prefix + key: value for key, value in weights.items()}
    if container is None:
        return weights
    moments = {number: dict(step=torch.tensor(3.0), exp_avg=torch.randn(4)) for number in range(2)}
    optimizer = dict(state=moments, param_groups=[dict(lr=2e-4, betas=(0.9, 0.999), params=[0, 1])])
    # train.py leaves a numpy scalar; torch < 2.5 cannot be told to admit one.
    min_loss = np.float64(39.25) if hasattr(torch.serialization, 'safe_globals') else 39.25
    return dict(epoch=7, lr=1.9e-4, optimizer=optimizer, **{container: weights}, min_loss=min_loss)


@pytest.mark.parametrize('container', ['model_pos', None])
@pytest.mark.parametrize('prefix', ['module.', ''])
@pytest.mark.parametrize('name', VECTORS)
def test_round_trip_is_bit_identical(name, prefix, container, tmp_path):
    vector = load_vector(name)
    official = wrap(vector.state_dict, container, prefix)
    torch.save(official, tmp_path / 'official.bin')
    ours = converter.convert(read_checkpoint(tmp_path / 'official.bin'), num_heads=vector.meta['args']['num_heads'])
    torch.save(ours, tmp_path / 'ours.pth')
    plain = torch.load(tmp_path / 'ours.pth', weights_only=True)  # as MMEngine reads it
    assert_identical(converter.revert(plain), official)


@pytest.mark.parametrize('name', [name for name in VECTORS if name.endswith(('fuse', 'nofuse', 'short'))])
def test_a_converted_checkpoint_describes_its_model(name, tmp_path):
    vector = load_vector(name)
    args = vector.meta['args']
    ours = converter.convert(wrap(vector.state_dict, 'model_pos', 'module.'), num_heads=args['num_heads'])
    torch.save(ours, tmp_path / 'ours.pth')
    model, info = load_model(tmp_path / 'ours.pth', 'cpu')
    assert info['num_frames'] == args['maxlen'] and info['skeleton'] == 'h36m'
    assert info['input'] == [dict(type='NormalizeCoords', inputs='screen', target='image_space')]
    assert_identical(dict(model.state_dict()), dict(load_official(make_model(args), vector.state_dict).state_dict()))
    assert model.backbone.space_first[0]['spatial'].attn.num_heads == args['num_heads']


def test_the_command_line_converts_both_ways(tmp_path):
    vector = load_vector('mb_dstformer_fuse')
    official = wrap(vector.state_dict, 'model_pos', 'module.')
    torch.save(official, tmp_path / 'official.bin')
    tool = 'model_converters/motionbert.py'
    forth = run_tool(tool, tmp_path / 'official.bin', tmp_path / 'ours.pth',
                     '--num-heads', vector.meta['args']['num_heads'])
    assert forth.returncode == 0, forth.stderr
    count = sum(value.numel() for value in vector.state_dict.values())
    assert f'{len(vector.state_dict)} tensors, {count:,} parameters, all matched' in forth.stdout
    back = run_tool(tool, tmp_path / 'ours.pth', tmp_path / 'back.bin', '--reverse')
    assert back.returncode == 0, back.stderr
    assert_identical(read_checkpoint(tmp_path / 'back.bin'), official)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['back.bin', 'official.bin', 'ours.pth']


def test_our_own_checkpoint_becomes_an_official_one():
    vector = load_vector('mb_dstformer_fuse')
    ours = converter.convert(wrap(vector.state_dict, None, ''), num_heads=vector.meta['args']['num_heads'])
    del ours['meta']['official']  # a run of our own started from it
    assert_identical(converter.revert(ours), dict(model_pos={f'module.{key}': value
                                                             for key, value in vector.state_dict.items()}))


@pytest.mark.parametrize('change, message', [
    (lambda weights: weights.pop('norm.weight'), r'1 entries missing, e.g. backbone.norm.weight'),
    (lambda weights: weights.update(extra=torch.zeros(1)), r"1 official keys without a counterpart \['extra'\]"),
    (lambda weights: weights.update({'norm.bias': torch.zeros(5)}), r'1 entries of another shape.*\(5,\)'),
    (lambda weights: weights.pop('joints_embed.weight'), 'no MotionBERT pose, action or mesh model found'),
])
def test_conversion_is_strict(change, message):
    vector = load_vector('mb_dstformer_fuse')
    weights = dict(vector.state_dict)
    change(weights)
    with pytest.raises(ValueError, match=message):
        converter.convert(dict(model_pos=weights), num_heads=vector.meta['args']['num_heads'])


def test_other_models_do_not_become_official_ones():
    weights = {'backbone.embed.weight': torch.zeros(1), 'heads.action.fc.weight': torch.zeros(1)}
    with pytest.raises(ValueError, match=r"1 weights have no place in the official pose model: \['heads.action.fc.wei"):
        converter.revert(dict(state_dict=weights))
    with pytest.raises(ValueError, match='expected a checkpoint of this package with state_dict'):
        converter.revert(dict(model_pos={}))


@pytest.mark.parametrize('dim, hidden', [(16, 24), (88, 120), (32, 85)])
def test_the_width_of_the_mlp_is_read_off_exactly(dim, hidden):
    backbone = dict(type='DSTformer', dim=dim, depth=1, mlp_ratio=(hidden + 0.5) / dim)
    model = build(MODELS, dict(type='MotionModel', backbone=backbone, heads=dict(pose=dict(type='PoseLiftHead')),
                               neck=dict(type='RepresentationLayer', out_channels=8)))
    weights, _ = rename_keys(model.state_dict(), MOTIONBERT_POSE, reverse=True)
    assert weights['blocks_st.0.mlp_s.fc1.weight'].shape == (hidden, dim)
    assert converter.convert(weights)['state_dict'].keys() == model.state_dict().keys()


@pytest.mark.parametrize('name, config', [('pretrain/MB_pretrain', 'dstformer_base'),
                                          ('pretrain/MB_lite', 'dstformer_lite')])
def test_full_size_models_have_the_official_names_and_shapes(name, config):
    listing = load_listing('mb_fullsize_statedict')[name]
    with torch.device('meta'):
        model = build(MODELS, Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / f'{config}.py').model)
    ours, unmatched = rename_keys(model.state_dict(), MOTIONBERT_POSE, reverse=True)
    assert unmatched == []
    assert {key: list(value.shape) for key, value in ours.items()} == listing['state_dict']
    assert sum(value.numel() for value in ours.values()) == listing['parameters']
    assert len(ours) == listing['tensors']
    shapes = {key: torch.empty(shape, device='meta') for key, shape in listing['state_dict'].items()}
    sizes = motionbert_model_config(shapes)
    assert {key: sizes['backbone'][key] for key in ('dim', 'depth', 'max_frames', 'mlp_ratio', 'use_fusion')} == dict(
        dim=listing['config']['dim_feat'], depth=listing['config']['depth'], max_frames=listing['config']['maxlen'],
        mlp_ratio=listing['config']['mlp_ratio'], use_fusion=listing['config']['att_fuse'])
