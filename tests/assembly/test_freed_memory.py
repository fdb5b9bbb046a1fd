"""What a process has freed is given back to the system: a model that another has replaced, and what loading took."""

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import pytest
from onnx import numpy_helper

WIDTH, LAYERS = 2048, 6
MODEL_MB = LAYERS * WIDTH * WIDTH * 4 // 2**20
# Loads in a thread, as a server does, and swaps; prints MB before, and then as soon as they are no more than `most`.
SWAPPING = """
import asyncio, sys
from pathlib import Path
from septet.assembly.composition import open_service
from septet.registry import Models
from septet.settings import Settings

path, more = Path(sys.argv[1]), float(sys.argv[2])

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

async def swapped():
    models = Models()
    models.install(await asyncio.to_thread(open_service, path, Settings()))
    most = resident() + more
    for _ in range(4):
        await models.swap(await asyncio.to_thread(open_service, path, Settings()))
    async with asyncio.timeout(60):
        while resident() > most:
            await asyncio.sleep(0.05)

asyncio.run(swapped())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of a process is read from /proc")
def test_the_memory_of_a_model_that_was_swapped_is_given_back(tmp_path: Path) -> None:
    names = [f"x{layer}" for layer in range(LAYERS + 1)]
    graph = make.make_graph(
        [make.make_node("MatMul", [names[at], f"w{at}"], [names[at + 1]]) for at in range(LAYERS)],
        "deep",
        [make.make_tensor_value_info(names[0], onnx.TensorProto.FLOAT, ["n", WIDTH])],
        [make.make_tensor_value_info(names[-1], onnx.TensorProto.FLOAT, ["n", WIDTH])],
        [numpy_helper.from_array(np.full((WIDTH, WIDTH), 1e-3, np.float32), f"w{at}") for at in range(LAYERS)],
    )
    path = tmp_path / "deep.onnx"
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8), path)
    done = subprocess.run(
        [sys.executable, "-c", SWAPPING, str(path), str(MODEL_MB / 2)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


SMALL_BYTES, PIECES = 1024, 65536
# Takes 64 MiB in small pieces, frees all but the last, which keeps the C library from giving any back by itself.
FREEING = f"""
import ctypes
from pathlib import Path
from septet.server.freed_memory import trim_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

pieces = [libc.malloc({SMALL_BYTES}) for _ in range({PIECES})]
for piece in pieces:
    ctypes.memset(piece, 1, {SMALL_BYTES})
for piece in pieces[:-1]:
    libc.free(piece)
freed = resident()
trim_memory()
print(freed - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back by themselves")
def test_small_pieces_that_were_freed_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", FREEING], check=True, capture_output=True, text=True)
    assert int(done.stdout) > SMALL_BYTES * PIECES // 2
