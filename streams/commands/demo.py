"""``vigil demo``: broker, workers, patients and board together."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from config.policy import load_policy
from config.settings import Settings, settings
from models.stay import Stay
from streams.commands.replay import RATE, patients_of
from streams.commands.watch import DRAW_S, draw
from streams.demo import Demo, Worker, WorkerError, scratch_folder
from streams.kafka import LocalKafka, running
from streams.kafka.ports import HOST, free_ports
from streams.replay import Replay
from streams.tasks import first
from streams.topics import ensure

__all__ = ["Steps", "broker", "demo", "environment"]

FAILED = 1
#: Simulated patients: how many, hours each, seconds between two readings, share who become septic.
PATIENTS, HOURS, INTERVAL_S, SEPTIC = 30, 48, 300, 0.2
#: Times real time: simulated patients show something every quarter of a second, charted ones (a
#: reading an hour) every second.
SPEED_SIMULATED, SPEED_RECORDED = 1200.0, 3600.0


#: Settings of real providers: no demo writes to people.
_ACCOUNTS = ("VIGIL_TWILIO_", "VIGIL_SMTP_", "VIGIL_PUBLIC_URL")


class Steps:
    """Tells on stderr what happens at the start, and how long each step took."""

    def __init__(self, console: Console) -> None:
        self.took: dict[str, float] = {}
        self.console = console

    @contextmanager
    def __call__(
        self, what: str, *, spin: bool = False, began: float | None = None
    ) -> Iterator[None]:
        """Time a step.

        Args:
            what: name of the step.
            spin: show that it goes on; only where no other bar is drawn meanwhile.
            began: when it began, by the monotonic clock; None = now.
        """
        began = time.monotonic() if began is None else began
        if spin and self.console.is_terminal:
            with self.console.status(f"{what} …"):
                yield
        else:
            yield
        self.took[what] = round(time.monotonic() - began, 2)
        self.console.print(f"[green]✓[/] {what:<22}{self.took[what]:5.1f} s", highlight=False)


@click.command(epilog="Example: vigil demo --data hospital_A.parquet --patients 50 --speed 1800")
@click.option("--data", type=click.Path(path_type=Path), help="Recorded patients, not simulated.")
@click.option(
    "--patients",
    type=click.IntRange(1),
    metavar="N",
    help=f"How many.  [default: {PATIENTS} simulated; all recorded]",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help=f"Times real time.  [default: {SPEED_SIMULATED:.0f}; recorded {SPEED_RECORDED:.0f}]",
)
@click.option(
    "--rate", type=RATE, metavar="N", help="Readings a second, instead; max or 0: no limit."
)
@click.option("--headless", is_flag=True, help="No board; end when every reading has its answer.")
@click.option("--json", "as_json", is_flag=True, help="The account, as a last line of JSON.")
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Send for so long, then wait for the answers.",
)
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A model folder to use instead of the registry.",
)
def demo(
    data: Path | None,
    patients: int | None,
    speed: float | None,
    rate: float | None,
    headless: bool,
    as_json: bool,
    seconds: float | None,
    model: Path | None,
) -> int:
    """Show a ward: a broker, workers and patients, 30 simulated ones unless you name others.

    Uses the broker of VIGIL_BROKER, or the local one that runs, or one of its own that is gone
    afterwards. On its own it pages, too: the texts are shown and go nowhere. On another's broker
    paging is left to the workers there. Accounts for every reading: exit code 1 where one that is
    neither late nor a dead letter has no recommendation. Without a terminal there is no board.
    Ctrl-C ends it.
    """
    started = time.monotonic()
    if speed is not None and rate is not None:
        raise click.UsageError("give --speed or --rate, not both")
    # until the event loop takes over: what ends us, ends us as Ctrl-C does, clearing up
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    steps = Steps(Console(stderr=True))
    base = settings()
    load_policy(base.policy)  # what is wrong with it is said before anything is started

    def read() -> list[Stay]:
        with steps("Patients"):
            return patients_of(
                data,
                patients or PATIENTS,
                limit=patients,
                interval_s=INTERVAL_S,
                hours=HOURS,
                septic_share=SEPTIC,
            )

    with scratch_folder() as home, ThreadPoolExecutor(1) as pool:
        patients_read = pool.submit(read)
        with broker(base, home, steps) as (bootstrap, own):
            ports = free_ports(2)
            bound = base.model_copy(
                update={
                    "broker": bootstrap,
                    "home": home,
                    "web_host": HOST,
                    "web_port": ports[0],
                    "model_dir": model or base.model_dir,
                }
            )
            # the alerts of real patients must not end in the outbox of a demo
            pager = _pager(bound, base, home / "pager", ports[1]) if own else None
            ward = _Ward(
                settings=bound,
                worker=Worker(bound, environment(bound, base), home / "worker.log"),
                pager=pager,
                patients=patients_read,
                steps=steps,
                label="recorded patients" if data else "simulated patients",
                live=not headless and Console().is_terminal,
                seconds=seconds,
                # an id that a topic has seen before would continue that patient's stay
                suffix="" if data or own else f"-{int(time.time()) % 16**5:05x}",
                speed=None if rate else speed or (SPEED_RECORDED if data else SPEED_SIMULATED),
                rate=rate,
            )
            try:
                shown = asyncio.run(ward.run())
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
            except WorkerError as error:
                log = _keep(error.log, base)
                raise WorkerError(f"{error}\nAll of it: {log}", log) from None
            if shown.tally.missing:
                steps.console.print(shown.complaint(), style="red", markup=False, highlight=False)
                steps.console.print(f"The worker's log: {_keep(ward.worker.log, base)}")
    times = {f"{step.lower()}_s": took for step, took in steps.took.items()}
    first_s = None if shown.first_at is None else round(shown.first_at - started, 2)
    result = shown.result() | {
        "first_recommendation_s": first_s,
        "seconds": round(time.monotonic() - started, 2),
        "start_up": times,
        "source": ward.label,
    }
    if as_json:
        click.echo(json.dumps(result))
    else:
        _tell(result)
    return FAILED if shown.tally.missing else 0


@dataclass(slots=True)
class _Ward:
    """Everything a demo needs once there is a broker."""

    settings: Settings
    worker: Worker
    pager: Worker | None
    patients: Future[list[Stay]]
    steps: Steps
    label: str
    live: bool
    seconds: float | None
    suffix: str
    speed: float | None
    rate: float | None

    async def run(self) -> Demo:
        """Start the workers, play, and return what came of it.

        Raises:
            WorkerError: the worker does not start, or dies.
            asyncio.CancelledError: a signal has ended it.
        """
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        shown: list[Demo] = []
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.worker)
            await first(self._play(stack, shown), self.worker.died())
        return shown[0]

    async def _play(self, stack: AsyncExitStack, shown: list[Demo]) -> None:
        began = time.monotonic()
        stays = await asyncio.wrap_future(self.patients)
        with self.steps("Worker", spin=True, began=began):
            await ensure(self.settings)
            await self.worker.ready()
        replay = Replay(
            self.settings,
            stays,
            speed=self.speed,
            rate=self.rate,
            suffix=self.suffix,
            unit="simulated" if self.label.startswith("simulated") else None,
        )
        demo = Demo(self.settings, replay, paging=self.pager is not None)
        shown.append(demo)
        if self.pager is None:
            await first(self._send(demo), self._show(demo))
            return
        # nobody waits for it: what is recommended until it is ready waits for it in Kafka
        demo.board.pages.hint = f"VIGIL_BROKER={self.settings.bootstrap} vigil ack {{reference}}"
        await stack.enter_async_context(self.pager)
        await first(self._send(demo), self._show(demo), self.pager.died())

    async def _send(self, demo: Demo) -> None:
        await demo.run(self.seconds)
        if self.live and self.seconds is None:
            await asyncio.Event().wait()  # the board stays until Ctrl-C

    async def _show(self, demo: Demo) -> None:
        with self.steps("First recommendation", spin=True):
            await demo.first.wait()
        if self.live:
            await first(draw(demo.board, Console()), self._note(demo))
        else:
            await asyncio.gather(self._bar(demo), self._text(demo))

    async def _text(self, demo: Demo) -> None:
        """Show the first text as it went out; how many there were is told in the end."""
        if self.pager is not None:
            with self.steps("First text"):
                await demo.first_page.wait()
            row = json.loads(self.pager.outbox.read_bytes().splitlines()[0])
            self.steps.console.print(
                _indented(row["body"]), markup=False, highlight=False, soft_wrap=True
            )

    async def _note(self, demo: Demo) -> None:
        """Keep the board's note up to date."""
        while True:
            sent, total = demo.replay.sent.readings, demo.replay.total
            note = f"{self.label}, {sent / total:.0%} sent"
            if demo.complete and not demo.tally.missing:
                note = f"{self.label}, done: Ctrl-C"
            demo.board.status.note = note
            await asyncio.sleep(DRAW_S)

    async def _bar(self, demo: Demo) -> None:
        """Draw how much of the data is through."""
        console = self.steps.console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("Readings answered", total=demo.replay.total)
            while True:
                progress.update(task, completed=demo.tally.answers)
                await asyncio.sleep(DRAW_S)


