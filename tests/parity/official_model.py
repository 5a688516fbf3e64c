"""Our models and weights for the vectors of MotionBERT's networks."""
from __future__ import annotations

import torch
from torch import nn

from motionbert_mm.checkpoints.official import MOTIONBERT_POSE, rename_keys
from motionbert_mm.checkpoints.official_motionbert import CLASSES, EMBEDDING, MESH
from motionbert_mm.registry import MODELS, build

# Options of the official constructor -> ours; what is not stated in a vector keeps our value.
BACKBONE = dict(dim_in='in_channels', dim_feat='dim', depth='depth', num_heads='num_heads', mlp_ratio='mlp_ratio',
                num_joints='num_joints', maxlen='max_frames', qkv_bias='qkv_bias', qk_scale='qk_scale',
                drop_rate='drop', attn_drop_rate='attn_drop', drop_path_rate='drop_path', att_fuse='use_fusion',
                norm_eps='norm_eps')


def make_model(args: dict, **changes: object) -> nn.Module:
    """Build the model that the official constructor arguments describe; ``changes`` are ours, of the backbone."""
    return _build(args, dict(pose=dict(type='PoseLiftHead', out_channels=args['dim_out'])), **changes)


def make_action_model(args: dict) -> nn.Module:
    """Build what the arguments of an official ActionNet describe."""
    args = dict(args)
    action = args.pop('action')
    unknown = set(action) - {'dim_rep', 'num_classes', 'dropout_ratio', 'version', 'hidden_dim', 'num_joints'}
    assert not unknown and (action['dim_rep'], action['num_joints']) == (args['dim_rep'], args['num_joints'])
    # Official: the class head leaves hidden_dim aside, and the embedding has no classes.
    heads = dict(
        action=dict(type='ActionHead', num_classes=action['num_classes'], drop=action['dropout_ratio']),
        embed=dict(type='EmbeddingHead', out_channels=action['hidden_dim'], drop=action['dropout_ratio']))
    name = {'class': 'action', 'embed': 'embed'}[action['version']]
    return _build(args, {name: heads[name]})


def make_mesh_model(args: dict) -> nn.Module:
    """Build what the arguments of an official MeshRegressor describe, around the synthetic body."""
    backbone, mesh = args['backbone'], args['mesh']
    assert set(mesh) == {'dim_rep', 'num_joints', 'hidden_dim', 'dropout_ratio'}
    assert (mesh['dim_rep'], mesh['num_joints']) == (backbone['dim_rep'], backbone['num_joints'])
    head = dict(type='MeshHead', hidden_channels=mesh['hidden_dim'], drop=mesh['dropout_ratio'],
                body_model=dict(path='synthetic'))
    return _build(backbone, dict(mesh=head))


def _build(args: dict, heads: dict, **changes: object) -> nn.Module:
    unknown = set(args) - set(BACKBONE) - {'dim_rep', 'dim_out'}
    if unknown:
        raise KeyError(f'no counterpart is known for the official options {sorted(unknown)}')
    backbone = {ours: args[name] for name, ours in BACKBONE.items() if name in args}
    return build(MODELS, dict(type='MotionModel', backbone={'type': 'DSTformer', **backbone, **changes},
                              neck=dict(type='RepresentationLayer', out_channels=args['dim_rep']), heads=heads))


def load_official(model: nn.Module, state_dict: dict) -> nn.Module:
    """Load official weights; every key must have a place and every place a key."""
    renamed, unmatched = rename_keys(state_dict, MOTIONBERT_POSE)
    assert unmatched == []
    model.load_state_dict(renamed, strict=True)
    return model


def load_official_action(model: nn.Module, state_dict: dict) -> nn.Module:
    """Load official weights of an ActionNet or MeshRegressor but for its unused output, strictly."""
    official = dict(action=CLASSES, embed=EMBEDDING, mesh=MESH)[next(iter(model.heads))]
    used, unused = official.split(state_dict)
    renamed, unmatched = rename_keys(used, official.rows)
    assert unmatched == [] and set(unused) == {'backbone.head.weight', 'backbone.head.bias'}
    model.load_state_dict(renamed, strict=True)
    return model


def official_names(model: nn.Module) -> dict[str, nn.Parameter]:
    """Our parameters by official name."""
    named, unmatched = rename_keys(dict(model.named_parameters()), MOTIONBERT_POSE, reverse=True)
    assert unmatched == []
    return named


def run(model: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the 3D output (N, T, J, 3) and the representation (N, T, J, D) for inputs (N, T, J, C)."""
    representation = model(inputs.unsqueeze(1))
    return model.heads['pose'](representation), representation
