"""Our parts inside MMPose and MMAction2; nothing else of the package imports this, and no host is imported here."""
from motionbert_mm.integrations.mmaction import RecognizerBackbone, RecognizerHead
from motionbert_mm.integrations.mmaction_transforms import RecognizerPipeline, ResampleFrames
from motionbert_mm.integrations.mmpose import CentreLifterBackbone, PoseLifterBackbone
from motionbert_mm.integrations.mmpose_head import LiftHeadForMMPose
from motionbert_mm.integrations.mmpose_metric import Pose3DMetricForMMPose

__all__ = ['CentreLifterBackbone', 'LiftHeadForMMPose', 'Pose3DMetricForMMPose', 'PoseLifterBackbone',
           'RecognizerBackbone', 'RecognizerHead', 'RecognizerPipeline', 'ResampleFrames']
