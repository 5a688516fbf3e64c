"""MPM's networks of all stages against recorded outputs of the official classes; tolerance as the README states."""
import pytest
import torch
from mmengine.config import Config
from torch import nn

from motionbert_mm.checkpoints.official_mpm import MPM
from motionbert_mm.registry import MODELS, build
from tests.generated import ROOT
from tests.parity.official_mpm import (
    JOINT,
    KINDS,
    STAGE_II,
    TUBE,
    VECTORS,
    lifter_batch,
    load_official,
    mask_of,
    model_config,
    pretext_batch,
    with_confidence,
)
from tests.parity.official_pstmo import SKELETONS, assert_near, averaged, flip_indices, from_official, outputs_of
from tests.parity.vectors import load_listing, load_vector

# Parameters as measured on the official classes: config, joints, frames of a window, layers, parameters.
SIZES = [('mpm', 16, 243, 4, 7_006_816), ('mpm', 17, 243, 4, 7_009_382), ('mpm', 16, 243, 3, 6_479_712),
         ('mpm', 16, 81, 4, 6_051_680), ('mpm', 16, 81, 3, 5_524_576),
         ('mpm_mask', 16, 243, 4, 4_013_653), ('mpm_mask', 16, 243, 3, 3_486_549), ('mpm_mask', 17, 243, 4, 4_017_498),
         ('mpm_mask', 17, 243, 3, 3_490_394), ('mpm_mask', 16, 81, 4, 3_930_709), ('mpm_mask', 16, 81, 3, 3_403_605),
         ('mpm_complete', 17, 27, 3, 4_434_010)]
# Rows of the official listing: config, joints, frames, layers.
LISTED = {'stage I MPMmask2 243 J16': ('mpm_mask', 16, 243, 4),
          'stage I MPMmask2 243 J16 layers3': ('mpm_mask', 16, 243, 3),
          'completion MPMmask 27 J17': ('mpm_complete', 17, 27, 3), 'stage II 243 J16': ('mpm', 16, 243, 4),
          'stage II 243 J17': ('mpm', 17, 243, 4), 'stage II 81 J16 layers3': ('mpm', 16, 81, 3)}
LISTED_KINDS = {'mpm': STAGE_II, 'mpm_mask': JOINT, 'mpm_complete': TUBE}
PRETEXT = VECTORS[JOINT] + VECTORS[TUBE]
# Coordinates of input and target.
TASKS = dict(m2m=(2, 2), m3m=(3, 3), m2l=(2, 3))


def pretext_outputs(vector, source):
    """Outputs of both decoders (N, T, J, C) for the recorded masked input of ``source`` coordinates."""
    inputs, samples = pretext_batch(vector, source)
    return outputs_of(load_official(vector), inputs, samples.mask.flatten(0, 1))


def pretext_loss(vector, task, weight=1.0):
    """The loss of a pretext task, whose batch comes from a source of that weight."""
    inputs, samples = pretext_batch(vector, *TASKS[task])
    samples.set_metainfo(dict(source=task, loss_weight=weight))
    with torch.no_grad():
        losses = load_official(vector).loss(inputs, samples)
    assert list(losses) == [f'{task}.pose_{TASKS[task][1]}d.loss_mpjpe']
    return sum(losses.values())


@pytest.mark.parametrize('name', VECTORS[STAGE_II])
def test_centre_and_all_frames_of_stage_two(name):
    vector = load_vector(name)
    outputs = outputs_of(load_official(vector), lifter_batch(vector)[0])
    assert_near(outputs['centre'], from_official(vector.outputs['y']))
    assert_near(outputs['frames'], from_official(vector.outputs['y_vte']))


@pytest.mark.parametrize('name', VECTORS[STAGE_II])
def test_flip_averaging_of_stage_two(name):
    vector = load_vector(name)
    model = load_official(vector)
    assert list(model.skeleton.flip_indices) == flip_indices(vector)
    outputs = averaged(model, with_confidence(vector.inputs['x2']), flip_indices(vector))
    assert_near(outputs['centre'], from_official(vector.outputs['aug_y']))
    assert_near(outputs['frames'], from_official(vector.outputs['aug_y_vte']))


