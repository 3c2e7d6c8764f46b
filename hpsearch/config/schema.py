"""The sweep file's JSON Schema, for editors."""

from __future__ import annotations

from typing import Any

from hpsearch.config.model import SweepConfig


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a sweep file. It knows the shape; what must hold between keys, `hpsearch validate` checks."""
    schema = SweepConfig.model_json_schema(by_alias=True)
    schema["required"] = [name for name in schema["required"] if name != "name"]
    objective = schema["properties"]["objective"]
    schema["properties"]["objective"] = {
        **{key: objective.pop(key) for key in ("description", "examples", "title") if key in objective},
        "anyOf": [objective["items"], objective],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A sweep of hpsearch"}
