"""A pretrained BERT in a folder as HuggingFace writes it: sizes, vocabulary and weights. Nothing is downloaded."""
from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Union

from torch import Tensor

from motionbert_mm.checkpoints.load import read_checkpoint
from motionbert_mm.models.word_pieces import check_vocabulary, read_vocabulary

CONFIG, VOCABULARY, TOKENIZER = 'config.json', 'vocab.txt', 'tokenizer.json'
SAFE_WEIGHTS, WEIGHTS = 'model.safetensors', 'pytorch_model.bin'
# Arguments of transformers.BertConfig that make another network or another output.
SIZES = ('vocab_size', 'hidden_size', 'num_attention_heads', 'intermediate_size', 'hidden_act', 'hidden_dropout_prob',
         'attention_probs_dropout_prob', 'max_position_embeddings', 'type_vocab_size', 'layer_norm_eps')
PREFIX, LAYER = 'bert.', 'encoder.layer.'
PARTS = ('embeddings.', LAYER)
# Names in weights that were converted from TensorFlow.
LEGACY = {'LayerNorm.gamma': 'LayerNorm.weight', 'LayerNorm.beta': 'LayerNorm.bias'}


def read_bert_config(folder: Union[str, os.PathLike]) -> dict:
    """Return those of ``SIZES`` that the ``config.json`` of a folder states.

    Raises:
        FileNotFoundError: no such folder or file.
        ValueError: torn, or of another model than BERT.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'folder {folder} of a BERT does not exist; put {CONFIG}, {VOCABULARY} and '
                                f'{SAFE_WEIGHTS} or {WEIGHTS} of a HuggingFace model there (nothing is downloaded), or '
                                'set path of text_encoder in the config')
    config = _read_json(Path(folder) / CONFIG)
    kind, positions = config.get('model_type', 'bert'), config.get('position_embedding_type', 'absolute')
    if (kind, positions) != ('bert', 'absolute'):
        raise ValueError(f'{Path(folder) / CONFIG} describes model_type={kind!r} with position_embedding_type='
                         f"{positions!r}; expected 'bert' with 'absolute', as bert-base-uncased")
    return {name: config[name] for name in SIZES if name in config}


def read_bert_vocabulary(folder: Union[str, os.PathLike]) -> tuple[list[str], bool]:
    """Return the words of a folder's vocabulary in order, and whether texts are written in lower case first."""
    folder = Path(folder)
    options = folder / 'tokenizer_config.json'
    lowercase = _read_json(options).get('do_lower_case', True) if options.is_file() else True
    if (folder / VOCABULARY).is_file() or not (folder / TOKENIZER).is_file():
        return read_vocabulary(folder / VOCABULARY), bool(lowercase)
    tokenizer = _read_json(folder / TOKENIZER)
    numbers = (tokenizer.get('model') or {}).get('vocab')
    if not isinstance(numbers, dict) or sorted(numbers.values()) != list(range(len(numbers))):
        raise ValueError(f'{folder / TOKENIZER} holds no vocabulary of WordPiece; put the {VOCABULARY} of the model '
                         'into the folder')
    words = sorted(numbers, key=numbers.get)
    check_vocabulary(words, str(folder / TOKENIZER))
    return words, bool((tokenizer.get('normalizer') or {}).get('lowercase', lowercase))


def read_bert_weights(folder: Union[str, os.PathLike], num_layers: int) -> dict[str, Tensor]:
    """Read embeddings and the first layers of a folder's weights under the names of ``transformers.BertModel``.

    The pooler, output heads and further layers are left out.

    Raises:
        FileNotFoundError: no weights.
        ValueError: torn weights.
    """
    folder = Path(folder)
    if (folder / SAFE_WEIGHTS).is_file():
        weights = _read_safetensors(folder / SAFE_WEIGHTS)
    elif (folder / WEIGHTS).is_file():
        weights = read_checkpoint(folder / WEIGHTS)
    else:
        raise FileNotFoundError(f'{folder} has neither {SAFE_WEIGHTS} nor {WEIGHTS}; put one of them there (nothing is '
                                'downloaded)')
    return choose_bert_weights(weights, num_layers)


def choose_bert_weights(weights: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """Choose and rename what ``read_bert_weights`` returns; keys may have the prefix ``bert.``."""
    if any(key.startswith(PREFIX) for key in weights):
        weights = {key[len(PREFIX):]: value for key, value in weights.items() if key.startswith(PREFIX)}
    chosen = {}
    for key, value in weights.items():
        layer = key[len(LAYER):].split('.')[0] if key.startswith(LAYER) else '0'
        if key.startswith(PARTS) and int(layer) < num_layers and not key.endswith('position_ids'):
            for old, new in LEGACY.items():
                key = key.replace(old, new)
            chosen[key] = value
    return chosen


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(f'{path} needs the package safetensors ({error}); install the extra: pip install '
                          "'motionbert_mm[text]'") from error
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{path} is truncated or no safetensors file ({error}); copy it again') from None


def _read_json(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; copy it from the HuggingFace model (nothing is downloaded)')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is truncated or no JSON file ({error}); copy it again') from None
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds a {type(content).__name__}, expected an object; copy it again')
    return content
