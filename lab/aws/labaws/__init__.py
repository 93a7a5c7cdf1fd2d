"""moto as the lab's AWS: its data model extended where it stops short of AWS, then its own server.

Each module patches one service and says what AWS does there that moto does not. `python -m labaws --host H --port P` serves.
"""
