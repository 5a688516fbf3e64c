# MPM, stage I, with PoseAug-style augmentation of half of the windows: bones and view change within plausible limits.
# Differs from published: drawn at random, not by generators that were trained against discriminators.
_base_ = './mpm_mask_243f_1xb1024-100e_h36m_gt.py'
mask = dict(type='SampleExactMask', frame_ratio=0.6, num_joints=5)


def augmented(*steps):
    """The pipeline of a task behind the augmentation, which needs the 3D poses."""
    return dict(targets=['keypoints_3d'], pipeline=[
        dict(type='ConvertSkeleton', target='h36m16'), dict(type='AugmentPose', prob=0.5), dict(type='RandomFlip'),
        *steps])


train_dataloader = dict(dataset=dict(datasets=dict(
    m2m=augmented(dict(type='NormalizeCoords', target=None), dict(type='ReprojectionTarget', root_relative=False), mask,
                  dict(type='PackInputs', fields=['target_2d', 'weight_2d'])),
    m3m=augmented(dict(type='NormalizeCoords'), dict(type='Take3DInputs'), mask,
                  dict(type='PackInputs', fields=['target_3d'])),
    m2l=augmented(dict(type='NormalizeCoords'), mask, dict(type='PackInputs', fields=['target_3d'])))))
