"""EBS direct: moto keeps the record of a snapshot, which is pending until it is completed; the block store keeps its blocks and
forwards StartSnapshot and CompleteSnapshot here."""
from moto.ebs.models import EBSBackend
from moto.ec2.models.elastic_block_store import Snapshot

_start, _complete = EBSBackend.start_snapshot, EBSBackend.complete_snapshot


def start_snapshot(self, *args, **kw):
    snapshot = _start(self, *args, **kw)
    record = self.ec2_backend.snapshots[snapshot.snapshot_id]
    record.status = "pending"
    # moto needs a volume to make a snapshot; on AWS such a snapshot has none.
    self.ec2_backend.volumes.pop(record.volume.id, None)
    return snapshot


def complete_snapshot(self, snapshot_id):
    self.ec2_backend.snapshots[snapshot_id].status = "completed"
    return _complete(self, snapshot_id)


EBSBackend.start_snapshot, EBSBackend.complete_snapshot = start_snapshot, complete_snapshot


def record(account, region, snapshot, status, encrypted, key):
    """The block store says what became of a snapshot: error after an idle time, encryption."""
    from moto.ec2.models import ec2_backends

    found: Snapshot = ec2_backends[account][region].snapshots.get(snapshot)
    if found is None:
        return False
    if status:
        found.status = status
    if encrypted:
        found.encrypted, found.kms_key_id = True, key
    return True
