"""Terraform's environment: where it keeps its data, and where it finds its provider."""

import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import files

ROOT = Path(__file__).resolve().parent.parent
HOST = "registry.terraform.io"
PROVIDER = f"{HOST}/hashicorp/aws"

# Where add-on software of a whole machine lives, Terraform's own implied folders among them.
SYSTEM_PLACES = tuple(
    f"{place}/{below}"
    for place in ("/opt", "/usr/local/share", "/usr/share", "/usr/local/lib", "/usr/lib")
    for below in ("*", "*/plugins")
)


def environment(
    data_dir: Path, *, lock: Path | None = None, shell: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the variables that a run of Terraform needs beside the person's own.

    `data_dir` becomes TF_DATA_DIR (`data_dir_of` has the usual ones); `lock` is the
    .terraform.lock.hcl whose provider version a mirror must hold to be of use.
    """
    variables = {"TF_DATA_DIR": str(data_dir), "CHECKPOINT_DISABLE": "1"}
    if not sys.stdin or not sys.stdin.isatty():
        variables["TF_INPUT"] = "0"
    config = mirror_config(ROOT / ".local", lock=lock, shell=shell)
    if config is not None:
        variables["TF_CLI_CONFIG_FILE"] = str(config)
    elif "TF_PLUGIN_CACHE_DIR" not in shell and not _own_settings(shell):
        plugins = ROOT / ".local/cache/terraform"
        plugins.mkdir(parents=True, exist_ok=True)  # Terraform does not make it
        variables["TF_PLUGIN_CACHE_DIR"] = str(plugins)
    return variables


def data_dir_of(env: str, stack_folder: Path) -> Path:
    """Return TF_DATA_DIR of an environment: for `local` within the stack, else in `.local`."""
    return stack_folder / "terraform" if env == "local" else ROOT / f".local/terraform-{env}"


def mirror_config(
    folder: Path,
    *,
    lock: Path | None = None,
    shell: Mapping[str, str] = os.environ,
    places: Iterable[str] = SYSTEM_PLACES,
) -> Path | None:
    """Write a CLI configuration for the machine's mirror of the AWS provider; None if not needed.

    Not needed, or not ours to decide, are: a machine without a mirror, a person who has settings
    of their own, and a mirror that lacks the locked version. A TF_CLI_CONFIG_FILE that names a
    missing file counts as unset.
    """
    if _own_settings(shell):
        return None
    version = _locked_version(lock)
    mirror = next((m for m in _mirrors(places) if _holds(m, version)), None)
    if mirror is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "terraform.rc"
    path = json.dumps(str(mirror)).replace("${", "$${").replace("%{", "%%{")
    files.write(
        config,
        f"""provider_installation {{
  filesystem_mirror {{
    path    = {path}
    include = ["{PROVIDER}"]
  }}
  direct {{
    exclude = ["{PROVIDER}"]
  }}
}}
""",
        mode=0o644,
    )
    return config


def _own_settings(shell: Mapping[str, str]) -> bool:
    named = shell.get("TF_CLI_CONFIG_FILE")
    if named and Path(named).exists():
        return True
    return Path(shell.get("HOME") or Path.home(), ".terraformrc").exists()


def _mirrors(places: Iterable[str]) -> list[Path]:
    found = (path for place in places for path in Path("/").glob(f"{place}/{HOST}".lstrip("/")))
    return sorted({path.parent for path in found if path.is_dir()})


def _locked_version(lock: Path | None) -> str | None:
    if lock is None or not lock.is_file():
        return None
    text = lock.read_text(encoding="utf-8")
    match = re.search(rf'provider "{re.escape(PROVIDER)}" {{\s*version\s*=\s*"([^"]+)"', text)
    return match[1] if match else None


def _holds(mirror: Path, version: str | None) -> bool:
    """Whether `mirror` has the provider for this machine, unpacked or as a zip."""
    system = f"{platform.system().lower()}_{_architecture()}"
    folder, wanted = mirror / PROVIDER, version or "*"
    unpacked = folder.glob(f"{wanted}/{system}")
    packed = folder.glob(f"terraform-provider-aws_{wanted}_{system}.zip")
    return any(unpacked) or any(packed)


def _architecture() -> str:
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
