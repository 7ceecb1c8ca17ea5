"""Whether deploy/secrets does what deploy/README.md says, with the broker that its files are for."""

import base64
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy/secrets"
VARIABLE = "PITAYA_CLUSTER_RPC_CLIENT_NATS_AUTH_PASS"
CERTIFICATES = ["game/game.crt", "nats/nats.crt", "etcd/etcd.crt"]


def run(folder, *flags, umask=0o022):
    environment = {**os.environ, "PITAYA_SECRETS": str(folder)}
    return subprocess.run([SCRIPT, *flags], env=environment, capture_output=True, text=True, umask=umask)


def made(folder):
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return done


def refused(folder, *flags, because):
    """It fails, says why, and prints no part of the Secrets."""
    before = contents(folder)
    done = run(folder, *flags)
    assert done.returncode == 1 and because in done.stderr, f"{flags}: {done.returncode}: {done.stderr}"
    assert "kind: Secret" not in done.stdout, "a part of the Secrets was printed"
    assert contents(folder) == before, "it changed files, and failed"


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def arguments(folder):
    for flags in (["--kubernets"], ["--kubernetes", "--check"], [""]):
        done = run(folder, *flags)
        assert done.returncode == 2 and "usage:" in done.stderr, flags
    for flag in ("--help", "-h"):
        done = run(folder, flag)
        assert done.returncode == 0 and "--kubernetes" in done.stdout and not done.stderr
    assert not contents(folder), "a question made files"


def kubernetes_makes_nothing(folder):
    for flag in ("--kubernetes", "--check"):
        refused(folder, flag, because="is not there")
        assert not folder.exists()
    made(folder)
    # Neither copies of editors nor folders are in the Secrets.
    (folder / "nats/nats.conf~").write_text("old")
    (folder / "game/notes").mkdir()
    before = contents(folder)
    done = run(folder, "--kubernetes")
    assert done.returncode == 0, done.stderr
    secrets = {document["metadata"]["name"]: document for document in yaml.safe_load_all(done.stdout)}
    assert set(secrets) == {"nats", "etcd", "game", "game-login"}
    assert set(secrets["nats"]["data"]) == {"ca.pem", "nats.crt", "nats.key", "nats.conf", "game.conf"}
    assert set(secrets["game"]["data"]) == {"ca.pem", "game.crt", "game.key", "authentication.key"}
    assert base64.b64decode(secrets["etcd"]["data"]["etcd.key"]) == (folder / "etcd/etcd.key").read_bytes()
    assert contents(folder) == before
    made(folder)
    for name in ("game/authentication.key", "nats/game.conf", "etcd/ca.pem", "game.env"):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        refused(folder, "--kubernetes", because=f"{name} is not there")
        (folder / name).write_bytes(kept)


def modes_are_closed(folder):
    done = run(folder, umask=0)
    assert done.returncode == 0, done.stderr
    assert mode(folder) == mode(folder / "authority") == 0o700
    for name in ("authority/ca.key", "nats/nats.key", "etcd/etcd.key", "nats/game.conf", "game.env"):
        assert mode(folder / name) == 0o600, name
    (folder / "authority/ca.key").chmod(0o644)
    made(folder)
    assert mode(folder / "authority/ca.key") == 0o600


def authority_elsewhere(folder):
    made(folder)
    elsewhere = folder.parent / "elsewhere"
    shutil.move(folder / "authority", elsewhere)
    refused(folder, because="the authority is not here; bring")
    # All that is asked of those who only hand out what is there.
    for flag in ("--kubernetes", "--check"):
        assert run(folder, flag).returncode == 0, flag
    for name in CERTIFICATES:
        (folder / name).unlink()
        (folder / name).with_suffix(".key").unlink()
    refused(folder, because="the authority is not here; bring")
    shutil.rmtree(folder / "authority", ignore_errors=True)
    shutil.move(elsewhere, folder / "authority")
    made(folder)
    assert run(folder, "--check").returncode == 0


def what_is_there_stays(folder):
    made(folder)
    before = contents(folder)
    made(folder)
    assert contents(folder) == before
    conf = folder / "nats/nats.conf"
    conf.write_text(conf.read_text() + "# a login of our own\n")
    (folder / "game.env").write_text(f"{VARIABLE}=another.password-1\n")
    (folder / "game/game.crt").unlink()
    (folder / "game/game.key").unlink()
    before = contents(folder)
    made(folder)
    changed = {str(name) for name, text in contents(folder).items() if before.get(name) != text}
    assert changed == {"nats/game.conf", "game/game.crt", "game/game.key"}, changed
    assert '"another.password-1"' in (folder / "nats/game.conf").read_text()
    conf.write_text("authorization { users = [] }\n")
    done = made(folder)
    assert "neither includes game.conf" in done.stderr


