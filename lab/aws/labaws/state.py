"""What the data plane asks: GET /lab/machines and GET /lab/elb, each with ?since=VERSION&wait=SECONDS, and what it tells:
POST /lab/tasks {"healthy": {ARN: bool}}, POST /lab/tasks/ARN {"healthy": bool}, POST /lab/snapshots/ID {"status": ...}."""
import base64
import binascii
import itertools
import json
import threading
import time
from urllib.parse import parse_qs, unquote

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends

from . import changes, ebs, ecs, elb

LONGEST = 30  # seconds a request may wait


def each(backends):
    """Every region of every account that has been used."""
    for account, regions in list(backends.items()):
        for region, backend in list(regions.items()):
            yield account, region, backend


def machines():
    out = []
    for account, region, b in each(ec2_backends):
        for reservation in list(b.reservations.values()):
            out += [instance(account, region, i) for i in list(reservation.instances)]
    for account, region, b in each(ecs_backends):
        for tasks in list(b.tasks.values()):
            out += [task(account, region, b, t) for t in list(tasks.values())]
    return {"machines": sorted(out, key=lambda m: m["id"])}


def instance(account, region, i):
    tags = {t["key"]: t["value"] for t in i.get_tags()}
    return {
        "kind": "ec2", "id": i.id, "name": tags.get("Name", i.id), "account": account, "region": region, "state": i.state,
        "address": i.private_ip,
        "image": i.image_id, "snapshots": getattr(i, "lab_snapshots", []), "userData": text(i.user_data), "tags": tags,
    }


def text(user_data):
    if not user_data:
        return ""
    raw = user_data if isinstance(user_data, bytes) else str(user_data).encode()
    try:
        return base64.b64decode(raw, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return raw.decode(errors="replace")


def task(account, region, backend, t):
    definition = backend.describe_task_definition(t.task_definition_arn)
    container = (definition.container_definitions or [{}])[0]
    return {
        "kind": "ecs", "id": t.task_arn, "name": container.get("name", ""), "account": account, "region": region, "state": t.last_status,
        "address": ecs.address(t), "image": container.get("image", ""), "taskDefinition": t.task_definition_arn, "group": t.group,
        "env": {e["name"]: e["value"] for e in container.get("environment") or []},
        "secrets": {e["name"]: e["valueFrom"] for e in container.get("secrets") or []},
    }


def balancers():
    listeners, groups = [], []
    for _, _, b in each(elbv2_backends):
        for balancer in list(b.load_balancers.values()):
            for l in list(balancer.listeners.values()):
                listeners.append({"arn": l.arn, "loadBalancer": balancer.arn, "port": int(l.port), "rules": rules(l)})
        groups += [group(b, g) for g in list(b.target_groups.values())]
    return {"listeners": sorted(listeners, key=lambda x: x["arn"]), "targetGroups": sorted(groups, key=lambda x: x["arn"])}


def rules(listener):
    out = []
    for r in list(listener.rules.values()):
        actions = listener.default_actions if r.is_default else r.actions
        out.append({"arn": r.arn, "priority": str(r.priority), "conditions": [condition(c) for c in r.conditions or []]} | outcome(actions))
    return sorted(out, key=lambda r: (r["priority"] == "default", int(r["priority"]) if r["priority"] != "default" else 0))


def condition(c):
    config = next((c[k] for k in c if k.endswith("Config") and c[k]), {})
    return {"field": c.get("Field", ""), "values": list(c.get("Values") or config.get("Values") or [])}


def outcome(actions):
    for action in actions:
        a = action.data
        if a.get("Type") == "forward":
            forward = (a.get("ForwardConfig") or {}).get("TargetGroups") or [{"TargetGroupArn": a.get("TargetGroupArn"), "Weight": 1}]
            return {"forward": [{"targetGroup": g["TargetGroupArn"], "weight": int(g.get("Weight", 1))} for g in forward]}
        if a.get("Type") == "fixed-response":
            f = a.get("FixedResponseConfig") or {}
            return {"fixed": {"status": int(f.get("StatusCode", 200)), "contentType": f.get("ContentType", ""),
                              "body": f.get("MessageBody", "")}}
    return {}


def group(backend, g):
    targets = []
    for t in list(g.targets.values()):
        ip, state = elb.address(backend.ec2_backend, t["Id"])
        if state in (None, "running"):
            targets.append({"id": t["Id"], "address": ip, "port": int(t["Port"])})
    return {"arn": g.arn, "name": g.name, "port": int(g.port or 0), "healthCheckPath": g.health_check_path or "/", "targets": targets}


class View:
    """A part of the state with a version that grows when the part's JSON changes."""

    def __init__(self, build):
        self.build, self.lock, self.version, self.last, self.seen = build, threading.Lock(), 0, None, -1

    def now(self):
        with self.lock:
            seen = changes.count()
            if seen != self.seen:  # building costs more than knowing that nothing was written
                body = json.dumps(self.read(), sort_keys=True)
                if body != self.last:
                    self.version, self.last = self.version + 1, body
                self.seen = seen
            return self.version, self.last, self.seen

    def read(self):
        for attempt in itertools.count():
            try:
                return self.build()
            except RuntimeError:  # a dictionary changed under the iteration: read again
                if attempt == 10:
                    raise

    def after(self, since, wait):
        deadline = time.monotonic() + wait
        while True:
            version, body, seen = self.now()
            left = deadline - time.monotonic()
            if version != since or left <= 0:
                return f'{{"version": {version}, {body[1:]}'
            changes.wait_for_more(seen, left)


VIEWS = {"/lab/machines": View(machines), "/lab/elb": View(balancers)}


def answer(method, path, query, body):
    """(status, JSON text) of a request below /lab/."""
    if method == "GET" and path in VIEWS:
        q = parse_qs(query)
        since, wait = int(q.get("since", ["-1"])[0]), float(q.get("wait", ["0"])[0])
        return 200, VIEWS[path].after(since, min(wait, LONGEST))
    if method == "GET" and path == "/lab/ready":
        return 200, "{}"
    if method == "POST" and path.startswith("/lab/tasks"):
        said = json.loads(body)["healthy"]
        ecs.PROBED.update(said if isinstance(said, dict) else {unquote(path.removeprefix("/lab/tasks/")): said})
        changes.notify()
        return 200, "{}"
    if method == "POST" and path.startswith("/lab/snapshots/"):
        said = json.loads(body)
        found = ebs.record(
            said.get("account") or DEFAULT_ACCOUNT_ID, said["region"], path.rsplit("/", 1)[1], said.get("status"), said.get("encrypted"),
            said.get("kmsKeyArn"),
        )
        return (200, "{}") if found else (404, '{"message": "no such snapshot"}')
    return 404, '{"message": "not found"}'
