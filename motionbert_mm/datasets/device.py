"""Data that live on the device of the model: windows are gathered and corrupted there, by torch.

``MotionDataset(data_on_device=True)`` copies the arrays it reads to the device once and replaces the transforms of its
pipeline by those of ``DEVICE_STEPS``. Their arguments and checks are those of the transforms in ``transforms``, and so
are the values, but for what is drawn: few numbers (which samples are mirrored) come from the generator of the batch,
many (masks, noise) from a torch generator that it seeds.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Union

import numpy as np
import torch
from mmengine.device import get_device
from torch import Tensor

from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.transforms.basic import NormalizeCoords, PackInputs, RandomFlip, ReprojectionTarget
from motionbert_mm.datasets.transforms.masking import SampleExactMask, SampleMask
from motionbert_mm.datasets.transforms.noise import AddDetectorNoise
from motionbert_mm.geometry.coords import crop_scale, flip, flip_pixels, root_relative, screen_box, screen_to_unit
from motionbert_mm.geometry.targets import encode_target
from motionbert_mm.structures.skeleton import get_skeleton

SPARE_SHARE = 0.5  # of the free memory, which is left to the model
TARGETS = ('keypoints_3d',)


class DeviceArrays:
    """Arrays of a store as tensors of a device, read as those of a ``MotionStore`` are.

    Args:
        store: the store.
        names: arrays to copy.
        device: a name such as 'cuda:0'; True is the device that MMEngine trains on, in this process.

    Attributes:
        device: where the arrays are.

    Raises:
        ValueError: the arrays take more than half of the free memory of the device, or hold NaN or infinity.
    """

    def __init__(self, store: MotionStore, names: Sequence[str], device: Union[bool, str]) -> None:
        self.device = torch.device(get_device() if device is True else device)
        size, free = sum(store.arrays[name].nbytes for name in names), free_memory(self.device)
        if free is not None and size > SPARE_SHARE * free:
            raise ValueError(f'{store.path}: {", ".join(names)} take {size / 1e9:.3g} GB, but {self.device} has '
                             f'{free / 1e9:.3g} GB free, of which data may take half; set data_on_device=False, or '
                             'convert fewer clips')
        # Through memory of its own: arrays of the store are read-only maps of files.
        self.arrays = {name: torch.from_numpy(np.array(store.arrays[name])).to(self.device) for name in names}
        for name, array in self.arrays.items():
            if not array.isfinite().all():
                raise ValueError(f'{store.path}: {name} holds NaN or infinity; repair the source and convert again')

    def gather(self, name: str, rows: np.ndarray) -> Tensor:
        """Copy rows (...) int of an array: (..., *row shape)."""
        array = self.arrays[name]
        numbers = torch.from_numpy(np.ascontiguousarray(rows)).to(self.device, non_blocking=True)
        return array.index_select(0, numbers.flatten()).view(*rows.shape, *array.shape[1:])


def free_memory(device: torch.device) -> Union[int, None]:
    """Return the free bytes of a device; None where nobody says."""
    if device.type == 'cpu':
        return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') if hasattr(os, 'sysconf') else None
    module = getattr(torch, device.type, None)
    return module.mem_get_info(device)[0] if hasattr(module, 'mem_get_info') else None


def device_pipeline(steps: Sequence[Callable], device: torch.device) -> list[Callable]:
    """Return what does on a device what these transforms do.

    Raises:
        ValueError: a transform without a row in ``DEVICE_STEPS``, or a target of ``NormalizeCoords`` that is not
            root-relative.
    """
    missing = [type(step).__name__ for step in steps if type(step) not in DEVICE_STEPS]
    if missing:
        known = ', '.join(sorted(kind.__name__ for kind in DEVICE_STEPS))
        raise ValueError(f'{", ".join(missing)} cannot run on the device; with data_on_device a pipeline has only '
                         f'{known}. Set data_on_device=False, or leave it out')
    return [DEVICE_STEPS[type(step)](step, device) for step in steps]


class DeviceStep:
    """Base of the steps: does with tensors what a transform does with arrays.

    Args:
        step: the transform.
        device: of the tensors.
    """

    def __init__(self, step: Callable, device: torch.device) -> None:
        self.step, self.device = step, device

    def generator(self, rng: np.random.Generator) -> torch.Generator:
        """Return a generator of the device, seeded by that of the batch."""
        return torch.Generator(self.device).manual_seed(int(rng.integers(1 << 62)))

    def tensor(self, values: np.ndarray) -> Tensor:
        """Copy an array to the device."""
        return torch.from_numpy(np.require(values, requirements=['C', 'W'])).to(self.device, non_blocking=True)


class DeviceFlip(DeviceStep):
    """``RandomFlip``."""

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with some samples mirrored."""
        chosen = self.step.choose(results, rng)
        swap = list(get_skeleton(results['skeleton']).flip_indices)
        flipped = self.step.mirror_notes(results, chosen)
        is_chosen = np.zeros(len(results['visible']), bool)
        is_chosen[chosen] = True
        pick = self.tensor(is_chosen)[:, None, None, None]  # (B, 1, 1, 1)
        if 'keypoints_2d' in results:
            points, confidence = results['keypoints_2d'], results['confidence']
            width = self.tensor(results['image_size'][:, 0]) if 'image_size' in results else 0.0
            flipped['keypoints_2d'] = torch.where(pick[..., None], flip_pixels(points, swap, width), points)
            flipped['confidence'] = torch.where(pick, confidence[..., swap], confidence)
        if 'keypoints_3d' in results:
            points = results['keypoints_3d']
            flipped['keypoints_3d'] = torch.where(pick[..., None], flip(points, swap), points)
        return flipped


