"""Markdown on the flag rules: the registry, the shipped thresholds, the words in both languages."""

from pathlib import Path
from typing import Any

import yaml

from central_server.domain.flags import REGISTRY, RuleInfo
from scripts.doc_tables import table
from web.pages import translate

RULES = Path(__file__).resolve().parent.parent / "configs" / "flag_rules.yaml"


def _shipped() -> dict[str, dict[str, Any]]:
    rules: dict[str, dict[str, Any]] = yaml.safe_load(RULES.read_text())["rules"]
    return rules


def overview() -> str:
    """Every rule with its shipped severity and threshold."""
    shipped = _shipped()
    return table(
        ("Code", "Tiếng Việt", "English", "Severity", "Threshold", "Seen by"),
        (
            (
                f"`{code}`",
                translate("vi", info.title_key),
                translate("en", info.title_key),
                shipped[code]["severity"],
                f"{shipped[code]['threshold_s']} s" if info.is_timed else "–",
                "inspection only" if info.inspection_only else "unit's chain too",
            )
            for code, info in REGISTRY.items()
        ),
    )


def complaint_reasons() -> str:
    """The severity of a complaint by its reason."""
    reasons: dict[str, str] = _shipped()["complaint"]["reasons"]
    return table(("Reason", "Severity"), ((f"`{name}`", how) for name, how in reasons.items()))


def meanings() -> str:
    """A section for each rule, as the pages explain it."""
    return "\n\n".join(_meaning(info) for info in REGISTRY.values())


def _meaning(info: RuleInfo) -> str:
    vietnamese, english = (translate(language, info.explain_key) for language in ("vi", "en"))
    return f"### `{info.code}`\n\n{english}\n\n*{vietnamese}*"
