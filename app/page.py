"""The Gradio page: clips -> transcripts -> clone with a live held-out curve -> speak. All logic is in tts_meta.voices.

Listens on 127.0.0.1, analytics off, uploads deleted after a day; sounds are returned as wav files (the Audio component
would peak-normalise an array).
"""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pandas as pd

from tts_meta.audio.files import SUFFIXES, write_wav
from tts_meta.audio.mel import SAMPLE_RATE
from tts_meta.errors import InputError
from tts_meta.evaluation.intelligibility import load_recogniser
from tts_meta.voices.clone import clone_voice
from tts_meta.voices.library import find_voice, library_folder, list_voices
from tts_meta.voices.starter import default_starter
from tts_meta.voices.synthesize import Synthesizer
from tts_meta.voices.transcripts import find_transcripts, read_table
from tts_meta.voices.voice_file import load_voice

TABLE = ["clip", "text"]
CURVE = ["step", "held-out loss"]


def curve_frame(points: list[list] | None = None) -> pd.DataFrame:
    """The held-out curve as numbers: without a type of their own the plot takes empty columns for categories."""
    return pd.DataFrame(points or [], columns=CURVE).astype({CURVE[0]: int, CURVE[1]: float})


def _names() -> list[str]:
    return [p.stem for p in list_voices()]


def read_uploads(files: list[str] | None, rows: pd.DataFrame) -> tuple[dict[str, str], pd.DataFrame]:
    """Uploaded files -> {clip name: path} and the transcript table; texts typed before are never overwritten."""
    paths = [Path(f) for f in files or []]
    clips = {p.name: p for p in paths if p.suffix.lower() in SUFFIXES}
    typed = {r["clip"]: r["text"] for r in rows.to_dict("records") if str(r.get("text") or "").strip()}
    known: dict[str, str] = {}
    for written in (p for p in paths if p.suffix.lower() in (".csv", ".tsv")):
        known |= read_table(written)
    for text in (p for p in paths if p.suffix.lower() == ".txt"):
        known[text.stem] = " ".join(text.read_text(encoding="utf-8", errors="replace").split())
    beside = {p.name: t for p, t in find_transcripts(list(clips.values()), None).items()}
    table = [[n, typed.get(n) or known.get(Path(n).stem) or beside.get(n, "")] for n in clips]
    return {n: str(p) for n, p in clips.items()}, pd.DataFrame(table, columns=TABLE)


def transcribe_missing(clips: dict[str, str], rows: pd.DataFrame) -> pd.DataFrame:
    """Fill the empty texts by speech recognition."""
    recogniser = load_recogniser()
    if recogniser is None:
        raise gr.Error("Speech recognition is not installed; type the texts, or pip install 'tts-meta[asr]'.")
    rows = rows.copy()
    for i, row in rows.iterrows():
        if row["clip"] in clips and not str(row["text"] or "").strip():
            rows.at[i, "text"] = recogniser.transcribe_file(Path(clips[row["clip"]]))
    return rows


def add_recording(path: str | None, text: str, files: list[str] | None, rows: pd.DataFrame):
    """Put a microphone recording among the clips with the text that was read."""
    if not path:
        raise gr.Error("Nothing was recorded; press record, read the text aloud, press stop.")
    files = [*(files or []), path]
    clips, table = read_uploads(files, rows)
    table.loc[table["clip"] == Path(path).name, "text"] = text.strip()
    return files, clips, table


def run_clone(name: str, consent: bool, who: str, clips: dict[str, str], rows: pd.DataFrame, steps: int) -> Iterator:
    """Clone in a thread; yields (status, curve, voice list, file) as it goes. Errors are one sentence in the status."""
    empty = curve_frame()
    if not consent:
        yield "**Error:** tick that the speaker agrees; a voice is made only with consent.", empty, gr.skip(), gr.skip()
        return
    if not clips:
        yield "**Error:** no clips yet; upload or record some.", empty, gr.skip(), gr.skip()
        return
    texts = {Path(clips[r["clip"]]): str(r["text"] or "").strip() for r in rows.to_dict("records") if r["clip"] in clips}
    blank = [p.name for p, t in texts.items() if not t]
    if blank:
        yield f"**Error:** {blank[0]} has no text; type what is said in it.", empty, gr.skip(), gr.skip()
        return
    events: queue.Queue = queue.Queue()

    def work() -> None:
        try:
            made = clone_voice(
                default_starter(), list(texts), name.strip(), library_folder(), steps=int(steps), texts=texts,
                consent=f"The speaker agreed, says {who.strip() or 'the person at the page'}.",
                on_message=lambda m: events.put(("message", m)), on_progress=lambda p: events.put(("progress", p)),
            )
            events.put(("done", made))
        except InputError as e:
            events.put(("error", str(e)))
        except Exception as e:  # the page must not wait for ever on a bug
            events.put(("error", f"{type(e).__name__}: {e}. This is a bug; please report it."))
            raise

    threading.Thread(target=work, daemon=True).start()
    curve: list[list] = []
    yield "Checking the clips…", empty, gr.skip(), gr.skip()
    while True:
        kind, value = events.get()
        frame = curve_frame(curve)
        if kind == "message":
            yield value, frame, gr.skip(), gr.skip()
        elif kind == "progress":
            if value.heldout_loss is not None:
                curve.append([value.step, value.heldout_loss])
            left = value.seconds / max(value.step, 1) * (value.steps - value.step)
            status = f"Step {value.step} of {value.steps}, best so far {value.best_step}; about {left:.0f} s left."
            yield status, curve_frame(curve), gr.skip(), gr.skip()
        elif kind == "error":
            yield f"**Error:** {value}", frame, gr.skip(), gr.skip()
            return
        else:
            s = value.summary
            moved = [m for m in s["modules"] if m["moved"]]
            status = (
                f"**Done:** {value.path.name}, {s['bytes'] / 1e6:.2f} MB, {s['seconds_total']:.0f} s; "
                f"{len(moved)} of {len(s['modules'])} modules moved; best step {s['best_step']}."
            )
            yield status, frame, gr.update(choices=_names(), value=value.path.stem), str(value.path)
            return


