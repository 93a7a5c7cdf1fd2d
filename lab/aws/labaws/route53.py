"""Route 53: a batch is carried out as a whole, what it deletes must stand as it says, and a change takes its time."""
import itertools
import time

import moto.route53.models as r53
import moto.route53.responses as responses
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.route53 import urls
from moto.route53.exceptions import DnsNameInvalidForZone, Route53ClientError

from .changes import LOCK

Backend, Response = r53.Route53Backend, responses.Route53

SPREADS = 1.0  # seconds until a change is at all servers; on AWS up to a minute
RECORDS, CHARACTERS, SETS = 1000, 32000, 10000

_numbers = itertools.count(1)
_made = {}  # id of a change -> when it was made


class Invalid(Route53ClientError):
    def __init__(self, message):
        super().__init__("InvalidChangeBatch", f"[{message}]")


def key(name, kind, identifier):
    return name.strip(".").lower(), kind, identifier or ""


def key_of(record):
    return key(record.name, record.type, record.set_identifier)


def said(record):
    """All that a DELETE has to say as it stands."""
    alias = record.alias_target or {}
    return (int(record.ttl or 0), sorted(record.records or []), None if record.weight is None else int(record.weight),
            (alias.get("DNSName") or "").strip(".").lower(), alias.get("HostedZoneId"), str(alias.get("EvaluateTargetHealth")).lower())


def read(given):
    s = dict(given)
    s["Name"] = s["Name"].strip(".").lower() + "."
    if s.get("ResourceRecords"):
        s["ResourceRecords"] = [r["Value"] for r in s["ResourceRecords"]]
    return r53.RecordSet(s)


def coexist(records, names):
    """A CNAME stands alone, and weighted sets apart from others of their type."""
    for name in names:
        here = [r for r in records if r.name.strip(".").lower() == name]
        for kind in {r.type for r in here}:
            of = [r for r in here if r.type == kind]
            if len({bool(r.set_identifier) for r in of}) > 1:
                raise Invalid(f"RRSet with DNS name {name}., type {kind} cannot be created as other RRSets exist with the same name and "
                              "type.")
        if any(r.type == "CNAME" for r in here) and any(r.type != "CNAME" for r in here):
            raise Invalid(f"RRSet of type CNAME with DNS name {name}. is not permitted as it conflicts with other records with the same "
                          "DNS name")


def change_resource_record_sets(self, zoneid, change_list):
    with LOCK:
        zone = self.get_hosted_zone(zoneid)
        after = list(zone.rrsets)
        records = characters = 0
        names = set()
        for change in change_list:
            new = read(change["ResourceRecordSet"])
            where = f"[name='{new.name}', type='{new.type}', set identifier='{new.set_identifier or ''}']"
            twice = 2 if change["Action"] == "UPSERT" else 1
            records += twice * max(1, len(new.records or []))
            characters += twice * sum(len(v) for v in new.records or [])
            if not new.name.strip(".").endswith(zone.name.strip(".").lower()):
                raise DnsNameInvalidForZone(name=new.name, zone_name=zone.name)
            at = next((r for r in after if key_of(r) == key_of(new)), None)
            if change["Action"] == "DELETE":
                if at is None:
                    raise Invalid(f"Tried to delete resource record set {where} but it was not found")
                if said(at) != said(new):
                    raise Invalid(f"Tried to delete resource record set {where} but the values provided do not match the current values")
            elif change["Action"] == "CREATE" and at is not None:
                raise Invalid(f"Tried to create resource record set {where} but it already exists")
            if at is not None:
                after.remove(at)
            if change["Action"] != "DELETE":
                after.append(new)
                names.add(new.name.strip("."))
        if records > RECORDS or characters > CHARACTERS:
            raise Invalid("Number of records limit of 1000 exceeded.")
        coexist(after, names)
        zone.rrsets = after


_create_hosted_zone = Backend.create_hosted_zone


def create_hosted_zone(self, *args, **kwargs):
    """moto keeps the SOA's value in another shape than all others."""
    zone = _create_hosted_zone(self, *args, **kwargs)
    for r in zone.rrsets:
        r.records = [v["Value"] if isinstance(v, dict) else v for v in r.records]
    return zone


Backend.change_resource_record_sets, Backend.create_hosted_zone = change_resource_record_sets, create_hosted_zone


def info(change):
    status = "INSYNC" if time.monotonic() - _made.get(change, 0) >= SPREADS else "PENDING"
    return ActionResult({"ChangeInfo": {"Id": f"/change/{change}", "Status": status, "SubmittedAt": utcnow()}})


def answer_change(self):
    self.backend.change_resource_record_sets(self._get_param("HostedZoneId"), self._get_param("ChangeBatch.Changes"))
    change = f"C{next(_numbers):013d}"
    _made[change] = time.monotonic()
    return info(change)


def get_change(self):
    return info(self._get_param("Id").rpartition("/")[2])


def get_hosted_zone_limit(self):
    zone = self.backend.get_hosted_zone(self._get_param("HostedZoneId"))
    return ActionResult({"Limit": {"Type": self._get_param("Type"), "Value": SETS}, "Count": len(zone.rrsets)})


Response.change_resource_record_sets, Response.get_change, Response.get_hosted_zone_limit = answer_change, get_change, get_hosted_zone_limit
urls.url_paths[r"{0}/(?P<api_version>[\d_-]+)/hostedzonelimit/(?P<zone_id>[^/]+)/(?P<limit_type>[^/]+)$"] = Response.dispatch
