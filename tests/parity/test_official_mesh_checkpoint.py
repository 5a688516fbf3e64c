"""Official mesh checkpoint -> ours -> official, bit for bit, in the library and through the command line."""
import numpy as np
import pytest
import torch

from motionbert_mm.checkpoints.load import META_KEY, load_model, read_checkpoint
from motionbert_mm.checkpoints.official_motionbert import mesh_model_config
from motionbert_mm.checkpoints.official_smpl import official_smpl
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.registry import MODELS, TRANSFORMS, build
from tests.generated import load_tool, run_tool
from tests.parity.official_body import official_body, write_official_files
from tests.parity.official_model import load_official_action, make_mesh_model
from tests.parity.vectors import assert_identical, load_vector

VECTOR = 'mb_mesh_regressor'
SMPL, UNUSED = 'head.smpl.', ('backbone.head.weight', 'backbone.head.bias')
TOOL = 'model_converters/motionbert.py'
converter = load_tool(TOOL)


def num_heads():
    return load_vector(VECTOR).meta['args']['backbone']['num_heads']


@pytest.fixture
def folder(tmp_path):
    """A folder with the licensed files, which here are those of the vector."""
    return str(write_official_files(load_vector(VECTOR), tmp_path / 'body_models'))


@pytest.fixture
def official(folder):
    """A file as train_mesh.py writes it: weights and SMPL in the order of the official model."""
    vector = load_vector(VECTOR)
    weights = {**vector.state_dict, **{SMPL + key: value for key, value in official_smpl(folder).items()}}
    return wrap({key: weights[key] for key in vector.meta['all_keys']})


def wrap(weights, prefix='module.'):
    moments = {number: dict(step=torch.tensor(3.0), exp_avg=torch.randn(4)) for number in range(2)}
    groups = [dict(lr=lr, betas=(0.9, 0.999), params=[number]) for number, lr in enumerate((5e-5, 5e-4))]
    return dict(epoch=7, lr=[5e-5, 5e-4], optimizer=dict(state=moments, param_groups=groups),
                model={prefix + key: value for key, value in weights.items()}, best_jpe=torch.tensor([76.9]))


def convert(**changes):
    """Our checkpoint of an official file with the weights of the vector."""
    return converter.convert(wrap({**load_vector(VECTOR).state_dict, **changes}), num_heads=num_heads())


def test_smpl_has_the_official_names_and_shapes(folder):
    vector = load_vector(VECTOR)
    smpl, body = official_smpl(folder), official_body(vector)
    expected = vector.meta['smpl_keys_and_shapes']
    assert [SMPL + name for name in smpl] == [name for name in vector.meta['all_keys'] if name.startswith(SMPL)]
    assert {SMPL + name: list(value.shape) for name, value in smpl.items()} == expected
    assert not any(smpl[name].any() for name in ('betas', 'global_orient', 'body_pose'))
    for name, values in (('v_template', body.template), ('shapedirs', body.shape_dirs), ('faces_tensor', body.faces),
                         ('J_regressor', body.joint_regressor), ('lbs_weights', body.skin_weights),
                         ('parents', body.parents), ('J_regressor_h36m', vector.inputs['J_regressor_h36m']),
                         ('J_regressor_extra', vector.inputs['J_regressor_extra'])):
        np.testing.assert_array_equal(smpl[name], values)
    np.testing.assert_array_equal(smpl['posedirs'], body.pose_dirs.reshape(-1, 207).T)


def test_round_trip_is_bit_identical(official, folder, tmp_path):
    torch.save(official, tmp_path / 'official.bin')
    ours = converter.convert(read_checkpoint(tmp_path / 'official.bin'), num_heads=num_heads())
    torch.save(ours, tmp_path / 'ours.pth')
    plain = torch.load(tmp_path / 'ours.pth', weights_only=True)  # as MMEngine reads it
    for place in (folder, f'{folder}/SMPL_NEUTRAL.npz'):
        assert_identical(converter.revert(plain, body_model=place), official)


def tensors_in(value):
    """All tensors of a container, at any depth."""
    if isinstance(value, (dict, list, tuple)):
        entries = value.values() if isinstance(value, dict) else value
        return [tensor for entry in entries for tensor in tensors_in(entry)]
    return [value] if isinstance(value, torch.Tensor) else []


