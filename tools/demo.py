"""The main job from end to end on embedded synthetic motion: train, test, lift a keypoint file, draw.

Every step is a command that a user types; it is printed before it runs.
"""
from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from motionbert_mm.datasets.synthetic import generate_clip
from motionbert_mm.datasets.transforms.noise import pixel_noise
from motionbert_mm.geometry.camera import orbit_cameras
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.structures.skeleton import convert

ROOT = Path(__file__).resolve().parent.parent
CONFIG = 'configs/demo/dstformer-tiny_scratch_9f_1xb32-8e_synthetic_det.py'
EXAMPLE_SPLIT = 'example'  # motions that neither training nor testing saw
EXAMPLE_CLIP = 6  # a kick


def write_keypoint_file(path: Path) -> tuple:
    """Write what a 2D detector would report for one motion, as AlphaPose results with Halpe-26 joints.

    Returns:
        The image size (width, height).
    """
    clip = generate_clip(EXAMPLE_CLIP, num_frames=90, fps=30.0, split=EXAMPLE_SPLIT)
    camera = orbit_cameras(np.array([0.0, 0.0, 900.0]))[0]
    pixels, confidence = pixel_noise(camera.project(camera.to_camera(clip.positions)), np.random.default_rng(0))
    halpe = convert(pixels, 'h36m', 'halpe26', confidence)
    people = [dict(image_id=f'{frame:06d}.jpg', category_id=1, score=float(scores.mean()), idx=1,
                   keypoints=np.concatenate([points, scores[:, None]], axis=1).round(3).ravel().tolist())
              for frame, (points, scores) in enumerate(zip(halpe.keypoints, halpe.confidence))]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(people), encoding='utf-8')
    return tuple(int(side) for side in camera.image_size)


def run(title: str, *command: object) -> None:
    """Print and run one command with this interpreter, from the project's root."""
    words = [str(word) for word in command]
    print(f'\n=== {title}\n$ python {shlex.join(words)}', flush=True)
    started = time.time()
    code = subprocess.run([sys.executable, *words], cwd=ROOT, check=False).returncode
    if code:
        sys.exit(f'{title} failed with exit code {code}')
    print(f'--- done in {time.time() - started:.0f} s', flush=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('demo_out'), help='output directory (default: demo_out)')
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    work_dir, checkpoint = out / 'train', out / 'train' / 'epoch_8.pth'
    started = time.time()

    run('Train a small DSTformer', 'tools/train.py', CONFIG, '--work-dir', work_dir)
    run('Test it', 'tools/test.py', CONFIG, checkpoint, '--work-dir', out / 'test',
        '--dump', out / 'predictions.npz', '--show-dir', out / 'pictures')
    width, height = write_keypoint_file(out / 'kick_alphapose.json')
    run('Lift a keypoint file', 'tools/infer.py', checkpoint, out / 'kick_alphapose.json', '--skeleton', 'halpe26',
        '--image-size', width, height, '--out', out / 'lifted')
    run('Draw the curves', 'tools/analysis_tools/plot_curves.py', work_dir, '--out', out / 'curves.png')

    print(f'\nAll done in {time.time() - started:.0f} s. Look at:')
    for path in sorted(path for path in out.rglob('*') if path.suffix in ('.png', '.gif', '.npz')):
        print(f'  {path}')


if __name__ == '__main__':
    main()
