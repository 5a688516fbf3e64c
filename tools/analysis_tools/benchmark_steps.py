"""What benchmark.py measures of one config: its loader, prediction, training step and real training."""
from __future__ import annotations

import copy
import gc
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from torch import nn
from torch.utils.data import DataLoader

from benchmark_flops import count_step
from benchmark_runner import runner_speed
from benchmark_timing import WARM_UP, MatrixProduct, PeakMemory, Speed, interleave, timed
from loader_data import with_workers
from motionbert_mm.engine.allocator import give_back_freed_memory
from motionbert_mm.layers.kernels import plain_kernels
from motionbert_mm.registry import MODELS, SCOPE, build

PARTS = ('loader', 'infer', 'train', 'end2end')
NEEDS = {'infer': ('model',), 'train': ('model', 'optim_wrapper'), 'end2end': ('model', 'optim_wrapper', 'train_cfg')}
AMP_WRAPPER = 'BFloat16OptimWrapper'
# Of wrappers for mixed precision only, and choices of how an optimizer computes.
AMP_KEYS, OPTIMIZER_KEYS = ('loss_scale', 'dtype', 'use_fsdp'), ('fused', 'foreach', 'capturable')


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        parts: of ``PARTS``.
        runs: figures per part.
        steps: batches per run.
        device: of the model, e.g. 'cuda:0'.
        amp: bfloat16 autocast.
        is_baseline: plain kernels; the config should be one of ``untuned``.
        counted: takes the operations of a clip, of 'infer' and 'train', so that each is counted once.
    """

    parts: tuple = PARTS[:3]
    runs: int = 5
    steps: int = 20
    device: str = 'cpu'
    amp: bool = False
    is_baseline: bool = False
    counted: dict = field(default_factory=dict)


# --- Configs ---


def check_parts(config: Mapping, parts: tuple) -> None:
    """Refuse a config without what the parts need."""
    for part in parts:
        missing = [name for name in ('train_dataloader', *NEEDS.get(part, ())) if not config.get(name)]
        if missing:
            raise ValueError(f'the config has no {", ".join(missing)}, which {part} needs; it holds '
                             f'{", ".join(sorted(config))}')


def tuned(config: Config, *, amp: bool = False, is_compiled: bool = False) -> Config:
    """Return a copy in the precision that is asked for, compiled or as it is."""
    config = copy.deepcopy(config)
    if is_compiled:
        config.model.compile = True
    if config.get('optim_wrapper'):
        config.optim_wrapper = wrapper_config(config.optim_wrapper, amp)
    return config


def untuned(config: Config) -> Config:
    """Return a copy in float32, eager, with an optimizer as it is by default."""
    config = tuned(config)
    config.model.pop('compile', None)
    for name in ('activation_checkpointing', 'float32_matmul_precision'):
        config.pop(name, None)
    if config.get('optim_wrapper'):
        config.optim_wrapper.optimizer = {key: value for key, value in config.optim_wrapper.optimizer.items()
                                          if key not in OPTIMIZER_KEYS}
    return config


def wrapper_config(wrapper: Mapping, amp: bool) -> dict:
    """Return the config of an optimizer wrapper in bfloat16 or in float32, whatever it was in."""
    wrapper = copy.deepcopy(dict(wrapper))
    is_amp = 'Amp' in str(wrapper.get('type')) or AMP_WRAPPER in str(wrapper.get('type'))
    if amp or is_amp:
        wrapper = {key: value for key, value in wrapper.items() if key not in AMP_KEYS}
        wrapper['type'] = AMP_WRAPPER if amp else 'OptimWrapper'
    return wrapper


# --- Steps ---


def first_batch(dataloader: Mapping) -> dict:
    """Return the first batch of a loader config that can be predicted too, made in this process."""
    batches = iter(Runner.build_dataloader(with_workers(dataloader, 0), seed=0))
    return next(batch for batch in batches if 'norm' in batch['data_samples'].metainfo)  # not of 2D alone


def endless(loader: DataLoader) -> Iterator[dict]:
    """Yield the batches of one epoch after the other, as training sees them."""
    epoch = 0
    while True:
        if hasattr(loader.dataset, 'set_epoch'):
            loader.dataset.set_epoch(epoch)
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


class ModelSteps:
    """The steps that run the model of a config on one batch; each returns the clips that it handled."""

    def __init__(self, config: Config, batch: dict, options: Options) -> None:
        self.batch, self.device, self.amp = batch, torch.device(options.device).type, options.amp
        self.model: nn.Module = build(MODELS, config.model.to_dict()).to(options.device)
        self.model.flip_test = False
        self.optimizer = build_optim_wrapper(self.model, config.optim_wrapper) if config.get('optim_wrapper') else None
        if config.get('activation_checkpointing'):  # as the Runner does it; without gradients it changes nothing
            turn_on_activation_checkpointing(self.model, config.activation_checkpointing)

    def infer(self) -> int:
        """Predict the batch."""
        self.model.eval()
        with torch.no_grad(), torch.autocast(self.device, torch.bfloat16) if self.amp else nullcontext():
            return len(self.model.test_step(self.batch))

    def train(self) -> int:
        """Take one step of the optimizer."""
        self.model.train()
        self.model.train_step(self.batch, self.optimizer)
        return len(self.batch['inputs'])


# --- Measuring ---


def measure_config(config: Config, options: Options) -> Iterator[Speed]:
    """Measure the parts of one config whose data exist.

    Args:
        config: the whole config, see ``tuned`` and ``untuned``.
        options: how.

    Raises:
        ValueError: the loader has no batch, or the config lacks what a part needs.
    """
    check_parts(config, options.parts)
    with _circumstances(config, options):
        loader = Runner.build_dataloader(config.train_dataloader, seed=0)
        if not len(loader):
            raise ValueError(f'train_dataloader has no batch: {len(loader.dataset)} windows, batch size '
                             f'{loader.batch_size}; use a smaller --batch')
        batch = first_batch(config.train_dataloader)
        # Before anything is measured: what is wrong with a model shows when it is built.
        model = None if options.parts == ('loader',) else ModelSteps(config, batch, options)
        if 'loader' in options.parts:
            yield measure_loader(loader, tuple(batch['inputs'].shape), options)
        del loader
        if model is not None:
            yield from measure_model(config, model, options)


@contextmanager
def _circumstances(config: Config, options: Options) -> Iterator[None]:
    """Set what belongs to the process, as tools/train.py does, and set it back."""
    precision = torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        stack.enter_context(DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)))
        if options.is_baseline:
            stack.enter_context(plain_kernels())
        stack.callback(torch.set_float32_matmul_precision, precision)
        torch.set_float32_matmul_precision(config.get('float32_matmul_precision', 'highest'))
        yield


def measure_loader(loader: DataLoader, shape: tuple, options: Options) -> Speed:
    """Measure the loader alone, batches one after the other."""
    stream, peak = endless(loader), PeakMemory('cpu')

    def step() -> int:
        return len(next(stream)['inputs'])

    _forget()
    # Workers fill their queues ahead; runs start when these have been emptied once.
    timed(step, steps=WARM_UP + 2 * loader.num_workers * (loader.prefetch_factor or 0))
    run = partial(timed, step, steps=options.steps)
    rates, _ = interleave(partial(peak.watch, run), [], runs=options.runs, title='loader')
    stream.close()
    return Speed('loader', shape, rates, **peak.found)


def measure_model(config: Config, model: ModelSteps, options: Options) -> Iterator[Speed]:
    """Measure the parts that run the model."""
    shape = tuple(model.batch['inputs'].shape)
    matrix = [MatrixProduct(options.device, torch.float32).rate]
    if options.amp:
        matrix.insert(0, MatrixProduct(options.device, torch.bfloat16).rate)
    for part in (part for part in PARTS[1:] if part in options.parts):
        kind = 'infer' if part == 'infer' else 'train'
        if kind not in options.counted:
            flops = count_step(config, model.batch, is_training=kind == 'train', device=options.device)
            options.counted[kind] = flops / len(model.batch['inputs'])
        _forget()
        alone = partial(timed, getattr(model, kind), steps=options.steps, device=options.device)
        run, references = alone, [*matrix]
        if part == 'end2end':
            run = partial(runner_speed, config, iterations=options.steps, device=options.device)
            references.append(alone)
        timed(getattr(model, kind), steps=WARM_UP, device=options.device)
        peak = PeakMemory(options.device)
        rates, around = interleave(partial(peak.watch, run), references, runs=options.runs,
                                   title=f'{"baseline " * options.is_baseline}{part}')
        yield Speed(part, shape, rates, flops=options.counted[kind], matrix=around[0],
                    yardstick=around[len(matrix) - 1], alone=around[-1] if part == 'end2end' else (), **peak.found)


def _forget() -> None:
    """Return the memory of what was measured before."""
    gc.collect()
    give_back_freed_memory()
