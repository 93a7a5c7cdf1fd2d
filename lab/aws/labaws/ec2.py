"""EC2: RegisterImage keeps its block device mappings, RunInstances launches them and obeys client tokens."""
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotIdError
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses.amis import AmisResponse

from .changes import LOCK

# moto leaves it unset in a VPC without DNS host names, and ECS reads it.
NetworkInterface.private_dns_name = ""

# What moto stands in for when a request has no client token.
NO_TOKEN = (None, "", "ABCDE")


class InvalidState(EC2ClientError):
    def __init__(self, snapshot):
        super().__init__("IncorrectState", f"Snapshot {snapshot} is not in state completed")


class IdempotentParameterMismatch(EC2ClientError):
    def __init__(self):
        super().__init__("IdempotentParameterMismatch", "The client token was used before, with other parameters")


def register_image(self):
    """moto keeps a name and a description, and makes up a snapshot."""
    self.error_on_dryrun()
    param, backend = self._get_param, self.ec2_backend
    mappings = self._parse_block_device_mapping()
    for m in mappings:
        snapshot = m["Ebs"].get("SnapshotId")
        if not snapshot:
            continue
        if snapshot not in backend.snapshots:
            raise InvalidSnapshotIdError()
        if backend.snapshots[snapshot].status != "completed":
            raise InvalidState(snapshot)
    with LOCK:
        ami = backend.register_image(param("Name"), param("Description", ""))
        backend.snapshots.pop(ami.ebs_snapshot.id, None)
        ami.lab_mappings = mappings
        ami.root_device_name = param("RootDeviceName") or "/dev/sda1"
        ami.root_device_type = "ebs"
        for attribute, name in (
            ("architecture", "Architecture"), ("boot_mode", "BootMode"), ("virtualization_type", "VirtualizationType"),
            ("ena_support", "EnaSupport"), ("imds_support", "ImdsSupport"), ("tpm_support", "TpmSupport"),
        ):
            if value := param(name):
                setattr(ami, attribute, value)
        ami.add_tags(self._parse_tag_specification().get("image", {}))
    return ActionResult({"ImageId": ami.id})


AmisResponse.register_image = register_image

_mappings_of_moto = Ami.block_device_mappings.fget


def block_device_mappings(self):
    if not (mappings := getattr(self, "lab_mappings", None)):
        return _mappings_of_moto(self)
    out = []
    for m in mappings:
        ebs = {k: v for k, v in m["Ebs"].items() if v not in (None, "")}
        snapshot = self.ec2_backend.snapshots.get(ebs.get("SnapshotId"))
        ebs["VolumeSize"] = int(ebs.get("VolumeSize") or (snapshot.volume.size if snapshot else 8))
        out.append({"DeviceName": m["DeviceName"], "Ebs": ebs})
    return out


Ami.block_device_mappings = property(block_device_mappings)

_run_instances = InstanceBackend.run_instances


def run_instances(self, image_id, count, user_data, groups, **kw):
    """moto ignores the token: sixteen calls at once give sixteen instances."""
    with LOCK:
        token, seen = kw.get("client_token"), self.__dict__.setdefault("lab_tokens", {})
        shape = repr((image_id, count, user_data, groups, sorted(kw.items(), key=lambda item: item[0])))
        if token in seen:
            if seen[token][0] != shape:
                raise IdempotentParameterMismatch()
            return seen[token][1]
        ami = self.amis.get(image_id)
        launched = ami.block_device_mappings if ami and getattr(ami, "lab_mappings", None) else []
        if launched and not kw.get("block_device_mappings"):
            kw["block_device_mappings"] = launched
        reservation = _run_instances(self, image_id, count, user_data, groups, **kw)
        for instance in reservation.instances:
            instance.lab_snapshots = snapshots(ami, kw.get("block_device_mappings") or [])
        if token not in NO_TOKEN:
            seen[token] = (shape, reservation)
        return reservation


def snapshots(ami, mappings):
    """The snapshots an instance is launched from, root first. A mapping of the request replaces the image's of the same device."""
    mappings = ami.block_device_mappings if ami and getattr(ami, "lab_mappings", None) else []
    by_device = {m["DeviceName"]: m["Ebs"].get("SnapshotId") for m in mappings}
    for m in mappings:
        if s := (m.get("Ebs") or {}).get("SnapshotId"):
            by_device[m["DeviceName"]] = s
    root = ami.root_device_name if ami else None
    return [s for _, s in sorted(by_device.items(), key=lambda item: (item[0] != root, item[0])) if s]


InstanceBackend.run_instances = run_instances
