"""User data in every wrapping: a credential in it is found, named by its generation, and never shown."""

import base64
import gzip
import json

import pytest

from orchestrator.core.credential import canonical
from orchestrator.core.credential_formats import recognise
from orchestrator.core.payload import generation
from orchestrator.core.user_data import look_into

KEY = b"k" * 32
DATA = json.dumps({"reg.io": {"auth": base64.b64encode(b"user:s3cr3t-canary").decode()}}, separators=(",", ":"))
GENERATION = generation(KEY, canonical(recognise(DATA).credential))
LINES = f"ECS_CLUSTER=web\nECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={DATA}\n"
SCRIPT = f"#!/bin/bash\ncat <<'EOF' >> /etc/ecs/ecs.config\n{LINES}EOF\n"
ECHO = f"#!/bin/sh\necho 'ECS_ENGINE_AUTH_TYPE=dockercfg' >> f\necho ECS_ENGINE_AUTH_DATA='{DATA}' >> f\n"
QUOTED = DATA.replace('"', '\\"')
DOUBLE = f'echo "ECS_ENGINE_AUTH_TYPE=dockercfg" >> f\necho "ECS_ENGINE_AUTH_DATA={QUOTED}" >> f\n'
MULTIPART = (
    'Content-Type: multipart/mixed; boundary="=="\nMIME-Version: 1.0\n\n--==\n'
    f"Content-Type: text/x-shellscript\n\n{SCRIPT}\n--==--\n"
)
ENCODED = (
    'Content-Type: multipart/mixed; boundary="=="\nMIME-Version: 1.0\n\n--==\nContent-Type: text/x-shellscript\n'
    f"Content-Transfer-Encoding: base64\n\n{base64.b64encode(SCRIPT.encode()).decode()}\n--==--\n"
)


@pytest.mark.parametrize("text", [LINES, SCRIPT, ECHO, DOUBLE, MULTIPART, ENCODED])
@pytest.mark.parametrize("packed", [False, True])
def test_a_credential_is_found_and_named(text: str, packed: bool) -> None:  # noqa: FBT001 - pytest's parameter
    """In a here-document, an echo, parts of a message, base64 or gzip: the same credential has the same generation."""
    raw = gzip.compress(text.encode()) if packed else text.encode()
    found = look_into("template", raw, KEY)
    assert (found.holds, found.generation) == (True, GENERATION)
    assert "s3cr3t" not in repr(found)
    assert look_into("template", raw, None).generation == ""


@pytest.mark.parametrize(
    "text",
    [
        "ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA=$(aws secretsmanager get-secret-value)\n",
        f"{LINES}ECS_ENGINE_AUTH_DATA={{}}\n",
        "ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={broken}\n",
        '{"EngineAuthType": "docker", "EngineAuthData": {"reg.io": {"username": "u", "password": "p"}}}',
    ],
)
def test_what_cannot_be_told_has_no_generation(text: str) -> None:
    """A credential that a script puts together, that stands twice, or is broken, is there, and is not named."""
    found = look_into("template", text.encode(), KEY)
    assert (found.holds, found.generation) == (True, "")


@pytest.mark.parametrize("raw", [b"", b"#!/bin/bash\necho ECS_CLUSTER=web >> f\n", b"\x1f\x8bno gzip", b"\xff\xfe\0"])
def test_nothing_is_found_where_nothing_is(raw: bytes) -> None:
    """Other settings, broken compression and bytes that are no text hold no credential."""
    assert look_into("template", raw, KEY).holds is False


def test_objects_that_user_data_fetches_are_named() -> None:
    """The ECS guide's way: user data copies the configuration from S3; the object is named, a page of docs is not."""
    script = (
        "aws s3 cp s3://team-conf/ecs/ecs.config /etc/ecs/ecs.config\naws s3 cp s3://${B}/a.env /x\ns3://b/run.sh\n"
    )
    assert look_into("t", script.encode(), KEY).refers == ("s3://${B}/a.env", "s3://team-conf/ecs/ecs.config")


def test_a_bomb_is_not_unpacked_whole() -> None:
    """What unpacks to more than user data can be is read up to a limit."""
    raw = gzip.compress(b"A" * 50_000_000 + LINES.encode())
    assert look_into("t", raw, KEY).holds is False