class DeviceNormalize(DeviceStep):
    """``NormalizeCoords`` with root-relative targets, or none.

    Differs from the transform: it does not look for NaN, which would wait for the device; ``DeviceArrays`` has.
    """

    def __init__(self, step: NormalizeCoords, device: torch.device) -> None:
        super().__init__(step, device)
        if step.target not in ('root_relative', None):
            raise ValueError(f"NormalizeCoords(target={step.target!r}) cannot run on the device, only 'root_relative' "
                             'and None; set data_on_device=False')

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``inputs``, ``target_3d`` and ``norm``."""
        points, confidence = results['keypoints_2d'], results['confidence']
        if self.step.inputs == 'screen':
            size = self.step.image_size(results)
            points, box = screen_to_unit(points, self.tensor(size)), screen_box(size)
        else:
            ratio = self.tensor(rng.uniform(*self.step.crop_range, size=len(points)).astype(np.float32))
            points, confidence, box = crop_scale(points, confidence, ratio)
            box = box.cpu().numpy()
        normalised = dict(results, inputs=torch.cat([points, confidence[..., None]], dim=-1))
        if self.step.target is None:
            return dict(normalised, norm={'input_box': box})
        root = get_skeleton(results['skeleton']).root
        _, norm = encode_target(self.step.target, None, root, {**results, 'unit_mm': self.step.unit_mm})
        if 'keypoints_3d' in results:
            normalised['target_3d'] = root_relative(results['keypoints_3d'], root) / self.step.unit_mm
        return dict(normalised, norm={**norm, 'input_box': box})


class DeviceMask(DeviceStep):
    """``SampleMask``."""

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``mask``, if anything is to be hidden."""
        step = self.step
        if not step.joint_ratio and not step.frame_ratio:
            return results
        batch, persons, frames, joints = shape = step.shape(results)
        generator = self.generator(rng)
        mask = draw_mask((batch, persons, frames * joints), step.joint_ratio, generator, step.exact).view(shape)
        rows = (1, 1, frames) if step.share_frames else (batch, persons, frames)
        mask = mask | draw_mask(rows, step.frame_ratio, generator, step.exact)[..., None]
        return dict(results, mask=mask | results['mask'] if 'mask' in results else mask)


class DeviceExactMask(DeviceStep):
    """``SampleExactMask``."""

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``mask``, if anything is to be hidden."""
        step = self.step
        if not step.frame_ratio and not step.num_joints:
            return results
        shape = step.shape(results)
        batch, persons, frames, joints = (1, 1, *shape[2:]) if step.share else shape
        generator = self.generator(rng)
        hidden_frames = draw_exactly((batch, persons, frames), int(frames * step.frame_ratio), generator)
        drawn = batch, persons, 1 if step.tube else frames, joints - step.spare_last_joint
        hidden_joints = draw_exactly(drawn, step.num_joints, generator)
        if step.spare_last_joint:
            hidden_joints = torch.nn.functional.pad(hidden_joints, (0, 1))
        return dict(results, mask=(hidden_frames[..., None] | hidden_joints).expand(shape))


def draw_mask(shape: tuple, ratio: float, generator: torch.Generator, exact: bool) -> Tensor:
    """``transforms.masking.sample_mask`` on the device of the generator."""
    if exact:
        return draw_exactly(shape, round(ratio * shape[-1]), generator)
    return torch.rand(shape, generator=generator, device=generator.device) < ratio


def draw_exactly(shape: tuple, count: int, generator: torch.Generator) -> Tensor:
    """``transforms.masking.sample_exactly`` on the device of the generator."""
    chosen = torch.rand(shape, generator=generator, device=generator.device).topk(count, dim=-1, sorted=False).indices
    return torch.zeros(shape, dtype=torch.bool, device=generator.device).scatter_(-1, chosen, True)


class DeviceDetectorNoise(DeviceStep):
    """``AddDetectorNoise``; see ``pixel_noise``."""

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with noisy input."""
        points, options, generator = results['keypoints_2d'], self.step.options, self.generator(rng)
        normal, uniform = (lambda shape, draw=draw: draw(shape, generator=generator, device=self.device)
                           for draw in (torch.randn, torch.rand))
        shape = points.shape[:-1]
        angle, is_outlier = uniform(shape) * (2 * np.pi), uniform(shape) < options['outlier_rate']
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)
        shift = normal(points.shape) * options['std'] + direction * is_outlier[..., None] * options['outlier_shift']
        error = shift.norm(dim=-1)
        confidence = (-(error / options['tolerance']).square()).exp() + normal(shape) * options['confidence_std']
        return {**results, 'keypoints_2d': points + shift, 'confidence': confidence.clamp(0.0, 1.0)}


class DevicePack(DeviceStep):
    """``PackInputs``.

    Differs from the transform: a mask is packed though it may hide nothing, since asking would wait for the device.
    """

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``dict(inputs, fields, metainfo)`` for ``collate_batch``."""
        is_inside = results.get('is_inside')
        if is_inside is not None and not is_inside.all():
            padding = self.tensor(~is_inside)[:, None, :, None].expand(results['inputs'].shape[:-1])
            results = dict(results, mask=padding | results['mask'] if 'mask' in results else padding)
        return self.step.pack(results, results.get('mask'))


class DeviceAsItIs(DeviceStep):
    """A transform whose code takes tensors as well."""

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return what the transform returns."""
        return self.step(results, rng)


DEVICE_STEPS = {RandomFlip: DeviceFlip, NormalizeCoords: DeviceNormalize, ReprojectionTarget: DeviceAsItIs,
                SampleMask: DeviceMask, SampleExactMask: DeviceExactMask, AddDetectorNoise: DeviceDetectorNoise,
                PackInputs: DevicePack}
