"""The text encoder of ActionPose: the first layers of a BERT."""
from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from motionbert_mm.models.bert_folder import SIZES, read_bert_config, read_bert_vocabulary, read_bert_weights
from motionbert_mm.models.word_pieces import PAD, check_vocabulary, make_tokenizer, read_vocabulary

# Sizes from scratch: labels are a few words long, and a few thousand of them differ.
SCRATCH = dict(hidden_size=256, num_attention_heads=4, intermediate_size=1024, max_position_embeddings=64)
# Of BertConfig, where the folder of a pretrained BERT does not say them.
PRETRAINED = dict(hidden_size=768, num_attention_heads=12, max_position_embeddings=512)
CHUNK = 256  # texts that are encoded at once


class TextEncoder(nn.Module):
    """Texts -> what ``transformers.BertModel`` makes of the token [CLS].

    Published (ActionPose, section 3.2): three layers of the original BERT, pretrained. They are the first ones, which
    fit the embeddings. Not published: which BERT. Nothing is ever downloaded.

    Texts are encoded once as long as nothing can change: in evaluation, where no gradient is asked for or no parameter
    takes one (``frozen`` of ``MotionModel``).

    Args:
        path: folder of a pretrained BERT, see ``models.bert_folder``; gives sizes, vocabulary and weights.
        vocab_file: of an encoder from scratch, see ``tools/train_vocabulary.py``.
        vocabulary: the words, one on every line, in the place of a file: how checkpoints carry them.
        bert: ``SIZES`` of ``transformers.BertConfig`` of an encoder from scratch; missing ones are those of
            ``SCRATCH``, then of BertConfig.
        num_layers: of the BERT.
        max_tokens: longer texts are cut, [CLS] and [SEP] included.
        lowercase: write texts in lower case first; None is what the folder says, else True.
        average_tokens: return the mean of all tokens instead of [CLS], as published. From scratch [CLS] is at first
            nearly the same for all texts, and training takes long to tell them apart.

    Attributes:
        out_channels: C.

    Raises:
        FileNotFoundError: see ``path`` and ``vocab_file``.
        ImportError: transformers or tokenizers are missing.
        ValueError: not one of path, vocab_file and vocabulary, sizes that do not fit or are not known, or weights that
            are missing.
    """

    def __init__(self, *, path: Optional[str] = None, vocab_file: Optional[str] = None,
                 vocabulary: Optional[str] = None, bert: Optional[Mapping[str, Any]] = None, num_layers: int = 3,
                 max_tokens: int = 32, lowercase: Optional[bool] = None, average_tokens: bool = False) -> None:
        super().__init__()
        if [path, vocab_file, vocabulary].count(None) != 2 or (path and bert):
            raise ValueError('text_encoder takes its words from one of path (of a pretrained BERT, which fixes bert '
                             f'too), vocab_file or vocabulary; got path={path!r}, vocab_file={vocab_file!r}, '
                             f'bert={bert!r} and {"a" if vocabulary else "no"} vocabulary')
        sizes = {**PRETRAINED, **read_bert_config(path)} if path else {**SCRATCH, **(bert or {})}
        self.words, lower = _read_words(path, vocab_file, vocabulary)
        self.lowercase = lower if lowercase is None else lowercase
        self.sizes = _complete(sizes, len(self.words))
        self.num_layers, self.max_tokens, self.average_tokens = num_layers, max_tokens, average_tokens
        if not 2 < max_tokens <= self.sizes['max_position_embeddings']:
            raise ValueError(f'text_encoder got max_tokens={max_tokens}; expected 3, for one word, to '
                             f'{self.sizes["max_position_embeddings"]}, the positions of the BERT '
                             '(max_position_embeddings of bert)')
        self.tokenizer = make_tokenizer(self.words, lowercase=self.lowercase, max_tokens=max_tokens)
        self.bert = make_bert(self.sizes, num_layers, pad=self.words.index(PAD))
        self.out_channels = self.bert.config.hidden_size
        digest = hashlib.sha256('\n'.join([*self.words, str(self.lowercase)]).encode()).digest()
        self.register_buffer('vocabulary_digest', torch.tensor(list(digest), dtype=torch.uint8))
        self._known: dict[str, Tensor] = {}
        self._known_of: tuple = ()
        if path:
            load_bert(self.bert, path, num_layers)

    @property
    def own_config(self) -> dict:
        """Arguments that build the same encoder without any file; weights are not among them."""
        return dict(vocabulary='\n'.join(self.words), bert=dict(self.sizes), num_layers=self.num_layers,
                    max_tokens=self.max_tokens, lowercase=self.lowercase, average_tokens=self.average_tokens)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Encode n texts -> (n, C)."""
        if self.training or (torch.is_grad_enabled() and any(value.requires_grad for value in self.parameters())):
            return self.encode(texts)
        # Loading, training and moving the weights elsewhere all change this. What was encoded in inference mode cannot
        # be trained with.
        state = (torch.is_inference_mode_enabled(),
                 *((value.data_ptr(), value._version) for value in self.parameters()))
        if state != self._known_of:
            self._known, self._known_of = {}, state
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(new), CHUNK):
            chunk = new[start:start + CHUNK]
            self._known.update(zip(chunk, self.encode(chunk).float()))
        return torch.stack([self._known[text] for text in texts])

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode n texts in one pass -> (n, C)."""
        device = self.vocabulary_digest.device
        tokens = [torch.tensor(self.tokenizer.encode(text).ids) for text in texts]
        pad = self.bert.config.pad_token_id
        numbers = pad_sequence(tokens, batch_first=True, padding_value=pad)  # (n, L)
        lengths = torch.tensor([len(ids) for ids in tokens])
        is_token = (torch.arange(numbers.shape[1]) < lengths[:, None]).to(device)  # (n, L)
        features = self.bert(input_ids=numbers.to(device), attention_mask=is_token.long())[0]  # (n, L, C)
        if not self.average_tokens:
            return features[:, 0]
        return (features * is_token[..., None]).sum(dim=1) / is_token.sum(dim=1, keepdim=True)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Refuse weights that were trained with other words under the same numbers."""
        digest = state_dict.get(f'{prefix}vocabulary_digest')
        rows = state_dict.get(f'{prefix}bert.embeddings.word_embeddings.weight')
        same_size = rows is not None and rows.shape == self.bert.embeddings.word_embeddings.weight.shape
        if digest is not None and not torch.equal(digest.cpu(), self.vocabulary_digest.cpu()):
            if same_size:
                raise ValueError('the checkpoint was trained with another vocabulary than that of text_encoder; set '
                                 'path or vocab_file of text_encoder to that of its training')
            # Embeddings of another size are not loaded either.
            state_dict[f'{prefix}vocabulary_digest'] = self.vocabulary_digest
        super()._load_from_state_dict(state_dict, prefix, *args)


def make_bert(sizes: Mapping[str, Any], num_layers: int, *, pad: int) -> nn.Module:
    """Make a ``transformers.BertModel`` with random weights, without pooler.

    Args:
        sizes: arguments of ``transformers.BertConfig``.
        num_layers: of the BERT.
        pad: number of the word [PAD].
    """
    try:
        from transformers import BertConfig, BertModel
        config = BertConfig(**sizes, num_hidden_layers=num_layers, pad_token_id=pad)
        bert = BertModel(config, add_pooling_layer=False)
    except ImportError as error:
        raise ImportError(f'texts need the package transformers, with a version that knows this torch '
                          f"({str(error).strip()[:200]}); install the extra: pip install 'motionbert_mm[text]'"
                          ) from error
    return bert


def load_bert(bert: nn.Module, path: str, num_layers: int) -> None:
    """Load the weights of a folder; ValueError lists all that are missing or of another shape."""
    weights, own = read_bert_weights(path, num_layers), bert.state_dict()
    missing = [key for key in own if key not in weights]
    shapes = [f'{key} {tuple(weights[key].shape)} instead of {tuple(own[key].shape)}' for key in own
              if key in weights and weights[key].shape != own[key].shape]
    if missing or shapes:
        raise ValueError(f'the weights in {path} are not those of a BERT of {num_layers} layers: {len(missing)} are '
                         f'missing ({", ".join(missing) or "none"}), {len(shapes)} have another shape '
                         f'({", ".join(shapes) or "none"}); copy the folder again, or lower num_layers of text_encoder')
    bert.load_state_dict({key: weights[key] for key in own})


def _read_words(path: Optional[str], vocab_file: Optional[str], vocabulary: Optional[str]) -> tuple[list[str], bool]:
    if path:
        return read_bert_vocabulary(path)
    if vocab_file:
        return read_vocabulary(vocab_file), True
    words = (vocabulary or '').split('\n')
    check_vocabulary(words, 'text_encoder')
    return words, True


def _complete(sizes: Mapping[str, Any], num_words: int) -> dict:
    """Return the sizes of a BERT with the number of its words."""
    unknown = sorted(set(sizes) - set(SIZES))
    if unknown:
        raise ValueError(f'bert of text_encoder has {", ".join(unknown)}; expected some of {", ".join(SIZES)}')
    rows = sizes.get('vocab_size', num_words)
    if rows < num_words:
        raise ValueError(f'the BERT has embeddings of {rows} words, its vocabulary {num_words}; the files are not of '
                         'one model, copy them again')
    if sizes['hidden_size'] % sizes['num_attention_heads']:
        raise ValueError(f'hidden_size {sizes["hidden_size"]} of bert is not divisible by num_attention_heads '
                         f'{sizes["num_attention_heads"]}')
    return {**sizes, 'vocab_size': rows}
