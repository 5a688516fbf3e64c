"""Lift a 2D keypoint file to 3D, recover meshes or label what people do, whichever the checkpoint was trained for.

A lifter writes numbers, a picture strip and an animation of one person; a mesh model SMPL parameters, the meshes and
the same pictures. An action model writes segments of one class each, the scores of every frame and an animation, for
everybody in the file. A model that was aligned with text scores sentences (--texts).

Examples:
    tools/infer.py work_dirs/lifter/best.pth alphapose.json --skeleton halpe26 --image-size 1920 1080 --out out
    tools/infer.py work_dirs/mesh/best.pth alphapose.json --image-size 1920 1080 --mesh-format obj --out out
    tools/infer.py work_dirs/actions/best.pth alphapose.json --image-size 1920 1080 --fps 25 --out out
    tools/infer.py work_dirs/text/best.pth alphapose.json --image-size 1920 1080 --texts 'a person waves' --out out
"""
from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from motionbert_mm.apis import ActionLabeller, Lifter, LiftResult, MeshRecoverer, TextScorer
from motionbert_mm.apis.label_output import (
    Clock,
    LabelledTracks,
    label_people,
    people_to_show,
    save_scores,
    table_lines,
    write_labels,
)
from motionbert_mm.apis.labelling import find_head
from motionbert_mm.apis.lift_output import Output, write_motion
from motionbert_mm.apis.mesh_output import FORMATS, MAX_MESHES, choose_frames, write_bodies
from motionbert_mm.apis.missing import WAYS, describe_filled
from motionbert_mm.apis.text_output import text_lines, write_text_scores
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.engine.allocator import keep_freed_memory
from motionbert_mm.engine.command_line import check_device
from motionbert_mm.io import KeypointTrack, read_keypoints
from motionbert_mm.io.mesh_files import import_trimesh, read_parameters
from motionbert_mm.io.people import read_persons
from motionbert_mm.models.heads.action import ActionHead, EmbeddingHead
from motionbert_mm.models.heads.smpl import SMPLHead
from motionbert_mm.visualization import animate_labels
from motionbert_mm.visualization.movie import check_format

# Options that other kinds of models have no use for.
LIFTING_ONLY = ('dilation', 'missing', 'no_tta')
MESH_ONLY = ('mesh_format', 'mesh_every', 'body_model', 'initial')
LABELLING_ONLY = ('step', 'min_seconds', 'threshold', 'together', 'window_seconds')


class OneLineParser(argparse.ArgumentParser):
    """Report a wrong command line in one line."""

    def error(self, message: str) -> None:
        """Exit with code 2."""
        self.exit(2, f'{self.prog}: error: {message} (see --help)\n')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', type=Path, help='written by tools/train.py or tools/model_converters/')
    parser.add_argument('keypoints', type=Path,
                        help='.npy, .npz, .json of AlphaPose or in COCO style, or a folder of OpenPose JSON files')
    parser.add_argument('--skeleton', help='joint order of the keypoints, such as coco17 or halpe26; '
                                           'JSON files may leave it out')
    parser.add_argument('--image-size', type=float, nargs=2, required=True, metavar=('W', 'H'),
                        help='of the video, in pixels')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='made if missing')
    parser.add_argument('--track', metavar='ID', help='person; default: the one seen longest; everybody is labelled')
    parser.add_argument('--fps', type=float, default=30.0,
                        help='of the keypoints: speed of the animation, and what is a second to an action model')
    parser.add_argument('--format', choices=('gif', 'mp4'), default='gif', help='of the animation')
    parser.add_argument('--device', help='cpu, cuda:0, ...; default: the best available')
    parser.add_argument('--batch-size', type=int, metavar='N',
                        help='windows per forward pass. Default: 32 of a lifter that predicts the centre frame, which '
                             'gets a window around every frame; else 8, which overlap by half; 16 of an action model')
    parser.add_argument('--trust-order', action='store_true', help='accept joints in an order that looks wrong')
    parser.add_argument('--no-animation', action='store_true', help='leave the animation out')
    add_lifting_options(parser.add_argument_group('lifting and mesh recovery'))
    add_mesh_options(parser.add_argument_group('mesh recovery'))
    add_labelling_options(parser.add_argument_group('labelling of actions'))
    parser.add_argument_group('texts').add_argument(
        '--texts', nargs='+', metavar='TEXT',
        help='score these sentences, with a model that was aligned with text; without the option it lifts')
    return parser.parse_args()


