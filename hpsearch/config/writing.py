"""A sweep file as text, from plain data."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from hpsearch.trial import Json


def write_document(data: Mapping[str, Json], comments: Sequence[str]) -> str:
    """YAML that `load` reads as `data`, under the comments, a line each."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width, yaml.allow_unicode = 4000, True
    text = io.StringIO()
    yaml.dump(_plain(data), text)
    above = "".join(f"# {line}".rstrip() + "\n" for comment in comments for line in comment.splitlines() or [""])
    return f"{above}\n{text.getvalue()}"


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
