"""What CloudFormation is given: infra/template.yaml as SAM transforms it.

    tests/transformed.py

A route that SAM reads otherwise than it is meant shows here and nowhere else before a deployment: what has no route must be
sent to a function, or preflights meet a bare 404; routes with limits of their own must exist, or the stage is not made.
"""

import copy
import importlib.machinery
import importlib.util
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile

import yaml
from samtranslator.translator.transform import transform

logging.disable(logging.WARNING)

INFRA = pathlib.Path(__file__).resolve().parent.parent / "infra"
TEMPLATE = INFRA / "template.yaml"
# What SAM calls the alias of a function, after its name.
ALIAS = "Aliaslive"
ANY = "x-amazon-apigateway-any-method"
# Asked by services and by the edge, whatever clients do.
OWN_LIMITS = ("/v1/internal/", "/v1/auth/.well-known/", "/.well-known/oauth-authorization-server")


class NoPolicies:
    """The template names no policy of AWS, so that none has to be asked for."""

    def load(self):
        return {}


def transformed(template, parameters=None):
    template = copy.deepcopy(template)
    for found in template["Resources"].values():
        if found["Type"] == "AWS::Serverless::Function":
            found["Properties"]["CodeUri"] = "s3://bucket/bootstrap.zip"  # What `sam package` puts there.
    os.environ.setdefault("AWS_DEFAULT_REGION", "ap-south-1")
    return transform(template, parameters or {}, NoPolicies())["Resources"]


def target(operation):
    """The function that an operation of the transformed document is sent to."""
    integration = operation["x-amazon-apigateway-integration"]
    assert integration["payloadFormatVersion"] == "2.0", integration
    called = integration["uri"]["Fn::Sub"].split("functions/${")[1]
    return called.removesuffix("}/invocations").removesuffix(ALIAS).removesuffix(".Arn")


def events(template):
    for name, found in template["Resources"].items():
        for event in found.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "HttpApi":
                yield name, event["Properties"]


def check(template):
    """Holds the routes of the transformed template; returns how many there are, and its resources."""
    resources = transformed(template)
    paths = resources["Api"]["Properties"]["Body"]["paths"]
    for path, item in paths.items():
        assert path.startswith("/") or path == "$default", f"{path} is no path"
        for method in item:
            assert method in ("get", "post", "put", "patch", "delete", ANY), f"{path} has a method {method}"
    default = paths["$default"]
    assert set(default) == {ANY} and default[ANY].get("isDefaultRoute") is True, f"what has no route is sent nowhere: {default}"
    assert target(default[ANY]) == "JwksFunction"

    routes = {}
    for name, event in events(template):
        if "Path" in event:
            routes[f"{event['Method']} {event['Path']}"] = name
            assert target(paths[event["Path"]][event["Method"].lower()]) == name, event
    assert sum(len(item) for item in paths.values()) == len(routes) + 1, "no route but those of the template"

    [stage] = [found["Properties"] for found in resources.values() if found["Type"] == "AWS::ApiGatewayV2::Stage"]
    limits = stage["RouteSettings"]
    for route, own in limits.items():
        assert route in routes, f"the stage limits {route}, which is no route"
        assert own["DetailedMetricsEnabled"] is True, f"{route} has no metrics, and an alarm looks at them"
        assert own["ThrottlingRateLimit"] == {"Ref": "InternalRequestsPerSecond"}, route
    expected = {route for route in routes if route.split()[1].startswith(OWN_LIMITS)}
    assert set(limits) == expected, f"a flood of clients could silence {expected - set(limits)}"

    for name, found in resources.items():
        reserved = found.get("Properties", {}).get("ReservedConcurrentExecutions")
        assert reserved is None, f"{name} reserves {reserved} of the ten executions that a new account has"
    return len(routes), resources


def check_table(template):
    """Whoever names the table does so with the suffix of one that was restored: the stack need not have made it."""
    # But for the rotation, which waits for the table where the stack makes it.
    waits = template["Resources"]["KeyRotationFunction"]["Properties"]["Environment"]["Variables"]["TABLE_NAME"]
    named = template["Globals"]["Function"]["Environment"]["Variables"]["TABLE_NAME"]
    assert waits == {"Fn::If": ["MakesTable", {"Ref": "Table"}, named]}, waits
    text = json.dumps(template).replace(json.dumps(waits), "")
    for reference in ('{"Ref": "Table"}', '["Table", "Arn"]', "${Table}", "${Table."):
        assert reference not in text, f"{reference} is nothing where the table was restored"
    assert template["Resources"]["Table"]["Condition"] == "MakesTable"


