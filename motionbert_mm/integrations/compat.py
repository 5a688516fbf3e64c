"""Repairs of the hosts at run time: each only where its defect is, and only when asked for.

Asked for by ``apply_repairs()`` before a host is imported, or by its config: ``custom_imports=dict(imports=[
'motionbert_mm.integrations.repair_on_import'])``, or, where nothing has to be repaired before the host imports its
models, ``custom_hooks=[dict(type='motionbert_mm.HostRepairsHook')]``. The environment variable
``MOTIONBERT_MM_REPAIRS`` says which to leave out: ``0`` all, ``drn,numpy_names`` these.
"""
from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Callable

import numpy as np

from motionbert_mm.doctor.facts import is_found
from motionbert_mm.integrations.missing_modules import (
    DRN,
    MMCV_EXT,
    MULTIMODAL,
    ReplacingFinder,
    StandInFinder,
    drn_part,
    is_missing,
    mmcv_operator,
    multimodal_fails,
    multimodal_part,
)

VARIABLE = 'MOTIONBERT_MM_REPAIRS'
# Names that the hosts use and numpy removed: `float` in 1.24, `Inf` and `NAN` in 2.0, the functions in 2.4.
NUMPY_NAMES = dict(Inf=lambda: np.inf, NAN=lambda: np.nan, float=lambda: float,
                   trapz=lambda: np.trapezoid, in1d=lambda: _in1d)


@dataclass(frozen=True)
class Repair:
    """One defect of the hosts on today's wheels and what repairs it.

    Args:
        name: by which it is left out.
        symptom: the message that users see.
        where: what shows it, and since which version.
        hosts: packages without which there is nothing to repair.
        is_needed: tells whether the defect is here.
        repair: removes it, and returns what undoes that.
        before_import: whether it has to be before the host imports its models, so that a hook is too late.
    """

    name: str
    symptom: str
    where: str
    hosts: tuple[str, ...]
    is_needed: Callable[[], bool]
    repair: Callable[[], Callable[[], None]]
    before_import: bool = False


def _refuses_history() -> bool:
    from motionbert_mm.integrations.checkpoint_globals import refuses_history
    return refuses_history()


def _admit_history() -> Callable[[], None]:
    from motionbert_mm.integrations.checkpoint_globals import admit_history
    return admit_history()


def _in1d(values: np.ndarray, others: np.ndarray, *args: bool, **kwargs: bool) -> np.ndarray:
    return np.isin(np.ravel(values), others, *args, **kwargs)


def _absent_numpy_names() -> list[str]:
    return [name for name in NUMPY_NAMES if not hasattr(np, name)]


def _restore_numpy_names() -> Callable[[], None]:
    names = _absent_numpy_names()
    for name in names:
        setattr(np, name, NUMPY_NAMES[name]())

    def remove() -> None:
        for name in names:
            delattr(np, name)
    return remove


def _lacks_tostring_rgb() -> bool:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    return not hasattr(FigureCanvasAgg, 'tostring_rgb')


def _add_tostring_rgb() -> Callable[[], None]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    FigureCanvasAgg.tostring_rgb = lambda canvas: np.asarray(canvas.buffer_rgba())[..., :3].tobytes()
    return lambda: delattr(FigureCanvasAgg, 'tostring_rgb')


REPAIRS = (
    Repair('checkpoints', '_pickle.UnpicklingError: Weights only load failed.',
           'resume, load_from, init_model on torch >= 2.6', ('mmengine',), _refuses_history, _admit_history),
    Repair('numpy_names', 'AttributeError: `np.Inf` was removed in the NumPy 2.0 release.',
           'PoseCompact of MMAction2 and some metrics on numpy >= 2; np.float in mmdet and mmcv since 1.24',
           ('mmaction', 'mmdet', 'mmcv'), lambda: bool(_absent_numpy_names()), _restore_numpy_names),
    Repair('tostring_rgb', "'FigureCanvasAgg' object has no attribute 'tostring_rgb'",
           'Pose3dLocalVisualizer of MMPose on matplotlib >= 3.10', ('mmpose',), _lacks_tostring_rgb,
           _add_tostring_rgb),
    Repair('multimodal', "No module named 'timm'",
           'import of mmaction.models of mmaction2 1.2.0 wherever transformers is installed', ('mmaction',),
           multimodal_fails, lambda: ReplacingFinder({MULTIMODAL: multimodal_part}).install(), before_import=True),
    Repair('drn', "No module named 'mmaction.models.localizers.drn'",
           'import of mmaction.models; the wheel of mmaction2 1.2.0 lacks the folder', ('mmaction',),
           lambda: is_missing(f'{DRN}.drn') or is_missing(DRN),
           lambda: StandInFinder({DRN: drn_part, f'{DRN}.drn': drn_part}).install(), before_import=True),
    Repair('mmcv_operators', "No module named 'mmcv._ext'",
           'import of mmcv.ops, mmpose.models, mmdet.models with mmcv-lite or an mmcv built without operators',
           ('mmcv',), lambda: is_missing(MMCV_EXT),
           lambda: StandInFinder({MMCV_EXT: mmcv_operator}).install(), before_import=True),
)

_undo: dict[str, Callable[[], None]] = {}


def apply_repairs(skip: Iterable[str] = ()) -> list[str]:
    """Apply the repairs whose defects are here; a second call finds none.

    Args:
        skip: names of repairs to leave out, besides those of the environment variable.

    Returns:
        Names of the repairs that were applied.

    Raises:
        ValueError: a name that is no repair.
    """
    needed = [repair for repair in REPAIRS if repair.name in _chosen(skip) and is_needed(repair)]
    for repair in needed:
        _undo[repair.name] = repair.repair()
    return [repair.name for repair in needed]


def undo_repairs() -> list[str]:
    """Take back what ``apply_repairs`` did, and return its names."""
    names = list(_undo)
    while _undo:
        _undo.popitem()[1]()
    return names


def is_needed(repair: Repair) -> bool:
    """Say whether one of the hosts is installed and the defect is here."""
    return any(map(is_found, repair.hosts)) and repair.is_needed()


def _chosen(skip: Iterable[str]) -> set[str]:
    """Return the names of the repairs that are not left out."""
    known = {repair.name for repair in REPAIRS}
    setting = os.environ.get(VARIABLE, '').strip()
    left_out = known if setting == '0' else {name.strip() for name in setting.split(',')} - {''}
    left_out = left_out | set(skip)
    if left_out - known:
        raise ValueError(f'no repair is called {", ".join(sorted(left_out - known))}; there are '
                         f'{", ".join(sorted(known))}. They are left out by skip=[...] or the environment variable '
                         f'{VARIABLE}, a comma list of names or 0 for all')
    return known - left_out
