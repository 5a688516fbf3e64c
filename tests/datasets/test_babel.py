"""Annotations of BABEL, whole and broken, and the segments that follow from them."""
import json

import numpy as np
import pytest

from motionbert_mm.datasets.babel import Label, MotionIndex, Tally, find_files, order_labels, read_split
from motionbert_mm.datasets.babel_segments import SegmentMaker, SegmentOptions, cut_segments, name_transitions
from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from tests.babel_files import NOTEBOOK, annotation, extra_sequence, label, sequence, write_split

WALK = 'CMU/CMU/86/86_08_poses.npz'
TEMPLATE = 'transit from {before} to {after}'


def read(tmp_path, sequences, split='train', **options):
    tally = Tally()
    return read_split(write_split(tmp_path, split, sequences), tally, **options), tally.counts


def labels_of(*rows):
    return [Label(*row) for row in rows]


def texts(segments):
    return [segment.text for segment in segments]


def test_labels_of_frames_come_before_those_of_the_sequence(tmp_path):
    walk = label('walk', 0, 1.5, categories=('walk', 'foot'))
    (recording,), counts = read(tmp_path, {'7': sequence(WALK, 2.5, [walk], [label('pace')])})
    assert (recording.name, recording.path, recording.duration) == ('7', WALK, 2.5)
    assert recording.annotations == ((Label('walk', 0, 1.5, ('walk', 'foot')),),) and not counts


def test_labels_of_the_sequence_are_the_fallback(tmp_path):
    content = {'7': sequence(WALK, 2.5, None, [label('pace')]), '8': sequence(WALK, 2.5, [], [label('stand')])}
    recordings, counts = read(tmp_path, content)
    assert [recording.annotations[0][0] for recording in recordings] == [
        Label('pace', None, None, ('walk',)), Label('stand', None, None, ('walk',))]
    recordings, counts = read(tmp_path, content, use_sequence_labels=False)
    assert recordings == [] and counts == {'sequences without labels': 2}


def test_raw_labels_on_request(tmp_path):
    content = {'7': sequence(WALK, 2.5, [label('walk', 0, 1, raw_label='Walks  SLOWLY ')])}
    assert read(tmp_path, content, text='raw')[0][0].annotations[0][0].text == 'walks slowly'
    assert read(tmp_path, content)[0][0].annotations[0][0].text == 'walk'


def test_every_annotator_of_the_extra_files_is_read(tmp_path):
    (recording,), _ = read(tmp_path, {'7': extra_sequence(WALK, 2.5, [[label('walk', 0, 1)], [],
                                                                      [label('pace', 0, 2)]])}, 'extra_train')
    assert [[entry.text for entry in labels] for labels in recording.annotations] == [['walk'], ['pace']]


def test_broken_labels_are_left_out_and_counted(tmp_path):
    good = label('walk', 0, 1)
    frames = [good, label(None, 0, 1, categories=None), label(' ', 0, 1), label('run'), label('run', 0, None),
              label('run', '0', 1), label('run', float('nan'), 1), label('run', True, 1), None, ['run'], label(7, 0, 1)]
    (recording,), counts = read(tmp_path, {'7': sequence(WALK, 2.5, frames)})
    assert recording.annotations == ((Label('walk', 0, 1, ('walk',)),),)
    assert counts == {'null labels': 2, 'labels that are no text': 3, 'labels without times': 5}


def test_categories_may_be_null_or_wrong(tmp_path):
    frames = [label('a', 0, 1, categories=None), label('b', 0, 1, categories='walk'),
              label('c', 0, 1, categories=('x', 'x', 3))]
    (recording,), _ = read(tmp_path, {'7': sequence(WALK, 2.5, frames)})
    assert [entry.categories for entry in recording.annotations[0]] == [(), (), ('x',)]


def test_broken_sequences_are_left_out_and_counted(tmp_path):
    content = {'1': sequence(WALK, 2.5, [label('walk', 0, 1)]), '2': None, '3': sequence(None, 1, [label('a', 0, 1)]),
               '4': sequence(WALK, 1.0), '5': sequence(WALK, 'long', [label('walk', 0, 1)]),
               '6': sequence(WALK, 1.0, frame_ann='walk'), '7': sequence(WALK, -2, [label('walk', 0, 1)])}
    recordings, counts = read(tmp_path, content)
    assert [(recording.name, recording.duration) for recording in recordings] == [('1', 2.5), ('5', None), ('7', None)]
    assert counts == {'sequences without a path of their motion': 2, 'sequences without labels': 2,
                      'annotations that are none': 1, 'sequences without a duration; that of the motion is taken': 2}


