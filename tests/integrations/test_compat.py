"""Repairs of the hosts at run time: each removes its defect, does nothing where there is none, and can be undone."""
import importlib
import io
import pickle
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner

from motionbert_mm.checkpoints.load import read_checkpoint
from motionbert_mm.integrations import compat, missing_modules
from motionbert_mm.integrations.checkpoint_globals import refuses_history
from motionbert_mm.integrations.missing_modules import HostPartMissing, StandInFinder, find_module, is_missing
from tests.generated import ROOT, tool_environment

REPAIRS = {repair.name: repair for repair in compat.REPAIRS}
needs_refusal = pytest.mark.skipif(not refuses_history(), reason='this torch loads checkpoints of the Runner')
SHIMS = ('MissingModules', 'Multimodal')
# Takes the stand-ins of the test environment away, also from processes that a process starts.
WITHOUT_SHIMS = '''
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path
                    if getattr(finder, '__name__', '') not in ('MissingModules', 'Multimodal')]
'''


@pytest.fixture(autouse=True)
def repairs_end_with_the_test(monkeypatch):
    monkeypatch.delenv(compat.VARIABLE, raising=False)
    yield
    compat.undo_repairs()


def only(name):
    """Names of the other repairs, to leave out."""
    return [other for other in REPAIRS if other != name]


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file


def loaded(file):
    file.seek(0)
    return torch.load(file)


# Log histories and numpy content of checkpoints.

@needs_refusal
def test_checkpoints_with_a_log_history_load():
    content = dict(history=HistoryBuffer([1.0, 2.5], [1, 1]), empty=HistoryBuffer(), score=np.float32(0.5),
                   colors=np.arange(6, dtype=np.uint8).reshape(2, 3).T, sigmas=np.array([0.1, 0.2], '>f4'),
                   names=np.array(['hip', 'knee']), name=np.str_('h36m'), nothing=np.str_(''))
    file = saved(content)
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        loaded(file)
    assert compat.apply_repairs(only('checkpoints')) == ['checkpoints']
    got = loaded(file)
    assert got['history'].mean() == 1.75 and got['history'].statistics('max') == 2.5 and len(got['empty'].data[0]) == 0
    for name in ('score', 'colors', 'sigmas', 'names', 'name', 'nothing'):
        expected = pickle.loads(pickle.dumps(content[name]))
        np.testing.assert_array_equal(got[name], expected)
        assert got[name].dtype == expected.dtype
    got['history'].update(4.0, 1)
    assert got['history'].data[0].tolist() == [1.0, 2.5, 4.0]


@needs_refusal
def test_what_was_loaded_is_saved_as_if_it_had_not_been():
    compat.apply_repairs(only('checkpoints'))
    colors = np.arange(6).reshape(2, 3)
    again = saved(loaded(saved(dict(colors=colors))))
    assert again.getvalue() == saved(dict(colors=colors)).getvalue()


