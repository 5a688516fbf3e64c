"""Several necks side by side."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Optional, Union

from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.registry import MODELS, build


@MODELS.register_module()
class FeatureBranches(BaseModule):
    """A neck for each of several named features; heads choose between their outputs by ``source``.

    Of a dict of features, as of ``ActionPoseEncoder(gives_token=True)``, a branch reads those of its own name; of one
    tensor all branches read the same. Features without a branch are left out.

    The branch ``frames`` takes the weights of a checkpoint whose model has that neck alone, and gives them back, see
    ``fit_branches``.

    Args:
        in_channels: channels D of all features.
        branches: name -> config of a neck that gives one tensor.
        init_cfg: MMEngine's initialisation.

    Attributes:
        out_channels: by branch.
        num_tokens: of a frame by branch; None where they stay as many as they are.

    Raises:
        ValueError: no branch; when called, no features of the name of a branch.
    """

    def __init__(self, in_channels: int, *, branches: Mapping[str, dict], init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if not branches:
            raise ValueError('FeatureBranches got no branches; expected name -> config of a neck, e.g. '
                             "branches=dict(frames=dict(type='RepresentationLayer'))")
        self.branches = nn.ModuleDict({name: build(MODELS, branch, in_channels=in_channels)
                                       for name, branch in branches.items()})
        self.out_channels = {name: branch.out_channels for name, branch in self.branches.items()}
        self.num_tokens = {name: getattr(branch, 'num_tokens', None) for name, branch in self.branches.items()}

    def forward(self, features: Union[Tensor, dict[str, Tensor]]) -> dict[str, Tensor]:
        """Run every branch on its features (N, T, J, D); return their outputs by name."""
        if not isinstance(features, Mapping):
            features = dict.fromkeys(self.branches, features)
        missing = sorted(set(self.branches) - set(features))
        if missing:
            raise ValueError(f'FeatureBranches has branches for {", ".join(missing)}, but the features are '
                             f'{", ".join(features)}; change neck.branches or gives_token of the backbone')
        return {name: branch(features[name]) for name, branch in self.branches.items()}
