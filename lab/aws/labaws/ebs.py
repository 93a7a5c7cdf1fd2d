"""EBS direct: moto keeps a snapshot's record, the lab's block store its blocks. A snapshot is pending until it is completed."""

from moto.ebs.models import EBSBackend

_start, _complete = EBSBackend.start_snapshot, EBSBackend.complete_snapshot


def start_snapshot(self, *args, **kw):
    snapshot = _start(self, *args, **kw)
    self.ec2_backend.snapshots[snapshot.snapshot_id].status = "pending"
    return snapshot


def complete_snapshot(self, snapshot_id):
    self.ec2_backend.snapshots[snapshot_id].status = "completed"
    return _complete(self, snapshot_id)


EBSBackend.start_snapshot, EBSBackend.complete_snapshot = start_snapshot, complete_snapshot
