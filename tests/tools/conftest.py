"""Fixtures of the tests of command lines."""
import contextlib
import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import experiments
from tests.generated import load_tool


@pytest.fixture
def tools_here(monkeypatch):
    """Let ``experiments`` run tools/train.py and tools/test.py in this process; the list of commands that ran."""
    commands = []
    numbers = itertools.count()

    def run(command, *, stdout, **_):
        commands.append(command[1:])
        config = Path(command[2])
        # MMEngine keeps its objects by the name of the experiment, which is one per process otherwise.
        name = f'{config.parent.as_posix()}_{next(numbers)}'.replace('/', '_')
        config.write_text(f'{config.read_text()}\nexperiment_name = {name!r}\n')
        try:
            with contextlib.redirect_stdout(stdout), monkeypatch.context() as patch:
                patch.setattr(sys, 'argv', command[1:])
                load_tool(Path(command[1]).name).main()
        except SystemExit as stop:
            stdout.write(f'{stop.code}\n')
            return SimpleNamespace(returncode=1)
        return SimpleNamespace(returncode=0)

    # Writing configs nicely would take longer than training.
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
    monkeypatch.setattr(experiments, 'subprocess', SimpleNamespace(run=run, STDOUT=None))
    return commands
