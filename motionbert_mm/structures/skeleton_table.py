"""Skeleton facts as data: one row (name, parent, part) per joint, and the rules between skeletons.

All skeletons share one vocabulary of joint names: the same name means the same place of the body, so that a
conversion copies it. Flip pairs follow from ``left_`` / ``right_``. Where a format calls a joint otherwise:

* Human3.6M: joint 8 ``thorax`` is MotionBERT's "neck"; joint 9 ``nose`` is the neck base of the motion capture
  ("neck_base" in MMPose) but the nose in every 2D mapping; ``*_ankle`` is "foot" in MMPose.
* PoseTrack18 "head_bottom" is MPII's ``upper_neck``. Halpe "hip", OpenPose "MidHip", SMPL and MPI-INF-3DHP
  "pelvis" and NTU "spine base" are ``root``. NTU "spine shoulder" is ``thorax``, "spine mid" is ``spine``.
* MPI-INF-3DHP "clavicle" is SMPL's ``collar``; its "spine2/3/4" are ``mpi_spine2/3/4``, because SMPL's ``spine1/2/3``
  lie elsewhere. MediaPipe "mouth_left" is ``left_mouth``.

A 2D skeleton without a pelvis hangs from its nose or neck, which keeps the tree mirror-symmetric.
"""

