"""docs/mmpose.md as it stands: its config, its commands and its code, run in a folder like an MMPose checkout."""
import os
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import mmpose
import pytest
from mmengine.registry import DefaultScope

from motionbert_mm.checkpoints.load import load_model
from motionbert_mm.registry import ALL_REGISTRIES
from tests.generated import ROOT
from tests.h36m_files import write_mmpose

PAGE = (ROOT / 'docs' / 'mmpose.md').read_text(encoding='utf-8')
CONFIG, COMMANDS, CODE = re.findall(r'```(?:python|bash)\n(.*?)```', PAGE, re.DOTALL)
VIDEOS = {'train': [('S1', 'Walking_1', '54138969', 45)], 'test': [('S11', 'WalkDog', '58860488', 30)]}
# Processes of their own take longer to start and stop than the training.
NO_WORKERS = ['--cfg-options', *(f'{stage}_dataloader.{option}' for stage in ('train', 'val', 'test')
                                 for option in ('num_workers=0', 'persistent_workers=False'))]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """What the page expects of MMPose's repository, from the installed package, and the data; the folder to work in."""
    parts = Path(mmpose.__file__).parent / '.mim'
    for name in ('tools/train.py', 'tools/test.py', 'configs/_base_/default_runtime.py'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(parts / name, tmp_path / name)
    (tmp_path / 'configs' / 'body_3d_keypoint').mkdir()
    (tmp_path / 'configs' / 'body_3d_keypoint' / 'motionbert.py').write_text(CONFIG, encoding='utf-8')
    annotations = tmp_path / 'data' / 'h36m' / 'annotation_body3d'
    (annotations / 'fps50').mkdir(parents=True)
    files = write_mmpose(annotations, VIDEOS)
    for split in VIDEOS:
        files[split].rename(annotations / 'fps50' / files[split].name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MOTIONBERT_MM', str(ROOT))
    monkeypatch.setenv('LOCAL_RANK', '0')
    # Writing configs nicely would take longer than training.
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
    with DefaultScope.overwrite_default_scope('mmpose'):  # the scope that the tools set is gone afterwards
        yield tmp_path


def test_the_page_works(checkout, monkeypatch, capsys):
    for line in COMMANDS.splitlines():
        if not line.startswith('#'):
            python, *arguments = shlex.split(os.path.expandvars(line))
            assert python == 'python'
            options = NO_WORKERS if arguments[0] in ('tools/train.py', 'tools/test.py') else []
            monkeypatch.setattr(sys, 'argv', [*arguments, *options])
            runpy.run_path(arguments[0], run_name='__main__')
    assert 'Protocol of MPJPE' in capsys.readouterr().out
    assert load_model('ours.pth', 'cpu')[1]['num_frames'] == 27
    found = {}
    exec(compile(CODE, 'docs/mmpose.md', 'exec'), found)
    assert found['result'].pred_instances.keypoints.shape == (1, 17, 3)


def test_every_part_that_the_page_names_is_there():
    for registry in ALL_REGISTRIES:
        registry.import_from_location()
    known = {name for registry in ALL_REGISTRIES for name in registry.module_dict}
    named = set(re.findall(r'^\| `(\w+)', PAGE, re.MULTILINE)) - {'type'}
    assert len(named) > 4 and named <= known
    configs = [path.name for path in (ROOT / 'configs' / 'mmpose').glob('*.py')]
    for stem in re.findall(r'configs/mmpose/\{(.*?)\}-mmhead_', PAGE)[0].split(','):
        assert any(name.startswith(f'{stem}-mmhead_') for name in configs)
