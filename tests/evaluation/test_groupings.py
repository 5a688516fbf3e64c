import numpy as np
import pytest

from motionbert_mm.evaluation import Pose3DMetric
from motionbert_mm.evaluation.groupings import Grouping, get_grouping

FRAMES = np.array([4, 5, 6])


def evaluate(errors, labels, **options):
    """Measure clips whose frames are off by errors (F,) mm; labels are metainfo by clip."""
    metric = Pose3DMetric(average='frame', root_relative=False, **options)
    for number, (values, meta) in enumerate(zip(errors, labels)):
        truth = np.zeros((1, len(values), 17, 3), np.float32)
        pred = truth + np.float32(values)[None, :, None, None] * np.float32([1, 0, 0])
        meta = dict(sample_id=f'clip{number}', frame_ids=np.arange(len(values)), skeleton='h36m', **meta)
        metric.process(dict(data_samples=[dict(meta, keypoints_3d=truth)]), [dict(meta, keypoints_3d=pred)])
    return metric.report(metric.results)


def means(rows):
    return {group: row['MPJPE'] for group, row in rows.items()}


def test_any_metainfo_key_makes_a_table():
    report = evaluate([[1, 3], [5], [20]], [dict(subject='S2'), dict(subject='S1'), dict(subject='S2')],
                      tables=['subject'])
    assert means(report.groupings['subject']) == {'S1': 5, 'S2': 8}
    assert report.metrics['MPJPE/subject'] == 6.5 and report.metrics['MPJPE'] == 29 / 4
    assert report.table.splitlines()[-1].split()[:3] == ['mean', 'over', 'subjects']


def test_a_clip_counts_in_each_group_with_the_frames_that_belong_to_it():
    labels = [dict(phase=np.array(['stand', 'walk', 'stand'])), dict(phase=np.array(['walk', 'walk']))]
    errors = [[1, 10, 3], [30, 50]]
    by_frame = evaluate(errors, labels, tables=['phase']).groupings['phase']
    assert means(by_frame) == {'stand': 2, 'walk': 30}
    assert [(row['clips'], row['frames']) for row in by_frame.values()] == [(1, 2), (2, 3)]
    by_clip = evaluate(errors, labels, tables=['phase'], within_group='clip').groupings['phase']
    assert means(by_clip) == {'stand': 2, 'walk': (10 + 40) / 2}


def test_frames_may_group_the_first_table_and_the_headline():
    labels = [dict(phase=np.array(['b', 'a', 'a']))]
    report = evaluate([[1, 2, 6]], labels, group_by='phase')
    assert means(report.groups) == {'a': 4, 'b': 1} and report.metrics['MPJPE/phase'] == 2.5


@pytest.mark.parametrize('overlap', ['predictions', 'errors'])
def test_labels_follow_their_frames_through_overlapping_windows(overlap):
    metric = Pose3DMetric(average='frame', tables=['phase'], root_relative=False, overlap=overlap)
    errors, phases = np.float32([1, 2, 3, 4, 5]), np.array(['a', 'b', 'a', 'b', 'a'])
    for frames in ([2, 3, 4, 4], [0, 1, 2, 3]):
        truth = np.zeros((1, 4, 17, 3), np.float32)
        meta = dict(sample_id='clip', frame_ids=np.array(frames), skeleton='h36m', phase=phases[frames])
        pred = truth + errors[frames][None, :, None, None] * np.float32([1, 0, 0])
        metric.process(dict(data_samples=[dict(meta, keypoints_3d=truth)]), [dict(meta, keypoints_3d=pred)])
    assert means(metric.report(metric.results).groupings['phase']) == {'a': 3, 'b': 3}


def test_clips_that_do_not_state_the_group_of_a_further_table_are_in_no_row():
    report = evaluate([[1], [5]], [dict(subject='S1'), {}], tables=['subject'])
    assert means(report.groupings['subject']) == {'S1': 1}
    assert report.table.splitlines()[-1] == 'subject not known: 1 frames, in no row'
    with pytest.raises(KeyError, match="averages by 'subject', but 1 of 2 sequences do not state it, clip1 for one"):
        evaluate([[1], [5]], [dict(subject='S1'), {}], group_by='subject')


def test_members_order_the_groups_and_leave_out_other_values():
    grouping = Grouping('phase', 'number', members={2: 'up', 1: 'down', 5: 'up'})
    target = dict(sample_id='clip', frame_ids=FRAMES, number=np.array([1, 5, 9]))
    assert grouping.read(target, FRAMES[::-1]).tolist() == ['', 'up', 'down']
    assert grouping.read(dict(target, number=2), FRAMES) == 'up'
    assert grouping.read(dict(frame_ids=FRAMES), FRAMES) == ''
    assert list(grouping.order(['down', 'up'])) == ['up', 'down']


def test_groups_of_unknown_names_are_metainfo_keys():
    assert get_grouping('camera_id') == Grouping('camera_id', 'camera_id')
    assert [get_grouping(name).plural for name in ('activity', 'scene')] == ['activities', 'scenes']


def test_tables_must_be_a_list():
    with pytest.raises(TypeError, match="a list of groupings or metainfo keys, got the string 'subject'"):
        Pose3DMetric(tables='subject')
