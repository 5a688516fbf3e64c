import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data._utils.pin_memory import pin_memory

from motionbert_mm.datasets import loading
from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import ResumableSampler, collate_batch
from motionbert_mm.structures.motion_sample import MotionSample

PIPELINE = [dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['target_3d', 'label'])]


def test_collate_makes_one_batched_sample(tiny_store):
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9), pipeline=PIPELINE)
    batch = collate_batch(dataset.__getitems__([0, 3, 5]))
    assert set(batch) == {'inputs', 'data_samples'}
    assert batch['inputs'].shape == (3, 1, 9, 17, 3) and batch['inputs'].dtype == torch.float32
    samples = batch['data_samples']
    assert isinstance(samples, MotionSample) and len(samples) == 3
    assert samples.target_3d.shape == (3, 1, 9, 17, 3) and samples.label.dtype == torch.int64
    assert samples.skeleton == 'h36m' and len(samples.sample_id) == 3 and samples.frame_ids.shape == (3, 9)


@pytest.mark.parametrize('results', [[dict(inputs=1)], dict(inputs=np.zeros(1))])
def test_collate_refuses_what_is_no_batch(results):
    with pytest.raises(TypeError, match="PackInputs makes, got (a list|a dict with).*MotionDataset.__getitems__"):
        collate_batch(results)


def draw(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_a_skip_leaves_out_the_start_of_one_pass_only():
    sampler = ResumableSampler(range(20), seed=3)
    whole = draw(sampler, 4)
    sampler.skip(8)
    assert draw(sampler, 4) == whole[8:]
    assert draw(sampler, 4) == whole
    assert sorted(whole) == list(range(20)) and whole != draw(sampler, 5)


def test_without_shuffle_the_order_is_that_of_the_data():
    sampler = ResumableSampler(range(6), shuffle=False)
    sampler.skip(4)
    assert draw(sampler, 0) == [4, 5]
    assert draw(sampler, 1) == [0, 1, 2, 3, 4, 5]
    sampler.skip(6)
    assert draw(sampler, 2) == []


def test_the_order_depends_on_seed_and_epoch_only():
    assert draw(ResumableSampler(range(30), seed=1), 2) == draw(ResumableSampler(range(30), seed=1), 2)
    assert draw(ResumableSampler(range(30), seed=1), 2) != draw(ResumableSampler(range(30), seed=2), 2)


def test_each_process_skips_its_own_share(monkeypatch):
    monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (1, 2))
    sampler = ResumableSampler(range(11), seed=0)
    own = draw(sampler, 0)
    assert len(own) == 6
    sampler.skip(4)
    assert draw(sampler, 0) == own[4:]


def test_pinning_reaches_the_tensors_of_a_sample(tiny_store, monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda tensor, *_: pinned.append(tensor) or tensor.clone())
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9), pipeline=PIPELINE)
    batch = collate_batch(dataset.__getitems__([0, 3]))
    moved = pin_memory(batch)
    expected = batch['inputs'], *batch['data_samples'].values()
    assert {id(tensor) for tensor in pinned} == {id(tensor) for tensor in expected}
    samples = moved['data_samples']
    assert isinstance(samples, MotionSample) and samples.target_3d is not batch['data_samples'].target_3d
    torch.testing.assert_close(samples.target_3d, batch['data_samples'].target_3d)
    assert samples.sample_id == batch['data_samples'].sample_id and samples.norm['target'] == 'root_relative'


def test_read_only_arrays_become_tensors_of_their_own():
    flags = np.broadcast_to(np.array([[[[True]]]]), (2, 1, 3, 4))
    batch = collate_batch(dict(inputs=np.zeros((2, 1, 3, 4, 3), np.float32), fields=dict(visible=flags), metainfo={}))
    batch['data_samples'].visible[0, 0, 0, 0] = False
    assert batch['data_samples'].visible.sum() == 23 and flags.all()


@pytest.mark.parametrize('shuffle', [True, False])
@pytest.mark.parametrize('round_up', [True, False])
@pytest.mark.parametrize('world_size', [1, 3, 8])
def test_the_order_is_that_of_mmengine_on_every_rank(monkeypatch, shuffle, round_up, world_size):
    monkeypatch.setattr(loading, 'ORDER_PIECE', 2)
    for rank in range(world_size):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, world_size))
        own, other = (kind(range(7), shuffle=shuffle, seed=5, round_up=round_up)
                      for kind in (ResumableSampler, DefaultSampler))
        for epoch in range(2):
            own.set_epoch(epoch)
            other.set_epoch(epoch)
            expected = list(other)
            assert list(own) == expected
            own.skip(1)
            assert list(own) == expected[1:] and list(own) == expected
