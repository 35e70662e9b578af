"""A receiver of OTLP over HTTP for tests: it parses what it gets with the published protocol, and answers by its mode.

It prints its port, and then one line for each request: its headers and the spans as JSON. The mode is in the path of the
address: /ok, /unauthorized, /missing, /busy (503 for the first request, then as /ok) or /partial (refuses one span each).
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

seen_busy = []


def plain(attributes):
    return {it.key: getattr(it.value, it.value.WhichOneof("value")) for it in attributes}


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ExportTraceServiceRequest.FromString(body)
        # Nothing that the protocol does not know may be in it.
        assert request.SerializeToString() == body, "the message is not in the form of the protocol"
        mode = self.path.split("/")[1]
        status = {"unauthorized": 401, "missing": 404}.get(mode, 200)
        if mode == "busy" and not seen_busy:
            seen_busy.append(True)
            status = 503
        spans = []
        for resource_spans in request.resource_spans:
            resource = plain(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    spans.append(
                        {
                            "resource": resource,
                            "scope": scope_spans.scope.name,
                            "trace": span.trace_id.hex(),
                            "id": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "state": span.trace_state,
                            "name": span.name,
                            "kind": span.kind,
                            "start": span.start_time_unix_nano,
                            "end": span.end_time_unix_nano,
                            "attributes": plain(span.attributes),
                            "status": span.status.code,
                            "problem": span.status.message,
                            "flags": span.flags,
                        }
                    )
        headers = {name.lower(): value for name, value in self.headers.items()}
        line = {"status": status, "path": self.path, "headers": headers, "spans": spans}
        print(json.dumps(line), flush=True)
        answer = ExportTraceServiceResponse()
        if mode == "partial":
            answer.partial_success.rejected_spans = 1
            answer.partial_success.error_message = "one is too old"
        answer = answer.SerializeToString()
        self.send_response(status)
        if status == 503:
            self.send_header("retry-after", "0")
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
