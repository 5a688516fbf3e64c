"""Files in and out: keypoint files of detectors, pickles of strangers, atomic writing."""
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.keypoint_files import KeypointTrack, read_keypoints

__all__ = ['KeypointTrack', 'atomic_path', 'read_keypoints']
