import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch.nn import functional as F

from motionbert_mm.checkpoints.load import META_KEY, load_model
from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.engine.hooks import PlainCheckpointHook
from motionbert_mm.models.heads.text import list_candidates
from motionbert_mm.models.losses.alignment import focal_divergence
from motionbert_mm.models.text_encoder import TextEncoder
from motionbert_mm.models.word_pieces import train_vocabulary
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from tests.generated import NUM_FRAMES, make_config
from tests.minimal import TINY_TEXT
from tests.models.test_text_encoder import counted

WALK, WAVE, JUMP = 'a person walks', 'a person waves', 'a person jumps'
MODEL = dict(
    type='MotionModel',
    backbone=dict(type='ActionPoseEncoder', gives_token=True, tap_layer=1, max_frames=NUM_FRAMES, dim=16, depth=2,
                  num_heads=2),
    neck=dict(type='FeatureBranches', branches=dict(
        frames=dict(type='RepresentationLayer', out_channels=8),
        token=dict(type='PosePooling', out_channels=12, drop=0.0))),
    heads=dict(
        pose=dict(type='PoseLiftHead', source='frames', losses=[dict(type='MPJPELoss')]),
        text=dict(type='TextAlignHead', source='token', drop=0.0, text_encoder=TINY_TEXT,
                  losses=[dict(type='AlignmentLoss')])))
PIPELINE = [dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['target_3d', 'keypoints_3d'])]


def make(config=MODEL, **options):
    torch.manual_seed(0)
    model = build(MODELS, {**copy.deepcopy(config), **options})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def load(store, indices=(0, 20, 40), text=(WALK, WAVE, WALK), negatives=((WAVE, JUMP), (WALK, ''), (JUMP, WAVE)),
         **extra):
    dataset = MotionDataset(str(store), window=dict(num_frames=NUM_FRAMES), pipeline=PIPELINE)
    batch = collate_batch(dataset.__getitems__(list(indices)))
    batch['data_samples'].set_metainfo(dict(text=list(text), negatives=list(map(list, negatives)), **extra))
    return batch


@pytest.fixture
def batch(tiny_store):
    return load(tiny_store)


def test_the_loss_is_that_of_the_true_text_among_the_wrong_ones(batch):
    model = make()
    losses = model(**batch, mode='loss')
    assert set(losses) == {'pose.loss_mpjpe', 'text.loss_align'}
    motions = F.normalize(model(batch['inputs'])['token'][:, 0, 0], dim=-1)
    walk, wave, jump = model.heads['text'].embed_texts([WALK, WAVE, JUMP])
    rows = [(walk, wave, jump), (wave, walk), (walk, jump, wave)]
    expected = [focal_divergence((motion @ torch.stack(row).T / 0.1)[None], torch.eye(len(row))[:1])
                for motion, row in zip(motions, rows)]
    torch.testing.assert_close(losses['text.loss_align'], torch.cat(expected).mean(), rtol=1e-4, atol=1e-5)


def test_every_text_of_a_batch_is_encoded_once(batch):
    model = make()
    _, texts = counted(model.heads['text'].text_encoder)
    model(**batch, mode='loss')
    assert sorted(texts) == sorted([WALK, WAVE, JUMP])


def test_candidates_of_a_batch():
    texts, places, target, allowed = list_candidates(
        [WALK, '', WAVE], [[WAVE, '', WALK, WAVE, 'a'], [WAVE], []], [[JUMP, WALK], [JUMP], []])
    rows = [[(texts[place], share.item()) for place, share, counts in zip(*row) if counts]
            for row in zip(places, target, allowed)]
    assert texts == [WALK, JUMP, WAVE, 'a']
    assert rows == [[(WALK, 0.5), (JUMP, 0.5), (WAVE, 0.0), ('a', 0.0)], [], [(WAVE, 1.0)]]
    assert not target[1].any() and target.shape == (3, 4)


def test_samples_without_text_add_nothing(tiny_store):
    model = make()
    some = model(**load(tiny_store, text=(WALK, '', '')), mode='loss')['text.loss_align']
    alone = model(**load(tiny_store, indices=[0], text=[WALK], negatives=[[WAVE, JUMP]]), mode='loss')
    torch.testing.assert_close(some, alone['text.loss_align'])
    assert some > 0


