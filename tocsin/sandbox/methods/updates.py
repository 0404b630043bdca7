"""getUpdates and the webhook settings. One poller at a time; the newer one wins."""

import time
from typing import Any

import msgspec

from tocsin.sandbox.errors import OTHER_POLLER, WEBHOOK_CAME, WEBHOOK_SET, ApiError, bad_request
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.params import Params
from tocsin.sandbox.records import AllowUpdates, ConfirmUpdates, PutWebhook

MAX_UPDATES = 100
MAX_POLL_SECONDS = 50
"""Telegram waits no longer, whatever is asked for."""


async def get_updates(sandbox: Sandbox, params: Params) -> list[dict[str, Any]]:
    """Confirm what lies below the offset, then answer with what is there, or wait for it."""
    if sandbox.world.webhook.get("url"):
        raise ApiError(409, WEBHOOK_SET)
    _allow(sandbox, params)
    offset = params.integer("offset")
    limit = min(max(params.integer("limit", MAX_UPDATES), 1), MAX_UPDATES)
    deadline = time.monotonic() + min(max(params.integer("timeout"), 0), MAX_POLL_SECONDS)
    sandbox.polling.end("conflict")
    if offset < 0:
        kept = sandbox.world.pending(offset, MAX_UPDATES, sandbox.clock())
        offset = kept[0].update_id if kept else 0
    if any(update_id < offset for update_id in sandbox.world.updates):
        sandbox.commit(ConfirmUpdates(offset))
    while True:
        found = sandbox.world.pending(offset, limit, sandbox.clock())
        left = deadline - time.monotonic()
        if found or left <= 0:
            return [{"update_id": each.update_id, each.type: each.body} for each in found]
        match await sandbox.polling.wait(left):
            case "conflict":
                raise ApiError(409, OTHER_POLLER)
            case "webhook":
                raise ApiError(409, WEBHOOK_CAME)
            case "closing":
                return []
            case "update" | "timeout":
                continue


def set_webhook(sandbox: Sandbox, params: Params) -> bool:
    url = params.text("url")
    if not url:
        return delete_webhook(sandbox, params)
    if not url.startswith("https://"):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    _allow(sandbox, params)
    _drop_pending(sandbox, params)
    info = {"url": url, "has_custom_certificate": False, "max_connections": params.integer("max_connections", 40)}
    sandbox.commit(PutWebhook(info))
    sandbox.polling.end("webhook")
    return True


def delete_webhook(sandbox: Sandbox, params: Params) -> bool:
    _drop_pending(sandbox, params)
    sandbox.commit(PutWebhook({}))
    return True


def get_webhook_info(sandbox: Sandbox, params: Params) -> dict[str, Any]:
    world = sandbox.world
    info = {"url": "", "has_custom_certificate": False} | world.webhook
    info["pending_update_count"] = len(world.pending(0, len(world.updates), sandbox.clock()))
    return info | ({"allowed_updates": world.allowed} if world.allowed else {})


def _allow(sandbox: Sandbox, params: Params) -> None:
    """Take over allowed_updates if given. It holds for updates made from now on, and until it is given again."""
    given = params.json("allowed_updates", "can't parse allowed_updates JSON array")
    if given is None:
        return
    try:
        types = msgspec.convert(given, list[str])
    except msgspec.ValidationError:
        raise bad_request("expected an Array of String as allowed_updates") from None
    if types != sandbox.world.allowed:
        sandbox.commit(AllowUpdates(types))


def _drop_pending(sandbox: Sandbox, params: Params) -> None:
    if params.flag("drop_pending_updates"):
        sandbox.commit(ConfirmUpdates(sandbox.world.next_update_id()))
