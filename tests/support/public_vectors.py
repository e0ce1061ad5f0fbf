"""The location of third-party test vectors: beside the project, never in it. HEROD_VECTORS names another folder."""

import json
import os
from pathlib import Path
from typing import Final

import pytest

__all__ = ["NAUGHTY_STRINGS", "VECTORS", "needs_naughty_strings"]

VECTORS: Final = Path(os.environ.get("HEROD_VECTORS", Path(__file__).parents[3] / "shared" / "vectors"))
_NAUGHTY: Final = VECTORS / "naughty_strings.json"  # the Big List of Naughty Strings
NAUGHTY_STRINGS: Final[list[str]] = json.loads(_NAUGHTY.read_text(encoding="utf-8")) if _NAUGHTY.is_file() else []
needs_naughty_strings = pytest.mark.skipif(not NAUGHTY_STRINGS, reason=f"no vectors at {_NAUGHTY}")
