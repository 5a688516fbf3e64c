import sys

import numpy as np
import pytest

from motionbert_mm.datasets import mpi_inf_3dhp
from motionbert_mm.datasets.mpi_inf_3dhp import OFFICIAL_CAMERAS, TEST, TRAIN
from motionbert_mm.datasets.mpi_inf_3dhp_download import RAW_JOINTS, DownloadFiles, read_calibration
from motionbert_mm.datasets.mpi_inf_3dhp_npz import PSTMOFiles
from motionbert_mm.geometry.bones import bone_lengths
from motionbert_mm.structures.skeleton import get_skeleton
from tests import mpi_inf_3dhp_files as files

LIMBS = get_skeleton('mpi_inf_3dhp17').limbs


def all_sequences(source):
    return {split: [source.read(split, key) for key in source.keys(split)] for split in source.fps}


def test_numbers_of_the_data_set():
    assert sum(facts.frames for facts in TRAIN.values()) == 131_592  # x 8 cameras are the official 1,052,736 windows
    assert sum(facts.valid for facts in TEST.values()) == 2929
    assert [facts.frames for facts in TEST.values()] == [6151, 6080, 5838, 6007, 320, 492]
    assert [name for name, facts in TRAIN.items() if facts.fps == 50] == ['S1/Seq2', 'S3/Seq1', 'S3/Seq2', 'S5/Seq1',
                                                                         'S5/Seq2']


def test_joints_of_the_training_set_are_picked_as_officially():
    assert RAW_JOINTS == [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]


def open_npz(folder, **options):
    return PSTMOFiles(files.write_both_npz(folder), **options)


def open_download(folder, **options):
    return DownloadFiles(files.write_download(folder, ('S1/Seq1', 'S1/Seq2'), ('TS1', 'TS5')), **options)


@pytest.mark.parametrize('open_files', [open_npz, open_download])
def test_sequences_have_names_and_facts(tmp_path, open_files):
    sequences = all_sequences(open_files(tmp_path))
    train, test = sequences['train'], sequences['test']
    assert [entry.name for entry in train] == [f'S1/{action}.{camera}' for action in ('Seq1', 'Seq2')
                                               for camera in OFFICIAL_CAMERAS]
    assert [(entry.subject, entry.action, entry.camera) for entry in train[7:9]] == [('S1', 'Seq1', '8'),
                                                                                     ('S1', 'Seq2', '0')]
    assert {(entry.name[:7], entry.fps) for entry in train} == {('S1/Seq1', 25), ('S1/Seq2', 50)}
    assert {entry.image_size for entry in train} == {(2048, 2048)}
    assert [(entry.name, entry.subject, entry.action, entry.camera, entry.image_size) for entry in test] == [
        ('TS1', 'TS1', 'TS1', 'TS1-4', (2048, 2048)), ('TS5', 'TS5', 'TS5', 'TS5-6', (1920, 1080))]


@pytest.mark.parametrize('open_files', [open_npz, open_download])
def test_both_forms_hold_the_same_poses(tmp_path, open_files):
    sequences = all_sequences(open_files(tmp_path))
    for entry in sequences['train']:
        pixels, points = files.poses('mpi_inf_3dhp17', files.FEW_FRAMES, shift=float(entry.camera))
        np.testing.assert_allclose(entry.arrays['keypoints_2d'], pixels)
        np.testing.assert_allclose(entry.arrays['keypoints_3d'], points)
        assert set(entry.arrays) == {'keypoints_2d', 'keypoints_3d'}
    for entry in sequences['test']:
        np.testing.assert_array_equal(entry.arrays['keypoints_2d'], files.poses('mpi_inf_3dhp17', 12)[0])
        assert entry.arrays['valid'].dtype == bool and np.flatnonzero(entry.arrays['valid']).tolist() == [1, 5, 9]
        np.testing.assert_allclose(bone_lengths(entry.arrays['keypoints_3d'], LIMBS),
                                   bone_lengths(sequences['train'][0].arrays['keypoints_3d'], LIMBS))


