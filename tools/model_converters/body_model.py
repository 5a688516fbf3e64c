"""Save a body model once as an .npz of plain arrays, e.g. an SMPL pickle of Python 2 with chumpy objects.

Neither chumpy nor scipy is needed. The result opens with numpy.load without pickle, here and wherever the arrays go by
the names of SMPL's files. It is licensed as the file that it was made of.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.body_files import BODY_KINDS, read_body, read_body_arrays


def convert(source: Path, target: Path, kind: str) -> dict[str, tuple]:
    """Write the file; return the shape of each array in it.

    Raises:
        FileNotFoundError, ValueError: no body model of this kind.
    """
    read_body(source, kind, num_betas=1)  # checks that the arrays fit together
    arrays = read_body_arrays(source, kind)
    with atomic_path(target) as path:
        np.savez(path, **arrays)
    return {name: array.shape for name, array in arrays.items()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SRC', type=Path, help='body model, .pkl or .npz')
    parser.add_argument('target', metavar='DST.npz', type=Path, help='the file to write; one that exists is replaced')
    parser.add_argument('--kind', choices=tuple(BODY_KINDS), default='smpl', help='body model (default: smpl)')
    args = parser.parse_args()
    if args.target.suffix != '.npz':
        parser.error(f'{args.target} must end in .npz')
    try:
        shapes = convert(args.source, args.target, args.kind)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f'{args.target}: ' + ', '.join(f'{name} {shape}' for name, shape in shapes.items()))


if __name__ == '__main__':
    main()
