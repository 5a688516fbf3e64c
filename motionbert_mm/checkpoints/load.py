"""Read checkpoints without trusting them, and build the model that they describe."""
from __future__ import annotations

import os
import pickle
import re
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import torch
from mmengine.device import get_device
from torch import Tensor, nn

from motionbert_mm.registry import MODELS, SCOPE, TRANSFORMS, build

META_KEY = 'motionbert_mm'
# What a checkpoint notes of its training data, where they say it: names of the classes, frames per second, persons of a
# sample, and seconds that a window spans.
DATA_FACTS = ('classes', 'fps', 'num_persons', 'window_seconds')
# Models of hosts that may hold networks of this package -> their converter.
HOST_MODELS = {'PoseLifter': 'mmpose', 'RecognizerGCN': 'mmaction'}
# Transforms of a test pipeline that inference repeats, by what they do.
STEPS = {'input': ('NormalizeCoords',), 'input_3d': ('Take3DInputs',),
         'action': ('AssociatePersons', 'ConvertSkeleton', 'NormalizeCoords', 'OfficialActionPose', 'ZeroMissing'),
         'text': ('AssociatePersons', 'ConvertSkeleton', 'NormalizeCoords', 'OrthographicView', 'ZeroMissing'),
         'mask': ('SampleMask', 'SampleExactMask', 'SampleJointGroups', 'SampleMotionMask', 'HideWindow')}


def read_checkpoint(path: Union[str, os.PathLike]) -> dict:
    """Load a checkpoint to the CPU; nothing in it is executed.

    Besides tensors and plain containers, numpy scalars are admitted: official training scripts store their
    best score as one.

    Args:
        path: a file written by ``torch.save``.

    Returns:
        The dictionary in the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, truncated, or with objects other than plain data.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    try:
        with _numpy_scalars_allowed():
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r'(?:GLOBAL|Unsupported class) (\S+)', str(error))
        if refused:
            raise ValueError(f'checkpoint {path} holds {refused[1]}, which is not plain data, and is refused; save its '
                             'weights again as a plain state dict (numpy scalars are read by torch >= 2.5)') from None
        raise ValueError(f'{path} is truncated or no checkpoint; copy it again') from None
    except (RuntimeError, EOFError, zipfile.BadZipFile, OSError, KeyError, ValueError, struct.error) as error:
        raise ValueError(f'{path} is truncated or no checkpoint ({_first_line(error)}); copy it again') from None
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, expected a dictionary with weights')
    return checkpoint


def load_weights(model: nn.Module, state_dict: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict strictly.

    Raises:
        ValueError: missing, unexpected or differently shaped entries, with counts and examples.
    """
    problems = compare_states(model.state_dict(), state_dict)
    if problems:
        raise ValueError(f'{source} does not fit the model: {"; ".join(problems)}. Use the config that the checkpoint '
                         'was trained with, or convert official weights with tools/model_converters/')
    model.load_state_dict(state_dict)


