"""``python -m benchmarks``: run the workloads, write the results; ``python -m benchmarks compare A.json B.json``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fastnn_kernels.cuda import device as gpu
from fastnn_kernels.system import usable_cores
from fastnn_kernels.units import INTERPRETER

from benchmarks import charts, compare, estimate, machine, quality, runner, tables
from benchmarks.peers import Peer, all_peers
from benchmarks.results import Results, load
from benchmarks.settings import QUICK, Settings
from benchmarks.workloads import select

FOLDER = Path(__file__).parent / "results"

QUICK_WORKLOADS = (
    "W1-blobs,W3-batch-64,W3-batch-256,W6-blobs-1-predict,W6-blobs-1-prepared,W6-mnist-32-prepared,W7-multiply_add,W7-copy,"
    "W7-matmul-512x512x512-NN,W7-softmax_cross_entropy-4096x1000,W7-adam-10000000"
)
QUICK_ON_CPU = ",costs,W8-import"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["compare"]:
        return compare.main(arguments[1:])
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        if chosen.render is not None:
            return write(load(chosen.render), chosen.render.with_suffix(""))
        return measure(chosen)
    except ValueError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--workloads", help="ids, keys or beginnings of names, a comma between them: W1,W6,matmul (default: all)")
    parser.add_argument("--peers", help="names or groups, a comma between them: fastnn,numpy,jax (default: all that are installed)")
    parser.add_argument("--threads", help="numbers, a comma between them (default: 1,all; with --quick, or on a GPU: all)")
    parser.add_argument("--quick", action="store_true", help="few workloads, few samples, on all threads: less than 10 minutes")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where to run (default: cpu); cuda: W1 to W7")
    parser.add_argument("--data", type=Path, help="folder with mnist.npz for W11 (default: $FASTNN_DATA, else fastnn's digits)")
    parser.add_argument("--output", type=Path, help=f"the files to write, without suffix (default: {FOLDER.name}/<date>-<machine>)")
    parser.add_argument("--render", type=Path, metavar="JSON", help="draw the table and the charts of an earlier run again")
    parser.add_argument("--list", action="store_true", help="show the workloads and the peers, and run nothing")
    return parser


def measure(chosen: argparse.Namespace) -> int:
    """Run and write."""
    device = chosen.device
    if device == "cuda" and (reason := gpu.why_not()):
        raise ValueError(f"--device cuda: no GPU can be used: {reason}")
    if chosen.data is not None:
        if not (chosen.data / "mnist.npz").is_file():
            raise ValueError(f"--data {chosen.data}: there is no mnist.npz in it")
        os.environ[quality.DATA_VARIABLE] = str(chosen.data)
    quick = QUICK_WORKLOADS + QUICK_ON_CPU * (device == "cpu")
    workloads = select(chosen.workloads or (quick if chosen.quick else None), device)
    peers = select_peers(chosen.peers, device)
    if chosen.list:
        print(tables.listing(workloads, peers))
        return 0
    threads = parse_threads(chosen.threads or ("all" if chosen.quick or device == "cuda" else "1,all"))
    if device == "cuda" and not gpu.ready(f"{INTERPRETER}-float32"):
        print("`python -m fastnn warmup --device cuda` first: kernels are compiled meanwhile else, and small models run as graphs")
    start = time.monotonic()
    settings, earlier = QUICK if chosen.quick else Settings(), estimate.known(FOLDER, device)
    results = runner.run(workloads, peers, threads, settings, lambda line: print(line, flush=True), earlier)
    if not results.measurements:
        return 1
    print(f"\n{estimate.clock(time.monotonic() - start)}\n\n{tables.summary(results)}\n")
    return write(results, chosen.output or FOLDER / f"{datetime.now(UTC):%Y-%m-%d}-{machine.slug(device)}")


def write(results: Results, path: Path) -> int:
    """Write the JSON file, the table and the charts; charts need matplotlib, and it is said when that is missing."""
    results.save(path.with_name(f"{path.name}.json"))
    path.with_name(f"{path.name}.md").write_text(tables.report(results))
    files = [f"{path}.json", f"{path}.md"]
    try:
        files += charts.draw(results, path)
    except ImportError:
        print("charts not drawn: they need matplotlib (pip install matplotlib)")
    print("\n".join(f"wrote {file}" for file in files))
    return 0


def parse_threads(text: str) -> list[int]:
    """ "1,all" as numbers."""
    cores, found = usable_cores(), []
    for part in text.split(","):
        count = cores if part.strip() == "all" else int(part) if part.strip().isdigit() else 0
        if not 1 <= count <= cores:
            raise ValueError(f"--threads {text}: {part.strip()!r} is not a number from 1 to {cores}, or 'all'")
        found.append(count)
    return sorted(set(found))


def select_peers(names: str | None, device: str = "cpu") -> list[Peer]:
    """By name or by group; fastnn, which all are compared with, always takes part."""
    peers = all_peers(device)
    if names is None:
        return list(peers.values())
    wanted = {name.strip() for name in names.split(",")} | {"fastnn"}
    known = {word for peer in peers.values() for word in (peer.name, peer.group)}
    if unknown := wanted - known:
        raise ValueError(f"--peers: there is no {sorted(unknown)[0]!r}; there are {', '.join(peers)}")
    return [peer for peer in peers.values() if {peer.name, peer.group} & wanted]


if __name__ == "__main__":
    sys.exit(main())
