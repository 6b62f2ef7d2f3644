"""Runs the rules of a TagAudit on an event. moto stores such rules and does not run them."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rehearsal.event_bus import matches, transformed


class EmbeddedAudit:
    """The rules of all Regions, as the API has them."""

    def __init__(self, connect: Callable[..., Any]) -> None:
        """`connect` gives the client of a service in a Region."""
        self._connect = connect

    def alerts(self, event: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
        """The rules of the event's Region that it meets, by name, and what each sends.

        Of an event that goes on to another Region's bus, what the rules there send.
        """
        events = self._connect("events", event["region"])
        for rule in events.list_rules(NamePrefix=prefix)["Rules"]:
            if rule["State"] == "DISABLED" or not matches(json.loads(rule["EventPattern"]), event):
                continue
            for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                arn = target["Arn"].split(":")
                if arn[2] == "events":
                    yield from self.alerts({**event, "region": arn[3]}, prefix)
                else:
                    made = target["InputTransformer"]
                    text = transformed(made["InputPathsMap"], made["InputTemplate"], event)
                    yield rule["Name"], text
