import numpy as np
import pytest
import torch
from torch.nn import functional

from motionbert_mm.engine.optim import MotionOptimConstructor
from motionbert_mm.models.losses.action import supervised_contrastive
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton

BATCH, PERSONS, FRAMES, JOINTS, CLASSES = 4, 2, 9, 17, 5
FLIP = list(get_skeleton('h36m').flip_indices)
HEADS = dict(
    action=dict(type='ActionHead', num_classes=CLASSES, hidden_channels=32, losses=[dict(type='CrossEntropyLoss')]),
    embed=dict(type='EmbeddingHead', out_channels=12, losses=[dict(type='SupConLoss')]))


@pytest.fixture
def make(tiny_model):
    """Make the tiny model with one of the heads, all weights random; ``changes`` are of the head."""
    def make_one(name='action', frozen=(), **changes):
        torch.manual_seed(0)
        model = build(MODELS, dict(tiny_model, heads={name: {**HEADS[name], **changes}}, frozen=frozen))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        return model
    return make_one


def example(persons=PERSONS, batch=BATCH):
    return torch.randn(batch, persons, FRAMES, JOINTS, 3, generator=torch.Generator().manual_seed(1))


def samples(labels=(0, 1, 0, 1), **fields):
    return MotionSample(metainfo=dict(skeleton='h36m', sample_id=[f's{number}' for number in range(len(labels))]),
                        label=torch.tensor(labels), **fields)


def head_of(**changes):
    return build(MODELS, dict(HEADS['action'], in_channels=8, drop=0.0, **changes))


def logits_for(model, inputs):
    return model.run_heads(model(inputs), num_persons=inputs.shape[1])['action']


def test_persons_are_averaged_before_the_layers(make):
    model, inputs = make().eval(), example()
    features = model(inputs).unflatten(0, (BATCH, PERSONS))
    pooled = features.mean(dim=(1, 2)).flatten(1)  # (B, J * D), channels fastest
    head = model.heads['action']
    torch.testing.assert_close(logits_for(model, inputs), head.fc2(head.norm(head.fc1(pooled)).relu()))
    torch.testing.assert_close(pooled[0, 8:16], features[0, :, :, 1].mean(dim=(0, 1)))


@pytest.mark.parametrize('name', HEADS)
def test_the_order_of_persons_does_not_matter_but_each_of_them_does(make, name):
    model, inputs = make(name).eval(), example()
    changed = inputs.clone()
    changed[:, 1] = 0.0
    output, turned, without = (model.run_heads(model(each), num_persons=PERSONS)[name]
                               for each in (inputs, inputs.flip(1), changed))
    torch.testing.assert_close(turned, output)
    assert (without - output).abs().amax(dim=-1).min() > 1e-3


def test_twice_the_same_person_is_one_person(make):
    model, inputs = make().eval(), example(persons=1)
    torch.testing.assert_close(logits_for(model, inputs.expand(-1, 2, -1, -1, -1)), logits_for(model, inputs))


@pytest.mark.parametrize('name', HEADS)
def test_dropout_is_on_in_training_alone(make, name):
    model, features = make(name), torch.randn(BATCH, PERSONS, FRAMES, JOINTS, 8)
    head = model.heads[name]
    assert not torch.equal(head.train().pool(features), head.pool(features))
    torch.testing.assert_close(head.eval()(features), head(features), rtol=0, atol=0)
    assert head.drop.p == dict(action=0.5, embed=0.1)[name]


def test_predictions_are_probabilities_and_unit_vectors(make):
    model, inputs = make().eval(), example()
    predictions = model(inputs, samples(), mode='predict')
    scores = torch.stack([sample.scores for sample in predictions])
    torch.testing.assert_close(scores, logits_for(model, inputs).softmax(-1))
    assert [sample.sample_id for sample in predictions] == ['s0', 's1', 's2', 's3']
    embeddings = torch.stack([sample.embedding for sample in make('embed').eval()(inputs, samples(), mode='predict')])
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(BATCH))