def _pager(bound: Settings, base: Settings, home: Path, port: int) -> Worker:
    """Prepare a worker that pages into a file, whatever accounts there are."""
    chosen = bound.model_copy(
        update={"home": home, "web_port": port, "local_outbox": home / "outbox.jsonl"}
    )
    variables = {
        name: value
        for name, value in environment(chosen, base).items()
        if not name.startswith(_ACCOUNTS)
    }
    variables |= {"VIGIL_LOCAL_OUTBOX": str(chosen.outbox_path), "VIGIL_LOCAL_PRINT": "false"}
    home.mkdir()
    return Worker(chosen, variables, home / "worker.log", "paging")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def environment(bound: Settings, base: Settings) -> dict[str, str]:
    """Environment of the worker: this process's own, and what the demo decides."""
    variables = os.environ | {
        "VIGIL_BROKER": bound.bootstrap,
        "VIGIL_HOME": str(bound.home),
        "VIGIL_WEB_HOST": bound.web_host,
        "VIGIL_WEB_PORT": str(bound.web_port),
    }
    if bound.model_dir:
        variables["VIGIL_MODEL_DIR"] = str(bound.model_dir.absolute())
    elif base.mlflow_tracking_uri or (base.home / "mlflow.db").exists():
        variables["VIGIL_MLFLOW_TRACKING_URI"] = base.tracking_uri
    return variables


