"""MotionBERT datareader_mesh.py and dataset_mesh.py: which windows are taken and what losses and metrics compare."""
import re
import sys

import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.structures.body import Body
from tests.generated import load_tool
from tests.mesh_files import write_pickle
from tests.parity.vectors import assert_close, load_vector

NAME = 'mb_mesh_dataset'
FIELDS = ('smpl_pose', 'smpl_betas')
TOLERANCE_MM = 1e-2


@pytest.fixture(scope='module')
def vector():
    vector = load_vector(NAME)
    assert vector.meta['args']['sample_stride'] == 1
    return vector


@pytest.fixture(scope='module')
def stores(vector, tmp_path_factory):
    """The recorded input, written as the official pickle and converted."""
    folder, dataset = tmp_path_factory.mktemp('mesh'), vector.meta['args']['dataset']
    content = {split: {key[len(split) + 1:]: array for key, array in vector.inputs.items()
                       if key.startswith(f'{split}_')} for split in ('train', 'test')}
    path = write_pickle(folder / f'mesh_det_{dataset}.pkl', content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['motionbert_mesh.py', dataset, str(path), str(folder / 'stores')])
        load_tool('dataset_converters/motionbert_mesh.py').main()
    return folder / 'stores'


@pytest.fixture(scope='module')
def body(vector):
    arrays = {key: np.asarray(value, np.float64) for key, value in vector.inputs.items()}
    parents = vector.inputs['kintree_table'][0].astype(np.int64)
    parents[0] = -1
    return BodyModel.from_body(
        Body(arrays['v_template'], arrays['shapedirs'], arrays['posedirs'], arrays['J_regressor'], parents,
             arrays['weights'], faces=vector.inputs['f'].astype(np.int64)), arrays['J_regressor_h36m'])


def open_split(vector, stores, split, flip=0.0):
    """Windows as officially: of a single frame for COCO, test windows do not overlap."""
    args = vector.meta['args']
    frames = 1 if args['dataset'] == 'coco' else args['clip_len']
    stride = args['data_stride'] if split == 'train' and frames > 1 else frames
    return MotionDataset(str(stores / split), targets=FIELDS, test_mode=split == 'test',
                         window=dict(kind='official', num_frames=frames, stride=stride),
                         pipeline=[dict(type='RandomFlip', prob=flip), dict(type='NormalizeCoords', target=None),
                                   dict(type='PackInputs', fields=FIELDS)])


@pytest.mark.parametrize('split', ['train', 'test'])
def test_counts(vector, stores, split):
    assert len(open_split(vector, stores, split)) == vector.outputs[f'{split}_count']


def recorded_items():
    """Items that the vector holds: (prefix of their arrays, split, number, is it flipped)."""
    names = sorted(key[:-2] for key in load_vector(NAME).outputs if key.endswith('_x'))
    assert names
    for name in names:
        flipped, split, number = re.fullmatch(r'(flip_)?(train|test)(\d+)', name).groups()
        yield name, split, int(number), bool(flipped)


def test_items(vector, stores, body):
    for name, split, number, is_flipped in recorded_items():
        expected = {key: vector.outputs[f'{name}_{key}'] for key in ('x', 'theta', 'kp_3d', 'verts')}
        batch = open_split(vector, stores, split, flip=float(is_flipped)).__getitems__([number])
        pose, betas = (batch['fields'][field][0, 0] for field in FIELDS)
        assert_close(batch['inputs'][0, 0], expected['x'])
        assert_close(np.concatenate([pose.reshape(len(pose), -1), betas], axis=-1), expected['theta'])
        vertices = body(axis_angle_to_matrix(torch.from_numpy(pose)), torch.from_numpy(betas))
        joints = body.joints(vertices)
        pelvis = joints[:, :1]
        np.testing.assert_allclose(joints - pelvis, expected['kp_3d'], rtol=0, atol=TOLERANCE_MM)
        np.testing.assert_allclose(vertices - pelvis, expected['verts'], rtol=0, atol=TOLERANCE_MM)
