"""The commands of AWS that the pages and scripts under infra show are ones that the AWS CLI would take: by the service models that it
is made of, each operation exists and has each option. Nobody finds out at three in the morning that an option is called otherwise.

    tests/aws_commands.py
"""

import pathlib
import re
import shlex
import sys

import botocore.session
from botocore import xform_name

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOUND_IN = [*sorted(ROOT.glob("infra/*.md")), *sorted(ROOT.glob("edge/*.md")), *sorted(ROOT.glob("functions/*.md"))]
SCRIPTS = [ROOT / "infra/fence", ROOT / "infra/rollback"]
# Those of the command line itself.
GLOBAL = {"--query", "--output", "--region", "--profile", "--cli-binary-format", "--no-paginate"}
# Commands that the command line has beside the operations of services.
OTHERS = {("cloudformation", "deploy"), ("cloudformation", "wait"), ("configure", "get"), ("ssm", "start-session")}
SESSION = botocore.session.get_session()


def commands(text):
    """The commands in a page or a script: `aws SERVICE OPERATION …`, to the end of the line, the backticks or the substitution."""
    text = re.sub(r"\\\n\s*", " ", text)
    for found in re.finditer(r"\baws ([a-z][a-z0-9]+) ([a-z][a-z-]+)((?:[^\n`;|&)]|\|\|)*)", text):
        yield found[1], found[2], found[3]


def wrong(service, operation, rest):
    """Returns what the command line would refuse, or nothing."""
    if (service, operation) in OTHERS:
        return None
    if service not in SESSION.get_available_services():
        return f"there is no service {service}"
    if operation == "wait":
        waiters = SESSION.get_waiter_model(service).waiter_names
        return None if rest.split()[0] in {xform_name(name, "-") for name in waiters} else f"nothing waits for {rest.split()[0]}"
    model = SESSION.get_service_model(service)
    known = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in known:
        return f"{service} has no {operation}"
    members = model.operation_model(known[operation]).input_shape.members
    options = {f"--{xform_name(name, '-')}" for name in members} | GLOBAL
    options |= {f"--no-{xform_name(name, '-')}" for name, shape in members.items() if shape.type_name == "boolean"}
    unknown = [word for word in words(rest) if re.fullmatch(r"--[a-z][a-z-]+", word) and word not in options]
    return f"{service} {operation} takes no {', '.join(unknown)}" if unknown else None


def words(rest):
    try:
        return shlex.split(rest, comments=True)
    except ValueError:
        return rest.split()


def main():
    refused, count = [], 0
    for path in [*FOUND_IN, *SCRIPTS]:
        for command in commands(path.read_text()):
            count += 1
            reason = wrong(*command)
            if reason:
                refused.append(f"{path.relative_to(ROOT)}: {reason}: aws {' '.join(command[:2])}{command[2]}")
    # What is made up is not taken.
    assert wrong("dynamodb", "update-tables", "") and wrong("dynamodb", "update-table", " --replica-update x")
    assert wrong("nothing", "at-all", "") and wrong("dynamodb", "wait", "table-is-there --table-name x")
    assert count > 40, count
    if refused:
        sys.exit("\n".join(refused))
    print(f"the AWS CLI has all {count} commands of the pages, and their options")


if __name__ == "__main__":
    main()