SKELETONS = {
    'h36m': '''
        root            -               torso
        right_hip       root            right_leg
        right_knee      right_hip       right_leg
        right_ankle     right_knee      right_leg
        left_hip        root            left_leg
        left_knee       left_hip        left_leg
        left_ankle      left_knee       left_leg
        spine           root            torso
        thorax          spine           torso
        nose            thorax          head
        head            nose            head
        left_shoulder   thorax          left_arm
        left_elbow      left_shoulder   left_arm
        left_wrist      left_elbow      left_arm
        right_shoulder  thorax          right_arm
        right_elbow     right_shoulder  right_arm
        right_wrist     right_elbow     right_arm''',
    # The 16 joints of MPM: Human3.6M without joint 9.
    'h36m16': '''
        root            -               torso
        right_hip       root            right_leg
        right_knee      right_hip       right_leg
        right_ankle     right_knee      right_leg
        left_hip        root            left_leg
        left_knee       left_hip        left_leg
        left_ankle      left_knee       left_leg
        spine           root            torso
        thorax          spine           torso
        head            thorax          head
        left_shoulder   thorax          left_arm
        left_elbow      left_shoulder   left_arm
        left_wrist      left_elbow      left_arm
        right_shoulder  thorax          right_arm
        right_elbow     right_shoulder  right_arm
        right_wrist     right_elbow     right_arm''',
    'coco17': '''
        nose            -               head
        left_eye        nose            head
        right_eye       nose            head
        left_ear        left_eye        head
        right_ear       right_eye       head
        left_shoulder   nose            left_arm
        right_shoulder  nose            right_arm
        left_elbow      left_shoulder   left_arm
        right_elbow     right_shoulder  right_arm
        left_wrist      left_elbow      left_arm
        right_wrist     right_elbow     right_arm
        left_hip        left_shoulder   left_leg
        right_hip       right_shoulder  right_leg
        left_knee       left_hip        left_leg
        right_knee      right_hip       right_leg
        left_ankle      left_knee       left_leg
        right_ankle     right_knee      right_leg''',
    'halpe26': '''
        nose            neck            head
        left_eye        nose            head
        right_eye       nose            head
        left_ear        left_eye        head
        right_ear       right_eye       head
        left_shoulder   neck            left_arm
        right_shoulder  neck            right_arm
        left_elbow      left_shoulder   left_arm
        right_elbow     right_shoulder  right_arm
        left_wrist      left_elbow      left_arm
        right_wrist     right_elbow     right_arm
        left_hip        root            left_leg
        right_hip       root            right_leg
        left_knee       left_hip        left_leg
        right_knee      right_hip       right_leg
        left_ankle      left_knee       left_leg
        right_ankle     right_knee      right_leg
        head            neck            head
        neck            root            torso
        root            -               torso
        left_big_toe    left_ankle      left_leg
        right_big_toe   right_ankle     right_leg
        left_small_toe  left_ankle      left_leg
        right_small_toe right_ankle     right_leg
        left_heel       left_ankle      left_leg
        right_heel      right_ankle     right_leg''',
    'body25': '''
        nose            neck            head
        neck            root            torso
        right_shoulder  neck            right_arm
        right_elbow     right_shoulder  right_arm
        right_wrist     right_elbow     right_arm
        left_shoulder   neck            left_arm
        left_elbow      left_shoulder   left_arm
        left_wrist      left_elbow      left_arm
        root            -               torso
        right_hip       root            right_leg
        right_knee      right_hip       right_leg
        right_ankle     right_knee      right_leg
        left_hip        root            left_leg
        left_knee       left_hip        left_leg
        left_ankle      left_knee       left_leg
        right_eye       nose            head
        left_eye        nose            head
        right_ear       right_eye       head
        left_ear        left_eye        head
        left_big_toe    left_ankle      left_leg
        left_small_toe  left_big_toe    left_leg
        left_heel       left_ankle      left_leg
        right_big_toe   right_ankle     right_leg
        right_small_toe right_big_toe   right_leg
        right_heel      right_ankle     right_leg''',
    # OpenPose before BODY_25, and the 2D poses of 3DPW.
    'coco18': '''
        nose            neck            head
        neck            -               torso
        right_shoulder  neck            right_arm
        right_elbow     right_shoulder  right_arm
        right_wrist     right_elbow     right_arm
        left_shoulder   neck            left_arm
        left_elbow      left_shoulder   left_arm
        left_wrist      left_elbow      left_arm
        right_hip       neck            right_leg
        right_knee      right_hip       right_leg
        right_ankle     right_knee      right_leg
        left_hip        neck            left_leg
        left_knee       left_hip        left_leg
        left_ankle      left_knee       left_leg
        right_eye       nose            head
        left_eye        nose            head
        right_ear       right_eye       head
        left_ear        left_eye        head''',
    'mpii16': '''
        right_ankle     right_knee      right_leg
        right_knee      right_hip       right_leg
        right_hip       root            right_leg
        left_hip        root            left_leg
        left_knee       left_hip        left_leg
        left_ankle      left_knee       left_leg
        root            -               torso
        thorax          root            torso
        upper_neck      thorax          head
        head_top        upper_neck      head
        right_wrist     right_elbow     right_arm
        right_elbow     right_shoulder  right_arm
        right_shoulder  thorax          right_arm
        left_shoulder   thorax          left_arm
        left_elbow      left_shoulder   left_arm
        left_wrist      left_elbow      left_arm''',
    'posetrack18': '''
        nose            upper_neck      head
        upper_neck      -               torso
        head_top        upper_neck      head
        left_ear        nose            head
        right_ear       nose            head
        left_shoulder   upper_neck      left_arm
        right_shoulder  upper_neck      right_arm
        left_elbow      left_shoulder   left_arm
        right_elbow     right_shoulder  right_arm
        left_wrist      left_elbow      left_arm
        right_wrist     right_elbow     right_arm
        left_hip        left_shoulder   left_leg
        right_hip       right_shoulder  right_leg
        left_knee       left_hip        left_leg
        right_knee      right_hip       right_leg
        left_ankle      left_knee       left_leg
        right_ankle     right_knee      right_leg''',
    'mpi_inf_3dhp28': '''
        mpi_spine3      mpi_spine2      torso
        mpi_spine4      mpi_spine3      torso
        mpi_spine2      spine           torso
        spine           root            torso
        root            -               torso
        neck            mpi_spine4      torso
        head            neck            head
        head_top        head            head
        left_collar     neck            left_arm
        left_shoulder   left_collar     left_arm
        left_elbow      left_shoulder   left_arm
        left_wrist      left_elbow      left_arm
        left_hand       left_wrist      left_arm
        right_collar    neck            right_arm
        right_shoulder  right_collar    right_arm
        right_elbow     right_shoulder  right_arm
        right_wrist     right_elbow     right_arm
        right_hand      right_wrist     right_arm
        left_hip        root            left_leg
        left_knee       left_hip        left_leg
        left_ankle      left_knee       left_leg
        left_foot       left_ankle      left_leg
        left_toe        left_foot       left_leg
        right_hip       root            right_leg
        right_knee      right_hip       right_leg
        right_ankle     right_knee      right_leg
        right_foot      right_ankle     right_leg
        right_toe       right_foot      right_leg''',
    'mpi_inf_3dhp17': '''
        head_top        head            head
        neck            spine           torso
        right_shoulder  neck            right_arm
        right_elbow     right_shoulder  right_arm
        right_wrist     right_elbow     right_arm
        left_shoulder   neck            left_arm
        left_elbow      left_shoulder   left_arm
        left_wrist      left_elbow      left_arm
        right_hip       root            right_leg
        right_knee      right_hip       right_leg
        right_ankle     right_knee      right_leg
        left_hip        root            left_leg
        left_knee       left_hip        left_leg
        left_ankle      left_knee       left_leg
        root            -               torso
        spine           root            torso
        head            neck            head''',
    'smpl24': '''
        root            -               torso
        left_hip        root            left_leg
        right_hip       root            right_leg
        spine1          root            torso
        left_knee       left_hip        left_leg
        right_knee      right_hip       right_leg
        spine2          spine1          torso
        left_ankle      left_knee       left_leg
        right_ankle     right_knee      right_leg
        spine3          spine2          torso
        left_foot       left_ankle      left_leg
        right_foot      right_ankle     right_leg
        neck            spine3          torso
        left_collar     spine3          left_arm
        right_collar    spine3          right_arm
        head            neck            head
        left_shoulder   left_collar     left_arm
        right_shoulder  right_collar    right_arm
        left_elbow      left_shoulder   left_arm
        right_elbow     right_shoulder  right_arm
        left_wrist      left_elbow      left_arm
        right_wrist     right_elbow     right_arm
        left_hand       left_wrist      left_arm
        right_hand      right_wrist     right_arm''',
    'ntu25': '''
        root            -               torso
        spine           root            torso
        neck            thorax          head
        head            neck            head
        left_shoulder   thorax          left_arm
        left_elbow      left_shoulder   left_arm
        left_wrist      left_elbow      left_arm
        left_hand       left_wrist      left_arm
        right_shoulder  thorax          right_arm
        right_elbow     right_shoulder  right_arm
        right_wrist     right_elbow     right_arm
        right_hand      right_wrist     right_arm
        left_hip        root            left_leg
        left_knee       left_hip        left_leg
        left_ankle      left_knee       left_leg
        left_foot       left_ankle      left_leg
        right_hip       root            right_leg
        right_knee      right_hip       right_leg
        right_ankle     right_knee      right_leg
        right_foot      right_ankle     right_leg
        thorax          spine           torso
        left_hand_tip   left_hand       left_arm
        left_thumb      left_hand       left_arm
        right_hand_tip  right_hand      right_arm
        right_thumb     right_hand      right_arm''',
    # MediaPipe Pose ("BlazePose") order.
    'blazepose33': '''
        nose            -               head
        left_eye_inner  nose            head
        left_eye        left_eye_inner  head
        left_eye_outer  left_eye        head
        right_eye_inner nose            head
        right_eye       right_eye_inner head
        right_eye_outer right_eye       head
        left_ear        left_eye_outer  head
        right_ear       right_eye_outer head
        left_mouth      nose            head
        right_mouth     nose            head
        left_shoulder   nose            left_arm
        right_shoulder  nose            right_arm
        left_elbow      left_shoulder   left_arm
        right_elbow     right_shoulder  right_arm
        left_wrist      left_elbow      left_arm
        right_wrist     right_elbow     right_arm
        left_pinky      left_wrist      left_arm
        right_pinky     right_wrist     right_arm
        left_index      left_wrist      left_arm
        right_index     right_wrist     right_arm
        left_thumb      left_wrist      left_arm
        right_thumb     right_wrist     right_arm
        left_hip        left_shoulder   left_leg
        right_hip       right_shoulder  right_leg
        left_knee       left_hip        left_leg
        right_knee      right_hip       right_leg
        left_ankle      left_knee       left_leg
        right_ankle     right_knee      right_leg
        left_heel       left_ankle      left_leg
        right_heel      right_ankle     right_leg
        left_foot_index left_ankle      left_leg
        right_foot_index right_ankle    right_leg''',
}

