"""All rules of the linter, and what they find in one or several configurations. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hactl.decide.lint import access, index, storage
from hactl.decide.lint.model import LintFinding, NodesRule, Rule, Setting
from hactl.view.orthanc_config import OrthancConfig

RULES: Final[tuple[Rule, ...]] = (*index.RULES, *storage.RULES, *access.RULES)
NODES_RULES: Final[tuple[NodesRule, ...]] = (*index.NODES_RULES, *storage.NODES_RULES)


def lint(configs: Sequence[OrthancConfig], setting: Setting) -> tuple[LintFinding, ...]:
    """Everything that is wrong, worst first; with several configurations also what is wrong between them."""
    found = [LintFinding(r, c.source, said) for c in configs for r in RULES for said in r.look(c, setting)]
    if configs:
        found += [LintFinding(n, *said) for n in NODES_RULES for said in n.look(configs, setting)]
    return tuple(sorted(found, key=lambda f: -f.rule.severity.rank))


def reference() -> str:
    """docs/lint.md."""
    lines = [_HEAD]
    for title, rules in (("One node", RULES), ("Between the nodes of one archive", NODES_RULES)):
        lines.append(f"\n## {title}\n")
        for rule in rules:
            lines += [f"\n### {rule.code}\n", f"{rule.severity.value}: {rule.title}.\n", f"{rule.why}\n"]
            lines.append(f"Instead: {rule.fix}.")
    return "\n".join(lines) + "\n"


_HEAD: Final = """# The linter's rules

`hactl archive lint` checks an Orthanc's configuration against these rules; each has a measured reason. This
page is made from them: `./bootstrap docs`. Use: [archive.md](archive.md#is-an-orthanc-set-up-well)."""
