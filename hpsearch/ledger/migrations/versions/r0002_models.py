"""Where a sweep's model is in MLflow's registry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column, ForeignKeyConstraint, Integer, PrimaryKeyConstraint
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

JSON = sa.Text().with_variant(postgresql.JSON(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "models",
        Column("sweep", Integer, nullable=False, autoincrement=False),
        Column("registered", JSON, nullable=False),
        PrimaryKeyConstraint("sweep", name="pk_models"),
        ForeignKeyConstraint(["sweep"], ["sweeps.id"], name="fk_models_sweeps"),
    )
