"""Is a download of AMASS complete? Headers of all files, contents of a sample of them."""
from __future__ import annotations

import shlex
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from motionbert_mm.datasets.amass import PARTS, RATE_FIXES, RATE_KEYS, SUFFIXES, find_sequences, read_sequence
from motionbert_mm.datasets.checks.report import Progress, Report
from motionbert_mm.io.body_files import BODY_KINDS
from motionbert_mm.io.plain_files import read_npz

RATES = (20.0, 500.0)  # frames per second; known ones run from 59 to 250
SAMPLE = 50
DOWNLOAD = 'https://amass.is.tue.mpg.de/download.php'


def check_amass(path: Path, progress: Progress, *, thorough: bool = False) -> Report:
    """Check the folder with the unpacked archives, SMPL+H or SMPL-X.

    Args:
        path: the folder.
        progress: wraps long loops.
        thorough: read every file whole, not only ``SAMPLE`` of them.
    """
    report = Report('amass', path)
    kind, files = _find(path, report)
    report.command = (f'python tools/dataset_converters/amass.py {shlex.quote(str(path))} data/amass --{kind} '
                      f'{kind.upper()}_DIR --regressor J_regressor_h36m.npy')
    if not files:
        return report
    _check_parts(files, report)
    rates, broken = Counter(), {}
    for name, file in progress(files.items()):
        try:
            rates[_stated_rate(file, kind)] += 1
        except (OSError, ValueError) as error:
            broken[name] = str(error)
    _check_rates(rates, report)
    whole = [name for name in files if name not in broken]
    chosen = whole if thorough else _spread(whole, SAMPLE)
    for name in progress(chosen):
        try:
            read_sequence(files[name], kind)
        except (OSError, ValueError) as error:
            broken[name] = str(error)
    report.broken_each('files', [' '.join(reason.split()) for reason in broken.values()],
                       f'unpack the archive again, or download it again: {DOWNLOAD}')
    if not broken:
        report.ok('contents', f'{len(chosen):,} of {len(files):,} files read whole'
                  + (', headers of the others; --thorough reads all' if len(chosen) < len(files) else ''))
    return report


def _find(path: Path, report: Report) -> tuple[str, dict[str, Path]]:
    """Return the body model that most files are of, and these files."""
    found, reason = {}, ''
    for kind in SUFFIXES:
        try:
            found[kind] = find_sequences(path, kind)
        except FileNotFoundError as error:
            reason = reason or str(error)
    if not found:
        report.missing('motions', reason, f'unpack the archives of {DOWNLOAD} there', blocks=True)
        return next(iter(SUFFIXES)), {}
    kind = max(found, key=lambda name: len(found[name][0]))
    files, skipped = found[kind]
    report.ok('motions', f'{len(files):,} of {kind} (*{SUFFIXES[kind]})')
    archives = skipped.pop('archives that are not unpacked', 0)
    if archives:
        report.missing('archives', f'{archives} are not unpacked', 'unpack them: tar xjf ARCHIVE')
    if skipped:
        report.ok('besides', ', '.join(f'{count} {sort}' for sort, count in skipped.items()) + ', not needed')
    return kind, files


def _check_parts(files: Iterable[str], report: Report) -> None:
    """Count the files of every part; an archive may unpack into a folder of its own name."""
    owners = {alias: part for part, alias in PARTS.items() if alias} | {part: part for part in PARTS}
    counts: Counter = Counter()
    for name in files:
        folders = name.split('/')[:-1]
        known = (owners[folder] for folder in folders if folder in owners)
        counts[next(known, folders[0] if folders else '.')] += 1
    report.ok('parts', ', '.join(f'{part} {counts[part]:,}' for part in sorted(counts)))
    lacking = [part for part in PARTS if part not in counts]
    if lacking:
        report.missing('parts', f'{len(lacking)} of {len(PARTS)}: {", ".join(lacking)}',
                       f'download them from {DOWNLOAD}, or go on without')


def _stated_rate(path: Path, kind: str) -> float:
    """Check the headers of a file without reading its arrays; return the frame rate that it states."""
    shapes = npz_shapes(path)
    missing = [name for name in ('poses', 'trans', 'betas', 'gender') if name not in shapes]
    if missing:
        raise ValueError(f'{path} lacks {", ".join(missing)}; it holds {", ".join(shapes)}')
    width, frames = 3 * BODY_KINDS[kind], shapes['poses'][0] if shapes['poses'] else 0
    if shapes['poses'] != (frames, width) or not frames or shapes['trans'] != (frames, 3):
        raise ValueError(f'{path}: poses has shape {shapes["poses"]} and trans {shapes["trans"]}, expected '
                         f'(F, {width}) and (F, 3) of {kind}')
    rates = read_npz(path, 'download it again', optional=RATE_KEYS)
    if not rates:
        raise ValueError(f'{path} has no frame rate, expected {" or ".join(RATE_KEYS)}')
    return float(np.asarray(next(iter(rates.values()))).reshape(-1)[0])


def npz_shapes(path: Path) -> dict[str, tuple]:
    """Return the shapes of the arrays of an .npz by name, from their headers alone.

    Raises:
        ValueError: the file is torn or no .npz.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            shapes = {}
            for name in archive.namelist():
                with archive.open(name) as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else \
                        np.lib.format.read_array_header_2_0
                    shapes[name.removesuffix('.npy')] = read(file)[0]
            return shapes
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path}: truncated or no .npz ({error})') from None


def _check_rates(rates: Counter, report: Report) -> None:
    """Report frame rates; strange ones would turn into slow or fast motion."""
    listed = ', '.join(f'{rate:g} ({count:,})' for rate, count in sorted(rates.items()))
    strange = [f'{rate:g} ({count:,} files)' for rate, count in sorted(rates.items())
               if not RATES[0] <= rate <= RATES[1]]
    if strange:
        report.broken('frame rates', ', '.join(strange), f'expected {RATES[0]:g} to {RATES[1]:g} per second; download '
                      'the files again, or state the true rates in RATE_FIXES of motionbert_mm/datasets/amass.py')
    else:
        report.ok('frame rates', f'{listed}; the converter corrects {", ".join(RATE_FIXES)}')


def _spread(names: list, number: int) -> list:
    """Return at most ``number`` names, spread evenly."""
    if len(names) <= number:
        return names
    return [names[index] for index in np.linspace(0, len(names) - 1, number).astype(int)]