def add_lifting_options(group: argparse._ArgumentGroup) -> None:
    """Add what applies to models that lift or recover meshes."""
    group.add_argument('--dilation', type=int, metavar='N',
                       help='step between the frames of a window; default: as in training. A model of every second '
                            'frame of 50 fps takes every frame (1) of 25 fps')
    group.add_argument('--missing', choices=WAYS,
                       help='who fills in joints that are NaN or have confidence 0: the model, from which they are '
                            'hidden, or interpolation over time before it. Default: the model, if it was trained with '
                            'hidden joints')
    group.add_argument('--no-tta', action='store_true', default=None, help='do not average with the mirrored input')


def add_mesh_options(group: argparse._ArgumentGroup) -> None:
    """Add what applies to mesh models."""
    group.add_argument('--mesh-format', choices=FORMATS,
                       help='glb: one animated mesh, for Blender and other viewers; obj: a folder with a mesh for each '
                            'frame; both in metres, y up. Default: glb')
    group.add_argument('--mesh-every', type=int, metavar='N',
                       help=f'write the mesh of every Nth frame; default: of all, or of at most {MAX_MESHES}')
    group.add_argument('--body-model', type=Path, metavar='PATH',
                       help='SMPL on this machine, a file or its folder, with the joint regressor beside it; default: '
                            'where they were in training')
    group.add_argument('--initial', type=Path, metavar='NPZ',
                       help='bodies of another method, for a model that refines them: smpl_pose (F, 24, 3) or (F, 72) '
                            'and smpl_betas (F, 10), and frame_ids (F,) where there are more frames than keypoints')


def add_labelling_options(group: argparse._ArgumentGroup) -> None:
    """Add what applies to action models."""
    group.add_argument('--step', type=float, metavar='SECONDS',
                       help='from one window to the next; default: a quarter of a window')
    group.add_argument('--min-seconds', type=float, metavar='SECONDS', help='least length of a segment; default: 1')
    group.add_argument('--threshold', type=float, metavar='SCORE', help='segments of a lower mean score are unknown')
    group.add_argument('--together', action='store_true', default=None,
                       help='label people as one pair who act together, for models that were trained with two persons')
    group.add_argument('--window-seconds', type=float, metavar='SECONDS',
                       help='length of a window; default: that of the clips in training')


def check_args(args: argparse.Namespace) -> None:
    """Refuse what would fail only after the model has run."""
    if not args.checkpoint.is_file():
        raise FileNotFoundError(f'{args.checkpoint}: no such checkpoint')
    if args.out.exists() and not args.out.is_dir():
        raise NotADirectoryError(f'--out {args.out} is a file; name a directory')
    if not (args.fps > 0 and np.isfinite(args.fps)):
        raise ValueError(f'--fps must be positive, got {args.fps}')
    for option in ('batch_size', 'dilation', 'mesh_every'):
        value = getattr(args, option)
        if value is not None and value < 1:
            raise ValueError(f'--{option.replace("_", "-")} must be at least 1, got {value}')
    if not all(side > 0 and np.isfinite(side) for side in args.image_size):
        raise ValueError(f'--image-size must be two positive numbers, got {args.image_size}')
    check_label_options(args)
    if not args.no_animation:
        check_format(f'motion.{args.format}')
    check_device(args.device)


def check_label_options(args: argparse.Namespace) -> None:
    """Refuse values of the options of labelling."""
    for option in ('step', 'window_seconds'):
        value = getattr(args, option)
        if value is not None and not (value > 0 and np.isfinite(value)):
            raise ValueError(f'--{option.replace("_", "-")} must be positive, got {value}')
    if args.min_seconds is not None and not 0 <= args.min_seconds < np.inf:
        raise ValueError(f'--min-seconds must be 0 or more, got {args.min_seconds}')
    if args.threshold is not None and not 0 <= args.threshold <= 1:
        raise ValueError(f'--threshold is a probability, 0 to 1, got {args.threshold}')
    if args.together and args.track is not None:
        raise ValueError('--together takes the people seen most; leave --track out')


