"""Every registered backbone in every pose config: new ones of either kind are picked up by themselves."""
from functools import cache

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from motionbert_mm.registry import MODELS, build, check_arguments
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.minimal import arguments
from tests.test_configs import CONFIGS, as_list, ids

MODELS.import_from_location()
BACKBONES = sorted(name for name, entry in MODELS.module_dict.items()
                   if entry.__module__.startswith('motionbert_mm.models.backbones.'))
POSE_CONFIGS = [path for path in CONFIGS if path.parent.name in ('pose3d', 'pretrain', 'demo')]
BATCH, PERSONS, FRAMES = 2, 1, 9
# Axes behind (B, M, T, J) of the fields that a pipeline may pack.
TRAILING = dict(target_3d=(3,), target_2d=(2,), weight_2d=(), visible=(), mask=())
# Which parts read and make one token for every frame, where others read and make one for every joint.
FRAME_BACKBONES = ('MPMEncoder', 'PSTMOEncoder')
FRAME_READERS = ('FrameToJoints', 'StridedReduction', 'FramePoseHead', 'MaskedPoseHead',
                 'RestoreFrames')
ADAPTERS = {(True, False): dict(type='FrameToJoints', out_channels=8),
            (False, True): dict(type='JointsToFrame', out_channels=8)}
# What changes in a config that has DSTformer: one line (MotionBERT, tables 6 and 7).
ONE_LINE = [dict(type='SpaceTimeTransformer'), dict(type='TimeSpaceTransformer'),
            dict(type='ParallelStreamTransformer'), dict(type='SeriesAttentionTransformer'), dict(use_fusion=False),
            dict(_delete_=True, type='TemporalConvNet'), dict(_delete_=True, type='PoseFormer')]


@cache
def load(path):
    return Config.fromfile(path)


# Those that are not themselves one of the compared designs.
DSTFORMER_CONFIGS = [path for path in POSE_CONFIGS if load(path).model.backbone.type == 'DSTformer'
                     and 'use_fusion' not in load(path).model.backbone]


def packed_fields(config):
    """The fields that each training pipeline of a config gives to the heads."""
    if isinstance(config, (list, tuple)):
        return [fields for entry in config for fields in packed_fields(entry)]
    if not isinstance(config, dict):
        return []
    if config.get('type') == 'PackInputs':
        return [tuple(config.get('fields', ['target_3d']))]
    return packed_fields(list(config.values()))


def make_model(config, name):
    """The model of a config around the smallest backbone of another name, a layout adapter between them if needed."""
    joints = dict(num_joints=get_skeleton(config.model.skeleton).num_joints)
    backbone = dict(arguments(name), type=name, **joints)
    necks = [dict(neck) for neck in as_list(config.model.get('neck'))
             if neck.type not in (adapter['type'] for adapter in ADAPTERS.values())]
    for neck in necks:
        if 'num_frames' in neck:
            neck['num_frames'] = FRAMES
    reader = (necks or list(config.model.heads.values()))[0]['type']
    adapter = ADAPTERS.get((name in FRAME_BACKBONES, reader in FRAME_READERS))
    torch.manual_seed(0)
    return build(MODELS, dict(config.model.to_dict(), backbone=backbone,
                              neck=[*([dict(adapter, **joints)] if adapter else ()), *necks]))


def make_samples(model, fields=()):
    """Random targets for the heads of a model."""
    norm = dict(target='root_relative', root=[0] * BATCH, scale=[1000.0] * BATCH,
                input_box=np.tile(np.float32([0, 0, 1000]), (BATCH, 1)),
                rays=np.full((BATCH, PERSONS, FRAMES, 17, 2), 0.1), root_depth=np.full((BATCH, PERSONS, FRAMES), 4e3))
    samples = MotionSample(metainfo=dict(sample_id=list('ab'), skeleton=model.skeleton.name, norm=norm,
                                         frame_ids=np.tile(np.arange(FRAMES), (BATCH, 1))))
    for field in fields:
        if field not in TRAILING:
            pytest.fail(f'a pose config packs {field}; say in TRAILING of this file which axes it has')
        value = torch.rand(BATCH, PERSONS, FRAMES, model.skeleton.num_joints, *TRAILING[field])
        samples.set_data({field: value > 0.2 if field in ('visible', 'mask') else value})
    return samples


def make_inputs(model):
    return torch.rand(BATCH, PERSONS, FRAMES, model.skeleton.num_joints, 3)


def test_there_are_backbones_and_configs():
    assert {'DSTformer', 'PoseFormer', 'TemporalConvNet'} <= set(BACKBONES)
    assert DSTFORMER_CONFIGS and set(DSTFORMER_CONFIGS) < set(POSE_CONFIGS)


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('path', POSE_CONFIGS, ids=ids(POSE_CONFIGS))
def test_it_learns_and_predicts(path, name):
    config = load(path)
    model, sources = make_model(config, name), packed_fields(config.train_dataloader)
    assert sources
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    for fields in sources:
        losses = model.train()(make_inputs(model), make_samples(model, fields), mode='loss')
        total, _ = model.parse_losses(losses)
        assert total > 0
        model.zero_grad()
        total.backward()
        assert not [key for key, value in trained.items() if value.grad is None]
        assert all(torch.isfinite(value.grad).all() for value in trained.values())
    predictions = model.eval()(make_inputs(model), make_samples(model), mode='predict')
    assert len(predictions) == BATCH
    for prediction in predictions:
        field = 'keypoints_3d' if 'keypoints_3d' in prediction else 'keypoints_2d'
        shape = PERSONS, len(prediction.frame_ids), model.skeleton.num_joints, int(field[-2])
        assert prediction.get(field).shape == shape and shape[1] in (1, FRAMES)
        assert torch.isfinite(prediction.get(field)).all()


@pytest.mark.parametrize('name', BACKBONES)
def test_it_learns_to_pass_its_input_on(name):
    model = make_model(load(POSE_CONFIGS[0]), name).train()
    inputs, samples = make_inputs(model)[:, :, :6] - 0.5, make_samples(model)
    samples.target_3d = inputs  # around zero: no constant output comes below the first loss
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-2))
    losses = [model.train_step(dict(inputs=inputs, data_samples=samples), wrapper)['loss'].item() for _ in range(20)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize('change', ONE_LINE, ids=lambda change: change.get('type', 'average'))
@pytest.mark.parametrize('path', DSTFORMER_CONFIGS, ids=ids(DSTFORMER_CONFIGS))
def test_one_line_changes_the_backbone(path, change):
    config = Config(load(path).to_dict())
    joints = get_skeleton(config.model.skeleton).num_joints
    config.merge_from_dict(dict(model=dict(backbone=dict(change, num_joints=joints))))
    check_arguments(config.to_dict())
    with torch.device('meta'):
        model = build(MODELS, config.model.to_dict())
    assert type(model.backbone).__name__ == change.get('type', 'DSTformer')
    first = next(layer for layer in model.neck.modules() if isinstance(layer, torch.nn.Linear))
    assert first.in_features in (model.backbone.out_channels, joints * model.backbone.out_channels)
