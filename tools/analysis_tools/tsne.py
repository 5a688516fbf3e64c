"""Draw the clips of the test data of a config in a plane by t-SNE of what a model makes of them (MotionBERT, figure 6).

Clips whose features are alike lie close together; colours are classes. Features are, by --features:

head  the embedding of an EmbeddingHead; of an ActionHead its hidden layer, before the class scores
neck  what the head reads, averaged over frames and persons

Features of the windows of a clip are averaged. Beside the picture, OUT.csv holds clip, class and place of each point.
Distances between groups and the sizes of groups say little in such a picture. The same --seed gives the same picture.

Example:
    tsne.py configs/action/CONFIG.py work_dirs/CONFIG/epoch_50.pth --out tsne.png
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn
from tqdm import tqdm

from motionbert_mm.checkpoints.load import load_weights, noted_classes, read_checkpoint
from motionbert_mm.engine.classes import fill_classes
from motionbert_mm.engine.command_line import check_device, one_line_errors, read_config
from motionbert_mm.evaluation.functional.retrieval import unit_features
from motionbert_mm.evaluation.metrics.labelled import LabelCollector, LabelledClips, distinct_windows, join_clips
from motionbert_mm.io.tables import write_table
from motionbert_mm.models.heads import ActionHead, EmbeddingHead
from motionbert_mm.registry import MODELS, SCOPE, build
from motionbert_mm.visualization import plot_points

FIELD = 'features'
HEAD_WORDS = {EmbeddingHead: 'embeddings', ActionHead: 'hidden layer of the head'}


class FeatureCollector(LabelCollector):
    """Keeps features of windows; measures nothing."""

    fields = (FIELD,)

    def compute_metrics(self, results: list) -> dict:
        """Return nothing."""
        return {}


# --- Features ---


def load(config: Config, path: str, device: str) -> nn.Module:
    """Build the model of a config with the weights and classes of a checkpoint, in evaluation mode."""
    missing = [name for name in ('model', 'test_dataloader') if not config.get(name)]
    if missing:
        raise ValueError(f'{config.filename} has no {", ".join(missing)}; it holds {", ".join(sorted(config))}')
    checkpoint = read_checkpoint(path)
    fill_classes(config, noted_classes(checkpoint))
    config.model.pop('init_cfg', None)  # all weights come from the checkpoint
    model = build(MODELS, config.model.to_dict())
    load_weights(model, checkpoint.get('state_dict', checkpoint), path)
    return model.to(device).eval()


def find_head(model: nn.Module) -> nn.Module:
    """Return the head whose features are drawn, an EmbeddingHead before an ActionHead.

    Raises:
        ValueError: no head that reads whole clips.
    """
    for kind in HEAD_WORDS:
        for name in model.predicts:
            if isinstance(model.heads[name], kind):
                return model.heads[name]
    kinds = ', '.join(type(model.heads[name]).__name__ for name in model.predicts)
    raise ValueError(f'the model predicts by {kinds}, expected an EmbeddingHead or ActionHead; choose another config')


@contextmanager
def caught(head: nn.Module, kind: str) -> Iterator[list[Tensor]]:
    """Collect the features (B, D) of every pass of a head: one, or two under ``flip_test``."""
    passes: list[Tensor] = []
    if kind == 'neck':
        handle = head.register_forward_pre_hook(lambda module, inputs: passes.append(module.pool(inputs[0])))
    elif isinstance(head, ActionHead):
        handle = head.fc2.register_forward_pre_hook(lambda module, inputs: passes.append(inputs[0]))
    else:
        handle = head.register_forward_hook(lambda module, inputs, output: passes.append(output))
    try:
        yield passes
    finally:
        handle.remove()


def read_features(config: Config, model: nn.Module, kind: str) -> tuple[LabelledClips, Sequence[str]]:
    """Run a model over the test data; return the features of the clips and the names of the classes."""
    with DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)):
        loader = Runner.build_dataloader(config.test_dataloader, seed=0)
        collector = FeatureCollector()
        collector.dataset_meta = getattr(loader.dataset, 'metainfo', None)
        with caught(find_head(model), kind) as passes, torch.inference_mode():
            for batch in tqdm(loader, desc='features', unit='batch', disable=None):
                passes.clear()
                model.test_step(batch)
                features = torch.stack(passes).mean(dim=0).float()
                collector.process(batch, [{FIELD: row} for row in features])
    clips = join_clips(distinct_windows(collector.results), FIELD)
    return clips, collector.class_names or [str(label) for label in range(clips.labels.max() + 1)]


# --- Projection ---


def import_tsne() -> type:
    """Return scikit-learn's ``TSNE``.

    Raises:
        ImportError: it cannot be imported.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ImportError(f'tsne.py needs scikit-learn, which does not import here ({error}); '
                          "pip install 'motionbert_mm[analysis]'") from error
    return TSNE


