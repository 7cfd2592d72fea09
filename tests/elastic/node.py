"""A real Elasticsearch node on loopback: fetched once with Maven, run as a user of its own.

Maven Central holds Elastic's stripped distribution (``integ-test-zip``): the server with its core modules,
without machine learning, ingest processors and scripting. It is fetched by artifact name into a cache folder
outside the repository and checked against :data:`SHA512`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import trustme
from filelock import FileLock

from tests.chroma_server import free_port

VERSION: Final = "8.19.16"
ARTIFACT: Final = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
#: Of the artifact on Maven Central.
SHA512: Final = (
    "97db38d6920fbdace83ce32d041e2e6faf1c895aa03dc3cc75715c952a646021"
    "af124f4e49b0a8e2bb066362cdec4d45772a846c613a8f459b7e8260f9d17067"
)
#: Names another folder for the unpacked server.
CACHE_VARIABLE: Final = "VECTORFACE_TEST_CACHE"

#: Elasticsearch refuses to run as root; where we are root it runs as this system user.
_USER: Final = "vectorface-es"
_OLDEST_JAVA: Final = 17
#: Bytes that a node's data takes at most in tests, with room.
_ROOM: Final = 2 << 30

_PLAIN: Final[Mapping[str, str]] = {
    "discovery.type": "single-node",
    "cluster.name": "vectorface-tests",
    "network.host": "127.0.0.1",
    "xpack.security.enabled": "false",
    "xpack.license.self_generated.type": "trial",
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    "cluster.max_shards_per_node": "5000",
    "action.destructive_requires_name": "true",
}

_SECURE: Final[Mapping[str, str]] = {
    **_PLAIN,
    "xpack.security.enabled": "true",
    "xpack.security.enrollment.enabled": "false",
    "xpack.security.autoconfiguration.enabled": "false",
    "xpack.security.http.ssl.enabled": "true",
    "xpack.security.http.ssl.key": "http.key",
    "xpack.security.http.ssl.certificate": "http.crt",
    "xpack.security.transport.ssl.enabled": "false",
}


class NodeError(RuntimeError):
    """The node could not be fetched or did not come up; the message says why."""


# -- fetching ---------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Return where the unpacked server is kept; a folder that the server's own user can read."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/cache/vectorface")
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vectorface"


def missing_tools() -> list[str]:
    """Return what is needed to fetch and run the server and is not there."""
    return [name for name in ("java", "mvn") if shutil.which(name) is None]


def fetched() -> Path:
    """Return the folder of the unpacked server, fetching it the first time.

    Raises:
        NodeError: Maven or Java is missing, the download failed, or it is not what :data:`SHA512` says.
    """
    home = cache_folder() / f"elasticsearch-{VERSION}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.parent / "elasticsearch.lock"):
        if not home.is_dir():
            _fetch_into(home)
    return home


def _fetch_into(home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        archive = _downloaded(Path(folder))
        digest = hashlib.sha512(archive.read_bytes()).hexdigest()
        if digest != SHA512:
            raise NodeError(f"{ARTIFACT} has the sha512 {digest}, not {SHA512}; nothing was unpacked.")
        with zipfile.ZipFile(archive) as content:
            content.extractall(folder)
        unpacked = Path(folder) / f"elasticsearch-{VERSION}"
        for script in (unpacked / "bin").iterdir():
            script.chmod(0o755)
        unpacked.chmod(0o755)
        unpacked.rename(home)


def _downloaded(folder: Path) -> Path:
    if lacking := missing_tools():
        raise NodeError(f"A node needs {' and '.join(lacking)}; install a JDK {_OLDEST_JAVA}+ and Maven.")
    command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    archive = folder / f"elasticsearch-{VERSION}.zip"
    if done.returncode or not archive.is_file():
        raise NodeError(f"Maven could not fetch {ARTIFACT}:\n{(done.stdout + done.stderr)[-2000:]}")
    return archive


# -- running ----------------------------------------------------------------------------------------------


class Node(AbstractContextManager["Node"]):
    """One Elasticsearch server with a data folder of its own.

    Args:
        users: Roles by user; with it users must say who they are, and connect by HTTPS. All have
            :attr:`password`, and there is the superuser ``elastic`` beside them.
        roles: What ``roles.yml`` says of roles that are not built in.
        heap: Size of the JVM's heap.
        for_timings: Whether it runs as in production. Tests run only the first of the JVM's two compilers:
            the second one takes longer than a test run gives it back.
    """

    host = "127.0.0.1"
    password = "bootstrap-password"  # noqa: S105 - of a server on loopback that lives for a test run

    def __init__(
        self,
        *,
        users: Mapping[str, str] | None = None,
        roles: str = "",
        heap: str = "768m",
        for_timings: bool = False,
    ) -> None:
        self.port = free_port()
        self._transport_port = free_port()
        self._heap = heap
        self._compilers = "" if for_timings else " -XX:TieredStopAtLevel=1"
        self._security = users is not None
        self._users = users or {}
        self._roles = roles
        self._home: Path | None = None
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._trusted: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self._security else 'http'}://{self.host}:{self.port}"

    @property
    def ca_certs(self) -> Path:
        """File with the authority that signed its certificate."""
        if self._folder is None:
            raise NodeError("The node was not started.")
        return self._folder / "authority.pem"

    @property
    def pid(self) -> int:
        """The process that runs it."""
        if self._process is None:
            raise NodeError("The node is not running.")
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, *, timeout: float = 120) -> None:
        """Start it, on the data it had if it was killed, and wait until it is healthy."""
        self._home = fetched()
        folder = self._prepared()
        settings = {
            **(_SECURE if self._security else _PLAIN),
            "path.data": str(folder / "data"),
            "path.logs": str(folder / "logs"),
            "http.port": str(self.port),
            "transport.port": str(self._transport_port),
        }
        with (folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._home / "bin" / "elasticsearch", *_options(settings)],
                env=self._environment(folder),
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is ours to pass on, when the tests have ended
                **_as_user(),
            )
        self._await(timeout)

    def _prepared(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="vectorface-es-", dir=_memory()))
            assert self._home is not None
            shutil.copytree(self._home / "config", self._folder / "config")
            for name in ("data", "logs", "tmp"):
                (self._folder / name).mkdir()
            if self._security:
                self._certify(self._folder)
            _give_to_user(self._folder)
            if self._security:
                self._secure(self._folder)
        return self._folder

    def _environment(self, folder: Path) -> dict[str, str]:
        java = Path(shutil.which("java") or "java").resolve()
        return {
            "PATH": os.environ["PATH"],
            "ES_JAVA_HOME": str(java.parent.parent),
            "ES_JAVA_OPTS": f"-Xms{self._heap} -Xmx{self._heap}{self._compilers}",
            "ES_PATH_CONF": str(folder / "config"),
            "ES_TMPDIR": str(folder / "tmp"),
            "HOME": str(folder),
        }

    def _certify(self, folder: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert(self.host)
        authority.cert_pem.write_to_path(self.ca_certs)
        issued.private_key_pem.write_to_path(folder / "config" / "http.key")
        issued.cert_chain_pems[0].write_to_path(folder / "config" / "http.crt")
        self._trusted = ssl.create_default_context(cafile=self.ca_certs)

    def _secure(self, folder: Path) -> None:
        (folder / "config" / "roles.yml").write_text(self._roles)
        self._run(folder, "elasticsearch-keystore", "create")
        self._run(folder, "elasticsearch-keystore", "add", "-x", "bootstrap.password", typed=self.password)
        for user, role in self._users.items():
            self._run(folder, "elasticsearch-users", "useradd", user, "-p", self.password, "-r", role)

    def _run(self, folder: Path, name: str, *arguments: str, typed: str = "") -> None:
        """Run one of the server's command-line tools on this node."""
        assert self._home is not None
        done = subprocess.run(
            [self._home / "bin" / name, *arguments],
            env=self._environment(folder),
            input=typed.encode(),
            capture_output=True,
            check=False,
            timeout=120,
            **_as_user(),
        )
        if done.returncode:
            raise NodeError(f"{name} {arguments[0]} failed: {(done.stdout + done.stderr).decode()}")

    def _await(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._healthy():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                told = self._output()
                self.kill()
                raise NodeError(f"Elasticsearch did not come up on port {self.port}:\n{told}")
            time.sleep(0.1)

    def _healthy(self) -> bool:
        try:
            health = self.request("GET", "/_cluster/health")
        except (OSError, ValueError):
            return False
        return health.get("status") in {"green", "yellow"}

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send a request with the rights of the superuser and return the answer."""
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 - http on loopback
        request.add_header("Content-Type", "application/json")
        if self._security:
            request.add_header("Authorization", _basic("elastic", self.password))
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=30, context=self._trusted) as answer:  # noqa: S310
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def _output(self) -> str:
        assert self._folder is not None
        with contextlib.suppress(OSError):
            return (self._folder / "output").read_text(errors="replace")[-4000:]
        return ""

    def kill(self) -> None:
        """End it at once, as a crash would; its data stays for :meth:`start`."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it; its data stays."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=20)
            self.kill()

    def close(self) -> None:
        """End it, and remove its data."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _memory() -> str | None:
    """Return a folder in memory, if there is one with room: each index that is made is synced to its disk."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    if shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > _ROOM:
        return str(shared)
    return None


def _options(settings: Mapping[str, str]) -> Iterator[str]:
    return (f"-E{key}={value}" for key, value in settings.items())


def _basic(user: str, password: str) -> str:
    from base64 import b64encode  # noqa: PLC0415 - needed here alone

    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _system_user() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(_USER)
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _USER]
    subprocess.run(command, check=True, capture_output=True)
    return pwd.getpwnam(_USER)


def _as_user() -> dict[str, Any]:
    if os.geteuid():
        return {}
    user = _system_user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _give_to_user(folder: Path) -> None:
    if os.geteuid():
        return
    user = _system_user()
    for path in _tree(folder):
        os.chown(path, user.pw_uid, user.pw_gid)


def _tree(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")
