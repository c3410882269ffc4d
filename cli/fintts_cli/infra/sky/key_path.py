"""Where SkyPilot's records say that its SSH key lies.

A launch is requested with a home folder of links (`keys`), and SkyPilot 0.14.1 keeps the path of
its key below that folder. Any later request with the ordinary home folder refuses that path
(`sky/utils/auth_utils.py: create_ssh_key_files_from_db`): an instance could then neither be asked
for its jobs nor be removed, and SkyPilot's own look at it would take it for damaged. The key is the
same file, so the records get its ordinary path.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.labels import PREFIX
from fintts_cli.infra.sky.pending import pending_launches

if TYPE_CHECKING:
    from collections.abc import Iterator

HOMES = ".sky/fintts"
"""Below the home folder: the folders of links with which launches are requested."""


def use_ordinary_key_paths(sky: Any) -> None:
    """Gives each cluster of ours the key's ordinary path.

    One that is still being launched keeps the other: its request works with the folder of links.
    """
    home = Path.home()
    if not (home / HOMES).is_dir() or not sky.server.common.is_api_server_local():
        return
    with suppress(Exception):  # SkyPilot may fail in any way, and says so where it is asked next
        found = dict(_with_path_of_links(sky, home))
        launching = [request.cluster_name for request in pending_launches(sky)] if found else []
        for name, text in found.items():
            if name not in launching:
                sky.global_user_state.set_cluster_yaml(name, text)


def _with_path_of_links(sky: Any, home: Path) -> Iterator[tuple[str, str]]:
    """Each cluster whose record has such a path, and the record with the ordinary one."""
    links = re.compile(re.escape(f"{home}/{HOMES}/") + r"[^/\s\"']+/\.sky/")
    state = sky.global_user_state
    for name in state.get_cluster_names_start_with(PREFIX):
        text = state.get_cluster_yaml_str(f"{name}.yml")
        if text is not None and links.search(text):
            yield name, links.sub(lambda _: f"{home}/.sky/", text)
