"""Terraform validates and plans the example of infra/terraform, with a provider that has AWS's schema and needs no AWS.

    tests/terraform/check.py <archive of the npm package @cdktf/provider-aws>

What comes out is compared with the template the module reads: every function with its rights, every route, schedule and
alarm, nothing left unresolved.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import yaml

HERE = pathlib.Path(__file__).resolve().parent
INFRA = HERE.parent.parent / "infra"

template = yaml.safe_load((INFRA / "template.yaml").read_text())
resources = template["Resources"]
functions = {name: found for name, found in resources.items() if found["Type"] == "AWS::Serverless::Function"}
handlers = {name: found["Properties"]["Handler"] for name, found in functions.items()}


def events(kind):
    return [
        (name, event["Properties"])
        for name, found in functions.items()
        for event in found["Properties"].get("Events", {}).values()
        if event["Type"] == kind
    ]


work = pathlib.Path(tempfile.mkdtemp(prefix="portcullis-terraform-"))
shutil.copytree(INFRA, work / "infra", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
artifact = work / "target/lambda/bootstrap/bootstrap.zip"
artifact.parent.mkdir(parents=True)
artifact.write_bytes(b"bootstrap")

sources = "\n".join(path.read_text() for path in sorted(INFRA.glob("terraform/**/*.tf")))
types = sorted(set(re.findall(r'^(resource|data) "(aws_\w+)"', sources, re.M)))
folders = (f"data-{name}" if kind == "data" else name.removeprefix("aws_") for kind, name in types)
typings = {f"package/lib/{folder.replace('_', '-')}/index.d.ts" for folder in folders}
with tarfile.open(sys.argv[1]) as archive:
    archive.extractall(work, members=(member for member in archive if member.name in typings), filter="data")
plugins = work / "plugins"
plugins.mkdir()
provider = plugins / "terraform-provider-aws"
provider.write_text(f"#!{sys.executable}\n" + (HERE / "provider.py").read_text())
provider.chmod(0o755)
settings = work / "terraformrc"
settings.write_text(f'provider_installation {{\n  dev_overrides {{ "hashicorp/aws" = "{plugins}" }}\n  direct {{}}\n}}\n')
environment = os.environ | {
    "TF_CLI_CONFIG_FILE": str(settings),
    "CHECKPOINT_DISABLE": "1",
    "SCHEMA": str(work / "package/lib"),
    "TYPES": ",".join(f"{kind}.{name}" for kind, name in types),
}


# With everything that may be left out, so that all of it is planned.
example = work / "infra/terraform/example/main.tf"
given = """
  require_edge    = true
  domain_name     = "auth.example.com"
  certificate_arn = "arn:aws:acm:ap-south-1:111122223333:certificate/00000000-0000-4000-8000-000000000000"
  alarm_email     = "oncall@example.com"
  services        = jsonencode({ edge = ["api-key:verify"] })
