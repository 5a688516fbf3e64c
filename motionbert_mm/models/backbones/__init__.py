"""Backbones: (N, T, J, C_in) -> (N, T', J', D), one model per file."""
from motionbert_mm.models.backbones.dstformer import DSTformer

__all__ = ['DSTformer']
