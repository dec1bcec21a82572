"""The template of a warm standby, as infra/standby writes it and SAM transforms it, beside that of the first Region; and
infra/fence, with a played command line of AWS.

    infra/standby && tests/standby.py
"""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import yaml

sys.dont_write_bytecode = True
from transformed import INFRA, TEMPLATE, transformed  # noqa: E402

# What is made in the first Region alone, and what replaces keys.
ELSEWHERE = {"AWS::DynamoDB::Table", "AWS::SecretsManager::RotationSchedule", "AWS::KMS::Key"}
WRITES = ("Put", "Update", "Delete", "BatchWrite", "TransactWrite", "Send", "Rotate")


def script():
    loader = importlib.machinery.SourceFileLoader("standby", str(INFRA / "standby"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("standby", loader))
    loader.exec_module(module)
    return module


def of_type(template, kind):
    return {name: found["Properties"] for name, found in template["Resources"].items() if found["Type"] == kind}


def strings(value):
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def rights(template):
    functions = of_type(template, "AWS::Serverless::Function")
    return {name: found.get("Policies", []) for name, found in functions.items()}


def check_first_region(template):
    """Secrets and table can be replicated where a standby is named, and are not where none is."""
    given = template["Parameters"]["StandbyRegion"]
    assert given["Default"] == "", "a standby is off unless somebody says so"
    secrets = of_type(template, "AWS::SecretsManager::Secret")
    assert len(secrets) == 6, sorted(secrets)
    for name, found in secrets.items():
        if name == "OperatorsVariables":
            assert "ReplicaRegions" not in found, "the variables of operators name keys of this Region"
            continue
        condition, [region], otherwise = found["ReplicaRegions"]["Fn::If"]
        assert (condition, otherwise) == ("HasStandby", {"Ref": "AWS::NoValue"}), name
        assert region["Region"] == {"Ref": "StandbyRegion"}, name
        # A key of several Regions has one id in all of them.
        assert region["KmsKeyId"]["Fn::Sub"].endswith(":kms:${StandbyRegion}:${AWS::AccountId}:key/${Key}"), name
    [table] = of_type(template, "AWS::DynamoDB::Table").values()
    stream = {"Fn::If": ["HasStandby", {"StreamViewType": "NEW_AND_OLD_IMAGES"}, {"Ref": "AWS::NoValue"}]}
    assert table["StreamSpecification"] == stream, table["StreamSpecification"]
    [rule] = template["Rules"]["StandbyAndKeys"]["Assertions"]
    assert rule["Assert"] == {"Fn::Equals": [{"Ref": "MultiRegionKeys"}, "true"]}


def check_parts(first, template):
    """The standby has what the first Region has, but what comes from there."""
    kinds = {found["Type"] for found in template["Resources"].values()}
    assert not kinds & ELSEWHERE, kinds & ELSEWHERE
    assert set(of_type(template, "AWS::SecretsManager::Secret")) == {"OperatorsVariables"}
    gone = set(first["Resources"]) - set(template["Resources"])
    assert gone == set(script().LEFT_OUT) and set(template["Resources"]) <= set(first["Resources"]), gone
    for name, key in of_type(first, "AWS::KMS::Key").items():
        made = template["Resources"][name]
        assert made["Type"] == "AWS::KMS::ReplicaKey" and made["DeletionPolicy"] == "Retain", name
        assert made["Properties"]["PrimaryKeyArn"] == {"Ref": {"Key": "PrimaryKeyArn", "BrokerKey": "PrimaryBrokerKeyArn"}[name]}
        assert made["Properties"]["KeyPolicy"] == key["KeyPolicy"], name
    # Nothing names what is not there.
    there = set(template["Parameters"]) | set(template["Resources"])
    left = {name for part in ("Parameters", "Resources", "Conditions") for name in set(first[part]) - set(template[part])}
    for text in strings({name: template[name] for name in ("Resources", "Conditions", "Outputs", "Rules", "Globals")}):
        assert text not in left and not any(f"${{{name}}}" in text or f"${{{name}." in text for name in left - there), text


def check_rights(first, template):
    """Each function may do what it may do in the first Region, with the secrets of the same names, and nothing else."""
    place = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"

    def named(value):
        """The rights of the first Region in the words of the standby."""
        if isinstance(value, list):
            return [named(item) for item in value]
        if not isinstance(value, dict):
            return value
        secret = first["Resources"].get(value.get("Ref"), {})
        if secret.get("Type") == "AWS::SecretsManager::Secret" and value["Ref"] != "OperatorsVariables":
            return {"Fn::Sub": f"{place}{secret['Properties']['Name']['Fn::Sub']}-??????"}
        return {name: named(item) for name, item in value.items()}

    assert named(rights(first)) == rights(template)
    for policy in ("ReadSecrets", "Operators"):
        assert named(first["Resources"][policy]["Properties"]) == template["Resources"][policy]["Properties"], policy
    # Of `portcullis/prod` alone, and of no part of it: the six characters are none of a name.
    assert f"{place}portcullis/${{Environment}}-??????" in strings(template["Resources"]["ReadSecrets"])


def check_closed(template):
    """Nothing writes before the standby serves: what may write does not run, and what runs may not write."""
    resources = transformed(template, {"Serving": "false"})
    stopped = {"Fn::If": ["Serves", {"Ref": "AWS::NoValue"}, 0]}
    open_, functions = set(), of_type({"Resources": resources}, "AWS::Lambda::Function")
    for name, made in functions.items():
        if made.get("ReservedConcurrentExecutions") == stopped:
            continue
        open_.add(name)
        of_policies = [text for text in strings(rights(template)[name]) if ":" in text and not text.startswith("arn:")]
        assert not [text for text in of_policies if text.split(":")[1].startswith(WRITES)], f"{name} runs, and may write"
    assert open_ == set(script().ALWAYS), open_
    states = {name: found["State"] for name, found in of_type({"Resources": resources}, "AWS::Scheduler::Schedule").items() if "State" in found}
    schedules = of_type({"Resources": resources}, "AWS::Scheduler::Schedule")
    running = [name for name in schedules if states.get(name) != {"Fn::If": ["Serves", "ENABLED", "DISABLED"]}]
    assert len(schedules) > 3 and [name.startswith("CanaryFunction") for name in running] == [True], running
    assert template["Conditions"]["Serves"] == {"Fn::Equals": [{"Ref": "Serving"}, "true"]}
    assert template["Parameters"]["Serving"]["Default"] == "false"


def check_fence():
    """`infra/fence` stops every function of the stack and goes on where one cannot be stopped; `--lift` undoes it."""
    with tempfile.TemporaryDirectory() as folder:
        state, played = pathlib.Path(folder, "state.json"), pathlib.Path(folder, "aws")
        played.write_text(AWS)
        played.chmod(0o755)

        def run(functions, *more):
            state.write_text(json.dumps(functions))
            environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "STATE": str(state)}
            done = subprocess.run([INFRA / "fence", "portcullis-prod", *more], env=environment, capture_output=True, text=True)
            return done.returncode, json.loads(state.read_text()), done.stdout + done.stderr

        status, after, said = run({"login": None, "refresh": None})
        assert (status, after) == (0, {"login": 0, "refresh": 0}) and "2 functions of portcullis-prod are stopped" in said, said
        status, after, said = run({"login": 0, "refresh": 0}, "--lift")
        assert (status, after) == (0, {"login": None, "refresh": None}) and "no longer stopped" in said, said
        status, after, said = run({"broken": None, "refresh": None})
        assert (status, after) == (1, {"broken": None, "refresh": 0}) and "as they were before: broken" in said, said
        assert run({})[0] == 1
        assert run({"login": None}, "--now")[:2] == (2, {"login": None})


