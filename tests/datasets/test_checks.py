"""Every defect is found, named, and told where to mend it."""
import json
import pickle
import re
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.checks import CHECKS
from motionbert_mm.datasets.checks.human36m import Census
from motionbert_mm.datasets.human36m import ACTIONS, IMAGE_SIZES, SPLITS
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.pose_files import PoseSequence
from tests import h36m_files, stand_ins
from tests import mpi_inf_3dhp_files as dhp_files
from tests.io.body import walk, walk_2d
from tests.io.openpose import write_openpose
from tests.mesh_files import coco_content, mesh_content, pw3d_sequence, write_coco, write_pickle, write_pw3d
from tests.smplh_files import make_motion, write_motion
from tests.track_files import write_packed, write_posetrack, write_track_folder


def findings(dataset, path, state='BROKEN', **options):
    """Run a check; return the lines of one state as texts, and whether the data is usable."""
    report = CHECKS[dataset](path, lambda items: items, **options)
    lines = [f'{finding.what}: {finding.found} -> {finding.fix}' for finding in report.findings
             if finding.state == state]
    assert all(finding.fix for finding in report.findings if finding.state != 'OK')
    return lines, report.is_usable


def only(dataset, path, **options):
    """Return the one thing that is broken."""
    lines, is_usable = findings(dataset, path, **options)
    assert len(lines) == 1 and not is_usable, lines
    return lines[0]


def tear(path, keep=0.6):
    """Cut a file off, as a broken download does."""
    path.write_bytes(path.read_bytes()[:int(path.stat().st_size * keep)])


# Human3.6M


def motionbert(tmp_path, split='test', drop=(), **changes):
    content = {name: h36m_files.motionbert_split(name) for name in h36m_files.MOTIONBERT_VIDEOS}
    content[split].update({key: change(content[split][key]) for key, change in changes.items()})
    for key in drop:
        del content[split][key]
    return h36m_files.write_pickle(tmp_path / 'h36m_sh_conf_cam_source_final.pkl', content)


def shuffled(points):
    return points[:, np.random.default_rng(0).permutation(points.shape[1])]


@pytest.mark.parametrize('changes, expected', [
    (dict(drop=['2.5d_factor']), 'test lacks 2.5d_factor; it holds'),
    (dict(joint_2d=lambda points: points[:, :16]), 'joint_2d has shape (24, 16, 2)'),
    (dict(joint_2d=lambda points: points[:9]), 'one common, positive number of frames'),
    (dict(joint_2d=lambda points: np.where(np.arange(24)[:, None, None] == 12, np.nan, points)),
     'test: contents: s_11_act_16_subact_01_ca_04: NaN or infinity in detected_2d'),
    (dict(joint_2d=shuffled), 'test: detected_2d: not in the order of h36m'),
    (dict(joint_2d=lambda points: points / 500 - 1), 'test: joint_2d: all coordinates lie between'),
    (dict(camera_name=lambda names: ['1'] * 24), "2: "),
    ({'2.5d_factor': lambda factor: factor / 1000}, 'test: factor: 2: 0.00'),
])
def test_motionbert_defects(tmp_path, changes, expected):
    assert expected in only('h36m-motionbert', motionbert(tmp_path, **changes))


def test_motionbert_torn_and_foreign_pickles(tmp_path):
    path = motionbert(tmp_path)
    tear(path)
    assert 'not a complete pickle' in only('h36m-motionbert', tmp_path)
    path.write_bytes(pickle.dumps(dict(train=print)))
    assert 'asks for the global builtins.print' in only('h36m-motionbert', path)


def test_all_sequences_of_human36m_leave_nothing_to_wish():
    census = Census()
    sequence = {'keypoints_2d': walk_2d('h36m', 3)}
    for subject in SPLITS['test']:
        for action in ACTIONS:
            for take in range(1 if (subject, action) == ('S11', 'Directions') else 2):
                for camera, size in IMAGE_SIZES.items():
                    census.add(PoseSequence(f'{take}', subject, action, camera, size, sequence))
    assert census.lacking('test') == [] and sum(census.takes.values()) == 236 and census.frames == 708
    census.takes['S9', 'Eating', '54138969'] -= 1
    assert census.lacking('test') == ['S9: Eating (1)']


