"""ELBv2: targets are known by id and port, their health is what they answer, and the quotas are those of AWS."""
import http.client

import moto.elbv2.models as elb
from moto.elbv2.exceptions import ELBClientError

from .changes import LOCK

Group, Backend = elb.FakeTargetGroup, elb.ELBv2Backend

RULES_PER_LISTENER = 100  # without the default rule
VALUES_PER_RULE = 5
GROUPS_PER_ACTION = 5


class Error(ELBClientError):
    def __init__(self, code, message):
        super().__init__(code, message)


def port_of(group, target):
    return int(target.get("Port") or group.port)


def key(group, target):
    """moto has the id alone: two ports of one address were one target."""
    return f"{target['Id']}:{port_of(group, target)}"


def register(self, targets):
    with LOCK:
        for t in targets:
            instance = self.ec2_backend.get_instance_by_id(t["Id"])
            if instance and instance.state != "running":
                raise elb.TargetNotRunning(instance_id=t["Id"])
        for t in targets:
            self.targets[key(self, t)] = {"Id": t["Id"], "Port": port_of(self, t)}
            self.deregistered_targets.pop(key(self, t), None)


def deregister(self, targets):
    with LOCK:
        for t in targets:
            # Without a port, all of the id's go; what is not there is no error on AWS.
            for k in [k for k, v in self.targets.items() if v["Id"] == t["Id"] and t.get("Port") in (None, v["Port"], str(v["Port"]))]:
                self.deregistered_targets[k] = self.targets.pop(k)


def deregister_terminated_instances(self, instance_ids):
    with LOCK:
        for k in [k for k, v in self.targets.items() if v["Id"] in instance_ids]:
            self.terminated_targets[k] = self.targets.pop(k)


def address(ec2, target_id):
    """Where a target is: (address, state of the instance, or None for a target that is an address)."""
    if not target_id.startswith("i-"):
        return target_id, None
    instance = ec2.get_instance_by_id(target_id)
    return (instance.private_ip, instance.state) if instance else (None, "terminated")


