"""How fast fingerprints are taken, against reading and BLAKE3-hashing the same file.

Run `python -m benchmarks.fingerprint_throughput`; `--gigabytes 4` for the large one.

Synthetic checkpoints of decoder layers, bf16 and fp32, are written to a temporary folder. Each is then worked on by the
same number of threads in three ways, in turn, and the best of the rounds counts:

- *hash by tensor*: the product's reader and one BLAKE3 digest a tensor, tensors shared out among the threads;
- *hash by file*: one BLAKE3 digest of the file, BLAKE3's own threads over a mapping of it;
- *fingerprint*: `take_fingerprint`, content hashes included.

The files are in the page cache, so that the processor is measured, not the disk. Compilation is done before the clock
starts, and reported. The ratios are the fingerprint's speed over the other way's, by wall clock and by processor time;
the latter suffers less from neighbours on the machine. Each way runs in a process of its own, whose peak resident
memory is printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from blake3 import blake3

from ingest.blobs import FileBlob
from ingest.fingerprint import take_fingerprint
from ingest.readers.safetensors import SafetensorsSource
from ingest.tensors import STORAGE, TensorInfo

HIDDEN, MLP, VOCABULARY = 2048, 5632, 32000
CHUNK_BYTES = 4 << 20
WAYS = ("hash by tensor", "hash by file", "fingerprint")


def shapes(values: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a decoder of about so many values."""
    layer = {
        "self_attn.q_proj.weight": (HIDDEN, HIDDEN),
        "self_attn.k_proj.weight": (HIDDEN // 4, HIDDEN),
        "self_attn.v_proj.weight": (HIDDEN // 4, HIDDEN),
        "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
        "mlp.gate_proj.weight": (MLP, HIDDEN),
        "mlp.up_proj.weight": (MLP, HIDDEN),
        "mlp.down_proj.weight": (HIDDEN, MLP),
        "input_layernorm.weight": (HIDDEN,),
        "post_attention_layernorm.weight": (HIDDEN,),
    }
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    size, number = VOCABULARY * HIDDEN, 0
    while size < values:
        for name, shape in layer.items():
            found[f"model.layers.{number}.{name}"] = shape
            size += int(np.prod(shape))
        number += 1
    return found


def write_checkpoint(path: Path, dtype: str, size: int) -> int:
    """A safetensors file of about `size` bytes of normal noise; returns its size. Written piece by piece."""
    itemsize = STORAGE[dtype].itemsize
    header, offset = {}, 0
    for name, shape in sorted(shapes(size // itemsize).items()):
        count = int(np.prod(shape)) * itemsize
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + count]}
        offset += count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        left = offset
        while left:
            noise = (generator.standard_normal(1 << 22, np.float32) * np.float32(0.02)).view(np.uint32)
            stored = noise if dtype == "F32" else (noise >> np.uint32(16)).astype(np.uint16)
            piece = stored.tobytes()[:left]
            file.write(piece)
            left -= len(piece)
    return path.stat().st_size


def hash_by_tensor(path: Path, threads: int) -> None:
    """Read every tensor in chunks and hash it."""
    with SafetensorsSource(FileBlob(path)) as source, ThreadPoolExecutor(threads) as pool:

        def work(tensor: TensorInfo) -> str:
            hasher, step = blake3(), CHUNK_BYTES // STORAGE[tensor.dtype].itemsize
            for start in range(0, tensor.size, step):
                hasher.update(source.read(tensor, start, min(start + step, tensor.size)).view(np.uint8).data)
            return hasher.hexdigest()

        list(pool.map(work, sorted(source.tensors, key=lambda tensor: -tensor.size)))


def hash_by_file(path: Path, threads: int) -> None:
    """One digest of the file, by BLAKE3's own threads."""
    blake3(max_threads=threads).update_mmap(path).digest()


def fingerprint(path: Path, threads: int) -> None:
    """The fingerprint."""
    with SafetensorsSource(FileBlob(path)) as source:
        take_fingerprint(source, workers=threads)


def measure(way: str, path: Path, threads: int, rounds: int) -> None:
    """Print the best time, and the peak resident memory in bytes, as JSON."""
    work = {"hash by tensor": hash_by_tensor, "hash by file": hash_by_file, "fingerprint": fingerprint}[way]
    warm_up = 0.0
    if way == "fingerprint":
        with tempfile.TemporaryDirectory() as folder:
            small = Path(folder) / "small.safetensors"
            write_checkpoint(small, "F32" if "F32" in path.name else "BF16", 1)
            began = time.perf_counter()
            fingerprint(small, 1)
            warm_up = time.perf_counter() - began
    times, processor = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        work(path, threads)
        times.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": min(times), "processor": min(processor), "peak": peak, "warm_up": warm_up}))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of each checkpoint")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", type=Path, help="where the checkpoints are written; a temporary folder by default")
    parser.add_argument("--measure", nargs=3, metavar=("WAY", "FILE", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        way, file, threads = options.measure
        measure(way, Path(file), int(threads), options.rounds)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        heading = ("dtype", "threads", "way", "GB/s", "CPU s", "peak MB", "speed ratio", "CPU ratio")
        print("{:5} {:>7} {:15} {:>6} {:>6} {:>8} {:>12} {:>10}".format(*heading))
        for dtype in ("BF16", "F32"):
            path = Path(folder) / f"{dtype}.safetensors"
            size = write_checkpoint(path, dtype, int(options.gigabytes * 1e9))
            for threads in options.threads:
                outcomes = {way: _in_process(way, path, threads, options.rounds) for way in WAYS}
                own = outcomes["fingerprint"]
                for way, outcome in outcomes.items():
                    print(
                        f"{dtype:5} {threads:7} {way:15} {size / outcome['seconds'] / 1e9:6.2f} "
                        f"{outcome['processor']:6.2f} {outcome['peak'] / 1e6:8.0f} "
                        f"{outcome['seconds'] / own['seconds']:12.2f} {outcome['processor'] / own['processor']:10.2f}"
                    )
                warm_up = outcomes["fingerprint"]["warm_up"]
                print(f"      first small fingerprint, imports and compilation included: {warm_up:.1f} s")
            path.unlink()


def _in_process(way: str, path: Path, threads: int, rounds: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.fingerprint_throughput", "--rounds", str(rounds)]
    done = subprocess.run([*command, "--measure", way, path, str(threads)], capture_output=True, text=True, check=True)
    outcome: dict[str, float] = json.loads(done.stdout)
    return outcome


if __name__ == "__main__":
    main()
