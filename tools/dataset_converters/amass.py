"""Turn a download of AMASS into a motion store of Human3.6M joints (docs/data.md, "AMASS").

Walks SRC_DIR for `*_poses.npz` (SMPL+H) or, with --smplx, `*_stageii.npz` (SMPL-X). Joints are a regressor times the
vertices of the posed body, in camera axes (x, -z, y) of the world, millimetres. A run that was killed goes on where it
stopped. Files that cannot be read are listed at the end and make the exit status 1; the others are converted.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tqdm import tqdm

from motionbert_mm.datasets.amass import (
    AmassOptions,
    convert_files,
    converter_of,
    find_sequences,
    open_work_folder,
)
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.io.work_folder import WorkFolder
from motionbert_mm.structures.body import REGRESSED


def convert(source: Path, out_dir: Path, options: AmassOptions, workers: int) -> dict:
    """Make the store; return the report that is kept in its index.

    Raises:
        FileNotFoundError, ValueError, ImportError: nothing can be converted at all.
    """
    files, skipped = find_sequences(source, options.kind)
    note = converter_of(options).note
    if note:
        print(f'note: {note}', file=sys.stderr)
    work = open_work_folder(out_dir, options)
    progress = tqdm(convert_files(files, work, options, workers), desc='motions', unit='file', total=len(files))
    failed = {name: reason for name, reason in progress if reason}
    if len(failed) == len(files):
        raise ValueError(f'none of the {len(files)} motions could be converted, e.g. {next(iter(failed.values()))}')
    report = dict(source=str(source), body=options.kind, regressor=options.regressor, regressor_note=note,
                  skipped=dict(skipped), failed=dict(sorted(failed.items())))
    return assemble(out_dir, [name for name in files if name not in failed], work, options.fps, report)


def assemble(out_dir: Path, names: list, work: WorkFolder, fps: float, report: Mapping) -> dict:
    """Write the finished pieces into a store and delete them."""
    rates: Counter = Counter()
    frames = 0
    with MotionStoreWriter(out_dir, skeleton=REGRESSED, fps=fps, info=dict(report)) as writer:
        for name in tqdm(names, desc='writing', unit='clip'):
            arrays = work.load(name)
            rates[f'{float(arrays.pop("source_fps")):g}'] += 1
            frames += len(arrays['keypoints_3d'])
            writer.add_clip(name, arrays, subject=name.rpartition('/')[0])
        writer.info.update(source_fps=dict(rates), frames=frames)
    work.remove()
    return writer.info


def print_report(out_dir: Path, num_clips: int, fps: float, report: Mapping) -> None:
    """Say what was written and what was left out."""
    hours = report['frames'] / fps / 3600
    rates = ', '.join(f'{count} at {rate} fps' for rate, count in report['source_fps'].items())
    print(f'{out_dir}: {num_clips} clips, {report["frames"]} frames at {fps:g} fps, {hours:.2f} hours; source: {rates}')
    for sort, count in report['skipped'].items():
        print(f'left out: {count} {sort}')
    for name, reason in report['failed'].items():
        print(f'failed: {name}: {reason}', file=sys.stderr)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SRC_DIR', type=Path, help='folder with the unpacked archives')
    parser.add_argument('out_dir', metavar='OUT_DIR', type=Path, help='the store to make; one that exists is replaced')
    body = parser.add_mutually_exclusive_group(required=True)
    body.add_argument('--smplh', metavar='DIR', help='SMPL+H bodies, e.g. DIR/male/model.npz; reads *_poses.npz')
    body.add_argument('--smplx', metavar='DIR', help='SMPL-X bodies, e.g. DIR/SMPLX_MALE.npz; reads *_stageii.npz')
    parser.add_argument('--regressor', required=True, metavar='NPY', help='joint regressor (17, V) of this body')
    parser.add_argument('--dmpls', metavar='DIR', help='DMPL models, DIR/male/model.npz; adds soft tissue (SMPL+H)')
    parser.add_argument('--fps', type=float, default=30.0, help='frame rate of the store (default: 30)')
    parser.add_argument('--num-betas', type=int, default=16, help='shape coefficients to use (default: 16)')
    parser.add_argument('--smpl-pose', action='store_true', help='also keep rotations as smpl_pose (F, 24, 3)')
    parser.add_argument('--workers', type=int, default=0, help='processes (default: 0, this one)')
    parser.add_argument('--batch-frames', type=int, default=512, help='frames posed at once (default: 512)')
    args = parser.parse_args()
    if min(args.fps, args.num_betas, args.batch_frames) <= 0 or args.workers < 0:
        parser.error('--fps, --num-betas and --batch-frames must be positive, --workers at least 0')
    options = AmassOptions(
        kind='smplh' if args.smplh else 'smplx', body_dir=args.smplh or args.smplx, regressor=args.regressor,
        dmpl_dir=args.dmpls, fps=args.fps, num_betas=args.num_betas, batch_frames=args.batch_frames,
        with_pose=args.smpl_pose)
    try:
        report = convert(args.source, args.out_dir, options, args.workers)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))
    except BrokenProcessPool:
        sys.exit('a worker process was killed, perhaps for memory; run again with fewer --workers or --batch-frames, '
                 'finished files are kept')
    failed, total = len(report['failed']), sum(report['source_fps'].values())
    print_report(args.out_dir, total, args.fps, report)
    if failed:
        sys.exit(f'{failed} of {failed + total} motions failed; download them again and repeat, or go without them')


if __name__ == '__main__':
    main()
