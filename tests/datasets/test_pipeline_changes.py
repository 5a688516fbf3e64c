"""Pipelines changed from outside, and data sets whose pipeline makes the 2D input."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from motionbert_mm.checkpoints.load import META_KEY, load_model
from motionbert_mm.datasets.base import MotionDataset, change_steps
from motionbert_mm.engine.hooks import PlainCheckpointHook
from motionbert_mm.engine.hooks.plain_checkpoint import describe_config
from motionbert_mm.registry import MODELS, build
from tests.generated import make_config

PIPELINE = (dict(type='AddDetectorNoise', std=3.0), dict(type='RandomFlip', prob=1.0), dict(type='NormalizeCoords'),
            dict(type='PackInputs', fields=('target_3d',)))


def load(store, pipeline=PIPELINE, **options):
    dataset = MotionDataset(str(store), window=dict(num_frames=9, stride=2), pipeline=pipeline, **options)
    return dataset.__getitems__([0, 9, 20])


def assert_same(first, second):
    np.testing.assert_array_equal(first['inputs'], second['inputs'])
    assert first['fields'].keys() == second['fields'].keys()
    for name, value in first['fields'].items():
        np.testing.assert_array_equal(value, second['fields'][name])


def test_an_argument_is_changed_and_the_others_stay(tiny_store):
    changed = load(tiny_store, pipeline_changes=dict(RandomFlip=dict(prob=0.0), PackInputs=dict(fields=['label'])))
    by_hand = (PIPELINE[0], dict(type='RandomFlip', prob=0.0), PIPELINE[2], dict(type='PackInputs', fields=['label']))
    assert_same(changed, load(tiny_store, by_hand))
    assert not np.array_equal(changed['inputs'], load(tiny_store)['inputs'])


def test_a_step_is_left_out(tiny_store):
    without = (PIPELINE[0], *PIPELINE[2:])
    assert_same(load(tiny_store, pipeline_changes=dict(RandomFlip=None)), load(tiny_store, without))


def test_no_changes_change_nothing(tiny_store):
    for changes in (None, {}, dict(RandomFlip={})):
        assert_same(load(tiny_store, pipeline_changes=changes), load(tiny_store))


def test_the_given_pipeline_is_not_written_to():
    steps = change_steps(PIPELINE, dict(AddDetectorNoise=dict(std=9.0)))
    assert steps[0] == dict(type='AddDetectorNoise', std=9.0) and PIPELINE[0]['std'] == 3.0
    assert steps[1:] == list(PIPELINE[1:])


@pytest.mark.parametrize('changes, error, message', [
    (dict(SampleMask=None), ValueError, 'names SampleMask, but the pipeline has AddDetectorNoise, RandomFlip, Norm'),
    (dict(AddDetectorNoise=dict(sdt=1.0)), TypeError, 'AddDetectorNoise has sdt, which AddDetectorNoise does not take'),
])
def test_changes_that_fit_nothing_are_refused(tiny_store, changes, error, message):
    with pytest.raises(error, match=message):
        load(tiny_store, pipeline_changes=changes)


def test_inherited_configs_and_the_command_line_reach_into_a_pipeline(tiny_store, tmp_path):
    make_config(tiny_store).dump(tmp_path / 'base.py')
    child = "_base_ = './base.py'\ntrain_dataloader = dict(dataset=dict(pipeline_changes=dict(RandomFlip=None)))\n"
    (tmp_path / 'child.py').write_text(child)
    config = Config.fromfile(tmp_path / 'child.py')
    config.merge_from_dict({'train_dataloader.dataset.pipeline_changes.AddDetectorNoise.std': 8.0})
    data = config.train_dataloader.dataset
    names = [step['type'] for step in change_steps(data.pipeline, data.pipeline_changes)]
    assert names == ['AddDetectorNoise', 'NormalizeCoords', 'PackInputs']
    assert change_steps(data.pipeline, data.pipeline_changes)[0] == dict(type='AddDetectorNoise', std=8.0)


def test_a_checkpoint_describes_the_changed_pipeline(tiny_store, tmp_path):
    config = make_config(tiny_store)
    config.test_dataloader.dataset.update(pipeline_changes=dict(NormalizeCoords=dict(target='image_space'),
                                                                PackInputs=None))
    described = describe_config(config.to_dict())
    assert described['pipeline'] == [dict(type='NormalizeCoords', target='image_space')]
    assert described['window'] == dict(num_frames=9, stride=4)
    model = build(MODELS, config.model.to_dict())
    checkpoint = dict(meta={}, state_dict=model.state_dict())
    runner = SimpleNamespace(cfg=config, train_dataloader=None, model=model)
    PlainCheckpointHook().before_save_checkpoint(runner, checkpoint)
    assert checkpoint['meta'][META_KEY]['pipeline'] == described['pipeline']
    torch.save(checkpoint, tmp_path / 'model.pth')
    assert load_model(tmp_path / 'model.pth', 'cpu')[1]['input'] == described['pipeline']


def test_a_checkpoint_tells_the_masks_of_all_sources_of_the_training(tiny_store):
    config = make_config(tiny_store).to_dict()
    assert describe_config(config)['trained_mask'] == []
    data = config['train_dataloader']['dataset']
    masks = [dict(type='SampleMask', joint_ratio=0.1), dict(type='SampleExactMask', num_joints=3)]
    sources = {name: dict(data, pipeline=[dict(type='NormalizeCoords'), *steps]) for name, steps in
               (('hidden', masks), ('plain', []), ('more', masks[:1]))}
    sources['more']['pipeline_changes'] = dict(SampleMask=dict(joint_ratio=0.2))
    sources = dict(hidden=sources['hidden'], rest=dict(type='MixedDataset', datasets=sources))
    config['train_dataloader']['dataset'] = dict(type='MixedDataset', datasets=sources)
    assert describe_config(config)['trained_mask'] == [*masks, *masks, dict(type='SampleMask', joint_ratio=0.2)]
    del config['train_dataloader']
    assert describe_config(config)['trained_mask'] == []


def test_without_2d_the_store_is_asked_for_3d_alone(people_store):
    batch = load(people_store, (), input_2d=None)
    assert not {'keypoints_2d', 'confidence', 'detected_2d'} & set(batch)
    np.testing.assert_array_equal(batch['keypoints_3d'], load(people_store, ())['keypoints_3d'])
    np.testing.assert_array_equal(batch['visible'], load(people_store, ())['visible'])


def test_a_transform_makes_the_2d_input(tiny_store):
    pipeline = (dict(type='OrthographicView'), dict(type='NormalizeCoords', target='image_space'), PIPELINE[-1])
    batch = load(tiny_store, pipeline, input_2d=None)
    assert batch['inputs'].shape == (3, 1, 9, 17, 3) and (batch['inputs'][..., 2] == 1).all()
    # Without perspective the target's x and y are the input's, from the root.
    flat = batch['inputs'][..., :2] - batch['inputs'][..., :1, :2]
    np.testing.assert_allclose(batch['fields']['target_3d'][..., :2], flat, atol=1e-6)
    # The same motion, whatever the camera of the store saw of it.
    assert not np.allclose(load(tiny_store)['inputs'], batch['inputs'])
