"""The real clients of the providers against simulators: what each bad day leaves known of a page.

One request a message whatever happens; what was taken and what was not is told apart, and where
nobody can know it is looked up.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from bench.processes import free_port
from bench.proxy import Proxy
from bench.simulators import twilio as simulated
from bench.simulators.callbacks import Change
from bench.simulators.twilio import TOKEN, Fault, TwilioSimulator
from config.clock import from_ms, now_ms
from config.settings import Settings
from streams.alert_events import Acknowledgement, Receipt
from streams.delivery.callbacks import REPLY_PATH, STATUS_PATH, Problem, check, receipt, reply
from streams.delivery.message import (
    Accepted,
    Busy,
    FindError,
    InDoubt,
    Message,
    Outcome,
    Refused,
)
from streams.delivery.twilio import Twilio

NURSE = "+14155550123"
PUBLIC = "https://vigil.example"
PAGE = Message(
    page_id="p1",
    channel="sms",
    to=NURSE,
    references=("C7Q2XM",),
    subject="Urgent on W3",
    body="W3: urgent. Ref C7Q2XM https://vigil.example/a/C7Q2XM",
    message_id="<p1@vigil.example>",
    possible_repeat=False,
)
NO_TIME = timedelta(0)


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioSimulator]:
    async with TwilioSimulator() as simulator:
        yield simulator


@pytest.fixture
async def make(twilio: TwilioSimulator) -> AsyncIterator[Callable[..., Twilio]]:
    made: list[Twilio] = []

    def client(page_size: int = 200, **changed: Any) -> Twilio:
        chosen = {
            **twilio.settings,
            "provider_timeout_s": 0.5,
            "public_url": PUBLIC,
            **changed,
        }
        made.append(Twilio(Settings(**chosen), page_size))
        return made[-1]

    yield client
    for each in made:
        await each.close()


def a_minute_ago() -> datetime:
    return from_ms(now_ms()) - timedelta(minutes=1)


# -- one message, one request


async def test_a_page_is_one_request_and_accepted_under_twilios_id(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    outcome = await make().send(PAGE)
    assert outcome == Accepted(twilio.texts[0].sid)
    (request,) = twilio.requests
    assert request.authorized
    assert request.form == {
        "To": NURSE,
        "From": simulated.SENDER,
        "Body": PAGE.body,
        "StatusCallback": PUBLIC + STATUS_PATH,
    }
    assert twilio.pages() == {("C7Q2XM", NURSE): 1}


async def test_a_messaging_service_sends_instead_of_a_number(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    client = make(twilio_from=None, twilio_messaging_service_sid="MG1", public_url=None)
    assert isinstance(await client.send(PAGE), Accepted)
    assert twilio.requests[0].form == {
        "To": NURSE,
        "MessagingServiceSid": "MG1",
        "Body": PAGE.body,
    }


@pytest.mark.parametrize(
    ("fault", "kind", "taken"),
    [
        pytest.param(simulated.ERROR_AFTER_ACCEPTING, InDoubt, 1, id="500 after accepting"),
        pytest.param(simulated.ERROR_BEFORE_ACCEPTING, InDoubt, 0, id="500 without accepting"),
        pytest.param(simulated.UNAVAILABLE, InDoubt, 0, id="503"),
        pytest.param(simulated.HANG_BEFORE_ACCEPTING, InDoubt, 0, id="time-out before accepting"),
        pytest.param(simulated.HANG_AFTER_ACCEPTING, InDoubt, 1, id="time-out after accepting"),
        pytest.param(simulated.RESET_BEFORE_ACCEPTING, InDoubt, 0, id="reset before accepting"),
        pytest.param(simulated.RESET_AFTER_ACCEPTING, InDoubt, 1, id="reset after accepting"),
        pytest.param(simulated.TOO_MANY, Busy, 0, id="429"),
        pytest.param(Fault(302), InDoubt, 0, id="a redirect is not followed"),
    ],
)
async def test_one_request_whatever_the_answer_and_find_tells_whether_it_was_taken(
    twilio: TwilioSimulator,
    make: Callable[..., Twilio],
    fault: Fault,
    kind: type[Outcome],
    taken: int,
) -> None:
    """Twilio's client repeats a POST on a 500 when it is let: then a nurse gets four texts."""
    twilio.script.append(fault)
    client = make()
    outcome = await client.send(PAGE)
    assert isinstance(outcome, kind)
    await asyncio.sleep(0.3)  # a second request would come by now
    assert len(twilio.posts) == 1
    assert len(twilio.texts) == taken
    found = await client.find(PAGE, a_minute_ago())
    assert found == (twilio.texts[0].sid if taken else None)


