"""The package as it is installed: what it needs, what it brings, and what it does without."""

import importlib.metadata
import json
import pathlib
import re
import subprocess
import sys
import types

import portcullis

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_it_needs_two_packages_and_no_framework():
    needed = [text for text in importlib.metadata.requires("portcullis") if "extra ==" not in text]
    assert sorted(re.split(r"[<>=\[]", text)[0] for text in needed) == ["httpx", "pyjwt"]
    hide = "import sys; sys.modules.update(fastapi=None, starlette=None, uvicorn=None, pydantic=None)"
    run = subprocess.run(
        [sys.executable, "-c", f"{hide}; import portcullis"], check=False, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_it_brings_its_types_and_the_policy():
    folder = pathlib.Path(portcullis.__file__).parent
    assert (folder / "py.typed").exists() and json.loads((folder / "default_policy.json").read_text())


def test_every_public_name_is_there_once_and_documented():
    assert sorted(portcullis.__all__) == sorted(set(portcullis.__all__))
    public = {
        name for name, value in vars(portcullis).items() if name[0] != "_" and not isinstance(value, types.ModuleType)
    }
    assert public == set(portcullis.__all__)
    assert [name for name in portcullis.__all__ if not getattr(portcullis, name).__doc__] in ([], ["Credential"])