def refuse_options(args: argparse.Namespace, options: tuple, kind: str) -> None:
    """Refuse options that the kind of model has no use for."""
    given = [option for option in options if getattr(args, option) is not None]
    if given:
        raise ValueError(f'{" and ".join("--" + option.replace("_", "-") for option in given)} '
                         f'{"are" if len(given) > 1 else "is"} not for {kind} as {args.checkpoint} holds')


def _bar(name: str) -> functools.partial:
    """Return a progress bar to wrap around an iterable."""
    return functools.partial(tqdm, desc=name, ncols=80, leave=False)


def run(args: argparse.Namespace) -> None:
    """Do what the model of the checkpoint can do."""
    check_args(args)
    model, info = load_model(args.checkpoint, args.device, body_model=args.body_model)
    if args.texts is not None:
        refuse_options(args, (*MESH_ONLY, *LABELLING_ONLY), 'a text model')
        run_texts(args, TextScorer.from_model(model, info, source=str(args.checkpoint), dilation=args.dilation))
    elif find_head(model, ActionHead) is not None:
        refuse_options(args, (*LIFTING_ONLY, *MESH_ONLY), 'an action model')
        run_labelling(args, ActionLabeller.from_model(model, info, source=str(args.checkpoint),
                                                      window_seconds=args.window_seconds))
    elif find_head(model, EmbeddingHead) is not None:
        raise ValueError(f'{args.checkpoint} holds a model that predicts embeddings, which name no action by '
                         'themselves; tools/test.py compares them with exemplars (OneShotMetric) and '
                         'tools/analysis_tools/tsne.py draws them. To label a video, finetune with an ActionHead: '
                         'load_from in a config of configs/action/')
    elif find_head(model, SMPLHead) is not None:
        refuse_options(args, LABELLING_ONLY, 'a mesh model')
        run_mesh(args, MeshRecoverer.from_model(model, info, source=str(args.checkpoint), dilation=args.dilation))
    else:
        refuse_options(args, (*LABELLING_ONLY, *MESH_ONLY), 'a lifter')
        run_lifting(args, Lifter.from_model(model, info, source=str(args.checkpoint), dilation=args.dilation))


def run_texts(args: argparse.Namespace, scorer: TextScorer) -> None:
    """Read, score, write, report."""
    track = read_track(args)
    batch_size = {} if args.batch_size is None else dict(batch_size=args.batch_size)
    result = scorer.score(track.keypoints, track.confidence, texts=args.texts, skeleton=track.skeleton,
                          image_size=args.image_size, fps=args.fps, missing=args.missing or 'auto',
                          progress=_bar('scoring'), **batch_size)
    path = args.out / f'{args.keypoints.absolute().stem}_texts.json'
    write_text_scores(path, track, result, fps=args.fps)
    notes = (f'note: {note}' for note in result.notes)
    print(*notes, *text_lines(track, result, fps=args.fps), f'wrote {path}', sep='\n')


def read_track(args: argparse.Namespace) -> KeypointTrack:
    """Read one person, and print what was chosen or assumed."""
    track = read_keypoints(args.keypoints, skeleton=args.skeleton, track=args.track, trust_order=args.trust_order)
    if track.skeleton is None:
        raise ValueError(f'{args.keypoints} does not say which joints it holds; name them with --skeleton')
    for note in track.notes:
        print(f'note: {note}')
    return track


def input_options(args: argparse.Namespace, track: KeypointTrack) -> dict:
    """Return the arguments of ``Lifter.lift`` and ``MeshRecoverer.recover`` that say how to run the model."""
    return dict(skeleton=track.skeleton, image_size=args.image_size, batch_size=args.batch_size,
                flip_test=not args.no_tta, missing=args.missing or 'auto')


def run_lifting(args: argparse.Namespace, lifter: Lifter) -> None:
    """Read, lift, write, report."""
    track = read_track(args)
    result = lifter.lift(track.keypoints, track.confidence, progress=_bar('lifting'), **input_options(args, track))
    paths = write_motion(make_output(args), track, result, lifter.skeleton.joints)
    report(track, result, lifter.skeleton.joints, paths)


