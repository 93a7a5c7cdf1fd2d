"""ECS: a service runs tasks with addresses in its subnets, registers them with its target groups, and its rollout moves."""
import threading
from datetime import datetime, timezone

import moto.ecs.models as ecs
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

from . import changes
from .changes import LOCK

Backend = ecs.EC2ContainerServiceBackend

# What the data plane says of a task (ARN -> healthy). A task it has said nothing of counts as
# healthy.
PROBED = {}

# moto asks random_private_ip() without saying for which subnet; the thread that starts a task says
# it here.
_starting = threading.local()
_random_private_ip = ecs.random_private_ip


def private_ip(*args, **kw):
    subnet = getattr(_starting, "subnet", None)
    return str(subnet.get_available_subnet_ip(None)) if subnet else _random_private_ip(*args, **kw)


ecs.random_private_ip = private_ip
_container = ecs.Container.__init__


def container(self, definition):
    """AWS writes a container's cpu and memory as text; moto keeps the definition's numbers, which SDKs cannot decode."""
    _container(self, definition)
    self.cpu = str(self.cpu or 0)
    self.memory = str(self.memory) if self.memory else None


ecs.Container.__init__ = container
ecs.Task.advance = lambda self: None  # moto moves a task one state towards STOPPED at every Describe

_describe_task_definition = Backend.describe_task_definition


def address(task):
    """The private IPv4 address of a task, or None."""
    for attachment in task.attachments:
        for detail in attachment["details"]:
            if detail["name"] == "privateIPv4Address":
                return detail["value"]
    return None


def service_of(backend, task):
    if not (task.group or "").startswith("service:"):
        return None
    return backend.services.get(f"{task.cluster_name}:{task.group.removeprefix('service:')}")


def start(backend, service, definition, subnet):
    network = {"awsvpcConfiguration": dict(service.network_configuration["awsvpcConfiguration"])}
    network["awsvpcConfiguration"]["subnets"] = [subnet]
    network["awsvpcConfiguration"].setdefault("securityGroups", [])
    _starting.subnet = ec2_backends[backend.account_id][backend.region_name].get_subnet(subnet)
    try:
        task = ecs.Task(
            backend._get_cluster(service.cluster_name), definition, None, {}, backend, f"service:{service.name}", "FARGATE",
            started_by=service.deployments[0]["id"] if service.deployments else service.name, networking_configuration=network,
        )
    finally:
        _starting.subnet = None
    backend.tasks.setdefault(service.cluster_name, {})[task.task_arn] = task
    for group, target in targets(backend, service, task):
        group.register([target])
    return task


def stop(backend, service, task, reason):
    task.desired_status = task.last_status = "STOPPED"
    task.stopped_reason = reason
    task.stop_code = "ServiceSchedulerInitiated"
    network = ec2_backends[backend.account_id][backend.region_name]
    for attachment in task.attachments:
        for detail in attachment["details"]:
            if detail["name"] == "networkInterfaceId" and detail["value"] in network.enis:
                network.enis[detail["value"]].status = "available"
                network.delete_network_interface(detail["value"])
    for group, target in targets(backend, service, task):
        if f"{target['Id']}:{target['Port']}" in group.targets:
            group.deregister([target])


def targets(backend, service, task):
    for balancer in service.load_balancers or []:
        group = elbv2_backends[backend.account_id][backend.region_name].target_groups.get(balancer.get("targetGroupArn"))
        if group is not None:
            yield group, {"Id": address(task), "Port": int(balancer["containerPort"])}


def healthy(backend, service, task):
    if not PROBED.get(task.task_arn, True):
        return False
    return all(
        group.health_for(target, ec2_backends[backend.account_id][backend.region_name]).status == "healthy" or not group.load_balancer_arns
        for group, target in targets(backend, service, task)
    )


def running(backend, service):
    tasks = backend.tasks.get(service.cluster_name, {})
    return [t for t in tasks.values() if t.group == f"service:{service.name}" and t.desired_status == "RUNNING"]


def reconcile(backend, service):
    """What ECS's scheduler does: as many tasks as desired, of the definition asked for; then the rollout is complete."""
    with LOCK:
        definition = _describe_task_definition(backend, service.task_definition)
        mine = running(backend, service)
        want = service.desired_count if service.status == "ACTIVE" else 0
        before = len(mine)
        for task in list(mine):
            if task.task_definition_arn != definition.arn or len(mine) > want:
                stop(backend, service, task, "Scaling activity initiated by deployment")
                mine.remove(task)
        subnets = ((service.network_configuration or {}).get("awsvpcConfiguration") or {}).get("subnets") or []
        while len(mine) < want and subnets:
            mine.append(start(backend, service, definition, subnets[len(mine) % len(subnets)]))
        changed = before != len(mine)
    up = sum(PROBED.get(t.task_arn, True) for t in mine)
    done = len(mine) == want and all(healthy(backend, service, t) for t in mine)  # asks the tasks: not under the lock
    with LOCK:
        report(service, want, up, done, changed)
    if changed:
        changes.notify()


def report(service, want, up, done, changed):
    service.running_count, service.pending_count = up, max(0, want - up)
    for deployment in service.deployments[:1]:
        was = deployment.get("rolloutState")
        state = "COMPLETED" if done else "IN_PROGRESS"
        deployment.update(
            status="PRIMARY", desiredCount=want, runningCount=up, pendingCount=service.pending_count,
            taskDefinition=service.task_definition,
            rolloutState=state, rolloutStateReason=f"ECS deployment {deployment['id']} {state.lower().replace('_', ' ')}.",
        )
        if done and (was != "COMPLETED" or changed):
            event(service, f"(service {service.name}) has reached a steady state.")
    del service.deployments[1:]


def event(service, message):
    service.events.insert(0, {"id": f"event-{len(service.events)}", "createdAt": datetime.now(timezone.utc), "message": message})


def reconciled(name):
    original = getattr(Backend, name)

    def call(self, *args, **kw):
        service = original(self, *args, **kw)
        reconcile(self, service)
        return service

    setattr(Backend, name, call)


for _name in ("create_service", "update_service", "delete_service"):
    reconciled(_name)

_describe_services = Backend.describe_services


def describe_services(self, cluster, names):
    found, missing = _describe_services(self, cluster, names)
    for service in found:
        reconcile(self, service)
    return found, missing


Backend.describe_services = describe_services

_list_tasks = Backend.list_tasks


def list_tasks(self, cluster_str=None, container_instance=None, family=None, started_by=None, service_name=None, desiredStatus=None):
    """moto looks for the service in started_by, where ECS has the deployment, and lists stopped tasks with the others."""
    tasks = _list_tasks(self, cluster_str, container_instance, family, started_by)
    if service_name:
        tasks = [t for t in tasks if t.group == f"service:{service_name.split('/')[-1]}"]
    return [t for t in tasks if t.desired_status == (desiredStatus or "RUNNING")]


Backend.list_tasks = list_tasks

_validate_network = ecs.Service._validate_network


def validate_network(self, configuration):
    """Security groups are optional on AWS (the VPC's default is taken); moto cannot do without."""
    if configuration and "awsvpcConfiguration" in configuration:
        configuration["awsvpcConfiguration"].setdefault("securityGroups", [])
    return _validate_network(self, configuration)


ecs.Service._validate_network = validate_network
