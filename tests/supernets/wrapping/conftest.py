"""What the tests of wrapped models share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.supernets.wrapping.models import parts_of_encoders


@pytest.fixture(autouse=True, scope="module")
def by_parts() -> Iterator[None]:
    """Slices, extractions and models compute with the same operations."""
    with parts_of_encoders():
        yield
