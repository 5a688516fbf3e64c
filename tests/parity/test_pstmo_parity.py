"""P-STMO's networks of both stages against recorded outputs of the official classes; tolerance as the README states."""
import pytest
import torch
from mmengine.config import Config

from motionbert_mm.checkpoints.official_pstmo import PSTMO
from motionbert_mm.registry import MODELS, build
from tests.generated import ROOT
from tests.parity.official_pstmo import (
    STAGE_I,
    STAGE_II,
    assert_near,
    averaged,
    flip_indices,
    from_official,
    load_official,
    make_batch,
    model_config,
    outputs_of,
)
from tests.parity.vectors import load_listing, load_vector

# P-STMO, table of parameters as measured on the official classes: config, frames of a window, parameters.
SIZES = [('pstmo-s', 27, 4_682_598), ('pstmo-s', 81, 5_527_142), ('pstmo-s', 243, 6_482_278), ('pstmo', 243, 7_009_382),
         ('pstmo-s', 351, 5_014_374), ('pstmo-s_mask', 81, 2_593_828), ('pstmo-s_mask', 243, 2_656_036),
         ('pstmo_mask', 81, 3_253_412), ('pstmo_mask', 243, 3_315_620)]
LISTED = [('P-STMO-S stage II 27', 'pstmo-s', 27), ('P-STMO-S stage II 81', 'pstmo-s', 81),
          ('P-STMO-S stage II 243', 'pstmo-s', 243), ('P-STMO stage II 243', 'pstmo', 243),
          ('P-STMO-S stage I 243', 'pstmo-s_mask', 243), ('P-STMO stage I 243', 'pstmo_mask', 243)]
SHARED = [('P-STMO-S stage I 243', 'pstmo-s', 74), ('P-STMO stage I 243', 'pstmo', 90)]


@pytest.mark.parametrize('name', STAGE_II)
def test_centre_and_all_frames_of_stage_two(name):
    vector = load_vector(name)
    outputs = outputs_of(load_official(vector), make_batch(vector)[0])
    assert_near(outputs['centre'], from_official(vector.outputs['y']))
    assert_near(outputs['frames'], from_official(vector.outputs['y_vte']))


@pytest.mark.parametrize('name', STAGE_II)
def test_flip_averaging_of_stage_two(name):
    vector = load_vector(name)
    model = load_official(vector)
    assert list(model.skeleton.flip_indices) == flip_indices(vector)
    outputs = averaged(model, torch.from_numpy(vector.inputs['x2']), flip_indices(vector))
    assert_near(outputs['centre'], from_official(vector.outputs['aug_y']))
    assert_near(outputs['frames'], from_official(vector.outputs['aug_y_vte']))


@pytest.mark.parametrize('name', STAGE_II)
def test_prediction_of_stage_two_in_millimetres(name):
    vector = load_vector(name)
    model = load_official(vector)
    with torch.no_grad():
        predictions = model.predict(*make_batch(vector))
    expected = from_official(vector.outputs['y'])
    expected[..., model.skeleton.root, :] = 0.0  # official: test in run.py
    for prediction, pose in zip(predictions, expected):
        assert prediction.metainfo['frame_ids'].tolist() == [vector.meta['args']['frames'] // 2]
        assert_near(prediction.keypoints_3d[0] / 1000.0, pose)


@pytest.mark.parametrize('name', STAGE_II)
def test_losses_of_stage_two(name):
    vector = load_vector(name)
    with torch.no_grad():
        losses = load_official(vector).loss(*make_batch(vector))
    recorded = {key: torch.from_numpy(vector.outputs[key]) for key in ('loss', 'loss_all', 'loss_single')}
    assert set(losses) == {'frames.loss_mpjpe', 'centre.loss_mpjpe'}
    assert_near(losses['frames.loss_mpjpe'], recorded['loss_all'])
    assert_near(losses['centre.loss_mpjpe'], recorded['loss_single'])
    assert_near(sum(losses.values()), recorded['loss'])


@pytest.mark.parametrize('name', STAGE_I)
def test_reconstruction_of_stage_one(name):
    vector = load_vector(name)
    inputs, samples = make_batch(vector)
    outputs = outputs_of(load_official(vector), inputs, samples.mask.flatten(0, 1))
    # Official: visible frames first. Ours come in the order of time.
    assert_near(outputs['masked'][:, vector.outputs['order']], from_official(vector.outputs['y']))


@pytest.mark.parametrize('name', STAGE_I)
def test_flip_averaging_of_stage_one(name):
    vector = load_vector(name)
    mask = make_batch(vector)[1].mask.flatten(0, 1)
    # Official: the mirrored pass hides the joints of the same numbers, so that what one pass hides the other shows.
    # MotionModel.predict mirrors the mask instead; here the two passes are composed as in run.py.
    outputs = averaged(load_official(vector), torch.from_numpy(vector.inputs['x2']), flip_indices(vector), mask)
    assert_near(outputs['masked'][:, vector.outputs['order']], from_official(vector.outputs['aug_y']))


@pytest.mark.parametrize('name', STAGE_I)
def test_loss_of_stage_one(name):
    vector = load_vector(name)
    with torch.no_grad():
        losses = load_official(vector).loss(*make_batch(vector))
    assert set(losses) == {'masked.loss_mpjpe'}
    assert_near(losses['masked.loss_mpjpe'], torch.from_numpy(vector.outputs['loss']))


@pytest.mark.parametrize('name', STAGE_I + STAGE_II)
def test_what_is_hidden_does_not_reach_the_output(name):
    vector = load_vector(name)
    model, (inputs, samples) = load_official(vector), make_batch(vector)
    if 'mask' not in samples:
        samples.set_data(dict(mask=torch.zeros(inputs.shape[:-1], dtype=torch.bool)))
        samples.mask[..., 1:3, :] = True
    mask = samples.mask
    changed = torch.where(mask[..., None], inputs + 100.0, inputs)
    with torch.no_grad():
        assert torch.equal(model.backbone(inputs[:, 0], mask[:, 0]), model.backbone(changed[:, 0], mask[:, 0]))


def build_sized(config, frames):
    """A model of ``configs/_base_/models`` for windows of some frames, without memory for its weights."""
    model = Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / f'{config}.py').model
    model.backbone.max_frames = frames
    model.neck['num_frames' if model.neck.type == 'StridedReduction' else 'max_frames'] = frames
    with torch.device('meta'):
        return build(MODELS, model)


