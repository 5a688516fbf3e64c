"""Class counts and names: from the training data, or a checkpoint, into the model and the other data sets."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from mmengine.config import Config
from torch.utils.data import Dataset

from motionbert_mm.registry import DATASETS, MODELS, build


def fill_classes(config: Config, classes: Optional[Sequence[str]] = None) -> None:
    """Give action heads their number of classes, and the data of validation and test the classes of training.

    The same name has the same label everywhere then, whatever the order or choice of classes of each store. Configs
    without an action head stay as they are.

    Args:
        config: of a run; changed in place.
        classes: names, as of a checkpoint; None asks the training data.

    Raises:
        ValueError: training data without classes or with clips that have no label, or another number than the config
            gives the head.
    """
    heads = [head for head in config.model.get('heads', {}).values() if _kind(head) == 'ActionHead']
    if not heads:
        return
    if classes is None:
        built = build(DATASETS, config.train_dataloader.dataset)
        if not hasattr(built, 'classes') and all(head.get('num_classes') for head in heads):
            return  # several sources, of which each has classes of its own or none
        classes = _classes_of(built)
    for head in heads:
        if head.get('num_classes') not in (None, len(classes)):
            raise ValueError(f'ActionHead has num_classes={head.num_classes}, but there are {len(classes)} classes: '
                             f'{", ".join(classes)}; set num_classes=None, or classes of the data set')
        head.num_classes = len(classes)
    for stage in ('val', 'test'):
        loader = config.get(f'{stage}_dataloader')
        if loader and loader.dataset.get('classes') is None:
            loader.dataset.classes = list(classes)


def _classes_of(dataset: Dataset) -> tuple:
    """Return the classes of a data set, all of whose clips must be labelled."""
    classes = getattr(dataset, 'classes', ())
    if not classes or not len(dataset.labels):  # labels refuses clips without one
        raise ValueError(f'{type(dataset).__name__} in train_dataloader has no classes; an ActionHead learns from '
                         'clips with labels, see tools/dataset_converters/action_folder.py. Of several sources it '
                         'needs num_classes')
    return classes


def _kind(head: dict) -> str:
    kind = head.get('type')
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    return found.__name__ if found else ''
