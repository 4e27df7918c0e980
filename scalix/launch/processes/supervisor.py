"""Runs one gateway: starts store, demo provider, preloader and workers, keeps them running, and stops them."""

import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import scalix
from scalix.launch.config.policy_file import forget_taken, write_policy
from scalix.launch.config.render import RENDERED_FILE, write_rendered
from scalix.launch.embedded.store_child import StoreChild, open_store
from scalix.launch.problems import LaunchError
from scalix.launch.processes.certificate import Certificate
from scalix.launch.processes.child import Child, ChildSpec, is_hopeless, obituary
from scalix.launch.processes.crew import Crew
from scalix.launch.processes.drain import Drain
from scalix.launch.processes.fellows import Fellow, Fellows
from scalix.launch.processes.logfile import RotatingLog
from scalix.launch.processes.output import Output
from scalix.launch.processes.plan import Plan, demo_spec, worker_environment, worker_specs
from scalix.launch.processes.ports import UNSPECIFIED, check_ui_port, port_taken, reserve_port
from scalix.launch.processes.prefork import Preloader
from scalix.launch.processes.private_directory import make_private
from scalix.launch.processes.process import describe_exit
from scalix.launch.processes.pump import PipePump
from scalix.launch.processes.reloading import Reloading
from scalix.launch.processes.runfile import RunFile, hold_lock, remove_run_file
from scalix.launch.processes.signals import EXIT_PORT_TAKEN, HURRY_SIGNAL, RELOAD_SIGNALS, STOP_SIGNALS, SignalInbox
from scalix.launch.processes.start_block import model_lines, page_lines, start_block
from scalix.launch.processes.takeover import refuse_second_start, wait_for_orphans
from scalix.launch.processes.unapplied import Unapplied
from scalix.launch.processes.watchdog import Watchdog
from scalix.launch.settings.master_key import ensure_master_key
from scalix.store.keys import DEFAULT_KEY_PREFIX
from scalix.store.metric_cells import forget_metrics

_TICK_S = 0.5


class GaveUp(Exception):
    """A child can't be started at all; the text is the reason."""


