"""What the machine was that a measurement was made on."""

import os
import platform
from typing import Any


def describe() -> dict[str, Any]:
    """Processor, cores, memory, load and Python, as measured numbers must be read with."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        #: Others' work at the start: a busy machine measures worse.
        "load_1min": round(os.getloadavg()[0], 2),
    }
