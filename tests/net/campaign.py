# SPDX-License-Identifier: Apache-2.0
"""Many worlds, one after the other in each of some processes, until the time is over:

    campaign.py [--minutes 60] [--jobs 2] [--seed N] [--world-seconds 60:300] [--long-share 0.02]

A world is repeated by `campaign.py --only SEED --world-seconds N:N`. The first world that breaks
ends its process; its data directories stay where its last words say. Exit: 0, 1 when a world
broke, 77 when nothing could run.
"""
import argparse
import multiprocessing
import random
import shutil
import sys
import time
import traceback

import running
from wires import NotHere, nodes
from world import Figures, World


def run_one(seed, seconds, long_share, figures):
    """False when the world broke; then its data directories stay."""
    world = World(seed, late=True, say=lambda text: print(text, flush=True))
    good = True
    try:
        world.run(seconds, long_share)
    except Exception:
        good = False
        traceback.print_exc(file=sys.stdout)
        print(world.last_words(), flush=True)
    finally:
        world.close()
        figures.add(world.figures)
        if good:
            shutil.rmtree(world.base, True)
    return good


def work(job, options, queue):
    running.stop_on_signals()
    figures = Figures()
    draw = random.Random(f"{options.seed}/job/{job}")
    end = time.monotonic() + 60 * options.minutes
    good = True
    try:
        while good and time.monotonic() < end:
            seed = options.only if options.only is not None else draw.randrange(1 << 30)
            seconds = min(draw.uniform(*options.world_seconds), max(5, end - time.monotonic()))
            good = run_one(seed, seconds, options.long_share, figures)
            print(f"job {job}: world {seed}, {seconds:.0f} s: {'ok' if good else 'BROKEN'}; "
                  f"{figures['partitions']} partitions so far", flush=True)
            if options.only is not None:
                break
        queue.put((good, figures))
    except NotHere as why:
        queue.put((str(why), figures))
    finally:
        nodes.stop_all()


def seconds_range(text):
    low, _, high = text.partition(":")
    return float(low), float(high or low)


def main():
    parser = argparse.ArgumentParser(description="Real networks, broken on purpose.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--only", type=int, help="one world of this seed")
    parser.add_argument("--world-seconds", type=seconds_range, default=(60, 300))
    parser.add_argument("--long-share", type=float, default=0.02,
                        help="partitions of about a minute, of all")
    options = parser.parse_args()
    running.stop_on_signals()
    jobs = 1 if options.only is not None else options.jobs
    print(f"seed {options.seed}, {options.minutes} minutes, {jobs} jobs", flush=True)
    began = time.monotonic()
    queue = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=work, args=(job, options, queue))
                 for job in range(jobs)]
    total, verdicts = Figures(), []
    try:
        for process in processes:
            process.start()
        for _ in processes:
            verdict, figures = queue.get()
            verdicts.append(verdict)
            total.add(figures)
    finally:
        for process in processes:
            if process.is_alive() and len(verdicts) < len(processes):
                process.terminate()
            process.join()
    if any(isinstance(verdict, str) for verdict in verdicts):
        running.skip("campaign", next(v for v in verdicts if isinstance(v, str)))
    running.show(total)
    minutes = (time.monotonic() - began) / 60
    print(f"{total['partitions'] / minutes:.1f} partitions a minute over {minutes:.1f} minutes; "
          f"{verdicts.count(False)} worlds broke")
    sys.exit(1 if False in verdicts else 0)


if __name__ == "__main__":
    main()