def test_a_full_motionbert_file_is_not_short_of_itself(tmp_path, monkeypatch):
    monkeypatch.setattr('motionbert_mm.datasets.checks.human36m.NUM_FRAMES', {'train': 33, 'test': 24})
    motionbert(tmp_path)
    assert findings('h36m-motionbert', tmp_path, 'MISSING') == ([], True)
    text = CHECKS['h36m-motionbert'](tmp_path, lambda items: items).text()
    assert 'test: takes          not in the release: S9: Directions (8), Discussion (8), Eating (8) and 12 more' in text


def test_videopose3d_defects(tmp_path):
    stand_ins.h36m_videopose3d(tmp_path)
    cpn = tmp_path / 'data_2d_h36m_cpn_ft_h36m_dbb.npz'
    whole = cpn.read_bytes()
    tear(cpn)
    assert 'data_2d_h36m_cpn_ft_h36m_dbb.npz: ' in only('h36m-videopose3d', tmp_path)
    cpn.unlink()
    missing, is_usable = findings('h36m-videopose3d', tmp_path, 'MISSING')
    assert is_usable and missing[0].startswith("2D detections: no data_2d_h36m_*.npz but ['data_2d_h36m_gt.npz']")
    cpn.write_bytes(whole)
    positions = h36m_files.videopose3d_positions()
    positions['S9']['WalkDog'] *= 1000
    h36m_files.write_videopose3d(tmp_path, positions)
    assert 'test: contents: 4: ' in only('h36m-videopose3d', tmp_path)
    (tmp_path / 'data_3d_h36m.npz').unlink()
    missing, is_usable = findings('h36m-videopose3d', tmp_path, 'MISSING')
    assert not is_usable and missing[0].startswith('data_3d_h36m.npz: not in')


def test_mmpose_defects(tmp_path):
    folder = stand_ins.h36m_mmpose(tmp_path)
    (train,), (cameras,) = folder.rglob('h36m_train.npz'), folder.rglob('cameras.pkl')
    arrays = h36m_files.mmpose_arrays('train')
    np.savez(train, **{**arrays, 'part': shuffled(arrays['part'])})
    assert 'train: keypoints_2d: not in the order of h36m' in only('h36m-mmpose', folder)
    np.savez(train, **{**arrays, 'S': arrays['S'] * 1000})
    assert 'expected metres' in only('h36m-mmpose', folder)
    np.savez(train, imgname=arrays['imgname'])
    assert 'lacks part, S' in only('h36m-mmpose', folder)
    np.savez(train, **arrays)
    cameras.unlink()
    missing, is_usable = findings('h36m-mmpose', folder, 'MISSING')
    assert not is_usable and 'cameras.pkl: not in' in missing[0]


# AMASS


def test_amass_defects_in_headers(tmp_path):
    folder = stand_ins.amass(tmp_path)
    tear(folder / 'KIT' / '3' / 'turn_poses.npz')
    assert 'turn_poses.npz: truncated' in only('amass', folder)
    write_motion(folder / 'KIT' / '3' / 'turn_poses.npz', poses=np.zeros((40, 72)))
    assert 'poses has shape (40, 72)' in only('amass', folder)
    write_motion(folder / 'KIT' / '3' / 'turn_poses.npz', trans=None)
    assert 'lacks trans' in only('amass', folder)
    write_motion(folder / 'KIT' / '3' / 'turn_poses.npz', mocap_framerate=None)
    assert 'has no frame rate' in only('amass', folder)
    write_motion(folder / 'KIT' / '3' / 'turn_poses.npz', mocap_framerate=np.array(1.0))
    assert only('amass', folder).startswith('frame rates: 1 (1 files)')


