"""Our networks in the real MMAction2: its Runner, its data set, its inference, checkpoints both ways."""
import copy
import sys

import numpy as np
import pytest
import torch
from mmaction.apis import inference_recognizer, inference_skeleton, init_recognizer
from mmaction.structures import ActionDataSample
from mmengine.config import Config

from motionbert_mm.apis.labelling import ActionLabeller
from motionbert_mm.checkpoints.load import load_model, read_checkpoint
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.pyskl import PysklDataset
from motionbert_mm.registry import MODELS, build, check_arguments
from tests.generated import load_tool
from tests.mmaction_runs import (
    ACTION,
    CONFIGS,
    EPOCHS,
    FRAMES,
    GCN,
    ITERATIONS,
    clips,
    make_runner,
    shrink,
    write_skeletons,
)

PATHS = sorted(CONFIGS.glob('*.py'))
IDS = ['_'.join(path.stem.split('_')[:2]) for path in PATHS]
FINETUNED, = (path for path in PATHS if '_ft_' in path.name)
CONVERTER = load_tool('model_converters/mmaction.py')


@pytest.fixture(autouse=True)
def plain_configs(monkeypatch):
    """Writing configs nicely would take longer than training."""
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('mmaction')


@pytest.fixture(scope='module')
def ann_file(folder):
    return write_skeletons(folder / 'skeletons.pkl')


def our_model(config):
    """The same network, random, as this package trains it, under the names of our checkpoints."""
    torch.manual_seed(1)
    model = build(MODELS, dict(type='MotionModel', backbone=config.model.backbone.backbone,
                               neck=config.model.backbone.neck,
                               heads=dict(action={key: value for key, value in config.model.cls_head.head.items()
                                                  if key not in ('in_channels', 'num_tokens')})))
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5).mul_(0.3)  # batch norms are no identity, variances positive
    return model.eval()


def save_ours(config, path):
    model = our_model(config)
    torch.save(dict(state_dict=model.state_dict()), path)
    return model


def convert(monkeypatch, *arguments):
    with monkeypatch.context() as patch:
        patch.setattr(sys, 'argv', ['mmaction.py', *map(str, arguments)])
        CONVERTER.main()


def annotation(clip):
    """What MMAction2's data set gives a pipeline."""
    return dict(clip, start_index=0, modality='Pose')


@pytest.mark.parametrize('path', PATHS, ids=IDS)
def test_every_config_trains_and_tests(path, ann_file, folder, tmp_path):
    config = shrink(path, ann_file, tmp_path, **{'optim_wrapper.optimizer.lr': 1e-2})
    if path == FINETUNED:
        save_ours(config, tmp_path / 'ours.pth')
        config.model.backbone.init_cfg.checkpoint = str(tmp_path / 'ours.pth')
    runner = make_runner(config)
    before = copy.deepcopy(runner.model.state_dict())
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert runner.iter == len(losses) == ITERATIONS
    assert losses[-1] < losses[0] - 0.1
    after = runner.model.state_dict()
    assert sum(not torch.equal(*pair) for pair in zip(before.values(), after.values())) > len(before) / 2
    assert {'train/top1_acc', 'train/top5_acc'} <= set(runner.message_hub.log_scalars)
    metrics = runner.test()
    assert set(metrics) == {'acc/top1', 'acc/top5', 'acc/mean1'} and metrics['acc/top5'] == 1.0


@pytest.fixture(scope='module')
def trained(ann_file, folder):
    """Config, the Runner after its 20 iterations, and where its checkpoints lie."""
    config = shrink(ACTION, ann_file, folder / 'trained')
    runner = make_runner(config)
    runner.train()
    return config, runner, folder / 'trained'


def test_finetuning_starts_from_a_checkpoint_of_ours_whatever_its_heads(ann_file, tmp_path):
    config = shrink(FINETUNED, ann_file, tmp_path)
    ours = save_ours(config, tmp_path / 'ours.pth').state_dict()
    config.model.backbone.init_cfg.checkpoint = str(tmp_path / 'ours.pth')
    model = make_runner(config).model
    model.init_weights()
    taken = model.backbone.state_dict()
    assert taken and all(torch.equal(ours[key], value) for key, value in taken.items())
    groups = {group['lr'] for group in make_runner(config).build_optim_wrapper(config.optim_wrapper).param_groups}
    assert groups == {1e-3, 1e-4}


