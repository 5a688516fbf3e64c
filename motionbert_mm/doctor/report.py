"""The doctor's report, for people and as JSON."""
from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict

from motionbert_mm.doctor.commands import PIP
from motionbert_mm.doctor.diagnoses import NOTE, REPAIRED, Finding, diagnose, is_broken
from motionbert_mm.doctor.facts import PACKAGES, Facts, gather_facts

HOW_TO_REPAIR = """The run-time repairs act only where they are asked for:
    custom_imports=dict(imports=['motionbert_mm.integrations.repair_on_import'])   in the config of a host, or
    motionbert_mm.integrations.compat.apply_repairs()                              before a host is imported"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the doctor."""
    parser.add_argument('--json', action='store_true', help='print facts and findings as JSON')


def run(args: argparse.Namespace) -> int:
    """Print the report; the status is 1 if something is broken."""
    facts = gather_facts()
    findings = diagnose(facts)
    if args.json:
        print(json.dumps(dict(facts=facts.as_dict(), broken=is_broken(findings),
                              findings=[{**asdict(finding), 'command': for_this_python(finding.command)}
                                        for finding in findings]), indent=1))
    else:
        print(as_text(facts, findings))
    return int(is_broken(findings))


def for_this_python(command: str) -> str:
    """Let a command speak of the interpreter that runs the doctor."""
    return command.replace(PIP, f'{shlex.quote(sys.executable)} -m pip')


def as_text(facts: Facts, findings: Sequence[Finding]) -> str:
    """Return the report for people."""
    build = f'CUDA {facts.cuda}, {"a GPU" if facts.has_gpu else "no GPU"} found' if facts.cuda else 'CPU build'
    lines = [f'Python {facts.python} on {facts.system}', '', 'Packages']
    lines += [f'    {name:24}{facts.versions.get(name, "-")}{f" ({build})" if name == "torch" else ""}'
              for name in PACKAGES]
    lines += ['', 'Imports']
    lines += [f'    {module:24}{error or "yes"}' for module, error in facts.imports.items()]
    lines += ['', 'Findings']
    for finding in findings:
        lines.append(f'    {finding.name} ({finding.state}): {finding.cause}')
        lines.append(f'        {for_this_python(finding.command)}')
    if any(finding.state == REPAIRED for finding in findings):
        lines += ['', *HOW_TO_REPAIR.splitlines()]
    broken = [finding.name for finding in findings if finding.state not in (NOTE, REPAIRED)]
    lines += ['', f'Broken: {", ".join(broken)}. Run the commands above from top to bottom, then the doctor again.'
              if broken else 'Nothing is broken.']
    return '\n'.join(lines)
