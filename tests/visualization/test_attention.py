import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from PIL import Image

from motionbert_mm.visualization.attention import HIDDEN, AttentionRow, plot_attention


def make_row(title, heads, labels, hidden=()):
    weights = np.random.default_rng(len(labels)).random((heads, len(labels), len(labels)))
    is_hidden = np.isin(np.arange(len(labels)), hidden)
    return AttentionRow(title, weights / weights.sum(-1, keepdims=True), labels, is_hidden)


def images(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


def test_layers_run_down_and_heads_to_the_right_on_one_scale(tmp_path):
    rows = [make_row('layer 1', 3, list(range(100, 118, 2))), make_row('layer 2', 3, [100, 106, 112])]
    figure = plot_attention(rows, tmp_path / 'a.png', tokens='frame', title='a stack', dpi=50)
    wanted = figure.get_size_inches() * 50
    np.testing.assert_allclose(Image.open(tmp_path / 'a.png').size, wanted, atol=1)  # matplotlib's rounding varies
    shown = images(figure)
    assert len(shown) == 6 and len({image.get_clim() for image in shown}) == 1
    np.testing.assert_allclose(shown[4].get_array(), 3 * rows[1].weights[1])  # 1 is even, however many tokens
    corners = [image.axes.get_position() for image in shown]
    assert corners[0].x0 < corners[1].x0 < corners[2].x0 and corners[0].y0 > corners[3].y0
    assert [text.get_text() for text in shown[0].axes.get_xticklabels()] == ['100', '106', '110', '116']
    assert [text.get_text() for text in shown[3].axes.get_yticklabels()] == ['100', '106', '112']
    assert shown[3].axes.get_ylabel() == 'layer 2' and figure.get_supxlabel() == 'frame attended to'


def test_names_are_all_shown():
    row = make_row('layer 1', 2, ['root', 'left_hip', 'right_hip', 'spine', 'nose'])
    figure = plot_attention([row], tokens='joint')
    labels = [text.get_text() for text in images(figure)[1].axes.get_xticklabels()]
    assert labels == ['root', 'left hip', 'right hip', 'spine', 'nose']


def test_hidden_tokens_are_marked_on_both_axes():
    figure = plot_attention([make_row('layer 1', 1, list(range(6)), hidden=[0, 4])], tokens='frame')
    axes = images(figure)[0].axes
    above, beside = (marks for marks in axes.collections if isinstance(marks, PolyCollection))
    spans = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in above.get_paths()]
    assert spans == [(-0.5, 0.5), (3.5, 4.5)]
    assert [path.vertices[:, 1].max() for path in beside.get_paths()] == [0.5, 4.5]
    assert axes.get_xlim() == (-0.5, 5.5) and axes.get_ylim() == (5.5, -0.5)
    note, = figure.texts[-1:]
    assert note.get_text() == 'orange: hidden frames' and note.get_color() == HIDDEN


def test_a_few_high_weights_do_not_darken_all_others():
    row = make_row('layer 1', 1, list(range(60)))
    row.weights[0, 0] = np.eye(60)[0]
    limit = images(plot_attention([row], tokens='frame'))[0].get_clim()[1]
    assert 2.0 <= limit < 2.5  # the highest is 60


def test_maps_that_do_not_fit_their_labels_are_refused():
    row = make_row('layer 1', 2, list(range(4)))
    with pytest.raises(ValueError, match=r'layer 1: .* \(2, 4, 4\) and 4 tokens .* \(heads, 3, 3\) and 3'):
        plot_attention([row._replace(labels=[0, 1, 2])], tokens='frame')
    with pytest.raises(ValueError, match='no attention map to draw'):
        plot_attention([], tokens='frame')