def test_the_download_knows_cameras_and_activities(tmp_path):
    source = open_download(tmp_path, cameras=(13, 2))
    train, test = all_sequences(source).values()
    assert [entry.camera for entry in train] == ['13', '2', '13', '2']
    assert train[0].intrinsics == (1510, 1511, 1037, 1064) and test[0].intrinsics is None
    assert test[0].arrays['activity'].tolist() == [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5]
    assert test[0].arrays['activity'].dtype == np.uint8


def test_the_other_annotation_can_be_chosen(tmp_path):
    source = open_download(tmp_path, truth='annot3', cameras=[0])
    for entry in (*all_sequences(source)['train'], *all_sequences(source)['test']):
        np.testing.assert_allclose(entry.arrays['keypoints_3d'], 0.9 * files.poses('mpi_inf_3dhp17', 12)[1])


@pytest.mark.parametrize('open_files', [open_npz, open_download])
def test_fast_sequences_can_be_brought_to_the_rate_of_the_others(tmp_path, open_files):
    source = open_files(tmp_path, fps=25.0, cameras=[0])
    slow, fast = all_sequences(source)['train']
    assert (slow.fps, fast.fps, len(slow.arrays['keypoints_2d'])) == (25, 25, 12)
    np.testing.assert_array_equal(fast.arrays['keypoints_3d'], slow.arrays['keypoints_3d'][::2])
    assert len(source.read('test', ('TS1', None)).arrays['valid']) == 12


def test_longer_sequences_are_cut_to_the_official_frames(tmp_path, monkeypatch):
    monkeypatch.setitem(mpi_inf_3dhp.TRAIN, 'S1/Seq1', TRAIN['S1/Seq1']._replace(frames=7))
    monkeypatch.setitem(mpi_inf_3dhp.TEST, 'TS5', TEST['TS5']._replace(frames=files.FEW_FRAMES))
    source = open_npz(tmp_path, cameras=[0])
    train = all_sequences(source)['train']
    assert [len(entry.arrays['keypoints_2d']) for entry in train] == [7, 12]
    assert source.notes() == [f'no {", ".join(list(TRAIN)[2:])}', 'no TS2, TS3, TS4, TS6',
                              'S1/Seq1: 12 frames, of which the first 7 are used',
                              'S1/Seq2: 12 frames, officially 12430', 'TS1: 12 frames, officially 6151']


def test_a_split_that_is_not_there_is_left_out(tmp_path):
    train = PSTMOFiles(files.write_both_npz(tmp_path)[:1])
    assert list(train.fps) == ['train'] and 'no test sequence' in train.notes()
    test = DownloadFiles(files.write_download(tmp_path, (), ('TS1',)))
    assert list(test.fps) == ['test'] and 'no train sequence' in test.notes()


def test_test_sequences_may_lie_beside_the_others(tmp_path):
    files.write_annot_data(tmp_path / 'TS6' / 'annot_data.mat')
    assert DownloadFiles(tmp_path).keys('test') == [('TS6', None)]


def test_without_calibration_there_are_no_intrinsics(tmp_path):
    files.write_annot(tmp_path / 'S1' / 'Seq1' / 'annot.mat')
    source = DownloadFiles(tmp_path)
    assert {entry.intrinsics for entry in all_sequences(source)['train']} == {None}
    assert 'no camera.calibration, and so no intrinsics: S1/Seq1' in source.notes()


def test_training_sequences_do_not_need_h5py(tmp_path, monkeypatch):
    files.write_download(tmp_path, ('S1/Seq1',), ('TS1',))
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(ImportError, match=r"needs the h5py package .*pip install 'motionbert_mm\[data\]'"):
        DownloadFiles(tmp_path)
    (tmp_path / 'mpi_inf_3dhp_test_set').rename(tmp_path / 'elsewhere')
    assert len(all_sequences(DownloadFiles(tmp_path))['train']) == 8


def change_train(**changes):
    content = files.train_content()
    content['S1 Seq1'][0]['4'].update(changes)
    return dict(train=content)


def change_test(**changes):
    content = files.evaluation_content()
    content['TS5'].update(changes)
    return dict(test=content)


