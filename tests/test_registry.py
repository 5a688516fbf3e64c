"""Every registered class builds inside a run of another OpenMMLab project."""
import inspect

import mmengine.registry as root
import mmpose.registry
import pytest
import torch
from mmengine.registry import DefaultScope

from motionbert_mm import registry
from motionbert_mm.registry import ALL_REGISTRIES, DATASETS, MODELS, TRANSFORMS, build, check_arguments
from tests.minimal import MINIMAL, TINY_BACKBONE, TINY_HEAD, arguments

for child in ALL_REGISTRIES:
    child.import_from_location()
CLASSES = [(child, name) for child in ALL_REGISTRIES for name, entry in child.module_dict.items()
           if inspect.isclass(entry)]


@pytest.fixture
def in_mmpose():
    """The default scope that MMPose's tools set, in which our names are not found without their prefix."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


@pytest.mark.parametrize('child, name', CLASSES)
def test_every_class_builds_under_a_foreign_default_scope(in_mmpose, tiny_store, tiny_pyskl, tmp_path, child, name):
    config = dict(type=name, **arguments(name, store=tiny_store, pyskl=tiny_pyskl, tmp=tmp_path))
    assert type(build(child, config)) is child.module_dict[name]


@pytest.mark.parametrize('child, name', CLASSES)
def test_every_class_builds_from_a_host_by_its_prefix(in_mmpose, tiny_store, tiny_pyskl, tmp_path, child, name):
    host = next(entry for entry in vars(root).values() if isinstance(entry, root.Registry) and entry.name == child.name)
    config = dict(type=f'motionbert_mm.{name}', **arguments(name, store=tiny_store, pyskl=tiny_pyskl, tmp=tmp_path))
    assert type(host.build(config)) is child.module_dict[name]


def test_the_foreign_scope_is_really_foreign(in_mmpose):
    with pytest.raises(KeyError, match='RepresentationLayer is not in the mmpose::model registry'):
        MODELS.build(dict(type='RepresentationLayer', in_channels=4))
    assert build(MODELS, dict(type='RepresentationLayer', in_channels=4)).out_channels == 512


@pytest.mark.parametrize('host', [root.MODELS, mmpose.registry.MODELS])
def test_a_host_needs_the_prefix_only(host):
    model = host.build(dict(type='motionbert_mm.MotionModel', backbone=TINY_BACKBONE, heads=dict(pose=TINY_HEAD)))
    assert type(model) is MODELS.module_dict['MotionModel']
    assert model(torch.zeros(1, 1, 4, 17, 3)).shape == (1, 4, 17, 16)


def test_functions_are_found_by_their_prefix(in_mmpose):
    assert root.FUNCTIONS.get('motionbert_mm.collate_batch') is registry.FUNCTIONS.module_dict['collate_batch']


def test_no_row_of_arguments_is_left_over():
    assert set(MINIMAL) == {name for _, name in CLASSES}


def test_every_registry_has_the_scope_of_the_package():
    assert {child.scope for child in ALL_REGISTRIES} == {'motionbert_mm'}
    assert all(child.parent is getattr(root, name) for child, name in ((MODELS, 'MODELS'), (DATASETS, 'DATASETS')))


def test_layers_and_geometry_are_not_registered():
    places = {entry.__module__.split('.')[1] for child in ALL_REGISTRIES for entry in child.module_dict.values()}
    assert places <= {'models', 'datasets', 'evaluation', 'engine', 'integrations'}


def test_built_objects_pass_through_and_defaults_give_way():
    layer = torch.nn.Identity()
    assert build(MODELS, layer) is layer
    neck = build(MODELS, dict(type='RepresentationLayer', in_channels=4), in_channels=8, out_channels=3)
    assert neck.fc.in_features == 4 and neck.out_channels == 3


def test_a_key_that_a_class_does_not_take_is_named_with_those_it_takes():
    with pytest.raises(TypeError, match=r'RandomFlip has probability, which RandomFlip does not take; it takes prob$'):
        build(TRANSFORMS, dict(type='RandomFlip', probability=0.5))


@pytest.mark.parametrize('config, place', [
    (dict(model=dict(type='MotionModel', backbone=dict(TINY_BACKBONE, dims=3))), 'config.model.backbone has dims'),
    (dict(model=dict(type='motionbert_mm.MotionModel', bone=1)), 'config.model has bone, which MotionModel'),
    (dict(pipeline=[dict(type='RandomFlip'), dict(type='PackInputs', feilds=[])]), r'config.pipeline\[1\] has feilds'),
    (dict(a=[(dict(type='MPJPELoss', wieght=1.0),)]), r'config.a\[0\]\[0\] has wieght, which MPJPELoss'),
])
def test_a_key_that_no_class_takes_is_placed_in_the_config(config, place):
    with pytest.raises(TypeError, match=f'^{place}.*does not take; it takes '):
        check_arguments(config)


@pytest.mark.parametrize('config', [
    dict(type='StepSeedHook', priority='LOW'),
    dict(type='BFloat16OptimWrapper', constructor='MotionOptimConstructor', paramwise_cfg={}, optimizer={}),
    dict(type='mmpose.RandomFlip', anything=1), dict(type='Adam', lr=1),
    dict(type=None), [1, 'text', None], dict(type='RandomFlip', prob=0.1, _scope_='motionbert_mm'),
])
def test_other_configs_pass(config):
    assert check_arguments(config) is None
