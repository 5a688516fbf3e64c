"""EFT's fits joined with COCO's keypoints."""
import json
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.coco_eft import read_people
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.structures.skeleton import get_skeleton
from tests.generated import load_tool
from tests.mesh_files import coco_content, write_coco

COCO, H36M = get_skeleton('coco17'), get_skeleton('h36m')


@pytest.fixture
def convert(monkeypatch, tmp_path):
    tool = load_tool('dataset_converters/coco_eft.py')

    def run(content=None, *options):
        paths = write_coco(tmp_path, content)
        monkeypatch.setattr(sys, 'argv', ['coco_eft.py', *map(str, paths), str(tmp_path / 'store'), *options])
        tool.main()
        return MotionStore(tmp_path / 'store')
    return run


def test_every_fit_is_a_clip_of_one_frame(convert):
    store, (fits, _) = convert(), coco_content()
    assert [(clip.name, clip.length, clip.image_size) for clip in store.clips] == [
        (f'COCO_train2014_{100 + person:012d}#{5000 + person}', 1, (1000 + person, 1002)) for person in range(4)]
    rotations = np.array([fit['parm_pose'] for fit in fits['data']])
    np.testing.assert_allclose(axis_angle_to_matrix(store.arrays['smpl_pose'].astype(np.float64)), rotations, atol=1e-6)
    np.testing.assert_allclose(store.arrays['smpl_betas'], [fit['parm_shape'] for fit in fits['data']], rtol=1e-6)


def test_labelled_joints_come_by_name(convert):
    store, (_, coco) = convert(), coco_content()
    points = np.array([entry['keypoints'] for entry in coco['annotations']]).reshape(4, 17, 3)
    for joint in ('left_wrist', 'right_knee', 'nose'):
        np.testing.assert_allclose(store.arrays['detected_2d'][:, H36M.index(joint)],
                                   points[:, COCO.index(joint), :2], rtol=1e-6)
    hips = points[:, [COCO.index('left_hip'), COCO.index('right_hip')], :2].mean(axis=1)
    np.testing.assert_allclose(store.arrays['detected_2d'][:, H36M.root], hips, rtol=1e-6)
    # Of the first person the nose is not labelled, of the others an eye or an ear, which the head needs, or nothing.
    confidence = store.arrays['detected_confidence']
    assert set(np.unique(confidence)) == {0, 1}
    missing = [[H36M.joints[joint] for joint in np.flatnonzero(row == 0)] for row in confidence]
    assert missing == [['nose'], ['head'], ['head'], []]


def test_images_may_count_as_squares(convert):
    assert {clip.image_size for clip in convert(None, '--image-size', '640', '640').clips} == {(640, 640)}


def test_fits_that_cannot_be_joined_are_counted(convert, capsys):
    fits, coco = coco_content(7)
    fits['data'][0]['annotId'] = 1
    fits['data'][1]['imageName'] = 'COCO_train2014_000000000001.jpg'
    coco['annotations'][2]['keypoints'] = [0] * 51
    fits['data'][3]['parm_shape'][4] = float('nan')
    fits['data'][5]['annotId'] = fits['data'][4]['annotId']
    fits['data'][5]['imageName'] = fits['data'][4]['imageName']
    store = convert((fits, coco))
    assert [clip.name[-4:] for clip in store.clips] == ['5004', '5006']
    reasons = ['without an annotation', 'of another image than its annotation', 'without labelled keypoints',
               'with NaN or infinity', 'of an annotation that has one already']
    assert store.info['left_out'] == dict.fromkeys(reasons, 1)
    printed = capsys.readouterr().out
    assert all(f'left out: 1 fits {reason}' in printed for reason in reasons)


def test_files_of_different_parts_are_refused(convert, tmp_path):
    fits, coco = coco_content()
    for entry in coco['annotations']:
        entry['id'] += 10 ** 6
    with pytest.raises(SystemExit, match='nobody in common: 4 without an annotation; are they of the same part of'):
        convert((fits, coco))
    assert not (tmp_path / 'store').exists()


@pytest.mark.parametrize('part, change, message', [
    (0, lambda file: file.update(data=[]), "no list 'data' of fits with annotId; expected an EFT file"),
    (0, lambda file: file['data'][2].pop('annotId'), "no list 'data' of fits with annotId"),
    (0, lambda file: file['data'][2].pop('parm_pose'), 'entry 2 needs parm_pose of 24 x 3 x 3'),
    (0, lambda file: file['data'][2].update(parm_pose=[0.0] * 69), 'entry 2 needs parm_pose of 24 x 3 x 3'),
    (0, lambda file: file['data'][2].update(parm_shape=[0.0] * 9), r'parm_shape of 10 numbers \(cannot reshape'),
    (0, lambda file: file['data'][2].update(smpltype='smplx'), "entry 2 is a fit of 'smplx', expected smpl"),
    (0, lambda file: file['data'][2].update(parm_pose=np.zeros((24, 3, 3)).tolist()), '#5002: parm_pose holds no rot'),
    (0, lambda file: file['data'][2].update(parm_pose=np.tile(-np.eye(3), (24, 1, 1)).tolist()), 'without reflection'),
    (1, lambda file: file.pop('annotations'), "no list 'annotations' of entries with an id"),
    (1, lambda file: file['images'][1].pop('width'), 'annotation 5001 is of image 101, which is not among the images'),
    (1, lambda file: file['images'].clear(), 'annotation 5000 is of image 100, which is not among'),
    (1, lambda file: file['annotations'][0].pop('keypoints'), 'annotation 5000 are not 51 numbers x, y, visibility'),
    (1, lambda file: file['annotations'][0].update(keypoints=[1.0] * 50), 'annotation 5000 are not 51 numbers'),
])
def test_wrong_files_are_named(tmp_path, part, change, message):
    content = coco_content()
    change(content[part])
    paths = write_coco(tmp_path, content)
    with pytest.raises(ValueError, match=message) as error:
        read_people(*paths)
    assert paths[part].name in str(error.value) or '#5002' in str(error.value)


@pytest.mark.parametrize('part', [0, 1])
def test_torn_files_are_named(tmp_path, part):
    paths = write_coco(tmp_path)
    paths[part].write_text(paths[part].read_text()[:-50])
    with pytest.raises(ValueError, match=rf'{paths[part].name}: empty, truncated or no JSON .*download it again'):
        read_people(*paths)
    paths[part].write_text(json.dumps([1]))
    with pytest.raises(ValueError, match=f'{paths[part].name} has no list'):
        read_people(*paths)
