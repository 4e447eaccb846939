"""YAML that our reader reads as it was meant."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Quotes what could be a number: YAML 1.1 and our reader differ in which words are one (``08``, ``1e5``)."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Text as a node."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="'" if data[:1] in "0123456789+-." else None)

    def ignore_aliases(self, data: Any) -> bool:
        """Everything is written out."""
        return True


_Dumper.add_representer(str, _Dumper.represent_str)


def dump(document: Any) -> str:
    """A document of mappings, lists and plain values as text, keys in their order."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
