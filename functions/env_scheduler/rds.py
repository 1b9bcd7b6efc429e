"""RDS instances and Aurora clusters: two kinds of one shape, with what AWS will not stop.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_StopInstance.html
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-cluster-stop-start.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from common import aws
from env_scheduler import calls
from env_scheduler.calls import Culprits
from env_scheduler.decisions import Kind, Owner, Resource, State
from env_scheduler.marks import MARK

PAGE = 100
# What RDS-EVENT-0153 (clusters) and -0154 (instances) say; an event comes without its number.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Events.Messages.html
BY_ITSELF = "maximum allowed time being stopped"
_RACES = ("InvalidDBInstanceState", "InvalidDBInstanceStateFault", "InvalidDBClusterStateFault")
EVENTS_KEPT = timedelta(days=14)
_STATES: dict[str, State] = {"available": "on", "stopped": "off"}
# A person has to look at these; every other state passes.
_ODD = ("failed", "inaccessible", "incompatible", "insufficient", "restore-error", "storage-full")


@dataclass(frozen=True)
class Databases:
    """One of the two kinds: instances, or clusters."""

    kind: Kind
    noun: str  # in the names of calls and fields: DBInstance or DBCluster

    @property
    def _call(self) -> str:
        return "db_instance" if self.noun == "DBInstance" else "db_cluster"

    def pages(self, key: str, value: str) -> Iterator[list[Resource]]:
        """Give all databases with their tags, page by page: RDS does not filter by tag."""
        for page in self._listed(key, {}):
            yield [each for each in page if each.tags.get(key) == value]

    def named(self, key: str, names: Sequence[str]) -> Iterator[list[Resource]]:
        """Give the databases of these identifiers, as far as there are any."""
        wanted = {name.lower() for name in names}
        for some in calls.chunks(sorted(wanted), PAGE):
            only = {"Name": f"{self._call.replace('_', '-')}-id", "Values": some}
            for page in self._listed(key, {"Filters": [only]}):
                yield [each for each in page if each.name in wanted]

    def suspend(self, resources: Sequence[Resource]) -> Culprits:
        """Stop each."""
        return self._each("stop", resources, ("stopped", "stopping"))

    def start(self, resources: Sequence[Resource]) -> Culprits:
        """Start each."""
        return self._each("start", resources, ("available", "starting"))

    def mark(self, resources: Sequence[Resource], value: str) -> Culprits:
        """Write one mark on each. In some states RDS takes no tags: Busy, a later run writes it."""

        def act(database: Resource) -> None:
            try:
                aws.client("rds").add_tags_to_resource(
                    ResourceName=database.ref, Tags=[{"Key": MARK, "Value": value}]
                )
            except ClientError as error:
                if aws.has_code(error, *_RACES):
                    raise calls.Busy(database.said) from error
                raise

        return calls.one_by_one(resources, act)

    def restarts(self, since: datetime, now: datetime) -> dict[str, datetime]:
        """Return which databases AWS has started by itself after 7 days, and when last."""
        found: dict[str, datetime] = {}
        pages = (
            aws.client("rds")
            .get_paginator("describe_events")
            .paginate(
                SourceType=self._call.replace("_", "-"),
                StartTime=max(since, now - EVENTS_KEPT + timedelta(minutes=1)),
                EndTime=now,
                EventCategories=["notification"],
            )
        )
        for page in pages:
            for event in page["Events"]:
                if BY_ITSELF in event.get("Message", ""):
                    name = event["SourceIdentifier"].lower()
                    found[name] = max(event["Date"], found.get(name, event["Date"]))
        return found

    def _each(self, verb: str, resources: Sequence[Resource], done: Sequence[str]) -> Culprits:
        call = getattr(aws.client("rds"), f"{verb}_{self._call}")

        def act(database: Resource) -> None:
            try:
                call(**{f"{self.noun}Identifier": database.name})
            except ClientError as error:
                # Somebody was quicker, or RDS is at something: only a look can tell.
                if not aws.has_code(error, *_RACES):
                    raise
                state = self._state(database)
                if state in done:
                    return
                if state == database.said:
                    raise
                raise calls.Busy(state) from error

        return calls.one_by_one(resources, act)

    def _state(self, database: Resource) -> str:
        look = getattr(aws.client("rds"), f"describe_{self._call}s")
        (found,) = look(**{f"{self.noun}Identifier": database.name})[f"{self.noun}s"]
        return str(found.get("DBInstanceStatus") or found.get("Status"))

    def _listed(self, key: str, wanted: dict[str, Any]) -> Iterator[list[Resource]]:
        client = aws.client("rds")
        pager = client.get_paginator(f"describe_{self._call}s")
        world: set[str] | None = None
        for page in pager.paginate(**wanted, PaginationConfig={"PageSize": PAGE}):
            found = page[f"{self.noun}s"]
            if found and self.noun == "DBCluster" and world is None:
                world = _in_the_world(client)
            yield [self._resource(each, key, world or set()) for each in found]

    def _resource(self, found: dict[str, Any], key: str, world: set[str]) -> Resource:
        said = found.get("DBInstanceStatus") or found["Status"]
        odd: State = "odd" if said.startswith(_ODD) else "between"
        cluster = self.noun == "DBCluster"
        owned_by = None if cluster else found.get("DBClusterIdentifier")
        return Resource(
            kind=self.kind,
            name=found[f"{self.noun}Identifier"].lower(),
            ref=found[f"{self.noun}Arn"],
            state=_STATES.get(said, odd),
            said=said,
            tags=calls.tags(found.get("TagList", []), key),
            obstacle=_of_cluster(found, world) if cluster else _of_instance(found),
            owner=Owner("rds_clusters", owned_by.lower()) if owned_by else None,
            began=found.get("ClusterCreateTime" if cluster else "InstanceCreateTime"),
        )


def _of_instance(found: dict[str, Any]) -> str | None:
    source = found.get("ReadReplicaSourceDBInstanceIdentifier") or found.get(
        "ReadReplicaSourceDBClusterIdentifier"
    )
    replicas = found.get("ReadReplicaDBInstanceIdentifiers") or found.get(
        "ReadReplicaDBClusterIdentifiers"
    )
    if cluster := found.get("DBClusterIdentifier"):
        return f"belongs to the cluster {cluster}: tag that"
    if source:
        return f"is a read replica of {source}, which cannot be stopped"
    if replicas:
        return f"has read replicas ({', '.join(replicas)}), and cannot be stopped"
    if found.get("MultiAZ") and found.get("Engine", "").startswith("sqlserver"):
        return "is SQL Server in several zones, which cannot be stopped"
    return None


def _of_cluster(found: dict[str, Any], world: set[str]) -> str | None:
    if not found.get("Engine", "").startswith("aurora"):
        return f"runs {found.get('Engine')}: of clusters only Aurora is put to sleep"
    if found["DBClusterArn"] in world:
        return "is in a global cluster with other members, and cannot be stopped"
    if found.get("ReplicationSourceIdentifier") or found.get("ReadReplicaIdentifiers"):
        return "replicates to or from another cluster, and cannot be stopped"
    if found.get("EngineMode") in ("serverless", "multimaster"):
        return f"is of the mode {found['EngineMode']}, and cannot be stopped"
    return None


def _in_the_world(client: Any) -> set[str]:
    """Return the ARNs of the clusters that share a global cluster with others."""
    found: set[str] = set()
    for page in client.get_paginator("describe_global_clusters").paginate():
        for world in page["GlobalClusters"]:
            members = [m["DBClusterArn"] for m in world.get("GlobalClusterMembers", [])]
            found |= {*members} if len(members) > 1 else set()
    return found


instances = Databases("rds_instances", "DBInstance")
clusters = Databases("rds_clusters", "DBCluster")