def _keep(log: Path, base: Settings) -> Path:
    """Copy the worker's log to where it is found after the demo."""
    base.home.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(log, base.home.absolute() / "demo-worker.log"))


def _tell(result: dict[str, Any]) -> None:
    """Print the account for people."""
    click.echo(
        f"{result['readings']:,} readings of {result['patients']:,} {result['source']}: "
        f"{result['recommendations']:,} recommendations, {result['dead_letters']:,} dead letters, "
        f"{result['late']:,} late, {result['missing']:,} missing"
    )
    click.echo(f"{result['alerts']:,} alerts, {result['pages']:,} pages")
    if result["latency_p50_ms"] is not None:
        click.echo(
            f"latency from the broker to here: median {result['latency_p50_ms']:.0f} ms, "
            f"99th percentile {result['latency_p99_ms']:.0f} ms; "
            f"first recommendation {result['first_recommendation_s']} s after the start"
        )


@contextmanager
def broker(base: Settings, home: Path, steps: Steps) -> Iterator[tuple[str, bool]]:
    """Yield the address of a broker, and whether it is the demo's own."""
    if found := base.broker or running(base.home):
        yield found, False
        return
    kafka = LocalKafka(home, base.cache)
    with steps("Broker"):
        kafka.start()
    try:
        yield kafka.bootstrap, True
    finally:
        kafka.stop()
