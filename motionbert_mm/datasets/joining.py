"""Training on several data sets as if they were one: batches that hold samples of all of them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from motionbert_mm.datasets.base import without_batch_axis
from motionbert_mm.datasets.mixing import SourceSet, check_packed
from motionbert_mm.registry import DATASETS

# Fields (B, M, T, J) that PackInputs leaves out where they say nothing, and what they then say.
FILLED = {'visible': True, 'mask': False}
# What the samples of a batch share -> where it is set.
SHARED = {
    'skeleton': "put dict(type='ConvertSkeleton', target=...) at the front of each pipeline",
    'persons': 'set num_persons of each data set to the same number, 1 to take the first person only',
    'frames': 'set window.num_frames of each data set to the same number',
    'joints': "put dict(type='ConvertSkeleton', target=...) at the front of each pipeline",
    'channels': 'let all pipelines make 2D inputs, or all 3D inputs, or keep the data sets apart in a MixedDataset',
    'fields': 'name the same in PackInputs.fields of each pipeline and make them there, or keep the data sets apart in '
              'a MixedDataset',
    '3D target': 'set NormalizeCoords.target of each pipeline to the same',
    'millimetres per unit': 'set NormalizeCoords.unit_mm of each pipeline to the same',
    'notes for de-normalisation': 'use NormalizeCoords.given_2d, and RootDepthOracle, in all pipelines or in none',
}


@DATASETS.register_module()
class JoinedDataset(SourceSet):
    """Several data sets as one: a batch holds samples of any of them, each part fetched by its own pipeline.

    Shuffled as usual, without a batch sampler, each data set is met in proportion to its size (MPM: Human3.6M,
    MPI-INF-3DHP and AMASS in one batch). May be a source of a ``MixedDataset``.

    Inputs, fields, skeleton and the way back to millimetres and pixels (``norm``) have to be of the same kind in all.
    Two fields may be missing: without ``visible`` all joints are, without ``mask`` none is hidden. Metainfo that not
    all data sets have (intrinsics, image_size, activity) is left out of every batch: it is read by transforms, which
    have run, and by metrics, which do without it or say so.

    The random draws of a part depend on seed, epoch and the indices of its own samples.

    Args:
        datasets: name -> config of a data set with batched fetch, whose pipeline ends with ``PackInputs``; None leaves
            it out.

    Raises:
        ValueError: no data set, one without samples, or samples that do not fit in one batch.
        TypeError: a pipeline that does not end with ``PackInputs``.
    """

    def __init__(self, datasets: Mapping[str, Optional[dict]]) -> None:
        super().__init__(datasets)
        # What cannot be joined shows in the first samples, before any training.
        parts = {name: dataset.__getitems__([0]) for name, dataset in self.datasets.items()}
        check_alike(parts)
        self._metainfo_keys = set.intersection(*(set(part['metainfo']) for part in parts.values()))

    def __getitem__(self, index: int) -> dict:
        """Return one sample."""
        return without_batch_axis(self.__getitems__([index]))

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """Return a batch in the order of the indices."""
        sources, numbers = self.locate(indices)
        parts, places = {}, []
        for source, (name, dataset) in enumerate(self.datasets.items()):
            place = np.flatnonzero(sources == source)
            if len(place):
                parts[name] = dataset.__getitems__(numbers[place])
                places.append(place)
        check_alike(parts)
        return _join(list(parts.values()), places, self._metainfo_keys)


def check_alike(parts: Mapping[str, dict]) -> None:
    """Refuse batches of ``PackInputs``, by name of their data set, that cannot be joined to one.

    Raises:
        ValueError: batches that differ in a row of ``SHARED``.
        TypeError: no batch of ``PackInputs``.
    """
    for name, part in parts.items():
        check_packed(part, name)
        if not isinstance(part['inputs'], np.ndarray):
            raise ValueError(f'{name} makes batches on the device, which cannot be joined; set its '
                             'data_on_device=False')
    facts = {name: _describe(part) for name, part in parts.items()}
    for fact, cure in SHARED.items():
        got = {name: known[fact] for name, known in facts.items()}
        if len(set(got.values())) > 1:
            listed = '; '.join(f'{name}: {value or "none"}' for name, value in got.items())
            raise ValueError(f'{", ".join(got)} cannot be joined, their samples differ in {fact} ({listed}); {cure}')


def _describe(part: dict) -> dict[str, Any]:
    """Return the rows of ``SHARED`` of a batch."""
    _, persons, frames, joints, channels = part['inputs'].shape
    norm = part['metainfo'].get('norm', {})
    fields = (f'{name} {value.shape[1:]}' for name, value in sorted(part['fields'].items()) if name not in FILLED)
    return {'skeleton': part['metainfo'].get('skeleton'), 'persons': persons, 'frames': frames, 'joints': joints,
            'channels': channels, 'fields': ', '.join(fields), '3D target': norm.get('target'),
            'millimetres per unit': ', '.join(f'{scale:g}' for scale in np.unique(norm.get('scale', ()))),
            'notes for de-normalisation': ', '.join(sorted(norm))}


def _join(parts: Sequence[dict], places: Sequence[np.ndarray], metainfo_keys: set) -> dict:
    """Join batches of ``PackInputs`` that are alike; sample i of part k goes to ``places[k][i]``."""
    names = {name for part in parts for name in part['fields']}
    fields = {name: _merge([part['fields'][name] if name in part['fields'] else
                            np.full(part['inputs'].shape[:-1], FILLED[name]) for part in parts], places)
              for name in sorted(names)}
    return dict(inputs=_merge([part['inputs'] for part in parts], places), fields=fields,
                metainfo={key: _merge([part['metainfo'][key] for part in parts], places)
                          for key in parts[0]['metainfo'] if key in metainfo_keys})


def _merge(values: Sequence[Any], places: Sequence[np.ndarray]) -> Any:
    """Join one entry of the parts: arrays, lists, dicts of them, or a string that all share."""
    first = values[0]
    if isinstance(first, str):
        return first
    if isinstance(first, dict):
        return {key: _merge([value[key] for value in values], places) for key in first}
    if not isinstance(first, np.ndarray):
        entries = [entry for value in values for entry in value]
        return [entries[number] for number in np.argsort(np.concatenate(places))]
    # An axis may be 1 in some: the millimetres per pixel are one for a sample, or one for each frame.
    shape = np.broadcast_shapes(*(value.shape[1:] for value in values))
    merged = np.empty((sum(map(len, places)), *shape), np.result_type(*values))
    for value, place in zip(values, places):
        merged[place] = value
    return merged
