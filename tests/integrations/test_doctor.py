"""The doctor: each diagnosis is made where its defect is simulated, and no other."""
import json
import subprocess
import sys

import pytest

from motionbert_mm.__main__ import main
from motionbert_mm.doctor import commands, diagnoses, facts, report
from motionbert_mm.doctor.facts import Facts, installed_versions, try_imports
from tests.generated import ROOT, tool_environment
from tests.integrations.test_compat import WITHOUT_SHIMS

ALL = [diagnosis.name for diagnosis in diagnoses.DIAGNOSES]
HEALTHY = {'torch': '2.13.0+cpu', 'torchvision': '0.28.0', 'numpy': '2.4.6', 'setuptools': '81.0.0',
           'mmengine': '0.10.7', 'mmcv-lite': '2.1.0', 'mmdet': '3.3.0', 'mmpose': '1.3.2', 'mmaction2': '1.2.0',
           'xtcocotools': '1.14.3', 'six': '1.17.0', 'importlib_metadata': '8.0'}
IMPORTS = {module: None for names in facts.MODULES.values() for module in names if module != 'chumpy'}
# Files that are found before the real packages, or versions; what is found; a part of the command.
NO_MODULE = 'raise ModuleNotFoundError("No module named {0!r}", name={0!r})\n'
ABI = 'numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject'
BY_IMPORT = {
    'setuptools': ('mmpose.apis', NO_MODULE.format('pkg_resources'), '"setuptools<82"'),
    'numpy_for_torch': ('mmpose.datasets', 'raise RuntimeError("Numpy is not available")', '"numpy<2"'),
    'torchvision': ('torchvision', 'raise RuntimeError("operator torchvision::nms does not exist")',
                    'torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cpu'),
    'opencv': ('mmcv', 'raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")',
               'opencv-python-headless'),
    'mmcv': ('mmpose.models', 'import mmcv', 'install --no-deps mmcv-lite==2.1.0'),
    'mmcv_version': ('mmdet.utils', 'raise AssertionError("MMCV==2.2.0 is used but incompatible. Please install")',
                     'uninstall -y mmcv mmcv-lite'),
    'mmcv_ext': ('mmcv.ops', 'import mmcv._ext', 'MMCV_WITH_OPS=1'),
    'mmdet': ('mmpose.models', 'import mmdet.utils', '--no-deps mmdet==3.3.0'),
    'xtcocotools': ('mmpose.datasets', 'import xtcocotools.mask', '--no-binary xtcocotools'),
    'xtcocotools_abi': ('xtcocotools.mask', f'raise ValueError({ABI!r})', '--no-binary xtcocotools'),
    'undeclared': ('mmaction.datasets', NO_MODULE.format('munkres'), 'install munkres'),
    'multimodal': ('mmaction.models', NO_MODULE.format('timm'), 'transformers==4.28.0'),
    'drn': ('mmaction.models.localizers', 'import mmaction.models.localizers.drn', 'mmaction2.git@v1.2.0'),
}
BY_VERSION = {
    'setuptools': (dict(setuptools='82.0.0'), {}, '"setuptools<82"'),
    'numpy_for_torch': (dict(torch='2.1.2+cu121'), {}, '"numpy<2"'),
    'mmcv_twice': (dict(mmcv='2.1.0'), {}, 'uninstall -y mmcv mmcv-lite'),
    'undeclared': (dict(six=None, importlib_metadata=None), {}, 'install six importlib_metadata'),
    'chumpy': (dict(chumpy='0.70'), {'chumpy': "ImportError: cannot import name 'bool' from 'numpy'"}, '-y chumpy'),
}
BY_REPAIR = {'multimodal': ('multimodal', 'install timm'),
             'mmcv_ext': ('mmcv_operators', 'MMCV_WITH_OPS=1'), 'drn': ('drn', 'mmaction2.git@v1.2.0'),
             'weights_only': ('checkpoints', 'HostRepairsHook'), 'numpy_names': ('numpy_names', 'HostRepairsHook'),
             'tostring_rgb': ('tostring_rgb', 'HostRepairsHook')}
BY_ABSENCE = {'mmpose_absent': ('mmpose', 'install --no-deps mmdet==3.3.0 mmpose==1.3.2'),
              'mmaction_absent': ('mmaction', 'install --no-deps mmaction2==1.2.0')}


def find(imports=(), versions=(), **others):
    """Findings in a healthy environment but for what is given; a version of None is not installed."""
    versions = {name: version for name, version in {**HEALTHY, **dict(versions)}.items() if version}
    return diagnoses.diagnose(Facts(versions, {**IMPORTS, **dict(imports)}, **others))


def test_a_healthy_environment_has_no_findings():
    assert find() == [] and not diagnoses.is_broken([])


