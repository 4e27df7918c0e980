"""What to do where this Python has not the packages that are needed. Standard library only."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def with_remedy(missing: ModuleNotFoundError) -> ModuleNotFoundError:
    """The same error with a message that says what to install, and where it is installed already."""
    package = (missing.name or "").partition(".")[0]
    if not package or package == "scalix" or "pip install" in str(missing):
        return missing
    install = f"{sys.executable} -m pip install -r {ROOT / 'requirements.lock'}"
    message = f"{sys.executable} has no package {package}: run {install}, or use {ROOT / '.venv/bin/python'}"
    return ModuleNotFoundError(message, name=missing.name)
