import os

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from motionbert_mm.checkpoints.load import META_KEY, load_model, load_weights, read_checkpoint
from motionbert_mm.registry import MODELS, build
from tests.generated import TINY_MODEL

PIPELINE = [dict(type='NormalizeCoords', inputs='crop_scale'), dict(type='PackInputs')]


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.fixture
def model(tiny_model):
    return build(MODELS, tiny_model)


def save(path, model, description=None, **entries):
    described = dict(model=TINY_MODEL, window=dict(num_frames=9), pipeline=PIPELINE)
    described.update(description or {})
    torch.save(dict(state_dict=model.state_dict(), meta={META_KEY: described}, **entries), path)
    return path


def test_a_checkpoint_describes_its_model(model, tmp_path):
    loaded, info = load_model(save(tmp_path / 'model.pth', model), 'cpu')
    assert info == dict(skeleton='h36m', num_frames=9, dilation=1, window=dict(num_frames=9), input=PIPELINE[:1],
                        input_3d=[], action=PIPELINE[:1], text=PIPELINE[:1], mask=[], trained_mask=None,
                        classes=None, fps=None, num_persons=None, window_seconds=None)
    assert not loaded.training
    inputs = torch.randn(2, 1, 9, 17, 3)
    torch.testing.assert_close(loaded(inputs), model.eval()(inputs), rtol=0, atol=0)


def test_the_longest_window_is_that_of_the_model_if_none_is_stated(model, tmp_path):
    _, info = load_model(save(tmp_path / 'model.pth', model, dict(window={})), 'cpu')
    assert info['num_frames'] == 9


def test_step_of_the_window_and_masks_of_the_pipeline_are_told(model, tmp_path):
    pipeline = [dict(type='motionbert_mm.NormalizeCoords'), dict(type='SampleExactMask', num_joints=3), *PIPELINE[1:]]
    described = dict(pipeline=pipeline, window=dict(num_frames=9, kind='centre', dilation=2))
    _, info = load_model(save(tmp_path / 'model.pth', model, described), 'cpu')
    assert info['dilation'] == 2 and info['input'] == pipeline[:1] and info['mask'] == pipeline[1:2]


def test_how_a_model_was_initialised_does_not_matter(model, tmp_path):
    pretrained = dict(type='Pretrained', checkpoint='/gone.pth')
    config = dict(TINY_MODEL, backbone=dict(TINY_MODEL['backbone'], init_cfg=pretrained), init_cfg=[pretrained])
    loaded, _ = load_model(save(tmp_path / 'model.pth', model, dict(model=config)), 'cpu')
    assert torch.equal(loaded.backbone.embed.weight, model.backbone.embed.weight)


def test_pickled_code_is_refused_and_not_run(model, tmp_path):
    torch.save(dict(state_dict=model.state_dict(), meta=Payload(tmp_path / 'owned')), tmp_path / 'evil.pth')
    with pytest.raises(ValueError, match=r'evil\.pth holds (posix|nt)\.system, which is not plain data'):
        read_checkpoint(tmp_path / 'evil.pth')
    assert not (tmp_path / 'owned').exists()


def test_objects_of_other_packages_are_refused(tmp_path):
    torch.save(dict(log=HistoryBuffer([1.0], [1])), tmp_path / 'objects.pth')
    with pytest.raises(ValueError, match=r'holds mmengine\.logging\.history_buffer\.HistoryBuffer'):
        read_checkpoint(tmp_path / 'objects.pth')


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_named(model, tmp_path, share, legacy):
    path = tmp_path / 'cut.pth'
    torch.save(dict(state_dict=model.state_dict()), path, _use_new_zipfile_serialization=not legacy)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(ValueError, match=r'cut\.pth is truncated or no checkpoint'):
        read_checkpoint(path)


@pytest.mark.parametrize('content', [b'', b'hello world', b'<!DOCTYPE html><html>', b'PK\x03\x04 no zip'])
def test_other_files_are_no_checkpoints(tmp_path, content):
    (tmp_path / 'page.pth').write_bytes(content)
    with pytest.raises(ValueError, match=r'page\.pth is truncated or no checkpoint'):
        read_checkpoint(tmp_path / 'page.pth')


