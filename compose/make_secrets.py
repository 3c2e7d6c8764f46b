"""Writes the secret files that compose.yaml reads, with random values. What is there is left as it is.

    python compose/make_secrets.py [FOLDER]

Compose binds secret files as they are, and each container has a user of its own. So all may read the files, and nobody else may enter
the folder.
"""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

PASSWORDS = (
    "database_admin_password",
    "database_hpsearch_password",
    "database_mlflow_password",
    "database_grafana_password",
    "mlflow_password",
    "mlflow_secret_key",
    "ray_token",
    "grafana_password",
)


def make(folder: Path) -> list[str]:
    """The names of the files that were missing and are there now."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = [name for name in PASSWORDS if _write(folder / name, secrets.token_urlsafe(32))]
    for database in ("hpsearch", "mlflow"):
        password = quote((folder / f"database_{database}_password").read_text().strip(), safe="")
        url = f"postgresql+psycopg://{database}:{password}@postgres:5432/{database}"
        made += [store] if _write(folder / (store := f"{database}_store"), url) else []
    return made + _make_s3(folder)


def _make_s3(folder: Path) -> list[str]:
    """One key pair in two forms: for the server, and for its clients. Both files or neither are made."""
    server, clients = folder / "s3_identities", folder / "s3_credentials"
    if server.exists() or clients.exists():
        return []
    key, secret = secrets.token_hex(10), secrets.token_urlsafe(32)
    identity = {"name": "hpsearch", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Admin", "Read", "Write", "List"]}
    _write(server, json.dumps({"identities": [identity]}))
    _write(clients, f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    return [server.name, clients.name]


def _write(file: Path, text: str) -> bool:
    try:
        with file.open("x") as opened:
            opened.write(text)
    except FileExistsError:
        return False
    file.chmod(0o444)
    return True


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "secrets")
    made = make(folder)
    print(f"{folder}: {', '.join(made)}" if made else f"{folder}: every secret is there already")
