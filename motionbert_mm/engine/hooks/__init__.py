"""Hooks of the Runner."""
from motionbert_mm.engine.hooks.curriculum import CurriculumHook
from motionbert_mm.engine.hooks.decoder_transfer import DecoderTransferHook
from motionbert_mm.engine.hooks.main_process_logger import MainProcessLoggerHook
from motionbert_mm.engine.hooks.plain_checkpoint import PlainCheckpointHook
from motionbert_mm.engine.hooks.step_seed import StepSeedHook
from motionbert_mm.engine.hooks.text_encoder import TextEncoderHook

__all__ = ['CurriculumHook', 'DecoderTransferHook', 'MainProcessLoggerHook', 'PlainCheckpointHook', 'StepSeedHook',
           'TextEncoderHook']