def test_amass_contents_are_sampled_or_read_thoroughly(tmp_path, monkeypatch):
    monkeypatch.setattr('motionbert_mm.datasets.checks.amass.SAMPLE', 2)
    folder = stand_ins.amass(tmp_path)
    bad = make_motion(40, 60.0)['poses']
    bad[7] = np.nan
    write_motion(folder / 'CMU' / '01' / '01_01_poses.npz', poses=bad)  # the second of three
    assert findings('amass', folder) == ([], True)
    assert 'poses holds NaN or infinity, first in row 7' in only('amass', folder, thorough=True)
    assert 'contents: 2 of 3 files read whole, headers' in ' '.join(findings('amass', folder, 'OK')[0])


def test_amass_archives_and_the_other_body_model(tmp_path):
    folder = stand_ins.amass(tmp_path)
    (folder / 'SFU.tar.bz2').touch()
    missing, _ = findings('amass', folder, 'MISSING')
    assert missing[0] == 'archives: 1 are not unpacked -> unpack them: tar xjf ARCHIVE'
    for number in range(4):
        write_motion(folder / 'BMLrub' / f'{number}_stageii.npz', poses=np.zeros((40, 165)), mocap_framerate=None,
                     mocap_frame_rate=np.array(60.0))
    report = CHECKS['amass'](folder, lambda items: items)
    assert report.is_usable and '4 of smplx' in report.text() and 'BioMotionLab_NTroje 4' in report.text()
    assert '--smplx SMPLX_DIR' in report.command


# PoseTrack18 and InstaVariety


def test_posetrack_defects(tmp_path):
    folder = stand_ins.posetrack18(tmp_path)
    file = folder / 'annotations' / 'val' / '000001_mpii.json'
    whole = file.read_text()
    tear(file)
    assert 'val: files: ' in only('posetrack18', folder) and 'truncated' in only('posetrack18', folder)
    file.write_text(whole.replace('"head_bottom"', '"neck"'))
    assert 'categories[0].keypoints are' in only('posetrack18', folder)
    tracks = [shuffled(stand_ins.points_2d('posetrack18', 35))] * 9
    write_posetrack(folder / 'annotations' / 'val' / '000001_mpii.json', tracks)
    assert 'val: joint order: not that of posetrack18' in only('posetrack18', folder)


def test_posetrack_one_split_and_short_tracks(tmp_path):
    folder = stand_ins.posetrack18(tmp_path) / 'annotations' / 'val'
    missing, is_usable = findings('posetrack18', folder, 'MISSING')
    assert is_usable and missing[0].startswith('val: videos: 2 of 170')
    for file in folder.glob('*.json'):
        write_posetrack(file, [stand_ins.points_2d('posetrack18', 12)], video=file.stem)
    missing, _ = findings('posetrack18', folder, 'MISSING')
    assert missing[1].startswith('val: clips: no track has 30 frames')


def test_instavariety_track_folders(tmp_path):
    folder = stand_ins.instavariety(tmp_path)
    file = folder / 'golf' / 'video1' / '0' / '00000005.json'
    whole = file.read_text()
    tear(file)
    assert '00000005.json: empty, truncated' in only('instavariety', folder)
    file.write_text(json.dumps(dict(frame=5, wrist=1)))
    assert 'names no known joint' in only('instavariety', folder)
    file.write_text(whole)
    assert 'not at <tag>/<video>/<track>' in only('instavariety', folder / 'golf')
    for number in range(5):
        write_track_folder(folder / 'golf' / f'video{number}' / '0', shuffled(stand_ins.points_2d('h36m', 82)))
    assert 'joint order: not that of h36m' in only('instavariety', folder)


def test_instavariety_samples_folders_unless_thorough(tmp_path, monkeypatch):
    monkeypatch.setattr('motionbert_mm.datasets.checks.tracks.SAMPLE', 2)
    folder = stand_ins.instavariety(tmp_path)
    tear(folder / 'golf' / 'video1' / '0' / '00000005.json')
    assert findings('instavariety', folder) == ([], True)
    assert '00000005.json' in only('instavariety', folder, thorough=True)