class Supervisor:
    """One run of the gateway. `on_ready` is called once, as soon as every worker serves."""

    def __init__(self, plan: Plan, output: Output, on_ready: Callable[[], None] = lambda: None) -> None:
        self._output = output
        self._on_ready = on_ready
        self._pump = PipePump()
        self._store: StoreChild | None = None
        self._demo: Child | None = None
        self._demo_url: str | None = None
        self._crew = Crew(self._pump, output)
        self._reloading = Reloading(plan, self._crew, output, self._specs, lambda outcome: self._note(reload=outcome))
        self._watchdog = Watchdog(plan.settings.worker_hang_s, output)
        self._unapplied = Unapplied(plan)
        self._announced = self._leaving = self._hurry = False

    @property
    def _plan(self) -> Plan:
        """What is in force."""
        return self._reloading.plan

    def run(self) -> int:
        """Returns the exit code: 0 stopped when asked to, 1 given up.

        Raises LaunchError when something is wrong with what the operator set; nothing is left running then.
        """
        settings = self._plan.settings
        make_private(settings.state_dir)
        if not hold_lock(settings.state_dir):
            refuse_second_start(settings.state_dir)
        with SignalInbox(hear_hangup=self._plan.detached) as self._inbox:
            log = RotatingLog(settings.log_file)
            self._output.open_log(log, as_json=settings.log_format == "json")
            self._output.keep_secret(self._plan.environment.values)
            self._log_file = log.path
            wait_for_orphans(settings.state_dir, self._output, self._inbox)
            self._certificate = Certificate(settings.tls, settings.state_dir, partial(self._output.say, "tls"))
            self._listener = reserve_port(settings.host, settings.port)
            check_ui_port(self._plan.config.policy.ui, settings.host)
            try:
                self._start_everything()
                while not self._leaving:
                    self._step()
                return 0
            except GaveUp as reason:
                self._output.fail(str(reason))
                return 1
            finally:
                self._stop_everything()

    def _start_everything(self) -> None:
        settings, port = self._plan.settings, int(self._listener.getsockname()[1])
        self._run_file = RunFile(settings.host, port, str(self._log_file), demo=self._plan.demo)
        self._note()
        self._output.say("config", str(settings.config_path))
        self._store = open_store(settings, self._pump, self._output, self._plan.environment.store_variables)
        self._note()
        notes = (("settings", note) for note in self._plan.notes)
        warnings = (("config", line) for line in self._plan.config.warnings)
        hidden = (("config", line) for line in self._plan.notes_on_kept)
        for label, line in (*notes, *warnings, *model_lines(self._plan), *hidden):
            self._output.say(label, line)
        self._demo_url = self._start_demo() if self._plan.demo else None
        if self._leaving:
            return
        forget_metrics(settings.state_dir)
        forget_taken(self._reloading.policy_path)
        specs = self._specs(self._plan, 0)
        if len(specs) > 1 and (preloader := self._crew.make_preloader(specs[0])):
            self._start(preloader)
            self._wait_for(preloader)
        for spec in specs:
            self._start(self._crew.hire(spec))

    def _specs(self, plan: Plan, number: int) -> list[ChildSpec]:
        """How to start the workers of `plan`; what they read is written. Raises `LaunchError`."""
        settings = plan.settings
        write_policy(self._reloading.policy_path, number, plan.config.policy)
        environment = worker_environment(
            plan,
            rendered_config=write_rendered(settings.state_dir / RENDERED_FILE, plan.config.litellm),
            store_url=self._store.url if self._store else "",
            master_key=settings.master_key or ensure_master_key(settings.state_dir),
            demo_url=self._demo_url if plan.demo else None,
        )
        self._output.keep_secret(environment)
        return worker_specs(settings.workers, environment, self._listener.fileno(), self._certificate.fd)

    def _start_demo(self) -> str:
        # Its port is known once it runs, and stays the same when it is brought back.
        self._demo = Child(demo_spec(self._plan, port=0), self._pump, self._output)
        self._demo.start()
        self._wait_for(self._demo)
        port = int(self._demo.ready_line.split()[-1]) if self._demo.is_ready else 0
        self._demo.spec = demo_spec(self._plan, port)
        url = f"http://127.0.0.1:{port}"
        self._output.say("demo", f"stands in for every provider, at {url}")
        return url

    def _wait_for(self, child: Child) -> None:
        """Go on with all other work until `child` is ready or is given up."""
        while not child.is_ready and child in self._children() and not self._leaving:
            self._step()

    def _start(self, child: Child) -> None:
        if self._leaving:
            return
        try:
            child.start()
        except OSError as error:
            if not self._announced:
                raise GaveUp(f"can't start {child.spec.name}: {error}") from None
            # The system may be out of processes for a while.
            child.postpone()
            self._output.say(child.spec.name, f"can't be started: {error}")
            return
        if child is not self._demo and not (self._crew.preloader and self._crew.preloader.is_ready):
            self._output.say(child.spec.name, "loading LiteLLM")
        self._note()

    def _step(self) -> None:
        """Wait for the next event, `_TICK_S` at most, and react to it."""
        everyone = (*self._children(), *self._crew.replacements.all())
        starting = {child.ready_fd: child for child in everyone if child.ready_fd is not None}
        ready, _, _ = select.select([self._inbox.fileno(), *starting], [], [], self._patience_s())
        signals = set(self._inbox.take())
        if signals & STOP_SIGNALS:
            self._leaving, self._hurry = True, HURRY_SIGNAL in signals
            return
        if signals & RELOAD_SIGNALS:
            self._certificate.look(now=True)
            self._reloading.ask()
        for child in [starting[fd] for fd in ready if fd in starting]:
            if child.read_readiness():
                self._became_ready(child)
        for child in self._children():
            if not child.check_alive():
                self._died(child)
            elif child.next_start_s is not None and child.next_start_s <= time.monotonic():
                self._start(child)
        if self._store and self._store.ensure_running():
            self._note()
            self._announce()
        self._watchdog.look((*self._crew.workers, *self._crew.replacements.all()))
        in_flight = self._crew.replacements.in_flight
        came_or_went = self._announced and self._crew.step(self._plan.settings.worker_max_rss_mb)
        if self._certificate.look() or came_or_went or in_flight != self._run_file.in_flight:
            self._note(in_flight=in_flight)
        if self._announced:
            self._reloading.step()
            told = {"differing": self._reloading.differing, "unapplied": self._unapplied.look(self._plan)}
            if any(getattr(self._run_file, name) != lines for name, lines in told.items()):
                self._note(**told)

    def _patience_s(self) -> float:
        now = time.monotonic()
        starts = [child.next_start_s - now for child in self._children() if child.next_start_s is not None]
        return max(0.0, min([_TICK_S / 5 if self._reloading.is_waiting else _TICK_S, *starts]))

    def _children(self) -> Iterator[Child]:
        yield from filter(None, (self._demo, *self._crew.all()))

    def _became_ready(self, child: Child) -> None:
        if child is self._demo:
            return
        if child is self._crew.preloader:
            self._output.say(child.spec.name, f"LiteLLM is loaded in {child.start_s:.1f} s")
            return
        self._output.say(child.spec.name, f"ready in {child.start_s:.1f} s")
        if self._run_file.reloads:
            # It may have read the policy just before a reload.
            child.send(signal.SIGHUP)
        self._note()
        self._announce()

    def _announce(self) -> None:
        """Say that the gateway is ready, the first time that it is."""
        has_store = self._store is not None and self._store.awaited is None
        all_ready = bool(self._crew.workers) and all(worker.is_ready for worker in self._crew.workers)
        if not self._announced and has_store and all_ready:
            self._announced = True
            self._meet_fellows()
            self._note(phase="ready")
            url, version = self._run_file.url, scalix.__version__
            self._output.block(start_block(self._plan, url=url, log_file=self._log_file, version=version))
            if self._plan.detached:
                self._output.leave_terminal()
            self._on_ready()

    def _meet_fellows(self) -> None:
        """From now on this gateway is one of those that share the store; nobody shares one of its own."""
        if self._store is None or self._store.server is not None:
            return
        host = self._run_file.host
        address = f"{socket.gethostname() if host in UNSPECIFIED else host}:{self._run_file.port}"
        prefix = self._plan.environment.values.get("SCALIX_KEY_PREFIX") or DEFAULT_KEY_PREFIX
        own = Fellow(address, self._plan.config.policy.version)
        self._reloading.fellows = Fellows(self._store.url, prefix, own)
        self._reloading.fellows.start()

    def _died(self, child: Child) -> None:
        name, how = child.spec.name, describe_exit(child.exit_code)
        if isinstance(child, Preloader) and not child.ever_ready:
            # The workers will say themselves what is wrong, if it is not the preloader alone.
            self._output.say(name, f"ended with {how}; workers load LiteLLM one by one")
            child.close()
            self._crew.preloader = None
            return
        if child.exit_code == EXIT_PORT_TAKEN and child is not self._demo:
            raise LaunchError((port_taken(self._plan.settings.host, self._run_file.port),))
        if is_hopeless(child) and not (self._announced or child.ever_ready):
            raise GaveUp(f"{obituary(child)}; see {self._log_file}")
        wait_s = max(0.0, (child.next_start_s or 0.0) - time.monotonic())
        self._output.say(name, f"ended with {how}; next start in {wait_s:.1f} s")
        self._note()

    def _note(self, **changes: Any) -> None:
        """Write the run file with the children that run now and the store. `changes` are other fields of it."""
        helpers = (self._demo, self._store, self._crew.preloader, *self._crew.replacements.all())
        self._run_file = replace(
            self._run_file,
            helpers=tuple(filter(None, (child.identity for child in helpers if child))),
            store=self._store.description if self._store else "starting",
            store_socket=self._store.socket if self._store else None,
            drain_s=self._plan.settings.drain_s,
            config=self._plan.config.policy.version,
            models=self._plan.models,
            left_out=tuple(line for _, line in model_lines(self._plan))[1:],
            pages=tuple(page_lines(self._plan, self._run_file.url)),
            **self._crew.noted(),
            **self._certificate.noted,
            **changes,
        )
        try:
            self._run_file.write(self._plan.settings.state_dir)
        except OSError as error:
            # A full disk must not end a gateway that serves.
            self._output.say("launcher", f"can't write the run file, --status will be out of date: {error.strerror}")

    def _stop_everything(self) -> None:
        self._listener.close()
        if self._reloading.fellows:
            self._reloading.fellows.leave()
        self._note(phase="draining")
        workers = [*self._crew.workers, *self._crew.replacements.all()]
        helpers = [child for child in self._children() if child not in workers]
        drain = Drain(self._output, self._inbox, self._watchdog, lambda count: self._note(in_flight=count))
        drain.run(workers, helpers, self._store, self._plan.settings.drain_s, hurry=self._hurry)
        if self._crew.preloader:
            self._crew.preloader.close()
        self._pump.close()
        remove_run_file(self._plan.settings.state_dir)
        self._output.say("launcher", "stopped")
