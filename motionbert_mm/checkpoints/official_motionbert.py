"""The models of the official MotionBERT code whose checkpoints are converted: 3D pose, actions two ways, and meshes.

Official: ActionNet in lib/model/model_action.py is the backbone of the pose model, whose 3D output it does not use, and
a head for classes or for embeddings; MeshRegressor in lib/model/model_mesh.py is that backbone and a head for SMPL.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable, Optional

from torch import Tensor

from motionbert_mm.checkpoints.official import (
    MOTIONBERT,
    MOTIONBERT_POSE,
    Layout,
    Rows,
    get_weight,
    motionbert_model_config,
    motionbert_parts,
)
from motionbert_mm.checkpoints.official_smpl import body_files
from motionbert_mm.datasets.ntu_classes import class_names

BACKBONE = 'backbone.'  # of ActionNet and MeshRegressor
SMPL = 'head.smpl.'  # SMPL itself, which is saved with the weights of MeshRegressor
XYZ = 3  # Official: dim_out of every config
# Official: ActionNet leaves the class head its own width, whatever hidden_dim of the config says.
HIDDEN_CHANNELS = 2048
# Official: configs/action/MB_*_NTU60_*.yaml and MB_ft_NTU120_oneshot.yaml.
CLASS_DROP, EMBEDDING_DROP, ONESHOT_FRAMES = 0.5, 0.1, 100
PERSONS = 2
# Of NTU RGB+D: colour videos of 30 frames a second; 4 million frames in 56,880 clips (Shahroudy et al. 2016), and with
# the later ones 8 million in 114,480 (Liu et al. 2020), make 2.3 s a clip.
NTU = dict(fps=30.0, window_seconds=2.3)
MESH_DROP, MESH_FRAMES = 0.1, 16  # configs/mesh/MB_*.yaml
BODY_MODEL = 'data/body_models'  # where SMPL is looked for
# lib/data/datareader_h36m.py: the pose models read screen coordinates and regress the 2.5D pose.
POSE_PIPELINE = [dict(type='NormalizeCoords', inputs='screen', target='image_space'), dict(type='PackInputs')]
# lib/data/dataset_action.py, scale_range_test of the configs.
ACTION_PIPELINE = [dict(type='OfficialActionPose'),
                   dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2, 2]),
                   dict(type='PackInputs', fields=['label'])]
# lib/data/datareader_mesh.py: screen coordinates.
MESH_PIPELINE = [dict(type='NormalizeCoords', inputs='screen', target=None),
                 dict(type='PackInputs', fields=['smpl_pose', 'smpl_betas'])]


@dataclass(frozen=True)
class OfficialModel:
    """A model of the official code.

    Attributes:
        title: in messages.
        official_key: a key of its weights that the models behind it in ``OFFICIAL_MODELS`` have not.
        our_key: likewise under our names.
        container: entry of an official file that holds the weights.
        rows: key map.
        model_config: ``(official weights, *, num_heads) -> MotionModel config``.
        describe: ``(MotionModel config) -> window, pipeline, facts``, see ``our_checkpoint``.
        output: official prefix of an output layer that influences nothing and has no place in our model.
        hidden_channels: width of the head's hidden layer, where the official code leaves no choice.
        licensed: official prefix of data under a licence, which has no place in a checkpoint of ours.
    """

    title: str
    official_key: str
    our_key: str
    container: str
    rows: Rows
    model_config: Callable[..., dict]
    describe: Callable[[dict], tuple]
    output: Optional[str] = None
    hidden_channels: Optional[int] = None
    licensed: Optional[str] = None

    def split(self, weights: Mapping[str, Tensor]) -> tuple[dict, dict]:
        """Part official weights into those with a place in our model and those of the unused output.

        Licensed data are in neither.

        Raises:
            ValueError: the unused output is not that of the official model.
        """
        if self.licensed is not None:
            weights = {key: value for key, value in weights.items() if not key.startswith(self.licensed)}
        if self.output is None:
            return dict(weights), {}
        unused = {self.output + name: get_weight(weights, self.output + name) for name in ('weight', 'bias')}
        dim = len(get_weight(weights, f'{BACKBONE}pre_logits.fc.weight'))
        shapes = [list(value.shape) for value in unused.values()]
        count = shapes[1][:1]
        if shapes != [[*count, dim], count]:
            raise ValueError(f'the weights are not those of the official model: {self.output}weight and bias have '
                             f'shapes {shapes}, expected [[N, {dim}], [N]]')
        return {key: value for key, value in weights.items() if key not in unused}, unused

    def own_origin(self, weights: Mapping[str, Tensor]) -> dict:
        """Return the origin, see ``take_apart``, of official weights that were made of a training of ours.

        The unused output, which the official code asks for, is zero.

        Raises:
            ValueError: a hidden layer of another width than the official code makes.
        """
        origin = dict(container=self.container, has_prefix=True, unused={})
        if self.output is None:
            return origin
        hidden = len(weights['head.fc1.weight'])
        if self.hidden_channels not in (None, hidden):
            raise ValueError(f'ActionHead has hidden_channels={hidden}, but the official class head has '
                             f'{self.hidden_channels}, whatever its config says; train with that width')
        fc = weights[f'{BACKBONE}pre_logits.fc.weight']
        return dict(origin, unused={f'{self.output}weight': fc.new_zeros(XYZ, len(fc)),
                                    f'{self.output}bias': fc.new_zeros(XYZ)})


def class_model_config(state_dict: Mapping[str, Tensor], *, num_heads: int = 8) -> dict:
    """Read the sizes of an official ActionNet for classes off its weights, keys without 'module.'."""
    hidden, num_classes = (len(get_weight(state_dict, f'head.{name}.weight')) for name in ('fc1', 'fc2'))
    head = dict(type='ActionHead', num_classes=num_classes, hidden_channels=hidden, drop=CLASS_DROP)
    return dict(motionbert_parts(state_dict, num_heads=num_heads, prefix=BACKBONE), heads=dict(action=head))


def embedding_model_config(state_dict: Mapping[str, Tensor], *, num_heads: int = 8) -> dict:
    """Read the sizes of an official ActionNet for embeddings off its weights, keys without 'module.'."""
    head = dict(type='EmbeddingHead', out_channels=len(get_weight(state_dict, 'head.fc1.weight')), drop=EMBEDDING_DROP)
    return dict(motionbert_parts(state_dict, num_heads=num_heads, prefix=BACKBONE), heads=dict(embed=head))


def mesh_model_config(state_dict: Mapping[str, Tensor], *, num_heads: int = 8) -> dict:
    """Read the sizes of an official MeshRegressor off its weights, keys without 'module.', with or without SMPL."""
    head = dict(type='MeshHead', hidden_channels=len(get_weight(state_dict, 'head.fc1.weight')), drop=MESH_DROP,
                body_model=body_files(BODY_MODEL))
    return dict(motionbert_parts(state_dict, num_heads=num_heads, prefix=BACKBONE), heads=dict(mesh=head))


def with_body(config: dict, body_model: dict) -> dict:
    """Return the config of a model with another ``body_model`` in the heads that have one."""
    heads = {name: dict(head, body_model=body_model) if 'body_model' in head else head
             for name, head in config['heads'].items()}
    return dict(config, heads=heads)


def _describe_pose(model: dict) -> tuple[dict, list, dict]:
    return dict(num_frames=model['backbone']['max_frames']), POSE_PIPELINE, {}


def _describe_classes(model: dict) -> tuple[dict, list, dict]:
    """Classes are those of NTU RGB+D where there are as many; else nothing is known of the data."""
    num_classes = model['heads']['action']['num_classes']
    is_ntu = len(class_names(num_classes)) == num_classes
    classes = class_names(num_classes) if is_ntu else [f'class_{number}' for number in range(num_classes)]
    facts = dict(classes=list(classes), num_persons=PERSONS, **(NTU if is_ntu else {}))
    return dict(kind='resample', num_frames=model['backbone']['max_frames']), ACTION_PIPELINE, facts


def _describe_embedding(model: dict) -> tuple[dict, list, dict]:
    """The one-shot protocol is one of NTU RGB+D 120; its clips are shorter than what the backbone could read."""
    frames = min(ONESHOT_FRAMES, model['backbone']['max_frames'])
    return dict(kind='resample', num_frames=frames), ACTION_PIPELINE, dict(num_persons=PERSONS, **NTU)


def _describe_mesh(model: dict) -> tuple[dict, list, dict]:
    return dict(num_frames=min(MESH_FRAMES, model['backbone']['max_frames'])), MESH_PIPELINE, {}


_NET_ROWS = tuple((BACKBONE + official, ours) for official, ours in MOTIONBERT)
CLASSES = OfficialModel(
    'action classification', 'head.bn.weight', 'heads.action.fc1.weight', 'model',
    (*_NET_ROWS, ('head.fc1.', 'heads.action.fc1.'), ('head.bn.', 'heads.action.norm.'),
     ('head.fc2.', 'heads.action.fc2.')),
    class_model_config, _describe_classes, output=f'{BACKBONE}head.', hidden_channels=HIDDEN_CHANNELS)
EMBEDDING = OfficialModel(
    'action embedding', 'head.fc1.weight', 'heads.embed.fc.weight', 'model',
    (*_NET_ROWS, ('head.fc1.', 'heads.embed.fc.')), embedding_model_config, _describe_embedding,
    output=f'{BACKBONE}head.')
POSE = OfficialModel('pose', 'joints_embed.weight', 'backbone.embed.weight', 'model_pos', MOTIONBERT_POSE,
                     motionbert_model_config, _describe_pose)
# (1, K) <-> (K,).
_MEAN = Layout(lambda value: value.flatten(), lambda value: value[None])
MESH = OfficialModel(
    'mesh', 'head.head_pose.weight', 'heads.mesh.pose.fc1.weight', 'model',
    (*_NET_ROWS, ('head.fc1.', 'heads.mesh.pose.fc1.'), ('head.bn1.', 'heads.mesh.pose.norm.'),
     ('head.head_pose.', 'heads.mesh.pose.fc2.'), ('head.fc2.', 'heads.mesh.shape.fc1.'),
     ('head.bn2.', 'heads.mesh.shape.norm.'), ('head.head_shape.', 'heads.mesh.shape.fc2.'),
     ('head.init_pose', 'heads.mesh.mean_pose', _MEAN), ('head.init_shape', 'heads.mesh.mean_betas', _MEAN)),
    mesh_model_config, _describe_mesh, output=f'{BACKBONE}head.', licensed=SMPL)
OFFICIAL_MODELS = (MESH, CLASSES, EMBEDDING, POSE)
