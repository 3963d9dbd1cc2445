"""How Maven Central is reached: through jgo (pure Python), by way of whatever mirror this machine is set up with.

In this order: $PENSTOCK_MAVEN_REPOSITORY, jgo's own configuration, a mirror of Central in ~/.m2/settings.xml, jgo's
default. Proxies are the usual environment variables (HTTPS_PROXY, REQUESTS_CA_BUNDLE). What the user's ~/.m2 has
already is taken from there, and only read: other tools write there, and jgo's own writes are not atomic.
"""

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

TIMEOUT_S = 60


def context(cache: Path) -> Any:
    """Return a jgo context that downloads into `cache`, which no other process may use at the same time."""
    from jgo.constants import default_maven_repo
    from jgo.maven import MavenContext

    return MavenContext(
        repo_cache=cache, local_repos=[default_maven_repo()], remote_repos=repositories(), timeout=TIMEOUT_S
    )


def resolve(maven: Any, coordinate: str) -> list[Any]:
    """Return the artifact named and, after it, all that it needs at run time."""
    asked, needed = maven.resolver.resolve([maven.create_dependency(coordinate)])
    return [dependency.artifact for dependency in [*asked, *needed]]


def repositories() -> dict[str, str]:
    """Return the repositories to ask, by name."""
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL

    configured: dict[str, str] = GlobalSettings.load().repositories
    central = os.environ.get("PENSTOCK_MAVEN_REPOSITORY") or configured.get("central") or _mirror()
    return {**configured, "central": (central or MAVEN_CENTRAL_URL).rstrip("/")}


def _mirror() -> str | None:
    """Return the mirror of Central in the user's Maven settings, if there is one."""
    settings = Path.home() / ".m2" / "settings.xml"
    if not settings.exists():
        return None
    try:
        root = ElementTree.parse(settings).getroot()  # noqa: S314 - the user's own file
    except ElementTree.ParseError:
        return None
    for mirror in root.iterfind("{*}mirrors/{*}mirror"):
        patterns = [word.strip() for word in (mirror.findtext("{*}mirrorOf") or "").split(",")]
        if "!central" not in patterns and {"central", "*", "external:*"} & set(patterns):
            return mirror.findtext("{*}url")
    return None
