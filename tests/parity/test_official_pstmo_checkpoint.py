"""Official P-STMO checkpoints -> ours -> official, bit for bit, in the library and through the command line."""
import pytest
import torch

from motionbert_mm.checkpoints.load import META_KEY, load_model, read_checkpoint
from motionbert_mm.checkpoints.official_pstmo import PSTMO
from motionbert_mm.checkpoints.staged_conversion import revert
from tests.generated import load_tool, run_tool
from tests.parity.official_files import as_trained, make_batch, official_file
from tests.parity.official_pstmo import SKELETONS, STAGE_I, STAGE_II, load_official, model_config
from tests.parity.vectors import assert_identical, load_listing, load_vector

TOOL = 'model_converters/pstmo.py'
KEY_BIAS = 'Transformer.model.layers.0.self_attn.linears.1.bias'
converter = load_tool(TOOL)


def converted(name):
    return converter.convert(official_file(name), skeleton=SKELETONS[load_vector(name).meta['args']['n_joints']])


@pytest.mark.parametrize('prefix', ['module.', ''])
@pytest.mark.parametrize('name', STAGE_I + STAGE_II)
def test_round_trip_is_bit_identical(name, prefix, tmp_path):
    official = official_file(name, prefix)
    assert {value.dtype for value in official.values()} == {torch.float32, torch.int64}  # num_batches_tracked
    torch.save(official, tmp_path / 'official.pth')
    ours = converter.convert(read_checkpoint(tmp_path / 'official.pth'),
                             skeleton=SKELETONS[load_vector(name).meta['args']['n_joints']])
    torch.save(ours, tmp_path / 'ours.pth')
    plain = torch.load(tmp_path / 'ours.pth', weights_only=True)  # as MMEngine reads it
    assert_identical(revert(PSTMO, plain), (official, None))


@pytest.mark.parametrize('name', STAGE_I + STAGE_II)
def test_our_own_checkpoint_becomes_an_official_one(name):
    ours = converted(name)
    del ours['meta']['official']  # a run of our own started from it
    official, (back, _) = official_file(name), revert(PSTMO, ours)
    assert set(back) == set(official)
    assert all(torch.equal(back[key], value) for key, value in official.items())


@pytest.mark.parametrize('name', STAGE_I + STAGE_II)
def test_a_converted_checkpoint_describes_its_model(name, tmp_path):
    vector = load_vector(name)
    frames = vector.meta['args']['frames']
    ours = converted(name)
    torch.save(ours, tmp_path / 'ours.pth')
    model, info = load_model(tmp_path / 'ours.pth', 'cpu')
    assert info['num_frames'] == frames
    assert_identical(dict(model.state_dict()), dict(load_official(vector).state_dict()))
    dilation = 2 if frames == 243 else 1
    assert ours['meta'][META_KEY]['window'] == dict(kind='centre', num_frames=frames, dilation=dilation)
    heads = [module.num_heads for module in model.modules() if hasattr(module, 'num_heads')]
    assert set(heads) == {8}


@pytest.mark.parametrize('name', STAGE_II)
def test_a_converted_lifter_predicts_the_centre_frame_in_millimetres(name, tmp_path):
    torch.save(converted(name), tmp_path / 'ours.pth')
    model, info = load_model(tmp_path / 'ours.pth', 'cpu')
    results, batch = make_batch(info)
    samples = model.test_step(batch)
    with torch.no_grad():
        features = model.extract_features(torch.from_numpy(results['inputs']))
        expected = model.heads['centre'](features['centre']) * 1000.0
    expected[..., model.skeleton.root, :] = 0.0
    middle = info['num_frames'] // 2
    for sample, pose in zip(samples, expected):
        torch.testing.assert_close(sample.keypoints_3d, pose[None])
        assert list(sample.metainfo['frame_ids']) == [middle]