def gradual_script():
    loader = importlib.machinery.SourceFileLoader("gradual", str(INFRA / "gradual"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gradual", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def check_gradual():
    """Every function has an alias that its callers go by, and a new version whenever the parameters change."""
    script = gradual_script()
    template = yaml.safe_load(script.gradual(TEMPLATE.read_text(), "first"))
    _, resources = check(template)
    functions = {name for name, found in template["Resources"].items() if found["Type"] == "AWS::Serverless::Function"}
    versions = {name for name, found in resources.items() if found["Type"] == "AWS::Lambda::Version"}
    assert len(versions) == len(functions), f"{len(versions)} versions of {len(functions)} functions"
    alarms = {found["Properties"]["AlarmName"]["Fn::Sub"] for found in template["Resources"].values() if found["Type"] == "AWS::CloudWatch::Alarm"}
    for name in functions:
        alias, group = resources[f"{name}{ALIAS}"], resources[f"{name}DeploymentGroup"]["Properties"]
        shift = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert shift["DeploymentGroupName"] == {"Ref": f"{name}DeploymentGroup"}, name
        assert alias["Properties"]["Name"] == "live", name
        assert "Linear10PercentEvery1Minute" in json.dumps(group["DeploymentConfigName"]), name
        watched = {alarm["Name"]["Fn::Sub"] for alarm in group["AlarmConfiguration"]["Alarms"]}
        assert watched and watched <= alarms, f"{watched - alarms} of {name} is no alarm"
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"], name
    calls = [found for found in resources.values() if found["Type"] == "AWS::Scheduler::Schedule"]
    for schedule in calls:
        assert ALIAS in json.dumps(schedule["Properties"]["Target"]["Arn"]), "a schedule calls past the alias"
    operations = [op for item in resources["Api"]["Properties"]["Body"]["paths"].values() for op in item.values()]
    assert all(ALIAS in op["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"] for op in operations), "a route calls past the alias"

    # The same with other parameters is another version of each; without the tag SAM would publish none.
    later = transformed(yaml.safe_load(script.gradual(TEMPLATE.read_text(), "second")))
    assert not versions & set(later), "a changed parameter would reach no version"
    assert script.parameters_of("prod") != script.parameters_of("default")
    return template


def check_rollback():
    """`infra/rollback` leads every alias to the version before, or none."""
    with tempfile.TemporaryDirectory() as folder:
        state, played = pathlib.Path(folder, "state.json"), pathlib.Path(folder, "aws")
        played.write_text(AWS)
        played.chmod(0o755)

        def run(aliases, *more):
            versions = {"login": [1, 9, 10, 11], "refresh": [2, 3]}
            state.write_text(json.dumps({"aliases": aliases, "versions": versions}))
            environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "STATE": str(state)}
            done = subprocess.run([INFRA / "rollback", "portcullis-dev", *more], env=environment, capture_output=True, text=True)
            return done.returncode, json.loads(state.read_text())["aliases"], done.stdout + done.stderr

        status, aliases, said = run({"login": 11, "refresh": 3})
        assert (status, aliases) == (0, {"login": 10, "refresh": 2}), said
        # By number and not by letter.
        assert run({"login": 10, "refresh": 3})[1]["login"] == 9
        status, aliases, said = run({"login": 11, "refresh": 3}, "--list")
        assert (status, aliases) == (0, {"login": 11, "refresh": 3}) and "login: 11 -> 10" in said, said
        status, aliases, said = run({"login": 11, "refresh": 2})
        assert (status, aliases["login"]) == (1, 11) and "no version before 2" in said, "one has none before it, and none is changed"
        status, aliases, said = run({"login": 11})
        assert (status, aliases["login"]) == (1, 11) and "infra/gradual" in said, said
        assert run({"login": 11, "refresh": 3}, "--now")[0] == 2


# The command line of AWS, as far as infra/rollback uses it.
AWS = """#!/usr/bin/env python3
import json, os, pathlib, sys
line = sys.argv[1:]
told = dict(zip(line, line[1:]))
path = pathlib.Path(os.environ["STATE"])
state = json.loads(path.read_text())
name = told.get("--function-name")
match line[:2]:
    case ["cloudformation", "list-stack-resources"]:
        print("\\t".join(state["versions"]))
    case ["lambda", "get-alias"]:
        if name not in state["aliases"]:
            sys.exit("ResourceNotFoundException")
        print(state["aliases"][name])
    case ["lambda", "list-versions-by-function"]:
        print("\\t".join(["$LATEST", *map(str, state["versions"][name])]))
    case ["lambda", "update-alias"]:
        assert told["--routing-config"] == "AdditionalVersionWeights={}"
        state["aliases"][name] = int(told["--function-version"])
        path.write_text(json.dumps(state))
    case other:
        sys.exit(f"{other} is not played")
"""


def refused(template):
    try:
        check(template)
    except AssertionError:
        return True
    return False


def main():
    template = yaml.safe_load(TEMPLATE.read_text())
    count, _ = check(template)
    check_table(template)
    check_gradual()
    check_rollback()

    # Each of these was once so, or could be.
    broken = copy.deepcopy(template)
    broken["Resources"]["JwksFunction"]["Properties"]["Events"]["Everything"]["Properties"] |= {"Method": "$default", "Path": "$default"}
    assert refused(broken), "a path called $default is not noticed"
    broken = copy.deepcopy(template)
    del broken["Resources"]["IntrospectionFunction"]["Properties"]["Events"]["GetInternalRevocations"]["Properties"]["RouteSettings"]
    assert refused(broken), "a feed without limits of its own is not noticed"
    broken = copy.deepcopy(template)
    broken["Resources"]["KeyRotationFunction"]["Properties"]["ReservedConcurrentExecutions"] = 1
    assert refused(broken), "a reservation is not noticed"
    print(f"{count} routes and the default one are transformed as they are meant")


if __name__ == "__main__":
    main()
