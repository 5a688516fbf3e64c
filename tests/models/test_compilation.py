"""Models with compiled parts do what they do without; the compiling backends here need no C++ compiler."""
import copy

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from motionbert_mm.layers.kernels import plain_kernels
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from tests.minimal import arguments

MODELS.import_from_location()
BACKBONES = sorted(name for name, entry in MODELS.module_dict.items()
                   if entry.__module__.startswith('motionbert_mm.models.backbones.'))
MASKED = ('MPMEncoder', 'PSTMOEncoder')


@pytest.fixture(autouse=True)
def nothing_compiled():
    """What other tests compiled does not count."""
    torch._dynamo.reset()


def make(name, **options):
    module = build(MODELS, dict(type=name, **{**arguments(name), **options}))
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return module


def poses(num_frames=9, batch=2):
    return torch.randn(batch, num_frames, 17, 3, generator=torch.Generator().manual_seed(num_frames))


def seeded(module, *inputs):
    """Call with the same dropout every time."""
    torch.manual_seed(1)
    return module(*inputs)


def gradients(module, features):
    module.zero_grad()
    features.square().mean().backward()
    return {key: value.grad.clone() for key, value in module.named_parameters() if value.grad is not None}


def frame_mask(hidden, batch=2, num_frames=9):
    """Other hidden frames in each sample, and one hidden joint in a visible frame."""
    mask = torch.zeros(batch, num_frames, 17, dtype=torch.bool)
    for sample in range(batch):
        mask[sample, torch.arange(hidden) + sample + 1] = True
    mask[:, 0, 3] = True
    return mask


@pytest.mark.parametrize('name', BACKBONES)
def test_a_backbone_trains_as_one_graph(name):
    module = make(name).train()
    plain, inputs = copy.deepcopy(module), poses()
    module.compile(backend='eager', fullgraph=True)
    compiled, expected = (seeded(each, inputs) for each in (module, plain))
    torch.testing.assert_close(compiled, expected)
    torch.testing.assert_close(gradients(module, compiled), gradients(plain, expected))
    torch.testing.assert_close(module.state_dict(), plain.state_dict())


@pytest.mark.parametrize('name', BACKBONES)
def test_one_graph_encodes_clips_of_any_length(name):
    module = make(name).eval()
    plain, counter = copy.deepcopy(module), CompileCounterWithBackend('eager')
    module.compile(backend=counter, fullgraph=True, dynamic=True)
    with torch.no_grad():
        for num_frames, batch in ((5, 2), (9, 3), (7, 2)):
            inputs = poses(num_frames, batch)
            torch.testing.assert_close(module(inputs), plain(inputs))
    assert counter.frame_count == 1


@pytest.mark.parametrize('name', MASKED)
def test_masks_that_hide_other_frames_do_not_compile_again(name):
    module = make(name).train()
    plain, counter = copy.deepcopy(module), CompileCounterWithBackend('eager')
    module.compile(backend=counter)
    graphs = []
    for hidden in (3, 4, 5, 2):
        mask = frame_mask(hidden)
        compiled, expected = module(poses(), mask), plain(poses(), mask)
        torch.testing.assert_close(compiled, expected)
        assert compiled[~mask.all(-1)].any() and not compiled[mask.all(-1)].any()
        torch.testing.assert_close(gradients(module, compiled), gradients(plain, expected))
        graphs.append(counter.frame_count)
    assert graphs[0] > 1 and graphs[1:] == [graphs[1]] * 3  # after the second, any number
    uneven = frame_mask(3)
    uneven[0] = False
    with pytest.raises(ValueError, match='SampleExactMask'):
        module(poses(), uneven)


PSTMO = dict(backbone=dict(type='PSTMOEncoder', **arguments('PSTMOEncoder')),
             neck=dict(type='StridedReduction', num_frames=9, num_heads=2, drop=0.0),
             heads=dict(centre=dict(type='FramePoseHead', source='centre', centre=True)))


def make_model(config, **options):
    torch.manual_seed(0)
    return build(MODELS, {'type': 'MotionModel', **copy.deepcopy(config), **options}).eval()