@pytest.mark.parametrize('name', VECTORS[STAGE_II])
def test_prediction_of_stage_two_in_millimetres(name):
    vector = load_vector(name)
    model = load_official(vector)
    with torch.no_grad():
        predictions = model.predict(*lifter_batch(vector))
    expected = from_official(vector.outputs['y'])
    expected[..., model.skeleton.root, :] = 0.0  # Official: trainutils/finetune_epoch.py
    for prediction, pose in zip(predictions, expected):
        assert prediction.metainfo['frame_ids'].tolist() == [vector.meta['args']['frames'] // 2]
        assert_near(prediction.keypoints_3d[0] / 1000.0, pose)


@pytest.mark.parametrize('name', VECTORS[STAGE_II])
def test_losses_of_stage_two(name):
    vector = load_vector(name)
    with torch.no_grad():
        losses = load_official(vector).loss(*lifter_batch(vector))
    assert set(losses) == {'frames.loss_mpjpe', 'centre.loss_mpjpe'}
    assert_near(sum(losses.values()), vector.outputs['loss'])  # official weights 1 and 1, those of the paper 1 and 2


@pytest.mark.parametrize('name', VECTORS[JOINT])
def test_the_three_pretext_tasks(name):
    vector = load_vector(name)
    flat, solid = pretext_outputs(vector, 2), pretext_outputs(vector, 3)
    assert_near(flat['pose_2d'], vector.outputs['m2m'])
    assert_near(flat['pose_2d'], vector.outputs['m2l_2d'])
    assert_near(flat['pose_3d'], vector.outputs['m2l_3d'])
    assert_near(solid['pose_3d'], vector.outputs['m3m'])


@pytest.mark.parametrize('name', VECTORS[JOINT])
def test_losses_of_the_three_pretext_tasks(name):
    vector = load_vector(name)
    for task in TASKS:
        assert_near(pretext_loss(vector, task), vector.outputs[f'loss_{task}'])
    # Official: the sum of a step, without and with PoseAug.
    for key, weights in dict(plain=dict(m2m=5.0, m3m=2.0), aug=dict(m2m=5.0, m3m=5.0, m2l=1.0)).items():
        total = sum(pretext_loss(vector, task, weight) for task, weight in weights.items())
        assert_near(total, vector.outputs[f'loss_{key}'])


@pytest.mark.parametrize('name', VECTORS[TUBE])
def test_completion_from_partial_2d(name):
    vector = load_vector(name)
    outputs = pretext_outputs(vector, 2)
    assert_near(outputs['pose_2d'], vector.outputs['x2d'])
    assert_near(outputs['pose_3d'], vector.outputs['x3d'])


@pytest.mark.parametrize('name', VECTORS[TUBE])
def test_completion_from_partial_3d(name):
    vector = load_vector(name)
    restored, mask = pretext_outputs(vector, 3)['pose_3d'], mask_of(vector, 3)[:, 0, :, :, None]
    assert_near(restored, vector.outputs['only3d'])
    completed = torch.where(mask, restored, torch.from_numpy(vector.inputs['x3']))
    assert_near(completed, vector.outputs['completed3d'])


@pytest.mark.parametrize('name', VECTORS[TUBE])
def test_loss_of_completion(name):
    vector = load_vector(name)
    with torch.no_grad():
        losses = load_official(vector).loss(*pretext_batch(vector, 2, 2, 3))
    assert set(losses) == {'pose_2d.loss_mpjpe', 'pose_3d.loss_mpjpe'}
    assert_near(losses['pose_2d.loss_mpjpe'] + 2 * losses['pose_3d.loss_mpjpe'], vector.outputs['loss'])


@pytest.mark.parametrize('name', VECTORS[TUBE])
def test_flip_averaging_of_completion(name):
    vector = load_vector(name)
    # Official: the mirrored pass hides the joints of the same numbers, so that what one pass hides the other shows.
    # MotionModel.predict mirrors the mask instead; here the two passes are composed as in pretrain_epoch.py.
    model, mask = load_official(vector), mask_of(vector, 2).flatten(0, 1)
    assert list(model.skeleton.flip_indices) == flip_indices(vector)
    outputs = averaged(model, with_confidence(vector.inputs['x2pair']), flip_indices(vector), mask)
    assert_near(outputs['pose_2d'], vector.outputs['aug_2d'])
    assert_near(outputs['pose_3d'], vector.outputs['aug_3d'])


@pytest.mark.parametrize('source', [2, 3])
@pytest.mark.parametrize('name', PRETEXT)
def test_what_is_hidden_does_not_reach_the_output(name, source):
    vector = load_vector(name)
    model, (inputs, samples) = load_official(vector), pretext_batch(vector, source)
    mask = samples.mask.flatten(0, 1)
    changed = torch.where(samples.mask[..., None], inputs + 100.0, inputs)
    plain, other = outputs_of(model, inputs, mask), outputs_of(model, changed, mask)
    assert mask.any() and all(torch.equal(plain[name], other[name]) for name in plain)


def sized_config(config, joints, frames, depth):
    """A config of ``configs/_base_/models`` for other skeletons, windows and numbers of layers."""
    model = Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / f'{config}.py').model.to_dict()
    model['skeleton'] = SKELETONS[joints]
    model['backbone'].update(num_joints=joints, max_frames=frames, depth=depth)
    model['neck']['num_frames' if config == 'mpm' else 'max_frames'] = frames
    for head in model['heads'].values():
        head['num_joints'] = joints
    return model


def build_meta(config):
    """Build a model without memory for its weights."""
    with torch.device('meta'):
        return build(MODELS, config)


def count(module, *kinds):
    """Parameters of a module, or of those of its layers that are of some kinds."""
    layers = [layer for layer in module.modules() if isinstance(layer, kinds)] if kinds else [module]
    return sum(value.numel() for layer in layers for value in layer.parameters())


def shapes_of(state_dict):
    return {key: list(value.shape) for key, value in state_dict.items()}