def run_mesh(args: argparse.Namespace, recoverer: MeshRecoverer) -> None:
    """Read, recover, write, report."""
    mesh_format = args.mesh_format or FORMATS[0]
    if mesh_format != 'none':
        import_trimesh()  # before work is lost
    track = read_track(args)
    initial = (None, None) if args.initial is None else read_parameters(args.initial, track.frame_ids)
    result = recoverer.recover(track.keypoints, track.confidence, initial_pose=initial[0], initial_betas=initial[1],
                               progress=_bar('recovering'), **input_options(args, track))
    paths = write_bodies(make_output(args), track, result, recoverer.skeleton.joints, mesh_format=mesh_format,
                         every=args.mesh_every)
    num_meshes = len(choose_frames(len(track.keypoints), args.mesh_every))
    if mesh_format != 'none' and num_meshes < len(track.keypoints):
        print(f'note: meshes of {num_meshes} of {len(track.keypoints)} frames are written (--mesh-every)')
    report(track, result, recoverer.skeleton.joints, paths)


def make_output(args: argparse.Namespace) -> Output:
    """Return where and how to write."""
    return Output(args.out, args.keypoints.absolute().stem, args.fps, None if args.no_animation else args.format, _bar)


def report(track: KeypointTrack, result: LiftResult, joints: tuple, paths: list[Path]) -> None:
    """Say where the joints of the input came from and what was written."""
    for note in result.notes:
        print(f'note: {note}')
    num_frames = len(track.keypoints)
    print(f'{track.skeleton} -> {result.skeleton}, {num_frames} frame{"" if num_frames == 1 else "s"}')
    for kind in ('copied', 'averaged', 'invented'):
        print(f'  {kind + ":":<10}{", ".join(getattr(result, kind)) or "none"}')
    for line in describe_filled(result.filled, result.hidden, joints) or ['none']:
        print(f'  filled:   {line}')
    for path in paths:
        print(f'wrote {path}')


def run_labelling(args: argparse.Namespace, labeller: ActionLabeller) -> None:
    """Read, label, write, report."""
    people, notes = read_persons(args.keypoints, skeleton=args.skeleton, track=args.track,
                                 trust_order=args.trust_order)
    for note in notes:
        print(f'note: {note}')
    given = dict(batch_size=args.batch_size, min_seconds=args.min_seconds)
    labelled = label_people(labeller, people.tracks, together=args.together, frame_step=people.step,
                            image_size=args.image_size, fps=args.fps, step=args.step, threshold=args.threshold,
                            progress=_bar('labelling'), **{key: value for key, value in given.items()
                                                           if value is not None})
    clock = Clock(args.fps, people.step)
    paths = write_label_outputs(args, labelled, clock, labeller.window_seconds, notes)
    print(f'{people.tracks[0].skeleton}, {args.fps:g} fps, windows of {labeller.window_seconds:g} s')
    for person in labelled:
        for note in (*(note for track in person.tracks for note in track.notes), *person.result.notes):
            print(f'note: {person.name}: {note}')
        print('\n'.join(table_lines(person, clock)))
    for path in paths:
        print(f'wrote {path}')


def write_label_outputs(args: argparse.Namespace, labelled: list[LabelledTracks], clock: Clock, window_seconds: float,
                        notes: tuple) -> list[Path]:
    """Write segments, scores and the animation; return their paths."""
    name = args.keypoints.absolute().stem
    paths = [args.out / f'{name}_{what}' for what in ('actions.json', 'scores.npz', f'actions.{args.format}')]
    write_labels(paths[0], labelled, clock=clock, window_seconds=window_seconds, notes=notes)
    save_scores(paths[1], labelled, args.fps)
    if args.no_animation:
        return paths[:2]
    shown, first = people_to_show(labelled, clock.step)
    if len(shown) < sum(len(person.tracks) for person in labelled):
        print(f'note: the animation shows the {len(shown)} people who are seen most')
    animate_labels(shown, labelled[0].tracks[0].skeleton, paths[2], fps=args.fps, start_time=clock.seconds(first),
                   title=name, progress=_bar('drawing'))
    return paths


def main() -> int:
    """Return the exit code: 0, or 2 with one line on stderr for whatever a user can mend."""
    keep_freed_memory()
    args = parse_args()
    try:
        run(args)
    except (ValueError, KeyError, OSError, ImportError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print('infer.py: error: ' + ' '.join(str(message).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
