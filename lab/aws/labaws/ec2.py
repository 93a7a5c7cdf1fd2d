"""EC2: images keep their mappings and attributes, launches honour them, and a client token launches once."""

import base64

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotIdError
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Volume
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses.amis import AmisResponse

from .core import LOCK

NetworkInterface.private_dns_name = ""  # moto leaves it unset in a VPC without DNS host names


def register_image(self):
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
            raise EC2ClientError("IncorrectState", f"snapshot {snapshot} is {backend.snapshots[snapshot].status}")
    with LOCK:
        if any(a.name == param("Name") and a.owner_id == backend.account_id for a in backend.amis.values()):
            raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {param('Name')} is already in use")
        ami = backend.register_image(param("Name"), param("Description", ""))
    backend.snapshots.pop(ami.ebs_snapshot.id, None)  # the one that moto invents
    ami.lab_mappings = mappings
    ami.root_device_name = param("RootDeviceName") or "/dev/sda1"
    ami.root_device_type = "ebs"
    for attribute, name in (("architecture", "Architecture"), ("boot_mode", "BootMode"), ("virtualization_type", "VirtualizationType")):
        if value := param(name):
            setattr(ami, attribute, value)
    ami.ena_support = param("EnaSupport") == "true"
    ami.add_tags(self._parse_tag_specification().get("image", {}))
    return ActionResult({"ImageId": ami.id})


def block_device_mappings(self):
    mappings = getattr(self, "lab_mappings", None)
    if not mappings:
        return _ami_mappings(self)
    out = []
    for m in mappings:
        ebs = {k: v for k, v in m["Ebs"].items() if v not in (None, "")}
        ebs["VolumeSize"] = int(ebs.get("VolumeSize") or self.ec2_backend.snapshots[ebs["SnapshotId"]].volume.size)
        out.append({"DeviceName": m["DeviceName"], "Ebs": ebs})
    return out


_ami_mappings = Ami.block_device_mappings.fget
Ami.block_device_mappings = property(block_device_mappings)
AmisResponse.register_image = register_image


class ParameterMismatch(EC2ClientError):
    def __init__(self):
        super().__init__("IdempotentParameterMismatch", "the client token was used with other parameters")


_run_instances = InstanceBackend.run_instances


def run_instances(self, image_id, count, user_data, groups, **kw):
    with LOCK:
        token, seen = kw.get("client_token"), self.__dict__.setdefault("lab_tokens", {})
        shape = repr((image_id, count, user_data, sorted(kw.items(), key=lambda i: i[0])))
        if token in seen:
            if seen[token][0] != shape:
                raise ParameterMismatch()
            return seen[token][1]
        ami = self.amis.get(image_id)
        if "block_device_mappings" not in kw and ami and getattr(ami, "lab_mappings", None):
            kw["block_device_mappings"] = ami.block_device_mappings
        reservation = _run_instances(self, image_id, count, user_data, groups, **kw)
        if token and token != "ABCDE":  # what moto calls no token
            seen[token] = (shape, reservation)
        return reservation


InstanceBackend.run_instances = run_instances


def machines(backend):
    """The instances as the lab's machines: what a hypervisor would need to know to start them."""
    for reservation in list(backend.reservations.values()):
        for i in list(reservation.instances):
            snapshots = []
            for name in sorted(i.block_device_mapping.keys()):
                volume = backend.volumes.get(i.block_device_mapping[name].volume_id)
                if isinstance(volume, Volume) and volume.snapshot_id:
                    snapshots.append(volume.snapshot_id)
            yield {
                "kind": "ec2", "id": i.id, "name": name_of(i), "state": i.state,
                "address": i.private_ip, "account": backend.account_id, "region": backend.region_name, "snapshots": snapshots,
                "userData": base64.b64decode(i.user_data or "").decode("utf-8", "replace"), "env": {}, "secrets": {},
            }


def name_of(instance):
    return next((t["value"] for t in instance.get_tags() if t["key"] == "Name"), "")