def test_the_hidden_labels_of_the_test_split_give_nothing(tmp_path):
    frames = [label(None, 0, 1, categories=None)] * 2
    (recording,), counts = read(tmp_path, {'3312': sequence(WALK, 76.73, frames, [label(None, categories=None)])})
    assert recording.annotations == ((),) and counts == {'null labels': 2}


@pytest.mark.parametrize('content, message', [('[]', 'holds a list'), ('{"7": ', 'truncated or no JSON'),
                                              ('', 'truncated or no JSON')])
def test_torn_files_are_refused(tmp_path, content, message):
    path = tmp_path / 'train.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=f'train.json.*{message}.*babel.is.tue.mpg.de'):
        read_split(path, Tally())


def test_files_are_found_in_the_folder_of_the_release(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds none of train.json, val.json'):
        find_files(tmp_path)
    for split in ('val', 'train', 'extra_val'):
        write_split(tmp_path / 'babel_v1.0_release', split, {})
    assert list(find_files(tmp_path)) == ['train', 'val', 'extra_val']
    assert list(find_files(tmp_path / 'babel_v1.0_release', ['val', 'test'])) == ['val']


def test_times_are_put_in_order_and_inside_the_sequence():
    tally = Tally()
    labels = labels_of(('late', 3, 4.03), ('early', -0.5, 1), ('walk', 0.5, 3.5), ('whole',), ('back', 2, 1),
                       ('none', 2, 2), ('past', 4.5, 5), ('before', -2, -1), ('long', 3.5, 9), ('walk', 0.5, 3.5))
    ordered = order_labels(labels, 4.0, '7', tally)
    assert ordered == labels_of(('early', 0.0, 1.0), ('whole', 0.0, 4.0), ('walk', 0.5, 3.5), ('late', 3.0, 4.0),
                                ('long', 3.5, 4.0))
    assert tally.counts == {
        'labels that begin before 0; cut': 1, 'labels that end before they begin': 1, 'labels of zero length': 1,
        'labels beyond the end of the sequence': 1, 'labels before the beginning of the sequence': 1,
        'labels that end after the sequence; cut': 1, 'sequences with labels that are there twice; one is kept': 1,
        'sequences with unsorted labels; sorted': 1, 'sequences with overlapping labels; all are kept': 1}
    assert all(place == ['7'] for place in tally.examples.values())


def test_orderly_labels_are_not_noted():
    tally = Tally()
    order_labels(labels_of(('walk', 0, 1), ('stand', 1, 2.04)), 2.0, '7', tally)
    assert not tally.counts


def test_transitions_of_the_notebook_are_named():
    named, lonely = name_transitions(labels_of(*NOTEBOOK), template=TEMPLATE, max_gap=0.5)
    assert [transition.text for transition in named] == ['transit from walk to make a knocking gesture',
                                                         'transit from make a knocking gesture to turn around']
    assert lonely == []
    tally = Tally()
    segments, said = cut_segments(labels_of(*NOTEBOOK), 232, SegmentOptions(), '7536', tally)
    assert {segment.text: (segment.start, segment.end) for segment in segments} == {
        'walk': (0, 64), 'make a knocking gesture': (85, 106), 'turn around': (135, 166), 'walk back': (162, 232),
        'transit from walk to make a knocking gesture': (0, 106),
        'transit from make a knocking gesture to turn around': (85, 166)}
    assert [2.106, 2.845, 'transit from walk to make a knocking gesture'] in [list(entry) for entry in said]
    assert len(said) == 6 and 'transition' not in texts(segments) and not tally.counts


@pytest.mark.parametrize('rows, expected', [
    # a gap of at most half a second is bridged, the nearest neighbour taken
    ([('a', 0, 1), ('b', 0.5, 1.6), ('transition', 2, 3), ('c', 3.5, 4), ('d', 3.4, 5)], ['b to d']),
    ([('a', 0, 1.49), ('transition', 2, 3), ('b', 3, 4)], []),
    ([('transition', 0, 1), ('b', 1, 4)], []),
    ([('a', 0, 1), ('transition', 1, 2)], []),
    ([('a', 0, 1), ('transition', 1, 2), ('transition', 2, 3), ('b', 3, 4)], []),  # no neighbour is a transition
    ([('a', 0, 1), ('transition', 1, 2), ('a', 2, 3)], ['a to a']),
    # with several that go on at the same time, every pair
    ([('a', 0, 1), ('b', 0, 1.2), ('transition', 1, 2), ('c', 2, 3), ('d', 1.5, 3)],
     ['a to c', 'a to d', 'b to c', 'b to d'])])
def test_neighbours_of_transitions(rows, expected):
    named, lonely = name_transitions(labels_of(*rows), template='{before} to {after}', max_gap=0.5)
    assert [transition.text for transition in named] == expected
    count = sum(text == 'transition' for text, *_ in rows)
    assert len(lonely) == (0 if expected else count)


def test_a_transition_reaches_at_most_its_context():
    rows = labels_of(('a', 0, 20), ('transition', 20, 21), ('b', 21, 40))
    segments, _ = cut_segments(rows, 1200, SegmentOptions(), '7', Tally())
    assert (segments[-1].start, segments[-1].end) == (615 - 121, 615 + 121)
    segments, _ = cut_segments(rows, 1200, SegmentOptions(context=30), '7', Tally())
    assert (segments[-1].start, segments[-1].end) == (585, 645)


def test_lonely_and_unwanted_transitions_are_counted():
    rows = labels_of(('a', 0, 1), ('transition', 1, 2))
    for options, kind in ((SegmentOptions(), 'transitions without an action before and after'),
                          (SegmentOptions(with_transitions=False), 'transitions')):
        tally = Tally()
        segments, said = cut_segments(rows, 60, options, '7', tally)
        assert texts(segments) == ['a'] and len(said) == 1 and tally.counts == {kind: 1}


def test_frames_of_a_label_and_segments_that_are_too_short():
    rows = labels_of(('exact', 0.1, 0.7), ('inside', 0.11, 0.69), ('short', 0, 0.5), ('end', 2.0, 3.0))
    tally = Tally()
    segments, said = cut_segments(rows, 85, SegmentOptions(), '7', tally)
    assert [(segment.start, segment.end) for segment in segments] == [(3, 21), (3, 21), (60, 85)]
    assert tally.counts == {'segments of fewer than 16 frames': 1} and len(said) == 4


@pytest.mark.parametrize('name', [
    'CMU/CMU/86/86_08_poses', 'CMU/86/86_08_poses', 'AMASS/SMPL-H G/CMU/86/86_08_poses', 'CMU/86/86_08_stageii'])
def test_motions_are_found_below_any_folder_and_in_either_release(name):
    assert MotionIndex(['KIT/3/turn_poses', name, 'CMU/86/86_09_poses']).find(WALK) == name


@pytest.mark.parametrize('path, name', [
    ('ACCAD/ACCAD/Male2Walking_c3d/B14 -  Walk turn right 45 t2_poses.npz',
     'ACCAD/Male2Walking_c3d/B14_-__Walk_turn_right_45_t2_stageii'),
    ('BMLrub/BioMotionLab_NTroje/rub001/0000_treadmill_norm_poses.npz', 'BMLrub/rub001/0000_treadmill_norm_stageii'),
    ('MPIHDM05/MPI_HDM05/bk/HDM_bk_01-01_01_120_poses.npz', 'HDM05/bk/HDM_bk_01-01_01_120_poses'),
    ('DFaust67/DFaust_67/50002/50002_jumping_jacks_poses.npz', 'DFaust/50002/50002_jumping_jacks_poses'),
    ('EyesJapanDataset/Eyes_Japan_Dataset/aita/walk-01-run-aita_poses.npz',
     'Eyes_Japan_Dataset/aita/walk-01-run-aita_poses')])
def test_motions_are_found_under_their_new_names(path, name):
    assert MotionIndex([name]).find(path) == name
    assert MotionIndex(['CMU/86/86_08_poses']).find(path) is None


def test_the_very_path_is_taken_where_there_are_several():
    names = ['CMU/86/86_08_poses', 'CMU/CMU/86/86_08_poses']
    assert MotionIndex(names).find(WALK) == names[1]


def make_store(path, fps=30.0, length=90, clip_fps=None):
    """One motion whose root moves by a metre a second."""
    points = np.zeros((length, 17, 3))
    points[:, :, 0] = 1000 * np.arange(length)[:, None] / (clip_fps or fps)
    pose = np.zeros((length, 24, 3))
    pose[:, 0, 1] = np.arange(length) / (clip_fps or fps)
    with MotionStoreWriter(path, skeleton='h36m', fps=fps) as writer:
        writer.add_clip('CMU/86/86_08_poses', {'keypoints_3d': points, 'smpl_pose': pose}, fps=clip_fps)
    return MotionStore(path)


def cut(store, recordings, **options):
    tally = Tally()
    maker = SegmentMaker(store, SegmentOptions(**options), tally)
    return [clip for recording in recordings for clip in maker(recording, 'train')], maker.labels, tally.counts


@pytest.mark.parametrize('fps, clip_fps', [(30.0, None), (60.0, None), (120.0, 100.0), (50.0, None)])
def test_any_frame_rate_is_cut_at_the_same_times(tmp_path, fps, clip_fps):
    store = make_store(tmp_path / 'store', fps, round(3 * (clip_fps or fps)), clip_fps)
    recordings, _ = read(tmp_path, {'7': sequence(WALK, 3.0, [label('walk', 0.5, 2.0)])})
    (clip,), labels, counts = cut(store, recordings)
    assert (clip.name, clip.sequence, clip.subject) == ('train/7/000', '7', 'CMU/86') and not counts
    assert clip.seconds == (0.5, 2.0) and clip.segment.categories == ('walk',)
    times = 0.5 + np.arange(45) / 30
    np.testing.assert_allclose(clip.arrays['keypoints_3d'][:, 5, 0], 1000 * times, rtol=1e-5)
    np.testing.assert_allclose(clip.arrays['smpl_pose'][:, 0, 1], times, rtol=1e-5)
    assert labels == {'7': [[0.5, 2.0, 'walk']]}


def test_the_duration_may_be_unknown_or_longer_than_the_motion(tmp_path):
    store = make_store(tmp_path / 'store')
    recordings, _ = read(tmp_path, {'7': sequence(WALK, None, None, [label('pace')]),
                                    '8': sequence(WALK, 5.0, [label('pace', 1, 5), label('stop', 4, 5)])})
    clips, _, counts = cut(store, recordings)
    assert [clip.seconds for clip in clips] == [(0.0, 3.0), (1.0, 3.0)]
    assert counts == {'motions shorter than BABEL says': 1, 'labels that end after the sequence; cut': 1,
                      'labels beyond the end of the sequence': 1}


def test_a_missing_motion_is_counted_and_named(tmp_path):
    recordings, _ = read(tmp_path, {'7': sequence('KIT/KIT/3/run_poses.npz', 3, [label('run', 0, 3)])})
    clips, labels, counts = cut(make_store(tmp_path / 'store'), recordings)
    assert clips == [] and labels == {} and counts == {'sequences whose motion is not in the store': 1}


def test_what_annotators_say_of_a_sequence_comes_together(tmp_path):
    extra = extra_sequence(WALK, 3.0, [[label('walk', 0, 2), label('hop', 1, 1.2)], [label('pace', 0, 2)]])
    recordings, _ = read(tmp_path, {'7': extra})
    clips, labels, counts = cut(make_store(tmp_path / 'store'), recordings)
    assert [clip.name for clip in clips] == ['train/7/000', 'train/7/001']
    assert labels == {'7': [[0.0, 2.0, 'walk'], [1.0, 1.2, 'hop'], [0.0, 2.0, 'pace']]}
    assert counts['segments of fewer than 16 frames'] == 1


def test_slow_motions_are_not_filled_up(tmp_path):
    with pytest.raises(ValueError, match='has 20 frames per second, fewer than the 30 .*--fps'):
        SegmentMaker(make_store(tmp_path / 'store', 20.0), SegmentOptions(), Tally())


def test_generated_files_have_the_layout_of_the_release():
    """Keys as in the example that the authors' notebook prints."""
    entry = json.loads(json.dumps(sequence(WALK, 76.73, [label('walk', 0, 1)], [label('walk')])))
    assert sorted(entry) == ['babel_sid', 'dur', 'feat_p', 'frame_ann', 'seq_ann', 'url']
    assert sorted(entry['frame_ann']) == sorted(annotation([])) == ['anntr_id', 'babel_lid', 'labels', 'mul_act']
    keys = ['act_cat', 'proc_label', 'raw_label', 'seg_id']
    assert sorted(entry['seq_ann']['labels'][0]) == keys
    assert sorted(entry['frame_ann']['labels'][0]) == sorted([*keys, 'start_t', 'end_t'])
