"""Named protocols: which sequences are left out, how errors are averaged, which joints count.

A row of ``PROTOCOLS``, or of ``MESH_PROTOCOLS`` for meshes, is all that a protocol is; ``Pose3DMetric(protocol=NAME)``,
``MeshMetric(..., protocol=NAME)`` and ``tools/analysis_tools/eval_predictions.py --protocol NAME`` read nothing else.
docs/evaluation.md compares the rows.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from motionbert_mm.evaluation.functional.keypoint_eval import MPI_INF_3DHP_GROUPS


@dataclass(frozen=True)
class Recording:
    """One of the two recordings of an action by a subject of Human3.6M, seen by four cameras.

    Attributes:
        subject: 'S9', ...
        action: canonical name.
        title: name of the recording in VideoPose3D's files, which is the action with or without a number.
        official: name in MotionBERT's file, without the camera.
        aliases: other titles that MMPose's lists use.
    """

    subject: str
    action: str
    title: str
    official: str
    aliases: tuple[str, ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """Shell patterns of the clip names of all cameras, in the spelling of each of the three sources."""
        titles = [f'{self.subject}/{self.title}']
        titles += [f'{self.subject}_{title.replace(" ", "_")}' for title in (self.title, *self.aliases)]
        return (self.official, f'{self.official}_ca_*', *titles, *(f'{title}.*' for title in titles))


# Official: block_list in train.py of MotionBERT; the annotation is faulty. MMPose leaves out the same recordings,
# under two spellings: skip_list in configs/body_3d_keypoint/motionbert/h36m/*.py. The titles are those of the two lists
# side by side.
FAULTY_S9 = (Recording('S9', 'Greeting', 'Greeting', 's_09_act_05_subact_02', ('Greet',)),
             Recording('S9', 'SittingDown', 'SittingDown', 's_09_act_10_subact_02'),
             Recording('S9', 'Waiting', 'Waiting 1', 's_09_act_13_subact_01', ('Wait 1',)))
# Official: data/prepare_data_h36m.py of VideoPose3D discards it, because one of its four videos is corrupt
# (s_11_act_02_subact_02_ca_01, which other readers of the official images skip by that name).
CORRUPT_S11 = (Recording('S11', 'Directions', 'Directions', 's_11_act_02_subact_02'),)


@dataclass(frozen=True)
class Protocol:
    """How one code base measures one data set.

    Attributes:
        name: what users type.
        average: the headline: 'action' is the mean over actions of the means over their frames, 'frame' pools frames.
        overlap: as of ``MotionMetric``.
        excluded: recordings that are left out, in all cameras.
        drop_zero_error: leave out frames without any error.
        joints: which joints are averaged; None is all of ``skeleton``, the root included.
        pck_joints: the joints that PCK and AUC count, by group; None leaves them to the user.
        group_by: the rows of the first table.
        tables: what the rows of further tables are.
        skeleton: the joint set that the numbers are defined for.
    """

    name: str
    average: str
    overlap: str
    excluded: tuple[Recording, ...] = ()
    drop_zero_error: bool = False
    joints: Optional[tuple[str, ...]] = None
    pck_joints: Optional[Mapping[str, tuple[str, ...]]] = None
    group_by: str = 'action'
    tables: tuple[str, ...] = ()
    skeleton: str = 'h36m'

    @property
    def skip_list(self) -> tuple[str, ...]:
        """Patterns of the clip names that are left out."""
        return tuple(pattern for recording in self.excluded for pattern in recording.patterns)

    @property
    def options(self) -> dict[str, Any]:
        """What the protocol fixes, as options of ``Pose3DMetric``."""
        options = {'joints': self.joints, 'root_relative': True, 'drop_zero_error': self.drop_zero_error,
                   'average': self.average, 'group_by': self.group_by, 'within_group': 'frame',
                   'overlap': self.overlap}
        return options if self.pck_joints is None else {**options, 'pck_joints': self.pck_joints}

    def describe_excluded(self) -> str:
        """Name the recordings that are left out."""
        return ', '.join(f'{recording.subject} {recording.title}' for recording in self.excluded)

    def check_excluded(self, clips: Iterable[Mapping[str, Any]]) -> None:
        """Refuse clips among which a recording that must be left out is certain to hide under an unknown name.

        Args:
            clips: those that are measured: sample_id, subject, action and camera of each.

        Raises:
            ValueError: both recordings of an action were kept, of which the protocol leaves out one.
        """
        clips = [clip for clip in clips if clip.get('camera')]
        for recording in self.excluded:
            seen: dict[str, str] = {}
            for clip in clips:
                if (clip.get('subject'), clip.get('action')) != (recording.subject, recording.action):
                    continue
                other = seen.setdefault(clip['camera'], clip['sample_id'])
                if other != clip['sample_id']:
                    raise ValueError(
                        f'protocol {self.name!r} leaves out {recording.subject} {recording.title}, but both '
                        f'{other!r} and {clip["sample_id"]!r} are there and neither is named as in a known source '
                        f'({", ".join(recording.patterns)}); name the clips so, or add the one to skip_list')


PROTOCOLS = {protocol.name: protocol for protocol in (
    # Official: evaluate() in train.py of MotionBERT: errors of each clip are accumulated per source frame, frames of
    # zero accumulated error are dropped, means over the frames of an action, then over actions.
    Protocol('motionbert', average='action', overlap='errors', drop_zero_error=True, excluded=FAULTY_S9),
    # Official: evaluate() and run_evaluation() in run.py of VideoPose3D: whole sequences, all frames of an action
    # pooled, mean over actions. P-STMO and MPM accumulate the same way (print_error in common/utils.py).
    Protocol('videopose3d', average='action', overlap='predictions', excluded=CORRUPT_S11),
    # Official: MPJPE in mmpose/evaluation/metrics/keypoint_3d_metrics.py of MMPose 1.3: the headline is the mean over
    # all frames of all windows; the means of the actions are given beside it and not averaged.
    Protocol('mmpose', average='frame', overlap='errors', excluded=FAULTY_S9),
    # Official: mpii_evaluate_errors.m and mpii_compute_3d_pck.m of MPI-INF-3DHP, as in 3dhp_test of P-STMO: the valid
    # frames of all sequences pooled, the error over 17 joints of which the pelvis has none, PCK and AUC over 14.
    Protocol('mpi_inf_3dhp', average='frame', overlap='predictions', pck_joints=MPI_INF_3DHP_GROUPS,
             group_by='sequence', tables=('scene', 'activity'), skeleton='mpi_inf_3dhp17'),
)}
# What holds without a protocol: of joints, of meshes.
FREE_OPTIONS = {'joints': None, 'pck_joints': None, 'root_relative': True, 'drop_zero_error': False,
                'average': 'action', 'group_by': 'action', 'within_group': 'frame', 'overlap': 'predictions'}


@dataclass(frozen=True)
class MeshProtocol:
    """How bodies are measured on one data set; joints and alignment are those of ``MeshMetric`` on all.

    Attributes:
        name: what users type.
        truth: where the true body comes from, in words.
        group_by: the rows of the first table.
        gender: of the body model that poses truth and prediction; None leaves it to the user.
        average: the headline; 'frame' pools the frames of all clips.
    """

    name: str
    truth: str
    group_by: str
    gender: Optional[str] = 'neutral'
    average: str = 'frame'

    @property
    def options(self) -> dict[str, Any]:
        """What the protocol fixes, as options of ``MeshMetric``."""
        return {'average': self.average, 'group_by': self.group_by}


# Official: evaluate() in train_mesh.py and evaluate_mesh() in lib/utils/utils_mesh.py of MotionBERT: the frames of all
# clips of 16 frames pooled, nothing left out, no mean over actions; the neutral body poses the truth of both sets.
# 'smpl' is the same on other data, such as synthetic motion.
MESH_PROTOCOLS = {protocol.name: protocol for protocol in (
    MeshProtocol('3dpw', truth='SMPL parameters of 3DPW, from inertial sensors and video', group_by='sequence'),
    MeshProtocol('h36m-mosh', truth='SMPL parameters by MoSh; their joints are regressed from the mesh, not those of '
                                    'the motion capture', group_by='action'),
    MeshProtocol('smpl', truth='SMPL parameters of the data set', group_by='action', gender=None),
)}
FREE_MESH_OPTIONS = {'average': 'frame', 'group_by': 'action'}


def get_protocol(name: str, known: Mapping[str, Any] = PROTOCOLS) -> Any:
    """Return a row of ``PROTOCOLS``, or of other ``known`` ones, or raise a KeyError that lists the names."""
    if name not in known:
        raise KeyError(f'unknown protocol {name!r}; known are {", ".join(known)}. '
                       'A new one is a row of motionbert_mm/evaluation/protocols.py')
    return known[name]


def resolve_options(protocol: Union[Protocol, MeshProtocol, None], given: Mapping[str, Any],
                    free: Mapping[str, Any] = FREE_OPTIONS) -> dict[str, Any]:
    """Fill in the options that were not given.

    Args:
        protocol: fixes its options, or None.
        given: values by name; None is not given.
        free: values that hold without a protocol.

    Raises:
        ValueError: an option contradicts the protocol.
    """
    fixed = {} if protocol is None else protocol.options
    for name in fixed:
        if given.get(name) is not None and given[name] != fixed[name]:
            raise ValueError(f'protocol {protocol.name!r} fixes {name}={fixed[name]!r}, got {given[name]!r}; leave the '
                             'option out, or leave protocol out and give all options of your own')
    options = {**free, **fixed}
    return {name: default if given.get(name) is None else given[name] for name, default in options.items()}
