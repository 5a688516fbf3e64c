"""A walking person with every joint that any skeleton names; shared by the tests of files and inference."""
import numpy as np

from motionbert_mm.structures.skeleton import get_skeleton

# Millimetres from the pelvis: x to the person's left, y down, z backwards. The right side mirrors x.
MIDDLE = {'root': (0, 0, 0), 'spine1': (0, -115, 0), 'spine': (0, -230, 0), 'spine2': (0, -230, 0),
          'mpi_spine2': (0, -280, 0), 'spine3': (0, -330, 0), 'mpi_spine3': (0, -350, 0), 'mpi_spine4': (0, -430, 0),
          'thorax': (0, -460, 0), 'neck': (0, -480, 0), 'upper_neck': (0, -540, 0), 'nose': (0, -640, -110),
          'head': (0, -690, 0), 'head_top': (0, -780, 0)}
LEFT = {'hip': (100, 10, 0), 'knee': (100, 430, 0), 'ankle': (100, 850, 0), 'heel': (100, 900, 50),
        'big_toe': (90, 910, -170), 'small_toe': (140, 905, -140), 'foot': (100, 890, -90), 'toe': (100, 910, -170),
        'foot_index': (90, 910, -170), 'collar': (60, -440, 0), 'shoulder': (170, -450, 0), 'elbow': (210, -170, 0),
        'wrist': (220, 80, 0), 'hand': (222, 160, 0), 'hand_tip': (222, 240, 0), 'thumb': (200, 140, -40),
        'index': (222, 170, -20), 'pinky': (225, 160, 20), 'eye': (32, -670, -95), 'eye_inner': (20, -670, -98),
        'eye_outer': (45, -670, -90), 'ear': (72, -650, 0), 'mouth': (25, -605, -95)}
LEG = ('knee', 'ankle', 'heel', 'big_toe', 'small_toe', 'foot', 'toe', 'foot_index')
ARM = ('elbow', 'wrist', 'hand', 'hand_tip', 'thumb', 'index', 'pinky')


def walk(skeleton, num_frames=30, azimuth=30.0):
    """Return (F, J, 3) mm in the camera frame, root-relative; azimuth 0 faces the camera."""
    phase = np.sin(np.arange(num_frames) * 0.3)
    turn = np.radians(azimuth)
    turned = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    return np.stack([_joint(name, phase) for name in get_skeleton(skeleton).joints], axis=1) @ turned.T


def _joint(name, phase):
    side, _, part = name.partition('_')
    if side not in ('left', 'right'):
        return np.tile(np.array(MIDDLE[name], float), (len(phase), 1))
    sign = 1.0 if side == 'left' else -1.0
    point = np.tile(np.array(LEFT[part], float), (len(phase), 1))
    if part in LEG + ARM:
        pivot = np.array(LEFT['hip' if part in LEG else 'shoulder'], float)
        angle = np.radians(25) * phase * sign * (1 if part in LEG else -1)
        offset = point - pivot
        point[:, 1] = pivot[1] + offset[:, 1] * np.cos(angle) - offset[:, 2] * np.sin(angle)
        point[:, 2] = pivot[2] + offset[:, 1] * np.sin(angle) + offset[:, 2] * np.cos(angle)
    return point * [sign, 1, 1]


def walk_2d(skeleton, num_frames=30, azimuth=30.0):
    """Return (F, J, 2) px in an image of 1000 x 1000."""
    return (walk(skeleton, num_frames, azimuth)[..., :2] * 0.4 + [480, 500]).astype(np.float32)
