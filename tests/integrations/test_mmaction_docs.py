"""docs/mmaction.md as it stands: its config, its commands and its code, run in a folder like an MMAction2 checkout."""
import os
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import mmaction
import pytest

from motionbert_mm.checkpoints.load import load_model
from tests.generated import ROOT
from tests.mmaction_runs import clips
from tests.pyskl_files import write_pyskl

BLOCKS = re.findall(r'```(\w+)\n(.*?)```', (ROOT / 'docs' / 'mmaction.md').read_text(encoding='utf-8'), re.DOTALL)
CONFIG, COMMANDS, CODE = (text for _, text in BLOCKS)
# Processes of their own take longer to start and stop than the training.
NO_WORKERS = ['--cfg-options', *(f'{stage}_dataloader.{option}' for stage in ('train', 'val', 'test')
                                 for option in ('num_workers=0', 'persistent_workers=False'))]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """What the page expects of MMAction2's repository, from the installed package; the folder to work in."""
    parts = Path(mmaction.__file__).parent / '.mim'
    for name in ('tools/train.py', 'tools/test.py', 'configs/_base_/default_runtime.py'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(parts / name, tmp_path / name)
    (tmp_path / 'configs' / 'skeleton').mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MOTIONBERT_MM', str(ROOT))
    monkeypatch.setenv('LOCAL_RANK', '0')
    # Writing configs nicely would take longer than training.
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
    return tmp_path


def test_the_page_works(checkout, monkeypatch, capsys):
    parts = dict(train=clips('train', 4), val=clips('val', 2))
    write_pyskl(checkout / 'data' / 'skeleton' / 'actions.pkl', [clip for part in parts.values() for clip in part],
                {name: [clip['frame_dir'] for clip in part] for name, part in parts.items()})
    (checkout / 'configs' / 'skeleton' / 'motionbert.py').write_text(CONFIG, encoding='utf-8')
    for line in COMMANDS.splitlines():
        if not line.startswith('#'):
            python, *arguments = shlex.split(os.path.expandvars(line))
            assert python == 'python'
            options = NO_WORKERS if arguments[0] in ('tools/train.py', 'tools/test.py') else []
            monkeypatch.setattr(sys, 'argv', [*arguments, *options])
            runpy.run_path(arguments[0], run_name='__main__')
    assert 'acc/top1' in capsys.readouterr().out
    assert load_model('actions.pth', 'cpu')[1]['classes'] == ['walking', 'hugging']
    found = {}
    exec(compile(CODE, 'docs/mmaction.md', 'exec'), found)
    assert found['result'].pred_score.shape == (2,) and found['result'].pred_label in (0, 1)


def test_every_part_that_the_page_names_is_there():
    from motionbert_mm.registry import ALL_REGISTRIES
    for registry in ALL_REGISTRIES:
        registry.import_from_location()
    known = {name for registry in ALL_REGISTRIES for name in registry.module_dict}
    page = (ROOT / 'docs' / 'mmaction.md').read_text(encoding='utf-8')
    named = set(re.findall(r'^\| `(\w+)', page, re.MULTILINE)) - {'type'}
    assert len(named) > 4 and named <= known