def test_instavariety_packed_arrays(tmp_path):
    points = stand_ins.points_2d('h36m', 90)
    points[:, [7, 10]] = 0
    points[..., :2] = np.where(points[..., 2:] > 0, points[..., :2] / 500 - 1, 0)
    folder = write_packed(tmp_path, [points, points[:40]])
    report = CHECKS['instavariety'](folder, lambda items: items)
    assert report.is_usable and '2 with 130 frames' in report.text() and '1 of 81 frames' in report.text()
    assert '2: spine; head' in report.text()
    write_packed(tmp_path, [points[:40]])
    assert findings('instavariety', folder, 'MISSING')[0][0].startswith('lengths: no track of 81 frames')
    write_packed(tmp_path, [points * 900])
    assert 'expected at most 2 after the official cropping' in only('instavariety', folder)
    tear(folder / 'motion_all.npy')
    assert 'packed arrays: ' in only('instavariety', folder)
    (folder / 'id_all.npy').unlink()
    assert not findings('instavariety', folder, 'MISSING')[1]


# Detector results


def test_openpose_defects(tmp_path):
    folder = stand_ins.openpose(tmp_path)
    (folder / 'solo' / 'dance_000000000007_keypoints.json').unlink()
    missing, is_usable = findings('openpose', folder, 'MISSING')
    assert is_usable and missing[0].startswith('frames: solo lacks 1 frames, the first after number 6')
    (folder / 'solo' / 'dance_000000000009_keypoints.json').write_text('{"people": [')
    assert 'dance_000000000009_keypoints.json: empty, truncated' in only('openpose', folder)
    write_openpose(folder / 'solo', [shuffled(walk_2d('body25', 35))])
    assert 'do not look like body25 order' in only('openpose', folder)
    short = write_openpose(tmp_path / 'other' / 'short', [walk_2d('body25', 5)])
    assert only('openpose', short).startswith('persons: nobody can be followed: 1 shorter than 30 frames')


def test_alphapose_defects_and_the_other_format(tmp_path):
    folder = stand_ins.alphapose(tmp_path)
    tear(folder / 'video1' / 'alphapose-results.json')
    assert 'video1/alphapose-results.json: empty, truncated' in only('alphapose', folder)
    missing, is_usable = findings('openpose', folder, 'MISSING')
    assert not is_usable and missing == ["format: 2 of 2 are result files, e.g. 'video0' -> check them as alphapose"]


# Others


@pytest.mark.parametrize('change, expected', [
    (lambda content: content.pop('split'), 'no dict of split and annotations'),
    (lambda content: content['annotations'][3].pop('label'), 'lacks label'),
    (lambda content: content['annotations'][3].update(label=7), 'label is 7, expected the class'),
    (lambda content: content['annotations'][3].update(total_frames=7), 'total_frames is 7'),
    (lambda content: content['annotations'][3].update(frame_dir='walk'), 'frame_dir is not like S001C001'),
    (lambda content: content['annotations'][3]['keypoint'].fill(np.nan), 'holds NaN'),
    (lambda content: content['split']['xsub_val'].append('S009C001P003R001A001'), 'xsub_val: absent'),
    (lambda content: content['split']['xview_val'].append(stand_ins.NTU_NAMES[-1]), 'xview_val: wrong'),
    (lambda content: [entry.update(keypoint=entry['keypoint'][:, :, ::-1]) for entry in content['annotations']],
     'joint order: not that of ntu25'),
    (lambda content: content['annotations'].__setitem__(3, stand_ins.ntu_annotation(stand_ins.NTU_NAMES[3], 'coco17')),
     "joints: {'ntu25': 23, 'coco17': 1}"),
])
def test_ntu_defects(tmp_path, change, expected):
    content = stand_ins.ntu_content()
    change(content)
    lines, is_usable = findings('ntu-pyskl', stand_ins.write_ntu(tmp_path / 'ntu.pkl', content))
    assert not is_usable and any(expected in line for line in lines), lines