def test_a_file_without_a_dictionary_is_named(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match='holds a list, expected a dictionary'):
        read_checkpoint(tmp_path / 'list.pth')


@pytest.mark.parametrize('name', ['nowhere.pth', '.'])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_checkpoint(tmp_path / name)


needs_safe_globals = pytest.mark.skipif(not hasattr(torch.serialization, 'safe_globals'),
                                        reason='this torch has no list of safe globals')


@needs_safe_globals
@pytest.mark.parametrize('scalar', [np.float64(39.25), np.float32(0.1), np.int64(7), np.bool_(True)])
def test_numpy_scalars_of_official_files_are_read(tmp_path, scalar):
    torch.save(dict(epoch=3, min_loss=scalar), tmp_path / 'official.bin')
    assert read_checkpoint(tmp_path / 'official.bin') == dict(epoch=3, min_loss=scalar)


@needs_safe_globals
def test_reading_one_file_admits_nothing_for_the_next(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    torch.save(dict(best=np.float64(1.0)), tmp_path / 'official.bin')
    read_checkpoint(tmp_path / 'official.bin')
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize('name', ['subprocess.Popen', 'os.system', 'mmengine.Config', 'Adam', 'motionbert_mm.os', '',
                                  'mmpose.TopdownPoseEstimator'])
def test_only_classes_of_this_package_are_built(model, tmp_path, name):
    for place in (dict(model=dict(type=name, args=['true'])),
                  dict(model=dict(TINY_MODEL, neck=dict(type=name))),
                  dict(pipeline=[dict(type='NormalizeCoords', inputs=dict(type=name))])):
        path = save(tmp_path / 'model.pth', model, place)
        with pytest.raises(ValueError, match=r'model\.pth asks to build .* not a class of this package; refused'):
            load_model(path, 'cpu')


def test_a_description_cannot_leave_the_scope(model, tmp_path):
    path = save(tmp_path / 'model.pth', model, dict(model=dict(TINY_MODEL, _scope_='mmpose')))
    with pytest.raises(ValueError, match="asks to build in the scope 'mmpose'"):
        load_model(path, 'cpu')


@pytest.mark.parametrize('meta', [{}, None, {META_KEY: {}}, {META_KEY: dict(model=TINY_MODEL)}, {META_KEY: 'text'}])
def test_a_file_without_a_description_is_named(model, tmp_path, meta):
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'plain.pth')
    with pytest.raises(ValueError, match='does not say which model it holds.*tools/model_converters'):
        load_model(tmp_path / 'plain.pth', 'cpu')


def test_weights_of_another_architecture_are_refused(model, tmp_path):
    wider = dict(TINY_MODEL, backbone=dict(TINY_MODEL['backbone'], dim=32))
    with pytest.raises(ValueError, match=r'does not fit the model: \d+ entries of another shape, e.g. backbone.joint'):
        load_model(save(tmp_path / 'model.pth', model, dict(model=wider)), 'cpu')
    deeper = build(MODELS, dict(TINY_MODEL, backbone=dict(TINY_MODEL['backbone'], depth=3)))
    with pytest.raises(ValueError, match=r'old\.pth does not fit the model: \d+ entries missing, e.g. backbone.fus'):
        load_weights(deeper, model.state_dict(), 'old.pth')
    with pytest.raises(ValueError, match=r'\d+ entries unexpected, e.g. backbone.fusion.2'):
        load_weights(model, deeper.state_dict(), 'new.pth')
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_steps_of_an_action_model_keep_their_order(model, tmp_path):
    names = ['AssociatePersons', 'ConvertSkeleton', 'NormalizeCoords', 'ZeroMissing']
    pipeline = [dict(type=name, target='h36m') if name == 'ConvertSkeleton' else dict(type=name) for name in names]
    described = dict(pipeline=[*pipeline, dict(type='PackInputs')])
    _, info = load_model(save(tmp_path / 'model.pth', model, described), 'cpu')
    assert info['action'] == pipeline and info['input'] == pipeline[2:3]
