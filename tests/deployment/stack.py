"""Deploys infra/template.yaml to the engines of tests/with-cloud, as CloudFormation would.

    tests/deployment/stack.py FILE

The template is transformed by SAM, its intrinsic functions are resolved with the parameters of samconfig.toml and the
template's own defaults, and the table, the keys and the secrets are made as it says. FILE gets what `portcullis-gateway` needs
of the rest: the functions with their variables, and the routes of the API. What a parameter or a default of the template
leaves out, the functions do not have.
"""

import json
import os
import pathlib
import sys
import tomllib

import boto3
import yaml
from samcli.lib.intrinsic_resolver.intrinsic_property_resolver import IntrinsicResolver
from samcli.lib.intrinsic_resolver.intrinsics_symbol_table import IntrinsicsSymbolTable

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import transformed  # noqa: E402


def parameters():
    """What `sam deploy` gives the template when nothing else is said."""
    deploy = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    return dict(each.split("=", 1) for each in deploy["parameter_overrides"])


def resolved(template, given):
    """The transformed template with the values of parameters and of what was made already in their places."""
    document = template | {"Resources": transformed.transformed(template)}
    return IntrinsicResolver(document, IntrinsicsSymbolTable(document, given)).resolve_template(ignore_errors=True)["Resources"]


def make_keys(template):
    kms = boto3.client("kms")
    keys = [name for name, found in template["Resources"].items() if found["Type"] == "AWS::KMS::Key"]
    return {name: {"Arn": kms.create_key()["KeyMetadata"]["Arn"]} for name in keys}


def make_secrets(resources):
    client = boto3.client("secretsmanager")
    for found in of_type(resources, "AWS::SecretsManager::Secret").values():
        text, generated = found.get("SecretString"), found.get("GenerateSecretString")
        if generated:
            drawn = client.get_random_password(
                PasswordLength=generated["PasswordLength"], ExcludePunctuation=generated["ExcludePunctuation"]
            )["RandomPassword"]
            text = json.dumps(json.loads(generated["SecretStringTemplate"]) | {generated["GenerateStringKey"]: drawn})
        client.create_secret(Name=found["Name"], SecretString=text)


def make_sender(address):
    """What is done before the deployment: the domain that mail comes from is proven to SES."""
    boto3.client("sesv2").create_email_identity(EmailIdentity=address.split("@")[1])


def make_table(resources):
    [table] = of_type(resources, "AWS::DynamoDB::Table").values()
    client = boto3.client("dynamodb", endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"])
    client.create_table(
        **{name: table[name] for name in ("TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")}
    )


def of_type(resources, kind):
    return {name: found["Properties"] for name, found in resources.items() if found["Type"] == kind}


def routes(api, functions):
    """Every route of the API, and the function it is sent to."""
    for path, methods in api["Body"]["paths"].items():
        for method, operation in methods.items():
            target = next(name for name in functions if f":{name}/" in operation["x-amazon-apigateway-integration"]["uri"])
            if operation.get("isDefaultRoute"):
                yield target, {"method": "$default", "path": "$default"}
            else:
                yield target, {"method": method.upper(), "path": path}


def main():
    template = yaml.safe_load((ROOT / "infra/template.yaml").read_text())
    given = parameters() | {"AWS::Region": os.environ["AWS_REGION"], "AWS::StackName": "portcullis"} | make_keys(template)
    # The name that CloudFormation gives back for a table is the one it was given.
    [table] = of_type(resolved(template, given), "AWS::DynamoDB::Table").values()
    resources = resolved(template, given | {"Table": {"Ref": table["TableName"], "Arn": "arn:aws:dynamodb:::table"}})
    make_sender(given["MailFrom"])
    make_table(resources)
    make_secrets(resources)
    functions = {
        name: {
            # Lambda has texts alone.
            "variables": {key: str(value) for key, value in found["Environment"]["Variables"].items()},
            "routes": [],
        }
        for name, found in of_type(resources, "AWS::Lambda::Function").items()
    }
    [api] = of_type(resources, "AWS::ApiGatewayV2::Api").values()
    for target, route in routes(api, functions):
        functions[target]["routes"].append(route)
    pathlib.Path(sys.argv[1]).write_text(json.dumps(functions))


if __name__ == "__main__":
    main()
