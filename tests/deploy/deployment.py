"""Compares the files for deployment with the program: image, compose file, CloudFormation, dashboard.

    python tests/deploy/deployment.py target/debug/tagledger

There is no container engine here: files are parsed, and what they say is compared with what the program says of itself.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import boto3
import yaml
from dockerfile_parse import DockerfileParser
from moto import mock_aws

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
PROGRAM = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else None
BINARY = "/usr/local/bin/tagledger"
UNPRIVILEGED_USER = "65532:65532"
GIB = 1 << 30
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": GIB}


def program_output(*arguments):
    ended = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def commands():
    listed = program_output("--help").split("Commands:")[1].split("Options:")[0]
    return set(re.findall(r"^  ([a-z]+)  ", listed, re.MULTILINE)) - {"help"}


def variables(*of):
    """Returns the environment variables that commands read."""
    found = set()
    for command in of:
        found |= set(re.findall(r"\[env: (\w+)", program_output(command, "--help")))
    return found


def default_port(command, variable):
    """Returns the port on which a command listens by default."""
    text = program_output(command, "--help")
    return int(re.search(rf"\[env: {variable}=\]\s+\[default: [\d.]+:(\d+)\]", text).group(1))


def parse_memory_size(text):
    return int(text[:-1]) * UNITS[text[-1]]


class CloudFormationLoader(yaml.SafeLoader):
    """Loads CloudFormation templates and converts short forms of functions to long forms."""


def construct_intrinsic(loader, suffix, node):
    name = suffix if suffix == "Ref" else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


CloudFormationLoader.add_multi_constructor("!", construct_intrinsic)


class Image(unittest.TestCase):
    def setUp(self):
        with tempfile.TemporaryDirectory() as folder:
            parser = DockerfileParser(path=folder)
            parser.content = (REPOSITORY / "Dockerfile").read_text()
            self.structure = parser.structure
            self.environment = parser.envs
        starts = [n for n, line in enumerate(self.structure) if line["instruction"] == "FROM"]
        self.build, self.final = self.structure[starts[0]:starts[1]], self.structure[starts[1]:]

    def values(self, instruction, stage):
        return [line["value"] for line in stage if line["instruction"] == instruction]

    def test_build_image_has_required_rust_version(self):
        wanted = re.search(r'rust-version = "([\d.]+)"', (REPOSITORY / "Cargo.toml").read_text()).group(1)
        images = dict(value.split("=", 1) for value in self.values("ARG", self.structure) if "=" in value)
        self.assertEqual(images["RUST_IMAGE"], f"rust:{wanted}-bookworm")
        self.assertEqual(len(self.values("FROM", self.structure)), 2)

    def test_copied_files_exist_and_build_is_locked(self):
        build = " ".join(self.values("RUN", self.build))
        self.assertIn("--locked", build)
        for source in re.findall(r"(\S+) /out/etc", build):
            self.assertTrue((REPOSITORY / source).is_file(), source)
        self.assertTrue((REPOSITORY / "Cargo.lock").is_file())

    def test_entrypoint_and_health_check_use_existing_commands(self):
        build = " ".join(self.values("RUN", self.build))
        self.assertIn(f"/out{BINARY}", build)
        self.assertIn("--from=build /out/usr /usr", self.values("COPY", self.final))
        self.assertEqual(json.loads(self.values("ENTRYPOINT", self.final)[0]), [BINARY])
        self.assertLessEqual(set(json.loads(self.values("CMD", self.final)[0])), commands())
        health = json.loads(self.values("HEALTHCHECK", self.final)[0].split("CMD ", 1)[1])
        self.assertEqual(health[0], BINARY)
        self.assertIn(health[1], commands())

    def test_image_runs_unprivileged_and_writes_to_volume_only(self):
        self.assertEqual(self.values("USER", self.final), [UNPRIVILEGED_USER])
        self.assertEqual(self.values("VOLUME", self.final), ["/data"])
        self.assertIn("--from=build --chown=65532:65532 /out/data /data", self.values("COPY", self.final))
        for name in ("TAGLEDGER_STORE", "TAGLEDGER_KEYS", "TAGLEDGER_AUDIT"):
            self.assertTrue(self.environment[name].startswith("/data/"), name)

    def test_environment_and_ports_match_program(self):
        of_glibc = {"MALLOC_MMAP_THRESHOLD_"}
        self.assertLessEqual(set(self.environment), variables("server", "scanner") | of_glibc)
        ports = {default_port("server", "TAGLEDGER_LISTEN"), default_port("scanner", "TAGLEDGER_CONTROL_LISTEN")}
        self.assertEqual({int(port) for port in self.values("EXPOSE", self.final)[0].split()}, ports)
        for name in ("TAGLEDGER_LISTEN", "TAGLEDGER_CONTROL_LISTEN"):
            host, port = self.environment[name].split(":")
            self.assertEqual((host, int(port) in ports), ("0.0.0.0", True), name)


class Compose(unittest.TestCase):
    def setUp(self):
        self.file = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
        self.services = self.file["services"]
        self.ours = {name: self.services[name] for name in ("scanner", "server")}

    def test_services_share_image_and_volume(self):
        self.assertEqual(set(self.services), {"scanner", "server", "redis"})
        self.assertEqual(len({service["image"] for service in self.ours.values()}), 1)
        self.assertEqual([name for name, service in self.services.items() if "build" in service], ["server"])
        for service in self.ours.values():
            self.assertIn("ledger:/data", service["volumes"])
        self.assertEqual(set(self.file["volumes"]), {"ledger"})
        self.assertTrue((REPOSITORY / "policies" / "tagging_policy.json").is_file())

    def test_services_use_existing_commands_and_settings(self):
        for name, service in self.ours.items():
            self.assertEqual(service["command"], [name])
            self.assertIn(name, commands())
            ours = {key for key in service["environment"] if not key.startswith(("AWS_", "OTEL_"))}
            self.assertLessEqual(ours, variables(name))

    def test_file_contains_no_credentials(self):
        for service in self.ours.values():
            for key, value in service["environment"].items():
                if key.startswith("AWS_") or "KEY" in key:
                    self.assertIsNone(value, key)

    def test_ports_and_health_checks_match_program(self):
        for name, variable in (("server", "TAGLEDGER_LISTEN"), ("scanner", "TAGLEDGER_CONTROL_LISTEN")):
            port, service = default_port(name, variable), self.ours[name]
            [published] = service["ports"]
            self.assertTrue(published.endswith(f":{port}") and "127.0.0.1" in published, published)
            self.assertEqual(service["healthcheck"]["test"], ["CMD", BINARY, "health", f"127.0.0.1:{port}"])
        self.assertTrue(self.ours["scanner"]["environment"]["REDIS_URL"].startswith("redis://redis:6379"))

    def test_limits_fit_two_cpus_and_four_gib(self):
        self.assertLessEqual(sum(parse_memory_size(service["mem_limit"]) for service in self.services.values()), 3 * GIB)
        self.assertLessEqual(max(service["cpus"] for service in self.services.values()), 2)

    def test_services_run_unprivileged_and_read_only(self):
        for name, service in self.services.items():
            self.assertTrue(service["read_only"], name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertEqual(service["security_opt"], ["no-new-privileges:true"], name)
            self.assertNotIn(str(service["user"]).split(":")[0], ("0", "root"), name)
            self.assertIn("max-size", service["logging"]["options"], name)
        for service in self.ours.values():
            self.assertEqual(service["user"], UNPRIVILEGED_USER)


class Stack(unittest.TestCase):
    PATH = DEPLOY / "cloudformation" / "tagledger.yaml"

    def setUp(self):
        self.template = yaml.load(self.PATH.read_text(), CloudFormationLoader)
        self.resources = self.template["Resources"]
        self.script = self.resources["Instance"]["Properties"]["UserData"]["Fn::Base64"]["Fn::Sub"]

    def test_cfn_lint_reports_nothing(self):
        command = [Path(sys.executable).parent / "cfn-lint", self.PATH]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertEqual((ended.returncode, ended.stdout), (0, ""))

    def test_role_equals_scanner_iam_policy(self):
        policies = self.resources["Role"]["Properties"]["Policies"]
        [scanner] = [policy for policy in policies if policy.get("PolicyName") == "scanner"]
        wanted = json.loads((DEPLOY / "iam" / "organization-scanner.json").read_text())
        self.assertEqual(scanner["PolicyDocument"]["Statement"], wanted["Statement"])

    def test_instance_requires_imdsv2_and_encrypts_ledger(self):
        options = self.resources["Instance"]["Properties"]["MetadataOptions"]
        self.assertEqual(options, {"HttpTokens": "required", "HttpPutResponseHopLimit": 2})
        self.assertTrue(self.resources["Ledger"]["Properties"]["Encrypted"])
        self.assertEqual(self.resources["Ledger"]["DeletionPolicy"], "Snapshot")
        ports = [rule["FromPort"] for rule in self.resources["SecurityGroup"]["Properties"]["SecurityGroupIngress"]]
        self.assertEqual(ports, [default_port("server", "TAGLEDGER_LISTEN")])

    def test_user_data_uses_existing_commands_and_settings(self):
        started = re.findall(r"\$\{ImageUri\} ([a-z]+)\"", self.script)
        self.assertEqual(started, ["scanner", "server"])
        self.assertLessEqual(set(started), commands())
        settings = set(re.findall(r"^(TAGLEDGER_\w+|REDIS_URL)=", self.script, re.MULTILINE))
        self.assertTrue(settings)
        self.assertLessEqual(settings, variables("scanner", "server"))
        [backup] = self.resources["Backup"]["Properties"]["PolicyDetails"]["TargetTags"]
        self.assertIn(backup, self.resources["Ledger"]["Properties"]["Tags"])

    def test_rendered_user_data_is_valid_bash(self):
        # moto has no lifecycle policies and returns an error for them.
        with warnings.catch_warnings(action="ignore"), mock_aws():
            session = boto3.Session("testing", "testing", region_name="us-east-1")
            ec2, formation = session.client("ec2"), session.client("cloudformation")
            vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
            given = {
                "VpcId": vpc, "SubnetId": subnet, "AvailabilityZone": "us-east-1a", "Accounts": "organization",
                "ImageUri": "111122223333.dkr.ecr.us-east-1.amazonaws.com/tagledger:1",
                "PolicyS3Uri": "s3://company-policies/tagging/policy.json",
                "LatestAmi": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
            }
            parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
            formation.create_stack(
                StackName="tagledger", TemplateBody=self.PATH.read_text(), Parameters=parameters,
                Capabilities=["CAPABILITY_IAM"],
            )
            [reservation] = ec2.describe_instances()["Reservations"]
            [instance] = reservation["Instances"]
            attribute = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
            script = base64.b64decode(attribute["UserData"]["Value"]).decode()
            volumes = {volume["VolumeId"]: volume for volume in ec2.describe_volumes()["Volumes"]}
        volume = re.search(r"^volume=(vol-\w+)$", script, re.MULTILINE).group(1)
        self.assertEqual(volumes[volume]["Size"], 20)
        self.assertIn("\nTAGLEDGER_ACCOUNTS=organization\n", script)
        self.assertIn('policy=s3://company-policies/tagging/policy.json\n', script)
        self.assertNotRegex(script, r"\$\{[A-Z]\w+\}")
        ended = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))


class Dashboard(unittest.TestCase):
    def test_panels_use_existing_metrics(self):
        sources = [REPOSITORY / "scanner/src/control/metrics.rs", REPOSITORY / "server/src/mcp/call_metrics.rs",
                   REPOSITORY / "shared/http/src/guard.rs"]
        text = "\n".join(path.read_text() for path in sources)
        known = set(re.findall(r'"((?:tagledger|mcp)_\w+)"', text))
        known |= {name + suffix for name in known for suffix in ("_bucket", "_sum", "_count")}
        dashboard = json.loads((DEPLOY / "grafana" / "tagledger.json").read_text())
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        self.assertGreaterEqual(len(panels), 8)
        for panel in panels:
            for target in panel["targets"]:
                used = set(re.findall(r"\b(?:tagledger|mcp)_\w+", target["expr"]))
                self.assertTrue(used, target["expr"])
                self.assertLessEqual(used, known, panel["title"])


if __name__ == "__main__":
    if PROGRAM is None:
        sys.exit(__doc__)
    # The help text contains the values of exported settings, which must not count as defaults.
    for name in [name for name in os.environ if name.startswith(("TAGLEDGER_", "REDIS_"))]:
        del os.environ[name]
    os.environ["COLUMNS"] = "100"
    unittest.main(verbosity=2)