def shapes_of(state_dict):
    return {key: list(value.shape) for key, value in state_dict.items()}


@pytest.mark.parametrize('config, frames, count', SIZES)
def test_parameter_counts_are_the_official_ones(config, frames, count):
    assert sum(parameter.numel() for parameter in build_sized(config, frames).parameters()) == count


@pytest.mark.parametrize('name, config, frames', LISTED)
def test_full_size_models_have_the_official_names_and_shapes(name, config, frames):
    listing, model = load_listing('ps_fullsize_statedict')[name], build_sized(config, frames)
    official, unmatched = PSTMO.to_official(model.state_dict())
    assert unmatched == []
    assert shapes_of(official) == listing['state_dict']
    assert sum(parameter.numel() for parameter in model.parameters()) == listing['parameters']


@pytest.mark.parametrize('name', [name for name, *_ in LISTED])
def test_sizes_are_read_off_the_weights(name):
    listing = load_listing('ps_fullsize_statedict')[name]
    shapes = {key: torch.empty(shape, device='meta') for key, shape in listing['state_dict'].items()}
    with torch.device('meta'):
        ours = build(MODELS, PSTMO.model_config(shapes))
        expected = build(MODELS, model_config(listing['args'], is_masked=' I ' in name))
    assert shapes_of(ours.state_dict()) == shapes_of(expected.state_dict())
    assert sum(parameter.numel() for parameter in ours.parameters()) == listing['parameters']


@pytest.mark.parametrize('name, config, count', SHARED)
def test_stage_two_takes_the_official_keys_of_stage_one(name, config, count):
    shared = load_listing('ps_fullsize_statedict')[name]['keys_shared_with_stage_II']
    first, second = (build_sized(kind, 243).state_dict() for kind in (f'{config}_mask', config))
    taken = {key: value for key, value in first.items() if key in second and second[key].shape == value.shape}
    official, unmatched = PSTMO.to_official(taken)
    assert unmatched == []
    assert len(official) == count and set(official) == set(shared)


@pytest.mark.parametrize('name', STAGE_I)
def test_stage_two_starts_from_the_weights_of_stage_one(name):
    vector = load_vector(name)
    first = load_official(vector)
    second = build(MODELS, model_config(vector.meta['args'], is_masked=False))
    before = {key: value.clone() for key, value in second.state_dict().items()}
    second.load_state_dict(first.state_dict(), strict=False)  # as MMEngine's load_from does
    after, _ = PSTMO.to_official(second.state_dict())
    for key, value in after.items():
        if key.startswith(('encoder.', 'Transformer.')):
            assert torch.equal(value, vector.state_dict[key]), key
    for key, value in second.state_dict().items():
        assert key.startswith('backbone.') or torch.equal(value, before[key])