def test_an_unconverted_checkpoint_is_refused_with_its_converter(trained):
    with pytest.raises(ValueError, match='holds a RecognizerGCN; convert it with tools/model_converters/mmaction.py'):
        load_model(trained[2] / f'epoch_{EPOCHS}.pth', 'cpu')


@pytest.mark.skipif(not hasattr(torch.serialization, 'safe_globals'), reason='torch < 2.5 admits no further classes')
def test_a_checkpoint_with_the_log_history_of_mmengine_is_converted(ann_file, tmp_path, monkeypatch):
    config = shrink(ACTION, ann_file, tmp_path, custom_hooks=[])
    config.train_cfg.update(max_epochs=1, val_interval=1)
    config.default_hooks.checkpoint.interval = 1
    runner = make_runner(config)
    runner.train()
    source, target = tmp_path / 'epoch_1.pth', tmp_path / 'ours.pth'
    with pytest.raises(ValueError, match='HistoryBuffer'):
        read_checkpoint(source)
    convert(monkeypatch, source, target)
    ours = read_checkpoint(target)['state_dict']
    assert torch.equal(ours['backbone.embed.weight'], runner.model.backbone.backbone.embed.weight)


def test_a_run_resumes_from_its_own_checkpoint(trained, ann_file, tmp_path):
    _, finished, path = trained
    middle = path / f'epoch_{EPOCHS // 2}.pth'
    config = shrink(ACTION, ann_file, tmp_path, load_from=str(middle), resume=True)
    runner = make_runner(config)
    runner.load_or_resume()
    kept = read_checkpoint(middle)
    assert runner.iter == ITERATIONS // 2
    assert all(torch.equal(value, runner.model.state_dict()[key]) for key, value in kept['state_dict'].items())
    runner.train()
    assert runner.iter == ITERATIONS
    # The log goes on where it stopped.
    log, whole = (each.message_hub.get_scalar('train/loss').data[0] for each in (runner, finished))
    np.testing.assert_array_equal(log[:ITERATIONS // 2], whole[:ITERATIONS // 2])
    assert len(log) == ITERATIONS


@pytest.mark.parametrize('path', PATHS, ids=IDS)
def test_no_key_is_dead(path):
    check_arguments(Config.fromfile(path).to_dict())


@pytest.mark.parametrize('is_official', [False, True])
def test_pipelines_give_what_our_data_set_gives(is_official, ann_file, tmp_path):
    config = shrink(ACTION, ann_file, tmp_path)
    steps = config.test_pipeline[2].pipeline
    if is_official:
        steps[:] = [dict(type='OfficialActionPose'), steps[2]]
    theirs = make_runner(config).build_dataloader(config.test_dataloader).dataset
    ours = PysklDataset(str(ann_file), data_root=str(tmp_path), split='xsub_val', test_mode=True,
                        window=dict(kind='resample', num_frames=FRAMES), targets=['persons_swapped'] * is_official,
                        pipeline=[*steps, dict(type='PackInputs', fields=['label'])])
    assert len(ours) == len(theirs) > 2
    batch = collate_batch(ours.__getitems__(range(len(ours))))
    for number in range(len(ours)):
        packed = theirs[number]
        torch.testing.assert_close(packed['inputs'], batch['inputs'][number][None])
        assert packed['inputs'].shape == (1, 2, FRAMES, 17, 3)
        assert packed['data_samples'].gt_label == batch['data_samples'].label[number] == number % 2
        assert packed['inputs'][0, 1, ..., 2].any() == bool(number % 2)  # the second person


def test_an_action_model_of_ours_gives_the_same_scores_there(ann_file, tmp_path, monkeypatch):
    config = shrink(ACTION, ann_file, tmp_path)
    ours = save_ours(config, tmp_path / 'ours.pth')
    convert(monkeypatch, tmp_path / 'ours.pth', tmp_path / 'theirs.pth', '--reverse')
    recognizer = init_recognizer(config, str(tmp_path / 'theirs.pth'), device='cpu')
    data = PysklDataset(str(ann_file), data_root=str(tmp_path), split='xsub_val', test_mode=True,
                        window=dict(kind='resample', num_frames=FRAMES),
                        pipeline=[*config.test_pipeline[2].pipeline, dict(type='PackInputs', fields=['label'])])
    expected = ours.test_step(collate_batch(data.__getitems__(range(len(data)))))
    for sample, clip in zip(expected, clips('val', len(data))):
        found = inference_recognizer(recognizer, annotation(clip))
        torch.testing.assert_close(found.pred_score, sample.scores, rtol=0, atol=2e-5)
        assert found.pred_label == sample.scores.argmax()
    assert expected[0].scores.std() > 1e-3


def test_what_is_trained_there_is_read_by_our_tools_and_goes_back(trained, ann_file, tmp_path, monkeypatch):
    config, runner, path = trained
    convert(monkeypatch, path / f'epoch_{EPOCHS}.pth', tmp_path / 'ours.pth')
    model, info = load_model(tmp_path / 'ours.pth', 'cpu')
    assert (info['skeleton'], info['num_frames'], info['num_persons']) == ('h36m', FRAMES, 2)
    recognizer = init_recognizer(config, str(path / f'epoch_{EPOCHS}.pth'), device='cpu')
    clip = clips('val', 2)[1]
    keypoints, scores = (clip[key].astype(np.float32) for key in ('keypoint', 'keypoint_score'))
    labeller = ActionLabeller.from_checkpoint(tmp_path / 'ours.pth', 'cpu', window_seconds=len(keypoints[0]) / 30)
    found = labeller.label(keypoints, scores, skeleton='coco17', image_size=(1920, 1080), fps=30)
    expected = inference_recognizer(recognizer, annotation(clip)).pred_score
    np.testing.assert_allclose(found.scores[0], expected, rtol=0, atol=2e-5)
    assert found.segments

    convert(monkeypatch, tmp_path / 'ours.pth', tmp_path / 'back.pth', '--reverse')
    back, state = read_checkpoint(tmp_path / 'back.pth')['state_dict'], runner.model.state_dict()
    assert back.keys() == state.keys() and all(torch.equal(back[key], value) for key, value in state.items())


def test_a_head_of_theirs_is_kept_for_the_way_back(ann_file, tmp_path, monkeypatch):
    config = shrink(GCN, ann_file, tmp_path)
    runner = make_runner(config)
    runner.save_checkpoint(str(tmp_path), 'theirs.pth', save_optimizer=False, save_param_scheduler=False)
    convert(monkeypatch, tmp_path / 'theirs.pth', tmp_path / 'ours.pth')
    ours = read_checkpoint(tmp_path / 'ours.pth')
    assert all(key.startswith(('backbone.', 'neck.')) for key in ours['state_dict'])
    convert(monkeypatch, tmp_path / 'ours.pth', tmp_path / 'back.pth', '--reverse')
    back, state = read_checkpoint(tmp_path / 'back.pth')['state_dict'], runner.model.state_dict()
    assert back.keys() == state.keys() and all(torch.equal(back[key], value) for key, value in state.items())


@pytest.mark.parametrize('persons', [0, 1, 2, 3])
def test_poses_of_a_video_are_labelled(trained, persons):
    config, _, path = trained
    recognizer = init_recognizer(config, str(path / f'epoch_{EPOCHS}.pth'), device='cpu')
    clip = clips('val', 2)[1]
    people, scores = (np.concatenate([clip[key], clip[key][:1]])[:persons] for key in ('keypoint', 'keypoint_score'))
    frames = [dict(keypoints=people[:, frame].astype(np.float32), keypoint_scores=scores[:, frame].astype(np.float32))
              for frame in range(clip['total_frames'])]
    for frame in frames[::2]:  # detectors miss people
        frame.update(keypoints=frame['keypoints'][:1], keypoint_scores=frame['keypoint_scores'][:1])
    result = inference_skeleton(recognizer, frames, clip['img_shape'])
    assert isinstance(result, ActionDataSample) and result.pred_score.shape == (60,)
    assert result.pred_label == result.pred_score.argmax()
    torch.testing.assert_close(result.pred_score.sum(), torch.tensor(1.0))