async def test_our_own_time_out_ends_a_request_that_gets_no_answer(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    twilio.script.append(simulated.HANG_BEFORE_ACCEPTING)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert isinstance(await make(provider_timeout_s=0.3).send(PAGE), InDoubt)
    assert 0.3 <= loop.time() - began < 3


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, None), ("7", 7.0), ("soon", None), ("inf", None)]
)
async def test_too_many_requests_back_off_as_long_as_twilio_asks(
    twilio: TwilioSimulator, make: Callable[..., Twilio], header: str | None, seconds: float | None
) -> None:
    twilio.script.append(replace(simulated.TOO_MANY, retry_after=header))
    outcome = await make().send(PAGE)
    assert isinstance(outcome, Busy)
    assert outcome.retry_after_s == seconds
    assert not twilio.texts


async def test_retry_after_may_be_a_date(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    twilio.script.append(replace(simulated.TOO_MANY, retry_after="Fri, 01 Jan 2100 00:00:00 GMT"))
    outcome = await make().send(PAGE)
    assert isinstance(outcome, Busy)
    assert outcome.retry_after_s is not None
    assert outcome.retry_after_s > 86_400


# -- errors of the contact, and errors of ours


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(simulated.BAD_NUMBER, "21211", id="bad number"),
        pytest.param("notanumber", "21211", id="no number at all"),
        pytest.param(simulated.OPTED_OUT, "21610", id="opted out"),
        pytest.param(simulated.NOT_MOBILE, "21614", id="not mobile"),
        pytest.param(simulated.NO_PERMISSION, "21408", id="country not permitted"),
        pytest.param(simulated.NO_ROUTE, "21612", id="no route"),
    ],
)
async def test_what_is_wrong_with_the_contact_is_permanent_and_names_no_number(
    twilio: TwilioSimulator, make: Callable[..., Twilio], number: str, code: str
) -> None:
    outcome = await make().send(replace(PAGE, to=number))
    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert number not in outcome.reason
    assert len(twilio.posts) == 1


async def test_a_text_that_is_too_long_is_refused(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    assert await make().send(replace(PAGE, body="x" * 1601)) == Refused(
        "21617", "the text is longer than Twilio's 1,600 characters"
    )
    assert isinstance(await make().send(replace(PAGE, body="x" * 1600)), Accepted)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"twilio_auth_token": "wrong"}, id="401"),
        pytest.param({"twilio_account_sid": "AC9"}, id="404"),
        pytest.param({"twilio_from": "+15005550001"}, id="not our number"),
    ],
)
async def test_what_is_wrong_with_the_account_is_not_the_contacts_fault(
    twilio: TwilioSimulator, make: Callable[..., Twilio], changed: dict[str, str]
) -> None:
    """Going on to the next contact would go through them all and page nobody."""
    outcome = await make(**changed).send(PAGE)
    assert isinstance(outcome, Busy)
    assert "VIGIL_TWILIO" in outcome.reason
    assert not twilio.texts


