import numpy as np
import pytest

from motionbert_mm.io.keypoint_json import Detection, DetectionFile
from motionbert_mm.io.tracking import has_crowds, is_tracked, link_people, link_poses
from tests.io.body import walk_2d


def crowd(*people, missing=()):
    """Poses (N, J, 3), images (N,) and true persons (N,) of (F, J, 2) px people, shuffled within each image."""
    rng = np.random.default_rng(0)
    rows = [(frame, person) for frame in range(len(people[0]))
            for person in rng.permutation(len(people)) if (person, frame) not in missing]
    poses = np.stack([np.concatenate([people[person][frame], np.ones((17, 1))], -1) for frame, person in rows])
    return poses, np.array([frame for frame, _ in rows]), np.array([person for _, person in rows])


def moving(start, speed, num_frames=40, azimuth=30.0):
    """A walking person (F, 17, 2) that moves through the image, px per image."""
    return walk_2d('coco17', num_frames, azimuth) + start + np.arange(num_frames)[:, None, None] * np.array(speed)


def purity(tracks, people):
    """Every track holds one person and every person one track."""
    return len(set(zip(tracks, people))) == len(set(tracks)) == len(set(people))


def test_people_side_by_side_keep_their_tracks():
    poses, frames, people = crowd(moving([0, 0], [2, 0]), moving([150, 0], [2, 0]), moving([-400, 50], [0, 0]))
    tracks = link_poses(poses, frames)
    assert purity(tracks, people) and set(tracks) == {0, 1, 2}


@pytest.mark.parametrize('speed', [8, 15, 30])
def test_people_who_cross_keep_their_tracks(speed):
    middle = speed * 20
    poses, frames, people = crowd(moving([-middle, 0], [speed, 0]), moving([middle + 3, 0], [-speed, 0]))
    assert purity(link_poses(poses, frames), people)


def test_tracks_are_numbered_by_appearance():
    early, late = moving([0, 0], [0, 0]), moving([500, 0], [0, 0])
    poses, frames, people = crowd(late, early, missing={(0, frame) for frame in range(10)})
    tracks = link_poses(poses, frames)
    assert (tracks[people == 1] == 0).all() and (tracks[people == 0] == 1).all()


@pytest.mark.parametrize('gap, num_tracks', [(1, 1), (5, 1), (6, 2)])
def test_a_person_may_be_missing_for_max_gap_images(gap, num_tracks):
    poses, frames, _ = crowd(moving([0, 0], [1, 0]), missing={(0, 10 + step) for step in range(gap)})
    assert len(set(link_poses(poses, frames, max_gap=5))) == num_tracks


def test_a_walker_is_found_again_where_the_velocity_leads():
    missing = {(0, 20 + step) for step in range(3)}
    poses, frames, people = crowd(moving([0, 0], [40, 0]), moving([1000, 0], [0, 0]), missing=missing)
    assert purity(link_poses(poses, frames, max_distance=0.15), people)


def test_a_jump_begins_a_new_track_relative_to_the_size_of_the_person():
    person = moving([0, 0], [0, 0])
    height = np.ptp(person[0, :, 1])
    near, far = person.copy(), person.copy()
    near[20:] += [0.4 * height, 0]
    far[20:] += [0.7 * height, 0]
    for scale in (0.3, 1.0, 3.0):
        for people, num_tracks in ((near, 1), (far, 2)):
            poses, frames, _ = crowd(people * scale)
            assert len(set(link_poses(poses, frames))) == num_tracks


def test_unseen_joints_do_not_count():
    first, second = moving([0, 0], [0, 0]), moving([250, 0], [0, 0])
    poses, frames, people = crowd(first, second)
    hidden = np.random.default_rng(1).random(poses.shape[:2]) < 0.4
    poses[hidden] = 0
    assert purity(link_poses(poses, frames), people)


def test_poses_without_a_common_joint_are_not_linked():
    poses, frames, _ = crowd(moving([0, 0], [0, 0], num_frames=2))
    poses[0, :9], poses[1, 9:] = 0, 0
    assert link_poses(poses, frames).tolist() == [0, 1]


def test_one_image_and_one_person():
    poses, frames, _ = crowd(moving([0, 0], [0, 0], num_frames=1))
    assert link_poses(poses, frames).tolist() == [0]


def test_images_in_steps_count_as_neighbours():
    poses, frames, people = crowd(moving([0, 0], [2, 0]), moving([300, 0], [2, 0]))
    file = DetectionFile([Detection(int(frame) * 5 + 2, None, pose, 1.0) for frame, pose in zip(frames, poses)],
                         np.unique(frames) * 5 + 2)
    linked = link_people(file, max_gap=0)
    assert purity([detection.track for detection in linked.detections], people)


@pytest.mark.parametrize('tracks, tracked', [((None, None), False), ((0, 0), False), ((1, 1), True), ((0, 1), True),
                                             (('a', None), True)])
def test_identities_that_are_none(tracks, tracked):
    detections = [Detection(4, track, np.ones((17, 3)), 1.0) for track in tracks]
    assert is_tracked(detections) == tracked and has_crowds(detections)


def test_one_person_called_0_is_tracked():
    detections = [Detection(frame, 0, np.ones((17, 3)), 1.0) for frame in range(3)]
    assert is_tracked(detections) and not has_crowds(detections)