class Call:
    """Pickles as a call, and what is set afterwards."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


@needs_refusal
@pytest.mark.parametrize('evil, message', [
    (Call(getattr, (HistoryBuffer, '__init__')), 'only the methods of HistoryBuffer'),
    (Call(getattr, (np.ndarray, 'tofile')), 'only the methods of HistoryBuffer'),
    (Call(eval, ('1',)), 'GLOBAL eval was not an allowed global'),
    (Call(np.dtype, ('f8', False, True), (3, '<', None, None, None, -1, -1, 63)), 'numpy never writes'),
    (Call(np.dtype, ('O', False, True)), 'only plain numbers and text'),
    (Call(np.dtype, ('f8,O',)), 'only plain numbers and text'),
    (np.array([None, 1]), 'only plain numbers and text'),
    (Call(np.ndarray, ((2,),)), 'calls numpy.ndarray itself'),
    (Call(np.zeros(1).__reduce__()[0], (np.ndarray, (0,), b'b'), (1, (1,), np.dtype('f8'), False, [1])), 'of objects'),
    (Call(np.zeros(1).__reduce__()[0], (HistoryBuffer, (0,), b'b')), 'only numpy.ndarray is admitted'),
])
def test_checkpoints_that_ask_for_more_are_refused(evil, message):
    compat.apply_repairs(only('checkpoints'))
    with pytest.raises(pickle.UnpicklingError, match=message):
        loaded(saved(dict(evil=evil)))


@needs_refusal
def test_what_others_admitted_is_there_again_when_the_repair_is_undone():
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([np.dtype, StandInFinder])
    compat.apply_repairs(only('checkpoints'))
    assert StandInFinder in torch.serialization.get_safe_globals()
    assert np.dtype not in torch.serialization.get_safe_globals()
    assert compat.undo_repairs() == ['checkpoints']
    assert set(torch.serialization.get_safe_globals()) == {*before, np.dtype, StandInFinder}
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


@needs_refusal
def test_our_own_reader_leaves_the_repair_in_place(tmp_path):
    compat.apply_repairs(only('checkpoints'))
    path = tmp_path / 'model.pth'
    torch.save(dict(best=np.float64(2.0)), path)
    assert read_checkpoint(path) == dict(best=2.0)
    assert not refuses_history()


# Names of numpy and matplotlib.

def test_numpy_names_are_back(monkeypatch):
    monkeypatch.delattr(np, 'Inf', raising=False)
    absent = [name for name in compat.NUMPY_NAMES if not hasattr(np, name)]
    assert compat.apply_repairs(only('numpy_names')) == ['numpy_names']
    assert np.Inf == np.inf and np.isnan(np.NAN) and np.float is float  # noqa: NPY001, NPY201
    assert np.trapz([1.0, 3.0]) == 2.0  # noqa: NPY201
    assert np.in1d([[1, 2], [3, 2]], [2]).tolist() == [False, True, False, True]  # noqa: NPY201
    compat.undo_repairs()
    assert 'Inf' in absent and not any(hasattr(np, name) for name in absent)


def test_canvases_give_rgb_bytes(monkeypatch):
    monkeypatch.delattr(FigureCanvasAgg, 'tostring_rgb', raising=False)
    assert compat.apply_repairs(only('tostring_rgb')) == ['tostring_rgb']
    canvas = FigureCanvasAgg(Figure(figsize=(0.2, 0.1), dpi=100, facecolor=(1.0, 0.0, 0.2)))
    canvas.draw()
    assert canvas.tostring_rgb() == bytes([255, 0, 51]) * 200
    compat.undo_repairs()
    assert not hasattr(FigureCanvasAgg, 'tostring_rgb')


# Modules that wheels lack.

USE_EXT = 'import importlib\n_ext = importlib.import_module("mmcv._ext")\nassert hasattr(_ext, "nms")\n'
USE_TIMM = 'from timm.models.layers import DropPath\n'
HOST_FILES = {'mmcv/__init__.py': '', 'mmcv/ops.py': USE_EXT, 'mmaction/__init__.py': '',
              'mmaction/models/__init__.py': '', 'mmaction/models/localizers/__init__.py': 'from .drn.drn import DRN\n'}


@pytest.fixture
def hosts(tmp_path, monkeypatch):
    """Hosts of a few files in the place of the real ones, without the shims of the test environment."""
    def drop(forget):
        for name in [name for name in sys.modules if name.partition('.')[0] in ('mmcv', 'mmaction')]:
            forget(name)

    for name, text in HOST_FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    drop(lambda name: monkeypatch.delitem(sys.modules, name))
    monkeypatch.setattr(sys, 'meta_path', [finder for finder in sys.meta_path
                                           if getattr(finder, '__name__', '') not in SHIMS])
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    compat.undo_repairs()
    drop(sys.modules.pop)


def test_looking_for_a_module_imports_nothing(hosts):
    (hosts / 'mmaction' / '__init__.py').write_text('raise RuntimeError("imported")')
    assert find_module('mmaction.models.localizers').origin.endswith('__init__.py')
    assert is_missing('mmaction.models.localizers.drn') and is_missing('mmcv._ext')
    assert find_module('mmcv.ops.part') is None and not is_missing('mmcv.ops') and not is_missing('absent.part')
    assert 'mmaction' not in sys.modules


@pytest.mark.parametrize('name, module, part, command', [
    ('drn', 'mmaction.models.localizers', lambda module: module.DRN(num_class=3), 'mmaction2.git@v1.2.0'),
    ('mmcv_operators', 'mmcv.ops', lambda module: module._ext.nms(1, 2), 'MMCV_WITH_OPS=1'),
])
def test_a_missing_part_imports_and_raises_where_it_is_used(hosts, name, module, part, command):
    with pytest.raises(ModuleNotFoundError, match=REPAIRS[name].symptom):
        importlib.import_module(module)
    assert compat.apply_repairs(only(name)) == [name]
    with pytest.raises(HostPartMissing, match=f'not installed and was used; run: .*{command}'):
        part(importlib.import_module(module))
    assert compat.apply_repairs(only(name)) == []
    compat.undo_repairs()
    del sys.modules[module]
    with pytest.raises(ModuleNotFoundError, match=REPAIRS[name].symptom):
        importlib.import_module(module)


def test_the_versions_of_compilers_are_text(hosts):
    compat.apply_repairs(only('mmcv_operators'))
    assert importlib.import_module('mmcv._ext').get_compiling_cuda_version() == 'mmcv has no compiled operators'


def transformers_is_there(monkeypatch, timm, **names):
    """Say that the package is found, with names in one of its modules; and whether timm is."""
    modules = {'transformers': ModuleType('transformers'), 'transformers.modeling_utils': SimpleNamespace(**names)}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    found = missing_modules.is_found
    monkeypatch.setattr(missing_modules, 'is_found',
                        lambda name: dict(transformers=True, timm=timm).get(name, found(name)))


@pytest.mark.parametrize('timm', [False, True])
def test_models_of_video_and_text_that_do_not_import_are_left_out(hosts, monkeypatch, timm):
    transformers_is_there(monkeypatch, timm)
    (hosts / 'mmaction' / 'models' / '__init__.py').write_text('from .multimodal import *\n')
    (hosts / 'mmaction' / 'models' / 'multimodal').mkdir()
    (hosts / 'mmaction' / 'models' / 'multimodal' / '__init__.py').write_text(USE_TIMM)
    assert compat.apply_repairs(only('multimodal')) == ['multimodal'] and compat.apply_repairs(only('multimodal')) == []
    importlib.import_module('mmaction.models')
    with pytest.raises(HostPartMissing, match='multimodal.VindLUVQA is not installed and was used; run: .*timm'):
        importlib.import_module('mmaction.models.multimodal').VindLUVQA()
    compat.undo_repairs()
    del sys.modules['mmaction.models']
    with pytest.raises(ModuleNotFoundError, match=REPAIRS['multimodal'].symptom):
        importlib.import_module('mmaction.models')


def test_models_of_video_and_text_that_work_are_left_alone(hosts, monkeypatch):
    (hosts / 'mmaction' / 'models' / 'multimodal').mkdir()
    (hosts / 'mmaction' / 'models' / 'multimodal' / '__init__.py').touch()
    transformers_is_there(monkeypatch, timm=True, apply_chunking_to_forward=print)
    assert compat.apply_repairs(only('multimodal')) == []
    monkeypatch.setattr(missing_modules, 'is_found', lambda name: False)
    assert compat.apply_repairs(only('multimodal')) == []


@pytest.mark.parametrize('name, path', [('drn', 'mmaction/models/localizers/drn/drn.py'),
                                        ('mmcv_operators', 'mmcv/_ext.py')])
def test_a_part_that_is_there_is_left_alone(hosts, name, path):
    (hosts / path).parent.mkdir(exist_ok=True)
    (hosts / path).write_text('DRN = nms = print\n')
    assert compat.apply_repairs(only(name)) == []


# All of them.

def test_nothing_is_repaired_where_no_host_is(monkeypatch):
    monkeypatch.setattr(compat, 'is_found', lambda name: False)
    assert compat.apply_repairs() == []


def test_a_second_call_finds_nothing_to_repair():
    first = compat.apply_repairs()
    assert set(first) <= set(REPAIRS) and compat.apply_repairs() == []
    assert compat.undo_repairs() == first and compat.apply_repairs() == first


@pytest.mark.parametrize('setting, left', [('0', set()), ('', set(REPAIRS)),
                                           ('drn, numpy_names', {*REPAIRS} - {'drn', 'numpy_names'})])
def test_the_environment_variable_leaves_out(monkeypatch, setting, left):
    monkeypatch.setenv(compat.VARIABLE, setting)
    monkeypatch.setattr(compat, 'is_needed', lambda repair: True)
    monkeypatch.setattr(compat, 'REPAIRS', tuple(
        compat.Repair(name, '', '', (), lambda: True, lambda: lambda: None) for name in REPAIRS))
    assert set(compat.apply_repairs()) == left


@pytest.mark.parametrize('setting, skip', [('drm', []), ('', ['drm'])])
def test_a_name_that_is_no_repair_is_refused(monkeypatch, setting, skip):
    monkeypatch.setenv(compat.VARIABLE, setting)
    with pytest.raises(ValueError, match='no repair is called drm; there are checkpoints, drn, .*MM_REPAIRS'):
        compat.apply_repairs(skip)


def run_python(code, tmp_path, **environment):
    """Run code in a process without the shims of the test environment."""
    (tmp_path / 'sitecustomize.py').write_text(WITHOUT_SHIMS)
    environment = tool_environment(**environment)
    environment['PYTHONPATH'] = f'{tmp_path}:{ROOT}'
    return subprocess.run([sys.executable, '-c', code], env=environment, cwd=tmp_path, capture_output=True, text=True,
                          timeout=300, check=False)


IMPORT_ALL = '''
import numpy as np, torch
from motionbert_mm.registry import ALL_REGISTRIES
for registry in ALL_REGISTRIES:
    registry.import_from_location()
import motionbert_mm.integrations.compat as compat
needed = [repair.name for repair in compat.REPAIRS if compat.is_needed(repair)]
assert not compat._undo and needed[-2:] == ['drn', 'mmcv_operators'], needed
import motionbert_mm.integrations.repair_on_import as module
assert module.APPLIED == needed
'''
USE_HOSTS = IMPORT_ALL + '''
import mmpose.models, mmaction.models, mmaction.datasets, mmcv.ops
box = np.array([[[1.0, 2.0], [5.0, 4.0]]])
pack = dict(keypoint=box[None].astype(np.float32), keypoint_score=np.ones((1, 1, 2)), img_shape=(10, 10))
print(mmaction.datasets.transforms.PoseCompact(threshold=0.0, padding=0.0)(pack)['img_shape'])
try:
    mmcv.ops.nms(torch.zeros(1, 4), torch.ones(1), 0.5)
except NotImplementedError as error:
    print(error)
'''


def test_importing_the_package_repairs_nothing_and_the_real_hosts_work_once_it_is_asked_for(tmp_path):
    result = run_python(USE_HOSTS, tmp_path)
    assert result.returncode == 0, result.stderr
    shape, error = result.stdout.strip().splitlines()[-2:]
    assert shape == '(2, 4)'
    assert error.startswith("the compiled operator 'nms' of mmcv is not installed and was used; run: ")


# The hook.

class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(1, 1)

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.fc(torch.stack(inputs)).square().mean())


@pytest.fixture
def make_runner(tmp_path):
    def make(**changes):
        config = dict(
            model=dict(type='LineOfTests'), work_dir=str(tmp_path), default_scope='mmpose',
            train_dataloader=dict(dataset=[dict(inputs=torch.ones(1))] * 4, batch_size=2,
                                  sampler=dict(type='DefaultSampler', shuffle=False)),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)), log_level='ERROR', **changes)
        return Runner.from_cfg(Config(config))

    MODELS.register_module(name='LineOfTests', module=Line)
    yield make
    del MODELS.module_dict['LineOfTests']


@needs_refusal
def test_the_hook_lets_a_run_of_the_host_resume(make_runner):
    runner = make_runner(experiment_name='first')
    runner.train()
    runner = make_runner(experiment_name='second', resume=True)
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        runner.train()
    hook = dict(type='motionbert_mm.HostRepairsHook')
    runner = make_runner(experiment_name='third', resume=True, custom_hooks=[hook])
    assert 'checkpoints' in next(hook for hook in runner.hooks if hasattr(hook, 'applied')).applied
    runner.train()
    assert runner.epoch == 1 and runner.iter == 2


def test_the_hook_leaves_out_what_it_is_told(make_runner):
    hook = dict(type='motionbert_mm.HostRepairsHook', skip=list(REPAIRS))
    runner = make_runner(experiment_name='skipping', custom_hooks=[hook])
    assert next(hook for hook in runner.hooks if hasattr(hook, 'applied')).applied == []


@pytest.mark.parametrize('repair', compat.REPAIRS, ids=lambda repair: repair.name)
def test_the_docs_list_every_repair(repair):
    lines = (ROOT / 'docs' / 'hosts.md').read_text(encoding='utf-8').splitlines()
    assert any(line.startswith(f'| `{repair.name}` | ') and repair.symptom in line.split(' | ')[1] for line in lines)
