import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.motion_store import MotionStoreWriter

CLIPS = {'a': 'walk', 'b': 'wave', 'c': 'walk', 'd': 'jump', 'e': 'wave'}
SPLITS = dict(train=['a', 'b', 'c'], val=['e', 'd'])
LENGTHS = dict(zip(CLIPS, (20, 30, 40, 50, 60)))


@pytest.fixture
def write(tmp_path):
    def write(clips=CLIPS, **info):
        with MotionStoreWriter(tmp_path / 'store', skeleton='h36m', fps=10.0, info=info) as writer:
            for name, action in clips.items():
                points = np.ones((LENGTHS[name], 17, 2))
                writer.add_clip(name, dict(detected_2d=points, detected_confidence=points[..., 0]), action=action,
                                fps=20.0 if name == 'e' else None)
        return str(tmp_path / 'store')
    return write


def open_store(path, **options):
    return MotionDataset(path, **{'window': dict(num_frames=9, stride=10), 'targets': (), **options})


def names(dataset):
    return [clip.name for clip in dataset.clips]


def test_a_split_is_what_the_store_lists(write):
    path = write(splits=SPLITS)
    assert names(open_store(path, split='val')) == ['d', 'e'] and names(open_store(path)) == list(CLIPS)
    assert names(open_store(path, split='train', exclude=['b'])) == ['a', 'c']
    with pytest.raises(ValueError, match="has no split 'test'; it has train, val. Change split"):
        open_store(path, split='test')
    with pytest.raises(ValueError, match=r"split='val', include=\['a'\] and exclude=\[\] leave none of its 5 clips"):
        open_store(path, split='val', include=['a'])


def test_classes_are_those_of_the_converter_or_the_actions_by_name(write):
    dataset = open_store(write())
    assert dataset.classes == ('jump', 'walk', 'wave')
    dataset = open_store(write(classes=['wave', 'walk', 'jump', 'run']), split=None)
    assert dataset.classes == ('wave', 'walk', 'jump', 'run')
    batch = dataset.__getitems__(range(len(dataset)))
    expected = [dataset.classes.index(CLIPS[name]) for name in batch['sample_id']]
    np.testing.assert_array_equal(batch['label'], expected)
    np.testing.assert_array_equal(dataset.labels, expected)


def test_classes_may_be_chosen_and_numbered_anew(write):
    path = write(classes=['jump', 'walk', 'wave'])
    dataset = open_store(path, classes=['wave', 'walk'], other_classes='leave_out')
    assert names(dataset) == ['a', 'b', 'c', 'e'] and dataset.metainfo['classes'] == ('wave', 'walk')
    assert [clip.label for clip in dataset.clips] == [1, 0, 1, 0]
    message = r"1 clips have an unknown label, e.g. 'd': 'jump'; the classes are wave, walk. Correct the labels"
    with pytest.raises(ValueError, match=message):
        open_store(path, classes=['wave', 'walk'])
    with pytest.raises(ValueError, match='no clip is of one of the classes run; the actions are jump, walk, wave'):
        open_store(path, classes=['run'], other_classes='leave_out')
    with pytest.raises(ValueError, match="names that differ and one of"):
        open_store(path, classes=['walk', 'walk'])


def test_clips_without_a_class_are_fine_until_labels_are_asked_for(write):
    dataset = open_store(write({**CLIPS, 'b': ''}))
    assert len(dataset.clips) == 5 and 'label' not in dataset[0]
    with pytest.raises(ValueError, match=r"1 of 5 clips have no label, e.g. 'b' with action ''; the classes are jump"):
        _ = dataset.labels


def test_window_seconds(write):
    path = write()
    assert open_store(path, window=dict(num_frames=9, dilation=2)).window_seconds == pytest.approx(1.8)
    # Clips of 2, 3, 4, 5 and, at 20 frames per second, 3 seconds.
    assert open_store(path, window=dict(num_frames=9, kind='resample')).window_seconds == pytest.approx(3.0)


def test_a_third_person_is_left_out(tmp_path):
    persons = np.arange(3.0)[:, None, None, None] + np.zeros((3, 12, 17, 2))
    with MotionStoreWriter(tmp_path / 'three', skeleton='h36m', fps=10.0) as writer:
        writer.add_clip('crowd', dict(detected_2d=persons, detected_confidence=np.ones((3, 12, 17))), persons=3,
                        action='hug')
    batch = open_store(str(tmp_path / 'three'), num_persons=2).__getitems__([0])
    assert batch['keypoints_2d'].shape == (1, 2, 9, 17, 2)
    np.testing.assert_array_equal(batch['keypoints_2d'][0, :, 0, 0, 0], [0, 1])
