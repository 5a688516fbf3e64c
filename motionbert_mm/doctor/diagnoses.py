"""Known defects of environments: how each is recognised, and the command that repairs it."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from motionbert_mm.doctor import commands
from motionbert_mm.doctor.facts import Facts

BROKEN, REPAIRED, NOTE = 'broken', 'repaired at run time', 'note'
HOOK = "custom_hooks=[dict(type='motionbert_mm.HostRepairsHook')] in the config of the host"
UNDECLARED = ('six', 'importlib_metadata', 'json_tricks', 'munkres', 'pycocotools', 'shapely', 'terminaltables',
              'packaging', 'platformdirs', 'requests', 'cv2')
OTHER_NAMES = {'cv2': 'opencv-python-headless'}


@dataclass(frozen=True)
class Diagnosis:
    """One known defect.

    Args:
        name: of the defect.
        cause: why it is there, in a sentence.
        command: what repairs it.
        messages: parts of the errors of imports by which it is recognised.
        holds: recognises it by other facts.
        repair: name of the run-time repair that answers it too.
        breaks: False for what only keeps a host from being installed.
    """

    name: str
    cause: str
    command: Callable[[Facts], str]
    messages: tuple[str, ...] = ()
    holds: Callable[[Facts], bool] = lambda facts: False
    repair: Optional[str] = None
    breaks: bool = True


@dataclass(frozen=True)
class Finding:
    """A diagnosis that was made: its name, state, cause, command, and the modules whose import shows it."""

    name: str
    state: str
    cause: str
    command: str
    modules: tuple[str, ...]


def _absent_modules(facts: Facts) -> list[str]:
    """Return which of ``UNDECLARED`` imports ask for, or are not there although their host is."""
    asked = {name for error in facts.imports.values() for name in re.findall(r"No module named '(\w+)", error or '')}
    asked |= {name for name, host in (('six', 'mmpose'), ('importlib_metadata', 'mmaction2'))
              if host in facts.versions and name not in facts.versions}
    return [name for name in UNDECLARED if name in asked]


def _install_mmpose(facts: Facts) -> str:
    return (f'{commands.install("json_tricks", "munkres", "six")} && '
            f'{commands.install_alone(*_absent_mmcv(facts), "mmdet", "mmpose")} && {commands.SOURCE_XTCOCOTOOLS}')


def _install_mmaction(facts: Facts) -> str:
    return (f'{commands.install("importlib_metadata", "packaging", "platformdirs")} && '
            f'{commands.install_alone(*_absent_mmcv(facts), "mmaction2")}')


def _absent_mmcv(facts: Facts) -> list[str]:
    return [] if {'mmcv', 'mmcv-lite'} & set(facts.versions) else ['mmcv-lite']


MMCV_ANEW = f'{commands.PIP} uninstall -y mmcv mmcv-lite && {commands.install_alone("mmcv-lite")}'

DIAGNOSES = (
    Diagnosis('setuptools', 'MMEngine 0.10.7 imports pkg_resources, which setuptools 82 removed; every Runner of '
              'MMPose needs it', lambda facts: commands.install('"setuptools<82"'),
              ("No module named 'pkg_resources'",), lambda facts: facts.version('setuptools') >= (82,)),
    Diagnosis('numpy_for_torch', 'torch before 2.3 is built for numpy 1',
              lambda facts: commands.install('"numpy<2"'),
              ('Numpy is not available', '_ARRAY_API not found', 'compiled using NumPy 1.x'),
              lambda facts: () < facts.version('torch') < (2, 3) and facts.version('numpy') >= (2,)),
    Diagnosis('torchvision', 'torchvision is not the build for this torch, as one for CUDA beside a CPU torch',
              lambda facts: commands.matching_torchvision(facts.versions.get('torch'), facts.cuda),
              ('operator torchvision::nms does not exist', "Couldn't load custom C++ ops")),
    Diagnosis('opencv', 'opencv-python needs the libraries of a desktop; the headless build serves the same imports',
              lambda facts: f'{commands.PIP} uninstall -y opencv-python opencv-contrib-python && '
                            f'{commands.install("--force-reinstall", "--no-deps", OTHER_NAMES["cv2"])}',
              ('libGL.so', 'libgthread-2.0.so')),
    Diagnosis('mmcv', 'MMPose and MMAction2 need mmcv, or mmcv-lite where no compiled operator is called',
              lambda facts: commands.install_alone('mmcv-lite'), ("No module named 'mmcv'",)),
    Diagnosis('mmcv_twice', 'mmcv and mmcv-lite are both installed and overwrite each other', lambda facts: MMCV_ANEW,
              holds=lambda facts: {'mmcv', 'mmcv-lite'} <= set(facts.versions)),
    Diagnosis('mmcv_version', 'the hosts refuse this version of mmcv', lambda facts: MMCV_ANEW, ('MMCV==',)),
    Diagnosis('mmcv_ext', 'mmcv has no compiled operators, or they are of another torch; with the run-time repair all '
              'imports, and an operator raises where it is called; the full mmcv takes minutes to build',
              lambda facts: commands.FULL_MMCV, ("No module named 'mmcv._ext'", 'mmcv/_ext.', 'mmcv\\_ext.'),
              lambda facts: 'mmcv_operators' in facts.needed, repair='mmcv_operators'),
    Diagnosis('mmdet', 'mmpose.models imports mmdet, which mmpose does not install',
              lambda facts: commands.install_alone('mmdet'), ("No module named 'mmdet'",)),
    Diagnosis('xtcocotools', 'mmpose.datasets imports xtcocotools', lambda facts: commands.SOURCE_XTCOCOTOOLS,
              ("No module named 'xtcocotools'",)),
    Diagnosis('xtcocotools_abi', 'the wheel of xtcocotools is built for numpy 1; build it from source, which needs gcc',
              lambda facts: commands.SOURCE_XTCOCOTOOLS, ('numpy.dtype size changed',)),
    Diagnosis('undeclared', 'the hosts import packages that they do not declare, or that --no-deps left out',
              lambda facts: commands.install(*(OTHER_NAMES.get(name, name) for name in _absent_modules(facts))),
              tuple(f"No module named '{name}{end}" for name in UNDECLARED for end in "'."),
              lambda facts: bool(_absent_modules(facts))),
    Diagnosis('drn', 'the wheel of mmaction2 1.2.0 lacks mmaction/models/localizers/drn; only an editable install of '
              'its repository has it', lambda facts: commands.SOURCE_MMACTION,
              ("No module named 'mmaction.models.localizers.drn'",), lambda facts: 'drn' in facts.needed, repair='drn'),
    Diagnosis('multimodal', 'mmaction2 1.2.0 imports its models of video and text wherever transformers is installed; '
              'they ask for timm and an old transformers, with which the texts of this package do not work',
              lambda facts: commands.OLD_TRANSFORMERS,
              ("No module named 'timm", "from 'transformers."),
              lambda facts: 'multimodal' in facts.needed, repair='multimodal'),
    Diagnosis('weights_only', 'torch >= 2.6 refuses the log history in checkpoints of MMEngine (Weights only load '
              'failed)', lambda facts: HOOK, holds=lambda facts: 'checkpoints' in facts.needed, repair='checkpoints'),
    Diagnosis('numpy_names', 'numpy removed names that the hosts use (np.Inf in PoseCompact)', lambda facts: HOOK,
              holds=lambda facts: 'numpy_names' in facts.needed, repair='numpy_names'),
    Diagnosis('tostring_rgb', 'matplotlib 3.10 removed what Pose3dLocalVisualizer of MMPose draws with',
              lambda facts: HOOK, holds=lambda facts: 'tostring_rgb' in facts.needed, repair='tostring_rgb'),
    Diagnosis('chumpy', "mmpose declares chumpy, nothing here imports it, and it does not work beside today's numpy",
              lambda facts: f'{commands.PIP} uninstall -y chumpy',
              holds=lambda facts: bool(facts.imports.get('chumpy')), breaks=False),
    Diagnosis('mmpose_absent', 'MMPose is not installed; a plain pip install of it ends in the build of chumpy (No '
              "module named 'pip')", _install_mmpose, holds=lambda facts: 'mmpose.models' not in facts.imports,
              breaks=False),
    Diagnosis('mmaction_absent', 'MMAction2 is not installed; a plain pip install of it asks for decord, which some '
              'systems have no wheel of and skeletons do not need', _install_mmaction,
              holds=lambda facts: 'mmaction.models' not in facts.imports, breaks=False),
)


def diagnose(facts: Facts) -> list[Finding]:
    """Return what is wrong, known defects first, then imports that fail for no known reason."""
    findings = [found for found in (_look_for(diagnosis, facts) for diagnosis in DIAGNOSES) if found]
    explained = {module for finding in findings for module in finding.modules}
    unknown = [(module, error) for module, error in facts.imports.items()
               if error and module not in explained and module != 'chumpy']
    return findings + [Finding('unknown', BROKEN, f'{module} does not import: {error}', f'python -c "import {module}"',
                               (module,)) for module, error in unknown]


def _look_for(diagnosis: Diagnosis, facts: Facts) -> Optional[Finding]:
    modules = tuple(module for module, error in facts.imports.items()
                    if error and any(message in error for message in diagnosis.messages))
    if not modules and not diagnosis.holds(facts):
        return None
    if not diagnosis.breaks:
        state = NOTE
    else:
        state = BROKEN if modules or not diagnosis.repair else REPAIRED
    return Finding(diagnosis.name, state, diagnosis.cause, diagnosis.command(facts), modules)


def is_broken(findings: Sequence[Finding]) -> bool:
    """Say whether a finding needs its command before the hosts work."""
    return any(finding.state == BROKEN for finding in findings)
