"""Turn EFT's fits of COCO into a motion store of one frame per person (docs/data.md, "COCO with EFT").

FITS.json is a file of EFT, e.g. COCO2014-All-ver01.json, KEYPOINTS.json COCO's person_keypoints_train2014.json. 2D
joints are the annotated ones, brought to Human3.6M by name; confidence is 1 where a joint is labelled, else 0.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Optional

from tqdm import tqdm

from motionbert_mm.datasets.coco_eft import SKELETON, read_people
from motionbert_mm.datasets.motion_store import MotionStoreWriter

FRAME_RATE = 30.0  # of single images, without meaning


def convert(fits: Path, annotations: Path, out_dir: Path, size: Optional[tuple]) -> dict:
    """Make the store; return the report that is kept in its index.

    Raises:
        OSError, ValueError: see ``read_people``.
    """
    people = read_people(fits, annotations)
    info = dict(source=str(fits), annotations=str(annotations), left_out=dict(people.unused))
    with MotionStoreWriter(out_dir, skeleton=SKELETON, fps=FRAME_RATE, info=info) as writer:
        for row, name in enumerate(tqdm(people.names, desc='people', unit='person')):
            writer.add_clip(name, {key: values[row:row + 1] for key, values in people.arrays.items()},
                            image_size=size or people.image_sizes[row])
        writer.info.update(clips=len(people.names))
    return writer.info


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('fits', metavar='FITS.json', type=Path)
    parser.add_argument('annotations', metavar='KEYPOINTS.json', type=Path)
    parser.add_argument('out_dir', metavar='OUT_DIR', type=Path, help='the store to make; one that exists is replaced')
    parser.add_argument('--image-size', nargs=2, type=int, metavar=('W', 'H'),
                        help='take images for this large; 640 640 is what official MotionBERT networks expect')
    args = parser.parse_args()
    try:
        report = convert(args.fits, args.annotations, args.out_dir, args.image_size and tuple(args.image_size))
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f'{args.out_dir}: {report["clips"]} people')
    for reason, count in report['left_out'].items():
        print(f'left out: {count} fits {reason}')


if __name__ == '__main__':
    main()
