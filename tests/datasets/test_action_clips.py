from pathlib import Path

import numpy as np
import pytest

from motionbert_mm.datasets.action_clips import ActionClips, ShortClipError, cut_clip
from motionbert_mm.datasets.action_files import ClipSource
from motionbert_mm.io.keypoint_json import NobodySeenError
from motionbert_mm.io.people import read_people
from tests.io.body import walk_2d
from tests.io.openpose import write_openpose
from tests.io.test_people import alphapose, write_json

POINTS = walk_2d('coco17', 60)


def people_of(tmp_path, items, **options):
    return read_people(write_json(tmp_path / 'a.json', items), skeleton='coco17', **options)


def test_a_clip_is_cut_in_seconds(tmp_path):
    people = people_of(tmp_path, alphapose(POINTS, track=1))
    clip, num_seen = cut_clip(people, fps=10.0, start=0.7, end=2.1)
    np.testing.assert_allclose(clip[0, ..., :2], POINTS[7:21], rtol=1e-6)
    assert clip.shape == (1, 14, 17, 3) and clip.dtype == np.float32 and num_seen == 1
    assert cut_clip(people, fps=10.0, start=5.0)[0].shape[1] == 10
    assert cut_clip(people, fps=10.0, end=99.0)[0].shape[1] == 60


def test_neighbouring_clips_share_no_frame(tmp_path):
    people = people_of(tmp_path, alphapose(POINTS, track=1))
    first, second = (cut_clip(people, fps=25.0, start=start, end=end)[0][0, ..., :2]
                     for start, end in ((None, 1.12), (1.12, None)))  # 1.12 * 25 is a little more than 28
    np.testing.assert_allclose(first, POINTS[:28], rtol=1e-6)
    np.testing.assert_allclose(second, POINTS[28:], rtol=1e-6)


def test_seconds_count_from_image_0_in_images(tmp_path):
    people = people_of(tmp_path, alphapose(POINTS[:20], range(100, 200, 5), track=1))
    clip, _ = cut_clip(people, fps=10.0, start=2.5, end=3.0)  # images 25 to 29 are numbered 125 to 145
    np.testing.assert_allclose(clip[0, ..., :2], POINTS[5:10], rtol=1e-6)


def test_persons_share_an_axis_and_the_one_seen_most_is_first(tmp_path):
    late = POINTS[:30] + 100
    early = POINTS[5:45]
    people = people_of(tmp_path, alphapose(late, range(25, 55), track=1) + alphapose(early, range(5, 45), track=2))
    clip, num_seen = cut_clip(people, fps=30.0, num_persons=2)
    assert clip.shape == (2, 50, 17, 3) and num_seen == 2
    np.testing.assert_allclose(clip[0, :40, :, :2], early, rtol=1e-6)
    np.testing.assert_allclose(clip[1, 20:, :, :2], late, rtol=1e-6)
    assert not clip[0, 40:].any() and not clip[1, :20].any()
    only, num_seen = cut_clip(people, fps=30.0)
    assert num_seen == 2
    np.testing.assert_array_equal(only[0], clip[0, :40])


def test_persons_are_ranked_within_the_clip(tmp_path):
    people = people_of(tmp_path, alphapose(POINTS + 100, track=1) + alphapose(POINTS[:30], track=2)[:15]
                       + alphapose(POINTS[15:30], range(15, 30), track=3))
    clip, num_seen = cut_clip(people, fps=30.0, start=0.0, end=0.5, num_persons=2)
    assert num_seen == 2
    np.testing.assert_allclose(clip[:, :, :, :2], np.stack([POINTS[:15] + 100, POINTS[:15]]), rtol=1e-6)


def test_less_confident_persons_come_later(tmp_path):
    faint = alphapose(POINTS, track=1)
    for item in faint:
        item['keypoints'][2::3] = [0.4] * 17
    people = people_of(tmp_path, faint + alphapose(POINTS + 100, track=2))
    clip, _ = cut_clip(people, fps=30.0, num_persons=2)
    np.testing.assert_allclose(clip[0, ..., :2], POINTS + 100, rtol=1e-6)


def test_who_comes_back_stays_one_person(tmp_path):
    frames = [*range(20), *range(40, 60)]
    for track in (3, None):
        people = people_of(tmp_path, alphapose(POINTS[frames], frames, track=track))
        assert len(people.tracks) == 2
        clip, num_seen = cut_clip(people, fps=30.0, num_persons=2)
        assert clip.shape == (1, 60, 17, 3) and num_seen == 1
        np.testing.assert_allclose(clip[0, frames, :, :2], POINTS[frames], rtol=1e-6)
        assert not clip[0, 20:40].any()


def test_people_with_identities_stay_apart(tmp_path):
    people = people_of(tmp_path, alphapose(POINTS[:20], track=1) + alphapose(POINTS[30:], range(30, 60), track=2))
    clip, num_seen = cut_clip(people, fps=30.0, num_persons=2)
    assert clip.shape == (2, 60, 17, 3) and num_seen == 2
    np.testing.assert_allclose(clip[0, 30:, :, :2], POINTS[30:], rtol=1e-6)