@pytest.mark.parametrize('name', STAGE_I)
def test_a_converted_pretext_model_predicts_pixels_of_all_frames(name, tmp_path):
    torch.save(converted(name), tmp_path / 'ours.pth')
    model, info = load_model(tmp_path / 'ours.pth', 'cpu')
    assert info['input'] == [dict(type='NormalizeCoords', inputs='screen', target=None)]
    results, batch = make_batch(info)
    with torch.no_grad():
        unit = model.heads['masked'](model.extract_features(torch.from_numpy(results['inputs'])))
    samples = model.test_step(batch)
    for sample, pose in zip(samples, unit):
        expected = (pose[None] + torch.tensor([1.0, 1.002])) * 500.0  # the width of 1000 pixels spans [-1, 1]
        torch.testing.assert_close(sample.keypoints_2d, expected, rtol=1e-5, atol=1e-2)


def test_models_of_3dhp_regress_millimetres(tmp_path):
    poses = {}
    for skeleton in ('h36m', 'mpi_inf_3dhp17'):
        torch.save(converter.convert(official_file('ps_stmo_f9'), skeleton=skeleton), tmp_path / 'ours.pth')
        model, info = load_model(tmp_path / 'ours.pth', 'cpu')
        assert info['skeleton'] == skeleton
        poses[skeleton] = torch.stack([sample.keypoints_3d for sample in model.test_step(make_batch(info)[1])])
    inner = [joint for joint in range(17) if joint not in (0, 14)]  # the roots, which are set to zero
    torch.testing.assert_close(poses['h36m'][..., inner, :], poses['mpi_inf_3dhp17'][..., inner, :] * 1000.0)
    assert not poses['mpi_inf_3dhp17'][..., 14, :].any() and poses['mpi_inf_3dhp17'][..., 0, :].any()


@pytest.mark.parametrize('skeleton, dilation, expected', [('h36m', None, 2), ('mpi_inf_3dhp17', None, 1),
                                                          ('h36m', 1, 1), ('mpi_inf_3dhp17', 3, 3)])
def test_temporal_downsampling_of_243_frames(skeleton, dilation, expected):
    listing = load_listing('ps_fullsize_statedict')['P-STMO-S stage II 243']['state_dict']
    ours = converter.convert({key: torch.zeros(shape) for key, shape in listing.items()}, skeleton=skeleton,
                             dilation=dilation)
    assert ours['meta'][META_KEY]['window'] == dict(kind='centre', num_frames=243, dilation=expected)


def test_the_command_line_converts_both_ways(tmp_path):
    official = official_file('ps_stmo_f9')
    torch.save(official, tmp_path / 'official.pth')
    forth = run_tool(TOOL, tmp_path / 'official.pth', tmp_path / 'ours.pth', '--tds', 3)
    assert forth.returncode == 0, forth.stderr
    model = load_official(load_vector('ps_stmo_f9'))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert f'{len(model.state_dict())} tensors, {count:,} parameters, all matched, none left over' in forth.stdout
    assert read_checkpoint(tmp_path / 'ours.pth')['meta'][META_KEY]['window']['dilation'] == 3
    back = run_tool(TOOL, tmp_path / 'ours.pth', tmp_path / 'back.pth', '--reverse')
    assert back.returncode == 0, back.stderr
    assert f'{len(official)} tensors, {count:,} parameters, all matched, none left over' in back.stdout
    assert_identical(read_checkpoint(tmp_path / 'back.pth'), official)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['back.pth', 'official.pth', 'ours.pth']


@pytest.mark.parametrize('options, message', [
    (['--reverse', '--tds', '2'], '--skeleton and --tds go with the conversion from the official format'),
    (['--tds', '0'], '--tds is 0, expected at least 1'),
    ([], 'by its name an in-the-wild model'),
    (['--skeleton', 'coco17'], 'the official in-the-wild model reads COCO joints and gives Human3.6M joints'),
])
def test_wrong_command_lines_end_in_one_line(options, message, tmp_path, monkeypatch, capsys):
    source, target = tmp_path / 'PSTMOS_no_refine_48_5137_in_the_wild.pth', tmp_path / 'ours.pth'
    torch.save(official_file('ps_stmo_f9'), source)
    monkeypatch.setattr('sys.argv', ['pstmo.py', str(source), str(target), *options])
    with pytest.raises(SystemExit) as end:
        converter.main()
    assert end.value.code not in (0, None)
    # A message that is the exit code is printed by the interpreter, that of argparse is printed already.
    assert message in (end.value.code if isinstance(end.value.code, str) else capsys.readouterr().err)
    assert not target.exists()


