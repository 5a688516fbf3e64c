"""Mesh pickles of the MotionBERT release as motion stores."""
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.motionbert_mesh import MeshFile
from tests.generated import load_tool
from tests.mesh_files import VIDEOS, mesh_content, mesh_split, write_pickle


@pytest.fixture
def convert(monkeypatch, tmp_path):
    tool = load_tool('dataset_converters/motionbert_mesh.py')

    def run(dataset, content=None):
        path = tmp_path / f'mesh_det_{dataset}.pkl'
        write_pickle(path, mesh_content(dataset) if content is None else content)
        monkeypatch.setattr(sys, 'argv', ['motionbert_mesh.py', dataset, str(path), str(tmp_path / 'out')])
        tool.main()
        return tmp_path / 'out'
    return run


@pytest.mark.parametrize('dataset, sizes', [
    ('h36m', [(1000, 1002), (1000, 1000)]), ('pw3d', [(1920, 1920)] * 2), ('coco', [(640, 640)] * 3)])
def test_clips_are_the_runs_of_a_source(convert, dataset, sizes):
    store, content = MotionStore(convert(dataset) / 'train'), mesh_content(dataset)['train']
    assert [clip.image_size for clip in store.clips] == sizes
    lengths = {name: sum(length for source, _, length in VIDEOS[dataset]['train'] if source == name)
               for name in dict.fromkeys(source for source, *_ in VIDEOS[dataset]['train'])}
    assert {clip.name: clip.length for clip in store.clips} == lengths
    np.testing.assert_array_equal(store.arrays['detected_2d'], content['joint_2d'].astype(np.float32))
    np.testing.assert_array_equal(store.arrays['detected_confidence'], content['confidence'].clip(0, 1))
    np.testing.assert_array_equal(store.arrays['smpl_pose'].reshape(-1, 72), content['smpl_pose'].astype(np.float32))
    np.testing.assert_array_equal(store.arrays['smpl_betas'], content['smpl_shape'].astype(np.float32))
    assert content['confidence'].max() > 1.2 and store.skeleton == 'h36m'
    assert ('image_size' in store.info) == (dataset != 'h36m')


def test_facts_of_human36m_are_kept(convert):
    clips = MotionStore(convert('h36m') / 'test').clips
    assert [(clip.subject, clip.action, clip.camera) for clip in clips] == [
        ('S9', 'Greeting', '55011271'), ('S11', 'WalkTogether', '60457274')]


def test_a_source_that_comes_back_is_another_clip(convert):
    videos = [('a', '', 3), ('b', '', 2), ('a', '', 4)]
    content = dict(train=mesh_split(videos), test=mesh_split([('c', '', 2)]))
    clips = MotionStore(convert('pw3d', content) / 'train').clips
    assert [(clip.name, clip.start, clip.length) for clip in clips] == [('a', 0, 3), ('b', 3, 2), ('a@5', 5, 4)]


def test_the_prediction_of_another_method_comes_along(convert):
    content = mesh_content('pw3d', has_initial=True)
    store = MotionStore(convert('pw3d', content) / 'test')
    for name, key in (('initial_pose', 'pred_smpl_pose'), ('initial_betas', 'pred_smpl_shape')):
        np.testing.assert_array_equal(store.arrays[name].reshape(content['test'][key].shape),
                                      content['test'][key].astype(np.float32))


def mesh_data(path, num_frames, fields, flip=0.0, stride=None):
    return MotionDataset(str(path), window=dict(kind='official', num_frames=num_frames, stride=stride), targets=fields,
                         pipeline=[dict(type='RandomFlip', prob=flip), dict(type='NormalizeCoords', target=None),
                                   dict(type='PackInputs', fields=fields)])


def test_windows_of_16_frames_and_tails_dropped(convert):
    out, fields = convert('h36m'), ['smpl_pose', 'smpl_betas']
    train, test = mesh_data(out / 'train', 16, fields, stride=8), mesh_data(out / 'test', 16, fields)
    assert (len(train), len(test)) == (1 + 3, 1 + 2)  # of 20, 33 and of 17, 40 frames
    batch = train.__getitems__([1, 2])
    assert batch['fields']['smpl_pose'].shape == (2, 1, 16, 24, 3)
    assert batch['fields']['smpl_betas'].shape == (2, 1, 16, 10)
    expected = mesh_content('h36m')['train']['smpl_pose'][28:44].reshape(16, 24, 3).astype(np.float32)
    np.testing.assert_array_equal(batch['fields']['smpl_pose'][1, 0], expected)


def test_images_are_windows_of_one_frame(convert):
    out = convert('coco')
    data = mesh_data(out / 'train', 1, ['smpl_pose', 'smpl_betas'])
    inputs = data.__getitems__(range(4))['inputs']
    assert len(data) == 4 and inputs.shape == (4, 1, 1, 17, 3)
    expected = mesh_content('coco')['train']['joint_2d'] / 320 - 1
    np.testing.assert_allclose(inputs[:, 0, 0, :, :2], expected, atol=1e-6)


