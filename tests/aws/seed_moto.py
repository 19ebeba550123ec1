"""Seeds a running moto server with an estate.

    fake-aws --estate contract --seed-json | python seed_moto.py http://127.0.0.1:5000

The estate is read from standard input, and what AWS would list of it, read back from moto, is printed as JSON:
[{account, region, resource_type, arn, tags}]. moto is to be started with MOTO_EC2_LOAD_DEFAULT_AMIS=false. It knows
the caller's own key as account 123456789012 unless started with MOTO_ACCOUNT_ID, so here every account, the home
account too, is entered through AssumeRole.
"""

import argparse
import io
import json
import sys
import time
import zipfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from inventory import ROLE, Session, cells_of, listed

IMAGE = "ami-12c6146b"
CODE = io.BytesIO()
with zipfile.ZipFile(CODE, "w") as archive:
    archive.writestr("main.py", "def handler(event, context): pass")


def tag_list(tags, key="Key", value="Value"):
    return [{key: k, value: v} for k, v in tags]


def specification(kind, tags):
    return [{"ResourceType": kind, "Tags": tag_list(tags)}] if tags else []


def seed_instances(session, account, region, resources):
    """Sends one RunInstances request for all instances with the same state and tags."""
    ec2 = session.client("ec2", account, region)
    alike = defaultdict(int)
    for resource in resources:
        alike[(resource["state"], json.dumps(resource["tags"]))] += 1
    for (state, tags), count in alike.items():
        spec = specification("instance", json.loads(tags))
        run = ec2.run_instances(ImageId=IMAGE, MinCount=count, MaxCount=count, TagSpecifications=spec)
        if state == "stopped":
            ec2.stop_instances(InstanceIds=[instance["InstanceId"] for instance in run["Instances"]])


def seed_volumes(session, account, region, resources):
    ec2 = session.client("ec2", account, region)
    for resource in resources:
        spec = specification("volume", resource["tags"])
        ec2.create_volume(AvailabilityZone=f"{region}a", Size=8, TagSpecifications=spec)


def seed_clusters(session, account, region, resources):
    ecs = session.client("ecs", account, region)
    for resource in resources:
        ecs.create_cluster(clusterName=resource["name"], tags=tag_list(resource["tags"], "key", "value"))


def seed_services(session, account, region, resources):
    ecs = session.client("ecs", account, region)
    container = {"name": "main", "image": "scratch", "memory": 128}
    ecs.register_task_definition(family="main", containerDefinitions=[container])
    for resource in resources:
        ecs.create_service(
            cluster=resource["cluster"],
            serviceName=resource["name"],
            taskDefinition="main",
            desiredCount=0,
            tags=tag_list(resource["tags"], "key", "value"),
        )


def seed_functions(session, account, region, resources):
    client = session.client("lambda", account, region)
    iam = session.client("iam", account, region)
    role = f"function-{region}"
    iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    for resource in resources:
        client.create_function(
            FunctionName=resource["name"],
            Runtime="python3.13",
            Role=f"arn:aws:iam::{account}:role/{role}",
            Handler="main.handler",
            Code={"ZipFile": CODE.getvalue()},
            Tags=dict(resource["tags"]),
        )


def seed_db_clusters(session, account, region, resources):
    rds = session.client("rds", account, region)
    for resource in resources:
        rds.create_db_cluster(
            DBClusterIdentifier=resource["name"],
            Engine=resource["engine"],
            MasterUsername="admin1",
            MasterUserPassword="not-a-secret",
            Tags=tag_list(resource["tags"]),
        )


def seed_db_instances(session, account, region, resources):
    rds = session.client("rds", account, region)
    for resource in resources:
        rds.create_db_instance(
            DBInstanceIdentifier=resource["name"],
            DBInstanceClass="db.t3.micro",
            AllocatedStorage=20,
            Engine=resource["engine"],
            MasterUsername="admin1",
            MasterUserPassword="not-a-secret",
            Tags=tag_list(resource["tags"]),
        )


def seed_buckets(session, account, region, resources):
    s3 = session.client("s3", account, region)
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    for resource in resources:
        s3.create_bucket(Bucket=resource["name"], **place)
        if resource["tags"]:
            s3.put_bucket_tagging(Bucket=resource["name"], Tagging={"TagSet": tag_list(resource["tags"])})


# Clusters are created before their services.
SEEDERS = {
    "ec2:instance": seed_instances,
    "ec2:volume": seed_volumes,
    "ecs:cluster": seed_clusters,
    "ecs:service": seed_services,
    "lambda:function": seed_functions,
    "rds:cluster": seed_db_clusters,
    "rds:db": seed_db_instances,
    "s3:bucket": seed_buckets,
}


def seed(session, estate):
    """Creates every resource of the estate."""
    by_cell = defaultdict(lambda: defaultdict(list))
    for resource in estate["resources"]:
        by_cell[(resource["account"], resource["region"])][resource["type"]].append(resource)
    for cell in by_cell:
        for service in ["ec2", "rds", "lambda", "ecs", "s3", "iam"]:
            session.client(service, *cell)

    def fill(cell):
        for kind, seeder in SEEDERS.items():
            if by_cell[cell][kind]:
                seeder(session, *cell, by_cell[cell][kind])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, by_cell))


def moto_session(endpoint):
    """A session that assumes a role in every account and omits the volumes that moto adds to instances."""
    return Session(endpoint, home=None, root_volumes=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=f"The role assumed is {ROLE}.")
    parser.add_argument("endpoint", help="where moto listens, such as http://127.0.0.1:5000")
    endpoint = parser.parse_args().endpoint
    estate = json.load(sys.stdin)
    session = moto_session(endpoint)
    begun = time.monotonic()
    seed(session, estate)
    print(f"seeded {len(estate['resources'])} resources in {time.monotonic() - begun:.1f} s", file=sys.stderr)
    fields = ["account", "region", "resource_type", "arn", "tags"]
    found = listed(session, cells_of(estate))
    json.dump([{field: resource[field] for field in fields} for resource in found], sys.stdout)


if __name__ == "__main__":
    main()
