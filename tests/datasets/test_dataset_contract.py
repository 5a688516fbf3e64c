"""The contract of every registered data set; a new one needs a row in tests/minimal.py."""
import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.registry import DATASETS, build
from motionbert_mm.structures.skeleton import get_skeleton
from tests.minimal import arguments

DATASETS.import_from_location()
FIELDS = {'keypoints_2d': 2, 'keypoints_3d': 3, 'inputs': 3, 'target_3d': 3}


NAMES = sorted(name for name, entry in DATASETS.module_dict.items() if issubclass(entry, MotionDataset))


@pytest.fixture(params=NAMES)
def dataset(request, tiny_store, tiny_pyskl, tmp_path):
    row = arguments(request.param, store=tiny_store, pyskl=tiny_pyskl, tmp=tmp_path)
    return build(DATASETS, dict(type=request.param, **row))


def test_batches_have_the_canonical_fields(dataset):
    assert len(dataset) > 1
    batch, skeleton = dataset.__getitems__([1, 0]), get_skeleton(dataset.metainfo['skeleton'])
    axes = (2, dataset.num_persons, dataset.windows.num_frames, skeleton.num_joints)
    has_3d = 'keypoints_3d' in dataset.targets
    for name, channels in FIELDS.items():
        if name in ('keypoints_3d', 'target_3d') and not has_3d:
            assert name not in batch
            continue
        assert batch[name].shape == (*axes, channels) and batch[name].dtype == np.float32
        assert np.isfinite(batch[name]).all()
    assert batch['confidence'].shape == axes and 0 <= batch['confidence'].min() <= batch['confidence'].max() <= 1
    assert batch['visible'].shape == axes and batch['visible'].dtype == bool
    assert batch['frame_ids'].shape == (2, dataset.windows.num_frames)
    assert batch['skeleton'] == skeleton.name and len(batch['sample_id']) == len(batch['action']) == 2
    assert not has_3d or (batch['keypoints_3d'][..., 2] > 0).all()  # in front of the camera


def test_a_batch_is_a_function_of_its_indices(dataset):
    last = len(dataset) - 1
    first, again = dataset.__getitems__([0, last])['inputs'], dataset.__getitems__([0, last])['inputs']
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(dataset[last]['inputs'], first[1])
    with pytest.raises(IndexError):
        dataset[len(dataset)]
