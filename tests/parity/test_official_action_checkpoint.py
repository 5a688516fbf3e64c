"""Official action checkpoint -> ours -> official, bit for bit, in the library and through the command line."""
import numpy as np
import pytest
import torch

from motionbert_mm.checkpoints.load import META_KEY, load_model, read_checkpoint
from motionbert_mm.checkpoints.official_motionbert import class_model_config, embedding_model_config
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.ntu_classes import class_names
from motionbert_mm.registry import MODELS, TRANSFORMS, build
from tests.generated import load_tool, run_tool
from tests.parity.official_model import load_official_action, make_action_model
from tests.parity.vectors import assert_identical, load_listing, load_vector

VECTORS = dict(action='mb_action_class', embed='mb_action_embed')  # by the name of our head
CONFIGS = dict(action=class_model_config, embed=embedding_model_config)
UNUSED = ('backbone.head.weight', 'backbone.head.bias')
TOOL = 'model_converters/motionbert.py'
converter = load_tool(TOOL)


def wrap(weights, prefix='module.'):
    """A file as train_action.py writes it."""
    weights = {prefix + key: value for key, value in weights.items()}
    moments = {number: dict(step=torch.tensor(3.0), exp_avg=torch.randn(4)) for number in range(2)}
    groups = [dict(lr=lr, betas=(0.9, 0.999), params=[number]) for number, lr in enumerate((1e-4, 1e-3))]
    return dict(epoch=7, lr=[1e-4, 1e-3], optimizer=dict(state=moments, param_groups=groups), model=weights,
                best_acc=torch.tensor([86.5]))


def convert(name, **changes):
    """Our checkpoint of an official file with the weights of a vector."""
    vector = load_vector(name)
    weights = {**vector.state_dict, **changes}
    return converter.convert(wrap(weights), num_heads=vector.meta['args']['num_heads'])


@pytest.mark.parametrize('prefix', ['module.', ''])
@pytest.mark.parametrize('name', VECTORS.values())
def test_round_trip_is_bit_identical(name, prefix, tmp_path):
    vector = load_vector(name)
    official = wrap(vector.state_dict, prefix)
    torch.save(official, tmp_path / 'official.bin')
    ours = converter.convert(read_checkpoint(tmp_path / 'official.bin'), num_heads=vector.meta['args']['num_heads'])
    torch.save(ours, tmp_path / 'ours.pth')
    plain = torch.load(tmp_path / 'ours.pth', weights_only=True)  # as MMEngine reads it
    assert not set(UNUSED) & set(plain['state_dict'])
    assert_identical(converter.revert(plain), official)


@pytest.mark.parametrize('name', VECTORS.values())
def test_weights_without_a_container_come_back_as_they_were(name):
    vector = load_vector(name)
    ours = converter.convert(dict(vector.state_dict), num_heads=vector.meta['args']['num_heads'])
    assert_identical(converter.revert(ours), dict(vector.state_dict))


@pytest.mark.parametrize('head', VECTORS)
def test_a_converted_checkpoint_describes_its_model(head, tmp_path):
    vector, args = load_vector(VECTORS[head]), load_vector(VECTORS[head]).meta['args']
    torch.save(convert(VECTORS[head]), tmp_path / 'ours.pth')
    model, info = load_model(tmp_path / 'ours.pth', 'cpu')
    expected = load_official_action(make_action_model(args), vector.state_dict)
    assert_identical(dict(model.state_dict()), dict(expected.state_dict()))
    assert list(model.heads) == [head] and model.heads[head].drop.p == dict(action=0.5, embed=0.1)[head]
    assert model.backbone.space_first[0]['spatial'].attn.num_heads == args['num_heads']
    assert info['num_frames'] == dict(action=args['maxlen'], embed=min(args['maxlen'], 100))[head]
    assert info['num_persons'] == 2
    names = [f'class_{number}' for number in range(args['action']['num_classes'])]
    assert info['classes'] == (names if head == 'action' else None)


