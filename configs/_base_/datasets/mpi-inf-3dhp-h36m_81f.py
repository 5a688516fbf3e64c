# MPI-INF-3DHP on Human3.6M's joints, which are its own 17 in another order, for models of all frames of a clip: 2D
# annotations in, 3D of 81 frames out, clips every 9 frames.
# The numbers are those of protocol 'mpi_inf_3dhp', whose joints have other names here: head_top is head, neck thorax.
_base_ = './mpi-inf-3dhp_81f.py'
pck_joints = dict(
    head=['head'], neck=['thorax'], shoulders=['right_shoulder', 'left_shoulder'],
    elbows=['right_elbow', 'left_elbow'], wrists=['right_wrist', 'left_wrist'], hips=['right_hip', 'left_hip'],
    knees=['right_knee', 'left_knee'], ankles=['right_ankle', 'left_ankle'])
window = dict(_delete_=True, kind='sliding', num_frames=81, stride=9)
train_dataloader = dict(batch_size=16, dataset=dict(
    window=dict(_delete_=True, kind='sliding', num_frames=81, stride=9),
    pipeline=[
        dict(type='ConvertSkeleton', target='h36m'),
        dict(type='RandomFlip'),
        dict(type='NormalizeCoords', target='root_relative'),
        dict(type='PackInputs', fields=['target_3d']),
    ]))
# Invalid frames are in the clips, and are not measured.
val_dataloader = dict(batch_size=16, dataset=dict(
    window=dict(_delete_=True, kind='sliding', num_frames=81),
    valid_only=False,
    pipeline=[
        dict(type='ConvertSkeleton', target='h36m'),
        dict(type='NormalizeCoords', target='root_relative'),
        dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
    ]))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='Pose3DMetric', pck_joints=pck_joints, average='frame', group_by='sequence',
                     tables=['scene', 'activity'])
test_evaluator = val_evaluator
