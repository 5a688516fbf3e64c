"""Official MPM checkpoints -> ours -> official, bit for bit, in the library and through the command line."""
import json
import math

import numpy as np
import pytest
import torch
from mmengine.runner.checkpoint import load_checkpoint

from motionbert_mm.apis import Lifter
from motionbert_mm.checkpoints.load import META_KEY, load_model, read_checkpoint
from motionbert_mm.checkpoints.official_mpm import MPM
from motionbert_mm.checkpoints.official_pstmo import PSTMO
from motionbert_mm.checkpoints.staged_conversion import revert
from motionbert_mm.registry import MODELS, build
from tests.generated import load_tool, run_tool, write_config, write_store
from tests.parity.official_files import as_trained, make_batch, official_file
from tests.parity.official_mpm import JOINT, STAGE_II, TUBE, VECTORS, load_official, model_config
from tests.parity.official_pstmo import SKELETONS
from tests.parity.vectors import assert_identical, load_listing, load_vector

TOOL = 'model_converters/mpm.py'
LIFTER, PRETEXT = 'mpm_stage2_j16', 'mpm_stage1_joint'
KEY_BIAS = 'shared_layers_temporal.model.layers.0.self_attn.linears.1.bias'
FULL_SIZE = ('stage I MPMmask2 243 J16', 'completion MPMmask 27 J17', 'stage II 243 J17')
MASKED = VECTORS[JOINT] + VECTORS[TUBE]
ALL = MASKED + VECTORS[STAGE_II]
converter = load_tool(TOOL)


def converted(name, tmp_path, **options):
    """Path of a converted checkpoint."""
    torch.save(converter.convert(official_file(name), **options), tmp_path / 'ours.pth')
    return tmp_path / 'ours.pth'


def refine_file(num_joints):
    """A refine module as run.py --refine saves it beside a model."""
    generator = torch.Generator().manual_seed(0)
    shapes = {'0.weight': (1024, 6 * num_joints), '0.bias': (1024,), '3.weight': (2 * num_joints, 1024),
              '3.bias': (2 * num_joints,)}
    return {f'module.post_refine.{key}': torch.randn(shape, generator=generator) for key, shape in shapes.items()}


@pytest.mark.parametrize('prefix', ['module.', ''])
@pytest.mark.parametrize('name', ALL)
def test_round_trip_is_bit_identical(name, prefix, tmp_path):
    official = official_file(name, prefix)
    assert {value.dtype for value in official.values()} == {torch.float32, torch.int64}  # num_batches_tracked
    torch.save(official, tmp_path / 'official.pth')
    torch.save(converter.convert(read_checkpoint(tmp_path / 'official.pth')), tmp_path / 'ours.pth')
    plain = torch.load(tmp_path / 'ours.pth', weights_only=True)  # as MMEngine reads it
    assert_identical(revert(MPM, plain), (official, None))


@pytest.mark.parametrize('name', FULL_SIZE)
def test_round_trip_of_full_size_is_bit_identical(name):
    generator = torch.Generator().manual_seed(0)
    official = {f'module.{key}': torch.randn(shape, generator=generator)
                for key, shape in load_listing('mpm_fullsize_statedict')[name]['state_dict'].items()}
    assert_identical(revert(MPM, converter.convert(official)), (official, None))


@pytest.mark.parametrize('name', ALL)
def test_our_own_checkpoint_becomes_an_official_one(name):
    ours = converter.convert(official_file(name))
    del ours['meta']['official']  # a run of our own started from it
    official, (back, _) = official_file(name), revert(MPM, ours)
    assert set(back) == set(official)
    assert all(torch.equal(back[key], value) for key, value in official.items())


