"""What all tests of this folder need."""

import signal

# A shell starts what runs in its background with SIGINT ignored, and children inherit that: the programs under test
# would not hear the interruptions they are sent.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
