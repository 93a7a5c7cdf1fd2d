"""Every API action passes here: what moto does not implement is a 501 (it says 500, which SDKs retry), and writes are announced."""
from html import escape
from json import dumps

from moto.core.responses import BaseResponse

from . import changes

READS = ("Describe", "List", "Get", "Head", "Lookup", "AssumeRole", "Batch")


def not_implemented(response, error):
    if response.headers.get("X-Amz-Target"):
        body = dumps({"__type": "NotImplemented", "message": str(error)})
        return 501, {"Content-Type": "application/x-amz-json-1.1"}, body
    inner = f"<Error><Code>NotImplemented</Code><Message>{escape(str(error))}</Message></Error>"
    if type(response).__module__.startswith("moto.ec2."):
        body = f"<Response><Errors>{inner}</Errors><RequestID>lab</RequestID></Response>"
    else:
        body = f"<ErrorResponse>{inner}<RequestId>lab</RequestId></ErrorResponse>"
    return 501, {"Content-Type": "text/xml"}, body


_call_action = BaseResponse.call_action


def call_action(self):
    try:
        answer = _call_action(self)
    except NotImplementedError as error:
        return not_implemented(self, error)
    if not str(self._get_action() or "").startswith(READS):
        changes.notify()
    return answer


BaseResponse.call_action = call_action
