"""Files that hold the parameters of detector noise: our own JSON, and the two official files of MotionBERT."""
from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from motionbert_mm.checkpoints.load import read_checkpoint
from motionbert_mm.datasets.noise_model import JITTER_STD, UNIFORM_RANGE, ConfidenceCurve, NoiseModel
from motionbert_mm.io import safe_pickle
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.structures.skeleton import get_skeleton

FORMAT = 'motionbert_mm detector noise'
FORMAT_VERSION = 1
DEFAULT_FILE = Path(__file__).with_name('detector_noise.json')
OFFICIAL_SKELETON = 'h36m'
MAKE_ONE = 'fit one with tools/analysis_tools/fit_noise.py'


def read_noise_model(path: Optional[Union[str, Path]] = None,
                     confidence_path: Optional[Union[str, Path]] = None) -> NoiseModel:
    """Read the parameters of detector noise.

    Args:
        path: JSON written by ``write_noise_model``, or MotionBERT's ``synthetic_noise.pth``; None is the default set
            that the package brings.
        confidence_path: MotionBERT's ``d2c_params.pkl``, whose curve replaces the one of ``path``; the official noise
            file has none of its own.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is torn, of another kind or version, or inconsistent; an official noise file without
            ``confidence_path``.
    """
    path = DEFAULT_FILE if path is None else Path(path)
    curve = None if confidence_path is None else _read_official_curve(Path(confidence_path))
    if path.suffix in ('.pth', '.pt'):
        if curve is None:
            raise ValueError(f'{path} is an official noise file, which has no confidence curve; give the official '
                             'd2c_params.pkl as confidence_params')
        return _read_official_noise(path, curve)
    model = _read_own(path)
    return model if curve is None else replace(model, confidence=curve)


def write_noise_model(path: Union[str, Path], model: NoiseModel) -> None:
    """Write parameters as JSON with the names of the joints; the file appears whole or not at all."""
    joints = {joint: {'mean': _rounded(model.mean[index]), 'std': _rounded(model.std[index]),
                      'weight': _rounded(model.weight[index])}
              for index, joint in enumerate(get_skeleton(model.skeleton).joints)}
    content = {'format': FORMAT, 'version': FORMAT_VERSION, 'source': model.source, 'skeleton': model.skeleton,
               'unit': 'half the image width is 1', 'uniform_range': model.uniform_range,
               'jitter_std': _rounded(model.jitter_std),
               'confidence': {key: _rounded(value) for key, value in asdict(model.confidence).items()},
               'joints': joints}
    with atomic_path(path) as work:
        work.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def _rounded(values: Any) -> Any:
    """Return plain numbers of seven decimals, far below what a fit can tell."""
    return np.round(np.asarray(values, np.float64), 7).tolist()


def _read_own(path: Path) -> NoiseModel:
    if not path.is_file():
        raise FileNotFoundError(f'noise parameters {path} do not exist; {MAKE_ONE}')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        kind = content['format'], content['version']
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is torn or holds no noise parameters ({error!r}); {MAKE_ONE}') from None
    if kind != (FORMAT, FORMAT_VERSION):
        raise ValueError(f'{path} is {kind[0]!r} version {kind[1]}, expected {FORMAT!r} version {FORMAT_VERSION}; '
                         f'{MAKE_ONE}')
    try:
        joints, expected = content['joints'], get_skeleton(content['skeleton']).joints
        if tuple(joints) != expected:
            raise ValueError(f'joints are {", ".join(joints)}, the skeleton has {", ".join(expected)}')
        columns = {name: np.array([joint[name] for joint in joints.values()]) for name in ('mean', 'std', 'weight')}
        return NoiseModel(skeleton=content['skeleton'], confidence=ConfidenceCurve(**content['confidence']), **columns,
                          uniform_range=float(content['uniform_range']), jitter_std=float(content['jitter_std']),
                          source=str(content['source']))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f'{path} holds no usable noise parameters ({error}); {MAKE_ONE}') from None


def _read_official_noise(path: Path, curve: ConfidenceCurve) -> NoiseModel:
    content = read_checkpoint(path)
    missing = {'mean', 'std', 'weight'} - set(content)
    if missing:
        raise ValueError(f'{path} lacks {sorted(missing)}; expected the official synthetic_noise.pth with mean, std '
                         'and weight')
    try:
        columns = {name: np.asarray(content[name], np.float64) for name in ('mean', 'std', 'weight')}
        uniform_range = float(content.get('uniform_range', UNIFORM_RANGE))
        return NoiseModel(skeleton=OFFICIAL_SKELETON, confidence=curve, **columns, uniform_range=uniform_range,
                          jitter_std=JITTER_STD, source=path.name)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f'{path} does not hold the official noise parameters ({error})') from None


def _read_official_curve(path: Path) -> ConfidenceCurve:
    content: Any = safe_pickle.load(path)
    try:
        return ConfidenceCurve(**{name: float(content[name]) for name in 'abms'})
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f'{path} does not hold the official confidence parameters ({error!r}); expected a dictionary '
                         'of the numbers a, b, m and s') from None