def compare_states(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> list[str]:
    """Describe how a state dict differs from the expected one; empty if it does not."""
    shapes = [f'{key} has shape {tuple(got[key].shape)}, the model {tuple(expected[key].shape)}'
              for key in expected if key in got and got[key].shape != expected[key].shape]
    differences = (('missing', sorted(set(expected) - set(got))), ('unexpected', sorted(set(got) - set(expected))),
                   ('of another shape', shapes))
    return [f'{len(keys)} entries {kind}, e.g. {keys[0]}' for kind, keys in differences if keys]


def match_report(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> str:
    """Say in one line how much of each part of a model a checkpoint fills, and what of the checkpoint is left over."""
    taken = [key for key in expected if key in got and got[key].shape == expected[key].shape]
    filled = [f'{part} {count} of {total}' for (part, total), count in
              zip(_count_parts(expected).items(), _count_parts(expected, taken).values())]
    unused = _count_parts(sorted(set(got) - set(taken)))
    words = [f'{len(taken)} of {len(expected)} entries of the model are taken: {", ".join(filled)}']
    words += [f'{sum(unused.values())} of the checkpoint have no place: '
              + ', '.join(f'{part} {count}' for part, count in unused.items())] if unused else []
    return '; '.join(words)


def _count_parts(keys: Iterable[str], counted: Optional[Iterable[str]] = None) -> dict[str, int]:
    """Count keys by part: 'backbone', 'neck', 'heads.<name>'; ``counted`` are those that count, else all."""
    parts = dict.fromkeys(map(_part, keys), 0)
    for key in keys if counted is None else counted:
        parts[_part(key)] += 1
    return parts


def _part(key: str) -> str:
    return '.'.join(key.split('.')[:2 if key.startswith('heads.') else 1])


def load_model(path: Union[str, os.PathLike], device: Optional[str] = None, *,
               body_model: Optional[Union[str, os.PathLike]] = None) -> tuple[nn.Module, dict]:
    """Build the model that a checkpoint describes and load its weights.

    Args:
        path: a checkpoint of this package's training or of its converters.
        device: 'cpu', 'cuda:0', ...; None takes the best available.
        body_model: where the body model of a mesh checkpoint is on this machine, a file or a folder; None is where it
            was in training. A regressor that is not where it was is looked for beside it.

    Returns:
        The model in evaluation mode, and a dict with ``skeleton`` (name), ``num_frames`` (of a window), ``dilation``
        (step between them), ``window`` (arguments of ``WindowPlan`` of the test data), ``input`` (configs of the
        transforms that make network inputs of pixels), ``input_3d`` (of those that replace them by 3D poses),
        ``action`` (of all that make the inputs of action models of detections), ``text`` (of all that make the inputs
        of text models of the motion of a store), ``mask`` (of those that hide inputs when the model is tested, as of
        masked pose modelling), ``trained_mask`` (of those that hid them in training; None where the checkpoint does not
        say) and ``DATA_FACTS`` (None likewise).

    Raises:
        FileNotFoundError, ValueError: see ``read_checkpoint``; also a file without a description, or a body model for
            a model without bodies.
    """
    checkpoint = read_checkpoint(path)
    description = _find_description(checkpoint)
    if description is None or 'state_dict' not in checkpoint:
        raise ValueError(f'{path} does not say which model it holds (keys {sorted(map(str, checkpoint))}); checkpoints '
                         'of tools/train.py do, official ones and those of MMPose and MMAction2 after '
                         'tools/model_converters/')
    host = HOST_MODELS.get(str(description['model'].get('type')).rpartition('.')[2])
    if host is not None:
        raise ValueError(f'{path} holds a {description["model"]["type"]}; convert it with '
                         f'tools/model_converters/{host}.py')
    # How training was initialised does not matter here: its classes are MMEngine's, and mean bodies are in the weights.
    description = _without(_without(description, 'init_cfg'), 'mean_params')
    check_types(description, str(path))
    if body_model is not None:
        description = {**description, 'model': _move_body(description['model'], Path(body_model), str(path))}
    model = build(MODELS, description['model'])
    load_weights(model, checkpoint['state_dict'], str(path))
    steps = {role: choose_steps(description['pipeline'], role) for role in STEPS}
    frames = description['window'].get('num_frames') or model.backbone.max_frames
    info = dict(skeleton=model.skeleton.name, num_frames=frames, dilation=description['window'].get('dilation') or 1,
                window=dict(description['window']), trained_mask=description.get('trained_mask'), **steps,
                **{name: description.get(name) for name in DATA_FACTS})
    return model.to(device or get_device()).eval(), info


def _move_body(model: dict, body_model: Path, source: str) -> dict:
    """Return the config of a model whose heads take their body from another place."""
    heads = {name: head for name, head in model.get('heads', {}).items() if 'body_model' in head}
    if not heads:
        raise ValueError(f'{source} holds a model without bodies, which has no use for the body model {body_model}')
    folder = body_model if body_model.is_dir() else body_model.parent
    moved = {}
    for name, head in heads.items():
        body = {**head['body_model'], 'path': str(body_model)}
        regressor = body.get('regressor')
        if regressor is not None and not os.path.isfile(regressor):
            body['regressor'] = str(folder / Path(regressor).name)
        moved[name] = {**head, 'body_model': body}
    return {**model, 'heads': {**model['heads'], **moved}}


def noted_classes(checkpoint: dict) -> Optional[list]:
    """Return the names of the classes that a checkpoint was trained on, if it says them."""
    description = _find_description(checkpoint) or {}
    return description.get('classes') or None


def choose_steps(pipeline: Sequence[Mapping], role: str) -> list:
    """Return the configs of the transforms of a pipeline that have a role of ``STEPS``."""
    return [step for step in pipeline if step['type'].rpartition('.')[2] in STEPS[role]]


def _find_description(checkpoint: dict) -> Optional[dict]:
    meta = checkpoint.get('meta')
    description = meta.get(META_KEY) if isinstance(meta, dict) else None
    is_whole = isinstance(description, dict) and {'model', 'window', 'pipeline'} <= set(description)
    return description if is_whole else None


def _without(config: Any, name: str) -> Any:
    """Return a config without a key, at every depth."""
    if isinstance(config, dict):
        return {key: _without(value, name) for key, value in config.items() if key != name}
    return [_without(entry, name) for entry in config] if isinstance(config, (list, tuple)) else config


def check_types(config: Any, source: str) -> None:
    """Refuse a config from a file that would build anything but this package's registered classes.

    A registry imports whatever a dotted ``type`` names, so an unchecked config could run any callable.
    """
    if isinstance(config, (list, tuple)):
        for entry in config:
            check_types(entry, source)
    if not isinstance(config, dict):
        return
    if config.get('_scope_', SCOPE) != SCOPE:
        raise ValueError(f"{source} asks to build in the scope {config['_scope_']!r}, not in this package; refused")
    name = config.get('type')
    if name is not None:
        plain = name[len(SCOPE) + 1:] if isinstance(name, str) and name.startswith(f'{SCOPE}.') else name
        for registry in (MODELS, TRANSFORMS):
            registry.import_from_location()
        if not isinstance(plain, str) or not (plain in MODELS.module_dict or plain in TRANSFORMS.module_dict):
            raise ValueError(f'{source} asks to build {name!r}, which is not a class of this package; refused')
    for entry in config.values():
        check_types(entry, source)


def _numpy_scalars_allowed() -> Any:
    """Return a context in which ``weights_only`` admits numpy scalars (torch >= 2.5)."""
    if not hasattr(torch.serialization, 'safe_globals'):
        return nullcontext()
    scalar = np.float64(0).__reduce__()[0]
    names = [(scalar, f'{module}.scalar') for module in ('numpy.core.multiarray', 'numpy._core.multiarray')]
    kinds = {type(np.dtype(kind)) for kind in ('f2', 'f4', 'f8', 'i4', 'i8', '?')}
    # What the process admits already, as after the repairs of `integrations`, stays as it is.
    admitted = set(map(global_name, torch.serialization.get_safe_globals()))
    return torch.serialization.safe_globals([entry for entry in (*names, np.dtype, *kinds)
                                             if global_name(entry) not in admitted])


def global_name(entry: Union[Callable, tuple]) -> str:
    """Return under which name torch admits an entry of ``torch.serialization.get_safe_globals()``."""
    return entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'


def _first_line(error: BaseException) -> str:
    return str(error).strip().split('\n')[0][:200]