@pytest.mark.parametrize('name', ALL)
def test_a_converted_checkpoint_describes_its_model(name, tmp_path):
    vector = load_vector(name)
    frames, joints = vector.meta['args']['frames'], vector.meta['args']['n_joints']
    path = converted(name, tmp_path)
    model, info = load_model(path, 'cpu')
    assert (info['skeleton'], info['num_frames'], info['dilation']) == (SKELETONS[joints], frames, 2)
    assert info['input'] == [dict(type='NormalizeCoords', inputs='screen', target='root_relative')]
    assert_identical(dict(model.state_dict()), dict(load_official(vector).state_dict()))
    assert read_checkpoint(path)['meta'][META_KEY]['window'] == dict(kind='centre', num_frames=frames, dilation=2)
    assert {module.num_heads for module in model.modules() if hasattr(module, 'num_heads')} == {8}


@pytest.mark.parametrize('name', VECTORS[STAGE_II])
def test_a_converted_lifter_predicts_the_centre_frame_in_millimetres(name, tmp_path):
    model, info = load_model(converted(name, tmp_path), 'cpu')
    results, batch = make_batch(info)
    samples = model.test_step(batch)
    with torch.no_grad():
        features = model.extract_features(torch.from_numpy(results['inputs']))
        expected = model.heads['centre'](features['centre']) * 1000.0
    expected[..., model.skeleton.root, :] = 0.0
    for sample, pose in zip(samples, expected):
        torch.testing.assert_close(sample.keypoints_3d, pose[None])
        assert list(sample.metainfo['frame_ids']) == [info['num_frames'] // 2]


@pytest.mark.parametrize('name', MASKED)
def test_a_converted_pretext_model_predicts_2d_and_3d_of_all_frames(name, tmp_path):
    model, info = load_model(converted(name, tmp_path), 'cpu')
    results, batch = make_batch(info)
    with torch.no_grad():
        features = model.extract_features(torch.from_numpy(results['inputs']))
        flat, solid = (model.heads[f'pose_{space}'](features) for space in ('2d', '3d'))
    solid[..., model.skeleton.root, :] = 0.0
    for number, sample in enumerate(model.test_step(batch)):
        pixels = (flat[number, None] + torch.tensor([1.0, 1.002])) * 500.0  # the width of 1000 pixels spans [-1, 1]
        torch.testing.assert_close(sample.keypoints_2d, pixels, rtol=1e-5, atol=1e-2)
        torch.testing.assert_close(sample.keypoints_3d, solid[number, None] * 1000.0)


@pytest.mark.parametrize('name', VECTORS[STAGE_II])
def test_a_converted_lifter_lifts_a_video(name, tmp_path):
    lifter = Lifter.from_checkpoint(converted(name, tmp_path, dilation=1), 'cpu')
    num_joints = lifter.skeleton.num_joints
    keypoints = np.random.default_rng(0).uniform(0, 1000, (lifter.num_frames + 4, num_joints, 2)).astype(np.float32)
    result = lifter.lift(keypoints, skeleton=lifter.skeleton.name, image_size=(1000, 1002), flip_test=False)
    assert result.skeleton == lifter.skeleton.name and result.keypoints_3d.shape == (len(keypoints), num_joints, 3)
    middle = lifter.num_frames // 2  # the first frame whose window lies in the video
    unit = keypoints[:lifter.num_frames] / 500.0 - np.float32([1.0, 1.002])
    inputs = torch.from_numpy(np.concatenate([unit, np.ones_like(unit[..., :1])], axis=-1))[None, None]
    with torch.no_grad():
        pose = lifter.model.heads['centre'](lifter.model.extract_features(inputs)['centre'])[0, 0] * 1000.0
    pose[lifter.skeleton.root] = 0.0
    torch.testing.assert_close(torch.from_numpy(result.keypoints_3d[middle]), pose, rtol=1e-4, atol=0.1)


@pytest.mark.parametrize('name', MASKED)
def test_a_converted_pretext_model_completes_missing_joints(name, tmp_path):
    lifter = Lifter.from_checkpoint(converted(name, tmp_path, dilation=1), 'cpu')
    assert lifter.is_made_for_missing  # by its learned joint
    shape = (lifter.num_frames, lifter.skeleton.num_joints)
    keypoints = np.random.default_rng(0).uniform(0, 1000, (*shape, 2)).astype(np.float32)
    mask = np.zeros(shape, bool)
    mask[2:, 4:6] = True
    unit = keypoints / 500.0 - np.float32([1.0, 1.002])
    inputs = torch.from_numpy(np.concatenate([unit, np.ones_like(unit[..., :1])], axis=-1))[None, None]
    with torch.no_grad():
        features = lifter.model.extract_features(inputs, torch.from_numpy(mask)[None])
        pose = lifter.model.heads['pose_3d'](features)[0] * 1000.0
    pose[:, lifter.skeleton.root] = 0.0
    keypoints[mask] = np.nan
    result = lifter.lift(keypoints, skeleton=lifter.skeleton.name, image_size=(1000, 1002), flip_test=False)
    np.testing.assert_array_equal(result.hidden, mask)
    torch.testing.assert_close(torch.from_numpy(result.keypoints_3d), pose, rtol=1e-4, atol=0.1)


def test_the_inference_tool_reads_a_converted_lifter(tmp_path, monkeypatch):
    keypoints = np.random.default_rng(0).uniform(100, 900, (6, 17, 2)).astype(np.float32)
    np.save(tmp_path / 'keypoints.npy', keypoints)
    monkeypatch.setattr('sys.argv', [
        'infer.py', str(converted(LIFTER, tmp_path)), str(tmp_path / 'keypoints.npy'), '--skeleton', 'coco17',
        '--image-size', '1000', '1000', '--out', str(tmp_path / 'out'), '--no-animation', '--trust-order'])
    assert load_tool('infer.py').main() == 0
    with np.load(tmp_path / 'out' / 'keypoints_3d.npz') as motion:
        num_joints = load_vector(LIFTER).meta['args']['n_joints']
        assert motion['keypoints_3d'].shape == (6, num_joints, 3) and np.isfinite(motion['keypoints_3d']).all()
        assert str(motion['skeleton']) == SKELETONS[num_joints]


@pytest.mark.parametrize('name', MASKED)
def test_the_test_tool_reads_a_converted_pretext_model(name, tmp_path, monkeypatch):
    args = load_vector(name).meta['args']
    clips = {'walk/walk_2': args['frames'] + 2}
    pipeline = [dict(type='ConvertSkeleton', target=SKELETONS[args['n_joints']]), dict(type='NormalizeCoords'),
                dict(type='SampleExactMask', frame_ratio=0.5, num_joints=3),
                dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d'])]
    config = write_config(tmp_path / 'config.py', write_store(tmp_path / 'store', clips), **{
        'model': dict(model_config(args, JOINT if name in VECTORS[JOINT] else TUBE), _delete_=True),
        'test_dataloader.dataset.pipeline': pipeline,
        'test_dataloader.dataset.window.num_frames': args['frames'],
        'work_dir': str(tmp_path / 'work')})
    out = tmp_path / 'metrics.json'
    monkeypatch.setattr('sys.argv', ['test.py', str(config), str(converted(name, tmp_path)), '--json', str(out)])
    load_tool('test.py').main()
    metrics = json.loads(out.read_text())
    assert metrics['MPJPE'] > 0 and all(map(math.isfinite, metrics.values()))


@pytest.mark.parametrize('name', MASKED)
def test_stage_two_loads_a_converted_stage_one(name, tmp_path):
    path = converted(name, tmp_path)
    model = build(MODELS, model_config(load_vector(name).meta['args'], STAGE_II))
    load_checkpoint(model, str(path), map_location='cpu')  # what load_from of a config does
    weights = read_checkpoint(path)['state_dict']
    assert all(torch.equal(value, weights[f'backbone.{key}']) for key, value in model.backbone.state_dict().items())


@pytest.mark.parametrize('options, skeleton', [({}, 'h36m'), (dict(skeleton='mpi_inf_3dhp17'), 'mpi_inf_3dhp17')])
def test_joints_follow_from_their_number_or_are_named(options, skeleton, tmp_path):
    assert load_model(converted('mpm_stage2_j17', tmp_path, **options), 'cpu')[1]['skeleton'] == skeleton


def test_the_command_line_converts_both_ways(tmp_path):
    official = official_file(LIFTER)
    torch.save(official, tmp_path / 'official.pth')
    forth = run_tool(TOOL, tmp_path / 'official.pth', tmp_path / 'ours.pth', '--tds', 1)
    assert forth.returncode == 0, forth.stderr
    model = load_official(load_vector(LIFTER))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert f'{len(model.state_dict())} tensors, {count:,} parameters, all matched, none left over' in forth.stdout
    assert read_checkpoint(tmp_path / 'ours.pth')['meta'][META_KEY]['window']['dilation'] == 1
    back = run_tool(TOOL, tmp_path / 'ours.pth', tmp_path / 'back.pth', '--reverse')
    assert back.returncode == 0, back.stderr
    assert f'{len(official)} tensors, {count:,} parameters, all matched, none left over' in back.stdout
    assert_identical(read_checkpoint(tmp_path / 'back.pth'), official)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['back.pth', 'official.pth', 'ours.pth']


@pytest.mark.parametrize('options, message', [
    (['--reverse', '--skeleton', 'h36m'], '--skeleton and --tds go with the conversion from the official format'),
    (['--tds', '0'], '--tds is 0, expected at least 1'),
    (['--skeleton', 'halpe26'], 'invalid choice'),
    (['--skeleton', 'h36m'], "the model has 16 joints, skeleton 'h36m' has 17; name another one"),
])
def test_wrong_command_lines_end_in_one_line(options, message, tmp_path, monkeypatch, capsys):
    source, target = tmp_path / 'official.pth', tmp_path / 'ours.pth'
    torch.save(official_file('mpm_stage2_j16'), source)
    monkeypatch.setattr('sys.argv', ['mpm.py', str(source), str(target), *options])
    with pytest.raises(SystemExit) as end:
        converter.main()
    assert end.value.code not in (0, None)
    # A message that is the exit code is printed by the interpreter, that of argparse is printed already.
    assert message in (end.value.code if isinstance(end.value.code, str) else capsys.readouterr().err)
    assert not target.exists()


@pytest.mark.parametrize('name', VECTORS[STAGE_II])
def test_the_refine_module_comes_from_a_file_of_its_own_and_goes_back_to_it(name, tmp_path, monkeypatch):
    files = dict(lifter=official_file(name), refine=refine_file(load_vector(name).meta['args']['n_joints']))
    for part, weights in files.items():
        torch.save(weights, tmp_path / f'{part}.pth')
    source, target, back = (str(tmp_path / f'{part}.pth') for part in ('lifter', 'ours', 'back'))
    monkeypatch.setattr('sys.argv', ['mpm.py', source, target, '--refine', str(tmp_path / 'refine.pth')])
    converter.main()
    monkeypatch.setattr('sys.argv', ['mpm.py', target, back, '--reverse', '--refine', str(tmp_path / 'again.pth')])
    converter.main()
    assert_identical(read_checkpoint(back), files['lifter'])
    assert_identical(read_checkpoint(tmp_path / 'again.pth'), files['refine'])
    assert type(load_model(target, 'cpu')[0].heads['centre']).__name__ == 'RefinedPoseHead'
    assert [step['type'] for step in read_checkpoint(target)['meta'][META_KEY]['pipeline']] == [
        'NormalizeCoords', 'RootDepthOracle', 'PackInputs']


def test_refine_files_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='no refine module found: expected the keys post_refine.0. and post_refine.3.'):
        converter.convert(official_file(LIFTER), official_file(LIFTER))
    with pytest.raises(ValueError, match=r'heads.centre.refine.weights.0.weight has shape \(1024, 84\)'):
        converter.convert(official_file(LIFTER), refine_file(14))
    with pytest.raises(ValueError, match='4 entries unexpected, e.g. heads.centre.refine.weights.0.bias'):
        converter.convert(official_file(PRETEXT), refine_file(16))


@pytest.mark.parametrize('name, change, message', [
    (LIFTER, lambda weights: weights.pop('encoder2d.bn_1.bias'), r'1 entries missing, e.g. backbone.expand.norm.bias'),
    (PRETEXT, lambda weights: weights.pop('spatial_mask_token3d'), r'missing, e.g. backbone.joint_token_3d'),
    (PRETEXT, lambda weights: weights.pop('decoder2d.model.norm.a_2'), r'e.g. heads.pose_2d.output.last_norm.weight'),
    (LIFTER, lambda weights: weights.pop(KEY_BIAS), r'1 entries missing, e.g. backbone.layers.0.attn.qkv.bias'),
    (LIFTER, lambda weights: weights.update({KEY_BIAS: torch.zeros(3)}), r'bias of query, key and value .*\(3,\)'),
    (PRETEXT, lambda weights: weights.update(extra=torch.zeros(1)), r"1 official keys without a counterpart \['extra'"),
    (LIFTER, lambda weights: weights.update({'fcn_1.0.weight': torch.zeros(5)}), r'1 entries of another shape.*\(5,\)'),
    (LIFTER, lambda weights: weights.pop('shared_layers_temporal.pos_embedding'), r'pos_embedding is missing'),
    (PRETEXT, lambda weights: weights.pop('decoder3d.model.layers.0.feed_forward.w_1.weight'), r'w_1.* is missing'),
    (PRETEXT, lambda weights: weights.pop('fcn_dec3d.1.weight'), 'no MPM model found'),
    (LIFTER, lambda weights: weights.pop('encoder2d.fc_1.weight'), 'no MPM model found'),
    (LIFTER, lambda weights: weights.update({'fcn_dec3d.1.weight': torch.zeros(48, 32, 1)}), 'no MPM model found'),
])
def test_conversion_is_strict(name, change, message):
    weights = dict(load_vector(name).state_dict)
    change(weights)
    with pytest.raises(ValueError, match=message):
        converter.convert(weights)


def test_files_of_the_other_system_are_refused():
    other = load_tool('model_converters/pstmo.py')
    with pytest.raises(ValueError, match='no P-STMO model found'):
        other.convert(official_file('mpm_stage2_j17'))
    with pytest.raises(ValueError, match='no MPM model found'):
        converter.convert(official_file('ps_stmo_f27'))
    with pytest.raises(ValueError, match='have no place in the official models'):
        revert(PSTMO, converter.convert(official_file(PRETEXT)))
    with pytest.raises(ValueError, match='expected a checkpoint of this package with state_dict'):
        revert(MPM, dict(model_pos={}))


@pytest.mark.parametrize('kind, part, options, message', [
    (STAGE_II, 'neck', dict(centred=True), 'StridedReduction has centred=True, the official one False'),
    (STAGE_II, 'backbone', dict(num_heads=2), 'MPMEncoder has num_heads=2, the official one 8'),
    (STAGE_II, 'backbone', dict(has_3d=True), '7 entries unexpected, e.g. backbone.expand_3d.fc.bias'),
    (JOINT, 'neck', dict(out_channels=32), r"1 weights have no place in the official models: \['neck.project.weight'"),
    (JOINT, 'backbone', dict(max_frames=11), 'not those of the official model: 1 entries of another shape'),
])
def test_models_that_the_official_code_does_not_have_stay_ours(kind, part, options, message):
    config = model_config(load_vector(VECTORS[kind][0]).meta['args'], kind)
    assert revert(MPM, as_trained(config))
    with pytest.raises(ValueError, match=message):
        revert(MPM, as_trained({**config, part: {**config[part], **options}}))
