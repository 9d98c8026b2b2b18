"""Try to break the product, and write down what happened.

    python recipes/bench/reliability.py                    # all parts (about an hour on two cores); docs/reliability.json
    python recipes/bench/reliability.py killed queue       # some of them

killed: kill -9 at 20 random moments of a clone (work lost, bit-equal end). training: the same of a training run.
queue: 8 clones at once. api: 100 requests of 4 clients. long: a text of 8,000 words. disk: a full disk. Every child has the
network blocked but for this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from tts_meta.adaptation.clone_settings import Settings
from tts_meta.audio.files import replace_file
from tts_meta.clips.checkup import check_clips
from tts_meta.clips.transcripts import find_clips, find_transcripts
from tts_meta.jobs import job_control
from tts_meta.jobs.job_folder import Job
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.starters.chosen_starter import default_starter
from tts_meta.voices.voice_file import load_voice

ROOT = Path(__file__).resolve().parents[2]
CLIPS = ROOT / "app" / "examples" / "p225" / "clips"
RESULT = ROOT / "docs" / "reliability.json"
BLOCK = """
import socket
_connect = socket.socket.connect
def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError("the network is blocked")
    return _connect(self, address)
socket.socket.connect = connect
"""


def checked(count: int = 10):
    paths = find_clips([CLIPS])[:count]
    return check_clips(paths, find_transcripts(paths, None), default_starter())


def new_job(checkup, name: str, steps: int) -> Job:
    return job_control.create(default_starter(), checkup, Settings(name, steps, stop=True), force=True)[0]


def wait(job: Job, seconds: float = 1800) -> None:
    end = time.monotonic() + seconds
    while job.state.status not in ("done", "failed"):
        if time.monotonic() > end:
            raise SystemExit(f"{job.id} did not end: {job.state}")
        time.sleep(0.2)
    if job.state.status == "failed":
        raise SystemExit(f"{job.id} failed: {job.state.reason}")


def kill(job: Job) -> None:
    found = subprocess.run(["pgrep", "-f", str(job.path)], capture_output=True, text=True).stdout.split()
    for pid in found:
        os.kill(int(pid), signal.SIGKILL)


def deltas_equal(a: Path, b: Path) -> bool:
    one, two = (load_voice(p, default_starter()).deltas for p in (a, b))
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def killed(kills: int = 20, steps: int = 120) -> dict:
    """Kill a clone again and again at random moments; compare its end with one that ran through."""
    checkup = checked()
    whole = new_job(checkup, "whole", steps)
    job_control.start(whole)
    wait(whole)
    rng, job = random.Random(0), new_job(checkup, "killed", steps)
    lost, steps_lost, done, ended = [], [], 0, []
    job_control.start(job)
    while done < kills:
        events = [e for e in job.events()[0] if e["kind"] == "progress"]
        begin = time.time()
        # Between 3 and 13 s of its work after the process began to step.
        limit, seen = rng.uniform(3, 13), len(events)
        while len([e for e in job.events()[0] if e["kind"] == "progress"]) == seen and job.state.status != "done":
            time.sleep(0.05)
        while time.time() - begin < limit + 4 and job.state.status == "running":
            time.sleep(0.02)
        if job.state.status == "done":
            ended.append(deltas_equal(Path(whole.state.voice), Path(job.state.voice)))
            job = new_job(checkup, "killed", steps)
            job_control.start(job)
            continue
        kill(job)
        done += 1
        time.sleep(0.3)
        last = [e for e in job.events()[0] if e["kind"] == "progress"][-1]
        # As after ten seconds: a process that has just been started may not hold its job yet.
        stored = json.loads(job.file("state.json").read_text())
        job.file("state.json").write_text(json.dumps({**stored, "updated": 0.0}))
        job_control.start(job)
        while not any(e["kind"] in ("resumed",) and e["time"] > last["time"] for e in job.events()[0]):
            if not job.file("run.safetensors").exists():
                break
            time.sleep(0.1)
        resumed = [e for e in job.events()[0] if e["kind"] == "resumed" and e["time"] > last["time"]]
        at = resumed[-1]["step"] if resumed else 0
        by_step = {e["step"]: e["time"] for e in job.events()[0] if e["kind"] == "progress" and e["time"] <= last["time"]}
        steps_lost.append(last["step"] - at)
        lost.append(round(last["time"] - by_step.get(at, last["time"]), 2))
        print(f"kill {done}: at step {last['step']}, went on from {at}, {lost[-1]} s", flush=True)
    wait(job)
    ended.append(deltas_equal(Path(whole.state.voice), Path(job.state.voice)))
    return {
        "kills": done, "clones": len(ended), "most_seconds_lost": max(lost), "mean_seconds_lost": round(float(np.mean(lost)), 2),
        "most_steps_lost": max(steps_lost), "bit_equal": all(ended),
    }


def training(kills: int = 20) -> dict:
    """The same of a training run (sigma-Reptile on sinusoids)."""
    folder = Path(tempfile.mkdtemp())

    def command(out: Path) -> list[str]:
        return [
            sys.executable, "recipes/train.py", "algorithm=sigma_reptile", "domain=sinusoid", f"run={out}", "meta_steps=6000",
            "tasks=4", "inner.sigma.steps=5", "test.tasks=4", "fewshot.cfg.save_seconds=0.5",
        ]

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command(folder / "whole"), cwd=ROOT, env=environment, check=True, capture_output=True)
    rng, done = random.Random(0), 0
    while done < kills:
        p = subprocess.Popen(command(folder / "killed"), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            p.wait(rng.uniform(5, 12))
            break
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
            done += 1
    subprocess.run(command(folder / "killed"), cwd=ROOT, env=environment, check=True, capture_output=True)
    from tts_meta.training.checkpoint import load_checkpoint

    (one, _), (two, _) = (load_checkpoint(folder / n / "last.safetensors") for n in ("whole", "killed"))
    return {"kills": done, "bit_equal": one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)}


def queue(count: int = 8, steps: int = 20) -> dict:
    """Clones started together: one runs at a time, in order, and all end."""
    checkup = checked(5)
    jobs = [new_job(checkup, f"queued-{i}", steps) for i in range(count)]
    begin = time.monotonic()
    for j in jobs:
        job_control.start(j)
    together, order = 0, []
    while any(j.state.status != "done" for j in jobs):
        running = [j.id for j in jobs if j.state.status == "running"]
        together = max(together, len(running))
        order += [r for r in running if r not in order]
        time.sleep(0.1)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "clones": count, "most_at_once": together, "in_order": order == [j.id for j in jobs],
        "seconds": round(time.monotonic() - begin), "largest_process_mb": round(memory),
    }


def api(requests: int = 100, clients: int = 4) -> dict:
    """Every answer is compared with the voice spoken alone."""
    import httpx

    starter = default_starter()
    checkup = checked(5)
    job = new_job(checkup, "api", 10)
    job_control.start(job)
    wait(job)
    voice = load_voice(Path(job.state.voice), starter)
    texts = [f"This is the answer to question number {i}." for i in range(10)]
    expected = {t: Synthesizer.of(starter, voice).speak(t).samples for t in texts}
    port = 18431
    script = BLOCK + f"import sys; sys.argv = ['tts-meta', 'serve', '--port', '{port}']; from tts_meta.cli import main; main()"
    server = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600)
        for _ in range(300):
            try:
                client.get("/health")
                break
            except httpx.HTTPError:
                time.sleep(0.2)

        def ask(i: int) -> tuple[bool, float]:
            begin, text = time.monotonic(), texts[i % len(texts)]
            answer = client.post("/v1/audio/speech", json={"input": text, "voice": "api", "response_format": "pcm"})
            samples = np.frombuffer(answer.content, "<i2") / 32767
            right = answer.status_code == 200 and len(samples) == len(expected[text]) and \
                float(np.abs(samples - expected[text]).max()) < 2e-3
            return right, time.monotonic() - begin

        begin = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            found = list(pool.map(ask, range(requests)))
    finally:
        server.terminate()
    return {
        "requests": requests, "clients": clients, "right": sum(r for r, _ in found),
        "seconds": round(time.monotonic() - begin, 1), "median_seconds": round(float(np.median([s for _, s in found])), 2),
    }


def long(words: int = 8000) -> dict:
    """A long text, sentence by sentence: all of them spoken, none suspect, memory that does not grow with the text."""
    starter = default_starter()
    job = new_job(checked(5), "long", 10)
    job_control.start(job)
    wait(job)
    lines = (ROOT / "recipes" / "sentences.txt").read_text().splitlines()
    text, count = [], 0
    while count < words:
        line = lines[len(text) % len(lines)]
        text.append(line)
        count += len(line.split())
    synthesizer = Synthesizer.of(starter, load_voice(Path(job.state.voice), starter))
    seconds, sentences, suspect, begin, after_ten = 0.0, 0, 0, time.monotonic(), 0.0
    for part in synthesizer.stream(" ".join(text)):
        sentences += 1
        seconds += part.seconds
        suspect += len(part.suspect)
        if sentences == 10:
            after_ten = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - after_ten
    return {
        "words": count, "sentences": sentences, "expected_sentences": len(text), "minutes_of_speech": round(seconds / 60, 1),
        "suspect": suspect, "realtime_factor": round((time.monotonic() - begin) / seconds, 3), "memory_growth_mb": round(grown),
    }


def disk() -> dict:
    """Files may not grow over 300 KB: the clone fails with a sentence, an older voice of that name stays whole."""
    starter = default_starter()
    checkup = checked(5)
    job = new_job(checkup, "disk", 10)
    job_control.start(job)
    wait(job)
    before = Path(job.state.voice).read_bytes()
    again = job_control.create(starter, checkup, Settings("disk", 10), force=True)[0]
    again.set_state(status="queued", queued_at=time.time())
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "
        "from tts_meta.jobs.job_process import main; main()"
    )
    subprocess.run([sys.executable, "-c", script, str(again.path)], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    state = again.state
    left = [p.name for p in again.path.rglob("*.part")]
    return {"status": state.status, "reason": state.reason.replace(str(again.path), "JOB"), "old_voice_whole":
            Path(job.state.voice).read_bytes() == before, "temporary_files_left": len(left)}


PARTS = {"killed": killed, "training": training, "queue": queue, "api": api, "long": long, "disk": disk}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["TTS_META_HOME"], os.environ["TTS_META_THREADS"] = tempfile.mkdtemp(prefix="reliability-"), "1"
    for name in args.parts or PARTS:
        print(f"{name} ...", flush=True)
        found = PARTS[name]()
        print(json.dumps(found), flush=True)
        known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        replace_file(RESULT, (json.dumps({**known, name: found}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
