"""Action heads and the contrastive loss against the official classes; tolerances as the vectors' README states."""
import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from motionbert_mm.checkpoints.official import rename_keys
from motionbert_mm.models.losses.action import SupConLoss, supervised_contrastive
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from tests.parity.official_model import load_official_action, make_action_model
from tests.parity.vectors import assert_close, load_vector

ABSOLUTE = 2e-5  # networks
RELATIVE = 1e-5  # gradients, to the largest entry
HEAD = (('fc1.', 'fc1.'), ('bn.', 'norm.'), ('fc2.', 'fc2.'))
CLASS_DEFAULTS = dict(temperature=0.07, base_temperature=0.07)  # of the official loss; its training passes 0.1
# Not covered: only the first view as anchors, and a given mask of positives. No official training uses them.
SUPCON = {'oneshot', 'grad_oneshot', 'views2_all', 'simclr', 'default_temperature', 'lonely', 'views2_one', 'mask'}


def assert_near(actual, expected):
    actual = actual.detach().numpy()
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ABSOLUTE)


def run_model(name, head):
    """Output of a head of the whole model for recorded inputs (N, M, T, J, C)."""
    vector = load_vector(name)
    model = load_official_action(make_action_model(vector.meta['args']), vector.state_dict).eval()
    inputs = torch.from_numpy(vector.inputs['x'])
    with torch.no_grad():
        output = model.run_heads(model(inputs), num_persons=inputs.shape[1])[head]
    return vector, model, output


def load_head():
    vector = load_vector('mb_action_class_head')
    args = vector.meta['args']
    assert set(args) == {'dropout_ratio', 'dim_rep', 'num_classes', 'num_joints', 'hidden_dim'}
    head = build(MODELS, dict(
        type='ActionHead', in_channels=args['dim_rep'], num_classes=args['num_classes'], num_tokens=args['num_joints'],
        hidden_channels=args['hidden_dim'], drop=args['dropout_ratio'], losses=[dict(type='CrossEntropyLoss')]))
    renamed, unmatched = rename_keys(vector.state_dict, HEAD)
    assert unmatched == []
    head.load_state_dict(renamed, strict=True)
    return vector, head


def test_class_scores_of_the_whole_model():
    vector, model, logits = run_model('mb_action_class', 'action')
    assert_near(logits, vector.outputs['logits'])
    samples = MotionSample(metainfo=dict(skeleton='h36m', sample_id=list(range(len(logits)))))
    predictions = model(torch.from_numpy(vector.inputs['x']), samples, mode='predict')
    scores = torch.from_numpy(vector.outputs['logits']).softmax(dim=-1)
    assert_near(torch.stack([sample.scores for sample in predictions]), scores.numpy())


def test_the_hidden_layer_of_the_class_head_has_its_own_width():
    args = load_vector('mb_action_class').meta['args']
    assert make_action_model(args).heads['action'].fc1.weight.shape == (2048, args['dim_rep'] * args['num_joints'])


def test_embeddings_of_the_whole_model():
    vector, _, embedding = run_model('mb_action_embed', 'embed')
    assert_near(embedding, vector.outputs['embed'])
    assert_near(embedding.norm(dim=-1), np.ones(len(embedding)))


def test_class_head_in_evaluation():
    vector, head = load_head()
    with torch.no_grad():
        assert_near(head.eval()(torch.from_numpy(vector.inputs['feat'])), vector.outputs['logits'])


def test_class_head_in_training():
    vector, head = load_head()
    features = torch.from_numpy(vector.inputs['feat']).requires_grad_()
    seen = []
    head.register_forward_hook(lambda module, args, output: seen.append(output))
    losses = head.train().loss(features, MotionSample(label=torch.from_numpy(vector.inputs['labels'])))
    assert list(losses) == ['loss_class']
    losses['loss_class'].backward()
    outputs = vector.outputs
    assert_near(seen[0], outputs['train_logits'])
    assert_near(losses['loss_class'], outputs['train_ce'])
    assert_near(head.norm.running_mean, outputs['train_running_mean'])
    assert_near(head.norm.running_var, outputs['train_running_var'])
    assert int(head.norm.num_batches_tracked) == int(outputs['train_num_batches_tracked'])
    assert_close(head.fc2.weight.grad, outputs['grad_fc2_weight'], RELATIVE)
    assert_close(head.norm.weight.grad, outputs['grad_bn_weight'], RELATIVE)
    assert_close(features.grad, outputs['grad_feat'], RELATIVE)


def test_contrastive_loss_and_its_gradient():
    vector = load_vector('mb_supcon')
    embeddings = torch.from_numpy(vector.inputs['f1']).requires_grad_()
    loss = SupConLoss(**vector.meta['args'])(embeddings[:, 0], torch.from_numpy(vector.inputs['labels']))
    loss.backward()
    assert_near(loss, vector.outputs['oneshot'])
    assert_close(embeddings.grad, vector.outputs['grad_oneshot'], RELATIVE)


def test_contrastive_loss_has_the_temperatures_of_the_official_run():
    loss = SupConLoss()
    assert (loss.temperature, loss.base_temperature) == (0.1, 0.07)


@pytest.mark.parametrize('key', ['views2_all', 'simclr', 'default_temperature'])
def test_views_are_samples_of_one_class(key):
    vector = load_vector('mb_supcon')
    views = torch.from_numpy(vector.inputs['f2'])
    labels = torch.arange(len(views)) if key == 'simclr' else torch.from_numpy(vector.inputs['labels2'])
    loss = supervised_contrastive(views.flatten(0, 1), labels.repeat_interleave(views.shape[1]),
                                  **(vector.meta['args'] if key != 'default_temperature' else CLASS_DEFAULTS))
    assert_near(loss, vector.outputs[key])


def test_a_sample_alone_in_its_class_does_not_count_where_the_official_loss_is_nan():
    vector = load_vector('mb_supcon')
    assert np.isnan(vector.outputs['lonely'])
    embeddings, labels = vector.inputs['f1'][:, 0].astype(np.float64), vector.inputs['lonely']
    temperature, base = vector.meta['args']['temperature'], vector.meta['args']['base_temperature']
    similarity = np.exp(embeddings @ embeddings.T / temperature)
    terms = []
    for anchor in range(len(labels)):
        partners = [other for other in range(len(labels)) if labels[other] == labels[anchor] and other != anchor]
        total = similarity[anchor].sum() - similarity[anchor, anchor]
        terms += [-np.log(similarity[anchor, partners] / total).mean()] if partners else []
    assert 0 < len(terms) < len(labels)
    loss = supervised_contrastive(torch.from_numpy(embeddings).float(), torch.from_numpy(labels), temperature, base)
    assert_near(loss, np.array(temperature / base * np.mean(terms)))


def test_recorded_embeddings_have_unit_norm_and_every_recorded_case_is_known():
    vector = load_vector('mb_supcon')
    assert set(vector.outputs) == SUPCON
    for name in ('f1', 'f2'):
        embeddings = torch.from_numpy(vector.inputs[name])
        assert_near(embeddings, normalize(embeddings, dim=-1).numpy())
