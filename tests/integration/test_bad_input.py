"""Bad input to the command lines: one line that says what came, what was expected and where to fix it."""
import json
import os
import re
import shutil
import sys

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.registry import MODELS, build
from tests.generated import load_tool, make_cameras, make_clip, make_config, run_tool, write_config


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Run a tool's ``main`` in this process and return its last words; it must end in one line and a failure."""
    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as exit_info:
            load_tool(tool).main()
        message = exit_info.value.code
        assert isinstance(message, str) and message.strip() and '\n' not in message
        return message
    return run


@pytest.fixture
def config(tiny_store, tmp_path):
    return write_config(tmp_path / 'tiny.py', tiny_store, log_level='ERROR', experiment_name=tmp_path.name)


@pytest.fixture
def copied_store(tiny_store, tmp_path):
    return shutil.copytree(tiny_store, tmp_path / 'store')


def train(call, config, *options):
    return call('train.py', config, '--work-dir', 'work', '--cfg-options', *options)


def at(store):
    return f'train_dataloader.dataset.data_root={store}'


def write_store(path, skeleton, joints, num_frames=30):
    camera = make_cameras()[0]
    arrays = make_clip(num_frames, 0, camera)
    arrays = {name: value if name == 'image_factor' else value[:, :joints] for name, value in arrays.items()}
    with MotionStoreWriter(path, skeleton=skeleton, fps=30.0) as writer:
        writer.add_clip('clip', arrays, action='walk', image_size=camera.image_size, intrinsics=camera.intrinsics)
    return path


def test_a_missing_store(call, config):
    assert re.match(r'error: nowhere is not a motion store: index.json is missing; make one with a script of '
                    r'tools/dataset_converters/', train(call, config, at('nowhere')))


def test_a_truncated_store(call, config, copied_store):
    os.truncate(copied_store / 'keypoints_3d.npy', 2000)
    assert re.search(r'keypoints_3d\.npy is torn .*convert again', train(call, config, at(copied_store)))


def test_an_empty_store(call, config, copied_store):
    index = json.loads((copied_store / 'index.json').read_text())
    (copied_store / 'index.json').write_text(json.dumps({**index, 'clips': []}))
    assert 'lists no clip; convert again from a source that is not empty' in train(call, config, at(copied_store))


def test_numbers_that_are_none(call, config, copied_store):
    np.load(copied_store / 'keypoints_2d.npy', mmap_mode='r+')[:] = np.nan
    message = train(call, config, at(copied_store))
    assert re.match(r"error: sample '.*' has NaN or infinite 2D input; repair the source and convert again", message)
    assert message.endswith(' (traceback in work/error.txt)')


def test_a_wrong_number_of_joints(call, config, tmp_path):
    store = write_store(tmp_path / 'joints', 'h36m', 16)
    assert "keypoints_3d has 16 joints, skeleton 'h36m' has 17; convert again" in train(call, config, at(store))


def test_another_skeleton_than_that_of_the_model(call, config, tmp_path):
    store = write_store(tmp_path / 'coco', 'coco17', 17)
    assert re.search(r"batch has skeleton 'coco17', the model was built for 'h36m'; add dict\(type='ConvertSkeleton'",
                     train(call, config, at(store)))


def test_an_unknown_skeleton(call, config):
    assert re.match(r"error: unknown skeleton 'alien5'; known are h36m, ", train(call, config, 'model.skeleton=alien5'))


def test_more_frames_than_the_model_takes(call, config):
    assert re.search('built for at most 9 frames, got 12; set backbone.max_frames',
                     train(call, config, 'train_dataloader.dataset.window.num_frames=12'))


def test_clips_that_are_too_short(call, config, tmp_path):
    store = write_store(tmp_path / 'short', 'h36m', 17, num_frames=1)
    message = train(call, config, at(store), 'train_dataloader.dataset.window.tail=drop')
    assert "no clip is as long as a window of 9 frames (longest: 1); use fewer num_frames or tail='pad'" in message


def test_a_one_frame_clip_trains_padded(tmp_path, tiny_store):
    store = write_store(tmp_path / 'short', 'h36m', 17, num_frames=1)
    config = make_config(store, log_level='ERROR', work_dir=str(tmp_path / 'work'), experiment_name='one_frame',
                         **{'train_dataloader.dataset.exclude': [], 'train_cfg.max_epochs': 1,
                            'val_dataloader.dataset.include': [], 'test_dataloader.dataset.include': []})
    runner = Runner.from_cfg(config)
    runner.train()
    assert all(torch.isfinite(value).all() for value in runner.model.parameters())
    assert np.isfinite(runner.test()['MPJPE'])


