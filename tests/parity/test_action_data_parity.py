"""MotionBERT dataset_action.py: random_move, and what NTURGBD and NTURGBD1Shot make of a PYSKL pickle."""
import re

import numpy as np
import pytest
from mmengine.config import Config

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.transforms import NormalizeCoords, OfficialActionPose, RandomMove
from motionbert_mm.geometry.coords import max_side_to_unit
from motionbert_mm.geometry.movement import move
from motionbert_mm.registry import DATASETS, build
from tests.generated import ROOT
from tests.parity.vectors import assert_close, load_vector
from tests.pyskl_files import write_pyskl

NAME = 'mb_action_dataset'
CLASSES = [f'A{number:03d}' for number in range(1, 121)]
# Official: oneshot_classes of NTURGBD1Shot, left out of its training data.
NOVEL = CLASSES[::6]
CROP_RANGES = dict(train=(1, 3), val=(2, 2))  # official configs


def seeds():
    """Seed of the data set, and of its item 0, from which those of the others count on."""
    text = load_vector(NAME).meta['seeding']
    return int(re.search(r'itself calls np\.random\.seed\((\d+)\)', text)[1]), int(re.search(r'seed\((\d+)\+', text)[1])


def write_annotations(path):
    """The recorded samples as a store."""
    vector = load_vector(NAME)
    with MotionStoreWriter(path, skeleton='coco17', fps=30.0,
                           info=dict(classes=CLASSES, splits=vector.meta['split'])) as writer:
        for number, sample in enumerate(vector.meta['samples']):
            keypoints, scores = (vector.inputs[f'{key}{number}'] for key in ('kp', 'score'))
            if sample['M'] == 1:
                keypoints, scores = keypoints[0], scores[0]
            height, width = sample['img_shape']
            writer.add_clip(sample['frame_dir'], dict(detected_2d=keypoints, detected_confidence=scores),
                            persons=sample['M'], image_size=(width, height), label=sample['label'],
                            action=CLASSES[sample['label']])
    return path


def open_split(path, rng=None, **options):
    """A data set of clips brought to the recorded number of frames, and its samples, batches of one, in order."""
    window = dict(num_frames=load_vector(NAME).meta['n_frames'], kind='resample', jitter=rng is not None)
    dataset = MotionDataset(str(path), window=window, targets=(), num_persons=2, **options)
    return dataset, [OfficialActionPose()(dataset.gather(np.array([index]), rng), rng) for index in range(len(dataset))]


def stored(samples):
    """The motions (B, 2, T, 17, 3) that the official code keeps."""
    return np.concatenate([np.concatenate([max_side_to_unit(sample['keypoints_2d'], sample['image_size']),
                                           sample['confidence'][..., None]], axis=-1) for sample in samples])


def cropped(sample, kind, rng):
    return NormalizeCoords(inputs='crop_scale', target=None, crop_range=CROP_RANGES[kind])(sample, rng)['inputs'][0]


def split_name(kind):
    return next(name for name in load_vector(NAME).meta['split'] if name.endswith(f'_{kind}'))


def recorded_items(kind):
    outputs = load_vector(NAME).outputs
    return [outputs[f'{kind}_item{index}'] for index in range(sum(name.startswith(f'{kind}_item') for name in outputs))]


def test_training_split(tmp_path):
    outputs, (data_seed, item_seed) = load_vector(NAME).outputs, seeds()
    dataset, samples = open_split(write_annotations(tmp_path / 'store'), np.random.RandomState(data_seed),
                                  split=split_name('train'))
    np.testing.assert_array_equal(dataset.labels, outputs['train_labels'])
    items = recorded_items('train')
    assert items
    for index, item in enumerate(items):
        rng = np.random.RandomState(item_seed + index)
        # Official: random_move writes into the stored motions, which were recorded after the items had been taken.
        samples[index] = RandomMove()(samples[index], rng)
        assert_close(cropped(samples[index], 'train', rng), item)
    assert_close(stored(samples), outputs['train_motions'])


def test_validation_split(tmp_path):
    outputs = load_vector(NAME).outputs
    dataset, samples = open_split(write_annotations(tmp_path / 'store'), split=split_name('val'))
    np.testing.assert_array_equal(dataset.labels, outputs['val_labels'])
    assert_close(stored(samples), outputs['val_motions'])
    items = recorded_items('val')
    assert items
    for sample, item in zip(samples, items):
        assert_close(cropped(sample, 'val', np.random.RandomState(0)), item)


def test_one_shot_training_data(tmp_path):
    outputs, store = load_vector(NAME).outputs, write_annotations(tmp_path / 'store')
    # Official: frames of the novel classes are drawn too, then their clips are left out.
    every, samples = open_split(store, np.random.RandomState(seeds()[0]))
    kept = [sample for sample, label in zip(samples, every.labels) if CLASSES[label] not in NOVEL]
    assert_close(stored(kept), outputs['oneshot_motions'])
    auxiliary, _ = open_split(store, classes=[name for name in CLASSES if name not in NOVEL], other_classes='leave_out')
    np.testing.assert_array_equal(auxiliary.labels, outputs['oneshot_labels'])


def test_random_move_given_its_draws():
    vector = load_vector('mb_random_move')
    angle, scale, x, y = (np.array(vector.meta['draws'][name])[None] for name in ('A_degrees', 'S', 'Tx', 'Ty'))
    motion = vector.inputs['motion'][None]
    moved = move(motion[..., :2], np.radians(angle), scale, np.stack([x, y], axis=-1))
    assert_close(moved[0], vector.outputs['y'][..., :2])


@pytest.mark.parametrize('size', [(1920, 1080), (1080, 1920)])
def test_random_move_of_pixels_draws_as_the_official_code(size):
    vector = load_vector('mb_random_move')
    half, motion = max(size) / 2, vector.inputs['motion'][None].astype(np.float64)
    results = dict(keypoints_2d=motion[..., :2] * half + half, confidence=motion[..., 2],
                   image_size=np.array([size], np.float32))
    moved = RandomMove()(results, np.random.RandomState(vector.meta['numpy_seed']))
    assert_close(stored([moved])[0], vector.outputs['y'])


def test_a_pickle_through_the_config_gives_the_recorded_items(tmp_path):
    vector = load_vector(NAME)
    annotations = [dict(frame_dir=sample['frame_dir'], label=sample['label'], total_frames=sample['T'],
                        img_shape=tuple(sample['img_shape']), keypoint=vector.inputs[f'kp{number}'],
                        keypoint_score=vector.inputs[f'score{number}'])
                   for number, sample in enumerate(vector.meta['samples'])]
    path = write_pyskl(tmp_path / 'official.pkl', annotations, vector.meta['split'])
    config = Config.fromfile(ROOT / 'configs' / '_base_' / 'datasets' / 'ntu60-xsub-official_243f.py')
    config = config.val_dataloader.dataset.to_dict()
    config.update(ann_file=str(path), data_root=str(tmp_path), split=split_name('val'), trust_order=True)
    config['window']['num_frames'] = vector.meta['n_frames']
    dataset = build(DATASETS, config)
    batch = dataset.__getitems__(range(len(dataset)))
    np.testing.assert_array_equal(batch['fields']['label'], vector.outputs['val_labels'])
    for inputs, item in zip(batch['inputs'], recorded_items('val')):
        # Stores put the person who is seen most first; models take the mean over persons.
        order = [0, 1] if np.abs(inputs - item).max() < np.abs(inputs[::-1] - item).max() else [1, 0]
        assert_close(inputs[order], item)
