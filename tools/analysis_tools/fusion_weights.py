"""Measure how a DSTformer weighs its two streams, by action and by joint, and how that goes with motion.

The test data run through the model; for every token (a joint in a frame) of every layer the weight of the
space-first stream is recorded, the time-first stream having the rest (MotionBERT, figures 4 and 5). Written to the
output folder: by_action and by_joint as .csv and .png, correlation.csv (of the mean weights with mean joint speed, over
actions and over joints), and joint_correlation as .csv and .png (of the weights of two joints over frames, one layer).

Speed is measured twice: in the camera frame, and relative to the root joint; both in millimetres per frame. Frames
that several windows hold count once in each; joints and frames without valid ground truth do not count.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tqdm import tqdm

from motionbert_mm.checkpoints.load import load_weights, read_checkpoint
from motionbert_mm.engine.command_line import EXPECTED, describe_error, read_config
from motionbert_mm.io.tables import write_table
from motionbert_mm.registry import MODELS, SCOPE, build
from motionbert_mm.visualization.artists import GRID, TEXT, new_figure, save
from stream_weights import (
    SPEEDS,
    Means,
    Tokens,
    correlate,
    correlate_joints,
    find_fusions,
    group_by_action,
    group_by_joint,
    run_model,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# --- Writing ---


def write_means(path: Path, kind: str, means: Means) -> None:
    """Write one row per group: tokens, speeds and the mean weight of every layer."""
    layers = [f'layer_{number}' for number in range(1, means.weights.shape[1] + 1)]
    rows = [[name, int(count), *speeds, *weights] for name, count, speeds, weights
            in zip(means.names, means.counts, means.speeds, means.weights)]
    write_table(path, rows, [kind, 'tokens', *SPEEDS, *layers])


def correlation_rows(kind: str, means: Means) -> list[list]:
    """Return rows (over, n, layer, speed, Pearson, Spearman) of every layer and kind of speed."""
    return [[kind, len(means.names), layer + 1, speed, *correlate(means.weights[:, layer], means.speeds[:, column])]
            for layer in range(means.weights.shape[1]) for column, speed in enumerate(SPEEDS)]


def draw_means(path: Path, kind: str, means: Means, layer: int) -> None:
    """Draw how groups differ in every layer, bars of one layer, and that layer against speed from the root."""
    order = np.argsort(means.speeds[:, 1], kind='stable')[::-1]
    weights, speeds = means.weights[order], means.speeds[order, 1]
    names = [means.names[group].replace('_', ' ') for group in order]
    figure = new_figure(12.0, 1.8 + 0.21 * max(len(names), 10), 150)
    heat, bars, dots = figure.subplots(1, 3)
    middle = weights.mean(axis=0)  # (L,)
    reach = max(float(np.abs(weights - middle).max()), 1e-6)
    columns = [f'{number}\n{mean:.3f}' for number, mean in enumerate(middle, start=1)]
    _draw_heat_map(heat, weights - middle, names, columns, (-reach, reach))
    _label(heat, f'weight of the space-first stream by {kind},\ndifference from the mean', 'layer and its mean')
    heat.set_aspect('auto')
    bars.barh(range(len(names)), weights[:, layer], color='#0072B2')
    bars.set_yticks(range(len(names)), names)
    bars.set_ylim(len(names) - 0.5, -0.5)
    bars.set_xlim(0, 1)
    bars.axvline(0.5, color=TEXT, linewidth=0.8)
    _label(bars, f'layer {layer + 1},\nfastest {kind} on top', 'weight of the space-first stream')
    dots.scatter(speeds, weights[:, layer], s=16, color='#0072B2')
    dots.margins(x=0.15)  # room for the names
    for name, speed, weight in zip(names, speeds, weights[:, layer]):
        dots.annotate(name, (speed, weight), fontsize=5.5, color=TEXT, xytext=(3, 2), textcoords='offset points')
    pearson, spearman = correlate(weights[:, layer], speeds)
    _label(dots, f'layer {layer + 1}, weight against speed:\nPearson {pearson:.2f}, Spearman {spearman:.2f}, '
                 f'n = {len(names)}', 'speed relative to the root, mm per frame')
    dots.grid(True, color=GRID, linewidth=0.6)
    dots.set_axisbelow(True)
    figure.tight_layout()
    save(figure, path)


def draw_matrix(path: Path, names: Sequence[str], matrix: np.ndarray, title: str) -> None:
    """Draw a correlation matrix."""
    names = [name.replace('_', ' ') for name in names]
    figure = new_figure(1.8 + 0.25 * len(names), 1.4 + 0.25 * len(names), 150)
    axes = figure.subplots()
    _draw_heat_map(axes, matrix, names, names, (-1.0, 1.0))
    axes.tick_params(axis='x', rotation=90)
    _label(axes, title)
    figure.tight_layout()
    save(figure, path)


def _draw_heat_map(axes: Axes, values: np.ndarray, rows: Sequence[str], columns: Sequence, limits: tuple) -> None:
    image = axes.imshow(values, cmap='RdBu_r', vmin=limits[0], vmax=limits[1])
    axes.figure.colorbar(image, ax=axes, fraction=0.045).ax.tick_params(labelsize=7)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)


def _label(axes: Axes, title: str, x_label: str = '') -> None:
    axes.set_title(title, fontsize=9, color=TEXT)
    axes.set_xlabel(x_label, fontsize=8, color=TEXT)
    axes.tick_params(length=0, labelsize=7, colors=TEXT)


def write_results(out: Path, tokens: Tokens, joints: Sequence[str], layer: int) -> list[list]:
    """Write all tables and pictures; return the rows of correlation.csv."""
    rows = []
    for kind, means in (('action', group_by_action(tokens)), ('joint', group_by_joint(tokens, joints))):
        write_means(out / f'by_{kind}.csv', kind, means)
        draw_means(out / f'by_{kind}.png', kind, means, layer)
        rows += correlation_rows(kind, means)
    write_table(out / 'correlation.csv', rows, ['over', 'n', 'layer', 'speed', 'pearson', 'spearman'])
    matrix = correlate_joints(tokens.moments, len(joints))
    write_table(out / 'joint_correlation.csv', [[name, *row] for name, row in zip(joints, matrix.tolist())],
                ['joint', *joints])
    draw_matrix(out / 'joint_correlation.png', joints, matrix,
                f'weights of two joints over {int(tokens.moments[0])} frames, layer {layer + 1}')
    return rows


# --- Command line ---


def choose_layer(layer: Optional[int], depth: int) -> int:
    """Return the index of a layer counted from 1; None is the middle one, the third of five as in the paper."""
    layer = (depth + 1) // 2 if layer is None else layer
    if not 1 <= layer <= depth:
        raise ValueError(f'--layer {layer}: the backbone has layers 1 to {depth}')
    return layer - 1


def measure(config: Config, checkpoint: str, device: str, layer: Optional[int]) -> tuple[Tokens, tuple, int]:
    """Run the test data of a config through a checkpoint; return tokens, joint names and index of the layer."""
    missing = [name for name in ('model', 'test_dataloader') if name not in config]
    if missing:
        raise ValueError(f'the config has no {", ".join(missing)}; it holds {", ".join(sorted(config))}')
    config.model.flip_test = False
    config.model.pop('init_cfg', None)  # all weights come from the checkpoint
    with DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)):
        model = build(MODELS, config.model.to_dict())
        fusions = find_fusions(model, 'the config')
        chosen = choose_layer(layer, len(fusions))
        state = read_checkpoint(checkpoint)
        load_weights(model, state.get('state_dict', state), checkpoint)
        loader = Runner.build_dataloader(config.test_dataloader, seed=0)
        batches = tqdm(loader, desc='windows', unit='batch', disable=None)
        tokens = run_model(model.to(device).eval(), batches, fusions, chosen)
    return tokens, model.skeleton.joints, chosen


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config file with a DSTformer backbone')
    parser.add_argument('checkpoint', help='path of a checkpoint')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for tables and pictures')
    parser.add_argument('--layer', type=int, metavar='N',
                        help='layer of the bars and of joint_correlation, from 1 (default: the middle, 3 of 5)')
    parser.add_argument('--device', default=None, help="'cpu', 'cuda:0', ... (default: the best available)")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args(arguments)
    try:
        config = read_config(args.config, args.cfg_options)
        tokens, joints, layer = measure(config, args.checkpoint, args.device or get_device(), args.layer)
        rows = write_results(args.out, tokens, joints, layer)
    except EXPECTED as error:
        sys.exit(f'error: {describe_error(error)}')
    for kind, count, number, speed, pearson, spearman in rows:
        if number == layer + 1:
            print(f'layer {number}, weight against {speed} over {count} {kind}s: '
                  f'Pearson {pearson:.3f}, Spearman {spearman:.3f}')
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
