"""Keep the model libraries quiet while a model is loaded or converted, and give their settings back afterwards.

Progress bars and advice on optional packages are no message to a user of ours. Nothing is changed on import, nothing
stays changed, and errors are not touched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("bitsandbytes", "transformers", "sentence_transformers")


@contextmanager
def quiet_libraries(*more: str) -> Iterator[None]:
    """Silence progress bars and log lines below ERROR of the model libraries, and of `more` loggers, inside `with`."""
    from transformers.utils import logging as transformers_logging

    loggers = [logging.getLogger(name) for name in (*_LOGGERS, *more)]
    levels = [logger.level for logger in loggers]
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()
