"""Tells who waits that something may have changed, and lets one at a time change what moto does not guard itself."""
import threading

LOCK = threading.RLock()
_changed = threading.Condition()
_count = 0


def notify():
    """Wake everyone who waits: an action that may change something has been carried out."""
    global _count
    with _changed:
        _count += 1
        _changed.notify_all()


def count():
    """The number of notifications so far; remember it before looking, then wait_for_more(it)."""
    with _changed:
        return _count


def wait_for_more(seen, timeout):
    """Wait until there was a notification after `seen`, or for timeout seconds."""
    with _changed:
        _changed.wait_for(lambda: _count != seen, timeout)