@pytest.mark.parametrize('option, message', [
    ('model.backbone.dims=3', 'config.model.backbone has dims, which DSTformer does not take; it takes in_channels, '),
    ('train_dataloader.dataset.windw.num_frames=9', 'config.train_dataloader.dataset has windw, which MotionDataset'),
    ('train_dataloader.batchsize=9', 'config.train_dataloader has batchsize, which DataLoader does not take; it takes'),
    ('test_dataloader.dataset.window.strid=9', 'config.test_dataloader.dataset.window has strid, which WindowPlan'),
    ('model.heads.pose.type=PoseHead', 'PoseHead is not in the motionbert_mm::model registry'),
    ('max_epochs=3', '--cfg-options max_epochs would change nothing'),
])
def test_a_key_that_no_class_takes(call, config, option, message):
    assert message in train(call, config, option)


def test_a_config_without_anything_to_test(call, tmp_path):
    (tmp_path / 'short.py').write_text('model = dict()')
    message = call('test.py', tmp_path / 'short.py', 'model.pth')
    assert 'short.py has no test_dataloader, test_evaluator, so there is nothing to test; it holds ' in message


def test_a_missing_config(call):
    assert call('train.py', 'nowhere.py') == 'error: config nowhere.py does not exist'


def save(path, dim=16):
    """A checkpoint of the tiny model, or of a wider one."""
    backbone = dict(type='DSTformer', max_frames=9, dim=dim, depth=2, num_heads=2)
    model = build(MODELS, dict(type='MotionModel', backbone=backbone, heads=dict(pose=dict(type='PoseLiftHead')),
                               neck=dict(type='RepresentationLayer', out_channels=8)))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=1, iter=3), message_hub={}), path)
    return path


@pytest.mark.parametrize('tool, arguments', [('test.py', ('model.pth',)), ('train.py', ('--resume', 'model.pth')),
                                             ('train.py', ('--cfg-options', 'load_from=model.pth'))])
class TestCheckpoints:
    def test_missing(self, call, config, tool, arguments):
        assert call(tool, config, *arguments) == 'error: checkpoint model.pth does not exist'

    def test_truncated(self, call, config, tmp_path, tool, arguments):
        os.truncate(save(tmp_path / 'model.pth'), 3000)
        message = call(tool, config, *arguments)
        assert re.match(r'error: model\.pth is truncated or no checkpoint \(.*\); copy it again$', message)

    def test_with_code(self, call, config, tmp_path, tool, arguments):
        torch.save(dict(state_dict=print), tmp_path / 'model.pth')
        assert re.match(r'error: checkpoint model\.pth holds \S*print, which is not plain data, and is refused',
                        call(tool, config, *arguments))


@pytest.mark.parametrize('tool, arguments', [('test.py', ('model.pth',)), ('train.py', ('--resume', 'model.pth'))])
def test_another_architecture(call, config, tmp_path, tool, arguments):
    save(tmp_path / 'model.pth', dim=32)
    message = call(tool, config, *arguments)
    assert 'backbone.joint_embed has shape (1, 17, 32), the model (1, 17, 16)' in message
    assert re.search(r'\d+ entries of another shape', message) and 'config' in message


def test_an_official_file_that_was_not_converted(call, config, tmp_path):
    # train.py leaves a numpy scalar; torch < 2.5 cannot be told to admit one.
    best = np.float64(1) if hasattr(torch.serialization, 'safe_globals') else 1.0
    official = dict(model_pos={'module.joints_embed.weight': torch.zeros(3, 2)}, min_loss=best)
    torch.save(official, tmp_path / 'model.pth')
    assert 'convert official weights with tools/model_converters/' in call('test.py', config, 'model.pth')


def test_automatic_resuming_from_a_torn_file(call, config, tmp_path):
    (tmp_path / 'work').mkdir()
    os.truncate(save(tmp_path / 'work' / 'epoch_1.pth'), 3000)
    (tmp_path / 'work' / 'last_checkpoint').write_text(str(tmp_path / 'work' / 'epoch_1.pth'))
    assert 'epoch_1.pth is truncated or no checkpoint' in call('train.py', config, '--work-dir', 'work', '--resume')


def test_a_dump_that_is_no_npz(call, config, tmp_path):
    save(tmp_path / 'model.pth')
    assert "the dump must be an .npz file, got 'out.txt'" in call('test.py', config, 'model.pth', '--dump', 'out.txt')


def test_the_process_ends_with_the_line_and_without_traceback(config, tmp_path):
    result = run_tool('train.py', config, '--cfg-options', 'model.skeleton=alien5', cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("error: unknown skeleton 'alien5'; known are h36m")
    assert 'Traceback' not in result.stderr + result.stdout