# The command line of AWS, as far as infra/fence uses it.
AWS = """#!/usr/bin/env python3
import json, os, pathlib, sys
line = sys.argv[1:]
told = dict(zip(line, line[1:]))
path = pathlib.Path(os.environ["STATE"])
state = json.loads(path.read_text())
name = told.get("--function-name")
if name == "broken":
    sys.exit("TooManyRequestsException")
match line[:2]:
    case ["cloudformation", "list-stack-resources"]:
        print("\\t".join(state))
    case ["lambda", "put-function-concurrency"]:
        state[name] = int(told["--reserved-concurrent-executions"])
    case ["lambda", "delete-function-concurrency"]:
        state[name] = None
    case other:
        sys.exit(f"{other} is not played")
path.write_text(json.dumps(state))
"""


def main():
    first = yaml.safe_load(TEMPLATE.read_text())
    template = yaml.safe_load((INFRA / "standby.yaml").read_text())
    assert template == script().standby(yaml.safe_load(TEMPLATE.read_text())), "infra/standby has not run since the template changed"
    check_first_region(first)
    check_parts(first, template)
    check_rights(first, template)
    check_closed(template)
    check_fence()
    print(f"a standby has {len(template['Resources'])} resources, and writes nothing before it serves")


if __name__ == "__main__":
    main()
