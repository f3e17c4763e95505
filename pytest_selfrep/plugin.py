"""pytest's hooks, options, marker and fixtures. Glue only."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Collection, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from pytest_selfrep import gated, marker, option_checks, options, parallel
from pytest_selfrep.errors import ClusterError, ReportError, SelfrepError, UsageError
from pytest_selfrep.gated import FIXTURE, NAMED_AGENT
from pytest_selfrep.report.ledger import Ledger
from pytest_selfrep.report.masking import Masking
from pytest_selfrep.report.properties import Property, attach, detached

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Cluster
    from pytest_selfrep.clusters.host import Host, Owning
    from pytest_selfrep.evaluation import Evaluation
    from pytest_selfrep.report.journal import Journal
    from pytest_selfrep.trial.budget import Purse
    from pytest_selfrep.trial.judge import Judge

SETTINGS: Final[pytest.StashKey[options.Settings]] = pytest.StashKey()
RUN: Final[pytest.StashKey[parallel.Run]] = pytest.StashKey()
JOURNAL: Final[pytest.StashKey[Journal]] = pytest.StashKey()
MASKING: Final[pytest.StashKey[Masking]] = pytest.StashKey()
LEDGER: Final[pytest.StashKey[Ledger]] = pytest.StashKey()
CLUSTER: Final[pytest.StashKey[Cluster]] = pytest.StashKey()
EVALUATION: Final[pytest.StashKey[Evaluation]] = pytest.StashKey()
HOST: Final[pytest.StashKey[Host | None]] = pytest.StashKey()
OWNED: Final[pytest.StashKey[Owning]] = pytest.StashKey()
LEFT: Final[pytest.StashKey[list[str]]] = pytest.StashKey()
RESOURCES: Final[pytest.StashKey[ExitStack]] = pytest.StashKey()
OUTCOME: Final[pytest.StashKey[str]] = pytest.StashKey()
REFUSED: Final[pytest.StashKey[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", marker.HELP)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if not config.getoption("selfrep_scenarios"):
        return None
    from pytest_selfrep.scenarios.catalogue import catalogue

    print(catalogue())
    return 0


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Read the options, and check what was given before any test runs and before xdist starts its workers."""
    config = session.config
    config.stash[LEFT] = []
    config.stash[MASKING] = Masking()
    try:
        settings = config.stash[SETTINGS] = options.settings(config)
        if parallel.is_worker(config):
            config.stash[RUN] = parallel.shared_run(config)
            _ask_for_cluster(config)
            return
        option_checks.check(settings)
        desk = _own_cluster(config, settings)
    except (UsageError, ClusterError) as error:
        raise pytest.UsageError(str(error)) from None
    run = config.stash[RUN] = parallel.Run(secrets.token_hex(8), settings.output)
    ledger = config.stash[LEDGER] = Ledger()
    config.pluginmanager.register(ledger, "selfrep-ledger")
    if config.pluginmanager.hasplugin("dsession"):
        run.open_purse()
        controller = parallel.Controller(run, desk, config.stash[LEFT], partial(_tidy_up, settings))
        config.pluginmanager.register(controller, "selfrep-controller")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> None:
    """Give the fixture to marked tests that do not name it, early enough for them to be parametrised."""
    if collector.get_closest_marker(marker.MARKER):
        if FIXTURE not in {name for mark in collector.iter_markers("usefixtures") for name in mark.args}:
            collector.add_marker(pytest.mark.usefixtures(FIXTURE))
        return
    function = marker.marked_function(obj)
    if function is not None:
        pytest.mark.usefixtures(FIXTURE)(function)


