"""A program of one's own for tests: a small server whose answers take a known time."""

from __future__ import annotations

from pathlib import Path

from cgbench.engine import image
from cgbench.spec import workload

SERVER = """
import os, socket, sys, threading, time
address, port, sleep_ms, cpu_ms, hold_mib, lives_s = sys.argv[1], *map(float, sys.argv[2:7])
held = b"x" * int(hold_mib * 2**20)
if lives_s:
    threading.Timer(lives_s, os._exit, [3]).start()
def serve(connection):
    with connection:
        while connection.recv(4096):
            begin = time.thread_time()
            while 1000 * (time.thread_time() - begin) < cpu_ms:
                pass
            time.sleep(sleep_ms / 1000)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
with socket.create_server((address, int(port)), backlog=512) as server:
    print("listening", flush=True)
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
"""Sleeps and computes for a time given in ms for each request, then answers.

It holds so much memory, and ends with the status 3 after so many seconds, if any.
"""

PORT = 18080


def toml(
    *,
    sleep_ms: float = 0,
    cpu_ms: float = 0,
    hold_mib: int = 0,
    lives_s: float = 0,
    rate: int = 200,
    network: str = "shared",
    address: str = "0.0.0.0",  # Nobody but its load is in its network.
    asked: int = PORT,
    ready_within: str = "20s",
) -> str:
    """Return the keys of such a program, in the image that is there anyway."""
    numbers = [str(one) for one in (PORT, sleep_ms, cpu_ms, hold_mib, lives_s)]
    command = ["python3", "-I", "-S", "/server.py", address, *numbers]
    tag = image.tag(workload.directory())
    return (
        f'image = "{tag}"\ncommand = {command!r}\nnetwork = "{network}"\n'
        f'ready_within = "{ready_within}"\n'
        f'load = {{ url = "http://127.0.0.1:{asked}/", rate = {rate} }}\n'
        f"files = {{ '/server.py' = '''{SERVER}''' }}\n"
    )


def experiment(folder: Path, program: str, *, steps: str) -> Path:
    """Write an experiment of one such program and return its path."""
    path = folder / "mine.toml"
    path.write_text(
        'name = "mine"\ntitle = "Mine"\nquestion = "Is it felt?"\noption = "cpus"\n'
        'trials = 1\nwarmup = "300ms"\n'
        f"[programs.server]\n{program}\n"
        '[[containers]]\nrole = "server"\nworkload = "server"\nmemory = "64m"\n'
        f"{steps}\n"
    )
    return path
