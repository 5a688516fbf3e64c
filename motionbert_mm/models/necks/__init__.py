"""Necks: one feature layout out of another."""
from motionbert_mm.models.necks.representation import RepresentationLayer

__all__ = ['RepresentationLayer']
