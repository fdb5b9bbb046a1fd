"""The try-out page submits a job, follows it, cancels it and shows its answer."""

from pathlib import Path

from tests.e2e.process import IRIS, ServerProcess, septet_serve
from tests.waiting import until
from tests.web.browser import Browser

SUBMIT = "[role=tabpanel]:not([hidden]) .second"


def serving(folder: Path, workers: int) -> ServerProcess:
    store = f"sqlite:///{folder}/jobs.db"
    return ServerProcess(septet_serve(IRIS, "--jobs", store, "--job-workers", str(workers)), folder / f"log-{workers}")


def test_rows_are_submitted_as_a_job_that_is_followed_cancelled_and_answered(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, 0) as server:
        browser.open(f"http://127.0.0.1:{server.port}/docs")
        browser.write("#field-0", "")
        browser.click(SUBMIT)
        assert browser.find("#field-0-problem").text == "Enter a number."
        browser.write("#field-0", "5.1")
        browser.click(SUBMIT)
        assert browser.find("#job-state").text == "queued"
        browser.click("#job-cancel")
        assert "is cancelled" in browser.find("#answer .notice").text
        browser.click(SUBMIT)
        assert browser.find("#job-state").text == "queued"
        with serving(tmp_path, 1):
            until(lambda: bool(browser.all("#answer .bars")))
        assert [each.text for each in browser.all(".bars .score")] == ["0.9808", "0.0185", "0.0007"]
        assert "waited" in browser.find("#answer .meta").text


def test_a_service_without_jobs_offers_none(browser: Browser, address: str) -> None:
    browser.open(f"{address}/iris/docs")
    assert not browser.all(".second")
