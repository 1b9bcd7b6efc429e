"""What make estate shows."""

import estate

ON = {
    "kind": "ec2_instances",
    "name": "web-1",
    "state": "on",
    "changes": "Tue 21:00",
    "reason": "is on already",
    "keep_until": None,
    "mark": {"what": "started", "at": "08:00:05", "since": None},
}
OFF = {
    "kind": "rds_instances",
    "name": "日報",
    "state": "off",
    "changes": None,
    "reason": "kept",
    "keep_until": "Dec 1",
    "mark": None,
}
SCHEDULE = {
    "schedule": "office-hours",
    "tag": "office-hours",
    "wanted": "on",
    "since": "2026-11-24T08:00+09:00",
    "next": {"action": "suspend", "at": "2026-11-24T21:00+09:00"},
    "errors": {"ecs_services": "AccessDenied"},
    "resources": [ON, OFF],
}


def test_a_table_for_each_schedule():
    assert list(estate.lines({"schedules": [SCHEDULE]})) == [
        "office-hours, tag office-hours: on since 2026-11-24T08:00+09:00",
        "  next: suspend at 2026-11-24T21:00+09:00",
        "  kind           name   state  changes    keep until  last                 why",
        "  ec2_instances  web-1  on     Tue 21:00  -           started at 08:00:05  is on already",
        "  rds_instances  日報   off    -          Dec 1       -                    kept",
        "  WRONG: ecs_services: AccessDenied",
    ]


def test_what_is_not_there_is_said():
    empty = SCHEDULE | {"errors": {}, "resources": []}
    assert list(estate.lines({"schedules": [empty]}))[2:] == ["  nothing has this tag"]
    (line,) = estate.lines({"schedules": []})
    assert line == "no schedules: env_scheduler.schedules in the tfvars"
