import sys

import numpy as np
import pytest

from motionbert_mm.datasets import amass
from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.motion_store import MotionStore
from tests.generated import load_tool
from tests.smplh_files import make_body, make_regressor, write_body, write_motion

tool = load_tool('dataset_converters/amass.py')
NAMES = ['ACCAD/s1/walk_poses', 'CMU/01/01_01_poses', 'KIT/3/turn_poses']


@pytest.fixture
def source(tmp_path):
    """A download of three motions at three frame rates, beside a body and a regressor."""
    write_body(tmp_path / 'bodies')
    np.save(tmp_path / 'regressor.npy', make_regressor(make_body()))
    for seed, (name, fps) in enumerate(zip(NAMES, (120.0, 60.0, 100.0))):
        write_motion(tmp_path / 'amass' / f'{name}.npz', 60, fps, seed)
    (tmp_path / 'amass' / 'ACCAD' / 's1' / 'shape.npz').touch()
    return tmp_path / 'amass'


@pytest.fixture
def convert(source, monkeypatch, tmp_path):
    def run(*options, out='store'):
        monkeypatch.setattr(sys, 'argv', ['amass.py', str(source), str(tmp_path / out),
                                          '--smplh', str(tmp_path / 'bodies'),
                                          '--regressor', str(tmp_path / 'regressor.npy'), *options])
        amass.converter_of.cache_clear()
        tool.main()
        return MotionStore(tmp_path / out)
    return run


def test_every_motion_becomes_a_clip(convert, capsys, tmp_path):
    store = convert()
    assert (store.skeleton, store.fps, [clip.name for clip in store.clips]) == ('h36m', 30.0, NAMES)
    assert [clip.length for clip in store.clips] == [15, 30, 18]
    assert [clip.subject for clip in store.clips] == ['ACCAD/s1', 'CMU/01', 'KIT/3']
    assert list(store.arrays) == ['keypoints_3d']
    assert store.info['source_fps'] == {'120': 1, '60': 1, '100': 1} and store.info['failed'] == {}
    printed = capsys.readouterr().out
    assert '3 clips, 63 frames at 30 fps' in printed and 'left out: 1 shape files' in printed
    assert [path.name for path in tmp_path.glob('.*')] == []  # nothing is left of the pieces


def test_rotations_and_another_rate_on_request(convert):
    store = convert('--fps', '60', '--smpl-pose')
    assert [clip.length for clip in store.clips] == [30, 60, 36]
    assert store.arrays['smpl_pose'].shape == (126, 24, 3)
    dataset = MotionDataset(str(store.path), window=dict(num_frames=9), input_2d=None, targets=['keypoints_3d'])
    assert dataset[0]['keypoints_3d'].shape == (1, 9, 17, 3)


def test_bad_files_are_named_and_the_others_converted(convert, source, capsys):
    torn = source / f'{NAMES[1]}.npz'
    torn.write_bytes(torn.read_bytes()[:900])
    write_motion(source / f'{NAMES[2]}.npz', gender=np.array(b'female'))
    with pytest.raises(SystemExit, match='2 of 3 motions failed'):
        convert()
    errors = capsys.readouterr().err
    assert f'failed: {NAMES[1]}: ' in errors and 'truncated' in errors
    assert f'failed: {NAMES[2]}: ' in errors and "no smplh body of gender 'female'" in errors
    store = MotionStore(source.parent / 'store')
    assert [clip.name for clip in store.clips] == NAMES[:1] and sorted(store.info['failed']) == NAMES[1:]


def test_a_killed_run_goes_on_where_it_stopped(convert, source, monkeypatch, tmp_path):
    read, seen = amass.read_sequence, []

    def read_or_die(path, kind):
        seen.append(path.name)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return read(path, kind)

    monkeypatch.setattr(amass, 'read_sequence', read_or_die)
    with pytest.raises(KeyboardInterrupt):
        convert()
    assert not (tmp_path / 'store').exists()
    write_motion(source / f'{NAMES[0]}.npz', 30, 120.0)  # changed since: its piece is out of date
    store = convert()
    assert seen[3:] == ['walk_poses.npz', 'turn_poses.npz'] and [clip.length for clip in store.clips] == [8, 30, 18]
    monkeypatch.setattr(amass, 'read_sequence', read)
    np.testing.assert_array_equal(store.arrays['keypoints_3d'], convert(out='other').arrays['keypoints_3d'])


def test_pieces_of_other_options_are_not_taken(convert, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(tool, 'assemble', lambda *args: sys.exit('killed'))
        with pytest.raises(SystemExit, match='killed'):
            convert('--fps', '60')
    assert [clip.length for clip in convert().clips] == [15, 30, 18]


def test_a_regressor_with_the_left_leg_first_is_put_right(convert, tmp_path, capsys):
    expected = np.array(convert(out='right').arrays['keypoints_3d'])
    order = [0, 4, 5, 6, 1, 2, 3, *range(7, 17)]
    np.save(tmp_path / 'regressor.npy', make_regressor(make_body())[order])
    store = convert()
    assert 'note: rows of the regressor were exchanged: it has the left and right legs' in capsys.readouterr().err
    np.testing.assert_allclose(store.arrays['keypoints_3d'], expected, atol=1e-3)


def test_processes_give_the_same(convert):
    alone, together = convert(out='alone'), convert('--workers', '1', '--batch-frames', '7')
    np.testing.assert_allclose(together.arrays['keypoints_3d'], alone.arrays['keypoints_3d'], atol=1e-3)


def test_nothing_to_convert_is_one_line(convert, source, capsys):
    for name in NAMES:
        (source / f'{name}.npz').write_bytes(b'nonsense')
    with pytest.raises(SystemExit, match='none of the 3 motions could be converted, e.g. .*truncated'):
        convert()
    with pytest.raises(SystemExit):
        convert('--fps', '0')
    assert '--fps, --num-betas and --batch-frames must be positive' in capsys.readouterr().err
