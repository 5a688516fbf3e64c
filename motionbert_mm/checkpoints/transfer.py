"""Weights of one part of a network as the start of another."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

NECK, FRAMES = 'neck.', 'neck.branches.frames.'


def fit_branches(state_dict: Mapping[str, Tensor], expected: Iterable[str]) -> dict[str, Tensor]:
    """Give the weights of a neck the names that they have in a model with, or without, ``FeatureBranches``.

    The neck of MotionBERT is the branch ``frames`` of a model that is aligned with text; finetuned for poses alone,
    that model has no branches again. What has no place then, and what is new, keeps its name.

    Args:
        state_dict: of a ``MotionModel``.
        expected: keys of the model to load it into.

    Returns:
        The state dict, in the same order.
    """
    has_branches = any(key.startswith(FRAMES) for key in expected)
    if has_branches == any(key.startswith(FRAMES) for key in state_dict):
        return dict(state_dict)
    old, new = (NECK, FRAMES) if has_branches else (FRAMES, NECK)
    return {new + key[len(old):] if key.startswith(old) else key: value for key, value in state_dict.items()}


def frames_only(state_dict: Mapping[str, Tensor], model: Mapping) -> tuple[dict[str, Tensor], dict]:
    """Take out of a model that is aligned with text what finds poses: the features of frames, and their heads.

    The class token stays in the backbone, since the frames look at it.

    Args:
        state_dict: of a ``MotionModel`` with the branch ``frames``; of another it stays as it is.
        model: its config.

    Returns:
        State dict and config of the rest.

    Raises:
        ValueError: no head reads the frames.
    """
    neck = model.get('neck')
    if not isinstance(neck, Mapping) or 'frames' not in neck.get('branches', {}):
        return dict(state_dict), dict(model)
    heads = {name: {key: value for key, value in head.items() if key != 'source'}
             for name, head in model['heads'].items() if head.get('source') == 'frames'}
    if not heads:
        raise ValueError(f'none of the heads {", ".join(model["heads"])} reads source=\'frames\'; nothing is left '
                         'without text')
    backbone = {key: value for key, value in model['backbone'].items() if key not in ('gives_token', 'tap_layer')}
    predicts = [name for name in model.get('predicts') or heads if name in heads]
    rest = dict(model, backbone=backbone, neck=neck['branches']['frames'], heads=heads,
                predicts=predicts or list(heads))
    prefixes = ('backbone.', FRAMES, *(f'heads.{name}.' for name in heads))
    kept = {key: value for key, value in state_dict.items() if key.startswith(prefixes)}
    return fit_branches(kept, ()), rest


def decoder_to_reduction(state_dict: Mapping[str, Tensor], *, head: str, width: int) -> dict[str, Tensor]:
    """Make a decoder of stage I the start of the strided transformer of stage II.

    The paper of MPM (arXiv 2306.17201v1) starts the first strided layer from the 3D decoder, but does not say how a
    layer becomes one with a wider convolution; the released code leaves it out. Here the decoder's map lies under the
    middle tap, zeros under the others: the strided layer then is the decoder's layer, of whose tokens every s-th is
    kept. Positions and the output of the centre frame come from the decoder too.

    Args:
        state_dict: of a model with ``RestoreFrames`` and the head.
        head: name of a head with a ``FrameDecoder``.
        width: taps of the first strided layer.

    Returns:
        Weights of ``neck`` and ``heads.centre``, see ``StridedReduction``.

    Raises:
        ValueError: no such decoder.
    """
    decoder = f'heads.{head}.output.'
    layer = {key[len(decoder) + len('layers.0.'):]: value for key, value in state_dict.items()
             if key.startswith(f'{decoder}layers.0.')}
    if not layer or 'neck.frame_embed' not in state_dict:
        heads = sorted({key.split('.')[1] for key in state_dict if key.startswith('heads.')})
        raise ValueError(f'the checkpoint has no decoder of a head {head!r} behind RestoreFrames; its heads are '
                         f'{heads}')
    first = {key: value for key, value in layer.items() if not key.startswith('mlp.')}
    weight = layer['mlp.fc2.weight']  # (D, hidden)
    taps = weight.new_zeros(len(weight), width, weight.shape[1])
    taps[:, width // 2] = weight
    first.update({'fc.weight': layer['mlp.fc1.weight'], 'fc.bias': layer['mlp.fc1.bias'],
                  'conv.weight': taps.flatten(1), 'conv.bias': layer['mlp.fc2.bias']})
    outputs = {f'heads.centre.output.{key}': state_dict[f'{decoder}{key}']
               for key in ('norm.weight', 'norm.bias', 'norm.running_mean', 'norm.running_var',
                           'norm.num_batches_tracked', 'fc.weight', 'fc.bias')}
    return {'neck.transformer.positions.0': state_dict['neck.frame_embed'], **outputs,
            **{f'neck.transformer.layers.0.{key}': value for key, value in first.items()}}
