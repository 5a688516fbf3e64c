# MPM, stage I, on Human3.6M, MPI-INF-3DHP and AMASS, mixed at random in every batch of a task; the large scale of
# table 5. Before, docs/data.md: the stores of pretrain_mpm-h36m_243f and mpi-inf-3dhp_81f, and
#   python tools/dataset_converters/amass.py AMASS data/amass --fps 60 --smplh SMPLH --regressor J_regressor_h36m.npy
# Every second frame of Human3.6M, every frame of the others, as in the released code. The view of AMASS was not
# released; here one orthographic view, turned at random, as MotionBERT's.
_base_ = './pretrain_mpm-h36m_243f.py'
mask = dict(type='SampleExactMask', frame_ratio=0.6, num_joints=5)


def joined(has_3d, *steps):
    """The windows of the three stores with the steps of a task."""
    targets = ['keypoints_3d'] if has_3d else []
    view = [dict(type='OrthographicView', views=[(-180, 180)])]

    def source(data_root, dilation=1, input_2d='exact', targets=targets, first=(), kind='centre'):
        window = dict(kind=kind, num_frames=243, dilation=dilation) if kind == 'centre' else dict(
            num_frames=243, stride=1)
        return dict(type='MotionDataset', data_root=data_root, input_2d=input_2d, targets=targets, window=window,
                    pipeline=[*first, dict(type='ConvertSkeleton', target='h36m16'), dict(type='RandomFlip'), *steps])

    return dict(type='JoinedDataset', datasets=dict(
        h36m=source('data/h36m-cpn/train', dilation=2),
        mpi_inf_3dhp=source('data/mpi_inf_3dhp/train'),
        amass=source('data/amass', input_2d=None, targets=['keypoints_3d'], first=view, kind='sliding')))


train_dataloader = dict(dataset=dict(datasets=dict(
    _delete_=True,
    m2m=joined(False, dict(type='NormalizeCoords', target=None), dict(type='ReprojectionTarget', root_relative=False),
               mask, dict(type='PackInputs', fields=['target_2d', 'weight_2d'])),
    m3m=joined(True, dict(type='NormalizeCoords'), dict(type='Take3DInputs'), mask,
               dict(type='PackInputs', fields=['target_3d'])),
    m2l=joined(True, dict(type='NormalizeCoords'), mask, dict(type='PackInputs', fields=['target_3d'])))))
