"""From files of AMASS and BABEL to batches of motion and text."""
import json
import sys

import numpy as np
import pytest

from motionbert_mm.datasets import amass
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.text_motion import TextMotionDataset
from tests.babel_files import NOTEBOOK, extra_sequence, label, sequence, write_split
from tests.generated import ROOT, change_config, load_tool, run_tool
from tests.minimal import TINY_TEXT
from tests.smplh_files import make_body, make_regressor, write_body, write_motion

amass_tool, tool = load_tool('dataset_converters/amass.py'), load_tool('dataset_converters/babel.py')
CONFIG = ROOT / 'configs' / 'text' / 'actionpose-base_align-regions-windows_243f_1xb16-300e_babel_exact.py'
# Where the archives unpack to, BABEL's name for it, and the frame rate.
MOTIONS = {'CMU/86/86_08_poses': ('CMU/CMU/86/86_08_poses.npz', 120.0, 928),
           'ACCAD/Male2Walking_c3d/B14 -  Walk turn right 45 t2_poses':
               ('ACCAD/ACCAD/Male2Walking_c3d/B14 -  Walk turn right 45 t2_poses.npz', 60.0, 120)}


def run(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, 'argv', ['tool', *map(str, arguments)])
    module.main()


@pytest.fixture(scope='module')
def amass_store(tmp_path_factory):
    """Two motions of AMASS in the store that its converter makes."""
    folder = tmp_path_factory.mktemp('amass')
    write_body(folder / 'bodies')
    np.save(folder / 'regressor.npy', make_regressor(make_body()))
    for seed, (name, (_, fps, length)) in enumerate(MOTIONS.items()):
        write_motion(folder / 'download' / f'{name}.npz', length, fps, seed)
    with pytest.MonkeyPatch.context() as patch:
        amass.converter_of.cache_clear()
        run(patch, amass_tool, folder / 'download', folder / 'store', '--smplh', folder / 'bodies', '--regressor',
            folder / 'regressor.npy')
    return folder / 'store'


@pytest.fixture
def source(tmp_path):
    """A small release with everything that goes wrong in one."""
    long, short = (path for path, *_ in MOTIONS.values())
    frames = [label(text, *times, categories=(text.split()[0],)) for text, *times in NOTEBOOK]
    broken = [label('hop', -1, 1.2), label('jump', 2, 1), label('stop', 1, 1), label('run', 0.2, 30),
              label('late', 9, 10), label(None, 0, 1, categories=None), label('blink', 0.1, 0.3), label('sway')]
    folder = tmp_path / 'babel' / 'babel_v1.0_release'
    write_split(folder, 'train', {'7536': sequence(long, 7.74, [frames[3], *frames[:3], *frames[4:]])})
    write_split(folder, 'val', {
        '11': sequence(short, 2.0, broken), '12': sequence(short, 2.0, None, [label('Turn right')]),
        '13': sequence('KIT/KIT/3/run_poses.npz', 2.0, [label('run', 0, 2)])})
    write_split(folder, 'test', {'3312': sequence(long, 7.74, [label(None, 0, 5, categories=None)])})
    write_split(folder, 'extra_train', {'7536': extra_sequence(long, 7.74, [[label('pace', 0, 7.7)],
                                                                            [label('stroll', 0, 2.5)]])})
    return folder.parent


@pytest.fixture
def convert(amass_store, source, monkeypatch, tmp_path):
    def make(*options):
        run(monkeypatch, tool, source, amass_store, tmp_path / 'store', *options)
        return MotionStore(tmp_path / 'store')
    return make


def described(store):
    return {clip.name: (clip.text[0], clip.length, clip.sequence) for clip in store.clips}


def test_every_label_becomes_a_clip(convert, amass_store, capsys):
    store = convert()
    assert described(store) == {
        'train/7536/000': ('walk', 64, '7536'), 'train/7536/001': ('make a knocking gesture', 21, '7536'),
        'train/7536/002': ('turn around', 31, '7536'), 'train/7536/003': ('walk back', 70, '7536'),
        'train/7536/004': ('transit from walk to make a knocking gesture', 106, '7536'),
        'train/7536/005': ('transit from make a knocking gesture to turn around', 81, '7536'),
        'val/11/000': ('hop', 36, '11'), 'val/11/001': ('run', 54, '11'), 'val/12/000': ('turn right', 60, '12'),
        'extra_train/7536/000': ('pace', 231, '7536'), 'extra_train/7536/001': ('stroll', 75, '7536')}
    clip = store.clips[1]
    assert (clip.subject, clip.action, clip.categories) == ('CMU/86', 'make', ('make',))
    assert clip.seconds == pytest.approx((85 / 30, 106 / 30))
    whole = MotionStore(amass_store)
    motion = next(clip for clip in whole.clips if clip.name == 'CMU/86/86_08_poses')
    np.testing.assert_array_equal(store.arrays['keypoints_3d'][clip.start:clip.start + clip.length],
                                  whole.arrays['keypoints_3d'][motion.start + 85:motion.start + 106])
    assert {split: len(names) for split, names in store.info['splits'].items()} == {'train': 6, 'val': 3,
                                                                                  'extra_train': 2}
    assert [1.0, 30] not in store.info['labels']['11'] and [0.1, 0.3, 'blink'] in store.info['labels']['11']
    printed = capsys.readouterr().out
    assert '11 clips (train 6, val 3, extra_train 2) of 6 sequences' in printed and 'not there: extra_val' in printed


