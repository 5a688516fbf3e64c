import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from motionbert_mm.datasets import device as device_module
from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.device import DEVICE_STEPS, draw_exactly
from motionbert_mm.datasets.joining import JoinedDataset
from motionbert_mm.datasets.loading import collate_batch

FIELDS = ['target_3d', 'keypoints_2d', 'confidence', 'keypoints_3d']
PACK = dict(type='PackInputs', fields=FIELDS)
WINDOW = dict(num_frames=9, stride=4)
INDICES = [0, 20, 7, 3, 11, 5]


def make(store, *steps, **options):
    return MotionDataset(str(store), **{'window': WINDOW, 'pipeline': [*steps, PACK], **options})


def both(store, *steps, **options):
    """The same batch of the CPU and of the device."""
    return [collate_batch(make(store, *steps, data_on_device=where, **options).__getitems__(INDICES))
            for where in (False, 'cpu')]


def assert_same(plain, moved):
    torch.testing.assert_close(moved['inputs'], plain['inputs'], rtol=0, atol=1e-6)
    first, second = plain['data_samples'], moved['data_samples']
    assert set(second.keys()) == set(first.keys())
    for name in first.keys():
        torch.testing.assert_close(second.get(name), first.get(name), rtol=1e-6, atol=1e-4)
    assert set(second.metainfo_keys()) == set(first.metainfo_keys())
    for name in first.metainfo_keys():
        old, new = first.metainfo[name], second.metainfo[name]
        for key in old if name == 'norm' else ():
            np.testing.assert_allclose(new[key], old[key], rtol=1e-5) if key != 'target' else None
        if name != 'norm':
            np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize('options', [dict(), dict(inputs='crop_scale'), dict(target=None), dict(unit_mm=1.0)])
@pytest.mark.parametrize('flip', [0.0, 0.5])
def test_batches_of_the_device_are_those_of_the_cpu(tiny_store, options, flip):
    assert_same(*both(tiny_store, dict(type='RandomFlip', prob=flip), dict(type='NormalizeCoords', **options)))


@pytest.mark.parametrize('options', [
    dict(input_2d='exact'), dict(targets=()), dict(window=dict(kind='centre', num_frames=9)),
    dict(target_frames='centre'), dict(window=dict(kind='crop', num_frames=99)), dict(fraction=0.5)])
def test_every_way_to_read_a_store_gives_the_same(tiny_store, options):
    plain, moved = (make(tiny_store, dict(type='RandomFlip'), dict(type='NormalizeCoords'), data_on_device=where,
                         **options) for where in (False, 'cpu'))
    numbers = np.arange(len(plain))
    assert_same(collate_batch(plain.__getitems__(numbers)), collate_batch(moved.__getitems__(numbers)))


def test_absent_persons_are_zero(people_store):
    plain, moved = (make(people_store, dict(type='NormalizeCoords'), data_on_device=where,
                         window=dict(num_frames=9, stride=9, tail='drop')) for where in (False, 'cpu'))
    numbers = np.arange(len(plain))
    assert_same(collate_batch(plain.__getitems__(numbers)), collate_batch(moved.__getitems__(numbers)))


def test_reprojection_targets_are_made(tiny_store):
    steps = dict(type='NormalizeCoords', target=None), dict(type='ReprojectionTarget', root_relative=False)
    plain, moved = ([MotionDataset(str(tiny_store), window=WINDOW, data_on_device=where, pipeline=[
        *steps, dict(type='PackInputs', fields=['target_2d', 'weight_2d'])]).__getitems__(INDICES)['fields']
        for where in (False, 'cpu')])
    for name in ('target_2d', 'weight_2d'):
        np.testing.assert_allclose(moved[name], plain[name], atol=1e-6)


def masks(store, count=40, **mask):
    """Masks (B, M, T, J) of several batches."""
    dataset = make(store, dict(type='NormalizeCoords'), mask, data_on_device='cpu')
    drawn = []
    for epoch in range(count):
        dataset.set_epoch(epoch)
        drawn.append(dataset.__getitems__(INDICES)['fields']['mask'])
    return torch.cat(drawn)


def test_exact_masks_hide_exact_counts(tiny_store):
    mask = masks(tiny_store, type='SampleExactMask', frame_ratio=0.6, num_joints=2)
    frames = mask.all(-1)
    assert (frames.sum(-1) == 5).all() and (mask[~frames].sum(-1) == 2).all()
    assert len(mask.unique(dim=0)) == len(mask)
    joints = mask[~frames].float().mean(0)
    assert (joints - 2 / 17).abs().max() < 5 * np.sqrt(2 / 17 / (~frames).sum())
    tube = masks(tiny_store, 2, type='SampleExactMask', frame_ratio=0.0, num_joints=3, tube=True, spare_last_joint=True)
    assert (tube == tube[:, :, :1]).all() and (tube.sum(-1) == 3).all() and not tube[..., -1].any()
    shared = masks(tiny_store, 1, type='SampleExactMask', share=True)
    assert (shared == shared[:1]).all()


def test_masks_hide_the_stated_shares(tiny_store):
    mask = masks(tiny_store, type='SampleMask', joint_ratio=0.2, frame_ratio=0.3)
    frames = mask.all(-1)
    assert frames.float().mean().item() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / frames.numel()))
    assert mask[~frames].float().mean().item() == pytest.approx(0.2, abs=5 * np.sqrt(0.16 / mask[~frames].numel()))
    exact = masks(tiny_store, 2, type='SampleMask', joint_ratio=0.0, frame_ratio=0.5, exact=True, share_frames=True)
    assert (exact.all(-1).sum(-1) == round(0.5 * 9)).all() and (exact[:6] == exact[:1]).all()


