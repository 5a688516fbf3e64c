import json
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.motion_store import MotionStore
from tests.generated import load_tool, run_tool
from tests.io.body import walk_2d
from tests.io.openpose import write_openpose
from tests.io.test_people import alphapose, write_json

converter = load_tool('dataset_converters/keypoint_folder.py')
SIZE = ('--image-size', '1000', '1000')


@pytest.fixture
def convert(monkeypatch, tmp_path, capsys):
    """Call the tool; return the store and what was printed."""
    def run(source, *options, size=SIZE):
        monkeypatch.setattr(sys, 'argv', ['keypoint_folder.py', str(source), str(tmp_path / 'store'), *size, *options])
        converter.main()
        return MotionStore(tmp_path / 'store'), capsys.readouterr().out
    return run


def test_openpose_folders_become_tracks(convert, tmp_path):
    left, right = walk_2d('body25', 40), walk_2d('body25', 40) + [250, 0]
    left[3, 4] = right[10:13] = np.nan
    write_openpose(tmp_path / 'videos' / 'duet', [right, left])
    write_openpose(tmp_path / 'videos' / 'solo', [walk_2d('body25', 35)])
    store, out = convert(tmp_path / 'videos', '--skeleton', 'body25', '--fps', '25')
    assert (store.skeleton, store.fps) == ('body25', 25.0)
    assert [(clip.name, clip.length) for clip in store.clips] == [('duet#0', 40), ('duet#1', 40), ('solo#0', 35)]
    assert {clip.image_size for clip in store.clips} == {(1000.0, 1000.0)}
    points, confidence = store.arrays['detected_2d'], store.arrays['detected_confidence']
    np.testing.assert_allclose(points[40:43], left[:3], atol=1e-3)
    assert (confidence[10:13] == 0).all() and confidence[43, 4] == 0
    assert (confidence == 0).sum() == 3 * 25 + 1 and (confidence[confidence > 0] == np.float32(0.8)).all()
    np.testing.assert_allclose(points[11], right[[9, 13]].mean(0), atol=0.2)
    assert 'videos    2 of 2\npersons   3, linked by proximity in 2 videos' in out
    assert 'frames    115, of which 3 filled in' in out


def test_alphapose_files_of_several_sizes(convert, tmp_path):
    points = walk_2d('halpe26', 40)
    write_json(tmp_path / 'in' / 'a.json', alphapose(points, track=3))
    write_json(tmp_path / 'in' / 'b' / 'alphapose-results.json', alphapose(points * 0.5, track=1))
    (tmp_path / 'sizes.csv').write_text('video,width,height\na,1920,1080\n')
    store, _ = convert(tmp_path / 'in', '--skeleton', 'halpe26', '--image-sizes', str(tmp_path / 'sizes.csv'),
                       size=('--image-size', '640', '480'))
    assert {clip.name: clip.image_size for clip in store.clips} == {'a#3': (1920.0, 1080.0), 'b#1': (640.0, 480.0)}
    with pytest.raises(SystemExit, match=r"no row for 1 of 2 videos, e.g. 'b'; it names e.g. 'a'"):
        convert(tmp_path / 'in', '--skeleton', 'halpe26', '--image-sizes', str(tmp_path / 'sizes.csv'), size=())


def test_somebody_who_comes_back_gets_two_clips(convert, tmp_path):
    points = walk_2d('coco17', 80)
    frames = [frame for frame in range(80) if not 30 <= frame < 46]
    write_json(tmp_path / 'in' / 'a.json', alphapose(points[frames], frames, track=5))
    store, out = convert(tmp_path / 'in', '--skeleton', 'coco17')
    assert [(clip.name, clip.length) for clip in store.clips] == [('a#5@0', 30), ('a#5@46', 34)]
    assert 'persons   1\nclips     2' in out
    store, out = convert(tmp_path / 'in', '--skeleton', 'coco17', '--max-gap', '16')
    assert [(clip.name, clip.length) for clip in store.clips] == [('a#5', 80)] and '16 filled in' in out


