"""The golden samples are what the bridge writes, not what somebody once imagined."""

import json

import msgspec
import pytest

from tests.contract.golden import sample
from tests.contract.produced import produced
from tocsin.events import encode


@pytest.mark.parametrize(("name", "record"), produced().items(), ids=produced().keys())
def test_a_sample_is_what_the_bridge_writes(name: str, record: msgspec.Struct) -> None:
    assert json.loads(encode(record)) == sample(name).fields
