"""Skeleton facts and the data element shared by all tasks."""
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import Conversion, Skeleton, convert, get_skeleton

__all__ = ['Conversion', 'MotionSample', 'Skeleton', 'convert', 'get_skeleton']
