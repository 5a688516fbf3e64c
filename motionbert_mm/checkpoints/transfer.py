"""Weights of one part of a network as the start of another."""
from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


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