def health_for(self, target, ec2_backend):
    known = self.targets.get(key(self, target))

    def status(state, reason=None, description=None):
        return elb.FakeHealthStatus(target["Id"], port_of(self, target), self.health_check_port, state, reason, description)

    if known is None:
        return status("unused", "Target.NotRegistered", "Target is not registered to the target group")
    ip, state = address(ec2_backend, known["Id"])
    if state not in (None, "running"):
        return status("unused", "Target.InvalidState", f"Target is in the {state} state")
    if not self.load_balancer_arns:
        return status("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
    port = known["Port"] if self.health_check_port in (None, "traffic-port") else int(self.health_check_port)
    connection = http.client.HTTPConnection(ip, port, timeout=1)
    try:
        connection.request("GET", self.health_check_path or "/")
        code = connection.getresponse().status
    except TimeoutError:
        return status("unhealthy", "Target.Timeout", "Request timed out")
    except (OSError, http.client.HTTPException):
        return status("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
    finally:
        connection.close()
    if accepted(code, (getattr(self, "matcher", None) or {}).get("HttpCode") or "200"):
        return status("healthy")
    return status("unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{code}]")


def accepted(code, matcher):
    ranges = (part.partition("-") for part in matcher.split(","))
    return any(int(low) <= code <= int(high or low) for low, _, high in ranges)


Group.register, Group.deregister, Group.health_for = register, deregister, health_for
Group.deregister_terminated_instances = deregister_terminated_instances

_describe_target_health = Backend.describe_target_health


def describe_target_health(self, target_group_arn, targets):
    """A target without a port stands for every port it is registered with."""
    group = self.target_groups.get(target_group_arn)
    if group is not None and targets:
        every = []
        for t in targets:
            same = [v for v in group.targets.values() if v["Id"] == t["Id"]] if not t.get("Port") else []
            every += same or [t]
        targets = every
    return _describe_target_health(self, target_group_arn, targets)


Backend.describe_target_health = describe_target_health


def values(conditions):
    """How many values the conditions of a rule have together."""
    return sum(len(v.get("Values") or []) for c in conditions or [] for v in [c] + [c[k] for k in c if k.endswith("Config")])


def normalise(conditions):
    """A condition written with Values is the same as one written with its config; moto allows Values to hold one value only."""
    for c in conditions or []:
        config = {"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig"}.get(c.get("Field"))
        if config and c.get("Values") and config not in c:
            c[config] = {"Values": c.pop("Values")}
    return conditions


def check(conditions, actions):
    if values(conditions) > VALUES_PER_RULE:
        raise Error("ValidationError",
                    f"Rules can have at most {VALUES_PER_RULE} condition values")
    for action in actions or []:
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        if len(groups) > GROUPS_PER_ACTION:
            raise Error("TooManyTargetGroups", f"A forward action can have at most {GROUPS_PER_ACTION} target groups")
        if any(not 0 <= int(g.get("Weight", 1)) <= 999 for g in groups):
            raise Error("ValidationError", "The weight of a target group must be from 0 to 999")


_create_rule, _modify_rule, _priorities = Backend.create_rule, Backend.modify_rule, Backend.set_rule_priorities


def create_rule(self, listener_arn, conditions, priority, actions, tags=None):
    with LOCK:
        conditions = normalise(conditions)
        check(conditions, actions)
        if not 1 <= int(priority) <= 50000:
            raise Error("ValidationError", f"Priority '{priority}' must be from 1 to 50000")
        for listener in self.describe_listeners(None, [listener_arn]):
            if len(listener._non_default_rules) >= RULES_PER_LISTENER:
                raise Error("TooManyRules", "You've reached the limit on the number of rules per load balancer")
        return _create_rule(self, listener_arn, conditions, int(priority), actions, tags)


def modify_rule(self, rule_arn, conditions, actions):
    with LOCK:
        conditions = normalise(conditions)
        check(conditions, actions)
        rule = _modify_rule(self, rule_arn, conditions, actions)
        attach(self)
        return rule


def set_rule_priorities(self, rule_priorities):
    """In one step, as AWS does it: rules may exchange their priorities."""
    with LOCK:
        given = {p["RuleArn"]: int(p["Priority"]) for p in rule_priorities}
        if len(set(given.values())) != len(given):
            raise Error("PriorityInUse", "A priority was given to more than one rule")
        changed = []
        for arn, priority in given.items():
            rules = self.describe_rules(listener_arn=None, rule_arns=[arn])
            if not rules:
                raise elb.RuleNotFoundError()
            listener = self.describe_listeners(None, [rules[0].listener_arn])[0]
            if any(r.priority == priority and r.arn not in given for r in listener.rules.values()):
                raise elb.PriorityInUseError()
            changed.append((rules[0], priority))
        for rule, priority in changed:
            rule.priority = priority
        return [rule for rule, _ in changed]


def attach(backend):
    """Recompute which target groups receive traffic: moto adds to the list at creation and never again."""
    used = {}
    for balancer in backend.load_balancers.values():
        for listener in balancer.listeners.values():
            for rule in listener.rules.values():
                for action in listener.default_actions if rule.is_default else rule.actions:
                    if action.type == "forward":
                        for arn in backend._get_target_group_arns_from(action_data=action.data):
                            used.setdefault(arn, []).append(balancer.arn)
    for arn, group in backend.target_groups.items():
        group.load_balancer_arns = sorted(set(used.get(arn, [])))


Backend.create_rule, Backend.modify_rule, Backend.set_rule_priorities = create_rule, modify_rule, set_rule_priorities


def attached(name):
    original = getattr(Backend, name)

    def call(self, *args, **kw):
        with LOCK:
            answer = original(self, *args, **kw)
            attach(self)
            return answer

    setattr(Backend, name, call)


for _name in ("create_listener", "modify_listener", "delete_listener", "delete_rule", "create_rule"):
    attached(_name)
