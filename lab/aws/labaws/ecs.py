"""ECS: a service runs its tasks, with addresses of its subnets, registers them behind its load balancer, and its rollout ends."""

import threading

import moto.ecs.models as ecs
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

from .core import LOCK


class Subnet:
    """moto's ECS draws an address at random and asks nobody: the subnet of the service being run is handed to it here."""

    local = threading.local()


def private_ip(*args, **kw):
    subnet = getattr(Subnet.local, "subnet", None)
    return str(subnet.get_available_subnet_ip(None)) if subnet else _random_ip(*args, **kw)


_random_ip, ecs.random_private_ip = ecs.random_private_ip, private_ip

ecs.Service.lab_definition = lambda s: s._backend.describe_task_definition(s.task_definition)
ecs.Task.advance = lambda self: None  # moto moves a task one state a Describe, towards STOPPED


def address(task):
    for a in task.attachments:
        for d in a["details"]:
            if d["name"] == "privateIPv4Address":
                return d["value"]
    return ""


def port(service, balancer):
    return int(balancer.get("containerPort") or balancer.get("container_port") or 80)


def group(service, balancer):
    arn = balancer.get("targetGroupArn") or balancer.get("target_group_arn")
    return elbv2_backends[service._account_id][service.region_name].target_groups.get(arn)


def start(backend, service, subnet):
    Subnet.local.subnet = ec2_backends[backend.account_id][backend.region_name].get_subnet(subnet)
    try:
        task = ecs.Task(backend._get_cluster(service.cluster_name), service.lab_definition(), None, {}, backend, f"service:{service.name}", "FARGATE",
                        started_by=service.arn, networking_configuration=service.network_configuration)
    finally:
        Subnet.local.subnet = None
    for balancer in service.load_balancers:
        if g := group(service, balancer):
            g.register([{"Id": address(task), "Port": port(service, balancer)}])
    return task


def stop(service, task):
    task.desired_status = task.last_status = "STOPPED"
    task.stopped_reason = "Scaling activity initiated by deployment"
    for balancer in service.load_balancers:
        g = group(service, balancer)
        target = {"Id": address(task), "Port": port(service, balancer)}
        if g and g.lab_key(target) in g.targets:
            g.deregister([target])


def reconcile(backend, service):
    """What ECS's scheduler does: as many tasks of the current definition as desired, and the rollout completes."""
    with LOCK:
        tasks = backend.tasks.setdefault(service.cluster_name, {})
        mine = [t for t in tasks.values() if t.started_by == service.arn and t.desired_status == "RUNNING"]
        want = 0 if service.status != "ACTIVE" else service.desired_count
        for t in mine[:]:
            if len(mine) > want or t.task_definition_arn != service.lab_definition().arn:
                stop(service, t)
                mine.remove(t)
        while len(mine) < want:
            subnets = service.network_configuration["awsvpcConfiguration"]["subnets"]
            t = start(backend, service, subnets[len(mine) % len(subnets)])
            tasks[t.task_arn] = t
            mine.append(t)
        service.running_count, service.pending_count = len(mine), want - len(mine)
        for d in service.deployments[:1]:
            d.update(desiredCount=want, runningCount=len(mine), pendingCount=want - len(mine), taskDefinition=service.task_definition,
                     rolloutState="COMPLETED", rolloutStateReason="")


def after(name):
    original = getattr(ecs.EC2ContainerServiceBackend, name)

    def wrapped(self, *args, **kw):
        service = original(self, *args, **kw)
        reconcile(self, service)
        return service

    setattr(ecs.EC2ContainerServiceBackend, name, wrapped)


for _name in ("create_service", "update_service", "delete_service"):
    after(_name)

_list_tasks = ecs.EC2ContainerServiceBackend.list_tasks


def list_tasks(self, *args, service_name=None, **kw):
    tasks = _list_tasks(self, *args, **kw)
    return tasks if not service_name else [t for t in tasks if t.group == f"service:{service_name.split('/')[-1]}"]


ecs.EC2ContainerServiceBackend.list_tasks = list_tasks


def machines(backend):
    """The running tasks as the lab's machines."""
    for tasks in list(backend.tasks.values()):
        for t in list(tasks.values()):
            container = backend.describe_task_definition(t.task_definition_arn).container_definitions[0]
            yield {
                "kind": "ecs", "id": t.task_arn, "name": f"{t.group.removeprefix('service:')}-{t.id[:8]}", "state": t.last_status, "address": address(t),
                "account": backend.account_id, "region": backend.region_name, "snapshots": [], "userData": "",
                "env": {e["name"]: e["value"] for e in container.get("environment", [])},
                "secrets": {s["name"]: s["valueFrom"] for s in container.get("secrets", [])},
            }
