"""Order reports over HTTP: ``flask --app reports run``."""

import os
from typing import Any, Dict, Mapping, Optional, Tuple

from flask import Flask, Response, request, url_for

from bananas import Job
from bananas.flask import Bananas
from bananas.testing import LocalQueue

bananas = Bananas(handle_errors=True, job_endpoint="fetch")


def create_app(config: Optional[Mapping[str, Any]] = None) -> Flask:
    app = Flask(__name__)
    app.config.from_prefixed_env()  # FLASK_BANANAS__URL is app.config["BANANAS"]["URL"]
    app.config.from_mapping(config or {})
    if "BANANAS" not in app.config and "BANANAS_REDIS_URL" not in os.environ:
        app.config["BANANAS"] = {"URL": start_local_worker()}
    bananas.init_app(app)
    app.add_url_rule("/reports", view_func=order, methods=["POST"])
    app.add_url_rule("/reports/<job_id:job_id>", view_func=fetch)
    app.add_url_rule("/reports/<job_id:job_id>/events", view_func=follow)
    return app


def order() -> Tuple[Dict[str, str], int, Dict[str, str]]:
    job_id = bananas.client.submit_job("report", {"month": request.form["month"]})
    return {"job_id": job_id}, 202, {"Location": url_for("fetch", job_id=job_id)}


def fetch(job_id: str) -> Dict[str, str]:
    result = bananas.client.wait_for_result(job_id, timeout=10, must_exist=True)
    return {"report": result.get_result(str)}


def follow(job_id: str) -> Response:
    return bananas.job_events(job_id, with_result=True)


def start_local_worker() -> str:
    """Start a local queue, in place of Redis and a Go worker, and return its URL."""
    queue = LocalQueue()
    queue.handle("report", make_report)
    return queue.start().url


def make_report(job: Job) -> str:
    return f"the report of {job.payload['month']}"
