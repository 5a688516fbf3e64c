"""Stage II starts from the decoder of stage I."""
from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook

from motionbert_mm.checkpoints.transfer import decoder_to_reduction
from motionbert_mm.models.necks.strided_reduction import StridedReduction
from motionbert_mm.registry import HOOKS


@HOOKS.register_module()
class DecoderTransferHook(Hook):
    """Start MPM's strided transformer from the 3D decoder of the checkpoint in ``load_from``.

    See ``decoder_to_reduction``. Acts when a checkpoint is loaded that has the decoder and no strided transformer, so
    neither when a run is resumed nor when stage II itself is loaded.

    Args:
        head: name of the head of stage I.
    """

    priority = 'NORMAL'  # before PlainCheckpointHook, which reports what of the checkpoint fits

    def __init__(self, head: str = 'pose_3d') -> None:
        self.head = head

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Add the weights to the checkpoint.

        Raises:
            TypeError: the model has no ``StridedReduction``.
            ValueError: the checkpoint has no such decoder.
        """
        state_dict = checkpoint.get('state_dict', checkpoint)
        if any(key.startswith('neck.transformer.') for key in state_dict):
            return
        neck = getattr(runner.model, 'module', runner.model).neck
        if not isinstance(neck, StridedReduction):
            raise TypeError(f'DecoderTransferHook starts a StridedReduction, but model.neck is {type(neck).__name__}; '
                            'leave the hook out of custom_hooks')
        added = decoder_to_reduction(state_dict, head=self.head, width=neck.transformer.layers[0].width)
        state_dict.update(added)
        runner.logger.info(f'{len(added)} entries of neck and heads.centre start from the decoder of {self.head}')