def test_a_refiner_gets_both_poses_mirrored_alike(convert):
    content = mesh_content('pw3d', has_initial=True)
    for split in content.values():
        split['pred_smpl_pose'] = split['smpl_pose']
    path, fields = convert('pw3d', content) / 'train', ['smpl_pose', 'smpl_betas', 'initial_pose', 'initial_betas']
    plain = mesh_data(path, 16, fields).__getitems__([0, 1])['fields']
    flipped = mesh_data(path, 16, fields, flip=1.0).__getitems__([0, 1])['fields']
    assert np.abs(flipped['smpl_pose'] - plain['smpl_pose']).max() > 0.1
    np.testing.assert_array_equal(flipped['initial_pose'], flipped['smpl_pose'])
    for name in ('smpl_betas', 'initial_betas'):
        np.testing.assert_array_equal(flipped[name], plain[name])


def test_an_empty_split_gets_no_store(convert, capsys):
    content = mesh_content('coco')
    content['test'] = {name: values[:0] for name, values in content['test'].items()}
    out = convert('coco', content)
    assert (out / 'train').is_dir() and not (out / 'test').exists()
    assert 'test has no frames; no store was written for it' in capsys.readouterr().out


def nan(values):
    return np.where(np.arange(len(values))[:, None] == 22, np.nan, values)


@pytest.mark.parametrize('dataset, changes, message', [
    ('h36m', dict(smpl_pose=nan), "clip 's_05_act_12_subact_02_ca_03': smpl_pose holds NaN .* frame 2; repair"),
    ('h36m', dict(smpl_shape=nan), 'smpl_betas holds NaN'),
    ('pw3d', dict(smpl_pose=lambda pose: pose[:, :69]), r'train: smpl_pose has shape \(38, 69\).* \(N, 72\)'),
    ('pw3d', dict(smpl_shape=lambda shape: shape[:, :9]), r'train: smpl_shape has shape \(38, 9\).* \(N, 10\)'),
    ('pw3d', dict(smpl_pose=np.rad2deg), 'train: smpl_pose holds numbers up to .* are they degrees'),
    ('pw3d', dict(joint_2d=lambda points: points / 960 - 1), 'joint_2d: all coordinates .* look normalised'),
    ('pw3d', dict(joint_2d=lambda points: points[:, :16]), r'joint_2d has shape \(38, 16, 2\)'),
    ('pw3d', dict(smpl_shape=lambda shape: shape[:9]), "one common, positive number of frames, got .*'smpl_shape': 9"),
    ('pw3d', dict(smpl_pose=None), 'train lacks smpl_pose; it holds'),
    ('h36m', dict(camera_name=None), 'train lacks camera_name; it holds'),
    ('h36m', dict(camera_name=lambda names: ['1'] * 53), "seen by camera '1'; the size of its images is known for"),
    ('h36m', dict(source=lambda names: ['s_01_act_01_subact_01_ca_01'] * 53), 'ca_01: unknown action number 1'),
    ('pw3d', dict(pred_smpl_pose=lambda _: np.zeros((38, 72))), 'has pred_smpl_pose alone; the refiner needs both'),
])
def test_wrong_files_are_named_and_leave_nothing(convert, tmp_path, dataset, changes, message):
    content = mesh_content(dataset)
    for key, change in changes.items():
        values = content['train'].pop(key, None)
        if change is not None:
            content['train'][key] = change(values)
    with pytest.raises(SystemExit, match=message):
        convert(dataset, content)
    assert not list(tmp_path.glob('out/*'))


def test_torn_empty_and_foreign_files_are_refused(tmp_path):
    path = write_pickle(tmp_path / 'mesh.pkl', mesh_content('coco'))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ValueError, match='mesh.pkl: not a complete pickle'):
        MeshFile(path, 'coco')
    with pytest.raises(ValueError, match=r"expected a dict of train and test, got \['train'\].* mesh_det_coco.pkl"):
        MeshFile(write_pickle(path, dict(train={})), 'coco')
    empty = {name: values[:0] for name, values in mesh_content('coco')['train'].items()}
    with pytest.raises(ValueError, match='both splits are empty'):
        MeshFile(write_pickle(path, dict(train=empty, test=empty)), 'coco')
    with pytest.raises(ValueError, match="unknown data set 'lsp', expected one of h36m, pw3d, coco"):
        MeshFile(path, 'lsp')


def test_confidence_is_one_where_the_file_has_none(convert):
    content = mesh_content('pw3d')
    del content['test']['confidence']
    assert (MotionStore(convert('pw3d', content) / 'test').arrays['detected_confidence'] == 1).all()
