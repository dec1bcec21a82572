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
written = example.read_text()
assert before in written
# What is off unless somebody says so is planned both ways.
OPTIONS = """
  table_suffix = ".20261130"
  monthly_budget = 200
  multi_region_keys = false
}

provider "aws" {
  alias  = "front"
  region = "us-east-1"
}

module "front" {
  source          = "../waf"
  providers       = { aws = aws.front }
  environment     = "dev"
  api_url         = "https://api.example.com"
  domain_name     = "auth.example.com"
  certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-4000-8000-000000000000"
}
"""


def terraform(*arguments, may_fail=False):
    example = work / "infra/terraform/example"
    done = subprocess.run(["terraform", f"-chdir={example}", *arguments], env=environment, capture_output=True, text=True)
    if done.returncode != 0 and not may_fail:
        sys.exit(f"terraform {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout




def written_with(options):
    """The example with these settings of the module, and what follows it."""
    inside, _, after = options.partition("}\n")
    return written.replace(before, before + given + inside) + after


example.write_text(written_with(OPTIONS))
terraform("get")
# That the provider was overridden is what this check is made of; any other warning fails as an error does.
found = json.loads(terraform("validate", "-json", may_fail=True))["diagnostics"]
found = [one for one in found if "development overrides" not in one["summary"]]
if found:
    told = [f"{one['range']['filename']}:{one['range']['start']['line']}: {one['summary']}: {one['detail']}" for one in found]
    sys.exit("terraform validate:\n" + "\n".join(told))
for OPTIONAL in ("", OPTIONS):
    SUFFIX = ".20261130" if OPTIONAL else ""
    example.write_text(written_with(OPTIONAL))
    terraform("plan", "-input=false", "-out=plan")
    plan = json.loads(terraform("show", "-json", "plan"))
    modules = {found["address"]: found for found in plan["planned_values"]["root_module"]["child_modules"]}
    module = modules["module.portcullis"]


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
    text = json.dumps(module)
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
        "Table": planned("aws_dynamodb_table")[0]["arn"],
    }
    secrets = {
        (found["name"], found.get("index")): found["values"]["arn"]
        for found in module["resources"]
        if found["type"] == "aws_secretsmanager_secret"
    }
    arns |= {"Secrets": secrets["this", 0], "OperatorsVariables": secrets["operators", None]}
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
            return text.replace("${Environment}", "dev").replace("${TableSuffix}", SUFFIX).replace("${ConcurrentExecutions}", "1000")
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
    names |= {"Api": planned("aws_apigatewayv2_api")[""]["id"], "Environment": "dev"}


    def dimensions(of):
        def value(found):
            return names[found["Ref"]] if isinstance(found, dict) and "Ref" in found else resolved(found)

        return {d["Name"]: value(d["Value"]) for d in of.get("Dimensions", [])}


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
    table, of_template = planned("aws_dynamodb_table")[0], resources["Table"]["Properties"]
    same("recovery", table["point_in_time_recovery"][0]["enabled"], True)
    same("deletion protection", table["deletion_protection_enabled"], of_template["DeletionProtectionEnabled"])
    same("expiry", table["ttl"][0]["attribute_name"], of_template["TimeToLiveSpecification"]["AttributeName"])
    for bound in table["server_side_encryption"]:
        same("encryption", bound["kms_key_arn"], arns["Key"])
    same("name of the table", table["name"], f"portcullis-dev{SUFFIX}")
    same("name of the table in the functions", variables["TABLE_NAME"], table["name"])
    regions = {found["name"]: found["values"]["multi_region"] for found in module["resources"] if found["type"] == "aws_kms_key"}
    same("keys of several Regions", regions, {"this": not OPTIONAL, "broker": not OPTIONAL})
    budgets = [(made["limit_amount"], len(made["notification"])) for made in planned_all("aws_budgets_budget")]
    same("replication", (table["stream_enabled"], planned_all("aws_dynamodb_table_replica")), (False, []))
    same("replicas of secrets", [made["replica"] for made in planned_all("aws_secretsmanager_secret") if made["replica"]], [])
    same("budget", budgets, [("200", 3)] if OPTIONAL else [])
    same("what is in front", "module.front" in modules, bool(OPTIONAL))
[front] = modules["module.front"]["resources"]
front = front["values"]
of_front = yaml.safe_load((INFRA / "waf.yaml").read_text())["Parameters"]
same("parameters of what is in front", set(front["parameters"]), set(of_front))
same("where it leads", front["parameters"]["ApiHost"], "api.example.com")

