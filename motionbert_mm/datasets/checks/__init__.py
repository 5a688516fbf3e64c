"""Checks of downloads: are all files there, whole, and what they should be?"""
from motionbert_mm.datasets.checks.amass import check_amass
from motionbert_mm.datasets.checks.human36m import check_mmpose, check_motionbert, check_videopose3d
from motionbert_mm.datasets.checks.keypoints import check_alphapose, check_openpose
from motionbert_mm.datasets.checks.mesh import check_coco_eft, check_motionbert_mesh, check_threedpw
from motionbert_mm.datasets.checks.mpi_inf_3dhp import check_3dhp
from motionbert_mm.datasets.checks.ntu import check_ntu
from motionbert_mm.datasets.checks.report import Finding, Report
from motionbert_mm.datasets.checks.store import check_store
from motionbert_mm.datasets.checks.tracks import check_instavariety, check_posetrack18

# By the name on the command line of tools/dataset_converters/doctor.py.
CHECKS = {
    'h36m-motionbert': check_motionbert,
    'h36m-videopose3d': check_videopose3d,
    'h36m-mmpose': check_mmpose,
    'amass': check_amass,
    'posetrack18': check_posetrack18,
    'instavariety': check_instavariety,
    '3dhp': check_3dhp,
    'motionbert-mesh': check_motionbert_mesh,
    '3dpw': check_threedpw,
    'coco-eft': check_coco_eft,
    'ntu-pyskl': check_ntu,
    'openpose': check_openpose,
    'alphapose': check_alphapose,
    'store': check_store,
}

__all__ = ['CHECKS', 'Finding', 'Report']
