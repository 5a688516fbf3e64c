import sys

import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.motion_store import MotionStore
from tests import h36m_files as files
from tests.generated import load_tool

converter = load_tool('dataset_converters/h36m.py')


@pytest.fixture
def convert(monkeypatch, tmp_path):
    def run(*arguments, name='h36m'):
        monkeypatch.setattr(sys, 'argv', ['h36m.py', *map(str, arguments), str(tmp_path / name)])
        converter.main()
        return {split: MotionStore(tmp_path / name / split) for split in ('train', 'test')}
    return run


def check_fetch(store, num_frames=5, **options):
    """Fetch one batch of every window, without a pipeline."""
    data = MotionDataset(str(store.path), window=dict(kind='official', num_frames=num_frames), **options)
    batch = data.__getitems__(range(len(data)))
    assert all(np.isfinite(batch[name]).all() for name in store.arrays if name in batch)
    return batch


def test_motionbert(convert, tmp_path, capsys):
    stores = convert('motionbert', files.write_motionbert(tmp_path / 'h36m.pkl'))
    for split, videos in files.MOTIONBERT_VIDEOS.items():
        assert [(clip.name, clip.camera, clip.length) for clip in stores[split].clips] == videos
        assert (stores[split].skeleton, stores[split].fps) == ('h36m', 50)
        assert stores[split].info['layout'] == 'motionbert'
        np.testing.assert_array_equal(stores[split].arrays['keypoints_image'],
                                      files.motionbert_split(split)['joint3d_image'].astype(np.float32))
    clip = stores['test'].clips[0]
    assert (clip.subject, clip.action, clip.image_size) == ('S9', 'Greeting', (1000, 1000))
    assert set(stores['test'].arrays) - set(stores['train'].arrays) == {'image_factor', 'keypoints_3d'}
    output = capsys.readouterr().out
    assert 'train: 3 sequences, 33 frames at 50 fps' in output and 'test: 2 sequences, 24 frames at 50 fps' in output
    batch = check_fetch(stores['test'], targets=('keypoints_3d', 'keypoints_image', 'image_factor'))
    assert batch['image_factor'].shape == batch['keypoints_image'].shape[:3]


def test_videopose3d(convert, tmp_path, capsys):
    detected = files.write_keypoints(tmp_path, 'cpn_ft_h36m_dbb', files.videopose3d_keypoints(surplus=2),
                                     files.METADATA['h36m'])
    stores = convert('videopose3d', files.write_videopose3d(tmp_path), detected)
    assert [clip.name for clip in stores['train'].clips][:5] == [
        'S1/Walking 1.54138969', 'S1/Walking 1.55011271', 'S1/Walking 1.58860488', 'S1/Walking 1.60457274',
        'S1/Photo.54138969']
    assert {clip.action for clip in stores['test'].clips} == {'Greeting', 'WalkDog'}
    assert set(stores['test'].arrays) == {'keypoints_3d', 'keypoints_2d', 'detected_2d', 'detected_confidence'}
    assert stores['test'].fps == 50 and len(stores['test'].clips[0].intrinsics) == 4
    assert '32 frames after the last 3D frame of 16 sequences left out' in capsys.readouterr().out
    check_fetch(stores['train'])


def test_videopose3d_with_projections_only(convert, tmp_path):
    exact = files.write_keypoints(tmp_path, 'gt', files.videopose3d_keypoints(), files.METADATA['h36m'])
    stores = convert('videopose3d', files.write_videopose3d(tmp_path), exact)
    assert set(stores['test'].arrays) == {'keypoints_3d', 'keypoints_2d'}
    assert stores['test'].arrays['keypoints_2d'][0, 3].tolist() == [3, 0]
    check_fetch(stores['train'], input_2d='exact')


def test_mmpose(convert, tmp_path):
    paths = files.write_mmpose(tmp_path)
    for split in ('train', 'test'):
        np.save(tmp_path / f'{split}.npy', np.full((13, 17, 3), 9.0))
    np.save(tmp_path / 'factors.npy', np.full(13, 4.0))
    stores = convert('mmpose', paths['train'], paths['test'], paths['cameras'], '--detected', tmp_path / 'train.npy',
                     tmp_path / 'test.npy', '--test-factors', tmp_path / 'factors.npy')
    assert [clip.name for clip in stores['test'].clips] == ['S9_Greeting_1.60457274', 'S11_WalkDog.58860488']
    assert (stores['test'].fps, stores['test'].clips[1].action, stores['test'].clips[1].camera) == (
        10, 'WalkDog', '58860488')
    assert set(stores['test'].arrays) - set(stores['train'].arrays) == {'image_factor', 'keypoints_image'}
    check_fetch(stores['test'], targets=('keypoints_3d', 'keypoints_image', 'image_factor'))


def broken(tmp_path, case):
    """Arguments that cannot be converted, and what the message has to say."""
    pickle, positions = files.write_motionbert(tmp_path / 'h36m.pkl'), files.write_videopose3d(tmp_path)
    keypoints = [files.write_keypoints(tmp_path, name, files.videopose3d_keypoints(), files.METADATA['h36m'])
                 for name in ('cpn_ft_h36m_dbb', 'detectron_ft_h36m')]
    torn = tmp_path / 'torn.pkl'
    torn.write_bytes(pickle.read_bytes()[:500])
    spoilt = {split: files.motionbert_split(split) for split in ('train', 'test')}
    spoilt['test']['joint_2d'][13, 2] = np.nan
    return {'missing': (('motionbert', tmp_path / 'nothing.pkl'), 'nothing.pkl: no such file'),
            'torn': (('motionbert', torn), 'torn.pkl: not a complete pickle'),
            'nan': (('motionbert', files.write_pickle(tmp_path / 'nan.pkl', spoilt)),
                    "clip 's_11_act_16_subact_01_ca_04': detected_2d holds NaN or infinity, first in frame 3"),
            'wrong layout': (('videopose3d', pickle), 'h36m.pkl: not a complete .npz file'),
            'two detectors': (('videopose3d', positions, *keypoints), 'got 2 files of detections .* at most one'),
            'swapped': (('mmpose', *(files.write_mmpose(tmp_path)[name] for name in ('test', 'train', 'cameras'))),
                        'h36m_test.npz holds S11, S9, but subjects of the train split')}[case]


@pytest.mark.parametrize('case', ['missing', 'torn', 'nan', 'wrong layout', 'two detectors', 'swapped'])
def test_wrong_sources_are_one_line_and_leave_nothing(convert, tmp_path, case):
    arguments, message = broken(tmp_path, case)
    with pytest.raises(SystemExit, match=message) as exit_info:
        convert(*arguments)
    assert '\n' not in str(exit_info.value)
    assert not list((tmp_path / 'h36m').glob('*') if (tmp_path / 'h36m').exists() else [])


def test_an_output_that_cannot_be_made_is_one_line(convert, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit, match='file'):
        convert('motionbert', files.write_motionbert(tmp_path / 'h36m.pkl'), name='file')


def test_an_error_in_one_split_keeps_the_older_stores(convert, tmp_path):
    convert('motionbert', files.write_motionbert(tmp_path / 'h36m.pkl'))
    arguments, _ = broken(tmp_path, 'nan')
    with pytest.raises(SystemExit):
        convert(*arguments)
    for split in ('train', 'test'):
        assert MotionStore(tmp_path / 'h36m' / split).info['sources']['source'].endswith('h36m.pkl')
