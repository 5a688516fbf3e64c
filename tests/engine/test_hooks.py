from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from motionbert_mm.checkpoints.load import META_KEY, load_model
from motionbert_mm.checkpoints.plain import to_plain
from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.engine.hooks import PlainCheckpointHook, StepSeedHook
from motionbert_mm.registry import DATASETS, MODELS, build
from tests.generated import make_config


def make_runner(model, config=None, resume=False):
    """What the hook reads of a Runner."""
    return SimpleNamespace(model=model, cfg=config, _resume=resume, train_dataloader=None)


@pytest.fixture
def model(tiny_model):
    return build(MODELS, tiny_model)


@pytest.fixture
def checkpoint(model):
    """What MMEngine is about to write: log histories, numpy numbers, a schedule that holds a function."""
    history = HistoryBuffer([1.0, 2.5], [1, 2], max_length=50)
    return dict(meta=dict(epoch=1, iter=np.int64(3), cfg='...'), state_dict=model.state_dict(),
                message_hub=dict(log_scalars=OrderedDict({'train/loss': history}), resumed_keys={},
                                 runtime_info=dict(best=np.float32(0.5))),
                param_schedulers=[dict(last_step=3, anneal_func=np.cos, _last_value=[0.1])])


def test_everything_written_loads_as_plain_data(model, checkpoint, tiny_store, tmp_path):
    PlainCheckpointHook().before_save_checkpoint(make_runner(model, make_config(tiny_store)), checkpoint)
    torch.save(checkpoint, tmp_path / 'model.pth')
    loaded = torch.load(tmp_path / 'model.pth', weights_only=True)
    assert loaded['meta']['iter'] == 3 and loaded['message_hub']['runtime_info'] == dict(best=0.5)
    assert loaded['param_schedulers'] == [dict(last_step=3, _last_value=[0.1])]


def test_the_log_history_comes_back(model, checkpoint, tiny_store):
    hook, runner = PlainCheckpointHook(), make_runner(model, make_config(tiny_store))
    hook.before_save_checkpoint(runner, checkpoint)
    hook.after_load_checkpoint(runner, checkpoint)
    history = checkpoint['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer) and history.max_length == 50
    assert history.data[0].tolist() == [1.0, 2.5] and history.data[1].tolist() == [1, 2]
    assert history.mean() == pytest.approx(3.5 / 3)


def test_a_checkpoint_says_what_it_is(checkpoint, tiny_store, tmp_path):
    config = make_config(tiny_store)
    model = build(MODELS, config.model.to_dict())
    checkpoint['state_dict'] = model.state_dict()
    runner = make_runner(model, config)
    runner.train_dataloader = SimpleNamespace(dataset=build(DATASETS, config.train_dataloader.dataset.to_dict()))
    facts = dict(classes=['walk', 'wave'], fps=30.0, num_persons=1, window_seconds=pytest.approx(9 / 30))
    PlainCheckpointHook().before_save_checkpoint(runner, checkpoint)
    assert set(checkpoint['meta'][META_KEY]) == {'model', 'window', 'pipeline', 'trained_mask', *facts}
    torch.save(checkpoint, tmp_path / 'model.pth')
    loaded, info = load_model(tmp_path / 'model.pth', 'cpu')
    assert info == dict(skeleton='h36m', num_frames=9, dilation=1, window=dict(num_frames=9, stride=4),
                        input=[dict(type='NormalizeCoords')], input_3d=[], action=[dict(type='NormalizeCoords')],
                        text=[dict(type='NormalizeCoords')], mask=[], trained_mask=[], **facts)
    assert torch.equal(loaded.neck.fc.weight, model.neck.fc.weight)


@pytest.mark.parametrize('value, expected', [
    (np.float32(0.5), 0.5), (np.array(['a']), ['a']), (ConfigDict(a=(1, None)), dict(a=(1, None))), ({1, 2}, {1, 2}),
    (len, str(len)), ('text', 'text'), (b'bytes', b'bytes'), (True, True),
])
def test_plain_values(value, expected):
    plain = to_plain(value)
    assert plain == expected and type(plain) is type(expected)


def test_plain_arrays_are_tensors():
    assert torch.equal(to_plain(dict(a=[np.arange(3)]))['a'][0], torch.arange(3))


@pytest.mark.parametrize('change', [dict(dim=32), dict(depth=1), dict(depth=3)])
def test_a_run_is_not_resumed_with_another_architecture(model, checkpoint, tiny_model, change):
    tiny_model['backbone'].update(change)
    runner = make_runner(build(MODELS, tiny_model), resume=True)
    with pytest.raises(ValueError, match='of another model than the config: .* entries .*go on with the config of'):
        PlainCheckpointHook().after_load_checkpoint(runner, checkpoint)


def test_a_start_from_other_weights_takes_what_fits(model, checkpoint, tiny_model):
    tiny_model['backbone'].update(depth=3)
    PlainCheckpointHook().after_load_checkpoint(make_runner(build(MODELS, tiny_model)), checkpoint)
    prefixed = dict(checkpoint, state_dict={f'module.{key}': value for key, value in checkpoint['state_dict'].items()})
    PlainCheckpointHook().after_load_checkpoint(make_runner(model, resume=True), prefixed)


def test_a_start_from_weights_of_which_nothing_fits_is_refused(model, checkpoint):
    checkpoint['state_dict'] = {f'encoder.{key}': value for key, value in checkpoint['state_dict'].items()}
    with pytest.raises(ValueError, match=r'\d+ entries missing, e.g. backbone.* tools/model_converters'):
        PlainCheckpointHook().after_load_checkpoint(make_runner(model), checkpoint)


def seeded_draw(**state):
    runner = SimpleNamespace(**{'seed': 0, 'iter': 5, **state})
    StepSeedHook().before_train_iter(runner, batch_idx=0)
    return torch.rand(4)


def test_every_step_draws_its_own_numbers_again_and_again(monkeypatch):
    first = seeded_draw()
    torch.rand(17)  # whatever was drawn before
    assert torch.equal(seeded_draw(), first)
    for other in (seeded_draw(iter=6), seeded_draw(seed=1), seeded_draw(seed=2**32 - 1)):
        assert not torch.equal(other, first)
    monkeypatch.setattr('motionbert_mm.engine.hooks.step_seed.get_rank', lambda: 1)
    assert not torch.equal(seeded_draw(), first)


def test_the_data_set_hears_of_epoch_and_seed(tiny_store):
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9), pipeline=[dict(type='RandomFlip')])
    runner = SimpleNamespace(train_dataloader=SimpleNamespace(dataset=dataset), epoch=3, seed=11)
    StepSeedHook().before_train_epoch(runner)
    drawn = dataset.__getitems__(range(8))['keypoints_2d']
    dataset.set_epoch(3, run_seed=11)
    np.testing.assert_array_equal(dataset.__getitems__(range(8))['keypoints_2d'], drawn)
    dataset.set_epoch(3, run_seed=12)
    assert not np.array_equal(dataset.__getitems__(range(8))['keypoints_2d'], drawn)
