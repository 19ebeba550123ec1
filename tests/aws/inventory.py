"""Lists an estate with boto3's paginators, in the fields that TagLedger reads."""

from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ROLE = "TagLedgerScan"
LIVE_STATES = ["pending", "running", "stopping", "stopped"]


class Session:
    """Clients of one endpoint for any account: with the caller's own key in its account, with an assumed role in others.

    `root_volumes` says that the endpoint makes up a root volume for every instance, and attaches no other.
    """

    def __init__(self, endpoint, home, key="AKIAFAKEFAKEFAKEFAKE", root_volumes=False):
        self.endpoint, self.home, self.key, self.root_volumes = endpoint, home, key, root_volumes
        self.keys, self.clients = {}, {}

    def client(self, service, account, region):
        where = (service, account, region)
        if where not in self.clients:
            self.clients[where] = self._connect(service, region, **self.credentials(account))
        return self.clients[where]

    def credentials(self, account):
        if account not in self.keys:
            self.keys[account] = self._own() if account == self.home else self._assumed(account)
        return self.keys[account]

    def _own(self):
        return {"aws_access_key_id": self.key, "aws_secret_access_key": "fake"}

    def _assumed(self, account):
        sts = self._connect("sts", "us-east-1", **self._own())
        arn = f"arn:aws:iam::{account}:role/{ROLE}"
        given = sts.assume_role(RoleArn=arn, RoleSessionName="contract")["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def _connect(self, service, region, **credentials):
        config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=20)
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=region, config=config, **credentials
        )


def pages(client, operation, result, **arguments):
    """Returns the items of all pages of a list."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page[result]


def pairs(tags, key="Key", value="Value"):
    return sorted([tag[key], tag.get(value) or ""] for tag in tags or [])


def entry(kind, arn, tags, **fields):
    return {"resource_type": kind, "arn": arn, "tags": tags, **fields}


def instances(session, account, region):
    ec2 = session.client("ec2", account, region)
    live = [{"Name": "instance-state-name", "Values": LIVE_STATES}]
    paging = {"PageSize": 20}
    for reservation in pages(ec2, "describe_instances", "Reservations", Filters=live, PaginationConfig=paging):
        for instance in reservation["Instances"]:
            yield entry(
                "ec2:instance",
                f"arn:aws:ec2:{region}:{account}:instance/{instance['InstanceId']}",
                pairs(instance.get("Tags")),
                state=instance["State"]["Name"],
                dated="LaunchTime" in instance,
            )


def volumes(session, account, region):
    ec2 = session.client("ec2", account, region)
    for volume in pages(ec2, "describe_volumes", "Volumes", PaginationConfig={"PageSize": 20}):
        if not (session.root_volumes and volume["Attachments"]):
            arn = f"arn:aws:ec2:{region}:{account}:volume/{volume['VolumeId']}"
            yield entry("ec2:volume", arn, pairs(volume.get("Tags")), dated="CreateTime" in volume)


def db_instances(session, account, region):
    rds = session.client("rds", account, region)
    for db in pages(rds, "describe_db_instances", "DBInstances", PaginationConfig={"PageSize": 20}):
        yield entry(
            "rds:db",
            db["DBInstanceArn"],
            pairs(db.get("TagList")),
            engine=db["Engine"],
            status=db["DBInstanceStatus"],
            dated="InstanceCreateTime" in db,
        )


def db_clusters(session, account, region):
    rds = session.client("rds", account, region)
    for cluster in pages(rds, "describe_db_clusters", "DBClusters", PaginationConfig={"PageSize": 20}):
        yield entry(
            "rds:cluster",
            cluster["DBClusterArn"],
            pairs(cluster.get("TagList")),
            engine=cluster["Engine"],
            status=cluster["Status"],
            dated="ClusterCreateTime" in cluster,
        )


def functions(session, account, region):
    client = session.client("lambda", account, region)
    for function in pages(client, "list_functions", "Functions"):
        arn = function["FunctionArn"]
        tags = client.list_tags(Resource=arn)["Tags"]
        yield entry("lambda:function", arn, sorted([key, value] for key, value in tags.items()), dated=False)


def ecs(session, account, region):
    client = session.client("ecs", account, region)
    clusters = list(pages(client, "list_clusters", "clusterArns"))
    for hundred in batches(clusters, 100):
        for cluster in client.describe_clusters(clusters=hundred, include=["TAGS"])["clusters"]:
            tags = pairs(cluster.get("tags"), "key", "value")
            yield entry("ecs:cluster", cluster["clusterArn"], tags, status=cluster["status"], dated=False)
    for cluster in clusters:
        arns = list(pages(client, "list_services", "serviceArns", cluster=cluster))
        for ten in batches(arns, 10):
            described = client.describe_services(cluster=cluster, services=ten, include=["TAGS"])
            for service in described["services"]:
                tags = pairs(service.get("tags"), "key", "value")
                dated = "createdAt" in service
                yield entry("ecs:service", service["serviceArn"], tags, status=service["status"], dated=dated)


def buckets(session, account, region):
    s3 = session.client("s3", account, region)
    for bucket in s3.list_buckets(BucketRegion=region)["Buckets"]:
        try:
            tags = s3.get_bucket_tagging(Bucket=bucket["Name"])["TagSet"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchTagSet":
                raise
            tags = []
        yield entry("s3:bucket", f"arn:aws:s3:::{bucket['Name']}", pairs(tags), dated="CreationDate" in bucket)


def batches(items, size):
    return [items[start : start + size] for start in range(0, len(items), size)]


LISTERS = [instances, volumes, db_instances, db_clusters, functions, ecs, buckets]


def listed(session, cells):
    """Returns every resource of the given accounts and regions, as the endpoint lists it."""

    def one(work):
        lister, (account, region) = work
        return [{"account": account, "region": region, **found} for found in lister(session, account, region)]

    for account, region in cells:
        for service in ["ec2", "rds", "lambda", "ecs", "s3"]:
            session.client(service, account, region)  # creating boto3 clients is not thread-safe
    work = [(lister, cell) for cell in cells for lister in LISTERS]
    with ThreadPoolExecutor(8) as pool:
        return [found for many in pool.map(one, work) for found in many]


def cells_of(estate):
    return sorted({(resource["account"], resource["region"]) for resource in estate["resources"]})