def test_detector_noise_has_the_stated_statistics(tiny_store):
    noise = dict(type='AddDetectorNoise', std=3.0, outlier_rate=0.1, outlier_shift=50.0)
    fields = [make(tiny_store, *steps, dict(type='NormalizeCoords'), data_on_device='cpu', window=dict(num_frames=30),
                   input_2d='exact').__getitems__([0, 1, 2, 3])['fields'] for steps in ((), (noise,))]
    shift = fields[1]['keypoints_2d'] - fields[0]['keypoints_2d']
    length = shift.norm(dim=-1)
    is_far = length > 25.0
    assert is_far.float().mean().item() == pytest.approx(0.1, abs=0.03)
    assert shift[~is_far].std().item() == pytest.approx(3.0, rel=0.05)
    assert length[is_far].mean().item() == pytest.approx(50.0, abs=1.0)
    sure = fields[1]['confidence']
    assert sure[is_far].mean() < 0.1 < 0.9 < sure[~is_far].mean() and sure.min() >= 0 and sure.max() <= 1


def test_draws_depend_on_the_epoch_and_seeds_only(tiny_store):
    def draw(epoch, run_seed=0, **options):
        dataset = make(tiny_store, dict(type='NormalizeCoords'), dict(type='SampleMask'), data_on_device='cpu',
                       **options)
        dataset.set_epoch(epoch, run_seed=run_seed)
        return dataset.__getitems__(INDICES)['fields']['mask']

    assert (draw(1) == draw(1)).all()
    for other in (draw(2), draw(1, run_seed=1), draw(1, seed=1)):
        assert (draw(1) != other).any()


def test_exact_draws_take_every_entry_equally_often():
    drawn = draw_exactly((20_000, 10), 3, torch.Generator().manual_seed(0))
    assert (drawn.sum(-1) == 3).all() and (drawn.float().mean(0) - 0.3).abs().max() < 5 * np.sqrt(0.21 / 20_000)
    assert not draw_exactly((4, 5), 0, torch.Generator()).any()


def test_the_runner_loads_from_the_device(tiny_store):
    steps = [dict(type='RandomFlip'), dict(type='NormalizeCoords'), dict(type='SampleMask'), PACK]
    loader = Runner.build_dataloader(dict(
        batch_size=8, num_workers=0, sampler=dict(type='motionbert_mm.ResumableSampler'),
        collate_fn=dict(type='motionbert_mm.collate_batch'),
        dataset=dict(type='motionbert_mm.MotionDataset', data_root=str(tiny_store), window=WINDOW, pipeline=steps,
                     data_on_device=True)), seed=0)
    shapes = {tuple(batch['inputs'].shape[1:]) for batch in loader}
    assert shapes == {(1, 9, 17, 3)}


def test_workers_are_refused(tiny_store):
    dataset = make(tiny_store, dict(type='NormalizeCoords'), data_on_device='cpu')
    loader = DataLoader(dataset, batch_size=4, num_workers=1, collate_fn=collate_batch)
    with pytest.raises(ValueError, match='set num_workers=0 and persistent_workers=False'):
        next(iter(loader))


def test_transforms_without_a_device_version_are_named(tiny_store):
    with pytest.raises(ValueError, match='AddMixtureNoise, ShuffleFrames cannot run on the device;.*only AddDetector'):
        make(tiny_store, dict(type='NormalizeCoords'), dict(type='AddMixtureNoise'), dict(type='ShuffleFrames'),
             data_on_device='cpu')
    with pytest.raises(ValueError, match=r"target='image_space'\) cannot run on the device"):
        make(tiny_store, dict(type='NormalizeCoords', target='image_space'), data_on_device='cpu')
    assert {kind.__name__ for kind in DEVICE_STEPS} >= {'RandomFlip', 'NormalizeCoords', 'SampleMask', 'PackInputs'}


@pytest.mark.parametrize('options', [dict(targets=['keypoints_image']), dict(input_2d=None)])
def test_other_arrays_are_refused(tiny_store, options):
    with pytest.raises(ValueError, match=r"can fetch targets \['keypoints_3d'\], got input_2d="):
        make(tiny_store, dict(type='NormalizeCoords'), data_on_device='cpu', **options)


def test_data_larger_than_the_memory_are_refused(tiny_store, monkeypatch):
    monkeypatch.setattr(device_module, 'free_memory', lambda device: 1000)
    with pytest.raises(ValueError, match=r'keypoints_3d, detected_2d, .* take .* GB, but cpu has 1e-06 GB free'):
        make(tiny_store, dict(type='NormalizeCoords'), data_on_device='cpu')


def test_the_free_memory_of_the_host_is_known():
    assert device_module.free_memory(torch.device('cpu')) > 1 << 20
    assert device_module.free_memory(torch.device('meta')) is None


def test_batches_of_the_device_are_not_joined(tiny_store):
    config = dict(type='MotionDataset', data_root=str(tiny_store), window=WINDOW, data_on_device='cpu',
                  pipeline=[dict(type='NormalizeCoords'), PACK])
    with pytest.raises(ValueError, match='first makes batches on the device, which cannot be joined'):
        JoinedDataset(dict(first=config, second=config))
