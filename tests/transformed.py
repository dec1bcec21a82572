"""What CloudFormation is given: infra/template.yaml as SAM transforms it.

    tests/transformed.py

A route that SAM reads otherwise than it is meant shows here and nowhere else before a deployment: what has no route must be
sent to a function, or preflights meet a bare 404; routes with limits of their own must exist, or the stage is not made.
"""

import copy
import logging
import os
import pathlib

import yaml
from samtranslator.translator.transform import transform

logging.disable(logging.WARNING)

TEMPLATE = pathlib.Path(__file__).resolve().parent.parent / "infra/template.yaml"
ANY = "x-amazon-apigateway-any-method"
# Asked by services and by the edge, whatever clients do.
OWN_LIMITS = ("/v1/internal/", "/v1/auth/.well-known/", "/.well-known/")


class NoPolicies:
    """The template names no policy of AWS, so that none has to be asked for."""

    def load(self):
        return {}


def transformed(template):
    template = copy.deepcopy(template)
    for found in template["Resources"].values():
        if found["Type"] == "AWS::Serverless::Function":
            found["Properties"]["CodeUri"] = "s3://bucket/bootstrap.zip"  # What `sam package` puts there.
    os.environ.setdefault("AWS_DEFAULT_REGION", "ap-south-1")
    return transform(template, {}, NoPolicies())["Resources"]


def target(operation):
    """The function that an operation of the transformed document is sent to."""
    integration = operation["x-amazon-apigateway-integration"]
    assert integration["payloadFormatVersion"] == "2.0", integration
    return integration["uri"]["Fn::Sub"].split("functions/${")[1].removesuffix(".Arn}/invocations")


def events(template):
    for name, found in template["Resources"].items():
        for event in found.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "HttpApi":
                yield name, event["Properties"]


def check(template):
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
    return len(routes)


def refused(template):
    try:
        check(template)
    except AssertionError:
        return True
    return False


def main():
    template = yaml.safe_load(TEMPLATE.read_text())
    count = check(template)

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
