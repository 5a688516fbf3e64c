import numpy as np
import pytest
import torch

from motionbert_mm.evaluation.metrics import DumpScores
from motionbert_mm.evaluation.outputs import add_outputs
from motionbert_mm.structures.motion_sample import MotionSample

POSE, ACTION, ONE_SHOT = dict(type='Pose3DMetric', protocol='motionbert'), dict(type='ActionMetric'), dict(
    type='motionbert_mm.OneShotMetric', num_draws=3)


def test_pose_metrics_are_joined_by_collectors_of_poses():
    assert add_outputs([POSE], dump='a.npz', show_dir='show') == [
        POSE, dict(type='DumpPredictions', out_file='a.npz', protocol='motionbert'),
        dict(type='DrawPredictions', show_dir='show')]


def test_metrics_of_classes_draw_themselves_and_scores_are_dumped():
    assert add_outputs([ONE_SHOT], dump='a.npz', show_dir='show') == [
        dict(ONE_SHOT, out_dir='show'), dict(type='DumpScores', out_file='a.npz')]
    assert ONE_SHOT == dict(type='motionbert_mm.OneShotMetric', num_draws=3)


def test_several_metrics_of_classes_do_not_share_a_folder():
    first, second, third = add_outputs([ACTION, dict(ACTION, prefix='window'), POSE], show_dir='show')[:3]
    assert (first['out_dir'], second['out_dir'], third) == ('show/0', 'show/window', POSE)


def test_metrics_of_texts_write_their_tables_themselves():
    text = dict(type='TextRetrievalMetric', class_texts=dict(walk=['a person walks']))
    assert add_outputs([text], dump='a.npz', show_dir='show') == [
        dict(text, out_dir='show'), dict(type='DumpScores', out_file='a.npz')]


def test_nothing_is_added_unless_asked_for():
    assert add_outputs([POSE, ACTION]) == [POSE, ACTION]


def test_one_dump_of_classes_and_poses_is_refused():
    with pytest.raises(ValueError, match='Pose3DMetric, ActionMetric measure both classes and poses'):
        add_outputs([POSE, ACTION], dump='a.npz')


def collect(metric, names, **fields):
    metric.dataset_meta = dict(classes=('walk', 'bow'))
    for number, name in enumerate(names):
        meta = dict(sample_id=name, frame_ids=np.arange(4) + 4 * number)
        target = MotionSample(metainfo=meta, label=torch.tensor(int(name == 'b')))
        pred = MotionSample(metainfo=meta, **{key: torch.tensor(rows[number]) for key, rows in fields.items()})
        metric.process(dict(data_samples=[target]), [pred.to_dict()])
    return metric


def test_dump_holds_scores_and_embeddings_of_all_windows_without_pickle(tmp_path):
    scores, embedding = [[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    metric = collect(DumpScores(str(tmp_path / 'out.npz')), ['b', 'a', 'a'], scores=scores, embedding=embedding)
    metric.results.append(metric.results[0])  # a copy of the sampler
    assert metric.evaluate(3) == {}
    with np.load(tmp_path / 'out.npz', allow_pickle=False) as dump:
        assert dump['sample_id'].tolist() == ['a', 'a', 'b'] and dump['label'].tolist() == [0, 0, 1]
        assert dump['classes'].tolist() == ['walk', 'bow'] and int(dump['version']) == 1
        assert dump['frame_ids'].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11], [0, 1, 2, 3]]
        order = [1, 2, 0]
        assert dump['scores'].tolist() == [scores[row] for row in order]
        assert dump['embedding'].tolist() == [embedding[row] for row in order]


def test_dump_holds_what_the_model_predicts_only(tmp_path):
    collect(DumpScores(str(tmp_path / 'out.npz')), ['a'], scores=[[0.5, 0.5]]).evaluate(1)
    with np.load(tmp_path / 'out.npz', allow_pickle=False) as dump:
        assert 'scores' in dump and 'embedding' not in dump


def test_dump_needs_scores_or_embeddings_and_the_right_suffix(tmp_path):
    with pytest.raises(KeyError, match='DumpScores needs scores or embedding'):
        collect(DumpScores(str(tmp_path / 'out.npz')), ['a'])
    with pytest.raises(ValueError, match="must be an .npz file, got 'out.txt'"):
        DumpScores('out.txt')
