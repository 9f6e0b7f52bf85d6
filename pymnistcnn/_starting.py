"""The command `pymnistcnn` while its modules load: Ctrl-C ends it without a traceback, as it does later on."""

import os.path
import signal
import sys

# "-m" is what `python -m pymnistcnn` is called so far; a script has its path.
_name = os.path.basename((sys.argv or [""])[0]).partition(".")[0]
if _name in ("pymnistcnn", "-m") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    except ValueError:  # not in the main thread
        pass
