import re

LABEL = r'[a-z_]+="(?:[^"\\]|\\.)*"'
SAMPLE = re.compile(
    rf"^[a-z_:][a-z0-9_:]*(\{{{LABEL}(,{LABEL})*\}})? -?[0-9.e+]+(Inf|NaN)?$")


def test_alive(suite):
    assert suite.session().get("/healthz").status_code == 200


def test_ready(suite):
    assert suite.session().get("/readyz").status_code == 200


def test_metrics_are_prometheus_text(suite):
    answer = suite.session().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = answer.text.splitlines()
    samples = [line for line in lines if line and not line.startswith("#")]
    assert samples
    for line in samples:
        assert SAMPLE.match(line), line


def test_not_ready_without_a_service(suite):
    suite.stop("provider")
    try:
        answer = suite.session().get("/readyz")
        assert answer.status_code == 503
        assert "provider" in answer.text
        assert suite.session().get("/healthz").status_code == 200
    finally:
        suite.start("provider")
        suite.wait_ready()