def halves_and_empty_files(folder):
    made(folder)
    for gone, there in [("nats/nats.key", "nats.crt"), ("etcd/etcd.crt", "etcd.key"), ("authority/ca.key", "ca.pem")]:
        kept = (folder / gone).read_bytes()
        (folder / gone).unlink()
        name = gone.split("/")[1]
        refused(folder, because=f"{there} is there and {name} is not")
        (folder / gone).write_bytes(kept)
    keys, login = folder / "game/authentication.key", folder / "game.env"
    good = keys.read_text(), login.read_text()
    key = "k" * 32
    for text, because in [
        ("", "is empty"),
        ("\n# none\n", "there is no key in it"),
        (f"{key}\nshort\n", "line 2 is shorter than 32 bytes"),
        (f"# a comment\n{key} {key}\n", "line 2 has a blank in it"),
    ]:
        keys.write_text(text)
        for flags in ([], ["--kubernetes"]):
            refused(folder, *flags, because=because)
    keys.write_text(f"# the newest\n\n{key}\r\n  {good[0]}")
    made(folder)
    for text, because in [
        ("", "is empty"),
        ("OTHER=1\n", "has no line"),
        (f"{VARIABLE}=\n", "has no line"),
        (good[1] * 2, "may stand there once"),
        *((f"{VARIABLE}=p{sign}w\n", "letters, digits") for sign in ['"', "'", "$", "#", " ", "\\", "\r", "ä", "%"]),
    ]:
        login.write_text(text)
        for flags in ([], ["--kubernetes"]):
            refused(folder, *flags, because=because)
    login.write_text(good[1])
    made(folder)


def days(folder):
    made(folder)
    told = run(folder, "--check")
    assert told.returncode == 0, told.stdout + told.stderr
    left = dict(re.findall(r"^(\S+): (\d+) days$", told.stdout, re.M))
    assert {int(left[name]) for name in CERTIFICATES} <= {824, 825}, told.stdout
    assert int(left["nats/ca.pem"]) in (3649, 3650)
    # One that is to be renewed, and one of an authority that nobody trusts.
    issue = (
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=nats -keyout nats/nats.key |"
        " openssl x509 -req -days 20 -set_serial 7 -CA authority/ca.pem -CAkey authority/ca.key -out nats/nats.crt"
    )
    subprocess.run(issue, shell=True, cwd=folder, check=True, capture_output=True)
    told = run(folder, "--check")
    assert told.returncode == 1 and re.search(r"^nats/nats.crt: (19|20) days: renew it$", told.stdout, re.M), told.stdout
    stranger = folder.parent / "stranger"
    made(stranger)
    shutil.copy(stranger / "nats/nats.crt", folder / "nats/nats.crt")
    told = run(folder, "--check")
    assert told.returncode == 1 and "nats.key is the key of another certificate" in told.stdout
    assert "its issuer is not in game/ca.pem" in told.stdout


class Login:
    """As much of a client of NATS as it takes to see who hears whom."""

    def __init__(self, port, certificates, user, password):
        raw = socket.create_connection(("127.0.0.1", port), timeout=20)
        information = b""
        while not information.endswith(b"\r\n"):
            information += raw.recv(1)
        context = ssl.create_default_context(cafile=certificates / "game/ca.pem")
        context.load_cert_chain(certificates / "game/game.crt", certificates / "game/game.key")
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        self.lines = self.socket.makefile("rb")
        connect = f'CONNECT {{"verbose":false,"pedantic":false,"user":"{user}","pass":"{password}"}}'
        self.heard = self.say(connect)

    def say(self, *lines):
        """Says this, and returns what came until the broker has read it."""
        self.socket.sendall("".join(line + "\r\n" for line in (*lines, "PING")).encode())
        heard = []
        while not heard or heard[-1] != "PONG":
            line = self.lines.readline().decode().strip()
            if not line:
                raise ConnectionError(f"the broker closed: {heard}")
            heard.append(line)
        return heard


