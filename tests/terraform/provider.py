"""A provider that has the schema of AWS and no AWS: Terraform checks and plans against it as it would against the real one.

It is told with SCHEMA where the typings of the AWS provider lie (the npm package @cdktf/provider-aws, generated from the
provider's own schema), and with TYPES which resources and data sources it is to know. Whatever AWS would compute is known
at once here and made up, so that a plan has no gaps and every condition in it is decided.
"""

import functools
import json
import os
import pathlib
import re

import tf.provider
import tf.runner
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc
from tf.utils import read_dynamic_value, to_dynamic_value

SCHEMA = pathlib.Path(os.environ["SCHEMA"])
ACCOUNT, PARTITION = "111122223333", "aws"
# There is a process for each provider of a configuration, and each is configured with its Region before anything is planned.
configured = {"region": "ap-south-1"}

INTERFACE = re.compile(r"^export interface (\w+)[^{]*\{\n(.*?)^\}", re.M | re.S)
# The name as Terraform has it stands in the comment before each property.
PROPERTY = re.compile(r"#(\w+) \w+#\w+\}.*?readonly \w+(\??): (.*?);\n(?=\s*(?:/\*\*|$))", re.S)
GETTER = re.compile(r"^    get (\w+)\(\): (string|number|boolean[^;]*|string\[\]|cdktf\.StringMap);", re.M)
PLAIN = {"string": "string", "number": "number", "boolean": "bool", "string[]": ["list", "string"], "cdktf.StringMap": ["map", "string"]}


def terraform_type(text):
    """The type of an attribute; None for a block."""
    text = text.replace(" | cdktf.IResolvable", "").strip()
    if text.startswith("{"):
        value = re.search(r"\]: (\w+)", text)[1]
        return ["map", PLAIN[value]]
    return PLAIN.get(text)


def snake(name):
    return re.sub(r"(?<!^)([A-Z]|(?<![0-9])[0-9]+$)", r"_\1", name).lower()


def computed(text, class_name, known):
    """What AWS alone decides: getters of a class that its configuration does not have."""
    found = text.find(f"export declare class {class_name} extends")
    if found < 0:
        return
    whole_class = text[found:].split("\nexport ", 1)[0]
    for getter, kind in GETTER.findall(whole_class):
        if not getter.endswith("Input") and snake(getter) not in known:
            yield pb.Schema.Attribute(name=snake(getter), type=json.dumps(terraform_type(kind)).encode(), computed=True)


def block(text, interfaces, name):
    attributes, blocks = [], []
    for attribute, optional, type_text in PROPERTY.findall(interfaces[name]):
        kind = terraform_type(type_text)
        if kind is not None:
            # What may be left out may be computed instead; which, the typings do not say.
            flags = {"optional": True, "computed": True} if optional else {"required": True}
            attributes.append(pb.Schema.Attribute(name=attribute, type=json.dumps(kind).encode(), **flags))
            continue
        inner = type_text.replace(" | cdktf.IResolvable", "").strip()
        blocks.append(
            pb.Schema.NestedBlock(
                type_name=attribute,
                block=block(text, interfaces, inner.removesuffix("[]")),
                nesting=pb.Schema.NestedBlock.LIST,
                min_items=0 if optional else 1,
                max_items=0 if inner.endswith("[]") else 1,
            )
        )
    known = {found.name for found in [*attributes, *(pb.Schema.Attribute(name=found.type_name) for found in blocks)]}
    class_name = name.removesuffix("Config") if name.endswith("Config") else f"{name}OutputReference"
    attributes.extend(found for found in computed(text, class_name, known) if found.name != "internal_value")
    return pb.Schema.Block(attributes=attributes, block_types=blocks)


@functools.cache
def schema(kind, name):
    """Of `resource` or `data` and a name like `aws_lambda_function`."""
    folder = (f"data-{name}" if kind == "data" else name.removeprefix("aws_")).replace("_", "-")
    text = (SCHEMA / folder / "index.d.ts").read_text()
    interfaces = dict(INTERFACE.findall(text))
    config = next(found for found in interfaces if found.endswith("Config") and f"interface {found} extends" in text)
    return pb.Schema(version=0, block=block(text, interfaces, config))


def names(kind):
    pairs = (entry.split(".") for entry in os.environ["TYPES"].split(","))
    return [name for found, name in pairs if found == kind]


def made_up(type_name, attribute, state):
    """A value AWS would compute."""
    kind = json.loads(attribute.type)
    called = next((state[by] for by in ("name", "function_name", "description") if state.get(by)), "only")
    if kind == "string":
        if attribute.name.endswith("arn"):
            return f"arn:{PARTITION}:{type_name}:{configured['region']}:{ACCOUNT}:{called}"
        known = {"region": configured["region"], "account_id": ACCOUNT, "partition": PARTITION, "name": configured["region"]}
        return known.get(attribute.name, f"{type_name}-{called}-{attribute.name}")
    if isinstance(kind, list):
        return {} if kind[0] == "map" else []
    return {"number": 1, "bool": False}[kind]


def decided(type_name, found, state):
    """Fills in what AWS decides: of a resource, and of the blocks inside it."""
    for attribute in found.attributes:
        # What is optional and left out stays out; `id` is in every typing, and AWS decides it.
        if state[attribute.name] is None and (attribute.name == "id" or not attribute.optional):
            state[attribute.name] = made_up(type_name, attribute, state)
    for inner in found.block_types:
        for one in state[inner.type_name] or []:
            decided(type_name, inner.block, one)


class Servicer(rpc.ProviderServicer):
    def GetMetadata(self, request, context):
        return pb.GetMetadata.Response(
            resources=[pb.GetMetadata.ResourceMetadata(type_name=name) for name in names("resource")],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=name) for name in names("data")],
        )

    def GetProviderSchema(self, request, context):
        region = pb.Schema.Attribute(name="region", type=b'"string"', optional=True)
        return pb.GetProviderSchema.Response(
            provider=pb.Schema(version=0, block=pb.Schema.Block(attributes=[region])),
            resource_schemas={name: schema("resource", name) for name in names("resource")},
            data_source_schemas={name: schema("data", name) for name in names("data")},
        )

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request, context):
        configured.update(read_dynamic_value(request.config))
        return pb.ConfigureProvider.Response()

    def ValidateResourceConfig(self, request, context):
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response()

    def PlanResourceChange(self, request, context):
        state = read_dynamic_value(request.proposed_new_state)
        decided(request.type_name, schema("resource", request.type_name).block, state)
        return pb.PlanResourceChange.Response(planned_state=to_dynamic_value(state))

    def ReadDataSource(self, request, context):
        state = read_dynamic_value(request.config)
        for attribute in schema("data", request.type_name).block.attributes:
            if state[attribute.name] is None:
                state[attribute.name] = made_up(request.type_name, attribute, state)
        return pb.ReadDataSource.Response(state=to_dynamic_value(state))

    def StopProvider(self, request, context):
        return pb.StopProvider.Response()


tf.provider.ProviderServicer = lambda _: Servicer()
tf.runner.run_provider(None)