def test_missing_joints_have_no_confidence(tmp_path):
    items = [item for item in alphapose(POINTS, track=1) if item['image_id'] not in ('8.jpg', '9.jpg')]
    items[4]['keypoints'][27:30] = [0, 0, 0]  # left wrist of image 4
    clip, _ = cut_clip(people_of(tmp_path, items), fps=30.0)
    assert clip[0, 4, 9, 2] == 0 and np.abs(clip[0, 4, 9, :2] - POINTS[4, 9]).max() < 20
    assert (clip[0, 8:10, :, 2] == 0).all() and (clip[..., 2] == 0).sum() == 1 + 2 * 17


def test_a_clip_that_begins_in_a_gap_begins_where_somebody_is_seen(tmp_path):
    items = [item for item in alphapose(POINTS, track=1) if item['image_id'] not in ('8.jpg', '9.jpg')]
    clip, _ = cut_clip(people_of(tmp_path, items), fps=10.0, start=0.8, end=2.0)
    np.testing.assert_allclose(clip[0, ..., :2], POINTS[10:20], rtol=1e-6)


@pytest.mark.parametrize('start, end, error', [(0.0, 0.4, ShortClipError), (5.7, None, ShortClipError),
                                               (6.0, 9.0, NobodySeenError)])
def test_short_and_empty_clips_are_told_apart(tmp_path, start, end, error):
    people = people_of(tmp_path, alphapose(POINTS, track=1))
    with pytest.raises(error):
        cut_clip(people, fps=10.0, start=start, end=end)
    assert cut_clip(people, fps=10.0, start=0.0, end=0.5)[0].shape[1] == 5


def test_ghosts_are_no_persons(tmp_path):
    people = people_of(tmp_path, alphapose(POINTS, track=1) + alphapose(POINTS[:4] + 200, track=2))
    clip, num_seen = cut_clip(people, fps=30.0, num_persons=2)
    assert (len(clip), num_seen) == (1, 1)


def test_left_out_clips_and_crowds_are_noted(tmp_path):
    path = write_json(tmp_path / 'a.json', [item for track in range(3)
                                            for item in alphapose(POINTS + 50 * track, track=track)])
    sources = [ClipSource(name, path, 'a', 'walk', 'place', start=start, end=start + 0.3)
               for name, start in (('whole', 0.0), ('end', 1.9), ('after', 4.0))]
    clips = ActionClips(skeleton='coco17', fps=30.0, num_persons=2)
    clips.add(path, sources, (1000.0, 1000.0))
    assert [clip.source.name for clip in clips.clips] == ['whole'] and clips.crowds == {'whole': 3}
    assert clips.left_out == {'shorter than 5 frames, or seen in fewer': ['end'], 'in which nobody is seen': ['after']}
    assert clips.clips[0].keypoints.shape == (2, 9, 17, 2) and clips.clips[0].confidence.shape == (2, 9, 17)


def unseen(confidence):
    items = alphapose(np.zeros((9, 17, 2)), track=1)
    for item in items:
        item['keypoints'][2::3] = [confidence] * 17
    return items


@pytest.mark.parametrize('name, write', [
    ('a.json', lambda path: write_json(path, [])),
    ('a.json', lambda path: write_json(path, unseen(0.0))),
    ('a.json', lambda path: write_json(path, unseen(None))),
    ('a.npy', lambda path: np.save(path, np.zeros((9, 17, 3)))),
    ('a.npz', lambda path: np.savez(path, keypoints=np.full((9, 17, 2), np.nan))),
    ('a', lambda path: write_openpose(path, [np.full((9, 25, 2), np.nan)])),
])
def test_files_in_which_nobody_is_seen_are_left_out(tmp_path, name, write):
    path = tmp_path / name
    write(path)
    clips = ActionClips(skeleton='coco17', fps=30.0)
    clips.add(path, [ClipSource('a', path, 'a', 'walk', 'place')], (1000.0, 1000.0))
    assert not clips.clips and clips.left_out == {'in which nobody is seen': ['a']}


def test_a_size_that_cannot_be_that_of_the_video_is_refused(tmp_path):
    path = write_json(tmp_path / 'a.json', alphapose(POINTS, track=1))
    clips = ActionClips(skeleton='coco17', fps=30.0)
    with pytest.raises(ValueError, match='lie outside the image of 300 x 200'):
        clips.add(path, [ClipSource('a', path, 'a', 'walk', 'place')], (300.0, 200.0))


def test_files_that_cannot_be_read_are_refused(tmp_path):
    clips = ActionClips(skeleton='coco17', fps=30.0)
    with pytest.raises(FileNotFoundError, match=r'nowhere\.json: no such file'):
        clips.add(Path('nowhere.json'), [], (9.0, 9.0))
    path = write_json(tmp_path / 'a.json', alphapose(walk_2d('h36m', 30), track=1))
    with pytest.raises(ValueError, match='do not look like coco17 order'):
        clips.add(path, [ClipSource('a', path, 'a', 'walk', 'place')], (1000.0, 1000.0))
