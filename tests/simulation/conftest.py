"""The scenarios, which the replay tool loads by their path as well."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def _load() -> None:
    specification = importlib.util.spec_from_file_location("scenarios", Path(__file__).parent / "scenarios.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["scenarios"] = module
    specification.loader.exec_module(module)


_load()