def speak(text: str, voice: str | None, speed: float, pitch: float) -> str:
    """Say `text`; returns a wav file's path."""
    if not voice:
        raise gr.Error("There is no voice yet; clone one first.")
    try:
        starter = default_starter()
        spoken = Synthesizer.of(starter, load_voice(find_voice(voice), starter)).speak(text, speed, pitch)
    except InputError as e:
        raise gr.Error(str(e)) from e
    path = Path(tempfile.mkdtemp(prefix="tts-meta-")) / "spoken.wav"
    write_wav(path, spoken.samples, SAMPLE_RATE)
    return str(path)


def build() -> gr.Blocks:
    """The page's layout and events."""
    steps = default_starter().info["adaptation"]["steps"]
    with gr.Blocks(title="tts-meta", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown("# Clone a voice from a few clips")
        clips = gr.State({})
        with gr.Tab("Clone"), gr.Row():
            with gr.Column():
                gr.Markdown("### 1 · Whose voice")
                name = gr.Textbox(label="Name of the voice", info="Letters, digits, spaces.", elem_id="name")
                who = gr.Textbox(label="Who gives permission", info="Kept in the voice file.", elem_id="who")
                consent = gr.Checkbox(label="The speaker agrees to this voice being made", elem_id="consent")
                gr.Markdown("### 2 · Clips")
                files = gr.File(
                    label="Clips (wav, flac, mp3, ogg, opus), and texts (.txt or .csv) if you have them",
                    file_count="multiple", file_types=[*SUFFIXES, ".txt", ".csv", ".tsv"], elem_id="clips",
                )
                with gr.Accordion("Record instead", open=False):
                    prompt = gr.Textbox(
                        label="Read this aloud (or type your own)", value="The birch canoe slid on the smooth planks.",
                    )
                    microphone = gr.Audio(sources=["microphone"], type="filepath", label="Microphone")
                    add = gr.Button("Add this recording")
            with gr.Column():
                gr.Markdown("### 3 · What is said in them")
                table = gr.Dataframe(
                    pd.DataFrame(columns=TABLE), label="Check every text", interactive=True, wrap=True,
                    static_columns=[0], column_widths=["30%", "70%"], elem_id="texts",
                )
                fill = gr.Button("Recognise the missing texts")
                gr.Markdown("### 4 · Clone")
                count = gr.Slider(
                    10, 3000, value=steps, step=10, label="Steps", elem_id="steps",
                    info="More steps are slower, and safe: the prior keeps the voice from overfitting.",
                )
                start = gr.Button("Clone", variant="primary", elem_id="start")
                status = gr.Markdown("Ready.", elem_id="status")
                curve = gr.LinePlot(
                    curve_frame(), x=CURVE[0], y=CURVE[1], label="Held-out loss (nats per frame)",
                    height=280, elem_id="curve",
                )
                file = gr.File(label="Voice file", interactive=False)
        with gr.Tab("Speak", id="speak"):
            voice = gr.Dropdown(_names(), label="Voice", elem_id="voice")
            text = gr.Textbox(label="Text", lines=4, value="Hello, this is my new voice.", elem_id="text")
            with gr.Row():
                speed = gr.Slider(0.5, 2.0, value=1.0, step=0.05, label="Speed")
                pitch = gr.Slider(-12, 12, value=0, step=0.5, label="Pitch (semitones)")
            go = gr.Button("Speak", variant="primary", elem_id="go")
            # The browser's own player: it works from the keyboard and with a screen reader.
            sound = gr.Audio(
                label="Speech", type="filepath", elem_id="sound", interactive=False,
                waveform_options=gr.WaveformOptions(show_recording_waveform=False),
            )
        files.change(read_uploads, [files, table], [clips, table])
        fill.click(transcribe_missing, [clips, table], table)
        add.click(add_recording, [microphone, prompt, files, table], [files, clips, table])
        start.click(
            run_clone, [name, consent, who, clips, table, count], [status, curve, voice, file], concurrency_limit=1
        )
        go.click(speak, [text, voice, speed, pitch], sound)
        page.load(lambda: gr.update(choices=_names()), None, voice)
    return page


def serve(host: str = "127.0.0.1", port: int = 7860, block: bool = True, password: str | None = None) -> gr.Blocks:
    """Serve the page; raises InputError when the port is taken."""
    page = build()
    try:
        page.queue().launch(
            server_name=host, server_port=port, share=False, auth=("me", password) if password else None,
            max_file_size="50mb", prevent_thread_lock=not block,
            enable_monitoring=False, show_error=True, quiet=not block,
        )
    except OSError as e:
        raise InputError(f"The page could not be served on {host}:{port} ({e}); choose another --port.") from e
    return page
