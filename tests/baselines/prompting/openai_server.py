"""A server that speaks OpenAI's completions and chat APIs, with faults; a process of its own.

python openai_server.py STATE '{"faults": ["429", "truncated"], "every": 2, "delay": 0.0}'

It prints its port, answers by a fixed rule, and writes a line into STATE/billed.jsonl for every
reply that it sent whole: what a real one would bill. With "idempotent" it sends the reply that it
has to a key that it knows, without billing. Nothing of a prompt is written but its hash.
"""

import hashlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LABELS = ("entailment", "neutral", "contradiction")


def answer_to(prompt):
    """The right answer where the last line that matters has one in brackets, else a fixed one."""
    question = prompt.rsplit("\n\n", 1)[-1]
    if "really" in question:
        return " Hard to say."
    digest = int(hashlib.sha256(question.encode()).hexdigest(), 16)
    return " " + LABELS[digest % 3]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with server.lock:
            server.count += 1
            number = server.count
            server.note("seen", self.path, dict(self.headers.items()), body)
        fault = server.fault(number, body)
        time.sleep(server.plan.get("delay", 0.0))
        if fault:
            with server.lock:
                server.note("failed", fault, {}, body)
            self._fail(fault)
            return
        key = self.headers.get("Idempotency-Key")
        with server.lock:
            known = server.replies.get(key) if server.plan.get("idempotent") else None
            reply = known or server.reply(self.path, json.loads(body))
            if known is None:
                server.replies[key] = reply
                server.note("billed", self.path, {}, body)
        self._send(200, json.dumps(reply).encode())

    def _send(self, status, data, headers=None, *, length=None):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def _fail(self, fault):
        plain = json.dumps({"error": {"message": "SECRET of the prompt", "code": fault}}).encode()
        choice = {"text": " neutral", "message": {"content": "neutral"}, "finish_reason": "stop"}
        if fault == "429":
            self._send(429, plain)
        elif fault == "429-after":
            self._send(429, plain, {"Retry-After": "0.2"})
        elif fault == "timeout":
            time.sleep(self.server.plan["timeout"])
            self.close_connection = True
        elif fault == "truncated":
            self._send(200, b'{"choices": [{"text": " entail', length=500)
            self.close_connection = True
        elif fault == "hangup":
            self.close_connection = True
        elif fault == "malformed":
            self._send(200, b"<html>Bad gateway</html>")
        elif fault == "no-choices":
            self._send(200, json.dumps({"choices": []}).encode())
        elif fault == "two-choices":
            self._send(200, json.dumps({"choices": [choice, choice]}).encode())
        elif fault == "no-text":
            self._send(200, json.dumps({"choices": [{"finish_reason": "stop"}]}).encode())
        elif fault == "filter":
            error = {"message": "SECRET", "code": "content_filter"}
            self._send(400, json.dumps({"error": error}).encode())
        elif fault == "redirect":
            self._send(307, b"", {"Location": "http://elsewhere.example/v1"})
        else:
            self._send(int(fault), plain)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, state, plan):
        super().__init__(("127.0.0.1", 0), Handler)
        self.state, self.plan = Path(state), plan
        self.lock, self.count, self.faulty = threading.Lock(), 0, 0
        self.replies, self.failed = {}, {}

    def fault(self, number, body):
        """Every so-and-so-many-th request fails, in turn by each fault; "always" is for all."""
        faults = self.plan.get("faults", [])
        if "always" in self.plan:
            return self.plan["always"]
        if not faults or number % self.plan.get("every", 2):
            return None
        with self.lock:
            self.faulty += 1
            return faults[(self.faulty - 1) % len(faults)]

    def reply(self, path, body):
        chat = path.split("?")[0].endswith("/chat/completions")
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        text = answer_to(prompt)
        choice = {"index": 0, "finish_reason": "stop"}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        usage = {"prompt_tokens": len(str(prompt).split()), "completion_tokens": 2}
        return {"choices": [choice], "usage": usage}

    def note(self, what, path, headers, body):
        """Under the lock. Keys of requests are kept for tests; prompts only as hashes."""
        line = {"request": hashlib.sha256(body).hexdigest(), "path": path, "headers": headers}
        with (self.state / f"{what}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    server = Server(sys.argv[1], json.loads(sys.argv[2]))
    print(server.server_port, flush=True)
    server.serve_forever()
