"""The registries of the package: children of MMEngine's roots in the scope ``motionbert_mm``.

The modules in ``locations`` are imported at the first look-up, so that a config of another OpenMMLab
project only has to write ``type='motionbert_mm.DSTformer'``.
"""
import inspect
from collections.abc import Iterable
from typing import Any, Callable

from mmengine import registry as root
from mmengine.registry import Registry

SCOPE = 'motionbert_mm'


def _child(parent: Registry, *places: str) -> Registry:
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=[f'{SCOPE}.{place}' for place in places])


MODELS = _child(root.MODELS, 'models', 'integrations')
DATASETS = _child(root.DATASETS, 'datasets')
DATA_SAMPLERS = _child(root.DATA_SAMPLERS, 'datasets')
FUNCTIONS = _child(root.FUNCTIONS, 'datasets')
TRANSFORMS = _child(root.TRANSFORMS, 'datasets', 'integrations')
METRICS = _child(root.METRICS, 'evaluation', 'integrations')
HOOKS = _child(root.HOOKS, 'engine', 'integrations.hooks')
LOOPS = _child(root.LOOPS, 'engine')
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(root.OPTIM_WRAPPER_CONSTRUCTORS, 'engine')

ALL_REGISTRIES = (MODELS, DATASETS, DATA_SAMPLERS, FUNCTIONS, TRANSFORMS, METRICS, HOOKS, LOOPS,
                  OPTIM_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS)

# Keys that MMEngine takes out of a config before it builds the class.
FRAMEWORK_KEYS = ('type', '_scope_', 'priority', 'constructor', 'paramwise_cfg')

# The package fills no other root, but MMEngine warns at every look-up in a root that lacks the default scope.
for _root in (root.RUNNERS, root.RUNNER_CONSTRUCTORS, root.STRATEGIES, root.MODEL_WRAPPERS, root.WEIGHT_INITIALIZERS,
              root.OPTIMIZERS, root.PARAM_SCHEDULERS, root.EVALUATOR, root.TASK_UTILS,
              root.VISUALIZERS, root.VISBACKENDS, root.LOG_PROCESSORS, root.INFERENCERS):
    _child(_root)


def build(registry: Registry, cfg: Any, **defaults: Any) -> Any:
    """Build ``cfg`` in this package's scope, whatever the default scope is.

    Inside a run of another OpenMMLab project the default scope wins over the registry on which ``build``
    is called; all inner objects of this package therefore go through here.

    Args:
        registry: one of the registries above.
        cfg: a config with ``type``; an object that is already built is returned as it is.
        **defaults: arguments that ``cfg`` may override.

    Returns:
        The built object.

    Raises:
        TypeError: an argument that the class does not take, with the class and its arguments named.
    """
    if not isinstance(cfg, dict):
        return cfg
    _check_keys(cfg, (registry,), str(cfg.get('type')))
    return registry.build({'_scope_': SCOPE, **cfg}, default_args=defaults or None)


def check_arguments(config: Any, place: str = 'config') -> None:
    """Refuse, anywhere inside a config, keys that the class named beside them does not take.

    Looks at classes of this package only; nothing is built.

    Raises:
        TypeError: with the place in the config, the class and the arguments that it takes.
    """
    if isinstance(config, (list, tuple)):
        for number, entry in enumerate(config):
            check_arguments(entry, f'{place}[{number}]')
    if isinstance(config, dict):
        _check_keys(config, ALL_REGISTRIES, place)
        for key, value in config.items():
            check_arguments(value, f'{place}.{key}')


def refuse_unknown_keys(config: Iterable[str], takes: Callable, place: str, extra: Iterable[str] = ()) -> None:
    """Compare the keys of a config with the arguments of what is called with them.

    Args:
        config: the keys.
        takes: class or function.
        place: of ``config``, for the message.
        extra: keys that are taken out before.

    Raises:
        TypeError: a key is no argument.
    """
    known = inspect.signature(takes).parameters
    unknown = sorted(set(config) - set(known) - set(extra))
    if unknown and not any(entry.kind is entry.VAR_KEYWORD for entry in known.values()):
        raise TypeError(f'{place} has {", ".join(unknown)}, which {takes.__name__} does not take; '
                        f'it takes {", ".join(known)}')


def _check_keys(config: dict, registries: Iterable[Registry], place: str) -> None:
    name = config.get('type')
    if not isinstance(name, str):
        return
    name = name[len(SCOPE) + 1:] if name.startswith(f'{SCOPE}.') else name
    for registry in registries:
        registry.import_from_location()
        if name in registry.module_dict:
            refuse_unknown_keys(config, registry.module_dict[name], place, FRAMEWORK_KEYS)