def test_mixed_labels_make_the_mixture_of_both_losses(make):
    model, inputs = make(drop=0.0).eval(), example()
    first, second, share = (0, 1, 2, 3), (4, 0, 2, 1), torch.tensor([0.25, 1.0, 0.5, 0.0])
    mixed = model(inputs, samples(first, label_2=torch.tensor(second), label_share=share), mode='loss')
    logits = logits_for(model, inputs)
    losses = [functional.cross_entropy(logits, torch.tensor(labels), reduction='none') for labels in (first, second)]
    torch.testing.assert_close(mixed['action.loss_class'], (share * losses[0] + (1 - share) * losses[1]).mean())


def test_label_smoothing_is_that_of_torch(make):
    model, inputs = make(drop=0.0, losses=[dict(type='CrossEntropyLoss', label_smoothing=0.1, weight=2.0)]), example()
    labels = torch.tensor([0, 1, 2, 4])
    loss = model.eval()(inputs, samples(labels.tolist()), mode='loss')['action.loss_class']
    expected = functional.cross_entropy(logits_for(model, inputs), labels, label_smoothing=0.1)
    torch.testing.assert_close(loss, 2.0 * expected)


@pytest.mark.parametrize('share', [-0.1, 1.5])
def test_label_smoothing_is_a_share(share):
    with pytest.raises(ValueError, match=f'label_smoothing is a share, 0 to 1, got {share}'):
        build(MODELS, dict(type='CrossEntropyLoss', label_smoothing=share))


@pytest.mark.parametrize('label', [-1, CLASSES])
def test_a_label_that_is_no_class_is_refused(label):
    features = torch.randn(BATCH, PERSONS, FRAMES, JOINTS, 8)
    with pytest.raises(ValueError, match=r'labels run from -?\d to \d, but ActionHead has 5 classes; set num_classes'):
        head_of().loss(features, samples((0, 1, 2, label)))
    with pytest.raises(ValueError, match='ActionHead has 5 classes'):
        head_of().loss(features, samples(label_2=torch.tensor([0, 0, 0, label]), label_share=torch.ones(BATCH)))


@pytest.mark.parametrize('num_classes', [None, 0])
def test_a_head_needs_its_number_of_classes(num_classes):
    with pytest.raises(ValueError, match=f'num_classes={num_classes}; give the number .num_classes=K., or train by'):
        head_of(num_classes=num_classes)


def test_flip_averaging_gives_the_mean_probabilities(make):
    model, inputs = make().eval(), example()
    expected = sum(logits_for(model, each).softmax(-1) for each in (inputs, mirror_inputs(inputs, FLIP))) / 2
    model.flip_test = True
    predictions = model(inputs, samples(), mode='predict')
    torch.testing.assert_close(torch.stack([sample.scores for sample in predictions]), expected)
    assert not torch.allclose(expected, logits_for(model, inputs).softmax(-1), atol=1e-3)


def test_flip_averaging_gives_the_direction_between_both_embeddings(make):
    model, inputs = make('embed').eval(), example()
    both = [model.run_heads(model(each), num_persons=PERSONS)['embed']
            for each in (inputs, mirror_inputs(inputs, FLIP))]
    model.flip_test = True
    predictions = torch.stack([sample.embedding for sample in model(inputs, samples(), mode='predict')])
    torch.testing.assert_close(predictions.norm(dim=-1), torch.ones(BATCH))
    similarity = [functional.cosine_similarity(predictions, each) for each in both]
    torch.testing.assert_close(similarity[0], similarity[1])
    assert similarity[0].min() > 0.0


