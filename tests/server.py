"""What is shipped for machines of one's own: its files by tools of others, the archive from unpacking to a first sign-in, and the
contents of the image, run as the image would be: as nobody, on a root that cannot be written.

    cargo build --workspace --all-targets --all-features
    target/tools/server/bin/python tests/server.py

The programs are those of the tests, stripped. Where `infra/release` has built those that are shipped, the image is also
assembled of them, and has to stay below its limit.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.error
import urllib.request

import yaml
from compose_spec import PyCompose
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
SERVER = ROOT / "infra/server"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
TOOLS = pathlib.Path(sys.executable).parent
USER = 65532
ASHA = {"email": "asha@example.com", "password": "marble orchard whispers northward"}
# From unpacking to a first sign-in on the machine of the tests, which may be busy; it takes some seconds.
SOON = 60
# systemd's own measure of what a unit may still do, from 0 to 100.
MOST_EXPOSED = 20
# Where only root may do something, and who runs the tests is not.
AS_ROOT = [] if os.geteuid() == 0 else ["sudo"]


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def post(port, path, body):
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request, timeout=30))


def status(port, path):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


@contextlib.contextmanager
def serving(command, **options):
    """Runs a server until the block ends, and wants it to end in an orderly way."""
    server = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True, **options)
    try:
        for line in server.stdout:
            if "Ctrl-C" in line:
                break
        else:
            sys.exit(f"{command[-1]} did not start: {server.wait()}")
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.stdout.read()
        if server.wait(timeout=60):
            sys.exit(f"{command[-1]} ended with {server.returncode}")


def blocks(language):
    """The blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (SERVER / "README.md").read_text(), re.M | re.S)


def check_page(programs, folder):
    """The sessions of the page are typed as they stand, and the variables that it sets are some that the server reads."""
    known = {"PATH": f"{programs}:/usr/bin:/bin"}
    for session in blocks("console"):
        command, _, wanted = session.partition("\n")
        said = run("bash", "-euc", command.removeprefix("$ "), cwd=folder, env=known)
        said = re.sub(r'"[^"]*/keys', '"…/keys', said)
        assert said.strip() == wanted.strip(), said
    assigned = {name for block in blocks("sh") for name in re.findall(r"\b([A-Z][A-Z_]+)=", block)}
    assert {"STORE", "KEYS_DIR", "PUBLIC_URL"} <= assigned, assigned
    check_names({name: None for name in assigned if not name.startswith("AWS_")})


def check_files():
    """Linters and schemas of others take the files, and refuse what is wrong with them."""
    dockerfile = (SERVER / "Dockerfile").read_text()
    run(TOOLS / "hadolint", SERVER / "Dockerfile")
    careless = subprocess.run([TOOLS / "hadolint", "-"], input=dockerfile.replace(":1.95.0-slim-bookworm", ""), capture_output=True, text=True)
    assert careless.returncode and "DL3006" in careless.stdout, careless.stdout
    for wanted in ["FROM scratch", f"USER {USER}:{USER}", 'ENTRYPOINT ["/bin/portcullis"]', '"/bin/portcullis", "healthcheck"']:
        assert wanted in dockerfile, wanted
    # The toolchain is the one that the workspace asks for.
    wanted = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    assert f"FROM rust:{wanted}." in dockerfile
    run(TOOLS / "kubernetes-validate", "--strict", SERVER / "kubernetes.yaml")
    check_kubernetes()
    check_compose()
    check_unit()


