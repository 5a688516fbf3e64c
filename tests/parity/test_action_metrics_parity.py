"""Top-k accuracy and the one-shot rule of MotionBERT's action recognition."""
import numpy as np
import pytest

from motionbert_mm.evaluation import functional as F
from tests.parity.vectors import load_vector

TOLERANCE = 1e-4  # percent


@pytest.mark.parametrize('k', [1, 5])
def test_motionbert_top_k_accuracy(k):
    vector = load_vector('mb_eval_misc')
    logits, labels = vector.inputs['logits'], vector.inputs['labels']
    np.testing.assert_allclose(F.top_k_accuracy(logits, labels, k), vector.outputs[f'top{k}'].item(), rtol=0,
                               atol=TOLERANCE)


def test_motionbert_one_shot_accuracy():
    vector = load_vector('mb_eval_misc')
    found = F.nearest_exemplar(vector.inputs['queries'], vector.inputs['anchors'], vector.inputs['anchor_labels'])
    accuracy = 100 * (found == vector.inputs['query_labels']).mean()
    np.testing.assert_allclose(accuracy, 100 * vector.outputs['oneshot_accuracy'], rtol=0, atol=TOLERANCE)
