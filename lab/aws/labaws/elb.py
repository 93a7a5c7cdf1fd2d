"""ELBv2: targets are known by id and port, health is a probe, and a listener has its quotas."""

import http.client

import moto.elbv2.models as elb
from moto.elbv2.exceptions import ELBClientError

from .core import LOCK

Group = elb.FakeTargetGroup
RULES_A_LISTENER = 100  # quota L-0F0FA0B7 without the default rule
VALUES_A_RULE = 5       # condition values of one rule


def key(self, target):
    return f"{target['Id']}:{int(target.get('Port') or self.port)}"


def register(self, targets):
    for t in targets:
        instance = self.ec2_backend.get_instance_by_id(t["Id"])
        if instance and instance.state != "running":
            raise elb.TargetNotRunning(instance_id=t["Id"])
        self.targets[key(self, t)] = {"Id": t["Id"], "Port": int(t.get("Port") or self.port)}
        self.deregistered_targets.pop(key(self, t), None)


def deregister(self, targets):
    for t in targets:
        old = self.targets.pop(key(self, t), None)
        if not old:
            raise elb.InvalidTargetError()
        self.deregistered_targets[key(self, t)] = old


def health_for(self, target, ec2_backend):
    found = self.targets.get(key(self, target))

    def say(state, reason=None, description=None):
        return elb.FakeHealthStatus(target["Id"], int(target.get("Port") or self.port), self.health_check_port, state, reason, description)

    if found is None:
        return say("unused", "Target.NotRegistered", "Target is not registered to the target group")
    where = found["Id"]
    if where.startswith("i-"):
        instance = ec2_backend.get_instance_by_id(where)
        if not instance or instance.state != "running":
            return say("unused", "Target.InvalidState", "Target is in the stopped state")
        where = instance.private_ip
    at = found["Port"] if self.health_check_port in (None, "traffic-port") else int(self.health_check_port)
    try:
        c = http.client.HTTPConnection(where, at, timeout=1)
        c.request("GET", self.health_check_path or "/")
        code = c.getresponse().status
        c.close()
    except OSError as e:
        return say("unhealthy", "Target.Timeout" if isinstance(e, TimeoutError) else "Target.FailedHealthChecks", str(e))
    wanted = (self.matcher or {}).get("HttpCode", "200")
    if any(int(low) <= code <= int(high or low) for low, _, high in (part.partition("-") for part in wanted.split(","))):
        return say("healthy")
    return say("unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{code}]")


Group.register, Group.deregister, Group.health_for, Group.lab_key = register, deregister, health_for, key


class TooManyRules(ELBClientError):
    def __init__(self):
        super().__init__("TooManyRules", f"a listener has at most {RULES_A_LISTENER} rules")


class TooManyValues(ELBClientError):
    def __init__(self):
        super().__init__("ValidationError", f"A rule can only have '{VALUES_A_RULE}' condition values")


def values(conditions):
    n = 0
    for c in conditions or []:
        found = [len(v["Values"]) for k, v in c.items() if k.endswith("Config") and v and "Values" in v]
        n += max(found + [len(c.get("Values") or [])])
    return n


_create_rule, _modify_rule = elb.ELBv2Backend.create_rule, elb.ELBv2Backend.modify_rule


def create_rule(self, listener_arn, conditions, priority, actions, tags=None):
    with LOCK:
        if values(conditions) > VALUES_A_RULE:
            raise TooManyValues()
        for b in self.load_balancers.values():
            if (listener := b.listeners.get(listener_arn)) and len(listener.rules) - 1 >= RULES_A_LISTENER:
                raise TooManyRules()
        return _create_rule(self, listener_arn, conditions, priority, actions, tags)


def modify_rule(self, rule_arn, conditions, actions):
    with LOCK:
        if conditions and values(conditions) > VALUES_A_RULE:
            raise TooManyValues()
        return _modify_rule(self, rule_arn, conditions, actions)


elb.ELBv2Backend.create_rule, elb.ELBv2Backend.modify_rule = create_rule, modify_rule


def state(backend):
    """Listeners with their rules, and groups with their targets: what a data plane needs."""
    listeners = [{
        "arn": listener.arn, "loadBalancer": balancer.arn, "port": int(listener.port),
        "rules": [rule_of(r) for r in list(listener.rules.values())],
    } for balancer in list(backend.load_balancers.values()) for listener in list(balancer.listeners.values())]
    groups = [{
        "arn": g.arn, "name": g.name, "port": int(g.port or 80), "healthCheckPath": g.health_check_path or "/",
        "targets": [{"id": t["Id"], "address": resolve(backend, t["Id"]), "port": t["Port"]} for t in list(g.targets.values())],
    } for g in list(backend.target_groups.values())]
    return listeners, groups


def resolve(backend, target):
    if not target.startswith("i-"):
        return target
    instance = backend.ec2_backend.get_instance_by_id(target)
    return instance.private_ip if instance else ""


def rule_of(rule):
    conditions = []
    for c in rule.conditions or []:
        found = [v["Values"] for k, v in c.items() if k.endswith("Config") and v and "Values" in v]
        conditions.append({"field": c.get("Field"), "values": found[0] if found else c.get("Values") or []})
    forward, fixed = [], None
    for a in rule.actions or []:
        if a.type == "forward":
            config = a.data.get("ForwardConfig") or {}
            many = config.get("TargetGroups") or [{"TargetGroupArn": a.data.get("TargetGroupArn"), "Weight": 1}]
            forward = [{"targetGroup": g["TargetGroupArn"], "weight": int(g.get("Weight", 1))} for g in many]
        elif a.type == "fixed-response":
            config = a.data.get("FixedResponseConfig") or {}
            fixed = {"status": int(config.get("StatusCode", 503)), "contentType": config.get("ContentType", "text/plain"), "body": config.get("MessageBody", "")}
    return {"arn": rule.arn, "priority": str(rule.priority), "conditions": conditions, "forward": forward, "fixed": fixed}
