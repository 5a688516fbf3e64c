"""A tiny random BERT in a folder, in the layouts that HuggingFace has written over the years."""
from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertModel

WORDS = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'person', 'walk', '##s', 'wave', 'jump', '##ing', 'left',
         'right', 'hand', 'quickly')
SIZES = dict(hidden_size=16, num_attention_heads=2, intermediate_size=32, max_position_embeddings=32)


def make_bert(num_layers: int = 4, **changes: object) -> nn.Module:
    """Make a BertModel with a pooler and weights that show (HuggingFace's are small)."""
    config = BertConfig(vocab_size=len(WORDS), num_hidden_layers=num_layers, **{**SIZES, **changes})
    model = BertModel(config)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model.eval()


def write_bert(folder: Path, bert: nn.Module, *, file: str = 'model.safetensors', prefix: str = '',
               legacy: bool = False, leave_out: tuple = (), **options: object) -> Path:
    """Write config.json, vocab.txt and the weights of a BERT.

    Args:
        folder: is made.
        bert: of ``make_bert``.
        file: 'model.safetensors' or 'pytorch_model.bin'.
        prefix: of the keys, e.g. 'bert.', with an output head beside it.
        legacy: LayerNorm.gamma and beta, as converted from TensorFlow, and a buffer of positions.
        leave_out: keys of BertModel.
        options: of tokenizer_config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {**bert.config.to_dict(), 'model_type': 'bert', 'architectures': ['BertForMaskedLM']}
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'vocab.txt').write_text('\n'.join(WORDS) + '\n')
    if options:
        (folder / 'tokenizer_config.json').write_text(json.dumps(options))
    weights = {prefix + key: value.clone() for key, value in bert.state_dict().items() if key not in leave_out}
    if prefix:
        weights.update({'cls.predictions.bias': torch.zeros(16), 'cls.seq_relationship.weight': torch.ones(2, 4)})
    if legacy:
        weights = {key.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'): value
                   for key, value in weights.items()}
        weights[f'{prefix}embeddings.position_ids'] = torch.arange(SIZES['max_position_embeddings'])[None]
    save_file(weights, folder / file) if file.endswith('.safetensors') else torch.save(weights, folder / file)
    return folder