def test_a_file_by_the_name_of_the_wild_model_converts_when_the_joints_are_named(tmp_path, monkeypatch):
    source, target = tmp_path / 'mine_in_the_wild.pth', tmp_path / 'ours.pth'
    torch.save(official_file('ps_stmo_f9'), source)
    monkeypatch.setattr('sys.argv', ['pstmo.py', str(source), str(target), '--skeleton', 'h36m'])
    converter.main()
    assert load_model(target, 'cpu')[1]['skeleton'] == 'h36m'


def refined_files():
    """A model of stage II and a refine module, as run.py --refine saves the pair."""
    return official_file('ps_stmo_f27'), official_file('ps_refine')


def test_the_refine_module_comes_from_a_file_of_its_own_and_goes_back_to_it(tmp_path, monkeypatch):
    files = dict(zip(('lifter', 'refine'), refined_files()))
    for name, weights in files.items():
        torch.save(weights, tmp_path / f'{name}.pth')
    source, target, back = (str(tmp_path / f'{name}.pth') for name in ('lifter', 'ours', 'back'))
    monkeypatch.setattr('sys.argv', ['pstmo.py', source, target, '--refine', str(tmp_path / 'refine.pth')])
    converter.main()
    monkeypatch.setattr('sys.argv', ['pstmo.py', target, back, '--reverse', '--refine', str(tmp_path / 'again.pth')])
    converter.main()
    assert_identical(read_checkpoint(back), files['lifter'])
    assert_identical(read_checkpoint(tmp_path / 'again.pth'), files['refine'])
    model, _ = load_model(target, 'cpu')
    added = {f'heads.centre.refine.weights.{key.split("post_refine.")[1]}': value
             for key, value in files['refine'].items()}
    plain = load_official(load_vector('ps_stmo_f27')).state_dict()
    state_dict = model.state_dict()
    assert set(state_dict) == {*plain, *added}
    assert all(torch.equal(state_dict[key], value) for key, value in {**plain, **added}.items())
    assert [step['type'] for step in read_checkpoint(target)['meta'][META_KEY]['pipeline']] == [
        'NormalizeCoords', 'RootDepthOracle', 'PackInputs']


def test_refine_files_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    lifter, refine = refined_files()
    with pytest.raises(ValueError, match='no refine module found: expected the keys post_refine.0. and post_refine.3.'):
        converter.convert(lifter, lifter)
    with pytest.raises(ValueError, match='1 entries missing, e.g. heads.centre.refine.weights.3.bias'):
        converter.convert(lifter, {key: value for key, value in refine.items() if not key.endswith('3.bias')})
    with pytest.raises(ValueError, match='4 entries unexpected, e.g. heads.centre.refine.weights.0.bias'):
        converter.convert(official_file('ps_mae_f27'), refine)
    for name, checkpoint, options, message in (
            ('refined', converter.convert(lifter, refine), [], 'name it by --refine'),
            ('plain', converter.convert(lifter), ['--refine', str(tmp_path / 'x.pth')], 'has no refine module')):
        torch.save(checkpoint, tmp_path / f'{name}.pth')
        monkeypatch.setattr('sys.argv', ['pstmo.py', str(tmp_path / f'{name}.pth'), str(tmp_path / 'back.pth'),
                                         '--reverse', *options])
        with pytest.raises(SystemExit, match=message):
            converter.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['plain.pth', 'refined.pth']


def test_the_pretext_model_of_coco_joints_is_supported(tmp_path):
    torch.save(converter.convert(official_file('ps_mae_f27'), skeleton='coco17'), tmp_path / 'ours.pth')
    assert load_model(tmp_path / 'ours.pth', 'cpu')[1]['skeleton'] == 'coco17'


