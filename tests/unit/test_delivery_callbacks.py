"""Twilio's callbacks: whose they are, and what they say of a message."""

from datetime import UTC, datetime

import pytest
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from streams.delivery.callbacks import CallbackError, check, receipt

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://vigil.example/twilio/status"
PARAMS = {"MessageSid": "SM" + "1" * 32, "MessageStatus": "sent", "To": "+14155550123"}
SIGNATURE = RequestValidator("t0ken").compute_signature(URL, PARAMS)


def test_a_signature_of_the_account_is_accepted() -> None:
    assert check(URL, PARAMS, SIGNATURE, "t0ken")
    assert check(URL, MultiDict(PARAMS), SIGNATURE, "t0ken")


@pytest.mark.parametrize(
    ("url", "params", "signature"),
    [
        (URL, PARAMS, RequestValidator("other").compute_signature(URL, PARAMS)),
        (URL, {**PARAMS, "MessageStatus": "delivered"}, SIGNATURE),
        (URL, {**PARAMS, "Body": "ack C7Q2XM"}, SIGNATURE),
        (URL + "?a=1", PARAMS, SIGNATURE),
        (URL, PARAMS, ""),
        (URL, PARAMS, None),
        (URL, PARAMS, "ü"),
    ],
)
def test_a_forged_or_changed_callback_is_refused(
    url: str, params: dict[str, str], signature: str | None
) -> None:
    assert not check(url, params, signature, "t0ken")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("queued", "queued"), ("accepted", "queued"), ("sending", "sending"), ("sent", "sent"),
        ("delivered", "delivered"), ("read", "delivered"), ("undelivered", "undelivered"),
        ("failed", "failed"), ("canceled", "failed"),
    ],
)  # fmt: skip
def test_every_status_of_a_message_becomes_one_of_a_receipt(theirs: str, ours: str) -> None:
    assert receipt({**PARAMS, "MessageStatus": theirs}, NOW).status == ours


def test_a_carriers_failure_keeps_its_code() -> None:
    failed = receipt({**PARAMS, "MessageStatus": "undelivered", "ErrorCode": "30003"}, NOW)
    assert (failed.provider, failed.provider_id) == ("twilio", PARAMS["MessageSid"])
    assert (failed.error_code, failed.at) == (30003, NOW)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"MessageStatus": "sent"},
        {**PARAMS, "MessageStatus": "received"},
        {**PARAMS, "MessageStatus": ""},
        {**PARAMS, "MessageSid": "SM\n1"},
        {**PARAMS, "MessageSid": "S" * 65},
    ],
)
def test_what_is_no_status_is_an_error_that_names_no_number(params: dict[str, str]) -> None:
    with pytest.raises(CallbackError) as error:
        receipt(params, NOW)
    assert "4155550123" not in str(error.value)
