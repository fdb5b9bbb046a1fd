"""`septet jobs`: what a store of jobs holds."""

from argparse import Namespace
from collections.abc import Sequence
from secrets import token_hex
from time import time

import msgspec

from septet.cli.aligned_text import aligned
from septet.cli.flags import add_settings, settings
from septet.cli.parser import Parser
from septet.cli.terminal import show, show_json
from septet.errors import NotFound, SettingsInvalid, StartupError
from septet.jobs.job_document import moment, served_models, summary
from septet.queues.job import Job, JobState
from septet.queues.job_store import Accepted, JobFilter, JobStore
from septet.settings import Jobs
from septet.sinks.delivery import shown_answer

ARGUMENTS = "{list,show,replay,cancel,purge,stats} [JOB ...] --jobs URL"
DESCRIPTION = """\
Look at the jobs in a store: list them, show one with its answer, submit failed ones again, cancel those that wait,
forget those that are over, or count them. The failed ones are the dead letters."""
EXAMPLE = """\
examples:
  septet jobs list --state failed --jobs sqlite:///jobs.db
  septet jobs show 3f2a9c0d5b7e4f18a6c1d2e3f4051627 --jobs sqlite:///jobs.db
  septet jobs replay --state failed --jobs sqlite:///jobs.db
  septet jobs stats --jobs redis://10.0.0.5:6379/0"""
_PAGE = 100
_AT_ONCE = 1000


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=("list", "show", "replay", "cancel", "purge", "stats"), help="what to do")
    parser.add_argument("ids", nargs="*", metavar="JOB", help="the ids of jobs; else those that the flags name")
    parser.add_argument("--state", choices=[state.value for state in JobState], help="only jobs in this state")
    parser.add_argument("--of", metavar="MODEL", help="only jobs for this model")
    parser.add_argument("--limit", type=int, default=_PAGE, metavar="N", help="how many (default: 100)")
    parser.add_argument(
        "--older-than", type=float, default=0.0, metavar="SECONDS", help="purge what ended so long ago (default: 0)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    add_settings(parser, ("jobs",))


def run(args: Namespace) -> int:
    """Do it and print what was found or done.

    Raises:
        StartupError: there is no such store, or it cannot be opened.
        NotFound: there is no such job.
    """
    from septet.assembly.job_serving import store_address
    from septet.queues.store_address import open_store

    jobs: Jobs = settings(args).jobs
    if jobs.store is None:
        raise SettingsInvalid("septet jobs needs --jobs: where they are stored, such as sqlite:///jobs.db")
    address = store_address(jobs)
    file = address.file
    if file is not None and not file.exists():
        raise StartupError(f"there is no store of jobs at {file}")
    store = open_store(address)
    try:
        lines = _ACTIONS[args.action](store, args)
    finally:
        store.close()
    show(lines)
    return 0


def _list(store: JobStore, args: Namespace) -> Sequence[str]:
    jobs = _wanted(store, args)
    if args.json:
        served = served_models(store.workers())
        show_json(msgspec.json.encode([summary(job, "", served) for job in jobs]))
        return ()
    rows = [("job", "state", "model", "submitted", "attempts", "error")]
    for job in jobs:
        error = "" if job.error is None else f"{job.error.code}: {job.error.message}"
        attempts = f"{job.attempts} of {job.max_attempts}"
        rows.append((job.id, job.state.value, job.model, moment(job.submitted_at) or "", attempts, error))
    return list(aligned(rows))


def _show(store: JobStore, args: Namespace) -> Sequence[str]:
    shown, served = [], served_models(store.workers())
    for job in _wanted(store, args):
        reply = store.reply(job.id)
        shown.append({**summary(job, "", served), **({} if reply is None else {"answer": shown_answer(reply)})})
    show_json(msgspec.json.encode(shown[0] if len(shown) == 1 else shown))
    return ()


def _replay(store: JobStore, args: Namespace) -> Sequence[str]:
    """Submit jobs again, each as a new job: what has ended never changes."""
    told = []
    for job in _wanted(store, args):
        before = store.body(job.id)
        if before is None:
            continue
        again = msgspec.structs.replace(
            before, id=token_hex(16), submitted_at=time(), idempotency=None, not_before=0.0, begin_by=None
        )
        (outcome,) = store.accept([again], time())
        if not isinstance(outcome, Accepted):
            raise outcome
        told.append(f"{job.id} is submitted again as {again.id}")
    return told or ["no job was submitted again"]


def _cancel(store: JobStore, args: Namespace) -> Sequence[str]:
    told = []
    for job in _wanted(store, args):
        now = store.cancel(job.id, time())
        if now is not None:
            told.append(f"{job.id} is {'asked to end' if now.state is JobState.RUNNING else now.state.value}")
    return told


def _purge(store: JobStore, args: Namespace) -> Sequence[str]:
    if args.ids:
        raise SettingsInvalid("septet jobs purge takes --state, --of and --older-than, not ids")
    wanted = JobFilter(None if args.state is None else JobState(args.state), args.of)
    before, count = time() - args.older_than, 0
    while purged := store.purge(wanted, before, _AT_ONCE):
        count += purged
    return [f"{count} jobs forgotten"]


def _stats(store: JobStore, args: Namespace) -> Sequence[str]:
    stats, now = store.stats(time()), time()
    workers = store.workers()
    if args.json:
        facts = {**msgspec.to_builtins(stats), "worker_list": workers, "durability": store.durability}
        show_json(msgspec.json.encode(facts))
        return ()
    oldest = "none waits" if stats.oldest_at is None else f"{max(0.0, now - stats.oldest_at):.1f} s"
    rows = [
        *((state.value, str(count)) for state, count in stats.states.items()),
        ("due now", str(stats.due)),
        ("oldest", oldest),
        ("deliveries", str(stats.deliveries)),
        ("bytes", f"{stats.stored_bytes:,}"),
        ("workers", str(len(workers))),
        *(("no worker for", f"{model}: {count} waiting") for model, count in sorted(stats.unserved.items())),
        *(("", f"{each.id} ({', '.join(each.models)}): {each.running} running") for each in workers),
    ]
    return [*aligned([("", ""), *rows]), store.durability]


def _wanted(store: JobStore, args: Namespace) -> list[Job]:
    if args.ids:
        found = store.find(args.ids)
        for identifier, job in zip(args.ids, found, strict=True):
            if not isinstance(job, Job):
                raise NotFound(f"there is no job {identifier!r} in this store")
        return [job for job in found if isinstance(job, Job)]
    if args.action in ("show", "cancel") and args.state is None:
        raise SettingsInvalid(f"septet jobs {args.action} needs the ids of jobs, or --state")
    state = args.state or ("failed" if args.action == "replay" else None)
    wanted = JobFilter(None if state is None else JobState(state), args.of)
    return list(store.page(wanted, None, args.limit).jobs)


_ACTIONS = {
    "list": _list,
    "show": _show,
    "replay": _replay,
    "cancel": _cancel,
    "purge": _purge,
    "stats": _stats,
}
