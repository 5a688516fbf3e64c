"""Stand-ins for modules that a host imports and that are not installed, or that do not work: what is used raises."""
from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Callable, Optional

from motionbert_mm.doctor import commands
from motionbert_mm.doctor.facts import is_found

DRN = 'mmaction.models.localizers.drn'
MMCV_EXT = 'mmcv._ext'
MULTIMODAL = 'mmaction.models.multimodal'


class HostPartMissing(NotImplementedError):
    """A part of a host was used that is not installed."""


class StandInFinder:
    """An import finder that is asked last, hence only for modules that do not exist.

    Args:
        contents: module name -> function that gives the value of any name in it.
    """

    def __init__(self, contents: Mapping[str, Callable[[str], Any]]) -> None:
        self.contents = dict(contents)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[importlib.machinery.ModuleSpec]:
        """Offer the stand-in of a module."""
        if name not in self.contents:
            return None
        is_package = any(other.startswith(f'{name}.') for other in self.contents)
        return importlib.machinery.ModuleSpec(name, self, origin=__file__, is_package=is_package)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Leave the making of the module to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Let every name be found but those of Python itself."""
        give = self.contents[module.__name__]

        def find(name: str) -> Any:
            if name.startswith('__'):
                raise AttributeError(name)
            return give(name)

        module.__getattr__ = find

    def install(self) -> Callable[[], None]:
        """Start finding; return what undoes it, for modules that are imported later."""
        sys.meta_path.append(self)
        return self.remove

    def remove(self) -> None:
        """Stop finding, and forget the modules that were made."""
        sys.meta_path.remove(self)
        for name in self.contents:
            if getattr(getattr(sys.modules.get(name), '__spec__', None), 'loader', None) is self:
                del sys.modules[name]


class ReplacingFinder(StandInFinder):
    """An import finder that is asked first, hence for modules that are there but cannot be imported."""

    def install(self) -> Callable[[], None]:
        """Start finding; return what undoes it, for modules that are imported later."""
        sys.meta_path.insert(0, self)
        return self.remove


def find_module(name: str) -> Optional[importlib.machinery.ModuleSpec]:
    """Look for a module as an import would, without importing the packages that it is in."""
    spec, path, found = None, None, ''
    for part in name.split('.'):
        if found and path is None:  # a module, no package
            return None
        found = f'{found}.{part}' if found else part
        spec = _ask_finders(found, path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec


def _ask_finders(name: str, path: Optional[Sequence[str]]) -> Optional[importlib.machinery.ModuleSpec]:
    try:
        return next(filter(None, (finder.find_spec(name, path) for finder in sys.meta_path)), None)
    except KeyError:  # a folder without __init__.py, for which Python asks its package, which is not imported
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [os.path.join(entry, name.rpartition('.')[2]) for entry in path]
        return spec


def is_missing(name: str) -> bool:
    """Say whether a module is missing in a package that is there."""
    return find_module(name.rpartition('.')[0]) is not None and find_module(name) is None


def multimodal_fails() -> bool:
    """Say whether MMAction2 would import its models of video and text, and could not.

    It does so wherever transformers is installed; they ask for timm too, and for names that transformers removed.
    """
    spec = find_module(MULTIMODAL) if is_found('transformers') else None
    if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        return False
    if not is_found('timm'):
        return True
    try:
        from transformers.modeling_utils import apply_chunking_to_forward  # noqa: F401
    except ImportError:
        return True
    return False


def _unusable(part: str, command: str) -> Callable:
    def use(*args: Any, **kwargs: Any) -> None:
        raise HostPartMissing(f'{part} is not installed and was used; run: {command}')
    return use


def mmcv_operator(name: str) -> Callable:
    """Return what stands for an operator of ``mmcv._ext``: text for the two names of compilers, else what raises."""
    if name in ('get_compiler_version', 'get_compiling_cuda_version'):
        return lambda: 'mmcv has no compiled operators'
    return _unusable(f'the compiled operator {name!r} of mmcv', commands.FULL_MMCV)


def multimodal_part(name: str) -> type:
    """Return a class that stands for one of ``mmaction.models.multimodal``."""
    return type(name, (), dict(__init__=_unusable(f'{MULTIMODAL}.{name}', commands.OLD_TRANSFORMERS),
                               __doc__='Stands for a class of MMAction2 that does not work with this transformers.'))


def drn_part(name: str) -> type:
    """Return a class that stands for one of ``mmaction.models.localizers.drn``."""
    return type(name, (), dict(__init__=_unusable(f'{DRN}.{name}', commands.SOURCE_MMACTION),
                               __doc__='Stands for a class that the wheel of mmaction2 lacks.'))
