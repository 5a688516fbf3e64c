"""Trained models as plain functions."""
from motionbert_mm.apis.inference import Lifter, LiftResult

__all__ = ['LiftResult', 'Lifter']