def test_a_frozen_backbone_keeps_its_statistics_and_gets_no_gradient():
    backbone = dict(type='TemporalConvNet', dim=4, channels=16, filter_widths=(3, 3))
    model = build(MODELS, dict(type='MotionModel', backbone=backbone, heads=dict(action=HEADS['action']),
                               frozen=['backbone']))
    statistics = {name: value.clone() for name, value in model.backbone.named_buffers()}
    assert any(name.endswith('running_mean') for name in statistics)
    loss = model.train()(example(), samples(), mode='loss')['action.loss_class']
    loss.backward()
    for name, value in model.backbone.named_buffers():
        torch.testing.assert_close(value, statistics[name], rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    assert all(parameter.grad is not None for parameter in model.heads.parameters())
    assert model.heads['action'].norm.num_batches_tracked == 1


def test_heads_learn_ten_times_as_fast_as_the_backbone(make):
    model = make()
    constructor = MotionOptimConstructor(dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01)),
                                         dict(backbone_lr_mult=0.1))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(parameter)]: group['lr'] for group in constructor(model).optimizer.param_groups
             for parameter in group['params']}
    assert rates.keys() == dict(model.named_parameters()).keys()
    for name, rate in rates.items():
        assert rate == pytest.approx(1e-4 if name.startswith('backbone.') else 1e-3), name


@pytest.mark.parametrize('labels, expected', [((0, 1, 2, 3), False), ((0, 1, 2, 2), True)])
def test_a_batch_without_pairs_gives_zero_that_still_reaches_every_parameter(make, labels, expected):
    model = make('embed')
    loss = model.train()(example(), samples(labels), mode='loss')['embed.loss_supcon']
    loss.backward()
    assert torch.isfinite(loss) and (loss > 0) == expected
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients) == expected


def test_contrastive_loss_of_equal_embeddings_counts_the_others():
    embeddings, labels = torch.eye(8)[torch.zeros(6, dtype=torch.long)], torch.tensor([0, 0, 0, 1, 1, 1])
    loss = supervised_contrastive(embeddings, labels, temperature=0.1, base_temperature=0.1)
    assert loss == pytest.approx(np.log(5))


def test_contrastive_loss_is_least_for_classes_apart():
    labels = torch.tensor([0, 0, 1, 1])
    apart, joined = torch.eye(4)[[0, 0, 1, 1]], torch.eye(4)[[0, 1, 0, 1]]
    assert supervised_contrastive(apart, labels) < 0.01 < 10.0 < supervised_contrastive(joined, labels)


@pytest.mark.parametrize('temperatures', [(0.0, 0.07), (0.1, -1.0)])
def test_temperatures_are_positive(temperatures):
    with pytest.raises(ValueError, match='temperatures must be positive'):
        build(MODELS, dict(type='SupConLoss', temperature=temperatures[0], base_temperature=temperatures[1]))


@pytest.mark.parametrize('name', HEADS)
def test_training_in_bfloat16_is_finite_and_near_float32(make, name):
    model, inputs = make(name, drop=0.0).train(), example()
    exact = sum(model(inputs, samples(), mode='loss').values())
    with torch.autocast('cpu', torch.bfloat16):
        loss = sum(model(inputs, samples(), mode='loss').values())
    loss.backward()
    assert loss.item() == pytest.approx(exact.item(), rel=0.1)
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    assert any(parameter.grad.any() for parameter in model.backbone.parameters())


def test_mixed_labels_in_bfloat16(make):
    model, fields = make(drop=0.0).train(), dict(label_2=torch.tensor([1, 1, 2, 2]), label_share=torch.full((4,), 0.3))
    exact = model(example(), samples(**fields), mode='loss')['action.loss_class']
    with torch.autocast('cpu', torch.bfloat16):
        loss = model(example(), samples(**fields), mode='loss')['action.loss_class']
    assert loss.item() == pytest.approx(exact.item(), rel=0.1)


def test_a_last_batch_of_one_sample_uses_running_statistics():
    head = build(MODELS, dict(type='ActionHead', in_channels=8, num_classes=3, hidden_channels=16, drop=0.0))
    features = torch.randn(4, 2, 5, 17, 8, generator=torch.Generator().manual_seed(0))
    head.train()(features)
    before = head.norm.running_mean.clone()
    trained = head(features[:1])
    torch.testing.assert_close(trained, head.eval()(features[:1]), rtol=0, atol=1e-6)
    assert torch.equal(head.norm.running_mean, before)