def sample(batch=2, num_frames=9):
    norm = dict(target='root_relative', root=[0] * batch, scale=[1000.0] * batch)
    target = torch.randn(batch, 1, num_frames, 17, 3, generator=torch.Generator().manual_seed(1))
    return MotionSample(metainfo=dict(skeleton='h36m', norm=norm), target_3d=target)


@pytest.mark.parametrize('is_pstmo', [False, True])
def test_a_compiled_model_trains_and_predicts_the_same(tiny_model, is_pstmo):
    config = PSTMO if is_pstmo else tiny_model
    counter = CompileCounterWithBackend('eager')
    compiled, plain = (make_model(config, flip_test=True, compile=options) for options in (dict(backend=counter), None))
    inputs = poses()[:, None]
    with torch.no_grad():
        predicted = compiled(inputs, sample(), mode='predict')
        with plain_kernels():  # of which compiled networks consist
            expected = plain(inputs, sample(), mode='predict')
    for one, other in zip(predicted, expected):
        torch.testing.assert_close(one.keypoints_3d, other.keypoints_3d)
    assert counter.frame_count == 2  # backbone and neck
    if not is_pstmo:
        torch.testing.assert_close(compiled(inputs, sample(), mode='loss'), plain(inputs, sample(), mode='loss'))


def test_a_checkpoint_does_not_know_whether_its_model_was_compiled(tiny_model):
    compiled, plain = make_model(tiny_model, compile=dict(backend='eager')), make_model(tiny_model)
    compiled(poses()[:, None])
    state = {key: value + 1.0 for key, value in compiled.state_dict().items()}
    plain.load_state_dict(state)
    assert [name for name, _ in plain.named_parameters()] == [name for name, _ in compiled.named_parameters()]
    before = compiled(poses()[:, None])
    compiled.load_state_dict(plain.state_dict())
    torch.testing.assert_close(compiled(poses()[:, None]), plain(poses()[:, None]))
    assert not torch.allclose(compiled(poses()[:, None]), before)


def test_a_copy_of_a_compiled_model_has_weights_of_its_own(tiny_model):
    """As the averaged model of ``EMAHook``."""
    compiled = make_model(tiny_model, compile=dict(backend='eager'))
    before, twin = compiled(poses()[:, None]), copy.deepcopy(compiled)
    torch.nn.init.zeros_(compiled.neck.fc.weight)
    torch.nn.init.zeros_(compiled.backbone.norm.weight)
    torch.testing.assert_close(twin(poses()[:, None]), before)
    assert not torch.allclose(compiled(poses()[:, None]), before)


def test_frames_that_windows_share_are_embedded_with_a_compiled_model():
    compiled, plain = make_model(PSTMO, compile=dict(backend='eager')), make_model(PSTMO)
    sequence, windows = poses(12)[0], torch.arange(9)[None] + torch.arange(3)[:, None]
    with torch.no_grad(), plain_kernels():  # of which the compiled parts consist
        one, other = (model.predict_windows(model.embed_sequence(sequence), windows, sample(3))
                      for model in (compiled, plain))
    torch.testing.assert_close([each.keypoints_3d for each in one], [each.keypoints_3d for each in other])


def test_compiled_code_follows_autocast(tiny_model):
    compiled = make_model(tiny_model, compile=dict(backend='aot_eager'))
    inputs, types = poses()[:, None], []
    for enabled in (False, True, False):
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            types.append(compiled(inputs).dtype)
    assert types == [torch.float32, torch.bfloat16, torch.float32]


@pytest.mark.parametrize('options, error, words', [
    (dict(mod='default'), TypeError, 'model.compile has mod, which compile does not take; it takes .*mode'),
    ('max-autotune', TypeError, "model.compile is 'max-autotune', expected True, False or a dict")])
def test_what_cannot_be_compiled_with_is_named(tiny_model, options, error, words):
    with pytest.raises(error, match=words):
        make_model(tiny_model, compile=options)


def test_a_machine_without_a_compiler_is_told_before_the_first_batch(tiny_model, monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(ValueError, match='needs a C.. compiler on CPUs, but there is no no-such-compiler; install it'):
        make_model(tiny_model, compile=True)
    make_model(tiny_model, compile=dict(backend='eager'))
    make_model(tiny_model, compile=False)