@pytest.mark.parametrize('change', [dict(text=('', '', '')), dict(negatives=None)])
def test_batches_without_text_still_reach_every_parameter(tiny_store, change):
    model, batch = make().train(), load(tiny_store)
    if 'text' in change:
        batch['data_samples'].set_metainfo(change)
    else:
        batch['data_samples'] = MotionSample(
            metainfo={key: value for key, value in batch['data_samples'].metainfo_items() if key != 'negatives'},
            target_3d=batch['data_samples'].target_3d)
    losses = model(**batch, mode='loss')
    assert set(losses) == {'pose.loss_mpjpe'}
    sum(losses.values()).backward()
    assert not [name for name, value in model.named_parameters() if value.grad is None]
    assert not any(value.grad.any() for value in model.heads['text'].parameters())


@pytest.mark.parametrize('text', [(WALK, WAVE, WALK), (WALK, '', '')])
def test_every_step_gives_every_parameter_a_gradient(tiny_store, text):
    model = make().train()
    losses = model(**load(tiny_store, text=text), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert not [name for name, value in model.named_parameters() if value.grad is None]
    still = [name for name, value in model.named_parameters() if not value.grad.any()]
    assert not [name for name in still if 'text_encoder' not in name]


def test_training_brings_motions_to_their_texts(tiny_store):
    batch = load(tiny_store, text=(WALK, WAVE, JUMP), negatives=((WAVE, JUMP), (WALK, JUMP), (WALK, WAVE)))
    batch['inputs'] = torch.randn(3, 1, 1, 1, 3, generator=torch.Generator().manual_seed(0)).expand(3, 1, 9, 17, 3)
    config = copy.deepcopy(MODEL)
    config['backbone'].update(dim=64)
    config['heads']['text']['text_encoder'] = dict(TINY_TEXT, average_tokens=True,
                                                   bert=dict(TINY_TEXT['bert'], hidden_size=64))
    torch.manual_seed(1)
    model = build(MODELS, config)
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=3e-3))
    first, *_, last = [model.train_step(batch, wrapper)['text.loss_align'].item() for _ in range(16)]
    assert last < 0.2 * first


def test_a_motion_has_an_embedding_of_unit_norm(batch):
    model = make()
    predictions = model(**batch, mode='predict')
    assert all(sample.embedding.shape == (12,) and sample.keypoints_3d.shape == (1, 9, 17, 3) for sample in predictions)
    embeddings = torch.stack([sample.embedding for sample in predictions])
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(embeddings, F.normalize(model(batch['inputs'])['token'][:, 0, 0], dim=-1))


def test_a_mirrored_motion_has_other_words(batch):
    plain, flipped = make()(**batch, mode='predict'), make(flip_test=True)(**batch, mode='predict')
    for one, other in zip(plain, flipped):
        assert torch.equal(one.embedding, other.embedding) and not torch.equal(one.keypoints_3d, other.keypoints_3d)


def test_several_persons_are_averaged(people_store):
    batch = load(people_store, indices=[0, 6], text=(WALK, WAVE), negatives=((WAVE,), (WALK,)))
    model = make()
    assert batch['inputs'].shape[:2] == (2, 2)
    persons = model(batch['inputs'])['token'].unflatten(0, (2, 2))[:, :, 0, 0]
    expected = F.normalize(persons.mean(dim=1), dim=-1)
    got = torch.stack([sample.embedding for sample in model(**batch, mode='predict')])
    torch.testing.assert_close(got, expected)
    assert model(**batch, mode='loss')['text.loss_align'] > 0


def test_any_backbone_can_be_aligned_by_the_mean_of_its_frames(batch):
    backbone = dict(type='DSTformer', max_frames=NUM_FRAMES, dim=16, depth=1, num_heads=2)
    model = make(backbone=backbone)
    features = model.backbone(batch['inputs'].flatten(0, 1))
    expected = model.neck.branches['token'](features.mean(dim=1, keepdim=True))
    torch.testing.assert_close(model(batch['inputs'])['token'], expected)
    assert model(**batch, mode='loss')['text.loss_align'] > 0


def test_features_that_are_not_one_vector_are_refused():
    heads = dict(text=dict(MODEL['heads']['text'], source='frames'))
    with pytest.raises(ValueError, match="source='frames' has 17 tokens in every frame; add .*PosePooling"):
        make(heads=heads)


def test_an_argument_that_the_text_encoder_does_not_take_is_named():
    with pytest.raises(TypeError, match='text_encoder has layers, which TextEncoder does not take; it takes path, voc'):
        make(heads=dict(text=dict(MODEL['heads']['text'], text_encoder=dict(TINY_TEXT, layers=3))))


