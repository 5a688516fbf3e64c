"""Print the parameters of a model and the multiply-accumulate operations (MACs) of one clip.

Counted are matrix products and convolutions of one forward pass, attention included; norms, activations and
additions are not. One MAC is two FLOPs. Flip averaging at test time runs the network twice. ``--depth`` lists what the
parts are made of; modules that the pass leaves out, such as the 3D encoder of MPM under 2D input, have no MACs.
"""
from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional, Union

import torch
from mmengine.config import DictAction
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from motionbert_mm.engine.command_line import EXPECTED, describe_error, read_config
from motionbert_mm.models.motion_model import MotionModel
from motionbert_mm.registry import MODELS, build

INPUT_CHANNELS = 3


@dataclass(frozen=True)
class Cost:
    """What one model costs.

    Attributes:
        shape: (B, M, T, J, C) of the input.
        parameters: part -> (parameters, trainable ones among them), and parts of parts behind it under dotted names;
            'total' is the whole model.
        macs: part -> MACs of one clip, in the same order; 'total' is the sum of the parts.
        kinds: 'linear', 'attention', 'convolution' -> MACs of one clip.
        has_flip: the config averages with the mirrored input at test time.
    """

    shape: tuple
    parameters: dict
    macs: dict
    kinds: dict
    has_flip: bool


def count_cost(config: Mapping, *, frames: Optional[int] = None, persons: int = 1, batch_size: int = 1,
               depth: int = 0) -> Cost:
    """Build the model of a config and count one forward pass.

    Args:
        config: a whole config; only ``model`` and the windows of the data sets are read.
        frames: T; None takes the window of the config's data set.
        persons: M.
        batch_size: B; MACs are given per clip.
        depth: levels of modules below the parts that are counted too.

    Raises:
        ValueError: no ``MotionModel`` in the config, sizes below 1, a negative depth, or more frames than the model
            takes.
    """
    if 'model' not in config:
        raise ValueError(f'the config has no model; it holds {sorted(config)}')
    model = _build_model(config)
    frames = find_num_frames(config, model) if frames is None else frames
    if min(frames, persons, batch_size) < 1:
        raise ValueError(f'frames {frames}, persons {persons} and batch size {batch_size} must be at least 1')
    if depth < 0:
        raise ValueError(f'depth {depth} must not be negative')
    # Inputs are x, y and confidence, also of backbones that read x and y only.
    channels = max(INPUT_CHANNELS, getattr(model.backbone, 'in_channels', INPUT_CHANNELS))
    shape = (batch_size, persons, frames, model.skeleton.num_joints, channels)
    parameters = {name: _count_parameters(part) for name, part in modules_of(model, depth)}
    parameters['total'] = _count_parameters(model)
    try:
        # Shapes are enough to count: on the meta device nothing is computed.
        macs, kinds = count_macs(model.to('meta'), torch.zeros(shape, device='meta'), depth)
    except (NotImplementedError, RuntimeError) as error:
        print_log(f'counting by a real pass: {str(error).splitlines()[0]}', 'current')
        macs, kinds = count_macs(_build_model(config), torch.zeros(shape), depth)
    return Cost(shape=shape, parameters=parameters, macs={name: value / batch_size for name, value in macs.items()},
                kinds={name: value / batch_size for name, value in kinds.items()},
                has_flip=model.flip_test)


