import numpy as np
import pytest
from PIL import Image

from motionbert_mm.visualization import plot_points


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_class_has_one_colour_and_a_name_in_the_legend(tmp_path):
    points, labels = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 3
    figure = plot_points(points, np.where(labels == 1, 3, labels), ['walk', 'run', 'bow', 'kick'], tmp_path / 'a.png',
                         title='t-SNE')
    assert legend(figure) == ['walk', 'bow', 'kick']  # none for a class without samples
    dots = figure.axes[0].collections
    assert [len(part.get_offsets()) for part in dots] == [10, 10, 10]
    np.testing.assert_array_equal(dots[0].get_offsets(), points[labels == 0])
    assert len({tuple(part.get_facecolor()[0]) for part in dots}) == 3
    assert Image.open(tmp_path / 'a.png').size[0] > 700


def test_a_hundred_classes_differ_in_colour_or_marker():
    labels = np.arange(100)
    figure = plot_points(np.random.default_rng(0).normal(size=(100, 2)), labels, [f'A{label}' for label in labels])
    looks = {(tuple(part.get_facecolor()[0]), part.get_paths()[0].vertices.tobytes())
             for part in figure.axes[0].collections}
    assert len(looks) == 100 and len(legend(figure)) == 100


@pytest.mark.parametrize('points, labels', [(np.zeros((3, 2)), [0, 1]), (np.zeros((2, 3)), [0, 1]),
                                            (np.zeros((2, 2)), [0, 2]), (np.zeros((0, 2)), [])])
def test_points_that_do_not_fit_are_refused(points, labels):
    with pytest.raises(ValueError, match='points have shape .* there are 2 classes'):
        plot_points(points, np.array(labels, int), ['walk', 'run'])
