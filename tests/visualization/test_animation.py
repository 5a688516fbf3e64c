import sys

import numpy as np
import pytest
from PIL import Image

from motionbert_mm.visualization import animate
from motionbert_mm.visualization.movie import _delays, check_format
from tests.io.body import walk, walk_2d


def frames_of(path):
    image = Image.open(path)
    for index in range(image.n_frames):
        image.seek(index)
        yield image.info['duration'], np.asarray(image.convert('RGB'))


def test_gif_plays_every_frame_at_true_speed(tmp_path):
    animate(walk('h36m', 12), 'h36m', tmp_path / 'a.gif', fps=20)
    durations, images = zip(*frames_of(tmp_path / 'a.gif'))
    assert durations == (50,) * 12
    assert (images[0] != images[3]).any()
    assert (images[0][0, 0] == 255).all()  # white paper
    assert [path.name for path in tmp_path.iterdir()] == ['a.gif']


def test_fast_motion_is_sampled_at_true_speed(tmp_path):
    animate(walk('h36m', 30), 'h36m', tmp_path / 'a.gif', fps=60)
    durations = [duration for duration, _ in frames_of(tmp_path / 'a.gif')]
    assert len(durations) == 10 and sum(durations) == 500


def test_delays_do_not_drift():
    delays = _delays(300, 1 / 30)
    assert set(delays) == {30, 40} and sum(delays) == 10000


def test_input_and_truth_are_drawn(tmp_path):
    motion = walk('h36m', 3)
    animate(motion, 'h36m', tmp_path / 'a.gif')
    animate(motion, 'h36m', tmp_path / 'b.gif', keypoints_2d=walk_2d('coco17', 3), confidence=np.ones((3, 17)),
            skeleton_2d='coco17', ground_truth=motion + 5, title='walk')
    (_, plain), (_, full) = next(frames_of(tmp_path / 'a.gif')), next(frames_of(tmp_path / 'b.gif'))
    assert full.shape[1] > plain.shape[1] and (full < 128).all(-1).sum() > (plain < 128).all(-1).sum()


def test_joints_that_were_filled_in_are_drawn_otherwise(tmp_path):
    motion, filled = np.repeat(walk('h36m', 1), 2, axis=0), np.zeros((2, 17), bool)
    filled[1, 13] = True
    animate(motion, 'h36m', tmp_path / 'a.gif', fps=1, filled=filled)
    animate(motion, 'h36m', tmp_path / 'b.gif', fps=1)
    (_, first), (_, second) = frames_of(tmp_path / 'a.gif')
    (_, plain), (_, last) = frames_of(tmp_path / 'b.gif')
    np.testing.assert_array_equal(first, plain)
    assert (second != last).any()


def test_a_still_clip_keeps_its_length(tmp_path):
    # Pillow merges equal frames; their delays must add up all the same.
    animate(np.repeat(walk('h36m', 1), 20, axis=0), 'h36m', tmp_path / 'a.gif', fps=20)
    assert sum(duration for duration, _ in frames_of(tmp_path / 'a.gif')) == 1000


def test_progress_sees_every_frame(tmp_path):
    seen = []
    animate(walk('h36m', 5), 'h36m', tmp_path / 'a.gif', fps=25, progress=lambda items: seen.extend(items) or items)
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('arguments, message', [
    (dict(path='a.avi'), r'must be \.gif or \.mp4'), (dict(fps=0), 'fps must be positive, got 0'),
    (dict(ground_truth=walk('h36m', 4)), 'ground_truth has 4 frames, motion has 3'),
])
def test_bad_arguments_are_refused(tmp_path, arguments, message):
    path = tmp_path / arguments.pop('path', 'a.gif')
    with pytest.raises(ValueError, match=message):
        animate(walk('h36m', 3), 'h36m', path, **arguments)
    assert list(tmp_path.iterdir()) == []


def fake_ffmpeg(tmp_path, monkeypatch, body):
    folder = tmp_path / 'bin'
    folder.mkdir()
    (folder / 'ffmpeg').write_text(f'#!{sys.executable}\nimport sys\n{body}\n')
    (folder / 'ffmpeg').chmod(0o755)
    monkeypatch.setenv('PATH', str(folder))


def test_mp4_without_ffmpeg_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(FileNotFoundError, match='needs the program ffmpeg'):
        check_format(tmp_path / 'a.mp4')


def test_mp4_pipes_whole_frames_of_even_size(tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, "size = sys.argv[sys.argv.index('-s') + 1]\n"
                "open(sys.argv[-1], 'w').write(f'{size} {len(sys.stdin.buffer.read())}')")
    animate(walk('h36m', 4), 'h36m', tmp_path / 'a.mp4', fps=60)
    size, num_bytes = (tmp_path / 'a.mp4').read_text().split()
    width, height = map(int, size.split('x'))
    assert width % 2 == height % 2 == 0 and int(num_bytes) == 4 * width * height * 3


def test_failing_ffmpeg_is_reported_and_leaves_nothing(tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, "sys.exit('Unknown encoder libx264')")
    with pytest.raises(OSError, match='ffmpeg failed with code 1: Unknown encoder libx264'):
        animate(walk('h36m', 4), 'h36m', tmp_path / 'a.mp4')
    assert [path.name for path in tmp_path.iterdir()] == ['bin']