# A standby in a second Region.
WITH_STANDBY = """
  standby_region = "ap-south-2"
  standby_keys   = module.standby.keys
}

provider "aws" {
  alias  = "standby"
  region = "ap-south-2"
}

module "standby" {
  source      = "../"
  providers   = { aws = aws.standby }
  standby_of  = module.portcullis.for_standby
  environment = "dev"
  public_url  = "https://auth.example.com"
  mail_from   = "auth@example.com"
  services    = jsonencode({ edge = ["api-key:verify"] })
  artifact    = "${path.root}/../../../target/lambda/bootstrap/bootstrap.zip"
  serving     = SERVING
}
"""
# What may run before a standby serves: infra/standby says it for the template.
ALWAYS = set(re.search(r"^ALWAYS = \((.*)\)$", (INFRA / "standby").read_text(), re.M)[1].replace('"', "").split(", "))


def plan_with_standby(serving):
    """The planned resources of the two modules, by type."""
    example.write_text(written_with(WITH_STANDBY.replace("SERVING", serving)))
    terraform("get")
    terraform("plan", "-input=false", "-out=plan")
    planned = json.loads(terraform("show", "-json", "plan"))["planned_values"]["root_module"]["child_modules"]
    modules = {found["address"].removeprefix("module."): found["resources"] for found in planned}

    def of(module, kind):
        return [found for found in modules[module] if found["type"] == kind]

    return of


def policies_of(of, module):
    found = of(module, "aws_iam_role_policy") + of(module, "aws_iam_policy")
    return {(one["name"], one.get("index")): json.loads(one["values"]["policy"]) for one in found}


for serving in ("true", "false"):
    of = plan_with_standby(serving)
    stopped = {made["index"] for made in of("standby", "aws_lambda_function") if made["values"]["reserved_concurrent_executions"] == 0}
    same(f"stopped with serving = {serving}", stopped, set(functions) - ALWAYS if serving == "false" else set())
    off = {made["index"] for made in of("standby", "aws_scheduler_schedule") if made["values"]["state"] == "DISABLED"}
    same(f"jobs that are off with serving = {serving}", off, set(schedules) - ALWAYS if serving == "false" else set())
    same("stopped in the first Region", {made["values"]["reserved_concurrent_executions"] for made in of("portcullis", "aws_lambda_function")}, {None})
[first], [replica] = of("portcullis", "aws_dynamodb_table"), of("standby", "aws_dynamodb_table_replica")
same("stream of the table", (first["values"]["stream_enabled"], first["values"]["stream_view_type"]), (True, "NEW_AND_OLD_IMAGES"))
same("table of the replica", replica["values"]["global_table_arn"], first["values"]["arn"])
same("recovery of the replica", (replica["values"]["point_in_time_recovery"], replica["values"]["deletion_protection_enabled"]), (True, True))
key_of = {(module, made["name"]): made["values"] for module in ("portcullis", "standby") for made in of(module, "aws_kms_key") + of(module, "aws_kms_replica_key")}
same("keys", set(key_of), {("portcullis", "this"), ("portcullis", "broker"), ("standby", "this"), ("standby", "broker")})
for name in ("this", "broker"):
    same(f"primary of {name}", key_of["standby", name]["primary_key_arn"], key_of["portcullis", name]["arn"])
same("key of the replica", replica["values"]["kms_key_arn"], key_of["standby", "this"]["arn"])
for secret in of("portcullis", "aws_secretsmanager_secret"):
    wanted = [] if secret["name"] == "operators" else [("ap-south-2", key_of["standby", "this"]["arn"])]
    same(f"replicas of {secret['address']}", [(made["region"], made["kms_key_id"]) for made in secret["values"]["replica"]], wanted)
for kind in ("aws_dynamodb_table", "aws_kms_key", "aws_secretsmanager_secret_rotation", "aws_budgets_budget"):
    same(f"{kind} of the standby", of("standby", kind), [])
same("secrets of the standby", [made["name"] for made in of("standby", "aws_secretsmanager_secret")], ["operators"])

# The rights of the first Region, on what this one has, and no others.
in_first, in_standby = policies_of(of, "portcullis"), policies_of(of, "standby")
same("policies of the standby", set(in_standby), set(in_first))
pattern = "arn:aws:secretsmanager:ap-south-2:111122223333:secret:portcullis/dev"
there = {key_of["portcullis", name]["arn"]: key_of["standby", name]["arn"] for name in ("this", "broker")}
for secret in of("portcullis", "aws_secretsmanager_secret"):
    if secret["name"] != "operators":
        there[secret["values"]["arn"]] = f"{pattern}{secret['values']['name'].removeprefix('portcullis/dev')}-??????"
for name, policy in in_first.items():
    text = json.dumps(policy)
    for here, instead in sorted(there.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(json.dumps(here), json.dumps(instead))
    same(f"rights of {name} in the standby", in_standby[name], json.loads(text.replace("ap-south-1", "ap-south-2")))
roles = [{made["values"]["name"] for made in of(module, "aws_iam_role")} for module in ("portcullis", "standby")]
same("roles of both", roles[0] & roles[1], set())

shutil.rmtree(work)
print(f"terraform plans {len(plan['resource_changes'])} resources, {len(functions)} functions among them, as the template has them")
