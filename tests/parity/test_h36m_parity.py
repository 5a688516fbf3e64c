"""MotionBERT's Human3.6M reader and evaluation, from the pickle to millimetres, and its 3D data set.

lib/data/datareader_h36m.py, evaluate() in train.py, lib/data/dataset_motion_3d.py.
"""
import pickle
import re

import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.human36m import canonical_action
from motionbert_mm.datasets.human36m_motionbert import MotionBERTFile
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.transforms import NormalizeCoords, RandomFlip
from motionbert_mm.evaluation import Pose3DMetric
from motionbert_mm.geometry.coords import crop_scale_3d, screen_to_unit, unit_to_screen
from tests.generated import load_tool
from tests.parity.official_model import load_official, make_model
from tests.parity.vectors import assert_close, load_vector, vector_cases

converter = load_tool('dataset_converters/h36m.py')
READER, DATASET = 'mb_h36m', 'mb_motion3d_dataset'
TOLERANCE = 1e-4  # mm
STORED = 1e-7  # relative rounding of a recorded float32; matters above 1 m
TRUTH = ('keypoints_3d', 'keypoints_image', 'image_factor')


def official_split(vector, split):
    """The arrays of the vector as the official pickle holds them."""
    meta, inputs = vector.meta, {key: vector.inputs[f'{split}_{key}'] for key in
                                 ('joint_2d', 'confidence', 'joint3d_image', 'camera', 'source')}
    source = inputs.pop('source')
    content = {**inputs, 'camera_name': [meta['cameras'][camera] for camera in inputs.pop('camera')],
               'source': [meta[f'{split}_sources'][number] for number in source]}
    del content['camera']
    if split == 'test':
        content.update({'action': [meta['test_actions'][number] for number in source],
                        '2.5d_factor': vector.inputs['test_factor'], 'joints_2.5d_image': vector.inputs['test_gt25']})
    return content


def convert(vector, folder, drop=()):
    """Write the pickle, convert it, and return the stores' directory."""
    content = {split: official_split(vector, split) for split in ('train', 'test')}
    for key in drop:
        for arrays in content.values():
            del arrays[key]
    (folder / 'h36m.pkl').write_bytes(pickle.dumps(content))
    converter.write_stores(MotionBERTFile(folder / 'h36m.pkl'), folder / 'h36m')
    return folder / 'h36m'


@pytest.fixture(scope='module')
def stores(tmp_path_factory):
    return convert(load_vector(READER), tmp_path_factory.mktemp('h36m'))


def open_splits(vector, stores, target='image_space', input_2d='detected', **normalize):
    """Both data sets, sliced as official; stretched clips of both are drawn from one stream."""
    reader = vector.meta['reader']
    assert reader['sample_stride'] == 1
    rng = np.random.RandomState(int(re.search(r'seed\((\d+)\)', vector.meta['seeding'])[1]))
    return {split: MotionDataset(
        str(stores / split), input_2d=input_2d, targets=TRUTH if split == 'test' else ('keypoints_image',),
        test_mode=split == 'test',
        window=dict(kind='official', num_frames=reader['n_frames'], stride=reader[f'data_stride_{split}'], seed=rng),
        pipeline=[dict(type='NormalizeCoords', target=target, **normalize),
                  dict(type='PackInputs', fields=['target_3d', 'keypoints_image', 'keypoints_3d'])])
        for split in ('train', 'test')}


def fetch(data):
    """All windows of a data set as one batch."""
    return data.__getitems__(range(len(data)))


@pytest.mark.parametrize('split', ['train', 'test'])
def test_slicing(stores, split):
    vector = load_vector(READER)
    data = open_splits(vector, stores)[split]
    clips, frames, inside = data.windows.frames(np.arange(len(data)), None)
    starts = np.array([clip.start for clip in data.clips])
    np.testing.assert_array_equal(starts[clips, None] + frames, vector.outputs[f'{split}_split'])
    assert inside.all()


@pytest.mark.parametrize('split', ['train', 'test'])
def test_network_inputs(stores, split):
    vector = load_vector(READER)
    batch = fetch(open_splits(vector, stores)[split])
    assert_close(batch['inputs'][:, 0], vector.outputs[f'{split}_in'])


@pytest.mark.parametrize('split', ['train', 'test'])
def test_labels(stores, split):
    vector = load_vector(READER)
    batch, label = fetch(open_splits(vector, stores)[split]), vector.outputs[f'{split}_label']
    pixels = batch['fields']['keypoints_image'][:, 0]
    assert_close(screen_to_unit(pixels, batch['metainfo']['image_size']), label)
    # Official: train.py subtracts the root of each frame, or only the root depth of the first frame.
    assert_close(batch['fields']['target_3d'][:, 0], label - label[:, :, :1])
    globally = fetch(open_splits(vector, stores, target='image_space_global')[split])
    assert_close(globally['fields']['target_3d'][:, 0], label - label[:, :1, :1] * np.array([0, 0, 1]))


def test_denormalisation(stores):
    vector = load_vector(READER)
    batch = fetch(open_splits(vector, stores)['test'])
    size = batch['metainfo']['image_size']
    np.testing.assert_array_equal(size, vector.outputs['test_hw_per_clip'])
    assert_close(unit_to_screen(vector.outputs['test_label'], size), vector.outputs['denormalised'])
    assert_close(batch['fields']['keypoints_image'][:, 0], vector.outputs['denormalised'])