def test_ntu_2d_skeletons_and_120_classes(tmp_path):
    content = stand_ins.ntu_content('coco17')
    for name in ('S002C001P001R001A120', 'S001C001P003R001A061'):
        content['annotations'].append(stand_ins.ntu_annotation(name, 'coco17'))
    names = [entry['frame_dir'] for entry in content['annotations']]
    content['split'].update(xset_train=[name for name in names if name[:4] == 'S002'])
    path = stand_ins.write_ntu(tmp_path / 'ntu120_hrnet.pkl', content)
    text = CHECKS['ntu-pyskl'](path, lambda items: items).text()
    assert '26 of 120 classes, coco17' in text and 'xset_train   13' in text and 'MISSING  xset_val' in text
    tear(path)
    assert 'not a complete pickle' in only('ntu-pyskl', path)


# MPI-INF-3DHP


def test_3dhp_training_defects(tmp_path):
    dhp_files.write_download(tmp_path, ['S1/Seq1', 'S3/Seq2'])
    annot = tmp_path / 'S3' / 'Seq2' / 'annot.mat'
    pixels, points = dhp_files.poses('mpi_inf_3dhp28', dhp_files.FEW_FRAMES)
    for change, expected in [(dict(univ_annot3=points / 1000), 'expected millimetres'),
                             (dict(annot2=np.zeros((6, 17, 2))), 'annot2 holds 14 cameras of shapes [(6, 34)]'),
                             (dict(annot3=points[:6]), '2D and 3D have different numbers of frames'),
                             (dict(annot3=points * np.nan), 'annot3 holds NaN'),
                             (dict(annot2=shuffled(pixels)), 'not in the order of mpi_inf_3dhp28')]:
        dhp_files.write_annot(annot, **change)
        assert expected in only('3dhp', tmp_path)
    tear(annot)
    assert only('3dhp', tmp_path).startswith('training: S3/Seq2: truncated or no MATLAB file')
    annot.unlink()
    (tmp_path / 'S1' / 'Seq1' / 'camera.calibration').unlink()
    missing = findings('3dhp', tmp_path, 'MISSING')[0]
    assert missing[0].startswith('training: 15 of 16 annot.mat: S1/Seq2, S2/Seq1')
    assert any(line.startswith('calibration: no camera.calibration in S1/Seq1') for line in missing)


@pytest.mark.parametrize('change, expected', [
    (lambda pixels, points: dict(univ_annot3=points / 1000), 'expected millimetres'),
    (lambda pixels, points: dict(annot3=points[:, 0]), 'annot3 has shape (12, 17, 3)'),
    (lambda pixels, points: dict(annot3=None), 'lacks annot3'),
    (lambda pixels, points: dict(annot3=points * np.nan), 'NaN or infinity'),
    (lambda pixels, points: dict(valid_frame=np.zeros((12, 1))), 'arrays of different lengths, or no valid frame'),
    (lambda pixels, points: dict(valid_frame=np.ones((11, 1))), 'arrays of different lengths, or no valid frame'),
    (lambda pixels, points: dict(annot2=pixels[:, :, np.random.default_rng(0).permutation(17)]),
     'not in the order of mpi_inf_3dhp17'),
])
def test_3dhp_test_defects(tmp_path, change, expected):
    pixels, points = (values[:, None] for values in dhp_files.poses('mpi_inf_3dhp17', dhp_files.FEW_FRAMES))
    dhp_files.write_annot_data(tmp_path / 'TS4' / 'annot_data.mat', **change(pixels, points))
    line = only('3dhp', tmp_path)
    assert line.startswith('test: ') and 'TS4/annot_data.mat: ' in line and expected in line


def test_3dhp_test_files_that_are_no_hdf5_or_not_there(tmp_path):
    dhp_files.write_download(tmp_path, (), ['TS1', 'TS4'])
    annot = tmp_path / 'mpi_inf_3dhp_test_set' / 'TS4' / 'annot_data.mat'
    annot.write_text('<html>')
    assert 'TS4/annot_data.mat: truncated or no HDF5 file' in only('3dhp', tmp_path)
    annot.unlink()
    missing = findings('3dhp', tmp_path, 'MISSING')[0]
    assert any(line.startswith('test: 5 of 6 annot_data.mat: TS2, TS3, TS4') for line in missing)