@pytest.mark.parametrize('num_classes, seconds', [(60, 2.3), (120, 2.3), (61, None)])
def test_the_classes_of_ntu_have_names(num_classes, seconds):
    weights = load_vector('mb_action_class').state_dict
    changes = {key: weights[key][:1].expand(num_classes, *weights[key].shape[1:]).clone()
               for key in ('head.fc2.weight', 'head.fc2.bias')}
    description = convert('mb_action_class', **changes)['meta'][META_KEY]
    names = list(class_names(num_classes)) if seconds else [f'class_{number}' for number in range(num_classes)]
    assert description['classes'] == names and len(names) == num_classes
    assert description.get('window_seconds') == seconds


@pytest.mark.parametrize('frames, expected', [(243, 100), (60, 60)])
def test_one_shot_windows_are_those_of_the_official_protocol(frames, expected):
    positions = load_vector('mb_action_embed').state_dict['backbone.temp_embed']
    ours = convert('mb_action_embed', **{'backbone.temp_embed': positions[:, :1].expand(1, frames, 1, -1).clone()})
    assert ours['meta'][META_KEY]['window'] == dict(kind='resample', num_frames=expected)
    assert ours['meta'][META_KEY]['model']['backbone']['max_frames'] == frames


@pytest.mark.parametrize('head', VECTORS)
def test_the_pipeline_of_a_converted_checkpoint_feeds_its_model(head, tmp_path):
    torch.save(convert(VECTORS[head]), tmp_path / 'ours.pth')
    model, info = load_model(tmp_path / 'ours.pth', 'cpu')
    rng, shape = np.random.default_rng(0), (3, info['num_persons'], info['num_frames'], 17)
    results = dict(keypoints_2d=rng.uniform(0, 1000, (*shape, 2)).astype(np.float32), label=np.array([0, 1, 2]),
                   confidence=np.ones(shape, np.float32), visible=np.ones(shape, bool), skeleton='coco17',
                   image_size=np.tile(np.float32([1920, 1080]), (3, 1)), sample_id=['a', 'b', 'c'],
                   frame_ids=np.tile(np.arange(shape[2]), (3, 1)), fps=np.full(3, 30.0))
    for step in read_checkpoint(tmp_path / 'ours.pth')['meta'][META_KEY]['pipeline']:
        results = build(TRANSFORMS, step)(results, rng)
    batch = collate_batch(results)
    assert batch['data_samples'].label.tolist() == [0, 1, 2]
    assert batch['inputs'].shape == (*shape, 3)
    # crop_range 2: persons lie in a square of twice their size.
    assert batch['inputs'][..., :2].flatten(1).abs().max(dim=1).values == pytest.approx([0.5] * 3, abs=0.01)
    field = dict(action='scores', embed='embedding')[head]
    predictions = torch.stack([sample.get(field) for sample in model(**batch, mode='predict')])
    assert torch.isfinite(predictions).all()
    torch.testing.assert_close(predictions.norm(dim=-1, p=dict(action=1, embed=2)[head]), torch.ones(3))


def test_the_command_line_converts_both_ways(tmp_path):
    vector = load_vector('mb_action_class')
    official = wrap(vector.state_dict)
    torch.save(official, tmp_path / 'official.bin')
    forth = run_tool(TOOL, tmp_path / 'official.bin', tmp_path / 'ours.pth',
                     '--num-heads', vector.meta['args']['num_heads'])
    assert forth.returncode == 0, forth.stderr
    count = sum(value.numel() for key, value in vector.state_dict.items()
                if key not in UNUSED and 'running' not in key and 'tracked' not in key)
    assert f'{len(vector.state_dict) - len(UNUSED)} tensors, {count:,} parameters, all matched' in forth.stdout
    back = run_tool(TOOL, tmp_path / 'ours.pth', tmp_path / 'back.bin', '--reverse')
    assert back.returncode == 0, back.stderr
    assert_identical(read_checkpoint(tmp_path / 'back.bin'), official)


