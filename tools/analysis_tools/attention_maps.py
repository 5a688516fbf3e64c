"""Write the attention maps of a model for one window: which frame, or joint, looks at which (P-STMO, figures 7 to 10).

The window around a frame of a clip runs through the checkpoint, and every attention layer is recorded: of P-STMO the
encoder (TEM), the reduction to the centre frame (MOFA) and, in masked pose modelling, the decoder. Written to the
output folder: a picture for every stack of layers, named as in the model (a row per layer, a column per head),
attention.npz with the weights by name of the layer, and attention.csv with mean distance and entropy of every head.

Examples:
    attention_maps.py pstmo.pth data/cmu --clip walk_1 --frame 120 --out maps
    attention_maps.py masked.pth keypoints.json --image-size 1920 1080 --seed 3 --modules 'heads.*' --out maps
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Optional

import numpy as np
from torch import nn

from motionbert_mm.apis.attention import AttentionMap, attention_maps, describe_attention, find_attention
from motionbert_mm.apis.checks import check_inside
from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import INDEX_NAME, Clip, MotionStore
from motionbert_mm.datasets.transforms import PackInputs
from motionbert_mm.datasets.windows import WindowPlan
from motionbert_mm.engine.command_line import EXPECTED, check_device, describe_error
from motionbert_mm.io import KeypointTrack, atomic_path, read_keypoints
from motionbert_mm.io.tables import write_table
from motionbert_mm.registry import TRANSFORMS, build
from motionbert_mm.structures.skeleton import convert
from motionbert_mm.visualization import AttentionRow, plot_attention

# What the papers call the stacks of a class.
ROLES = {'PSTMOEncoder': 'TEM', 'MPMEncoder': 'TEM', 'StridedReduction': 'MOFA', 'MaskedPoseHead': 'decoder'}
# Arrays of a store by --input-2d: keypoints, and confidence if there is one.
ARRAYS = {'detected': ('detected_2d', 'detected_confidence'), 'exact': ('keypoints_2d', None)}


# --- Reading ---


def read_source(args: argparse.Namespace) -> tuple[KeypointTrack, Sequence[float], str]:
    """Read one person's keypoints from a store or a file; return them, the image size and the name of the clip."""
    if not (args.data / INDEX_NAME).is_file():
        _refuse(args, 'a keypoint file', clip=args.clip, person=args.person, input_2d=args.input_2d)
        track = read_keypoints(args.data, skeleton=args.skeleton, track=args.track, trust_order=args.trust_order)
        if track.skeleton is None:
            raise ValueError(f'{args.data} does not say which joints it holds; name them with --skeleton')
        if args.image_size is None:
            raise ValueError(f'{args.data} does not say how large the video is; give --image-size W H in pixels')
        return track, args.image_size, args.data.absolute().stem
    _refuse(args, 'a motion store', skeleton=args.skeleton, track=args.track, trust_order=args.trust_order or None)
    store = MotionStore(args.data)
    clip = choose_clip(store, args.clip)
    size = args.image_size or clip.image_size
    if size is None:
        raise ValueError(f'clip {clip.name!r} of {args.data} has no image size; give --image-size W H in pixels')
    return read_clip(store, clip, args.person or 0, args.input_2d), size, clip.name


def _refuse(args: argparse.Namespace, kind: str, **options: object) -> None:
    """Refuse options that belong to the other kind of data."""
    given = [f'--{name.replace("_", "-")}' for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f'{" and ".join(given)} cannot be given for {args.data}, which is {kind}')


def choose_clip(store: MotionStore, name: Optional[str]) -> Clip:
    """Return the clip of a name; without one, the only clip."""
    clips = {clip.name: clip for clip in store.clips}
    if name is None and len(clips) == 1:
        return store.clips[0]
    if name not in clips:
        said = 'needs --clip' if name is None else f'has no clip {name!r}'
        raise ValueError(f'{store.path} {said}; its {len(clips)} clips are {", ".join(list(clips)[:5])}'
                         f'{", ..." if len(clips) > 5 else ""}')
    return clips[name]


def read_clip(store: MotionStore, clip: Clip, person: int, input_2d: Optional[str]) -> KeypointTrack:
    """Read the 2D keypoints of a person of a clip; detections where the store has them and nothing else is asked."""
    if not 0 <= person < clip.persons:
        raise ValueError(f'--person {person}: the persons of clip {clip.name!r} are 0 to {clip.persons - 1}')
    input_2d = input_2d or next((kind for kind, names in ARRAYS.items() if names[0] in store.arrays), 'exact')
    keypoints, confidence = ARRAYS[input_2d]
    missing = [name for name in (keypoints, confidence) if name and name not in store.arrays]
    if missing:
        raise ValueError(f'{store.path} has no {", ".join(missing)}, the {input_2d} 2D input; it holds '
                         f'{", ".join(store.arrays)}')
    rows = slice(clip.start + person * clip.length, clip.start + (person + 1) * clip.length)
    points = np.array(store.arrays[keypoints][rows])
    certainty = np.array(store.arrays[confidence][rows]) if confidence else np.ones(points.shape[:2], np.float32)
    return KeypointTrack(points, certainty, np.arange(clip.length), None, store.skeleton)


