"""Compares two endpoints with the same estate: the fake endpoint, and moto seeded from the fake's estate.

    python contract.py http://127.0.0.1:4566 http://127.0.0.1:5000 < estate.json

Each is listed by the same boto3 paginators, and the answers, with what each endpoint makes up (ids of EC2) put aside,
must be the same: ARN shapes, tags, states, engines, and whether a creation date is given. Exit 1 with a difference.
"""

import argparse
import json
import re
import sys
from collections import Counter

from inventory import Session, cells_of, listed, pages
from seed_moto import moto_session

MADE_UP = re.compile(r"\b(i|vol)-[0-9a-f]{17}$")
SHOWN = 20

# Fields that AWS documents and moto omits. The fake must return them; they are not compared with moto.
ONLY_FAKE = {("ecs:service", "dated")}


def normalised(resource):
    kind = resource.get("resource_type")
    compared = {field: value for field, value in resource.items() if (kind, field) not in ONLY_FAKE}
    return json.dumps({**compared, "arn": MADE_UP.sub(r"\1-*", resource["arn"])}, sort_keys=True, ensure_ascii=False)


def missing(found):
    """Returns the resources for which the fake omits a field that moto does not have."""
    for kind, field in sorted(ONLY_FAKE):
        bare = [resource["arn"] for resource in found if resource["resource_type"] == kind and not resource[field]]
        if bare:
            print(f"the fake gives no `{field}` of {len(bare)} {kind}, the first is {bare[0]}")
            yield kind


def tagged(session, cells):
    """Returns the response of GetResources for each account and region. S3 is omitted, because moto returns the buckets of all regions from each."""
    for account, region in cells:
        client = session.client("resourcegroupstaggingapi", account, region)
        filters = ["ec2:instance", "ecs", "lambda", "rds"]
        for found in pages(client, "get_resources", "ResourceTagMappingList", ResourceTypeFilters=filters):
            tags = sorted([tag["Key"], tag["Value"]] for tag in found["Tags"])
            if tags:  # only AWS and the fake return resources that were tagged in the past
                yield {"account": account, "region": region, "arn": found["ResourceARN"], "tags": tags}


def difference(what, fake, moto):
    """Prints the differences and returns their number."""
    fake, moto = (Counter(normalised(resource) for resource in side) for side in (fake, moto))
    print(f"{what}: {fake.total()} from the fake, {moto.total()} from moto")
    lines = [("only fake", *line) for line in (fake - moto).items()]
    lines += [("only moto", *line) for line in (moto - fake).items()]
    for side, resource, times in sorted(lines, key=lambda line: line[1])[:SHOWN]:
        print(f"  {side} ({times}x) {resource}")
    if len(lines) > SHOWN:
        print(f"  and {len(lines) - SHOWN} more")
    return len(lines)


def expected(estate, found):
    """Whether a list has the number of resources of each kind and the tags of the estate."""

    def key(resource, kind):
        tags = json.dumps(sorted(resource["tags"]), ensure_ascii=False)
        return (resource["account"], resource["region"], resource[kind], tags)

    truth = Counter(key(resource, "type") for resource in estate["resources"])
    return truth == Counter(key(resource, "resource_type") for resource in found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fake", help="endpoint of the fake")
    parser.add_argument("moto", help="endpoint of moto, seeded with the same estate")
    arguments = parser.parse_args()
    estate = json.load(sys.stdin)
    cells = cells_of(estate)
    fake, moto = Session(arguments.fake, estate["home"]), moto_session(arguments.moto)
    from_fake, from_moto = listed(fake, cells), listed(moto, cells)
    wrong = difference("lists", from_fake, from_moto) + len(list(missing(from_fake)))
    wrong += difference("GetResources", tagged(fake, cells), tagged(moto, cells))
    for name, found in [("fake", from_fake), ("moto", from_moto)]:
        if not expected(estate, found):
            print(f"the {name}'s lists differ from the estate itself")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