def test_3dhp_test_set_is_not_opened_without_h5py(tmp_path, monkeypatch):
    dhp_files.write_download(tmp_path, ['S1/Seq1'], ['TS1'])
    monkeypatch.setitem(sys.modules, 'h5py', None)
    lines, is_usable = findings('3dhp', tmp_path, 'MISSING')
    assert is_usable and any("1 of 6 annot_data.mat, not opened: the test set of MPI-INF-3DHP needs the h5py package"
                             in line for line in lines)


def test_3dhp_npz(tmp_path):
    paths = dhp_files.write_both_npz(tmp_path, train=dhp_files.train_content(['S1/Seq1']))
    assert findings('3dhp', tmp_path) == ([], True)
    counted = findings('3dhp', tmp_path, 'OK')[0]
    assert counted == ['train: 1 sequences, 12 frames in each of 8 cameras -> ',
                       'test: valid frames: 6 of 2,929 -> ']
    lines = findings('3dhp', tmp_path, 'MISSING')[0]
    for text in ('train: 15 of 16 sequences: S1/Seq2', 'train: frames: S1/Seq1 has 12 of 6,416', 'test: 4 of 6 seq',
                 'test: frames: 2: TS1 has 12 of 6,151', 'test: valid frames: 2: TS1 has 3 of 603; TS5 has 3 of 276'):
        assert any(line.startswith(text) for line in lines), text
    report = CHECKS['3dhp'](paths[1], lambda items: items)
    assert report.command.endswith(f'mpi_inf_3dhp.py npz {paths[1]} data/mpi_inf_3dhp')


def test_3dhp_npz_defects(tmp_path):
    path = tmp_path / 'data_test_3dhp.npz'
    content = dhp_files.evaluation_content(['TS5'], num_frames=320)
    content['TS5'].update(valid=np.ones(320))
    assert 'test: valid frames: TS5 has 320, officially 276' in only('3dhp', dhp_files.write_npz(path, content))
    content['TS5'].update(data_2d=shuffled(content['TS5']['data_2d']))
    dhp_files.write_npz(path, content)
    assert 'test: TS5: 2D joints are not in the order of mpi_inf_3dhp17' in only('3dhp', path)
    content['TS5'].update(data_3d=content['TS5']['data_3d'] / 1000)
    assert 'expected millimetres' in only('3dhp', dhp_files.write_npz(path, content))
    tear(path)
    assert 'files: ' in only('3dhp', path) and 'not a complete .npz' in only('3dhp', path)


# Mesh recovery


@pytest.mark.parametrize('dataset, changes, expected', [
    ('pw3d', dict(smpl_pose=lambda pose: pose[:, :69]), 'mesh_det_pw3d.pkl: .*train: smpl_pose has shape'),
    ('h36m', dict(camera_name=lambda names: ['1'] * 53), "mesh_det_h36m.pkl: train: contents: 2: .*camera '1'"),
    ('pw3d', dict(smpl_shape=lambda shape: np.where(np.arange(38)[:, None] == 9, np.nan, shape)),
     'mesh_det_pw3d.pkl: train: contents: courtyard_arguing_00_0: NaN or infinity in smpl_betas'),
    ('coco', dict(joint_2d=shuffled), 'mesh_det_coco.pkl: train: joints: not in the order of h36m'),
])
def test_motionbert_mesh_defects(tmp_path, dataset, changes, expected):
    content = mesh_content(dataset)
    content['train'].update({key: change(content['train'][key]) for key, change in changes.items()})
    write_pickle(tmp_path / f'mesh_det_{dataset}.pkl', content)
    assert re.match(expected, only('motionbert-mesh', tmp_path))


def test_a_mesh_pickle_of_an_unknown_name(tmp_path):
    path = write_pickle(tmp_path / 'mesh_det_lsp.pkl', mesh_content('coco'))
    assert 'its name does not say the data set' in only('motionbert-mesh', path)


