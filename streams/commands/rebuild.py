"""``vigil rebuild``: states that cannot be trusted are computed anew from the topics."""

import asyncio
import importlib
import json

import click
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.structs import OffsetAndMetadata

from config.settings import Settings, settings
from streams.application import VigilApp
from streams.commands.worker import APPLICATIONS
from streams.topics import catalogue, ensure

__all__ = ["rebuild"]

_LOOK_AGAIN_S = 0.1
#: Deleting a topic takes a broker a moment.
_DELETE_S = 60


@click.command(epilog="Example: vigil rebuild bedside --yes")
@click.argument("application", type=click.Choice(APPLICATIONS))
@click.option(
    "--forget",
    is_flag=True,
    help="Begin with empty windows; read only admissions and laboratory results again.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def rebuild(application: str, forget: bool, yes: bool, as_json: bool) -> None:
    """Compute the states of all patients anew, from what the topics still hold.

    For a changelog that was lost, or states that this release cannot read. Stop all workers first.
    The changelogs are made anew, and the group's offsets are set back to the beginning. Workers
    that are started then set their local tables aside, read everything again and answer it again,
    under the same ids.

    What comes of a reading is what came of it before, if the topics go back further than the
    windows do: 32 hours. A learner begins anew with the stays that the topic lessons still holds.

    A pager reads only the silences again: nobody is paged for what is long over. Alerts that were
    open are forgotten, and who is still ill is paged again. Where it has never run, it begins with
    what comes from now on.
    """
    chosen = settings()
    app: VigilApp = importlib.import_module(f"streams.apps.{application}").app
    if forget and application != "bedside":
        raise click.UsageError("--forget is about windows, which only bedside has: leave it out")
    topics = catalogue(chosen)
    facts = {topics.admissions.name, topics.labs.name}
    again = sorted(app.batched_topics & facts if forget else app.batched_topics)
    if application == "paging":
        again = [topics.alerts_silences.name]
    asyncio.run(_refuse_while_workers_run(chosen, app.conf.id))
    if not yes:
        click.confirm(
            f"Empty {', '.join(app.changelogs)} and read {', '.join(again)} from the beginning?",
            abort=True,
        )
        # who answers takes a while
        asyncio.run(_refuse_while_workers_run(chosen, app.conf.id))
    asyncio.run(_rebuild(chosen, app, again, from_now_on=application == "paging"))
    if as_json:
        click.echo(json.dumps({"emptied": list(app.changelogs), "read_again": again}))
    else:
        click.echo(f"Read again from the beginning: {', '.join(again)}. Start the workers.")


async def _refuse_while_workers_run(chosen: Settings, group: str) -> None:
    admin = AIOKafkaAdminClient(**chosen.kafka_client())
    try:
        await admin.start()
        (response,) = await admin.describe_consumer_groups([group])
        ((code, _, state, _, _, members, *_),) = response.groups
    finally:
        await admin.close()
    if code:
        raise for_code(code)(f"group {group}")
    if members:
        raise click.ClickException(
            f"Group {group} is {state} with {len(members)} workers: stop all of them. One that was "
            f"killed counts for {chosen.session_timeout_s:g} s more (VIGIL_SESSION_TIMEOUT_S)."
        )


async def _rebuild(chosen: Settings, app: VigilApp, again: list[str], *, from_now_on: bool) -> None:
    # In this order: a worker that starts between the two finds that its changelogs were made anew.
    admin = AIOKafkaAdminClient(**chosen.kafka_client())
    try:
        await admin.start()
        await _delete(admin, list(app.changelogs))
        await ensure(chosen, changelogs=app.changelogs)
        described = await admin.describe_topics(sorted(app.batched_topics))
    finally:
        await admin.close()
    partitions = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]
    await _set_offsets(chosen, app.conf.id, partitions, again, from_now_on=from_now_on)


async def _delete(admin: AIOKafkaAdminClient, topics: list[str]) -> None:
    there = set(topics) & set(await admin.list_topics())
    if there:
        await admin.delete_topics(sorted(there))
    async with asyncio.timeout(_DELETE_S):
        while there & set(await admin.list_topics()):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(_LOOK_AGAIN_S)


async def _set_offsets(
    chosen: Settings,
    group: str,
    partitions: list[TopicPartition],
    again: list[str],
    *,
    from_now_on: bool,
) -> None:
    """Commit where each partition is to be read from, without a note of what changelogs hold.

    Args:
        chosen: name the broker.
        group: whose offsets.
        partitions: all that it reads.
        again: topics that are read from their beginning.
        from_now_on: what was never read is passed over.
    """
    consumer = AIOKafkaConsumer(**chosen.kafka_client(), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign(partitions)
        starts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions) if from_now_on else {}
        offsets = {
            tp: starts[tp] if tp.topic in again else await consumer.committed(tp)
            for tp in partitions
        }
        offsets = {tp: ends.get(tp) if at is None else at for tp, at in offsets.items()}
        await consumer.commit(
            {tp: OffsetAndMetadata(at, "") for tp, at in offsets.items() if at is not None}
        )
    finally:
        await consumer.stop()