def test_a_file_without_confidence(tmp_path):
    vector = load_vector(READER)
    store = MotionStore(convert(vector, tmp_path, drop=['confidence']) / 'test')
    unit = np.concatenate([screen_to_unit(store.arrays['detected_2d'][clip.start:clip.start + clip.length],
                                          np.array(clip.image_size)) for clip in store.clips])
    read = np.concatenate([unit, store.arrays['detected_confidence'][..., None]], axis=-1)
    assert_close(read, vector.outputs['read2d_without_confidence_key'])


def evaluate(vector, stores, flip=True, action=None, **options):
    """Predict every test clip and measure with the official protocol: MPJPE and P-MPJPE in mm."""
    model = load_official(make_model(vector.meta['args']), vector.state_dict).eval()
    model.flip_test = flip
    data = open_splits(vector, stores, **options)['test']
    batch = collate_batch(fetch(data))
    with torch.no_grad():
        predictions = model(**batch, mode='predict')
    assert set(vector.meta['block_list']) <= {recording.official for recording in
                                              Pose3DMetric(protocol='motionbert').protocol.excluded}
    metric = Pose3DMetric(protocol='motionbert')
    for target, prediction in zip(batch['data_samples'].unbind(), predictions):
        if action in (None, target.action):
            metric.process(dict(data_samples=[target]), [prediction.to_dict()])
    result = metric.evaluate(len(data))
    return [result['MPJPE'], result['P-MPJPE']]


@pytest.mark.parametrize('name, options', [
    ('eval_rootrel_flip', {}),
    ('eval_rootrel_noflip', dict(flip=False)),
    ('eval_global_flip', dict(target='image_space_global')),
    # Recorded with gt_2d on the loader of detections, which therefore replace the predicted x and y.
    ('eval_gt2d_flip', dict(given_2d=True)),
])
def test_evaluation(stores, name, options):
    vector = load_vector(READER)
    np.testing.assert_allclose(evaluate(vector, stores, **options), vector.outputs[name], rtol=STORED, atol=TOLERANCE)


def test_evaluation_by_action(stores):
    vector = load_vector(READER)
    per_action = vector.outputs['eval_rootrel_flip_per_action_P1_P2'].T
    for action, errors in zip(vector.meta['per_action_order'], per_action):
        np.testing.assert_allclose(evaluate(vector, stores, action=canonical_action(action)), errors, rtol=STORED,
                                   atol=TOLERANCE)


# MotionDataset3D

SIZE = np.array([[1000.0, 1002.0]])


def as_fetched(vector, case):
    """One clip of the vector as the data set fetches it: pixels, before any transform."""
    label = unit_to_screen(vector.inputs['lab'][None, None], SIZE)
    detected, confidence = unit_to_screen(vector.inputs['inp'][..., :2][None, None], SIZE), vector.inputs['inp'][..., 2]
    is_exact = case['synthetic'] or case['gt_2d']
    return dict(sample_id=['clip'], skeleton='h36m', image_size=SIZE, keypoints_image=label,
                keypoints_2d=label[..., :2] if is_exact else detected,
                confidence=np.ones_like(label[..., 0]) if is_exact else confidence[None, None],
                visible=np.ones(label.shape[:-1], bool))


def cases(is_scaled):
    """The cases of the vector that scale the label, or the others; None without the file."""
    return [case for case in vector_cases(DATASET, 'cases') if case is None or ('scale' in case) == is_scaled]


def is_flipped(vector, case):
    """Official: a clip is flipped when the generator of the case draws more than a half; the label tells."""
    recorded = vector.outputs[f'{case["name"]}/y']
    flipped = not np.array_equal(recorded, vector.inputs['lab'])
    assert case['flip'] or not flipped
    return flipped


@pytest.mark.parametrize('case', cases(is_scaled=False), ids=lambda case: case and case['name'])
def test_clips_of_the_3d_data_set(case):
    vector, rng = load_vector(DATASET), np.random.default_rng(0)
    flip = RandomFlip(prob=float(is_flipped(vector, case)))
    expected = vector.outputs[f'{case["name"]}/y']
    results = flip(as_fetched(vector, case), rng)
    relative = NormalizeCoords(target='image_space')(results, rng)
    globally = NormalizeCoords(target='image_space_global')(results, rng)
    assert_close(relative['inputs'][0, 0], vector.outputs[f'{case["name"]}/x'])
    assert_close(relative['target_3d'][0, 0], expected - expected[:, :1])
    assert_close(globally['target_3d'][0, 0], expected - expected[:1, :1] * np.array([0, 0, 1]))


@pytest.mark.parametrize('case', cases(is_scaled=True), ids=lambda case: case and case['name'])
def test_scaled_clips_of_the_3d_data_set(case):
    vector = load_vector(DATASET)
    ratio = np.random.RandomState(case['seed']).uniform(*case['scale'])
    label = crop_scale_3d(vector.inputs['lab'][None], ratio)[0]
    assert_close(label, vector.outputs[f'{case["name"]}/y'])
    assert_close(np.concatenate([label[..., :2], np.ones_like(label[..., :1])], axis=-1),
                 vector.outputs[f'{case["name"]}/x'])
