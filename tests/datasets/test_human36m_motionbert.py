import numpy as np
import pytest

from motionbert_mm.datasets.human36m_motionbert import MotionBERTFile
from tests import h36m_files as files


def facts(sequence):
    return sequence.subject, sequence.action, sequence.camera, sequence.image_size


@pytest.fixture(scope='module')
def motionbert(tmp_path_factory):
    return MotionBERTFile(files.write_motionbert(tmp_path_factory.mktemp('motionbert') / 'h36m.pkl'))


def test_videos_are_the_runs_of_a_source(motionbert):
    for split, videos in files.MOTIONBERT_VIDEOS.items():
        sequences = [motionbert.read(split, key) for key in motionbert.keys(split)]
        assert [(entry.name, entry.camera, len(entry.arrays['keypoints_2d'])) for entry in sequences] == videos
    assert motionbert.fps == {'train': 50, 'test': 50}


def test_names_are_resolved(motionbert):
    assert [facts(motionbert.read('train', key)) for key in motionbert.keys('train')] == [
        ('S1', 'Directions', '54138969', (1000, 1002)), ('S1', 'Directions', '55011271', (1000, 1000)),
        ('S5', 'Photo', '58860488', (1000, 1000))]
    assert [facts(motionbert.read('test', key)) for key in motionbert.keys('test')] == [
        ('S9', 'Greeting', '55011271', (1000, 1000)), ('S11', 'WalkTogether', '60457274', (1000, 1002))]


def test_arrays_keep_their_numbers(motionbert):
    content, sequence = files.motionbert_split('test'), motionbert.read('test', 1)
    rows = slice(10, 24)
    for name, key in (('keypoints_image', 'joint3d_image'), ('detected_2d', 'joint_2d'),
                      ('detected_confidence', 'confidence'), ('image_factor', '2.5d_factor'),
                      ('keypoints_3d', 'joints_2.5d_image')):
        np.testing.assert_array_equal(sequence.arrays[name], content[key][rows].astype(np.float32))
        assert sequence.arrays[name].dtype == np.float32
    np.testing.assert_array_equal(sequence.arrays['keypoints_2d'], sequence.arrays['keypoints_image'][..., :2])
    assert set(motionbert.read('train', 0).arrays) == {'keypoints_image', 'keypoints_2d', 'detected_2d',
                                                       'detected_confidence'}


def motionbert_file(tmp_path, split='test', drop=(), **changes):
    content = {name: files.motionbert_split(name) for name in files.MOTIONBERT_VIDEOS}
    content[split].update(changes)
    for key in drop:
        del content[split][key]
    return files.write_pickle(tmp_path / 'h36m.pkl', content)


def test_forms_of_arrays(tmp_path):
    content = files.motionbert_split('test')
    path = motionbert_file(tmp_path, **{
        'confidence': content['confidence'][..., None], 'source': np.array(content['source']),
        'camera_name': np.array(content['camera_name'], dtype='S8'), 'action': np.array(content['action'], object),
        'joint_2d': np.concatenate([content['joint_2d'], np.ones((24, 17, 1))], axis=-1)})
    changed, plain = MotionBERTFile(path), MotionBERTFile(motionbert_file(tmp_path))
    for key in plain.keys('test'):
        sequences = changed.read('test', key), plain.read('test', key)
        assert facts(sequences[0]) == facts(sequences[1])
        for name, values in sequences[1].arrays.items():
            np.testing.assert_array_equal(sequences[0].arrays[name], values)


def test_confidence_is_one_where_the_file_has_none(tmp_path):
    source = MotionBERTFile(motionbert_file(tmp_path, drop=['confidence']))
    assert (source.read('test', 0).arrays['detected_confidence'] == np.ones((10, 17), np.float32)).all()


def test_action_numbers_give_way_to_the_source(tmp_path):
    source = MotionBERTFile(motionbert_file(tmp_path, action=[3] * 24))
    assert [source.read('test', key).action for key in source.keys('test')] == ['Greeting', 'WalkTogether']


ROW = np.arange(24)


@pytest.mark.parametrize('options, message', [
    (dict(drop=['joint_2d', 'source']), 'test lacks joint_2d, source; it holds'),
    (dict(drop=['2.5d_factor']), 'test lacks 2.5d_factor'),
    (dict(split='train', drop=['joint3d_image']), 'train lacks joint3d_image'),
    (dict(joint_2d=np.zeros((24, 16, 2))), r'joint_2d has shape \(24, 16, 2\).*expected .*\(N, 17, 2\)'),
    (dict(joint_2d=np.full((24, 17, 2), 'x')), 'joint_2d has shape .* expected numbers'),
    (dict(confidence=np.zeros((24, 17, 2))), r'confidence has shape \(24, 17, 2\)'),
    (dict(joint3d_image=np.full((24, 17, 3), 0.5)), 'joint3d_image: all coordinates .* look normalised'),
    (dict(camera_name=['54138969'] * 23), "one common, positive number of frames, got .*'camera_name': 23"),
    (dict(camera_name='54138969'), r'camera_name has shape \(\), expected one text for each frame'),
    (dict(source=np.where(ROW % 12 < 6, 's_09_act_02_subact_01_ca_01', 's_09_act_03_subact_01_ca_01')),
     "source 's_09_act_02_subact_01_ca_01' begins at frame 0 and again at 12"),
])
def test_wrong_files_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=rf'h36m\.pkl: .*{message}'):
        MotionBERTFile(motionbert_file(tmp_path, **options))


@pytest.mark.parametrize('changes, message', [
    (dict(camera_name=['12345678'] * 24), "seen by camera '12345678'; the size of its images is known for 54138969"),
    (dict(camera_name=np.where(ROW == 3, '58860488', '55011271')), 'has camera_name .*expected one for the whole'),
    (dict(source=['S9_Walking'] * 24), "source 'S9_Walking', expected one like s_09_act_05_subact_02_ca_02"),
    (dict(source=['s_01_act_02_subact_01_ca_01'] * 24), 'subact_01_ca_01 holds S1, but subjects of the test'),
    (dict(action=['juggling'] * 24), "s_09_act_05_subact_02_ca_02: unknown action 'juggling'"),
    ({'2.5d_factor': np.where(ROW == 4, 0.0, 1.0)}, '2.5d_factor of s_09_act_05_subact_02_ca_02 has values that'),
])
def test_wrong_videos_are_named(tmp_path, changes, message):
    source = MotionBERTFile(motionbert_file(tmp_path, **changes))
    with pytest.raises(ValueError, match=rf'h36m\.pkl: test: .*{message}'):
        source.read('test', 0)


@pytest.mark.parametrize('content, got', [([1, 2], 'list'), ({'train': {}}, r"\['train'\]")])
def test_other_pickles_are_refused(tmp_path, content, got):
    with pytest.raises(ValueError, match=f'expected a dict of train and test, got {got}'):
        MotionBERTFile(files.write_pickle(tmp_path / 'other.pkl', content))


def test_a_split_without_arrays_is_refused(tmp_path):
    with pytest.raises(ValueError, match='other.pkl: train is a NoneType, expected a dict of arrays'):
        MotionBERTFile(files.write_pickle(tmp_path / 'other.pkl', {'train': None, 'test': None}))