def test_every_diagnosis_is_made_by_a_test_and_listed_in_the_docs():
    assert {*BY_IMPORT, *BY_VERSION, *BY_REPAIR, *BY_ABSENCE} == set(ALL)
    text = (ROOT / 'docs' / 'hosts.md').read_text(encoding='utf-8')
    assert [name for name in [*ALL, 'unknown'] if f'| `{name}` |' not in text] == []


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A function that writes packages which the processes of the doctor find before the real ones, or not at all."""
    def write(module, code):
        path = tmp_path.joinpath(*module.split('.'))
        path.mkdir(parents=True)
        for package in [path, *path.parents][:len(module.split('.'))]:
            (package / '__init__.py').touch()
        (path / '__init__.py').write_text(code)

    absent = ('mmcv', 'mmdet', 'xtcocotools', 'mmaction', 'mmpose')
    hide = ("import sys\nclass Hide:\n    def find_spec(self, name, path=None, target=None):\n"
            "        import importlib.machinery\n"
            f"        if name.partition('.')[0] in {absent!r}:\n"
            f"            spec = importlib.machinery.PathFinder.find_spec(name, path or [{str(tmp_path)!r}])\n"
            "            if spec is None:\n"
            "                raise ModuleNotFoundError(f'No module named {name!r}')\n"
            "            return spec\n"
            "sys.meta_path.insert(0, Hide())\n")
    (tmp_path / 'sitecustomize.py').write_text(hide)
    monkeypatch.setenv('PYTHONPATH', f'{tmp_path}:{ROOT}')
    return write


@pytest.mark.parametrize('name', BY_IMPORT)
def test_a_failing_import_is_explained(packages, name):
    module, code, command = BY_IMPORT[name]
    packages(module, code)
    findings = find(try_imports([module], with_repairs=False))
    assert [(found.name, found.state, found.modules) for found in findings] == [(name, 'broken', (module,))]
    assert command in findings[0].command and diagnoses.is_broken(findings)


@pytest.mark.parametrize('name', BY_VERSION)
def test_versions_that_do_not_go_together_are_found(name):
    versions, imports, command = BY_VERSION[name]
    findings = find(imports, versions)
    assert [found.name for found in findings] == [name] and command in findings[0].command
    assert diagnoses.is_broken(findings) == (name != 'chumpy')


@pytest.mark.parametrize('name', BY_REPAIR)
def test_what_is_repaired_at_run_time_is_said_and_is_no_error(name):
    repair, command = BY_REPAIR[name]
    findings = find(needed=[repair])
    assert [(found.name, found.state) for found in findings] == [(name, 'repaired at run time')]
    assert command in findings[0].command and not diagnoses.is_broken(findings)


@pytest.mark.parametrize('name', BY_ABSENCE)
def test_a_host_that_is_not_installed_is_a_note(name):
    host, command = BY_ABSENCE[name]
    imports = {module: None for module in IMPORTS if module.partition('.')[0] != host}
    findings = diagnoses.diagnose(Facts(HEALTHY, imports))
    assert [(found.name, found.state) for found in findings] == [(name, 'note')]
    assert command in findings[0].command and not diagnoses.is_broken(findings)
    without_mmcv = {package: version for package, version in HEALTHY.items() if package != 'mmcv-lite'}
    assert 'mmcv-lite==2.1.0' in diagnoses.diagnose(Facts(without_mmcv, imports))[0].command


def test_an_unknown_error_is_reported_in_full():
    findings = find({'mmpose.apis': 'ZeroDivisionError: odd'})
    assert [(found.name, found.state, found.modules) for found in findings] == [('unknown', 'broken', ('mmpose.apis',))]
    assert 'mmpose.apis does not import: ZeroDivisionError: odd' in findings[0].cause


@pytest.mark.parametrize('torch, cuda, expected', [
    ('2.13.0+cpu', None, 'torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cpu'),
    ('2.1.2+cu121', '12.1', 'torchvision==0.16.2 --index-url https://download.pytorch.org/whl/cu121'),
    (None, None, 'torchvision --index-url https://download.pytorch.org/whl/cpu'),
])
def test_torchvision_belongs_to_torch(torch, cuda, expected):
    assert commands.matching_torchvision(torch, cuda).endswith(f'--no-deps {expected}')


def test_each_module_after_a_failure_is_tried_in_a_new_process(packages):
    packages('mmpose.models', 'import sys\nsys.seen = True\nraise KeyError("registered")')
    packages('mmpose.datasets', 'import os\nprint("noise")\nos._exit(3)')
    packages('mmpose.apis', 'import sys\nassert not hasattr(sys, "seen")')
    assert try_imports(['json', 'mmpose.models', 'mmpose.datasets', 'mmpose.apis'], with_repairs=False) == {
        'json': None, 'mmpose.models': "KeyError: 'registered'", 'mmpose.apis': None,
        'mmpose.datasets': 'the process ended with status 3: no message'}


def test_a_process_that_hangs_is_given_up(packages, monkeypatch):
    monkeypatch.setattr(facts, 'PATIENCE', 1)
    packages('mmpose.apis', 'import time\ntime.sleep(60)')
    assert try_imports(['mmpose.apis'], with_repairs=False) == {
        'mmpose.apis': 'the process did not end in 1 seconds'}


def test_versions_are_those_of_the_installed_distributions(tmp_path, monkeypatch):
    (tmp_path / 'chumpy-0.70.dist-info').mkdir()
    (tmp_path / 'chumpy-0.70.dist-info' / 'METADATA').write_text('Metadata-Version: 2.1\nName: chumpy\nVersion: 0.70\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    versions = installed_versions()
    assert versions['chumpy'] == '0.70' and 'mmengine' in versions and 'opencv-contrib-python' not in versions


def test_pins_are_those_of_the_requirements():
    lines = (ROOT / 'requirements' / 'hosts.txt').read_text(encoding='utf-8').splitlines()
    pins = [line.split('#')[0].strip() for line in lines if line.split('#')[0].strip()]
    assert pins == [f'{package}=={version}' for package, version in commands.PINS.items()]


# The command.

@pytest.fixture
def sick(monkeypatch):
    found = Facts({**HEALTHY, 'setuptools': '82.0'}, IMPORTS, ['checkpoints'], cuda='13.0')
    monkeypatch.setattr(report, 'gather_facts', lambda: found)


def test_the_report_names_commands_for_this_interpreter(sick, capsys):
    assert main(['doctor']) == 1
    text = capsys.readouterr().out
    assert f'{sys.executable} -m pip install "setuptools<82"' in text and 'Broken: setuptools.' in text
    assert 'weights_only (repaired at run time)' in text and 'repair_on_import' in text
    assert '2.13.0+cpu (CUDA 13.0, no GPU found)' in text


def test_the_report_as_json(sick, capsys):
    assert main(['doctor', '--json']) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer['broken'] and [found['name'] for found in answer['findings']] == ['setuptools', 'weights_only']
    assert answer['facts']['versions']['setuptools'] == '82.0'


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit):
        main([])
    assert 'COMMAND' in capsys.readouterr().err


def test_the_real_hosts_import_with_the_repairs_alone(tmp_path):
    (tmp_path / 'sitecustomize.py').write_text(WITHOUT_SHIMS)
    result = subprocess.run([sys.executable, '-m', 'motionbert_mm', 'doctor', '--json'], capture_output=True, text=True,
                            env=tool_environment(PYTHONPATH=f'{tmp_path}:{ROOT}'), timeout=600, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    answer = json.loads(result.stdout)
    assert set(answer['facts']['imports']) == set(IMPORTS) and set(answer['facts']['imports'].values()) == {None}
    assert {found['state'] for found in answer['findings']} == {'repaired at run time'}
    assert {'drn', 'mmcv_ext'} <= {found['name'] for found in answer['findings']}


# The script that installs the hosts.

FAKE = '#!/bin/sh\ncase "$1" in -c) echo {0}/site;; *) echo "ops=$MMCV_WITH_OPS" "$@";; esac\n'


def set_up(tmp_path, *parts, **environment):
    """Call the script with an interpreter that only repeats its arguments."""
    for place in (tmp_path / 'python', tmp_path / 'env' / 'bin' / 'python'):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(FAKE.format(tmp_path))
        place.chmod(0o755)
    (tmp_path / 'site').mkdir(exist_ok=True)
    environment = tool_environment(**{'PYTHON': str(tmp_path / 'python'), **environment})
    return subprocess.run([ROOT / 'tools' / 'setup_hosts.sh', 'env', *parts], env=environment, cwd=tmp_path, timeout=20,
                          capture_output=True, text=True, check=False)


def test_the_script_makes_an_environment_with_the_hosts(tmp_path):
    result = set_up(tmp_path, TORCH='torch==2.8.0', TORCH_INDEX='https://wheels')
    lines = result.stdout.splitlines()
    assert result.returncode == 0 and f'ops= -m venv {tmp_path}/env' in lines
    assert any(line.endswith('torch==2.8.0 setuptools>=65,<82 numpy --index-url https://wheels') for line in lines)
    assert lines[-1].endswith('--no-deps --no-build-isolation --no-binary xtcocotools -r requirements/hosts.txt '
                              'torchvision==0.28.0')
    assert not list((tmp_path / 'site').iterdir())


def test_the_script_adds_what_tests_need(tmp_path):
    result = set_up(tmp_path, 'tests')
    assert result.stdout.splitlines()[-1].endswith('-r requirements/tests.txt setuptools>=65,<82')
    assert (tmp_path / 'site' / 'host_shims.pth').read_text() == 'import host_shims\n'
    assert (tmp_path / 'site' / 'host_shims.py').is_file()


def test_the_script_builds_the_operators_if_it_is_told(tmp_path):
    lines = set_up(tmp_path, 'hosts', MMCV='full').stdout.splitlines()
    assert lines[-3].endswith('-y mmcv-lite')
    assert lines[-1].startswith('ops=1 ') and lines[-1].endswith('--no-deps --no-build-isolation mmcv==2.1.0')


def test_the_script_refuses_an_unknown_part(tmp_path):
    result = set_up(tmp_path, 'host')
    assert result.returncode == 2 and result.stderr == 'there is no part host; expected runtime, hosts or tests\n'
