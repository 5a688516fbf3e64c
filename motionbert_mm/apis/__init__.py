"""Trained models as plain functions."""
from motionbert_mm.apis.attention import AttentionMap, attention_maps, recorded_attention
from motionbert_mm.apis.inference import Lifter, LiftResult
from motionbert_mm.apis.labelling import ActionLabeller, LabelResult
from motionbert_mm.apis.mesh import MeshRecoverer, MeshResult
from motionbert_mm.apis.search import MotionSearch
from motionbert_mm.apis.text_scores import TextScorer, TextScores, score_texts

__all__ = ['ActionLabeller', 'AttentionMap', 'LabelResult', 'LiftResult', 'Lifter', 'MeshRecoverer', 'MeshResult',
           'MotionSearch', 'TextScorer', 'TextScores', 'attention_maps', 'recorded_attention', 'score_texts']
