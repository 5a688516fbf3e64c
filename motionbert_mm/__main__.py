"""Commands of the package: ``python -m motionbert_mm doctor``."""
import argparse
import sys
from collections.abc import Sequence
from typing import Optional

from motionbert_mm.doctor import report


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run a command and return its status."""
    parser = argparse.ArgumentParser(prog='python -m motionbert_mm', description='Commands of the package.')
    commands = parser.add_subparsers(metavar='COMMAND', required=True)
    doctor = commands.add_parser('doctor', help='say what is wrong with MMPose and MMAction2 here, and what repairs it',
                                 description='Print versions, which hosts import, what is broken and the command that '
                                             'repairs it. Status 1 if something is broken.')
    report.add_arguments(doctor)
    doctor.set_defaults(run=report.run)
    args = parser.parse_args(arguments)
    return args.run(args)


if __name__ == '__main__':
    sys.exit(main())