@pytest.mark.parametrize('change, message', [
    (lambda weights: weights.pop('encoder.bn_1.bias'), r'1 entries missing, e.g. backbone.expand.norm.bias'),
    (lambda weights: weights.pop(KEY_BIAS), r'1 entries missing, e.g. backbone.layers.0.attn.qkv.bias'),
    (lambda weights: weights.update({KEY_BIAS: torch.zeros(3)}),
     r'bias of query, key and value of backbone.layers.0.attn have the shapes .*\(3,\)'),
    (lambda weights: weights.update(extra=torch.zeros(1)), r"1 official keys without a counterpart \['extra'\]"),
    (lambda weights: weights.update({'fcn_1.0.weight': torch.zeros(5)}), r'1 entries of another shape.*\(5,\)'),
    (lambda weights: weights.update({'encoder.fc_2.weight': torch.zeros(16, 32, 3)}), r'another shape.*\(16, 32, 3\)'),
    (lambda weights: weights.pop('Transformer.pos_embedding'), r'official key Transformer.pos_embedding is missing'),
    (lambda weights: weights.pop('fcn.1.weight'), 'no P-STMO model found'),
    (lambda weights: weights.update({'fcn_dec.1.weight': torch.zeros(34, 8, 1)}), 'no P-STMO model found'),
])
def test_conversion_is_strict(change, message):
    weights = dict(load_vector('ps_stmo_f9').state_dict)
    change(weights)
    with pytest.raises(ValueError, match=message):
        converter.convert(weights)


def test_other_joint_counts_and_windows_are_refused():
    official = official_file('ps_stmo_f9')
    with pytest.raises(ValueError, match=r"the model has 17 joints, skeleton 'h36m16' has 16"):
        converter.convert(official, skeleton='h36m16')
    with pytest.raises(ValueError, match='num_frames 7 and strides None; expected one of'):
        converter.convert({key: value[:, :7] if 'pos_embedding' in key else value for key, value in official.items()})


@pytest.mark.parametrize('part, options, message', [
    ('neck', dict(centred=True), 'StridedReduction has centred=True, the official one False'),
    ('neck', dict(num_heads=4), 'StridedReduction has num_heads=4, the official one 8'),
    ('neck', dict(strides=[3, 3, 1]), r'StridedReduction has strides=\(3, 3, 1\), the official one \(1, 3, 3\)'),
    ('backbone', dict(num_heads=2), 'PSTMOEncoder has num_heads=2, the official one 8'),
    ('backbone', dict(max_frames=27), 'not those of the official model: 3 entries of another shape'),
    ('backbone', dict(has_joint_token=True), r"not those of the official model: 1 entries unexpected, e.g. .*token"),
])
def test_models_that_the_official_code_does_not_have_stay_ours(part, options, message):
    """Some of them have the very names and shapes of the official weights."""
    config = model_config(load_vector('ps_stmo_f9').meta['args'], is_masked=False)
    revert(PSTMO, as_trained(config))
    with pytest.raises(ValueError, match=message):
        revert(PSTMO, as_trained({**config, part: {**config[part], **options}}))


def test_weights_without_a_place_in_the_official_code_stay_ours():
    config = model_config(load_vector('ps_stmo_f9').meta['args'], is_masked=False)
    dense = dict(config, neck=dict(type='FrameToJoints', out_channels=8), heads=dict(pose=dict(type='PoseLiftHead')),
                 predicts=None)
    with pytest.raises(ValueError, match=r"4 weights have no place in the official models: \['neck.fc.weight'"):
        revert(PSTMO, as_trained(dense))


def test_foreign_files_are_refused():
    with pytest.raises(ValueError, match='expected a checkpoint of this package with state_dict'):
        revert(PSTMO, dict(model_pos={}))
    with pytest.raises(ValueError, match=r"no P-STMO model found.*got \['post_refine.0.weight'\]"):
        converter.convert({'module.post_refine.0.weight': torch.zeros(1024, 102)})
    with pytest.raises(ValueError, match=r"no P-STMO model found.*got \['meta', 'state_dict'\]"):
        converter.convert(converted('ps_stmo_f9'))
