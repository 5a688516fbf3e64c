"""The package and every module of it import without a host and without an optional package."""
import subprocess
import sys

from tests.generated import ROOT, tool_environment

# A host can be installed and still fail to import, with any exception; MMEngine itself tries some of the others.
HOSTS = ('mmpose', 'mmaction', 'mmcv', 'mmdet')
EXTRAS = ('smplx', 'trimesh', 'transformers', 'onnxruntime', 'matplotlib', 'h5py', 'sklearn', 'tokenizers',
          'safetensors')
SCRIPT = f'''
import importlib, importlib.util, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {HOSTS!r}:
            raise RuntimeError(f'{{name}} is blocked')
        if name.split('.')[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f'{{name}} is blocked')

find_spec = importlib.util.find_spec  # by which old torch asks whether onnxruntime is there, and expects an answer
importlib.util.find_spec = lambda name, package=None: None if name in {EXTRAS!r} else find_spec(name, package)
sys.meta_path.insert(0, Blocker())
import motionbert_mm
assert [name for name in sys.modules if name.startswith('motionbert_mm')] == ['motionbert_mm']
assert 'torch' not in sys.modules
failed, names = [], []
for module in pkgutil.walk_packages(motionbert_mm.__path__, 'motionbert_mm.', onerror=failed.append):
    names.append(module.name)
    try:
        importlib.import_module(module.name)
    except Exception as error:
        failed.append(f'{{module.name}}: {{error!r}}')
from motionbert_mm.registry import ALL_REGISTRIES
for registry in ALL_REGISTRIES:
    registry.import_from_location()
print(len(names), *names)
if failed:
    sys.exit('\\n'.join(failed))
'''


def test_every_module_imports_with_hosts_and_extras_blocked():
    result = subprocess.run([sys.executable, '-c', SCRIPT], cwd=ROOT, env=tool_environment(), capture_output=True,
                            text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    count, *names = result.stdout.split()
    assert int(count) == len(names) > 30
    files = {path.relative_to(ROOT).with_suffix('').as_posix().replace('/', '.').removesuffix('.__init__')
             for path in (ROOT / 'motionbert_mm').rglob('*.py')}
    assert files - {'motionbert_mm'} == set(names)
