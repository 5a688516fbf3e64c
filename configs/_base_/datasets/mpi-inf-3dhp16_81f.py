# mpi-inf-3dhp_81f on the 16 joints of MPM. Published: errors over these joints, the root among them, averaged over
# batches; here over frames, the root left out.
_base_ = './mpi-inf-3dhp_81f.py'
joints = ['right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle', 'spine', 'thorax', 'head',
          'left_shoulder', 'left_elbow', 'left_wrist', 'right_shoulder', 'right_elbow', 'right_wrist']
train_dataloader = dict(batch_size=1024, dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='RandomFlip'),
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='PackInputs', fields=['target_3d']),
]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='ConvertSkeleton', target='h36m16'),
    dict(type='NormalizeCoords', target='root_relative'),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence']),
]))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='Pose3DMetric', joints=joints)
test_evaluator = val_evaluator
