"""Turn 3DPW's own files into motion stores OUT_DIR/train, OUT_DIR/validation and OUT_DIR/test (docs/data.md, "3DPW").

SRC_DIR holds the unpacked sequenceFiles. A clip is a person over images that follow each other and whose camera is
known. Rotations are those of the gendered bodies, the root in camera axes; 2D joints are the OpenPose detections of
the files. Files that cannot be read are listed at the end and make the exit status 1; the others are converted.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Optional

from tqdm import tqdm

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.threedpw import (
    FRAME_RATE,
    SKELETON,
    BodyTruth,
    Recording,
    cut_person,
    find_sequences,
    read_sequence,
    truth_of,
)


def convert(split: str, files: list, out_dir: Path, truth: Optional[BodyTruth], size: Optional[tuple]) -> dict:
    """Make the store of one split; return the report that is kept in its index.

    Raises:
        ValueError: nothing can be converted at all.
    """
    counts, left_out, failed, genders = Counter(), Counter(), {}, {}
    info = dict(source=str(files[0].parent), body='SMPL of the gender of each person')
    with MotionStoreWriter(out_dir, skeleton=SKELETON, fps=FRAME_RATE, info=info) as writer:
        for path in tqdm(files, desc=split, unit='file'):
            try:
                sequence = read_sequence(path)
                people = [(person, {**person.arrays(), **(truth(person, sequence.intrinsics) if truth else {})})
                          for person in sequence.people]
            except (OSError, ValueError) as error:
                failed[path.name] = ' '.join(str(error).split())
                continue
            left_out.update({f'persons {reason}': count for reason, count in sequence.unused.items()})
            for person, arrays in people:
                for name, part in cut_person(person, arrays).items():
                    add_clip(writer, name, part, sequence, size)
                    genders[name] = person.gender
                    counts.update(clips=1, frames=len(part['smpl_pose']))
        if not counts['clips']:
            reasons = [f'{count} {reason}' for reason, count in left_out.items()] + list(failed.values())
            raise ValueError(f'{split}: no clip in {len(files)} files; {"; ".join(reasons[:5])}')
        writer.info.update(counts, files=len(files), left_out=dict(left_out), failed=failed, genders=genders)
    return writer.info


def add_clip(writer: MotionStoreWriter, name: str, arrays: dict, sequence: Recording, size: Optional[tuple]) -> None:
    """Append one clip."""
    writer.add_clip(name, arrays, subject=name.partition('@')[0], image_size=size or sequence.image_size,
                    intrinsics=sequence.intrinsics)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SRC_DIR', type=Path)
    parser.add_argument('out_dir', metavar='OUT_DIR', type=Path, help='stores that exist there are replaced')
    parser.add_argument('--smpl', metavar='DIR', help='folder of SMPL_MALE and SMPL_FEMALE; adds keypoints_3d, their '
                        'projection keypoints_2d, and smpl_translation')
    parser.add_argument('--regressor', metavar='NPY', help='joint regressor (17, 6890), goes with --smpl')
    parser.add_argument('--image-size', nargs=2, type=int, metavar=('W', 'H'),
                        help='take images for this large; 1920 1920 is what official MotionBERT networks expect')
    args = parser.parse_args()
    failed = []
    try:
        truth = truth_of(args.smpl, args.regressor)
        if truth and truth.note:
            print(f'note: {truth.note}', file=sys.stderr)
        for split, files in find_sequences(args.source).items():
            report = convert(split, files, args.out_dir / split, truth, args.image_size and tuple(args.image_size))
            print(f'{args.out_dir / split}: {report["clips"]} clips, {report["frames"]} frames at {FRAME_RATE:g} fps')
            for reason, count in report['left_out'].items():
                print(f'left out: {count} {reason}')
            failed += report['failed'].values()
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))
    if failed:
        sys.exit('\n'.join([*failed, f'{len(failed)} files failed; unpack sequenceFiles.zip again and repeat']))


if __name__ == '__main__':
    main()