@pytest.mark.parametrize('name', VECTORS.values())
def test_our_own_checkpoint_becomes_an_official_one(name):
    vector, ours = load_vector(name), convert(name)
    del ours['meta']['official']  # a run of our own started from it
    official = converter.revert(ours)
    assert list(official) == ['model']
    weights = {key[len('module.'):]: value for key, value in official['model'].items()}
    assert weights.keys() == vector.state_dict.keys()
    expected = {key: torch.zeros(3, *value.shape[1:]) if key in UNUSED else value
                for key, value in vector.state_dict.items()}
    assert_identical({key: weights[key] for key in expected}, expected)
    assert_identical(convert(name, **weights)['state_dict'], ours['state_dict'])


def test_a_hidden_layer_that_the_official_code_cannot_make_is_refused():
    vector = load_vector('mb_action_class')
    config = class_model_config(vector.state_dict, num_heads=vector.meta['args']['num_heads'])
    config['heads']['action']['hidden_channels'] = 64
    with pytest.raises(ValueError, match='hidden_channels=64, but the official class head has 2048'):
        converter.revert(dict(state_dict=build(MODELS, config).state_dict()))


def test_a_model_with_another_head_beside_does_not_become_an_official_one():
    ours = convert('mb_action_class')
    ours['state_dict']['heads.pose.fc.weight'] = torch.zeros(3, 8)
    with pytest.raises(ValueError, match=r"1 weights have no place in the official action classification model: "
                                         r"\['heads.pose"):
        converter.revert(ours)


@pytest.mark.parametrize('head, change, message', [
    ('action', lambda weights: weights.pop('backbone.norm.weight'), '1 entries missing, e.g. backbone.norm.we'),
    ('action', lambda weights: weights.pop('head.fc1.weight'), 'head.fc1.weight is missing, which tells a size'),
    ('action', lambda weights: weights.pop('backbone.pos_embed'), 'backbone.pos_embed is missing, which tells'),
    ('action', lambda weights: weights.pop('backbone.head.bias'), 'backbone.head.bias is missing'),
    ('action', lambda weights: weights.update({'backbone.head.weight': torch.zeros(3, 3)}),
     r'backbone.head.weight and bias have shapes \[\[3, 3\], \[\d+\]\], expected'),
    ('action', lambda weights: weights.update({'head.bn.bias': torch.zeros(5)}), '1 entries of another shape'),
    ('embed', lambda weights: weights.update({'head.fc1.bias': torch.zeros(5)}), '1 entries of another shape'),
    ('embed', lambda weights: weights.update({'head.fc2.bias': torch.zeros(5)}),
     r"1 official keys without a counterpart \['head.fc2.bias'\]"),
    ('embed', lambda weights: [weights.pop('head.fc1.weight'), weights.pop('head.fc1.bias')],
     'no MotionBERT pose, action or mesh model found'),
])
def test_conversion_is_strict(head, change, message):
    vector = load_vector(VECTORS[head])
    weights = dict(vector.state_dict)
    change(weights)
    with pytest.raises(ValueError, match=message):
        converter.convert(wrap(weights), num_heads=vector.meta['args']['num_heads'])


@pytest.mark.parametrize('listed, head', [('action/class', 'action'), ('action/embed', 'embed')])
def test_full_size_models_have_the_official_names_and_shapes(listed, head):
    listings = load_listing('mb_fullsize_statedict')
    backbone, listing = listings['pretrain/MB_pretrain']['state_dict'], listings[listed]
    shapes = {**{f'backbone.{key}': shape for key, shape in backbone.items()}, **listing['head_state_dict']}
    weights = {key: torch.empty(shape, device='meta') for key, shape in shapes.items()}
    with torch.device('meta'):
        ours = converter.convert(dict(model=weights))
        back = converter.revert(ours)['model']
    assert ours['meta'][META_KEY]['model'] == CONFIGS[head](weights)
    assert len(ours['state_dict']) + len(UNUSED) == len(weights) == listing['tensors']
    buffers = ('running_mean', 'running_var', 'num_batches_tracked')
    count = sum(value.numel() for key, value in weights.items() if not key.endswith(buffers))
    assert count == listing['parameters']
    assert {key: list(value.shape) for key, value in back.items()} == shapes