def cut_window(track: KeypointTrack, frame: Optional[int], num_frames: int, dilation: int) -> KeypointTrack:
    """Cut the window around a frame, the middle one if None; beyond the ends the first or last frame is repeated."""
    places = np.flatnonzero(track.frame_ids == frame) if frame is not None else [len(track.frame_ids) // 2]
    if not len(places):
        raise ValueError(f'--frame {frame}: the clip has the frames {track.frame_ids[0]} to {track.frame_ids[-1]}')
    plan = WindowPlan([len(track.frame_ids)], num_frames=num_frames, kind='centre', dilation=dilation,
                      centres=[np.array(places[:1])])
    frames = plan.frames(np.array([0]), np.random.default_rng(0))[1][0]
    return replace(track, keypoints=track.keypoints[frames], confidence=track.confidence[frames],
                   frame_ids=track.frame_ids[frames])


# --- Running ---


def choose_mask(found: Sequence[dict], needs_mask: bool, frame_ratio: Optional[float],
                num_joints: Optional[int]) -> list[dict]:
    """Return the configs of the transforms that hide inputs.

    Args:
        found: those of the checkpoint.
        needs_mask: the model has a head that restores what is hidden.
        frame_ratio: asked for; None keeps that of the checkpoint.
        num_joints: asked for; None keeps that of the checkpoint.
    """
    asked = {name: value for name, value in (('frame_ratio', frame_ratio), ('num_joints', num_joints))
             if value is not None}
    if asked:
        exact = next((step for step in found if step['type'].endswith('SampleExactMask')),
                     dict(type='SampleExactMask', frame_ratio=0.0, num_joints=0))
        return [{**exact, **asked}]
    if needs_mask and not found:
        raise ValueError('the model restores hidden poses, but the checkpoint does not say how many it hides; give '
                         '--frame-ratio and --num-joints, e.g. 0.8 and 2')
    return list(found)


def make_batch(window: KeypointTrack, size: Sequence[float], transforms: Sequence[dict], skeleton: str, name: str,
               seed: int) -> dict:
    """Make the network's batch of one window, its joints converted to a skeleton."""
    source = convert(window.keypoints, window.skeleton, skeleton, window.confidence)
    results = {'keypoints_2d': source.keypoints[None, None], 'confidence': source.confidence[None, None],
               'skeleton': skeleton, 'image_size': np.array([size], np.float32), 'frame_ids': window.frame_ids[None],
               'sample_id': [name]}
    rng = np.random.default_rng(seed)
    for transform in transforms:
        results = build(TRANSFORMS, transform)(results, rng)
    return collate_batch(PackInputs(fields=())(results, rng))


# --- Writing ---


def write_weights(path: Path, maps: Sequence[AttentionMap], batch: dict, frame_ids: np.ndarray,
                  joints: Sequence[str]) -> None:
    """Write the weights by name of the layer, and what is needed to read them; loads with ``allow_pickle=False``."""
    arrays = {name: value for each in maps for name, value in
              ((each.name, each.weights), (f'{each.name}.tokens', each.tokens))}
    with atomic_path(path) as work:
        np.savez(work, frame_ids=frame_ids, joints=np.array(joints), mask=hidden_inputs(batch), **arrays)


def hidden_inputs(batch: dict) -> np.ndarray:
    """Return the mask (T, J) bool of a batch of one window."""
    samples = batch['data_samples']
    return samples.mask[0, 0].numpy() if 'mask' in samples else np.zeros(batch['inputs'].shape[2:4], bool)


def draw_groups(out: Path, model: nn.Module, maps: Sequence[AttentionMap], mask: np.ndarray, frame_ids: np.ndarray,
                place: str) -> list[Path]:
    """Draw a picture for every stack of layers; return the paths."""
    paths = []
    for group in dict.fromkeys(each.group for each in maps):
        stack = [each for each in maps if each.group == group]
        kind, others = stack[0].kind, len(stack[0].weights)
        labels, is_hidden = ((frame_ids, mask.all(axis=1)) if kind == 'frames' else
                             (np.array(model.skeleton.joints, object), mask.all(axis=0)))
        rows = [AttentionRow(f'layer {each.number + 1}', each.weights.mean(axis=0), list(labels[each.tokens]),
                             is_hidden[each.tokens]) for each in stack]
        over = f', mean over {others} {"joints" if kind == "frames" else "frames"}' if others > 1 else ''
        paths.append(out / f'{group}.png')
        plot_attention(rows, paths[-1], tokens=kind[:-1], title=f'{name_role(model, group)}{over}\n{place}')
    return paths


def name_role(model: nn.Module, group: str) -> str:
    """Return a stack's name, before it what the paper calls it where that is known."""
    parts, role = group.split('.'), ''
    for depth in range(1, len(parts)):
        owner = dict(model.named_modules()).get('.'.join(parts[:depth]))
        role = ROLES.get(type(owner).__name__, role)
    return f'{role} ({group})' if role else group


def write_results(out: Path, model: nn.Module, maps: Sequence[AttentionMap], batch: dict, window: KeypointTrack,
                  place: str, step: int) -> list[Path]:
    """Write pictures, weights and the summary; return their paths."""
    mask = hidden_inputs(batch)
    paths = draw_groups(out, model, maps, mask, window.frame_ids, place)
    write_weights(out / 'attention.npz', maps, batch, window.frame_ids, model.skeleton.joints)
    rows = [row for each in maps for row in describe_attention(each, step)]
    write_table(out / 'attention.csv', [list(row.values()) for row in rows], list(rows[0]))
    return [*paths, out / 'attention.npz', out / 'attention.csv']


# --- Command line ---


def run(args: argparse.Namespace) -> None:
    """Read, run, write, report."""
    if args.out.exists() and not args.out.is_dir():
        raise NotADirectoryError(f'--out {args.out} is a file; name a folder')
    if args.image_size is not None and not all(side > 0 and np.isfinite(side) for side in args.image_size):
        raise ValueError(f'--image-size must be two positive numbers, got {args.image_size}')
    if args.seed < 0:
        raise ValueError(f'--seed must be at least 0, got {args.seed}')
    check_device(args.device)
    track, size, name = read_source(args)
    check_inside(track.keypoints, track.confidence, np.asarray(size))
    model, info = load_model(args.checkpoint, args.device)
    find_attention(model, args.modules)
    window = cut_window(track, args.frame, info['num_frames'], info['dilation'])
    masks = choose_mask(info['mask'], getattr(model.neck, 'takes_mask', False), args.frame_ratio,
                        args.num_joints)
    batch = make_batch(window, size, [*info['input'], *masks], info['skeleton'], name, args.seed)
    maps = attention_maps(model, batch, args.modules)
    centre = window.frame_ids[len(window.frame_ids) // 2]
    place = f'{name}, {len(window.frame_ids)} frames around frame {centre}'
    for note in track.notes:
        print(f'note: {note}')
    paths = write_results(args.out, model, maps, batch, window, place, info['dilation'])
    num_hidden = int(hidden_inputs(batch).all(axis=1).sum())
    print(place + (f', {num_hidden} of them hidden' if num_hidden else ''))
    for path in paths:
        print(f'wrote {path}')


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', type=Path, help='written by tools/train.py or tools/model_converters/')
    parser.add_argument('data', type=Path, help='a motion store, or a keypoint file as for tools/infer.py')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='made if missing')
    parser.add_argument('--frame', type=int, metavar='N',
                        help='centre of the window, as the file numbers it; in stores from 0; default: the middle')
    parser.add_argument('--modules', nargs='+', default=['*'], metavar='PATTERN',
                        help="shell patterns of names of attention layers, e.g. 'backbone.*'; default: all")
    parser.add_argument('--device', help='cpu, cuda:0, ...; default: the best available')
    mask = parser.add_argument_group('hidden input', 'default: as the checkpoint was tested; for most that is nothing')
    mask.add_argument('--frame-ratio', type=float, metavar='Q', help='share of the frames that are hidden')
    mask.add_argument('--num-joints', type=int, metavar='M', help='joints hidden in every other frame')
    mask.add_argument('--seed', type=int, default=0, help='of what is hidden')
    store = parser.add_argument_group('motion stores')
    store.add_argument('--clip', metavar='NAME', help='needed where there are several')
    store.add_argument('--person', type=int, metavar='N', help='from 0, the default')
    store.add_argument('--input-2d', choices=tuple(ARRAYS), help='default: detected, where the store has it')
    files = parser.add_argument_group('keypoint files')
    files.add_argument('--skeleton', help='joint order, such as coco17 or halpe26; JSON files may leave it out')
    files.add_argument('--image-size', type=float, nargs=2, metavar=('W', 'H'),
                       help='of the video, in pixels; stores mostly know it')
    files.add_argument('--track', metavar='ID', help='person of a JSON file; default: the one seen longest')
    files.add_argument('--trust-order', action='store_true', help='accept joints in an order that looks wrong')
    return parser


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    args = make_parser().parse_args(arguments)
    try:
        run(args)
    except EXPECTED as error:
        sys.exit(f'error: {describe_error(error)}')


if __name__ == '__main__':
    main()