@pytest.mark.parametrize('config, joints, frames, depth, expected', SIZES)
def test_parameter_counts_are_the_official_ones(config, joints, frames, depth, expected):
    assert count(build_meta(sized_config(config, joints, frames, depth))) == expected


@pytest.mark.parametrize('joints, expected', [(16, 132_128), (17, 140_322)])
def test_refine_module_has_the_official_size(joints, expected):
    weights = build_meta(dict(type='RefinedPoseHead', num_joints=joints, in_channels=256)).state_dict()
    official, _ = MPM.to_official({f'heads.centre.{key}': value for key, value in weights.items()})
    refine = {key: value for key, value in official.items() if key.startswith('post_refine.')}
    assert sum(value.numel() for value in refine.values()) == expected


@pytest.mark.parametrize('name', LISTED)
def test_full_size_models_have_the_official_names_shapes_and_table_of_modules(name):
    listing, model = load_listing('mpm_fullsize_statedict')[name], build_meta(sized_config(*LISTED[name]))
    official, unmatched = MPM.to_official(model.state_dict())
    assert unmatched == []
    assert shapes_of(official) == listing['state_dict']
    assert count(model) == listing['parameters']
    table = dict.fromkeys(listing['parameters_by_child'], 0)
    for key, value in MPM.to_official(dict(model.named_parameters()))[0].items():
        table[key.split('.')[0]] += value.numel()
    assert table == listing['parameters_by_child']


def test_modules_have_the_sizes_of_the_published_table():
    """Table 7, in which positions, tokens and layer norms do not count, and decoders are four layers of width 128."""
    config = sized_config('mpm_mask', 16, 243, 4)
    config['neck']['out_channels'] = 128
    for head in config['heads'].values():
        head['depth'] = 4
    first, second = build_meta(config), build_meta(sized_config('mpm', 16, 243, 4))
    encoder, counted = first.backbone, (nn.Linear, nn.BatchNorm1d)
    shared = [encoder.blocks, encoder.reduce, encoder.layers]
    assert count(encoder.expand) == 17_920 and count(encoder.expand_3d) == 26_112
    assert [count(part, *counted) for part in shared] == [527_360, 131_328, 4 * 526_080]
    assert [count(head, *counted) for head in first.heads.values()] == [532_256, 534_320]
    assert count(second.neck, *counted) == 5 * 788_224


@pytest.mark.parametrize('name', LISTED)
def test_sizes_are_read_off_the_weights(name):
    listing, (config, joints, *_) = load_listing('mpm_fullsize_statedict')[name], LISTED[name]
    shapes = {key: torch.empty(shape, device='meta') for key, shape in listing['state_dict'].items()}
    read = MPM.model_config(shapes)
    ours, expected = build_meta(read), build_meta(model_config(listing['args'], LISTED_KINDS[config]))
    assert read['skeleton'] == SKELETONS[joints]
    assert shapes_of(ours.state_dict()) == shapes_of(expected.state_dict())
    assert count(ours) == listing['parameters']


@pytest.mark.parametrize('config, dropout', [('mpm', 0.2), ('mpm_mask', 0.1), ('mpm_complete', 0.1)])
def test_converted_models_drop_out_as_the_official_ones(config, dropout):
    model = build_meta(sized_config(config, 16, 27, 3))
    read = build_meta(MPM.model_config(MPM.to_official(model.state_dict())[0]))
    for each in (model.backbone, read.backbone):
        assert {layer.drop.p for layer in (each.expand, *each.blocks[0].layers)} == {dropout}
        assert {layer.mlp.drop.p for layer in each.layers} == {0.1}


def test_stage_two_takes_the_official_keys_of_stage_one():
    shared = load_listing('mpm_fullsize_statedict')['keys_shared_stage_I_to_II']
    first, second = (build_meta(sized_config(config, 16, 243, 4)).state_dict() for config in ('mpm_mask', 'mpm'))
    taken = {key: value for key, value in first.items() if key in second and second[key].shape == value.shape}
    official, unmatched = MPM.to_official(taken)
    assert unmatched == []
    assert len(official) == shared['count'] and set(official) == set(shared['keys'])


@pytest.mark.parametrize('name', PRETEXT)
def test_stage_two_starts_from_the_weights_of_stage_one(name):
    vector = load_vector(name)
    first, second = load_official(vector), build(MODELS, model_config(vector.meta['args'], STAGE_II))
    before = {key: value.clone() for key, value in second.state_dict().items()}
    second.load_state_dict(first.state_dict(), strict=False)  # as MMEngine's load_from does
    after, _ = MPM.to_official(second.state_dict())
    for key, value in after.items():
        if key.startswith(('encoder2d.', 'shared_layers_')):
            assert torch.equal(value, vector.state_dict[key]), key
    for key, value in second.state_dict().items():
        assert key.startswith('backbone.') or torch.equal(value, before[key])


def test_every_vector_of_the_networks_has_a_kind():
    assert set(KINDS) >= {'mpm_stage1_joint', 'mpm_stage1_tube', 'mpm_stage2_j16', 'mpm_stage2_j17'}