PIXELS, POINTS = files.poses('mpi_inf_3dhp17', files.FEW_FRAMES)


@pytest.mark.parametrize('changes, message', [
    (change_train(data_2d=PIXELS / 2048), 'S1/Seq1: 2D: all coordinates lie between .* expected pixels'),
    (change_train(data_2d=PIXELS[:, :16]), r'S1/Seq1: 2D has shape \(12, 16, 2\)'),
    (change_train(data_3d=POINTS / 1000), 'S1/Seq1: 3D: a pose extends over 1.6.*expected millimetres'),
    (change_train(data_3d=POINTS - POINTS[:, 14:15]), 'depth of 0 mm .* relative to a joint'),
    (change_train(data_3d=POINTS[:9]), r'3D has shape \(9, 17, 3\) .* shape \(12, 17, 3\)'),
    (change_train(data_3d=POINTS * np.nan), 'S1/Seq1 is empty, or holds NaN'),
    (change_train(data_2d=PIXELS[:0], data_3d=POINTS[:0]), 'S1/Seq1 is empty'),
    (change_train(data_2d=None), r'2D has shape \(\) and dtype object'),
    (dict(train={'S1 Seq1': {'0': {}}}), 'S1/Seq1 is dict, expected a list of a dict of cameras'),
    (dict(train={'S1 Seq1': [{'0': {}}, 25]}), 'S1/Seq1.0 lacks data_2d, data_3d; it holds '),
    (dict(train={'S1 Seq1': [{'0': 3}, 25]}), 'S1/Seq1.0 lacks data_2d, data_3d; it holds int'),
    (dict(train={'S1 Seq1': [{'3': {}}, 25]}), 'has the cameras 3, but not 0; choose others'),
    (dict(train={'S1 Seq1': [{'0': {}}, 50]}), 'S1/Seq1 has 50 frames per second, MPI-INF-3DHP has 25'),
    (dict(train={'S9 Seq1': []}), 'has S9/Seq1, but the train sequences of MPI-INF-3DHP are S1/Seq1, '),
    (dict(train={'TS1': {}, 'S1 Seq1': []}), 'has TS1, but the train sequences'),
    (dict(train={}), 'data_train_3dhp.npz holds no sequence'),
    (dict(train=np.zeros(3)), 'data is ndarray, expected a dict'),
    (dict(train=files.evaluation_content()), 'data_train_3dhp.npz and .*data_test_3dhp.npz both hold test sequences'),
    (change_test(valid=np.arange(12)), r'TS5: valid frames are marked by \[0, 1, 2, 3, 4\]'),
    (change_test(valid=np.zeros(12)), r'TS5: valid frames are marked by \[0.0\]'),
    (change_test(valid=np.ones(11)), r'TS5: valid frames has shape \(11,\)'),
    (dict(test={'TS1': dict(data_2d=PIXELS, data_3d=POINTS)}), 'TS1 lacks valid; it holds .*data_2d'),
])
def test_npz_defects_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        all_sequences(PSTMOFiles(files.write_both_npz(tmp_path, **changes)))
    assert '_3dhp.npz' in str(error.value)


def test_valid_frames_may_be_booleans_in_a_column(tmp_path):
    changes = change_test(valid=files.is_valid(12).astype(bool)[:, None])
    entry = PSTMOFiles(files.write_both_npz(tmp_path, **changes)).read('test', ('TS5', None))
    assert np.flatnonzero(entry.arrays['valid']).tolist() == [1, 5, 9]


def test_an_npz_that_could_run_code_is_refused(tmp_path):
    path = tmp_path / 'data_test_3dhp.npz'
    np.savez(path, data=np.array({'TS1': print}, object))
    with pytest.raises(ValueError, match='data.npy: the pickle asks for the global builtins.print'):
        PSTMOFiles([path])


RAW_PIXELS, RAW_POINTS = files.poses('mpi_inf_3dhp28', files.FEW_FRAMES)


