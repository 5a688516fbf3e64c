import copy
import json
import pickle
import socket
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from motionbert_mm.models.text_encoder import TextEncoder
from motionbert_mm.models.word_pieces import SPECIAL, make_tokenizer, read_vocabulary, train_vocabulary
from tests.bert_files import WORDS, make_bert, write_bert

TEXTS = ['a person walks', 'wave', 'a person walks quickly waving a left hand']
VOCABULARY = '\n'.join(WORDS)
SMALL = dict(hidden_size=16, num_attention_heads=2, intermediate_size=32)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever opens a connection fails."""
    def refuse(*_, **__):
        raise AssertionError('a connection was opened')
    for name in ('connect', 'connect_ex', 'sendto'):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, 'getaddrinfo', refuse)


@pytest.fixture(scope='module')
def bert():
    return make_bert(num_layers=4)


def scratch(**options):
    torch.manual_seed(0)
    encoder = TextEncoder(**{**dict(vocabulary=VOCABULARY, bert=SMALL, num_layers=2), **options})
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return encoder.eval()


def reference(bert, text, num_layers):
    """[CLS] after some layers of the whole model, from token numbers found by hand."""
    pieces = {'a person walks': ['a', 'person', 'walk', '##s'], 'wave': ['wave'],
              TEXTS[2]: ['a', 'person', 'walk', '##s', 'quickly', '[UNK]', 'a', 'left', 'hand']}[text]
    numbers = torch.tensor([[WORDS.index(piece) for piece in ('[CLS]', *pieces, '[SEP]')]])
    return bert(input_ids=numbers, output_hidden_states=True).hidden_states[num_layers][0, 0]


@pytest.mark.parametrize('layout', [
    dict(), dict(prefix='bert.'), dict(legacy=True), dict(file='pytorch_model.bin'),
    dict(file='pytorch_model.bin', prefix='bert.', legacy=True)])
def test_a_pretrained_folder_gives_the_first_layers(bert, tmp_path, layout):
    folder = write_bert(tmp_path / 'bert', bert, **layout)
    encoder = TextEncoder(path=str(folder)).eval()
    assert encoder.out_channels == 16 and len(encoder.bert.encoder.layer) == 3
    assert not [key for key in encoder.state_dict() if 'pooler' in key or 'layer.3' in key]
    with torch.no_grad():
        for text, output in zip(TEXTS, encoder(TEXTS)):
            torch.testing.assert_close(output, reference(bert, text, 3), rtol=1e-5, atol=1e-5)


def test_fewer_layers_are_another_output(bert, tmp_path):
    folder = write_bert(tmp_path / 'bert', bert)
    encoder = TextEncoder(path=str(folder), num_layers=1).eval()
    with torch.no_grad():
        torch.testing.assert_close(encoder(['wave'])[0], reference(bert, 'wave', 1), rtol=1e-5, atol=1e-5)


def test_missing_weights_are_listed(bert, tmp_path):
    gone = ('embeddings.LayerNorm.bias', 'encoder.layer.2.output.dense.weight')
    with pytest.raises(ValueError, match=f'2 are missing .{gone[0]}, {gone[1]}., 0 have another shape'):
        TextEncoder(path=str(write_bert(tmp_path / 'bert', bert, leave_out=gone)))
    with pytest.raises(ValueError, match='of a BERT of 5 layers: 16 are missing .encoder.layer.4.attention'):
        TextEncoder(path=str(write_bert(tmp_path / 'whole', bert)), num_layers=5)
    weights = load_file(tmp_path / 'whole' / 'model.safetensors')
    weights['embeddings.word_embeddings.weight'] = torch.zeros(7, 16)
    save_file(weights, tmp_path / 'whole' / 'model.safetensors')
    with pytest.raises(ValueError, match=r'1 have another shape .embeddings.word_embeddings.weight \(7, 16\) instead'):
        TextEncoder(path=str(tmp_path / 'whole'))


def spoil(folder, name, content):
    (folder / name).write_bytes(content) if content is not None else (folder / name).unlink()


@pytest.mark.parametrize('name, content, kind, message', [
    ('config.json', None, FileNotFoundError, r'config.json does not exist; copy it from the HuggingFace model'),
    ('config.json', b'{"hidden', ValueError, 'config.json is truncated or no JSON file'),
    ('config.json', b'[]', ValueError, 'config.json holds a list, expected an object'),
    ('config.json', b'{"model_type": "roberta"}', ValueError, "model_type='roberta'.*expected 'bert'"),
    ('config.json', b'{"position_embedding_type": "relative_key"}', ValueError, "expected 'bert' with 'absolute'"),
    ('config.json', b'{"vocab_size": 3}', ValueError, 'embeddings of 3 words, its vocabulary 16'),
    ('vocab.txt', None, FileNotFoundError, 'vocabulary .*vocab.txt does not exist'),
    ('vocab.txt', b'[PAD]\n[UNK]\nword\n', ValueError, r'\(3 words\) lacks \[CLS\], \[SEP\]'),
    ('vocab.txt', b'\xff\xfe\x00', ValueError, 'is not UTF-8 text'),
    ('vocab.txt', b'[PAD]\n[UNK]\n[CLS]\n[SEP]\nup\nup\n', ValueError, "1 words twice, e.g. 'up'"),
    ('model.safetensors', None, FileNotFoundError, 'has neither model.safetensors nor pytorch_model.bin'),
    ('model.safetensors', b'torn', ValueError, 'truncated or no safetensors file'),
])
def test_a_broken_folder_is_named(bert, tmp_path, name, content, kind, message):
    spoil(write_bert(tmp_path / 'bert', bert), name, content)
    with pytest.raises(kind, match=message):
        TextEncoder(path=str(tmp_path / 'bert'))


def test_a_folder_that_is_not_there_is_not_looked_for_elsewhere(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'bert-base-uncased of a BERT does not exist.*nothing is downloaded'):
        TextEncoder(path=str(tmp_path / 'bert-base-uncased'))


class Evil:
    def __reduce__(self):
        return print, ('executed',)


def test_a_pickle_in_the_folder_is_not_executed(bert, tmp_path, capsys):
    folder = write_bert(tmp_path / 'bert', bert, file='pytorch_model.bin')
    torch.save(dict(weights=Evil()), folder / 'pytorch_model.bin')
    with pytest.raises(ValueError, match='pytorch_model.bin holds .*print, which is not plain data, and is refused'):
        TextEncoder(path=str(folder))
    assert 'executed' not in capsys.readouterr().out


def test_a_cased_model_keeps_its_case(bert, tmp_path):
    cased = TextEncoder(path=str(write_bert(tmp_path / 'cased', bert, do_lower_case=False)))
    lower = TextEncoder(path=str(write_bert(tmp_path / 'lower', bert)))
    assert cased.tokenizer.encode('Wave wave').tokens == ['[CLS]', '[UNK]', 'wave', '[SEP]']
    assert lower.tokenizer.encode('Wave wàve').tokens == ['[CLS]', 'wave', 'wave', '[SEP]']


def test_the_vocabulary_is_found_in_tokenizer_json_too(bert, tmp_path):
    folder = write_bert(tmp_path / 'bert', bert)
    (folder / 'vocab.txt').unlink()
    numbers = {word: number for number, word in enumerate(WORDS)}
    content = dict(model=dict(type='WordPiece', vocab=numbers), normalizer=dict(type='BertNormalizer', lowercase=False))
    (folder / 'tokenizer.json').write_text(json.dumps(content))
    encoder = TextEncoder(path=str(folder))
    assert tuple(encoder.words) == WORDS and encoder.lowercase is False
    (folder / 'tokenizer.json').write_text(json.dumps(dict(model=dict(type='Unigram', vocab=[['a', 0.1]]))))
    with pytest.raises(ValueError, match='tokenizer.json holds no vocabulary of WordPiece'):
        TextEncoder(path=str(folder))


@pytest.mark.parametrize('options, message', [
    (dict(), 'one of path .*vocab_file or vocabulary; got path=None, vocab_file=None'),
    (dict(vocabulary=VOCABULARY, vocab_file='words.txt'), 'one of path'),
    (dict(path='bert', bert=SMALL), 'one of path .*bert=.*hidden_size'),
    (dict(vocabulary=VOCABULARY, bert=dict(width=3)), 'bert of text_encoder has width; expected some of vocab_size'),
    (dict(vocabulary=VOCABULARY, bert=dict(hidden_size=10)), 'hidden_size 10 of bert is not divisible'),
    (dict(vocabulary=VOCABULARY, max_tokens=65), 'max_tokens=65; expected 3, for one word, to 64'),
    (dict(vocabulary=VOCABULARY, max_tokens=2), 'max_tokens=2; expected 3'),
    (dict(vocabulary='[PAD]\n[UNK]'), r'vocabulary of text_encoder \(2 words\) lacks \[CLS\]'),
])
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TextEncoder(**options)


def test_padding_changes_nothing():
    encoder = scratch()
    with torch.no_grad():
        together = encoder.encode(TEXTS)
        for text, output in zip(TEXTS, together):
            torch.testing.assert_close(output, encoder.encode([text])[0], rtol=1e-5, atol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-2


def test_the_mean_of_the_tokens_leaves_padding_out():
    encoder = scratch(average_tokens=True)
    numbers = torch.tensor([encoder.tokenizer.encode('wave').ids])
    with torch.no_grad():
        expected = encoder.bert(input_ids=numbers)[0][0].mean(dim=0)
        torch.testing.assert_close(encoder.encode(TEXTS)[1], expected, rtol=1e-5, atol=1e-5)
    assert encoder.own_config['average_tokens'] is True


def test_long_texts_are_cut():
    encoder = scratch(max_tokens=6)
    assert encoder.tokenizer.encode('a person walks quickly').tokens == ['[CLS]', 'a', 'person', 'walk', '##s', '[SEP]']
    assert torch.equal(encoder.encode(['a person walks quickly']), encoder.encode(['a person walks left']))


def test_an_encoder_is_built_again_without_its_files(bert, tmp_path):
    folder = write_bert(tmp_path / 'bert', bert)
    encoder = TextEncoder(path=str(folder), max_tokens=12).eval()
    for file in folder.iterdir():
        file.unlink()
    assert json.loads(json.dumps(encoder.own_config)) == encoder.own_config
    again = TextEncoder(**encoder.own_config).eval()
    assert not torch.equal(again.encode(TEXTS), encoder.encode(TEXTS))
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again.encode(TEXTS), encoder.encode(TEXTS)) and again.own_config == encoder.own_config


def test_weights_of_other_words_are_refused():
    words = [*WORDS[:-2], WORDS[-1], WORDS[-2]]
    with pytest.raises(ValueError, match='trained with another vocabulary than that of text_encoder; set path or'):
        scratch(vocabulary='\n'.join(words)).load_state_dict(scratch().state_dict())
    with pytest.raises(ValueError, match='another vocabulary'):
        scratch(lowercase=False).load_state_dict(scratch().state_dict())
    scratch().load_state_dict(scratch().state_dict())


def test_weights_of_more_words_leave_the_own_words_alone():
    encoder, other = scratch(), scratch(vocabulary=f'{VOCABULARY}\nmore')
    digest = encoder.vocabulary_digest.clone()
    with pytest.raises(RuntimeError, match='size mismatch for bert.embeddings.word_embeddings.weight'):
        encoder.load_state_dict(other.state_dict())
    assert torch.equal(encoder.vocabulary_digest, digest)


@pytest.mark.parametrize('package', ['transformers', 'tokenizers', 'safetensors.torch'])
def test_a_missing_package_is_named_with_its_extra(bert, tmp_path, monkeypatch, package):
    folder = write_bert(tmp_path / 'bert', bert)
    monkeypatch.setitem(sys.modules, package, None)
    name = package.split('.')[0]
    with pytest.raises(ImportError, match=rf"the package {name}.*install the extra: .*motionbert_mm\[text\]"):
        TextEncoder(path=str(folder))


class Counted:
    """The tokenizer of an encoder that counts its texts."""

    def __init__(self, tokenizer):
        self.tokenizer, self.texts = tokenizer, []

    def encode(self, text):
        self.texts.append(text)
        return self.tokenizer.encode(text)


def counted(encoder):
    encoder.tokenizer = Counted(encoder.tokenizer)
    return encoder, encoder.tokenizer.texts


def test_a_frozen_encoder_encodes_a_text_once():
    encoder, texts = counted(scratch().requires_grad_(False))
    first = encoder(['wave', 'jump', 'wave'])
    assert texts == ['wave', 'jump'] and torch.equal(first[0], first[2])
    assert torch.equal(encoder(['jump', 'left', 'wave'])[[0, 2]], first[[1, 0]]) and texts == ['wave', 'jump', 'left']
    torch.testing.assert_close(first[:2], encoder.encode(['wave', 'jump']))


def test_what_was_encoded_is_forgotten_when_the_weights_change():
    encoder, texts = counted(scratch().requires_grad_(False))
    before = encoder(['wave'])
    other = {key: value + 0.1 if value.is_floating_point() else value for key, value in encoder.state_dict().items()}
    encoder.load_state_dict(other)
    assert not torch.allclose(encoder(['wave']), before) and texts == ['wave', 'wave']
    encoder.double()
    assert encoder(['wave']).shape == (1, 16) and len(texts) == 3


def test_a_trained_encoder_encodes_anew_and_has_gradients():
    encoder, texts = counted(scratch())
    encoder(['wave']).sum().backward()
    encoder(['wave'])
    assert texts == ['wave', 'wave']
    assert not [name for name, value in encoder.named_parameters() if value.grad is None]
    with torch.no_grad():
        encoder.train()
        assert not torch.equal(encoder(['wave']), encoder(['wave']))  # dropout


def test_an_encoder_can_be_copied():
    encoder = scratch()
    again = pickle.loads(pickle.dumps(copy.deepcopy(encoder)))
    assert torch.equal(again.encode(TEXTS), encoder.encode(TEXTS))


LABELS = [f'a {who} {what}s {how}' for who in ('person', 'man') for what in ('walk', 'jump', 'wave', 'throw')
          for how in ('slowly', 'with the left hand', 'twice')]


def test_a_vocabulary_does_not_depend_on_the_order_or_number_of_texts():
    shuffled = list(np.random.default_rng(0).permutation(LABELS)) + LABELS[:5]
    assert train_vocabulary(shuffled, 110) == train_vocabulary(LABELS, 110)


def test_a_vocabulary_begins_with_special_tokens_and_characters():
    words = train_vocabulary(['Über left–right'], 200)
    assert tuple(words[:5]) == SPECIAL and len(set(words)) == len(words)
    assert {'a', '9', '##a', '##9', '–', 'u', 'left', 'uber', 'right'} <= set(words)
    assert not any(word.isupper() for word in words[5:])


def test_frequent_pairs_are_joined_first():
    words = train_vocabulary(['aab', 'ab', 'ab ab', 'cd'], 5 + 2 * 36 + 2)
    # 'a' '##b' stands three times in the distinct texts, 'a' '##a', '##a' '##b' and 'c' '##d' once.
    assert words[-2:] == ['ab', '##ab']
    assert train_vocabulary(['aab', 'ab', 'ab ab', 'cd'], 1000)[-2:] == ['aab', 'cd']


def test_words_are_split_into_their_pieces():
    words = train_vocabulary(LABELS, 400)
    tokenizer = make_tokenizer(words)
    assert tokenizer.encode('A man walks slowly!').tokens == ['[CLS]', 'a', 'man', 'walks', 'slowly', '[UNK]', '[SEP]']
    unseen = tokenizer.encode('zigzag').tokens[1:-1]
    assert '[UNK]' not in unseen and ''.join(piece.replace('##', '') for piece in unseen) == 'zigzag'
    assert all(len(tokenizer.encode(label).tokens) == len(label.split()) + 2 for label in LABELS)


@pytest.mark.parametrize('texts, size, message', [
    ([], 100, 'texts have no word'), (['', ' '], 100, 'texts have no word'),
    (['walk'], 76, 'size 76 is too small: .* are 77 words')])
def test_a_vocabulary_of_nothing_is_refused(texts, size, message):
    with pytest.raises(ValueError, match=message):
        train_vocabulary(texts, size)


def test_a_vocabulary_file_may_hold_any_character(tmp_path):
    words = [*SPECIAL, '\u2028', '\x85', 'walk']
    (tmp_path / 'vocab.txt').write_text('\n'.join(words) + '\n', encoding='utf-8')
    assert read_vocabulary(tmp_path / 'vocab.txt') == words