@pytest.mark.parametrize("status", [403, 407, 413])
async def test_a_proxys_refusal_is_not_the_contacts_fault(
    twilio: TwilioSimulator, make: Callable[..., Twilio], status: int
) -> None:
    twilio.script.append(Fault(status))
    assert isinstance(await make().send(PAGE), Busy)


# -- outages


async def test_a_provider_that_cannot_be_reached_has_taken_nothing(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    client = make()
    assert isinstance(await client.send(PAGE), Accepted)
    await twilio.stop()
    assert isinstance(await client.send(PAGE), Busy)
    with pytest.raises(FindError):
        await client.find(PAGE, a_minute_ago())
    await twilio.start()
    assert isinstance(await client.send(PAGE), Accepted)
    assert twilio.pages() == {("C7Q2XM", NURSE): 2}


async def test_a_name_that_does_not_resolve_has_taken_nothing(make: Callable[..., Twilio]) -> None:
    client = make(twilio_base_url="https://no-such-host.invalid", provider_timeout_s=5)
    assert isinstance(await client.send(PAGE), Busy)


async def test_an_outage_of_an_hour_leaves_doubt_and_then_an_answer(
    make: Callable[..., Twilio], twilio: TwilioSimulator
) -> None:
    clock = [datetime(2026, 3, 1, 12, 30, tzinfo=UTC)]
    twilio.clock = lambda: clock[0]
    begin = datetime(2026, 3, 1, 12, tzinfo=UTC)
    twilio.outages.append((begin, begin + timedelta(hours=1), simulated.UNAVAILABLE))
    client = make()
    assert isinstance(await client.send(PAGE), InDoubt)
    with pytest.raises(FindError):
        await client.find(PAGE, clock[0])
    clock[0] = begin + timedelta(hours=1)
    assert await client.find(PAGE, begin) is None
    assert isinstance(await client.send(PAGE), Accepted)
    assert twilio.pages() == {("C7Q2XM", NURSE): 1}


async def test_a_request_that_was_given_up_does_not_arrive_when_the_network_is_back(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    front = free_port()
    proxy = Proxy(front, twilio.port)
    await proxy.heal()
    client = make(twilio_base_url=f"http://127.0.0.1:{front}")
    assert isinstance(await client.send(PAGE), Accepted)
    proxy.freeze()
    assert isinstance(await client.send(PAGE), InDoubt)
    await asyncio.sleep(0.2)
    await proxy.heal()
    await asyncio.sleep(0.5)
    assert len(twilio.posts) == 1
    assert isinstance(await client.send(PAGE), Accepted)
    await proxy.cut()


# -- looking a message up


async def test_find_sees_a_queued_message_which_has_no_date_of_sending(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    twilio.fate = simulated.nothing
    client = make()
    await client.send(PAGE)
    assert twilio.texts[0].sent is None
    assert await client.find(PAGE, a_minute_ago()) == twilio.texts[0].sid


async def test_find_goes_through_all_pages_of_the_list(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    client = make(page_size=2)
    for reference in ("C7Q2XM", "FGH234", "FGH235", "FGH236", "FGH237"):
        await client.send(replace(PAGE, body=f"W3: urgent. Ref {reference}"))
    assert await client.find(PAGE, a_minute_ago()) == twilio.texts[0].sid
    lists = [request for request in twilio.requests if request.method == "GET"]
    assert len(lists) == 3
    assert not any("DateSent" in request.path for request in lists)
    assert await client.find(replace(PAGE, references=("FGH999",)), a_minute_ago()) is None


async def test_find_stops_at_messages_from_before(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    now = [datetime(2026, 3, 1, 12, tzinfo=UTC)]
    twilio.clock = lambda: now[0]
    client = make(page_size=1)
    for _ in range(5):
        await client.send(PAGE)
        now[0] += timedelta(hours=1)
    since = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    assert await client.find(PAGE, since) is None
    assert sum(request.method == "GET" for request in twilio.requests) == 1


async def test_find_takes_no_message_to_another_or_of_another_alert(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    client = make()
    await client.send(replace(PAGE, to="+14155550124"))
    await client.send(replace(PAGE, body="W3: urgent. Ref C7Q2XMX"))
    assert await client.find(PAGE, a_minute_ago()) is None


async def test_find_takes_no_message_that_only_speaks_of_the_alert(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    client = make()
    body = "Urgent: nobody has answered alert C7Q2XM. Ref FGH234"
    await client.send(replace(PAGE, body=body))
    assert await client.find(PAGE, a_minute_ago()) is None


async def test_find_knows_a_bundle_by_any_of_its_references(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    client = make()
    await client.send(replace(PAGE, body="W3: urgent. Ref FGH234\nW3: urgent. Ref c7q2xm"))
    bundle = replace(PAGE, references=("C7Q2XM", "FGH234"))
    assert await client.find(bundle, a_minute_ago()) == twilio.texts[0].sid
    assert await client.find(PAGE, a_minute_ago()) == twilio.texts[0].sid


async def test_a_message_that_twilios_list_does_not_show_yet_is_found_later(
    twilio: TwilioSimulator, make: Callable[..., Twilio]
) -> None:
    twilio.list_lag = timedelta(hours=1)
    twilio.script.append(simulated.HANG_AFTER_ACCEPTING)
    client = make()
    assert isinstance(await client.send(PAGE), InDoubt)
    assert await client.find(PAGE, a_minute_ago()) is None
    twilio.list_lag = NO_TIME
    assert await client.find(PAGE, a_minute_ago()) == twilio.texts[0].sid


@pytest.mark.parametrize(
    "fault",
    [simulated.TOO_MANY, simulated.UNAVAILABLE, simulated.HANG_BEFORE_ACCEPTING,
     simulated.RESET_BEFORE_ACCEPTING, Fault(401), Fault(400, code=21211)],
)  # fmt: skip
async def test_a_list_that_cannot_be_read_is_no_sign_that_nothing_was_taken(
    twilio: TwilioSimulator, make: Callable[..., Twilio], fault: Fault
) -> None:
    twilio.rule = lambda request: fault if request.method == "GET" else None
    client = make()
    await client.send(PAGE)
    with pytest.raises(FindError) as error:
        await client.find(PAGE, a_minute_ago())
    assert NURSE[1:] not in str(error.value)
    assert error.value.__suppress_context__  # where it comes from has the number in its address


async def test_no_number_and_no_token_is_ever_logged(
    twilio: TwilioSimulator, make: Callable[..., Twilio], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = make()
    twilio.script.extend([None, simulated.TOO_MANY, simulated.RESET_AFTER_ACCEPTING])
    for _ in range(3):
        await client.send(PAGE)
    await client.send(replace(PAGE, to=simulated.BAD_NUMBER))
    await client.find(PAGE, a_minute_ago())
    for secret in (NURSE[1:], simulated.BAD_NUMBER[1:], TOKEN, "C7Q2XM"):
        assert secret not in caplog.text


# -- calls back


class Pages:
    """The pages that Twilio calls, as the application serves them."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.replies: list[Acknowledgement | Problem] = []
        self.forged = 0

    async def serve(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signature = request.headers.get("X-Twilio-Signature")
        if not check(PUBLIC + request.path, form, signature, TOKEN):
            self.forged += 1
            return web.Response(status=403)
        now = from_ms(now_ms())
        if request.path == STATUS_PATH:
            self.receipts.append(receipt(form, now))
        else:
            self.replies.append(reply(form, now, {NURSE: "nurse-anna"}.get))
        return web.Response(text="<Response/>", content_type="text/xml")


@pytest.fixture
async def pages(twilio: TwilioSimulator) -> AsyncIterator[Pages]:
    served = Pages()
    app = web.Application()
    app.router.add_post("/{tail:.*}", served.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    twilio.caller.route[PUBLIC] = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


def statuses(pages: Pages) -> list[str]:
    return [each.status for each in pages.receipts]


async def test_a_delivered_message_is_told_of_by_signed_callbacks(
    twilio: TwilioSimulator, make: Callable[..., Twilio], pages: Pages
) -> None:
    twilio.fate = lambda text: [Change("sent"), Change("delivered", after_s=0.2)]
    outcome = await make().send(PAGE)
    await twilio.caller.idle()
    assert statuses(pages) == ["sent", "delivered"]
    assert {Accepted(each.provider_id) for each in pages.receipts} == {outcome}
    assert pages.forged == 0


@pytest.mark.parametrize("code", [30003, 30005, 30006, 30007, 30008])
async def test_a_carriers_failure_comes_later_with_its_code(
    twilio: TwilioSimulator, make: Callable[..., Twilio], pages: Pages, code: int
) -> None:
    twilio.carrier_failures[NURSE] = code
    assert isinstance(await make().send(PAGE), Accepted)
    await twilio.caller.idle()
    (failed,) = [each for each in pages.receipts if each.status == "undelivered"]
    assert failed.error_code == code


async def test_callbacks_that_are_late_repeated_and_reordered_are_read_as_they_come(
    twilio: TwilioSimulator, make: Callable[..., Twilio], pages: Pages
) -> None:
    twilio.fate = lambda text: [
        Change("delivered", after_s=0.1),
        Change("delivered", after_s=0.3),
        Change("sent", after_s=0.5),
    ]
    await make().send(PAGE)
    await twilio.caller.idle()
    assert statuses(pages) == ["delivered", "delivered", "sent"]
    assert twilio.texts[0].status == "delivered"


async def test_a_callback_may_come_before_the_answer_to_the_request(
    twilio: TwilioSimulator, make: Callable[..., Twilio], pages: Pages
) -> None:
    """The message is in doubt, and yet known to be delivered: its receipt has an unknown id."""
    twilio.script.append(simulated.HANG_AFTER_ACCEPTING)
    assert isinstance(await make().send(PAGE), InDoubt)
    assert statuses(pages) == ["sent", "delivered"]
    assert await make().find(PAGE, a_minute_ago()) == pages.receipts[0].provider_id


async def test_a_forged_callback_is_refused(
    twilio: TwilioSimulator, make: Callable[..., Twilio], pages: Pages
) -> None:
    twilio.fate = lambda text: [Change("delivered", forged=True)]
    await make().send(PAGE)
    await twilio.caller.idle()
    told = await twilio.reply(NURSE, "ack C7Q2XM", PUBLIC + REPLY_PATH, forged=True)
    assert told.status == 403
    assert (pages.forged, pages.receipts, pages.replies) == (2, [], [])


async def test_a_reply_by_text_is_an_answer(twilio: TwilioSimulator, pages: Pages) -> None:
    told = await twilio.reply(NURSE, "Ack c7q2xm.", PUBLIC + REPLY_PATH)
    assert told.status == 200
    (answer,) = pages.replies
    assert isinstance(answer, Acknowledgement)
    assert (answer.alert, answer.answer, answer.by) == ("C7Q2XM", "accepted", "nurse-anna")


async def test_stop_opts_out_and_start_ends_that(
    twilio: TwilioSimulator, make: Callable[..., Twilio], pages: Pages
) -> None:
    client = make()
    await twilio.reply(NURSE, "STOP", PUBLIC + REPLY_PATH)
    outcome = await client.send(PAGE)
    assert isinstance(outcome, Refused)
    assert outcome.code == "21610"
    await twilio.reply(NURSE, "START", PUBLIC + REPLY_PATH)
    assert isinstance(await client.send(PAGE), Accepted)
    assert [each.kind for each in pages.replies if isinstance(each, Problem)] == [
        "opted_out",
        "opted_in",
    ]