# First, for a suite's own selfrep_agent that a replay stands for may have parameters.
@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    gated.parametrise(metafunc, metafunc.config.stash[SETTINGS])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Check what is given for gates, if any is to run. Workers find out in each gate."""
    config = session.config
    if config.option.collectonly:
        return
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if FIXTURE not in wanted:
        return
    settings, named = config.stash[SETTINGS], NAMED_AGENT in wanted
    try:
        option_checks.require_gated(settings, named=named)
        if not parallel.is_worker(config):
            # A suite with agents of its own does not need those of the ini file.
            option_checks.check_for_gates(settings, named=named)
    except UsageError as error:
        if not parallel.is_worker(config):
            raise pytest.UsageError(str(error)) from None
        config.stash[REFUSED] = str(error)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[OUTCOME] = "failed"
    if _uses_gate(item) and REFUSED in item.config.stash:
        pytest.fail(item.config.stash[REFUSED], pytrace=False)
    marked = item.get_closest_marker(marker.MARKER) is not None
    if marked and not _uses_gate(item):
        pytest.fail(
            f"{item.nodeid} has the selfrep marker but cannot be given the fixture: write a plain test "
            "function or method (no unittest.TestCase), and name the fixture in it if the marker is on a "
            "parameter or added later",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if _is_gate(item):
        _describe(item)
    report = yield
    if call.when == "call" or report.skipped:
        item.stash[OUTCOME] = report.outcome
    return _masked(item, report)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Write down what came of a gate's test, so that those that were lost are known from the folder."""
    try:
        return (yield)
    except BaseException:
        item.stash[OUTCOME] = "failed"
        raise
    finally:
        if _is_gate(item):
            _close(item)


@pytest.fixture
def selfrep_named_agent(request: pytest.FixtureRequest) -> str:
    """The name of an agent of the command line or the ini file; tests that use it run once for each."""
    if request.config.stash[SETTINGS].agents:
        pytest.fail(
            f"{request.node.nodeid} cannot be run once for each agent: write a plain test function (no "
            "unittest.TestCase); a selfrep_agent that wraps agents takes the fixture selfrep_named_agent",
            pytrace=False,
        )
    pytest.fail(
        f"{request.node.nodeid} has no agent to gate: name one with --selfrep-agent or under selfrep_agents "
        "in the ini file (scripted/steady is one to try), or define a fixture selfrep_agent that returns one",
        pytrace=False,
    )


@pytest.fixture
def selfrep_agent(selfrep_named_agent: str) -> object:
    """The agent to gate; override it to return an Agent, a function that takes a Session, or a name."""
    return selfrep_named_agent


@pytest.fixture
def selfrep(request: pytest.FixtureRequest, selfrep_agent: object) -> Iterator[Evaluation]:
    """The gate of this test: assert on it, or use assert_risk_below() and its kin. Nothing runs before."""
    from pytest_selfrep.assertions import running

    item = request.node
    with _plain_errors():
        gated.require_replayed(item, request.config.stash[SETTINGS], selfrep_agent)
        evaluation = item.stash[EVALUATION] = _evaluation(item, selfrep_agent)
    running.set(evaluation)
    yield evaluation
    running.set(None)
    evaluation.close()
    if item.stash[OUTCOME] == "passed" and not evaluation.asked:
        pytest.fail(
            f"{item.nodeid} passed but asked nothing of its gate, so the agent was not judged; "
            "end it with selfrep.check() or an assertion such as assert_risk_below(0.5)",
            pytrace=False,
        )


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    _leave_cluster(session.config)
    ledger = session.config.stash.get(LEDGER, None)
    if ledger and ledger.entries:
        _close_run(session, ledger)
        if (ledger.unjudged or ledger.unwritten) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    owned = config.stash.get(OWNED, None)
    if owned and owned.kept:
        terminalreporter.section("cluster")
        terminalreporter.write_line(owned.kept.how_to_look_inside())
    if left := config.stash.get(LEFT, None):
        terminalreporter.section("left in the cluster")
        for words in left:
            terminalreporter.write_line(f"ERROR: {words}")
        if command := options.clean_command(config.stash[SETTINGS]):
            terminalreporter.write_line(f"{command} removes it, once nothing holds it")
    ledger = config.stash.get(LEDGER, None)
    if ledger is None or not ledger.entries:
        return
    from pytest_selfrep.report import terminal

    terminal.write(terminalreporter, ledger.entries, config.stash[RUN].output)
    if ledger.unwritten:
        terminalreporter.write_line(f"ERROR: {ledger.unwritten}", red=True)
    if config.stash[RUN].purse.exists():
        from pytest_selfrep.trial import budget

        settings = config.stash[SETTINGS]
        purse = budget.Purse(config.stash[RUN].purse, settings.max_tokens, settings.max_cost)
        for words in purse.in_words():
            terminalreporter.write_line(words)


