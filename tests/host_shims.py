"""Import shims of the test environment, so that the real hosts load without compiled operators.

Installed as a ``.pth`` by tools/setup_hosts.sh, so that subprocesses have them too. Loading this file patches
nothing; it adds two import finders:

* ``MissingModules`` is asked last, hence only for modules that do not exist: ``mmcv._ext`` (the only
  part of ``mmcv/ops`` that mmcv-lite lacks) and ``mmaction.models.localizers.drn`` (left out of the
  mmaction2 1.2.0 wheel). With a full mmcv or a repaired mmaction2 it is never reached.
* ``Multimodal`` is asked first for ``mmaction.models.multimodal``, which mmaction2 1.2.0 fills wherever transformers
  is installed, and which asks for timm and an old transformers: it is left empty.
* ``TorchvisionSchemas`` is asked first and finds nothing: it declares the operator schemas that a
  torchvision wheel built for CUDA expects when it runs beside a CPU build of torch.
"""
import importlib.machinery
import sys

DRN = 'mmaction.models.localizers.drn'


class CompiledOpUnavailable(NotImplementedError):
    """A compiled mmcv operator was called where only mmcv-lite is installed."""


def _fill_ext(module):
    def missing(name):
        def operator(*args, **kwargs):
            raise CompiledOpUnavailable(f'mmcv operator {name!r} needs the full mmcv; mmcv-lite is installed')
        return operator

    def __getattr__(name):
        if name.startswith('__'):
            raise AttributeError(name)
        if name.startswith('get_'):
            return lambda: 'n/a'
        return missing(name)

    module.__getattr__ = __getattr__


def _fill_drn(module):
    class DRN:
        def __init__(self, *args, **kwargs):
            raise NotImplementedError('the mmaction2 1.2.0 wheel lacks DRN; install mmaction2 from its repository')

    module.DRN = DRN


FILLERS = {'mmcv._ext': (False, _fill_ext), DRN: (True, None), DRN + '.drn': (False, _fill_drn)}


class _Loader:
    def __init__(self, fill):
        self.fill = fill

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        if self.fill:
            self.fill(module)


class MissingModules:
    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if fullname not in FILLERS:
            return None
        is_package, fill = FILLERS[fullname]
        return importlib.machinery.ModuleSpec(fullname, _Loader(fill), origin=__file__, is_package=is_package)


class Multimodal:
    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if fullname != 'mmaction.models.multimodal':
            return None
        return importlib.machinery.ModuleSpec(fullname, _Loader(None), origin=__file__)


class TorchvisionSchemas:
    library = None  # keeps the torch.library.Library alive

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        extension = sys.modules.get('torchvision.extension')
        if fullname == 'torchvision._meta_registrations' and cls.library is None and extension is not None:
            if not extension._has_ops():
                import torch
                cls.library = torch.library.Library('torchvision', 'DEF')
                for name in ('nms', 'qnms'):
                    cls.library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        return None


if not any(getattr(finder, '__name__', '') == 'MissingModules' for finder in sys.meta_path):
    sys.meta_path[:0] = [Multimodal, TorchvisionSchemas]
    sys.meta_path.append(MissingModules)