def check_kubernetes():
    objects = {(one["kind"]): one for one in yaml.safe_load_all((SERVER / "kubernetes.yaml").read_text())}
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"].endswith(f":{VERSION}"), "the version is in one place; this is a copy of it"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == USER
    settings = objects["ConfigMap"]["data"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings["LISTEN_ADDR"].endswith(f":{ports['http']}") and settings["METRICS_ADDR"].endswith(f":{ports['metrics']}")
    bound = int(settings["DRAIN_SECONDS"]) + 5 + 3
    assert pod["terminationGracePeriodSeconds"] > bound, "it is killed before it has drained"
    check_names(settings)


def check_names(settings):
    """Every variable of the files is one that the server reads, and its value one that it takes."""
    known = re.findall(r"^  ([A-Z_0-9]+)$", run(TARGET / "debug/portcullis", "--help"), re.M)
    unknown = set(settings) - set(known) - {"AWS_REGION"}
    assert not unknown, f"the server does not know {unknown}"


def check_compose():
    text = (SERVER / "compose.yaml").read_text()
    PyCompose.from_yaml(text)
    for wrong in [text.replace("read_only: true", "read_only: perhaps"), text.replace("read_only", "readonly")]:
        try:
            PyCompose.from_yaml(wrong)
        except ValueError:
            continue
        sys.exit("the parser of compose files takes anything")
    service = yaml.safe_load(text)["services"]["portcullis"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["user"] == f"{USER}:{USER}"
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (SERVER / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == SERVER / "Dockerfile"
    check_names(service["environment"])


def check_unit():
    unit = (SERVER / "portcullis.service").read_text()
    with tempfile.TemporaryDirectory() as folder:
        there = pathlib.Path(folder, "portcullis.service")
        there.write_text(unit.replace("/usr/local/bin/portcullis", "/bin/true"))
        run("systemd-analyze", "verify", "--man=no", there)
    check_names({name: None for name in re.findall(r"\b([A-Z][A-Z_]+)=[a-z/]", re.search(r"^Environment=(.*)$", unit, re.M)[1])})
    run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", SERVER / "portcullis.service")


def check_bill_of_materials():
    """The bill is one by the schema, and names what the programs are linked from."""
    text = run(SERVER / "sbom")
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert wrong is None, wrong
    bill = json.loads(text)
    assert bill["metadata"]["component"]["version"] == VERSION
    parts = {part["name"]: part for part in bill["components"]}
    for name in ["axum", "aws-lc-rs", "rustls", "lettre", "dynoxide-rs", "portcullis-identity"]:
        assert parts[name]["licenses"], name
    assert "proptest" not in parts and "portcullis-harness" not in parts, "tests are not linked"
    known = {part["bom-ref"] for part in bill["components"]}
    assert all(set(one["dependsOn"]) <= known for one in bill["dependencies"])
    print(f"the bill of materials names {len(parts)} crates")


def check_release(folder):
    """The script of releases says what it lacks before it compiles anything, and refuses programs that are not what it promises."""
    played = folder / "played"
    played.mkdir()
    # Cargo and its compiler, which is none: what it "builds" lies there already.
    built = folder / "built"
    here = built / "x86_64-unknown-linux-gnu/function"
    here.mkdir(parents=True)
    (played / "cargo").write_text(f'#!/bin/sh\necho "$@" >>{folder}/asked\n')
    (played / "rustc").write_text(f'#!/bin/sh\ncase $* in *x86_64*) echo {folder} ;; *) echo {folder}/nowhere ;; esac\n')
    for one in played.iterdir():
        one.chmod(0o755)

    def refused(*architectures, path):
        environment = os.environ | {"PATH": path, "CARGO_TARGET_DIR": str(built)}
        done = subprocess.run([ROOT / "infra/release", *architectures], env=environment, capture_output=True, text=True)
        assert done.returncode == 2, done
        return done.stderr

    assert "pip install cargo-zigbuild" in refused(path="/usr/bin:/bin")
    with_cargo = f"{played}:/usr/bin:/bin"
    assert "neither arm64 nor x86_64: sparc" in refused("sparc", path=with_cargo)
    assert "rustup target add aarch64-unknown-linux-gnu" in refused(path=with_cargo)
    assert "--locked" not in (folder / "asked").read_text(), "nothing is compiled for a release that cannot be made"
    # A program of this machine needs symbols that older ones lack.
    for name in ["portcullis", "manage-users"]:
        shutil.copy("/bin/bash", here / name)
    assert "needs GLIBC_2." in refused("x86_64", path=with_cargo)
    (here / "portcullis").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00\x01\x00\x00\x00" + bytes(40))
    assert "is no program for x86_64" in refused("x86_64", path=with_cargo)


def stripped(folder):
    """The programs of the tests without what only a debugger reads, as they would be shipped."""
    folder.mkdir()
    for name in ["portcullis", "manage-users"]:
        run("strip", "--strip-all", "-o", folder / name, TARGET / "debug" / name)
    return folder


def check_archive(programs, folder):
    """From the archive to a first sign-in, in an empty folder."""
    out = folder / "archives"
    out.mkdir()
    first = pathlib.Path(run(SERVER / "archive", programs, "x86_64", out).strip())
    assert first.name == f"portcullis-{VERSION}-x86_64-linux.tar.gz", first
    with tarfile.open(first) as archive:
        owners = {(member.uid, member.gid) for member in archive}
    unpack, start = blocks("sh")[0].split("./portcullis\n")
    assert VERSION in unpack and not start, "the page unpacks this version and starts it"
    began = time.monotonic()
    root = pathlib.Path(run("bash", "-euc", unpack + "pwd", cwd=out).strip())
    port = free_port()
    environment = {"LISTEN_ADDR": f"127.0.0.1:{port}", "RUST_LOG": "error"}
    with serving([root / "portcullis"], cwd=root, env=environment):
        post(port, "/v1/auth/register", ASHA | {"name": "Asha"})
        assert post(port, "/v1/auth/login", ASHA)["access_token"]
        took = time.monotonic() - began
        assert status(port, "/login") == 200, "the console"
    print(f"from the archive ({first.stat().st_size / 1e6:.0f} MB) to a first sign-in: {took:.1f} s")
    assert took < SOON, took
    assert owners == {(0, 0)}, owners
    said = run(root / "manage-users", "find", "asha", cwd=root, env={"USER": "tester"})
    assert "asha@example.com" in said, said
    assert VERSION in run(root / "portcullis", "--version")
    check_unit_in(root)


def check_unit_in(root):
    names = sorted(path.name for path in root.iterdir() if path.name != "data")
    assert names == ["CHANGELOG.md", "LICENSE", "README.md", "manage-users", "openapi.json", "portcullis", "portcullis.service"], names


def check_image_is_small(folder):
    """The image of the programs that are shipped, where they are built."""
    for built in [TARGET / "x86_64-unknown-linux-gnu/function", TARGET / "function"]:
        if (built / "portcullis").exists():
            print(run(SERVER / "image", built, folder / "small").strip())
            return
    print("infra/release has not run here: the size of the image is not judged; infra/server/image does it wherever one is built")


def check_image(programs, folder):
    """The contents of the image serve, and can be written nowhere but in their volume."""
    image = folder / "image"
    run(*AS_ROOT, "env", "ANY_SIZE=yes", SERVER / "image", programs, image)
    there = {str(path.relative_to(image)) for path in image.rglob("*") if path.is_file()}
    of_libraries = {path for path in there if re.search(r"\.so(\.\d+)*$", path)}
    assert there - of_libraries == {
        "bin/portcullis",
        "etc/group",
        "etc/nsswitch.conf",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
    }, there
    tools = folder / "manage-users"
    run("env", "ANY_SIZE=yes", SERVER / "image", programs, tools, "manage-users")
    assert [path.name for path in (tools / "bin").iterdir()] == ["manage-users"]
    port = free_port()
    settings = [f"LISTEN_ADDR=127.0.0.1:{port}", "DATA_DIR=/data", "RUST_LOG=error"]

    def inside(*command):
        in_it = ["chroot", f"--userspec={USER}:{USER}", image, "/bin/portcullis", *command]
        return [*AS_ROOT, "unshare", "--mount", "--propagation=private", "sh", "-euc", SCRIPT, "sh", image, *settings, *in_it]

    with serving(inside()):
        post(port, "/v1/auth/register", ASHA | {"name": "Asha"})
        assert post(port, "/v1/auth/login", ASHA)["access_token"]
        assert [status(port, path) for path in ["/livez", "/readyz", "/login"]] == [200, 200, 200]
        run(*inside("healthcheck"))
        # The same root and user: nothing can be made outside of the volume.
        for place in ["/etc/keys", "/bin/keys", "/keys"]:
            refused = subprocess.run(inside("make-keys", place), capture_output=True, text=True)
            assert refused.returncode == 2 and "cannot be written" in refused.stderr, refused
        made = run(*inside("make-keys", "/data/keys"))
        assert "master key" in made, made
    print("the contents of the image serve as nobody on a root that cannot be written")


# The image over itself, for reading alone, and a volume; then the program as the user of the image, which gains nothing.
SCRIPT = """
image=$1; shift
mount --bind "$image" "$image"
mount -t tmpfs -o uid=65532,gid=65532,mode=700,size=64m tmpfs "$image/data"
mount -o remount,bind,ro "$image"
exec setpriv --no-new-privs env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""


def main():
    check_files()
    check_bill_of_materials()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        programs = stripped(folder / "programs")
        check_page(programs, folder)
        check_release(folder)
        check_archive(programs, folder)
        check_image_is_small(folder)
        try:
            check_image(programs, folder)
        finally:
            run(*AS_ROOT, "rm", "-rf", folder / "image")


main()
