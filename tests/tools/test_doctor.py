import sys

import pytest

from motionbert_mm.datasets.checks import CHECKS
from motionbert_mm.datasets.checks.report import Report, examples
from tests.generated import load_tool, run_tool
from tests.stand_ins import STAND_INS

doctor = load_tool('dataset_converters/doctor.py')


@pytest.fixture
def diagnose(monkeypatch, capsys):
    """Call the tool; return exit status and what was printed."""
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['doctor.py', *map(str, arguments)])
        return doctor.main(), capsys.readouterr().out
    return run


# What the table of a complete but small stand-in says: counts, what the full release has, and the next command.
EXPECTED = {
    'h36m-motionbert': ['train: frames        33 of 1,559,752', 'test: frames         24 of 566,920',
                        'S6: everything', 'h36m.py motionbert {path}/h36m_sh_conf_cam_source_final.pkl data/h36m'],
    'h36m-videopose3d': ['data_2d_h36m_cpn_ft_h36m_dbb.npz', '8 with 84 frames; S9; 2 actions; 4 cameras',
                         'videopose3d {path}/data_3d_h36m.npz {path}/data_2d_h36m_gt.npz '
                         '{path}/data_2d_h36m_cpn_ft_h36m_dbb.npz data/h36m'],
    'h36m-mmpose': ['train: frame rate    10 fps', '2 with 13 frames; S9, S11; 2 actions; 2 cameras',
                    'fps10/h36m_test.npz {path}/annotation_body3d/cameras.pkl data/h36m'],
    'amass': ['3 of smplh (*_poses.npz)', 'ACCAD 1, CMU 1, KIT 1', '19 of 22: BMLhandball', '60 (1), 100 (1), 120 (1)',
              'amass.py {path} data/amass --smplh SMPLH_DIR --regressor J_regressor_h36m.npy'],
    'posetrack18': ['train: videos       3 of 593', 'val: videos         2 of 170', '6 with 135 frames',
                    'posetrack18.py {path}/annotations/train data/posetrack18'],
    'instavariety': ['1 tags, 3 videos, 3 tracks', '3 with 246 frames', '3 of 81 frames and more',
                     'instavariety.py {path} data/instavariety'],
    '3dhp': ['16 of 16 annot.mat, 192 frames in each of 14 cameras', '16: S1/Seq1 has 12 of 6,416; S1/Seq2 has 12 of',
             '6 of 6 annot_data.mat', '6: TS1 has 12 of 6,151; ', '6: TS1 has 3 of 603; ', '18 of 2,929',
             'mpi_inf_3dhp.py download {path} data/mpi_inf_3dhp'],
    'motionbert-mesh': ['mesh_det_coco.pkl: train: frames  4 in 3 clips', 'mesh_det_h36m.pkl: test: frames   57 in 2',
                        'motionbert_mesh.py pw3d {path}/mesh_det_pw3d.pkl data/mesh/pw3d'],
    '3dpw': ['validation: sequences  1 of 12', 'test: persons          2 in 48 images with a known camera',
             'threedpw.py {path} data/3dpw'],
    'coco-eft': ['4 with 2D joints', '{path}/person_keypoints_train2014.json data/coco_eft'],
    'ntu-pyskl': ['24 of 60 classes, ntu25', 'xsub_train   12 of 40,091', 'xview_val    8 of 18,932',
                  'pyskl.py {path} data/ntu60_3danno'],
    'openpose': ['2 can be read; 2 without track ids', '3 for 30 frames and more, 115 frames, 0 of them filled in',
                 'keypoint_folder.py {path} data/NAME --skeleton body25 --image-size W H'],
    'alphapose': ['2 can be read\n', '2 for 30 frames and more, 80 frames', '--skeleton halpe26 --image-size W H'],
    'store': ['8 of 40 to 60 frames, 398 rows, h36m', 'keypoints_3d: unit   a leg is 870 mm',
              'train_dataloader.dataset.data_root={path}'],
}


@pytest.mark.parametrize('dataset', CHECKS)
def test_a_complete_stand_in_is_usable_and_counted(diagnose, tmp_path, dataset):
    path = STAND_INS[dataset](tmp_path)
    status, out = diagnose(dataset, path)
    assert status == 0 and 'BROKEN' not in out, out
    for text in EXPECTED[dataset]:
        assert text.format(path=path) in out
    is_short = dataset not in ('instavariety', 'openpose', 'alphapose', 'store', 'motionbert-mesh', 'coco-eft')
    assert ('usable, but short of the full release' in out) == is_short
    assert '\nnext: python tools/' in out


@pytest.mark.parametrize('dataset', sorted(set(CHECKS) - {'store', 'ntu-pyskl'}))
def test_an_empty_folder_is_not_usable(diagnose, tmp_path, dataset):
    status, out = diagnose(dataset, tmp_path)
    assert status == 1 and 'MISSING' in out and 'not usable: ' in out and '->' in out


def test_no_path_and_no_data_set_are_one_line(diagnose, tmp_path, capsys):
    with pytest.raises(SystemExit, match='nowhere: no such file or folder'):
        diagnose('amass', tmp_path / 'nowhere')
    with pytest.raises(SystemExit):
        diagnose('coco', tmp_path)
    assert "invalid choice: 'coco'" in capsys.readouterr().err


def test_the_tool_runs_as_a_user_runs_it(tmp_path):
    path = STAND_INS['openpose'](tmp_path)
    (path / 'solo' / 'dance_000000000003_keypoints.json').write_text('{')
    result = run_tool('dataset_converters/doctor.py', 'openpose', path)
    assert result.returncode == 1 and result.stdout.startswith(f'openpose: {path}\n'), result.stderr


def test_the_table_says_state_thing_and_where_to_mend(tmp_path):
    report = Report('amass', tmp_path, 'python next.py')
    report.ok('files', 12)
    report.compare('frames', 1234, 56789, 'download again')
    assert report.is_usable
    assert report.text().splitlines()[2:] == [
        'OK       files   12', 'MISSING  frames  1,234 of 56,789', '                 -> download again', '',
        'usable, but short of the full release', 'next: python next.py']
    report.broken_each('names', ['a', 'b', 'c', 'd'], 'rename')
    assert not report.is_usable and 'BROKEN   names   4: a; b; c; ...' in report.text()
    assert report.text().endswith('not usable: 1 problem to mend first\nthen: python next.py')


def test_counts_above_the_release_are_no_fault(tmp_path):
    report = Report('amass', tmp_path)
    report.compare('files', 12, 10, '')
    report.broken_each('none', [], '')
    assert report.is_usable and '12, 2 more than the known release' in report.text()
    report.missing('all', 'nothing', 'download', blocks=True)
    assert not report.is_usable


def test_examples_are_cut():
    assert examples(['a']) == 'a' and examples('abc') == '3: a; b; c' and examples('abcd') == '4: a; b; c; ...'
