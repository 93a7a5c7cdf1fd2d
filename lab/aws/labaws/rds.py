"""RDS: the endpoint of every PostgreSQL instance is the lab's own server."""
from moto.rds.models import DBInstance

_address = DBInstance.address.fget


def use(host, port):
    """Let every PostgreSQL instance be found at host:port."""

    def endpoint(self):
        if (self.engine or "").endswith("postgres"):
            return {"Address": host, "Port": port}
        return {"Address": _address(self), "Port": self.port}

    DBInstance.endpoint = property(endpoint)
