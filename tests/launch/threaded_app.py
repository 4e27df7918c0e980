"""As the tiny app, but importing it begins a thread."""

import threading
import time
from typing import Any

from tests.launch import tiny_app

threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def create_app() -> Any:
    return tiny_app.app
