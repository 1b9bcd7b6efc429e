"""Seconds from an alert to the first ring, and how many alerts a second the entrance takes."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from statistics import median
from typing import Any

import requests

import phone_api
import up
from stack import Stack

ROUNDS = 10
BURST = 200
AT_ONCE = 20
GROUP = (
    "INSERT INTO monitor_group (group_id, name, rounds, escalations_per_hour, valid_from)"
    " VALUES (%s, 'bench', 1, 1000, '2026-01-01')"
)
MEMBER = (
    "INSERT INTO group_member (group_id, position, name, phone_number, valid_from)"
    " VALUES (%s, 1, 'bench', %s, '2026-01-01')"
)


def run(stack: Stack) -> list[tuple[str, str]]:
    up.up(stack)
    base = phone_api.url("local")
    headers = {"x-api-key": phone_api.key("local", "zabbix")}
    names = count(1)

    def group() -> tuple[str, str]:
        number = next(names)
        made = f"bench-{number}", f"+8190000020{number:02}"
        with stack.connect("admin") as connection, connection.cursor() as cursor:
            cursor.execute(GROUP, made[:1])
            cursor.execute(MEMBER, made)
            connection.commit()
        return made

    def alert(group_id: str) -> dict[str, Any]:
        answer = requests.post(
            f"{base}/phonecall/{group_id}",
            json={"messageId": "host_down", "variableMessage": "bench"},
            headers=headers,
            timeout=30,
        )
        answer.raise_for_status()
        return dict(answer.json())

    def first_ring() -> float:
        group_id, number = group()
        began = time.perf_counter()
        alert(group_id)
        while not any(phone["number"] == number and phone["call"] for phone in phones(stack)):
            if time.perf_counter() - began > 60:
                raise RuntimeError(f"{group_id}: no phone rang")
            time.sleep(0.005)
        return time.perf_counter() - began

    cold, *warm = [first_ring() for _ in range(ROUNDS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # So many instances of the entrance are warm then.
        list(pool.map(alert, [group()[0]] * AT_ONCE))
        burst, number = group()
        began = time.perf_counter()
        told = list(pool.map(alert, [burst] * BURST))
    a_second = BURST / (time.perf_counter() - began)
    calls = [item for item in inbox(stack) if item["body"]["to"] == number]
    if len({one["token"] for one in told}) != 1 or len(calls) > 1:
        raise RuntimeError(f"a burst made {len(calls)} calls")
    print(
        f"alert to first ring: cold {cold:.2f} s, then {median(warm):.2f} s (median of {len(warm)})"
    )
    print(f"{BURST} alerts of a group, {AT_ONCE} at once: {a_second:.0f} a second, one phone rang")
    return [
        ("From an alert to the first ring", f"{median(warm):.2f} s (cold {cold:.1f} s)"),
        (f"{BURST} alerts of one group, {AT_ONCE} at once", f"{a_second:.0f} a second, one phone"),
    ]


def phones(stack: Stack) -> list[dict[str, Any]]:
    return list(requests.get(f"{stack.sandbox_url}/twilio/phones", timeout=10).json())


def inbox(stack: Stack) -> list[dict[str, Any]]:
    query = {"channel": "twilio"}
    items = requests.get(stack.inbox_url, params=query, timeout=10).json()
    return [item for item in items if item["body"]["event"] == "began"]