def test_nothing_licensed_is_kept(official, folder):
    kept = tensors_in(converter.convert(official, num_heads=num_heads()))
    assert len(kept) > len(load_vector(VECTOR).state_dict)
    licensed = [array for array in official_smpl(folder).values() if array.any()]
    assert len(licensed) == 10
    assert not [array.shape for array in licensed for value in kept if torch.equal(array, value)]


def test_without_the_files_smpl_is_left_out_and_the_way_to_read_that_is_said(official, caplog, capsys):
    back = converter.revert(converter.convert(official, num_heads=num_heads()))
    expected = dict(official, model={key: value for key, value in official['model'].items() if SMPL not in key})
    assert_identical(back, expected)
    said = capsys.readouterr().out + capsys.readouterr().err + caplog.text
    assert 'strict=False); or give --body-model' in said and f'13 tensors {SMPL}* are SMPL itself' in said


def test_released_weights_without_smpl_come_back_as_they_were():
    weights = dict(load_vector(VECTOR).state_dict)
    assert_identical(converter.revert(converter.convert(weights, num_heads=num_heads())), weights)


def test_a_converted_checkpoint_describes_its_model(official, folder, tmp_path):
    vector = load_vector(VECTOR)
    args = vector.meta['args']
    ours = converter.convert(official, num_heads=num_heads(), body_model=folder)
    description = ours['meta'][META_KEY]
    body = description['model']['heads']['mesh']['body_model']
    assert body == dict(path=folder, regressor=f'{folder}/J_regressor_h36m_correct.npy')
    assert description['window'] == dict(num_frames=min(16, args['backbone']['maxlen']))
    config = dict(description['model'], heads=dict(mesh=dict(description['model']['heads']['mesh'],
                                                             body_model=dict(path='synthetic'))))
    ours['meta'][META_KEY] = dict(description, model=config)
    torch.save(ours, tmp_path / 'ours.pth')
    model, info = load_model(tmp_path / 'ours.pth', 'cpu')
    expected = load_official_action(make_mesh_model(args), vector.state_dict)
    assert_identical(dict(model.state_dict()), dict(expected.state_dict()))
    assert model.heads['mesh'].drop.p == 0.1 and info['num_frames'] == description['window']['num_frames']
    assert model.backbone.space_first[0]['spatial'].attn.num_heads == args['backbone']['num_heads']


def test_the_body_is_looked_for_in_one_place_unless_another_is_given():
    model = convert()['meta'][META_KEY]['model']
    assert model == mesh_model_config(load_vector(VECTOR).state_dict, num_heads=num_heads())
    assert model['heads']['mesh']['body_model'] == dict(path='data/body_models',
                                                        regressor='data/body_models/J_regressor_h36m_correct.npy')
    other = converter.convert(wrap(load_vector(VECTOR).state_dict), num_heads=num_heads(), body_model='smpl/BODY.pkl')
    assert other['meta'][META_KEY]['model']['heads']['mesh']['body_model'] == dict(
        path='smpl/BODY.pkl', regressor='smpl/J_regressor_h36m_correct.npy')


def test_the_pipeline_of_a_converted_checkpoint_feeds_its_model():
    description = convert()['meta'][META_KEY]
    config = dict(description['model'], heads=dict(mesh=dict(description['model']['heads']['mesh'],
                                                             body_model=dict(path='synthetic'))))
    model = build(MODELS, config).eval()
    rng, shape = np.random.default_rng(0), (2, 1, description['window']['num_frames'], 17)
    results = dict(keypoints_2d=rng.uniform(0, 1920, (*shape, 2)).astype(np.float32), skeleton='h36m',
                   smpl_pose=rng.normal(size=(*shape[:3], 24, 3)).astype(np.float32),
                   smpl_betas=rng.normal(size=(*shape[:3], 10)).astype(np.float32),
                   confidence=np.ones(shape, np.float32), visible=np.ones(shape, bool), sample_id=['a', 'b'],
                   image_size=np.tile(np.float32([1920, 1920]), (2, 1)), frame_ids=np.tile(np.arange(shape[2]), (2, 1)))
    points = results['keypoints_2d']
    for step in description['pipeline']:
        results = build(TRANSFORMS, step)(results, rng)
    batch = collate_batch(results)
    # Official: 2p / 1920 - 1 of 3DPW.
    np.testing.assert_allclose(batch['inputs'][..., :2], 2 * points / 1920 - 1, atol=1e-6)
    assert batch['data_samples'].smpl_betas.shape == (*shape[:3], 10)
    predictions = model(**batch, mode='predict')
    assert all(torch.isfinite(sample.vertices).all() for sample in predictions)


