"""``make bench``: loads Ringback and Kamailio in turn and says what each unit of work costs."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks import cpu, report
from benchmarks.load import Load, Sample
from benchmarks.measures import MEASURES, Measure
from benchmarks.peers import Kamailio, Peer, Ringback, Running, free_port

SERVER_CORE, LOAD_CORE = 0, 1
PEERS: dict[str, type[Peer]] = {"kamailio": Kamailio, "ringback": Ringback}


def say(words: str) -> None:
    print(words, flush=True)


def measure_all(
    measure: Measure, servers: list[Running], folder: Path, runs: int, seconds: float, patient: bool
) -> dict[str, report.Figure]:
    """All runs of one measure, the servers in turn so that what else the machine does hits both alike."""
    say(f"\n{measure.name}: one {measure.unit}, {measure.rate} a second for {seconds:g} s")
    loads = [Load(measure, server, folder, LOAD_CORE) for server in servers]
    samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
    used = {server.name: 0.0 for server in servers}
    try:
        for load in loads:
            # The first run pays for new users and untouched memory; it is not counted.
            load.run(min(seconds, 2.0) if measure.name != "register" else seconds)
        begun = {server.name: cpu.used(server.pid) for server in servers}
        for number in range(1, runs + 1):
            for load in loads:
                sample = load.run(seconds)
                samples[load.server.name].append(sample)
                held = "" if sample.held else f"  NOT HELD: {sample.failed} failed, {sample.retransmitted} sent again"
                say(f"  run {number}  {load.server.name:<9} {sample.microseconds:8.1f} µs{held}")
        if patient and measure.quiet:
            say(f"  {measure.quiet:g} s until the last timers have run out …")
            time.sleep(measure.quiet)
        for server in servers:
            used[server.name] = cpu.used(server.pid) - begun[server.name]
    finally:
        for load in loads:
            load.close()
    whole = patient and bool(measure.quiet)
    return {
        name: report.figure(kept, used[name] * 1e6 / max(sum(one.done for one in kept), 1) if whole else None)
        for name, kept in samples.items()
    }


def main() -> None:
    arguments = argparse.ArgumentParser(prog="make bench", description=__doc__)
    arguments.add_argument("measures", nargs="*", help=", ".join(one.name for one in MEASURES))
    arguments.add_argument("--peers", default="kamailio,ringback", help="which servers, with commas")
    arguments.add_argument("--runs", type=int, default=3, help="runs that count, of each measure and server")
    arguments.add_argument("--seconds", type=float, default=5.0, help="length of a run")
    arguments.add_argument(
        "--quick", action="store_true", help="one short run each, without waiting for the last timers"
    )
    arguments.add_argument("--save", action="store_true", help="keep the figures in docs/performance.json and .md")
    wanted = arguments.parse_args()
    runs, seconds = (1, 2.0) if wanted.quick else (wanted.runs, wanted.seconds)
    chosen = [one for one in MEASURES if not wanted.measures or one.name in wanted.measures]
    if not chosen:
        arguments.error(f"no such measure: {', '.join(wanted.measures)}")
    peers = [PEERS[name]() for name in wanted.peers.split(",")]
    versions = {peer.name: peer.version() for peer in peers}
    say("  ".join(f"{name} {version}" for name, version in versions.items()))
    figures: dict[str, dict[str, report.Figure]] = {}
    servers: list[Running] = []
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as temporary:
        folder = Path(temporary)
        try:
            # One by one, so that those that run are stopped where the next does not start.
            servers.extend(Running(peer, folder, free_port(), SERVER_CORE) for peer in peers)
            for measure in chosen:
                figures[measure.name] = measure_all(measure, servers, folder, runs, seconds, not wanted.quick)
        finally:
            for server in servers:
                server.stop()
    say("\n" + "\n".join(report.table(figures)))
    if wanted.save:
        report.save(report.record(figures, versions))
        say(f"\nkept in {report.HISTORY.name} and {report.PAGE.name}")


if __name__ == "__main__":
    main()
