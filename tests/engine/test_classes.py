import pytest

from motionbert_mm.engine.classes import fill_classes
from tests.generated import TINY_MODEL, make_config

ACTION = dict(type='ActionHead', num_classes=None, hidden_channels=16, losses=[dict(type='CrossEntropyLoss')])


def action_config(store, head=None, **changes):
    config = make_config(store, **changes)
    config.model.heads = dict(action=dict(ACTION, **(head or {})))
    return config


def test_the_head_and_other_data_take_the_classes_of_training(tiny_store):
    config = action_config(tiny_store)
    config.test_dataloader.dataset.classes = ['wave']
    fill_classes(config)
    assert config.model.heads.action.num_classes == 2
    assert config.val_dataloader.dataset.classes == ['walk', 'wave']
    assert config.test_dataloader.dataset.classes == ['wave'], 'what the config says stays'


def test_classes_of_a_checkpoint_come_first(tiny_store):
    config = action_config(tiny_store)
    fill_classes(config, ['wave', 'run', 'walk'])
    assert config.model.heads.action.num_classes == 3
    assert config.test_dataloader.dataset.classes == ['wave', 'run', 'walk']


def test_a_number_that_contradicts_is_refused(tiny_store):
    fill_classes(action_config(tiny_store, dict(num_classes=2)))
    with pytest.raises(ValueError, match='num_classes=60, but there are 2 classes: walk, wave; set num_classes=None'):
        fill_classes(action_config(tiny_store, dict(num_classes=60)))


def test_unlabelled_clips_are_refused_before_training(tiny_store):
    config = action_config(tiny_store, **{'train_dataloader.dataset.classes': ['walk']})
    with pytest.raises(ValueError, match="unknown label, e.g. 'wave/wave_1"):
        fill_classes(config)


def test_of_several_sources_the_config_says_the_number(tiny_store):
    config = action_config(tiny_store, dict(num_classes=5))
    config.train_dataloader.dataset = dict(type='MixedDataset', datasets=dict(mine=config.train_dataloader.dataset))
    fill_classes(config)
    assert config.model.heads.action.num_classes == 5 and 'classes' not in config.val_dataloader.dataset
    config.model.heads.action.num_classes = None
    with pytest.raises(ValueError, match='MixedDataset in train_dataloader has no classes'):
        fill_classes(config)


def test_other_models_stay_as_they_are(tiny_store):
    config = make_config(tiny_store)
    fill_classes(config)
    assert config.model.to_dict()['heads'] == TINY_MODEL['heads'] and 'classes' not in config.val_dataloader.dataset
