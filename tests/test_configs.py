"""Every config loads, builds what it names, trains one step and tests one, on generated data."""
import inspect
from itertools import islice
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from motionbert_mm.datasets.motionbert_mesh import MeshFile
from motionbert_mm.datasets.pose_files import write_stores
from motionbert_mm.engine.classes import fill_classes
from motionbert_mm.engine.command_line import RUNNER_EXTRAS
from motionbert_mm.registry import check_arguments
from tests import mesh_files, mpi_inf_3dhp_files, pyskl_files
from tests.generated import ROOT
from tests.minimal import TINY_TEXT

# Configs of other projects, which their Runners run: tests/integrations.
HOSTS = ('mmaction', 'mmpose')
CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py')
                 if not {'_base_', *HOSTS} & set(path.relative_to(ROOT).parts))
BASES = sorted((ROOT / 'configs' / '_base_').rglob('*.py'))
FEW_FRAMES = 27
SMALL = dict(dim=32, channels=32, depth=2, tap_layer=2)  # of backbones, which tests of their own build in full size


def ids(paths):
    return [path.relative_to(ROOT / 'configs').as_posix() for path in paths]


def as_list(config):
    """The configs of a row of necks, of one, or of none."""
    return config if isinstance(config, list) else [config] if config else []


def sources(dataset):
    """The configs of the data sets that one is mixed or joined of, or its own."""
    parts = [part for part in dataset.get('datasets', {}).values() if part is not None]
    return [source for part in parts for source in sources(part)] if parts else [dataset]


def shrink(config, store, folder):
    """Point every data set of a config at generated data, two samples a batch, and make the network small."""
    backbone = config.model.backbone
    backbone.update({name: min(size, backbone[name]) for name, size in SMALL.items() if name in backbone})
    for part in (*config.model.heads.values(), config.get('val_evaluator') or {}, config.get('test_evaluator') or {}):
        if 'body_model' in part:
            part.body_model = dict(path='synthetic')  # SMPL is not in the repository
        if 'text_encoder' in part:  # nor are BERT and words
            part.text_encoder = dict(TINY_TEXT, average_tokens=part.text_encoder.get('average_tokens', False))
    for neck in as_list(config.model.get('neck')):
        if 'num_frames' in neck:
            neck.num_frames = min(neck.num_frames, FEW_FRAMES)
    for stage in ('train', 'val', 'test'):
        loader = config.get(f'{stage}_dataloader')
        if loader is None:
            continue
        loader.update(batch_size=2, num_workers=0, persistent_workers=False, pin_memory=False)
        is_one_shot = 'EmbeddingHead' in [head.type for head in config.model.heads.values()]
        if is_one_shot:  # two pairs train, and every class has an exemplar and a query
            loader.batch_size = 4 if stage == 'train' else 48
        for data in sources(loader.dataset):
            data.window.num_frames = min(data.window.num_frames, FEW_FRAMES)
            if data.type in ('SyntheticDataset', 'SyntheticTextDataset'):
                data.update(data_root=str(folder / 'synthetic'), num_clips=12 if is_one_shot else 1, num_frames=40)
            elif data.type == 'PysklDataset':
                data.update(data_root=str(folder), ann_file=str(folder / data.ann_file))
            elif 'data/mesh' in data.data_root:
                data.data_root = str(folder / 'mesh' / Path(data.data_root).name)
            elif 'mpi_inf_3dhp' in data.data_root:
                data.update(data_root=str(folder / data.data_root), include=[], exclude=[])
            else:
                data.update(data_root=str(store), include=[], exclude=[], split=None)
            for step in data.pipeline:
                if step.type == 'AddMixtureNoise':
                    step.params = None  # files that a user fits are not in the repository
    config.update(work_dir=str(folder / 'work'), log_level='ERROR', launcher='none')
    return config


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """Where data is made once for all configs: synthetic data on first use, and what has other joints here."""
    path = tmp_path_factory.mktemp('configs')
    for split in ('train', 'test'):
        mpi_inf_3dhp_files.write_store(path / 'data' / 'mpi_inf_3dhp' / split, is_test=split == 'test')
    pickle = mesh_files.write_pickle(path / 'mesh_det_pw3d.pkl', mesh_files.mesh_content('pw3d', has_initial=True))
    write_stores(MeshFile(pickle, 'pw3d'), path / 'mesh')
    for num_classes in (60, 120):
        pyskl_files.write_ntu(path / 'data' / 'action' / f'ntu{num_classes}_hrnet.pkl', num_classes)
    return path


def test_there_are_configs():
    assert CONFIGS and BASES


@pytest.mark.parametrize('path', CONFIGS, ids=ids(CONFIGS))
def test_one_step_of_training_and_testing(path, tiny_store, folder):
    config = shrink(Config.fromfile(path), tiny_store, folder)
    config.experiment_name = path.stem
    fill_classes(config)
    runner = Runner.from_cfg(config)
    loader = runner.train_loop.dataloader
    wrapper = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    trained = [value for value in runner.model.parameters() if value.requires_grad]
    before = [value.clone() for value in trained]
    # As many batches as make one step.
    for batch in islice(loader, config.optim_wrapper.get('accumulative_counts', 1)):
        losses = runner.model.train().train_step(batch, wrapper)
        assert all(torch.isfinite(value) for value in losses.values()) and losses['loss'] > 0
    assert sum(not torch.equal(*pair) for pair in zip(trained, before)) > len(trained) / 2
    for stage in ('val', 'test'):
        loop = getattr(runner, f'{stage}_loop')
        if loop is None:
            continue
        runner.call_hook(f'before_{stage}')
        batch = next(iter(loop.dataloader))
        loop.evaluator.process(data_samples=runner.model.eval().test_step(batch), data_batch=batch)
        metrics = loop.evaluator.evaluate(2)
        assert metrics and all(value == value for value in metrics.values())


@pytest.mark.parametrize('path', CONFIGS, ids=ids(CONFIGS))
def test_no_key_is_dead(path):
    config = Config.fromfile(path).to_dict()
    check_arguments(config)
    known = {*inspect.signature(Runner).parameters, *RUNNER_EXTRAS}
    used = repr({key: value for key, value in config.items() if key in known})
    dead = [key for key, value in config.items() if key not in known and repr(value) not in used]
    assert dead == []


@pytest.mark.parametrize('path', CONFIGS + BASES, ids=ids(CONFIGS + BASES))
def test_every_config_loads_alone(path):
    assert Config.fromfile(path).to_dict()


def test_a_key_that_no_class_takes_fails(tiny_store, folder):
    path, = (path for path in CONFIGS if path.stem == 'dstformer-tiny_scratch_9f_1xb32-8e_synthetic_det')
    config = shrink(Config.fromfile(path), tiny_store, folder)
    config.model.backbone.dims = 3
    with pytest.raises(TypeError, match='config.model.backbone has dims, which DSTformer does not take'):
        check_arguments(config.to_dict())
    with pytest.raises(TypeError, match='DSTformer has dims, which DSTformer does not take; it takes in_channels, '):
        Runner.from_cfg(config)