def test_the_command_line_converts_both_ways(official, folder, tmp_path):
    torch.save(official, tmp_path / 'official.bin')
    forth = run_tool(TOOL, tmp_path / 'official.bin', tmp_path / 'ours.pth', '--num-heads', num_heads(),
                     '--body-model', folder)
    assert forth.returncode == 0, forth.stderr
    weights = load_vector(VECTOR).state_dict
    count = sum(value.numel() for key, value in weights.items()
                if key not in UNUSED and not key.rpartition('.')[2].startswith(('running', 'num_', 'init_')))
    assert f'{len(weights) - len(UNUSED)} tensors, {count:,} parameters, all matched' in forth.stdout
    assert f'13 tensors {SMPL}* are SMPL itself' in forth.stdout
    back = run_tool(TOOL, tmp_path / 'ours.pth', tmp_path / 'back.bin', '--reverse', '--body-model', folder)
    assert back.returncode == 0, back.stderr
    assert_identical(read_checkpoint(tmp_path / 'back.bin'), official)


def test_missing_body_files_end_in_one_line(tmp_path, monkeypatch):
    torch.save(convert(), tmp_path / 'ours.pth')
    (tmp_path / 'empty').mkdir()
    arguments = [TOOL, tmp_path / 'ours.pth', tmp_path / 'back.bin', '--reverse', '--body-model', tmp_path / 'empty']
    monkeypatch.setattr('sys.argv', [str(argument) for argument in arguments])
    with pytest.raises(SystemExit, match='empty has no smpl body of gender') as end:
        converter.main()
    assert '\n' not in str(end.value) and not (tmp_path / 'back.bin').exists()


def test_a_full_size_head_has_as_many_parameters_as_the_official_one():
    with torch.device('meta'):
        head = build(MODELS, dict(type='MeshHead', in_channels=512, body_model=dict(path='synthetic')))
    assert sum(parameter.numel() for parameter in head.parameters()) == 17_989_786


def test_our_own_checkpoint_becomes_an_official_one(folder):
    vector, ours = load_vector(VECTOR), convert()
    del ours['meta']['official']  # a run of our own started from it
    official = converter.revert(ours, body_model=folder)
    assert list(official) == ['model']
    weights = {key[len('module.'):]: value for key, value in official['model'].items()}
    assert weights.keys() == vector.meta['all_keys'].keys()
    assert {key: list(value.shape) for key, value in weights.items()} == vector.meta['all_keys']
    assert_identical(convert(**weights)['state_dict'], ours['state_dict'])


@pytest.mark.parametrize('change, message', [
    (lambda weights: weights.pop('backbone.norm.weight'), '1 entries missing, e.g. backbone.norm.we'),
    (lambda weights: weights.pop('head.fc1.weight'), 'head.fc1.weight is missing, which tells a size'),
    (lambda weights: weights.pop('head.init_pose'), '1 entries missing, e.g. heads.mesh.mean_pose'),
    (lambda weights: weights.pop('backbone.head.bias'), 'backbone.head.bias is missing'),
    (lambda weights: weights.update({'head.head_shape.bias': torch.zeros(11)}), '1 entries of another shape'),
    (lambda weights: weights.update({'head.init_shape': torch.zeros(1, 11)}), '1 entries of another shape'),
    (lambda weights: weights.update({'head.bn.bias': torch.zeros(5)}),
     r"1 official keys without a counterpart \['head.bn.bias'\]"),
])
def test_conversion_is_strict(change, message):
    weights = dict(load_vector(VECTOR).state_dict)
    change(weights)
    with pytest.raises(ValueError, match=message):
        converter.convert(wrap(weights), num_heads=num_heads())


def test_a_model_with_another_head_beside_does_not_become_an_official_one():
    ours = convert()
    ours['state_dict']['heads.pose.fc.weight'] = torch.zeros(3, 8)
    with pytest.raises(ValueError, match=r"1 weights have no place in the official mesh model: \['heads.pose"):
        converter.revert(ours)
