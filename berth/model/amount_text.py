"""Amounts of CPU and memory, for people. Pure."""


def cpus_text(nano_cpus: int) -> str:
    """Return CPUs without trailing zeros."""
    return f"{nano_cpus / 1e9:.3f}".rstrip("0").rstrip(".")


def memory_text(size_bytes: int) -> str:
    """Return a size in the largest fitting unit: ``1.5GiB``."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g}{unit}"
        size /= 1024
    return f"{size:.4g}GiB"
