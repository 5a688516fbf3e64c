"""Draw the clips of the test data of a config in a plane by t-SNE of what a model makes of them (MotionBERT, figure 6).

Clips whose features are alike lie close together; colours are classes. Features are, by --features:

head     the embedding of an EmbeddingHead, or of a TextAlignHead (ActionPose, figure 5); of an ActionHead its hidden
         layer, before the class scores
neck     what the head reads, averaged over frames and persons
average  what any model makes of the frames, averaged over frames, joints and persons: what a TextAlignHead is compared
         with, also of a model that was pretrained without text

Features of the windows of a clip are averaged. Beside the picture, OUT.csv holds clip, class and place of each point.
Distances between groups and the sizes of groups say little in such a picture. The same --seed gives the same picture.
How well the features themselves tell the classes apart is printed: the accuracy of the k nearest other clips, and the
silhouette (-1 to 1), both by cosine.

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
from motionbert_mm.models.heads import ActionHead, EmbeddingHead, TextAlignHead
from motionbert_mm.models.motion_model import folded_mask
from motionbert_mm.registry import MODELS, SCOPE, build
from motionbert_mm.visualization import plot_points

FIELD = 'features'
HEAD_WORDS = {EmbeddingHead: 'embeddings', TextAlignHead: 'embeddings', ActionHead: 'hidden layer of the head'}
FRAMES = 'frames'  # the branch of a neck with several that is averaged


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
    """Return the head whose features are drawn: an embedding before an ActionHead.

    Raises:
        ValueError: no head that reads whole clips.
    """
    for kind in HEAD_WORDS:
        for name in model.predicts:
            if isinstance(model.heads[name], kind):
                return model.heads[name]
    kinds = ', '.join(type(model.heads[name]).__name__ for name in model.predicts)
    raise ValueError(f'the model predicts by {kinds}, expected an EmbeddingHead, TextAlignHead or '
                     'ActionHead; choose another config, or --features average, which any model has')


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


def average_features(model: nn.Module, batch: dict) -> Tensor:
    """Return what a model makes of the frames, averaged over persons, frames and joints: (B, D)."""
    data = model.data_preprocessor(batch)
    features = model.extract_features(data['inputs'], folded_mask(data['data_samples']))
    if isinstance(features, dict):
        if FRAMES not in features:
            raise ValueError(f'the neck gives {", ".join(features)}, of which --features average would take {FRAMES}; '
                             'choose head or neck')
        features = features[FRAMES]
    return features.unflatten(0, data['inputs'].shape[:2]).mean(dim=(1, 2, 3))


def clip_features(model: nn.Module, batch: dict, kind: str) -> Tensor:
    """Return the features (B, D) of a kind of the windows of a batch."""
    if kind == 'average':
        return average_features(model, batch).float()
    head = find_head(model)
    with caught(head, kind) as passes:
        model.test_step(batch)
    if isinstance(head, TextAlignHead):
        del passes[1:]  # as in its predictions, nothing of the mirrored pass
    return torch.stack(passes).mean(dim=0).float()


def read_features(config: Config, model: nn.Module, kind: str) -> tuple[LabelledClips, Sequence[str]]:
    """Run a model over the test data; return the features of the clips and the names of the classes."""
    with DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)):
        loader = Runner.build_dataloader(config.test_dataloader, seed=0)
        collector = FeatureCollector()
        collector.dataset_meta = getattr(loader.dataset, 'metainfo', None)
        with torch.inference_mode():
            for batch in tqdm(loader, desc='features', unit='batch', disable=None):
                collector.process(batch, [{FIELD: row} for row in clip_features(model, batch, kind)])
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


def tell_apart(features: np.ndarray, labels: np.ndarray, neighbours: int) -> tuple[float, float]:
    """Measure how well features (N, D) tell classes (N,) apart, by their cosine.

    Returns:
        Percent of the clips whose class is the most frequent one among the nearest others, and the silhouette.

    Raises:
        ImportError: no scikit-learn.
        ValueError: fewer clips than neighbours and one more, or one class, or as many as clips.
    """
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import NearestNeighbors
    if not 1 <= neighbours < len(features) or not 1 < len(np.unique(labels)) < len(features):
        raise ValueError(f'{len(features)} clips of {len(np.unique(labels))} classes, to be compared with '
                         f'{neighbours} neighbours: expected at least one neighbour, more clips than that, and more '
                         'than one class with clips that share it; set --neighbours, or test on more clips')
    nearest = NearestNeighbors(n_neighbors=neighbours, metric='cosine').fit(features).kneighbors(return_distance=False)
    votes = np.stack([(labels[nearest] == label).sum(axis=1) for label in range(labels.max() + 1)], axis=1)  # (N, K)
    right = 100.0 * float((votes.argmax(axis=1) == labels).mean())
    return right, float(silhouette_score(features, labels, metric='cosine'))


# --- Command line ---


def run(args: argparse.Namespace) -> None:
    """Read, project, draw and write."""
    check_device(args.device)
    import_tsne()
    if args.out.suffix.lower() not in ('.png', '.pdf', '.svg', '.jpg'):
        raise ValueError(f'--out must be a picture (.png, .pdf, .svg, .jpg), got {args.out}')
    config = read_config(args.config, args.cfg_options)
    model = load(config, args.checkpoint, args.device or get_device())
    head = None if args.features == 'average' else find_head(model)
    embeds = isinstance(head, (EmbeddingHead, TextAlignHead))
    kind = args.features or ('head' if embeds else 'neck')
    clips, names = read_features(config, model, kind)
    if kind == 'head' and embeds:
        clips = clips._replace(vectors=unit_features(clips.vectors))  # as OneShotMetric compares them
    accuracy, silhouette = tell_apart(clips.vectors, clips.labels, args.neighbours)
    points = project(clips.vectors, perplexity=args.perplexity, seed=args.seed)
    what = HEAD_WORDS[type(head)] if kind == 'head' else {'neck': 'pooled', 'average': 'averaged'}[kind] + ' features'
    plot_points(points, clips.labels, names, args.out,
                title=f't-SNE of {what}, {len(points)} clips, perplexity {args.perplexity:g}')
    table = args.out.with_suffix('.csv')
    write_table(table, _rows(clips, names, points), ['clip', 'class', 'x', 'y'])
    print(f'{what}: {args.neighbours}-NN accuracy {accuracy:.1f} %, silhouette {silhouette:.3f}')
    print(f'wrote {args.out} and {table}: {what} of {len(points)} clips of {len(np.unique(clips.labels))} classes')


def _rows(clips: LabelledClips, names: Sequence[str], points: np.ndarray) -> list[list[Any]]:
    return [[clip, names[label], *point] for clip, label, point in zip(clips.names, clips.labels, points.tolist())]


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config file with test data that have labels')
    parser.add_argument('checkpoint', help='path of a checkpoint')
    parser.add_argument('--out', type=Path, default=Path('tsne.png'), metavar='OUT.png',
                        help='picture; the points go to OUT.csv (default: tsne.png)')
    parser.add_argument('--features', choices=('head', 'neck', 'average'),
                        help='which features (default: head with an EmbeddingHead or TextAlignHead, neck with an '
                             'ActionHead)')
    parser.add_argument('--neighbours', type=int, default=5, metavar='K',
                        help='nearest clips that vote for the class of a clip (default: 5)')
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
