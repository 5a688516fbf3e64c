"""Small but complete stand-ins of the data sets that the data doctor knows, in their exact formats."""
from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np

from motionbert_mm.datasets.human36m_videopose3d import VideoPose3DFiles
from tests import h36m_files, mesh_files, mpi_inf_3dhp_files
from tests.generated import write_store
from tests.io.body import walk_2d
from tests.io.openpose import write_openpose
from tests.pyskl_files import dense_2d, dense_3d
from tests.smplh_files import write_motion
from tests.track_files import write_posetrack, write_track_folder

NTU_NAMES = [f'S{setup:03d}C{camera:03d}P{subject:03d}R001A{action:03d}' for setup in (1, 2) for camera in (1, 2, 3)
             for subject in (1, 3) for action in (1, 60)]


def h36m_motionbert(folder: Path) -> Path:
    return h36m_files.write_motionbert(folder / 'h36m_sh_conf_cam_source_final.pkl').parent


def h36m_videopose3d(folder: Path) -> Path:
    """Positions, and projections of them as detections."""
    source = VideoPose3DFiles(h36m_files.write_videopose3d(folder))
    keypoints: dict = {}
    for split in ('train', 'test'):
        for subject, action, camera in source.keys(split):
            points = source.read(split, (subject, action, camera)).arrays['keypoints_2d']
            keypoints.setdefault(subject, {}).setdefault(action, []).append(points)
    for name in ('gt', 'cpn_ft_h36m_dbb'):
        h36m_files.write_keypoints(folder, name, keypoints, h36m_files.METADATA['h36m'])
    return folder


def h36m_mmpose(folder: Path) -> Path:
    (folder / 'annotation_body3d' / 'fps10').mkdir(parents=True)
    paths = h36m_files.write_mmpose(folder / 'annotation_body3d' / 'fps10')
    paths['cameras'].rename(folder / 'annotation_body3d' / 'cameras.pkl')
    return folder


def amass(folder: Path) -> Path:
    names = ('ACCAD/ACCAD/Male2Walking_c3d/B14 -  Walk_poses', 'CMU/01/01_01_poses', 'KIT/3/turn_poses')
    for seed, (name, fps) in enumerate(zip(names, (120.0, 60.0, 100.0))):
        write_motion(folder / f'{name}.npz', 40, fps, seed)
    (folder / 'CMU' / '01' / 'shape.npz').touch()
    return folder


def points_2d(skeleton: str, num_frames: int, shift: float = 0.0) -> np.ndarray:
    """A walk (F, J, 3) of x, y in px and visibility 1."""
    points = walk_2d(skeleton, num_frames) + np.array([shift, 0], np.float32)
    return np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1)


def posetrack18(folder: Path) -> Path:
    for split, count in (('train', 3), ('val', 2)):
        for number in range(count):
            tracks = [points_2d('posetrack18', 35), points_2d('posetrack18', 10, 200)]
            write_posetrack(folder / 'annotations' / split / f'{number:06d}_mpii.json', tracks, video=f'{number:06d}')
    return folder


def instavariety(folder: Path) -> Path:
    for number in range(3):
        write_track_folder(folder / 'golf' / f'video{number}' / '0', points_2d('h36m', 82))
    return folder


def alphapose(folder: Path) -> Path:
    for number in range(2):
        points = points_2d('halpe26', 40, 100 * number)
        items = [dict(image_id=f'{frame}.jpg', category_id=1, keypoints=row.reshape(-1).tolist(), score=2.5,
                      box=[1.0, 2.0, 3.0, 4.0], idx=[1.0]) for frame, row in enumerate(points)]
        (folder / f'video{number}').mkdir(parents=True)
        (folder / f'video{number}' / 'alphapose-results.json').write_text(json.dumps(items))
    return folder


def openpose(folder: Path) -> Path:
    write_openpose(folder / 'duet', [walk_2d('body25', 40), walk_2d('body25', 40) + [300, 0]])
    write_openpose(folder / 'solo', [walk_2d('body25', 35)])
    return folder


def ntu_annotation(name: str, skeleton: str) -> dict:
    """One annotation as PYSKL writes it."""
    return (dense_3d if skeleton == 'ntu25' else dense_2d)(name, int(name[-3:]) - 1, 6)


def ntu_content(skeleton: str = 'ntu25') -> dict:
    """The content of ntu60_3danno.pkl or ntu60_hrnet.pkl."""
    camera, subject = (lambda name: int(name[5:8])), (lambda name: int(name[9:12]))
    split = dict(xsub_train=[name for name in NTU_NAMES if subject(name) == 1],
                 xsub_val=[name for name in NTU_NAMES if subject(name) == 3],
                 xview_train=[name for name in NTU_NAMES if camera(name) != 1],
                 xview_val=[name for name in NTU_NAMES if camera(name) == 1])
    return dict(split=split, annotations=[ntu_annotation(name, skeleton) for name in NTU_NAMES])


def write_ntu(path: Path, content: dict) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


def ntu_pyskl(folder: Path) -> Path:
    return write_ntu(folder / 'ntu60_3danno.pkl', ntu_content())


def mpi_inf_3dhp(folder: Path) -> Path:
    return mpi_inf_3dhp_files.write_download(folder)


def motionbert_mesh(folder: Path) -> Path:
    for dataset in mesh_files.VIDEOS:
        mesh_files.write_pickle(folder / f'mesh_det_{dataset}.pkl', mesh_files.mesh_content(dataset))
    return folder


def threedpw(folder: Path) -> Path:
    for split in ('train', 'validation', 'test'):
        mesh_files.write_pw3d(folder, split)
    return folder


def coco_eft(folder: Path) -> Path:
    mesh_files.write_coco(folder)
    return folder


def store(folder: Path) -> Path:
    return write_store(folder / 'store')


STAND_INS = {'h36m-motionbert': h36m_motionbert, 'h36m-videopose3d': h36m_videopose3d, 'h36m-mmpose': h36m_mmpose,
             'amass': amass, 'posetrack18': posetrack18, 'instavariety': instavariety, '3dhp': mpi_inf_3dhp,
             'ntu-pyskl': ntu_pyskl, 'openpose': openpose, 'alphapose': alphapose, 'store': store,
             'motionbert-mesh': motionbert_mesh, '3dpw': threedpw, 'coco-eft': coco_eft}
