"""Trained models as plain functions."""
from motionbert_mm.apis.attention import AttentionMap, attention_maps, recorded_attention
from motionbert_mm.apis.inference import Lifter, LiftResult

__all__ = ['AttentionMap', 'LiftResult', 'Lifter', 'attention_maps', 'recorded_attention']
