"""Named groupings: which clips, or which frames of clips, make one row in a table of a metric.

``Pose3DMetric(group_by=NAME, tables=[NAME, ...])`` takes the name of a row of ``GROUPINGS``, or any metainfo key.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import numpy as np

from motionbert_mm.evaluation.functional.merging import as_array

# Canonical action of Human3.6M -> heading, in the order of the tables of the papers.
H36M_ACTIONS = {
    'Directions': 'Dire', 'Discussion': 'Disc', 'Eating': 'Eat', 'Greeting': 'Greet', 'Phoning': 'Phone',
    'Photo': 'Photo', 'Posing': 'Pose', 'Purchases': 'Purch', 'Sitting': 'Sit', 'SittingDown': 'SitD',
    'Smoking': 'Smoke', 'Waiting': 'Wait', 'WalkDog': 'WalkD', 'Walking': 'Walk', 'WalkTogether': 'WalkT'}
# Test sequence of MPI-INF-3DHP -> where it was filmed. Official: the README of the test set.
MPI_INF_3DHP_SCENES = {'TS1': 'green screen', 'TS2': 'green screen', 'TS3': 'studio without green screen',
                       'TS4': 'studio without green screen', 'TS5': 'outdoor', 'TS6': 'outdoor'}
# Number in activity_annotation of MPI-INF-3DHP's test set -> activity. Official: the same README.
MPI_INF_3DHP_ACTIVITIES = {1: 'Standing/Walking', 2: 'Exercising', 3: 'Sitting', 4: 'Reaching/Crouching',
                           5: 'On the floor', 6: 'Sports', 7: 'Miscellaneous'}


@dataclass(frozen=True)
class Grouping:
    """What is averaged together.

    Attributes:
        name: what users type, and the end of the result's keys: ``MPJPE/scene``.
        key: metainfo key of the ground truth; it holds one value per sample, or (T,) values, one per frame.
        members: value -> group, in the order of the table; other values belong to no group. None makes a group of
            every value.
        headings: group -> word in the table, in its order, where all groups are found here. Otherwise groups have
            their own names, sorted if ``members`` is None.
    """

    name: str
    key: str
    members: Optional[Mapping[Any, str]] = None
    headings: Mapping[str, str] = field(default_factory=dict)

    @property
    def plural(self) -> str:
        """The name for several groups."""
        return f'{self.name[:-1]}ies' if self.name.endswith('y') else f'{self.name}s'

    def read(self, target: Mapping[str, Any], frame_ids: np.ndarray) -> Union[str, np.ndarray]:
        """Look up the group of some frames of a sample; '' is no group.

        Args:
            target: metainfo of the ground truth, ``frame_ids`` (T,) included.
            frame_ids: (F,) source frames, all of them among those of the target.

        Returns:
            one group for all frames, or an array (F,) of groups.

        Raises:
            ValueError: an array that does not have one value per frame.
        """
        value = target.get(self.key)
        if np.ndim(value) == 0:
            return self._group(value)
        values, available = as_array(value), as_array(target['frame_ids'])
        if values.shape != available.shape:
            raise ValueError(f'{target["sample_id"]}: {self.key} has shape {values.shape}, but groups by {self.name} '
                             f'need one value per sample, or {available.shape}, one per frame; see the data set\'s '
                             'metainfo')
        group_of = dict(zip(available.tolist(), map(self._group, values.tolist())))
        return np.array([group_of[frame] for frame in frame_ids.tolist()], dtype=str)

    def order(self, groups: Iterable[str]) -> dict[str, str]:
        """Return the word of each group, in the order of the table."""
        groups = set(groups)
        known = self.headings or {group: group for group in (self.members or {}).values()}
        if groups <= set(known):
            return {group: word for group, word in known.items() if group in groups}
        return {group: group for group in sorted(groups)}

    def _group(self, value: Any) -> str:
        if self.members is not None:
            return self.members.get(value, '')
        return '' if value is None else str(value)


GROUPINGS = {grouping.name: grouping for grouping in (
    Grouping('action', 'action', headings=H36M_ACTIONS),
    Grouping('sequence', 'sample_id'),
    Grouping('scene', 'sample_id', members=MPI_INF_3DHP_SCENES),
    Grouping('activity', 'activity', members=MPI_INF_3DHP_ACTIVITIES),
)}


def get_grouping(name: str) -> Grouping:
    """Return a row of ``GROUPINGS``, or the grouping by a metainfo key."""
    return GROUPINGS.get(name) or Grouping(name, name)