def project(features: np.ndarray, *, perplexity: float, seed: int) -> np.ndarray:
    """Bring features (N, D) to a plane, (N, 2), by t-SNE.

    Raises:
        ImportError: no scikit-learn.
        ValueError: too few samples for the perplexity.
    """
    if not 0 < perplexity < len(features):
        raise ValueError(f'{len(features)} clips and a perplexity of {perplexity:g}: t-SNE looks at about as many '
                         'neighbours of each clip, so that it must be above 0 and below the number of clips, better a '
                         'third of it; set --perplexity, or test on more clips')
    projection = import_tsne()(n_components=2, perplexity=perplexity, init='pca', learning_rate='auto',
                               random_state=seed)
    return projection.fit_transform(features)


# --- Command line ---


def run(args: argparse.Namespace) -> None:
    """Read, project, draw and write."""
    check_device(args.device)
    import_tsne()
    if args.out.suffix.lower() not in ('.png', '.pdf', '.svg', '.jpg'):
        raise ValueError(f'--out must be a picture (.png, .pdf, .svg, .jpg), got {args.out}')
    config = read_config(args.config, args.cfg_options)
    model = load(config, args.checkpoint, args.device or get_device())
    head = find_head(model)
    kind = args.features or ('head' if isinstance(head, EmbeddingHead) else 'neck')
    clips, names = read_features(config, model, kind)
    if kind == 'head' and isinstance(head, EmbeddingHead):
        clips = clips._replace(vectors=unit_features(clips.vectors))  # as OneShotMetric compares them
    points = project(clips.vectors, perplexity=args.perplexity, seed=args.seed)
    what = HEAD_WORDS[type(head)] if kind == 'head' else 'pooled features'
    plot_points(points, clips.labels, names, args.out,
                title=f't-SNE of {what}, {len(points)} clips, perplexity {args.perplexity:g}')
    table = args.out.with_suffix('.csv')
    write_table(table, _rows(clips, names, points), ['clip', 'class', 'x', 'y'])
    print(f'wrote {args.out} and {table}: {what} of {len(points)} clips of {len(np.unique(clips.labels))} classes')


def _rows(clips: LabelledClips, names: Sequence[str], points: np.ndarray) -> list[list[Any]]:
    return [[clip, names[label], *point] for clip, label, point in zip(clips.names, clips.labels, points.tolist())]


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config file whose model has an EmbeddingHead or ActionHead')
    parser.add_argument('checkpoint', help='path of a checkpoint')
    parser.add_argument('--out', type=Path, default=Path('tsne.png'), metavar='OUT.png',
                        help='picture; the points go to OUT.csv (default: tsne.png)')
    parser.add_argument('--features', choices=('head', 'neck'),
                        help='which features (default: head with an EmbeddingHead, neck with an ActionHead)')
    parser.add_argument('--perplexity', type=float, default=30.0, metavar='P',
                        help='about how many neighbours of a clip count (default: 30)')
    parser.add_argument('--seed', type=int, default=0, help='of the projection, where it draws (default: 0)')
    parser.add_argument('--device', help="'cpu', 'cuda:0', ... (default: the best available)")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args(arguments)
    try:
        with one_line_errors():
            run(args)
    except ImportError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