def test_what_was_broken_is_counted(convert, capsys):
    report = convert().info['report']
    assert {kind: entry['count'] for kind, entry in report.items()} == {
        'null labels': 2, 'labels without times': 1, 'labels that begin before 0; cut': 1,
        'labels that end before they begin': 1, 'labels of zero length': 1, 'labels beyond the end of the sequence': 1,
        'labels that end after the sequence; cut': 1, 'segments of fewer than 16 frames': 1,
        'sequences with unsorted labels; sorted': 2, 'sequences with overlapping labels; all are kept': 2,
        'sequences whose motion is not in the store': 1}
    assert report['sequences whose motion is not in the store']['examples'] == ['val/13 (KIT/KIT/3/run_poses.npz)']
    assert 'noted: 1 sequences whose motion is not in the store, e.g. val/13' in capsys.readouterr().out


def test_options(convert):
    store = convert('--splits', 'train', 'val', '--no-transitions', '--no-sequence-labels', '--min-frames', '30',
                    '--fps', '15')
    assert store.fps == 15.0 and described(store) == {'train/7536/000': ('walk', 32, '7536'),
                                                      'train/7536/001': ('walk back', 35, '7536')}
    store = convert('--labels', 'raw', '--splits', 'train', '--context', '20')
    assert described(store)['train/7536/004'] == ('transit from walk to make a knocking gesture', 40, '7536')
    assert store.info['text'] == 'raw'


def test_batches_exclude_what_other_annotators_say(convert):
    store = convert()
    dataset = TextMotionDataset(
        str(store.path), window=dict(num_frames=81, kind='crop', jitter=True), input_2d=None,
        include=['train/*', 'extra_train/*'], negatives=dict(number=8), pipeline=[
            dict(type='OrthographicView', views=['front', 'side'], facing=True), dict(type='RandomFlip'),
            dict(type='NormalizeCoords', target='image_space'), dict(type='SampleMotionMask'),
            dict(type='PackInputs')])
    batch = collate_batch(dataset.__getitems__(np.arange(len(dataset))))
    assert batch['inputs'].shape == (8, 1, 81, 17, 3)
    samples = {sample.sample_id: sample for sample in batch['data_samples'].unbind()}
    walk = samples['train/7536/000']
    # 'pace' and 'stroll' of others, and the transition that begins in its last frame
    assert set(walk.negatives) - {''} == {'make a knocking gesture', 'turn around', 'walk back',
                                          'transit from make a knocking gesture to turn around'}
    assert 'stroll' in samples['train/7536/003'].negatives
    assert not walk.visible[0, :17].all()  # 64 of 81 frames are real


def test_errors_are_one_line(amass_store, source, monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match='holds none of train.json'):
        run(monkeypatch, tool, tmp_path, amass_store, tmp_path / 'out')
    with pytest.raises(SystemExit, match='is not a motion store'):
        run(monkeypatch, tool, source, tmp_path, tmp_path / 'out')
    with pytest.raises(SystemExit, match='no segment in 1 sequences; 1 null labels, e.g. test/3312'):
        run(monkeypatch, tool, source, amass_store, tmp_path / 'out', '--splits', 'test')
    with pytest.raises(SystemExit):
        run(monkeypatch, tool, source, amass_store, tmp_path / 'out', '--min-frames', '0')
    assert not (tmp_path / 'out').exists()


def test_a_model_is_aligned_with_what_was_converted(convert, tmp_path):
    """The published config in small: an epoch of two steps, and retrieval among the sequences of val."""
    store = convert()
    data = {f'{stage}_dataloader.{key}': value for stage in ('train', 'val', 'test') for key, value in {
        'batch_size': 3, 'num_workers': 0, 'persistent_workers': False, 'dataset.data_root': str(store.path),
        'dataset.window.num_frames': 81}.items()}
    config = change_config(tmp_path / 'align.py', CONFIG, {
        **data, 'model.backbone.dim': 32, 'model.backbone.depth': 2, 'model.backbone.tap_layer': 1, 'load_from': None,
        'model.heads.text.text_encoder': dict(_delete_=True, **TINY_TEXT), 'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1, 'default_hooks.logger.interval': 1})
    result = run_tool('train.py', config, '--work-dir', tmp_path / 'align')
    assert result.returncode == 0, result.stderr
    path, = (tmp_path / 'align').glob('*/vis_data/scalars.json')
    records = [json.loads(line) for line in path.read_text().splitlines()]
    steps = [record for record in records if 'text.loss_align' in record]
    assert len(steps) == 2 and all(np.isfinite(step['pose.loss_mpjpe']) for step in steps)
    assert all(step['text.loss_align'] > 0 for step in steps)
    measured, = (record for record in records if 'motion_to_text/R@1' in record)
    assert measured['motion_to_text/R@5'] == 100  # of three texts