"""
before = '  environment     = "dev"\n'
assert before in example.read_text()
example.write_text(example.read_text().replace(before, before + given))


def terraform(*arguments, may_fail=False):
    example = work / "infra/terraform/example"
    done = subprocess.run(["terraform", f"-chdir={example}", *arguments], env=environment, capture_output=True, text=True)
    if done.returncode != 0 and not may_fail:
        sys.exit(f"terraform {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout


terraform("get")
# That the provider was overridden is what this check is made of; any other warning fails as an error does.
found = json.loads(terraform("validate", "-json", may_fail=True))["diagnostics"]
found = [one for one in found if "development overrides" not in one["summary"]]
if found:
    told = [f"{one['range']['filename']}:{one['range']['start']['line']}: {one['summary']}: {one['detail']}" for one in found]
    sys.exit("terraform validate:\n" + "\n".join(told))
terraform("plan", "-input=false", "-out=plan")
plan = json.loads(terraform("show", "-json", "plan"))
module = plan["planned_values"]["root_module"]["child_modules"][0]


def planned(kind):
    return {found["index"] if "index" in found else "": found["values"] for found in module["resources"] if found["type"] == kind}


def planned_all(kind):
    return [found["values"] for found in module["resources"] if found["type"] == kind]


def same(what, got, expected):
    assert got == expected, f"{what}:\n  planned  {got}\n  template {expected}"


# Nothing is left for AWS to tell, and no intrinsic function of the template is left over.
for change in plan["resource_changes"]:
    assert change["change"]["actions"] == ["create"], change["address"]
    unknown = json.dumps(change["change"]["after_unknown"])
    assert "true" not in unknown, (change["address"], unknown)
text = json.dumps(plan["planned_values"])
for leftover in ("Fn::", '\\"Ref\\"', "${"):
    assert leftover not in text, leftover

lambdas = planned("aws_lambda_function")
same("functions", set(lambdas), set(functions))
globals_ = template["Globals"]["Function"]
for name, made in lambdas.items():
    wanted = functions[name]["Properties"]
    same(name, made["memory_size"], wanted["MemorySize"])
    same(name, made["timeout"], wanted.get("Timeout", globals_["Timeout"]))
    same(name, made["reserved_concurrent_executions"], None)
    same(name, made["runtime"], globals_["Runtime"])
    same(name, set(made["environment"][0]["variables"]), set(globals_["Environment"]["Variables"]))

shared = resources["ReadSecrets"]["Properties"]["PolicyDocument"]["Statement"]
arns = {
    "Table": planned("aws_dynamodb_table")[""]["arn"],
}
secrets = {
    (found["name"], found.get("index")): found["values"]["arn"]
    for found in module["resources"]
    if found["type"] == "aws_secretsmanager_secret"
}
arns |= {"Secrets": secrets["this", None], "OperatorsVariables": secrets["operators", None]}
arns |= {f"{index}Secret": arn for (name, index), arn in secrets.items() if name == "part"}
keys = {found["name"]: found["values"]["arn"] for found in module["resources"] if found["type"] == "aws_kms_key"}
arns |= {"Key": keys["this"], "BrokerKey": keys["broker"]}
values = {"Partition": "aws", "Region": "ap-south-1", "AccountId": "111122223333"}


def resolved(value):
    """What CloudFormation makes of the few intrinsic functions in policies."""
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::GetAtt" in value:
        return arns[value["Fn::GetAtt"][0]]
    if "Ref" in value:
        return "auth@example.com" if value["Ref"] == "MailFrom" else arns[value["Ref"]]
    if "Fn::Sub" in value:
        text = re.sub(r"\$\{AWS::(\w+)\}", lambda found: values[found[1]], value["Fn::Sub"])
        text = re.sub(r"\$\{(\w+)\.Arn\}", lambda found: arns[found[1]], text)
        return text.replace("${Environment}", "dev").replace("${ConcurrentExecutions}", "1000")
    return {name: resolved(item) for name, item in value.items()}


policies = {
    found["index"]: json.loads(found["values"]["policy"])
    for found in module["resources"]
    if found["type"] == "aws_iam_role_policy" and found["name"] == "function"
}
# A function of pages has no policy at all.
same("functions with rights", set(policies), {name for name, found in functions.items() if "Policies" in found["Properties"]})
for name in policies:
    own = [statement for policy in functions[name]["Properties"]["Policies"] for statement in policy.get("Statement", [])]
    same(f"rights of {name}", policies[name]["Statement"], resolved(shared + own))

routes = {made["route_key"] for made in planned("aws_apigatewayv2_route").values()}
keyed = {f"{p['Method']} {p['Path']}" if "Path" in p else "$default" for _, p in events("HttpApi")}
same("routes", routes, keyed)
[stage] = planned("aws_apigatewayv2_stage").values()
limited = {own["route_key"] for own in stage["route_settings"]}
same("routes with limits of their own", limited, {f"{p['Method']} {p['Path']}" for _, p in events("HttpApi") if "RouteSettings" in p})
schedules = {name: made["schedule_expression"] for name, made in planned("aws_scheduler_schedule").items()}
same("schedules", schedules, {name: p["ScheduleExpression"] for name, p in events("ScheduleV2")})
operators = planned("aws_iam_policy")[""]
same("rights of operators", json.loads(operators["policy"]), resolved(resources["Operators"]["Properties"]["PolicyDocument"]))
variables = lambdas["LoginFunction"]["environment"][0]["variables"]
[told] = [made["secret_string"] for made in planned_all("aws_secretsmanager_secret_version") if made["secret_string"] != "{}"]
same("variables of operators", dict(line.split("=", 1) for line in told.splitlines()), variables)
same("services", json.loads(variables["SERVICES"]), {"edge": ["api-key:verify"]})

alarms = {name: found["Properties"] for name, found in resources.items() if found["Type"] == "AWS::CloudWatch::Alarm"}
made_alarms = planned("aws_cloudwatch_metric_alarm")
same("alarms", set(made_alarms), set(alarms))
[topic] = planned("aws_sns_topic").values()
names = {name: made["function_name"] for name, made in lambdas.items()}
names |= {"Api": planned("aws_apigatewayv2_api")[""]["id"], "Table": planned("aws_dynamodb_table")[""]["name"], "Environment": "dev"}


def dimensions(of):
    return {d["Name"]: names[d["Value"]["Ref"]] if isinstance(d["Value"], dict) else d["Value"] for d in of.get("Dimensions", [])}


for name, wanted in alarms.items():
    made = made_alarms[name]
    same(f"who is told by {name}", (made["alarm_actions"], made["ok_actions"]), ([topic["arn"]], [topic["arn"]]))
    same(f"namespace of {name}", made["namespace"], resolved(wanted.get("Namespace")))
    same(f"metric of {name}", made["metric_name"], wanted.get("MetricName"))
    same(f"dimensions of {name}", made["dimensions"] or {}, dimensions(wanted))
    queries = {query["id"]: query for query in made["metric_query"] or []}
    same(f"metrics of {name}", set(queries), {query["Id"] for query in wanted.get("Metrics", [])})
    for query in wanted.get("Metrics", []):
        same(f"expression of {name}", queries[query["Id"]]["expression"], resolved(query.get("Expression")))
        for metric in queries[query["Id"]]["metric"]:
            same(f"{query['Id']} of {name}", metric["dimensions"] or {}, dimensions(query["MetricStat"]["Metric"]))
table, of_template = planned("aws_dynamodb_table")[""], resources["Table"]["Properties"]
same("recovery", table["point_in_time_recovery"][0]["enabled"], True)
same("deletion protection", table["deletion_protection_enabled"], of_template["DeletionProtectionEnabled"])
same("expiry", table["ttl"][0]["attribute_name"], of_template["TimeToLiveSpecification"]["AttributeName"])
for bound in table["server_side_encryption"]:
    same("encryption", bound["kms_key_arn"], arns["Key"])
shutil.rmtree(work)
print(f"terraform plans {len(plan['resource_changes'])} resources, {len(functions)} functions among them, as the template has them")
