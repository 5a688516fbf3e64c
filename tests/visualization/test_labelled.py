import numpy as np
import pytest
from matplotlib.colors import to_rgb

from motionbert_mm.visualization import LabelledPerson, LabelledSpan, animate_labels
from motionbert_mm.visualization.labelled import CLASS_COLORS, MAX_PEOPLE, UNKNOWN_COLOR
from tests.io.body import walk_2d
from tests.visualization.test_animation import frames_of

WALK, WAVE = LabelledSpan(0, 5, 'walk', 0.9), LabelledSpan(5, 8, 'wave', 0.7)


def person(*spans, first=0, length=8, name='track 1', shift=0):
    return LabelledPerson(name, walk_2d('coco17', length) + [shift, 0], np.ones((length, 17)), first, spans)


def draw(path, *people, **options):
    animate_labels(people, 'coco17', path, **{'fps': 10, **options})
    return list(zip(*frames_of(path)))


def share(image, color):
    """Share of the pixels that have a colour."""
    return (np.abs(image - np.array(to_rgb(color)) * 255) < 3).all(-1).mean()


def test_every_frame_is_shown_at_true_speed(tmp_path):
    durations, images = draw(tmp_path / 'a.gif', person(WALK, WAVE))
    assert durations == (100,) * 8 and (images[0] != images[4]).any()
    assert [path.name for path in tmp_path.iterdir()] == ['a.gif']


def test_the_timeline_has_the_colours_of_the_classes(tmp_path):
    _, (image, *_) = draw(tmp_path / 'a.gif', person(WALK, LabelledSpan(5, 8, None, 0.2)))
    bars = share(image, CLASS_COLORS[0]), share(image, UNKNOWN_COLOR)
    np.testing.assert_allclose(bars[0] / bars[1], 5 / 3, rtol=0.3)
    assert share(image, CLASS_COLORS[1]) == 0


def test_a_person_is_drawn_in_frames_with_a_label_only(tmp_path):
    _, images = draw(tmp_path / 'a.gif', person(LabelledSpan(0, 3, 'walk', 0.9)), person(WALK, first=2, shift=300))
    inks = [share(image, '#0072B2') for image in images]  # of left limbs
    assert len(images) == 10 and inks[8] == inks[9] == 0
    assert inks[2] > 1.5 * inks[0] > 0 and inks[2] > 1.5 * inks[5] > 0


def test_the_label_changes_with_the_segment(tmp_path):
    still = LabelledPerson('track 1', np.repeat(walk_2d('coco17', 1), 8, 0), np.ones((8, 17)), 0, (WALK, WAVE))
    _, images = draw(tmp_path / 'a.gif', still)
    top = [image[:200] for image in images]  # above the joints, without the clock
    clock = [image[:40, -120:] for image in images]
    assert (clock[0] != clock[1]).any()
    picture = [image[40:] for image in top]
    np.testing.assert_array_equal(picture[0], picture[4])
    assert (picture[4] != picture[5]).any()


@pytest.mark.parametrize('people, message', [
    ((), 'got 0'), ((person(WALK),) * (MAX_PEOPLE + 1), f'1 to {MAX_PEOPLE} people'), ((person(),), 'with labels'),
    ((LabelledPerson('x', walk_2d('h36m16', 3), np.ones((3, 16)), 0, [WALK]),), r'keypoints of x has shape \(3, 16'),
    ((LabelledPerson('x', walk_2d('coco17', 3), np.ones((2, 17)), 0, [WALK]),), 'confidence has 2 frames'),
])
def test_what_cannot_be_shown_is_refused(tmp_path, people, message):
    with pytest.raises(ValueError, match=message):
        draw(tmp_path / 'a.gif', *people)
    assert list(tmp_path.iterdir()) == []
