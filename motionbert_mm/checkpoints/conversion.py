"""What the converters of official checkpoints share: files taken apart and joined again, strictness, command line."""
from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Optional, Union

import torch
from mmengine.logging import print_log
from torch import Tensor

from motionbert_mm.checkpoints.load import META_KEY, compare_states, read_checkpoint
from motionbert_mm.checkpoints.official import find_weights, strip_prefix
from motionbert_mm.checkpoints.plain import to_plain
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.registry import MODELS, build

ORIGIN_KEY = 'official'  # in ``meta``
PREFIX = 'module.'
EXAMPLES = 10  # keys that an error names
# What is counted as no parameter: statistics, mean parameters of SMPL, and SMPL itself.
BUFFERS = re.compile(r'running_(mean|var)$|num_batches_tracked$|\.mean_(pose|betas)$|\.init_(pose|shape)$|\.smpl\.')


def take_apart(checkpoint: Mapping) -> tuple[dict, dict]:
    """Return the weights of an official file, keys without prefix, and what ``put_together`` needs besides them.

    What else the file held (epoch, lr, optimizer, best score) travels along for the way back.
    """
    weights, container = find_weights(checkpoint)
    weights, has_prefix = strip_prefix(weights, PREFIX)
    rest = {key: to_plain(value) for key, value in checkpoint.items() if key != container} if container else {}
    return weights, dict(container=container, has_prefix=has_prefix, keys=list(checkpoint) if container else [],
                         rest=rest, names=list(weights))


def put_together(weights: Mapping[str, Tensor], origin: Mapping) -> dict:
    """Undo ``take_apart``.

    Args:
        weights: official keys without prefix.
        origin: of ``take_apart``; container (None: weights at the top level) and has_prefix suffice.
    """
    names = [name for name in origin.get('names', ()) if name in weights]
    prefix = PREFIX if origin['has_prefix'] else ''
    ordered = {prefix + name: weights[name] for name in dict.fromkeys((*names, *weights))}
    if not origin['container']:
        return ordered
    entries = {**origin.get('rest', {}), origin['container']: ordered}
    return {key: entries[key] for key in origin.get('keys', entries)}


def check_match(config: dict, state_dict: Mapping[str, Tensor], unmatched: Sequence[str]) -> None:
    """Refuse official weights that are not exactly those of the model.

    Args:
        config: of the model that they were found to be.
        state_dict: the weights under our names.
        unmatched: official keys without a counterpart.

    Raises:
        ValueError: keys that no rule knows, missing keys or other shapes.
    """
    problems = compare_states(build(MODELS, config).state_dict(), state_dict)
    if unmatched:
        problems = [f'{len(unmatched)} official keys without a counterpart {list(unmatched)[:EXAMPLES]}', *problems]
    if problems:
        raise ValueError(f'the weights are not those of the official model: {"; ".join(problems)}')


def our_checkpoint(state_dict: Mapping[str, Tensor], *, model: dict, window: dict, pipeline: Sequence[dict],
                   origin: dict, facts: Optional[Mapping] = None) -> dict:
    """Make a checkpoint that ``load_model`` reads.

    Args:
        state_dict: weights under our names.
        model: their ``MotionModel`` config.
        window: of the data set that the model was tested on.
        pipeline: of that data set.
        origin: of ``take_apart``.
        facts: those of ``DATA_FACTS`` that are known of the training data.
    """
    description = dict(model=model, window=window, pipeline=list(pipeline), **(facts or {}))
    return dict(state_dict=dict(state_dict), meta={META_KEY: description, ORIGIN_KEY: origin})


def our_weights(checkpoint: Mapping) -> dict:
    """Return the weights of a checkpoint of this package; ValueError if it is none."""
    if not isinstance(checkpoint.get('state_dict'), dict):
        raise ValueError(f'expected a checkpoint of this package with state_dict, got {sorted(map(str, checkpoint))}')
    return checkpoint['state_dict']


def converter_parser(description: Optional[str]) -> argparse.ArgumentParser:
    """Return a parser with what every converter takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('source', help='checkpoint to read')
    parser.add_argument('target', help='checkpoint to write')
    parser.add_argument('--reverse', action='store_true', help="from this package's format to the official one")
    return parser


def save_checkpoint(path: Union[str, os.PathLike], checkpoint: dict) -> None:
    """Write a checkpoint atomically and report what it holds."""
    with atomic_path(path) as work:
        torch.save(checkpoint, work)
    weights = checkpoint.get('state_dict') or find_weights(checkpoint)[0]
    count = sum(value.numel() for key, value in weights.items() if not BUFFERS.search(key))
    print_log(f'{path}: {len(weights)} tensors, {count:,} parameters, all matched, none left over')


def run_converter(source: str, target: str, convert: Callable[[dict], dict]) -> None:
    """Read, convert, write and report; end the program with one line for what a user can mend."""
    try:
        save_checkpoint(target, convert(read_checkpoint(source)))
    except (OSError, ValueError) as error:
        sys.exit(f'{source}: {error}')
