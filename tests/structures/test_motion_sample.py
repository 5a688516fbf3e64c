import numpy as np
import pytest
import torch

from motionbert_mm.structures.motion_sample import MotionSample


def make_batch(size=3):
    rng = np.random.default_rng(0)
    meta = dict(sample_id=[f'clip{index}' for index in range(size)], image_size=np.full((size, 2), 1000.0),
                frame_ids=np.arange(size * 4).reshape(size, 4), skeleton='h36m', text=[['a'], ['b'], ['c']][:size],
                norm=dict(target='root_relative', scale=np.arange(size, dtype=np.float32)))
    return MotionSample(metainfo=meta, keypoints_3d=torch.from_numpy(rng.normal(size=(size, 1, 4, 17, 3))),
                        visible=torch.ones(size, 1, 4, 17, dtype=torch.bool), label=torch.arange(size))


def test_unbind_gives_each_sample_its_share():
    batch = make_batch()
    samples = batch.unbind()
    assert len(batch) == len(samples) == 3
    second = samples[1]
    assert second.sample_id == 'clip1' and second.text == ['b'] and second.skeleton == 'h36m'
    assert second.norm == dict(target='root_relative', scale=1.0)
    assert second.frame_ids.tolist() == [4, 5, 6, 7] and second.image_size.tolist() == [1000.0, 1000.0]
    assert second.keypoints_3d.shape == (1, 4, 17, 3) and int(second.label) == 1
    torch.testing.assert_close(second.keypoints_3d, batch.keypoints_3d[1])


def test_unbind_copies_no_array():
    batch = make_batch()
    assert batch.unbind()[2].keypoints_3d.data_ptr() == batch.keypoints_3d[2].data_ptr()


def test_stack_undoes_unbind():
    batch = make_batch()
    again = MotionSample.stack(batch.unbind())
    assert set(again.keys()) == set(batch.keys()) and set(again.metainfo_keys()) == set(batch.metainfo_keys())
    for key, value in batch.items():
        torch.testing.assert_close(again.get(key), value)
    assert again.sample_id == batch.sample_id and again.text == batch.text and again.skeleton == 'h36m'
    np.testing.assert_array_equal(again.frame_ids, batch.frame_ids)
    np.testing.assert_array_equal(again.norm['scale'], batch.norm['scale'])
    assert again.norm['target'] == 'root_relative'


def test_stack_refuses_samples_of_two_skeletons():
    first, second = make_batch(2).unbind()
    second = MotionSample(metainfo={**second.metainfo, 'skeleton': 'coco17'}, **dict(second.items()))
    with pytest.raises(ValueError, match=r"coco17.*h36m.*ConvertSkeleton"):
        MotionSample.stack([first, second])


def test_the_source_is_shared_by_a_batch():
    batch = make_batch()
    batch.set_metainfo(dict(source='m2l', loss_weight=5.0))
    samples = batch.unbind()
    assert [(sample.source, sample.loss_weight) for sample in samples] == 3 * [('m2l', 5.0)]
    again = MotionSample.stack(samples)
    assert (again.source, again.loss_weight) == ('m2l', 5.0)
    samples[1].set_metainfo(dict(source='m2m'))
    with pytest.raises(ValueError, match="must share source, got .'m2l', 'm2m'.; .*one source of a MixedDataset"):
        MotionSample.stack(samples)


def test_a_batch_without_fields_is_as_long_as_its_names():
    assert len(MotionSample(metainfo=dict(sample_id=['a', 'b'], skeleton='h36m'))) == 2
    assert [sample.sample_id for sample in MotionSample(metainfo=dict(sample_id=['a', 'b'])).unbind()] == ['a', 'b']


def test_to_dict_is_flat_as_metrics_read_it():
    flat = make_batch().unbind()[0].to_dict()
    assert {'keypoints_3d', 'visible', 'sample_id', 'frame_ids', 'norm', 'skeleton'} <= set(flat)
    assert flat['sample_id'] == 'clip0'


def test_fields_move_and_metainfo_stays():
    moved = make_batch().to('cpu', torch.float32)
    assert moved.keypoints_3d.dtype == torch.float32
    assert isinstance(moved.frame_ids, np.ndarray)
