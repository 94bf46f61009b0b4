"""docs/configuration.md is what the model says, and its example is complete and valid."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from yarn_kata_runtime.config import document
from yarn_kata_runtime.config.model import Config, Node, Ports, RuntimeClass, Slots, Tenant

PAGE = Path(__file__).parent.parent.parent / "docs" / "configuration.md"


def test_the_page_is_up_to_date() -> None:
    """To mend it: python -m yarn_kata_runtime.config.document > docs/configuration.md"""
    assert PAGE.read_text() == document.page()


@pytest.mark.parametrize("model", [Node, RuntimeClass, Tenant, Slots, Ports])
def test_every_option_has_a_row(model: type[BaseModel]) -> None:
    lines = document.page().splitlines()
    for name, field in model.model_fields.items():
        rows = [line.split(" | ") for line in lines if line.startswith(f"| `{field.alias or name}` |")]
        (row,) = (row for row in rows if row[3] == f"{field.description} |")
        assert row[1] and bool(row[2]) != field.is_required()


def test_the_example_is_valid() -> None:
    config = Config.model_validate(tomllib.loads(document.EXAMPLE))
    assert [tenant.name for tenant in config.tenants] == ["analytics", ""]


def test_the_example_has_every_option() -> None:
    example = tomllib.loads(document.EXAMPLE)
    assert set(example) == set(Config.model_fields)
    for given, model in (
        (example["node"], Node),
        (example["classes"]["gvisor"], RuntimeClass),
        (example["tenants"][0], Tenant),
        (example["slots"], Slots),
        (example["ports"], Ports),
    ):
        assert set(given) == {field.alias or name for name, field in model.model_fields.items()}