@pytest.mark.parametrize('changes, message', [
    (dict(annot2=RAW_PIXELS[:, :17]), r'annot2 holds 14 cameras of shapes \[\(12, 34\)\], expected 14 of \(n, 56\)'),
    (dict(univ_annot3=RAW_POINTS / 1000), 'expected millimetres'),
    (dict(univ_annot3=RAW_POINTS[:9]), 'camera 0 has 12 frames in 2D and 9 in 3D'),
    (dict(annot2=RAW_PIXELS * np.nan), 'is empty, or holds NaN'),
])
def test_training_defects_are_named(tmp_path, changes, message):
    path = files.write_annot(tmp_path / 'S1' / 'Seq1' / 'annot.mat', **changes)
    with pytest.raises(ValueError, match=message) as error:
        all_sequences(DownloadFiles(tmp_path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize('share', [0.0, 0.6])
def test_torn_training_files_are_named(tmp_path, share):
    path = files.write_annot(tmp_path / 'S1' / 'Seq1' / 'annot.mat')
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r'annot\.mat: .*truncated.*download it again'):
        all_sequences(DownloadFiles(tmp_path))


@pytest.mark.parametrize('changes, message', [
    (dict(annot2=PIXELS), r'annot2 has shape \(12, 17, 2\) .* shape \(N, 1, 17, 2\)'),
    (dict(univ_annot3=None), 'lacks univ_annot3'),
    (dict(activity_annotation=None), 'lacks activity_annotation'),
    (dict(activity_annotation=np.full((12, 1), 8)), 'activities have numbers from 8 to 8, expected 0'),
    (dict(valid_frame=np.ones((9, 1))), r'valid frames has shape \(9,\)'),
    (dict(univ_annot3=POINTS[:, None] / 1000), 'expected millimetres'),
])
def test_test_defects_are_named(tmp_path, changes, message):
    path = files.write_annot_data(tmp_path / 'TS2' / 'annot_data.mat', **changes)
    with pytest.raises(ValueError, match=message) as error:
        all_sequences(DownloadFiles(tmp_path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize('share', [0.0, 0.02, 0.6])
def test_torn_test_files_are_named(tmp_path, share):
    path = files.write_annot_data(tmp_path / 'TS2' / 'annot_data.mat', num_frames=200)
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r'annot_data\.mat: truncated or no HDF5 file'):
        all_sequences(DownloadFiles(tmp_path))


@pytest.mark.parametrize('text, message', [
    ('', 'holds no camera'),
    ('name 0\n  intrinsic 1 2 3\n', "line 2 is 'intrinsic 1 2 3', expected the name of a camera or, after it, the 16"),
    ('  intrinsic 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n', 'line 1'),
    ('name first\n', "line 1 is 'name first'"),
    ('name\n', "line 1 is 'name'"),
])
def test_damaged_calibrations_are_named(tmp_path, text, message):
    (tmp_path / 'camera.calibration').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_calibration(tmp_path / 'camera.calibration')


def test_a_camera_without_calibration_is_named(tmp_path):
    files.write_download(tmp_path, ('S1/Seq1',), ())
    path = tmp_path / 'S1' / 'Seq1' / 'camera.calibration'
    path.write_text('\n'.join(path.read_text().splitlines()[:15]))
    with pytest.raises(ValueError, match=r'has the cameras \[0, 1\], but not 2'):
        all_sequences(DownloadFiles(tmp_path))


@pytest.mark.parametrize('options, message', [
    (dict(cameras=[0, 14]), r'cameras are \[0, 14\], expected different numbers from 0 to 13'),
    (dict(cameras=[]), r'cameras are \[\]'),
    (dict(cameras=[1, 1]), r'cameras are \[1, 1\]'),
    (dict(fps=30.0), 'cannot bring all sequences to 30 frames per second'),
    (dict(fps=0.0), 'cannot bring all sequences to 0 frames per second'),
    (dict(truth='annot2'), "truth is 'annot2', expected one of"),
])
def test_meaningless_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        open_download(tmp_path, **options)


def test_a_folder_without_the_data_set_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'neither S1/Seq1/annot\.mat .* give the folder'):
        DownloadFiles(tmp_path)
