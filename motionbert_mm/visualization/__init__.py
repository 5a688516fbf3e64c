"""Pictures: skeletons in three views, strips, animations, meshes, curves, attention, confusion, embeddings."""
from motionbert_mm.visualization.animation import animate
from motionbert_mm.visualization.attention import AttentionRow, plot_attention
from motionbert_mm.visualization.confusion import plot_confusion
from motionbert_mm.visualization.curves import plot_losses
from motionbert_mm.visualization.labelled import LabelledPerson, LabelledSpan, animate_labels
from motionbert_mm.visualization.mesh import animate_meshes, draw_mesh_strip
from motionbert_mm.visualization.points import plot_points
from motionbert_mm.visualization.skeleton_plot import draw_strip, draw_views

__all__ = ['AttentionRow', 'LabelledPerson', 'LabelledSpan', 'animate', 'animate_labels', 'animate_meshes',
           'draw_mesh_strip', 'draw_strip', 'draw_views', 'plot_attention', 'plot_confusion', 'plot_losses',
           'plot_points']