def count_macs(model: nn.Module, inputs: Tensor, depth: int = 0) -> tuple[dict, dict]:
    """Count the MACs of one forward pass of ``inputs`` (B, M, T, J, C) by module, see ``modules_of``, and by kind."""
    counter = FlopCounterMode(display=False, custom_mapping=attention_formulas())
    called: dict = {}

    # Hooks subtract on the way in and add on the way out.
    def before(module: nn.Module, inputs: Any) -> None:
        called[module] = called.get(module, 0.0) - counter.get_total_flops() / 2

    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        called[module] += counter.get_total_flops() / 2

    hooks = [hook for module in model.modules()
             for hook in (module.register_forward_pre_hook(before), module.register_forward_hook(after))]
    by_kind = _ByKind(counter)
    with torch.no_grad(), countable_operators(), counter, by_kind:
        model.run_heads(model(inputs), names=model.heads)
    for hook in hooks:
        hook.remove()
    macs = {name: _macs_of(part, called) for name, part in modules_of(model, depth)}
    macs['total'] = counter.get_total_flops() / 2
    return macs, by_kind.macs


def _macs_of(part: Union[nn.Module, nn.Parameter], called: Mapping) -> float:
    """Return the MACs of a module; one that is never called itself, as a list, has those of its children."""
    if part in called or isinstance(part, nn.Parameter):
        return called.get(part, 0.0)
    return sum((_macs_of(child, called) for child in part.children()), 0.0)


def modules_of(model: nn.Module, depth: int = 0) -> Iterator[tuple[str, Union[nn.Module, nn.Parameter]]]:
    """Yield the parts of a model and, ``depth`` levels down, the modules and own parameters that each is made of."""
    for name, part in parts_of(model):
        yield from _modules_below(name, part, depth)


def _modules_below(name: str, module: nn.Module, depth: int) -> Iterator[tuple[str, Union[nn.Module, nn.Parameter]]]:
    yield name, module
    children = [(key, child) for key, child in module.named_children() if next(child.parameters(), None) is not None]
    if depth and children:  # weight and bias of a single layer say no more than the layer
        yield from ((f'{name}.{key}', value) for key, value in module.named_parameters(recurse=False))
        for key, child in children:
            yield from _modules_below(f'{name}.{key}', child, depth - 1)


def parts_of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield backbone, neck, every head and whatever else has parameters, with its name."""
    for name, part in model.named_children():
        if isinstance(part, nn.ModuleDict):
            yield from ((f'{name}.{key}', child) for key, child in part.items())
        elif next(part.parameters(), None) is not None:
            yield name, part


def find_num_frames(config: Mapping, model: nn.Module) -> int:
    """Return T: of the first data set with a window, else the most frames that the backbone takes."""
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for window in _find(config.get(loader) or {}, 'window'):
            if 'num_frames' in window:
                return int(window['num_frames'])
    frames = getattr(model.backbone, 'max_frames', None)
    if frames is None:
        raise ValueError('neither a data set of the config nor its backbone says how many frames a clip has; '
                         'give --frames')
    return int(frames)


def _find(config: Any, key: str) -> Iterator[Any]:
    """Yield every value under ``key`` in nested containers, outer ones first."""
    if isinstance(config, Mapping):
        if isinstance(config.get(key), Mapping):
            yield config[key]
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for entry in config:
            yield from _find(entry, key)


def _build_model(config: Mapping) -> nn.Module:
    model = config['model']
    model = build(MODELS, model.to_dict() if hasattr(model, 'to_dict') else model)
    if not isinstance(model, MotionModel):
        raise ValueError(f'the model is a {type(model).__name__}, expected a MotionModel')
    return model.eval()


def _count_parameters(module: Union[nn.Module, nn.Parameter]) -> tuple[int, int]:
    parameters = [module] if isinstance(module, nn.Parameter) else list(module.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


class _ByKind(TorchFunctionMode):
    """Note MACs by the function that the model calls: linear, a convolution, or another product, which is attention.

    The operators below do not tell: PyTorch runs a linear map of some strided inputs as a batched product.
    """

    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()
        self.counter, self.macs = counter, {}

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (),
                           kwargs: Optional[dict] = None) -> Any:
        """Call a function and note its MACs."""
        before = self.counter.get_total_flops()
        result = function(*args, **(kwargs or {}))
        macs = (self.counter.get_total_flops() - before) / 2
        if macs:
            name = function.__name__
            kind = 'linear' if name == 'linear' else 'convolution' if 'conv' in name else 'attention'
            self.macs[kind] = self.macs.get(kind, 0.0) + macs
        return result


@contextmanager
def countable_operators() -> Iterator[None]:
    """Do without oneDNN's operators, which the counter does not know; linear layers are ordinary products then."""
    enabled, *_ = torch.backends.mkldnn.set_flags(False)
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(enabled)


