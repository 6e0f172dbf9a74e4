# SPDX-License-Identifier: Apache-2.0
"""What the tests and the campaign of real networks share: skipping, stopping, figures."""
import os
import signal
import sys
import unittest

EXIT_SKIPPED = 77


def skip(test, why):
    """Says so, and ends: a test that did not run is no passed one."""
    print(f"SKIPPED {test}: real networks were NOT tested: {why}. It takes the right to make "
          "network namespaces and /dev/net/tun", file=sys.stderr, flush=True)
    os._exit(EXIT_SKIPPED)


def stop_on_signals():
    """SIGTERM is an exit like others: worlds are closed, scratch directories removed."""
    def stop(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def show(figures):
    kinds = ", ".join(f"{figures[k]} {k[8:]}" for k in sorted(figures) if k.startswith("of kind "))
    print(f"{figures['worlds']} worlds, {figures['nodes']} nodes, {figures['late nodes']} of them "
          f"late; {figures['partitions']} "
          f"partitions ({kinds}), {figures['in bad weather']} of them with loss, duplicates or "
          f"reordering; {figures['kills']} kills")
    print(f"{figures['heals checked']} heals checked; all equal after them within "
          f"{figures.share(0.5):.1f} s (half), {figures.share(0.99):.1f} s (99 %), "
          f"{figures.share(1.0):.1f} s (all)")
    print(f"{figures['acknowledged']} acknowledged writes, {figures['unanswered']} requests that "
          f"broke off and were sent again; {figures['invites']} invites")
    print("packets: " + ", ".join(f"{figures[k]} {k[8:]}" for k in figures
                                  if k.startswith("packets ")))
    if figures.notes:
        print("logs: " + ", ".join(f"{n} {note}" for note, n
                                             in figures.notes.most_common()))
    sys.stdout.flush()


def main():
    stop_on_signals()
    unittest.main()