# Groups of body parts that have a name of their own.
PART_GROUPS = {
    'legs': ('left_leg', 'right_leg'),
    'arms': ('left_arm', 'right_arm'),
    'left_side': ('left_leg', 'left_arm'),
    'right_side': ('right_leg', 'right_arm'),
}

# Joints of the pelvis; the lower body is these and the rest of the legs (``Skeleton.regions``).
PELVIS_JOINTS = ('root', 'left_hip', 'right_hip')

# Without these a pose means nothing: a conversion that cannot produce one is refused instead of inventing it.
LIMB_JOINTS = tuple(f'{side}_{joint}' for side in ('left', 'right')
                    for joint in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle'))

# How to derive a joint that the source does not name: alternatives in order of preference, each the mean of its
# sources, which may be derived themselves. Official: the coco2h36m, halpe2h36m and posetrack2h36m of MotionBERT
# follow from these rows.
DERIVED = {
    'root': [('left_hip', 'right_hip')],
    'thorax': [('neck',), ('upper_neck',), ('left_shoulder', 'right_shoulder')],
    'neck': [('thorax',), ('upper_neck',), ('left_shoulder', 'right_shoulder')],
    'upper_neck': [('neck',), ('thorax',), ('left_shoulder', 'right_shoulder')],
    'spine': [('spine2',), ('root', 'thorax')],
    'spine2': [('spine',)],
    'head': [('head_top',), ('left_eye', 'right_eye')],
    'head_top': [('head',)],
    **{f'{side}_{toe}': [(f'{side}_{other}',)] for side in ('left', 'right')
       for toe, other in (('big_toe', 'foot_index'), ('foot_index', 'big_toe'))},
}

# What a joint should hold although nothing in the source is it: a plausible place, confidence 0. A joint that is
# not listed is put on its nearest ancestor.
INVENTED = {'nose': ('thorax', 'head')}

# Exceptions to "same name = copy" and to DERIVED: target joint -> the source joints to average.
_3DHP_FROM_H36M = {'head': ('nose',), 'head_top': ('head',)}
_H36M_FROM = {
    'mpi_inf_3dhp17': {'nose': ('head',), 'head': ('head_top',)},  # a permutation of the 17 joints
    'mpi_inf_3dhp28': {'nose': ('head',), 'head': ('head_top',)},
    # 3d-pose-baseline, data_utils.py: its stacked hourglass reads MPII thorax as spine, upper neck as thorax.
    'mpii16': {'spine': ('thorax',), 'thorax': ('upper_neck',)},
    'ntu25': {'nose': ('neck',)},
    'smpl24': {'nose': ('neck', 'head')},
}
EXCEPTIONS = {
    **{(source, target): rules for source, rules in _H36M_FROM.items() for target in ('h36m', 'h36m16')},
    ('h36m', 'mpi_inf_3dhp17'): _3DHP_FROM_H36M,
    ('h36m', 'mpi_inf_3dhp28'): _3DHP_FROM_H36M,
    **{(source, 'mpii16'): {'thorax': ('spine',), 'upper_neck': ('thorax',)} for source in ('h36m', 'h36m16')},
    ('h36m', 'ntu25'): {'neck': ('nose',)},
}