class Broker:
    def __init__(self, folder):
        nats = folder / "nats"
        text = (nats / "nats.conf").read_text().replace("/secrets", str(nats)).replace("http_port: 8222", "")
        text = text.replace("port: 4222", "host: 127.0.0.1, port: -1")
        (nats / "here.conf").write_text(text)
        shutil.rmtree(folder.parent / "ports", ignore_errors=True)
        (folder.parent / "ports").mkdir()
        command = ["nats-server", "-c", nats / "here.conf", "--ports_file_dir", folder.parent / "ports"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        log = ""
        for line in self.process.stderr:
            log += line
            found = re.search(r"client connections on 127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
            if "Server is ready" in line:
                return
        raise AssertionError(log)

    def reload(self):
        """Tells it to read its files again, and waits until it has."""
        self.process.send_signal(signal.SIGHUP)
        for line in self.process.stderr:
            assert "Failed to reload" not in line, line
            if "Reloaded server configuration" in line:
                return
        raise AssertionError("the broker ended")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def password_of(folder):
    return (folder / "game.env").read_text().strip().split("=", 1)[1]


def accounts_part_programs(folder):
    made(folder)
    nats = folder / "nats"
    valid = (nats / "nats.conf").read_text().replace("/secrets", str(nats))
    (nats / "whole.conf").write_text(valid)
    subprocess.run(["nats-server", "-t", "-c", nats / "whole.conf"], check=True, capture_output=True)
    # The comment of the file, in force.
    conf = nats / "nats.conf"
    conf.write_text(re.sub(r"# (WEBSITE .*)", r"\1", conf.read_text()))
    assert "\n  WEBSITE" in conf.read_text()
    with Broker(folder) as broker:
        game = Login(broker.port, folder, "game", password_of(folder))
        tap = Login(broker.port, folder, "game", password_of(folder))
        website = Login(broker.port, folder, "website", "a password of its own")
        assert tap.say("SUB > 1")[0] == "PONG" and website.say("SUB > 1")[0] == "PONG"
        game.say("PUB pitaya/servers/room/room-0.lane 1", "x")
        # The bounds of the account are those of the login: it hears all in its own, and nothing of another.
        assert any(line.startswith("MSG pitaya/servers/room/room-0.lane") for line in tap.say()), "within the account"
        website.say("PUB pitaya/servers/room/room-0.lane 1", "x", "PUB pitaya/connector/bindings 1", "x")
        assert not any(line.startswith("MSG") and "bindings" in line for line in tap.say()), "of another account"
        assert not any("MSG" in line and "room-0.lane 1 3" in line for line in website.say())
        for user, password in [("game", "wrong"), ("", "")]:
            assert is_shut_out(broker, folder, user, password)


def is_shut_out(broker, certificates, user, password):
    try:
        heard = Login(broker.port, certificates, user, password).heard
    except OSError:
        return True
    return any("Authorization Violation" in line for line in heard)


def another_password(folder):
    """The steps of deploy/README.md, with a second name for the time of change."""
    made(folder)
    old = password_of(folder)
    conf = folder / "nats/nats.conf"
    game = '{ include "game.conf" }'
    assert game in conf.read_text()
    conf.write_text(conf.read_text().replace(game, game + '\n{ user: game-2, password: "the-new-one" }'))
    with Broker(folder) as broker:
        running = Login(broker.port, folder, "game", old)
        second = Login(broker.port, folder, "game-2", "the-new-one")
        assert running.say("SUB > 1") == second.say("SUB > 1") == ["PONG"]
        running.say("PUB a 1", "x")
        assert any(line.startswith("MSG a") for line in second.say()), "both names are of one account"
        (folder / "game.env").write_text(f"{VARIABLE}=the-new-one\n")
        made(folder)
        broker.reload()
        assert second.say() == ["PONG"], "who has the new name stays"
        Login(broker.port, folder, "game", "the-new-one")
        assert is_shut_out(broker, folder, "game", old)


def another_authority(folder):
    """The steps of deploy/README.md, with two authorities in ca.pem for the time of change."""
    made(folder)
    following = folder / "next"
    made(following)
    trusted = [folder / kind / "ca.pem" for kind in ("game", "nats", "etcd")]
    for file in trusted:
        file.write_text(file.read_text() + (following / "authority/ca.pem").read_text())
    assert run(folder, "--check").returncode == 0
    with Broker(folder) as broker:
        Login(broker.port, folder, "game", password_of(folder))
        before = folder.parent / "before"
        shutil.copytree(folder, before)
        shutil.move(folder / "authority", folder / "authority.old")
        shutil.move(following / "authority", folder / "authority")
        for name in CERTIFICATES:
            (folder / name).unlink()
            (folder / name).with_suffix(".key").unlink()
        made(folder)
        told = run(folder, "--check")
        assert told.returncode == 0 and told.stdout.count("nats/ca.pem") == 2, told.stdout
        # The broker has the old certificate yet, and a server the new one.
        Login(broker.port, folder, "game", password_of(folder))
        broker.reload()
        # And the other way round.
        Login(broker.port, before, "game", password_of(folder))
        Login(broker.port, folder, "game", password_of(folder))
    for file in trusted:
        shutil.copy(folder / "authority/ca.pem", file)
    assert run(folder, "--check").returncode == 0
    with Broker(folder) as broker:
        Login(broker.port, folder, "game", password_of(folder))
        # It trusts the broker, which does not trust it.
        shutil.copy(folder / "game/ca.pem", before / "game/ca.pem")
        try:
            Login(broker.port, before, "game", password_of(folder))
        except OSError:
            pass
        else:
            raise AssertionError("the old authority is trusted still")


CHECKS = [
    arguments,
    kubernetes_makes_nothing,
    modes_are_closed,
    authority_elsewhere,
    what_is_there_stays,
    halves_and_empty_files,
    days,
    accounts_part_programs,
    another_password,
    another_authority,
]
failed = 0
for check in CHECKS:
    with tempfile.TemporaryDirectory() as folder:
        try:
            check(pathlib.Path(folder) / "private")
        except Exception as error:  # noqa: BLE001: all checks are to be heard
            failed += 1
            print(f"deploy/secrets, {check.__name__}: {type(error).__name__}: {error}")
print(f"deploy/secrets: {len(CHECKS)} checks, {failed} failed")
sys.exit(bool(failed))
