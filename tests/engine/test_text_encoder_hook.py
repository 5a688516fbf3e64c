"""Metrics of texts in a real test: the hook lends them the text encoder of the model."""
import json

import numpy as np
import pytest
from mmengine.runner import Runner

from motionbert_mm.engine.texts import encode_texts
from tests.generated import NUM_FRAMES, make_config
from tests.text_files import JUMP, MODEL, PIPELINE, WALK, WAVE, write_text_store

CLASS_TEXTS = dict(walk=[WALK], wave=[WAVE, 'a person waves a'], jump=[JUMP])


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    return write_text_store(tmp_path_factory.mktemp('hook') / 'store')


def make_runner(store, folder, **changes):
    data = dict(_delete_=True, type='TextMotionDataset', data_root=str(store), test_mode=True, pipeline=PIPELINE,
                window=dict(num_frames=NUM_FRAMES, stride=NUM_FRAMES))
    evaluator = dict(_delete_=True, type='TextRetrievalMetric', class_texts=CLASS_TEXTS)
    return Runner.from_cfg(make_config(store, **{
        'model': dict(_delete_=True, **MODEL), 'default_hooks.checkpoint.save_best': None, 'work_dir': str(folder),
        'default_hooks.text_encoder': dict(type='TextEncoderHook'),
        'experiment_name': f'hook_{folder.name}', 'train_dataloader.dataset.exclude': [],
        'val_dataloader.dataset': data, 'test_dataloader.dataset': data, 'val_evaluator': evaluator,
        'test_evaluator': evaluator, **changes}))


@pytest.mark.parametrize('stage', ['test', 'val'])
def test_the_metric_compares_with_texts_as_the_model_embeds_them(store, tmp_path, stage):
    runner = make_runner(store, tmp_path)
    metrics = getattr(runner, stage)()
    model = runner.model.eval()
    dataset = getattr(runner, f'{stage}_dataloader').dataset
    assert {'motion_to_text/R@1', 'text_to_motion/median_rank', 'zero_shot/top1'} <= set(metrics)
    metric, = getattr(runner, f'{stage}_evaluator').metrics
    np.testing.assert_array_equal(metric.encode_texts([WALK, JUMP]), encode_texts(model, 'text', [WALK, JUMP]))
    assert len(dataset) == 4 + 1 + 3 + 1
    assert metrics['motion_to_text/R@5'] == 100  # three clips have texts


def test_texts_are_embedded_in_their_normal_form(store, tmp_path):
    model = make_runner(store, tmp_path).model.eval()
    shouted, plain = (encode_texts(model, 'text', [text]) for text in ('  A person WALKS ', WALK))
    np.testing.assert_array_equal(shouted, plain)


def test_other_metrics_and_models_stay_as_they_are(store, tmp_path):
    runner = make_runner(store, tmp_path, test_evaluator=dict(_delete_=True, type='Pose3DMetric'),
                         **{'test_dataloader.dataset': dict(
                             _delete_=True, type='TextMotionDataset', data_root=str(store), include=['r1/*'],
                             window=dict(num_frames=NUM_FRAMES), pipeline=[
                                 dict(type='NormalizeCoords'), dict(type='PackInputs', fields=['keypoints_3d'])])})
    assert 'MPJPE' in runner.test()


def test_a_model_without_texts_is_refused_before_the_data_are_read(store, tmp_path):
    lifter = dict(MODEL, heads=dict(pose=MODEL['heads']['pose']))
    runner = make_runner(store, tmp_path, model=dict(_delete_=True, **lifter))
    with pytest.raises(ValueError, match='the config holds no model that knows texts'):
        runner.test()


def test_validation_selects_checkpoints_by_retrieval(store, tmp_path):
    train = dict(type='TextMotionDataset', data_root=str(store), negatives=dict(number=2), pipeline=PIPELINE,
                 window=dict(num_frames=NUM_FRAMES, kind='crop', jitter=True))
    runner = make_runner(store, tmp_path, **{
        'train_dataloader.dataset': dict(_delete_=True, **train),
        'default_hooks.checkpoint.save_best': 'motion_to_text/R@1', 'default_hooks.checkpoint.rule': 'greater'})
    runner.train()
    scalars, = tmp_path.glob('*/vis_data/scalars.json')
    records = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert any('text.loss_align' in record for record in records)
    assert sum('motion_to_text/R@1' in record for record in records) == 2
    assert list(tmp_path.glob('best_motion_to_text_R@1_*.pth')), sorted(tmp_path.iterdir())
