"""What holds for every service: an action that moto does not implement is an answer, not a crash that SDKs retry."""

import threading

from moto.core.responses import BaseResponse

# One lock for everything that must be found or created once: moto's own structures are not written for threads.
LOCK = threading.RLock()

_call_action = BaseResponse.call_action


def call_action(self):
    try:
        return _call_action(self)
    except NotImplementedError as e:
        if self.headers.get("X-Amz-Target"):
            return 501, {"Content-Type": "application/x-amz-json-1.1"}, '{"__type":"NotImplemented","message":"%s"}' % e
        error = f"<Error><Code>NotImplemented</Code><Message>{e}</Message></Error>"
        if "ec2" in type(self).__module__:
            body = f"<Response><Errors>{error}</Errors><RequestID>lab</RequestID></Response>"
        else:
            body = f"<ErrorResponse>{error}<RequestId>lab</RequestId></ErrorResponse>"
        return 501, {"Content-Type": "text/xml"}, body


BaseResponse.call_action = call_action
