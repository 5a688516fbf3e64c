"""Mesh recovery by commands: pretraining, training on synthetic bodies, a body in SMPL's layout, files for Blender."""
import json

import numpy as np
import pytest
import torch
import trimesh
from mmengine.config import Config
from mmengine.runner import Runner

from motionbert_mm.datasets.synthetic import generate_clip
from motionbert_mm.geometry.camera import orbit_cameras
from motionbert_mm.models.body_model import BodyModel
from tests.generated import ROOT, run_tool
from tests.io.test_people import alphapose, write_json
from tests.smpl_files import NUM_VERTICES, smpl_arrays, write_regressor

PRETRAIN = ROOT / 'configs' / 'pretrain' / 'dstformer-tiny_lift-noise-mask_27f_1xb32-12e_synthetic_exact.py'
WAYS = {way: ROOT / 'configs' / 'mesh' / f'dstformer-tiny_{name}_16f_1xb32-12e_synthetic-mesh_det.py'
        for way, name in (('scratch', 'scratch'), ('finetuned', 'ft'))}
EPOCHS = 8
NETWORK = ['model.backbone.dim=32', 'model.backbone.depth=1', 'model.neck.out_channels=32']
CAMERA = orbit_cameras((0.0, 0.0, 900.0), azimuths=(45,))[0]


def run(tool, *arguments):
    result = run_tool(tool, *arguments, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


def settings(folder, epochs, **clips):
    """Options for short trainings of a small network on small data."""
    data = [f'{stage}_dataloader.dataset.{key}' for stage, number in clips.items()
            for key in (f'data_root={folder / "data"}', f'num_clips={number}')]
    return [*NETWORK, *data, f'train_cfg.max_epochs={epochs}', f'train_cfg.val_interval={epochs}',
            f'param_scheduler.0.total_steps={epochs}']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('mesh')


@pytest.fixture(scope='module')
def trained(folder):
    """Metrics after training from scratch and from a pretrained backbone, and of the mean body."""
    run('train.py', PRETRAIN, '--work-dir', folder / 'pretrain', '--cfg-options',
        *settings(folder, 6, train=48, val=1, test=1))
    found, options = {}, [*settings(folder, EPOCHS, train=24, val=12, test=12), 'model.heads.mesh.hidden_channels=64']
    for way, config in WAYS.items():
        start = [f'load_from={folder / "pretrain" / "epoch_6.pth"}'] if way == 'finetuned' else []
        run('train.py', config, '--work-dir', folder / way, '--cfg-options', *options, *start)
        run('test.py', config, folder / way / f'epoch_{EPOCHS}.pth', '--json', folder / f'{way}.json', '--work-dir',
            folder / f'{way}-test', '--cfg-options', *options)
        found[way] = json.loads((folder / f'{way}.json').read_text())
    run('analysis_tools/mesh_baseline.py', WAYS['scratch'], '--csv', folder / 'baseline.csv', '--cfg-options', *options)
    header, *rows = (line.split(',') for line in (folder / 'baseline.csv').read_text().splitlines())
    found.update({row[0]: dict(zip(header[1:], map(float, row[1:]))) for row in rows})
    return found


def test_networks_beat_the_mean_body_and_pretraining_pays(trained):
    """Measured MPVE of scratch, finetuned and mean body 151, 121 and 255 mm, PA-MPJPE 99, 76 and 101 mm."""
    for metric in ('MPVE', 'MPJPE', 'PA-MPJPE'):
        assert trained['finetuned'][metric] < 0.85 * trained['mean body'][metric]
        assert trained['finetuned'][metric] < trained['scratch'][metric]
    assert trained['scratch']['MPVE'] < trained['mean body']['MPVE'] < trained['mean parameters']['MPVE']


def test_own_keypoints_become_parameters_meshes_and_pictures(trained, folder):
    clip = generate_clip(2, num_frames=30, seed=3, split='own')
    centred = clip.positions - clip.positions[:, :1].mean(axis=0) * [1, 1, 0]
    pixels = CAMERA.project(CAMERA.to_camera(centred))
    write_json(folder / 'wave.json', alphapose(pixels, track=1))
    run('infer.py', folder / 'finetuned' / f'epoch_{EPOCHS}.pth', folder / 'wave.json', '--skeleton', 'h36m',
        '--image-size', *map(int, CAMERA.image_size), '--out', folder / 'out')
    written = {path.suffix: path for path in (folder / 'out').iterdir()}
    assert set(written) == {'.npz', '.glb', '.png', '.gif'}
    with np.load(written['.npz']) as content:
        assert content['smpl_pose'].shape == (30, 24, 3) and content['smpl_betas'].shape == (30, 10)
        assert np.ptp(content['smpl_betas'], axis=0).max() == 0  # one person has one shape
    assert trimesh.load(written['.glb'], force='mesh').vertices.shape == (BodyModel('synthetic').num_vertices, 3)


def test_a_body_in_the_layout_of_smpl_takes_a_training_step(tmp_path):
    arrays = smpl_arrays()
    np.savez(tmp_path / 'SMPL_NEUTRAL.npz', **arrays)
    np.savez(tmp_path / 'mean.npz', pose=np.tile([1.0, 0, 0, 1, 0, 0], 24), shape=np.zeros(10))
    config = Config.fromfile(WAYS['scratch'])
    config.model.heads.mesh.body_model = dict(
        path=str(tmp_path / 'SMPL_NEUTRAL.npz'), regressor=str(write_regressor(tmp_path, arrays)),
        mean_params=str(tmp_path / 'mean.npz'))
    config.model.heads.mesh.hidden_channels = 16
    for stage in ('train', 'val', 'test'):
        config[f'{stage}_dataloader'].update(batch_size=2)
        config[f'{stage}_dataloader'].dataset.update(data_root=str(tmp_path / 'data'), num_clips=1)
        if stage != 'train':
            config[f'{stage}_evaluator'].body_model = config.model.heads.mesh.body_model
    config.update(work_dir=str(tmp_path), log_level='ERROR', experiment_name='smpl-layout')
    runner = Runner.from_cfg(config)
    batch = next(iter(runner.train_dataloader))
    wrapper = runner.build_optim_wrapper(config.optim_wrapper)
    before = runner.model.heads['mesh'].pose.fc2.weight.detach().clone()
    losses = runner.model.train_step(batch, wrapper)
    assert all(torch.isfinite(value) for value in losses.values())
    assert not torch.equal(before, runner.model.heads['mesh'].pose.fc2.weight)
    evaluator = runner.build_evaluator(config.test_evaluator)
    batch = next(iter(runner.build_dataloader(config.test_dataloader)))
    samples = runner.model.eval().test_step(batch)
    assert samples[0].vertices.shape == (1, 16, NUM_VERTICES, 3)
    evaluator.process(data_samples=samples, data_batch=batch)
    assert np.isfinite(evaluator.evaluate(2)['MPVE'])
