"""The lab's AWS: moto, extended where its data model lives.

Each module patches one service at import; `state` answers the data plane; `__main__` serves. The protocols stay moto's.
"""
