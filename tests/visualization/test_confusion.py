import numpy as np
import pytest
from PIL import Image

from motionbert_mm.visualization import plot_confusion

NAMES = ['walk', 'sit down', 'wave']
COUNTS = np.array([[3, 1, 0], [0, 0, 0], [0, 0, 200]])


def test_cells_hold_percentages_of_the_true_class(tmp_path):
    figure = plot_confusion(COUNTS, NAMES, tmp_path / 'a.png', title='top1')
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ['75', '25', '100']
    image = axes.images[0].get_array()
    np.testing.assert_allclose(image[0], [75, 25, 0])
    assert image.mask[1].all() and not image.mask[[0, 2]].any()  # a class without samples is grey
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    assert axes.get_ylabel() == 'true class' and axes.get_xlabel() == 'predicted class'
    assert Image.open(tmp_path / 'a.png').size[0] > 300


def test_rare_mistakes_are_not_written_as_nothing():
    texts = plot_confusion(np.array([[999, 1], [0, 5]]), ['a', 'b']).axes[0].texts
    assert [text.get_text() for text in texts] == ['100', '<1', '100']


@pytest.mark.parametrize('num_classes', [12, 120, 400])
def test_names_do_not_overlap_whatever_their_number(num_classes):
    names = [f'action {number} of a very long name that goes on' for number in range(num_classes)]
    figure = plot_confusion(np.eye(num_classes, dtype=int), names)
    axes = figure.axes[0]
    points_per_cell = 72 * axes.get_position().height * figure.get_size_inches()[1] / num_classes
    size = axes.get_yticklabels()[0].get_fontsize()
    assert size < points_per_cell and len(axes.get_yticklabels()) == num_classes
    assert max(figure.get_size_inches()) < 28 and bool(axes.texts) == (num_classes == 12)
    assert all(len(label.get_text()) <= 32 for label in axes.get_yticklabels())


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r'counts have shape \(3, 3\), expected \(2, 2\)'):
        plot_confusion(COUNTS, NAMES[:2])
