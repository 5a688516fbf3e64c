import numpy as np
import pytest

from motionbert_mm.datasets import human36m
from motionbert_mm.datasets.human36m_cameras import studio_camera
from motionbert_mm.datasets.human36m_videopose3d import CAMERAS
from motionbert_mm.evaluation.groupings import H36M_ACTIONS


@pytest.mark.parametrize('word, action', [
    ('Greeting 1', 'Greeting'), ('Greeting_1', 'Greeting'), ('greeting', 'Greeting'), ('TakingPhoto', 'Photo'),
    ('WalkingDog 1', 'WalkDog'), ('SittingDown', 'SittingDown'), ('walkTogether', 'WalkTogether')])
def test_actions_have_one_spelling(word, action):
    assert human36m.canonical_action(word) == action
    assert action in human36m.ACTIONS


def test_words_of_the_official_pickle_name_every_action_once():
    words = ('Direction Discuss Eating Greet Phone Photo Pose Purchase Sitting SittingDown Smoke Wait Walk WalkDog '
             'WalkTwo').split()
    assert [human36m.canonical_action(word) for word in words] == [
        'Directions', 'Discussion', 'Eating', 'Greeting', 'Phoning', 'Photo', 'Posing', 'Purchases', 'Sitting',
        'SittingDown', 'Smoking', 'Waiting', 'Walking', 'WalkDog', 'WalkTogether']


def test_unknown_actions_are_refused():
    with pytest.raises(ValueError, match="unknown action 'Flying'; Human3.6M has Directions, "):
        human36m.canonical_action('Flying')
    for number in (1, 17):
        with pytest.raises(ValueError, match=f'unknown action number {number}'):
            human36m.numbered_action(number)


def test_numbers_name_every_action_of_the_tables_once():
    assert sorted(human36m.numbered_action(number) for number in range(2, 17)) == sorted(H36M_ACTIONS)
    # The sequences that MotionBERT leaves out: Greeting, SittingDown and Waiting of S9.
    assert [human36m.numbered_action(number) for number in (5, 10, 13)] == ['Greeting', 'SittingDown', 'Waiting']


@pytest.mark.parametrize('subject', ['S1', 'S5', 'S6', 'S7', 'S8', 'S9', 'S11'])
def test_every_camera_looks_at_the_middle_of_the_studio(subject):
    middle = np.array([0.0, 0.0, 900.0])
    for name in CAMERAS:
        camera = studio_camera(subject, name)
        assert np.linalg.norm(camera.orientation) == pytest.approx(1, abs=1e-6)
        point = camera.to_camera(middle)
        assert point[2] == pytest.approx(np.linalg.norm(np.subtract(camera.translation, middle)), rel=0.05)
        assert np.abs(camera.project(point) - np.array(camera.image_size) / 2).max() < 200
        above = camera.project(camera.to_camera(middle + np.array([0.0, 0.0, 500.0])))
        assert above[1] < camera.project(point)[1] - 50


def test_unknown_cameras_are_refused():
    for subject, camera in (('S2', '54138969'), ('S1', '00000000')):
        with pytest.raises(ValueError, match=f"no calibration is known for subject '{subject}' and camera '{camera}'"):
            studio_camera(subject, camera)