def attention_formulas() -> dict:
    """Return the FLOPs of fused attention where PyTorch's table lacks them, or counts what is computed twice.

    Forward are two products. Backward are four: fused kernels compute the weights again, which is not counted.
    """
    def forward(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
        query, key, value = (getattr(tensor, 'shape', tensor) for tensor in (query, key, value))  # each (N, H, L, D)
        return 2 * math.prod(query[:3]) * key[2] * (query[3] + value[3])

    def backward(gradient: Any, *args: Any, **kwargs: Any) -> int:
        return 2 * forward(*args, **kwargs)

    name = '_scaled_dot_product_{}_attention{}'
    formulas = {name.format('flash', '_for_cpu'): forward, name.format('flash', '_for_cpu_backward'): backward,
                **{name.format(kind, '_backward'): backward for kind in ('flash', 'efficient', 'cudnn')}}
    return {getattr(torch.ops.aten, operator): formula for operator, formula in formulas.items()
            if hasattr(torch.ops.aten, operator)}


def format_cost(cost: Cost) -> str:
    """Return a table of ``cost`` as text."""
    width = max(20, 2 + max(map(len, cost.parameters)))
    lines = [f"one clip (M, T, J, C) = {cost.shape[1:]}, counted with batch size {cost.shape[0]}",
             f"{'part':<{width}}{'parameters':>14}{'trainable':>14}{'MACs':>12}{'share':>9}"]
    total = cost.macs['total']
    for name, (parameters, trainable) in cost.parameters.items():
        lines.append(f'{name:<{width}}{parameters:>14,}{trainable:>14,}{_with_unit(cost.macs[name]):>12}'
                     f'{_share(cost.macs[name], total):>9}')
    kinds = sorted(cost.kinds.items(), key=lambda item: -item[1])
    lines.append('of which ' + ', '.join(f'{name} {_with_unit(macs)} ({_share(macs, total)})' for name, macs in kinds))
    lines.append(f'{_with_unit(2 * total)}FLOPs (1 MAC = 2 FLOPs)')
    if cost.has_flip:
        lines.append(f'with flip averaging (flip_test of the config): {_with_unit(2 * total)} MACs')
    return '\n'.join(lines)


def _with_unit(value: float) -> str:
    return f'{value / 1e9:.2f} G' if value >= 1e9 else f'{value / 1e6:.2f} M'


def _share(value: float, total: float) -> str:
    return f'{value / total:.1%}' if total else '-'


def main(arguments: Optional[list] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='path of a config file; no checkpoint is needed')
    parser.add_argument('--frames', type=int, help="frames T (default: the window of the config's data set)")
    parser.add_argument('--persons', type=int, default=1, help='persons M of a clip (default: 1)')
    parser.add_argument('--batch-size', type=int, default=1, help='clips counted at once; figures stay per clip')
    parser.add_argument('--depth', type=int, default=0, metavar='N',
                        help='list N levels of modules below backbone, neck and heads too (default: 0)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override entries of the config')
    args = parser.parse_args(arguments)
    for path in args.configs:
        try:
            cost = count_cost(read_config(path, args.cfg_options), frames=args.frames, persons=args.persons,
                              batch_size=args.batch_size, depth=args.depth)
        except EXPECTED as error:
            print(f'{path}: {describe_error(error)}', file=sys.stderr)
            sys.exit(2)
        print(f'{path}\n{format_cost(cost)}')


if __name__ == '__main__':
    main()