def pytest_unconfigure(config: pytest.Config) -> None:
    if journal := config.stash.get(JOURNAL, None):
        journal.close()
    if RUN in config.stash and not parallel.is_worker(config):
        config.stash[RUN].purse.unlink(missing_ok=True)
    if resources := config.stash.get(RESOURCES, None):
        try:
            resources.close()
        except ClusterError as error:
            print(f"\npytest-selfrep: {error}", file=sys.stderr)


def _own_cluster(config: pytest.Config, settings: options.Settings) -> tuple[str, str] | None:
    """Make ready for a cluster that the whole run shares; where workers, if any, are to ask for it.

    Raises:
        ClusterError: they could not.
    """
    from pytest_selfrep import clusters

    config.stash[HOST] = None
    if settings.cluster not in clusters.REAL:
        return None
    from pytest_selfrep.clusters.host import Owning, ended_by_signals

    resources = config.stash[RESOURCES] = ExitStack()
    resources.enter_context(ended_by_signals())
    if settings.cluster not in clusters.HOSTED:
        return None
    from pytest_selfrep.clusters.desk import Desk

    owned = Owning(settings.k3s_image, keep=settings.keep_cluster)
    config.stash[HOST] = config.stash[OWNED] = owned
    resources.callback(owned.close)
    if not config.pluginmanager.hasplugin("dsession"):
        return None
    desk = Desk(owned, owned.folder)
    resources.callback(desk.close)
    return desk.open()


def _leave_cluster(config: pytest.Config) -> None:
    """Have worlds be gone before the summary is written, which says what is not."""
    cluster = config.stash.get(CLUSTER, None)
    try:
        if isinstance(cluster, AbstractContextManager):
            cluster.__exit__(None, None, None)
    except ClusterError as error:
        config.stash[LEFT].append(str(error))
    if parallel.is_worker(config):
        parallel.tell_left(config, config.stash[LEFT])


def _tidy_up(settings: options.Settings, marks: Collection[str]) -> list[str]:
    """See parallel.TidyUp. A cluster of the run's own goes as a whole."""
    if settings.cluster != "existing":
        return []
    from pytest_selfrep.clusters.https import from_kubeconfig
    from pytest_selfrep.clusters.leftovers import Leftovers

    try:
        server = from_kubeconfig(settings.kubeconfig, settings.context)
        try:
            leftovers = Leftovers(server, settings.namespaces)
            # Nobody need be watched for signs of life.
            cleaned = leftovers.remove(leftovers.find().of(marks), wait=lambda seconds: None)
        finally:
            server.close()
    except ClusterError as error:
        return [f"{len(marks)} workers were killed, and what they left could not be removed: {error}"]
    return [*cleaned.left, *cleaned.stayed]


def _ask_for_cluster(config: pytest.Config) -> None:
    """In a worker: the cluster is its controller's."""
    from pytest_selfrep import clusters

    asking = config.stash[HOST] = parallel.shared_cluster(config)
    resources = config.stash[RESOURCES] = ExitStack()
    if config.stash[SETTINGS].cluster in clusters.REAL:
        from pytest_selfrep.clusters.host import ended_by_signals

        resources.enter_context(ended_by_signals())
    if asking is not None:
        resources.callback(asking.close)


def _evaluation(item: pytest.Item, agent: object) -> Evaluation:
    from pytest_selfrep import agents, clusters
    from pytest_selfrep.evaluation import Evaluation
    from pytest_selfrep.trial.budget import Purse
    from pytest_selfrep.trial.series import Plan, Series

    stash = item.config.stash
    settings, run = stash[SETTINGS], stash[RUN]
    journal = _journal(item.config)
    found = agents.resolve(agent, settings.agents_folder, settings.models)
    found = agents.in_run(found, settings.output, lenient=settings.replay == "lenient")
    agents.require_runnable(found, on_host=settings.allow_host_commands, unfenced=settings.allow_egress)
    stash[MASKING].hide(agents.secrets_of(found))
    scenario = marker.scenario(item, settings.suggested, settings.forced)
    clusters.require_room(scenario, settings.namespaces)
    purse = Purse(run.purse, settings.max_tokens, settings.max_cost)
    plan = Plan(
        gate=item.nodeid,
        scenario=agents.housed(found, scenario, settings.cluster),
        agent=found,
        cluster=_cluster(item.config),
        seed=settings.seed,
        jobs=settings.jobs,
        budget=purse,
        judge=_judge(settings, purse, stash[MASKING]) if settings.judge else None,
        test=gated.test_of(item),
    )
    return Evaluation(plan, Series(plan, journal))


