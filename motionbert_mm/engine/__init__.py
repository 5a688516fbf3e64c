"""What the Runner uses besides models and data: loop, hooks, optimizer groups, process groups."""
from motionbert_mm.engine.hooks import CurriculumHook, MainProcessLoggerHook, PlainCheckpointHook, StepSeedHook
from motionbert_mm.engine.loops import ResumableEpochLoop
from motionbert_mm.engine.optim import BFloat16OptimWrapper, MotionOptimConstructor

__all__ = ['BFloat16OptimWrapper', 'CurriculumHook', 'MainProcessLoggerHook', 'MotionOptimConstructor',
           'PlainCheckpointHook', 'ResumableEpochLoop', 'StepSeedHook']