def test_what_is_left_out_is_said(convert, tmp_path):
    points = walk_2d('coco17', 40)
    items = alphapose(points, track=1) + alphapose(points[:20], range(20), track=2)
    write_json(tmp_path / 'in' / 'a.json', items)
    write_json(tmp_path / 'in' / 'short.json', alphapose(points[:5], track=2))
    write_json(tmp_path / 'in' / 'steps.json', alphapose(points, range(0, 80, 2), track=2))
    write_json(tmp_path / 'in' / 'wrong.json', alphapose(walk_2d('h36m', 40), track=1))
    write_json(tmp_path / 'in' / 'large.json', alphapose(points * 2, track=1))
    (tmp_path / 'in' / 'torn.json').write_text(json.dumps(items)[:-9])
    store, out = convert(tmp_path / 'in', '--skeleton', 'coco17')
    assert [clip.name for clip in store.clips] == ['a#1', 'steps#2']
    assert 'videos    2 of 6' in out and 'left out  2 shorter than 30 frames' in out
    assert 'skipped   short: nobody left: 1 shorter than 30 frames' in out
    assert 'skipped   torn: ' in out and 'truncated' in out
    assert 'skipped   wrong: ' in out and 'do not look like coco17 order' in out and '--trust-order' in out
    assert 'skipped   large: ' in out and 'lie outside the image of 1000 x 1000' in out
    assert 'note      images of 1 videos are numbered in steps of 2' in out
    store, _ = convert(tmp_path / 'in', '--skeleton', 'coco17', '--trust-order', '--min-frames', '5')
    assert [clip.name for clip in store.clips] == ['a#1', 'a#2', 'short#2', 'steps#2', 'wrong#1']


def test_the_store_feeds_a_pipeline_of_another_skeleton(convert, tmp_path):
    write_openpose(tmp_path / 'videos' / 'solo', [walk_2d('coco18', 40)])
    convert(tmp_path / 'videos', '--skeleton', 'coco18')
    pipeline = [dict(type='ConvertSkeleton', target='h36m'), dict(type='RandomFlip'),
                dict(type='NormalizeCoords', inputs='crop_scale'), dict(type='ZeroMissing'),
                dict(type='ReprojectionTarget'), dict(type='PackInputs', fields=['target_2d', 'weight_2d'])]
    data = MotionDataset(str(tmp_path / 'store'), targets=[], pipeline=pipeline,
                         window=dict(num_frames=27, stride=9, tail='drop'))
    batch = data.__getitems__([0, 1])
    assert batch['inputs'].shape == (2, 1, 27, 17, 3) and np.abs(batch['inputs']).max() <= 1
    assert batch['fields']['target_2d'].shape == (2, 1, 27, 17, 2) and (batch['fields']['weight_2d'] > 0).all()


@pytest.mark.parametrize('options, message', [
    (('--skeleton', 'halpe26'), r'no usable track in 1 videos; first, a: .*17 joints per frame, .*halpe26'),
    (('--skeleton', 'coco17', '--min-frames', '50'), 'nobody left: 1 shorter than 50 frames'),
    (('--skeleton', 'coco17', '--image-sizes', 'none.csv'), 'none.csv: no such file; expected a CSV'),
])
def test_what_gives_no_store_is_one_line(convert, tmp_path, options, message):
    write_json(tmp_path / 'in' / 'a.json', alphapose(walk_2d('coco17', 40), track=1))
    with pytest.raises(SystemExit, match=message) as error:
        convert(tmp_path / 'in', *options)
    assert '\n' not in str(error.value) and not (tmp_path / 'store').exists()


@pytest.mark.parametrize('text', ['', 'a,1000,1000\n', 'video,width,height\na,wide,9\n', 'video,width,height\na,0,9\n',
                                  'video,width,height\na,9\n'])
def test_bad_tables_of_sizes_are_named(convert, tmp_path, text):
    write_json(tmp_path / 'in' / 'a.json', alphapose(walk_2d('coco17', 40), track=1))
    (tmp_path / 'sizes.csv').write_text(text)
    with pytest.raises(SystemExit, match=r'sizes\.csv'):
        convert(tmp_path / 'in', '--skeleton', 'coco17', '--image-sizes', str(tmp_path / 'sizes.csv'), size=())


@pytest.mark.parametrize('options, message', [((), 'image-size W H or --image-sizes CSV is required'),
                                              (('--image-size', '0', '9'), 'must be two positive numbers'),
                                              (SIZE + ('--fps', '0'), '--fps must be positive'),
                                              (SIZE + ('--min-frames', '0'), '--min-frames must be at least 1')])
def test_a_wrong_command_line_is_refused(convert, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit):
        convert(tmp_path, '--skeleton', 'coco17', size=options)
    assert message in capsys.readouterr().err


def test_the_tool_runs_as_a_user_runs_it(tmp_path):
    write_openpose(tmp_path / 'solo', [walk_2d('coco18', 40)])
    result = run_tool('dataset_converters/keypoint_folder.py', tmp_path / 'solo', tmp_path / 'store', '--skeleton',
                      'coco18', *SIZE)
    assert result.returncode == 0, result.stderr
    assert [clip.name for clip in MotionStore(tmp_path / 'store').clips] == ['solo#0']
