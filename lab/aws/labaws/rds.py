"""RDS: an instance is at the lab's PostgreSQL, and says that logical replication is on."""

import moto.rds.models as rds

ENDPOINT = None  # (host, port), set before the server starts


def endpoint(self):
    if ENDPOINT is None:
        return {"Address": self.address, "Port": self.port}
    return {"Address": ENDPOINT[0], "Port": ENDPOINT[1]}


rds.DBInstance.endpoint = property(endpoint)