def test_threedpw_defects(tmp_path):
    tear(write_pw3d(tmp_path, 'train'))
    content = pw3d_sequence()
    content['campose_valid'][1][:] = 0
    write_pw3d(tmp_path, 'test', content=content)
    assert 'train: files: ' in only('3dpw', tmp_path) and 'not a complete pickle' in only('3dpw', tmp_path)
    counted = findings('3dpw', tmp_path, 'OK')[0]
    assert any(line.startswith('test: persons: 1 in 24 images with a known camera; 1 without') for line in counted)
    missing = findings('3dpw', tmp_path, 'MISSING')[0]
    assert [line.partition(' ->')[0] for line in missing] == [
        'train: sequences: 1 of 24', 'validation: sequences: 0 of 12', 'test: sequences: 1 of 24']


def test_coco_eft_defects(tmp_path):
    fits, coco = coco_content(6)
    fits['data'][0]['annotId'] = 1
    write_coco(tmp_path, (fits, coco))
    counted, is_usable = findings('coco-eft', tmp_path, 'OK')
    assert is_usable and any(line.startswith('people: 5 with 2D joints; 1 without an annotation') for line in counted)
    fits['data'][1]['parm_pose'] = [0.0] * 216
    paths = write_coco(tmp_path, (fits, coco))
    assert 'holds no rotation matrices' in only('coco-eft', tmp_path)
    paths[1].unlink()
    missing, is_usable = findings('coco-eft', paths[0], 'MISSING')
    assert not is_usable and missing[0].startswith('person_keypoints_train2014.json: not in')


def write_store(path, skeleton='h36m', fps=30.0, size=(1000, 1000), **arrays):
    with MotionStoreWriter(path, skeleton=skeleton, fps=fps) as writer:
        for number in range(6):
            writer.add_clip(f'clip{number}', arrays, image_size=size)
    return path


@pytest.mark.parametrize('options, expected', [
    (dict(fps=1.0), 'frame rate: 1 fps'),
    (dict(skeleton='coco17'), 'keypoints_2d: order: not that of coco17'),
    (dict(skeleton='halpe26'), 'keypoints_2d: (120, 17, 2), halpe26 has 26 joints'),
    (dict(size=(200, 300)), 'keypoints_2d: image: 100% of the joints lie outside it'),
    (dict(keypoints_3d=walk('h36m', 20) / 1000), 'keypoints_3d: unit: a leg is 0.84 long'),
    (dict(detected_confidence=np.full((20, 17), 1.5)), 'detected_confidence: from 1.5 to 1.5'),
])
def test_store_defects(tmp_path, options, expected):
    path = write_store(tmp_path / 'store', **{'keypoints_2d': walk_2d('h36m', 20), **options})
    assert expected in only('store', path)


def test_store_with_nan_torn_or_without_image_size(tmp_path):
    path = write_store(tmp_path / 'store', keypoints_2d=walk_2d('h36m', 20), size=None)
    assert findings('store', path) == ([], True)
    assert findings('store', path, 'MISSING')[0][0].startswith('keypoints_2d: image: 6 clips without image_size')
    points = np.load(path / 'keypoints_2d.npy')
    points[47, 3] = np.nan
    np.save(path / 'keypoints_2d.npy', points)
    assert "keypoints_2d: NaN or infinity, first in 'clip2', frame 7" in only('store', path)
    tear(path / 'keypoints_2d.npy')
    assert 'keypoints_2d.npy is torn' in only('store', path)


def test_store_with_valid_frames_and_two_frame_rates(tmp_path):
    path = tmp_path / 'store'
    with MotionStoreWriter(path, skeleton='h36m', fps=25.0) as writer:
        for name, fps in (('slow', None), ('fast', 50.0)):
            writer.add_clip(name, dict(keypoints_2d=walk_2d('h36m', 20), valid=np.arange(20) > 3), fps=fps,
                            image_size=(1000, 1000))
    counted, is_usable = findings('store', path, 'OK')
    assert is_usable and any(line.startswith('frame rate: 25 and 50 fps') for line in counted)
    assert any(line.startswith('valid: (40,) bool, from 0 to 1') for line in counted)
