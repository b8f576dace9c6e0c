"""What schemathesis makes of the API's description: nothing of it is a failure of ours, and the server goes on."""

import httpx
import hypothesis
import pytest
import served
import writing_run

CASES = 40


@pytest.mark.slow
def test_made_up_requests_are_no_failures(tmp_path):
    schemathesis = pytest.importorskip("schemathesis")
    runs = [served.make_run(tmp_path / "corners").path]
    statuses = fuzzed(schemathesis, runs, tmp_path, own_network=True)
    assert 200 in statuses, "some are answered"
    runs = [writing_run.make(tmp_path / name, converses=name == "talk").path for name in ("talk", "plays")]
    statuses = fuzzed(schemathesis, runs, tmp_path, own_network=False, writing_seconds=0.2)
    assert 200 in statuses


def fuzzed(schemathesis, runs, folder, **how):
    """Ask what is made up, so many cases of each route; the statuses that were answered."""
    statuses = set()
    with served.process(runs, folder, **how) as (started, url):
        for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations():

            @hypothesis.settings(
                max_examples=CASES, deadline=None, database=None, derandomize=True,
                phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck),
            )  # fmt: skip
            @hypothesis.given(case=found.ok().as_strategy())
            def ask(case):
                answer = case.call(timeout=60)
                assert answer.status_code < 500, (case.as_curl_command(), answer.text)
                statuses.add(answer.status_code)

            ask()
        assert httpx.get(f"{url}/readyz").status_code == 200
        assert started.poll() is None
    return statuses
