import sys

import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import MotionStore
from tests import mpi_inf_3dhp_files as files
from tests.generated import load_tool

converter = load_tool('dataset_converters/mpi_inf_3dhp.py')
PIPELINE = (dict(type='NormalizeCoords', unit_mm=1.0), dict(type='PackInputs', fields=['keypoints_3d', 'target_3d']))


@pytest.fixture
def convert(monkeypatch, tmp_path):
    def run(*arguments):
        out = tmp_path / '3dhp'
        layout, source, *options = arguments
        source = source if isinstance(source, list) else [source]
        monkeypatch.setattr(sys, 'argv', ['mpi_inf_3dhp.py', layout, *map(str, source), str(out), *options])
        converter.main()
        return {path.name: MotionStore(path) for path in sorted(out.iterdir())}
    return run


def test_npz(convert, tmp_path, capsys):
    stores = convert('npz', files.write_both_npz(tmp_path)[::-1])
    train, test = stores['train'], stores['test']
    assert {store.skeleton for store in stores.values()} == {'mpi_inf_3dhp17'} and train.info['layout'] == 'npz'
    assert [clip.name for clip in train.clips][6:10] == ['S1/Seq1.7', 'S1/Seq1.8', 'S1/Seq2.0', 'S1/Seq2.1']
    assert [train.clip_fps(clip) for clip in train.clips[7:9]] == [25, 50]
    assert set(train.arrays) == {'keypoints_2d', 'keypoints_3d'} and set(test.arrays) - set(train.arrays) == {'valid'}
    output = capsys.readouterr().out
    assert 'no TS2, TS3, TS4, TS6\n' in output and 'TS5: 12 frames, officially 320\n' in output
    assert 'train: 16 sequences, 192 frames at 25 and 50 fps\n' in output
    assert 'test: 2 sequences, 24 frames at 25 fps\n' in output


def test_download(convert, tmp_path, capsys):
    folder = files.write_download(tmp_path / 'source', ('S1/Seq1', 'S1/Seq2'), ('TS1', 'TS6'))
    stores = convert('download', folder, '--cameras', '0', '3', '--fps', '25', '--truth', 'annot3')
    clips = stores['train'].clips
    assert [(clip.name, clip.length, clip.fps) for clip in clips] == [
        ('S1/Seq1.0', 12, None), ('S1/Seq1.3', 12, None), ('S1/Seq2.0', 6, None), ('S1/Seq2.3', 6, None)]
    assert clips[1].intrinsics == (1500, 1501, 1027, 1054)
    assert stores['train'].info['truth'] == 'annot3' and stores['train'].info['fps'] == 25
    np.testing.assert_allclose(stores['train'].arrays['keypoints_3d'][24:30],
                               0.9 * files.poses('mpi_inf_3dhp17', 12)[1][::2], rtol=1e-6)
    assert stores['test'].arrays['valid'].dtype == bool and stores['test'].arrays['activity'].dtype == np.uint8
    assert '4 sequences, 36 frames at 25 fps' in capsys.readouterr().out


def test_the_test_protocol_from_the_download_to_a_batch(convert, tmp_path):
    stores = convert('download', files.write_download(tmp_path / 'source', (), ('TS1', 'TS5')))
    assert list(stores) == ['test']
    data = MotionDataset(str(stores['test'].path), input_2d='exact', window=dict(kind='centre', num_frames=5),
                         valid_only=True, pipeline=PIPELINE)
    samples = collate_batch(data.__getitems__(range(len(data))))['data_samples'].unbind()
    assert [(sample.sample_id, sample.frame_ids[2]) for sample in samples] == [
        (name, frame) for name in ('TS1', 'TS5') for frame in (1, 5, 9)]
    assert samples[1].activity.tolist() == [4, 5, 6, 7, 1] and samples[5].image_size.tolist() == [1920, 1080]
    assert samples[1].visible[0, :, 0].tolist() == [False, False, True, False, False]
    relative = samples[1].keypoints_3d - samples[1].keypoints_3d[:, :, 14:15]
    np.testing.assert_allclose(samples[1].target_3d, relative, atol=1e-3)


@pytest.mark.parametrize('case, message', [
    ('missing', 'nothing.npz: no such file'), ('torn', 'data_test_3dhp.npz: not a complete .npz'),
    ('nan', 'S1/Seq2 is empty, or holds NaN'), ('empty folder', 'neither S1/Seq1/annot.mat'),
    ('cameras', r'cameras are \[14\]')])
def test_wrong_sources_are_one_line_and_leave_nothing(convert, tmp_path, case, message):
    content = files.train_content()
    if case == 'nan':
        content['S1 Seq2'][0]['0']['data_2d'] = content['S1 Seq2'][0]['0']['data_2d'] * np.nan
    paths = files.write_both_npz(tmp_path, train=content)
    if case == 'torn':
        paths[1].write_bytes(paths[1].read_bytes()[:300])
    arguments = {'missing': ('npz', tmp_path / 'nothing.npz'), 'empty folder': ('download', tmp_path),
                 'cameras': ('npz', paths, '--cameras', '14')}.get(case, ('npz', paths))
    with pytest.raises(SystemExit, match=message) as exit_info:
        convert(*arguments)
    assert '\n' not in str(exit_info.value)
    assert not list((tmp_path / '3dhp').glob('*') if (tmp_path / '3dhp').exists() else [])