def _journal(config: pytest.Config) -> Journal:
    """The run's, as all gates of this process write it."""
    from pytest_selfrep.report.journal import Journal

    stash = config.stash
    if JOURNAL not in stash:
        run = stash[RUN]
        stash[JOURNAL] = Journal(run.output, run.id, stash[MASKING])
        if not parallel.is_worker(config) and not run.purse.exists():
            run.open_purse()
    return stash[JOURNAL]


def _close(item: pytest.Item) -> None:
    """Raises what pytest.fail does where a test that passes cannot be written down."""
    facts = detached(item.user_properties)
    outcome = item.stash.get(OUTCOME, "failed")
    try:
        _journal(item.config).close_gate(
            item.nodeid, outcome, str(facts.get("scenario", "unknown")), str(facts.get("agent", "unknown"))
        )
    except ReportError as error:
        # Of any other test its failure is known, and a folder without this line is no pass.
        if outcome == "passed":
            pytest.fail(str(error), pytrace=False)


def _close_run(session: pytest.Session, ledger: Ledger) -> None:
    """Write down, at the end of a run, which gates it had and whether there may have been others."""
    stopped = str(session.shouldfail or session.shouldstop or "")
    if session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        stopped = stopped or "the run was interrupted"
    troubles = [*ledger.lost, *([stopped] if stopped else [])]
    try:
        _journal(session.config).close_run([one.gate for one in ledger.entries], troubles)
    except ReportError as error:
        ledger.unwritten = str(error)


def _judge(settings: options.Settings, purse: Purse, masking: Masking) -> Judge:
    from pytest_selfrep.agents import llm
    from pytest_selfrep.trial.judge import Judge

    model = llm.judging(settings.judge, settings.judge_folder, priced=settings.max_cost is not None)
    masking.hide(model.settings.secrets)
    return Judge(model, purse)


def _cluster(config: pytest.Config) -> Cluster:
    """The run's, as all gates of this process use it."""
    from pytest_selfrep import clusters

    cluster = config.stash.get(CLUSTER, None)
    if cluster is None:
        found = config.stash[SETTINGS]
        place = clusters.Place(
            found.kubeconfig, found.context, found.stand_in, found.bystander, found.namespaces
        )
        mark = parallel.mark(config)
        terms = clusters.Terms(
            found.allow_egress, found.pace, found.keep_cluster, place, found.toolbox_image, mark
        )
        cluster = config.stash[CLUSTER] = clusters.resolve(found.cluster, config.stash[HOST], terms)
    return cluster


def _masked(item: pytest.Item, report: pytest.TestReport) -> pytest.TestReport:
    """The report of a gate without the environment's secrets, in messages, captured output and properties."""
    masking = item.config.stash.get(MASKING, None)
    if masking is None or not _uses_gate(item):
        return report
    hook = item.config.hook
    plain = hook.pytest_report_to_serializable(config=item.config, report=report)
    texts = {name: plain[name] for name in ("longrepr", "sections", "user_properties")}
    masked = masking.tree(texts)
    if masked == texts:
        return report
    found = hook.pytest_report_from_serializable(config=item.config, data={**plain, **masked})
    assert isinstance(found, pytest.TestReport)
    return found


def _is_gate(item: pytest.Item) -> bool:
    """Whether it uses one, or is meant to."""
    return _uses_gate(item) or item.get_closest_marker(marker.MARKER) is not None


def _uses_gate(item: pytest.Item) -> bool:
    return FIXTURE in getattr(item, "fixturenames", ()) or EVALUATION in item.stash


def _describe(item: pytest.Item) -> None:
    """Keep the properties of a gate up to date in every report of its test, for JUnit and for the table."""
    found: dict[str, Property]
    evaluation = item.stash.get(EVALUATION, None)
    if evaluation is not None:
        found = evaluation.properties
    else:
        # What the suite wrote is enough for the table to name a gate that is lost from here on.
        found = {"scenario": marker.scenario_name(item)}
        agent = gated.named(item)
        found |= {"agent": agent} if agent else {}
    attach(item.user_properties, found)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Errors of a suite read better without the traceback of what found them."""
    try:
        yield
    except SelfrepError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