@pytest.mark.parametrize('texts', [[], ['walk', ' '], [['walk']]])
def test_texts_without_words_are_refused(texts):
    with pytest.raises(ValueError, match='expected a list of texts with words in them, got'):
        make().heads['text'].embed_texts(texts)


def test_a_frozen_text_encoder_is_not_trained_and_encodes_a_text_once(batch):
    model = make(frozen=['heads.text.text_encoder']).train()
    encoder, texts = counted(model.heads['text'].text_encoder)
    for _ in range(2):
        model.zero_grad()
        model(**batch, mode='loss')['text.loss_align'].backward()
    assert sorted(texts) == sorted([WALK, WAVE, JUMP]) and not encoder.training
    assert all(value.grad is None for value in encoder.parameters())
    assert all(value.grad.any() for value in model.heads['text'].text_pooling.parameters())


def test_training_goes_on_after_inference(batch):
    model = make(frozen=['heads.text.text_encoder'])
    with torch.inference_mode():
        model.heads['text'].embed_texts([WALK, WAVE])
    model.train()(**batch, mode='loss')['text.loss_align'].backward()
    assert all(value.grad.any() for value in model.heads['text'].text_pooling.parameters())


def test_the_loss_is_that_of_full_precision_in_bfloat16(batch):
    model = make()
    head, samples = model.heads['text'], batch['data_samples']
    motions = head(model(batch['inputs'])['token'].unflatten(0, (3, 1))).detach()
    texts = head.embed_texts([WALK, WAVE, JUMP]).detach()
    head.embed_texts = lambda names: texts[[[WALK, WAVE, JUMP].index(name) for name in names]]
    expected = head.compare(motions, samples)['loss_align']
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(head.compare(motions, samples)['loss_align'], expected)


def write_run(folder, store):
    """A model whose words are in a file, and its checkpoint as the Runner writes it."""
    words = train_vocabulary([WALK, WAVE, JUMP], 100)
    (folder / 'vocab.txt').write_text('\n'.join(words) + '\n')
    config = make_config(store)
    config.model = copy.deepcopy(MODEL)
    encoder = {key: value for key, value in TINY_TEXT.items() if key != 'vocabulary'}
    config.model.heads.text.text_encoder = dict(encoder, vocab_file=str(folder / 'vocab.txt'))
    model = make(config.model.to_dict())
    runner = type('Runner', (), dict(model=model, cfg=config, _resume=False, train_dataloader=None))
    checkpoint = dict(meta={}, state_dict=model.state_dict())
    PlainCheckpointHook().before_save_checkpoint(runner, checkpoint)
    return model, runner, checkpoint


def test_the_words_travel_with_the_checkpoint(tiny_store, tmp_path):
    model, _, checkpoint = write_run(tmp_path, tiny_store)
    torch.save(checkpoint, tmp_path / 'epoch_1.pth')
    (tmp_path / 'vocab.txt').unlink()
    loaded, _ = load_model(tmp_path / 'epoch_1.pth', 'cpu')
    assert isinstance(loaded.heads['text'].text_encoder, TextEncoder)
    with torch.no_grad():
        one, other = (each.heads['text'].embed_texts([WALK, JUMP]) for each in (loaded, model))
    assert torch.equal(one, other)
    noted = checkpoint['meta'][META_KEY]['model']['heads']['text']
    assert 'vocab_file' not in noted['text_encoder'] and noted['source'] == 'token'


def test_a_lifter_is_trained_on_from_an_aligned_checkpoint(tiny_store, tmp_path, tiny_model):
    aligned, runner, checkpoint = write_run(tmp_path, tiny_store)
    runner.model = lifter = build(MODELS, tiny_model)
    PlainCheckpointHook().after_load_checkpoint(runner, checkpoint)
    lifter.load_state_dict(checkpoint['state_dict'], strict=False)
    assert torch.equal(lifter.neck.fc.weight, aligned.neck.branches['frames'].fc.weight)
    assert torch.equal(lifter.backbone.norm.weight, aligned.backbone.norm.weight)


def test_an_aligned_run_is_resumed_with_its_own_layout_only(tiny_store, tmp_path, tiny_model):
    _, runner, checkpoint = write_run(tmp_path, tiny_store)
    runner._resume = True
    PlainCheckpointHook().after_load_checkpoint(runner, checkpoint)
    runner.model = build(MODELS, tiny_model)
    with pytest.raises(ValueError, match='of another model than the config'):
        PlainCheckpointHook().after_load_checkpoint(runner, checkpoint)
