"""What every test starts from: the signals of a terminal, wherever the tests were started."""

import signal


def pytest_configure() -> None:
    # Jobs in a shell's background ignore SIGINT, and so would all that the tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
