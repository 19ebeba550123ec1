"""The expected answers, computed from the raw rows of the ledger and the policy file, without the program."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class Resource:
    arn: str
    resource_type: str
    region: str
    account: str
    created_at: int
    tags: dict

    def user_keys(self):
        return {key for key in self.tags if not key.lower().startswith("aws:")}


def varints(blob):
    """Decodes unsigned LEB128 numbers."""
    number, shift = 0, 0
    for byte in blob:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number, shift = 0, 0


def newest_resources(store):
    """Returns every resource of the newest snapshot, with its exact tags."""
    ledger = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    tags = {number: (key, value) for number, key, value in ledger.execute("SELECT id, key, value FROM tag")}
    sets = {number: [tags[tag] for tag in varints(blob)] for number, blob in ledger.execute("SELECT id, tags FROM tag_set")}
    rows = ledger.execute(
        "SELECT t.name, g.name, a.account_id, a.partition, r.local, r.created_at, c.tag_set_id, c.name FROM current c"
        " JOIN resource r USING (key) JOIN account a ON a.id = c.account_id"
        " JOIN region g ON g.id = c.region_id JOIN resource_type t ON t.id = c.type_id"
    ).fetchall()
    ledger.close()
    return [resource(*row[:6], sets.get(row[6], []), row[7]) for row in rows]


def billed_total_and_gap(store, start, end):
    """Returns all charges and the gap of the days from start to end, in millionths of a dollar, from the rows of the ledger."""
    ledger = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    first, last = (date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal() for day in (start, end))
    of = "SELECT total(micros) FROM bill WHERE part = ? AND day BETWEEN ? AND ?"
    sums = [ledger.execute(of, (part, first, last)).fetchone()[0] for part in (1, 3)]
    ledger.close()
    return sums


def resource(kind, region, account, partition, local, created_at, pairs, name):
    service = kind.split(":")[0]
    arn = local if local.startswith("arn:") else f"arn:{partition}:{service}:{region}:{account}:{local}"
    tags = dict(pairs) if name is None else {**dict(pairs), "Name": name}
    return Resource(arn, kind, region, account, created_at, tags)


def required_keys(policy_file):
    """Returns the keys that the policy requires, by resource type. A rule without types applies to every type."""
    rules = json.loads(policy_file.read_text())["required_tags"]
    return lambda kind: {rule["name"] for rule in rules if not rule.get("applies_to") or kind in rule["applies_to"]}


def without_tags(estate):
    """Returns the ARNs of resources without a user tag."""
    return {found.arn for found in estate if not found.user_keys()}


def missing_tags(estate, required):
    """Returns, by ARN, the required keys that a resource with user tags does not have in any letter case."""
    gaps = {}
    for found in estate:
        there = {key.lower() for key in found.tags}
        missing = {key for key in required(found.resource_type) if key.lower() not in there}
        if missing and found.user_keys():
            gaps[found.arn] = missing
    return gaps


class ExpectedLists:
    """The expected lists of a ledger by a policy."""

    def __init__(self, estate, policy_file):
        self.estate = estate
        self.without_tags = without_tags(estate)
        self.lacking = missing_tags(estate, required_keys(policy_file))

    def untagged_older_than(self, taken_at, days, region):
        """ARNs in a region, without tags or without required ones, created at least so many days before a moment."""
        latest = datetime.fromisoformat(taken_at).timestamp() - days * 24 * 3600
        old = {found.arn for found in self.estate if found.region == region and found.created_at <= latest}
        return old & (self.without_tags | self.lacking.keys())
